"""The loss of a transducer against all paths of small problems, the published recursion and finite
differences."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rnnspec.objective.losses import reads_as
from rnnspec.objective.transducer import transducer_loss
from rnnspec.plan.nodes import TransducerBeam, TransducerOutput
from rnnspec.reference import transducer as reference
from rnnspec.reference.interpret import values_of
from rnnspec.reference.transducer import log_probability
from tests import ctc
from tests.kinds import random_rows, strong_weights

LENGTHS = (4, 2, 0, 3, 1, 4)
TEXTS = ((2, 3, 2), (4,), (), None, (2, 2), ())
"""Of one row the text is missing."""
TARGETS = torch.tensor(
    [[2, 3, 2, 0], [4, 0, -1, -1], [0, -1, -1, -1], [-1] * 4, [2, 2, 0, -1], [0, -1, -1, -1]]
)


def arcs_of(scores: torch.Tensor, lengths: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """`[B, T, U + 1, 2]` of scores `[B, T, U + 1, size]`."""
    logs, numbers = torch.log_softmax(scores, dim=-1), targets.clamp(min=0)
    places = numbers[:, None, :, None].expand(-1, scores.shape[1], -1, -1)
    tokens = logs.gather(3, places)[..., 0].masked_fill(numbers[:, None] == 0, -torch.inf)
    own = torch.arange(scores.shape[1]) < lengths[:, None]
    arcs = torch.stack([logs[..., 0], tokens], dim=-1)
    return torch.where(own[..., None, None], arcs, arcs.new_tensor([0.0, -torch.inf]))


def drawn() -> torch.Tensor:
    draw = torch.Generator().manual_seed(3)
    return torch.randn((6, 4, 4, 5), generator=draw, dtype=torch.float64)


def own_arcs(arcs: torch.Tensor, row: int) -> NDArray[np.float64]:
    count = len(TEXTS[row] or ())
    found: NDArray[np.float64] = arcs[row, : LENGTHS[row], : count + 1].numpy()
    return found


def all_paths(arcs: NDArray[np.float64]) -> Iterator[tuple[float, tuple[int, ...]]]:
    """All orders of T blanks and U tokens of which the last is a blank: the log-probability of each
    and the steps of its tokens."""
    steps, count = arcs.shape[0], arcs.shape[1] - 1
    moves = steps - 1 + count
    for tokens in itertools.combinations(range(moves), count):
        step, at, score, places = 0, 0, 0.0, list[int]()
        for move in range(moves):
            score += arcs[step, at, int(move in tokens)]
            places += [step] if move in tokens else []
            step, at = (step, at + 1) if move in tokens else (step + 1, at)
        yield float(score + arcs[step, at, 0]), tuple(places)


def over_all_paths(arcs: NDArray[np.float64]) -> float:
    return float(np.logaddexp.reduce([score for score, _ in all_paths(arcs)]))


@pytest.mark.parametrize("row", [0, 1, 4, 5])
def test_the_recursion_sums_over_all_paths(row: int) -> None:
    arcs = own_arcs(arcs_of(drawn(), torch.tensor(LENGTHS), TARGETS), row)
    assert log_probability(arcs) == pytest.approx(over_all_paths(arcs))


def test_the_loss_is_that_of_the_recursion() -> None:
    """Of rows of unequal lengths; one without steps and text, and one without a target."""
    arcs = arcs_of(drawn(), torch.tensor(LENGTHS), TARGETS)
    expected = -sum(log_probability(own_arcs(arcs, row)) for row in (0, 1, 2, 4, 5))
    assert transducer_loss(arcs, TARGETS).sum().item() == pytest.approx(expected)


def test_the_gradient_is_that_of_finite_differences() -> None:
    scores = drawn().requires_grad_()

    def loss(given: torch.Tensor) -> torch.Tensor:
        return transducer_loss(arcs_of(given, torch.tensor(LENGTHS), TARGETS), TARGETS).sum()

    assert torch.autograd.gradcheck(loss, (scores,))


def test_a_wide_beam_finds_every_text_with_its_probability() -> None:
    """As many texts as the limit of tokens allows: 1 + 3 + 9 of three tokens in two steps. The
    steps of its tokens are those of the most probable of all paths."""
    plan, _ = ctc.plan_and_facts("transducer")
    (out,) = plan.outputs
    assert isinstance(out, TransducerOutput)
    weights = {name: each.astype(np.float64) for name, each in strong_weights(plan).items()}
    (row,) = random_rows(plan, (2,))
    joint = reference.Joint(plan, out, weights, values_of(plan, weights, row))
    found = reference.beam(joint, TransducerBeam(10_000, 10_000, symbols=1))
    real = {text: (score, spans) for text, score, spans in found if score > -np.inf}
    tokens = out.size - 2
    assert len(real) == 1 + tokens + tokens**2
    for text, (score, spans) in real.items():
        arcs = reference.arc_logs(joint, text)
        assert score == pytest.approx(log_probability(arcs))
        _, steps = max(all_paths(arcs))
        assert spans == tuple((step, step) for step in steps)


def test_a_text_without_steps_is_left_out() -> None:
    scores = drawn()[:1].requires_grad_()
    targets = TARGETS[:1]
    loss = transducer_loss(arcs_of(scores, torch.tensor([0]), targets), targets).sum()
    loss.backward()
    assert loss.item() == 0.0
    assert scores.grad is not None and not scores.grad.any()
    arcs = arcs_of(drawn(), torch.tensor(LENGTHS), TARGETS)
    fits = [steps > 0 or not (row > 0).any() for steps, row in zip(LENGTHS, TARGETS, strict=True)]
    assert reads_as(arcs, TARGETS).tolist() == [bool(each) for each in fits]
    assert not reads_as(arcs_of(scores, torch.tensor([0]), targets), targets).any()


def test_other_factors_scale_the_gradient() -> None:
    scores = drawn().requires_grad_()
    arcs = arcs_of(scores, torch.tensor(LENGTHS), TARGETS)
    (once,) = torch.autograd.grad(transducer_loss(arcs, TARGETS).sum(), scores, retain_graph=True)
    (twice,) = torch.autograd.grad(2 * transducer_loss(arcs, TARGETS).sum(), scores)
    torch.testing.assert_close(twice, 2 * once)
