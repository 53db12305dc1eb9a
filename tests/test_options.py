"""An option of a column concerns every node of that column: kinds x options x what is made of them.

What stands for a missing number is filled in by pandas (`ffill` over the past and what is known
ahead, then the mean): a row with gaps is answered as the row that pandas fills.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from rnnspec.export import export_onnx
from rnnspec.plan import Facts, NumericFacts, Plan, resolve
from rnnspec.plan.names import answer_name
from rnnspec.plan.nodes import (
    Elapsed,
    ForecastOutput,
    FramesInput,
    FutureInput,
    NumericOutput,
    PreviousNumber,
    SeriesInput,
    VectorInput,
    WindowMoments,
)
from rnnspec.reference import answers
from rnnspec.run import Model as Run
from rnnspec.run.session import Session
from rnnspec.source.emit import to_yaml
from rnnspec.spec import Spec
from rnnspec.spec.inputs import Input
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import read_build
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.train.build import build
from tests.answers import of_torch
from tests.column_facts import numbers
from tests.kinds import HORIZON, Row, batched, feeds, random_rows, strong_weights

NAN = float("nan")
MEAN = sum(at % 3 for at in range(48) if at != 20) / 47
"""Of the promotions of the training rows below, without the gap."""
LENGTHS = (5, 1, 0, 4)
HERE = {"missing", "scale", "known", "elapsed"}
"""Options of numbers, walked here."""
ELSEWHERE = {
    "observed": "test_forecast_units.py",
    "transform": "test_forecast_units.py",
    "lags": "test_lags.py",
    "difference": "test_differences.py",
    "of": "test_nested.py",
    "encoder": "test_nested.py",
    "unknown": "test_forecast_units.py, test_categories.py",
    "encode": "test_calendar.py",
    "join": "test_conformance_cardinalities.py",
    "embed": "test_conformance_cardinalities.py",
    "spelling": "test_conformance_cardinalities.py",
    "fold_case": "test_to_onnx_text.py",
    "normalize": "test_text_rules.py",
    "split": "test_text_rules.py",
    "vectors": "test_vectors.py",
    "min_count": "test_data_survey.py",
    "max_size": "test_data_survey.py",
    "size": "test_data_subwords.py",
    "channels": "test_pictures.py, test_audio.py",
    "height": "test_pictures.py",
    "invert": "test_pictures.py",
    "steps": "test_pictures.py",
    "width": "test_pictures.py",
    "augment": "test_audio_augment.py, test_picture_augment.py",
    "features": "test_audio.py, test_calendar.py",
    "rate": "test_audio.py",
    "resample": "test_audio.py",
}
"""Options of texts and labels, whose one vocabulary all nodes of a column have, and of pictures and
sound, which have one node."""
NODES = {
    "frames": (FramesInput, Elapsed),
    "next frames": (FramesInput, Elapsed, NumericOutput),
    "number": (VectorInput,),
    "vector": (VectorInput,),
    "series": (SeriesInput, WindowMoments, FutureInput, ForecastOutput),
    "recursive series": (SeriesInput, WindowMoments, FutureInput, ForecastOutput, PreviousNumber),
    "next series": (SeriesInput, NumericOutput),
}


def test_every_option_of_every_kind_is_walked_somewhere() -> None:
    kinds = get_args(get_args(Input)[0])
    options = {name for kind in kinds for name in kind.model_fields} - {"column", "as_"}
    assert options == HERE | ELSEWHERE.keys()


def spec_of(place: str, **options: Any) -> Spec:
    """A spec with one column of numbers, "x", read and perhaps answered."""
    kind = place.split()[-1]
    column: dict[str, Any] = {"column": "x", "as": kind, **options}
    data: dict[str, Any] = {"train": "nowhere.csv", "input": column}
    spec: dict[str, Any] = {"name": "options", "cardinality": "N:N", "data": data}
    data["output"] = {"column": "x", "as": "next"}
    if kind in ("number", "vector"):
        spec["cardinality"], data["output"] = "1:1", {"column": "y", "as": "number"}
        return Spec.model_validate(spec)
    spec["encoder"] = {"layers": [{"cell": "cfc" if kind == "frames" else "gru", "units": 4}]}
    if kind == "frames":
        data["train"], column["elapsed"] = "nowhere.jsonl", 1
    if place == "frames":
        spec["cardinality"], data["output"] = "N:1", {"column": "y", "as": "number"}
    if kind == "series":
        data["series"] = {}
    if place in ("series", "recursive series"):
        column["known"], data["series"] = True, {"history": 5}
        spec["cardinality"] = "N:M"
        data["output"] = {"column": "x", "as": "forecast", "horizon": HORIZON}
    if place == "recursive series":
        spec["decoder"] = {"layers": [{"cell": "gru", "units": 4}]}
    return Spec.model_validate(spec)


def planned(place: str, factor: float = 1.0, **options: Any) -> tuple[Plan, Facts]:
    spec = spec_of(place, **options)
    width = {"frames": 3, "vector": 3}.get(place.split()[-1], 1)
    facts = numbers(width)
    scaled = NumericFacts(
        width,
        tuple(mean * factor for mean in facts.mean),
        tuple(deviation * factor for deviation in facts.deviation),
        facts.longest,
    )
    column = {"x": scaled}
    known = Facts(
        20,
        column,
        column if place.split()[-1] in ("series",) or "next" in place else {"y": numbers(1)},
    )
    return resolve(spec, known), known


def made_of(plan: Plan) -> set[type]:
    """The nodes of the column, but for layers."""
    found = {type(n) for n in plan.every_node() if getattr(n, "column", "") == "x"}
    return found | {type(n) for n in plan.every_node() if isinstance(n, PreviousNumber)}


def weighted(plan: Plan, facts: Facts) -> dict[str, Any]:
    """Strong weights, and what is taken from the facts."""
    model = Model(plan)
    model.start(facts, 0)
    own, strong = model.canonical_arrays(), strong_weights(plan)
    taken = (".mean", ".deviation", ".rest")
    return {name: own[name] if name.endswith(taken) else strong[name] for name in own}


def everywhere(
    plan: Plan, facts: Facts, weights: Mapping[str, Any], rows: Sequence[Row]
) -> dict[str, np.ndarray[Any, Any]]:
    """The answers of the reference, of torch and of the file, flat."""
    (out,) = plan.outputs
    (of_reference,) = answers(plan, weights, rows).values()
    model = Model(plan).eval()
    model.load_canonical(weights)
    (torch_answers,) = of_torch(model, batched(plan, rows)).values()
    session = Session(to_onnx(plan, facts, weights, ids=True).SerializeToString(), threads=1)
    told = session.run(feeds(plan, rows))[answer_name(plan, out)]
    if getattr(out, "steps", False):
        lengths = [len(row["x"]) for row in rows]
        cut = [
            np.concatenate([each[:n] for each, n in zip(found, lengths, strict=True)])
            for found in (torch_answers, told)
        ]
        return {
            "reference": np.concatenate(of_reference).ravel(),
            "torch": cut[0].ravel(),
            "file": cut[1].ravel(),
        }
    return {
        "reference": np.asarray(of_reference).ravel(),
        "torch": torch_answers.ravel(),
        "file": told.ravel(),
    }


def filled(plan: Plan, row: Row, missing: str, facts: Facts) -> Row:
    """The row as pandas fills it."""
    found, known = dict(row), facts.inputs["x"]
    assert isinstance(known, NumericFacts)
    past = pd.DataFrame(np.asarray(row["x"], np.float64).reshape(-1, known.width))
    ahead = pd.DataFrame(np.asarray(row.get("x.future", []), np.float64).reshape(-1, 1))
    whole = pd.concat([past, ahead], ignore_index=True) if len(ahead) else past
    if missing == "previous" and not isinstance(plan.inputs[0], VectorInput):
        whole = whole.ffill()
    mean = pd.Series(np.array(known.mean, np.float32).astype(np.float64))
    moments = [n for n in plan.nodes if isinstance(n, WindowMoments)]
    if moments:  # the centre of the window, of what is not missing in it
        window = whole.iloc[: len(past)].mean()
        centre = 0.0 if moments[0].kind == "mean" else window
        mean = window * 0 + centre if window.notna().all() else mean * (moments[0].kind != "mean")
    steps = whole if not moments else whole.iloc[len(past) :]
    whole = pd.concat([whole.iloc[: len(whole) - len(steps)], steps.fillna(mean)])
    values = whole.to_numpy().astype(np.float32)
    found["x"] = values[: len(past)].reshape(np.shape(row["x"]))
    if len(ahead):
        found["x.future"] = values[len(past) :, 0]
    return found


SCALES = {
    "frames": ["standard"],
    "next frames": ["standard"],
    "number": ["standard"],
    "vector": ["standard"],
    "series": ["standard", "robust", "window", "mean"],
    "recursive series": ["standard", "robust", "window", "mean"],
    "next series": ["standard", "robust"],
}
WALK = [
    (place, scale, missing)
    for place, scales in SCALES.items()
    for scale in scales
    for missing in ("mean", "previous")
]


@pytest.mark.parametrize(("place", "scale", "missing"), WALK)
def test_a_row_with_gaps_is_answered_as_the_row_that_pandas_fills(
    place: str, scale: str, missing: str
) -> None:
    plan, facts = planned(place, scale=scale, missing=missing)
    assert made_of(plan) | {WindowMoments} >= set(NODES[place])
    assert (WindowMoments in made_of(plan)) == (scale in ("window", "mean"))
    weights = weighted(plan, facts)
    rows = random_rows(plan, LENGTHS, seed=3)
    if place.endswith("series"):
        rows[0]["x"][-1] = NAN  # what goes on from the past has to go on from before it
    if "x.future" in rows[0]:
        for row in rows:
            row["x.future"][:2] = NAN
    complete = [filled(plan, row, missing, facts) for row in rows]
    gaps = sum(int(np.isnan(np.asarray(row[key])).sum()) for row in rows for key in row)
    left = sum(int(np.isnan(np.asarray(row[key])).sum()) for row in complete for key in row)
    assert gaps > left
    with_gaps = everywhere(plan, facts, weights, rows)
    without = everywhere(plan, facts, weights, complete)
    for where in with_gaps:
        np.testing.assert_allclose(
            with_gaps[where], without["reference"], rtol=1e-4, atol=1e-4, err_msg=where
        )


@pytest.mark.parametrize(
    ("place", "scale"), [(p, s) for p, scales in SCALES.items() for s in scales]
)
def test_every_node_of_a_column_has_its_unit(place: str, scale: str) -> None:
    """The column times 2^20, and the facts with it: the same answers, times 2^20 where they are in
    its unit."""
    factor = 2.0**20
    plan, facts = planned(place, scale=scale)
    other, large = planned(place, factor, scale=scale)
    weights, rows = weighted(plan, facts), random_rows(plan, LENGTHS, seed=4)
    same = {**weights, **{n: v for n, v in weighted(other, large).items() if "input" in n}}
    same |= {n: v for n, v in weighted(other, large).items() if n.startswith("output")}
    scaled = [{key: _times(plan, key, value, factor) for key, value in row.items()} for row in rows]
    expected = everywhere(plan, facts, weights, rows)
    found = everywhere(other, large, same, scaled)
    unit = factor if plan.outputs[0].column == "x" else 1.0
    for where, values in found.items():
        np.testing.assert_allclose(
            values / unit, expected["reference"], rtol=1e-4, atol=1e-4, err_msg=where
        )


def _times(plan: Plan, key: str, value: Any, factor: float) -> Any:
    """But for the time since the step before, which is not scaled."""
    found = np.array(value, np.float32) * np.float32(factor)
    node = plan.inputs[0]
    if isinstance(node, FramesInput) and node.elapsed is not None:
        found[:, node.elapsed] = np.asarray(value)[:, node.elapsed]
    return found


@pytest.mark.parametrize("missing", ["mean", "previous"])
@pytest.mark.parametrize("recursive", [False, True])
def test_gaps_of_a_covariate_reach_neither_the_loss_nor_an_answer(
    tmp_path: Path, missing: str, recursive: bool
) -> None:
    """One empty cell of what is known ahead made the loss NaN, for it lies in the future of some
    windows."""
    lines = ["n,sold,promo"]
    lines += [f"{at},{10 + at % 5},{'' if at in (20, 57, 58) else at % 3}" for at in range(60)]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    promo = {"column": "promo", "as": "series", "known": True, "missing": missing}
    spec: dict[str, Any] = {
        "name": "covariate",
        "cardinality": "N:M",
        "data": {
            "train": "rows.csv",
            "valid": 0.2,
            "series": {"time": "n", "history": 6},
            "input": [{"column": "sold", "as": "series"}, promo],
            "output": {"column": "sold", "as": "forecast", "horizon": 2},
        },
        "encoder": {"layers": [{"cell": "gru", "units": 4}]},
        "train": {"epochs": 1, "batch": 16, "threads": 1},
    }
    if recursive:
        spec["decoder"] = {"layers": [{"cell": "gru", "units": 4}]}
    (tmp_path / "covariate.yaml").write_text(to_yaml(spec))
    result = build(load_spec(tmp_path / "covariate.yaml"), tmp_path / "builds", Silent())
    assert np.isfinite(result.metrics["loss"]) and np.isfinite(result.metrics["mae"])
    export_onnx(read_build(result.folder), tmp_path / "model.onnx")
    model = Run.load(tmp_path / "model.onnx", threads=1)
    past = {"sold": [10, 11, 12], "promo": [0, 1, 2]}
    rows = [
        {**past, "promo.future": [None, 1]},
        {**past, "promo.future": [2 if missing == "previous" else MEAN, 1]},
    ]
    gap, full = (np.array(answer["sold"]) for answer in model.answer(rows))
    np.testing.assert_allclose(gap, full, rtol=1e-5)
