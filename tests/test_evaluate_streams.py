"""Rows measured window by window, their states carried on: the numbers are those of whole rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnspec.cells import builtin_cell
from rnnspec.data import Dataset, Reading, encode, survey
from rnnspec.data.lanes import lane_slices
from rnnspec.evaluate.evaluate import evaluate
from rnnspec.objective.objective import Objective
from rnnspec.objective.settings import LossSettings, loss_settings_of
from rnnspec.plan import resolve
from rnnspec.spec import Spec, Train
from rnnspec.spec.check import findings
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from tests.data_rows import write_rows
from tests.kinds import strong_weights

FLOAT64 = Precision(name="float64")
LENGTHS = (9, 1, 23, 0, 14, 5, 6, 31, 2)
LAYERS = [{"cell": "lstm", "units": 4}, {"cell": "gru", "units": 4, "initial_state": "learned"}]


def row(length: int, draw: np.random.Generator) -> dict[str, Any]:
    """A column of every kind that a step by step model may read or answer."""
    bio = np.array(["O", "B-X", "I-X", "B-Y", "I-Y", None], object)
    frames = draw.normal(size=(length, 2)).round(3).tolist()
    for frame in frames:
        for at in range(2):
            frame[at] = None if draw.random() < 0.4 else frame[at]
    words = draw.choice(["one", "two", "three"], length).tolist()
    sets: list[list[str]] = [["p"], ["p", "q"], [], ["r"]]
    return {
        "words": " ".join(words),
        "tokens": words,
        "chars": "".join(draw.choice(list("abc"), length)),
        "frames": frames,
        "steps": draw.random((length, 2)).round(3).tolist(),
        "held": [sets[n] for n in draw.integers(0, 4, length)],
        "kind": str(draw.choice(["x", "y", "z"])),
        "size": float(draw.normal()),
        "start": draw.normal(size=4).round(3).tolist(),
        "tags": bio[draw.integers(0, 6, length)].tolist(),
        "keys": [sets[n] for n in draw.integers(0, 4, length)],
        "values": draw.normal(size=(length, 2)).round(3).tolist(),
    }


TAGS = {"column": "tags", "as": "tags", "scheme": "bio"}
KEYS = {"column": "keys", "as": "keys"}
VALUES = {"column": "values", "as": "frames"}
FRAMES = {"column": "frames", "as": "frames", "missing": "previous"}
CHARS = {"column": "chars", "as": "chars"}
STATE = {"column": "kind", "as": "category", "join": "both"}
GIVEN = [{"cell": "lstm", "units": 4, "initial_state": {"column": "start"}}]
TASKS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]] = {
    "tags of frames": ([FRAMES], [TAGS], LAYERS),
    "keys of keys": ([{"column": "held", "as": "keys"}], [KEYS], LAYERS),
    "frames of frames": ([{"column": "steps", "as": "frames"}], [VALUES], LAYERS),
    "several": ([CHARS, {**FRAMES, "missing": "mean"}], [TAGS, KEYS, VALUES], LAYERS),
    "bytes": ([{"column": "chars", "as": "bytes"}], [TAGS], LAYERS),
    "next of chars": ([CHARS], [{"column": "chars", "as": "next"}], LAYERS),
    "next of keys": (
        [{"column": "held", "as": "keys"}],
        [{"column": "held", "as": "next"}],
        LAYERS,
    ),
    "next of frames": (
        [FRAMES, {"column": "kind", "as": "category"}],
        [{"column": "frames", "as": "next"}],
        LAYERS,
    ),
    "spelled words": ([{"column": "words", "as": "words", "spelling": {}}], [TAGS], LAYERS),
    "next of spelled tokens": (
        [{"column": "tokens", "as": "tokens", "spelling": {}}],
        [{"column": "tokens", "as": "next"}],
        LAYERS,
    ),
    "states of the row": ([FRAMES, STATE], [TAGS], LAYERS[:1]),
    "a number beside": ([CHARS, {"column": "size", "as": "number"}], [VALUES], LAYERS),
    "states of a column": ([CHARS], [KEYS], GIVEN),
    "time between steps": (
        [{"column": "steps", "as": "frames", "elapsed": 0}, CHARS],
        [VALUES],
        [{"cell": "cfc", "units": 4, "sizes": dict.fromkeys(builtin_cell("cfc").own_sizes, 5)}],
    ),
}


def prepared(name: str, folder: Path) -> tuple[Model, Dataset, LossSettings]:
    inputs, outputs, layers = TASKS[name]
    spec = Spec.model_validate(
        {
            "name": "test",
            "cardinality": "N:N",
            "data": {"train": "unused", "input": inputs, "output": outputs},
            "encoder": {"layers": layers},
            "train": {"window": 3},
        }
    )
    assert not list(findings(spec))
    draw = np.random.default_rng(3)
    file = write_rows(folder / "rows.jsonl", [row(length, draw) for length in LENGTHS])
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    data = encode(plan, facts, file, Reading.of(spec), folder / "cache")
    model = Model(plan)
    model.load_canonical(strong_weights(plan))
    model.to(torch.float64)
    assert model.carries
    return model, data, loss_settings_of(spec, facts)


@pytest.mark.parametrize("name", TASKS)
def test_windows_measure_what_whole_rows_do(name: str, tmp_path: Path) -> None:
    model, data, goals = prepared(name, tmp_path)
    whole, _ = evaluate(model, data, Train(), goals, precision=FLOAT64)
    assert all(math.isfinite(value) for value in whole.values())
    for batch, window in ((1, 1), (2, 3), (4, 2), (3, 100), (20, 7)):
        settings = Train(batch=batch, window=window)
        found, _ = evaluate(model, data, settings, goals, precision=FLOAT64)
        assert found == pytest.approx(whole, rel=1e-9), (batch, window)


def test_states_that_are_not_carried_give_other_numbers(tmp_path: Path) -> None:
    """What a state carries matters here, or the test above would show nothing."""
    model, data, goals = prepared("tags of frames", tmp_path)
    whole, _ = evaluate(model, data, Train(), goals, precision=FLOAT64)
    alone = _Forgetful(data)
    found, _ = evaluate(model, alone, Train(batch=2, window=3), goals, precision=FLOAT64)  # type: ignore[arg-type]
    assert found["loss"] != pytest.approx(whole["loss"], rel=1e-3)


class _Forgetful:
    """Data whose every window begins a sequence."""

    def __init__(self, data: Dataset) -> None:
        self.data, self.new = data, data.new

    def documents(self, batch: int, window: int) -> Any:
        for cut, lanes, reset in self.data.documents(batch, window):
            yield cut, lanes, np.ones_like(reset)


@pytest.mark.parametrize("name", TASKS)
def test_a_window_as_long_as_its_documents_trains_as_whole_rows(name: str, tmp_path: Path) -> None:
    """The losses and all gradients, of states made from the row and of learned ones too."""
    model, data, goals = prepared(name, tmp_path)
    objective = Objective(model, Train(), goals)
    cuts = lane_slices(data.starts, data.ends, 3, 100, 0, (1, 2))
    for (cut, _), (batch, reset) in zip(cuts, data.lanes(3, 100, 0, (1, 2)), strict=True):
        begins = torch.from_numpy(reset)
        losses = objective(batch, FLOAT64, model.first_states(3), begins).losses
        found = gradients(model, losses)
        losses = objective(data.collate(cut.rows[cut.lengths > 0]), FLOAT64).losses
        whole = gradients(model, losses)
        assert found.keys() == whole.keys()
        for weight, gradient in whole.items():
            torch.testing.assert_close(found[weight], gradient, atol=1e-12, rtol=1e-9)


def gradients(model: Model, losses: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    model.zero_grad(set_to_none=True)
    sum(losses.values(), start=torch.zeros(())).backward()
    return {
        name: weight.grad.clone()
        for name, weight in model.named_parameters()
        if weight.grad is not None
    }
