"""How modules hold the weights of their plan nodes: under their canonical names, or packed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from rnnspec.plan.nodes import Node


class Weighted(nn.Module):
    """A module that has the weights of its plan node as attributes, under their canonical names
    without the node's: trained ones are parameters, others buffers, all 0 at first. None: no
    weights."""

    node: Any

    def __init__(self, node: Node | None = None) -> None:
        super().__init__()
        self.node = node
        for weight in () if node is None else node.weights():
            name, value = weight.name.rpartition(".")[2], torch.zeros(weight.shape)
            if weight.trained:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)

    def canonical(self) -> Iterator[tuple[str, Tensor]]:
        """The names and the tensors that hold the weights."""
        yield from ((name, value.detach()) for name, value in self.named_parameters(recurse=False))
        yield from self.named_buffers(recurse=False)


class Packed(nn.Module):
    """Canonical weights joined by rows into the larger parameters that kernels multiply with.

    `slots` maps a parameter's name to the canonical names it holds, in order; `shapes` gives the
    shape of each canonical weight. Those in `fixed` are not trained; a slot never holds both kinds.
    """

    def __init__(
        self,
        slots: Mapping[str, tuple[str, ...]],
        shapes: Mapping[str, tuple[int, ...]],
        fixed: Collection[str] = (),
    ) -> None:
        super().__init__()
        self.slots = dict(slots)
        self.rows = {name: shape[0] if shape else 1 for name, shape in shapes.items()}
        self._place: dict[str, tuple[str, int]] = {}
        self._masked: dict[str, Tensor] = {}
        for slot, names in self.slots.items():
            first = shapes[names[0]]
            extents = (sum(self.rows[name] for name in names), *first[1:]) if first else ()
            trained = names[0] not in fixed
            self.register_parameter(_attribute(slot), nn.Parameter(torch.zeros(extents), trained))
            start = 0
            for name in names:
                self._place[name] = (slot, start)
                start += self.rows[name]

    def slot(self, name: str) -> Tensor:
        """The parameter, masked while `masked` says so."""
        found = self._masked.get(name)
        return self._held(name) if found is None else found

    def _held(self, name: str) -> nn.Parameter:
        return self.get_parameter(_attribute(name))

    @contextmanager
    def masked(self, masks: Mapping[str, Tensor]) -> Iterator[None]:
        """While inside, the parameters of these slots are multiplied by their masks."""
        self._masked = {name: self._held(name) * mask for name, mask in masks.items()}
        try:
            yield
        finally:
            self._masked = {}

    def part(self, name: str) -> Tensor:
        """One canonical weight, as a view of the parameter that holds it."""
        slot, start = self._place[name]
        if len(self.slots[slot]) == 1:
            return self.slot(slot)
        return self.slot(slot).narrow(0, start, self.rows[name])

    def joined(self, names: tuple[str, ...]) -> Tensor:
        """These weights joined by rows: the parameter that holds exactly these, or a new tensor."""
        slot, _ = self._place[names[0]]
        if self.slots[slot] == names:
            return self.slot(slot)
        return torch.cat([self.part(name) for name in names])

    def canonical(self) -> Iterator[tuple[str, Tensor]]:
        """The names and the views that hold the weights."""
        for slot, names in self.slots.items():
            held = self._held(slot).detach()
            parts = held.split([self.rows[name] for name in names]) if held.dim() else (held,)
            yield from zip(names, parts, strict=True)


def _attribute(slot: str) -> str:
    """A name that no attribute of a module has, whatever the cell's parameters are called."""
    return f"slot:{slot}"
