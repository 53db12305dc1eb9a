"""Paths of labels through a linear chain: see `rnnspec.plan.nodes.ChainOutput`.

Sums over paths are computed as sums of products of float64, divided by their size at each step
(Rabiner 1989, section V.A), so that a step is one product of matrices. The least scores that the
node's definition allows keep them above the smallest float64. Both directions go through the same
loop, the reverse one over rows that are reversed within their lengths. The gradient of the
logarithm of a sum is known without a second loop: the probabilities of labels and of their pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnnspec.plan import nodes
from rnnspec.plan.nodes import FORBIDDEN, LOWEST_STEP, LOWEST_TRANSITION
from rnnspec.to_torch.outputs import Raw
from rnnspec.to_torch.sequences import Lengths, reversed_by_length


@dataclass(frozen=True, slots=True)
class Paths:
    """The answers to a batch: of each row the `labels` `[B, T]` of its likeliest path, `scores`
    `[B]`, ln of the probability of the path, and the `probabilities` `[B, T, K]` of each label at
    each step. Labels and probabilities are 0 past a row's length."""

    labels: Tensor
    scores: Tensor
    probabilities: Tensor


UNKNOWN = -1
"""Stands for a label that is not known."""


class ChainOutput(Raw):
    """Scores `[B, T, K]`."""

    node: nodes.ChainOutput
    start: Tensor
    end: Tensor
    transitions: Tensor
    rules: Tensor

    def answer(self, scores: Tensor, lengths: Tensor) -> Paths:
        """The answers to scores `[B, T, K]` of rows of `lengths` `[B]`."""
        steps, of_rows = scores.transpose(0, 1), Lengths(lengths, scores.shape[1])
        chain, exact = self._chain(), _floored(steps, LOWEST_STEP)
        sums = _sums(exact.exp(), chain.exp(), of_rows)
        logs, found = sums.logs, sums.probabilities.to(scores.dtype).transpose(0, 1)
        del sums  # which is several times as large as what is kept of it
        labels = _best(exact, chain, of_rows)
        score = _path_scores(exact, chain, labels, of_rows) - logs
        return Paths(labels.t(), score.to(scores.dtype), found)

    def path_scores(self, scores: Tensor, labels: Tensor, lengths: Tensor) -> Tensor:
        """ln of the probability of the paths `labels` `[B, T]`, but for a number that is the same
        for all paths of a row: `[B]`, float64."""
        steps, of_rows = scores.transpose(0, 1), Lengths(lengths, scores.shape[1])
        return _path_scores(_floored(steps, LOWEST_STEP), self._chain(), labels.t(), of_rows)

    def surprise(self, scores: Tensor, targets: Tensor, lengths: Tensor) -> Tensor:
        """-ln of the probability of the true labels `[B, T]`: `[B]`.

        Steps without a true label (below 0) are summed over (Tsuboi et al. 2008), and so are those
        whose label breaks the rules (`unruly`).
        """
        steps, of_rows = scores.transpose(0, 1), Lengths(lengths, scores.shape[1])
        true = targets.masked_fill(self.unruly(targets, lengths), UNKNOWN).t()
        true = true.masked_fill(~of_rows.mask, UNKNOWN)
        given = self.start, self.end, self.transitions, self._rules()
        total = _log_sum(steps, *given, of_rows)
        if bool(((true < 0) & of_rows.mask).any()):
            return total - _log_sum(steps, *given, of_rows, true)
        return total - _path_scores(steps, _ruled(*given), true.clamp(min=0), of_rows)

    def unruly(self, targets: Tensor, lengths: Tensor) -> Tensor:
        """Bool `[B, T]`: whether a true label stands where the rules forbid it.

        Of two labels that may not follow each other it is the one that cannot begin a row either,
        or cannot end one: without it the others stand on an allowed path.
        """
        steps, ends = torch.arange(targets.shape[1], device=targets.device), lengths[:, None]
        forbidden = self._rules() <= FORBIDDEN / 2
        known = targets.masked_fill(steps >= ends, UNKNOWN).clamp(min=UNKNOWN)
        edge = known.new_full((len(known), 1), len(forbidden) - 1)
        before = torch.cat([edge, known[:, :-1]], 1)
        after = torch.where(steps == ends - 1, edge, torch.cat([known[:, 1:], edge], 1))
        opens = forbidden[before, known] & forbidden[-1][known] & (before >= 0)
        closes = forbidden[known, after] & forbidden[:, -1][known] & (after >= 0)
        return (opens | closes) & (known >= 0)

    def _rules(self) -> Tensor:
        """`[K + 1, K + 1]`, 0 without a scheme."""
        extent = len(self.start) + 1
        return self.rules if self.node.scheme != "none" else self.start.new_zeros(extent, extent)

    def _chain(self) -> _Chain:
        return _exact(self.start, self.end, self.transitions, self._rules())


