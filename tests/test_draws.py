"""The draws of sampling: even, unlike their neighbours, and the same in every kind of integer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnspec.plan.sampling_rng import BITS, P, Q, bits, keys, uniform

SEEDS = st.integers(-(2**63), 2**63 - 1)


def grid(seeds: NDArray[np.int64], steps: int) -> NDArray[np.float64]:
    """Draws `[seeds, steps]`."""
    of_seed = keys(seeds)
    return np.stack([bits(of_seed, step) for step in range(steps)], axis=1) / (1 << BITS)


STARTS = [0, -1000, 1_234_567_890_123, -(2**63), P - 500, Q - 500, P * 7 - 3]


@pytest.mark.parametrize("start", STARTS)
def test_draws_are_even(start: int) -> None:
    """Chi-square of 64 equal bins, over all and over each of the first steps: within five standard
    deviations of its expectation."""
    found = grid(np.arange(start, start + 2000, dtype=np.int64), 60)
    for part in (found, *found.T[:5], *found[:5]):
        bins = 64 if part.size > 1000 else 6
        counts = np.histogram(part, bins=bins, range=(0.0, 1.0))[0]
        expected = part.size / bins
        chi = float(((counts - expected) ** 2 / expected).sum())
        assert abs(chi - (bins - 1)) < 5 * np.sqrt(2 * (bins - 1))


@pytest.mark.parametrize("start", STARTS)
def test_neighbours_have_nothing_in_common(start: int) -> None:
    """Correlations of neighbouring seeds, steps, and of both one on: within five deviations of
    0; and no diagonal of the grid repeats itself."""
    found = grid(np.arange(start, start + 1500, dtype=np.int64), 60) - 0.5
    for by_seed in (0, 1, 2):
        for by_step in (-2, -1, 0, 1, 2):
            if by_seed == by_step == 0:
                continue
            one = found[by_seed:, max(by_step, 0) : 60 + min(by_step, 0)]
            other = found[: len(found) - by_seed, max(-by_step, 0) : 60 + min(-by_step, 0)]
            products = one * other * 12
            assert abs(products.mean()) < 5 / np.sqrt(products.size)
            assert np.mean(np.abs(one - other) < 1e-3) < 0.003


def test_pairs_of_steps_fill_the_square() -> None:
    """Two draws in a row, in a grid of 16 by 16 cells."""
    found = grid(np.arange(4000, dtype=np.int64), 41)
    pairs = np.histogram2d(found[:, :-1].ravel(), found[:, 1:].ravel(), bins=16)[0]
    expected = pairs.sum() / 256
    assert abs(((pairs - expected) ** 2 / expected).sum() - 255) < 5 * np.sqrt(510)


@given(SEEDS, st.integers(0, 2**40))
def test_arrays_and_tensors_draw_what_ints_do(seed: int, step: int) -> None:
    """With exact ints every intermediate may be as large as it likes; int64 must not overflow."""
    drawn = bits(keys(seed), step)
    assert 0 <= drawn < 2**BITS
    assert uniform(seed, step) == float(np.float32(uniform(seed, step))) < 1
    assert int(bits(keys(np.array([seed], np.int64)), step)[0]) == drawn
    assert int(bits(keys(torch.tensor([seed])), step)[0]) == drawn


def test_draws_never_change() -> None:
    assert [bits(keys(seed), step) for seed in (0, -5) for step in (0, 1)] == [
        1897890,
        5197101,
        7572574,
        1269765,
    ]
