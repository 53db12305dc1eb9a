"""Truth is what stands in the file: a text that the model cannot write is wrong, whatever it is
encoded as, and rows have the same input only where their cells are equal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import jiwer
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

import rnnspec
from rnnspec.data import Batch, Dataset, Reading, encode, survey
from rnnspec.errors import DataError
from rnnspec.evaluate.metrics import TextMetrics
from rnnspec.evaluate.outputs.kind import MeasuredBatch
from rnnspec.evaluate.outputs.texts import TextScores
from rnnspec.evaluate.score import Scores, evaluate_build
from rnnspec.objective.objective import Forward
from rnnspec.plan import resolve
from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from rnnspec.plan.nodes import TextOutput
from rnnspec.report.model import AlignedExamples, Examples, Generated, SpanExamples, TagExamples
from rnnspec.spec import Output
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import Trained, read_build
from rnnspec.to_torch.search import Texts
from rnnspec.train.build import Result, build
from tests.tiny import GRU, SPECS, WRITER, spec_of, write_data

DECODER: Mapping[str, Any] = WRITER["decoder"]  # type: ignore[assignment]
GREEDY = {**WRITER, "decoder": {**DECODER, "strategy": "greedy"}}
ONE, SIX = "one two three four five", "six seven eight nine ten"


def write(file: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return file


def sacrebleu(answers: list[str], *references: list[str]) -> tuple[float, float]:
    """BLEU of words and chrF, from 0 to 1; the first references of all, then the second."""
    each = list(map(list, references))
    bleu = BLEU(tokenize="none", force=True).corpus_score(answers, each)
    return bleu.score / 100, CHRF().corpus_score(answers, each).score / 100


# ---------------------------------------------------------------- a model that says one thing


@pytest.fixture(scope="module")
def same_answer(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A build whose model answers ONE to everything, measured on inputs that training lacks."""
    folder = tmp_path_factory.mktemp("raw")
    train = [{"x": x, "y": ONE} for _ in range(40) for x in "abc"]
    write(folder / "train.jsonl", [*train, {"x": "z", "y": SIX}])
    true = {"λ": ONE, "μ": SIX, "ν": SIX}
    write(folder / "valid.jsonl", [{"x": x, "y": y} for x, y in true.items()])
    spec = spec_of(
        "N:M",
        {"column": "x", "as": "chars"},
        {"column": "y", "as": "words"},
        GREEDY,
        {"epochs": 4, "batch": 8, "optimizer": {"adam": {"lr": 0.03}}},
    )
    spec["train"]["early_stopping"] = {"metric": "chrf", "patience": 9}
    (folder / "spec.yaml").write_text(json.dumps(spec))  # JSON is YAML
    return build(load_spec(folder / "spec.yaml"), folder / "builds", Silent())


def test_unlike_inputs_that_are_encoded_alike_have_texts_of_their_own(same_answer: Result) -> None:
    """By sacrebleu BLEU is 33.3 and chrF 40.4, in reports and while training."""
    scores = evaluate_build(read_build(same_answer.folder))
    (examples,) = (s for s in scores.outputs["y"].sections if isinstance(s, Examples))
    assert {one.answered for one in examples.examples} == {ONE}
    expected = sacrebleu([ONE] * 3, [ONE, SIX, SIX])
    assert expected == pytest.approx((0.333333, 0.404), abs=5e-5)
    assert scores.metrics["bleu"] == pytest.approx(expected[0])
    assert scores.metrics["chrf"] == pytest.approx(expected[1])
    assert scores.metrics["exact_match"] == pytest.approx(1 / 3)
    assert scores.metrics["error_rate"] == jiwer.wer([ONE, SIX, SIX], [ONE] * 3)
    kept = same_answer.folder.measured(same_answer.best_epoch)
    assert (kept["bleu"], kept["chrf"]) == pytest.approx(expected)


def test_wrong_answers_of_a_report_are_those_of_the_file(same_answer: Result) -> None:
    scores = evaluate_build(read_build(same_answer.folder))
    (examples,) = (s for s in scores.outputs["y"].sections if isinstance(s, Examples))
    shown = {one.place: (one.input, one.expected, one.right) for one in examples.examples}
    assert shown == {
        "line 1": ("λ", ONE, True),
        "line 2": ("μ", SIX, False),
        "line 3": ("ν", SIX, False),
    }


