"""Other runtimes, each in a folder of its own, made where it is missing: its version, and how to
ask it for the calls of files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SECONDS = 300
"""The most that all files of a process may take, or one in a browser."""
Found = dict[str, Any]
Ask = Callable[[Sequence[Path]], Iterator[Found]]


@dataclass(frozen=True, slots=True)
class Environment:
    """A runtime that is there: `ask` gives what answer.py prints of each file, named without its
    ending."""

    version: str
    ask: Ask


@dataclass(frozen=True, slots=True)
class OfPip:
    """A runtime for Python: the argument of answer.py, its package and what pip installs."""

    kind: str
    package: str
    wanted: tuple[str, ...]


PYTHON: Mapping[str, OfPip] = {
    "ort-1.17": OfPip("onnxruntime", "onnxruntime", ("onnxruntime==1.17.3", "numpy<2")),
    "ort-1.20": OfPip("onnxruntime", "onnxruntime", ("onnxruntime==1.20.1", "numpy<2")),
    "ort-1.23": OfPip("onnxruntime", "onnxruntime", ("onnxruntime==1.23.2", "numpy")),
    "ort-1.32": OfPip("onnxruntime", "onnxruntime", ("onnxruntime==1.32.0", "numpy")),
    "openvino": OfPip("openvino", "openvino", ("openvino==2026.4.1", "numpy")),
    "tract": OfPip("tract", "tract", ("tract==0.23.9", "numpy")),
}
"""By the name of the folder. The last onnxruntime is the one that the others are held against."""
NEWEST = "ort-1.32"


def of_python(folder: Path, name: str) -> Environment:
    wanted = PYTHON[name]
    python = str(folder / name / "bin" / "python")
    if not Path(python).exists():
        subprocess.run([sys.executable, "-m", "venv", folder / name], check=True)
    asked = f"from importlib.metadata import version; print(version('{wanted.package}'))"
    command = [python, "-c", asked]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *wanted.wanted], check=True)
    version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    return Environment(version, partial(_found, [python, HERE / "answer.py", wanted.kind]))


def of_node(folder: Path) -> Environment | None:
    """None without Node."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    here = packages(folder, npm)

    ask = partial(_found, [node, HERE / "answer.mjs"], folder=here)
    return Environment(version_of(here, "onnxruntime-node"), ask)


def packages(folder: Path, npm: str) -> Path:
    """A folder with the packages that the examples name."""
    here = folder / "npm"
    here.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE.parent.parent / "examples" / "package.json", here)
    if not (here / "node_modules" / "onnxruntime-web").is_dir():
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]
        subprocess.run([npm, "install", *quiet], cwd=here, check=True, stdout=subprocess.DEVNULL)
    return here


def version_of(folder: Path, package: str) -> str:
    about = json.loads((folder / "node_modules" / package / "package.json").read_text())
    return str(about["version"])


def _found(
    command: list[Any], files: Sequence[Path], folder: Path | None = None
) -> Iterator[Found]:
    """What a process prints of each file. One that ends it has that for an answer, and another
    process goes on behind it."""
    given = list(map(str, command))
    while files:
        try:
            done = subprocess.run(
                [*given, *map(str, files)],
                capture_output=True,
                text=True,
                timeout=SECONDS,
                cwd=folder,
                check=False,
            )
            printed, end = done.stdout, f"the process ends with {done.returncode}"
        except subprocess.TimeoutExpired as late:
            printed = late.stdout.decode() if isinstance(late.stdout, bytes) else ""
            end = "no answer"
        lines = printed.splitlines()
        yield from map(json.loads, lines)
        if len(lines) < len(files):
            yield {"load": end}
        files = files[len(lines) + 1 :]
