"""The command line from inside the tests: one call, and a small world to build in."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rnnspec.cli.app import app

LABELS = {"red": "apple cherry rose", "yellow": "banana lemon sun", "blue": "sky sea ice"}
SPEC = """\
name: colours
cardinality: N:1
data:
  train: train.jsonl
  valid: valid.jsonl
  input: {column: text, as: words}
  output: {column: colour, as: class}
encoder:
  embed: 8
  layers: [{cell: gru, units: 8}]
train: {epochs: 1, batch: 20, threads: 1}
"""
FRAMES_SPEC = """\
name: sums
cardinality: N:1
data:
  train: frames.csv
  input: {column: steps, as: frames}
  output: {column: total, as: number}
encoder:
  layers: [{cell: rnn, units: 4}]
train: {epochs: 1, batch: 20, threads: 1}
"""


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


def rnnspec(*arguments: object, stdin: str | bytes = "") -> Said:
    """Run a command in this process. An exception that is no exit is raised as it is."""
    result = CliRunner().invoke(app, list(map(str, arguments)), input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def right(*arguments: object, stdin: str | bytes = "") -> str:
    """The output of a command that must succeed, with nothing on standard error."""
    said = rnnspec(*arguments, stdin=stdin)
    assert (said.code, said.err) == (0, ""), said
    return said.out


def wrong(*arguments: object, stdin: str | bytes = "") -> str:
    """The message of a command that must be refused."""
    said = rnnspec(*arguments, stdin=stdin)
    assert said.code == 2, said
    assert "Traceback" not in said.err
    return said.err


def write_world(folder: Path, rows: int = 200, epochs: int = 1) -> Path:
    """Specs `colours.yaml` and `sums.yaml` with their data in `folder`; the path of the first."""
    draw = random.Random(0)
    for name, count in (("train", rows), ("valid", 30)):
        lines = []
        for _ in range(count):
            colour = draw.choice(list(LABELS))
            words = draw.choices(LABELS[colour].split(), k=draw.randint(1, 5))
            lines.append(json.dumps({"text": " ".join(words), "colour": colour}))
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    table = ["steps,total"]
    for _ in range(60):
        steps = [[round(draw.uniform(-1, 1), 2) for _ in range(2)] for _ in range(3)]
        table.append(f'"{steps}",{sum(map(sum, steps)):.2f}')
    (folder / "frames.csv").write_text("\n".join(table) + "\n")
    (folder / "sums.yaml").write_text(FRAMES_SPEC)
    spec = folder / "colours.yaml"
    spec.write_text(SPEC.replace("epochs: 1", f"epochs: {epochs}"))
    return spec


def exported_world(folder: Path) -> Path:
    """The same folder, with the world, a build of `colours.yaml` and its file."""
    write_world(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        right("build", "colours.yaml")
        right("export", "--onnx", "--output", "colours.onnx")
    return folder
