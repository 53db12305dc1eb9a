"""Arrays of NumPy, Arrow files and the rarer types of Parquet, as their own libraries read them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow
import pytest
from pyarrow import feather, ipc

from rnnspec.data import Reading, read
from rnnspec.errors import DataError
from rnnspec.plan import ClassFacts
from rnnspec.spec import Spec
from tests.data_rows import any_spec, encoded, whole

REAL = Path(__file__).parents[2] / "shared" / "data"
FRAMES = {"column": "frames", "as": "frames"}
CLASS = {"column": "label", "as": "class"}
GENERATOR = np.random.default_rng(5)
ROWS = [GENERATOR.normal(size=(steps, 2)) for steps in (3, 1, 2, 3)]
LABELS = np.array([0, 2, 1, 2])


def npz(file: Path, **arrays: Any) -> Path:
    np.savez_compressed(file, **arrays)
    return file


def filled_up(rows: list[np.ndarray[Any, Any]], padding: float) -> np.ndarray[Any, Any]:
    found = np.full((len(rows), max(map(len, rows)), rows[0].shape[1]), float(padding))
    for into, row in zip(found, rows, strict=True):
        into[: len(row)] = row
    return found


def cells(file: Path, spec: Spec, columns: list[str]) -> list[list[Any]]:
    chunks = read(file, columns, Reading.of(spec).how)
    return [list(row) for chunk in chunks for row in zip(*chunk.cells.values(), strict=True)]


@pytest.mark.parametrize(
    ("settings", "arrays"),
    [
        ({"lengths": "n"}, {"frames": filled_up(ROWS, 0), "n": np.array([len(r) for r in ROWS])}),
        ({"padding": "nan"}, {"frames": filled_up(ROWS, np.nan)}),
        ({"padding": -1.0}, {"frames": filled_up(ROWS, -1)}),
        (
            {"padding": "nan", "features": "first"},
            {"frames": np.ascontiguousarray(filled_up(ROWS, np.nan).transpose(0, 2, 1))},
        ),
    ],
)
def test_rows_of_unequal_lengths(
    tmp_path: Path, settings: dict[str, Any], arrays: dict[str, Any]
) -> None:
    file = npz(tmp_path / "rows.npz", label=LABELS, **arrays)
    spec = any_spec("N:1", FRAMES, CLASS, format={"npz": settings})
    found = cells(file, spec, ["frames", "label"])
    assert [label for _, label in found] == LABELS.tolist()
    for (values, _), expected in zip(found, ROWS, strict=True):
        assert np.array_equal(np.array(values), expected)


def test_japanese_vowels_as_npz_are_the_rows_of_the_jsonl(tmp_path: Path) -> None:
    source = REAL / "japanese_vowels" / "train.jsonl"
    if not source.exists():
        pytest.skip(f"{source} is not here")
    rows = [json.loads(line) for line in source.read_text().splitlines()]
    keys = list(rows[0])
    steps, label = (keys[::-1] if isinstance(rows[0][keys[1]], list) else keys)[:2]
    frames = [np.array(row[steps]) for row in rows]
    file = npz(
        tmp_path / "train.npz",
        **{steps: filled_up(frames, 0), label: np.array([row[label] for row in rows])},
        lengths=np.array([len(each) for each in frames]),
    )
    columns = ({"column": steps, "as": "frames"}, {"column": label, "as": "class"})
    spec = any_spec("N:1", *columns, format={"npz": {"lengths": "lengths"}})
    _, by_npz = encoded(spec, file)
    lines = tmp_path / "train.jsonl"
    lines.write_bytes(source.read_bytes())
    _, by_lines = encoded(any_spec("N:1", *columns), lines)
    for one, other in zip(whole(by_npz).inputs[steps], whole(by_lines).inputs[steps], strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(whole(by_npz).targets[label], whole(by_lines).targets[label])


def test_texts_dates_and_vectors_in_arrays(tmp_path: Path) -> None:
    file = npz(
        tmp_path / "rows.npz",
        text=np.array(["a b", "ü"]),
        raw=np.array([b"x", b"yz"]),
        day=np.array(["2024-01-31", "2024-02-01"], "datetime64[D]"),
        vector=np.arange(6, dtype=np.float32).reshape(2, 3),
    )
    chunks = list(read(file, ["text", "raw", "day", "vector"]))
    assert chunks[0].lines == [1, 2]
    assert list(chunks[0].cells.values()) == [
        ["a b", "ü"],
        ["x", "yz"],
        ["2024-01-31", "2024-02-01"],
        [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]],
    ]


def test_arrays_that_cannot_be_read(tmp_path: Path) -> None:
    ragged = np.empty(2, object)
    ragged[:] = [[1], [1, 2]]
    file = npz(
        tmp_path / "rows.npz",
        ragged=ragged,
        one=np.array(3),
        turned=np.asfortranarray(np.ones((2, 3))),
        two=np.ones(2),
        three=np.ones(3),
    )
    for columns, message in (
        (["ragged"], "FILE: array 'ragged' holds Python objects, which are programs to NumPy"),
        (["one"], "FILE: array 'one' is a single value; give it an entry a row"),
        (["turned"], "FILE: array 'turned' has its rows last (Fortran's order)"),
        (["two", "three"], "FILE: the arrays have unequal numbers of rows: 'two' 2, 'three' 3"),
        (["four"], "FILE: there is no array 'four'; the arrays are: ragged, one, turned, two"),
    ):
        with pytest.raises(DataError) as caught:
            list(read(file, columns))
        assert str(caught.value).replace(str(file), "FILE").startswith(message)
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"is not a whole \.npz file"):
        list(read(file, ["two"]))


@pytest.mark.parametrize("ending", ["arrow", "feather", "stream.arrow", "parquet"])
def test_types_of_arrow(tmp_path: Path, ending: str) -> None:
    """Decimals are numbers, whole floats are labels, times are ISO 8601."""
    table = pyarrow.table(
        {
            "price": pyarrow.array([Decimal("1.50"), None, Decimal("-2.25")]),
            "count": pyarrow.array([Decimal(7), Decimal(8), Decimal(9)]),
            "day": pyarrow.array(pandas.to_datetime(["2024-01-31", "2024-02-01", "2024-02-02"])),
            "label": pyarrow.array([1.0, 2.0, 1.0]),
            "kind": pyarrow.array(["a", "b", "a"]).dictionary_encode(),
            "steps": pyarrow.array([[Decimal("0.5")], [], [Decimal("1.5"), Decimal("2.5")]]),
        }
    )
    file = tmp_path / f"rows.{ending}"
    if ending == "parquet":
        import pyarrow.parquet as parquet

        parquet.write_table(table, file)
    elif ending == "feather":
        feather.write_feather(table, file, compression="lz4")
    else:
        new = ipc.new_stream if ending.startswith("stream") else ipc.new_file
        with new(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    columns = list(table.column_names)
    chunks = list(read(file, columns))
    found = {name: [cell for chunk in chunks for cell in chunk.cells[name]] for name in columns}
    assert found == {
        "price": [1.5, None, -2.25],
        "count": [7, 8, 9],
        "day": [f"{day}T00:00:00" for day in ("2024-01-31", "2024-02-01", "2024-02-02")],
        "label": [1.0, 2.0, 1.0],
        "kind": ["a", "b", "a"],
        "steps": [[0.5], [], [1.5, 2.5]],
    }
    assert [line for chunk in chunks for line in chunk.lines] == [1, 2, 3]
    source = {"column": "count", "as": "number"}
    facts, data = encoded(any_spec("1:1", source, CLASS), file)
    known = facts.outputs["label"]
    assert isinstance(known, ClassFacts)
    assert known.labels == ("1", "2")
    assert whole(data).targets["label"].tolist() == [0, 1, 0]


def test_what_is_no_arrow_file(tmp_path: Path) -> None:
    file = tmp_path / "rows.arrow"
    file.write_bytes(b"ARROW1" + b"x" * 40)
    with pytest.raises(DataError, match="is not a whole Arrow file"):
        list(read(file, ["a"]))
