"""What is kept of single rows, how they are read, and tables from counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnnspec.data import Batch
from rnnspec.data.shards import FILE
from rnnspec.evaluate.examples import Drawn, Kept, Rows, joined, numbers
from rnnspec.evaluate.metrics import ClassMetrics
from rnnspec.evaluate.outputs import KINDS
from rnnspec.evaluate.outputs.classes import class_scores, most_frequent, most_mistaken
from rnnspec.evaluate.outputs.numbers import DrawnNumbers
from rnnspec.objective.objective import LOSSES
from rnnspec.plan.names import names_of
from rnnspec.plan.nodes import Output, StatesOutput
from tests.column_facts import text
from tests.kinds import batched, output, plan_of, random_rows, spec_data

# ---------------------------------------------------------------- a few of many


@given(st.lists(st.floats(allow_nan=False), max_size=30), st.integers(0, 5))
def test_kept_are_those_with_the_largest_keys(keys: list[float], most: int) -> None:
    kept: Kept[int] = Kept(most)
    for number, key in enumerate(keys):
        kept.offer(key, lambda number=number: number)  # type: ignore[misc]
    expected = sorted(range(len(keys)), key=lambda n: (-keys[n], n))[:most]
    assert kept.values() == tuple(expected)


def test_kept_makes_only_what_it_keeps() -> None:
    kept: Kept[str] = Kept(1)
    kept.offer(2.0, lambda: "first")
    kept.offer(1.0, pytest.fail)
    kept.offer(2.0, pytest.fail)
    assert kept.values() == ("first",)


def test_drawn_are_as_likely_each_and_the_same_in_every_run() -> None:
    counts: Counter[int] = Counter()
    for seed in range(600):
        drawn, again = Drawn[int](3, seed), Drawn[int](3, seed)
        for number in range(9):
            drawn.offer(lambda number=number: number)  # type: ignore[misc]
            again.offer(lambda number=number: number)  # type: ignore[misc]
        assert drawn.values() == again.values()
        assert len(set(drawn.values())) == 3
        counts.update(drawn.values())
    assert all(140 < counts[number] < 260 for number in range(9)), counts  # 200 expected


def test_a_higher_rank_is_drawn_first() -> None:
    drawn: Drawn[int] = Drawn(2)
    for number in range(20):
        drawn.offer(lambda number=number: number, rank=int(number in (5, 11)))  # type: ignore[misc]
    assert set(drawn.values()) == {5, 11}


def test_drawn_numbers_are_bounded_and_come_in_pairs() -> None:
    drawn = DrawnNumbers(50)
    for start in range(0, 1000, 10):
        ones = np.arange(start, start + 10.0)
        drawn.offer(np.stack([ones, -ones], -1))
    assert drawn.values.shape == (50, 2)
    assert len(set(drawn.values[:, 0])) == 50
    np.testing.assert_array_equal(drawn.values[:, 0], -drawn.values[:, 1])
    assert 300 < drawn.values[:, 0].mean() < 700


# ---------------------------------------------------------------- rows

INPUTS = ["words", "spelled", "category", "vector"]


def read(inputs: list[str]) -> tuple[Rows, Batch, Batch]:
    """Rows, and a batch of them with little padding and with much."""
    plan, facts = plan_of(spec_data("N:1", inputs, [output("class")]))
    drawn = random_rows(plan, [3, 0, 2, 4, 1], seed=3)
    drawn.append(drawn[0])
    batches = []
    for extra, filler in ((0, 0.0), (4, 1.0)):
        found = batched(plan, drawn, extra, filler)
        arrays = {key: (v.numpy(), n.numpy()) for key, (v, n) in found.items()}
        batches.append(Batch(arrays, {}))
    return Rows(plan, facts, np.arange(10, 16)), batches[0], batches[1]


@pytest.mark.parametrize("inputs", [["words"], ["spelled"], INPUTS[:1] + INPUTS[2:], ["frames"]])
def test_a_row_reads_the_same_whatever_the_padding(inputs: list[str]) -> None:
    rows, tight, wide = read(inputs)
    texts = [rows.text(tight, row) for row in range(6)]
    assert texts == [rows.text(wide, row) for row in range(6)]
    assert rows.steps(tight, 2) == rows.steps(wide, 2)


def test_a_row_as_text() -> None:
    rows, batch, _ = read(["words", "category", "vector"])
    values, lengths = batch.inputs["words"]
    names = names_of(rows.facts.inputs["words"])
    words = " ".join(names[n] for n in values[1][: lengths[1]])
    lines = rows.text(batch, 1).split("\n")
    assert not words
    assert not any(line.startswith("words") for line in lines)
    words = " ".join(names[n] for n in values[3][: lengths[3]])
    assert f"words: {words}" in rows.text(batch, 3).split("\n")
    assert any(line.startswith("category: ") for line in lines)
    assert any(line.startswith("vector: [") for line in lines)
    assert rows.place(np.array([3, 4]), 1) == "line 14"
    assert rows.place(None, 1) == ""
    of_two = replace(rows, lines=np.array([1, FILE + 1204]), unit="row", files=("a.pq", "b.pq"))
    assert of_two.place(np.array([0, 1]), 1) == "b.pq, row 1,204"


def test_names_and_numbers() -> None:
    assert names_of(text(["x"])) == ("<end>", "<unknown>", "x")
    assert joined("chars", "abc") == "abc"
    assert joined("words", ["a", "b"]) == "a b"
    assert joined("subwords", ["\u2581the", "\u2581c", "at"]) == "the cat"
    assert numbers(np.array([1.5])) == "1.5"
    assert numbers(np.array([1.0, np.nan])) == "[1, missing]"
    sparse = np.zeros(20)
    sparse[[3, 17]] = 1, 2.5
    assert numbers(sparse) == "[3] 1, [17] 2.5; else 0"
    assert numbers(np.arange(20.0)).endswith("7, …]")


# ---------------------------------------------------------------- tables


@given(st.lists(st.lists(st.integers(0, 9), min_size=3, max_size=3), min_size=3, max_size=3))
def test_class_scores(counts: list[list[int]]) -> None:
    table = torch.tensor(counts)
    metrics = ClassMetrics(3)
    true, answers = (torch.tensor(each) for each in np.indices((3, 3)).reshape(2, -1))
    each = table.flatten()
    metrics.add(torch.eye(3)[answers.repeat_interleave(each)], true.repeat_interleave(each))
    assert torch.equal(metrics.confusion, table)
    for at, score in enumerate(class_scores(("a", "b", "c"), metrics)):
        rows, answered = sum(counts[at]), sum(row[at] for row in counts)
        assert (score.rows, score.answered, score.hits) == (rows, answered, counts[at][at])
        assert score.recall == (counts[at][at] / rows if rows else None)
        assert score.precision == (counts[at][at] / answered if answered else None)
        if score.f1 is not None and score.precision and score.recall:
            mean = 2 / (1 / score.precision + 1 / score.recall)
            assert score.f1 == pytest.approx(mean)
    pairs = [(counts[t][a], t, a) for t in range(3) for a in range(3) if t != a and counts[t][a]]
    mistakes = most_mistaken(table, ("0", "1", "2"))
    assert sorted((m.rows, int(m.label), int(m.answer)) for m in mistakes) == sorted(pairs)
    assert [m.rows for m in mistakes] == sorted((n for n, _, _ in pairs), reverse=True)


def test_the_most_frequent_label_as_an_answer() -> None:
    metrics = ClassMetrics(3)
    true = torch.tensor([0, 0, 1, 2, 2])
    metrics.add(torch.eye(3)[true], true)
    baseline = most_frequent(metrics, (5, 9, 1))
    always = ClassMetrics(3)
    always.add(torch.eye(3)[torch.ones_like(true)], true)
    assert baseline == pytest.approx(always.values())
    unseen = ClassMetrics(4)
    unseen.add(torch.eye(4)[true], true)
    assert most_frequent(unseen, (1, 1, 1, 9)) == {"accuracy": 0.0, "macro_f1": 0.0}


def test_every_kind_of_output_has_a_loss_and_an_evaluation() -> None:
    """But states, which have no true values."""
    assert LOSSES.keys() == KINDS.keys() == set(get_args(Output)) - {StatesOutput}
