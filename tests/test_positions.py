"""Answers that are steps of the row: the best pair, the loss, the metrics, the data, the text;
and lists of steps that a decoder points at."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnspec.data import encode, survey
from rnnspec.data.reading import Reading
from rnnspec.errors import DataError
from rnnspec.evaluate.metrics import PointerMetrics, PositionMetrics
from rnnspec.evaluate.metrics.positions import overlap_f1
from rnnspec.objective.losses import position_loss
from rnnspec.plan import Plan, PositionFacts, resolve
from rnnspec.plan.facts_file import read_facts, write_facts
from rnnspec.plan.nodes import Pointer
from rnnspec.reference import answers, raw_outputs
from rnnspec.run.interface import OutputColumn
from rnnspec.run.results import answers_of
from rnnspec.run.session import Session
from rnnspec.spec import Spec
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.to_torch.pointers import Pointer as PointerModule
from rnnspec.to_torch.positions import best_pairs
from rnnspec.to_torch.search import Texts
from rnnspec.to_torch.sequences import Lengths, PaddedSequence
from tests.data_rows import write_rows
from tests.decoders import points
from tests.kinds import batched, output, plan_of, random_rows, spec_data, strong_weights


@pytest.mark.parametrize("longest", [0, 1, 2, 3, 9])
def test_the_best_pair_is_the_best_of_all(longest: int) -> None:
    """By trying all pairs of scores that are often equal; some choices are none at all."""
    draw = np.random.default_rng(longest)
    first, last = (np.log(draw.integers(0, 4, (200, 6)) / 4 + 1e-9) for _ in range(2))
    first[:, 4:], last[:, 4:] = -np.inf, -np.inf
    found = torch.stack(best_pairs(torch.tensor(first), torch.tensor(last), longest), 1)
    for one, two, pair in zip(first, last, found.tolist(), strict=True):
        legal = [(0, 0)] + [
            (s, e) for e in range(1, 6) for s in range(1, e + 1) if not longest or e - s < longest
        ]
        assert tuple(pair) == max(legal, key=lambda p: (one[p[0]] + two[p[1]], -p[1], -p[0]))


def test_the_loss_is_the_surprise_of_both_ends() -> None:
    scores = torch.tensor([[[0.0, 1.0], [2.0, 0.0], [-torch.inf, -torch.inf]]] * 2)
    targets = torch.tensor([[1, 0], [-1, -1]])
    by_hand = np.log(1 + np.exp(-2)) + np.log(1 + np.exp(-1))
    assert position_loss(scores, targets).tolist() == pytest.approx([by_hand, 0.0])


def squad_f1(answer: Sequence[str], true: Sequence[str]) -> float:
    """As the evaluation script of SQuAD 2.0 has it, of tokens."""
    if not answer or not true:
        return float(answer == true)
    same = sum((Counter(answer) & Counter(true)).values())
    if not same:
        return 0.0
    precision, recall = same / len(answer), same / len(true)
    return 2 * precision * recall / (precision + recall)


def test_f1_is_that_of_squad() -> None:
    """Of a row whose tokens differ, so that tokens in common are steps in common."""
    words = ["a", "b", "c", "d", "e"]
    spans = [(0, 0)] + [(s, e) for s in range(1, 6) for e in range(s, 6)]

    def tokens(pair: tuple[int, int]) -> list[str]:
        return words[pair[0] - 1 : pair[1]] if pair[0] else []

    pairs = [(one, two) for one in spans for two in spans]
    found = overlap_f1(*(torch.tensor([pair[side] for pair in pairs]) for side in (0, 1)))
    expected = [squad_f1(tokens(one), tokens(two)) for one, two in pairs]
    np.testing.assert_allclose(found.numpy(), expected)


def test_metrics_by_hand() -> None:
    """Right, one step of two, none in place of a span, and one that is left out."""
    sums = PositionMetrics(2)
    told = torch.tensor([[1, 2], [2, 2], [0, 0], [1, 1]])
    true = torch.tensor([[1, 2], [2, 3], [1, 1], [-1, -1]])
    sums.add(told, true, torch.zeros(4, dtype=torch.bool))
    assert sums.values() == {
        "exact_match": pytest.approx(1 / 3), "token_f1": pytest.approx((1 + 2 / 3) / 3)
    }  # fmt: skip
    sums.add(told, true, torch.tensor([True, False, False, False]))
    assert all(np.isnan(value) for value in sums.values().values())


def spec_of(train: str, target: dict[str, Any], **data: Any) -> Spec:
    found: dict[str, Any] = spec_data("N:1", ["chars"], [target])
    found["data"] |= {"train": train, **data}
    return Spec.model_validate(found)


def choices(spec: Spec, file: Path, cache: Path) -> list[list[int]]:
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    data = encode(plan, facts, file, Reading.of(spec), cache, "all")
    found: list[list[int]] = data.collate(np.arange(data.rows)).targets["at"].tolist()
    return found


def test_cells_of_every_form(tmp_path: Path) -> None:
    """None is choice 0, step j choice j + 1, and what is left out -1; in CSV too, also of two
    columns."""
    cells: list[dict[str, Any]] = [{"chars": "abc", "at": 2}, {"chars": "ab", "at": 0}]
    rows = [*cells, {"chars": "", "at": None}]
    write_rows(tmp_path / "one.jsonl", rows)
    target = {"column": "at", "as": "position", "none": True}
    assert choices(spec_of("one.jsonl", target), tmp_path / "one.jsonl", tmp_path) == [
        [3],
        [1],
        [0],
    ]
    target = {"column": "at", "as": "position", "missing": "skip"}
    assert choices(spec_of("one.jsonl", target), tmp_path / "one.jsonl", tmp_path) == [
        [3],
        [1],
        [-1],
    ]
    (tmp_path / "two.csv").write_text('chars,at\nabc,"[0, 2]"\nab,"[1, 1]"\n')
    target = {"column": "at", "as": "span"}
    assert choices(spec_of("two.csv", target), tmp_path / "two.csv", tmp_path) == [[1, 3], [2, 2]]
    (tmp_path / "apart.csv").write_text("chars,from,to\nabc,0,2\nab,1,1\n")
    spec = spec_of("apart.csv", target, table={"join": {"at": ["from", "to"]}})
    assert choices(spec, tmp_path / "apart.csv", tmp_path) == [[1, 3], [2, 2]]
    (tmp_path / "none.csv").write_text("chars,from,to\nabc,0,2\nab,,\n")
    for rule, choice in ({"none": True}, 0), ({"missing": "skip"}, -1):
        spec = spec_of("none.csv", {**target, **rule}, table={"join": {"at": ["from", "to"]}})
        assert choices(spec, tmp_path / "none.csv", tmp_path) == [[1, 3], [choice] * 2]
    (tmp_path / "half.csv").write_text("chars,from,to\nabc,0,2\nab,,1\n")
    with pytest.raises(DataError, match="column 'at' is empty, expected a number; write both ends"):
        survey(
            spec_of("half.csv", {**target, "none": True}, table=spec.data.table),
            tmp_path / "half.csv",
        )


@pytest.mark.parametrize(
    ("kind", "cell", "expected"),
    [
        ("position", 3, "column 'at' is step 3, counted from 0, and the row has 3 steps"),
        ("position", None, "column 'at' is null, expected the number of a step, from 0; where"),
        ("position", 1.5, "column 'at' is the number 1.5, expected the number of a step"),
        ("position", -1, "column 'at' is -1, and steps are counted from 0; with 'none: true' in"),
        ("position", 10**30, "column 'at' is 1e+30, counted from 0, and no row has so many steps"),
        ("span", [0, 3], "column 'at' is step 3, counted from 0, and the row has 3 steps"),
        ("span", [2, 1], "column 'at' begins at step 2 and ends before it, at step 1"),
        ("span", [1], "column 'at' is a list of 1, expected the first and the last step"),
        ("span", [0, True], "column 'at' entry 2 is true, expected a list of the numbers"),
    ],
)
def test_wrong_cells_are_told(kind: str, cell: object, expected: str, tmp_path: Path) -> None:
    first = {"chars": "ab", "at": 0 if kind == "position" else [0, 1]}
    write_rows(tmp_path / "rows.jsonl", [first, {"chars": "abc", "at": cell}])
    with pytest.raises(DataError) as caught:
        survey(spec_of("rows.jsonl", {"column": "at", "as": kind}), tmp_path / "rows.jsonl")
    assert f"rows.jsonl:2: {expected}" in str(caught.value)


def test_facts_are_read_back(tmp_path: Path) -> None:
    spec = spec_of("rows.jsonl", {"column": "at", "as": "span"})
    rows = [{"chars": "abc", "at": [0, 2]}, {"chars": "ab", "at": [1, 1]}]
    write_rows(tmp_path / "rows.jsonl", rows)
    facts = survey(spec, tmp_path / "rows.jsonl")
    assert facts.outputs["at"] == PositionFacts(3, 2.0, 1.0)
    write_facts(tmp_path, facts)
    assert read_facts(tmp_path) == facts


@pytest.mark.parametrize(("kind", "glue"), [("words", " "), ("chars", ""), ("tokens", " ")])
def test_the_text_is_that_of_the_steps(kind: str, glue: str) -> None:
    """Of a batch of rows of unequal lengths, among them an empty one."""
    plan, facts = plan_of(spec_data("N:1", [kind], [output("span"), output("no_position")]))
    weights, rows = strong_weights(plan, size=2.0), random_rows(plan, (5, 1, 0, 3))
    known = facts.inputs[kind].vocabulary.entries  # type: ignore[union-attr]
    texts = [["?" if n < 2 else known[n - 2] for n in row[kind]] for row in rows]
    feeds: dict[str, Any] = {kind: np.array([glue.join(row) for row in texts], object)}
    if kind == "tokens":
        padded = [[*row, *[""] * (5 - len(row))] for row in texts]
        feeds = {kind: np.array(padded, object), "tokens.lengths": np.array([5, 1, 0, 3])}
    session = Session(to_onnx(plan, facts, weights).SerializeToString(), threads=1)
    got, expected = session.run(feeds), answers(plan, weights, rows)
    for column in ("span", "no_position"):
        pairs = zip(texts, expected[column], strict=True)
        told = [glue.join(row[one.choices[0] - 1 : one.choices[-1]]) for row, one in pairs]
        none = [one.choices[0] == 0 for one in expected[column]]
        wanted = ["" if nothing else text for text, nothing in zip(told, none, strict=True)]
        assert got[f"{column}.text"].tolist() == wanted, json.dumps(texts)
    assert got["span"][2].tolist() == [-1, -1] and got["no_position"][2] == -1


@pytest.mark.parametrize("kind", ["position", "span"])
def test_a_row_of_no_steps_alone_is_told(kind: str) -> None:
    """Whose batch has no steps at all: it is certain that there is no position."""
    column = OutputColumn("at", "position" if kind == "position" else "span", 1)
    marks = () if kind == "position" else (2,)
    results = {"at": np.full((1, *marks), -1), "at.probabilities": np.zeros((1, 0, *marks))}
    (answer,) = answers_of(column, results, [0])
    assert answer == {"at": -1 if kind == "position" else [-1, -1], "at.probability": 1.0}


# ---------------------------------------------------------------- pointers


def test_the_scores_of_a_pointer_by_hand() -> None:
    """One unit, one number a step: tanh(q + w m + b) of each step, and of the learned end."""
    plan, _ = plan_of(points())
    node = next(each for each in plan.every_node() if isinstance(each, Pointer))
    module = PointerModule(replace(node, memory_width=1, query_width=1, units=1))
    for name, value in {"W_q": 1.0, "W_m": 2.0, "b": 0.5, "v": 3.0, "end": -0.25}.items():
        getattr(module, name).data.fill_(value)
    steps = torch.tensor([[[1.0], [0.5]], [[-1.0], [9.0]]])
    memory = PaddedSequence(steps, Lengths(torch.tensor([2, 1]), 2))
    found = module(torch.tensor([[[0.1], [0.2]]]), module.steps(memory))[0].tolist()
    first = [3 * np.tanh(0.1 - 0.25), 3 * np.tanh(0.1 + 2.5), 3 * np.tanh(0.1 - 1.5)]
    assert [found[0][0], *found[0][2:]] == pytest.approx(first)
    assert found[1][2] == pytest.approx(3 * np.tanh(0.2 + 1.5))
    assert found[0][1] == found[1][1] == found[1][3] == -np.inf


def scored(plan: Plan, weights: Any, row: Any, answer: Sequence[int]) -> float:
    """ln p of an answer and its end, one step after another."""
    (out,) = plan.outputs
    truth = [*answer, 0]
    raw = raw_outputs(plan, weights, [row], [{out.column: truth}])[out.column][0]
    logs = raw - np.logaddexp.reduce(raw, axis=1, keepdims=True)
    return float(sum(step[number] for step, number in zip(logs, truth, strict=True)))


def test_a_wide_beam_finds_the_best_of_all_answers_without_repeats() -> None:
    """By the probability of every ordered choice of the steps of a row, `once`."""
    strategy = {"beam": {"width": 40, "n_best": 5, "length_norm": "none", "stop": "full"}}
    plan, _ = plan_of(points("positions_once", strategy=strategy, max_steps=9))
    weights = strong_weights(plan, seed=4, size=1.5)
    model = Model(plan).eval()
    model.load_canonical(weights)
    for row in random_rows(plan, (3, 1, 0)):
        steps = range(2, 2 + len(row["frames"]))
        every = [each for count in range(len(steps) + 1) for each in permutations(steps, count)]
        best = sorted(every, key=lambda each: -scored(plan, weights, row, each))[:5]
        found = model.answers(batched(plan, [row]))["positions_once"]
        assert isinstance(found, Texts)
        pairs = zip(found.numbers[0].tolist(), found.lengths[0].tolist(), strict=True)
        told = [tuple(numbers[:length]) for numbers, length in pairs]
        assert told[: len(best)] == best
        values = [scored(plan, weights, row, each) for each in best]
        np.testing.assert_allclose(found.scores[0, : len(best)].tolist(), values, rtol=1e-4)


def test_places_of_lists_by_hand() -> None:
    """Right; the second of three wrong; one too few; nothing, as it should be."""
    sums = PointerMetrics()
    true = torch.tensor([[2, 3, 0, -1], [4, 3, 2, 0], [2, 3, 0, -1], [0, -1, -1, -1]])
    sums.add([[2, 3], [4, 2, 2], [2], []], true, [False] * len(true))
    assert sums.values() == {"exact_match": 0.5, "place_accuracy": 5 / 7}


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ([0, 3], "column 'at' is step 3, counted from 0, and the row has 3 steps"),
        ([0, -1], "column 'at' entry 2 is -1, and steps are counted from 0; an empty list says"),
        ([2**64], "column 'at' entry 1 is 1.84467440737e+19, counted from 0, and no row has so"),
        ([1, 1], "column 'at' has step 1 twice, and the spec says 'once: true'"),
        ("01", "column 'at' is the text '01', expected a list of the numbers of steps"),
    ],
)
def test_wrong_lists_are_told(cell: object, expected: str, tmp_path: Path) -> None:
    first = {"chars": "ab", "at": [1, 0]}
    write_rows(tmp_path / "rows.jsonl", [first, {"chars": "abc", "at": cell}])
    target = {"column": "at", "as": "positions", "once": True}
    decoder = {"layers": [{"cell": "gru", "units": 4}]}
    found: dict[str, Any] = spec_data("N:M", ["chars"], [target], decoder=decoder)
    found["data"]["train"] = "rows.jsonl"
    with pytest.raises(DataError) as caught:
        survey(Spec.model_validate(found), tmp_path / "rows.jsonl")
    assert f"rows.jsonl:2: {expected}" in str(caught.value)
