"""Labels that change with the steps of series: pandas says which stand in each window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rnnspec.data import Reading, encode, survey
from rnnspec.data.shards import Shards
from rnnspec.errors import DataError
from rnnspec.export import export_onnx
from rnnspec.plan import resolve
from rnnspec.plan.facts import UNKNOWN_ID, TextFacts
from rnnspec.plan.nodes import CategoriesFuture, CategoriesInput
from rnnspec.run import Model as ModelFile
from rnnspec.run.series import from_table, reading_of
from rnnspec.spec import Spec
from rnnspec.store.folder import BuildFolder, Trained
from rnnspec.to_torch import Model
from rnnspec.to_torch.inputs import Categories
from tests.data_rows import any_spec, write_rows
from tests.test_export_kinds import quick as quick

HISTORY, HORIZON, DAYS = 5, 3, 16
LABELS = ["", "", "xmas", "", "eve", "new"]
"""Of the days one after the other: by pandas, an empty cell is none."""
DECODER: dict[str, Any] = {"decoder": {"layers": [{"cell": "gru", "units": 4}]}}


def spec_of(
    known: bool = True, series: Mapping[str, Any] = MappingProxyType({}), **more: Any
) -> Spec:
    sold = {"column": "sold", "as": "series"}
    said = {"column": "day", "as": "categories", "embed": 3, "known": known, "min_count": 2}
    ahead = {"column": "sold", "as": "forecast", "horizon": HORIZON}
    series = {"time": "t", "id": "id", "history": HISTORY, **series}
    spec = any_spec("N:M", [said, sold], ahead, series=series)
    return Spec.model_validate({**spec.model_dump(mode="json", exclude_unset=True), **more})


def table(gaps: tuple[int, ...] = ()) -> list[dict[str, Any]]:
    """The days of two series; those of the second have other labels, one of them once."""
    return [
        {
            "id": name,
            "t": f"{day:%Y-%m-%d}",
            "sold": at % 4,
            "day": "once" if (name, at) == ("b", 9) else LABELS[(at + 2 * (name == "b")) % 6],
        }
        for name in ("a", "b")
        for at, day in enumerate(pd.date_range("2023-12-24", periods=DAYS))
        if not (name == "b" and at in gaps)
    ]


def numbers_by_pandas(known: TextFacts, fill: str | None) -> dict[str, pd.Series]:
    """The number of the label of each day of each series."""
    numbers = {label: at for at, label in enumerate(known.vocabulary.entries, UNKNOWN_ID + 1)}
    frame = pd.DataFrame(table((6, 7, 12) if fill else ()))
    frame["t"] = pd.to_datetime(frame["t"])
    found = {}
    for name, rows in frame.groupby("id"):
        of_rows = rows.set_index("t")["day"].map(numbers).fillna(UNKNOWN_ID)
        whole = of_rows.asfreq("D", method="ffill" if fill == "previous" else None)
        found[str(name)] = whole.fillna(UNKNOWN_ID).astype(np.int64)
    return found


@pytest.mark.parametrize("fill", [None, "previous", "0"])
def test_labels_of_all_windows_are_those_of_pandas(fill: str | None, tmp_path: Path) -> None:
    settings = {} if fill is None else {"every": "day", "fill": 0 if fill == "0" else fill}
    spec = spec_of(series=settings)
    file = write_rows(tmp_path / "rows.csv", table((6, 7, 12) if fill else ()))
    facts = survey(spec, file)
    known = facts.inputs["day"]
    assert isinstance(known, TextFacts) and set(known.vocabulary.entries) == {"xmas", "eve", "new"}
    data = encode(resolve(spec, facts), facts, file, Reading.of(spec), tmp_path / "cache", "all")
    batch = data.collate(np.arange(data.rows))
    past, ahead = (batch.inputs[key][0] for key in ("day", "day.future"))
    of_series = numbers_by_pandas(known, fill)
    expected = [
        of.shift(-step).iloc[: DAYS - HISTORY - HORIZON + 1]
        for of in of_series.values()
        for step in range(HISTORY + HORIZON)
    ]
    of_steps = np.stack(expected).reshape(2, HISTORY + HORIZON, -1).transpose(0, 2, 1)
    wanted = of_steps.reshape(-1, HISTORY + HORIZON).astype(np.int64)
    np.testing.assert_array_equal(past, wanted[:, :HISTORY])
    np.testing.assert_array_equal(ahead, wanted[:, HISTORY:])


def build_of(spec: Spec, file: Path, folder: Path) -> Trained:
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    module = Model(plan)
    module.start(facts, seed=3)
    return Trained(BuildFolder(folder), spec, plan, facts, module.canonical_arrays())


def rows_of(model: ModelFile, file: Path) -> list[dict[str, Any]]:
    reading = reading_of(model)
    assert reading.series is not None
    rows = []
    for _, row in from_table(model, Shards.of(file), reading.series, reading.how).rows():
        if isinstance(row, DataError):
            raise row
        rows.append(row)
    return rows


FUTURE = ["eve", "", "never seen"]


def with_future(labels: list[str]) -> list[dict[str, Any]]:
    days = pd.date_range("2023-12-24", periods=DAYS + HORIZON)[DAYS:]
    ahead = zip(days, labels, strict=False)
    more = [{"id": "a", "t": f"{t:%Y-%m-%d}", "sold": "", "day": label} for t, label in ahead]
    return [*(row for row in table() if row["id"] == "a"), *more]


@pytest.mark.parametrize("how", ["direct", "recursive"])
def test_a_file_reads_labels_of_the_past_and_ahead(how: str, tmp_path: Path) -> None:
    """Of texts and of ids, of a table and of rows of JSON; what was never seen is the unknown."""
    build = build_of(
        spec_of(**(DECODER if how == "recursive" else {})),
        write_rows(tmp_path / "rows.csv", table()),
        tmp_path,
    )
    known = build.facts.inputs["day"]
    assert isinstance(known, TextFacts)
    exported = tmp_path / "model.onnx"
    assert export_onnx(build, exported).rows > 0
    model = ModelFile.load(exported)
    (row,) = rows_of(model, write_rows(tmp_path / "next.csv", with_future(FUTURE)))
    assert row["day.future"] == ["eve", None, "never seen"]
    (answer,) = model.answer([row])
    (same,) = model.answer([row | {"day.future": ["eve", "unheard of", None]}])
    (other,) = model.answer([row | {"day.future": ["eve", None, "eve"]}])
    (earlier,) = model.answer([row | {"day": ["xmas", *row["day"][1:]]}])
    assert answer == same and answer != other and answer != earlier
    with pytest.raises(DataError, match="has 2 labels, the model reads 3"):
        list(model.answer([row | {"day.future": ["eve", "eve"]}]))
    with pytest.raises(DataError, match=r"step 2 is the number 0\.5, expected a label"):
        list(model.answer([row | {"day": ["eve", 0.5, "eve", "eve", "eve"]}]))

    export_onnx(build, exported, ids=True)
    numbered = ModelFile.load(exported)
    numbers = {label: at for at, label in enumerate(known.vocabulary.entries, UNKNOWN_ID + 1)}
    ids = {key: [numbers.get(label) for label in row[key]] for key in ("day", "day.future")}
    (by_ids,) = numbered.answer([row | ids])
    assert by_ids == answer
    with pytest.raises(DataError, match="holds 9, expected whole numbers from 0 to 4"):
        list(numbered.answer([row | ids | {"day.future": [2, 9, 2]}]))


def test_labels_that_are_known_ahead_need_rows_of_the_future(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.csv", table())
    exported = tmp_path / "model.onnx"
    export_onnx(build_of(spec_of(), file, tmp_path), exported)
    model = ModelFile.load(exported)
    short = write_rows(tmp_path / "short.csv", with_future(FUTURE[:2]))
    with pytest.raises(DataError, match=r"add 1 row after it, with 'day' filled and 'sold' empty"):
        rows_of(model, short)


def test_labels_of_the_past_alone_leave_the_future_alone(tmp_path: Path) -> None:
    spec = spec_of(known=False)
    file = write_rows(tmp_path / "rows.csv", table())
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    assert [type(node) for node in plan.inputs if node.column == "day"] == [CategoriesInput]
    data = encode(plan, facts, file, Reading.of(spec), tmp_path / "cache", "all")
    assert set(data.collate(np.arange(2)).inputs) == {"day", "sold"}


def test_a_share_is_read_as_unknown_while_training() -> None:
    numbers, lengths = torch.full((50, 40), 3), torch.full((50,), 40)
    for node in (
        CategoriesInput("input.day", "day", 5, 0.25),
        CategoriesFuture("input.day.future", "day", 5, 40, 0.25),
    ):
        part = Categories(node)
        torch.manual_seed(0)
        hidden = part(numbers, lengths).values
        assert set(hidden.unique().tolist()) == {UNKNOWN_ID, 3}
        assert abs((hidden == UNKNOWN_ID).double().mean().item() - 0.25) < 0.03
        assert (part.eval()(numbers, lengths).values == 3).all()
        assert (Categories(replace(node, unknown=0.0))(numbers, lengths).values == 3).all()
