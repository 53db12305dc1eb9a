"""Attention over the steps of an encoder, by a decoder or by another encoder, and the copying of
its tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Literal

from rnnspec.cells.initializers import Constant, Uniform
from rnnspec.plan.nodes.inputs import CopiesInput, extended
from rnnspec.plan.nodes.node import Node, Shape, Shapes, Weight, affine

AttentionKind = Literal[
    "additive", "dot", "general", "concat", "multi_head", "location", "monotonic"
]
MONOTONIC_BIAS = -1.0
"""At first most steps are passed over, so that the weights reach beyond the first (Raffel 2017,
2.4)."""


@dataclass(frozen=True, slots=True)
class Attend(Node):
    """For each step of `source` `[B, U, query_width]`, the query q, of a decoder or of another
    encoder (Parikh et al. 2016, 3.1), a weighted mean of the steps m_j of `memory`:
    `[B, U, memory_width]`, weights softmax_j(e_j) over the steps below the row's length.

    - `additive`: e_j = v · tanh(W_q q + W_m m_j + b) (Bahdanau et al. 2015, appendix A.1.2).
    - `dot`: q · m_j; `general`: q · (W m_j); `concat`: v · tanh(W [q; m_j]) (Luong et al. 2015,
      section 3.1).
    - `multi_head`: for each of `heads` parts, softmax of (W_q q) · (W_k m_j) / sqrt(units / heads),
      over W_v m_j; the parts joined and taken through W_o to memory_width (Vaswani et al. 2017,
      3.2.2, without biases). The weights that are answered are the mean over heads.
    - `location`: e_j = v · tanh(W_q q + W_m m_j + (U f)_j + b), f the convolution of the last
      step's weights (0 before the first step) with `filters` filters F of odd width `kernel`, zeros
      around: f_jk = sum_i F_ki a'_(j + i - (kernel - 1) / 2) (Chorowski et al. 2015, equation 8).
    - `monotonic`: p_j = sigmoid(additive e_j + r), a_j = p_j q_j with q_j = (1 - p_{j-1}) q_{j-1} +
      a'_j, where a' are the last step's weights, at first 1 at j = 0 (Raffel et al. 2017, equation
      9), in training and in answers alike: the weights are the expected ones, and may sum to less
      than 1.

    With `coverage`, of `additive` and `concat` only: w_c times the sum of all earlier steps'
    weights at j is added inside the tanh (See et al. 2017, equation 11). A row of no steps has the
    context 0.
    """

    source: str
    memory: str
    kind: AttentionKind
    query_width: int
    memory_width: int
    units: int = 0
    heads: int = 1
    filters: int = 0
    kernel: int = 0
    coverage: bool = False

    @property
    def remembers(self) -> bool:
        """Whether a step depends on the weights of earlier steps."""
        return self.coverage or ATTENTIONS[self.kind].remembers

    @property
    def stepwise(self) -> bool:
        return self.remembers

    def sources(self) -> Iterator[str]:
        yield from (self.source, self.memory)

    def weights(self) -> Iterator[Weight]:
        yield from ATTENTIONS[self.kind].weights(self)
        if self.coverage:
            yield Weight(f"{self.name}.w_c", (self.units,), Uniform(1 / sqrt(self.units)))

    def shape(self, shapes: Shapes) -> Shape:
        steps = self._steps(shapes, self.source, self.query_width)
        self._steps(shapes, self.memory, self.memory_width)
        return ("B", steps, self.memory_width)

    def _steps(self, shapes: Shapes, source: str, expected: int) -> str:
        """The axis of the steps of a sequence of vectors as wide as `expected`."""
        rows, steps, width = shapes[source]
        fits = (rows, width) == ("B", expected) and isinstance(steps, str)
        assert fits, f"{self.name} takes {expected}, {source} gives {width}"
        return str(steps)


@dataclass(frozen=True, slots=True)
class Attention:
    """A kind of attention: its weights in the order of its formula, the formula in short, and
    whether a step depends on the weights of earlier steps."""

    weights: Callable[[Attend], Iterator[Weight]]
    formula: str
    remembers: bool = False


def _additive(node: Attend) -> Iterator[Weight]:
    yield from affine(node, node.units, node.query_width, "W_q", None)
    yield from affine(node, node.units, node.memory_width, "W_m")
    yield _energy(node)


def _general(node: Attend) -> Iterator[Weight]:
    yield from affine(node, node.query_width, node.memory_width, "W", None)


def _concat(node: Attend) -> Iterator[Weight]:
    yield from affine(node, node.units, node.query_width + node.memory_width, "W", None)
    yield _energy(node)


def _multi_head(node: Attend) -> Iterator[Weight]:
    yield from affine(node, node.units, node.query_width, "W_q", None)
    yield from affine(node, node.units, node.memory_width, "W_k", None)
    yield from affine(node, node.units, node.memory_width, "W_v", None)
    yield from affine(node, node.memory_width, node.units, "W_o", None)


def _location(node: Attend) -> Iterator[Weight]:
    yield from _additive(node)
    yield from affine(node, node.filters, node.kernel, "F", None)
    yield from affine(node, node.units, node.filters, "U", None)


def _monotonic(node: Attend) -> Iterator[Weight]:
    yield from _additive(node)
    yield Weight(f"{node.name}.r", (1,), Constant(MONOTONIC_BIAS))


def _energy(node: Attend) -> Weight:
    return Weight(f"{node.name}.v", (node.units,), Uniform(1 / sqrt(node.units)))


ATTENTIONS: Mapping[AttentionKind, Attention] = {
    "additive": Attention(_additive, "v · tanh(W q + W m + b)"),
    "dot": Attention(lambda node: iter(()), "q · m"),
    "general": Attention(_general, "q · W m"),
    "concat": Attention(_concat, "v · tanh(W [q; m])"),
    "multi_head": Attention(_multi_head, "scaled dot products"),
    "location": Attention(_location, "by the last step's weights too", remembers=True),
    "monotonic": Attention(_monotonic, "only moves forward", remembers=True),
}


@dataclass(frozen=True, slots=True)
class CopyMix(Node):
    """Log-probabilities of a decoder that may copy tokens of its sources, `[B, U, size + T]`.

    log(g softmax(source) + (1 - g) c) over the numbers of `tokens`, a `CopiesInput` of T steps:
    c_w is the sum of the weights of `attend` at the steps whose number is w, softmax(source) is 0
    from `size` on, and g = sigmoid(w_g · gate + b_g) (See et al. 2017, equations 8 and 9). A token
    that neither the vocabulary nor the row's source has gets -inf. A row of no steps copies
    nothing, and its probabilities sum to g.

    With `others`, pairs of further attentions and their tokens, c = sum_k p_k c_k over the sources
    k: p = softmax(W_s gate + b_s) over those of which the row has a step (the attention over
    sources of Libovický and Helcl 2017, section 3.2, here of what is copied). A token that several
    sources have is one token. T is the sum of the numbers of steps.
    """

    source: str
    gate: str
    gate_width: int
    attend: str
    tokens: str
    size: int
    others: tuple[tuple[str, str], ...] = ()

    @property
    def copied(self) -> tuple[tuple[str, str], ...]:
        """The attention and the tokens of each source."""
        return ((self.attend, self.tokens), *self.others)

    @property
    def all_tokens(self) -> tuple[str, ...]:
        return tuple(tokens for _, tokens in self.copied)

    def sources(self) -> Iterator[str]:
        yield from (self.source, self.gate)
        for pair in self.copied:
            yield from pair

    def weights(self) -> Iterator[Weight]:
        yield Weight(f"{self.name}.w", (self.gate_width,), Uniform(1 / sqrt(self.gate_width)))
        yield Weight(f"{self.name}.b", (1,), Constant(0.0))
        if self.others:
            yield from affine(self, len(self.copied), self.gate_width, "W_s", None)
            yield Weight(f"{self.name}.b_s", (len(self.copied),), Constant(0.0))

    def shape(self, shapes: Shapes) -> Shape:
        shapes.expect(self, self.source, ("B", "U", self.size))
        for attend, tokens in self.copied:
            fits = isinstance(shapes.nodes[attend], Attend)
            assert fits, f"{self.name} copies by {attend}"
            of = shapes.nodes[tokens]
            fits = isinstance(of, CopiesInput) and of.size == self.size
            assert fits, f"{self.name} cannot copy from {tokens}"
        return ("B", "U", extended(self.size, self.all_tokens, shapes))
