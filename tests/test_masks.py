"""Dropout and zoneout: how often, at which steps, and what an answer takes in their place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rnnspec.plan import nodes as plan_nodes
from rnnspec.to_torch import Model
from rnnspec.to_torch.layers import Dropout
from rnnspec.to_torch.recurrent import RecurrentLayer
from rnnspec.to_torch.sequences import Lengths, PaddedSequence
from tests.models import layers_plan

ROWS, STEPS, UNITS = 40, 6, 25
RATE = 0.3
COUNTER = {"states": ["h"], "equations": "h = h + W @ x"}
"""The state counts the steps, where W and x are 1."""
POWER = {"states": ["h"], "equations": "h = U @ h + W @ x"}
"""The state stays as it began, where U is the identity and W is 0."""


def ones() -> PaddedSequence:
    lengths = Lengths(torch.full((ROWS,), STEPS), STEPS)
    return PaddedSequence(torch.ones(STEPS, ROWS, UNITS), lengths)


def dropped(per_sequence: bool) -> Tensor:
    torch.manual_seed(0)
    node = plan_nodes.Dropout("dropout", "source", RATE, per_sequence)
    value = Dropout(node).train()(ones())
    assert isinstance(value, PaddedSequence)
    return value.values


def assert_share(found: Tensor, expected: float) -> None:
    """A share of `ROWS * UNITS` independent draws or more, within 4 standard deviations."""
    assert float(found.double().mean()) == pytest.approx(expected, abs=4 * 0.5 / (1000**0.5))


def test_dropout_by_the_step_draws_anew_at_each_step() -> None:
    values = dropped(per_sequence=False)
    assert_share(values == 0, RATE)
    assert not torch.equal(values[0], values[1])
    assert values.unique().tolist() == pytest.approx([0.0, 1 / (1 - RATE)])


def test_dropout_by_the_sequence_draws_once_for_each_row() -> None:
    values = dropped(per_sequence=True)
    assert_share(values == 0, RATE)
    assert torch.equal(values, values[:1].expand_as(values))
    assert not torch.equal(values[0, 0], values[0, 1])
    assert values.unique().tolist() == pytest.approx([0.0, 1 / (1 - RATE)])


def one_layer(cell: dict[str, Any], weights: dict[str, Tensor], **settings: Any) -> RecurrentLayer:
    plan = layers_plan(
        {"cell": "own", "units": UNITS, **settings}, cells={"own": cell}, width=UNITS
    )
    layer = Model(plan).parts["layers/0"]
    assert isinstance(layer, RecurrentLayer)
    with torch.no_grad():
        for name, value in layer.canonical():
            value.copy_(weights[name])
    torch.manual_seed(0)
    return layer


def power(rate: float) -> RecurrentLayer:
    weights = {
        "forward.U": torch.eye(UNITS),
        "forward.W": torch.zeros(UNITS, UNITS),
        "forward.initial.h": torch.ones(UNITS),
    }
    return one_layer(POWER, weights, initial_state="learned", recurrent_dropout=rate)


def test_recurrent_dropout_keeps_one_mask_for_all_steps_of_a_row() -> None:
    values = power(RATE).train()(ones()).values
    kept = values[0] != 0
    assert_share(~kept, RATE)
    for step in range(STEPS):
        expected = kept * (1 / (1 - RATE)) ** (step + 1)
        torch.testing.assert_close(values[step], expected)
    assert not torch.equal(kept[0], kept[1])


def test_recurrent_dropout_leaves_answers_alone() -> None:
    values = power(RATE).eval()(ones()).values
    torch.testing.assert_close(values, torch.ones(STEPS, ROWS, UNITS))


def test_zoneout_keeps_each_old_value_with_its_probability_at_each_step() -> None:
    weights = {"forward.W": torch.full((UNITS, UNITS), 1 / UNITS)}
    layer = one_layer(COUNTER, weights, zoneout=RATE)
    counts = layer.train()(ones()).values
    steps = torch.diff(counts, dim=0, prepend=torch.zeros(1, ROWS, UNITS)).round(decimals=4)
    assert set(steps.unique().tolist()) == {0.0, 1.0}
    assert_share(steps == 0, RATE)
    assert all(0.2 < float((one == 0).double().mean()) < 0.4 for one in steps)
    assert not torch.equal(steps[0], steps[1])
    means = np.asarray([(1 - RATE) * (t + 1) for t in range(STEPS)])
    answers = layer.eval()(ones()).values
    np.testing.assert_allclose(answers.mean((1, 2)).detach().numpy(), means, rtol=1e-5)
    np.testing.assert_allclose(counts.mean((1, 2)).detach().numpy(), means, rtol=0.1)
