"""Settings of CSV and TSV, and encodings: the cells of pandas and of Python's codecs."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnspec.data import lines, read
from rnnspec.data.how import How
from rnnspec.errors import DataError, RnnspecError
from rnnspec.spec.formats import FormatSettings, OneFormat, read_format
from tests.cli import right, wrong

TEXTS = ["Müller; Größe", "", "a,b", "\u201ezitat\u201c", "naïve €"]
WHERE = "(data.format of a spec, --format of run and evaluate)"


def how_of(name: str, given: dict[str, Any], **more: Any) -> How:
    found = OneFormat.model_validate({"format": {name: given}}).format
    assert isinstance(found, FormatSettings)
    return How(found.name, settings=found, **more)


def cells(file: Path, columns: list[str], how: How) -> list[list[object]]:
    chunks = read(file, columns, how)
    return [list(row) for chunk in chunks for row in zip(*chunk.cells.values(), strict=True)]


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(TEXTS), st.floats(-1e6, 1e6).map(lambda x: round(x, 2))),
        min_size=1,
        max_size=6,
    ),
    delimiter=st.sampled_from(";\t|:"),
    quote=st.sampled_from("\"'"),
    encoding=st.sampled_from(["windows-1252", "utf-16", "utf-8-sig", "cp1250"]),
    thousands=st.sampled_from([".", " ", None]),
)
def test_cells_are_those_of_pandas(
    tmp_path: Path,
    rows: list[tuple[str, float]],
    delimiter: str,
    quote: str,
    encoding: str,
    thousands: str | None,
) -> None:
    rows = [(text.encode(encoding, "ignore").decode(encoding), number) for text, number in rows]
    frame = pandas.DataFrame(rows, columns=["text", "price"])
    file = tmp_path / "rows.csv"
    written = frame.assign(price=[german(number, thousands) for number in frame["price"]])
    written.to_csv(file, index=False, sep=delimiter, quotechar=quote, encoding=encoding)
    given = {"delimiter": delimiter, "quote": quote, "encoding": encoding, "decimal": ","}
    given |= {"thousands": thousands} if thousands else {}
    how = how_of("csv", given, kinds={"price": "number", "text": "text"}, quoting="double")
    found = cells(file, ["text", "price"], how)
    options: dict[str, Any] = {"sep": delimiter, "quotechar": quote, "encoding": encoding}
    by_pandas = pandas.read_csv(
        file, decimal=",", thousands=thousands, keep_default_na=False, **options
    )
    assert [text for text, _ in found] == by_pandas["text"].tolist()
    assert [float(str(price)) for _, price in found] == by_pandas["price"].astype(float).tolist()


def german(number: float, thousands: str | None) -> str:
    text = f"{number:,.2f}".replace(".", "#").replace(",", thousands or "")
    return text.replace("#", ",")


def test_columns_without_a_header(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("# exported\n\nno;3\n% a remark\nyes;4\n")
    given = {"delimiter": ";", "header": False, "skip": 1, "comment": "%"}
    expected = pandas.read_csv(file, sep=";", header=None, skiprows=1, comment="%", dtype=str)
    assert cells(file, ["1", "2"], how_of("csv", given)) == expected.to_numpy().tolist()
    named = how_of("csv", given, names=("answer",))
    assert cells(file, ["answer", "2"], named) == [["no", "3"], ["yes", "4"]]
    places = [line for chunk in read(file, ["1"], how_of("csv", given)) for line in chunk.lines]
    assert places == [3, 5]


def test_fields_between_blanks(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("  1.5   2 \n 3\t\t4\n\n")
    expected = pandas.read_csv(file, sep=r"\s+", header=None, dtype=str).to_numpy().tolist()
    assert cells(file, ["1", "2"], how_of("csv", {"delimiter": " ", "header": False})) == expected


def test_words_for_missing_and_dates(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("day,n,kind,text\n3.4.2024 16:00,NA,?,NA\n4.4.2024 00:30,7,a,b\n")
    given = {"missing": ["NA", "?"], "dates": "%d.%m.%Y %H:%M"}
    how = how_of("csv", given, kinds={"day": "time", "n": "number", "text": "text"})
    assert cells(file, ["day", "n", "kind", "text"], how) == [
        [datetime(2024, 4, 3, 16).isoformat(), "", "", "NA"],
        [datetime(2024, 4, 4, 0, 30).isoformat(), "7", "a", "b"],
    ]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le", "shift_jis", "utf-8"])
@pytest.mark.parametrize("name", ["jsonl", "text", "conll", "tsv"])
def test_encodings_of_every_format_of_text(tmp_path: Path, name: str, encoding: str) -> None:
    word = "日本" if encoding == "shift_jis" else "Größe"
    form = {"jsonl": '{{"text": "{}"}}\n', "text": "{}\n", "conll": "a\n\n{}\n", "tsv": "text\n{}"}
    file = tmp_path / "rows.dat"
    file.write_bytes((form[name].format(word) * 2).encode(encoding))
    column = "1" if name == "conll" else "text"
    how = how_of(name, {"encoding": encoding}, documents="line")
    found = cells(file, [column], how)
    assert found[-1] == ([[word]] if name == "conll" else [word])


WRONG = {
    "semicolons in latin-1": (
        "Städte;Größe\nKöln;1,5\n".encode("latin-1"),
        "FILE:1: is not UTF-8: byte 0xE4 after 2 bytes; if 'Städte;Größe' is right, set format to "
        f"{{csv: {{delimiter: ';', decimal: ',', encoding: windows-1252}}}} {WHERE}; or save the "
        "file as UTF-8",
    ),
    "tabs": (
        b"text\tlabel\na\tb\n",
        "FILE:1: the header is one column, 'text\\tlabel'; fields end with ',' here, and this looks"
        f" like fields that end with '\\t'; set format to {{csv: {{delimiter: \"\\t\"}}}} {WHERE}",
    ),
    "no header": (
        b"5.1,a\n4.9,b\n",
        "FILE:1: there is no column 'text'; the columns are: 5.1, a; if the file has no header, set"
        f" format to {{csv: {{header: false}}}} {WHERE}",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_file_looks_like_is_told(tmp_path: Path, name: str) -> None:
    """The key that the message names makes the file readable."""
    content, message = WRONG[name]
    file = tmp_path / "rows.csv"
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        cells(file, ["text"], How())
    assert str(caught.value).replace(str(file), "FILE") == message
    told = read_format(message.split("set format to ")[1].split(" (data.format")[0])
    assert isinstance(told, FormatSettings)
    names = ("text",) if name == "no header" else ()
    column = "Städte" if "latin" in name else "text"
    assert cells(file, [column], How(told.name, settings=told, names=names))


def test_cells_against_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("n;day\n1.5;1.2.2024\n1,5;2024-02-01\n")
    given = {"delimiter": ";", "decimal": ",", "dates": "%d.%m.%Y"}
    how = how_of("csv", given, kinds={"n": "number", "day": "time"})
    with pytest.raises(DataError) as caught:
        cells(file, ["n", "day"], how)
    assert str(caught.value).replace(str(file), "FILE").splitlines() == [
        "FILE: 2 bad lines",
        "  FILE:2: column 'n' is the text '1.5', expected a number; the decimal sign is ',' and "
        "between thousands nothing stands, as data.format says",
        "  FILE:3: column 'day' is the text '2024-02-01', which is no time written as '%d.%m.%Y', "
        "as data.format says",
    ]


def test_a_byte_that_the_encoding_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK", 64)
    file = tmp_path / "rows.csv"
    file.write_bytes(b"text\n" + b"fine\n" * 40 + b"\x81\n")
    with pytest.raises(DataError, match=r":42: is not windows-1252: .*encoding: '…'") as caught:
        cells(file, ["text"], how_of("csv", {"encoding": "windows-1252"}))
    assert "{csv: {encoding: " in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{csv: {delimiter: ab}}", "delimiter: expected one character, found 'ab'"),
        ("{csv: {encoding: klingon}}", "encoding: there is no encoding 'klingon' of texts"),
        ("xlsx", "Input should be"),
        ("{parquet: {}}", "expected one of csv, tsv, jsonl, conll, text, folders"),
        ("{csv: {separator: ';'}}", "separator: "),
    ],
)
def test_options_that_are_no_format(text: str, message: str) -> None:
    with pytest.raises(RnnspecError, match=r"^--format: ") as caught:
        read_format(text)
    assert message in str(caught.value)


SPEC = """
name: prices
cardinality: N:1
data:
  train: train.csv
  valid: valid.csv
  format: {csv: {delimiter: ';', encoding: latin-1, decimal: ',', missing: [k.A.]}}
  input:
    - {column: text, as: words}
    - {column: size, as: number, missing: mean}
  output: {column: price, as: number}
