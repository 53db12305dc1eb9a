"""Batches: every row once, the same for the same seed, resumable, with little padding."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnspec.data import batches as module
from rnnspec.data import epoch_batches, in_order_batches
from rnnspec.data.batches import Rows, batch_count, shuffled
from tests.lengths import Alike, Given, check_memory_is_even, padded_share

LENGTHS = st.lists(st.integers(0, 50), max_size=120).map(Given)
SIZES = st.integers(1, 20)
EVERY = pytest.mark.parametrize("buffer", [module.BUFFER, 16], ids=["in-one", "in-blocks"])


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A buffer of 64 rows, in blocks of 8."""
    shrink(monkeypatch, 64, 8)


def shrink(monkeypatch: pytest.MonkeyPatch, buffer: int, block: int) -> None:
    monkeypatch.setattr(module, "BUFFER", buffer)
    monkeypatch.setattr(module, "BLOCK", block)


def lists(found: Iterator[Rows]) -> list[list[int]]:
    return [rows.tolist() for rows in found]


@EVERY
@given(data=LENGTHS, batch=SIZES, pool=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_an_epoch_has_every_row_once(
    buffer: int, data: Given, batch: int, pool: int, seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch, buffer, 4)
        found = lists(epoch_batches(data, batch, seed, 3, pool))
        assert sorted(row for rows in found for row in rows) == list(range(data.rows))
        assert len(found) == batch_count(data.rows, batch)
        assert sum(len(rows) != batch for rows in found) <= 1
        for start in range(len(found) + 1):
            assert lists(epoch_batches(data, batch, seed, 3, pool, start)) == found[start:]


@given(data=LENGTHS, batch=SIZES)
def test_evaluation_has_every_row_once_by_length(data: Given, batch: int) -> None:
    found = lists(in_order_batches(data, batch))
    order = [row for rows in found for row in rows]
    assert order == sorted(range(data.rows), key=lambda row: (data.of_all[row], row))
    assert [len(rows) for rows in found[:-1]] == [batch] * (len(found) - 1)


def test_evaluation_of_more_rows_than_the_buffer_holds(small: None) -> None:
    found = lists(in_order_batches(Alike(150), 10))
    assert sorted(row for rows in found for row in rows) == list(range(150))
    assert [len(rows) for rows in found] == [*[10] * 6, 4, *[10] * 6, 4, 10, 10, 2]
    assert [row // 64 for rows in found for row in rows] == sorted(row // 64 for row in range(150))


def test_the_order_is_frozen() -> None:
    data = Given(np.arange(1000) * 7919 % 101)
    joined = np.concatenate(list(epoch_batches(data, 8, seed=5, epoch=2, pool=10)))
    digest = hashlib.sha256(joined.astype("<i8").tobytes()).hexdigest()
    assert digest[:16] == "1709f9f7884b24ed"


def test_the_order_beyond_the_buffer_is_frozen(small: None) -> None:
    joined = np.concatenate(list(epoch_batches(Alike(1000), 8, seed=5, epoch=2, pool=2)))
    digest = hashlib.sha256(joined.astype("<i8").tobytes()).hexdigest()
    assert digest[:16] == "4a648fc897b1f481"


def test_rows_beyond_the_buffer_are_spread_over_the_epoch(small: None) -> None:
    """A buffer's rows come from blocks all over the data, and its blocks are broken up."""
    rows = np.concatenate([rows for rows, _ in shuffled(Alike(6400), 50, 0, 0)])
    buffers = rows.reshape(100, 64)
    assert {len(np.unique(buffer // 8)) for buffer in buffers} == {8}
    assert np.ptp(buffers, axis=1).min() > 1600
    assert np.mean(np.diff(rows) == 1) < 0.05
    assert abs(np.corrcoef(rows, np.arange(6400))[0, 1]) < 0.1


def test_seed_and_epoch_change_the_order() -> None:
    assert len(_orders(Given(np.arange(500) % 7))) == 9


def test_seed_and_epoch_change_the_order_beyond_the_buffer(small: None) -> None:
    assert len(_orders(Alike(500))) == 9


def _orders(data: Given | Alike) -> set[tuple[int, ...]]:
    """Of three seeds and three epochs."""
    return {
        tuple(np.concatenate(list(epoch_batches(data, 8, seed, epoch))).tolist())
        for seed in range(3)
        for epoch in range(3)
    }


def test_memory_does_not_grow_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch, 1024, 128)

    def from_the_middle(data: Alike) -> None:
        for _ in epoch_batches(data, 64, 0, 0, pool=4, start=data.rows // 128):
            pass
        for _ in in_order_batches(data, 64):
            pass

    check_memory_is_even(from_the_middle)


def test_batches_of_a_pool_are_shuffled() -> None:
    data = Given(np.arange(800))
    firsts = [int(rows.min()) for rows in epoch_batches(data, 8, 0, 0)]
    assert firsts != sorted(firsts)


def test_little_padding() -> None:
    data = Given(np.random.default_rng(0).integers(1, 200, 20_000))
    bucketed = padded_share(data, epoch_batches(data, 32, 0, 0))
    plain = padded_share(
        data, np.random.default_rng(0).permutation(20_000)[:19_968].reshape(-1, 32)
    )
    assert bucketed < 0.05 < 0.4 < plain
    assert padded_share(data, in_order_batches(data, 32)) < 0.01


def test_padded_share_by_hand() -> None:
    data = Given([3, 1, 0])
    assert padded_share(data, [np.array([0, 1]), np.array([2])]) == pytest.approx(3 / 7)
    assert padded_share(data, []) == 0
