"""Decoders in ONNX: rules of a search, texts, prompts, attention, batches at the edge.

What every cell, attention, bridge and strategy answers is held against the reference in
`tests/test_conformance_decoder.py`; here are the pairs of rules, and what only a file has.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from rnnspec.plan import Facts, Plan
from rnnspec.plan.generate import generation
from rnnspec.plan.nodes import Beam, Greedy, Sample, Search
from rnnspec.reference import answers
from rnnspec.to_onnx import to_onnx, weights_only
from tests.column_facts import LETTERS
from tests.decoders import decoded, with_search
from tests.kinds import feeds, plan_of, random_rows, spec_data, strong_weights
from tests.onnx_models import initializers, opened
from tests.texts import agree, every_answer, of_onnx, tasks

LENGTHS = (4, 0, 1, 6, 3)
SEEDS = (3, -1, 2**40, 7, -(2**63))
Feed = dict[str, NDArray[Any]]


def run(
    session: onnxruntime.InferenceSession, feed: Mapping[str, Any], seeds: Sequence[int]
) -> Feed:
    names = [each.name for each in session.get_inputs()]
    drawn = {"seed": np.array(seeds, np.int64)}
    inputs = {name: drawn[name] if name in drawn else feed[name] for name in names}
    outputs = [each.name for each in session.get_outputs()]
    return dict(zip(outputs, session.run(None, inputs), strict=True))


def check(plan: Plan, facts: Facts, seed: int = 0, attention: bool = False) -> None:
    """The file answers what the reference does, together and alone."""
    weights, rows = strong_weights(plan, seed, 1.0), random_rows(plan, LENGTHS, seed)
    (expected,) = answers(plan, weights, rows, SEEDS).values()
    searches = tasks(plan, weights, rows, SEEDS)
    session = opened(to_onnx(plan, facts, weights, ids=True, attention=attention))
    together = of_onnx(plan, run(session, feeds(plan, rows, 2, 3.7), SEEDS))
    for number, (row, one) in enumerate(zip(rows, expected, strict=True)):
        agree(
            searches[number],
            one,
            together[number],
            f"row {number} of the batch",
            attention=attention,
        )
        alone = run(session, feeds(plan, [row]), SEEDS[number : number + 1])
        agree(
            searches[number],
            one,
            of_onnx(plan, alone)[0],
            f"row {number} alone",
            attention=attention,
        )


RULES: dict[str, dict[str, Any]] = {
    "plain": {},
    "penalty": {"repetition_penalty": 1.8},
    "reward": {"repetition_penalty": 0.6},
    "no token twice": {"no_repeat": 1},
    "no pair twice": {"no_repeat": 2, "banned": (3,)},
    "prefix": {"prefix": (4, 4), "no_repeat": 1},
    "at least three": {"min_steps": 3, "banned": (2,)},
    "at least three, none twice": {"min_steps": 5, "no_repeat": 1, "repetition_penalty": 1.3},
    "only ends": {"banned": (2, 3, 4, 5, 6), "min_steps": 2},
    "of the length": {"limit": 0, "factor": 1.3},
    "prefix over the limit": {"limit": 1, "factor": 0.5, "prefix": (2, 3, 4)},
}
BEAM = Beam(limit=6, width=3, n_best=2, length_norm="average")
STRATEGIES: dict[str, Search] = {
    "greedy": Greedy(limit=6),
    "beam": BEAM,
    "whole beam": Beam(limit=6, width=4, n_best=4, stop="full"),
    "gnmt": Beam(limit=6, width=3, length_norm="gnmt", alpha=0.7, stop="first"),
    "covering": Beam(limit=6, width=3, n_best=2, coverage_penalty=0.5, stop="bound"),
    "sample": Sample(limit=6, temperature=1.3, top_k=5, top_p=0.9),
}


@pytest.mark.parametrize(("rule", "strategy"), list(product(RULES, STRATEGIES)))
def test_rules(rule: str, strategy: str) -> None:
    plan, facts = plan_of(decoded(attention="additive"))
    search = replace(STRATEGIES[strategy], **RULES[rule])
    check(with_search(plan, search), facts, seed=len(rule))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_prompts(strategy: str) -> None:
    """A language model writes on; repetition is looked for in the prompt too."""
    for kind, rule in product(("chars", "words"), ("plain", "no pair twice", "reward", "prefix")):
        if strategy == "covering":
            continue
        layers = [{"cell": "gru", "units": 4}, {"cell": "lstm", "units": 4, "skip": "residual"}]
        model, facts = plan_of(spec_data("N:N", [kind], [{"column": kind, "as": "next"}], layers))
        rules = {name: value for name, value in RULES[rule].items() if name != "banned"}
        check(generation(model, replace(STRATEGIES[strategy], **rules)), facts, seed=len(rule))


@pytest.mark.parametrize("kind", ["multi_head", "monotonic", "location"])
@pytest.mark.parametrize("n_best", [1, 2])
def test_weights_are_told(kind: str, n_best: int) -> None:
    plan, facts = plan_of(decoded(attention=kind if kind != "multi_head" else {kind: {"heads": 2}}))
    for search in (STRATEGIES["greedy"], replace(BEAM, n_best=n_best)):
        check(with_search(plan, search), facts, seed=n_best, attention=True)


@pytest.mark.parametrize("kind", ["chars", "words", "tokens"])
@pytest.mark.parametrize("n_best", [1, 2])
def test_texts(kind: str, n_best: int) -> None:
    """Texts in and out say what the numbers do."""
    plan, facts = plan_of(decoded((kind,), kind=f"out_{kind}", attention="general"))
    plan = with_search(plan, replace(BEAM, n_best=n_best))
    texts_say_what_numbers_do(plan, facts, kind, f"out_{kind}")


@pytest.mark.parametrize("kind", ["chars", "words", "tokens"])
@pytest.mark.parametrize("strategy", ["greedy", "beam"])
def test_texts_begin_with_their_prompt(kind: str, strategy: str) -> None:
    model, facts = plan_of(spec_data("N:N", [kind], [{"column": kind, "as": "next"}]))
    plan = generation(model, STRATEGIES[strategy])
    texts_say_what_numbers_do(plan, facts, kind, f"{kind}.answer", prompt=True)


def texts_say_what_numbers_do(
    plan: Plan, facts: Facts, kind: str, name: str, prompt: bool = False
) -> None:
    weights, rows = strong_weights(plan, 4, 1.0), random_rows(plan, LENGTHS, 4)
    known = facts.inputs[kind].vocabulary.entries  # type: ignore[union-attr]  # TextFacts
    entries = ["", "?", *known]
    given = [[entries[number] for number in row[kind]] for row in rows]
    joint = {"chars": "", "words": " "}.get(kind)
    numbers = run(opened(to_onnx(plan, facts, weights, ids=True)), feeds(plan, rows), SEEDS)
    feed: Feed = {kind: np.array([(joint or "").join(tokens) for tokens in given], object)}
    if joint is None:
        padded = [[*tokens, *[""] * (7 - len(tokens))] for tokens in given]
        lengths = np.array([len(tokens) for tokens in given])
        feed = {kind: np.array(padded, object), f"{kind}.lengths": lengths}
    texts = run(opened(to_onnx(plan, facts, weights)), feed, SEEDS)
    np.testing.assert_allclose(texts[f"{name}.scores"], numbers[f"{name}.scores"], atol=1e-6)
    for place in np.ndindex(texts[f"{name}.scores"].shape):
        length = numbers[f"{name}.lengths"][place]
        answered = [entries[n] for n in numbers[f"{name}.ids"][place][:length]]
        whole = (given[place[0]] if prompt else []) + answered
        told = texts[name][place]
        if joint is None:
            assert told.tolist() == [*whole, *[""] * (len(told) - len(whole))]
        else:
            assert told == joint.join(whole)


def test_a_beam_of_one_is_greedy() -> None:
    plan, facts = plan_of(decoded(attention="dot"))
    weights, rows = strong_weights(plan, 3, 1.0), random_rows(plan, LENGTHS, 3)
    feed = feeds(plan, rows)
    found = [
        run(opened(to_onnx(with_search(plan, s), facts, weights, ids=True)), feed, SEEDS)
        for s in (Greedy(limit=6), Beam(limit=6, width=1, length_norm="average"))
    ]
    for name, value in found[0].items():
        np.testing.assert_array_equal(value, found[1][name])


@pytest.mark.parametrize("norm", ["none", "average"])
def test_a_beam_as_wide_as_the_space_finds_the_best(norm: Any) -> None:
    """Two tokens beside the end mark: 1 + 2 + 4 answers that end within 3 steps, and 8 cut."""
    plan, facts = plan_of(decoded(attention="additive"))
    banned = tuple(range(4, len(LETTERS) + 2))
    search = Beam(limit=3, width=16, n_best=7, length_norm=norm, banned=banned, stop="full")
    plan = with_search(plan, search)
    weights, rows = strong_weights(plan, 2, 0.8), random_rows(plan, LENGTHS, 2)
    session = opened(to_onnx(plan, facts, weights, ids=True))
    got = of_onnx(plan, run(session, feeds(plan, rows), SEEDS))
    for task, told in zip(tasks(plan, weights, rows, SEEDS), got, strict=True):
        best = every_answer(task)[:7]
        assert [one.ended for one in best] == [True] * 7
        assert list(told.tokens) == [one.tokens for one in best]
        np.testing.assert_allclose(told.scores, [one.score for one in best], atol=1e-5)


def test_scores_do_not_depend_on_the_others() -> None:
    """Rows that end early leave the batch; the others answer as if nothing had happened."""
    layers = [{"cell": "lstm", "units": 4}]
    plan, facts = plan_of(decoded(attention="additive", layers=layers, start_from="dense"))
    search = Beam(limit=2, factor=2.0, width=3, min_steps=1)
    plan = with_search(plan, search)
    rows = random_rows(plan, [0, 9, 1, 5, 2, 7, 3, 1, 8, 4], 5)
    weights = strong_weights(plan, 5, 1.0)
    session = opened(to_onnx(plan, facts, weights, ids=True))
    _, lengths, scores = session.run(None, feeds(plan, rows))
    for number, row in enumerate(rows):
        _, length, score = session.run(None, feeds(plan, [row]))
        assert length[0] == lengths[number]
        np.testing.assert_allclose(score[0], scores[number], atol=1e-5)


def test_the_model_has_every_matrix_once() -> None:
    """Also where a prompt is read by a loop of its own; vectors may stand in each body."""
    model, facts = plan_of(spec_data("N:N", ["chars"], [{"column": "chars", "as": "next"}]))
    plan = generation(model, Greedy(limit=3))
    exported = to_onnx(plan, facts, strong_weights(plan), ids=True)
    names = initializers(exported)
    assert "layers.0.forward.U_z.transposed" in names
    assert len([name for name in names if ".of_token_" in name]) == 3  # the gates of a GRU
    matrices = [each.raw_data for each in names.values() if len(each.dims) > 1]
    assert len(matrices) == len({*matrices})


def test_many_tokens_are_computed_and_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, facts = plan_of(decoded(attention="additive", layers=[{"cell": "lstm", "units": 4}]))
    plan = with_search(plan, STRATEGIES["beam"])
    weights, rows = strong_weights(plan, 6, 1.0), random_rows(plan, LENGTHS, 6)
    found = []
    for most in (0, weights_only.MOST_NUMBERS):
        monkeypatch.setattr(weights_only, "MOST_NUMBERS", most)
        model = to_onnx(plan, facts, weights, ids=True)
        made = any(".of_token_" in name for name in initializers(model))
        assert made == bool(most)
        found.append(run(opened(model), feeds(plan, rows), SEEDS))
    np.testing.assert_array_equal(found[0]["out_chars.ids"], found[1]["out_chars.ids"])
    one, other = (each["out_chars.scores"] for each in found)
    np.testing.assert_allclose(one, other, atol=1e-5)


RISKY = """
import sys
from dataclasses import replace

