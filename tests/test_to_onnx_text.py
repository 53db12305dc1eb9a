"""Text in ONNX: the graph splits, folds and numbers texts as the data layer does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from rnnspec.data.decode import fold, words
from rnnspec.errors import ExportError
from rnnspec.plan import Facts, Plan, TextFacts
from rnnspec.plan.nodes import TokenKind
from rnnspec.reference import answers
from rnnspec.to_onnx import to_onnx
from tests.models import Arrays, frames_facts, frames_plan, random_weights
from tests.onnx_models import opened, text_facts, text_plan

WORDS = ["the", "Katze", "猫", "e\u0301t\u00e9", "a\u00a0b", "tab\there", ",", "<unknown>"]
CHARS = [*"abcdeß ıi猫", "é", "\u0301", "σ", "ǆ", "\u200d", "😀", "ö", "\t", "\n", "k"]
TEXTS = [
    "",
    " ",
    "     ",
    "the Katze",
    "  the   猫  ",
    "\tthe\n猫\u3000Katze\u00a0x",
    "e\u0301t\u00e9 \u00e9te\u0301",
    "a\u00a0b tab\there , <unknown>",
    "😀👨\u200d👩\u200d👧 😀",
    "ΣΊΣΥΦΟΣ σς",
    "STRASSE ẞ ß İI ı i",
    "Ǆ ǅ ǆ K Å Ω",
    "abcde" * 20,
    "\u200d\ufeff\u202e\ud7ff\ue000\U0010ffff",
]


def _numbers(facts: Facts, kind: TokenKind, folded: bool, text: str) -> list[int]:
    known = facts.inputs["text"]
    assert isinstance(known, TextFacts)
    tokens = words(text) if kind == "words" else [fold(c) if folded else c for c in text]
    return known.vocabulary.numbers(tokens)


def _setting(kind: TokenKind, folded: bool) -> tuple[Plan, Facts, Arrays]:
    entries = WORDS if kind == "words" else CHARS
    plan = text_plan(len(entries) + 2, kind, folded)
    return plan, text_facts(entries), random_weights(plan)


@pytest.mark.parametrize(("kind", "folded"), [("words", False), ("chars", False), ("chars", True)])
@pytest.mark.parametrize("opset", [20, 21])
@pytest.mark.parametrize("generic", [False, True])
def test_texts_are_read_as_the_data_layer_reads_them(
    kind: TokenKind, folded: bool, opset: int, generic: bool
) -> None:
    plan, facts, weights = _setting(kind, folded)
    session = opened(to_onnx(plan, facts, weights, generic=generic, opset=opset))
    rows = [{"text": np.array(_numbers(facts, kind, folded, text))} for text in TEXTS]
    expected = answers(plan, weights, rows)["mood"]
    labels, shares = session.run(None, {"text": np.array(TEXTS, object)})
    np.testing.assert_allclose(shares, expected, atol=1e-5)
    assert labels.tolist() == [("froh", "müde", "wütend")[i] for i in expected.argmax(axis=1)]
    for text, wanted in zip(TEXTS, expected, strict=True):
        (alone,) = session.run(["mood.probabilities"], {"text": np.array([text], object)})
        np.testing.assert_allclose(alone, [wanted], atol=1e-5)
    empty = session.run(None, {"text": np.array(["", ""], object)})[1]
    np.testing.assert_allclose(empty, expected[[0, 0]], atol=1e-5)


def test_every_code_point_is_folded_as_the_data_layer_folds_it() -> None:
    """All code points whose lower case is in the vocabulary, in one batch."""
    every = [chr(c) for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
    known = set(CHARS)
    texts = [char for char in every if fold(char) in known]
    assert len(texts) > len(CHARS)
    plan, facts, weights = _setting("chars", True)
    session = opened(to_onnx(plan, facts, weights))
    rows = [{"text": np.array(_numbers(facts, "chars", True, text))} for text in texts]
    shares = session.run(None, {"text": np.array(texts, object)})[1]
    np.testing.assert_allclose(shares, answers(plan, weights, rows)["mood"], atol=1e-5)


def _padded(numbers: list[list[int]], filler: int) -> dict[str, NDArray[np.int64]]:
    lengths = np.array([len(row) for row in numbers], np.int64)
    ids = np.full((len(numbers), int(lengths.max()) + 2), filler, np.int64)
    for row, into in zip(numbers, ids, strict=True):
        into[: len(row)] = row
    return {"text.ids": ids, "text.lengths": lengths}


@pytest.mark.parametrize("generic", [False, True])
def test_ids_in_place_of_text(generic: bool) -> None:
    plan, facts, weights = _setting("words", False)
    session = opened(to_onnx(plan, facts, weights, ids=True, generic=generic))
    assert [value.name for value in session.get_inputs()] == ["text.ids", "text.lengths"]
    numbers = [_numbers(facts, "words", False, text) for text in TEXTS]
    expected = answers(plan, weights, [{"text": np.array(row)} for row in numbers])["mood"]
    for filler in (0, len(WORDS) + 1):
        shares = session.run(None, _padded(numbers, filler))[1]
        np.testing.assert_allclose(shares, expected, atol=1e-5)
    for wrong in (-1, len(WORDS) + 2):
        with pytest.raises(Exception, match="out of data bounds"):
            session.run(None, _padded([[2, wrong]], 0))


def test_what_cannot_be_exported() -> None:
    plan, facts, weights = _setting("words", False)
    with pytest.raises(ExportError, match="opset 22 is not offered; choose one from 17 to 21"):
        to_onnx(plan, facts, weights, opset=22)
    wrong = {name: value for name, value in weights.items() if name != "hidden.0.b"}
    wrong["answer.W"] = weights["answer.W"].T
    with pytest.raises(ExportError, match=r"hidden\.0\.b is missing; answer\.W has shape \[6, 3\]"):
        to_onnx(plan, facts, wrong)


def _renamed(plan: Plan, columns: dict[str, str]) -> Plan:
    nodes = (
        replace(node, column=columns.get(node.column, node.column))  # type: ignore[call-arg]
        if hasattr(node, "column")
        else node
        for node in plan.nodes
    )
    return Plan(plan.name, plan.cardinality, tuple(nodes))


def test_a_column_that_is_input_and_output_is_answered_under_another_name() -> None:
    plan = _renamed(frames_plan(), {"frames": "label"})
    facts = Facts(1, {"label": frames_facts().inputs["frames"]}, frames_facts().outputs)
    session = opened(to_onnx(plan, facts, random_weights(plan)))
    names = [value.name for value in session.get_outputs()]
    assert names == ["label.answer", "label.answer.probabilities"]


def test_two_values_of_one_name_cannot_be_exported() -> None:
    plan = _renamed(frames_plan(), {"frames": "label.probabilities"})
    with pytest.raises(ExportError, match=r"would be called 'label\.probabilities'; rename"):
        to_onnx(plan, frames_facts(), random_weights(plan))
