"""What a spec says of the losses of its outputs, in the loss of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

import rnnspec
from rnnspec.data import Batch, Dataset, Reading, encode, survey
from rnnspec.errors import DataError
from rnnspec.objective.objective import Forward, Objective
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan import resolve
from rnnspec.plan.facts import ClassFacts
from rnnspec.plan.facts_file import read_facts, write_facts
from rnnspec.source.text import Source
from rnnspec.spec import Spec
from rnnspec.spec.load import load_source
from rnnspec.spec.train import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from rnnspec.train.feed import MicroBatch, rows_of
from rnnspec.train.step import TrainStep
from tests.data_rows import any_spec, write_rows
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


# ---------------------------------------------------------------- weights of rows

WEIGHTS = np.array([2.0, 1.0, 0.0, 3.0, 1.0])
REPEATED = np.repeat(np.arange(len(LENGTHS)), WEIGHTS.astype(int))
WHOLE = ("class", "labels", "out_vector", "out_gaussian", "out_quantiles", "out_correlated")
EACH = ("tags", "path", "keys", "out_frames", "class")
DECODER = {"layers": [{"cell": "gru", "units": 4}], "max_steps": 6}
SMALL = {"units": 4, "cell": "gru"}
WEIGHED = {
    "rows": spec_data("N:1", ["frames"], [output(kind) for kind in WHOLE]),
    "steps": spec_data("N:N", ["frames"], [output(kind) for kind in EACH]),
    "text": spec_data("N:M", ["words"], [output("out_words")], decoder=DECODER),
    "alignment": spec_data("N:M", ["frames"], [output("out_chars")], decoder={"ctc": {}}),
    "frames": spec_data("N:M", ["frames"], [output("out_frames")], decoder=DECODER),
}


def gradients_of(objective: Objective, batches: Sequence[Batch]) -> list[torch.Tensor]:
    """The gradient of a step, in float64."""
    model = objective.model
    step = TrainStep(model, Train(clip_norm=None), WIDE, loss_settings=objective.loss_settings)
    micro = [MicroBatch(each, 0, 0, 0) for each in batches]
    before = [weight.detach().clone() for weight in step.trained]
    step.step(micro)
    for weight, value in zip(step.trained, before, strict=True):
        weight.data.copy_(value)
    return [torch.zeros_like(w) if w.grad is None else w.grad.clone() for w in step.trained]


@pytest.mark.parametrize("name", WEIGHED)
def test_a_row_of_weight_2_counts_as_two_and_one_of_0_not_at_all(name: str) -> None:
    objective, batch = objective_of(WEIGHED[name])
    weighed = replace(batch, weights=WEIGHTS)
    of_weights = gradients_of(objective, [weighed])
    of_rows = gradients_of(objective, [rows_of(batch, REPEATED)])
    parts = [rows_of(weighed, np.array(part)) for part in ([0, 3], [2], [4, 1])]
    in_parts = gradients_of(objective, parts)
    assert any((part != 0).any() for part in of_weights)
    for one, other, third in zip(of_weights, of_rows, in_parts, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)
        torch.testing.assert_close(one, third, rtol=1e-7, atol=1e-9)
    scaled = objective(replace(batch, weights=WEIGHTS / 100), WIDE).losses
    for column, value in objective(weighed, WIDE).losses.items():
        assert scaled[column].item() == pytest.approx(value.item()), "a weighted mean"


def test_a_penalty_is_whole_where_an_output_has_no_true_answer() -> None:
    """What a step adds to the gradient for the outputs of a layer does not depend on how many of
    the answers are known."""
    outputs = [output("class"), output("out_number")]
    data = spec_data("N:1", ["frames"], outputs, layers=[{**SMALL, "activation_l2": 3.0}])
    objective, batch = objective_of(data)
    unknown = {**batch.targets, "out_number": np.full_like(batch.targets["out_number"], np.nan)}
    some = replace(batch, targets=unknown)
    without, _ = objective_of(spec_data("N:1", ["frames"], outputs, layers=[SMALL]))
    penalties = []
    for given in (batch, some):
        pairs = zip(gradients_of(objective, [given]), gradients_of(without, [given]), strict=True)
        penalties.append([one - other for one, other in pairs])
    assert any((part.abs() > 1e-3).any() for part in penalties[0])
    for one, other in zip(*penalties, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


SPEC = """
name: weighed
cardinality: N:1
data:
  train: rows.csv
  input: {column: text, as: chars}
  output: {column: kind, as: class}
  weight: count
