"""Pieces of C text: names, numbers, tables, comments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORDS = (
    "auto break case char const continue default do double else enum extern float for goto if"
    " inline int long register restrict return short signed sizeof static struct switch typedef"
    " union unsigned void volatile while main state i j k n x y w bool true false NULL INFINITY"
    " NAN EOF errno stdin stdout stderr assert linux unix asm typeof class new this template"
    " int8_t uint8_t int32_t uint32_t int64_t size_t"
    " memset powf logf sqrtf fabsf log1pf expm1f erff scanf printf putchar fflush"
)
KEYWORDS = frozenset(_WORDS.split())
"""Words of the language, of its headers and of what is written here, that name nothing else."""
WIDE = 100
TYPES: Mapping[str, str] = {"float32": "float", "float64": "double", "int64": "int64_t"}
"""numpy's name of a type to that of C."""
Table = NDArray[Any]


def identifier(name: str) -> str:
    """A name of C that is like `name`; different ones may become the same."""
    found = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if not found or found[0].isdigit() or found.startswith("_"):
        found = f"v_{found.lstrip('_')}"
    return f"{found}_" if found in KEYWORDS else found


@dataclass(slots=True)
class Names:
    """The names of a scope, each given once."""

    taken: set[str] = field(default_factory=set)

    def new(self, name: str) -> str:
        """A name like `name` that nothing has yet."""
        base, number = identifier(name), 2
        found = base
        while found in self.taken:
            found, number = f"{base}_{number}", number + 1
        self.taken.add(found)
        return found


def number(value: float) -> str:
    """A float of C, to the last digit of float32."""
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    text = f"{np.float32(value):.9g}"
    return text + ("f" if "." in text or "e" in text else ".0f")


def wide_number(value: float) -> str:
    """A double of C."""
    text = f"{value:.17g}"
    return text if "." in text or "e" in text else f"{text}.0"


def table(kind: str, name: str, values: Table) -> str:
    """`static const kind name[…] = {…};`, the values one after the other."""
    write = {"float": number, "double": wide_number}.get(kind, lambda v: str(int(v)))
    flat = [write(v) for v in values.reshape(-1).tolist()]
    lines = "\n".join(f"    {line}" for line in filled(flat))
    return f"static const {kind} {name}[{len(flat)}] = {{\n{lines}\n}};"


def filled(items: Iterable[str]) -> Iterator[str]:
    """Items with commas, as many as fit into each line."""
    line = ""
    for item in items:
        if line and len(line) + len(item) + 2 > WIDE - 6:
            yield f"{line},"
            line = item
        else:
            line = f"{line}, {item}" if line else item
    if line:
        yield line


def string(text: str) -> str:
    """A string literal of the UTF-8 bytes of a text."""
    plain = {ord('"'): '\\"', ord("\\"): "\\\\", ord("?"): "\\?"}
    parts = (
        plain.get(byte, chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}")
        for byte in text.encode("utf-8", "surrogatepass")
    )
    return f'"{"".join(parts)}"'


def comment(*lines: str, indent: str = "") -> list[str]:
    """Lines as one comment, of which nothing can end it; long ones are broken."""
    safe = [line.replace("*/", "* /").replace("/*", "/ *") for line in lines]
    ascii_only = [line.encode("ascii", "replace").decode() for line in safe]
    broken = [part for line in ascii_only for part in (_broken(line, indent) or [""])]
    if len(broken) == 1:
        return [f"{indent}/* {broken[0]} */"]
    found = [f"{indent}/* {broken[0]}", *(f"{indent} * {line}".rstrip() for line in broken[1:])]
    return [*found[:-1], f"{found[-1]} */"]


def _broken(line: str, indent: str) -> list[str]:
    inside = line[: len(line) - len(line.lstrip())]
    width = WIDE - len(indent) - 8
    return wrap(line, width, subsequent_indent=f"{inside}    ", drop_whitespace=True) or [""]


def indented(lines: Iterable[str], by: str = "    ") -> list[str]:
    """Lines further in; empty ones and those of the preprocessor stay."""
    return [f"{by}{line}" if line and not line.startswith("#") else line for line in lines]


def loop(count: int, body: Iterable[str], index: str = "j") -> list[str]:
    """The statements `body` for each of `count` places."""
    return [f"for (int {index} = 0; {index} < {count}; {index}++) {{", *indented(body), "}"]
