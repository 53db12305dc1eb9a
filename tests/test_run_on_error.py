"""`rnnspec run --on-error`: what is answered is kept, from wherever the rows are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rnnspec.errors import DataError
from rnnspec.export import export_onnx
from rnnspec.run import Model
from tests.cli import right, rnnspec, wrong
from tests.decoders import decoded
from tests.kinds import output, spec_data
from tests.random_builds import trained
from tests.test_export_kinds import quick as quick
from tests.test_run_tables import SOLD, table
from tests.test_run_tables import known as known
from tests.test_run_tables import model as series_model

ADVICE = "--on-error skip goes on without it, --on-error null with null in its place"
GOOD = "[[1,2,3],[0,1,0]]"
BAD = "[[1,2],[3,4]]"
WHY = "column 'frames' has 2 numbers in each step, the model reads 3"


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("frames") / "model.onnx"
    export_onnx(trained(spec_data("N:1", ["frames"], [output("class")]), size=0.9), target)
    return target


def given(lines: str) -> list[bool]:
    """Of each of the answers as JSON lines, whether there is one; else it is null."""
    found = [json.loads(line) for line in lines.splitlines()]
    assert all(each is None or "class" in each for each in found)
    return [each is not None for each in found]


def jsonl(file: Path, *cells: str) -> Path:
    """A row a cell, which is put in as it is; `!` stands for a line that is no JSON."""
    lines = [cell if cell.startswith("!") else f'{{"frames": {cell}}}' for cell in cells]
    file.write_text("\n".join(lines) + "\n")
    return file


def csv(file: Path, *cells: str) -> Path:
    rows = [f'"{cell}",1' if not cell.startswith("!") else "1,2,3" for cell in cells]
    file.write_text("\n".join(["frames,x", *rows]) + "\n")
    return file


NO_JSON = "broken JSON at column 1"
SOURCES = {"jsonl": (jsonl, 1, NO_JSON), "csv": (csv, 2, "has 3 fields, the header has 2")}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("bad", [BAD, "!"])
def test_the_answers_before_a_bad_row_are_kept(
    frames: Path, tmp_path: Path, source: str, bad: str
) -> None:
    write, first, unreadable = SOURCES[source]
    file = write(tmp_path / f"rows.{source}", GOOD, GOOD, bad, GOOD)
    said = rnnspec("run", frames, "--data", file, "--json")
    assert (said.code, given(said.out)) == (2, [True, True])
    assert said.err.startswith(f"error: {file}:{first + 2}: ")
    assert (unreadable if bad == "!" else WHY) in said.err
    assert said.err.endswith(f"\n2 answers were given before it; {ADVICE}\n")


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("bad", [BAD, "!"])
def test_bad_rows_are_skipped_or_null(frames: Path, tmp_path: Path, source: str, bad: str) -> None:
    write, first, _ = SOURCES[source]
    file = write(tmp_path / f"rows.{source}", bad, GOOD, bad, GOOD, bad)
    for policy, expected, word in (
        ("skip", [True, True], "left out"),
        ("null", [False, True, False, True, False], "null"),
    ):
        said = rnnspec("run", frames, "--data", file, "--json", "--on-error", policy)
        assert (said.code, given(said.out)) == (0, expected)
        lines = said.err.splitlines()
        places = [f"note: {file}:{first + at}: " for at in (0, 2, 4)]
        assert all(map(str.startswith, lines, places))
        assert lines[-1] == f"note: 3 of 5 have no answer and are {word}"


def test_a_bad_row_among_many_costs_no_answer(frames: Path, tmp_path: Path) -> None:
    """Rows are read and answered many at a time; all 1,500 before the bad one are there."""
    file = jsonl(tmp_path / "rows.jsonl", *[GOOD] * 1500, BAD, *[GOOD] * 100)
    out = tmp_path / "answers.jsonl"
    said = wrong("run", frames, "--data", file, "--output", out)
    assert f"{file}:1501: {WHY}" in said
    assert f"1,500 answers were given before it, in {out}; {ADVICE}" in said
    assert len(out.read_text().splitlines()) == 1500
    right_after = rnnspec("run", frames, "--data", file, "--output", out, "--on-error", "null")
    assert right_after.code == 0
    lines = out.read_text().splitlines()
    assert len(lines) == 1601 and lines[1500] == "null" and lines.count("null") == 1


def test_many_bad_rows_are_told_ten_times(frames: Path, tmp_path: Path) -> None:
    file = jsonl(tmp_path / "rows.jsonl", *["!"] * 30, GOOD)
    said = rnnspec("run", frames, "--data", file, "--json", "--on-error", "skip")
    assert said.code == 0
    assert said.err.count(f"note: {file}:") == 10
    assert "and more that cannot be answered" in said.err
    assert "30 of 31 have no answer and are left out" in said.err


@pytest.mark.parametrize("policy", ["stop", "skip", "null"])
def test_an_output_that_is_there_stays_without_an_answer(
    frames: Path, tmp_path: Path, policy: str
) -> None:
    out = tmp_path / "answers.jsonl"
    right("run", frames, "--input", f"frames={GOOD}", "--output", out)
    before = out.read_text()
    file = jsonl(tmp_path / "rows.jsonl", BAD, BAD)
    said = wrong("run", frames, "--data", file, "--output", out, "--on-error", policy)
    assert "no answers were given" in said or "none of 2 can be answered" in said
    assert out.read_text() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_output_of_nulls_first_may_be_written_again(frames: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.jsonl"
    file = jsonl(tmp_path / "rows.jsonl", BAD, GOOD)
    for _ in range(2):
        done = rnnspec("run", frames, "--data", file, "--output", out, "--on-error", "null")
        assert done.code == 0
    assert out.read_text().startswith("null\n{")


def test_a_file_that_cannot_be_read_on_is_the_end(frames: Path, tmp_path: Path) -> None:
    """A quote that is never closed leaves no row to skip; rows before it are answered all the
    same, and so are those before a line that is no UTF-8."""
    file = csv(tmp_path / "rows.csv", GOOD, GOOD, BAD, GOOD)
    file.write_text(file.read_text() + '"[[1,2,3]],1\n')
    said = rnnspec("run", frames, "--data", file, "--json", "--on-error", "skip")
    assert (said.code, len(said.out.splitlines())) == (2, 3)
    assert f"error: {file}:6: a double quote opened in this line is never closed" in said.err
    assert said.err.endswith("\n3 answers were given before it\n")
    lines = jsonl(tmp_path / "rows.jsonl", GOOD, GOOD)
    lines.write_bytes(lines.read_bytes() + b'{"frames": "\xff"}\n' + lines.read_bytes())
    said = rnnspec("run", frames, "--data", lines, "--json")
    assert (said.code, len(said.out.splitlines())) == (2, 2)
    assert f"{lines}:3: is not UTF-8" in said.err


def test_standard_input(frames: Path) -> None:
    good, bad = f'{{"frames": {GOOD}}}', f'{{"frames": {BAD}}}'
    said = rnnspec("run", frames, "--json", stdin=f"{good}\nnothing\n{bad}\n{good}\n")
    assert (said.code, len(said.out.splitlines())) == (2, 1)
    assert "error: standard input:2: not JSON" in said.err
    said = rnnspec("run", frames, "--on-error", "null", stdin=f"{good}\nnothing\n{bad}\n{good}\n")
    assert said.code == 0
    assert [line.split("  →  ")[1] == "(no answer)" for line in said.out.splitlines()] == [
        False, True, True, False,
    ]  # fmt: skip
    assert f"note: standard input:3: {WHY}\n" in said.err


def test_one_row_has_no_advice(frames: Path) -> None:
    said = wrong("run", frames, "--input", f"frames={BAD}")
    assert said == f"error: --input: {WHY}\n"


def test_each_row_is_drawn_with_its_own_seed(tmp_path: Path) -> None:
    """Whatever becomes of the rows before it."""
    model = tmp_path / "model.onnx"
    export_onnx(trained(decoded(), size=0.9), model, strategy="sample")
    column = Model.load(model, threads=1).inputs[0].column
    rows = [json.dumps({column: text}) for text in ["ab"] * 6]
    rows[2] = rows[4] = json.dumps({column: 7})
    (tmp_path / "rows.jsonl").write_text("\n".join(rows) + "\n")
    command = ("run", model, "--data", tmp_path / "rows.jsonl", "--json", "--on-error")
    skipped = rnnspec(*command, "skip", "--seed", 3).out.splitlines()
    nulls = rnnspec(*command, "null", "--seed", 3).out.splitlines()
    assert [line for line in nulls if line != "null"] == skipped
    alone = [right("run", model, "--text", "ab", "--seed", 3 + at, "--json") for at in (0, 1, 3, 5)]
    texts = [[json.loads(line)["out_chars"] for line in lines] for lines in (skipped, alone)]
    assert texts[0] == texts[1]


def test_series_of_a_table(known: Path, tmp_path: Path) -> None:
    gap: list[Any] = [None, None]
    file = table(
        tmp_path / "t.csv", [1.0, 2.0, *gap], [0.0] * 4,
        B=([None, None], [0.0, 0.0]), C=([1.0, 3.0, *gap], [0.0, 0.0, 1.0, 1.0]),
    )  # fmt: skip
    why = f"{file}:6: series 'B' has no past, for {SOLD!r} is empty in all of its rows"
    said = rnnspec("run", known, "--data", file, "--json")
    assert (said.code, [json.loads(line)["shop"] for line in said.out.splitlines()]) == (2, ["A"])
    assert why in said.err and "1 answer was given before it" in said.err
    said = rnnspec("run", known, "--data", file, "--json", "--on-error", "null")
    found = [json.loads(line) for line in said.out.splitlines()]
    assert (said.code, [each and each["shop"] for each in found]) == (0, ["A", None, "C"])
    assert f"note: {why}" in said.err
    said = rnnspec("run", known, "--data", file, "--json", "--on-error", "skip")
    assert [json.loads(line)["shop"] for line in said.out.splitlines()] == ["A", "C"]


def test_a_row_of_a_table_that_cannot_be_read_is_the_end(tmp_path: Path) -> None:
    """Left out, it would be a hole in some series."""
    file = table(tmp_path / "t.csv", [1.0, 2.0, 3.0], [0.0] * 3)
    file.write_text(file.read_text() + "1,2\n")
    plain = series_model(tmp_path, SOLD)
    said = wrong("run", plain, "--data", file, "--on-error", "skip")
    assert f"{file}:5: has 2 fields" in said


def test_in_python(frames: Path) -> None:
    """`answers_or_errors` has the error in place of the answer; `answer` raises it there."""
    model = Model.load(frames, threads=1)
    good, bad = {"frames": json.loads(GOOD)}, {"frames": json.loads(BAD)}
    for batch in (1, 2, 64):
        found = list(model.answers_or_errors([good, bad, DataError("mine"), good], batch=batch))
        assert [str(each) for each in found[1:3]] == [WHY, "mine"]
        assert [isinstance(each, dict) for each in found] == [True, False, False, True]
        answers = model.answer([good, good, bad], batch=batch)
        assert all("class" in next(answers) for _ in range(2))
        with pytest.raises(DataError, match=r"row 3: column 'frames'"):
            next(answers)
