"""What every command has in common: --json, --quiet, --verbose, and words of other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from rnnspec.cli.app import QUIET, VERBOSE, WORDS, app
from rnnspec.cli.terminal import loudness
from tests.cli import right, rnnspec, write_world, wrong

COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a spec, its data and one build."""
    folder = tmp_path_factory.mktemp("habits")
    spec = write_world(folder)
    right("build", spec, "--builds", folder / "builds")
    return folder


@pytest.fixture
def here(world: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(world)
    return world


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json(name: str) -> None:
    options = {option for each in COMMANDS[name].params for option in each.opts}
    assert "--json" in options


ASKED = {
    "new": ["new"],
    "check": ["check", "colours.yaml"],
    "show": ["show", "colours.yaml"],
    "explain": ["explain", "epochs"],
    "data": ["data", "colours.yaml"],
    "build": ["build", "colours.yaml", "--no-train"],
    "list": ["list"],
    "compare": ["compare", "builds"],
    "evaluate": ["evaluate"],
    "export": ["export", "--onnx", "--output", "out.onnx"],
    "export --c": ["export", "--c", "in_c"],
    "schema": ["schema"],
}


@pytest.mark.parametrize("name", ASKED)
def test_json_is_one_document_on_standard_output(here: Path, name: str) -> None:
    found = json.loads(right(*ASKED[name], "--json"))
    assert found is not None
    if name == "show":
        assert [each["type"] for each in found["nodes"]][:2] == ["TokensInput", "Embed"]
    if name == "export":
        assert found["file"] == "out.onnx" and found["proof"]["rows"] > 0
    if name == "build":
        assert Path(found["build"]).is_dir() and found["finished"]


def test_mistakes_as_json(here: Path) -> None:
    (here / "bad.yaml").write_text((here / "colours.yaml").read_text() + "nonsense: 1\n")
    said = rnnspec("check", "colours.yaml", "bad.yaml", "--json")
    (found,) = json.loads(said.out)
    assert said.code == 2
    assert (found["file"], found["key"]) == ("bad.yaml", "nonsense")
    assert found["line"] > 1 and found["message"]


@pytest.mark.parametrize("place", ["before", "behind"])
def test_quiet_leaves_what_was_made(here: Path, place: str) -> None:
    asked = ["export", "--onnx", "--output", f"{place}.onnx"]
    said = right(QUIET, *asked) if place == "before" else right(*asked, QUIET)
    assert said == f"{place}.onnx\n"
    said = right("build", "colours.yaml", "--no-train", QUIET)
    assert Path(said.strip()).is_dir() and said.count("\n") == 1
    assert "error: " in wrong(QUIET, "export", "--onnx", "--c", "x")
    assert "next: " in right("export", "--onnx", "--output", f"{place}-again.onnx")


def test_verbose_shows_where_an_error_was_raised(here: Path) -> None:
    assert "Traceback" not in wrong("export", "--onnx", "--c", "x")
    told = rnnspec("export", "--onnx", "--c", "x", VERBOSE).err
    assert "Traceback" in told and "error: name one format" in told
    right("check", "colours.yaml")
    assert not loudness.verbose


def test_words_of_other_tools_name_commands_that_are_there() -> None:
    for word, meant in WORDS.items():
        assert word not in COMMANDS
        command = meant.replace(",", " ").split()[0]
        assert command in COMMANDS or command in ("--help", "--version")
        assert f"rnnspec {meant}" in " ".join(wrong(word).split())


def test_a_word_near_a_command_is_told_as_before() -> None:
    assert "build" in wrong("biuld")


def test_completion_of_the_shell_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    assert "_RNNSPEC_COMPLETE" in right("--show-completion", "bash")
