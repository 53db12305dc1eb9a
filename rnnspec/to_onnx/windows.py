"""Windows of neighbouring steps in a stream: which outputs a chunk completes, and what is kept.

The inputs kept, then those of the chunk, stand one after the other in each row, the first of them
being the first that the next output reads. Output j reads `stride` j to `stride` j + `left` +
`right` of them. Where a row begins, `left` zeros are kept; where it ends, `fill` stands behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnspec.to_onnx.emitter import FLOAT, INT64
from rnnspec.to_onnx.lengths import Lengths, counted
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence

WAITING_TIME = "answered"
"""Name of the dimension of steps that are answered by a chunk, where they are not its own."""


@dataclass(frozen=True, slots=True)
class Windows:
    """`value` `[P, B, …]` holds at least the inputs of all outputs that the chunk completes;
    `count` int64 `[B]` says how many these are, `there` `[B]` how many inputs there are."""

    value: str
    count: str
    there: str


@dataclass(frozen=True, slots=True)
class Filter:
    """What an output reads, along the steps, and what stands behind the end of a row: `fill` or,
    with `edges`, copies of its last input, and of its first one before its begin. Then the row's
    first inputs wait for a further state, `name.some`: whether there have been any."""

    left: int
    right: int
    stride: int
    fill: float = 0.0
    edges: bool = False

    @property
    def kept(self) -> int:
        """The most inputs that are kept."""
        return self.left + self.right

    @property
    def at_once(self) -> bool:
        """Whether each step is answered in its own chunk, and all are."""
        return self.stride == 1 and not self.right


def windows(
    low: Lowering, name: str, value: str, lengths: Lengths, reads: Filter, width: Sequence[int]
) -> Windows:
    """The inputs of the outputs that a chunk `[T, B, *width]` completes. Keeps the states
    `name.inputs` and `name.count` (`rnnspec.plan.stream_states.window_states`). T is at least
    1."""
    chunks = low.streaming()
    if reads.at_once:
        return _at_once(low, name, value, lengths, reads, width)
    emit, state = low.emit, chunks.before(f"{name}.count")
    held = emit.op("Add", [state, emit.integer(reads.left)], f"{name}.held")
    there = emit.op("Add", [held, lengths.name], f"{name}.there")
    count = _completed(low, name, there, reads)
    line = _Line(low, name, value, lengths, reads, width, held, there)
    every = line.steps(line.extent())
    gone = emit.op("Mul", [count, emit.integer(reads.stride)], f"{name}.gone")
    rest = emit.op("Sub", [there, gone], f"{name}.rest")
    rest = emit.op("Sub", [rest, emit.integer(reads.left)], f"{name}.count.after")
    chunks.after(f"{name}.count", rest)
    if reads.kept:
        chunks.after(f"{name}.inputs", _kept(low, name, every, gone, reads, width, lengths))
    if reads.edges:
        some = emit.cast(
            emit.op("Sign", [lengths.name], f"{name}.any"), INT64, FLOAT, f"{name}.now"
        )
        some = emit.op("Max", [chunks.before(f"{name}.some"), some], f"{name}.some.after")
        chunks.after(f"{name}.some", some)
    return Windows(every, count, there)


def _at_once(
    low: Lowering, name: str, value: str, lengths: Lengths, reads: Filter, width: Sequence[int]
) -> Windows:
    """All rows keep equally many inputs."""
    emit, chunks = low.emit, low.streaming()
    if not reads.left:
        return Windows(value, _counted(lengths), _counted(lengths))
    before = emit.transpose(
        chunks.before(f"{name}.inputs"), _turned(width), f"{name}.inputs.in_time"
    )
    every = emit.concat([before, value], 0, f"{name}.inputs.all")
    gone = _counted(lengths)
    chunks.after(f"{name}.inputs", _kept(low, name, every, gone, reads, width, lengths))
    return Windows(every, gone, gone)


def _counted(lengths: Lengths) -> str:
    """Int64 `[B]`; "" where no operator looks at it."""
    return "" if lengths.steps else lengths.name


def _completed(low: Lowering, name: str, there: str, reads: Filter) -> str:
    """How many outputs have all that they read; of rows that end all that are left."""
    emit = low.emit

    def count(more: int, title: str) -> str:
        total = emit.op("Add", [there, emit.integer(more)], f"{title}.total")
        by = total
        if reads.stride > 1:
            by = emit.op("Div", [total, emit.integer(reads.stride)], f"{title}.by_stride")
        return emit.op("Max", [by, emit.integer(0)], title)

    found = count(reads.stride - 1 - reads.kept, f"{name}.completed")
    if end := low.streaming().end:
        last = count(reads.stride - 1 - reads.left, f"{name}.completed.at_end")
        found = emit.op("Where", [end, last, found], f"{name}.completed.now")
    return found


@dataclass(frozen=True, slots=True)
class _Line:
    """The inputs kept, of which a row has `held` `[B]`, then those of the chunk `value`
    `[T, B, *width]`, `there` `[B]` in all, then `fill`."""

    low: Lowering
    name: str
    value: str
    lengths: Lengths
    reads: Filter
    width: Sequence[int]
    held: str
    there: str

    def extent(self) -> str:
        """Int64 `[1]`: steps enough for all outputs that the chunk completes."""
        emit, reads = self.low.emit, self.reads
        more = reads.kept + (reads.right + reads.stride if self.low.streaming().end else 0)
        time = emit.extent(self.value, 0, f"{self.name}.line.time")
        return emit.op("Add", [time, emit.integers(more)], f"{self.name}.line.extent")

    def steps(self, extent: str) -> str:
        """`[P, B, *width]`, the first `extent` of them."""
        emit, reads, name = self.low.emit, self.reads, f"{self.name}.line"
        places = emit.unsqueeze(counted(emit, extent, f"{name}.numbers"), 1, f"{name}.places")
        inside = emit.op("Less", [places, self.there], f"{name}.inside")
        if reads.edges:
            places = self._within(places)
        kept = emit.op("Less", [places, self.held], f"{name}.kept")
        later = emit.op("Sub", [places, self.held], f"{name}.later")
        if reads.kept:
            later = emit.op("Add", [later, emit.integer(reads.kept)], f"{name}.later.all")
        places = emit.op("Where", [kept, places, later], f"{name}.own")
        if not reads.edges:
            places = emit.op("Where", [inside, places, emit.integer(0)], f"{name}.found")
        found = _gathered(self.low, self._all(), places, self.lengths, name)
        if reads.edges:
            return found
        if self.width:
            axes = emit.integers(*range(2, 2 + len(self.width)))
            inside = emit.op("Unsqueeze", [inside, axes], f"{name}.flags")
        return emit.op("Where", [inside, found, emit.number(reads.fill)], name)

    def _within(self, places: str) -> str:
        """Places of inputs that there are, `[P, B]`: the nearest ones."""
        emit, name = self.low.emit, f"{self.name}.line"
        some = emit.cast(
            self.low.streaming().before(f"{self.name}.some"), FLOAT, INT64, f"{name}.some"
        )
        none = emit.op("Sub", [emit.integer(1), some], f"{name}.none")
        first = emit.op("Mul", [none, emit.integer(self.reads.left)], f"{name}.first")
        last = emit.op("Sub", [self.there, emit.integer(1)], f"{name}.last")
        above = emit.op("Max", [places, first], f"{name}.from_first")
        return emit.op("Min", [above, last], f"{name}.to_last")

    def _all(self) -> str:
        """`[kept + T, B, *width]`."""
        if not self.reads.kept:
            return self.value
        emit, name = self.low.emit, f"{self.name}.inputs"
        state = self.low.streaming().before(name)
        before = emit.transpose(state, _turned(self.width), f"{name}.in_time")
        return emit.concat([before, self.value], 0, f"{name}.all")


def _gathered(low: Lowering, value: str, places: str, lengths: Lengths, name: str) -> str:
    """`[P, B, …]`: of `[T, B, …]` the steps `places` `[P, B]`."""
    emit = low.emit
    rows = emit.squeeze(lengths.rows(), 1, f"{name}.rows")
    zero = emit.op("Mul", [places, emit.integer(0)], f"{name}.zeros")
    rows = emit.op("Add", [zero, rows], f"{name}.rows.each")
    pair = [emit.unsqueeze(each, 2, f"{each}.column") for each in (places, rows)]
    indices = emit.concat(pair, 2, f"{name}.indices")
    return emit.op("GatherND", [value, indices], f"{name}.gathered")


def _kept(
    low: Lowering,
    name: str,
    every: str,
    gone: str,
    reads: Filter,
    width: Sequence[int],
    lengths: Lengths,
) -> str:
    """`[B, kept, *width]`: the inputs behind the first `gone` `[B]` of each row."""
    emit, line = low.emit, f"{name}.inputs"
    if lengths.steps:
        after = lengths.steps + reads.kept
        last = emit.slice(every, lengths.steps, after, 0, f"{line}.after")
        return emit.transpose(last, _turned(width), f"{line}.kept")
    numbers = emit.constant(np.arange(reads.kept)[:, np.newaxis], f"{line}.numbers")
    places = emit.op("Add", [numbers, gone], f"{line}.places")
    end = emit.op("Sub", [emit.extent(every, 0, f"{line}.extent"), emit.integer(1)], f"{line}.end")
    places = emit.op("Min", [places, end], f"{line}.within")
    found = _gathered(low, every, places, lengths, f"{line}.after")
    return emit.transpose(found, _turned(width), f"{line}.kept")


def _turned(width: Sequence[int]) -> list[int]:
    """Rows and steps change places."""
    return [1, 0, *range(2, 2 + len(width))]


def later_lengths(low: Lowering, name: str, count: str, value: str) -> Lengths:
    """The lengths of the outputs that a chunk completes; `value` `[T, B, …]` has them."""
    return Lengths(
        low.emit, f"{name}.answered", count, value, True, derived=True, time=WAITING_TIME
    )


def answered(
    low: Lowering, name: str, lengths: Lengths, reads: Filter, count: str, out: str
) -> PaddedSequence:
    """The outputs that a chunk of these `lengths` completes, on its own axis where each of its
    steps has one."""
    if reads.at_once:
        return PaddedSequence(out, lengths)
    return PaddedSequence(out, later_lengths(low, name, count, out))


def waited(
    low: Lowering, name: str, source: PaddedSequence, last: Lengths, most: int, width: Sequence[int]
) -> PaddedSequence:
    """The sequence `source`, at most `most` steps ahead of one with the lengths `last`, with the
    steps of that one.

    Keeps the states `name.inputs` and `name.count`: the steps that wait."""
    emit, chunks, reads = low.emit, low.streaming(), Filter(0, most, 1)
    held = chunks.before(f"{name}.count")
    there = emit.op("Add", [held, source.lengths.name], f"{name}.there")
    line = _Line(low, name, source.name, source.lengths, reads, width, held, there)
    every = line.steps(line.extent())
    gone = last.name
    chunks.after(f"{name}.count", emit.op("Sub", [there, gone], f"{name}.count.after"))
    chunks.after(f"{name}.inputs", _kept(low, name, every, gone, reads, width, source.lengths))
    return PaddedSequence(line.steps(emit.extent(last.mask(), 0, f"{name}.steps")), last)
