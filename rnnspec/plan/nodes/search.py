"""How the tokens of a text that is answered are chosen: one class for each strategy of the YAML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

LengthNorm = Literal["none", "average", "gnmt"]
Stop = Literal["best", "bound", "full", "first"]


@dataclass(frozen=True, slots=True)
class Constraints:
    """What holds for every strategy: how long an answer may be, and which tokens it may have.

    An answer has at most `limit + floor(factor * lengths)` steps (in double precision); `factor` is
    above 0 only with the lengths of an input. The end mark counts as a step and is not answered
    before `min_steps` tokens.

    - Scores of tokens that are in the answer so far are divided by `repetition_penalty` where above
      0 and multiplied by it where below (Keskar et al. 2019, CTRL).
    - No run of `no_repeat` tokens occurs twice (0: no such rule).
    - The numbers in `banned` are never answered, and neither is the unknown. Where no token is
      left, the end mark is answered.
    - The numbers in `prefix` come first, even if they are banned, and count as steps and in scores.

    The tokens of a prompt come before the prefix and count as neither steps nor scores. The rules
    on repetition include them.

    Where tokens may be copied, all of this is over the numbers of `CopiesInput`: a token that the
    vocabulary lacks is penalised, and found to repeat, by its number like any other; one that may
    not be answered is excluded as banned numbers are; `prefix` and `banned` are numbers of the
    vocabulary.
    """

    limit: int = 100
    factor: float = 0.0
    min_steps: int = 0
    repetition_penalty: float = 1.0
    no_repeat: int = 0
    prefix: tuple[int, ...] = ()
    banned: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Greedy(Constraints):
    """The most probable token at each step; a beam of width 1 finds the same."""

    strategy: ClassVar[str] = "greedy"
    n_best: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Sample(Constraints):
    """A token drawn at each step, with the draws of `plan.sampling_rng`.

    The probabilities are sharpened by 1 / `temperature`. A token is drawn from the `top_k` most
    probable ones (0: all), and of these from the most probable ones that together have `top_p`.
    """

    strategy: ClassVar[str] = "sample"
    n_best: ClassVar[int] = 1
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


@dataclass(frozen=True, slots=True)
class Beam(Constraints):
    """The `n_best` best answers of a beam search. There are live hypotheses, at first the empty
    one, and finished ones; at most `width` of each are kept. At each step:

    1. Each live hypothesis gives a candidate for each token, with the sum of the log-probabilities
       so far.
    2. The `width` best candidates without the end mark are the next live hypotheses. Their
       threshold is the log-probability of the last of them, -inf if there are fewer than `width`.
    3. A candidate with the end mark finishes if its log-probability is at least the threshold and
       above -inf. Of all finished ones, the `width` with the highest value are kept.
    4. The search of the row ends if `width` hypotheses are finished and `width` is 1, at the limit
       of steps, or if no live log-probability is above -inf; else by the rule of `stop`:
       - `best`: with `n_best` finished ones, if no live log-probability, normalized for its own
         steps, is above the value of the `n_best`-th;
       - `bound`: the same, but normalized for as many steps as the row may have;
       - `full`: with `width` finished ones;
       - `first`: like `full`, or if one finished at this step with a log-probability at least that
         of the best live one.

    Answered are the `n_best` best finished ones; if there are fewer, then the live ones with the
    highest values, unfinished; if there are still fewer, empty answers of -inf.

    The value of a hypothesis is its log-probability, normalized, plus `coverage_penalty *
    sum_j log(min(max(sum_i weight_ij, 1e-6), 1))` over the row's steps j (Wu et al. 2016, equation
    14). To normalize is to divide by 1 (`none`), the number of steps (`average`), or
    `((5 + steps) / 6) ** alpha` (`gnmt`, same equation). Of equal hypotheses the one that finished
    earlier is better, then that of the lower beam, then that of the lower token number.
    """

    strategy: ClassVar[str] = "beam"
    width: int = 1
    n_best: int = 1
    length_norm: LengthNorm = "none"
    alpha: float = 0.0
    coverage_penalty: float = 0.0
    stop: Stop = "best"


Search = Greedy | Sample | Beam
GREEDY = Greedy()


@dataclass(frozen=True, slots=True)
class BestPath:
    """The most probable number at each step, read as an answer by `CtcOutput`; of equal ones the
    lower. The log-probability of the answer is that of the path (Graves et al. 2006, section 3.2).

    The unknown is never answered: it is left out of the choice.
    """

    strategy: ClassVar[str] = "greedy"
    n_best: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class PrefixBeam:
    """The `n_best` best answers of a search over prefixes: the beginnings of answers, each with the
    log-probability of all paths so far that read as it (Graves 2012, section 7.5.3; Hannun et al.
    2014, algorithm 1, without a language model).

    At first there is the empty prefix alone. At each step every prefix goes on unextended, by the
    blank or by its last token once more, and extended by each token; equal prefixes are one, with
    the sum of their probabilities. The `width` most probable are kept, and of these the `n_best`
    answered after the last step; if there are fewer, empty answers of -inf. Of equal ones a prefix
    that is not extended is better, then the prefix that was better before, or that extends a better
    one, then the lower token number. A path that left the beam does not come back: the
    log-probability of an answer is that of the paths that stayed.

    No prefix has the unknown in it.
    """

    strategy: ClassVar[str] = "beam"
    width: int = 1
    n_best: int = 1


CtcSearch = BestPath | PrefixBeam
BEST_PATH = BestPath()


@dataclass(frozen=True, slots=True)
class TransducerGreedy:
    """Again and again the most probable number at the step of the encoder and after the tokens so
    far (Graves 2012, section 2.4, with one hypothesis); of equal ones the lower. The blank goes on
    to the next step; after `symbols` tokens at one step it is taken whatever its probability. The
    log-probability of the answer is that of all these numbers, blanks included.

    The unknown is never answered.
    """

    strategy: ClassVar[str] = "greedy"
    n_best: ClassVar[int] = 1
    symbols: int = 4


@dataclass(frozen=True, slots=True)
class TransducerBeam:
    """The `n_best` best texts of a search over beginnings of texts, each with the log-probability
    of its paths (Saon et al. 2020, Alignment-Length Synchronous Decoding for RNN Transducer).

    At first there is the empty text at step 0 alone. In each round every text goes on, by the blank
    to its next step, or by each token at its step to a text that is longer; so that steps and
    tokens together are the same for all. A text that is past the last step is finished, and stays
    as it is. Equal texts are one, with the sum of their probabilities. The `width` most probable
    are kept, ordered as in `PrefixBeam`, until all of them are finished; if there are fewer than
    `n_best`, empty answers of -inf follow. A text has at most `symbols` tokens for each step of its
    row. No text has the unknown in it.

    The step of each token of the best text is that of the most probable of its paths that stayed in
    the beam; of equal ones of the one whose last number is the blank, then the one before it, and
    so on.
    """

    strategy: ClassVar[str] = "beam"
    width: int = 1
    n_best: int = 1
    symbols: int = 4


TransducerSearch = TransducerGreedy | TransducerBeam
TRANSDUCER_GREEDY = TransducerGreedy()
AnySearch = Search | CtcSearch | TransducerSearch
