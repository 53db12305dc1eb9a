"""rnnspec as a contestant: the twin's network as a plan, stepped by rnnspec's own trainer."""

from __future__ import annotations

from itertools import cycle, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from twins.data import Batch
from twins.model import Shape
from twins.train import Budget

from rnnspec import spec as language
from rnnspec.cells import builtin_cell
from rnnspec.data.collate import PerRow, Steps
from rnnspec.data.dataset import Dataset
from rnnspec.plan import Facts, NumericFacts, Plan, TextFacts, Vocabulary, nodes
from rnnspec.plan.facts import PAD_ID, ClassFacts
from rnnspec.plan.nodes import verify
from rnnspec.store.events import Silent
from rnnspec.store.folder import BuildFolder
from rnnspec.to_torch import Model
from rnnspec.train.loop import Trainer

if TYPE_CHECKING:
    from collections.abc import Callable


def plan_of(shape: Shape) -> Plan:
    """The plan of a twin over token numbers, without dropout and hidden layer."""
    found: list[nodes.Node] = [
        nodes.TokensInput("input.text", "text", "words", shape.vocabulary, False),
        nodes.Embed("embed", "input.text", shape.vocabulary, shape.embed),
    ]
    _dropout(found, shape.embed_dropout)
    inputs = shape.embed
    for index in range(shape.layers):
        found.append(
            nodes.Recurrent(
                f"layers.{index}",
                found[-1].name,
                builtin_cell(shape.cell),
                inputs,
                shape.units,
                "bidirectional" if shape.bidirectional else "forward",
            )
        )
        inputs = shape.width
        _dropout(found, shape.layer_dropout)
    kind: nodes.PoolKind = shape.pooling  # type: ignore[assignment]
    units = shape.width if kind == "attention" else 0
    found.append(nodes.Pool("pool", found[-1].name, kind, shape.width, units))
    _dropout(found, shape.head_dropout)
    found.append(nodes.Dense("answer", found[-1].name, shape.width, shape.outputs, "none"))
    found.append(nodes.ClassOutput("output.label", "answer", "label", shape.outputs))
    return verify(Plan("twin", "N:1", tuple(found)))


def frames_model(units: int, cell: str) -> tuple[Plan, Facts, dict[str, NDArray[np.float32]]]:
    """A layer over frames as wide as itself, its last output, ten classes; starting weights."""
    plan = verify(
        Plan(
            "layer",
            "N:1",
            (
                nodes.FramesInput("input.frames", "frames", units, False),
                nodes.Recurrent(
                    "layers.0", "input.frames", builtin_cell(cell), units, units, "forward"
                ),
                nodes.Pool("pool", "layers.0", "last", units, 0),
                nodes.Dense("answer", "pool", units, 10, "none"),
                nodes.ClassOutput("output.label", "answer", "label", 10),
            ),
        )
    )
    labels = ClassFacts(tuple(f"c{index}" for index in range(10)))
    zeros, ones = (0.0,) * units, (1.0,) * units
    facts = Facts(1, {"frames": NumericFacts(units, zeros, ones)}, {"label": labels})
    model = Model(plan)
    model.start(facts, seed=0)
    return plan, facts, {n: v.astype(np.float32) for n, v in model.canonical_arrays().items()}


def _dropout(found: list[nodes.Node], rate: float) -> None:
    if rate:
        found.append(nodes.Dropout(f"{found[-1].name}.dropout", found[-1].name, rate))


def tool_step(shape: Shape, batches: list[Batch], budget: Budget) -> Callable[[], None]:
    """A step of the trainer on the next of `batches`, batching from the rows included."""
    plan = plan_of(shape)
    model = Model(plan)
    words = tuple(f"w{index}" for index in range(shape.vocabulary - 2))
    labels = tuple(f"c{index}" for index in range(shape.outputs))
    texts = TextFacts(Vocabulary(words), longest=1)
    model.start(Facts(1, {"text": texts}, {"label": ClassFacts(labels)}), seed=0)
    rows = [batch.x[i, :n].numpy() for batch in batches for i, n in enumerate(batch.lengths)]
    offsets = np.cumsum([0, *map(len, rows)])
    values = np.concatenate(rows).astype(np.int32)
    targets = np.concatenate([batch.y.numpy() for batch in batches])
    data = Dataset(
        {"text": Steps(values, PAD_ID)},
        {"label": PerRow(targets)},
        np.arange(len(rows)),
        offsets[:-1],
        offsets[1:],
    )
    settings = language.Train(
        optimizer=language.Adam(lr=budget.lr), clip_norm=budget.clip_norm, batch=budget.batch
    )
    trainer = Trainer(model, settings, BuildFolder(Path("unused")), data, None, Silent())
    model.train()
    starts = np.cumsum([0, *(len(batch.y) for batch in batches)])
    numbers = cycle([np.arange(a, b) for a, b in pairwise(starts)])
    return lambda: _stepped(trainer, next(numbers))


def _stepped(trainer: Trainer, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
    trainer.step(rows)