def test_a_true_word_that_the_model_lacks_stays_what_it_is(
    same_answer: Result, tmp_path: Path
) -> None:
    """By sacrebleu chrF is 0.4405, not that of the text `<unknown>`."""
    long = "one two three four supercalifragilistic"
    file = write(tmp_path / "long.jsonl", [{"x": "a", "y": long}])
    scores = evaluate_build(read_build(same_answer.folder), file)
    expected = sacrebleu([ONE], [long])
    assert expected[1] == pytest.approx(0.4405, abs=5e-5)
    assert (scores.metrics["bleu"], scores.metrics["chrf"]) == pytest.approx(expected)
    assert scores.metrics["exact_match"] == 0
    assert scores.metrics["error_rate"] == jiwer.wer([long], [ONE]) == 0.2
    (examples,) = (s for s in scores.outputs["y"].sections if isinstance(s, Examples))
    assert [one.expected for one in examples.examples] == [long]


def test_a_missing_text_is_refused_and_an_empty_one_is_a_text(
    same_answer: Result, tmp_path: Path
) -> None:
    trained = read_build(same_answer.folder)
    file = write(tmp_path / "null.jsonl", [{"x": "a", "y": ONE}, {"x": "a", "y": None}])
    with pytest.raises(DataError, match=r"null.jsonl:2: column 'y' is null, expected a text"):
        evaluate_build(trained, file)
    file = write(tmp_path / "empty.jsonl", [{"x": "a", "y": ONE}, {"x": "b", "y": ""}])
    (tmp_path / "empty.csv").write_text(f"x,y\na,{ONE}\nb,\n")
    for each in (file, tmp_path / "empty.csv"):
        metrics = evaluate_build(trained, each).metrics
        expected = sacrebleu([ONE, ONE], [ONE, ""])
        assert metrics["chrf"] == pytest.approx(expected[1])
        assert metrics["exact_match"] == 0.5
        assert metrics["error_rate"] == jiwer.wer([ONE, ""], [ONE, ONE]) == 1.0
        assert "bleu" not in metrics, "2.5 words on average"


# ---------------------------------------------------------------- which rows have the same input

ALIKE: list[tuple[Mapping[str, Any], Sequence[Any]]] = [
    # an input, cells that are encoded alike
    ({"as": "words"}, ["x a", "y a"]),
    ({"as": "words"}, ["a x", "a  x"]),
    ({"as": "chars"}, ["xa", "ya"]),
    ({"as": "chars", "fold_case": True}, ["ab", "aB"]),
    ({"as": "subwords", "size": 300}, ["\u03bb", "\u03bc"]),
    ({"as": "tokens"}, [["x"], ["y"]]),
    ({"as": "category"}, ["x", "y"]),
    ({"as": "frames"}, [[[16777216.0, 1.0]], [[16777217.0, 1.0]]]),
    ({"as": "keys"}, [[["a", "x"]], [["a"]]]),
    ({"as": "vector"}, [[0.1], [0.1 + 1e-12]]),
]
KNOWN = {
    "words": "a b",
    "chars": "abAB",
    "subwords": "ab",
    "tokens": ["a", "b"],
    "category": "a",
    "frames": [[1.0, 2.0]],
    "keys": [["a", "b"]],
    "vector": [1.0],
}


