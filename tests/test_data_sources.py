"""Columns with a file each, and queries on databases: rows as other readers have them."""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.data import Reading, read
from rnnspec.data.shards import find_shards, find_sources
from rnnspec.errors import DataError
from rnnspec.spec import Spec
from tests.cli import right, wrong

REAL = Path(__file__).parents[2] / "shared" / "data"
TEXT = {"column": "text", "as": "chars"}
ANSWER = {"column": "answer", "as": "chars"}


def pair(train: Any) -> Spec:
    return Spec.model_validate(
        {
            "name": "pair",
            "cardinality": "N:M",
            "data": {"train": train, "input": TEXT, "output": ANSWER},
            "encoder": {"layers": [{"cell": "gru", "units": 3}]},
            "decoder": {"layers": [{"cell": "gru", "units": 3}]},
        }
    )


def rows_of(spec: Spec, folder: Path, columns: list[str]) -> list[list[Any]]:
    shards = find_sources(spec.data, folder).train
    chunks = read(shards, columns, Reading.of(spec).how)
    return [list(row) for chunk in chunks for row in zip(*chunk.cells.values(), strict=True)]


def test_a_pair_of_files_made_from_g2p(tmp_path: Path) -> None:
    source = next(iter(sorted((REAL / "g2p").glob("*train*"))), None)
    if source is None:
        pytest.skip(f"{REAL / 'g2p'} is not here")
    with source.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for place, name in enumerate(("train.graphemes", "train.phonemes")):
        lines = "".join(f"{row[place]}\n" for row in rows)
        (tmp_path / name).write_text(lines, encoding="utf-8", newline="")
    spec = pair({"text": "train.graphemes", "answer": "train.phonemes"})
    assert rows_of(spec, tmp_path, ["text", "answer"]) == [row[:2] for row in rows]
    assert len(rows) > 3000


def test_empty_lines_are_rows_and_parts_follow_one_another(tmp_path: Path) -> None:
    for name, text in (("a-1.de", "x\n\ny"), ("a-2.de", "z\r\n"), ("a-1.en", "1\n2\n3\n")):
        (tmp_path / name).write_bytes(text.encode())
    np.save(tmp_path / "b.npy", np.arange(6.0).reshape(3, 2))
    (tmp_path / "a-2.en").write_text("4")
    spec = pair({"text": "a-*.de", "answer": ["a-1.en", "a-2.en"]})
    expected = [["1", "x"], ["2", ""], ["3", "y"], ["4", "z"]]
    assert rows_of(spec, tmp_path, ["answer", "text"]) == expected
    shards = find_shards(["text=a-1.de", "vector=b.npy"], tmp_path)
    (chunk,) = read(shards, ["vector", "text"])
    assert chunk.cells["vector"] == np.load(tmp_path / "b.npy").tolist()


def test_files_that_do_not_fit_together(tmp_path: Path) -> None:
    (tmp_path / "a.de").write_text("x\n" * 2000)
    (tmp_path / "a.en").write_text("x\n" * 1999)
    with pytest.raises(DataError) as caught:
        rows_of(pair({"text": "a.de", "answer": "a.en"}), tmp_path, ["text", "answer"])
    assert str(caught.value).replace(str(tmp_path), "DIR") == (
        "DIR/a.en: ends after 1,999 rows, and DIR/a.de goes on; line n of each file is row n"
    )
    with pytest.raises(DataError, match="column 'answer' has 1 files, and 'text' has 2"):
        find_sources(pair({"text": ["a.de", "a.en"], "answer": "a.en"}).data, tmp_path)


ROWS = [("ab", "ba", 1.5), ("cd", "dc", None), ("é", "É", 2.0)] * 400
QUERY = "select text, answer, n from rows where n is not null order by rowid"


def database(file: Path) -> Path:
    if file.suffix == ".duckdb":
        duckdb = pytest.importorskip("duckdb")
        with duckdb.connect(str(file)) as connection:
            connection.execute("create table rows (text text, answer text, n decimal(9, 2))")
            connection.executemany("insert into rows values (?, ?, ?)", ROWS[:30])
        return file
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("create table rows (text text, answer text, n real)")
        connection.executemany("insert into rows values (?, ?, ?)", ROWS)
    return file


