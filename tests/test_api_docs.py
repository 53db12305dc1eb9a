"""Every public name of rnnspec is documented, and the examples of its docstrings run."""

from __future__ import annotations

import doctest
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rnnspec
from rnnspec.api.module import Batches, Module

ROWS = [
    {"word": "ant", "kind": "noun"},
    {"word": "run", "kind": "verb"},
    {"word": "at", "kind": "noun"},
    {"word": "eat", "kind": "verb"},
]
SPEC = """\
name: walk
cardinality: N:1
data:
  train: rows.jsonl
  input: {column: word, as: chars}
  output: {column: kind, as: class}
encoder:
  embed: 8
  layers:
    - {cell: lstm, units: 16}
train: {epochs: 20, batch: 4, optimizer: {adam: {lr: 0.05}}, threads: 1}
"""
EXAMPLES = [
    rnnspec.load,
    rnnspec.Spec,
    rnnspec.Spec.check,
    rnnspec.Spec.show,
    rnnspec.Spec.profile,
    rnnspec.Spec.build,
    rnnspec.Build,
    rnnspec.builds,
    rnnspec.Build.predict,
    rnnspec.Build.evaluate,
    rnnspec.Build.encode,
    rnnspec.Build.export,
    rnnspec.open,
    rnnspec.Build.module,
]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    import json

    monkeypatch.chdir(tmp_path)
    Path("walk.yaml").write_text(SPEC)
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return {"rnnspec": rnnspec, "rows": ROWS, "spec": rnnspec.load("walk.yaml")}


def test_the_examples_of_docstrings_run(world: dict[str, Any]) -> None:
    """In one world, in the order in which a user would."""
    runner, said = doctest.DocTestRunner(), list[str]()
    for each in EXAMPLES:
        text = inspect.getdoc(each)
        assert text is not None
        example = doctest.DocTestParser().get_doctest(text, world, str(each), None, None)
        assert example.examples, each
        runner.run(example, out=said.append, clear_globs=False)
        world.update(example.globs)
    assert not runner.failures, "".join(said)
    assert sorted(os.listdir()) == ["builds", "rows.jsonl", "walk.onnx", "walk.yaml"]


def public(of: Any) -> Iterator[tuple[str, Any]]:
    for name, value in vars(of).items():
        if not name.startswith("_") and (callable(value) or isinstance(value, property)):
            yield name, value


@pytest.mark.parametrize("name", rnnspec.__all__)
def test_every_public_name_has_a_docstring(name: str) -> None:
    value = getattr(rnnspec, name)
    assert inspect.getdoc(value)
    if inspect.isclass(value) and not issubclass(value, Exception):
        assert all(inspect.getdoc(member) for _, member in public(value))


@pytest.mark.parametrize("of", [Module, Batches])
def test_what_a_loop_uses_has_docstrings(of: type) -> None:
    assert all(inspect.getdoc(member) for _, member in public(of))


def test_errors_are_a_tree() -> None:
    errors = [getattr(rnnspec, name) for name in rnnspec.__all__ if name.endswith("Error")]
    assert len(errors) == 7
    assert all(issubclass(each, rnnspec.Error) for each in errors)
    with pytest.raises(AttributeError, match="nothing"):
        getattr(rnnspec, "nothing")  # noqa: B009
    assert set(rnnspec.__all__) < set(dir(rnnspec))