@dataclass(frozen=True, slots=True)
class _Chain:
    """Scores of the first and the last label `[K]`, and of label j after label i `[K, K]`."""

    start: Tensor
    end: Tensor
    transitions: Tensor

    def exp(self) -> _Chain:
        return _Chain(self.start.exp(), self.end.exp(), self.transitions.exp())


def _ruled(start: Tensor, end: Tensor, transitions: Tensor, rules: Tensor) -> _Chain:
    """The scores with those of the rules `[K + 1, K + 1]`."""
    return _Chain(start + rules[-1, :-1], end + rules[:-1, -1], transitions + rules[:-1, :-1])


def _exact(start: Tensor, end: Tensor, transitions: Tensor, rules: Tensor) -> _Chain:
    """The scores as the node defines them, in float64."""
    first, last = (_floored(each, LOWEST_TRANSITION) for each in (start, end))
    return _ruled(first, last, _floored(transitions, LOWEST_TRANSITION, (0, 1)), rules)


def _floored(scores: Tensor, lowest: float, axes: tuple[int, ...] = (-1,)) -> Tensor:
    """Float64: scores less the largest over some axes, at least `lowest`."""
    exact = scores.detach().double()
    return (exact - exact.amax(axes, keepdim=True)).clamp(min=lowest)


# ---------------------------------------------------------------- sums over paths


@dataclass(frozen=True, slots=True)
class _Sums:
    """Of each step `[T, B, K]`, up to a factor that is the same for all labels of a step: the sums
    over the paths `before` it, `up_to` it, `since` it and `after` it. `logs` `[B]`: ln of the sum
    over all paths. `probabilities` `[T, B, K]` of the labels, 0 past a row's length."""

    before: Tensor
    up_to: Tensor
    since: Tensor
    logs: Tensor
    probabilities: Tensor


def _sums(steps: Tensor, chain: _Chain, lengths: Lengths) -> _Sums:
    """From the exponentials `[T, B, K]` of scores, and those of a chain."""
    longest, rows, size = steps.shape
    both = torch.stack([steps, reversed_by_length(steps, lengths)], 1)
    matrices = torch.stack([chain.transitions, chain.transitions.t()])
    up_to = torch.empty_like(both)
    before = both.new_empty(longest + 1, 2, rows, size)
    before[0] = torch.stack([chain.start, chain.end])[:, None]
    sizes = both.new_empty(longest, 2, rows, 1)
    now = before[0]
    for step, product, total, following in zip(both, up_to, sizes, before[1:], strict=True):
        torch.mul(now, step, out=product)
        torch.sum(product, -1, keepdim=True, out=total)
        product.div_(total)
        torch.bmm(product, matrices, out=following)
        now = following
    after = reversed_by_length(before[:-1, 1], lengths)
    joint = up_to[:, 0] * after
    total = joint.sum(-1)
    zero = lengths.mask.logical_not()
    last = total[(lengths.of_rows - 1).clamp(min=0), torch.arange(rows, device=total.device)]
    logs = sizes[:, 0, :, 0].log().masked_fill(zero, 0).sum(0) + last.log()
    return _Sums(
        before[:-1, 0],
        up_to[:, 0],
        reversed_by_length(up_to[:, 1], lengths),
        logs.masked_fill(lengths.of_rows == 0, 0),
        (joint / total[..., None]).masked_fill(zero[..., None], 0),
    )