@pytest.mark.parametrize("ending", ["sqlite", "db", "duckdb"])
def test_rows_of_a_query(tmp_path: Path, ending: str) -> None:
    file = database(tmp_path / f"rows.{ending}")
    spec = pair({"file": file.name, "query": QUERY})
    expected = [list(row) for row in (ROWS[:30] if ending == "duckdb" else ROWS) if row[2]]
    assert rows_of(spec, tmp_path, ["text", "answer", "n"]) == expected
    sources = find_sources(spec.data, tmp_path)
    other = find_sources(pair({"file": file.name, "query": f"{QUERY} limit 5"}).data, tmp_path)
    assert sources.train.content != other.train.content, "the query is a part of what rows are"


@pytest.mark.parametrize("ending", ["sqlite", "duckdb"])
def test_queries_that_fail(tmp_path: Path, ending: str) -> None:
    file = database(tmp_path / f"rows.{ending}")
    for query, message in (
        ("select * from cols", "FILE: the query fails: "),
        ("select text from rows", "FILE: there is no column 'answer'; the columns are: text"),
        ("delete from rows", "FILE: "),
        (None, "FILE: is a database; name a query"),
    ):
        shards = find_shards([str(file)], query=query)
        with pytest.raises(DataError) as caught:
            list(read(shards, ["answer"]))
        assert str(caught.value).replace(str(file), "FILE").startswith(message)
    file.with_suffix(".csv").write_text("answer\n1\n")
    with pytest.raises(DataError, match="is csv, and a query is for SQLite and DuckDB"):
        list(read(find_shards([str(file.with_suffix(".csv"))], query=QUERY), ["answer"]))


def test_all_commands_read_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.de").write_text("ab\nba\nabab\nb\n" * 5)
    Path("a.en").write_text("x\ny\nx\ny\n" * 5)
    with closing(sqlite3.connect("rows.db")) as connection, connection:
        connection.execute("create table pairs (text text, label text)")
        connection.executemany("insert into pairs values (?, ?)", [("ab", "x"), ("b", "y")])
    query = "select text, label from pairs order by rowid"
    spec = {
        "name": "pair",
        "cardinality": "N:1",
        "data": {
            "train": {"text": "a.de", "label": "a.en"},
            "valid": {"file": "rows.db", "query": query},
            "input": {"column": "text", "as": "chars"},
            "output": {"column": "label", "as": "class"},
        },
        "encoder": {"embed": 3, "layers": [{"cell": "gru", "units": 3}]},
        "train": {"epochs": 1, "threads": 1},
    }
    Path("spec.yaml").write_text(json.dumps(spec))
    assert "ok" in right("check", "spec.yaml")
    right("build", "spec.yaml")
    assert "2 rows" in right("evaluate")
    assert "20 rows" in right("evaluate", "--data", "text=a.de", "--data", "label=a.en")
    right("export", "--onnx", "--output", "pair.onnx")
    assert len(right("run", "pair.onnx", "--data", "text=a.de", "--json").splitlines()) == 20
    asked = ("run", "pair.onnx", "--data", "rows.db", "--json")
    assert len(right(*asked, "--query", query).splitlines()) == 2
    assert "name a query" in wrong(*asked)


REFERENCES = """
name: two
cardinality: N:M
data:
  train: {text: train.txt, translation: answers.txt}
  valid: {text: [de.txt, de.txt], translation: [first.txt, second.txt]}
  input: {column: text, as: words}
  output: {column: translation, as: words}
encoder:
  layers: [{cell: gru, units: 4}]
decoder:
  layers: [{cell: gru, units: 4}]
train: {epochs: 40, batch: 4, monitor: chrf, optimizer: {adam: {lr: 0.03}}}
"""


def test_several_references_are_files_beside_the_same_source(tmp_path: Path) -> None:
    """chrF of what is answered is sacrebleu's with both."""
    from sacrebleu import CHRF

    texts = {
        "train": ["eins zwei", "drei vier"],
        "de": ["eins zwei", "drei vier"],
        "answers": ["one two", "three four"],
        "first": ["one two", "three four"],
        "second": ["a pair", "some four"],
    }
    for name, lines in texts.items():
        (tmp_path / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines))
    (tmp_path / "spec.yaml").write_text(REFERENCES)
    right("build", tmp_path / "spec.yaml", "--builds", tmp_path / "builds")
    scores = json.loads(right("evaluate", tmp_path / "builds", "--json"))
    answered = {each["input"]: each["answered"] for each in scores["examples"]["translation"]}
    hypotheses = [answered[text] for text in texts["de"]]
    expected = CHRF().corpus_score(hypotheses, [texts["first"], texts["second"]]).score / 100
    assert expected > 0.2
    assert scores["metrics"]["chrf"] == pytest.approx(expected)
