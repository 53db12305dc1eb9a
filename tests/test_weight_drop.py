"""Recurrent matrices with elements left out, and penalties of outputs (Merity et al. 2018)."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from rnnspec.objective.objective import Objective
from rnnspec.spec import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from rnnspec.to_torch.recurrent import RecurrentLayer
from rnnspec.to_torch.sequences import Lengths, PaddedSequence
from rnnspec.to_torch.weighted import Packed
from rnnspec.train.averaging import SinceStale
from tests.models import frames_facts, layers_plan
from tests.training import rows_data

LENGTHS = torch.tensor([5, 2, 0])
STEPS = torch.randn(5, 3, 3, generator=torch.Generator().manual_seed(0))
SOURCE = PaddedSequence(STEPS, Lengths(LENGTHS, len(STEPS)))


def model_with(generic: bool = False, **settings: Any) -> Model:
    model = Model(layers_plan({"cell": "lstm", "units": 4, **settings}), generic)
    model.start(frames_facts(), seed=1)
    return model


def layer_of(model: Model) -> RecurrentLayer:
    layer = dict(model.named_parts())["layers.0"]
    assert isinstance(layer, RecurrentLayer)
    return layer


def known(values: Tensor) -> Tensor:
    """The steps of the rows alone."""
    return torch.cat([values[:length, row] for row, length in enumerate(LENGTHS.tolist())])


@pytest.mark.parametrize("generic", [False, True])
def test_an_lstm_runs_with_its_recurrent_matrix_thinned(generic: bool) -> None:
    """As torch's own with a quarter of weight_hh at 0 and the rest 4 / 3 as large."""
    dropped, whole = layer_of(model_with(generic, weight_drop=0.25)), layer_of(model_with())
    masks: dict[str, Tensor] = {}
    before = {"h": torch.zeros(3, 4), "c": torch.zeros(3, 4)}
    out, _ = dropped.train().carry(SOURCE, before, masks=masks)
    again, _ = dropped.carry(SOURCE, before, masks=masks)
    assert torch.equal(out.values, again.values)
    held, thinned = dict(whole.canonical()), thinned_parts(dropped, masks)
    lstm = torch.nn.LSTM(3, 4)
    held_by = lstm.get_parameter
    with torch.no_grad():
        for gate, rows in zip("ifgo", torch.arange(16).split(4), strict=True):
            for letter, tensor in (("W", held_by("weight_ih_l0")), ("b", held_by("bias_ih_l0"))):
                tensor[rows] = held[f"forward.{letter}_{gate}"]
            held_by("weight_hh_l0")[rows] = held[f"forward.U_{gate}"] * thinned[f"U_{gate}"]
        held_by("bias_hh_l0").zero_()
    torch.testing.assert_close(known(out.values), known(lstm(STEPS)[0]), atol=1e-6, rtol=1e-5)
    assert set(thinned) == {"U_i", "U_f", "U_g", "U_o"}
    every = torch.cat(list(thinned.values()))
    assert every.unique().tolist() == pytest.approx([0.0, 4 / 3])


def thinned_parts(layer: RecurrentLayer, masks: dict[str, Tensor]) -> dict[str, Tensor]:
    """The masks of a layer by the names of its matrices; those of others are 1."""
    packed, found = layer.kernels[0].packed, dict[str, Tensor]()
    assert isinstance(packed, Packed)
    for key, mask in masks.items():
        names = packed.slots[key.rpartition(" ")[0]]
        parts = mask.split([packed.rows[name] for name in names])
        found |= dict(zip(names, parts, strict=True))
    assert all(bool((found.pop(name) == 1).all()) for name in list(found) if name[0] != "U")
    return found


def test_each_batch_has_masks_of_its_own_and_answers_have_none() -> None:
    layer, whole = layer_of(model_with(weight_drop=0.5)), layer_of(model_with())
    torch.manual_seed(0)
    layer.train()
    one, other = layer(SOURCE).values, layer(SOURCE).values
    assert not torch.equal(known(one), known(other))
    assert torch.equal(known(layer.eval()(SOURCE).values), known(whole(SOURCE).values))
    held, same = (dict(each.canonical())["forward.U_i"] for each in (layer, whole))
    assert torch.equal(held, same)


def test_the_gradient_of_a_left_out_element_is_0() -> None:
    layer, masks = layer_of(model_with(weight_drop=0.5)).train(), dict[str, Tensor]()
    before = {"h": torch.ones(3, 4), "c": torch.zeros(3, 4)}
    layer.carry(SOURCE, before, masks=masks)[0].values[0].sum().backward()
    packed = layer.kernels[0].packed
    assert isinstance(packed, Packed)
    gradient, (mask,) = packed.slot("recurrent").grad, masks.values()
    assert gradient is not None and not gradient[mask == 0].any()
    assert bool(gradient[: len(gradient) // 4][mask[: len(mask) // 4] != 0].all())


def test_penalties_of_outputs_by_hand() -> None:
    """Means over what the rows have: of two rows 7 steps, and 5 steps with one before them."""
    model = model_with(activation_l2=2.0, temporal_l2=3.0, dropout=0.5, repeat=2).train()
    torch.manual_seed(3)
    values, _ = model.values({"frames": (STEPS.transpose(0, 1), LENGTHS)})
    expected = torch.zeros(())
    for name in ("layers.0", "layers.1"):
        raw = values[name]
        assert isinstance(raw, PaddedSequence)
        after = values.get(f"{name}.dropout", raw)
        read = after if isinstance(after, PaddedSequence) else raw
        rows = raw.values[:, 0], raw.values[:2, 1]
        change = torch.cat([row[1:] - row[:-1] for row in rows])
        expected = expected + 2 * known(read.values).square().mean() + 3 * change.square().mean()
    assert model.activity is not None
    torch.testing.assert_close(model.activity, expected)
    model.eval().values({"frames": (STEPS.transpose(0, 1), LENGTHS)})
    assert model.activity is None


def test_penalties_reach_the_gradient_and_not_the_loss_that_is_told() -> None:
    data = rows_data()
    batch, found = data.collate(torch.arange(4).numpy()), []
    nothing: dict[str, Any] = {}
    for settings in (nothing, {"activation_l2": 5.0}):
        model = model_with(**settings).train()
        forward = Objective(model, Train())(batch, Precision())
        found.append((float(forward.loss.detach()), forward.activity))
    assert found[0][0] == pytest.approx(found[1][0])
    assert found[0][1] is None and found[1][1] is not None and found[1][1].requires_grad


def test_an_average_begins_when_an_epoch_is_worse_than_the_best_before() -> None:
    """Of the costs 3, 2, 3.5, 3.2, 2.9 the fourth is above 3, the best of those before."""
    weight = torch.nn.Parameter(torch.tensor([0.0]))
    average = SinceStale([weight], 2)
    seen = []
    for epoch, cost in enumerate((3.0, 2.0, 3.5, 3.2, 2.9)):
        for step in (1, 2):
            weight.data.fill_(10.0 * epoch + step)
            average.after_step(step)
        seen.append(float(average.values()[0]))
        average.see(cost)
    assert seen == [2.0, 12.0, 22.0, 32.0, 41.5]
    other = SinceStale([weight], 2)
    other.load(average.arrays())
    assert other.values()[0].tolist() == [41.5] and other.costs == average.costs
