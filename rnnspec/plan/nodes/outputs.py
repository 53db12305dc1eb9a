"""Nodes that answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from rnnspec.cells.initializers import Uniform
from rnnspec.plan.nodes.distributions import Law
from rnnspec.plan.nodes.inputs import extended
from rnnspec.plan.nodes.node import (
    STEPS,
    FromData,
    Shape,
    Shapes,
    SourceNode,
    State,
    Weight,
    affine,
    named,
    scaling,
)
from rnnspec.plan.nodes.pointers import PointerOutput
from rnnspec.plan.nodes.search import (
    BEST_PATH,
    GREEDY,
    TRANSDUCER_GREEDY,
    CtcSearch,
    Search,
    TransducerSearch,
)
from rnnspec.spec.distributions import DistributionName

TextKind = Literal["words", "chars", "tokens", "bytes", "subwords"]


@dataclass(frozen=True, slots=True)
class OutputNode(SourceNode):
    """A node that answers what stands in a column of the data. An answer of steps, or one of them,
    is of those of the `axis`."""

    column: str
    axis: str = field(default=STEPS, kw_only=True)

    def carried(self) -> tuple[State, ...] | None:
        return ()


@dataclass(frozen=True, slots=True)
class ClassOutput(OutputNode):
    """Scores `[B, classes]` to probabilities (softmax) and the label of the largest.

    With `steps`, `[B, T, classes]` and a label for each step; with `ahead`, it is the next token of
    the input in the same column, whose vocabulary has the labels. `ordered`: the labels have an
    order, which metrics go by.

    With `reverse` that input does so too: the answer at step t of n is made of the scores at step
    n-1-t, of the token before that at step t of the text.
    """

    classes: int
    steps: bool = False
    ahead: bool = False
    ordered: bool = False
    reverse: bool = False

    def shape(self, shapes: Shapes) -> Shape:
        return _answer(self, shapes, self.classes)


FORBIDDEN = -500.0
"""The score of a transition that a scheme of tags forbids. It is finite, so that a row has an
answer, and a loss, where no path is allowed."""
LOWEST_STEP, LOWEST_TRANSITION = -100.0, -50.0
"""Scores further below the best of their step, and learned ones further below the best transition,
count as these. e^-100 is 0 in float32."""


@dataclass(frozen=True, slots=True)
class ChainOutput(OutputNode):
    """Scores `[B, T, classes]` to the likeliest path of labels through a linear chain (conditional
    random field: Lafferty et al. 2001; over recurrent layers: Lample et al. 2016, section 2.2).

    With e the scores of a row of n steps, each less the largest of its step, but at least
    `LOWEST_STEP`; a, w and z the weights `start`, `transitions` and `end`, each less its largest,
    but at least `LOWEST_TRANSITION`; and r the weight `rules`, which is `FORBIDDEN` where the
    scheme forbids a label to follow another, else 0 (0 everywhere without a scheme), and whose last
    row is of first steps, its last column of last steps:

        s(y) = a[y1] + r[K, y1] + z[yn] + r[yn, K]
               + sum over t of e[t, yt] + sum over t > 1 of w[yt-1, yt] + r[yt-1, yt]
        p(y) = exp s(y) / sum over all paths y' of exp s(y')

    The answer is the path with the largest s, of equal ones the one whose last label has the lower
    number, then the one before it, and so on; beside it ln p of the path, and for each step the sum
    of p over the paths through each label. A row of no steps has one path, of p = 1.
    """

    classes: int
    scheme: Literal["none", "bio", "iob1", "bioes", "io"] = "none"

    steps: ClassVar[bool] = True
    ahead: ClassVar[bool] = False

    def weights(self) -> Iterator[Weight]:
        size, small = self.classes, Uniform(0.1)
        yield Weight(f"{self.name}.start", (size,), small)
        yield Weight(f"{self.name}.end", (size,), small)
        yield Weight(f"{self.name}.transitions", (size, size), small)
        if self.scheme != "none":
            yield Weight(f"{self.name}.rules", (size + 1, size + 1), FromData("rules"), False)

    def carried(self) -> tuple[State, ...] | None:
        return None

    def shape(self, shapes: Shapes) -> Shape:
        return _answer(self, shapes, self.classes)


@dataclass(frozen=True, slots=True)
class LabelsOutput(OutputNode):
    """Scores `[B, labels]` to a probability for each label (sigmoid), on if above `threshold`, or
    above its own of `thresholds`.

    `steps` and `ahead` as for `ClassOutput`, with the `KeysInput` in the same column.
    """

    labels: int
    threshold: float = 0.5
    steps: bool = False
    ahead: bool = False
    thresholds: tuple[float, ...] = ()

    @property
    def above(self) -> float | tuple[float, ...]:
        """The threshold of all labels, or that of each."""
        return self.thresholds or self.threshold

    def shape(self, shapes: Shapes) -> Shape:
        return _answer(self, shapes, self.labels)


@dataclass(frozen=True, slots=True)
class NumericOutput(OutputNode):
    """`[B, width]` in the units of the data: v * deviation + mean if `scaled`, in float64 if
    `double` (as in `FramesInput`).

    With a `distribution` its raw numbers become the parameters of `law`, of each number of the
    vector one after the other, or of a mixture of all together.

    Beside the parameters a file answers the bounds of `intervals`, shares of the true values, and
    `samples` draws: see `rnnspec.plan.nodes.quantiles`.

    `single` columns hold one number for each row and are answered as `[B]`. With `steps`
    `[B, T, width]`; with `ahead`, it is the next step of the frames or the series in the same
    column. A true time of a `censored` column that had not ended is its negative.
    """

    width: int
    scaled: bool
    single: bool
    steps: bool = False
    ahead: bool = False
    double: bool = False
    distribution: DistributionName = "point"
    quantiles: tuple[float, ...] = ()
    components: int = 0
    correlated: bool = False
    intervals: tuple[float, ...] = ()
    samples: int = 0
    censored: bool = False

    @property
    def law(self) -> Law:
        """The distribution of a number, or of all numbers of the vector."""
        together = self.width if self.distribution == "mixture" else 1
        return Law(self.distribution, self.quantiles, self.components, self.correlated, together)

    @property
    def laws(self) -> int:
        """How many distributions there are, of a row or of a step."""
        return self.width // self.law.width

    @property
    def raw(self) -> int:
        """The raw numbers of a row or of a step."""
        return self.laws * self.law.size

    def weights(self) -> Iterator[Weight]:
        if self.scaled:
            yield from scaling(self, self.width, self.double)

    def shape(self, shapes: Shapes) -> Shape:
        return _answer(self, shapes, self.raw)


@dataclass(frozen=True, slots=True)
class StatesOutput(OutputNode):
    """`[B, width]` or, with `steps`, `[B, T, width]`: the value of a node as it is. It has no true
    value, and no loss. With `reverse` the answer at step t of n is the value at step n-1-t: layers
    read from the end of the text (`TokensInput`)."""

    width: int
    steps: bool
    reverse: bool = False

    def shape(self, shapes: Shapes) -> Shape:
        return _answer(self, shapes, self.width)


@dataclass(frozen=True, slots=True)
class TextOutput(OutputNode):
    """The text that a decoder over tokens answers, found by `search`.

    Scores `[B, U, size]`; number 0 is the end of the text, `plan.facts.END_ID`. `words` are joined
    by U+0020, `chars` by nothing, `tokens` stay apart. `bytes`, which begin with a prompt, are
    UTF-8, with U+FFFD for what is broken (`rnnspec.plan.written_bytes`); `subwords`, which do too,
    are joined by nothing, each U+2581 in them is U+0020, and a first one is left out.

    With `prompt`, a `TokensInput`, the tokens of the prompt are read before the first step of the
    search: after the mark, or at once in a decoder with `whole_prompt` unless there are none.
    Steps, scores and token numbers begin after the prompt; an answered text begins with the prompt,
    unchanged (of subwords with what their numbers stand for).

    With `copies`, a `CopiesInput` of T steps, scores are `[B, U, size + T]`; number `size` + j is
    the token at step j of the row's source, unchanged. With `more_copies`, further ones, the steps
    of all these sources are one after the other, T is the sum of their numbers, and j counts the
    row's own steps.

    With `reverse` the prompt is the end of the text, which is written from there to its beginning:
    the tokens are answered in the order of the text, the last one written first, and an answered
    text ends with the prompt.
    """

    kind: TextKind
    size: int
    search: Search = GREEDY
    prompt: str = ""
    copies: str = ""
    reverse: bool = False
    more_copies: tuple[str, ...] = ()

    @property
    def all_copies(self) -> tuple[str, ...]:
        """The `CopiesInput`s in the order of their steps."""
        return (self.copies, *self.more_copies) if self.copies else ()

    def sources(self) -> Iterator[str]:
        yield from named(self.source, self.prompt, *self.all_copies)

    def shape(self, shapes: Shapes) -> Shape:
        size = extended(self.size, self.all_copies, shapes)
        shapes.expect(self, self.source, ("B", "U", size))
        return ("B", "U")


@dataclass(frozen=True, slots=True)
class CtcOutput(SourceNode):
    """The text that the steps of a sequence read as, found by `search`: connectionist temporal
    classification (Graves et al. 2006).

    Scores `[B, T, size]` to log-probabilities (log-softmax) of each number at each of the row's own
    steps. Number 0 is the blank: it stands for no token, and no text ends by it. A path is a number
    for each step; it reads as the text that is left when equal neighbours are made one and then the
    blanks are taken out. The probability of a text is the sum of those of all paths that read as
    it, the product of the probabilities of their numbers; -ln of it is the loss. A text of n tokens
    of which r equal the one before takes n + r steps at least. The paths of a row without steps
    read as the empty text, with probability 1.

    The answer `[B, U]` has at most as many tokens as steps. `kind` as for `TextOutput`.
    """

    column: str
    kind: TextKind
    size: int
    search: CtcSearch = BEST_PATH

    def shape(self, shapes: Shapes) -> Shape:
        found = shapes[self.source]
        fits = len(found) == 3 and str(found[1]).startswith("T") and found[2] == self.size
        assert fits, f"{self.name} takes scores of {self.size} at each step, {self.source} {found}"
        return ("B", "U")


@dataclass(frozen=True, slots=True)
class TransducerOutput(SourceNode):
    """The text that is written along the steps of a sequence, found by `search` (Graves 2012,
    Sequence Transduction with Recurrent Neural Networks).

    With e_t the vectors `[B, T, hidden]` of the sequence `source`, and p_u those `[B, U, hidden]`
    that the decoder `decoder` gives after u tokens of the text, the log-probabilities at (t, u) are
    log-softmax(W tanh(e_t + p_u) + b). Number 0 is the blank: it leads from (t, u) to
    (t + 1, u), the next token of the text to (t, u + 1). The probability of a text of U tokens is
    the sum over all paths from (0, 0) to (T, U), of the products of their probabilities; -ln of it
    is the loss. A row without steps has the empty text, with probability 1.

    Before the first token the decoder reads number 0. `kind` as for `TextOutput`.
    """

    decoder: str
    column: str
    kind: TextKind
    size: int
    hidden: int
    search: TransducerSearch = TRANSDUCER_GREEDY

    def sources(self) -> Iterator[str]:
        yield from (self.source, self.decoder)

    def weights(self) -> Iterator[Weight]:
        yield from affine(self, self.size, self.hidden)

    def shape(self, shapes: Shapes) -> Shape:
        found = shapes[self.source]
        fits = len(found) == 3 and str(found[1]).startswith("T") and found[2] == self.hidden
        assert fits, f"{self.name} takes {self.hidden} numbers at each step, {self.source} {found}"
        shapes.expect(self, self.decoder, ("B", "U", self.hidden))
        return ("B", "U")


WrittenOutput = TextOutput | CtcOutput | TransducerOutput
"""Outputs that write tokens."""
NumberedOutput = WrittenOutput | PointerOutput
"""Outputs that are answered number by number: of tokens, or of steps."""
SearchedOutput = TextOutput | PointerOutput
"""Outputs that a search over the body of a decoder finds."""
AlignedOutput = CtcOutput | TransducerOutput
"""Outputs whose tokens have steps of the input."""


@dataclass(frozen=True, slots=True)
class ForecastOutput(OutputNode):
    """Raw numbers `[B, horizon, parameters]` to the values ahead, in the units of the data.

    They come from a decoder, or side by side as a vector, the first step first. A decoder of
    several forecasts gives the raw numbers of all at each step; `first` is the place of the first
    of these among them.

    Each value ahead has the distribution `law`, of `parameters` raw numbers. It is scaled by the
    training rows if `scaled`, by the row's own window if `moments` names its node. With `log`, of
    `point` and `quantiles`, it is e to the power of that. All are float64 with `double`.
    `intervals` and `samples` as for `NumericOutput`.

    With `differences` of the lags in them the raw numbers are those of the differences of the
    values ahead, with `log` of their logarithms, which are summed up from the last ones read, the
    value of the node `base`: see `plan.nodes.differences`.

    With `paths`, S, a decoder draws S paths `[B, S, H]` (Salinas et al. 2020, section 3.2): each
    step of a path is a draw of the law after the draws before it, with the uniform draws of
    `plan.nodes.quantiles`, of which law i is that of step i. Answered are the `quantiles` over the
    paths of each step: with x the values in rising order, from 0, and p (S - 1) = j + f, j whole,
    x_j + f (x_(j + 1) - x_j) (Hyndman and Fan 1996, definition 7).
    """

    horizon: int
    distribution: DistributionName
    quantiles: tuple[float, ...] = ()
    scaled: bool = False
    moments: str = ""
    double: bool = False
    log: bool = False
    components: int = 0
    first: int = 0
    intervals: tuple[float, ...] = ()
    samples: int = 0
    paths: int = 0
    differences: tuple[int, ...] = ()
    base: str = ""

    @property
    def law(self) -> Law:
        """The distribution of a value."""
        quantiles = self.quantiles if self.distribution == "quantiles" else ()
        return Law(self.distribution, quantiles, self.components)

    @property
    def answered(self) -> Law:
        """What is answered of a value: its distribution, or quantiles over paths."""
        return Law("quantiles", self.quantiles) if self.paths else self.law

    @property
    def parameters(self) -> int:
        return self.law.size

    def sources(self) -> Iterator[str]:
        yield from named(self.source, self.moments, self.base)

    def weights(self) -> Iterator[Weight]:
        if self.scaled:
            yield from scaling(self, 1, self.double)

    def shape(self, shapes: Shapes) -> Shape:
        found, wide = shapes[self.source], self.horizon * self.parameters
        fits = found == ("B", wide)
        if len(found) == 3:
            fits = found[:2] == ("B", "U") and self.first + self.parameters <= int(found[2])
        assert fits, f"{self.name} takes {wide} numbers, {self.source} gives {found}"
        return ("B", self.horizon)


def _answer(
    node: ClassOutput | ChainOutput | LabelsOutput | NumericOutput | StatesOutput,
    shapes: Shapes,
    width: int,
) -> Shape:
    """Numbers for each row, or for each of its steps."""
    shape: Shape = ("B", node.axis, width) if node.steps else ("B", width)
    shapes.expect(node, node.source, shape)
    return shape
