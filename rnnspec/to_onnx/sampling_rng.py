"""The uniform draws of `rnnspec.plan.sampling_rng` as ONNX operators."""

from __future__ import annotations

from rnnspec.plan.sampling_rng import BITS, GOLDEN, P, Q
from rnnspec.to_onnx.emitter import Emitter


def keys(emit: Emitter, seed: str, name: str) -> tuple[str, str]:
    """The two numbers of seeds, int64 of any shape."""
    first = emit.op("Mod", [seed, emit.integer(P)], f"{name}.seed.p")
    first = emit.op("Add", [first, emit.integer(GOLDEN)], f"{name}.seed.moved")
    a = _cube(emit, first, f"{name}.a")
    second = emit.op("Mod", [seed, emit.integer(Q)], f"{name}.seed.q")
    second = emit.op("Add", [a, second], f"{name}.seed.mixed")
    return a, _cube(emit, second, f"{name}.b")


def bits(emit: Emitter, of_seed: tuple[str, ...], step: str, name: str) -> str:
    """The draws of steps below `P` as int64 below 2^23, from the `keys` of seeds."""
    a, b = of_seed
    value = emit.op("Add", [b, step], f"{name}.step")
    for key in (a, b):
        value = _cube(emit, value, f"{name}.round")
        value = emit.op("Add", [value, key], f"{name}.keyed")
    value = _cube(emit, value, f"{name}.last")
    return emit.op("Mod", [value, emit.integer(1 << BITS)], f"{name}.bits")


def _cube(emit: Emitter, value: str, name: str) -> str:
    """The cube modulo P of a value below 2^31."""
    p = emit.integer(P)
    square = emit.op("Mul", [value, value], f"{name}.square")
    rest = emit.op("Mod", [square, p], f"{name}.square.rest")
    cube = emit.op("Mul", [rest, value], f"{name}.cube")
    return emit.op("Mod", [cube, p], f"{name}.cubed")
