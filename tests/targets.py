"""True answers drawn at random, and the names of labels, for plans over the columns of `kinds`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rnnspec.plan import ClassFacts, Facts, Plan, TextFacts
from rnnspec.plan.names import first_sequences
from rnnspec.plan.nodes import (
    ChainOutput,
    ClassOutput,
    CtcOutput,
    ForecastOutput,
    FramesOutput,
    LabelsOutput,
    NumericOutput,
    Output,
    PointerOutput,
    PositionOutput,
    TextOutput,
    TransducerOutput,
)


def random_targets(plan: Plan, lengths: Sequence[int], seed: int = 0) -> dict[str, NDArray[Any]]:
    """True answers for a batch of rows of these lengths, as data gives them: some missing. Those of
    steps are of the lengths that `tests.kinds.random_rows` gives the rows there."""
    draw, axes = np.random.default_rng(seed), list(first_sequences(plan))
    found = {}
    for node in plan.targets:
        axis = getattr(node, "axis", "")
        later = axes.index(axis) % len(lengths) if axis in axes else 0
        own = [lengths[number - later] for number in range(len(lengths))]
        found[node.column] = _target(node, own, draw)
    return found


def _target(node: Output, lengths: Sequence[int], draw: Generator) -> NDArray[Any]:
    rows, longest = len(lengths), max(1, *lengths)
    axes = (rows, longest) if getattr(node, "steps", False) else (rows,)
    match node:
        case TextOutput() | CtcOutput() | TransducerOutput():
            counts = draw.integers(0, 5, rows)
            found = np.full((rows, int(counts.max()) + 1), -1, np.int64)
            for count, into in zip(counts, found, strict=True):
                into[: count + 1] = [*draw.integers(1, node.size, count), 0]
            return found
        case ClassOutput() | ChainOutput():
            found = draw.integers(0, node.classes, axes)
            found[draw.random(axes) < 0.2] = -1
        case LabelsOutput():
            found = draw.integers(0, 2, (*axes, node.labels)).astype(np.float32)
            found[draw.random(axes) < 0.2] = np.nan
        case PositionOutput():
            first = draw.integers(0, np.array(lengths) + 1)
            found = np.stack([first, draw.integers(first, np.array(lengths) + 1)], 1)
            found[(first == 0) & (not node.none)] = -1  # none, which is no answer
            found[(first == 0) & node.none] = 0
            return found[:, : node.marks]
        case PointerOutput():
            counts = draw.integers(0, np.array(lengths) + 1)
            found = np.full((rows, int(counts.max()) + 1), -1, np.int64)
            for count, length, into in zip(counts, lengths, found, strict=True):
                into[: count + 1] = [*(2 + draw.permutation(length)[:count]), 0]
            return found
        case FramesOutput():
            by_input = node.length == "input"
            longest = node.limit if node.length == "fixed" else longest
            counts = np.array(lengths if by_input else [longest] * rows)
            found = draw.normal(1, 2, (rows, longest, node.width)).astype(np.float32)
            for count, into in zip(counts, found, strict=True):
                into[count:] = np.nan
            return found
        case NumericOutput():
            found = draw.normal(1, 2, (*axes, node.width)).astype(np.float32)
            found[draw.random(found.shape) < 0.2] = np.nan
        case ForecastOutput():
            found = np.abs(draw.normal(1, 2, (rows, node.horizon))).astype(np.float32)
            found[draw.random(found.shape) < 0.2] = np.nan
    if len(axes) == 2:
        for length, into in zip(lengths, found, strict=True):
            into[length:] = -1 if found.dtype == np.int64 else np.nan
    return found


def labels_of(plan: Plan, facts: Facts) -> dict[str, Sequence[str]]:
    """The names of what is answered with a label, in order of number."""
    found: dict[str, Sequence[str]] = {}
    for node in plan.targets:
        known = facts.outputs[node.column]
        if isinstance(known, ClassFacts):
            found[node.column] = known.labels
        elif isinstance(known, TextFacts) and isinstance(node, ClassOutput):
            found[node.column] = ("<end>", "<unknown>", *known.vocabulary.entries)
    return found
