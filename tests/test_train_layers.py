"""Training with settings of layers: penalties, weights that stay, elapsed time from the data."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rnnspec.data import survey
from rnnspec.data.shards import find_sources
from rnnspec.errors import DataError
from rnnspec.plan import resolve
from rnnspec.spec.load import LoadedSpec, load_spec
from rnnspec.store.events import Silent
from rnnspec.store.files import read_arrays
from rnnspec.store.folder import BuildFolder
from rnnspec.to_torch import Model
from rnnspec.train.build import build, datasets
from rnnspec.train.loop import Trainer

SPEC = """
name: leak
cardinality: N:1
data:
  train: train.jsonl
  valid: valid.jsonl
  input: {column: frames, as: frames, elapsed: 1}
  output: {column: level, as: number}
cells:
  leaking:
    states: [h]
    inputs: [dt]
    equations: h = exp(-dt) * h + W @ x
encoder:
  layers:
    - LAYER
train: {epochs: 12, batch: 16, clip_norm: null, optimizer: {OPTIMIZER: {lr: 3e-2}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A vessel that leaks at rate 1: at each step time passes, then something is poured in."""
    draw = np.random.default_rng(0)
    for name, count in (("train", 300), ("valid", 60)):
        rows = []
        for _ in range(count):
            first = level = float(draw.normal(0, 5))
            frames = []
            for _ in range(draw.integers(1, 9)):
                elapsed, poured = draw.exponential(), draw.normal()
                level = float(np.exp(-elapsed) * level + poured)
                frames.append([poured, elapsed])
            rows.append(json.dumps({"frames": frames, "level": level, "first": [first]}))
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    return tmp_path


def loaded(folder: Path, layer: str, optimizer: str = "adam") -> LoadedSpec:
    path = folder / "spec.yaml"
    path.write_text(SPEC.replace("LAYER", layer).replace("OPTIMIZER", optimizer))
    return load_spec(path)


def test_a_cell_sees_the_time_between_steps_and_the_given_state(folder: Path) -> None:
    layer = "{cell: leaking, units: 1, initial_state: {column: first}}"
    result = build(loaded(folder, layer), folder / "builds", Silent())
    assert result.metrics["rmse"] < 0.1  # the levels deviate by more than 1


def test_a_given_state_of_another_width_is_an_error(folder: Path) -> None:
    layer = "{cell: leaking, units: 3, initial_state: {column: first}}"
    spec = loaded(folder, layer)
    facts = survey(spec.spec, find_sources(spec.spec.data, spec.path.parent).train)
    message = r"layers\[0\].initial_state: column 'first' holds 1 numbers .* state h is 3 wide"
    with pytest.raises(DataError, match=message):
        resolve(spec.spec, facts)


def first_step(spec: LoadedSpec, cache: Path) -> tuple[Model, dict[str, NDArray[np.floating]]]:
    """The model after one step, and its weights before it."""
    facts = survey(spec.spec, find_sources(spec.spec.data, spec.path.parent).train)
    plan = resolve(spec.spec, facts)
    data, _ = datasets(spec, plan, facts, cache)
    model = Model(plan)
    model.start(facts, seed=1)
    before = model.canonical_arrays()
    nowhere = BuildFolder(cache / "nowhere")
    torch.manual_seed(0)
    Trainer(model, spec.spec.train, nowhere, data, None, Silent()).step(np.arange(16))
    return model, before


def test_l2_pulls_the_weights_of_its_cell_and_no_others(folder: Path) -> None:
    layer = "{cell: leaking, units: 3, initial_state: learned, norm: layer, l2: L2}"
    plain, _ = first_step(loaded(folder, layer.replace("L2", "0"), "sgd"), folder)
    pulled, before = first_step(loaded(folder, layer.replace("L2", "0.5"), "sgd"), folder)
    after = pulled.canonical_arrays()
    for name, value in plain.canonical_arrays().items():
        share = 0.5 if name == "layers.0.forward.W" else 0.0
        np.testing.assert_allclose(after[name] - value, -3e-2 * share * before[name], atol=1e-6)


def test_weights_that_are_not_trained_stay(folder: Path) -> None:
    spec = loaded(folder, "{cell: leaking, units: 3}\n    - {cell: echo_state, units: 6}")
    start = build(spec, folder / "start", Silent(), train=False).folder
    end = build(spec, folder / "end", Silent()).folder
    before, after = read_arrays(start.weights)[0], read_arrays(end.weights)[0]
    same = {name for name, value in before.items() if np.array_equal(after[name], value)}
    assert {f"layers.1.forward.{name}" for name in ("W", "U", "b")} <= same
    assert {"layers.0.forward.W", "answer.W", "answer.b"}.isdisjoint(same)


def test_time_that_runs_backwards_is_an_error_with_its_place(folder: Path) -> None:
    with (folder / "valid.jsonl").open("a") as file:
        file.write('{"frames": [[0.1, 1.0], [0.2, -3.5]], "level": 1, "first": [0]}\n')
    with pytest.raises(DataError, match=r"valid\.jsonl.*61.*step 2, number 2, -3.5, a negative"):
        build(loaded(folder, "{cell: leaking, units: 3}"), folder / "builds", Silent())
