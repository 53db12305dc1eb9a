"""The recipes of ARCHITECTURE.md, followed: each adds a toy to a copy of the package.

A recipe edits the files that its row names and no others; then the toy works, and the tests that
walk over all cells, nodes or kinds take it in.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.recipes import Edit, Recipe

ROOT = Path(__file__).parent.parent
NAMES = sorted(path.stem for path in (ROOT / "tests" / "recipes").glob("[a-z]*.py"))
COPIED = ("rnnspec", "tests", "specs", "schemas", "pyproject.toml", "ARCHITECTURE.md")


def rows() -> dict[str, str]:
    """The table "to add | touch", by its first column."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = text.partition("\n## Where things go\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| ([^|]+?) \| (.+) \|$", section, flags=re.MULTILINE))


def files_of(row: str) -> set[str]:
    """The files that a row names; those of the package are named from its folder on."""
    found = re.findall(r"`((?:[\w/]+/)*[\w.*]+\.(?:py|yaml|txt))`", row)
    return {path if path.startswith("tests/") else f"rnnspec/{path}" for path in found}


def named(path: str, row: str) -> bool:
    """Whether the row has this file, by its name or as one of `FOLDER/NAME.yaml`."""
    patterns = (re.escape(each).replace("NAME", r"\w+") for each in files_of(row))
    return any(re.fullmatch(pattern, path) for pattern in patterns)


def apply(root: Path, edit: Edit) -> None:
    path, words = root / edit.path, edit.after or edit.before or edit.instead
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    place = before.find(words) if words else len(before)
    assert place >= 0, f"{edit.path} does not have {words!r}: the recipe is out of date"
    if edit.after:
        place = before.index("\n", place) + 1
    elif edit.before:
        place = before.rfind("\n", 0, place) + 1
    path.write_text(
        before[:place] + edit.text + before[place + len(edit.instead) :], encoding="utf-8"
    )


def run(root: Path, *words: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, *words], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{words}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_is_complete(name: str, tmp_path: Path) -> None:
    recipe: Recipe = import_module(f"tests.recipes.{name}").RECIPE
    row = rows()[recipe.row]
    unnamed = [edit.path for edit in recipe.edits if not named(edit.path, row)]
    assert not unnamed, f"the row of {recipe.row!r} does not name {unnamed}"
    for each in COPIED:
        source, ignored = ROOT / each, shutil.ignore_patterns("__pycache__")
        if source.is_dir():
            shutil.copytree(source, tmp_path / each, ignore=ignored)
        else:
            shutil.copy(source, tmp_path / each)
    for edit in recipe.edits:
        apply(tmp_path, edit)
    run(tmp_path, "-c", "\n".join([recipe.program, *map(suite_of, recipe.tests)]))


def suite_of(tests: str) -> str:
    """A program that runs some tests; all of a recipe share a process, in which torch is loaded."""
    words = ["-q", "-p", "no:cacheprovider", *shlex.split(tests)]
    return f"import pytest\nassert not (ended := pytest.main({words})), ended"


def test_every_recipe_names_files_that_are_there() -> None:
    for what, row in rows().items():
        for path in files_of(row):
            found = list(ROOT.glob(path.replace("NAME", "*")))
            assert found, f"the row of {what!r} names {path}, which is not there"
