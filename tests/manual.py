"""Runs the blocks of the manual: files are written, commands and Python are executed, in order.

A page is read in a folder of its own. What each block is goes by its language:

- a block with a `caption` is a file of that name;
- `console`: each line that begins with `$ ` is a command. It must succeed; where lines follow, they
  are its output, with `…` for any text, and a command that is refused must show its message;
- `pycon` and `python`: Python, with the names of the blocks before it;
- `yaml` without a caption: a whole spec, or a part that fits into the last whole spec;
- `sh`: commands for machines that a test does not have; their syntax and options are checked.

So that a page takes seconds, starters write few rows and builds take one epoch.
"""

from __future__ import annotations

import doctest
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from typer.testing import CliRunner

from rnnspec.cli.app import app
from rnnspec.demo import entities, morse, plates
from rnnspec.demo.splits import write_splits
from rnnspec.source.emit import to_yaml
from rnnspec.source.text import Source
from rnnspec.source.yaml12 import load
from rnnspec.spec.load import load_source

ROWS = 100
"""Most rows of a file of a starter."""
_FENCE = re.compile(r"^(`{3,})(.*?)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
_DIRECTIVE = re.compile(r"\{code-block\} *(\w+)")
SHOWN = ("text", "json", "javascript", "c", "html", "xml")
"""Languages of blocks that only show something, unless they are files."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code of a page; `file` is its name where it is a file."""

    language: str
    text: str
    line: int
    file: str = ""


def blocks(page: str) -> Iterator[Block]:
    """The blocks of code of a page, in their order."""
    for found in _FENCE.finditer(page):
        info, body = found[2].strip(), found[3]
        line = page[: found.start()].count("\n") + 1
        directive = _DIRECTIVE.match(info)
        if directive:
            options, _, text = body.partition("\n\n")
            caption = re.search(r"^:caption: *(.*)$", options, re.MULTILINE)
            yield Block(directive[1], text, line, caption[1].strip() if caption else "")
        elif not info.startswith("{"):
            yield Block(info, body, line)


@dataclass
class Page:
    """A page that is being run in the working folder."""

    name: str
    names: dict[str, Any] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)

    def run(self, block: Block) -> None:
        """Runs one block. Raises AssertionError where it does not do what the page says."""
        if block.file:
            Path(block.file).parent.mkdir(parents=True, exist_ok=True)
            Path(block.file).write_text(block.text, encoding="utf-8")
        match block.language:
            case "console":
                self._console(block)
            case "yaml" if not block.file:
                self._yaml(block)
            case "yaml":
                self.spec = load(block.text, self.name).data
            case "python" if not block.file:
                exec(compile(block.text, f"{self.name}:{block.line}", "exec"), self.names)
            case "pycon":
                self._pycon(block)
            case "sh":
                _parse_commands(block)
            case language:
                assert block.file or language in SHOWN, f"{self.name}:{block.line}: {language!r}"

    def _yaml(self, block: Block) -> None:
        data = load(block.text, self.name).data
        if "cardinality" in data:
            self.spec = data
        whole = {key: data.get(key, value) for key, value in {**data, **self.spec}.items()}
        if "data" in data and "data" in self.spec:
            whole["data"] = {**self.spec["data"], **data["data"]}
        load_source(Source.of(to_yaml(whole), f"{self.name}:{block.line}"), Path("spec.yaml"))

    def _console(self, block: Block) -> None:
        for command, expected in _commands(block.text):
            code, output = _run(command)
            shown = f"{self.name}:{block.line}: {command}\n{output}"
            refused = re.search(r"^error: |:\d+:\d+: ", expected, re.MULTILINE)
            assert code == (2 if refused else 0), shown
            assert not expected or _fits(expected, output), f"{shown}\n--- expected\n{expected}"

    def _pycon(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(
            block.text, self.names, self.name, self.name, block.line
        )
        said: list[str] = []
        options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        runner = doctest.DocTestRunner(optionflags=options)
        runner.run(test, out=said.append, clear_globs=False)
        self.names.update(test.globs)
        assert runner.failures == 0, "".join(said)


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """The commands of a block, each with the output that is shown."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, output = re.sub(r"\\\n *", "", part).partition("\n")
        yield command, output.strip("\n")


def _fits(expected: str, output: str) -> bool:
    """Whether an output is what is expected of it, where `…` stands for any text."""
    pattern = ".*".join(re.escape(part) for part in " ".join(expected.split()).split("…"))
    return re.search(pattern, " ".join(output.split())) is not None


def _run(command: str) -> tuple[int, str]:
    """The exit code and the output of a command; `rnnspec` alone in this process."""
    words = shlex.split(command, comments=True)
    if words[0] != "rnnspec" or {"|", "<", ">", "&&"} & set(words):
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": path},
        )
        return done.returncode, done.stdout + done.stderr
    if words[1] == "build":
        words += ["--set", "train.epochs=1"]
    with small_worlds():
        result = CliRunner().invoke(app, words[1:])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    if words[1] == "new":
        _keep_first_rows(Path(words[3] if len(words) > 3 else "."))
    return result.exit_code, result.output


def _keep_first_rows(folder: Path) -> None:
    for file in folder.rglob("*.jsonl"):
        lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        file.write_text("".join(lines[:ROWS]), encoding="utf-8")


@contextmanager
def small_worlds() -> Iterator[None]:
    """Starters make few sounds and pictures."""

    def few(folder: Path, counts: Mapping[str, int], lines: Any) -> dict[str, Path]:
        return write_splits(folder, {name: min(n, ROWS) for name, n in counts.items()}, lines)

    with ExitStack() as held:
        for world in (entities, morse, plates):
            held.enter_context(patch.object(world, "write_splits", few))
        yield


def _parse_commands(block: Block) -> None:
    """Checks commands that cannot run here: bash parses them, and rnnspec has their options."""
    subprocess.run(["bash", "-n", "-c", block.text], check=True)
    import typer

    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name, rest in re.findall(r"\brnnspec (\w+)([^|\n']*)", block.text):
        options = {option for each in commands[name].params for option in each.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options, (name, rest)
