"""States carried from window to window: a sequence in pieces gives what the whole one gives."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch

from rnnspec.cells import builtin_names
from rnnspec.to_torch import Model
from tests.kinds import batched, output, plan_of, random_rows, spec_data, strong_weights
from tests.layers import OWN_CELLS
from tests.models import frames_plan, layers_plan, padded, random_frames, random_weights

CUTS = (0, 1, 4, 9)
LAYERS: dict[str, dict[str, Any]] = {
    "residual": {"cell": "gru", "units": 3, "skip": "residual"},
    "norm": {"cell": "lstm", "units": 4, "norm": "layer"},
    "zoneout": {"cell": "lstm", "units": 4, "zoneout": 0.2},
    "recurrent dropout": {"cell": "gru", "units": 4, "recurrent_dropout": 0.3},
    "learned start": {"cell": "slstm", "units": 4, "initial_state": "learned"},
    "own sizes": {"cell": "two_widths", "units": 4, "sizes": {"memory": 5}},
    "elapsed": {"cell": "timed", "units": 4},
}


def in_pieces(model: Model, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """The scores after nine steps of four rows, read whole and window by window."""
    model.eval()
    frames = padded(random_frames((9, 9, 9, 9), seed=seed), 9, 0.0)
    states = model.first_states(4)
    for start, end in pairwise(CUTS):
        window = {
            name: (values[:, start:end] if values.dim() == 3 else values, lengths * 0 + end - start)
            for name, (values, lengths) in frames.items()
        }
        scores, states = model.run(window, states)
    return model(frames)["label"], scores["label"]


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("cell", builtin_names())
@torch.no_grad()
def test_every_cell_carries_its_states(cell: str, generic: bool) -> None:
    plan = frames_plan(cell, depth=2)
    model = Model(plan, generic)
    model.load_canonical(random_weights(plan))
    whole, pieces = in_pieces(model)
    torch.testing.assert_close(pieces, whole, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", LAYERS)
@torch.no_grad()
def test_every_setting_of_a_forward_layer_carries(name: str) -> None:
    cells = {cell: OWN_CELLS[cell] for cell in {LAYERS[name]["cell"]} & set(OWN_CELLS)}
    model = Model(layers_plan(LAYERS[name], LAYERS[name] | {"units": 3}, cells=cells))
    model.load_canonical(random_weights(model.plan))
    whole, pieces = in_pieces(model)
    torch.testing.assert_close(pieces, whole, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_causal_convolutions_carry_their_last_inputs() -> None:
    dilated = {"conv": 4, "size": 3, "dilation": 2, "causal": True, "activation": "relu"}
    grouped = {"conv": 4, "size": 2, "groups": 2, "causal": True, "skip": "residual"}
    model = Model(
        layers_plan(dilated, grouped, {"conv": 3, "size": 1}, {"cell": "gru", "units": 3})
    )
    model.load_canonical(random_weights(model.plan))
    assert {"layers.0.left", "layers.1.left"} < set(model.first_states(1))
    whole, pieces = in_pieces(model)
    torch.testing.assert_close(pieces, whole, atol=1e-5, rtol=1e-4)


def test_learned_states_are_the_first_ones_and_get_gradients() -> None:
    plan = layers_plan({"cell": "lstm", "units": 4, "initial_state": "learned"})
    model = Model(plan)
    model.load_canonical(random_weights(plan))
    first = model.first_states(2)
    held = dict(model.canonical())
    assert set(first) == {"layers.0.h", "layers.0.c"}
    for name, value in first.items():
        layer, _, state = name.rpartition(".")
        torch.testing.assert_close(value[1], held[f"{layer}.forward.initial.{state}"])
    frames = padded(random_frames((3, 3)), 3, 0.0)
    model.run(frames, first)[0]["label"].sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_a_layer_that_reads_backward_carries_nothing() -> None:
    model = Model(frames_plan(direction="bidirectional"))
    assert not model.carries
    with pytest.raises(AssertionError):
        model.run(padded(random_frames((3,)), 3, 0.0), {"layers.0.h": torch.zeros(1, 5)})


@torch.no_grad()
def test_steps_of_several_inputs_and_a_category_carry() -> None:
    """A stack over joined inputs, with answers at each step and states made from a vector."""
    spec = spec_data("N:N", ["chars", "frames", "category"], [output("tags"), output("keys")])
    plan, _ = plan_of(spec)
    model = Model(plan).eval()
    model.load_canonical(strong_weights(plan))
    assert model.carries
    inputs = batched(plan, random_rows(plan, (9, 9, 9)))
    states, parts = model.first_states(3), []
    for start, end in pairwise(CUTS):
        window = {
            name: (values[:, start:end] if values.dim() > 1 else values, lengths)
            for name, (values, lengths) in inputs.items()
        }
        window = {
            n: (v, torch.full_like(k, end - start) if v.dim() > 1 else k)
            for n, (v, k) in window.items()
        }
        scores, states = model.run(window, states)
        parts.append(scores)
    for column, whole in model(inputs).items():
        pieces = torch.cat([part[column] for part in parts], dim=1)
        torch.testing.assert_close(pieces, whole, atol=1e-5, rtol=1e-4)
