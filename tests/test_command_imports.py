"""What the commands load: torch where it trains or measures, and nowhere any heavier library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.cli import SPEC

ROOT = Path(__file__).parent.parent
COMMANDS = """
import contextlib, io, json, sys
from rnnspec.cli import main

for command in json.loads(sys.argv[1]):
    sys.argv = ["rnnspec", *command]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main()
    print(json.dumps([command[0], sorted(sys.modules)]))
"""
HEAVY = {
    "torch._dynamo", "torch._inductor", "torch.onnx", "torch.utils.tensorboard", "onnx.reference",
    "onnxruntime.quantization", "onnxruntime.transformers", "sympy", "networkx", "scipy", "pandas",
    "polars", "sklearn", "matplotlib", "pyarrow", "sacrebleu", "optuna", "tokenizers", "PIL",
    "soundfile", "soxr", "h5py", "babel",
}  # fmt: skip
"""What no command needs for rows of JSON with texts and classes."""


def loaded(folder: Path, commands: list[list[str]]) -> dict[str, set[str]]:
    """The modules that are there after each command, one after another in one fresh process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", COMMANDS, json.dumps(commands)],
        cwd=folder, capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    found = dict(json.loads(line) for line in done.stdout.splitlines())
    assert list(found) == [command[0] for command in commands], done.stderr
    return {name: set(modules) for name, modules in found.items()}


def test_commands_load_what_they_need(tmp_path: Path) -> None:
    (tmp_path / "colours.yaml").write_text(SPEC)
    for name in ("train", "valid"):
        words = [("rose", "red"), ("sun", "yellow"), ("sky", "blue")] * 8
        rows = [{"text": f"a {word}", "colour": colour} for word, colour in words]
        (tmp_path / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    trained = [
        ["build", "colours.yaml", "--quiet"],
        ["evaluate"],
        ["export", "--onnx", "--output", "colours.onnx"],
    ]
    found = loaded(tmp_path, trained)
    assert (tmp_path / "colours.onnx").exists()
    assert not found["evaluate"] & {"onnx", "onnxruntime"}
    assert found["export"] >= {"torch", "onnx", "onnxruntime"}
    assert not found["export"] & HEAVY
    others = [
        ["check", "colours.yaml"],
        ["show", "colours.yaml"],
        ["list"],
        ["data", "colours.yaml"],
        ["run", "colours.onnx", "--data", "valid.jsonl", "--output", "answers.jsonl"],
    ]
    found = loaded(tmp_path, others)
    assert (tmp_path / "answers.jsonl").exists()
    assert not found["check"] & {"numpy", "onnxruntime"}
    assert "onnxruntime" not in found["data"]
    assert not found["run"] & (HEAVY | {"torch", "onnx"})
