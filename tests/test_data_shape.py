"""Columns made of others: joined, wide and long tables, as pandas makes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from rnnspec.data import Reading, read
from rnnspec.errors import DataError
from rnnspec.spec import Spec
from tests.cli import right
from tests.data_rows import any_spec, encoded

REAL = Path(__file__).parents[2] / "shared" / "data"
FRAMES = {"column": "frames", "as": "frames", "missing": "mean"}
CLASS = {"column": "label", "as": "class"}


def rows_of(file: Path, spec: Spec, columns: list[str]) -> list[list[Any]]:
    chunks = read(file, columns, Reading.of(spec).how)
    return [list(row) for chunk in chunks for row in zip(*chunk.cells.values(), strict=True)]


def error_of(file: Path, spec: Spec, columns: list[str]) -> str:
    with pytest.raises(DataError) as caught:
        rows_of(file, spec, columns)
    return str(caught.value).replace(str(file), "FILE")


def test_columns_side_by_side_are_a_vector(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a;b;c;label\n1,5;;x;p\n2;-3;y;q\n")
    spec = any_spec(
        "1:1",
        {"column": "both", "as": "vector", "missing": "mean"},
        CLASS,
        format={"csv": {"delimiter": ";", "decimal": ","}},
        table={"join": {"both": ["a", "b"]}},
    )
    assert rows_of(file, spec, ["both", "label"]) == [[[1.5, None], "p"], [[2.0, -3.0], "q"]]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_lists_side_by_side_are_the_features_of_steps(tmp_path: Path, ending: str) -> None:
    frame = pandas.DataFrame({"x": [[1.0, 2.0], [3.0]], "y": [[5.0, 6.0], [7.0]], "label": [1, 2]})
    file = tmp_path / f"rows.{ending}"
    if ending == "parquet":
        frame.to_parquet(file)
    else:
        frame.to_json(file, orient="records", lines=True)
    table = {"join": {"frames": {"from": "x", "to": "y"}}}
    spec = any_spec("N:1", FRAMES, CLASS, table=table)
    expected = [np.stack([row.x, row.y], axis=1).tolist() for row in frame.itertuples()]
    assert [row[0] for row in rows_of(file, spec, ["frames", "label"])] == expected


def test_a_wide_table_has_a_sequence_a_row(tmp_path: Path) -> None:
    """As the UCR archive has it: a label and the values, short sequences filled up."""
    file = tmp_path / "rows.tsv"
    file.write_text("a\t1\t2\t3\nb\t4\tnan\t6\na\t7\tNaN\t\n")
    spec = any_spec(
        "N:1",
        FRAMES,
        {**CLASS, "column": "1"},
        format={"tsv": {"header": False}},
        table={"wide": {"frames": {"from": "2"}}},
    )
    found = rows_of(file, spec, ["frames", "1"])
    assert found == [[[[1.0], [2.0], [3.0]], "a"], [[[4.0], [None], [6.0]], "b"], [[[7.0]], "a"]]


def series_spec(**more: Any) -> Spec:
    return any_spec(
        "N:M",
        {"column": "turnover", "as": "series", "missing": "previous"},
        {"column": "turnover", "as": "forecast", "horizon": 2},
        series={"time": "month", "id": "series_id", "every": "month", "history": 3},
        **more,
    )


WIDE = {"table": {"wide": {"turnover": {"from": "1982-04"}}}}


def test_the_retail_table_in_wide_form(tmp_path: Path) -> None:
    """Its steps are the rows of the long table."""
    source = REAL / "retail" / "months.csv"
    if not source.exists():
        pytest.skip(f"{source} is not here")
    long = pandas.read_csv(source, dtype=str)
    about = ["state", "industry", "series_id"]
    wide = long.pivot(index=about, columns="month", values="turnover").reset_index()
    columns = ["series_id", "state", "month", "turnover"]
    expected = long.sort_values(["state", "industry", "series_id", "month"])[columns]
    for name, write in (("wide.csv", wide.to_csv), ("wide.parquet", wide.to_parquet)):
        file = tmp_path / name
        write(file, index=False)
        found = rows_of(file, series_spec(**WIDE), columns)
        there = [row for row in found if row[3]]
        assert there == expected.to_numpy().tolist()
    reading = Reading.of(series_spec(**WIDE))
    lines = [
        line for chunk in read(tmp_path / "wide.csv", columns, reading.how) for line in chunk.lines
    ]
    assert (lines[0], lines[-1], len(set(lines))) == (2, 153, 152)


def test_series_of_a_wide_table_are_learned_and_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dates in the header are read as data.format says; series begin and end where they do."""
    monkeypatch.chdir(tmp_path)
    months = [f"{month}.{year}" for year in (2020, 2021) for month in range(1, 13)]
    rows = [["a", *map(str, range(1, 25))], ["b", "", "", *map(str, range(3, 23)), "", ""]]
    wide = pandas.DataFrame(rows, columns=["shop", *months])
    wide.to_csv("wide.csv", index=False)
    spec = {
        "name": "wide",
        "cardinality": "N:M",
        "data": {
            "train": "wide.csv",
            "valid": 0.2,
            "format": {"csv": {"dates": "%m.%Y"}},
            "table": {"wide": {"sold": {"from": "1.2020"}}},
            "series": {"id": "shop", "time": "month", "every": "month", "history": 4},
            "input": {"column": "sold", "as": "series"},
            "output": {"column": "sold", "as": "forecast", "horizon": 2},
        },
        "encoder": {"layers": [{"cell": "gru", "units": 3}]},
        "train": {"epochs": 1, "threads": 1},
    }
    Path("spec.yaml").write_text(json.dumps(spec))
    right("build", "spec.yaml")
    right("export", "--onnx", "--output", "wide.onnx")
    told = [
        json.loads(line)
        for line in right("run", "wide.onnx", "--data", "wide.csv", "--json").splitlines()
    ]
    assert [(each["shop"], each["month"]) for each in told] == [
        ("a", ["2022-01-01", "2022-02-01"]),
        ("b", ["2021-11-01", "2021-12-01"]),
    ]


