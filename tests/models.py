"""Small plans, weights and rows for tests, made without a spec or data files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnspec.cells import Cell, builtin_cell
from rnnspec.plan import Facts, NumericFacts, Plan, resolve, weights
from rnnspec.plan.facts import ClassFacts
from rnnspec.plan.nodes import (
    ClassOutput,
    Dense,
    Direction,
    Elapsed,
    FramesInput,
    Node,
    Pool,
    PoolKind,
    Recurrent,
    verify,
)
from rnnspec.spec import Spec
from rnnspec.spec.check import findings

Arrays = dict[str, NDArray[np.float32]]
START = 4
ELAPSED = 1
"""Element of each frame that stands for a time, and is never negative."""


def frames_plan(
    cell: Cell | str = "gru",
    direction: Direction = "forward",
    depth: int = 1,
    units: int = 5,
    width: int = 3,
    pool: PoolKind = "last",
) -> Plan:
    """Frames through a stack, a pooling and a linear layer to four classes.

    A cell that reads a multiple of so many numbers reads what a linear layer makes of those before
    it. Sizes of the cell's own are 4; an elapsed time that it reads is element `ELAPSED` of a
    frame.
    """
    cell = builtin_cell(cell) if isinstance(cell, str) else cell
    timed = bool(cell.inputs)
    source = FramesInput("input.frames", "frames", width, True, ELAPSED if timed else None)
    nodes: list[Node] = [source]
    if timed:
        nodes.insert(0, Elapsed("input.frames.elapsed", "frames", ELAPSED))
    sizes = tuple((size, 4) for size in cell.own_sizes)
    inputs = source.features
    for index in range(depth):
        if inputs % cell.inputs_divisor:
            wide = inputs * cell.inputs_divisor
            nodes.append(Dense(f"wide.{index}", nodes[-1].name, inputs, wide, "none"))
            inputs = wide
        before, elapsed = nodes[-1].name, nodes[0].name if timed else ""
        name = f"layers.{index}"
        layer = Recurrent(name, before, cell, inputs, units, direction, sizes, elapsed)
        nodes.append(layer)
        inputs = layer.width
    nodes.append(Pool("pool", nodes[-1].name, pool, inputs, 4 if pool == "attention" else 0))
    nodes.append(Dense("answer", "pool", inputs, 4, "none"))
    nodes.append(ClassOutput("output.label", "answer", "label", 4))
    return verify(Plan("test", "N:1", tuple(nodes)))


def layers_plan(
    *layers: dict[str, Any],
    width: int = 3,
    pooling: str = "last",
    elapsed: int | None = None,
    cells: dict[str, Any] | None = None,
) -> Plan:
    """The plan of `layers_spec`."""
    spec = layers_spec(*layers, pooling=pooling, elapsed=elapsed, cells=cells)
    return resolve(spec, frames_facts(width))


def layers_spec(
    *layers: dict[str, Any],
    pooling: str = "last",
    elapsed: int | None = None,
    cells: dict[str, Any] | None = None,
) -> Spec:
    """A spec with these layers, from frames to four classes.

    A column of initial states is called `start` and holds `START` numbers.
    """
    spec = Spec.model_validate(
        {
            "name": "test",
            "cardinality": "N:1",
            "data": {
                "train": "train.jsonl",
                "input": {"column": "frames", "as": "frames", "elapsed": elapsed},
                "output": {"column": "label", "as": "class"},
            },
            "cells": cells or {},
            "encoder": {"layers": list(layers)},
            "pooling": pooling,
        }
    )
    assert not list(findings(spec))
    return spec


def frames_facts(width: int = 3) -> Facts:
    """Facts that fit `frames_plan`."""
    mean = tuple(0.1 * i for i in range(width))
    frames = NumericFacts(width, mean, tuple(1.0 + 0.2 * i for i in range(width)), longest=9)
    start = NumericFacts(START, (0.0,) * START, (1.0,) * START)
    return Facts(
        10, {"frames": frames, "start": start}, {"label": ClassFacts(("a", "b", "c", "d"))}
    )


def random_weights(plan: Plan, seed: int = 0) -> Arrays:
    """Weights of a size at which gates are neither idle nor saturated; deviations are positive."""
    draw = np.random.default_rng(seed)
    found: Arrays = {}
    for weight in weights(plan):
        value = draw.normal(0, 0.6, weight.shape).astype(np.float32)
        if weight.name.endswith(("deviation", "variance")):
            value = (np.abs(value) + 0.5).astype(np.float32)
        found[weight.name] = value
    return found


def random_frames(
    lengths: Sequence[int], width: int = 3, seed: int = 0
) -> list[dict[str, NDArray[np.float32]]]:
    """One row a length, with `START` numbers for an initial state beside its frames."""
    draw = np.random.default_rng(seed)
    rows = [draw.normal(size=(n, width)).astype(np.float32) for n in lengths]
    for frames in rows:
        frames[:, ELAPSED] = np.abs(frames[:, ELAPSED])
    starts = draw.normal(size=(len(rows), START)).astype(np.float32)
    return [{"frames": f, "start": s} for f, s in zip(rows, starts, strict=True)]


def padded(
    rows: Sequence[dict[str, NDArray[np.float32]]], longest: int, filler: float
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Frames of the rows in one batch `[B, longest, width]`, with `filler` past each length; and
    their initial states."""
    width = rows[0]["frames"].shape[-1]
    values = np.full((len(rows), longest, width), filler, np.float32)
    for row, into in zip(rows, values, strict=True):
        into[: len(row["frames"])] = row["frames"]
    lengths = torch.tensor([len(row["frames"]) for row in rows])
    starts = torch.from_numpy(np.stack([row["start"] for row in rows]))
    return {"frames": (torch.from_numpy(values), lengths), "start": (starts, lengths)}
