"""The frames that a decoder writes for one row: see `rnnspec.plan.nodes.frames`."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor

import numpy as np

from rnnspec.plan import Plan, nodes
from rnnspec.plan.names import first_sequences, steps_in
from rnnspec.plan.nodes.quantiles import SEED_STRIDE, uniforms
from rnnspec.reference.decode import Body, DecoderState
from rnnspec.reference.distributions import answer as point
from rnnspec.reference.distributions import parameters_of
from rnnspec.reference.functions import Array, Arrays
from rnnspec.reference.inputs import Row, scaling
from rnnspec.reference.quantiles import draws, uniform_draws


@dataclass(frozen=True, slots=True)
class Frames:
    """The answer `[U, width]` in the units of the data; of a reconstruction the error of each step
    `[U]` and the score of the row; and of a distribution its parameters `[U, raw]`, or the
    quantiles `[U, width Q]` over the `paths`, `[U', width]` each."""

    values: Array
    errors: Array | None = None
    score: float | None = None
    parameters: Array | None = None
    paths: tuple[Array, ...] = ()


@dataclass(frozen=True, slots=True)
class Writer:
    """What frames are written from: the `values` of one row's nodes outside of the decoder, and
    the row as it came in."""

    plan: Plan
    out: nodes.FramesOutput
    weights: Arrays
    values: Arrays
    row: Row

    def body(self) -> Body:
        decoder = self.plan.node(self.out.source)
        assert isinstance(decoder, nodes.Decoder)
        return Body(self.plan, decoder, self.weights, self.values)

    def steps_of_input(self) -> int:
        firsts = first_sequences(self.plan).values()
        return sum(int(steps_in(first, len(self.row[first.key]))) for first in firsts)


def written(writer: Writer, seed: int = 0) -> Frames:
    """The answer to a row; of drawn ones with its seed."""
    if writer.out.paths:
        return _of_paths(writer, _paths(writer, seed))
    out, raw = writer.out, _free(writer)
    raw = raw[::-1] if out.reverse else raw
    answer, parameters = _answered(writer, raw)
    told = None if out.law.name == "point" else parameters
    return Frames(answer, *_errors(writer, answer), told)


def _errors(writer: Writer, answer: Array) -> tuple[Array | None, float | None]:
    """Of a reconstruction the errors of its steps and the score of the row."""
    out, (centre, scale) = writer.out, scaling(writer.out, writer.weights, {}, writer.out.width)
    if not out.read:
        return None, None
    steps = (answer - centre) / scale
    source = writer.plan.node(out.read)
    assert isinstance(source, nodes.FramesInput)
    given = np.asarray(writer.row[source.key], np.float64).reshape(-1, out.width)
    squares = ((given - centre) / scale - steps) ** 2
    return np.array([_mean(step) for step in squares]), _mean(squares)


def _paths(writer: Writer, seed: int) -> list[Array]:
    """The paths `[U, width]` in the order of the data, each of its own length."""
    out, found = writer.out, list[Array]()
    centre, scale = scaling(out, writer.weights, {}, out.width)
    place = [each.name for each in writer.plan.outputs].index(out.name)
    own = (seed + (place + 1) * SEED_STRIDE + 2**63) % 2**64 - 2**63  # as int64
    each = out.laws * uniforms(out.law)
    for path in range(out.paths):
        body, state, fed, steps = writer.body(), DecoderState(), np.zeros(out.width), list[Array]()
        for step in range(_most(writer)):
            raw, state = body.advance(fed, state)
            if out.length == "learned" and step >= out.least and raw[-1] > 0:
                break
            laws = _answered(writer, raw[None, : out.raw])[1].reshape(out.laws, out.law.size)
            shape = (out.laws, 1, uniforms(out.law))
            uniform = uniform_draws(own, (step * out.paths + path) * each, shape)
            drawn = (draws(out.law, *of_law)[0] for of_law in zip(laws, uniform, strict=True))
            steps.append(np.concatenate([*drawn]))
            fed = (steps[-1] - centre) / scale
        frames = np.array(steps).reshape(-1, out.width)
        found.append(frames[::-1] if out.reverse else frames)
    return found


def _of_paths(writer: Writer, paths: list[Array]) -> Frames:
    """Quantiles over the paths that have a step, of as many steps as the median path has."""
    out = writer.out
    length = sorted(map(len, paths))[(out.paths - 1) // 2]
    quantiles = np.zeros((length, out.width, len(out.quantiles)))
    for step in range(length):
        there = np.array([path[step] for path in paths if len(path) > step])
        quantiles[step] = np.quantile(there, out.quantiles, axis=0).T
    answer = quantiles[..., out.answered.middle]
    told = quantiles.reshape(length, out.width * len(out.quantiles))
    return Frames(answer, *_errors(writer, answer), told, tuple(paths))


def _answered(writer: Writer, raw: Array) -> tuple[Array, Array]:
    """The point answers `[U, width]` to raw numbers `[U, raw]`, and the parameters behind them,
    `[U, raw]`, in the units of the data."""
    out, each = writer.out, (writer.out.laws, writer.out.law.width)
    units = (one.reshape(each) for one in scaling(out, writer.weights, {}, out.width))
    laws = raw.reshape(len(raw), out.laws, out.law.size)
    found = parameters_of(out.law, laws, *units)
    return point(out.law, found).reshape(len(raw), out.width), found.reshape(raw.shape)


def raw_frames(writer: Writer, truth: Array) -> Array:
    """Raw numbers `[U, raw_width]` in the order of writing, fed with the true frames `[U, width]`,
    in the units of the data; of a learned length one step more."""
    out, (centre, scale) = writer.out, scaling(writer.out, writer.weights, {}, writer.out.width)
    true = (truth.reshape(-1, out.width) - centre) / scale
    true = np.nan_to_num(true[::-1] if out.reverse else true)
    body, state, found = writer.body(), DecoderState(), []
    for step in range(len(true) + (out.length == "learned")):
        raw, state = body.advance(true[step - 1] if step else np.zeros(out.width), state)
        found.append(raw)
    return np.array(found).reshape(-1, out.raw_width)


def _free(writer: Writer) -> Array:
    """The raw numbers `[U, raw]` in the order of writing, fed with its own answers."""
    out, body, state = writer.out, writer.body(), DecoderState()
    centre, scale = scaling(out, writer.weights, {}, out.width)
    found, fed = list[Array](), np.zeros(out.width)
    for step in range(_most(writer)):
        raw, state = body.advance(fed, state)
        if out.length == "learned" and step >= out.least and raw[-1] > 0:
            break
        found.append(raw[: out.raw])
        fed = (_answered(writer, raw[None, : out.raw])[0][0] - centre) / scale
    return np.array(found).reshape(-1, out.raw)


def _most(writer: Writer) -> int:
    out = writer.out
    match out.length:
        case "input":
            return writer.steps_of_input()
        case "fixed":
            return out.limit
        case "column":
            counted = writer.plan.node(out.counted)
            assert isinstance(counted, nodes.VectorInput)
            number = float(np.rint(np.asarray(writer.row[counted.key], np.float64).reshape(())))
            return int(min(max(number, 0.0), nodes.MOST_COUNTED))
        case "learned":
            return out.limit + floor(out.factor * writer.steps_of_input())


def _mean(values: Array) -> float:
    """The mean of the known ones; 0 of none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else 0.0
