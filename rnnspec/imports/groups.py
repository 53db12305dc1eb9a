"""Layers as they are found in a file: what of its tensors is which parameter of a layer of ours.

The orders of gates are each library's own:

- torch (`torch.nn.LSTM`, `torch.nn.GRU`): LSTM i, f, g, o; GRU r, z, n; two biases, which are
  added, but for the GRU's candidate, whose second one stands inside the product with r;
- Keras (`keras.layers.LSTM`, `GRU`): LSTM i, f, g, o; GRU z, r, n; kernels transposed;
- ONNX (operators LSTM, GRU, RNN): LSTM i, o, f, g; GRU z, r, n; peepholes i, o, f.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rnnspec.imports.terms import Place, Sum, Tensors, Term

Library = Literal["torch", "keras", "onnx"]
GATES: Mapping[Library, Mapping[str, str]] = {
    "torch": {"lstm": "ifgo", "gru": "rzn", "rnn": " "},
    "keras": {"lstm": "ifgo", "gru": "zrn", "rnn": " "},
    "onnx": {"lstm": "iofg", "gru": "zrn", "rnn": " "},
}
"""The order of the gates in a tensor, by library and family of cells; a blank for no gate."""


@dataclass(frozen=True, slots=True)
class Group:
    """A layer of the file, one direction of it if it is recurrent.

    `kinds` are built-in cells, or `dense`, `table`, `conv`, `layer_norm`, `batch_norm`, whatever
    it can be; `parts` are by the parameters of that cell or layer.
    """

    name: str
    kinds: tuple[str, ...]
    parts: Mapping[str, Sum]
    notes: tuple[str, ...] = ()

    @property
    def tensors(self) -> set[str]:
        return {term.tensor for part in self.parts.values() for term in part.terms}


@dataclass(frozen=True, slots=True)
class Foreign:
    """A file: its tensors, the layers found, and the tensors that no layer is known for."""

    library: Library
    tensors: Tensors
    groups: tuple[Group, ...]
    ignored: frozenset[str] = field(default_factory=frozenset)
    """Tensors that no answer depends on, such as counts of batches."""


@dataclass(frozen=True, slots=True)
class Matrices:
    """Where the tensors of a recurrent layer are. Each takes the rows of a gate, first and end."""

    inputs: Callable[[int, int], Sum]
    recurrent: Callable[[int, int], Sum]
    biases: Callable[[int, int], tuple[Sum, Sum]]
    """Of the inputs' product and of the recurrent one."""


def recurrent_group(
    library: Library, family: str, name: str, kinds: Sequence[str], units: int, found: Matrices
) -> Group:
    """The parameters of a built-in cell of the `family` (lstm, gru, rnn), from its gates."""
    parts: dict[str, Sum] = {}
    for place, gate in enumerate(GATES[library][family]):
        rows = (place * units, (place + 1) * units)
        end = f"_{gate}" if gate.strip() else ""
        outer, inner = found.biases(*rows)
        parts[f"W{end}"], parts[f"U{end}"] = found.inputs(*rows), found.recurrent(*rows)
        if "gru" in kinds and gate == "n":
            parts["b_n"], parts["c_n"] = outer, inner
        else:
            parts[f"b{end}"] = Sum(outer.terms + inner.terms, outer.number + inner.number)
    return Group(name, tuple(kinds), parts)


Order = tuple[tuple[tuple[str, int], ...], ...]


def natural_order(name: str) -> Order:
    """What names are sorted by where a file does not keep their order: part by part of a path,
    `lstm` before `lstm_1`, and `layers.2` before `layers.10`."""
    return tuple(
        tuple((text.rstrip("_"), int(n or -1)) for text, n in re.findall(r"(\D*)(\d*)", part))
        for part in re.split(r"[/.]", name)
    )


def rows_of(tensor: str, first: int, end: int, before: tuple[Place, ...] = ()) -> Sum:
    """Rows of a tensor, behind the places `before`."""
    return Sum((Term(tensor, (*before, (first, end))),))


def columns_of(tensor: str, first: int, end: int) -> Sum:
    """Columns of a matrix, as rows."""
    return Sum((Term(tensor, (None, (first, end)), (1, 0)),))


def whole(tensor: str, axes: tuple[int, ...] = ()) -> Sum:
    """All of a tensor."""
    return Sum((Term(tensor, (), axes),))
