"""`data.weight` of series: how much each step that is answered counts in the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import log_loss, mean_absolute_error, mean_squared_error
from sklearn.utils.class_weight import compute_class_weight

import rnnspec
from rnnspec.data import Batch, Dataset, Reading, encode
from rnnspec.data.series import Part
from rnnspec.errors import DataError
from rnnspec.objective.objective import Objective, count_of
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan import resolve
from rnnspec.plan.facts import ClassFacts, Facts
from rnnspec.plan.nodes import ForecastOutput
from rnnspec.spec import Spec
from rnnspec.spec.train import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from rnnspec.train.feed import MicroBatch, rows_of
from rnnspec.train.step import TrainStep
from tests.data_rows import any_spec, encoded, whole, write_rows

WIDE = Precision(name="float64")
ROWS: list[dict[str, Any]] = [
    {"id": id, "day": day, "sold": sold, "stock": 9.0 - day, "kind": kind, "w": weight}
    for id, day, sold, kind, weight in (
        ("a", 1, 3.0, "x", 1.0),
        ("b", 1, 5.0, "y", 0.5),
        ("a", 2, 4.0, "y", 2.0),
        ("a", 4, 9.0, "y", 0.0),
        ("b", 2, 1.0, "x", 4.0),
        ("a", 5, 2.0, "x", 3.0),
        ("b", 3, 8.0, "y", 0.25),
        ("b", 4, 2.0, "y", 1.0),
        ("a", 6, 7.0, "x", 5.0),
    )
]
"""Of series a no row has day 3."""
SOLD: dict[str, Any] = {"column": "sold", "as": "series", "missing": "previous"}
AHEAD: dict[str, Any] = {"column": "sold", "as": "forecast", "horizon": 2}
FILLED: dict[str, Any] = {"id": "id", "time": "day", "every": 1, "fill": 0}


def windows(*outputs: Mapping[str, Any], **more: Any) -> Spec:
    """Forecasts from windows of two steps."""
    series = {**FILLED, "history": 2}
    return any_spec("N:M", [SOLD], list(outputs or [AHEAD]), series=series, weight="w", **more)


def steps(*outputs: Mapping[str, Any], train: Mapping[str, Any] | None = None, **more: Any) -> Spec:
    """An answer at each step of a series."""
    more = {"series": FILLED, "weight": "w", **more}
    return any_spec("N:N", [SOLD], list(outputs), train, **more)


def data_of(
    spec: Spec, folder: Path, rows: Sequence[Mapping[str, Any]] = ROWS, part: Part = "all"
) -> tuple[Facts, Dataset]:
    share = 0.4 if part != "all" else 0.0
    return encoded(spec, write_rows(folder / "rows.jsonl", rows), rows=part, share=share)


def test_weights_of_a_forecast_are_those_of_the_steps_ahead(tmp_path: Path) -> None:
    """A step without a row weighs as much as the row before it: 1, 2, (2), 0, 3, 5."""
    _, data = data_of(windows(), tmp_path)
    found = whole(data)
    assert found.weights is None
    assert found.targets["sold"].tolist() == [[0, 9], [9, 2], [2, 7], [8, 2]]
    assert found.step_weights["sold"].tolist() == [[2, 0], [0, 3], [3, 5], [0.25, 1]]
    part = data.part(np.array([2, 3])).collate(np.array([1, 0]))
    assert part.step_weights["sold"].tolist() == [[0.25, 1], [3, 5]]


def test_weights_of_each_step_are_those_of_what_is_answered_there(tmp_path: Path) -> None:
    """Of `next` the row after; at the last step of a series nothing is."""
    spec = steps({"column": "sold", "as": "next"}, {"column": "kind", "as": "tags"})
    _, data = data_of(spec, tmp_path)
    found = whole(data).step_weights
    assert found["kind"].tolist() == [[1, 2, 2, 0, 3, 5], [0.5, 4, 0.25, 1, 0, 0]]
    assert found["sold"][0, :5].tolist() == [2, 2, 0, 3, 5]
    assert found["sold"][1, :3].tolist() == [4, 0.25, 1]
    parts = [batch.step_weights["kind"].ravel() for batch, _ in data.lanes(2, 4)]
    assert sorted(np.concatenate(parts).tolist()) == sorted(found["kind"].ravel().tolist())


def test_each_row_of_a_wide_table_weighs_all_of_its_steps(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"1": 3.0, "2": 4.0, "3": 5.0}, {"1": 1.0, "2": 0.0, "3": 7.0}]
    rows = [{**row, "id": id, "w": w} for row, id, w in zip(rows, "ab", (2.0, 0.5), strict=True)]
    table = {"wide": {"sold": ["1", "2", "3"]}}
    spec = any_spec(
        "N:M",
        [SOLD],
        {**AHEAD, "horizon": 1},
        series={"id": "id", "history": 2},
        weight="w",
        table=table,
    )
    _, data = data_of(spec, tmp_path, rows)
    assert whole(data).step_weights["sold"].tolist() == [[2.0], [0.5]]


# ---------------------------------------------------------------- the loss


def objective_of(spec: Spec, facts: Facts) -> Objective:
    model = Model(resolve(spec, facts))
    model.start(facts, seed=1)
    model.to(torch.float64).train()
    return Objective(model, spec.train, loss_settings_of(spec, facts))


def test_the_loss_is_the_weighted_mean(tmp_path: Path) -> None:
    """As scikit-learn has it, and once by hand."""
    facts, data = data_of(windows(), tmp_path)
    objective, batch = objective_of(windows(), facts), whole(data)
    found = objective(batch, WIDE)
    module: Any = objective.model.output("sold")
    moments = objective.model.moments("sold", found.inputs)
    true = module.to_scale(found.targets["sold"], moments, None).numpy()
    raw = found.logits["sold"].detach().numpy().reshape(true.shape)
    weights = batch.step_weights["sold"]
    of_library = mean_squared_error(true.ravel(), raw.ravel(), sample_weight=weights.ravel())
    assert found.losses["sold"].item() == pytest.approx(of_library)
    squares = [(one - other) ** 2 for one, other in zip(raw.ravel(), true.ravel(), strict=True)]
    by_hand = 2 * squares[0] + 3 * squares[3] + 3 * squares[4] + 5 * squares[5]
    by_hand = (by_hand + 0.25 * squares[6] + squares[7]) / 14.25
    assert found.losses["sold"].item() == pytest.approx(by_hand)
    assert objective.counts(batch) == {"sold": 14.25}


def test_the_loss_of_each_step_is_the_weighted_mean(tmp_path: Path) -> None:
    spec = steps(
        {"column": "sold", "as": "next"}, {"column": "kind", "as": "tags"}, train={"loss": "mae"}
    )
    facts, data = data_of(spec, tmp_path)
    objective, batch = objective_of(spec, facts), whole(data)
    found = objective(batch, WIDE)
    known = batch.targets["kind"] >= 0
    shares = found.logits["kind"].softmax(-1).detach().numpy()[known]
    weights = batch.step_weights["kind"][known]
    of_library = log_loss(batch.targets["kind"][known], shares, sample_weight=weights)
    assert found.losses["kind"].item() == pytest.approx(of_library)
    module: Any = objective.model.output("sold")
    true = module.scale(found.targets["sold"])[..., 0].numpy()
    known = ~np.isnan(true)
    raw = found.logits["sold"].detach().numpy().reshape(true.shape)[known]
    weights = batch.step_weights["sold"][known]
    of_library = mean_absolute_error(true[known], raw, sample_weight=weights)
    assert found.losses["sold"].item() == pytest.approx(of_library)


LAWS: tuple[Any, ...] = ("point", "gaussian", "negative_binomial", {"quantiles": [0.1, 0.5]})
LAWS += ({"mixture": 2},)
ANSWERS: dict[str, Spec] = {
    **{f"ahead, {law}": windows({**AHEAD, "distribution": law}) for law in LAWS},
    **{
        f"{kind}, {law}": steps({"column": column, "as": kind, "distribution": law})
        for kind, column in (("next", "sold"), ("frames", "stock"))
        for law in LAWS
    },
    "tags": steps({"column": "kind", "as": "tags", "label_smoothing": 0.1}),
    "ordinal": steps({"column": "kind", "as": "tags", "labels": ["x", "y"]}),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_step_of_weight_2_counts_twice_and_one_of_0_not_at_all(name: str, tmp_path: Path) -> None:
    """The oracle is the loss without weights of the steps of weight 1 or more, and of those of 2
    or more, added up."""
    spec = ANSWERS[name]
    facts, data = data_of(spec, tmp_path)
    objective, batch = objective_of(spec, facts), whole(data)
    ((column, node),) = objective.outputs.items()
    draw = np.random.default_rng(0)
    weights = draw.integers(0, 3, batch.step_weights[column].shape).astype(np.float64)
    weighed = replace(batch, step_weights={column: weights})
    total, count = 0.0, 0.0
    for least in (1, 2):
        masked = only(batch, column, weights >= least)
        answers = count_of(node, masked.targets[column])
        total += answers * objective(masked, WIDE).losses[column].item()
        count += answers
    assert count_of(node, batch.targets[column], weights) == count > 0
    assert objective(weighed, WIDE).losses[column].item() == pytest.approx(total / count)
    at_once = gradients_of(objective, [weighed])
    in_parts = gradients_of(objective, [rows_of(weighed, np.array([at])) for at in (1, 0)])
    if not isinstance(node, ForecastOutput):  # of which there are four windows
        for one, other in zip(at_once, in_parts, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-9)
    assert any((part != 0).any() for part in at_once)


def only(batch: Batch, column: str, kept: NDArray[np.bool_]) -> Batch:
    """The batch without weights, and without the targets of the other steps."""
    targets = batch.targets[column].copy()
    targets[~kept] = np.nan if targets.dtype.kind == "f" else -1
    return replace(batch, targets={column: targets}, step_weights={})


def gradients_of(objective: Objective, batches: Sequence[Batch]) -> list[torch.Tensor]:
    """The gradient of a step, in float64; the weights stay."""
    settings = Train(clip_norm=None)
    step = TrainStep(objective.model, settings, WIDE, loss_settings=objective.loss_settings)
    before = [weight.detach().clone() for weight in step.trained]
    step.step([MicroBatch(each, 0, 0, 0) for each in batches])
    for weight, value in zip(step.trained, before, strict=True):
        weight.data.copy_(value)
    return [torch.zeros_like(w) if w.grad is None else w.grad.clone() for w in step.trained]


def test_balanced_labels_of_steps_count_as_they_weigh(tmp_path: Path) -> None:
    spec = steps({"column": "kind", "as": "tags", "class_weights": "balanced"})
    facts, _ = data_of(spec, tmp_path)
    known = facts.outputs["kind"]
    assert isinstance(known, ClassFacts)
    expected = compute_class_weight(
        "balanced",
        classes=np.array(known.labels),
        y=[row["kind"] for row in ROWS],
        sample_weight=[row["w"] for row in ROWS],
    )
    found = loss_settings_of(spec, facts).of("kind").class_weights
    assert found == pytest.approx(tuple(expected))


# ---------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("cells", "part", "message"),
    [
        ({3: -1.0}, "all", "column 'w' is -1, and the weight of a row is 0 or more"),
        ({3: None}, "all", "column 'w' is null, expected a number"),
        (dict.fromkeys(range(9), 0.0), "all", "every answered step has the weight 0 in column 'w'"),
        ({5: 0.0, 8: 0.0, 6: 0.0, 7: 0.0}, "valid", "every answered step for validation has the"),
    ],
)
def test_weights_that_cannot_be(
    cells: Mapping[int, float | None], part: Part, message: str, tmp_path: Path
) -> None:
    rows = [{**row, "w": cells.get(at, row["w"])} for at, row in enumerate(ROWS)]
    with pytest.raises(DataError) as caught:
        data_of(windows(), tmp_path, rows, part)
    assert message in str(caught.value)


def test_steps_before_the_first_answer_may_weigh_nothing(tmp_path: Path) -> None:
    """Windows read them, and answer what follows."""
    rows = [{**row, "w": 1.0 if row["day"] > 4 else 0.0} for row in ROWS]
    _, data = data_of(windows(), tmp_path, rows)
    assert whole(data).step_weights["sold"].tolist() == [[0, 0], [0, 1], [1, 1], [0, 0]]


def test_another_weight_is_another_cache(tmp_path: Path) -> None:
    facts, one = data_of(windows(), tmp_path)
    reading = replace(Reading.of(windows()), weight=None)
    plan = resolve(windows(), facts)
    other = encode(plan, facts, tmp_path / "rows.jsonl", reading, tmp_path / "cache")
    assert other.key != one.key and not other.is_weighted and one.is_weighted
    assert whole(other).weights_of("sold") is None


SPEC = """
name: weighed
cardinality: N:M
data:
  series: {id: id, time: day, every: 1, history: 2, fill: 0}
  input: {column: sold, as: series}
  output: {column: sold, as: forecast, horizon: 2}
  weight: w
encoder: {layers: [{cell: gru, units: 3}]}
train: {epochs: 1}
"""


def test_a_build_is_measured_with_and_without_weights(tmp_path: Path) -> None:
    """Metrics count every step once."""
    build = rnnspec.load(SPEC).build(tmp_path, data={"train": ROWS, "valid": ROWS})
    found = build.evaluate(ROWS)
    assert not found.warnings
    bare = [{name: row[name] for name in ("id", "day", "sold")} for row in ROWS]
    plain = build.evaluate(bare)
    assert "has no column 'w', so every row counts the same in the loss" in plain.warnings[0]
    assert plain.metrics["mae"] == found.metrics["mae"]
    assert plain.metrics["loss"] != pytest.approx(found.metrics["loss"])
    assert len(list(build.predict(bare))) == 4