def dataset(
    folder: Path, input: Any, output: Any, train: Sequence[Any], valid: Sequence[Any]
) -> tuple[TextOutput, tuple[str, ...], Dataset]:
    """The output's node, the names of its tokens, and the rows of `valid`, measured."""
    cardinality = "1:N" if input[0]["as"] in ("category", "vector") else "N:M"
    more = {**WRITER, "decoder": {k: v for k, v in DECODER.items() if k != "attention"}}
    if cardinality == "1:N":
        more.pop("encoder")
    spec = dict(spec_of(cardinality, {"as": "frames"}, output, more))
    spec["data"] = {**spec["data"], "input": input if len(input) > 1 else input[0]}
    (folder / "spec.yaml").write_text(json.dumps(spec))
    loaded = load_spec(folder / "spec.yaml").spec
    facts = survey(loaded, write(folder / "train.jsonl", train))
    plan, file = resolve(loaded, facts), write(folder / "valid.jsonl", valid)
    reading, cache = Reading.of(loaded), folder / "cache"
    (node,) = plan.outputs
    assert isinstance(node, TextOutput)
    entries = facts.outputs[output["column"]].vocabulary.entries  # type: ignore[union-attr]
    data = encode(plan, facts, file, reading, cache, measured=True)
    return node, ("<end>", "<unknown>", *entries), data


@pytest.mark.parametrize(("kind", "cells"), ALIKE)
def test_inputs_that_are_encoded_alike_are_told_apart(
    tmp_path: Path, kind: Mapping[str, Any], cells: Sequence[Any]
) -> None:
    train = [{"x": KNOWN[kind["as"]], "y": "a b"}]
    rows = [{"x": cell, "y": "a b"} for cell in (*cells, cells[0])]
    output = {"column": "y", "as": "words"}
    _, _, data = dataset(tmp_path, [{"column": "x", **kind}], output, train * 2, rows)
    batch = data.collate(np.arange(3))
    assert batch.raw is not None
    for values, _ in batch.inputs.values():
        np.testing.assert_array_equal(values[0], values[1])
    asked = [batch.raw.input_digest(row) for row in range(3)]
    assert asked[0] == asked[2] != asked[1]


def test_rows_have_the_same_input_where_all_columns_are_equal(tmp_path: Path) -> None:
    inputs = [{"column": "x", "as": "words"}, {"column": "who", "as": "category"}]
    train = [{"x": "a", "who": "p", "y": "a"}] * 2
    rows = [
        {"x": x, "who": who, "y": "a"}
        for x, who in (("a", "p"), ("a", None), ("a", "p"), ("a", "q"))
    ]
    output = {"column": "y", "as": "words"}
    _, _, data = dataset(tmp_path, inputs, output, train, rows)
    raw = data.collate(np.arange(4)).raw
    assert raw is not None
    asked = [raw.input_digest(row) for row in range(4)]
    assert asked[0] == asked[2] and len(set(asked)) == 3
    assert [raw.input("who", row) for row in range(4)] == [("p",), (), ("p",), ("q",)]


# ---------------------------------------------------------------- random answers, by other hands

KINDS = {"words": " ", "chars": "", "tokens": " "}
known = st.sampled_from("abc")
token = st.one_of(known, st.sampled_from("λμν"))  # of which the model has none of the latter
pairs = st.lists(
    st.tuples(
        st.sampled_from(["k", "l", "λ", "μ"]),
        st.lists(known, max_size=7),
        st.lists(token, max_size=7),
    ),
    min_size=1,
    max_size=8,
)


def answered(names: Sequence[str], answers: Sequence[Sequence[str]]) -> Texts:
    longest = max(map(len, answers))
    numbers = torch.zeros(len(answers), 1, longest, dtype=torch.int64)
    for row, tokens in zip(numbers, answers, strict=True):
        row[0, : len(tokens)] = torch.tensor([names.index(t) for t in tokens], dtype=torch.int64)
    lengths = torch.tensor([[len(tokens)] for tokens in answers])
    return Texts(numbers, lengths, torch.zeros(len(answers), 1))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25)
