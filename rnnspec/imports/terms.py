"""What a weight is made of: a sum of parts of tensors in a file, as a text that a person can write.

lstm.weight_ih_l0[0:64]                      rows 0 to 63
lstm.bias_ih_l0[0:64] + lstm.bias_hh_l0[0:64]
layers/dense/vars/0.T                        transposed
layers/conv1d/vars/0.transpose(2, 1, 0)      axes in another order
W[1, 0:64]                                   of direction 1
embedding.weight[@text]                      a row for each entry of the vocabulary of `text`
0                                            zeros
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import ModelFileError

Place = int | tuple[int, int] | None
"""Of one axis: an element, from one to before another, or all of it."""
Tensors = Mapping[str, NDArray[np.generic]]
Orders = Mapping[str, NDArray[np.int64]]
"""By column, the row of a table in the file for each number of the vocabulary; -1 for none."""
NEVER = -1e4
"""A score beside which all others are certain."""
_TERM = re.compile(
    r"(?P<tensor>.+?)(?:\[(?P<index>[^\[\]]*)\])?"
    r"(?:\.transpose\((?P<axes>[\d, ]*)\)|(?P<turned>\.T))?"
)
_NUMBER = re.compile(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Term:
    """A part of one tensor: `index` by axis, then `axes` in another order."""

    tensor: str
    index: tuple[Place, ...] = ()
    axes: tuple[int, ...] = ()
    order: str = ""
    """The column whose vocabulary gives the rows."""

    def __str__(self) -> str:
        places = [f"@{self.order}"] if self.order else [_place(each) for each in self.index]
        index = f"[{', '.join(places)}]" if places else ""
        if self.axes == (1, 0):
            return f"{self.tensor}{index}.T"
        turned = f".transpose({', '.join(map(str, self.axes))})" if self.axes else ""
        return f"{self.tensor}{index}{turned}"

    def value(self, tensors: Tensors, orders: Orders) -> NDArray[np.float64]:
        """Raises ModelFileError if there is no such tensor, or it has no such part."""
        if self.tensor not in tensors:
            raise ModelFileError(f"there is no tensor {self.tensor!r}")
        whole = np.asarray(tensors[self.tensor], np.float64)
        if self.order:
            return self._turned(_rows(whole, self.order, orders))
        places = tuple(slice(*at) if isinstance(at, tuple) else at for at in self.index)
        wanted = tuple(slice(None) if at is None else at for at in places)
        for at, extent in zip(self.index, whole.shape, strict=False):
            last = at[1] if isinstance(at, tuple) else (at or 0) + 1
            if last > extent:
                raise ModelFileError(f"{self}: the tensor has the shape {list(whole.shape)}")
        if len(self.index) > whole.ndim:
            raise ModelFileError(f"{self}: the tensor has the shape {list(whole.shape)}")
        return self._turned(whole[wanted])

    def _turned(self, value: NDArray[np.float64]) -> NDArray[np.float64]:
        if not self.axes:
            return value
        if sorted(self.axes) != list(range(value.ndim)):
            raise ModelFileError(f"{self}: there are {value.ndim} axes")
        return value.transpose(self.axes)


@dataclass(frozen=True, slots=True)
class Sum:
    """The sum of its terms and of a number; without a term, that number in every place."""

    terms: tuple[Term, ...] = ()
    number: float = 0.0

    def __str__(self) -> str:
        number = [f"{self.number:g}"] if self.number or not self.terms else []
        return " + ".join([*map(str, self.terms), *number])

    def value(
        self, tensors: Tensors, orders: Orders, shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """Of the `shape` that is wanted. Raises ModelFileError where it has another."""
        total = np.full(shape if not self.terms else (), self.number)
        for term in self.terms:
            found = term.value(tensors, orders)
            if found.shape != shape:
                given = f"{term} has the shape {list(found.shape)}"
                raise ModelFileError(f"{given}, and {list(shape)} is wanted")
            total = total + found
        return total.astype(np.float32)


def parse_sum(text: str) -> Sum:
    """The sum that `text` says. Raises ModelFileError."""
    terms, number = [], 0.0
    for part in text.split(" + "):
        if _NUMBER.fullmatch(part.strip()):
            number += float(part)
        else:
            terms.append(_parse_term(part.strip()))
    return Sum(tuple(terms), number)


def _parse_term(text: str) -> Term:
    found = _TERM.fullmatch(text)
    if found is None:
        raise ModelFileError(f"{text!r} is no part of a tensor, such as 'lstm.weight_ih_l0[0:64]'")
    index, axes = found["index"], (1, 0) if found["turned"] else _axes(found["axes"])
    if index and index.startswith("@"):
        return Term(found["tensor"], (), axes, index[1:].strip())
    places = tuple(_parse_place(each.strip(), text) for each in index.split(",")) if index else ()
    return Term(found["tensor"], places, axes)


def _axes(text: str | None) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(",")) if text else ()


def _parse_place(text: str, term: str) -> Place:
    if text == ":":
        return None
    start, colon, stop = text.partition(":")
    try:
        return (int(start or 0), int(stop)) if colon else int(text)
    except ValueError:
        raise ModelFileError(f"{term!r}: {text!r} is no place, such as 3, 0:64 or :") from None


def _place(at: Place) -> str:
    return ":" if at is None else f"{at[0]}:{at[1]}" if isinstance(at, tuple) else str(at)


def unknown_order(column: str) -> str:
    """What to say where the rows of a table have no names."""
    return (
        f"the rows of a table stand in the order of the vocabulary of {column!r}, which is not"
        f" known; give it with --vocabulary {column}=FILE, one entry a line in that order"
    )


def _rows(table: NDArray[np.float64], column: str, orders: Orders) -> NDArray[np.float64]:
    """A row of the table for each number of the vocabulary of `column`. Where there is none it is
    0, of a bias so low that the token is never answered."""
    if column not in orders:
        raise ModelFileError(unknown_order(column))
    order = orders[column]
    if order.max(initial=-1) >= len(table):
        raise ModelFileError(
            f"the vocabulary of {column!r} has {order.max() + 1} entries, and the table has"
            f" {len(table)} rows"
        )
    rows = table[np.maximum(order, 0)]
    nothing = NEVER if table.ndim == 1 else 0.0
    return np.where((order < 0).reshape(-1, *[1] * (table.ndim - 1)), nothing, rows)
