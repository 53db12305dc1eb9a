"""What values a JSON Schema allows, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rnnspec.source.emit import flow
from rnnspec.spec.base import MAX_COUNT, PATTERNS

Schema = dict[str, Any]
_PLAIN = {"string": "a text", "boolean": "true or false", "null": "null"}


def followed(schema: Schema, schemas: Mapping[str, Schema]) -> Schema:
    """A schema with what it refers to, what stands beside the reference first."""
    references = [schema, *schema.get("allOf", ())]
    name = next((each["$ref"].rpartition("/")[2] for each in references if "$ref" in each), None)
    return schema if name is None else {**followed(schemas[name], schemas), **schema}


def literals_of(schema: Schema, schemas: Mapping[str, Schema]) -> Iterator[str]:
    """Every value that a schema names."""
    schema = followed(schema, schemas)
    for member in schema.get("anyOf") or schema.get("oneOf") or ():
        yield from literals_of(member, schemas)
    yield from map(flow, schema.get("enum", ()))
    if "const" in schema:
        yield flow(schema["const"])


def type_text(schema: Schema, schemas: Mapping[str, Schema]) -> str:
    """The values that a schema allows: `a whole number from 1 to 64, or null`."""
    parts = list(dict.fromkeys(_parts(schema, schemas)))
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + f" or {parts[-1]}"


def _parts(schema: Schema, schemas: Mapping[str, Schema]) -> Iterator[str]:
    schema = followed(schema, schemas)
    for member in schema.get("anyOf") or schema.get("oneOf") or ():
        yield from _parts(member, schemas)
    if "anyOf" in schema or "oneOf" in schema:
        return
    if "enum" in schema or "const" in schema:
        yield from map(flow, schema.get("enum") or [schema["const"]])
    elif schema["type"] in ("integer", "number"):
        yield _number(schema)
    elif schema["type"] == "array":
        yield f"a list of {_of_list(schema, schemas)}"
    elif schema["type"] == "object":
        yield _mapping(schema, schemas)
    elif schema.get("pattern") in PATTERNS:
        yield PATTERNS[schema["pattern"]][0]
    else:
        yield _PLAIN[schema["type"]]


def _number(schema: Schema) -> str:
    what = "a whole number" if schema["type"] == "integer" else "a number"
    least, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    most, below = schema.get("maximum", MAX_COUNT), schema.get("exclusiveMaximum")
    parts = []
    if least is not None and most < MAX_COUNT:
        return f"{what} from {_shown(least)} to {_shown(most)}"
    if above is not None and below is not None:
        return f"{what} between {_shown(above)} and {_shown(below)}"
    if least is not None:
        parts.append(f"of at least {_shown(least)}")
    if above is not None:
        parts.append(f"above {_shown(above)}")
    if below is not None:
        parts.append(f"below {_shown(below)}")
    if most < MAX_COUNT:
        parts.append(f"up to {_shown(most)}")
    return f"{what} {' and '.join(parts)}".strip()


def _shown(number: float) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"


def _of_list(schema: Schema, schemas: Mapping[str, Schema]) -> str:
    items = schema.get("items") or schema["prefixItems"][0]
    text = type_text(items, schemas)
    plural = {
        "a text": "texts", "a mapping": "mappings", "true or false": "truth values",
    }.get(text, text)  # fmt: skip
    for one, several in (("a whole number", "whole numbers"), ("a number", "numbers")):
        plural = plural.replace(one, several)
    count = schema.get("minItems")
    return f"{count} {plural}" if count and count == schema.get("maxItems") else plural


def _mapping(schema: Schema, schemas: Mapping[str, Schema]) -> str:
    below = schema.get("additionalProperties") or next(
        iter(schema.get("patternProperties", {}).values()), None
    )
    return f"a mapping of names, each to {type_text(below, schemas)}" if below else "a mapping"


def values_of(schema: Schema, schemas: Mapping[str, Schema]) -> Iterator[tuple[str, str]]:
    """The values that have a description of their own, or the kinds of mappings, with it."""
    for member in schema.get("anyOf") or schema.get("oneOf") or ():
        member = followed(member, schemas)
        if "anyOf" in member:
            yield from values_of(member, schemas)
        elif "const" in member and member.get("description"):
            yield flow(member["const"]), member["description"]
