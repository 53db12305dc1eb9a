"""How quantiles of a distribution are made (`rnnspec.reference.quantiles`), and draws of it.

Quantiles of `gaussian`, `laplace` and `weibull` have closed forms. The others:

- `student_t`: Hill's approximation (1970, algorithm 396), whose relative error is at most 1.1e-3,
  at two degrees, and below 1e-4 from three degrees on.
- `mixture`: `HALVINGS` halvings of the range of all means -+ 10 deviations.
- `poisson`, `negative_binomial`: a table of `CELLS` cells from mean - 8 deviations to
  mean + 8 deviations + `TAIL` (1 + dispersion mean). With E whole numbers in that range beyond
  as many as there are cells, edge j is the least of them + j + floor((1 + E)^(j / cells) - 1), and
  a cell has the probability of its middle. Of a range without E the quantile is exact, else off by
  one or by a hundredth of a deviation.
- `beta`: a table of `CELLS` cells of the logit y, around ln(a / b), by the trapezoidal rule, with
  a = mean precision and b = (1 - mean) precision.

Draw s of S of law i, with u_j = (bits + 1/2) / 2^23 from the row's seed and the step
(i S + s) J + j of `rnnspec.plan.sampling_rng`, J the uniform draws that one takes. Laws are counted
over the steps of a row, then over its numbers:

- `gaussian`: sqrt(-2 ln u_0) cos(2 pi u_1) (Box and Muller 1958).
- `student_t`: sqrt(n (u_0^(-2 / n) - 1)) cos(2 pi u_1) (Bailey 1994).
- `mixture`: the first component up to which the weights are more than u_0; then Box and Muller's of
  u_(1 + 2 d) and u_(2 + 2 d) for number d, of which the second is r z_0 + sqrt(1 - r^2) z_1 with a
  correlation r.
- all others: the quantile of u_0.
"""

from __future__ import annotations

from rnnspec.plan.nodes.distributions import Law

CELLS = 512
TAIL = 14.0
HALVINGS = 40
SHARE_SPREAD = 6.0


def uniforms(law: Law) -> int:
    """How many uniform draws one draw takes."""
    match law.name:
        case "gaussian" | "student_t":
            return 2
        case "mixture":
            return 1 + 2 * law.width
        case _:
            return 1