import numpy as np

from rnnspec.to_onnx import to_onnx
from tests.decoders import decoded, with_search
from tests.kinds import plan_of, strong_weights
from tests.onnx_models import opened
from tests.test_to_onnx_decoder import EDGES, STRATEGIES

for strategy, batch, time, limit, ends, _ in EDGES:
    plan, facts = plan_of(decoded(attention="additive", attend="before"))
    plan = with_search(plan, replace(STRATEGIES[strategy], limit=limit))
    weights = strong_weights(plan)
    weights["decoder.scores.b"][0] = 50 if ends else -50
    session = opened(to_onnx(plan, facts, weights, ids=True, attention=True))
    feed = {"chars.ids": np.ones((batch, time), np.int64)}
    feed["chars.lengths"] = np.full(batch, time, np.int64)
    if strategy == "sample":
        feed["seed"] = np.zeros(batch, np.int64)
    try:
        found = session.run(None, feed)
    except Exception:
        print("refused")
    else:
        print([list(value.shape) for value in found], found[1].max())
"""
EDGES = (
    ("greedy", 0, 4, 6, False, "refused"),
    ("beam", 0, 4, 6, False, "refused"),
    ("sample", 0, 0, 6, False, "refused"),
    ("greedy", 3, 0, 6, False, "[[3, 6], [3], [3], [3, 6, 0]] 6"),
    ("whole beam", 3, 0, 6, False, "[[3, 4, 6], [3, 4], [3, 4], [3, 6, 0]] 6"),
    ("greedy", 3, 2, 1, False, "[[3, 1], [3], [3], [3, 1, 2]] 1"),
    ("gnmt", 3, 2, 1, False, "[[3, 1], [3], [3], [3, 1, 2]] 1"),
    ("greedy", 3, 2, 6, True, "[[3, 1], [3], [3], [3, 1, 2]] 0"),
    ("gnmt", 3, 2, 6, True, "[[3, 1], [3], [3], [3, 1, 2]] 0"),
    ("sample", 1, 1, 6, True, "[[1, 1], [1], [1], [1, 1, 1]] 0"),
)
"""Strategy, rows, steps, limit and whether all end at once; what is answered."""


def test_batches_at_the_edge() -> None:
    """In a process of their own: some versions of onnxruntime end theirs."""
    done = subprocess.run(
        [sys.executable, "-c", RISKY], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [case[-1] for case in EDGES]