@given(drawn=pairs)
def test_metrics_of_texts_are_those_of_sacrebleu_and_jiwer(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    drawn: list[tuple[str, list[str], list[str]]],
) -> None:
    """Of random answers to true texts with tokens that the model lacks, and to empty ones."""
    glue = KINDS[kind]

    def cell(tokens: list[str]) -> Any:
        return tokens if kind == "tokens" else glue.join(tokens)

    train = [{"x": "k l", "y": cell(["a", "b", "c"])}]
    rows = [{"x": x, "y": cell(true)} for x, _, true in drawn]
    folder = tmp_path_factory.mktemp("random")
    output = {"column": "y", "as": kind}
    node, names, data = dataset(folder, [{"column": "x", "as": "words"}], output, train * 2, rows)
    batch = data.collate(np.arange(len(drawn)))
    texts = answered(names, [answer for _, answer, _ in drawn])
    metrics, corpus = TextMetrics(), TextScores(node, names)
    metrics.add_texts([[names.index(t) for t in a] for _, a, _ in drawn], targets_of(batch))
    corpus.see(MeasuredBatch(batch, Forward({}, {}, {}, {}, {}), {"y": texts}))
    found = metrics.values() | corpus.values()

    answers = [glue.join(answer) for _, answer, _ in drawn]
    true = [glue.join(tokens) for _, _, tokens in drawn]
    assert found["exact_match"] == sum(map(str.__eq__, answers, true)) / len(drawn)
    if any(true):
        rate = jiwer.cer if kind == "chars" else jiwer.wer
        assert found["error_rate"] == pytest.approx(rate(true, answers))
    each = [list(dict.fromkeys(t for t, (x, _, _) in zip(true, drawn, strict=True) if x == asked))
            for asked, _, _ in drawn]  # fmt: skip
    most = max(map(len, each))
    references: list[list[Any]] = [
        [of[n] if n < len(of) else None for of in each] for n in range(most)
    ]
    assert found["chrf"] == pytest.approx(CHRF().corpus_score(answers, references).score / 100)
    if kind != "chars" and sum(map(len, (t for _, _, t in drawn))) >= 4 * len(drawn):
        expected = BLEU(tokenize="none", force=True).corpus_score(answers, references).score / 100
        assert found["bleu"] == pytest.approx(expected)
    elif kind != "chars":
        assert "bleu" not in found


@pytest.mark.parametrize("kind", ["words", "positions"])
def test_drawn_answers_are_measured_as_a_file_gives_them(kind: str, tmp_path: Path) -> None:
    """Rows of the same input have draws of their own, those of their numbers in the file."""
    true: list[Any] = ["a b c a"] * 8 if kind == "words" else [[1, 2, 0]] * 8
    rows = [{"x": [[1.0], [2.0], [0.5]], "y": each} for each in true]
    layer = {"layers": [{"cell": "gru", "units": 6}]}
    decoder = {**layer, "strategy": {"sample": {"temperature": 2.0}}, "max_steps": 5}
    more = {"encoder": layer, "decoder": decoder}
    spec = spec_of("N:M", {"column": "x", "as": "frames"}, {"column": "y", "as": kind}, more)
    del spec["data"]["train"], spec["data"]["valid"]
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))
    loaded = rnnspec.load(tmp_path / "spec.yaml")
    made = loaded.build(tmp_path / "builds", data={"train": rows}, train=False)
    answers = [each["y"] for each in made.predict(rows)]
    assert len({str(each) for each in answers}) > 2
    found = made.evaluate(rows).metrics
    if kind == "words":
        assert found["error_rate"] == pytest.approx(jiwer.wer(true, answers))
    else:
        hits = sum(got[n] == true[0][n] for got in answers for n in range(min(3, len(got))))
        assert hits and found["place_accuracy"] == pytest.approx(hits / (3 * len(answers)))


def targets_of(batch: Batch) -> torch.Tensor:
    return torch.from_numpy(batch.targets["y"])


def test_of_a_text_by_characters_bleu_is_that_of_its_words(tmp_path: Path) -> None:
    true = ["a b, cλ abc b", "c a b a ν."]
    answers = ["a b, ca abc b", "c a b a c."]
    train = [{"x": "k", "y": "abc ,."}] * 2
    rows = [{"x": x, "y": y} for x, y in zip("kl", true, strict=True)]
    output = {"column": "y", "as": "chars"}
    node, names, data = dataset(tmp_path, [{"column": "x", "as": "words"}], output, train, rows)
    corpus = TextScores(node, names)
    texts = answered(names, answers)
    batch = data.collate(np.arange(2))
    corpus.see(MeasuredBatch(batch, Forward({}, {}, {}, {}, {}), {"y": texts}))
    expected = BLEU(tokenize="13a").corpus_score(answers, [true]).score / 100
    assert 0 < expected < 1 and corpus.values()["bleu"] == pytest.approx(expected)