def _log_sum(
    steps: Tensor,
    start: Tensor,
    end: Tensor,
    transitions: Tensor,
    rules: Tensor,
    lengths: Lengths,
    true: Tensor | None = None,
) -> Tensor:
    """ln of the sum of the exponentials of scores over all paths, `[B]` float64; over those with
    the labels `true` `[T, B]` where these are not below 0."""
    found: Tensor = _LogSum.apply(  # type: ignore[no-untyped-call]
        steps, start, end, transitions, rules, lengths, true
    )
    return found


class _LogSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        steps: Tensor,
        start: Tensor,
        end: Tensor,
        transitions: Tensor,
        rules: Tensor,
        lengths: Lengths,
        true: Tensor | None,
    ) -> Tensor:
        chain = _exact(start, end, transitions, rules).exp()
        shares = _floored(steps, LOWEST_STEP).exp_()
        if true is not None:
            labels = torch.arange(steps.shape[-1], device=steps.device)
            shares.masked_fill_((true[..., None] != labels) & (true[..., None] >= 0), 0)
        sums = _sums(shares, chain, lengths)
        pairs = (sums.before[1:] * sums.since[1:]).sum(-1, keepdim=True)
        later = (sums.since[1:] / pairs).masked_fill(~lengths.mask[1:, :, None], 0)
        ctx.save_for_backward(sums.probabilities, sums.up_to[:-1], later, chain.transitions)
        ctx.lengths = lengths
        moved = steps.double().amax(-1).masked_fill(~lengths.mask, 0).sum(0)
        joins = (lengths.of_rows - 1).clamp(min=0) * transitions.double().max()
        ends = (start.double().max() + end.double().max()) * (lengths.of_rows > 0)
        return sums.logs + moved + joins + ends

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        probabilities, up_to, later, transitions = ctx.saved_tensors
        size, rows = transitions.shape[-1], torch.arange(len(gradient), device=gradient.device)
        labels = probabilities * gradient[:, None]
        weighted = (later * gradient[:, None]).reshape(-1, size)
        pairs = transitions * (up_to.reshape(-1, size).t() @ weighted)
        last = labels[(ctx.lengths.of_rows - 1).clamp(min=0), rows]
        return labels, labels[0].sum(0), last.sum(0), pairs, None, None, None


# ---------------------------------------------------------------- single paths


def _path_scores(steps: Tensor, chain: _Chain, labels: Tensor, lengths: Lengths) -> Tensor:
    """The scores of the paths `labels` `[T, B]`: `[B]`, float64."""
    outside = ~lengths.mask
    each = steps.gather(2, labels[..., None])[..., 0].double().masked_fill(outside, 0).sum(0)
    joins = chain.transitions[labels[:-1], labels[1:]].double().masked_fill(outside[1:], 0).sum(0)
    rows = torch.arange(labels.shape[1], device=labels.device)
    last = labels[(lengths.of_rows - 1).clamp(min=0), rows]
    ends = (chain.start[labels[0]].double() + chain.end[last].double()) * (lengths.of_rows > 0)
    return each + joins + ends


def _best(steps: Tensor, chain: _Chain, lengths: Lengths) -> Tensor:
    """The labels `[T, B]` of the path with the largest score (Viterbi 1967), 0 past a length.

    Which label comes before is looked up on the way back, for the labels of the path alone. All
    steps write into the same memory: a block of `[B, K, K]` of its own for each would not fit
    between the results of the steps, and the heap would grow by one a step.
    """
    size, rows = len(chain.start), steps.shape[1]
    following, found = chain.transitions.t().contiguous(), torch.empty_like(steps)
    torch.add(chain.start, steps[0], out=found[0])
    pairs = steps.new_empty(rows, size, size)
    for step, before, best in zip(steps[1:], found[:-1], found[1:], strict=True):
        torch.add(before[:, None], following, out=pairs)
        torch.amax(pairs, -1, out=best)
        best.add_(step)
    table = torch.cat([following, chain.end[None]])
    label = steps.new_full((rows,), size, dtype=torch.int64)
    labels = []
    for scores, valid in zip(reversed(found.unbind()), reversed(lengths.mask), strict=True):
        best = (scores + table[label]).argmax(-1)
        label = torch.where(valid, best, size)
        labels.append(best)
    return torch.stack(labels[::-1]).masked_fill(~lengths.mask, 0)
