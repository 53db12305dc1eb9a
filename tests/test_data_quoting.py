"""What quotes are in CSV and TSV: the rows and cells of pandas, in every place that reads files."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnspec.data.how import How
from rnnspec.data.readers import read
from rnnspec.spec.files import Quoting
from tests.cli import right, wrong
from tests.data_rows import error_of, rows_of

CELL = st.text(st.sampled_from('"""ab, \u00a0é\u2028'), max_size=8)
ROWS = st.lists(st.tuples(CELL, CELL), min_size=1, max_size=8)
EXAMPLES = settings(max_examples=80)
DOUBLE = "set quoting to double (data.quoting of a spec, --quoting of run and evaluate)"
NONE = "set quoting to none (data.quoting of a spec, --quoting of run and evaluate)"


def cells_of(file: Path, quoting: Quoting = "auto") -> list[list[object]]:
    chunks = read(file, ["x", "y"], How(quoting=quoting))
    return [list(row) for chunk in chunks for row in zip(*chunk.cells.values(), strict=True)]


def by_pandas(file: Path, quoting: int) -> list[list[object]]:
    found = pandas.read_csv(
        file,
        sep="\t" if file.suffix == ".tsv" else ",",
        quoting=quoting,
        dtype=str,
        keep_default_na=False,
        lineterminator="\n",
    )
    return [list(row) for row in found[["x", "y"]].itertuples(index=False)]


@EXAMPLES
@given(rows=ROWS)
def test_a_quote_is_a_character_in_tsv(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    file = tmp_path / "rows.tsv"
    file.write_text("x\ty\n" + "".join(f"{x}\t{y}\n" for x, y in rows))
    assert cells_of(file) == [list(row) for row in rows] == by_pandas(file, csv.QUOTE_NONE)


@EXAMPLES
@given(rows=ROWS, ending=st.sampled_from(["csv", "tsv"]))
def test_quotes_enclose_fields_where_asked(
    tmp_path: Path, rows: list[tuple[str, str]], ending: str
) -> None:
    file = tmp_path / f"rows.{ending}"
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="," if ending == "csv" else "\t", lineterminator="\n")
        writer.writerow(["x", "y"])
        writer.writerows(rows)
    expected = [list(row) for row in rows]
    assert cells_of(file, "double") == expected == by_pandas(file, csv.QUOTE_MINIMAL)
    if ending == "csv":
        assert cells_of(file) == expected