encoder: {embed: 4, layers: [{cell: gru, units: 4}]}
train: {epochs: 1}
"""


def encoded(folder: Path, cells: Sequence[str], weight: str = "count") -> Dataset:
    rows = [f"{'ab'[n % 2]},{'xy'[n % 2]},{cell}\n" for n, cell in enumerate(cells)]
    (folder / "rows.csv").write_text("".join([f"text,kind,{weight}\n", *rows]))
    spec = load_source(Source.of(SPEC, "spec.yaml"), Path("spec.yaml")).spec
    facts = survey(spec, folder / "rows.csv")
    plan = resolve(spec, facts)
    return encode(plan, facts, folder / "rows.csv", Reading.of(spec), folder / "cache")


def test_weights_are_read_from_a_column(tmp_path: Path) -> None:
    data = encoded(tmp_path, ["2", "0.5", "0", "1e3"])
    batch = data.collate(np.array([3, 0, 1]))
    assert batch.weights is not None and batch.weights.tolist() == [1000, 2, 0.5]
    part = data.part(np.array([1, 3])).collate(np.array([0, 1]))
    assert part.weights is not None and part.weights.tolist() == [0.5, 1000]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["1", "-2"], "rows.csv:3: column 'count' is -2, and the weight of a row is 0 or more"),
        (["1", ""], "rows.csv:3: column 'count' is empty, expected a number"),
        (["1", "nan"], "rows.csv:3: column 'count' is the text 'nan', expected a number; only"),
        (["0", "0"], "every row has the weight 0 in column 'count'; remove data.weight, or"),
    ],
)
def test_weights_that_cannot_be(tmp_path: Path, cells: list[str], message: str) -> None:
    with pytest.raises(DataError) as caught:
        encoded(tmp_path, cells)
    assert message in str(caught.value)


@pytest.mark.parametrize("kind", ["class", "ordinal", "tags"])
def test_balanced_labels_count_rows_as_they_weigh(kind: str, tmp_path: Path) -> None:
    """As scikit-learn has it, which is as if the rows stood there as often."""
    labels, weights = ["a", "b", "b", "a", "b"], [4.0, 0.5, 0.0, 1.0, 0.25]
    rows = [
        {"x": [[1.0]], "y": [label] if kind == "tags" else label, "w": weight}
        for label, weight in zip(labels, weights, strict=True)
    ]
    answer: dict[str, Any] = {"column": "y", "as": kind, "class_weights": "balanced"}
    answer |= {"labels": ["b", "a"]} if kind == "ordinal" else {}
    frames = {"column": "x", "as": "frames"}
    for weight, of_rows in ((None, None), ("w", weights)):
        spec = any_spec("N:N" if kind == "tags" else "N:1", [frames], answer, weight=weight)
        facts = survey(spec, write_rows(tmp_path / "rows.jsonl", rows))
        known = facts.outputs["y"]
        assert isinstance(known, ClassFacts)
        found = loss_settings_of(spec, facts).of("y").class_weights
        expected = compute_class_weight(
            "balanced", classes=np.array(known.labels), y=labels, sample_weight=of_rows
        )
        assert found == pytest.approx(tuple(expected))
        (kept := tmp_path / str(weight)).mkdir()
        write_facts(kept, facts)
        assert read_facts(kept).outputs == facts.outputs


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"as": "class", "class_weights": {"bb": 2.0}}, "has no 'bb' in any training row, .*'b'"),
        ({"as": "words", "slots": "SLOT_"}, "has no slot: no token .* begins with 'SLOT_'"),
    ],
)
def test_what_no_training_row_has_is_refused(
    answer: dict[str, Any], message: str, tmp_path: Path
) -> None:
    rows = [{"x": [[1.0]], "y": label} for label in "abab"]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    kind = "N:1" if answer["as"] == "class" else "N:M"
    frames, named = {"column": "x", "as": "frames"}, {"column": "y", **answer}
    with pytest.raises(DataError, match=message):
        survey(any_spec(kind, [frames], named), file)


def test_a_fold_may_lack_a_label_that_has_a_factor(tmp_path: Path) -> None:
    rows = [{"x": [[1.0]], "y": label} for label in "ababc"]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    answer = {"column": "y", "as": "class", "class_weights": {"c": 2.0}}
    frames, known = {"column": "x", "as": "frames"}, list[bool]()
    for fold in (1, 2):
        spec = any_spec("N:1", [frames], answer, valid={"fold": fold, "of": 2})
        labels = survey(spec, file).outputs["y"].labels  # type: ignore[union-attr]
        known.append("c" in labels)
    assert sorted(known) == [False, True]


def test_a_file_without_weights_is_measured_with_a_note(tmp_path: Path) -> None:
    rows = [{"text": "ab"[n % 2], "kind": "xy"[n % 2], "count": n + 1} for n in range(4)]
    spec = rnnspec.load(SPEC.replace("  train: rows.csv\n", ""))
    build = spec.build(tmp_path / "builds", data={"train": rows}, train=False)
    found = build.evaluate(rows)
    assert not found.warnings
    plain = build.evaluate([{key: row[key] for key in ("text", "kind")} for row in rows])
    assert "has no column 'count', so every row counts the same in the loss" in plain.warnings[0]
    of_frame = build.evaluate(pd.DataFrame(rows)[["text", "kind"]])
    assert of_frame.metrics == plain.metrics and len(of_frame.warnings) == 1
    assert plain.metrics["accuracy"] == found.metrics["accuracy"]
    assert plain.metrics["loss"] != pytest.approx(found.metrics["loss"])
