"""Wrong specs, one per kind of mistake, each with its exact message beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnspec.errors import SpecError
from rnnspec.source.text import read_source
from rnnspec.source.yaml12 import compose
from rnnspec.spec.load import load_spec
from tests.problem_places import misplaced

FOLDER = Path(__file__).parent / "wrong_specs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
LEAST = 60


def test_there_are_enough() -> None:
    assert len(NAMES) >= LEAST
    assert sorted(path.stem for path in FOLDER.glob("*.txt")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_message(
    name: str, monkeypatch: pytest.MonkeyPatch, golden: Callable[[Path, str], None]
) -> None:
    monkeypatch.chdir(FOLDER)
    with pytest.raises(SpecError) as caught:
        load_spec(Path(f"{name}.yaml"))
    golden(FOLDER / f"{name}.txt", f"{caught.value}\n")
    assert misplaced(caught.value.problems, _values(f"{name}.yaml")) == []
    for problem in caught.value.problems:
        assert problem.file == f"{name}.yaml"
        assert problem.hint or "expected" in problem.message or problem.path.startswith("cells.")


def _values(name: str) -> Any:
    """The values of a file, as far as it is YAML."""
    try:
        document, _ = compose(read_source(Path(name), name))
    except SpecError:
        return {}
    return document.data if document else {}
