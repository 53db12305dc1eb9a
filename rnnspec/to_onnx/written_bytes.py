"""Bytes that are written, as a text: strings of one byte each, joined, are UTF-8.

A byte by itself is no UTF-8, but a string of onnxruntime holds any bytes; what leaves the graph is
UTF-8, since broken bytes are U+FFFD in it (`rnnspec.plan.written_bytes`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.plan.written_bytes import BROKEN, LEADS, LONGEST
from rnnspec.to_onnx.emitter import INT64, Emitter

FIRST = UNKNOWN_ID + 1
"""The number of byte 0; numbers before it have no byte."""
NUMBERS = FIRST + 256


def byte_pieces() -> list[str | bytes]:
    """The text of each number that `decoded` gives: of the end, the unknown, each byte, and of what
    is broken."""
    return ["", "", *(bytes([byte]) for byte in range(256)), BROKEN]


def decoded(emit: Emitter, numbers: str, axes: int, name: str) -> str:
    """Numbers of bytes `[U, …]` of so many axes, one behind the other, as numbers of
    `byte_pieces`: the byte itself within a whole character, at the beginning of what is broken
    U+FFFD, and 0 behind it."""
    return _read(emit, numbers, axes, name).pieces()


@dataclass(frozen=True, slots=True)
class Held:
    """Numbers of bytes `[B, 3]` that were written before and begin a character. Text came between
    them and what is written now where it is `apart`, `[B]`; nothing is written behind that where it
    is the `last`."""

    numbers: str
    apart: str
    last: str


def decoded_so_far(
    emit: Emitter, held: Held, numbers: str, lengths: str, name: str
) -> tuple[str, str]:
    """Numbers of bytes `[B, U]` of which each row has `lengths` `[B]`, behind those that are held:
    as numbers of `byte_pieces` `[7 + U, B]`, and those `[B, 3]` that are held from now on, the
    bytes of a last character that lacks some. Where it can have no more they are U+FFFD."""
    line = _one_line(emit, held, numbers, lengths, f"{name}.line")
    read = _read(emit, line, 2, name)

    def last(value: str, what: str) -> str:
        return emit.slice(value, 1 - LONGEST, 2**62, 0, f"{name}.{what}")

    bytes_left = emit.constant(np.arange(LONGEST - 1, 0, -1)[:, None], f"{name}.left")
    run, need = last(read.run, "last.run"), last(read.need, "last.need")
    waits = emit.op("Equal", [run, bytes_left], f"{name}.fits_to_the_end")
    more = emit.op("Greater", [need, bytes_left], f"{name}.lacks_some")
    waits = emit.op("And", [waits, more], f"{name}.begins")
    waits = emit.op("And", [waits, emit.op("Not", [held.last], f"{name}.goes_on")], f"{name}.waits")
    begun = emit.op("Cast", [waits], f"{name}.begins.number", to=INT64)
    behind = emit.op("CumSum", [begun, emit.integer(0)], f"{name}.behind")
    waits = emit.op("Greater", [behind, emit.integer(0)], f"{name}.held")
    pieces, none = read.pieces(), emit.integer(0)
    kept = emit.op("Where", [waits, last(line, "last"), none], f"{name}.kept")
    told = emit.op("Where", [waits, none, last(pieces, "end")], f"{name}.told")
    whole = emit.concat([emit.slice(pieces, 0, 1 - LONGEST, 0, f"{name}.begin"), told], 0, name)
    return whole, emit.transpose(kept, [1, 0], f"{name}.kept.rows")


def _one_line(emit: Emitter, held: Held, numbers: str, lengths: str, name: str) -> str:
    """`[7 + U, B]`: what is held, 0 where text came, then the numbers, up to the end of the axis;
    0 in front of each row."""
    before = emit.transpose(held.numbers, [1, 0], f"{name}.held")
    none = emit.integer(0)
    front = emit.op("Where", [held.apart, before, none], f"{name}.apart")
    near = emit.op("Where", [held.apart, none, before], f"{name}.near")
    gap = emit.op("Mul", [emit.slice(before, 0, 1, 0, f"{name}.one"), none], f"{name}.gap")
    written = emit.transpose(numbers, [1, 0], f"{name}.written")
    line = emit.concat([front, gap, near, written], 0, f"{name}.all")
    extent = emit.squeeze(emit.extent(line, 0, f"{name}.extent"), 0, f"{name}.steps")
    places = emit.unsqueeze(emit.range(extent, f"{name}.range"), 1, f"{name}.places")
    steps = emit.extent(written, 0, f"{name}.most")
    shift = emit.op("Sub", [steps, lengths], f"{name}.shift")
    moved = emit.op("Sub", [places, shift], f"{name}.moved")
    inside = emit.op("Max", [moved, none], f"{name}.inside")
    found = emit.op("GatherElements", [line, inside], f"{name}.found", axis=0)
    own = emit.op("GreaterOrEqual", [moved, none], f"{name}.own")
    return emit.op("Where", [own, found, none], name)


def _read(emit: Emitter, numbers: str, axes: int, name: str) -> _Read:
    whole, longest, follows = _Bytes(emit, axes, name), _table(1), _table(0)
    need = whole.looked_up(numbers, longest, "need")
    low = whole.looked_up(numbers, _table(2), "low")
    high = whole.looked_up(numbers, _table(3), "high")
    fits = whole.both(
        emit.op("GreaterOrEqual", [whole.later(numbers, 1), low], f"{name}.from"),
        emit.op("LessOrEqual", [whole.later(numbers, 1), high], f"{name}.to"),
        "second",
    )
    fitting = [emit.op("Greater", [need, emit.integer(0)], f"{name}.lead"), fits]
    for place in (2, 3):
        may = whole.looked_up(whole.later(numbers, place), follows, f"follows.{place}")
        may = whole.both(
            emit.op("Greater", [may, emit.integer(0)], f"{name}.may.{place}"),
            emit.op("Greater", [need, emit.integer(place)], f"{name}.needed.{place}"),
            f"own.{place}",
        )
        fitting.append(whole.both(fitting[-1], may, f"run.{place}"))
    counts = [emit.op("Cast", [each], f"{name}.count", to=INT64) for each in fitting]
    run = counts[0]
    for count in counts[1:]:
        run = emit.op("Add", [run, count], f"{name}.run")
    full = whole.both(fitting[0], emit.op("Equal", [run, need], f"{name}.complete"), "full")
    full = emit.op("Cast", [full], f"{name}.full.number", to=INT64)
    return _Read(whole, numbers, need, run, full)


def _table(what: int) -> list[int]:
    """For each number: whether it may follow (0), the length of the sequence it leads (1), the
    numbers that may come second (2, 3)."""
    found = [0] * NUMBERS
    if what == 0:
        return [int(0x80 <= number - FIRST <= 0xBF) for number in range(NUMBERS)]
    for leads, length, (low, high) in LEADS:
        for byte in leads:
            found[byte + FIRST] = (length, low + FIRST, high + FIRST)[what - 1]
    return found


class _Bytes:
    """Values `[U, …]` of one text each along the first axis."""

    def __init__(self, emit: Emitter, axes: int, name: str) -> None:
        self.emit, self.axes, self.name = emit, axes, name

    def looked_up(self, numbers: str, table: Sequence[int], what: str) -> str:
        emit = self.emit
        held = emit.constant(np.array(table, np.int64), f"{self.name}.{what}.table")
        return emit.op("Gather", [held, numbers], f"{self.name}.{what}")

    def both(self, one: str, other: str, what: str) -> str:
        return self.emit.op("And", [one, other], f"{self.name}.{what}")

    def later(self, value: str, steps: int) -> str:
        """The values so many steps later, 0 past the end."""
        pads = [0] * (2 * self.axes)
        pads[self.axes] = steps
        padded = self._padded(value, pads, f"later.{steps}")
        return self.emit.slice(padded, steps, 2**62, 0, f"{self.name}.later.{steps}")

    def before(self, value: str, steps: int) -> str:
        """The values so many steps before, 0 in front of the first."""
        pads = [0] * (2 * self.axes)
        pads[0] = steps
        padded = self._padded(value, pads, f"before.{steps}")
        return self.emit.slice(padded, 0, -steps, 0, f"{self.name}.before.{steps}")

    def _padded(self, value: str, pads: Sequence[int], what: str) -> str:
        emit = self.emit
        return emit.op(
            "Pad", [value, emit.integers(*pads), emit.integer(0)], f"{self.name}.{what}.padded"
        )


@dataclass(frozen=True, slots=True)
class _Read:
    """What is read of each of the `numbers`: how many bytes a character has that it leads (`need`,
    0 if none), how many of those fit (`run`), and 1 if all do (`full`)."""

    values: _Bytes
    numbers: str
    need: str
    run: str
    full: str

    def pieces(self) -> str:
        """The numbers of the pieces."""
        emit, name, before = self.values.emit, self.values.name, self.values.before
        numbers, run, full = self.numbers, self.run, self.full
        covered: str = ""
        whole = full
        for steps in range(1, LONGEST):
            long = emit.op(
                "Greater", [before(run, steps), emit.integer(steps)], f"{name}.long.{steps}"
            )
            inside = emit.op(
                "Where", [long, before(full, steps), emit.integer(0)], f"{name}.in.{steps}"
            )
            whole = emit.op("Max", [whole, inside], f"{name}.whole.{steps}")
            covered = emit.op("Or", [covered, long], f"{name}.covered") if covered else long
        is_end = emit.op("Equal", [numbers, emit.integer(0)], f"{name}.is_end")
        none = emit.op("Or", [covered, is_end], f"{name}.none")
        broken = emit.op("Where", [none, emit.integer(0), emit.integer(NUMBERS)], f"{name}.broken")
        is_whole = emit.op("Greater", [whole, emit.integer(0)], f"{name}.is_whole")
        return emit.op("Where", [is_whole, numbers, broken], f"{name}.pieces")
