"""Sampling: each row's draws come from its own seed and the step, by `plan.draws`."""

from __future__ import annotations

from rnnspec.plan.nodes import Sample
from rnnspec.plan.sampling_rng import BITS, GOLDEN, P, Q
from rnnspec.to_onnx.copies import Entries
from rnnspec.to_onnx.emitter import FLOAT, INT64, Emitter
from rnnspec.to_onnx.lowering import Lowering
from rnnspec.to_onnx.rows import Rows
from rnnspec.to_onnx.search.greedy import Take


def drawn(low: Lowering, name: str, search: Sample, seed: str, entries: Entries) -> Take:
    """The first token, in falling order of probability, whose cumulative probability is above the
    draw times the mass of those that are kept. `seed` int64 `[B]`."""
    name = f"{name}.draw"
    keys = _keys(low.emit, seed, name)
    count = entries.extent(search.top_k)

    def take(emit: Emitter, rows: Rows, logs: str, allowed: str, step: str) -> tuple[str, str]:
        sharp = allowed
        if search.temperature != 1.0:
            sharp = emit.op("Div", [allowed, emit.number(search.temperature)], f"{name}.sharp")
        names = [f"{name}.sorted", f"{name}.numbers"]
        best, numbers = emit.ops("TopK", [sharp, count], names, {"axis": -1})
        shares = emit.op("Softmax", [best], f"{name}.shares", {"axis": -1})
        total = emit.op("CumSum", [shares, emit.integer(1)], f"{name}.total")
        mass = emit.op("Slice", [total, *map(emit.integers, (-1, 2**31, 1))], f"{name}.all")
        if search.top_p < 1.0:
            mass = _kept(emit, shares, total, search.top_p, name)
        least = emit.op(
            "Mul", [_uniform(emit, tuple(map(rows.at, keys)), step, name), mass], f"{name}.least"
        )
        # What the draw has passed, but never the last one of those kept.
        passed = emit.op("LessOrEqual", [total, least], f"{name}.passed")
        short = emit.op("Less", [total, mass], f"{name}.short")
        both = emit.op("And", [passed, short], f"{name}.before")
        ones = emit.op("Cast", [both], f"{name}.ones", {"to": INT64})
        place = emit.op("ReduceSum", [ones, emit.integers(1)], f"{name}.place", {"keepdims": 1})
        number = emit.op("GatherElements", [numbers, place], f"{name}.number", {"axis": 1})
        log = emit.op("GatherElements", [logs, number], f"{name}.log", {"axis": 1})
        flat = [emit.op("Squeeze", [v, emit.integers(1)], f"{v}.flat") for v in (number, log)]
        return flat[0], flat[1]

    return take


def _kept(emit: Emitter, shares: str, total: str, top_p: float, name: str) -> str:
    """`[B, 1]`: the cumulative probability of the first that reaches `top_p`."""
    before = emit.op("Sub", [total, shares], f"{name}.sum_before")
    kept = emit.op("Less", [before, emit.number(top_p)], f"{name}.kept")
    masses = emit.op("Where", [kept, total, emit.number(0.0)], f"{name}.masses")
    return emit.op("ReduceMax", [masses, emit.integers(1)], f"{name}.mass", {"keepdims": 1})


def _keys(emit: Emitter, seed: str, name: str) -> tuple[str, str]:
    first = emit.op("Mod", [seed, emit.integer(P)], f"{name}.seed.p")
    first = emit.op("Add", [first, emit.integer(GOLDEN)], f"{name}.seed.moved")
    a = _cube(emit, first, f"{name}.a")
    second = emit.op("Mod", [seed, emit.integer(Q)], f"{name}.seed.q")
    second = emit.op("Add", [a, second], f"{name}.seed.mixed")
    return a, _cube(emit, second, f"{name}.b")


def _uniform(emit: Emitter, keys: tuple[str, ...], step: str, name: str) -> str:
    """`[B, 1]`: u of the row's seed and the step, below 2^31."""
    a, b = keys
    value = emit.op("Add", [b, step], f"{name}.step")
    for key in (a, b):
        value = _cube(emit, value, f"{name}.round")
        value = emit.op("Add", [value, key], f"{name}.keyed")
    value = _cube(emit, value, f"{name}.last")
    bits = emit.op("Mod", [value, emit.integer(1 << BITS)], f"{name}.bits")
    exact = emit.op("Cast", [bits], f"{name}.exact", {"to": FLOAT})
    unit = emit.op("Mul", [exact, emit.number(2.0**-BITS)], f"{name}.unit")
    return emit.op("Unsqueeze", [unit, emit.integers(1)], f"{name}.u")


def _cube(emit: Emitter, value: str, name: str) -> str:
    """The cube modulo P of a value below 2^31."""
    p = emit.integer(P)
    square = emit.op("Mul", [value, value], f"{name}.square")
    rest = emit.op("Mod", [square, p], f"{name}.square.rest")
    cube = emit.op("Mul", [rest, value], f"{name}.cube")
    return emit.op("Mod", [cube, p], f"{name}.cubed")
