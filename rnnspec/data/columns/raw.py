"""Writes cells as they stand in the file, for rows that are measured (`rnnspec.data.raw`).

These come after all other columns of a chunk: a cell that cannot be read has been noted by then.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rnnspec.data.cache import Column
from rnnspec.data.columns.base import RaggedWriter
from rnnspec.data.columns.labels import classes_of
from rnnspec.data.columns.texts import TextCells
from rnnspec.data.raw import BETWEEN, DIGEST
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.plan.nodes import TokenKind

APART: frozenset[TokenKind] = frozenset({"words", "tokens"})
"""Kinds of text whose tokens are not single characters."""


@dataclass(frozen=True, slots=True)
class RawTextWriter:
    """Writes a text, or its tokens with U+0000 between them."""

    cells: TextCells
    rows: RaggedWriter

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        if bad.found:  # the file ends in an error
            return
        if self.cells.kind not in APART:
            _append(self.rows, self.cells.texts(chunk, bad))
            return
        tokens, lengths = self.cells.tokens(chunk, bad)
        ends = np.cumsum(lengths)
        bounds = zip((ends - lengths).tolist(), ends.tolist(), strict=True)
        _append(self.rows, [BETWEEN.join(tokens[start:end]) for start, end in bounds])


@dataclass(frozen=True, slots=True)
class RawLabelWriter:
    """Writes the label of each row, nothing where it is missing."""

    column: str
    rows: RaggedWriter

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        if not bad.found:
            found = classes_of(self.column, True, chunk, bad)
            _append(self.rows, [label or "" for label in found])


@dataclass(frozen=True, slots=True)
class AskedWriter:
    """Writes a digest of the raw cells of all inputs of each row: BLAKE2b of their JSON."""

    columns: Sequence[str]
    values: Column

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        if bad.found:
            return
        rows = zip(*(chunk.cells[column] for column in self.columns), strict=True)
        each = (hashlib.blake2b(json.dumps(row).encode(), digest_size=DIGEST) for row in rows)
        digests = b"".join(one.digest() for one in each)
        self.values.append(np.frombuffer(digests, np.uint8).reshape(-1, DIGEST))


def _append(rows: RaggedWriter, texts: Sequence[str]) -> None:
    """Adds the UTF-8 of each text."""
    cells = [text.encode() for text in texts]
    lengths = np.fromiter(map(len, cells), np.int64, len(cells))
    rows.append(np.frombuffer(b"".join(cells), np.uint8), lengths)