LONG = "id,t,x,y,label\n" + "".join(
    f"{name},{t},{t + shift},{t * 2},{label}\n"
    for name, shift, label in (("one", 0.5, "a"), ("two", 1.5, "b"), ("three", 2.5, "a"))
    for t in range(1, 4)
)


def long_spec(**more: Any) -> Spec:
    table = {"join": {"frames": ["x", "y"]}, "long": {"id": "id", "time": "t", **more}}
    return any_spec("N:1", FRAMES, CLASS, table=table)


def test_a_long_table_has_a_step_a_row(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(LONG)
    groups = pandas.read_csv(file).groupby("id", sort=False)
    expected = [[of[["x", "y"]].to_numpy().tolist(), of["label"].iloc[0]] for _, of in groups]
    spec = long_spec()
    assert rows_of(file, spec, ["frames", "label"]) == expected
    chunks = list(read(file, ["frames"], Reading.of(spec).how))
    assert [line for chunk in chunks for line in chunk.lines] == [2, 5, 8]
    _, data = encoded(spec, file)
    assert (data.ends - data.starts).tolist() == [3, 3, 3]


def test_ids_may_stand_at_the_first_row_alone(tmp_path: Path) -> None:
    """As in the tables of named entities that spreadsheets have."""
    file = tmp_path / "rows.csv"
    file.write_text("Sentence,Word,Tag\nSentence: 1,The,O\n,Thames,B-geo\nSentence: 2,Hm,O\n")
    spec = any_spec(
        "N:N",
        {"column": "Word", "as": "tokens"},
        {"column": "Tag", "as": "tags"},
        table={"long": {"id": "Sentence"}},
    )
    assert rows_of(file, spec, ["Word", "Tag"]) == [
        [["The", "Thames"], ["O", "B-geo"]],
        [["Hm"], ["O"]],
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            LONG + "one,4,1,2,a\n",
            "FILE:11: belongs to the sequence 'one', which ended before, and began at FILE:2; sort "
            "the file so that the rows of a sequence follow one another",
        ),
        (
            LONG.replace("two,2,3.5", "two,1,3.5"),
            "FILE:6: column 't' is '1', which is not after the row before; sort the rows of a "
            "sequence by their time",
        ),
        (
            LONG.replace("three,2,4.5,4,a", "three,2,4.5,4,b"),
            "FILE:9: column 'label' is 'b', and 'a' in the rows of the sequence 'three' before it; "
            "it says the same in all of them",
        ),
        (
            LONG.replace("three,2,4.5", "three,2,much"),
            "FILE:9: column 'x' is the text 'much', expected a number",
        ),
        ("id,t,x,label\n", "FILE:1: there is no column 'y'; the columns are: id, t, x, label"),
    ],
)
def test_long_tables_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "rows.csv"
    file.write_text(text)
    assert error_of(file, long_spec(), ["frames", "label"]) == message


def test_ranges_that_a_file_lacks(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a,b,label\n1,2,x\n")
    for given, message in (
        ({"from": "c"}, "FILE: there is no column 'c'; the columns are: a, b, label"),
        (
            {"from": "b", "to": "a"},
            "FILE: column 'a' stands before 'b'; name the first one under 'from' and the last one "
            "under 'to'",
        ),
    ):
        spec = any_spec("N:1", FRAMES, CLASS, table={"wide": {"frames": given}})
        assert error_of(file, spec, ["frames"]) == message


def test_lists_of_unequal_lengths_are_told(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"x": [1, 2], "y": [3], "label": "a"}\n')
    spec = any_spec("N:1", FRAMES, CLASS, table={"join": {"frames": ["x", "y"]}})
    assert error_of(file, spec, ["frames"]) == (
        "FILE:1: column 'y' has 1 steps, column 'x' has 2 steps; they are joined step by step"
    )
