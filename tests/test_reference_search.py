"""The reference's search over tables of scores: by hand, and by what must hold of any search."""

from __future__ import annotations

from math import log
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.plan.nodes import Beam, Greedy, Sample, Search
from rnnspec.plan.sampling_rng import uniform
from rnnspec.reference.search import Hypothesis, Task, find, most_steps, value
from tests.decoders import with_strategy
from tests.texts import every_answer

SIZE = 5


def task(search: Search, seed: int = 0, limit: int = 4, prompt: tuple[int, ...] = ()) -> Task:
    """Scores that depend on the last two numbers read, and weights over three steps."""
    draw = np.random.default_rng(seed)
    table = draw.normal(0, 1.5, (SIZE, SIZE, SIZE))
    looks = draw.dirichlet(np.ones(3) * 0.3, (SIZE, SIZE))

    def read(before: int, number: int) -> tuple[NDArray[np.float64], NDArray[np.float64], int]:
        return table[before, number], looks[before, number], number

    return Task(search, read, END_ID, prompt[-1] if prompt else END_ID, limit, prompt)


def fixed(search: Search, *steps: list[float], limit: int = 9, seed: int = 0) -> Task:
    """Probabilities of each step, whatever was answered; the last again and again."""

    def read(step: int, number: int) -> tuple[NDArray[np.float64], None, int]:
        with np.errstate(divide="ignore"):
            return np.log(np.array(steps[min(step, len(steps) - 1)])), None, step + 1

    return Task(search, read, 0, END_ID, limit, seed=seed)


def rescored(of: Task, found: Hypothesis) -> float:
    """The log-probability of an answer, without any rule but the penalty of repetition."""
    left: Any = of.state
    number, total, before = of.previous, 0.0, list(of.prompt)
    for following in (*found.tokens, *([END_ID] if found.ended else [])):
        scores, _, left = of.read(left, number)
        scores = scores.copy()
        for token in set(before):
            penalty = of.search.repetition_penalty
            scores[token] *= penalty if scores[token] <= 0 else 1 / penalty
        total += float(scores[following] - np.log(np.exp(scores).sum()))
        before.append(following)
        number = following
    return total


def test_greedy_by_hand() -> None:
    (found,) = find(fixed(Greedy(), [0.1, 0.4, 0.2, 0.3], [0.6, 0.1, 0.2, 0.1]))
    assert (found.tokens, found.ended) == ((3,), True)  # the unknown, though most probable, never
    assert found.score == pytest.approx(log(0.3) + log(0.6))


def test_greedy_is_cut_at_its_limit() -> None:
    (found,) = find(fixed(Greedy(), [0.2, 0.0, 0.5, 0.3], limit=3))
    assert (found.tokens, found.ended) == ((2, 2, 2), False)
    assert found.score == pytest.approx(3 * log(0.5))


def test_ties_go_to_the_lower_number() -> None:
    (found,) = find(fixed(Greedy(), [0.1, 0.1, 0.4, 0.4], [0.4, 0.2, 0.4, 0.0]))
    assert (found.tokens, found.ended) == ((2,), True)


def test_penalty_divides_what_is_above_zero_and_multiplies_what_is_below() -> None:
    def read(step: int, number: int) -> tuple[NDArray[np.float64], None, int]:
        return np.array([0.0, -9.0, 2.0, -1.0]), None, step + 1

    (found,) = find(Task(Greedy(repetition_penalty=4.0), read, 0, END_ID, 2))
    assert found.tokens == (2, 2)
    second = np.exp([0.0, -9.0, 0.5, -1.0])
    first = np.exp([0.0, -9.0, 2.0, -1.0])
    expected = np.log(first[2] / first.sum()) + np.log(second[2] / second.sum())
    assert found.score == pytest.approx(expected)


def test_no_run_comes_twice() -> None:
    (found,) = find(fixed(Greedy(no_repeat=2), [0.1, 0.0, 0.5, 0.25, 0.15], limit=8))
    assert found.tokens[:3] == (2, 2, 3)
    pairs = list(zip(found.tokens, found.tokens[1:], strict=False))
    assert len(set(pairs)) == len(pairs)


