"""A diagram for a terminal: boxes one below the other, in reading order.

A box reads the one above it by an arrow; what it reads from further up comes along a line at the
right, so every box has its place and the width stays the same however the boxes are connected.
"""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.plan.diagram.boxes import Box, Diagram, legend, listed
from rnnspec.plan.diagram.measure import shortened, wrapped
from rnnspec.source.characters import display_width, shown

NARROWEST = 40
"""Fewest columns of a diagram. Lines at the right that would leave less to a box are not drawn:
what a box reads is named in it anyway."""
_GAP = 2
_ASCII = str.maketrans("─│┌┐└┘╭╮╰╯├┤┬┼╌┆▼◀▶…", "-|++++++++++-|.:v<>~")
_CORNERS = {"input": "╭╮╰╯", "operation": "┌┐└┘", "output": "╭╮╰╯"}
_FLOWS = {"forward": "──▶", "reverse": "◀──"}

Row = tuple[str, str]
"""What stands at the left and at the right of a line in a box."""


@dataclass(frozen=True, slots=True)
class _Lane:
    """A line in column `place` at the right, from box `start` to the last of its `readers`."""

    start: int
    readers: tuple[int, ...]
    place: int

    @property
    def end(self) -> int:
        return self.readers[-1]


def text(diagram: Diagram, columns: int = 80, encoding: str = "utf-8") -> str:
    """The diagram in lines no wider than `columns` (at least `NARROWEST`), with a last newline.

    Where `encoding` lacks the box-drawing characters they are plain ASCII; a letter it lacks is
    shown by its code.
    """
    columns = max(columns, NARROWEST)
    lanes = _lanes(diagram, (columns - NARROWEST) // 2)
    room = columns - 4 - 2 * max((lane.place + 1 for lane in lanes), default=0)
    bodies = [_body(rows, room) for rows in _rows(diagram, encoding)]
    for index, body in enumerate(bodies):
        ports = sum(lane.start == index or index in lane.readers for lane in lanes)
        body += [("", "")] * (ports - len(body))
    title = ": ".join(filter(None, (diagram.title, diagram.subtitle)))
    head = [*wrapped(_said(title, encoding), columns, display_width), ""] if title else []
    foot = wrapped("; ".join(legend(diagram)), columns, display_width)
    lines = [*head, *_drawn(diagram, bodies, lanes), *foot]
    if not _fits("".join(map(chr, _ASCII)), encoding):
        lines = [line.translate(_ASCII) for line in lines]
    return "\n".join(line.rstrip() for line in lines).rstrip() + "\n"


def _fits(characters: str, encoding: str) -> bool:
    try:
        characters.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _said(words: str, encoding: str) -> str:
    return shown(words).encode(encoding, "backslashreplace").decode(encoding)


def _lanes(diagram: Diagram, most: int) -> list[_Lane]:
    """A lane for each box that is read by others than the next; short ones next to the boxes."""
    index = {box.name: place for place, box in enumerate(diagram.boxes)}
    readers: dict[int, list[int]] = {}
    for reader, box in enumerate(diagram.boxes):
        for source in box.sources:
            if index[source] != reader - 1:
                readers.setdefault(index[source], []).append(reader)
    found: list[_Lane] = []
    for start, ends in sorted(readers.items(), key=lambda item: item[1][-1] - item[0]):
        taken = {lane.place for lane in found if start < lane.end and lane.start < ends[-1]}
        place = next(place for place in range(len(taken) + 1) if place not in taken)
        if place < most:
            found.append(_Lane(start, tuple(ends), place))
    return found


def _rows(diagram: Diagram, encoding: str) -> list[list[Row]]:
    """The lines of each box, as wide as they come."""
    found = []
    before = ""
    for box in diagram.boxes:
        rows = [(_said(left, encoding), right) for left, right in box.rows]
        rows += [(f"{_FLOWS[f.direction]} {_said(f.label, encoding)}", "") for f in box.flows]
        if box.sources not in ((), (before,)):
            rows.append((_said(f"reads {listed(box.sources)}", encoding), ""))
        found.append(rows)
        before = box.name
    return found


def _body(rows: list[Row], room: int) -> list[Row]:
    """The lines of one box, none wider than `room`."""
    rows = [(left, shortened(right, int(0.6 * room), display_width)) for left, right in rows]
    (name, shape), *others = rows
    found = [(shortened(name, room - _GAP - display_width(shape), display_width), shape)]
    for left, right in others:
        parts = wrapped(left, room - (_GAP + display_width(right) if right else 0), display_width)
        found += [(part, "" if number else right) for number, part in enumerate(parts)]
    return found


def _drawn(diagram: Diagram, bodies: list[list[Row]], lanes: list[_Lane]) -> list[str]:
    """The boxes with the arrows between them and the lanes beside them."""
    inner = max(
        display_width(left) + (_GAP + display_width(right) if right else 0)
        for body in bodies
        for left, right in body
    )
    lines: list[str] = []
    ports: dict[tuple[int, int], int] = {}  # lane's start and a box it touches to the line
    for index, (box, body) in enumerate(zip(diagram.boxes, bodies, strict=True)):
        read = index + 1 < len(bodies) and box.name in diagram.boxes[index + 1].sources
        first = len(lines) + 1
        lines += _box(box, body, inner, read)
        coming = [lane for lane in lanes if index in lane.readers]
        for place, lane in enumerate(sorted(coming, key=lambda lane: lane.place)):
            ports[lane.start, index] = first + place
            lines[first + place] = lines[first + place][:-1] + "◀"
        for lane in lanes:
            if lane.start == index:
                ports[index, index] = first + len(body) - 1
                lines[first + len(body) - 1] = lines[first + len(body) - 1][:-1] + "├"
    margin = _margin(lanes, ports, len(lines))
    return [line + right for line, right in zip(lines, margin, strict=True)]


def _box(box: Box, body: list[Row], inner: int, read: bool) -> list[str]:
    """One box, `inner` cells wide inside, and the line with the arrow to the next."""
    across, down = ("╌", "┆") if box.training else ("─", "│")
    corners = _CORNERS[box.kind]
    middle = inner // 2
    below = across * (middle + 1) + ("┬" if read else across) + across * (inner - middle)
    lines = [corners[0] + across * (inner + 2) + corners[1]]
    for left, right in body:
        gap = " " * (inner - display_width(left) - display_width(right))
        lines.append(f"{down} {left}{gap}{right} {down}")
    lines.append(corners[2] + below + corners[3])
    wide = inner + 4
    return [*lines, (" " * (middle + 2) + ("▼" if read else " ")).ljust(wide)]


def _margin(lanes: list[_Lane], ports: dict[tuple[int, int], int], height: int) -> list[str]:
    """What stands at the right of each line of the boxes."""
    grid = [[" "] * (2 * len(lanes)) for _ in range(height)]
    for lane in lanes:
        for line in range(ports[lane.start, lane.start], ports[lane.start, lane.end] + 1):
            grid[line][2 * lane.place + 1] = "│"
    for lane in lanes:
        column = 2 * lane.place + 1
        for box in (lane.start, *lane.readers):
            row = grid[ports[lane.start, box]]
            for passed in range(column):
                row[passed] = "┼" if row[passed] == "│" else "─"
            row[column] = "╮" if box == lane.start else "╯" if box == lane.end else "┤"
    return ["".join(row) for row in grid]
