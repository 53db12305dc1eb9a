"""Values of a series some steps before, in windows, ahead, in files: what pandas' shift says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rnnspec.data import Reading, encode, survey
from rnnspec.errors import DataError, ExportError
from rnnspec.export import export_onnx
from rnnspec.plan import NumericFacts, resolve
from rnnspec.plan.stream import stream_of
from rnnspec.spec import Spec
from rnnspec.store.folder import BuildFolder, Trained
from rnnspec.to_torch import Model
from rnnspec.to_torch.sequences import PaddedSequence, sequence
from tests.answers import all_values
from tests.cli import right
from tests.data_rows import any_spec, write_rows
from tests.test_export_kinds import quick as quick
from tests.test_future import started

HISTORY, HORIZON, LAGS = 4, 5, (9, 2)
SIZES = {"a": 30, "b": 18, "c": 8}
"""Of series, of which the last has fewer steps than a window and its longest lag."""
DRAW = np.random.default_rng(1)
TABLE = pd.concat(
    pd.DataFrame(
        {"id": name, "t": range(n), "sold": DRAW.normal(5, 2, n), "price": DRAW.normal(0, 1, n)}
    )
    for name, n in SIZES.items()
)
DECODER = {"decoder": {"layers": [{"cell": "gru", "units": 3}]}}


def spec_of(known: bool = False, **more: Any) -> Spec:
    sold = {"column": "sold", "as": "series", "lags": list(LAGS)}
    price = {"column": "price", "as": "series", "known": known, "lags": [3]}
    ahead = {"column": "sold", "as": "forecast", "horizon": HORIZON}
    series = {"time": "t", "id": "id", "history": HISTORY}
    spec = any_spec("N:M", [sold, price], ahead, series=series)
    return Spec.model_validate({**spec.model_dump(mode="json", exclude_unset=True), **more})


def write(table: pd.DataFrame, file: Path) -> Path:
    return write_rows(file, json.loads(table.to_json(orient="records", double_precision=15)))


def shifted(column: str, lag: int, known: NumericFacts) -> dict[str, np.ndarray[Any, Any]]:
    """A column of each series so many steps before, as it is scaled, with the steps that follow."""
    found = {}
    for name, table in TABLE.groupby("id"):
        longer = table[column].reindex(range(len(table) + HORIZON))
        scaled = (longer - known.mean[0]) / known.deviation[0]
        found[str(name)] = scaled.shift(lag).fillna(0.0).to_numpy()
    return found


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("more", [{}, DECODER], ids=["at once", "recursive"])
def test_lags_of_all_windows_are_those_of_shift(
    more: dict[str, Any], known: bool, tmp_path: Path
) -> None:
    spec, file = spec_of(known, **more), write(TABLE, tmp_path / "rows.csv")
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    data = encode(plan, facts, file, Reading.of(spec), tmp_path / "cache", "all")
    batch = data.collate(np.arange(data.rows))
    model = Model(plan).eval()
    model.start(facts, seed=0)
    inputs = {k: (torch.from_numpy(v), torch.from_numpy(n)) for k, (v, n) in batch.inputs.items()}
    values = all_values(model, inputs)
    latest, names = sequence(values["latest"]), ["sold", "price"]
    columns = [("sold", lag) for lag in LAGS] + [("price", 3)]
    expected = {each: shifted(*each, facts.inputs[each[0]]) for each in columns}  # type: ignore[arg-type]
    ends = [(name, end) for name, n in SIZES.items() for end in ends_of(n)]
    assert len(ends) == data.rows
    for row, (name, end) in enumerate(ends):
        first = max(0, end - HISTORY)
        found = latest.values[: latest.lengths.of_rows[row], row].numpy()
        assert len(found) == end - first
        past = [expected[each][name][first:end] for each in columns]
        np.testing.assert_allclose(found[:, [1, 2, 4]], np.stack(past, 1), atol=1e-5)
        for column in names:
            lags = [lag for each, lag in columns if each == column]
            ahead = values[f"input.{column}.lags.future"]
            got = ahead.values[:, row] if isinstance(ahead, PaddedSequence) else ahead[row]
            of = [expected[column, lag][name][end : end + HORIZON] for lag in lags]
            check_ahead(got.numpy(), of, lags, known and column == "price", bool(more))


def ends_of(steps: int) -> range:
    """Where the pasts of the windows of a series end."""
    last = steps - HORIZON
    return range(min(HISTORY, last), last + 1)


def check_ahead(
    found: np.ndarray[Any, Any],
    expected: list[np.ndarray[Any, Any]],
    lags: list[int],
    known: bool,
    recursive: bool,
) -> None:
    """Values that are known are those of shift; others those of the last such lag that is."""
    if not recursive:
        parts = [of[:lag] for of, lag in zip(expected, lags, strict=True)]
        np.testing.assert_allclose(found, np.concatenate(parts), atol=1e-5)
        return
    for at, (of, lag) in enumerate(zip(expected, lags, strict=True)):
        again = of if known else np.resize(of[:lag], HORIZON)
        np.testing.assert_allclose(found[:, at], again, atol=1e-5)


def test_a_lag_before_the_first_step_of_every_series_is_refused(tmp_path: Path) -> None:
    """The longest series has 30 steps, 0 to 29: a lag of 29 is known at the last one alone."""
    file = write(TABLE, tmp_path / "rows.csv")
    for lag in (29, 30):
        told = spec_of().model_dump(mode="json", exclude_unset=True)
        told["data"]["input"][1]["lags"] = [3, lag]
        spec = Spec.model_validate(told)
        if lag < 30:
            survey(spec, file)
            continue
        with pytest.raises(DataError, match=r"the lag 30 of 'price' is never known: no series has"):
            survey(spec, file)


def test_a_file_reads_so_far_back_as_its_lags_and_no_further(quick: None, tmp_path: Path) -> None:
    """A value before that changes no answer of `rnnspec run`, one within it does."""
    spec = spec_of()
    file = write(TABLE, tmp_path / "rows.csv")
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    trained = Trained(BuildFolder(tmp_path), spec, plan, facts, started(plan, facts))
    model = tmp_path / "model.onnx"
    export_onnx(trained, model)
    past = TABLE[(TABLE.id != "a") | (TABLE.t < 20)]
    changed = past.assign(sold=past.sold.where((past.id != "a") | (past.t > 3), 50.0))
    found = []
    for number, table in enumerate((past, changed)):
        data = write(table, tmp_path / f"{number}.csv")
        lines = right("run", str(model), "--data", str(data), "--json").splitlines()
        found.append([json.loads(line)["sold"] for line in lines])
    assert found[0] == found[1], "of 20 steps the last 4 are read, and 9 before them"
    data = write(past.assign(sold=past.sold.where(past.t != 7, 50.0)), tmp_path / "2.csv")
    lines = right("run", str(model), "--data", str(data), "--json").splitlines()
    assert json.loads(lines[0])["sold"] != found[0][0]
    with pytest.raises(ExportError, match="train a model without"):
        stream_of(plan)
