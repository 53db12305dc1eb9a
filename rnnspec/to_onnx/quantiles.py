"""Quantiles of distributions and draws of them, by the formulas of `rnnspec.plan.nodes.quantiles`.

All is computed in float64, whatever the parameters were told in: a float32 sum of a table of 512
cells would be off in the fifth digit. Axes are reduced by their number from the first one on:
counted from the end, onnxruntime keeps them where there is no step.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import pi
from typing import assert_never

import numpy as np

from rnnspec.plan.nodes import Law
from rnnspec.plan.nodes.quantiles import CELLS, HALVINGS, SHARE_SPREAD, TAIL
from rnnspec.to_onnx.doubles import Doubles
from rnnspec.to_onnx.emitter import BOOL, DOUBLE, INT64, Emitter, Extent

Parameters = Mapping[str, str]
"""Float64 values `[…, 1]` by the name of the parameter; of a mixture `[…, M]`, or means and
deviations `[…, M, D]`."""


def quantile(emit: Emitter, law: Law, of: Parameters, p: str, name: str, axes: int) -> str:
    """What a number stays below with each probability `p`, float64 `[P]` or `[…, P]`: `[…, P]`,
    with `axes` axes before the last. Of a mixture of one number.

    The error is that of `rnnspec.plan.nodes.quantiles`, and 1e-12 of rounding.
    """
    m = Doubles(emit, name)
    match law.name:
        case "gaussian":
            return m.add(of["mean"], m.mul(of["deviation"], normal_quantile(m, p)))
        case "laplace":
            side, tail = _side(m, p), m.log(m.mul(m.op("Min", p, m.sub(1.0, p)), 2.0))
            return m.sub(of["location"], m.mul(of["scale"], m.mul(side, tail)))
        case "student_t":
            return m.add(of["location"], m.mul(of["scale"], student_t(m, of["degrees"], p)))
        case "poisson":
            return counts(m, of["mean"], m.mul(of["mean"], 0.0), p, axes)
        case "negative_binomial":
            return counts(m, of["mean"], of["dispersion"], p, axes)
        case "beta":
            a = m.mul(of["mean"], of["precision"])
            return shares(m, a, m.mul(m.sub(1.0, of["mean"]), of["precision"]), p, axes)
        case "weibull":
            power = m.div(m.log(m.op("Neg", m.log(m.sub(1.0, p)))), of["shape"])
            return m.mul(of["scale"], m.exp(power))
        case "mixture":
            return _mixture(m, of, p, axes)
        case "point" | "quantiles":
            raise AssertionError(f"{law.name} has no such quantiles")
        case _:
            assert_never(law.name)


def draw(emit: Emitter, law: Law, of: Parameters, uniform: str, name: str, axes: int) -> str:
    """Draws `[…, S]` of a law by uniform draws, float64 `[…, S, J]`; of a mixture of several
    numbers `[…, D, S]`. `axes` are those before S."""
    if law.name == "mixture":
        return _drawn_of_mixture(Doubles(emit, name), law, of, uniform, axes)
    flat = emit.squeeze(uniform, -1, f"{name}.u")
    return quantile(emit, law, of, flat, name, axes)


# ---------------------------------------------------------------- the normal distribution

_A = (
    2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
    13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.3871328727963666080,
)  # fmt: skip
_B = (
    5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
    5394.1960214247511077, 687.18700749205790830, 42.313330701600911252, 1.0,
)  # fmt: skip
_C = (
    7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177,
    1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959,
    1.42343711074968357734,
)  # fmt: skip
_D = (
    1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966,
    0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187,
    1.0,
)  # fmt: skip
_UPPER = (
    3.52624965998911e-2, 0.700383064443688, 6.37396220353165, 33.912866078383, 112.079291497871,
    221.213596169931, 220.206867912376,
)  # fmt: skip
_LOWER = (
    8.83883476483184e-2, 1.75566716318264, 16.064177579207, 86.7807322029461, 296.564248779674,
    637.333633378831, 793.826512519948, 440.413735824752,
)  # fmt: skip


def normal_quantile(m: Doubles, p: str) -> str:
    """What a standard normal variable stays below with probability p, from 1e-11 to 1 - 1e-11, to
    1e-15 (Wichura 1988, algorithm AS 241)."""
    far = m.sub(p, 0.5)
    r = m.sub(0.180625, m.mul(far, far))
    middle = m.div(m.mul(m.polynomial(r, _A), far), m.polynomial(r, _B))
    tail = m.op("Sqrt", m.op("Neg", m.log(m.op("Min", p, m.sub(1.0, p)))))
    r = m.sub(tail, 1.6)
    outer = m.mul(m.op("Sign", far), m.div(m.polynomial(r, _C), m.polynomial(r, _D)))
    return m.where(m.op("LessOrEqual", m.op("Abs", far), 0.425), middle, outer)


def normal_cdf(m: Doubles, z: str) -> str:
    """The probability that a standard normal variable is at most z, to 1e-14 (Hart 1968, 5666, as
    in West 2005); beyond 8 as at 8."""
    size = m.op("Min", m.op("Abs", z), 8.0)
    share = m.exp(m.mul(size, size, -0.5))
    tail = m.div(m.mul(share, m.polynomial(size, _UPPER)), m.polynomial(size, _LOWER))
    return m.where(m.op("Greater", z, 0.0), m.sub(1.0, tail), tail)


def _side(m: Doubles, p: str) -> str:
    return m.op("Sign", m.sub(p, 0.5))


# ---------------------------------------------------------------- student_t


def student_t(m: Doubles, degrees: str, p: str) -> str:
    """As `rnnspec.reference.quantiles.student_t`, at location 0 and scale 1."""
    n = m.op("Max", degrees, 2.0)
    both = m.mul(m.op("Min", p, m.sub(1.0, p)), 2.0)
    a = m.div(1.0, m.sub(n, 0.5))
    b = m.div(48.0, m.mul(a, a))
    c = m.add(m.mul(m.sub(m.mul(m.sub(m.div(m.mul(a, 20700.0), b), 98.0), a), 16.0), a), 96.36)
    d = m.add(m.div(m.sub(m.div(94.5, m.add(b, c)), 3.0), b), 1.0)
    d = m.mul(d, m.op("Sqrt", m.mul(a, pi / 2)), n)
    y = m.exp(m.div(m.mul(m.log(m.mul(d, both)), 2.0), n))
    z = normal_quantile(m, m.mul(both, 0.5))
    found = m.where(
        m.op("Greater", y, m.add(a, 0.05)), _bulk(m, n, z, a, b, c, d), _tail(m, n, y, d)
    )
    return m.mul(_side(m, p), m.op("Sqrt", m.mul(n, found)))


def _bulk(m: Doubles, n: str, z: str, a: str, b: str, c: str, d: str) -> str:
    square = m.mul(z, z)
    few = m.add(c, m.mul(m.sub(n, 4.5), m.add(z, 0.6), 0.3))
    c = m.where(m.op("Less", n, 5.0), few, c)
    inner = m.mul(m.sub(m.mul(m.sub(m.mul(m.sub(m.mul(d, z, 0.05), 5.0), z), 7.0), z), 2.0), z)
    c = m.add(inner, b, c)
    top = m.add(m.mul(square, 0.4), 6.3)
    for each in (36.0, 94.5):
        top = m.add(m.mul(top, square), each)
    y = m.sub(m.sub(m.div(top, c), square), 3.0)
    y = m.mul(m.add(m.div(y, b), 1.0), z)
    return m.sub(m.exp(m.mul(a, y, y)), 1.0)


def _tail(m: Doubles, n: str, y: str, d: str) -> str:
    found = m.sub(m.sub(m.div(m.add(n, 6.0), m.mul(n, y)), m.mul(d, 0.089)), 0.822)
    found = m.div(1.0, m.mul(found, m.add(n, 2.0), 3.0))
    found = m.sub(m.mul(m.add(found, m.div(0.5, m.add(n, 4.0))), y), 1.0)
    found = m.div(m.mul(found, m.add(n, 1.0)), m.add(n, 2.0))
    return m.add(found, m.div(1.0, y))


# ---------------------------------------------------------------- tables


def counts(m: Doubles, mean: str, dispersion: str, p: str, axes: int) -> str:
    """As `rnnspec.reference.quantiles.counts`; mean and dispersion `[…, 1]`."""
    emit, cells = m.emit, np.arange(CELLS + 1, dtype=np.float64)
    spread = m.op("Sqrt", m.add(mean, m.mul(dispersion, mean, mean)))
    tail, room = m.add(m.mul(dispersion, mean), 1.0), m.mul(spread, 8.0)
    lowest = m.whole(m.op("Max", m.sub(mean, room), 0.0))
    highest = m.add(mean, room, m.mul(tail, TAIL))
    more = m.op("Max", m.sub(m.sub(highest, lowest), float(CELLS)), 0.0)
    shares = emit.constant(cells / CELLS, f"{m.name}.shares")
    growth = m.whole(m.sub(m.exp(m.mul(m.log(m.add(more, 1.0)), shares)), 1.0 - 1e-9))
    edges = m.add(lowest, emit.constant(cells, f"{m.name}.cells"), growth)
    first, widths = _cells(m, edges)
    centres = m.add(first, m.mul(m.sub(widths, 1.0), 0.5))
    before = _shifted(m, centres)
    between = m.op("Max", m.mul(m.sub(m.add(centres, before), 1.0), 0.5), 0.0)
    slope = m.log(m.div(m.add(m.mul(dispersion, between), 1.0), m.add(between, 1.0)))
    slope = m.add(slope, m.log(m.div(mean, tail)))
    logs = _summed(m, m.mul(slope, m.sub(centres, before)))
    masses = m.mul(widths, m.exp(_below_largest(m, logs, axes)))
    at, part = _found(m, masses, p, axes)
    width = _at(m, widths, at, axes)
    # The least whole number that is no smaller, from 1 on.
    within = m.whole(m.op("Max", m.add(m.mul(part, width), 1.0 - 1e-9), 1.0))
    found = m.sub(m.add(_at(m, first, at, axes), m.op("Min", within, width)), 1.0)
    return m.add(found, m.mul(mean, 0.0))  # NaN is no whole number


def shares(m: Doubles, a: str, b: str, p: str, axes: int) -> str:
    """As `rnnspec.reference.quantiles.shares`; a and b `[…, 1]`."""
    emit, places = m.emit, np.linspace(-1.0, 1.0, CELLS + 1)
    spread = m.mul(m.op("Sqrt", m.add(m.div(1.0, a), m.div(1.0, b))), SHARE_SPREAD)
    steps = emit.constant(places, f"{m.name}.steps")
    left = emit.constant(np.where(places < 0, places**5, 0.0), f"{m.name}.left")
    right = emit.constant(np.where(places < 0, 0.0, places**5), f"{m.name}.right")
    tails = m.add(m.mul(m.div(TAIL, a), left), m.mul(m.div(TAIL, b), right))
    edges = m.add(m.log(m.div(a, b)), m.mul(spread, steps), tails)
    logs = m.add(m.mul(a, _log_sigmoid(m, edges)), m.mul(b, _log_sigmoid(m, m.op("Neg", edges))))
    height = m.exp(_below_largest(m, logs, axes))
    first, widths = _cells(m, edges)
    low, high = _ends(m, height)
    at, part = _found(m, m.mul(widths, m.add(low, high)), p, axes)
    logit = m.add(_at(m, first, at, axes), m.mul(part, _at(m, widths, at, axes)))
    return m.exp(_log_sigmoid(m, logit))


def _log_sigmoid(m: Doubles, v: str) -> str:
    size = m.exp(m.op("Neg", m.op("Abs", v)))
    return m.sub(m.op("Min", v, 0.0), m.log(m.add(size, 1.0)))


def _ends(m: Doubles, edges: str) -> tuple[str, str]:
    """The value at the first and at the last end of each cell, `[…, CELLS]`."""
    emit = m.emit
    return (
        emit.slice(edges, 0, CELLS, -1, f"{m.name}.first"),
        emit.slice(edges, 1, CELLS + 1, -1, f"{m.name}.last"),
    )


def _cells(m: Doubles, edges: str) -> tuple[str, str]:
    """First edges and widths of the cells."""
    first, last = _ends(m, edges)
    return first, m.sub(last, first)


def _shifted(m: Doubles, cells: str) -> str:
    """The value of the cell before; of the first cell its own."""
    parts = [(0, 1), (0, CELLS - 1)]
    found = [m.emit.slice(cells, *part, -1, f"{m.name}.before") for part in parts]
    return m.emit.concat(found, -1, f"{m.name}.shifted")


def _summed(m: Doubles, values: str) -> str:
    return m.emit.op("CumSum", [values, m.emit.integer(-1)], f"{m.name}.sums")


def _below_largest(m: Doubles, logs: str, axis: int) -> str:
    return m.sub(logs, m.emit.reduce("ReduceMax", logs, axis, f"{m.name}.largest", keep=True))


def _found(m: Doubles, masses: str, p: str, axes: int) -> tuple[str, str]:
    """As `rnnspec.reference.quantiles._found`, by halving the cells: int64 and float64 `[…, P]`."""
    emit, total = m.emit, _summed(m, masses)
    aim = m.mul(emit.slice(total, CELLS - 1, CELLS, -1, f"{m.name}.all"), p)
    at, step = m.flags(m.op("Less", aim, 0.0), INT64), CELLS // 2  # 0 in its shape
    while step:
        probe = emit.op("Add", [at, emit.integer(step - 1)], f"{m.name}.probe")
        short = m.flags(m.op("Less", _at(m, total, probe, axes), aim), INT64)
        moved = emit.op("Mul", [short, emit.integer(step)], f"{m.name}.moved")
        at, step = emit.op("Add", [at, moved], f"{m.name}.cell"), step // 2
    end, mass = _at(m, total, at, axes), _at(m, masses, at, axes)
    some = m.where(m.op("Greater", mass, 0.0), mass, 1.0)
    part = m.sub(1.0, m.div(m.sub(end, aim), some))
    return at, m.op("Min", m.op("Max", part, 0.0), 1.0)


def _at(m: Doubles, cells: str, places: str, axes: int) -> str:
    """The cells at places, with `axes` axes before the last, which the evaluator of ONNX does not
    take when it is counted from the end."""
    return m.emit.op("GatherElements", [cells, places], f"{m.name}.at", axis=axes)


# ---------------------------------------------------------------- mixtures


def _mixture(m: Doubles, of: Parameters, p: str, axes: int) -> str:
    """Of weights, means and deviations `[…, M]`."""
    emit = m.emit
    weights, means, deviations = (
        emit.unsqueeze(of[each], -2, f"{m.name}.{each}")
        for each in ("weights", "means", "deviations")
    )
    z = emit.unsqueeze(normal_quantile(m, p), -1, f"{m.name}.z")
    own = m.add(means, m.mul(deviations, z))
    low, high = (
        emit.reduce(kind, own, axes + 1, f"{m.name}.{kind}") for kind in ("ReduceMin", "ReduceMax")
    )
    wide: list[Extent] = [f"{m.name}.{axis}" for axis in range(axes + 1)]
    body = emit.body()
    inner = Doubles(body, f"{m.name}.halving")
    body.input(f"{m.name}.number", INT64, [])
    going = body.input(f"{m.name}.going", BOOL, [])
    below, above = (body.input(f"{m.name}.{end}", DOUBLE, wide) for end in ("low", "high"))
    middle = inner.mul(inner.add(below, above), 0.5)
    distance = inner.sub(body.unsqueeze(middle, -1, f"{m.name}.middle"), means)
    share = normal_cdf(inner, inner.div(distance, deviations))
    total = body.reduce("ReduceSum", inner.mul(weights, share), axes + 1, f"{m.name}.share")
    short = inner.op("Less", total, p)
    body.result(body.op("Identity", [going], f"{m.name}.on"), BOOL, [])
    for value in (inner.where(short, middle, below), inner.where(short, above, middle)):
        body.result(value, DOUBLE, wide)
    count, always = emit.integer(HALVINGS), emit.constant(np.array(True), f"{m.name}.always")
    names, graph = [f"{m.name}.lowest", f"{m.name}.highest"], body.graph(f"{m.name}.halvings")
    low, high = emit.ops("Loop", [count, always, low, high], names, body=graph)
    return m.mul(m.add(low, high), 0.5)


def _drawn_of_mixture(m: Doubles, law: Law, of: Parameters, uniform: str, axes: int) -> str:
    """Of weights `[…, M]`, means and deviations `[…, M]` or `[…, M, D]`."""
    emit = m.emit
    component = emit.unsqueeze(
        _component(m, law, of["weights"], uniform, axes), -2, f"{m.name}.of_each"
    )
    z = normal_quantile(m, emit.slice(uniform, 1, 1 + law.width, -1, f"{m.name}.others"))
    turn = [*range(axes), axes + 1, axes]
    z = emit.transpose(z, turn, f"{m.name}.z")
    if law.correlated:
        z = _correlated(m, z, of["correlations"], component, axes)
    numbers = m.emit.op("Shape", [z], f"{m.name}.extents")
    component = emit.op("Expand", [component, numbers], f"{m.name}.of_numbers")

    def chosen(values: str) -> str:
        by_number = emit.transpose(values, turn, f"{values}.by_number")
        return _at(m, by_number, component, axes + 1)

    joint = law.width > 1
    parts = [
        of[each] if joint else emit.unsqueeze(of[each], -1, f"{m.name}.{each}.one")
        for each in ("means", "deviations")
    ]
    found = m.add(chosen(parts[0]), m.mul(chosen(parts[1]), z))
    return found if joint else emit.squeeze(found, -2, f"{m.name}.drawn")


def _component(m: Doubles, law: Law, weights: str, uniform: str, axes: int) -> str:
    """Int64 `[…, S]`: the first component up to which the weights are more than the draw."""
    emit = m.emit
    total = emit.unsqueeze(_summed(m, weights), -2, f"{m.name}.up_to")
    first = emit.slice(uniform, 0, 1, -1, f"{m.name}.u")
    passed = m.flags(m.op("LessOrEqual", total, first), INT64)
    number = emit.reduce("ReduceSum", passed, axes + 1, f"{m.name}.passed")
    return emit.op("Min", [number, emit.integer(law.components - 1)], f"{m.name}.component")


def _correlated(m: Doubles, z: str, correlations: str, component: str, axes: int) -> str:
    """`[…, 2, S]`, the second as r z_0 + sqrt(1 - r^2) z_1."""
    emit = m.emit
    each = emit.unsqueeze(correlations, -2, f"{m.name}.correlations")
    r = _at(m, each, component, axes + 1)
    first, second = (emit.slice(z, at, at + 1, -2, f"{m.name}.z_{at}") for at in range(2))
    left = m.op("Sqrt", m.sub(1.0, m.mul(r, r)))
    return emit.concat([first, m.add(m.mul(r, first), m.mul(left, second))], -2, f"{m.name}.both")
