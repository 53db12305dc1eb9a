"""The content of a diagram, for every way to draw it: boxes, their text, what they read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["input", "operation", "output"]


@dataclass(frozen=True, slots=True)
class Flow:
    """One direction in which a box reads the steps: an arrow with its label."""

    direction: Literal["forward", "reverse"]
    label: str


@dataclass(frozen=True, slots=True)
class Box:
    """One node. `title` is its operation; `lines` say more; `note` counts its weights.

    `shape` is the shape of its value (`rnnspec.plan.nodes.Shape`); a value with `T` has steps.
    `sources` are names of boxes that come before this one. `training`: has no effect on answers.
    """

    name: str
    title: str
    lines: tuple[str, ...] = ()
    shape: tuple[str | int, ...] = ()
    note: str = ""
    sources: tuple[str, ...] = ()
    flows: tuple[Flow, ...] = ()
    kind: Kind = "operation"
    training: bool = False

    @property
    def shape_text(self) -> str:
        """`[B, T, 64]`, or nothing if the shape is not known."""
        return "[" + ", ".join(map(str, self.shape)) + "]" if self.shape else ""

    @property
    def rows(self) -> tuple[tuple[str, str], ...]:
        """The texts at the left and at the right of each line, without the flows."""
        return (
            (self.name, self.shape_text),
            (self.title, self.note),
            *((line, "") for line in self.lines),
        )


@dataclass(frozen=True, slots=True)
class Diagram:
    """Boxes in reading order, under a title."""

    title: str
    subtitle: str
    boxes: tuple[Box, ...]

    def described(self) -> str:
        """The picture in words: one sentence a box. For those who cannot see it."""
        sentences = []
        for box in self.boxes:
            reads = f" reads {listed(box.sources)}" if box.sources else ""
            flows = [f"{flow.direction} {flow.label}" for flow in box.flows]
            parts = [box.title, *box.lines, *flows, box.note]
            shape = f"; shape {box.shape_text}" if box.shape else ""
            sentences.append(f"{box.name}{reads}: {', '.join(filter(None, parts))}{shape}.")
        return "\n".join(sentences)


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def legend(diagram: Diagram) -> tuple[str, ...]:
    """The meaning of each sign that occurs in the boxes (`rnnspec.plan.nodes.Shape`)."""
    axes = {axis for box in diagram.boxes for axis in box.shape if isinstance(axis, str)}
    levels = sorted(axis for axis in axes if axis.startswith("E."))
    nested = "E" in axes  # what is in the steps of all rows is then no token's characters
    said = {
        "B": "B rows",
        "T": "T steps of a row",
        "U": "U steps of the answer",
        **{axis: f"{axis} sequences in a step or in one of these" for axis in levels},
        "E": "E items in a sequence that is nested in a step",
        "W": f"W {'steps' if nested else 'tokens'} of all rows",
        "WW": "WW sequences in those",
        "C": "C items in each" if nested else "C their characters",
    }
    there = axes | {re.split(r"[./*]", axis)[0] for axis in axes if axis[0] == "T"}
    lines = [text for axis, text in said.items() if axis in there]
    if any(box.training for box in diagram.boxes):
        lines.append("dashed: while training only")
    return tuple(lines)
