"""What a spec says of the losses of its outputs, in the loss of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from rnnspec.data import Batch
from rnnspec.objective.objective import Forward, Objective
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan import resolve
from rnnspec.spec import Spec
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from tests.kinds import batched, facts_of, output, random_rows, spec_data, strong_weights
from tests.targets import random_targets

LENGTHS = (3, 0, 5, 1, 2)
WIDE = Precision(name="float64")


def objective_of(data: Mapping[str, Any]) -> tuple[Objective, Batch]:
    """What a spec trains its model by, and a batch."""
    spec = Spec.model_validate(data)
    facts = facts_of(spec)
    plan = resolve(spec, facts)
    model = Model(plan)
    model.load_canonical(strong_weights(plan))
    model.to(torch.float64).train()
    given = batched(plan, random_rows(plan, LENGTHS))
    inputs = {key: (values.numpy(), lengths.numpy()) for key, (values, lengths) in given.items()}
    objective = Objective(model, spec.train, loss_settings_of(spec, facts))
    return objective, Batch(inputs, random_targets(plan, LENGTHS))


def test_each_output_has_the_loss_that_it_names() -> None:
    outputs = [
        output("class", loss={"focal": {"gamma": 1.5}}),
        output("labels", loss="focal"),
        output("out_number", loss={"huber": {"delta": 0.5}}),
        output("out_vector", loss="auto"),
        output("out_doubles", loss="mse"),
    ]
    data = spec_data("N:1", ["frames"], outputs, train={"loss": "mae", "label_smoothing": 0.0})
    objective, batch = objective_of(data)
    found: Forward = objective(batch, WIDE)
    logits, true = found.logits, found.targets

    known = true["class"] >= 0
    each = F.cross_entropy(logits["class"][known], true["class"][known], reduction="none")
    focal = ((1 - (-each).exp()) ** 1.5 * each).mean()
    assert found.losses["class"].item() == pytest.approx(focal.item())

    on = ~true["labels"].isnan().any(-1)
    each = F.binary_cross_entropy_with_logits(
        logits["labels"][on], true["labels"][on], reduction="none"
    )
    focal = ((1 - (-each).exp()) ** 2 * each).sum(-1).mean()
    assert found.losses["labels"].item() == pytest.approx(focal.item())

    def numbers(column: str) -> tuple[torch.Tensor, torch.Tensor]:
        module: Any = objective.model.output(column)
        given = ~true[column].isnan()
        return logits[column][given], module.scale(true[column])[given].to(logits[column].dtype)

    expected = {
        "out_number": F.huber_loss(*numbers("out_number"), delta=0.5),
        "out_vector": F.l1_loss(*numbers("out_vector")),
        "out_doubles": F.mse_loss(*numbers("out_doubles")),
    }
    for column, of_torch in expected.items():
        assert found.losses[column].item() == pytest.approx(of_torch.item(), rel=1e-5), column


def test_each_output_has_its_own_label_smoothing() -> None:
    outputs = [output("tags", label_smoothing=0.3), output("class"), output("path")]
    data = spec_data("N:N", ["frames"], outputs, train={"label_smoothing": 0.1})
    objective, batch = objective_of(data)
    found = objective(batch, WIDE)
    for column, share in (("tags", 0.3), ("class", 0.1)):
        logits, true = found.logits[column].flatten(0, -2), found.targets[column].flatten()
        of_torch = F.cross_entropy(logits, true, ignore_index=-1, label_smoothing=share)
        assert found.losses[column].item() == pytest.approx(of_torch.item()), column
    objective.model.eval()
    measured = objective(batch, WIDE).losses["tags"].item()
    assert measured != pytest.approx(found.losses["tags"].item())
