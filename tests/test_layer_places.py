"""Every setting of a layer in the places where a layer may stand: trained, measured, exported.

The settings are those of the JSON Schema, so that a new one joins by being in it. Each is refused
where it must be, and tried in every other place of those left; `--every-place` tries it in all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnspec.data import Batch
from rnnspec.errors import SpecError
from rnnspec.export.parity import prove
from rnnspec.export.probes import probes
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan import Facts, NumericFacts, Plan, resolve
from rnnspec.plan.generate import generation
from rnnspec.plan.nodes import Greedy, Recurrent
from rnnspec.run.session import Session
from rnnspec.source.emit import to_yaml
from rnnspec.source.text import Source
from rnnspec.spec import Spec
from rnnspec.spec.encoder import given_columns
from rnnspec.spec.load import load_source
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.train.feed import MicroBatch
from rnnspec.train.statistics import gradient_statistics
from rnnspec.train.step import TrainStep
from tests.kinds import batched, facts_of, random_rows
from tests.layer_places import (
    FEW_PLACES,
    PLACES,
    WIDTH,
    everything,
    refused,
    refuses,
    settings,
    spec,
    stateless,
)
from tests.targets import random_targets

SETTINGS = settings()
STATELESS = stateless()
LENGTHS = (3, 0, 1, 2)
LAYER = {"cell": "lstm", "units": WIDTH}


class Pieces:
    """A feed of three micro-batches of random rows; of windows where the spec has streams."""

    def __init__(self, plan: Plan, spec: Spec) -> None:
        self.plan, self.window = plan, spec.train.window

    def count(self, epoch: int) -> int:
        return 3

    def micro_batches(self, epoch: int, start: int) -> Iterator[MicroBatch]:
        for number in range(start, 3):
            rows = random_rows(self.plan, LENGTHS, seed=number)
            inputs = {
                key: (values.numpy(), lengths.numpy())
                for key, (values, lengths) in batched(self.plan, rows).items()
            }
            batch = Batch(inputs, random_targets(self.plan, LENGTHS, seed=number))
            reset = None if self.window is None else np.array([number == 0, True, False, False])
            yield MicroBatch(batch, len(LENGTHS), sum(LENGTHS), 3 * len(LENGTHS), reset)


def loaded(place: str, *layers: dict[str, Any]) -> tuple[Spec, Facts]:
    """A checked spec, and facts of its columns."""
    text = to_yaml(spec(place, *layers))
    found = load_source(Source.of(text, "place.yaml"), Path("place.yaml")).spec
    facts = facts_of(found)
    start = NumericFacts(WIDTH, (0.0,) * WIDTH, (1.0,) * WIDTH)
    given = dict.fromkeys(given_columns(found.encoder.layers), start)
    return found, replace(facts, inputs={**facts.inputs, **given})


def trained_and_proved(place: str, *layers: dict[str, Any]) -> None:
    """Three steps of training, what is measured after an epoch, and the proof of the file."""
    found, facts = loaded(place, *layers)
    plan = resolve(found, facts)
    model = Model(plan)
    model.start(facts, seed=1)
    before = model.canonical_arrays()
    train_step = TrainStep(model.train(), found.train, loss_settings=loss_settings_of(found, facts))
    feed = Pieces(plan, found)
    for micro_batch in feed.micro_batches(0, 0):
        stepped = train_step.step([micro_batch])
        assert np.isfinite(stepped.loss), stepped.failure
    told = gradient_statistics(train_step, feed, found.train, 0)
    for node in plan.every_node():
        if isinstance(node, Recurrent):
            assert {f"rms.{node.name}.{direction}" for direction in node.directions} <= set(told)
    weights = model.eval().canonical_arrays()
    assert all(np.isfinite(value).all() for value in weights.values())
    held = {name for name in weights if np.array_equal(weights[name], before[name])}
    assert not {name for name in held if ".forward." in name or ".reverse." in name}, "trained"
    proved(plan, facts, model)
    if place.endswith("next"):
        writer = generation(plan, Greedy(4))
        twin = Model(writer).eval()
        twin.load_canonical(weights)
        proved(writer, facts, twin)


def proved(plan: Plan, facts: Facts, model: Model) -> None:
    """On a batch of one row, of several and of one without steps."""
    file = to_onnx(plan, facts, model.canonical_arrays())
    drawn = list(probes(plan, facts, seeds=1))
    session = Session(file.SerializeToString(), threads=1)
    prove(session, model, facts, [drawn[0], drawn[2], drawn[3], drawn[5]], ids=False)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Pairs of a setting or layer and a place; of settings, the turn differs by one a row."""
    every = bool(metafunc.config.getoption("--every-place"))
    if {"setting", "place"} <= set(metafunc.fixturenames):
        found = chosen(SETTINGS, PLACES, lambda name, place: name in refused(place), every)
        metafunc.parametrize(("setting", "place"), found)
    elif {"name", "place"} <= set(metafunc.fixturenames):
        refusal = lambda name, place: refuses(place, STATELESS[name])  # noqa: E731
        metafunc.parametrize(("name", "place"), chosen(STATELESS, FEW_PLACES, refusal, every))


def chosen(
    names: Iterable[str], places: Iterable[str], is_refused: Callable[[str, str], bool], every: bool
) -> list[tuple[str, str]]:
    found = []
    for number, name in enumerate(names):
        for turn, place in enumerate(places):
            if every or is_refused(name, place) or (number + turn) % 2 == 0:
                found.append((name, place))
    return found


def test_every_place_has_every_other_setting() -> None:
    pairs = chosen(SETTINGS, PLACES, lambda name, place: False, every=False)
    assert {name for name, _ in pairs} == set(SETTINGS)
    assert {place for _, place in pairs} == set(PLACES)
    assert 2 * len(pairs) >= len(SETTINGS) * len(PLACES) - 1


def test_a_setting_at_a_place(place: str, setting: str) -> None:
    torch.manual_seed(0)
    layer = SETTINGS[setting]
    if setting not in refused(place):
        trained_and_proved(place, layer)
        return
    with pytest.raises(SpecError) as caught:
        loaded(place, layer)
    for problem in caught.value.problems:
        assert problem.source_line, f"{problem.message}: no line is told"
        assert problem.hint, f"{problem.message}: no way out is told"


def test_a_layer_without_a_cell_at_a_place(place: str, name: str) -> None:
    torch.manual_seed(0)
    if not refuses(place, STATELESS[name]):
        trained_and_proved(place, STATELESS[name])
        return
    with pytest.raises(SpecError) as caught:
        loaded(place, STATELESS[name])
    for problem in caught.value.problems:
        assert problem.source_line and problem.hint, problem.message


@pytest.mark.parametrize("place", PLACES)
def test_all_settings_at_once(place: str) -> None:
    torch.manual_seed(0)
    free = not refused(place)
    layer = everything(LAYER, directions=free)
    if place.startswith("decoder"):
        del layer["initial_state"]
    # The ends of both directions, which 'pooling: last' takes, cannot be told behind a skip.
    last = {"cell": "gru", "units": WIDTH}
    trained_and_proved(place, layer, {**layer, "skip": "highway", "repeat": 2}, last)
