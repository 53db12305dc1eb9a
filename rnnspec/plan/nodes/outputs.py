"""Nodes that answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rnnspec.plan.nodes.node import Shape, Shapes, SourceNode, State, Weight, named, scaling
from rnnspec.plan.nodes.search import GREEDY, Search

TextKind = Literal["words", "chars", "tokens"]
Distribution = Literal["point", "quantiles", "gaussian", "student_t", "negative_binomial"]


@dataclass(frozen=True, slots=True)
class OutputNode(SourceNode):
    """A node that answers what stands in a column of the data."""

    column: str

    def carried(self) -> tuple[State, ...] | None:
        return ()


@dataclass(frozen=True, slots=True)
class ClassOutput(OutputNode):
    """Scores `[B, classes]` to probabilities (softmax) and the label of the largest.

    With `steps`, `[B, T, classes]` and a label for each step; with `ahead`, it is the next token of
    the input in the same column, whose vocabulary has the labels.
    """

    classes: int
    steps: bool = False
    ahead: bool = False

    def shape(self, shapes: Shapes) -> Shape:
        return _answer(self, shapes, self.classes)


@dataclass(frozen=True, slots=True)
class LabelsOutput(OutputNode):
    """Scores `[B, labels]` to a probability for each label (sigmoid), on if above `threshold`.

    `steps` and `ahead` as for `ClassOutput`, with the `KeysInput` in the same column.
    """

    labels: int
    threshold: float = 0.5
    steps: bool = False
    ahead: bool = False

    def shape(self, shapes: Shapes) -> Shape:
        return _answer(self, shapes, self.labels)


@dataclass(frozen=True, slots=True)
class NumericOutput(OutputNode):
    """`[B, width]` in the units of the data: v * deviation + mean if `scaled`, in float64 if
    `double` (as in `FramesInput`).

    `single` columns hold one number for each row and are answered as `[B]`. With `steps`
    `[B, T, width]`; with `ahead`, it is the next step of the frames or the series in the same
    column.
    """

    width: int
    scaled: bool
    single: bool
    steps: bool = False
    ahead: bool = False
    double: bool = False

    def weights(self) -> Iterator[Weight]:
        if self.scaled:
            yield from scaling(self, self.width, self.double)

    def shape(self, shapes: Shapes) -> Shape:
        return _answer(self, shapes, self.width)


@dataclass(frozen=True, slots=True)
class TextOutput(OutputNode):
    """The text that a decoder over tokens answers, found by `search`.

    Scores `[B, U, size]`; number 0 is the end of the text, `plan.facts.END_ID`. `words` are joined
    by U+0020, `chars` by nothing, `tokens` stay apart.

    With `prompt`, a `TokensInput`, the tokens of the prompt are read before the first step of the
    search: after the mark, or at once in a decoder with `whole_prompt` unless there are none.
    Steps, scores and token numbers begin after the prompt; an answered text begins with the prompt,
    unchanged.

    With `copies`, a `CopiesInput` of T steps, scores are `[B, U, size + T]`; number `size` + j is
    the token at step j of the row's source, unchanged.
    """

    kind: TextKind
    size: int
    search: Search = GREEDY
    prompt: str = ""
    copies: str = ""

    def sources(self) -> Iterator[str]:
        yield from named(self.source, self.prompt, self.copies)

    def shape(self, shapes: Shapes) -> Shape:
        size: str | int = f"{self.size} + T" if self.copies else self.size
        shapes.expect(self, self.source, ("B", "U", size))
        return ("B", "U")


PARAMETERS: dict[Distribution, int] = {
    "point": 1, "quantiles": 0, "gaussian": 2, "student_t": 3, "negative_binomial": 2
}  # fmt: skip
"""Raw numbers for each value ahead; `quantiles` has one for each quantile."""


@dataclass(frozen=True, slots=True)
class ForecastOutput(OutputNode):
    """Raw numbers `[B, horizon, parameters]` to the values ahead, in the units of the data.

    They come from a decoder, or side by side as a vector, the first step first.

    With r the raw numbers and s(v) = v * scale + centre, where centre and scale are those of the
    training rows if `scaled`, of the row's own window if `moments` names its node, else 0 and 1:

    - `point`: s(r). `quantiles`: s(r_i), sorted; the answer is the quantile nearest to 0.5 (the
      lower of two).
    - `gaussian`: mean s(r_0), deviation scale * softplus(r_1).
    - `student_t`: location s(r_0), scale * softplus(r_1), degrees of freedom 2 + softplus(r_2).
    - `negative_binomial`: mean softplus(r_0) * scale, dispersion softplus(r_1) / sqrt(scale), so
      that the variance is mean + dispersion * mean^2 (Salinas et al. 2020, DeepAR, equation 3 and
      section 3.3).

    `softplus` is at least 1e-6. The answer of a distribution is its mean. All are float64 with
    `double`.
    """

    horizon: int
    distribution: Distribution
    quantiles: tuple[float, ...] = ()
    scaled: bool = False
    moments: str = ""
    double: bool = False

    @property
    def parameters(self) -> int:
        return len(self.quantiles) or PARAMETERS[self.distribution]

    def sources(self) -> Iterator[str]:
        yield from named(self.source, self.moments)

    def weights(self) -> Iterator[Weight]:
        if self.scaled:
            yield from scaling(self, 1, self.double)

    def shape(self, shapes: Shapes) -> Shape:
        found, wide = shapes[self.source], self.horizon * self.parameters
        fits = found in (("B", wide), ("B", "U", self.parameters))
        assert fits, f"{self.name} takes {wide} numbers, {self.source} gives {found}"
        return ("B", self.horizon)


def _answer(node: ClassOutput | LabelsOutput | NumericOutput, shapes: Shapes, width: int) -> Shape:
    """Numbers for each row, or for each of its steps."""
    shape: Shape = ("B", "T", width) if node.steps else ("B", width)
    shapes.expect(node, node.source, shape)
    return shape
