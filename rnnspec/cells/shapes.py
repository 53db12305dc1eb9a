"""Sizes by name, and the rule that two of them are one."""

from __future__ import annotations

from dataclasses import dataclass, field

from rnnspec.cells.graph import Shape


@dataclass(slots=True)
class Sizes:
    """Union-find over size names; fresh ones (`?1`) take the name that use gives them."""

    parent: dict[str, str] = field(default_factory=dict)

    def fresh(self) -> str:
        name = f"?{len(self.parent)}"
        self.parent[name] = name
        return name

    def find(self, size: str) -> str:
        while self.parent.get(size, size) != size:
            size = self.parent[size]
        return size

    def unify(self, one: str, other: str) -> bool:
        """Make both sizes one; False if they are two different known sizes."""
        one, other = self.find(one), self.find(other)
        if one == other:
            return True
        if not one.startswith("?"):
            one, other = other, one
        if not one.startswith("?"):
            return False
        self.parent[one] = other
        return True

    def settle(self, shape: Shape) -> Shape:
        return tuple("units" if s.startswith("?") else s for s in map(self.find, shape))
