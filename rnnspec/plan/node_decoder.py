"""The decoder: a body of nodes that is run step by step, fed with its own answers.

The nodes of a body are those of `node_layers` and of this file, on sequences `[B, U, W]` where U
is the axis of the answer. Where all that is fed back is known (teacher forcing) and no node is a
`Delayed` or an `Attend` with a memory of its own, a back end may run the body over all steps at
once; step by step it is run with U = 1, the states of the recurrent layers carried from step to
step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rnnspec.plan.nodes import Node

AttentionKind = Literal[
    "additive", "dot", "general", "concat", "multi_head", "location", "monotonic"
]


@dataclass(frozen=True, slots=True)
class Previous:
    """The number of the token before each step, `[B, U]` below `size`; 0, the mark, before the
    first. A token that was copied and has no such number is the unknown here. The first node of the
    body of a decoder over tokens."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class PreviousNumber:
    """The value before each step, `[B, U, 1]`, scaled as the answer is: before the first step the
    last value of the series in the sequence `source` `[B, T, 1]` of the past (0 of a row of no
    steps), then (a - centre) / scale of each answer a, of a distribution its mean; where the true
    value is given and not missing, of that. The first node of the body of a recursive forecast."""

    name: str
    source: str


@dataclass(frozen=True, slots=True)
class Delayed:
    """The value `[B, U, width]` of the node `source` one step before, 0 before the first step.

    `source` comes later in the body.
    """

    name: str
    source: str
    width: int


@dataclass(frozen=True, slots=True)
class Attend:
    """For each step of `source`, the query q, a weighted mean of the steps m_j of `memory`:
    `[B, U, memory_width]`, weights softmax_j(e_j) over the steps below the row's length.

    - `additive`: e_j = v · tanh(W_q q + W_m m_j + b) (Bahdanau et al. 2015, appendix A.1.2).
    - `dot`: q · m_j; `general`: q · (W m_j); `concat`: v · tanh(W [q; m_j]) (Luong et al. 2015,
      section 3.1).
    - `multi_head`: for each of `heads` parts, softmax of (W_q q) · (W_k m_j) / sqrt(units / heads),
      over W_v m_j; the parts joined and taken through W_o to memory_width (Vaswani et al. 2017,
      3.2.2, without biases). The weights told are the mean over heads.
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

    name: str
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
        return self.coverage or self.kind in ("location", "monotonic")


@dataclass(frozen=True, slots=True)
class Scores:
    """A score for each token number, `[B, U, size]`: W v + b, W `[size, inputs]`.

    `tied` names the embedding whose table is W; then only b is a weight of its own (Press and Wolf
    2017).
    """

    name: str
    source: str
    inputs: int
    size: int
    tied: str = ""


@dataclass(frozen=True, slots=True)
class CopyMix:
    """Log-probabilities of a decoder that may copy tokens of its source, `[B, U, size + T]`.

    log(g softmax(source) + (1 - g) c) over the numbers of `tokens`, a `CopiesInput` of T steps:
    c_w is the sum of the weights of `attend` at the steps whose number is w, softmax(source) is 0
    from `size` on, and g = sigmoid(w_g · gate + b_g) (See et al. 2017, equations 8 and 9). What
    stands neither in the vocabulary nor in the row's source has -inf. A row of no steps copies
    nothing, and its probabilities sum to g.
    """

    name: str
    source: str
    gate: str
    gate_width: int
    attend: str
    tokens: str
    size: int


@dataclass(frozen=True, slots=True)
class Decoder:
    """`body`, run step by step; the last node of it gives the scores `[B, U, W]`.

    `reads` are the outer nodes that the body reads: memories, initial states, vectors for every
    step, values ahead. `steps` is the number of steps of a forecast, 0 of a decoder over tokens.
    `whole_prompt` is set where the body is that of a language model, which has no mark before the
    first token: the first token of the prompt is read at once.
    """

    name: str
    body: tuple[Node, ...]
    reads: tuple[str, ...]
    steps: int = 0
    whole_prompt: bool = False

    @property
    def scores(self) -> str:
        """Name of the node that gives the scores."""
        return self.body[-1].name

    @property
    def stepwise(self) -> bool:
        """Whether the body cannot be run over all steps at once even where its inputs are known."""
        return any(
            isinstance(node, Delayed) or (isinstance(node, Attend) and node.remembers)
            for node in self.body
        )
