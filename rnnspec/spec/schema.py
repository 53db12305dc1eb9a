"""The JSON Schema of a spec, with which editors complete, explain and check every key.

Draft 7, which every editor supports. `schemas/rnnspec.schema.json` is this text.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from rnnspec.spec.base import Model
from rnnspec.spec.choice import Option
from rnnspec.spec.spec import Spec

DRAFT = "http://json-schema.org/draft-07/schema#"
_SHARED_FROM = 120
"""Least length of a key's schema, in characters, for a definition of its own."""

Schema = dict[str, Any]


def json_schema() -> str:
    """The JSON Schema as text; equal models give equal texts."""
    raw = Spec.model_json_schema(by_alias=True, schema_generator=_Generator)
    defined: Schema = raw.pop("$defs", {})
    raw["definitions"] = {name: defined[name] for name in sorted(defined)}
    schema = _tidied(raw)
    for definition in schema["definitions"].values():
        definition.pop("title", None)  # the name it is defined under
    _share_choices(schema)
    _share(schema)
    head = {"$schema": DRAFT, "title": "rnnspec", "description": schema.pop("description")}
    schema.pop("title")
    return json.dumps({**head, **schema}, indent=1, ensure_ascii=False) + "\n"


def model_schemas(models: Iterable[type[Model]]) -> dict[str, Schema]:
    """The schema of each model by the name of its class, with references between them."""
    schemas: dict[str, Schema] = {}
    for model in models:
        if model.__name__ not in schemas:
            raw = model.model_json_schema(by_alias=True, schema_generator=_Generator)
            schemas |= {**raw.pop("$defs", {}), model.__name__: raw}
    return schemas


class _Generator(GenerateJsonSchema):
    """Writes defaults as YAML does."""

    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, Option):
            return dft.written()
        return {} if isinstance(dft, Model) else super().encode_default(dft)


def _tidied(node: Any) -> Any:
    """The schema in terms of draft 7, without titles that repeat a key."""
    if isinstance(node, list):
        return [_tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidy = {key: _tidied(value) for key, value in node.items()}
    if isinstance(properties := tidy.get("properties"), dict):
        for schema in properties.values():
            schema.pop("title", None)
    if "patternProperties" in tidy:
        tidy["additionalProperties"] = False
    if isinstance(items := tidy.pop("prefixItems", None), list):
        assert all(item == items[0] for item in items), "draft 7: only lists of one kind"
        tidy["items"] = items[0]
    if isinstance(reference := tidy.get("$ref"), str):
        reference = tidy["$ref"] = reference.replace("#/$defs/", "#/definitions/")
        if len(tidy) > 1:  # draft 7 ignores what stands beside a reference
            del tidy["$ref"]
            tidy = {"allOf": [{"$ref": reference}], **tidy}
    return tidy


def _share(schema: Schema) -> None:
    """Moves schemas that several keys share into definitions, named after the key."""
    seen: Counter[str] = Counter()
    _each_property(schema, lambda _, text, __: seen.update([text]))
    names: dict[str, str] = {}
    definitions: Schema = schema["definitions"]

    def move(key: str, text: str, properties: Schema) -> None:
        if seen[text] > 1 and len(text) >= _SHARED_FROM:
            if text not in names:
                taken = sum(name == key or name.startswith(f"{key}_") for name in names.values())
                names[text] = f"{key}_{taken + 1}" if taken else key
                definitions[names[text]] = properties[key]
            properties[key] = {"$ref": f"#/definitions/{names[text]}"}

    _each_property(schema, move)
    schema["definitions"] = dict(sorted(definitions.items()))


_NULL = {"type": "null"}


def _share_choices(schema: Schema) -> None:
    """Moves choices that several keys share into definitions, whatever their descriptions."""
    seen: Counter[str] = Counter()

    def choices(of: Schema) -> tuple[list[Any], str]:
        found = [choice for choice in of.get("anyOf", ()) if choice != _NULL]
        return found, json.dumps(found, sort_keys=True)

    _each_property(schema, lambda key, _, properties: seen.update([choices(properties[key])[1]]))
    names: dict[str, str] = {}

    def move(key: str, _: str, properties: Schema) -> None:
        found, text = choices(properties[key])
        if seen[text] > 1 and len(text) >= _SHARED_FROM:
            if text not in names:
                taken = sum(name.startswith(f"{key}_choice") for name in names.values())
                names[text] = f"{key}_choice_{taken + 1}" if taken else f"{key}_choice"
            name = names[text]
            schema["definitions"][name] = {"anyOf": found}
            null = [_NULL] if _NULL in properties[key]["anyOf"] else []
            properties[key]["anyOf"] = [{"$ref": f"#/definitions/{name}"}, *null]

    _each_property(schema, move)


def _each_property(node: Any, do: Callable[[str, str, Schema], None]) -> None:
    """Calls `do` with each key of each mapping, its schema as text, and the mapping's keys."""
    for child in list(node.values()) if isinstance(node, dict) else node:
        if isinstance(child, dict | list):
            _each_property(child, do)
    if isinstance(node, dict) and isinstance(properties := node.get("properties"), dict):
        for key in list(properties):
            do(key, json.dumps(properties[key], sort_keys=True), properties)
