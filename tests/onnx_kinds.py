"""Rows of every kind as an exported model takes them, and its answers beside the reference's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from rnnspec.plan import ClassFacts, Facts, Plan, TextFacts
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.plan.names import labels_of, lengths_name, output_names
from rnnspec.plan.nodes import (
    CategoryInput,
    CharactersInput,
    ClassOutput,
    ForecastOutput,
    KeysInput,
    LabelsOutput,
    NestedInput,
    NumericOutput,
    Output,
    TokensInput,
)
from rnnspec.run.feeds import inner_counts, padded_nested
from tests.answers import as_labels
from tests.kinds import STATICS, Row, feeds, random_rows

Answers = dict[str, NDArray[Any]]
FOREIGN = "zzz"
"""A word, token or label that is in no vocabulary."""
SIZES = {1: "a\n~", 2: "é߿", 3: "字ﷺ", 4: "😀\U0010ffff"}
"""Characters by the number of their bytes."""


def rows_of_texts(
    plan: Plan, facts: Facts, lengths: Sequence[int], seed: int = 0
) -> tuple[list[Row], list[dict[str, Any]]]:
    """Random rows as the reference takes them, and the texts, lists and labels that they are of."""
    draw, texts = default_rng(seed), []
    rows = random_rows(plan, lengths, seed)
    for row, length in zip(rows, lengths, strict=True):
        told: dict[str, Any] = {}
        for node in plan.inputs:
            known = facts.inputs[node.column]
            match node:
                case TokensInput(kind="bytes"):
                    text = _of_bytes(length, draw)
                    row[node.key] = np.frombuffer(text.encode(), np.uint8).astype(np.int64) + 2
                    told[node.column] = text
                case TokensInput():
                    assert isinstance(known, TextFacts)
                    tokens = [_entry(known, number, node.kind) for number in row[node.key]]
                    joint = {"words": " ", "chars": ""}.get(node.kind)
                    told[node.column] = tokens if joint is None else joint.join(tokens)
                    if known.characters is not None:
                        spelled = [known.characters.numbers(list(token)) for token in tokens]
                        row[f"{node.column}.characters"] = spelled
                case NestedInput():
                    assert isinstance(known, TextFacts)
                    joint = {"words": " ", "chars": ""}.get(node.kind)
                    told[node.column] = _told(known, node.kind, joint, node.levels, row[node.key])
                case CategoryInput():
                    assert isinstance(known, TextFacts)
                    told[node.column] = _entry(known, row[node.key], "words")
                case KeysInput():
                    assert isinstance(known, ClassFacts)
                    told[node.column] = [
                        [*(known.labels[key] for key in np.flatnonzero(step)), FOREIGN]
                        for step in row[node.key]
                    ]
        texts.append(told)
    return rows, texts


def _told(known: TextFacts, kind: str, joint: str | None, levels: int, steps: Any) -> list[Any]:
    if levels > 1:
        return [_told(known, kind, joint, levels - 1, step) for step in steps]
    tokens = [[_entry(known, n, kind) for n in step] for step in steps]
    return tokens if joint is None else list(map(joint.join, tokens))


def _entry(known: TextFacts, number: int, kind: str) -> str:
    if number == UNKNOWN_ID:
        return "\uffff" if kind == "chars" else FOREIGN
    return known.vocabulary.entries[number - 2]


def _of_bytes(length: int, draw: Generator) -> str:
    """A text of so many bytes."""
    found = ""
    while left := length - len(found.encode()):
        found += str(draw.choice(list(SIZES[int(draw.integers(1, min(left, 4) + 1))])))
    return found


def text_feeds(
    plan: Plan,
    rows: Sequence[Row],
    texts: Sequence[dict[str, Any]],
    extra: int = 0,
    filler: float = 0.0,
) -> dict[str, Any]:
    """The rows in one batch for a model that takes texts; past each length "?" if filled."""
    found = {
        name: value
        for name, value in feeds(plan, rows, extra, filler).items()
        if not name.endswith((".ids", ".lengths", ".characters"))
    }
    steps = max(1, *(len(_of_steps(row)) for row in rows)) + extra
    past = "?" if filler else ""
    for node in plan.inputs:
        cells = [told.get(node.column) for told in texts]
        match node:
            case NestedInput(levels=levels) if levels > 1:
                given = [[*cell, *[[]] * (steps - len(cell))] for cell in cells if cell is not None]
                found |= inner_counts(node.column, given, levels)
                deep = levels + (node.kind == "tokens")
                if node.kind == "tokens":
                    given = _as_long(given, deep)
                found[node.column] = padded_nested(given, deep, past, object)
            case TokensInput(kind="tokens") | NestedInput(kind="words" | "chars"):
                padded = [[*(cell or []), *[past] * (steps - len(cell or []))] for cell in cells]
                found[node.column] = np.array(padded, object)
            case TokensInput() | CategoryInput():
                found[node.column] = np.array(cells, object)
            case KeysInput() | NestedInput():
                most = max((len(step) for cell in cells for step in cell or []), default=0)
                value = np.full((len(rows), steps, most), past, object)
                for cell, into in zip(cells, value, strict=True):
                    into[: len(cell or [])] = ""
                    for step, labels in enumerate(cell or []):
                        into[step, : len(labels)] = labels
                found[node.column] = value
            case CharactersInput():
                pass
    if name := lengths_name(plan, False):
        found[name] = np.array([len(_of_steps(row)) for row in rows], np.int64)
    return found


def _as_long(given: Any, levels: int) -> Any:
    """Lists of tokens, so many levels down, all as long as the longest: "" past their ends."""
    found = list(given)
    for _ in range(levels - 1):
        found = [each for list_ in found for each in list_]
    most = max(map(len, found), default=0)

    def filled(value: Any, level: int) -> Any:
        if level == 0:
            return [*value, *[""] * (most - len(value))]
        return [filled(each, level - 1) for each in value]

    return filled(given, levels)


def _of_steps(row: Row) -> Any:
    """What a row holds of its first sequence; all are as long."""
    return next((v for k, v in row.items() if _is_sequence(k)), [])


def _is_sequence(key: str) -> bool:
    return key not in STATICS and not key.endswith(".future")


def check_answers(plan: Plan, facts: Facts, got: Answers, wanted: dict[str, Any]) -> None:
    """The model's answers are those of the reference, with nothing past the lengths."""
    labelled = [
        node.column for node in plan.outputs if isinstance(node, ClassOutput | LabelsOutput)
    ]
    names = {column: labels_of(facts, column) for column in labelled}
    got = {**got, **as_labels(plan, got, names)}
    for node in plan.outputs:
        _check(plan, facts, node, got, wanted[node.column])


