"""Small trainings without files: data in memory, a trainer in an empty folder, stops on demand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnspec.data import Batch, Dataset
from rnnspec.data.collate import PerRow, Steps
from rnnspec.data.dataset import StreamData
from rnnspec.data.lanes import Order
from rnnspec.plan import Plan
from rnnspec.spec import Train
from rnnspec.store.events import Silent
from rnnspec.store.files import read_arrays
from rnnspec.store.folder import BuildFolder
from rnnspec.to_torch import Model
from rnnspec.train.interrupt import Interrupt
from rnnspec.train.loop import Trainer
from tests.models import frames_facts, frames_plan

CLASSES = 4


def settings_of(**keys: Any) -> Train:
    """Settings of two short epochs, where nothing else is said."""
    small = {"epochs": 2, "batch": 8, "optimizer": {"adam": {"lr": 1e-2}}}
    return Train.model_validate({**small, **keys})


def rows_data(rows: int = 40, longest: int = 9, seed: int = 0, shortest: int = 1) -> Dataset:
    """Frames of three numbers; the class is that of the largest sum over all steps."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(shortest, longest + 1, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = draw.normal(size=(offsets[-1], 3)).astype(np.float32)
    sums = np.add.reduceat(values, offsets[:-1])
    targets = sums.argmax(axis=1).astype(np.int64)
    return Dataset(
        {"frames": Steps(values, 0.0)},
        {"label": PerRow(targets)},
        np.arange(rows),
        offsets[:-1],
        offsets[1:],
    )


class Stream:
    """Frames of several long sequences, dealt to lanes; each window is answered with a class.

    `sequences` are the lengths. A lane takes the sequences one after another.
    """

    def __init__(self, sequences: Sequence[int] = (23, 7, 31, 12, 18, 5), seed: int = 0) -> None:
        draw = np.random.default_rng(seed)
        self.new: dict[str, dict[str, int]] = {}
        self.frames = [draw.normal(size=(n, 3)).astype(np.float32) for n in sequences]

    def windows(self, batch: int, window: int) -> int:
        return max(len(lane) for lane in self._lanes(batch, window))

    def lanes(
        self, batch: int, window: int, start: int = 0, order: Order | None = None
    ) -> Iterator[tuple[Batch, NDArray[np.bool_]]]:
        """Whatever the order."""
        lanes = self._lanes(batch, window)
        for number in range(start, max(map(len, lanes))):
            cut = [lane[number] if number < len(lane) else _NONE for lane in lanes]
            longest = max(1, *(len(frames) for frames, _ in cut))
            values = np.zeros((batch, longest, 3), np.float32)
            for row, (frames, _) in zip(values, cut, strict=True):
                row[: len(frames)] = frames
            lengths = np.array([len(frames) for frames, _ in cut])
            targets = np.array([_answer(frames) for frames, _ in cut])
            resets = np.array([reset for _, reset in cut])
            yield Batch({"frames": (values, lengths)}, {"label": targets}), resets

    def documents(
        self, batch: int, window: int
    ) -> Iterator[tuple[Batch, NDArray[np.int64], NDArray[np.bool_]]]:
        for cut, reset in self.lanes(batch, window):
            yield cut, np.arange(batch), reset

    def _lanes(self, batch: int, window: int) -> list[list[tuple[NDArray[np.float32], bool]]]:
        lanes: list[list[tuple[NDArray[np.float32], bool]]] = [[] for _ in range(batch)]
        for number, frames in enumerate(self.frames):
            for start in range(0, len(frames), window):
                piece = frames[start : start + window]
                lanes[number % batch].append((piece, start == 0))
        return lanes


_NONE = (np.zeros((0, 3), np.float32), True)


def _answer(frames: NDArray[np.float32]) -> int:
    return int(frames.sum(axis=0).argmax()) if len(frames) else 0


def model_of(plan: Plan | None = None, seed: int = 0) -> Model:
    """A model of frames with its starting weights."""
    model = Model(plan or frames_plan("lstm"))
    model.start(frames_facts(), seed)
    return model


def mixed_model() -> Model:
    """One that every CPU computes in bfloat16: torch's LSTM needs instructions for it there."""
    return model_of(frames_plan("lstm_coupled"))


class StopAfter(Silent):
    """Asks the trainer to stop after a number of steps; 0 for never. Keeps what it was told."""

    def __init__(self, steps: int, interrupt: Interrupt) -> None:
        self.left, self.interrupt = steps, interrupt
        self.warnings: list[str] = []

    def batch(self, loss: float) -> None:
        self.left -= 1
        if self.left == 0:
            self.interrupt.set()

    def warning(self, text: str) -> None:
        self.warnings.append(text)


def trained_in_pieces(
    folder: Path,
    settings: Train,
    pieces: Sequence[int] = (),
    train: Dataset | StreamData | None = None,
    valid: Dataset | StreamData | None = None,
    plan: Plan | None = None,
) -> BuildFolder:
    """Train with a stop after each number of steps, each time from the state of a new process."""
    folder.mkdir(parents=True)
    build = BuildFolder(folder)
    for piece in [*pieces, 0]:
        torch.manual_seed(99)  # what happens to be in memory must not matter
        interrupt = Interrupt()
        trainer = Trainer(
            model_of(plan),
            settings,
            build,
            train or rows_data(),
            valid or rows_data(rows=20, seed=1),
            StopAfter(piece, interrupt),
        )
        if build.checkpoint.exists():
            trainer.resume()
        assert trainer.run(interrupt) == (piece == 0)
    return build


def metrics_of(build: BuildFolder) -> list[dict[str, float]]:
    """The lines of metrics.jsonl without what the clock decides."""
    records = [json.loads(line) for line in build.metrics.read_text().splitlines()]
    return [{k: v for k, v in r.items() if "per_second" not in k} for r in records]


def assert_same_training(one: BuildFolder, other: BuildFolder) -> None:
    """The same weights and the same metrics, to the last bit; and the same checkpoint."""
    assert metrics_of(one) == metrics_of(other)
    for file in ("weights.safetensors", "checkpoint.safetensors"):
        expected, found = read_arrays(one.path / file)[0], read_arrays(other.path / file)[0]
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape), name
            np.testing.assert_array_equal(found[name], value, err_msg=name)
