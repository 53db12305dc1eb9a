"""What stands below a misspelt key, read as if the key were spelt right.

`encodr:` hides all the mistakes of the encoder from pydantic. So once it is reported, it is read
as `encoder:`, and what is wrong below it is reported in the same run.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from rnnspec.source.problems import Problem
from rnnspec.source.yaml12 import Document
from rnnspec.spec.explain import Loc, explain, meant_key, mistakes, path_of
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
