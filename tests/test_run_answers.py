"""Files of answers: JSON lines, CSV and Parquet say the same; what is kept; the top labels."""

from __future__ import annotations

import csv
import gc
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pytest
from pyarrow import parquet

from rnnspec.cli.bulk import COLLECT_AFTER, Count, few_collections
from rnnspec.export import export_onnx
from rnnspec.run import Model
from tests.cli import right, rnnspec, wrong
from tests.decoders import decoded
from tests.kinds import HORIZON, output, spec_data
from tests.random_builds import trained
from tests.test_export_kinds import quick as quick
from tests.test_run_tables import known as known

Rows = list[dict[str, Any]]
ENDINGS = (".jsonl", ".csv", ".parquet")


def model_of(folder: Path, data: dict[str, Any], **options: Any) -> Path:
    target = folder / "model.onnx"
    export_onnx(trained(data, size=0.9), target, **options)
    return target


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one class and of a tag a word."""
    kinds = [output("class"), output("labels")]
    return model_of(tmp_path_factory.mktemp("words"), spec_data("N:1", ["words"], kinds))


def write(file: Path, rows: Rows) -> Path:
    if file.suffix == ".parquet":
        parquet.write_table(arrow.Table.from_pylist(rows), file)
    elif file.suffix == ".csv":
        with file.open("w", newline="") as out:
            writer = csv.DictWriter(out, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    else:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def read(file: Path) -> Rows:
    """The rows of a file of answers; of CSV the cells that are JSON as what they hold."""
    if file.suffix == ".parquet":
        return [dict(row) for row in parquet.read_table(file).to_pylist(maps_as_pydicts="strict")]
    if file.suffix == ".csv":
        with file.open(newline="") as lines:
            return [{k: told(v) for k, v in row.items()} for row in csv.DictReader(lines)]
    return [json.loads(line) for line in file.read_text().splitlines()]


def told(cell: str) -> Any:
    try:
        return json.loads(cell)
    except ValueError:
        return cell or None


def same(found: Any, wanted: Any) -> bool:
    """Equal, numbers as float32."""
    match wanted:
        case dict():
            return list(found) == list(wanted) and all(same(found[k], wanted[k]) for k in wanted)
        case list():
            return len(found) == len(wanted) and all(map(same, found, wanted))
        case float():
            return bool(np.float32(found) == np.float32(wanted))
    return bool(found == wanted)


def known_limit(kind: str) -> dict[str, Any]:
    """An output whose threshold, if it has one, needs no validation rows."""
    entry = dict(output(kind))
    return {**entry, "threshold": 0.5} if "threshold" in entry else entry


STEPS = ("tags", "keys", "path", "out_frames")
ROWS = ("class", "out_number", "out_doubles")
OF_ROWS = ("gaussian", "mixture", "alone", "correlated", "quantiles")
OF_STEPS = ("laplace", "count", "mixed")
QUANTILES = {"distribution": {"quantiles": [0.1, 0.5, 0.9]}}
AHEAD = {"column": "series", "as": "forecast", "horizon": HORIZON, **QUANTILES}
BEST = {"strategy": "beam:width=3,n_best=2", "attention": True}
Case = tuple[dict[str, Any], dict[str, Any], list[Any]]
KINDS: dict[str, Case] = {
    "steps": (
        spec_data("N:N", ["words"], list(map(known_limit, STEPS))),
        {},
        ["one two", "", "two"],
    ),
    "rows": (spec_data("N:1", ["words"], list(map(output, ROWS))), {}, ["one two", "", "two"]),
    "distributions of rows": (
        spec_data("N:1", ["words"], [output(f"out_{name}") for name in OF_ROWS]),
        {},
        ["one two", ""],
    ),
    "distributions of steps": (
        spec_data("N:N", ["words"], [output(f"out_{name}_frames") for name in OF_STEPS]),
        {},
        ["one two", "", "two"],
    ),
    "best texts": (decoded(attention="dot"), BEST, ["abc", "b"]),
    "forecasts": (spec_data("N:M", ["series"], [AHEAD]), {}, [[1.0, 2.0], [3.0]]),
}
"""A spec, options of its export, and cells of its input."""


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_has_the_same_answers(kind: str, tmp_path: Path) -> None:
    data, options, cells = KINDS[kind]
    model = model_of(tmp_path, data, **options)
    column = Model.load(model, threads=1).inputs[0].column
    rows = write(tmp_path / "rows.jsonl", [{"id": 7, column: cell} for cell in cells])
    lines = right("run", model, "--data", rows, "--json", "--keep", "id").splitlines()
    wanted = [json.loads(line) for line in lines]
    assert len(wanted) == len(cells) and next(iter(wanted[0])) == "id"
    for ending in ENDINGS:
        out = tmp_path / f"answers{ending}"
        right("run", model, "--data", rows, "--output", out, "--keep", "id")
        found = read(out)
        assert len(found) == len(wanted) and all(map(same, found, wanted)), ending
    fields = list(Model.load(model, threads=1).fields)
    assert fields == list(wanted[0])[1:] == parquet.read_schema(out).names[1:]


@pytest.mark.parametrize("ending", ENDINGS)
def test_columns_are_kept_beside_the_answers(words: Path, tmp_path: Path, ending: str) -> None:
    """Of every format into every format, in the order of the rows; one that is answered too has a
    name of its own, and so the truth stands beside the answer."""
    column = Model.load(words, threads=1).inputs[0].column
    texts = ["one two three four", "", 'two, "three"\r\nfour', "one"] * 40
    rows = [{"id": at, "class": "old", column: text} for at, text in enumerate(texts)]
    file = write(tmp_path / f"rows{ending}", rows)
    for out in (tmp_path / f"answers{each}" for each in ENDINGS):
        right("run", words, "--data", file, "--output", out, "--keep", "all", "--batch", 8)
        found = read(out)
        assert list(found[0])[:3] == ["id", "class.given", column]
        assert [int(row["id"]) for row in found] == list(range(len(rows)))
        assert {row["class.given"] for row in found} == {"old"}
        assert [row[column] or "" for row in found] == texts
        only = tmp_path / f"only{out.suffix}"
        right("run", words, "--data", file, "--output", only, "--keep", "id")
        assert [row["class"] for row in read(only)] == [row["class"] for row in found]


def test_what_may_be_kept(words: Path, tmp_path: Path) -> None:
    column = Model.load(words, threads=1).inputs[0].column
    file = write(tmp_path / "rows.jsonl", [{column: "one", "id": 3, "class": 1, "class.given": 2}])
    run = ("run", words, "--data", file)
    assert "has no column 'idd'; did you mean 'id'?" in wrong(*run, "--json", "--keep", "idd")
    said = wrong(*run, "--json", "--keep", f"id,{column}")
    assert "give --keep once for each column" in said
    assert "would both be kept as 'class.given'" in wrong(*run, "--json", "--keep", "all")
    assert "--keep is for --json and --output" in wrong(*run, "--keep", "id")
    given = json.dumps({column: "two", "id": 4})
    line = right("run", words, "--json", "--keep", "id", stdin=given + "\n" + given + "\n")
    assert [json.loads(each)["id"] for each in line.splitlines()] == [4, 4]
    line = right("run", words, "--json", "--keep", "all", "--text", "two")
    assert json.loads(line)[column] == "two"


def test_a_row_without_an_answer_keeps_its_id(tmp_path: Path) -> None:
    model = model_of(tmp_path, spec_data("N:1", ["frames"], [output("class")]))
    rows = [{"id": 1, "frames": [[1, 2, 3]]}, {"id": 2, "frames": [[1]]}]
    file = write(tmp_path / "rows.jsonl", rows)
    for ending in ENDINGS:
        out = tmp_path / f"answers{ending}"
        options = ("--keep", "id", "--on-error", "null", "--output", out)
        assert rnnspec("run", model, "--data", file, *options).code == 0
        first, second = read(out)
        assert first["class"] and second["id"] == 2
        assert second["class"] is second["class.probabilities"] is None


def test_the_top_labels(tmp_path: Path) -> None:
    """The K most probable ones of a row and of each step, the most probable first."""
    kinds = [output(kind) for kind in ("tags", "keys")]
    steps = model_of(tmp_path, spec_data("N:N", ["words"], kinds))
    answer = json.loads(right("run", steps, "--text", "one two", "--json", "--top", 2))
    whole = Model.load(steps, threads=1)
    results = whole.session.run(whole.feeds([whole.values({"words": "one two"})]))
    for kind in ("tags", "keys"):
        key = f"{kind}.probabilities"
        for step, shares in zip(answer[key], results[key][0], strict=True):
            assert list(step.values()) == sorted(shares.tolist(), reverse=True)[:2]
    best = [max(step, key=step.__getitem__) for step in answer["tags.probabilities"]]
    assert best == answer["tags"]
    number = model_of(tmp_path, spec_data("N:1", ["words"], [output("out_number")]))
    said = wrong("run", number, "--text", "one", "--json", "--top", 2)
    assert "--top is for models that answer labels" in said


def test_the_top_labels_of_a_row(words: Path, tmp_path: Path) -> None:
    everything = json.loads(right("run", words, "--text", "one", "--json"))
    answer = json.loads(right("run", words, "--text", "one", "--json", "--top", 2))
    for key in ("class.probabilities", "labels.probabilities"):
        shares = everything[key]
        wanted = sorted(shares, key=shares.__getitem__, reverse=True)[:2]
        assert list(answer[key]) == wanted and answer[key].items() <= shares.items()
    assert answer["class"] == everything["class"] and answer["labels"] == everything["labels"]
    assert "--top is for --json and --output" in wrong("run", words, "--text", "one", "--top", 2)


def test_a_file_of_answers_is_replaced_and_no_other(words: Path, tmp_path: Path) -> None:
    column = Model.load(words, threads=1).inputs[0].column
    file = write(tmp_path / "rows.jsonl", [{column: "one", "class": "a", "labels": []}])
    for ending in ENDINGS:
        run = ("run", words, "--data", file, "--output", tmp_path / f"answers{ending}")
        right(*run)
        right(*run, "--keep", "all")
        right(*run)
        data = write(tmp_path / f"data{ending}", [{column: "one", "class": "a", "labels": "b"}])
        before = data.read_bytes()
        said = wrong("run", words, "--data", file, "--output", data)
        assert "is not a file of answers that rnnspec wrote" in said
        assert data.read_bytes() == before
    said = wrong("run", words, "--data", file, "--output", tmp_path / "answers.txt")
    assert ".jsonl or .ndjson or .csv or .parquet" in said


def test_cells_of_parquet_have_one_type(words: Path, tmp_path: Path) -> None:
    column = Model.load(words, threads=1).inputs[0].column
    file = write(tmp_path / "rows.jsonl", [{column: "one", "id": each} for each in (1, "x")])
    run = ("run", words, "--data", file, "--keep", "id", "--output")
    said = wrong(*run, tmp_path / "answers.parquet")
    assert "the cells of 'id', which is kept, are not of one type" in said and ".jsonl" in said
    assert [each.name for each in tmp_path.iterdir()] == ["rows.jsonl"]
    right(*run, tmp_path / "answers.csv")


def test_options_for_many_rows(words: Path, tmp_path: Path) -> None:
    said = wrong("run", words, "--text", "one", "--batch", 4)
    assert "--batch is for the rows of --data or of standard input" in said
    for option in (("--batch", 2), ("--keep", "all"), ("--top", 1)):
        said = wrong("run", words, "--stream", "--json", *option)
        assert "--batch, --keep and --top are for whole rows" in said
    one = right("run", words, "--json", stdin="one\ntwo one\n")
    assert (
        right("run", words, "--json", "--batch", 2, "--threads", 2, stdin="one\ntwo one\n") == one
    )


def test_an_interrupt_leaves_nothing(words: Path, tmp_path: Path, usual_signals: None) -> None:
    """Ctrl-C while rows are being answered: exit code 130, no file, none half written."""
    out = tmp_path / "answers.parquet"
    command = [sys.executable, "-m", "rnnspec", "run", str(words), "--output", str(out)]
    with subprocess.Popen(
        [*command, "--batch", "4"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(b"one two\n" * 1000)
        process.stdin.flush()
        while not (parts := list(tmp_path.glob(".*.part"))):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert b"Traceback" not in process.stderr.read()
    assert parts and not list(tmp_path.iterdir())


def test_the_count_of_rows() -> None:
    times = iter([0.0, *[2.0] * 4])
    count = Count(clock=lambda: next(times))
    count.read(0.5)
    assert list(count.of("abcd")) == ["a", "b", "c", "d"]
    assert count.text() == "4 rows, 2 rows/s"


def test_cycles_are_looked_for_as_before_once_rows_are_answered() -> None:
    before = gc.get_threshold()
    with few_collections():
        assert gc.get_threshold() == (COLLECT_AFTER, *before[1:])
    assert gc.get_threshold() == before