def test_the_end_is_answered_where_nothing_is_left() -> None:
    (found,) = find(fixed(Greedy(no_repeat=1, min_steps=5), [0.1, 0.2, 0.4, 0.3]))
    assert (found.tokens, found.ended) == ((2, 3), True)


def test_prefix_stands_before_every_rule_and_counts() -> None:
    (found,) = find(fixed(Greedy(prefix=(3, 3), banned=(3,), no_repeat=1), [0.2, 0, 0.5, 0.3]))
    assert found.tokens == (3, 3, 2)
    assert found.score == pytest.approx(2 * log(0.3) + log(0.5) + log(0.2))


def test_a_prompt_is_where_repetition_is_looked_for() -> None:
    (found,) = find(task(Greedy(no_repeat=1), prompt=(2, 3)))
    assert found.tokens in ((), (4,))


def test_beam_by_hand() -> None:
    """Ends compete with what goes on; one that ends leaves its place among the live to another."""
    steps = ([0.4, 0.0, 0.35, 0.25], [0.9, 0.0, 0.06, 0.04])
    two = find(fixed(Beam(width=2, n_best=2, stop="full"), *steps))
    assert [one.tokens for one in two] == [(), (2,)]
    assert [one.score for one in two] == pytest.approx([log(0.4), log(0.35 * 0.9)])
    first = find(fixed(Beam(width=2, n_best=2, stop="first"), *steps))
    assert [(one.tokens, one.ended) for one in first] == [((), True), ((2,), False)]
    average = Beam(width=2, length_norm="average", stop="full")
    assert [one.tokens for one in find(fixed(average, *steps))] == [(2,)]


def test_an_end_that_is_too_improbable_is_no_answer() -> None:
    steps = ([0.1, 0.0, 0.5, 0.4], [0.7, 0.0, 0.2, 0.1])
    found = find(fixed(Beam(width=2, n_best=2, stop="full"), *steps))
    assert [one.tokens for one in found] == [(2,), (3,)]


def test_missing_answers_are_empty() -> None:
    found = find(fixed(Beam(width=4, n_best=4), [0.5, 0.25, 0.0, 0.25], limit=1))
    assert [(one.tokens, one.ended) for one in found[:2]] == [((), True), ((3,), False)]
    assert [(one.tokens, one.score) for one in found[2:]] == [((), -np.inf)] * 2


def test_limit_is_of_the_input_in_double_precision() -> None:
    assert most_steps(Greedy(limit=10, factor=0.29), 100) == 38
    assert most_steps(Greedy(limit=2, factor=1.5), 3) == 6
    assert most_steps(Greedy(limit=7), 3) == 7


RULES = st.builds(
    Greedy,
    min_steps=st.integers(0, 3),
    repetition_penalty=st.sampled_from([1.0, 1.3, 0.7]),
    no_repeat=st.integers(0, 2),
    prefix=st.sampled_from([(), (2,), (4, 3)]),
    banned=st.sampled_from([(), (3,)]),
)
NORMS = st.sampled_from([("none", 0.0), ("average", 0.0), ("gnmt", 0.7)])
STOPS = st.sampled_from(["best", "bound", "full", "first"])


def beam(rules: Search, width: int, n_best: int, **more: Any) -> Search:
    return with_strategy(Beam, rules, width=width, n_best=n_best, **more)


@given(RULES, NORMS, STOPS, st.integers(0, 10**6), st.integers(1, 6))
def test_a_beam_of_one_is_greedy(
    rules: Search, norm: tuple[Any, float], stop: Any, seed: int, limit: int
) -> None:
    (expected,) = find(task(rules, seed, limit))
    one = beam(rules, 1, 1, length_norm=norm[0], alpha=norm[1], stop=stop)
    (found,) = find(task(one, seed, limit))
    assert (found.tokens, found.ended) == (expected.tokens, expected.ended)
    assert found.score == pytest.approx(expected.score)


