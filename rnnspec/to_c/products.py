"""Matrices as they stand in a program, and the statements that multiply with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnspec.to_c.functions import BLOCKS
from rnnspec.to_c.text import comment, table

Matrix = NDArray[np.float32]
MOST = 127
"""The largest int8, and its negative the least that is used."""


def blocked(matrix: NDArray[np.generic]) -> NDArray[np.generic]:
    """The numbers of a matrix `[outputs, inputs]` in the order in which `rs_add_product` reads
    them."""
    rows, parts, left = 0, [], len(matrix)
    for width in (*BLOCKS, 0):
        while left and left >= width:
            taken = width or left
            parts.append(matrix[rows : rows + taken].T.reshape(-1))
            rows, left = rows + taken, left - taken
    return np.concatenate(parts) if parts else matrix.reshape(-1)


def scales(matrix: Matrix) -> Matrix:
    """The number by which the int8 of each row are multiplied: its largest over 127."""
    flat = np.abs(matrix.reshape(len(matrix), -1)).max(axis=1, initial=0.0)
    return np.asarray(np.where(flat > 0, flat / MOST, 1.0), np.float32)


def rounded(matrix: Matrix, scale: Matrix) -> NDArray[np.int8]:
    """The int8 of each number."""
    wide = scale.reshape(-1, *[1] * (matrix.ndim - 1)).astype(np.float64)
    return np.asarray(np.clip(np.rint(matrix / wide), -MOST, MOST), np.int8)


def as_int8(matrix: Matrix) -> Matrix:
    """The numbers that int8 with a scale for each row stand for."""
    scale = scales(matrix)
    wide = scale.reshape(-1, *[1] * (matrix.ndim - 1))
    return np.asarray(rounded(matrix, scale) * wide, np.float32)


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix `[outputs, inputs]` of a program under a name, with the tables that hold it."""

    name: str
    outputs: int
    inputs: int
    int8: bool
    tables: tuple[str, ...]
    sizes: tuple[int, int]
    """Bytes of the matrix and of its scales."""

    def add(self, into: str, vector: str) -> str:
        """The statement that adds `matrix @ vector` to `into`."""
        sizes = f"{self.inputs}, {self.outputs}"
        if self.int8:
            return (
                f"rs_add_product_int8({into}, {self.name}, {vector}, {sizes}, {self.name}_scale);"
            )
        return f"rs_add_product({into}, {self.name}, {vector}, {sizes});"


def product(name: str, matrix: Matrix, what: str, int8: bool) -> Product:
    """The tables of a matrix; `what` it is, for a comment."""
    outputs, inputs = matrix.shape
    title = comment(f"{what}: {outputs} rows of {inputs}")
    if not int8:
        tables = (*title, table("float", name, blocked(matrix)))
        return Product(name, outputs, inputs, False, tables, (matrix.size * 4, 0))
    scale = scales(matrix)
    tables = (
        *title,
        table("int8_t", name, blocked(rounded(matrix, scale))),
        table("float", f"{name}_scale", scale),
    )
    return Product(name, outputs, inputs, True, tables, (matrix.size, 4 * outputs))


def joined(matrices: Sequence[Matrix]) -> Matrix:
    """Matrices one below the other."""
    return np.concatenate(matrices)
