"""Ways out that messages name are taken, as they are written, and must lead out.

Over all wrong specs: every hint of a form that can be followed without thinking is followed, and
what is left must be problems that were there before, without this one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from rnnspec.errors import SpecError
from rnnspec.source.emit import to_yaml
from rnnspec.source.problems import Problem
from rnnspec.source.text import Source, read_source
from rnnspec.source.yaml12 import compose, load
from rnnspec.spec.load import load_source

FOLDER = Path(__file__).parent / "wrong_specs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
LEAST = 90
"""Ways out that are taken, at least: the forms below go on fitting the messages."""
Path_ = tuple[str | int, ...]


def problems_of(data: Any, path: Path) -> list[Problem]:
    try:
        load_source(Source.of(to_yaml(data), "cured.yaml"), path)
    except SpecError as error:
        return list(error.problems)
    return []


def parts(path: str) -> Path_:
    found = re.findall(r"[^.\[\]]+|\[\d+\]", path)
    return tuple(int(part[1:-1]) if part.startswith("[") else part for part in found)


def at(data: Any, path: Path_) -> Any:
    for part in path:
        data = data[part]
    return data


def changed(data: Any, path: Path_, value: Any) -> Any:
    new = deepcopy(data)
    at(new, path[:-1])[path[-1]] = value
    return new


def renamed(data: Any, path: Path_, name: str) -> Any:
    new = deepcopy(data)
    above = at(new, path[:-1])
    entries = {(name if key == path[-1] else key): value for key, value in above.items()}
    above.clear()
    above.update(entries)
    return new


def without(data: Any, path: Path_) -> Any:
    new = deepcopy(data)
    del at(new, path[:-1])[path[-1]]
    return new


def moved(data: Any, path: Path_, home: Path_) -> Any:
    """The key put to where it belongs; a name there becomes a mapping, with its settings below."""
    new = without(data, path)
    here = new
    for number, part in enumerate(home):
        below = here.get(part)
        if isinstance(below, str) and home[number + 1 : number + 2] == (below,):
            below = {below: {}}
        here[part] = {} if below is None else below
        here = here[part]
        if isinstance(here, list):
            here = here[0]
    here[path[-1]] = at(data, path)
    return new


CHOICE = r"(?:\w+|\{\w+: (?:[\d.]+|\[[\d., ]+\])\})"
CHOICES = rf"{CHOICE}(?:(?:, | or ){CHOICE})*"


def ways_out(problem: Problem, data: Any) -> Iterator[Any]:
    """The spec after each way out that the hint names."""
    path, hint = parts(problem.path), problem.hint
    is_key = problem.message.startswith("unknown key")
    if found := re.match(r"did you mean '(\S+)'\?", hint):
        yield renamed(data, path, found[1]) if is_key else changed(data, path, found[1])
    elif re.match(r"remove (it|this layer)( \(it belongs|, or |$)", hint):
        yield without(data, path)
    elif found := re.match(r"write (\{[^…]*\}|[\d.]+|true|false)(, without quotes)?$", hint):
        yield changed(data, path, load(found[1], "hint").data)
    elif found := re.match(r"use the key (\w+) or the key (\w+)$", hint):
        yield renamed(data, path, found[1])
        yield renamed(data, path, found[2])
    elif found := re.match(rf"use (?:one of )?({CHOICES})(?:$|, or )", hint):
        for word in re.split(r", (?![^\[]*\])| or ", found[1]):
            yield changed(data, path, load(word, "hint").data)
    elif found := re.match(r"it belongs to ([\w.]+)$", hint):
        yield moved(data, path, parts(found[1]))
    elif found := re.match(r"put it in brackets: (\[.*\])$", hint):
        yield changed(data, path, load(found[1], "hint").data)
    elif hint == "put it in quotes to make it a text":
        yield changed(data, path, str(at(data, path)))
    elif found := re.match(r"set it to ([\d.]+)( at most)?$", hint):
        yield changed(data, path, load(found[1], "hint").data)
    elif found := re.match(r"(?:add|write) '([\w.]+: [^…']+)'(?:$|, | to )", hint):
        key, _, value = found[1].partition(": ")
        if is_key and "." not in key:  # in the place of the wrong key
            data, path = without(data, path), path[:-1]
            yield changed(data, (*path, key), load(value, "hint").data)
            return
        yield _with_key(data, path, parts(key), load(value, "hint").data)


def _with_key(data: Any, path: Path_, key: Path_, value: Any) -> Any:
    """A key with all above it, or one beside or within what is wrong."""
    if len(key) > 1 or key[0] in ("cardinality", "decoder"):
        return changed(data, key, value)
    if key[0] in path:
        return changed(data, path[: path.index(key[0]) + 1], value)
    if key[0] in ("direction", "norm", "skip", "dropout_per"):  # in the place of a switch
        return changed(without(data, path), (*path[:-1], *key), value)
    within = isinstance(at(data, path), dict) and key[0] not in ("cell", "scale", "valid")
    return changed(data, (*(path if within else path[:-1]), *key), value)


CHAINS = {
    "cell-parameter-init": "a start that is written right may still be none of a matrix not square",
    "plain-text-column": "what comes next is of the same column, which is to be mended with it",
    "meaning-series-history-of-steps": "another output, with settings of its own",
    "schedule-warmup-fraction": "the key is misspelt, and its value is none",
    "unknown-head-key": "the key stands elsewhere, and its value is none there",
    "unknown-root-key-far": "a list of layers is wanted there",
    "data-folders-columns": "sound and pictures have settings of their own, which are missing then",
    "several-below-wrong-keys": "mistakes within mistakes",
}
"""Wrong specs in which another mistake shows once the first is mended, and why."""


def cases() -> Iterator[tuple[str, Any, Problem, int]]:
    for name in NAMES:
        try:
            document, _ = compose(read_source(FOLDER / f"{name}.yaml", f"{name}.yaml"))
        except SpecError:  # no text
            continue
        if name in CHAINS or document is None or not isinstance(document.data, dict):
            continue
        problems = problems_of(document.data, FOLDER / f"{name}.yaml")
        for problem in problems:
            yield name, document.data, problem, len(problems)


CASES = list(cases())
IDS = [f"{name}-{problem.path}" for name, _, problem, _ in CASES]


@pytest.mark.parametrize(("name", "data", "problem", "count"), CASES, ids=IDS)
def test_a_way_out_leads_out(
    name: str, data: Any, problem: Problem, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER)
    before = _without_places(problems_of(data, FOLDER / f"{name}.yaml"))
    for cured in ways_out(problem, data):
        after = _without_places(problems_of(cured, FOLDER / f"{name}.yaml"))
        assert after < before, (problem.hint, after)


def _without_places(problems: list[Problem]) -> Counter[str]:
    """Problems by path and message, without places in lists: a way out may move what follows."""
    return Counter(re.sub(r"\[\d+\]", "[]", f"{each.path}: {each.message}") for each in problems)


def test_many_are_taken() -> None:
    assert sum(1 for _, data, problem, _ in CASES for _ in ways_out(problem, data)) >= LEAST
