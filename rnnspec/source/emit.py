"""Writing plain values as YAML 1.2 that loads back to the same values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from rnnspec.source.scalars import resolve

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*(?::[A-Za-z0-9]+)?(?: [A-Za-z0-9_./-]+)*")
_OLD_WORDS = frozenset(("y", "n", "yes", "no", "on", "off"))
"""Truth values to a YAML 1.1 reader; quoted so that it reads them as texts too."""
_BLOCK = re.compile(r"[^\s][^\n]*(?:\n+ *[^\s][^\n]*)+\n?")


def to_yaml(data: Mapping[str, Any]) -> str:
    """`data` (of dict, list, tuple, str, int, float, bool, None) as YAML, keys in their order.

    Mappings and lists of mappings are indented blocks, lists of plain values stand in brackets,
    texts of several lines are blocks after `|` where they can be.
    """
    return _mapping(data, 0)


def _mapping(data: Mapping[str, Any], indent: int) -> str:
    return "".join(
        " " * indent + _text(key) + ":" + _value(value, indent + 2) for key, value in data.items()
    )


def _value(value: object, indent: int) -> str:
    """The text after the colon, with its line break; nested lines are indented by `indent`."""
    if isinstance(value, Mapping) and value:
        return "\n" + _mapping(value, indent)
    if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        return "\n" + "".join(_item(item, indent) for item in value)
    if isinstance(value, str) and _BLOCK.fullmatch(value) and _shows(value.replace("\n", "")):
        mark = "|" if value.endswith("\n") else "|-"
        lines = value.removesuffix("\n").split("\n")
        return f" {mark}\n" + "".join(
            f"{' ' * indent}{line}" + "\n" if line else "\n" for line in lines
        )
    return f" {flow(value)}\n"


def _item(item: object, indent: int) -> str:
    if isinstance(item, Mapping) and item:
        return " " * indent + "- " + _mapping(item, indent + 2)[indent + 2 :]
    return " " * indent + f"- {flow(item)}\n"


def flow(value: object) -> str:
    """A value on one line: mappings in braces, lists in brackets."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int():
            return str(value)
        case float():
            return _number(value)
        case str():
            return _text(value)
        case Mapping():
            return "{" + ", ".join(f"{_text(k)}: {flow(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(flow, value)) + "]"
    raise TypeError(f"no YAML for a {type(value).__name__}")


def _number(value: float) -> str:
    """The shortest text that reads back as this float, also in YAML 1.1, which needs the point."""
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    text = repr(value)
    return text if "." in text else text.replace("e", ".0e")


def _text(value: str) -> str:
    if (
        _PLAIN.fullmatch(value)
        and value.lower() not in _OLD_WORDS
        and isinstance(resolve(value), str)
    ):
        return value
    return '"' + "".join(map(_escaped, value)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character == "\n":
        return "\\n"
    if _shows(character):
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _shows(text: str) -> bool:
    return text.isprintable()
