"""Where files may be written: nothing of the user's is overwritten, and all is said before work."""

from __future__ import annotations

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from rnnspec import files
from rnnspec.errors import OutputError
from rnnspec.files import MODEL_FILE, PICTURE, REPORT, SCHEMA, check_output
from tests.cli import exported_world, right, wrong


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(autouse=True)
def inside(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built)


WRITERS = {
    "export": ("export", "--onnx", "--output"),
    "report": ("evaluate", "--report"),
    "run": ("run", "colours.onnx", "--text", "apple", "--output"),
    "svg": ("show", "builds/colours", "--svg"),
    "schema": ("schema", "--output"),
}
ENDINGS = {"export": "onnx", "report": "html", "run": "jsonl", "svg": "svg", "schema": "json"}


@pytest.mark.parametrize("command", WRITERS)
@pytest.mark.parametrize("file", ["valid.jsonl", "train.jsonl", "colours.yaml", "colours.onnx"])
def test_no_command_writes_over_data_specs_or_files_of_another_kind(
    command: str, file: str
) -> None:
    if (command, file) == ("export", "colours.onnx"):
        return
    before = Path(file).read_bytes()
    said = wrong(*WRITERS[command], file)
    assert said.startswith(f"error: {file}: ")
    assert "such as" in said or "is there already" in said or "is read by" in said
    assert Path(file).read_bytes() == before


FOREIGN = {
    "JSON": b'{"mine": 1}\n',
    "schema": b'{"$schema": "http://json-schema.org/draft-07/schema#", "title": "mine"}\n',
    "text": b"name: mine\n",
    "nulls": b"null\nnull\n",
    "bytes": b"\xff\x00mine",
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("command", WRITERS)
@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_no_command_writes_over_somebody_elses_file_of_its_own_ending(
    command: str, content: bytes
) -> None:
    file = Path(f"foreign.{ENDINGS[command]}")
    file.write_bytes(content)
    said = wrong(*WRITERS[command], file)
    assert f"error: {file}: is there already, and is not" in said
    assert f"mv {file} {file}.old" in said, "a cure"
    assert file.read_bytes() == content
    file.replace(f"{file}.old")  # the cure
    right(*WRITERS[command], file)


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN)
def test_the_description_of_a_stream_replaces_nobody_elses_file(content: bytes) -> None:
    """The name of it follows from that of the model file."""
    file = Path("beside.json")
    file.write_bytes(content)
    said = wrong("export", "no/build", "--onnx", "--stream", "--output", "beside.onnx")
    assert "error: beside.json: is there already, and is not a description of a model file" in said
    assert file.read_bytes() == content and not Path("beside.onnx").exists()
    said = wrong("export", "no/build", "--onnx", "--stream", "--output", "tokenizer.onnx")
    assert "is the name of a tokenizer; name another file" in said


@pytest.mark.parametrize("command", WRITERS)
def test_every_command_replaces_what_it_wrote_itself(command: str) -> None:
    file = Path(f"own.{ENDINGS[command]}")
    right(*WRITERS[command], file)
    right(*WRITERS[command], file)
    assert file.stat().st_size


@pytest.mark.parametrize("command", WRITERS)
def test_a_folder_is_no_file(command: str) -> None:
    for folder in (".", "builds"):
        said = wrong(*WRITERS[command], folder)
        assert said.startswith(f"error: {folder}: is a folder; name a file in it, such as ")


@pytest.mark.parametrize("command", ["export", "report", "svg"])
def test_a_device_is_no_file(command: str) -> None:
    before = os.stat("/dev/null")
    assert "is no file" in wrong(*WRITERS[command], "/dev/null")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode) and os.stat("/dev/null") == before


@pytest.mark.parametrize("command", WRITERS)
def test_a_folder_that_is_not_there_is_told_with_a_cure(command: str) -> None:
    name = f"no such/{command}.{ENDINGS[command]}"
    assert "mkdir -p 'no such'" in wrong(*WRITERS[command], name)
    below = f"colours.yaml/file.{ENDINGS[command]}"
    assert "colours.yaml is a file, not a folder" in wrong(*WRITERS[command], below)


def test_answers_go_under_the_name_of_what_they_are() -> None:
    said = wrong("run", "colours.onnx", "--text", "apple", "--output", "answers.txt")
    assert "ends in .jsonl or .ndjson or .csv or .parquet, such as answers.jsonl" in said
    assert not Path("answers.txt").exists()


def test_answers_are_not_written_over_the_rows_that_are_read() -> None:
    """Also where those look like answers."""
    rows = Path("asked.jsonl")
    rows.write_text(json.dumps({"text": "apple", "colour": "red"}) + "\n")
    answered = ("run", "colours.onnx", "--data", rows, "--output")
    assert "is read by this very command" in wrong(*answered, rows)
    Path("link.jsonl").symlink_to(rows)
    assert "is read by this very command" in wrong(*answered, "link.jsonl")
    other = Path("other.jsonl")
    other.write_bytes(rows.read_bytes())
    assert "is there already" in wrong(*answered, other), "it has a column that the model reads"


def test_answers_stream_into_a_pipe() -> None:
    os.mkfifo("pipe")
    found: list[str] = []
    reader = threading.Thread(target=lambda: found.append(Path("pipe").read_text()))
    reader.start()
    right("run", "colours.onnx", "--text", "apple", "--output", "pipe")
    reader.join()
    assert set(json.loads(found[0])) == {"colour", "colour.probabilities"}


def test_what_is_refused_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong place is told although the build is missing, which would be seen at once."""
    for command in ("export", "evaluate"):
        option = ("--output",) if command == "export" else ("--report",)
        more = ("--onnx",) if command == "export" else ()
        assert "such as" in wrong(command, "no/build", *more, *option, "valid.jsonl")


@pytest.mark.parametrize("kind", [MODEL_FILE, REPORT, PICTURE, SCHEMA])
def test_an_empty_file_may_be_filled(tmp_path: Path, kind: files.FileKind) -> None:
    file = tmp_path / f"made-by-mktemp{kind.endings[0]}"
    file.touch()
    check_output(file, kind)


def interrupted_bytes(file: Path) -> None:
    with files.written(file) as half:
        half.write(b"new")
        raise KeyboardInterrupt


def interrupted_text(file: Path) -> None:
    with files.writing(file) as half:
        half.write("new")
        raise KeyboardInterrupt


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")
    for write in (interrupted_bytes, interrupted_text):
        with pytest.raises(KeyboardInterrupt):
            write(file)
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]
    with pytest.raises(OutputError, match="cannot be written"):
        files.write_bytes(tmp_path / "none" / "file", b"")
