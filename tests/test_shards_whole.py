"""Data in several files from the command line: check, build, resume, evaluate, export, run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnnspec.data import shards
from rnnspec.data.shards import Content
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.files import read_arrays
from rnnspec.store.folder import BuildFolder
from rnnspec.train.build import build
from tests.cli import right, write_world, wrong
from tests.training import metrics_of


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A spec `colours.yaml` of whole files, `parts.yaml` of the same rows in several."""
    monkeypatch.chdir(tmp_path)
    spec = write_world(tmp_path, epochs=2)
    text = spec.read_text()
    cut(tmp_path / "train.jsonl", tmp_path / "logs", [70, 71])
    cut(tmp_path / "valid.jsonl", tmp_path / "kept", [9])
    text = text.replace("train: train.jsonl", "train: logs/part-*.jsonl")
    text = text.replace("valid: valid.jsonl", "valid: [kept/part-0.jsonl, kept/part-1.jsonl]")
    (tmp_path / "parts.yaml").write_text(text.replace("name: colours", "name: parts"))
    return tmp_path


def cut(file: Path, folder: Path, cuts: list[int]) -> None:
    folder.mkdir()
    lines = file.read_text().splitlines(keepends=True)
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(lines)], strict=True)):
        (folder / f"part-{number}.jsonl").write_text("".join(lines[start:end]))


@pytest.mark.parametrize(("valid", "files"), [("0.3", 3), ("kept", 5)])
def test_a_build_reads_the_content_of_each_file_once(
    world: Path, monkeypatch: pytest.MonkeyPatch, valid: str, files: int
) -> None:
    """To find the encoded data of both parts, to write down what they were, and for the report."""
    read = []

    def content(file: Path) -> Content:
        read.append(file.name)
        return content_of(file)

    content_of = shards._content
    monkeypatch.setattr(shards, "_content", content)
    right("build", "parts.yaml", "--set", f"data.valid={valid}")
    assert len(read) == files


@pytest.mark.parametrize("valid", [None, "0.3"])
def test_a_build_is_that_of_the_whole_file(world: Path, valid: str | None) -> None:
    builds = []
    for name in ("colours", "parts"):
        loaded = load_spec(world / f"{name}.yaml", [f"data.valid={valid}"] if valid else [])
        builds.append(build(loaded, world / "builds", Silent()).folder)
    whole, parts = builds
    assert metrics_of(parts) == metrics_of(whole)
    expected, found = (read_arrays(each.weights)[0] for each in builds)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value)
    assert (parts.path / "facts.json").read_text() == (whole.path / "facts.json").read_text()


def stop(folder: Path) -> None:
    build = BuildFolder(folder)
    build.write_state({**build.read_state(), "state": "stopped"})


def test_resuming_tells_which_files_have_changed(world: Path) -> None:
    right("build", "parts.yaml", "--no-train")
    folder = world / "builds" / "parts" / "001"
    stop(folder)
    other = world / "logs" / "part-1.jsonl"
    for number in (0, 2):  # another name is no other content
        (world / "logs" / f"part-{number}.jsonl").rename(world / "logs" / f"part-{number}x.jsonl")
    text = other.read_text()
    other.write_text(text * 2)
    (world / "logs" / "part-7.jsonl").write_text(text)
    (world / "kept" / "part-1.jsonl").write_text(text)
    assert wrong("build", "parts.yaml", "--resume") == (
        f"error: {folder.relative_to(world)}: cannot be resumed, for the data files have changed "
        "since it was begun (part-0.jsonl of data.train is gone, part-2.jsonl of data.train is "
        "gone, part-0x.jsonl of data.train is new, part-2x.jsonl of data.train is new, "
        "part-7.jsonl of data.train is new, and 2 more); put them back, or start a new build "
        "without --resume\n"
    )
    for number in (0, 2):
        (world / "logs" / f"part-{number}x.jsonl").rename(world / "logs" / f"part-{number}.jsonl")
    said = wrong("build", "parts.yaml", "--resume")
    assert (
        "(part-7.jsonl of data.train is new, part-1.jsonl of data.train has changed, part-1.jsonl "
        "of data.valid has changed)"
    ) in said
    (world / "logs" / "part-7.jsonl").unlink()
    other.write_text(text)
    assert "(part-1.jsonl of data.valid has changed)" in wrong("build", "parts.yaml", "--resume")