encoder: {embed: 3, layers: [{cell: gru, units: 3}]}
train: {epochs: 1, batch: 16, threads: 1}
"""


def test_all_that_read_files_use_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = ["schöner Hof;70,5;1000,25", "klein;k.A.;3,5", "groß;90;7,0"] * 4
    text = "\n".join(["text;size;price", *rows])
    for name in ("train", "valid"):
        Path(f"{name}.csv").write_bytes(text.encode("latin-1"))
    Path("spec.yaml").write_text(SPEC)
    right("build", "spec.yaml")
    (found,) = tmp_path.glob("builds/prices/*")
    mean = json.loads((found / "facts.json").read_text())["outputs"]["price"]["mean"]
    assert mean == pytest.approx([(1000.25 + 3.5 + 7) / 3])
    assert "12 rows" in right("evaluate", "--data", "valid.csv")
    right("export", "--onnx", "--output", "prices.onnx")
    told = right("run", "prices.onnx", "--data", "valid.csv", "--json")
    assert len(told.splitlines()) == 12
    Path("other.dat").write_text("text,size\nHof,3.5\nk.A.,-\n")
    command = ("run", "prices.onnx", "--data", "other.dat", "--json")
    assert "there is no column 'text'" in wrong(*command)
    form = "{csv: {missing: ['-']}}"
    assert len(right(*command, "--format", form).splitlines()) == 2
    changed = "data.format.csv.decimal=."
    assert "decimal" in wrong("build", "spec.yaml", "--set", changed)
