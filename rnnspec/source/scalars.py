"""Plain scalars of the YAML 1.2 core schema (https://yaml.org/spec/1.2.2/#103-core-schema)."""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "True", "TRUE"))
_FALSE = frozenset(("false", "False", "FALSE"))
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"([-+]?)\.(?:inf|Inf|INF)")
_NOT_A_NUMBER = frozenset((".nan", ".NaN", ".NAN"))

MAX_DIGITS = 400
"""Longest number that is read; a longer one exceeds float64."""


def resolve(text: str) -> Scalar:
    """The value of an unquoted scalar. `no`, `1:1`, `1_000` are words; `1e-3`, `0x1F` numbers.

    Raises ValueError for a number of more than `MAX_DIGITS` characters.
    """
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if text[0] in "+-.0123456789":
        return _number(text)
    return text


def _number(text: str) -> Scalar:
    if infinite := _INFINITY.fullmatch(text):
        return float(infinite[1] + "inf")
    if text in _NOT_A_NUMBER:
        return float("nan")
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    pattern = {8: _OCTAL, 16: _HEXADECIMAL, 10: _DECIMAL}[base]
    whole = pattern.fullmatch(text) is not None
    if not whole and not _FLOAT.fullmatch(text):
        return text
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} characters")
    return int(text.removeprefix("0o"), base) if whole else float(text)
