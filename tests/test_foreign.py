"""Words of other tools lead to words that specs have."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rnnspec.cells import builtin_names
from rnnspec.spec.foreign import BEAMS, FOREIGN, NAMED, NEEDLESS, SWITCHES, SYNONYMS, VALUES
from rnnspec.spec.walk import places_of

SCHEMA = Path(__file__).parent.parent / "schemas" / "rnnspec.schema.json"


def _words(schema: Any) -> Iterator[str]:
    """Every key and every value that is a word of a schema."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {})
        yield from (each for each in schema.get("enum", ()) if isinstance(each, str))
        yield str(schema.get("const", ""))
    for each in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(each, dict | list):
            yield from _words(each)


def test_what_words_stand_for_is_known() -> None:
    known = set(_words(json.loads(SCHEMA.read_text("utf-8"))))
    assert set(FOREIGN) - known == set()
    values = {*VALUES.values(), *SWITCHES.values(), *NAMED.values()}
    assert values - known <= set(builtin_names())  # cells may also be those of the spec


def test_words_that_stand_for_nothing_are_keys_nowhere() -> None:
    assert [word for word in NEEDLESS if places_of(word) or word in SYNONYMS] == []


def test_a_setting_stands_for_one_thing() -> None:
    assert set(BEAMS) <= set(SYNONYMS)
    assert [word for word in SWITCHES if word not in SYNONYMS] == []
