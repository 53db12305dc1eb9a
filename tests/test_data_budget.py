"""Batches of a number of steps."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnspec.data import batches as module
from rnnspec.data.batches import Budget
from tests.lengths import Alike, Given, check_memory_is_even, padded_share
from tests.test_data_batches import EVERY, lists, shrink
from tests.training import metrics_of, rows_data, settings_of, trained_in_pieces

LENGTHS = st.lists(st.integers(0, 60), min_size=1, max_size=300).map(Given)


@EVERY
@given(LENGTHS, st.integers(1, 200), st.integers(0, 5))
def test_every_row_once_and_within_the_budget(
    buffer: int, data: Given, tokens: int, epoch: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch, buffer, 4)
        budget = Budget.of(data, tokens)
        batches = list(budget.batches(7, epoch))
        assert sorted(np.concatenate(batches).tolist()) == list(range(data.rows))
        for rows in batches:
            steps = len(rows) * max(1, int(data.of_all[rows].max()))
            assert steps <= tokens or len(rows) == 1
        assert len(batches) == budget.count(7, epoch)


@EVERY
@given(LENGTHS, st.integers(1, 200), st.integers(0, 40))
def test_an_epoch_goes_on_from_any_batch(buffer: int, data: Given, tokens: int, start: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        shrink(patch, buffer, 4)
        budget = Budget.of(data, tokens)
        assert lists(budget.batches(1, 2, start)) == lists(budget.batches(1, 2))[start:]


@pytest.mark.parametrize(
    ("buffer", "expected"),
    [(module.BUFFER, "6a044a9f471ff5de"), (64, "89f6fe6c4c31b446")],
    ids=["in-one", "in-blocks"],
)
def test_the_order_is_frozen(monkeypatch: pytest.MonkeyPatch, buffer: int, expected: str) -> None:
    shrink(monkeypatch, buffer, 8)
    joined = np.concatenate(list(Budget.of(Alike(1000), 50).batches(5, 2)))
    assert hashlib.sha256(joined.astype("<i8").tobytes()).hexdigest()[:16] == expected


def test_epochs_differ_and_little_is_padding() -> None:
    data = Given(np.random.default_rng(0).integers(5, 200, 20_000))
    one, other = (list(Budget.of(data, 4000).batches(0, epoch)) for epoch in (0, 1))
    assert [rows.tolist() for rows in one] != [rows.tolist() for rows in other]
    assert padded_share(data, one) < 0.05
    full = np.array([len(rows) * data.of_all[rows].max() for rows in one])
    assert np.median(full) > 3700


def test_memory_does_not_grow_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    shrink(monkeypatch, 1024, 128)

    def counted_and_from_the_middle(data: Alike) -> None:
        budget = Budget.of(data, 1000)
        for _ in budget.batches(0, 0, start=budget.count(0, 0) // 2):
            pass

    check_memory_is_even(counted_and_from_the_middle)


def test_the_share_of_padding_is_reported(tmp_path: Path) -> None:
    data = rows_data()
    build = trained_in_pieces(tmp_path / "build", settings_of(batch={"tokens": 50}), train=data)
    for epoch, record in enumerate(metrics_of(build)):
        batches = list(Budget.of(data, 50).batches(0, epoch))
        assert record["padded"] == padded_share(data, batches)