# ---------------------------------------------------------------- unseen values, of every kind

NEVER = 60.0
"""Added to the score of the unknown: the model answers nothing else."""
UNSEEN = "\u03bb\u03bc"
WALK: dict[str, tuple[Any, Any, str]] = {
    # kind: input, output, and the column that gets values which training lacks
    "class": ({"column": "text", "as": "words"}, {"column": "first", "as": "class"}, "first"),
    "labels": ({"column": "text", "as": "words"}, {"column": "kinds", "as": "labels"}, "kinds"),
    "tags": ({"column": "tokens", "as": "tokens"}, {"column": "tags", "as": "tags"}, "tags"),
    "keys": ({"column": "tokens", "as": "tokens"}, {"column": "chords", "as": "keys"}, "chords"),
    "words": ({"column": "text", "as": "words"}, {"column": "back", "as": "words"}, "back"),
    "chars": ({"column": "text", "as": "words"}, {"column": "back", "as": "chars"}, "back"),
    "tokens": ({"column": "text", "as": "words"}, {"column": "tokens", "as": "tokens"}, "tokens"),
    "next words": ({"column": "text", "as": "words"}, {"column": "text", "as": "next"}, "text"),
    "next chars": (
        {"column": "text", "as": "chars", "fold_case": True},
        {"column": "text", "as": "next"},
        "text",
    ),
    "next tokens": (
        {"column": "tokens", "as": "tokens"},
        {"column": "tokens", "as": "next"},
        "tokens",
    ),
    "next subwords": (
        {"column": "text", "as": "subwords", "size": 300},
        {"column": "text", "as": "next"},
        "text",
    ),
}
CARDINALITY = {"class": "N:1", "labels": "N:1", "tags": "N:N", "keys": "N:N", "next": "N:N"}
NUMBERS = {"number", "vector", "frames", "forecast", "position", "span", "positions", "ordinal"}
"""Kinds of which no value is unseen; a label without a place in the order is refused."""
RIGHT = ("accuracy", "token_accuracy", "exact_match", "micro_f1", "macro_f1", "bleu", "chrf")


def test_every_kind_of_output_is_walked() -> None:
    kinds = {
        each
        for option in get_args(get_args(Output)[0])
        for each in get_args(option.model_fields["as_"].annotation)
    }
    assert {name.split()[0] for name in WALK} | NUMBERS == kinds - {"states"}


@pytest.mark.parametrize("name", WALK)
def test_what_training_lacks_is_never_right(tmp_path: Path, name: str) -> None:
    """All true values are new, and the model answers the unknown wherever it may: all is wrong."""
    input, output, column = WALK[name]
    write_data(tmp_path)
    kind = name.split()[0]
    writes = kind in ("words", "chars", "tokens")
    spec = spec_of(CARDINALITY.get(kind, "N:M"), input, output, GREEDY if writes else GRU)
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))
    result = build(load_spec(tmp_path / "spec.yaml"), tmp_path / "builds", Silent(), train=False)
    trained = answering_unknown(read_build(result.folder))
    rows = [json.loads(line) for line in (tmp_path / "valid.jsonl").read_text().splitlines()]
    new = [{**row, column: _unseen(row[column])} for row in rows]
    file = write(tmp_path / "new.jsonl", new)
    assert_all_wrong(evaluate_build(trained, file))


def answering_unknown(trained: Trained) -> Trained:
    """With weights that make the unknown the most probable of all tokens."""
    weights = {key: np.array(value) for key, value in trained.weights.items()}
    for key in ("answer.b", "decoder.scores.b"):
        if key in weights:
            weights[key][UNKNOWN_ID] += NEVER
    return replace(trained, weights=weights)


def _unseen(cell: Any) -> Any:
    if isinstance(cell, list):
        parts = [_unseen(each) for each in cell]
        return [f"{each}{at}" if isinstance(each, str) else each for at, each in enumerate(parts)]
    return " ".join(UNSEEN for _ in cell.split())


