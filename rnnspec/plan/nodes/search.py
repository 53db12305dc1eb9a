"""How the tokens of a text that is answered are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Strategy = Literal["greedy", "beam", "sample"]
LengthNorm = Literal["none", "average", "gnmt"]
Stop = Literal["best", "bound", "full", "first"]


@dataclass(frozen=True, slots=True)
class Search:
    """How a sequence of tokens is chosen.

    `greedy`: the most probable token at each step; a `beam` of width 1 is the same. `sample`: drawn
    from the `top_k` most probable tokens (0: all) of which the most probable make up `top_p`, by
    probabilities sharpened by 1 / `temperature`, with the draws of `plan.draws`.

    `beam`: live hypotheses, at first the empty one, and finished ones, at most `width` of each. At
    a step each live one gives a candidate for each token, with the sum of the log-probabilities.
    The `width` best candidates without the end mark are the next live ones. A candidate with the
    end mark finishes if its log-probability is at least that of the last of these (-inf where they
    are fewer than `width`) and above -inf; of all finished ones the `width` best are kept. Finished
    ones are compared by their value: the log-probability divided by `1` (`none`), the number of
    steps (`average`), or `((5 + steps) / 6) ** alpha` (`gnmt`, Wu et al. 2016, equation 14), plus
    `coverage_penalty * sum_j log(min(max(sum_i weight_ij, 1e-6), 1))` over the row's steps j
    (same). Ties go to the one finished earlier, the lower beam, the lower token number. After a
    step a row ends by `best` with `n_best` finished ones, no live one's log-probability divided for
    its steps being above the value of the last of these; by `bound` likewise, but divided for as
    many steps as the row may have; by `full` with `width` finished ones; by `first` also with one
    that finished now with a log-probability at least that of the best live one. Whatever the rule,
    it ends with `width` finished ones where `width` is 1, at its limit, or with no live one above
    -inf. The `n_best` best finished ones are answered; where they are fewer,
    the live ones with the highest values follow, as they are, then empty answers of -inf.

    At most `limit + floor(factor * lengths)` steps (in double precision), where `factor` is above 0
    with the lengths of the input; the end mark counts as a step and is not answered before
    `min_steps` tokens.
    Scores of tokens that are in the answer so far are divided by `repetition_penalty` where above 0
    and multiplied where below (Keskar et al. 2019, CTRL); no `no_repeat` tokens in a row come twice
    (0: no such rule); `banned` numbers are never answered, and never the unknown; where no token
    is left, the end mark is answered. `prefix` numbers come first, whatever is banned, and count as
    steps and in scores. Tokens of a prompt stand before them and count as neither; repetition is
    looked for in them too.

    Where tokens may be copied, all of this is over the numbers of `CopiesInput`: a token that the
    vocabulary lacks is penalised, and found to come again, by its number as any other; what may not
    be answered is excluded as banned numbers are; `prefix` and `banned` are of the vocabulary.
    """

    strategy: Strategy = "greedy"
    limit: int = 100
    factor: float = 0.0
    min_steps: int = 0
    width: int = 1
    n_best: int = 1
    length_norm: LengthNorm = "none"
    alpha: float = 0.0
    coverage_penalty: float = 0.0
    stop: Stop = "best"
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat: int = 0
    prefix: tuple[int, ...] = ()
    banned: tuple[int, ...] = ()


GREEDY = Search()
