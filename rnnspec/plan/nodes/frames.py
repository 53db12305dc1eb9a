"""Frames that a decoder writes: how many there are, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rnnspec.plan.nodes.distributions import Law
from rnnspec.plan.nodes.node import Shape, Shapes, Weight, named, scaling
from rnnspec.plan.nodes.outputs import OutputNode
from rnnspec.spec.distributions import DistributionName

MOST_COUNTED = 100_000
"""The most frames that a number of the row may ask for."""
LengthRule = Literal["input", "fixed", "column", "learned"]


@dataclass(frozen=True, slots=True)
class FramesOutput(OutputNode):
    """The frames that a decoder writes, raw numbers `[B, U, raw]` or, of a learned length,
    `[B, U, raw + 1]`, to `[B, U, width]` in the units of the data: v * deviation + mean if
    `scaled`, in float64 if `double` (as in `NumericOutput`).

    With a `distribution` the raw numbers of a step are those behind the parameters of `law`, of
    each number of the frame one after the other, or of a mixture of all together (Graves 2013,
    Generating Sequences With Recurrent Neural Networks, section 4). The answer is the point answer
    of the law, and is what the next step is fed with, scaled as the frames are; beside it stand the
    parameters at each step, after the frames that were written before it.

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

    With `paths`, S, the decoder draws S paths `[B, S, U, width]`: each frame of a path is drawn
    from the laws after the frames drawn before it, with the uniform draws of
    `rnnspec.plan.nodes.quantiles`, of which law u `laws` + i is that of number i of step u, in the
    order of writing. Of a learned length each path ends by itself, and the answer has as many
    frames as the median path, of an even number of paths the shorter of the two in the middle.
    Answered are the `quantiles` `[B, U, width, Q]` of each number over the paths that have the step
    (in the order of the data), as of a forecast, and the median; errors are those of the median.
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
    distribution: DistributionName = "point"
    quantiles: tuple[float, ...] = ()
    components: int = 0
    correlated: bool = False
    paths: int = 0

    @property
    def law(self) -> Law:
        """The distribution of a number, or of all numbers of a frame."""
        together = self.width if self.distribution == "mixture" else 1
        quantiles = self.quantiles if self.distribution == "quantiles" else ()
        return Law(self.distribution, quantiles, self.components, self.correlated, together)

    @property
    def answered(self) -> Law:
        """What is answered of a number: its distribution, or quantiles over paths."""
        return Law("quantiles", self.quantiles) if self.paths else self.law

    @property
    def laws(self) -> int:
        """How many distributions there are of a frame."""
        return self.width // self.law.width

    @property
    def raw(self) -> int:
        """The raw numbers of a frame."""
        return self.laws * self.law.size

    @property
    def raw_width(self) -> int:
        """The raw numbers of a step: those of a frame and, last, the one that says stop."""
        return self.raw + (self.length == "learned")

    def sources(self) -> Iterator[str]:
        yield from named(self.source, self.counted, self.read)

    def weights(self) -> Iterator[Weight]:
        if self.scaled:
            yield from scaling(self, self.width, self.double)

    def shape(self, shapes: Shapes) -> Shape:
        shapes.expect(self, self.source, ("B", "U", self.raw_width))
        return ("B", "U", self.width)
