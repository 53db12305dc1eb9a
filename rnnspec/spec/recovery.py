"""Error recovery: what is checked further in a spec that has mistakes.

`encodr:` hides all the mistakes of the encoder from pydantic. So once it is reported, it is read
as `encoder:`, and the mistakes below it are reported in the same run. Then what is wrong is removed
until the rest is a spec, and the checks of meaning run on that, without those that would read a
removed place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rnnspec.source.problems import Problem
from rnnspec.source.yaml12 import Document
from rnnspec.spec.base import Loc
from rnnspec.spec.explain import corrected_key, explain, missing_keys, mistakes, path_of
from rnnspec.spec.spec import Spec

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_ROUNDS = 6


def with_corrected_keys(
    document: Document, details: Sequence[ErrorDetails]
) -> tuple[Document, list[Problem]]:
    """`document` with its misspelt keys corrected, and the problems below these keys.

    `details` are the mistakes of the document. The value of a corrected key itself is no problem
    here, since the correction may be wrong.
    """
    problems: list[Problem] = []
    for _ in range(_ROUNDS):
        renamed: set[Loc] = set()
        missing = missing_keys(details)
        for detail in details:
            unknown = detail["type"] == "extra_forbidden"
            key = corrected_key(detail["loc"], missing) if unknown else None
            path = path_of(detail["loc"], detail["type"])
            if key and document.has(path) and not document.has((*path[:-1], key)):
                document = document.renamed(path, key)
                renamed.add((*path[:-1], key))
        if not renamed:
            break
        try:
            Spec.model_validate(document.data)
            break
        except ValidationError as error:
            details = [detail for detail in mistakes(error) if _is_below(detail, renamed)]
        problems += explain(details, document)
    return document, problems


def _is_below(detail: ErrorDetails, keys: Collection[Loc]) -> bool:
    path = path_of(detail["loc"], detail["type"])
    if path in keys:
        return bool(detail.get("ctx", {}).get("at"))
    return any(path[:depth] in keys for depth in range(1, len(path)))


_REMOVALS = 12
_REPLACEMENTS: dict[str, Any] = {
    "name": "name",
    "cardinality": "N:1",
    "data": {
        "train": "train.jsonl",
        "input": {"column": "input", "as": "words"},
        "output": {"column": "output", "as": "class"},
    },
    "encoder": {"layers": [{"cell": "lstm", "units": 1}]},
}
_LAYER: dict[str, Any] = {"cell": "lstm", "units": 1}


@dataclass(frozen=True, slots=True)
class Rest:
    """What is right in a file, as a `spec`, and the paths that were `removed` or replaced.
    `numbers` are mappings and lists as in `spec`, the items of a list with their numbers in the
    file."""

    spec: Spec
    removed: frozenset[Loc]
    numbers: Any

    def in_file(self, path: Loc) -> Loc:
        """A path of `spec` as one of the file."""
        found: list[str | int] = []
        here = self.numbers
        for part in path:
            if isinstance(here, list) and isinstance(part, int) and part < len(here):
                part, here = here[part]
            else:
                here = here.get(part) if isinstance(here, dict) else None
            found.append(part)
        return tuple(found)


def _numbered(value: Any) -> Any:
    """Mappings and lists of a file, the items of a list with their numbers."""
    if isinstance(value, dict):
        return {key: _numbered(each) for key, each in value.items()}
    if isinstance(value, list):
        return [(number, _numbered(each)) for number, each in enumerate(value)]
    return None


def without_mistakes(data: dict[str, Any]) -> Rest | None:
    """What is right in `data`, which is changed. None if nothing is left."""
    removed: set[Loc] = set()
    numbers = _numbered(data)
    for _ in range(_REMOVALS):
        try:
            return Rest(Spec.model_validate(data), frozenset(removed), numbers)
        except ValidationError as error:
            details = mistakes(error)
        gone: set[Loc] = set()
        missing = missing_keys(details)
        for detail in reversed(details):  # so that a list's later items keep their numbers
            loc = path_of(detail["loc"], detail["type"])
            if detail["type"] != "extra_forbidden":
                # The wrong name of an entry may stand for any name that others use.
                removed.add(loc[:-1] if detail["loc"][-1:] == ("[key]",) else loc)
            elif key := corrected_key(detail["loc"], missing):
                removed.add((*loc[:-1], key))
            if not any(loc[:depth] in gone for depth in range(1, len(loc) + 1)):
                gone.add(_take_out(data, numbers, loc))
        removed |= gone
    return None


def _take_out(data: dict[str, Any], numbers: Any, loc: Loc) -> Loc:
    """Removes the value at `loc`, or the nearest one above it; returns the path removed.

    A key that a layer lacks is added, and a wrong layer is replaced, so that the others keep their
    numbers.
    """
    here: Any = data
    for depth, part in enumerate(loc):
        inside = isinstance(here, dict) and part in here
        inside = inside or (isinstance(here, list) and isinstance(part, int) and part < len(here))
        if not inside and isinstance(here, dict) and depth and _are_layers(loc[: depth - 1]):
            here[part] = _LAYER.get(str(part))
            return loc[: depth + 1]
        if not inside:
            return _remove(data, numbers, loc[:depth] or loc[:1])
        here = here[part]
    return _remove(data, numbers, loc)


def _are_layers(loc: Loc) -> bool:
    """Whether a path leads to the layers of an encoder or of a decoder."""
    *above, last = loc or ("",)
    return last == "layers" and (above[-1:] in (["encoder"], ["decoder"]) or "encoders" in above)


def _remove(data: dict[str, Any], numbers: Any, loc: Loc) -> Loc:
    here: Any = data
    for part in loc[:-1]:
        here = here[part]
        if numbers is not None:
            numbers = numbers[int(part)][1] if isinstance(numbers, list) else numbers.get(part)
    if isinstance(here, list) and _are_layers(loc[:-1]):
        here[int(loc[-1])] = dict(_LAYER)
        return loc
    if isinstance(here, list):
        del here[int(loc[-1])]
        if numbers is not None:
            del numbers[int(loc[-1])]
        return loc
    here.pop(loc[-1], None)
    if len(loc) == 1 and loc[0] in _REPLACEMENTS:
        here[loc[0]] = deepcopy(_REPLACEMENTS[str(loc[0])])
    return loc
