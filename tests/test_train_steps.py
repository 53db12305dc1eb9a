"""One step of the optimizer: accumulation, limits of the gradient, decay by group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rnnspec.data.collate import Steps
from rnnspec.to_torch import Model
from rnnspec.train.feed import RowFeed
from rnnspec.train.optimizers import groups_of
from rnnspec.train.step import StepResult, TrainStep
from tests.models import frames_facts, layers_plan
from tests.training import model_of, rows_data, settings_of

DATA = rows_data()
SGD: dict[str, Any] = {"sgd": {"lr": 0.5}}


def stepped(cuts: list[list[int]], **keys: Any) -> tuple[Model, StepResult]:
    """A model after one step with the gradient of these micro-batches of rows."""
    model = model_of()
    settings = settings_of(**{"optimizer": SGD, "clip_norm": None, **keys})
    feed = RowFeed(DATA, settings)
    train_step = TrainStep(model, settings)
    return model, train_step.step([feed.micro_batch(np.array(rows)) for rows in cuts])


def changes(model: Model) -> dict[str, torch.Tensor]:
    """How far each weight is from its start."""
    before = dict(model_of().named_parameters())
    return {name: w.detach() - before[name].detach() for name, w in model.named_parameters()}


def test_pieces_of_a_step_weigh_by_their_rows() -> None:
    rows = list(range(12))
    whole, once = stepped([rows])
    parts, apart = stepped([rows[:7], rows[7:9], rows[9:]])
    assert apart.loss == pytest.approx(once.loss, rel=1e-6)
    assert apart.weight == once.weight == 12
    expected = changes(whole)
    for name, change in changes(parts).items():
        torch.testing.assert_close(change, expected[name], atol=1e-6, rtol=1e-4)
    halves = [stepped([part])[1].loss for part in (rows[:7], rows[7:])]
    assert once.loss != pytest.approx(sum(halves) / 2, rel=1e-4)  # not the mean of means


def test_entries_of_the_gradient_are_cut() -> None:
    free = changes(stepped([[0, 1, 2, 3]])[0])
    cut = changes(stepped([[0, 1, 2, 3]], clip_value=0.01)[0])
    assert any(change.abs().max() > 0.5 * 0.01 for change in free.values())
    for name, change in cut.items():
        expected = free[name].clamp(-0.5 * 0.01, 0.5 * 0.01)
        torch.testing.assert_close(change, expected, atol=1e-6, rtol=1e-4)


def test_the_norm_is_limited_after_the_entries() -> None:
    cut, found = stepped([[0, 1, 2, 3]], clip_value=0.01, clip_norm=0.02)
    squares = [change.square().sum() for change in changes(cut).values()]
    length = torch.stack(squares).sum().sqrt()
    assert float(length) == pytest.approx(0.5 * 0.02, rel=1e-3)
    assert found.norm > 0.02


def test_a_loss_that_is_not_finite_changes_nothing() -> None:
    model = model_of()
    settings = settings_of(optimizer=SGD)
    data = rows_data()
    frames = data.inputs["frames"]
    assert isinstance(frames, Steps)
    frames.values[:] = np.inf
    found = TrainStep(model, settings).step([RowFeed(data, settings).micro_batch(np.arange(4))])
    assert not np.isfinite(found.loss)
    assert all(bool((change == 0).all()) for change in changes(model).values())


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_only_matrices_decay_if_asked(name: str) -> None:
    plan = layers_plan({"cell": "lstm", "units": 4, "norm": "layer", "initial_state": "learned"})
    model = Model(plan)
    model.start(frames_facts(), 0)
    chosen = {name: {"weight_decay": 0.5, "weight_decay_on": "matrices"}}
    settings = settings_of(optimizer=chosen)
    decaying, others = groups_of(settings.optimizer, model)
    assert (decaying.weight_decay, others.weight_decay) == (0.5, 0.0)
    names = {id(weight): name for name, weight in model.named_parameters()}
    assert all("bias" not in names[id(weight)] for weight in decaying.weights)
    assert {weight.dim() for weight in others.weights} == {1}
    both = [*decaying.weights, *others.weights]
    assert {id(w) for w in both} == {id(w) for w in model.parameters() if w.requires_grad}


def test_decay_moves_matrices_and_leaves_vectors() -> None:
    """With a gradient of 0 all that is left is decay."""
    chosen: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.5, "weight_decay_on": "matrices"}
    model, before = model_of(), dict(model_of().named_parameters())
    train_step = TrainStep(model, settings_of(optimizer={"adamw": chosen}))
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    train_step.optimizer.step()
    for name, weight in model.named_parameters():
        share = 1 - 0.1 * 0.5 if weight.dim() > 1 else 1.0
        torch.testing.assert_close(weight, share * before[name])
