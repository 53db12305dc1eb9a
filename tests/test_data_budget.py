"""Batches of a number of steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rnnspec.data.batches import padded_share
from rnnspec.data.budget import budget_batches, budget_count
from tests.training import metrics_of, rows_data, settings_of, trained_in_pieces

LENGTHS = st.lists(st.integers(0, 60), min_size=1, max_size=300).map(np.array)


@given(LENGTHS, st.integers(1, 200), st.integers(0, 5))
def test_every_row_once_and_within_the_budget(lengths: np.ndarray, tokens: int, epoch: int) -> None:
    batches = list(budget_batches(lengths, tokens, 7, epoch))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for rows in batches:
        steps = len(rows) * max(1, int(lengths[rows].max()))
        assert steps <= tokens or len(rows) == 1
    assert len(batches) == budget_count(lengths, tokens, 7, epoch)


@given(LENGTHS, st.integers(1, 200), st.integers(0, 40))
def test_an_epoch_goes_on_from_any_batch(lengths: np.ndarray, tokens: int, start: int) -> None:
    whole = list(budget_batches(lengths, tokens, 1, 2))
    rest = list(budget_batches(lengths, tokens, 1, 2, start))
    assert [rows.tolist() for rows in rest] == [rows.tolist() for rows in whole[start:]]


def test_epochs_differ_and_little_is_padding() -> None:
    lengths = np.random.default_rng(0).integers(5, 200, 20_000)
    one, other = (list(budget_batches(lengths, 4000, 0, epoch)) for epoch in (0, 1))
    assert [rows.tolist() for rows in one] != [rows.tolist() for rows in other]
    assert padded_share(lengths, one) < 0.05
    full = np.array([len(rows) * lengths[rows].max() for rows in one])
    assert np.median(full) > 3700


def test_the_share_of_padding_is_reported(tmp_path: Path) -> None:
    data = rows_data()
    build = trained_in_pieces(tmp_path / "build", settings_of(batch={"tokens": 50}), train=data)
    for epoch, record in enumerate(metrics_of(build)):
        batches = list(budget_batches(data.lengths, 50, 0, epoch))
        assert record["padded"] == padded_share(data.lengths, batches)
