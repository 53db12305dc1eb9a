"""Frames that a decoder writes: how many there are, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rnnspec.plan.nodes.node import Shape, Shapes, Weight, named, scaling
from rnnspec.plan.nodes.outputs import OutputNode

MOST_COUNTED = 100_000
"""The most frames that a number of the row may ask for."""
LengthRule = Literal["input", "fixed", "column", "learned"]


@dataclass(frozen=True, slots=True)
class FramesOutput(OutputNode):
    """The frames that a decoder writes, raw numbers `[B, U, width]` or, of a learned length,
    `[B, U, width + 1]`, to `[B, U, width]` in the units of the data: v * deviation + mean if
    `scaled`, in float64 if `double` (as in `NumericOutput`).

    A row has as many frames as, by `length`:

    - `input`: the sequences of the input have steps.
    - `fixed`: `limit`. `column`: the number in `counted`, a `VectorInput`, rounded to the nearest
      whole number (a half to the even one), at least 0 and at most `MOST_COUNTED`.
    - `learned`: the first step u, counted from 0 and at least `least`, whose last raw number z says
      that the answer has ended before it: sigmoid(z) > 0.5 (the stop token of Shen et al. 2018,
      Tacotron 2, section 2.3, there one step later); and at most
      `limit` + floor(`factor` * steps of the input).

    With `reverse` the last frame is written first (Srivastava et al. 2015, Unsupervised Learning of
    Video Representations using LSTMs, section 2.1); answers are in the order of the data.

    `read` names the `FramesInput` of the same column, where the answer is a reconstruction of the
    input. Beside it then stand the error of each step, the mean of the squared differences of its
    numbers, in units of the deviation if `scaled`, and the score of the row, the same mean over all
    its numbers. Missing numbers are left out; the mean of none is 0.
    """

    width: int
    length: LengthRule
    scaled: bool = False
    double: bool = False
    limit: int = 0
    factor: float = 0.0
    least: int = 0
    counted: str = ""
    reverse: bool = False
    read: str = ""

    @property
    def raw_width(self) -> int:
        """The raw numbers of a step."""
        return self.width + (self.length == "learned")

    def sources(self) -> Iterator[str]:
        yield from named(self.source, self.counted, self.read)

    def weights(self) -> Iterator[Weight]:
        if self.scaled:
            yield from scaling(self, self.width, self.double)

    def shape(self, shapes: Shapes) -> Shape:
        shapes.expect(self, self.source, ("B", "U", self.raw_width))
        return ("B", "U", self.width)
