"""The JSON Schema: fresh, small, explains every key, and agrees with the models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rnnspec.source.yaml12 import load
from rnnspec.spec.entries import entries
from rnnspec.spec.examples import example_of
from rnnspec.spec.schema import json_schema
from rnnspec.spec.spec import Spec
from tests.mutations import TEXTS, spoilt_data

ROOT = Path(__file__).parent.parent
FILE = ROOT / "schemas" / "rnnspec.schema.json"
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
LINE = "# yaml-language-server: $schema=../schemas/rnnspec.schema.json"
SCHEMA: dict[str, Any] = json.loads(json_schema())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


def test_the_file_is_fresh() -> None:
    assert FILE.read_text(encoding="utf-8") == json_schema(), "run rnnspec schema > schemas/…"


def test_it_is_a_schema_and_small() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert len(json_schema().encode()) < 200_000


def keys_of(node: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key of every mapping of the schema, with its own schema, references followed."""
    if isinstance(node, list):
        for item in node:
            yield from keys_of(item)
    elif isinstance(node, dict):
        for key, schema in node.get("properties", {}).items():
            yield key, followed(schema)
        for value in node.values():
            yield from keys_of(value)


def followed(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref") or next((s["$ref"] for s in schema.get("allOf", [])), None)
    if reference is None:
        return schema
    return {**followed(SCHEMA["definitions"][reference.rpartition("/")[2]]), **schema}


def test_every_key_is_explained() -> None:
    keys = list(keys_of(SCHEMA))
    assert len(keys) > 50
    for key, schema in keys:
        assert schema.get("description"), key


def test_every_key_has_an_example() -> None:
    """`tests/test_entries.py` checks the examples."""
    missing = [entry.names[-1] for entry in entries() if example_of(entry) is None]
    assert not missing, "add an example of each to rnnspec/spec/examples.yaml"


def test_every_optional_key_says_its_default() -> None:
    def check(node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                check(item)
        elif isinstance(node, dict):
            one_of = node.get("maxProperties") == 1  # the options of a choice
            for key, schema in node.get("properties", {}).items():
                optional = key not in node.get("required", ()) and not one_of
                assert ("default" in followed(schema)) == optional, key
            for value in node.values():
                check(value)

    check(SCHEMA)


def test_defaults_are_valid_where_they_stand() -> None:
    for key, schema in keys_of(SCHEMA):
        if "default" in schema:
            resolver = {**schema, "definitions": SCHEMA["definitions"]}
            assert jsonschema.Draft7Validator(resolver).is_valid(schema["default"]), key


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs_fit_and_name_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.splitlines()[0] == LINE
    VALIDATOR.validate(load(text, path.name).data)


def test_there_are_specs() -> None:
    assert SPECS


@pytest.mark.parametrize(
    ("pooling", "valid"),
    [
        ("last", True),
        ("attention", True),
        ({"attention": {"units": 3}}, True),
        ({"attention": {}}, True),
        ({"attention": {"unit": 3}}, False),
        ({"attention": {}, "last": {}}, False),
        ({"last": {}}, False),
        ({}, False),
        ("first", False),
        (None, False),
    ],
)
def test_a_choice_is_a_name_or_an_object_with_one_key(pooling: object, valid: bool) -> None:
    assert VALIDATOR.is_valid({**load(TEXTS[0], "f").data, "pooling": pooling}) == valid


@settings(max_examples=300)
@given(st.sampled_from(TEXTS).flatmap(lambda text: spoilt_data(load(text, "f").data)))
def test_it_agrees_with_the_models(data: dict[str, Any]) -> None:
    """Except for what JSON Schema cannot tell: 3.0 from 3, a blank text, one that is no number."""
    text = json.dumps(data)
    if any(odd in text for odd in (".0", "e+308", "Infinity", "NaN", '" "')):
        return
    assert VALIDATOR.is_valid(data) == fits_the_models(data)


def fits_the_models(data: dict[str, Any]) -> bool:
    try:
        Spec.model_validate(data)
    except ValidationError:
        return False
    return True
