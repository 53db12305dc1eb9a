"""`rnnspec run` and `rnnspec export` on models of every kind, as they are typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rnnspec.data import lines
from rnnspec.export import export_onnx
from tests.cli import right, rnnspec, wrong
from tests.decoders import decoded
from tests.kinds import HORIZON, output, spec_data
from tests.random_builds import trained
from tests.test_export_kinds import quick as quick
from tests.test_export_kinds import writer

PROGRAM = [sys.executable, "-m", "rnnspec"]


def file(folder: Path, data: dict[str, Any], **options: Any) -> Path:
    target = folder / "model.onnx"
    export_onnx(trained(data, size=0.9), target, **options)
    return target


def test_tags_and_keys(tmp_path: Path) -> None:
    model = file(tmp_path, spec_data("N:N", ["words"], [output("tags"), output("keys")]))
    assert "tags " in right("run", model, "--text", "one two")
    answer = json.loads(right("run", model, "--text", "one two three", "--json"))
    assert len(answer["tags"]) == len(answer["tags.probabilities"]) == len(answer["keys"]) == 3


def test_texts_and_the_next_best(tmp_path: Path) -> None:
    strategy = "beam:width=3,n_best=3"
    model = file(tmp_path, decoded(attention="dot"), strategy=strategy)
    shown = right("run", model, "--text", "abc")
    assert shown.startswith("abc  →  ") and shown.count("-") >= 3
    answer = json.loads(right("run", model, "--text", "abc", "--json"))
    assert len(answer["out_chars.n_best"]) == 3


def test_seeds(tmp_path: Path) -> None:
    model = file(tmp_path, decoded(), strategy="sample")

    def asked(*texts: str, seed: int) -> list[str]:
        given = [part for text in texts for part in ("--text", text)]
        lines = right("run", model, *given, "--seed", seed, "--json").splitlines()
        return [json.loads(line)["out_chars"] for line in lines]

    together = asked(*["ab"] * 6, seed=2)
    assert len(set(together)) > 1
    assert together == [asked("ab", seed=seed)[0] for seed in range(2, 8)]
    assert "expected a whole number" in wrong("run", model, "--text", "a", "--seed", 2**63)
    greedy = file(tmp_path, decoded())
    said = wrong("run", greedy, "--text", "a", "--seed", 1)
    assert "--seed is for models that draw" in said and "--strategy sample" in said
    other = file(tmp_path, spec_data("N:1", ["words"], [output("class")]))
    assert "leave it out\n" in wrong("run", other, "--text", "a", "--seed", 1)


def test_several_inputs_on_the_command_line(tmp_path: Path) -> None:
    kinds = ["tokens", "frames", "category", "number"]
    model = file(tmp_path, spec_data("N:1", kinds, [output("class"), output("labels")]))
    given = ['tokens=["T1","T2"]', "frames=[[1,2,3],[null,0,1]]", "category=x", "number=2.5"]
    arguments = [part for each in given for part in ("--input", each)]
    assert "class " in right("run", model, *arguments)
    assert "'number' is missing" in wrong("run", model, *arguments[:-2])
    assert "is the text 'x'" in wrong("run", model, *arguments[:-1], "number=x")
    said = wrong("run", model, "--text", "T1")
    assert "reads 'tokens' (a list of texts), 'frames' (a list of steps of 3 numbers)" in said


def test_a_table_of_series(tmp_path: Path) -> None:
    ahead = {"column": "series", "as": "forecast", "horizon": HORIZON, "distribution": "point"}
    data = spec_data("N:M", ["series", "known_series", "category"], [ahead])
    data["data"]["series"] |= {"id": "shop", "time": "day"}
    model = file(tmp_path, data)
    lines = ["day,shop,series,known_series,category"]
    for day in range(7):
        known = "" if day >= 7 - HORIZON else day / 2
        lines += [f"{day},B,{known},{day},x", f"{day},A,{known},{-day},"]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(lines) + "\n")
    found = [
        json.loads(line)
        for line in right("run", model, "--data", table, "--json").split("\n")
        if line
    ]
    assert [answer["shop"] for answer in found] == ["B", "A"]
    rows = [
        {"series": [0, 0.5, 1, 1.5], "known_series": [0, s, 2 * s, 3 * s], "category": c,
         "known_series.future": [4 * s, 5 * s, 6 * s]}
        for s, c in ((1, "x"), (-1, None))
    ]  # fmt: skip
    listed = tmp_path / "rows.jsonl"
    listed.write_text("".join(json.dumps(row) + "\n" for row in rows))
    same = [
        json.loads(line)
        for line in right("run", model, "--data", listed, "--json").split("\n")
        if line
    ]
    assert [answer["series"] for answer in found] == [answer["series"] for answer in same]
    assert [(answer["shop"], answer["day"]) for answer in found] == [
        ("B", [4, 5, 6]),
        ("A", [4, 5, 6]),
    ]
    assert right("run", model, "--data", table).startswith("B, 4 to 6  →  [")
    table.write_text("\n".join([*lines[:3], "1,B,x,1,x", *lines[4:]]) + "\n")
    assert "table.csv:4: column 'series' is the text 'x', expected a number" in wrong(
        "run", model, "--data", table
    )
    table.write_text("\n".join([*lines[:4], "1,A,,-1,x", *lines[5:]]) + "\n")
    said = wrong("run", model, "--data", table)
    assert "table.csv:5: column 'category' is read 'as: category', once for all steps" in said
    assert "within the steps that are read of series 'A'" in said
    table.write_text("\n".join(lines[:7]) + "\n")
    assert "add 3 rows for them, with 'known_series' filled" in wrong("run", model, "--data", table)


def test_lines_of_standard_input_are_named(tmp_path: Path) -> None:
    model = file(tmp_path, spec_data("N:1", ["chars"], [output("class")]))
    for content, line in ((b"ab\n\xff\n", 2), (b"\xc3\n", 1), (b"a\nb\nc\xe9d\n", 3)):
        done = subprocess.run(
            [*PROGRAM, "run", str(model)], input=content, capture_output=True, check=False
        )
        assert done.returncode == 2
        assert done.stdout.decode().count("→") == line - 1
        assert f"standard input:{line}: not UTF-8 (byte" in done.stderr.decode()
        assert "iconv" in done.stderr.decode()
    assert right("run", model, stdin="\ufeffab\r\nb\n") == right("run", model, stdin="ab\nb\n")


def test_nothing_is_said_where_the_reader_has_gone(tmp_path: Path) -> None:
    model = file(tmp_path, spec_data("N:1", ["chars"], [output("class")]))
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"chars": "abcde"}\n' * 20_000)
    for more in ([], ["--json"]):
        reading, writing = os.pipe()
        command = [*PROGRAM, "run", str(model), "--data", str(texts), *more]
        with subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE) as process:
            os.close(writing)
            assert os.read(reading, 10)
            os.close(reading)
            _, said = process.communicate()
        assert said == b""
        assert process.returncode == 141


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    model = file(tmp_path, spec_data("N:1", ["chars"], [output("class")]))
    said = wrong("run", model, "--text", "a", "--output", tmp_path / "no" / "x.jsonl")
    assert f"there is no folder {tmp_path / 'no'}); make it with: mkdir -p " in said


def test_what_was_written_is_said_and_what_is_no_text(tmp_path: Path) -> None:
    model = file(tmp_path, spec_data("N:1", ["chars"], [output("class")]))
    target = tmp_path / "x.jsonl"
    assert right("run", model, "--text", "a", "--output", target) == f"wrote {target}\n"
    assert right("run", model, "--text", "a", "--output", target, "--quiet") == f"{target}\n"
    assert right("run", model, "--text", "a", "--output", target, "--json") == ""
    for mark, name in lines.MARKS.items():  # told by their first bytes, from a pipe and by name
        said = wrong("run", model, stdin=mark + b"\x84\xff\n")
        assert f"standard input: is {name}, and rows are lines of text" in said
        (tmp_path / "rows.jsonl").write_bytes(mark + b"\x84\xff\n")
        assert f"is {name}" in wrong("run", model, "--data", tmp_path / "rows.jsonl")
    assert "of an exported file --text alone is measured" in wrong("evaluate", model)
    assert "is a file, and a build is a folder" in wrong("export", model, "--onnx")


def test_a_writer(tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    export_onnx(writer(), target, generate=20, strategy="sample:top_k=3")
    said = right("run", target, "--text", "ab", "--seed", 5)
    assert said.startswith("ab  →  ab")
    assert said == right("run", target, "--text", "ab", "--seed", 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", 5], "--steps says how much --generate writes"),
        (["--output", "no/such/model.onnx"], "there is no folder no/such"),
        (["--quantize", "int8", "--half"], "are two ways to keep weights"),
        (["--max-loss", "1 %"], "--max-loss is about --quantize or --half"),
        (["--quantize", "int4"], "'int4' is not one of 'int8'"),
    ],
)
def test_wrong_exports(options: list[Any], message: str) -> None:
    assert message in wrong("export", "--onnx", *options)
    assert rnnspec("export", "--onnx", "--generate", "--steps", 0).code == 2