def _check(plan: Plan, facts: Facts, node: Output, got: Answers, wanted: Any) -> None:
    name, *others = output_names(plan, node, False)
    if isinstance(node, ForecastOutput):
        parts = [got[name][..., None], *(got[other] for other in others)]
        if node.distribution == "quantiles":
            nearest = min(range(len(node.quantiles)), key=lambda q: abs(node.quantiles[q] - 0.5))
            np.testing.assert_array_equal(got[name], got[others[0]][..., nearest])
            parts = parts[1:]
        parts = [part.reshape(*part.shape[:2], -1) for part in parts]
        np.testing.assert_allclose(np.concatenate(parts, axis=-1), wanted, rtol=1e-4, atol=1e-4)
        return
    assert isinstance(node, ClassOutput | LabelsOutput | NumericOutput)
    numbers = got[name if isinstance(node, NumericOutput) else others[0]]
    for row, expected in enumerate(wanted):
        expected = np.reshape(expected, numbers.shape[1:]) if not node_steps(node) else expected
        own = numbers[row][: len(expected)] if node_steps(node) else numbers[row]
        np.testing.assert_allclose(own, expected, rtol=1e-4, atol=2e-5)
        if node_steps(node):
            assert not numbers[row][len(expected) :].any(), "0 past the length"
        if isinstance(node, NumericOutput):
            continue
        labels = got[name][row]
        if node_steps(node):
            assert not "".join(labels[len(expected) :].ravel().tolist()), "nothing past the length"
            labels = labels[: len(expected)]
        _check_labels(facts, node, labels, expected)


def node_steps(node: Output) -> bool:
    return bool(getattr(node, "steps", False))


def _check_labels(
    facts: Facts, node: ClassOutput | LabelsOutput, labels: Any, shares: NDArray[Any]
) -> None:
    names = labels_of(facts, node.column)
    if isinstance(node, ClassOutput):
        expected = np.array(names, object)[np.argmax(shares, axis=-1)]
    else:
        expected = np.where(shares > np.asarray(node.above), np.array(names, object), "")
    assert np.array_equal(labels, expected)
