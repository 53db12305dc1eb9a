"""Batches: every row once, the same for the same seed, resumable, with little padding."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnspec.data import epoch_batches, in_order_batches, padded_share
from rnnspec.data.batches import batch_count

LENGTHS = st.lists(st.integers(0, 50), max_size=120).map(lambda found: np.array(found, np.int64))
SIZES = st.integers(1, 20)


@given(lengths=LENGTHS, batch=SIZES, pool=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_an_epoch_has_every_row_once(lengths: np.ndarray, batch: int, pool: int, seed: int) -> None:
    batches = list(epoch_batches(lengths, batch, seed, 3, pool))
    assert sorted(row for rows in batches for row in rows.tolist()) == list(range(len(lengths)))
    assert len(batches) == batch_count(len(lengths), batch)
    assert sum(len(rows) != batch for rows in batches) <= 1
    for start in range(len(batches) + 1):
        rest = list(epoch_batches(lengths, batch, seed, 3, pool, start))
        assert [rows.tolist() for rows in rest] == [rows.tolist() for rows in batches[start:]]


@given(lengths=LENGTHS, batch=SIZES)
def test_evaluation_has_every_row_once_by_length(lengths: np.ndarray, batch: int) -> None:
    batches = list(in_order_batches(lengths, batch))
    order = [row for rows in batches for row in rows.tolist()]
    assert order == sorted(range(len(lengths)), key=lambda row: (lengths[row], row))
    assert [len(rows) for rows in batches[:-1]] == [batch] * (len(batches) - 1)


def test_the_order_is_frozen() -> None:
    lengths = np.arange(1000) * 7919 % 101
    batches = list(epoch_batches(lengths, 8, seed=5, epoch=2, pool=10))
    joined = np.concatenate(batches).astype("<i8").tobytes()
    assert hashlib.sha256(joined).hexdigest()[:16] == "1709f9f7884b24ed"


def test_seed_and_epoch_change_the_order() -> None:
    lengths = np.arange(500) % 7
    orders = {
        tuple(np.concatenate(list(epoch_batches(lengths, 8, seed, epoch))).tolist())
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9


def test_batches_of_a_pool_are_shuffled() -> None:
    lengths = np.arange(800)
    firsts = [int(lengths[rows].min()) for rows in epoch_batches(lengths, 8, 0, 0)]
    assert firsts != sorted(firsts)


def test_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, 20_000)
    bucketed = padded_share(lengths, epoch_batches(lengths, 32, 0, 0))
    plain = padded_share(
        lengths, np.random.default_rng(0).permutation(20_000)[:19_968].reshape(-1, 32)
    )
    assert bucketed < 0.05 < 0.4 < plain
    assert padded_share(lengths, in_order_batches(lengths, 32)) < 0.01


def test_padded_share_by_hand() -> None:
    lengths = np.array([3, 1, 0])
    assert padded_share(lengths, [np.array([0, 1]), np.array([2])]) == pytest.approx(3 / 7)
    assert padded_share(lengths, []) == 0
