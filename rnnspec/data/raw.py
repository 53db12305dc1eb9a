"""Raw texts of measured rows: targets are taken from them, never from numbers.

All unknown tokens share one number, so different texts may be encoded alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEPARATOR = "\0"
"""Separates tokens of several characters: no cell holds it."""
DIGEST = 16
"""Bytes of the digest of the inputs of a row."""


@dataclass(frozen=True, slots=True)
class RawTexts:
    """Texts of a column in UTF-8: row i is `values[offsets[i]:offsets[i + 1]]`.

    `apart`: U+0000 separates the tokens; otherwise each character is a token.
    """

    values: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    apart: bool

    def tokens(self, row: int) -> tuple[str, ...]:
        """The tokens of row number `row`, from 0."""
        start, end = self.offsets[row : row + 2].tolist()
        text = self.values[start:end].tobytes().decode()
        if not self.apart:
            return tuple(text)
        return tuple(text.split(SEPARATOR)) if text else ()


@dataclass(frozen=True, slots=True)
class Raw:
    """The raw texts of a file: inputs by the key of their node, target texts (`truth`) by column.
    With target texts, `digests` has a digest of the raw inputs of each row, `[rows, DIGEST]`."""

    inputs: Mapping[str, RawTexts]
    truth: Mapping[str, RawTexts]
    digests: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class RawRows:
    """The raw cells of the rows of a batch; `rows` are their numbers in the file, `[B]`."""

    of: Raw
    rows: NDArray[np.int64]

    def truth(self, column: str, row: int) -> tuple[str, ...]:
        """The tokens of the target text of row `row` of the batch."""
        return self.of.truth[column].tokens(int(self.rows[row]))

    def input_digest(self, row: int) -> bytes:
        """The digest of the inputs of a row: equal if all their raw cells are equal."""
        assert self.of.digests is not None, "there are texts to be answered"
        digest: bytes = self.of.digests[int(self.rows[row])].tobytes()
        return digest

    def input(self, key: str, row: int) -> tuple[str, ...] | None:
        """The tokens of an input of words, characters or tokens; the characters of bytes or
        subwords; the label of a category (nothing if it is missing); None for other inputs."""
        texts = self.of.inputs.get(key)
        return None if texts is None else texts.tokens(int(self.rows[row]))

    def of_inputs(self, keys: Sequence[str], row: int) -> tuple[str, ...]:
        """The tokens of several inputs, one input after the other."""
        return tuple(token for key in keys for token in self.input(key, row) or ())
