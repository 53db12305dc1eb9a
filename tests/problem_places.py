"""Places that problems name: each must be one of the file that the user wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rnnspec.source.nodes import shown_path
from rnnspec.source.problems import Problem

NAMED = re.compile(r"(?<![\w.'\"])(?:encoder|encoders|decoder)(?:\.[\w-]+|\[\d+\])+")
MEANT = re.compile(r"did you mean '(\S+)'\?$")


def misplaced(problems: Sequence[Problem], data: Any) -> list[tuple[str, str]]:
    """The places that problems name and `data`, the values of their file, has not, with what is
    said. A place of its own a problem may have in the mapping that lacks a key, and below a key
    that is misspelt by what is meant; in texts the places of layers count, and the keys of an
    encoder where the file has several."""
    meant = {each.path: way[1] for each in problems if (way := MEANT.match(each.hint))}
    found: list[tuple[str, str]] = []
    for problem in problems:
        if not _stands(problem.path, data, meant, missing=True):
            found.append((problem.path, problem.message))
        text = f"{problem.message}; {problem.hint}"
        for place in NAMED.findall(text):
            of_one = place.startswith("encoder.") and "encoder" not in data
            if (of_one or ".layers[" in place) and not _stands(place, data, meant):
                found.append((place, text))
    return found


def _stands(
    place: str, value: Any, meant: Mapping[str, str], missing: bool = False, above: str = ""
) -> bool:
    """Whether a place, as `shown_path` writes it, is one of `value`, which stands at `above`."""
    if not place:
        return True
    items = range(len(value)) if isinstance(value, list) else ()
    for key in value if isinstance(value, dict) else items:
        here = shown_path((key,))
        before = f"{above}." if above and not here.startswith("[") else above
        for shown in dict.fromkeys((here, meant.get(before + here, here))):
            rest = place[len(shown) :] if place.startswith(shown) else "?"
            known, path = rest[:1] in ("", ".", "["), before + shown
            if known and _stands(rest.removeprefix("."), value[key], meant, missing, path):
                return True
    return missing and isinstance(value, dict) and re.fullmatch(r"[\w-]+", place) is not None