@given(RULES, NORMS, st.sampled_from([0.0, 0.4]), st.integers(0, 10**6), st.integers(1, 3))
def test_a_beam_as_wide_as_the_space_finds_the_best(
    rules: Search, norm: tuple[Any, float], coverage: float, seed: int, limit: int
) -> None:
    wide = beam(
        rules, SIZE**3, 5, length_norm=norm[0], alpha=norm[1], coverage_penalty=coverage,
        stop="full",
    )  # fmt: skip
    of = task(wide, seed, limit)
    every = every_answer(of)
    found = [one for one in find(of) if one.score > -np.inf]
    assert [(one.tokens, one.ended) for one in found] == [
        (one.tokens, one.ended) for one in every[:5]
    ]


@given(RULES, NORMS, st.sampled_from([0.0, 0.4]), st.integers(0, 10**6), st.integers(2, 4))
def test_the_bound_changes_no_answer(
    rules: Search, norm: tuple[Any, float], coverage: float, seed: int, width: int
) -> None:
    """It ends a search sooner, never with others than those of a search to the limit."""
    more = {"length_norm": norm[0], "alpha": norm[1], "coverage_penalty": coverage}
    of = task(beam(rules, width, width - 1, stop="bound", **more), seed, 6)
    bound = find(of)
    with patch("rnnspec.reference.search._settled", return_value=False):
        whole = find(of)
    assert [one.tokens for one in whole] == [one.tokens for one in bound]


@given(
    RULES,
    st.sampled_from([Greedy, Beam, Sample]),
    STOPS,
    st.integers(0, 10**6),
    st.sampled_from([(), (2, 4)]),
)
def test_scores_are_those_of_rescoring(
    rules: Search, strategy: Any, stop: Any, seed: int, prompt: tuple[int, ...]
) -> None:
    own = {Greedy: {}, Beam: {"width": 3, "n_best": 3, "stop": stop}, Sample: {"top_k": 3}}
    search = with_strategy(strategy, rules, **own[strategy])
    of = task(search, seed, 5, prompt)
    found = find(of)
    assert len(found) == search.n_best
    for one in found:
        if one.score > -np.inf:
            assert one.score == pytest.approx(rescored(of, one))
            assert one.tokens[: len(search.prefix)] == search.prefix
            assert not set(one.tokens[len(search.prefix) :]) & {*search.banned, UNKNOWN_ID}
            assert len(one.weights) == one.steps <= 5
    ended = [value(of, one) for one in found if one.ended and one.score > -np.inf]
    assert ended == sorted(ended, reverse=True)


def sampled(search: Search, steps: list[float], draws: int) -> NDArray[np.float64]:
    """Shares of the first tokens drawn with seeds 0, 1, …"""
    found = [find(fixed(search, steps, limit=1, seed=seed))[0] for seed in range(draws)]
    numbers = [one.tokens[0] if one.tokens else END_ID for one in found]
    return np.bincount(numbers, minlength=len(steps)) / draws


def test_samples_have_the_probabilities_of_the_model() -> None:
    steps = [0.1, 0.0, 0.5, 0.15, 0.25]
    np.testing.assert_allclose(sampled(Sample(), steps, 4000), steps, atol=0.03)
    sharp = np.array(steps) ** 2
    found = sampled(Sample(temperature=0.5), steps, 4000)
    np.testing.assert_allclose(found, sharp / sharp.sum(), atol=0.03)
    found = sampled(Sample(top_k=2), steps, 4000)
    np.testing.assert_allclose(found, [0, 0, 2 / 3, 0, 1 / 3], atol=0.03)
    found = sampled(Sample(top_p=0.76), steps, 4000)
    np.testing.assert_allclose(found, np.array([0, 0, 0.5, 0.15, 0.25]) / 0.9, atol=0.03)


def test_top_p_is_of_what_top_k_left() -> None:
    found = sampled(Sample(top_k=2, top_p=0.6), [0.1, 0.0, 0.5, 0.15, 0.25], 200)
    np.testing.assert_allclose(found, [0, 0, 1, 0, 0])


def test_the_draw_is_that_of_seed_and_step() -> None:
    even = [0.25, 0.0, 0.25, 0.25, 0.25]
    order = (0, 2, 3, 4)
    for seed in range(20):
        (found,) = find(fixed(Sample(min_steps=3, top_k=3), even, limit=3, seed=seed))
        expected = [order[1:][int(uniform(seed, step) * 3)] for step in range(3)]
        assert list(found.tokens) == expected
