"""How quantiles of a distribution are made (`rnnspec.reference.quantiles`), and draws of it.

The interval of a level L is from the quantile of (1 - L) / 2 to that of (1 + L) / 2.

Quantiles of `gaussian`, `laplace` and `weibull` have closed forms. The others:

- `student_t`: Hill's approximation (1970, algorithm 396), whose relative error is at most 1.1e-3,
  at two degrees, and below 1e-4 from three degrees on.
- `mixture`: `HALVINGS` halvings of the range of the quantiles of its components, between which its
  own lies.
- `poisson`, `negative_binomial`: a table of `CELLS` cells from mean - 8 deviations to
  mean + 8 deviations + `TAIL` (1 + dispersion mean). With E whole numbers in that range beyond
  as many as there are cells, edge j is the least of them + j + floor((1 + E)^(j / cells) - 1), and
  a cell has the probability of its middle. Of a range without E the quantile is exact, else off by
  one or by a hundredth of a deviation.
- `beta`: a table of `CELLS` cells of the logit y, around ln(a / b), by the trapezoidal rule, with
  a = mean precision and b = (1 - mean) precision.

A draw is the quantile of u_0; of a `mixture` the first component up to which the weights are more
than u_0, and of it, for number d, mean + deviation z_d, where z_d is the quantile of u_(1 + d) of a
standard normal variable, of the second number r z_0 + sqrt(1 - r^2) z_1 with a correlation r.

u_j of draw s of S of law i is (bits + 1/2) / 2^23 of the step (i S + s) J + j of
`rnnspec.plan.sampling_rng`, J the uniform draws that one takes. Laws are counted over the steps of
a row, then over its numbers. The seed of the output that stands at place k of all, from 0, is that
of the row + (k + 1) `SEED_STRIDE`, as int64.
"""

from __future__ import annotations

from collections.abc import Sequence

from rnnspec.plan.nodes.distributions import Law

CELLS = 512
TAIL = 14.0
HALVINGS = 44
SHARE_SPREAD = 6.0
SEED_STRIDE = 1_013_904_223_621


def ends(levels: Sequence[float]) -> tuple[float, ...]:
    """The probabilities of the lower bounds of intervals, then those of the upper ones."""
    return tuple((1 + side * level) / 2 for side in (-1, 1) for level in levels)


def uniforms(law: Law) -> int:
    """How many uniform draws one draw takes."""
    return 1 + law.width if law.name == "mixture" else 1
