"""Error recovery: what is checked further in a spec that has mistakes.

`encodr:` hides all the mistakes of the encoder from pydantic. So once it is reported, it is read
as `encoder:`, and the mistakes below it are reported in the same run. Then what is wrong is removed
until the rest is a spec, and the checks of meaning run on that, without those that would read a
removed place.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rnnspec.source.problems import Problem
from rnnspec.source.yaml12 import Document
from rnnspec.spec.base import Loc
from rnnspec.spec.explain import explain, meant_key, mistakes, path_of
from rnnspec.spec.spec import Spec

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_ROUNDS = 6


def read_as_meant(
    document: Document, details: Sequence[ErrorDetails]
) -> tuple[Document, list[Problem]]:
    """`document` with its misspelt keys put right, and the problems of what stands below them.

    `details` are the mistakes of the document as it is. A key's own value is no problem here: the
    guess at what the key stands for may be wrong.
    """
    problems: list[Problem] = []
    for _ in range(_ROUNDS):
        renamed: set[Loc] = set()
        for detail in details:
            meant = meant_key(detail["loc"]) if detail["type"] == "extra_forbidden" else None
            path = path_of(detail["loc"], detail["type"])
            if meant and document.has(path) and not document.has((*path[:-1], meant)):
                document = document.renamed(path, meant)
                renamed.add((*path[:-1], meant))
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
_STAND_INS: dict[str, Any] = {
    "name": "name",
    "cardinality": "N:1",
    "data": {
        "train": "train.jsonl",
        "input": {"column": "input", "as": "words"},
        "output": {"column": "output", "as": "class"},
    },
    "encoder": {"layers": [{"cell": "lstm", "units": 1}]},
}
_LAYERS = ("encoder", "layers")
_LAYER: dict[str, Any] = {"cell": "lstm", "units": 1}


def without_mistakes(data: dict[str, Any]) -> tuple[Spec, frozenset[Loc]] | None:
    """What is left of `data` as a spec, and the paths that were taken out or stood in for.

    `data` is changed. None where nothing can be saved.
    """
    touched: set[Loc] = set()
    for _ in range(_REMOVALS):
        try:
            return Spec.model_validate(data), frozenset(touched)
        except ValidationError as error:
            details = mistakes(error)
        gone: set[Loc] = set()
        for detail in reversed(details):  # so that a list's later items keep their numbers
            loc = path_of(detail["loc"], detail["type"])
            if detail["type"] != "extra_forbidden":
                # a wrong name of an entry: it may have been meant as any name that others use
                touched.add(loc[:-1] if detail["loc"][-1:] == ("[key]",) else loc)
            elif meant := meant_key(detail["loc"]):
                touched.add((*loc[:-1], meant))
            if not any(loc[:depth] in gone for depth in range(1, len(loc) + 1)):
                gone.add(_take_out(data, loc))
        touched |= gone
    return None


def _take_out(data: dict[str, Any], loc: Loc) -> Loc:
    """Removes what is at `loc`, or the nearest thing above it; returns the path removed.

    A key that a layer lacks is put there, and a wrong layer is stood in for, so that the others
    keep their numbers.
    """
    here: Any = data
    for depth, part in enumerate(loc):
        inside = isinstance(here, dict) and part in here
        inside = inside or (isinstance(here, list) and isinstance(part, int) and part < len(here))
        if not inside and isinstance(here, dict) and loc[:2] == _LAYERS and depth == 3:
            here[part] = _LAYER.get(str(part))
            return loc[:4]
        if not inside:
            return _remove(data, loc[:depth] or loc[:1])
        here = here[part]
    return _remove(data, loc)


def _remove(data: dict[str, Any], loc: Loc) -> Loc:
    here: Any = data
    for part in loc[:-1]:
        here = here[part]
    if isinstance(here, list) and loc[:-1] == _LAYERS:
        here[int(loc[-1])] = dict(_LAYER)
        return loc
    if isinstance(here, list):
        del here[loc[-1]]  # type: ignore[arg-type]
        return loc
    here.pop(loc[-1], None)
    if len(loc) == 1 and loc[0] in _STAND_INS:
        here[loc[0]] = deepcopy(_STAND_INS[str(loc[0])])
    return loc
