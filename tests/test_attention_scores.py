"""Additive scores by products of exponentials, against tanh in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rnnspec.to_torch.attention import memory
from rnnspec.to_torch.attention.memory import MOST_FACTORED, additive_scores

Three = tuple[Tensor, Tensor, Tensor]


def drawn(size: float, rows: int = 3) -> Three:
    draw = torch.Generator().manual_seed(0)
    query, keys = (torch.randn(rows, n, 16, generator=draw) for n in (4, 5))
    query, keys = (size * each / each.abs().amax() for each in (query, keys))
    return query, keys, torch.randn(16, generator=draw) / 4


def taught(given: Three) -> tuple[Tensor, list[Tensor]]:
    """Scores, and the gradients of their weighted sum."""
    query, keys, v = (each.clone().requires_grad_() for each in given)
    scores = additive_scores(query, keys, v)
    weights = torch.linspace(-1, 1, scores.numel(), dtype=scores.dtype).view_as(scores)
    (scores * weights).sum().backward()
    return scores.detach(), [each.grad for each in (query, keys, v) if each.grad is not None]


@pytest.mark.parametrize("size", [0.001, 1.0, 5.0, MOST_FACTORED, 100.0])
def test_scores_and_gradients_are_those_of_tanh(
    size: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    factored: list[bool] = []
    factors = memory._factors

    def noted(query: Tensor, keys: Tensor) -> tuple[Tensor, Tensor] | None:
        found = factors(query, keys)
        factored.append(found is not None)
        return found

    monkeypatch.setattr(memory, "_factors", noted)
    monkeypatch.setattr(memory, "PIECE", 200)  # several pieces, the last one shorter
    given = drawn(size)
    scores, gradients = taught(given)
    exact, expected = taught((given[0].double(), given[1].double(), given[2].double()))
    assert factored == [size <= MOST_FACTORED, False]
    torch.testing.assert_close(scores.double(), exact, atol=2e-5 if size > 5 else 2e-6, rtol=0)
    for found, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(found.double(), wanted, atol=2e-5, rtol=2e-5)


def test_no_queries_at_all() -> None:
    query = torch.zeros(0, 4, 16, requires_grad=True)
    assert additive_scores(query, torch.zeros(0, 5, 16), torch.ones(16)).shape == (0, 4, 5)
