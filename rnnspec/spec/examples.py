"""The example of each key: the specs of `examples.yaml`, put together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from rnnspec.source.emit import flow
from rnnspec.spec.base import Loc
from rnnspec.spec.entries import Entry
from rnnspec.spec.walk import Kind

Data = dict[str, Any]
_OWN_WORDS = ("in", "with", "at", "refused")
"""What an example says beside its keys."""
_WIDEST = 88


@dataclass(frozen=True, slots=True)
class Example:
    """`whole` is a spec with a key at `path`; `shown` are the parts of it that belong together."""

    whole: Data
    shown: Data
    path: Loc


def example_of(entry: Entry) -> Example | None:
    """The example of a key, for the first of its kinds that has one; None where there is none."""
    found = _written(entry)
    return _put(entry, *found) if found else None


def examples_of(entry: Entry) -> Iterator[Example]:
    """The example of a key in each kind of mapping that it can stand in as it is."""
    for kind in entry.kinds:
        found = _written(entry, (kind,)) or _written(entry)
        if found is None or kind.name not in _settings():
            continue
        if found[0] == kind or not {"in", "with"} & set(found[1]):
            yield _put(entry, kind, found[1])


def refused_of(entry: Entry) -> Example | None:
    """An example in which the key has no effect, so that its spec is refused; None where there is
    none."""
    found = _written(entry)
    return _put(entry, found[0], found[1]["refused"]) if found and "refused" in found[1] else None


def refusal_of(entry: Entry) -> str:
    """Where a key has no effect, as `rnnspec check` says it; "" where nothing is written of it."""
    from rnnspec.errors import SpecError
    from rnnspec.source.emit import to_yaml
    from rnnspec.source.text import Source
    from rnnspec.spec.load import load_source

    refused = refused_of(entry)
    try:
        if refused:
            load_source(Source.of(to_yaml(refused.whole), "spec.yaml"), Path("spec.yaml"))
    except SpecError as error:
        found = [each.message for each in error.problems if "has no effect" in each.message]
        return found[0].removeprefix("has no effect").lstrip(": ") if found else ""
    return ""


@cache
def _file() -> Data:
    from rnnspec.source.yaml12 import load

    text = (files("rnnspec.spec") / "examples.yaml").read_text("utf-8")
    data: Data = load(text, "examples.yaml").data
    return data


@cache
def _settings() -> Mapping[str, Data]:
    """What `examples.yaml` says of each kind of mapping."""
    keys: Mapping[str, Any] = _file()["keys"]
    return {n: {"examples": of} if isinstance(of, list) else of for n, of in keys.items()}


def _written(entry: Entry, among: Sequence[Kind] = ()) -> tuple[Kind, Data] | None:
    """The first kind of mapping that has an example of the key, and the example as it is
    written."""
    for kind in among or entry.kinds:
        for example in _settings().get(kind.name, {}).get("examples", ()):
            if [key for key in example if key != "refused"][-1] == entry.key:
                return kind, example
    return None


def _put(entry: Entry, kind: Kind, example: Data) -> Example:
    """The spec with an example in a mapping of a kind."""
    settings = _settings().get(kind.name, {})
    name = example.get("in", settings.get("in", "class"))
    around = {} if "in" in example else settings.get("with", {})
    around = _over(around, example.get("with", {}))
    at = example.get("at", settings.get("at"))
    whole = _over(_file()["specs"][name], around)
    path = _path(kind.place, whole, at)
    own = {key: value for key, value in example.items() if key not in _OWN_WORDS}
    return Example(
        _with(whole, path, own), _with(_lists(around, whole, path), path, own), (*path, entry.key)
    )


def _over(spec: Data, more: Mapping[str, Any]) -> Data:
    """`spec` with the keys of `more` in place of its own, and those of its `data`."""
    data = {**spec.get("data", {}), **more.get("data", {})}
    return {**spec, **more, **({"data": data} if data else {})}


_NAMED = (
    ("cells", "cells"),
    ("cells", "constants"),
    ("cells", "parameters"),
    ("data", "join"),
    ("data", "wide"),
    ("encoders", "encoders"),
)
"""Mappings by names of one's own: the first key of their place, and the last one."""


def _path(place: str, whole: Data, at: str | int | None) -> Loc:
    """The path of a place in a spec: `at` is the item of a list, or a name of one's own."""
    path: Loc = ()
    value: Any = whole
    for key in place.split(".") if place else ():
        path = (*path, key)
        value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, list):
            item = at if isinstance(at, int) else 0 if key == "layers" else len(value) - 1
            path, value = (*path, item), value[item]
        elif (place.partition(".")[0], key) in _NAMED:
            name = "mine" if key == "cells" else str(at)
            path, value = (*path, name), (value or {}).get(name)
    return path


def _lists(shown: Data, whole: Data, path: Loc) -> Data:
    """`shown` with the list on a path, if there is one, as `whole` has it."""
    item = next((n for n, part in enumerate(path) if isinstance(part, int)), None)
    if item is None:
        return shown
    value: Any = whole
    for part in path[:item]:
        value = value[part]
    *above, last = path[:item]
    with_list: Data = _with(shown, tuple(above), {last: value})
    return with_list


def _with(value: Any, path: Loc, own: Mapping[Any, Any]) -> Any:
    """`value` with the keys of `own` in the mapping at `path`."""
    if not path:
        return {**(value if isinstance(value, dict) else {}), **own}
    first, *rest = path
    if isinstance(value, list):
        return [_with(v, tuple(rest), own) if n == first else v for n, v in enumerate(value)]
    there = value if isinstance(value, dict) else {}
    return {**there, first: _with(there.get(first), tuple(rest), own)}


def yaml_of(data: Data) -> str:
    """A part of a spec as YAML: blocks down to the second level, below it as much on a line as
    fits."""
    return "".join(_lines(data, 0, deep=False))


def _lines(data: Data, indent: int, deep: bool) -> Iterator[str]:
    for key, value in data.items():
        head = f"{' ' * indent}{flow(key)}:"
        line = f"{head} {flow(value)}\n"
        if isinstance(value, str) and "\n" in value:
            yield f"{head} |\n"
            yield from (f"{' ' * (indent + 2)}{line}\n" for line in value.splitlines())
        elif isinstance(value, dict) and value and (not deep or not _fits(line)):
            yield f"{head}\n"
            yield from _lines(value, indent + 2, deep=True)
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            yield f"{head}\n"
            for item in value:
                yield f"{' ' * (indent + 2)}- {flow(item)}\n"
        else:
            yield line


def _fits(line: str) -> bool:
    return len(line) <= _WIDEST and "\\n" not in line
