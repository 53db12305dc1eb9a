"""The uniform draws of `rnnspec.plan.sampling_rng` as ONNX operators."""

from __future__ import annotations

from rnnspec.plan.names import SEED
from rnnspec.plan.nodes.quantiles import SEED_STRIDE
from rnnspec.plan.sampling_rng import BITS, GOLDEN, P, Q
from rnnspec.to_onnx.emitter import DOUBLE, INT64, Emitter
from rnnspec.to_onnx.lowering import BATCH, Lowering


def seed_input(low: Lowering) -> str:
    """The seeds of the rows, int64 `[B]`, which all answers by chance share."""
    if not low.seeds:
        doc = "the seed of each row's draws, any number"
        low.seeds.append(low.emit.input(SEED, INT64, [BATCH], doc, reserved=True))
    return low.seeds[0]


def output_seeds(low: Lowering, output: str, name: str) -> str:
    """The seeds of the draws of one output, int64 `[B]`."""
    place = [each.name for each in low.plan.outputs].index(output)
    moved = low.emit.integer((place + 1) * SEED_STRIDE)
    return low.emit.op("Add", [seed_input(low), moved], f"{name}.seed")


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


def uniform(emit: Emitter, of_seed: tuple[str, ...], step: str, name: str) -> str:
    """The same draws as float64 between 0 and 1, each in the middle of its cell."""
    whole = emit.cast(bits(emit, of_seed, step, name), INT64, DOUBLE, f"{name}.whole")
    middle = emit.op("Add", [whole, emit.number(0.5, DOUBLE)], f"{name}.middle")
    return emit.op("Mul", [middle, emit.number(2.0**-BITS, DOUBLE)], f"{name}.unit")


def _cube(emit: Emitter, value: str, name: str) -> str:
    """The cube modulo P of a value below 2^31."""
    p = emit.integer(P)
    square = emit.op("Mul", [value, value], f"{name}.square")
    rest = emit.op("Mod", [square, p], f"{name}.square.rest")
    cube = emit.op("Mul", [rest, value], f"{name}.cube")
    return emit.op("Mod", [cube, p], f"{name}.cubed")
