"""Imports go down the layers of ARCHITECTURE.md only, and nothing heavy is loaded too early.

Two ways to look: the syntax tree of every module (also imports inside functions, which run late),
and a fresh interpreter (also what third-party packages bring in).
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "rnnspec"

# Layer -> third-party packages it may import. A layer may import the layers above it.
LAYERS: dict[str, frozenset[str]] = {
    "errors": frozenset(),
    "files": frozenset(),
    "openmp": frozenset(),
    "source": frozenset({"yaml"}),
    "cells": frozenset(),
    "spec": frozenset({"pydantic", "pydantic_core"}),
    "plan": frozenset(),
    "reference": frozenset({"numpy"}),
    "data": frozenset(
        {
            "numpy",
            "narwhals",
            "pyarrow",
            "duckdb",
            "tokenizers",
            "safetensors",
            "soundfile",
            "soxr",
            "PIL",
        }
    ),
    "demo": frozenset({"babel"}),
    "report": frozenset(),
    "to_torch": frozenset({"torch", "numpy"}),
    "to_onnx": frozenset({"onnx", "numpy"}),
    "to_c": frozenset({"numpy"}),
    "run": frozenset({"onnxruntime", "numpy", "pydantic", "pyarrow"}),
    "store": frozenset({"torch", "numpy", "safetensors"}),
    "objective": frozenset({"torch", "numpy"}),
    "evaluate": frozenset({"torch", "numpy", "sacrebleu"}),
    "train": frozenset({"torch", "numpy", "safetensors"}),
    "export": frozenset({"torch", "numpy"}),
    "imports": frozenset({"torch", "numpy", "safetensors", "h5py", "onnx", "google"}),
    "bench": frozenset({"torch", "numpy", "onnx"}),
    "tune": frozenset({"torch", "optuna"}),
    "api": frozenset({"torch", "numpy"}),
    "cli": frozenset({"typer", "rich"}),
}
# Neighbours that know nothing of each other although the table's order would allow it.
APART = frozenset(
    {
        ("to_onnx", "to_torch"),
        ("to_c", "to_torch"),
        ("to_c", "to_onnx"),
        ("run", "to_torch"),
        ("run", "to_onnx"),
        ("run", "to_c"),
    }
)
# The one name that is needed upwards, in annotations only: an error carries its problems.
TYPES_ONLY = frozenset({("errors", "source")})
# What the package's own functions import when they are called.
OPENED = ("rnnspec.api", "rnnspec.run.opened", "rnnspec.errors")
# Modules at the top of the package that belong to a layer of another name.
TOP_LEVEL = {"__main__": "cli"}

FRAMEWORKS = frozenset({"torch", "onnx", "onnxruntime"})
HEAVY = FRAMEWORKS | {"numpy", "pyarrow", "babel", "sacrebleu", "tokenizers", "PIL", "optuna"}
FRAMEWORK_FREE = list(LAYERS)[: list(LAYERS).index("to_torch")]
# What must not be in sys.modules once every module of the layer has been imported.
UNLOADED = dict.fromkeys(FRAMEWORK_FREE, FRAMEWORKS) | {
    "to_torch": frozenset({"onnx", "onnxruntime", "sacrebleu"}),
    "to_onnx": frozenset({"torch", "onnxruntime"}),
    "to_c": FRAMEWORKS,
    "run": frozenset({"torch", "onnx"}),
    "store": frozenset({"onnx", "onnxruntime", "sacrebleu"}),
    "objective": frozenset({"onnx", "onnxruntime", "sacrebleu"}),
    "evaluate": frozenset({"onnx", "onnxruntime", "sacrebleu"}),
    "train": frozenset({"onnx", "onnxruntime", "sacrebleu"}),
    "api": frozenset({"onnx", "onnxruntime", "sacrebleu"}),
    "cli": HEAVY,
}


# ---------------------------------------------------------------- by syntax tree


def _imports(tree: ast.Module, package: str) -> Iterator[tuple[int, str, bool]]:
    """(line, dotted name, in annotations only) of each import in a module of `package`."""
    type_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, id(node) in type_only
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else []), *filter(None, [node.module])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}", id(node) in type_only
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in {"import_module", "__import__"}:
                yield node.lineno, called, False


def _wrong(layer: str, target: str, type_only: bool) -> str | None:
    """Why a module of `layer` may not import the dotted name `target`; None where it may."""
    order = list(LAYERS)
    top, _, rest = target.partition(".")
    if target in {"import_module", "__import__"}:
        return f"{target} hides what is imported; write an import statement"
    if top != "rnnspec":
        allowed = LAYERS.get(layer, frozenset())
        if top in sys.stdlib_module_names or top in allowed:
            return None
        return f"{layer} may not import {top} (it may import: {', '.join(sorted(allowed)) or '-'})"
    name = rest.partition(".")[0]
    other = TOP_LEVEL.get(name, name)
    if other == layer or name == "__version__" or (type_only and (layer, other) in TYPES_ONLY):
        return None
    if other not in LAYERS:
        return f"{target} belongs to no layer; import it from the layer that defines it"
    if layer not in LAYERS:
        opens = f"{target}.".startswith(tuple(f"{each}." for each in OPENED))
        return None if opens else f"{layer} may import no layer but {', '.join(OPENED)}"
    if order.index(other) > order.index(layer):
        return f"{layer} may not import {other}, which lies below it"
    if (layer, other) in APART:
        return f"{layer} and {other} are kept apart"
    return None


def _violations(package: Path) -> list[str]:
    """Every import of `package` that breaks the table, as `file:line: why`."""
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        name = "rnnspec" if parts == ("__init__",) else TOP_LEVEL.get(parts[0], parts[0])
        where = path.relative_to(package.parent).as_posix()
        if name != "rnnspec" and name not in LAYERS:
            found.append(f"{where}:1: {name} is in no layer: add it to LAYERS in test_layers.py")
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        for line, target, type_only in _imports(tree, ".".join(("rnnspec", *parts[:-1]))):
            why = _wrong(name, target, type_only)
            if why:
                found.append(f"{where}:{line}: {why}")
    return found


def test_imports_go_down_only() -> None:
    violations = _violations(PACKAGE)
    assert not violations, "\n" + "\n".join(violations)


def _imported() -> dict[str, set[str]]:
    """The modules that each module imports, anywhere in it, also for annotations only.

    The version stands in the package itself, whose functions import other modules when called: to
    read it is no import of these.
    """
    files = {
        ".".join(("rnnspec", *path.relative_to(PACKAGE).with_suffix("").parts)): path
        for path in PACKAGE.rglob("*.py")
    }
    names = {name.removesuffix(".__init__"): path for name, path in files.items()}
    found: dict[str, set[str]] = {}
    for name, path in names.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        targets = [t for _, t, _ in _imports(tree, package) if t != "rnnspec.__version__"]
        found[name] = {t if t in names else t.rpartition(".")[0] for t in targets} - {name}
    return found


def test_no_modules_import_each_other() -> None:
    """Modules whose imports are all taken away, again and again, leave none behind."""
    left = _imported()
    while free := {name for name, targets in left.items() if not targets & left.keys()}:
        left = {name: targets for name, targets in left.items() if name not in free}
    assert not left, f"these import each other, or one that does: {sorted(left)}"


def test_architecture_lists_the_same_layers_in_the_same_order() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = text.partition("\n## Layers\n")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE) == list(LAYERS)


@pytest.mark.parametrize(
    ("path", "source", "why"),
    [
        ("plan/a.py", "import torch", "2: plan may not import torch (it may import: -)"),
        ("plan/a.py", "import torch.nn as nn", "2: plan may not import torch (it may import: -)"),
        ("spec/a.py", "def f():\n    from rnnspec.plan import x", "3: spec may not import plan"),
        ("cells/a.py", "from ..plan.nodes import Node", "2: cells may not import plan"),
        ("cells/a.py", "from .. import plan", "2: cells may not import plan"),
        ("cells/a/b.py", "from ...plan import nodes", "2: cells may not import plan"),
        ("cells/a.py", "from rnnspec import plan", "2: cells may not import plan"),
        ("errors.py", "from rnnspec.source import Problem", "2: errors may not import source"),
        ("data/a.py", "if TYPE_CHECKING:\n    import torch", "3: data may not import torch"),
        ("to_onnx/a.py", "import rnnspec.to_torch", "2: to_onnx and to_torch are kept apart"),
        ("to_torch/a.py", "import rnnspec.to_onnx", "2: to_torch may not import to_onnx"),
        ("plan/a.py", "importlib.import_module('torch')", "2: import_module hides what"),
        ("plan/a.py", "from rnnspec import compile", "2: rnnspec.compile belongs to no layer"),
        (
            "__init__.py",
            "import rnnspec.cli",
            "2: rnnspec may import no layer but rnnspec.api, rnnspec.run.opened, rnnspec.errors",
        ),
        ("__init__.py", "import numpy", "2: rnnspec may not import numpy (it may import: -)"),
        ("helpers.py", "", "1: helpers is in no layer"),
    ],
)
def test_a_forbidden_import_is_found(tmp_path: Path, path: str, source: str, why: str) -> None:
    (violation,) = _violations(_package(tmp_path, path, source))
    assert violation.startswith(f"rnnspec/{path}:{why}")


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("plan/a.py", "import re, json\nfrom rnnspec.spec import models\nfrom . import b"),
        ("plan/a/b.py", "from .c import d\nfrom ..e import f\nfrom ...cells import graph"),
        ("errors.py", "if TYPE_CHECKING:\n    from rnnspec.source.problems import Problem"),
        ("train/a.py", "import torch, safetensors\nfrom rnnspec import to_onnx, to_torch"),
        ("cli/a.py", "def version():\n    from rnnspec import __version__"),
        ("__main__.py", "from rnnspec.cli import main"),
    ],
)
def test_an_allowed_import_is_not_reported(tmp_path: Path, path: str, source: str) -> None:
    assert _violations(_package(tmp_path, path, source)) == []


def _package(folder: Path, path: str, source: str) -> Path:
    module = folder / "rnnspec" / path
    module.parent.mkdir(parents=True)
    module.write_text(f"from __future__ import annotations\n{source}\n", encoding="utf-8")
    return folder / "rnnspec"


# ---------------------------------------------------------------- in a fresh interpreter


def _loaded_after(code: str) -> set[str]:
    """Top-level names in sys.modules of a fresh interpreter that ran `code`."""
    report = "\nimport sys\nprint('loaded:', *{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code + report], cwd=ROOT, capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.rpartition("loaded:")[2].split())


def _modules(layer: str) -> list[str]:
    """Dotted names of all modules of a layer."""
    files = [PACKAGE / f"{layer}.py", *(PACKAGE / layer).rglob("*.py")]
    dotted = (".".join(f.relative_to(ROOT).with_suffix("").parts) for f in files if f.exists())
    return sorted(name.removesuffix(".__init__") for name in dotted)


def _loaded_by(*layers: str) -> set[str]:
    """What is loaded once every module of these layers has been imported."""
    modules = {layer: _modules(layer) for layer in layers}
    assert all(modules.values())
    return _loaded_after("\n".join(f"import {name}" for of in modules.values() for name in of))


@pytest.mark.parametrize(
    "unloaded", dict.fromkeys(UNLOADED.values()), ids=lambda u: "-".join(sorted(u))
)
def test_importing_a_layer_leaves_unloaded(unloaded: frozenset[str]) -> None:
    """All layers that leave the same unloaded at once; one by one where one of them does not."""
    layers = [layer for layer, names in UNLOADED.items() if names == unloaded]
    if _loaded_by(*layers) & unloaded:
        found = {layer: _loaded_by(layer) & unloaded for layer in layers}
        assert not any(found.values()), {layer: names for layer, names in found.items() if names}
        pytest.fail(f"{layers} load {unloaded} together, and none of them does alone")


def test_importing_the_package_loads_nothing_else() -> None:
    third_party = _loaded_after("import rnnspec") - _loaded_after("pass") - {"rnnspec"}
    assert third_party <= sys.stdlib_module_names


def test_help_loads_nothing_heavy() -> None:
    code = """
from rnnspec.cli import main
import sys
sys.argv = ["rnnspec", "--help"]
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
"""
    assert not _loaded_after(code) & HEAVY