def test_a_csv_may_have_quotes_as_characters(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text('x,y\n"a,b\n"c",d\n')
    assert cells_of(file, "none") == [['"a', "b"], ['"c"', "d"]]
    assert cells_of(file, "none") == by_pandas(file, csv.QUOTE_NONE)


def test_every_row_of_a_tsv_is_counted(tmp_path: Path) -> None:
    """304 rows, some with a quote that opens a cell, one that ends a line: pandas has 304 too."""
    rows = [("plain", str(n)) for n in range(304)]
    rows[10], rows[12], rows[200] = ('"Heroes', "a"), ("and", 'villains"'), ('"', '"')
    file = tmp_path / "rows.tsv"
    file.write_text("x\ty\n" + "".join(f"{x}\t{y}\n" for x, y in rows))
    assert cells_of(file) == by_pandas(file, csv.QUOTE_NONE)
    assert len(cells_of(file)) == 304


WRONG: list[tuple[str, str, str, str]] = [
    (
        "a line break in quotes ends the line",
        "tsv",
        'text\tlabel\na\tb\nc\t"d\nd"\n',
        "FILE:4: has 1 field, the header has 2, and a double quote opens a field in the line "
        f"before it; quotes enclose nothing here: if they are meant to, {DOUBLE}",
    ),
    (
        "a line break in quotes in the first column",
        "tsv",
        'text\tlabel\n"a\na"\tb\n',
        "FILE:2: has 1 field, the header has 2, and a double quote opens a field in it; quotes "
        f"enclose nothing here: if they are meant to, {DOUBLE}",
    ),
    (
        "a tab in quotes",
        "tsv",
        'text\tlabel\n"a\ta"\tb\n',
        "FILE:2: has 3 fields, the header has 2, and a double quote opens a field in it; quotes "
        f"enclose nothing here: if they are meant to, {DOUBLE}",
    ),
    (
        "a tab too many",
        "tsv",
        "text\tlabel\na\ta\tb\n",
        "FILE:2: has 3 fields, the header has 2; a field that holds the delimiter must be in "
        f"double quotes, and {DOUBLE}",
    ),
    (
        "quoted names",
        "tsv",
        '"text"\t"label"\n"a"\t"b"\n',
        f"FILE:1: the names of the header stand in double quotes; {DOUBLE}",
    ),
    (
        "never closed, in a row that has a cell of two lines",
        "csv",
        'text,label\na,b\n"c\nc","d\ne,f\n',
        "FILE:4: a double quote opened in this line is never closed; close it, or double it "
        f"if meant; or, where quotes enclose nothing, {NONE}",
    ),
    (
        "rows within quotes",
        "csv",
        'text,label\n"Heroes,a\nand,b\nvillains,c\nthe "end",d\nx,"e"\n',
        "FILE:2: text follows the closing double quote of a field, 3 lines further on; double "
        "every quote that is meant inside a quoted field; or, where quotes enclose nothing, "
        f"{NONE}",
    ),
    (
        "rows within quotes, closed by chance",
        "csv",
        'text,label\nx,"Heroes\nand,b\nvillains,c"\ny,d\n',
        "FILE:2: a field in double quotes takes in 3 lines that are rows each, as if its quote "
        "were a character of the text; double such quotes within quotes, or "
        f"{NONE}, or to double if the field is meant",
    ),
]


@pytest.mark.parametrize(
    ("ending", "text", "message"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG]
)
def test_wrong_quotes(tmp_path: Path, ending: str, text: str, message: str) -> None:
    file = tmp_path / f"rows.{ending}"
    file.write_text(text)
    assert error_of(file) == message


@pytest.mark.parametrize("name", [w[0] for w in WRONG])
def test_the_cures_work(tmp_path: Path, name: str) -> None:
    """Each message says which quoting takes the file; that one does."""
    _, ending, text, message = next(w for w in WRONG if w[0] == name)
    file = tmp_path / f"rows.{ending}"
    file.write_text(text)
    told: list[Quoting] = [q for q in ("double", "none") if f"quoting to {q}" in message]
    told += ["double"] if message.endswith("or to double if the field is meant") else []
    assert told
    if name.startswith("never closed"):
        file.write_text(text.replace('"c\nc"', "c"))
    if name == "a tab too many":
        file.write_text('text\tlabel\n"a\ta"\tb\n')
    for quoting in told:
        assert list(read(file, ["text", "label"], How(quoting=quoting)))


def test_a_text_of_two_lines_is_no_swallowed_row(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text('text,label\n"Dear all,\nthanks, bye",b\n"pos, or\nneg",c\nd,"pos\nneg, or"\n')
    assert rows_of(file, ["text"]) == [(2, "Dear all,\nthanks, bye"), (4, "pos, or\nneg"), (6, "d")]


SPEC = {
    "name": "quotes",
    "cardinality": "N:1",
    "data": {
        "train": "train.tsv",
        "valid": "valid.tsv",
        "input": {"column": "text", "as": "words"},
        "output": {"column": "label", "as": "class"},
    },
    "encoder": {"embed": 3, "layers": [{"cell": "gru", "units": 3}]},
    "train": {"epochs": 1, "batch": 16, "threads": 1},
}
ROWS_OF_FILES = [('"Heroes', "a"), ("and", "b"), ('villains"', "a"), ("x", "b"), ('"', "a")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("train", "valid"):
        lines = [f"{text}\t{label}\n" for text, label in ROWS_OF_FILES * 4]
        (tmp_path / f"{name}.tsv").write_text("text\tlabel\n" + "".join(lines))
    (tmp_path / "spec.yaml").write_text(json.dumps(SPEC))
    return tmp_path


def test_all_that_read_files_count_the_same_rows(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    right("build", "spec.yaml")
    (found,) = folder.glob("builds/quotes/*")
    assert json.loads((found / "facts.json").read_text())["rows"] == 20
    words = json.loads((found / "vocabulary" / "input.text.json").read_text())
    assert {'"Heroes', 'villains"', '"'} <= set(words)
    assert "20 rows" in right("evaluate")
    assert "20 rows" in right("evaluate", "--data", "valid.tsv")
    right("export", "--onnx", "--output", "quotes.onnx")
    told = right("run", "quotes.onnx", "--data", "valid.tsv", "--json")
    assert len(told.splitlines()) == 20


def test_fields_in_quotes_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with (folder / "valid.tsv").open("a") as file:
        file.write('"x ""y"" z"\tb\n')
    told = right("build", "spec.yaml")
    note = (
        "note: valid.tsv:22: a field stands in double quotes, which are read as a part of it, as "
        f"of every field of a TSV file; if they enclose it, {DOUBLE}\n"
    )
    assert note in told
    assert told.count("double quotes") == 1, "quotes that enclose no field are told of nowhere"
    (report,) = folder.glob("builds/quotes/*/report.html")
    assert "a field stands in double quotes" in report.read_text()
    assert "double quotes" not in right("build", "spec.yaml", "--set", "data.quoting=none")


def test_a_model_reads_files_as_its_spec_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "spec.yaml").write_text(
        json.dumps({**SPEC, "data": {**SPEC["data"], "quoting": "double"}})  # type: ignore[dict-item]
    )
    for name in ("train", "valid"):
        (folder / f"{name}.tsv").write_text('text\tlabel\n"a\nb"\tx\nc\ty\n' * 1 + "d\tx\n" * 8)
    right("build", "spec.yaml")
    assert "10 rows" in right("evaluate", "--data", "valid.tsv")
    right("export", "--onnx", "--output", "quotes.onnx")
    command = ("run", "quotes.onnx", "--data", "valid.tsv", "--json")
    assert len(right(*command).splitlines()) == 10
    assert DOUBLE in wrong(*command, "--quoting", "none")
    assert DOUBLE in wrong("evaluate", "--data", "valid.tsv", "--quoting", "none")


def test_quoting_is_for_files_that_have_fields(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "rows.jsonl").write_text('{"text": "a", "label": "a"}\n')
    right("build", "spec.yaml")
    right("export", "--onnx", "--output", "quotes.onnx")
    for command in (("run", "quotes.onnx"), ("evaluate",)):
        assert "neither CSV nor TSV" in wrong(*command, "--data", "rows.jsonl", "--quoting", "none")
        assert "leave it out" in wrong(*command, "--quoting", "none")
