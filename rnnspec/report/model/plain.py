"""Sections that draw what they are given: weights of attention, a table, a text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AttentionMap:
    """`weights[t][s]`: the weight of source token s when target token t is written.

    `source` empty: the source is frames without names, numbered from 1.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Attention:
    title: str
    maps: tuple[AttentionMap, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts, as they stand: `head`, and `rows` of as many cells, of which the first
    names the row. The columns `left` are texts and the others numbers."""

    title: str
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    left: int = 1
    text: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Plain text; empty lines part paragraphs. `fixed`: as it stands, in a monospaced font."""

    title: str
    text: str
    fixed: bool = False