def assert_all_wrong(scores: Scores) -> None:
    (score,) = scores.outputs.values()
    for metric in RIGHT:
        # The end of a text, and the spaces between words, are tokens that the model has.
        assert scores.metrics.get(metric, 0.0) == 0.0, metric
    assert sum(each.hits for each in score.classes) == 0
    if "error_rate" in scores.metrics:
        assert scores.metrics["error_rate"] >= 1
    for section in score.sections:
        if isinstance(section, Examples):
            assert not any(one.right for one in section.examples)
        if isinstance(section, TagExamples):
            assert all(t != f for one in section.examples
                       for t, f in zip(one.true, one.answered, strict=True))  # fmt: skip
        if isinstance(section, SpanExamples):
            assert not any({*one.true} & {*one.answered} for one in section.examples)
        if isinstance(section, AlignedExamples):
            assert not any(t.token == f.token for one in section.examples
                           for t in one.true for f in one.answered)  # fmt: skip


def test_perplexity_of_what_training_lacks_is_that_of_the_unknown(tmp_path: Path) -> None:
    """As the docstring says: the unknown is the only token that may stand for it."""
    write_data(tmp_path)
    spec = SPECS["next"]
    (tmp_path / "spec.yaml").write_text(json.dumps(spec))
    result = build(load_spec(tmp_path / "spec.yaml"), tmp_path / "builds", Silent(), train=False)
    file = write(tmp_path / "new.jsonl", [{"text": "λμνλμνλμν"}])
    metrics = evaluate_build(answering_unknown(read_build(result.folder)), file).metrics
    # Eight of nine tokens are unknown and nearly certain; the ninth, the end, is nearly impossible.
    assert metrics["bits"] == pytest.approx(NEVER / np.log(2) / 9, rel=0.05)
    assert metrics["accuracy"] == 0


def test_a_prompt_is_shown_as_it_stands_in_the_file(tmp_path: Path) -> None:
    write_data(tmp_path)
    (tmp_path / "spec.yaml").write_text(json.dumps(SPECS["next"]))
    result = build(load_spec(tmp_path / "spec.yaml"), tmp_path / "builds", Silent(), train=False)
    file = write(tmp_path / "new.jsonl", [{"text": "one λμν one"}])
    (score,) = evaluate_build(read_build(result.folder), file).outputs.values()
    (generated,) = (s for s in score.sections if isinstance(s, Generated))
    assert {one.prompt for one in generated.generations} == {"one λ"}


def test_raw_texts_of_many_batches_are_those_of_their_rows(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(list("abλμ "), size=draw.integers(0, 9))) for _ in range(300)]
    rows = [{"x": f"k{n}", "y": text} for n, text in enumerate(texts)]
    output = {"column": "y", "as": "words"}
    input = [{"column": "x", "as": "words"}]
    _, _, data = dataset(tmp_path, input, output, [{"x": "k", "y": "a b"}] * 2, rows)
    for start, end in pairwise([0, 7, 130, 300]):
        order = draw.permutation(np.arange(start, end))
        raw = data.collate(order).raw
        assert raw is not None
        for row, number in enumerate(order.tolist()):
            assert raw.truth("y", row) == tuple(texts[number].split())
            assert raw.input("x", row) == (f"k{number}",)


def test_targets_end_where_the_text_does(tmp_path: Path) -> None:
    """Numbers and raw tokens of a row go together, one to one."""
    output = {"column": "y", "as": "words"}
    rows = [{"x": "k", "y": "a λ b"}, {"x": "k", "y": ""}]
    input = [{"column": "x", "as": "words"}]
    _, names, data = dataset(tmp_path, input, output, [{"x": "k", "y": "a b"}] * 2, rows)
    batch = data.collate(np.arange(2))
    assert [names[n] for n in batch.targets["y"][0]] == ["a", "<unknown>", "b", "<end>"]
    assert batch.targets["y"][1].tolist() == [END_ID, -1, -1, -1]
    assert batch.raw is not None
    assert [batch.raw.truth("y", row) for row in range(2)] == [("a", "λ", "b"), ()]
