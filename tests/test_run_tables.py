"""`rnnspec run` on tables of series: which rows are the future, and what a forecast says of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rnnspec.export import export_onnx
from tests.cli import rnnspec, wrong
from tests.data_rows import write_rows
from tests.kinds import spec_data
from tests.test_export_kinds import quick as quick
from tests.test_export_kinds import trained

HORIZON = 2
FORMATS = ["csv", "jsonl", "parquet"]
SOLD, PROMO = "window_series", "known_series"
"""Columns: the target, where `missing: mean` holds, and one that is known beforehand."""


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("known"), SOLD, PROMO)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model(tmp_path_factory.mktemp("plain"), SOLD)


def model(folder: Path, *columns: str, **series: Any) -> Path:
    """A file with weights drawn at random, so that each number that is read changes its answer."""
    ahead = {"column": SOLD, "as": "forecast", "horizon": HORIZON, "distribution": "point"}
    data = spec_data("N:M", columns, [ahead])
    data["data"]["series"] = {"history": 12, "id": "shop", **series}
    export_onnx(trained(data, size=0.9), folder / "model.onnx")
    return folder / "model.onnx"


Numbers = Sequence[float | None]


def table(file: Path, sold: Numbers, promo: Numbers = (), **shops: tuple[Numbers, Numbers]) -> Path:
    """A table of a shop `A`, and of others."""
    found = {"A": (sold, promo or [0.0] * len(sold)), **shops}
    rows = [
        {"shop": shop, SOLD: blank(file, value), PROMO: blank(file, known)}
        for shop, (values, others) in found.items()
        for value, known in zip(values, others, strict=True)
    ]
    return write_rows(file, rows)


def blank(file: Path, value: float | None) -> object:
    return "" if value is None and file.suffix == ".csv" else value


def asked(model: Path, data: Path) -> tuple[list[dict[str, Any]], str]:
    said = rnnspec("run", model, "--data", data, "--json")
    assert said.code == 0, said
    return [json.loads(line) for line in said.out.splitlines()], said.err


def listed(folder: Path, *rows: Mapping[str, Any]) -> Path:
    return write_rows(folder / "listed.jsonl", rows)


PAST = [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0, 5.0, 3.0]
OFF = [0.0, 1.0] * 5
AHEAD = [1.0, 1.0]


@pytest.mark.parametrize("format", FORMATS)
def test_the_future_is_where_the_target_is_empty(known: Path, tmp_path: Path, format: str) -> None:
    file = table(tmp_path / f"t.{format}", [*PAST, None, None], [*OFF, *AHEAD])
    expected, _ = asked(known, listed(tmp_path, {SOLD: PAST, PROMO: OFF, f"{PROMO}.future": AHEAD}))
    assert asked(known, file) == ([{"shop": "A", **expected[0]}], "")


@pytest.mark.parametrize("format", FORMATS)
def test_more_rows_of_the_future_than_are_answered_are_said(
    known: Path, tmp_path: Path, format: str
) -> None:
    few = asked(known, table(tmp_path / f"few.{format}", [*PAST, None, None], [*OFF, *AHEAD]))
    file = table(tmp_path / f"t.{format}", [*PAST, *[None] * 6], [*OFF, *AHEAD, 0, 1, 0, 1])
    answers, said = asked(known, file)
    assert answers == few[0]
    place = {"csv": f"{file}:12", "jsonl": f"{file}:11", "parquet": f"{file}: row 11"}[format]
    assert said == (
        f"note: {place}: the future of series 'A' has more than the 2 steps that the model"
        " answers, the first ones are answered\n"
    )


def test_a_table_without_its_future_is_refused_with_a_cure(known: Path, tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", PAST, OFF, B=([1.0, 2.0, None], [0.0, 1.0, 0.0]))
    assert wrong("run", known, "--data", file) == (
        f"error: {file}:11: series 'A' ends with this row, in which 'window_series' is filled, so"
        " that nothing says what 'known_series' will be in the 2 steps to be answered; add 2 rows"
        " for them, with 'known_series' filled and 'window_series' empty\n"
    )
    mended = table(
        tmp_path / "t.csv", [*PAST, None, None], [*OFF, *AHEAD],
        B=([1.0, 2.0, None], [0.0, 1.0, 0.0]),
    )  # fmt: skip
    assert wrong("run", known, "--data", mended) == (
        f"error: {mended}:16: series 'B' ends with 1 row of its future, where 'window_series' is"
        " empty, and the model answers 2 steps; add 1 row after it, with 'known_series' filled and"
        " 'window_series' empty\n"
    )
    whole = table(
        tmp_path / "t.csv", [*PAST, None, None], [*OFF, *AHEAD],
        B=([1.0, 2.0, None, None], [0.0, 1.0, 0.0, 0.0]),
    )  # fmt: skip
    assert [answer["shop"] for answer in asked(known, whole)[0]] == ["A", "B"]


@pytest.mark.parametrize("format", FORMATS)
def test_an_empty_target_before_a_filled_one_is_a_number_of_the_past(
    known: Path, plain: Path, tmp_path: Path, format: str
) -> None:
    past = [*PAST[:-2], None, PAST[-1]]
    file = table(tmp_path / f"t.{format}", [*past, None, None], [*OFF, *AHEAD])
    row = {SOLD: past, PROMO: OFF, f"{PROMO}.future": AHEAD}
    expected, _ = asked(known, listed(tmp_path, row))
    assert asked(known, file)[0] == [{"shop": "A", **expected[0]}]
    expected, _ = asked(plain, listed(tmp_path, {SOLD: past}))
    assert asked(plain, file)[0] == [{"shop": "A", **expected[0]}]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_without_known_columns_the_future_is_no_missing_past(
    plain: Path, tmp_path: Path, format: str, ahead: int
) -> None:
    expected, _ = asked(plain, listed(tmp_path, {SOLD: PAST}))
    file = table(tmp_path / f"t.{format}", [*PAST, *[None] * ahead])
    assert asked(plain, file) == ([{"shop": "A", **expected[0]}], "")


def test_a_series_without_a_past(plain: Path, known: Path, tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", [1.0, 2.0, None, None], B=([None, None], [0.0, 0.0]))
    for model in (plain, known):
        assert wrong("run", model, "--data", file) == (
            f"error: {file}:6: series 'B' has no past, for 'window_series' is empty in all of its"
            " rows; put rows before them in which it is filled\n"
        )


def test_a_known_column_that_is_empty_in_the_future(known: Path, tmp_path: Path) -> None:
    file = table(tmp_path / "t.csv", [*PAST, None, None], [*OFF, 1.0, None])
    said = wrong("run", known, "--data", file)
    assert f"{file}:13: column 'known_series' is empty, expected a number" in said