def test_moved_files_are_resumed(world: Path) -> None:
    right("build", "parts.yaml", "--no-train")
    folder = world / "builds" / "parts" / "001"
    stop(folder)
    for number in range(3):
        file = world / "logs" / f"part-{number}.jsonl"
        file.rename(file.with_name(f"part-{number + 9}.jsonl"))
    assert "built builds/parts/001" in right("build", "parts.yaml", "--resume")


def test_evaluating_and_answering(world: Path) -> None:
    right("build", "parts.yaml")
    said = right("evaluate", "builds/parts", "--report", "report.html")
    assert said.startswith("builds/parts/001 on kept/part-0.jsonl and 1 more (30 rows)")
    assert "part-1.jsonl, line " in (world / "report.html").read_text()
    whole, *others = (
        json.loads(right("evaluate", "builds/parts", "--json", *arguments))
        for arguments in (
            ["--data", "valid.jsonl"],
            ["--data", "kept"],
            ["--data", "kept/*"],
            ["--data", "kept/part-0.jsonl", "--data", "kept/part-1.jsonl"],
        )
    )
    assert whole["data"] == "valid.jsonl" and whole["rows"] == 30
    for other, name in zip(others, ["kept", "kept/*", "kept/part-0.jsonl and 1 more"], strict=True):
        assert other["data"] == name
        assert other["metrics"] == whole["metrics"]
        places = {example["place"].partition(",")[0] for example in other["examples"]["colour"]}
        assert places == {"part-0.jsonl", "part-1.jsonl"}
    right("export", "builds/parts", "--onnx", "--output", "parts.onnx")
    answers = right("run", "parts.onnx", "--data", "valid.jsonl", "--json")
    assert len(answers.splitlines()) == 30
    assert right("run", "parts.onnx", "--data", "kept/*.jsonl", "--json") == answers
    (world / "kept" / "part-1.jsonl").write_text('{"text": "sun"}\n7\n')
    assert "kept/part-1.jsonl:2: holds a number" in wrong("run", "parts.onnx", "--data", "kept")


def test_check_needs_no_numpy(world: Path) -> None:
    """Which would take as long again as all else that it does."""
    code = (
        "import sys\nfrom rnnspec.cli import main\nsys.argv = ['rnnspec', 'check', 'parts.yaml']\n"
        "try:\n    main()\nexcept SystemExit:\n    print('numpy' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "parts.yaml: ok\nFalse\n"


def check(world: Path, train: str, valid: str = "null") -> str:
    return wrong(
        "check", "parts.yaml", "--set", f"data.train={train}", "--set", f"data.valid={valid}"
    )


def test_check_looks_for_files(world: Path) -> None:
    assert right("check", "parts.yaml") == "parts.yaml: ok\n"
    said = right(
        "check",
        "parts.yaml",
        "--set",
        "data.train=[none/*.jsonl, kept/part-0.jsonl]",
        "--set",
        "data.valid=none.jsonl",
    )
    assert said == (
        "parts.yaml: ok; note: no data file that matches none/*.jsonl, none.jsonl yet\n"
    )
    (world / "logs" / "part-9.csv").write_text("text,colour\n")
    assert "data.train: logs/part-9.csv: is csv by its ending, and logs/part-0" in check(
        world, "logs"
    )
    (world / "logs" / "old").mkdir()
    assert "logs/old: is a folder within the folder" in check(world, "logs")
    assert "data.train: kept/part-1.jsonl: the file is named by 'kept' and by '*/part-1.*'" in (
        check(world, "[kept, '*/part-1.*']")
    )
    assert "data.valid: kept/part-1.jsonl: the file is named by data.train and by data.valid" in (
        check(world, "kept", "'*/part-1.*'")
    )
