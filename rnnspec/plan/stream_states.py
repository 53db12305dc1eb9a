"""What is kept from one chunk of a stream to the next, and how far a sequence is behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Literal

StateKind = Literal["float32", "float64", "int64"]


@dataclass(frozen=True, slots=True)
class StreamState:
    """What a node keeps: `[B, *shape]`, 0 before the first chunk. `name` is that of the graph's
    input; the output with the value after the chunk is `name.next`."""

    name: str
    shape: tuple[int, ...]
    kind: StateKind = "float32"

    @property
    def after(self) -> str:
        return f"{self.name}.next"

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a sequence is behind: its value k is of step `stride` k of the input, and known once
    step `stride` k + `ahead` has come. Of sound, steps are samples."""

    stride: int = 1
    ahead: int = 0

    def behind(self, other: Lag) -> int:
        """The most values that this sequence is ahead of `other`, on one axis."""
        assert self.stride == other.stride, "values of one axis"
        return max(0, -(-(other.ahead - self.ahead) // self.stride))


HELD = ".held"
"""The end of the name of a state: the last bytes that were written, of a character that lacks some,
by their numbers, 0 in front of them."""
States = tuple[StreamState, ...]


def window_states(name: str, left: int, right: int, stride: int, width: tuple[int, ...]) -> States:
    """The inputs that later outputs still read, `[left + right, *width]`, and how many more of them
    there are than `left`, which is constant where each step is answered at once."""
    kept = (StreamState(f"{name}.inputs", (left + right, *width)),) if left + right else ()
    if stride == 1 and not right:
        return kept
    return (*kept, StreamState(f"{name}.count", (), "int64"))


def waiting_of(lags: Mapping[str, Lag]) -> dict[str, int]:
    """The sequences that are ahead of the last of some, each with the most values that wait."""
    last = max(lags.values(), key=lambda lag: lag.ahead, default=Lag())
    return {name: most for name, lag in lags.items() if (most := lag.behind(last))}
