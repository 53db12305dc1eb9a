"""Cells of measured rows as they stand in the file: truth is taken from them, never from numbers.

An unknown token has no number of its own, so that two different texts may be encoded alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BETWEEN = "\0"
"""Stands between tokens that lie apart: no cell holds it."""
DIGEST = 16
"""Bytes by which the inputs of a row are known."""


@dataclass(frozen=True, slots=True)
class RawTexts:
    """Texts of a column in UTF-8: row i is `values[offsets[i]:offsets[i + 1]]`.

    `apart`: its tokens, with U+0000 between them; else each character is one.
    """

    values: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    apart: bool

    def tokens(self, row: int) -> tuple[str, ...]:
        """Those of row number `row`, from 0."""
        start, end = self.offsets[row : row + 2].tolist()
        text = self.values[start:end].tobytes().decode()
        if not self.apart:
            return tuple(text)
        return tuple(text.split(BETWEEN)) if text else ()


@dataclass(frozen=True, slots=True)
class Raw:
    """The raw cells of a file: inputs of text by the key of their node, texts that are to be
    answered by column; and where there are such, of each row a digest of the raw cells of all
    inputs, `[rows, DIGEST]`."""

    inputs: Mapping[str, RawTexts]
    truth: Mapping[str, RawTexts]
    asked: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class RawRows:
    """The raw cells of the rows of a batch; `rows` are their numbers in the file, `[B]`."""

    of: Raw
    rows: NDArray[np.int64]

    def truth(self, column: str, row: int) -> tuple[str, ...]:
        """The tokens of the true text of row `row` of the batch, by the rule of its output."""
        return self.of.truth[column].tokens(int(self.rows[row]))

    def asked(self, row: int) -> bytes:
        """What the inputs of a row are known by: the same where all their raw cells are equal."""
        assert self.of.asked is not None, "there are texts to be answered"
        digest: bytes = self.of.asked[int(self.rows[row])].tobytes()
        return digest

    def input(self, key: str, row: int) -> tuple[str, ...] | None:
        """The tokens of an input of words, characters or tokens, the characters of one of bytes or
        subwords, the label of a category (nothing if it is missing); None of other inputs."""
        texts = self.of.inputs.get(key)
        return None if texts is None else texts.tokens(int(self.rows[row]))
