"""Searches in torch: token for token as the reference, scores that rescoring gives, no row moved by
its mates."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnnspec.plan import Plan
from rnnspec.plan.facts import END_ID
from rnnspec.plan.generate import generation
from rnnspec.plan.nodes import Beam, Decoder, Greedy, Sample, Search, TextOutput
from rnnspec.reference import answers
from rnnspec.to_torch import Model
from rnnspec.to_torch.search import Texts
from rnnspec.to_torch.search.strategies import drawn, top
from rnnspec.to_torch.search.task import Rules
from tests.decoders import LENGTHS, SPECS, column, doubled, model_of, plan, with_search
from tests.kinds import batched, plan_of, random_rows, spec_data, strong_weights

BEAM = Beam(6, width=3, n_best=3, length_norm="average")
SEARCHES: dict[str, Search] = {
    "greedy": Greedy(limit=6),
    "rules": Greedy(
        limit=7, min_steps=2, repetition_penalty=1.4, no_repeat=2, prefix=(3, 2), banned=(4,)
    ),
    "limit by length": Greedy(limit=1, factor=1.3),
    "no step at all": Greedy(limit=0, factor=0.5),
    "beam": BEAM,
    "beam without norm": replace(BEAM, length_norm="none", n_best=1),
    "beam gnmt": replace(BEAM, length_norm="gnmt", alpha=0.7, stop="full"),
    "beam bound": replace(BEAM, length_norm="gnmt", alpha=0.7, stop="bound"),
    "beam first": replace(BEAM, width=4, stop="first"),
    "beam with coverage": replace(BEAM, coverage_penalty=0.3, n_best=2),
    "beam with rules": replace(
        BEAM, min_steps=2, repetition_penalty=0.8, no_repeat=2, prefix=(2,), banned=(3,)
    ),
    "beam by length": replace(BEAM, limit=1, factor=1.0),
    "beam wider than the vocabulary": replace(BEAM, width=12, n_best=12, limit=2),
    "beam of one": replace(BEAM, width=1, n_best=1),
    "sample": Sample(6),
    "sample sharpened": Sample(6, temperature=0.7, top_k=4, top_p=0.9, min_steps=1),
    "sample with rules": Sample(6, prefix=(3,), no_repeat=1, repetition_penalty=1.2),
}
SOME = (
    "state alone", "additive after", "coverage before", "location fed", "monotonic after",
    "copy", "lstm both ways", "before and fed", "multi_head after", "words to tokens",
)  # fmt: skip
SEEDS = [3, -1, 2**62, 7]


def found_by(model: Model, rows: list[dict[str, Any]], seeds: list[int]) -> Texts:
    inputs = doubled(batched(model.plan, rows, extra=1, filler=1.0))
    texts = model.answers(inputs, torch.tensor(seeds))[column(model.plan)]
    assert isinstance(texts, Texts)
    return texts


def tokens(texts: Texts) -> list[list[tuple[int, ...]]]:
    """Each answer without what is past its end, which holds END_ID."""
    found = []
    for numbers, lengths in zip(texts.numbers.tolist(), texts.lengths.tolist(), strict=True):
        assert all(not any(n[k:]) for n, k in zip(numbers, lengths, strict=True))
        found.append([tuple(n[:k]) for n, k in zip(numbers, lengths, strict=True)])
    return found


@pytest.mark.parametrize("how", SEARCHES)
@pytest.mark.parametrize("name", SOME)
def test_every_search_agrees_with_the_reference(name: str, how: str) -> None:
    given_plan = with_search(plan(name), SEARCHES[how])
    model, weights = model_of(given_plan), strong_weights(given_plan, size=0.9)
    rows = random_rows(given_plan, LENGTHS)
    expected = answers(given_plan, weights, rows, SEEDS)[column(given_plan)]
    texts = found_by(model, rows, SEEDS)
    assert tokens(texts) == [list(one.tokens) for one in expected]
    scores = torch.tensor([one.scores for one in expected], dtype=torch.float64)
    torch.testing.assert_close(texts.scores.double(), scores, atol=1e-5, rtol=1e-6)
    for number, one in enumerate(expected):
        told = one.attention[0]
        if texts.attention is None or told is None:
            continue
        length = len(one.tokens[0])
        shown = texts.attention[number, :length, : told.shape[1]].numpy()
        np.testing.assert_allclose(shown, told[:length], atol=1e-6)
        assert not texts.attention[number, length:].any()


@pytest.mark.parametrize("how", SEARCHES)
def test_a_row_is_answered_alike_alone_and_among_others(how: str) -> None:
    given_plan = with_search(plan("additive after"), SEARCHES[how])
    model, rows = model_of(given_plan), random_rows(given_plan, (4, 9, 0, 2, 6))
    seeds = [*SEEDS, 12]
    together = found_by(model, rows, seeds)
    for number, (row, seed) in enumerate(zip(rows, seeds, strict=True)):
        alone = found_by(model, [row], [seed])
        assert tokens(alone)[0] == tokens(together)[number]
        pair = alone.scores[0].double(), together.scores[number].double()
        torch.testing.assert_close(*pair, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", SPECS)
@torch.no_grad()
def test_scores_are_those_of_rescoring(name: str) -> None:
    """The sum of the log-probabilities that `forward` gives, of all answers of a beam."""
    given_plan = with_search(plan(name), BEAM)
    model, rows = model_of(given_plan), random_rows(given_plan, LENGTHS)
    texts = found_by(model, rows, SEEDS)
    inputs = doubled(batched(given_plan, rows))
    for best in range(texts.numbers.shape[1]):
        truth = with_ends(texts.numbers[:, best], texts.lengths[:, best], BEAM.limit)
        forward = model(inputs, {column(given_plan): truth})[column(given_plan)]
        chances = forward.log_softmax(-1).gather(2, truth.clamp(min=0)[..., None])[..., 0]
        total = chances.masked_fill(truth < 0, 0.0).sum(1)
        torch.testing.assert_close(texts.scores[:, best].double(), total, atol=1e-5, rtol=1e-6)


def with_ends(numbers: Tensor, lengths: Tensor, limit: int) -> Tensor:
    """Answers as targets: with the end mark, but for those that were cut at the limit."""
    truth = torch.nn.functional.pad(numbers, (0, 1), value=END_ID)
    places = torch.arange(truth.shape[1])
    ends = lengths + (lengths < limit).long()
    return truth.masked_fill(places >= ends[:, None], -1)


@pytest.mark.parametrize("name", SOME)
def test_a_beam_of_one_is_greedy(name: str) -> None:
    for norm, stop in product(("none", "average", "gnmt"), ("best", "bound", "full", "first")):
        narrow = Beam(6, length_norm=norm, alpha=0.6, stop=stop)  # type: ignore[arg-type]
        rows = random_rows(plan(name), LENGTHS)
        weights = strong_weights(plan(name), seed=4)
        pair = [
            found_by(model_of(with_search(plan(name), each), weights), rows, SEEDS)
            for each in (narrow, Greedy(limit=6))
        ]
        assert tokens(pair[0]) == tokens(pair[1])
        torch.testing.assert_close(pair[0].scores, pair[1].scores)


def tiny(search: Search) -> Plan:
    """Three tokens and the end mark."""
    data = {**SPECS["additive after"]}
    data["data"] = {**data["data"], "output": [{"column": "out_words", "as": "words"}]}
    return with_search(plan_of(data)[0], search)


@pytest.mark.parametrize("norm", ["none", "average", "gnmt"])
@torch.no_grad()
def test_a_beam_as_wide_as_the_space_finds_the_best_there_is(norm: Any) -> None:
    limit = 4
    search = Beam(limit, width=3**limit, n_best=4, length_norm=norm, alpha=0.8, stop="bound")
    given_plan = tiny(search)
    model, rows = model_of(given_plan), random_rows(given_plan, (4, 2, 0))
    texts = found_by(model, rows, [0, 0, 0])
    every = [
        (*answer, END_ID) for length in range(limit) for answer in product((2, 3, 4), repeat=length)
    ]
    inputs = doubled(batched(given_plan, rows))
    values = []
    for answer in every:
        truth = torch.tensor([answer]).expand(len(rows), -1)
        forward = model(inputs, {column(given_plan): truth})[column(given_plan)]
        chance = forward.log_softmax(-1).gather(2, truth[..., None])[..., 0].sum(1)
        steps = len(answer)
        divisor = {"none": 1.0, "average": steps, "gnmt": ((5 + steps) / 6) ** 0.8}[norm]
        values.append(chance / divisor)
    order = torch.stack(values, 1).sort(dim=1, descending=True, stable=True).indices[:, :4]
    expected = [[every[int(i)][:-1] for i in row] for row in order]
    assert tokens(texts) == expected


@given(
    st.lists(st.lists(st.sampled_from([-np.inf, 0.0, 0.5, 1.0, 2.0]), min_size=6, max_size=6)),
    st.integers(1, 6),
)
@settings(max_examples=60)
def test_the_largest_are_the_first_of_equal_ones(rows: list[list[float]], count: int) -> None:
    values = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    found, places = top(values, count)
    for row, numbers, where in zip(rows, found.tolist(), places.tolist(), strict=True):
        order = sorted(range(6), key=lambda place: -row[place])[:count]
        assert numbers == [row[place] for place in order]
        real = [place for place in order if row[place] > -np.inf]
        assert where[: len(real)] == real


def test_draws_follow_the_probabilities() -> None:
    chances = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log().double()
    u = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    every = drawn(Sample(), chances.expand(1000, -1), u)
    assert torch.bincount(every, minlength=4).tolist() == [100, 200, 300, 400]
    two = drawn(Sample(top_k=2), chances.expand(1000, -1), u)
    assert torch.bincount(two, minlength=4).tolist()[:2] == [0, 0]
    assert abs(torch.bincount(two, minlength=4)[3].item() - 571) <= 1
    most = drawn(Sample(top_p=0.69), chances.expand(1000, -1), u)
    assert torch.bincount(most, minlength=4).tolist()[:2] == [0, 0]
    cold = drawn(Sample(temperature=0.01), chances.expand(1000, -1), u)
    assert cold.eq(3).all()


def test_nothing_excluded_is_ever_chosen() -> None:
    search = Greedy(min_steps=3, banned=(4,), no_repeat=1)
    rules = Rules(search)
    history = torch.tensor([[-1, 2], [3, 5]])
    open_to = rules.allowed(torch.zeros(2, 6), history, 2) > -torch.inf
    assert open_to.tolist() == [
        [False, False, False, True, False, True],
        [False, False, True, False, False, False],
    ]


def test_only_rules_that_look_back_keep_the_history() -> None:
    assert not Rules(Greedy(banned=(2,), min_steps=3)).history
    assert Rules(Greedy(no_repeat=2)).history
    assert Rules(Greedy(repetition_penalty=1.1)).history


def prompted(cell: str, search: Search) -> Plan:
    """The writer of a language model that also reads a category."""
    layers = [{"cell": cell, "units": 4}] * 2
    spec = spec_data("N:N", ["chars", "category"], [{"column": "chars", "as": "next"}], layers)
    return generation(plan_of(spec)[0], search)


@pytest.mark.parametrize("how", ["greedy", "rules", "beam", "beam with rules", "sample"])
@pytest.mark.parametrize(("cell", "whole"), [("lstm", True), ("slstm", True), ("gru", False)])
def test_an_answer_goes_on_from_prompts_of_any_length(cell: str, whole: bool, how: str) -> None:
    """Of a language model, and of a decoder that reads the mark before the prompt."""
    given_plan = prompted(cell, SEARCHES[how])
    nodes = (
        replace(n, whole_prompt=whole) if isinstance(n, Decoder) else n for n in given_plan.nodes
    )
    given_plan = replace(given_plan, nodes=tuple(nodes))
    (out,) = given_plan.outputs
    assert isinstance(out, TextOutput) and out.prompt
    model, weights = model_of(given_plan), strong_weights(given_plan, size=0.9)
    rows = random_rows(given_plan, (4, 0, 7, 2))
    expected = answers(given_plan, weights, rows, SEEDS)[out.column]
    texts = found_by(model, rows, SEEDS)
    assert tokens(texts) == [list(one.tokens) for one in expected]
    scores = torch.tensor([one.scores for one in expected], dtype=torch.float64)
    torch.testing.assert_close(texts.scores.double(), scores, atol=1e-5, rtol=1e-6)
