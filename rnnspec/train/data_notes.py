"""Notes on the data of a build before training: a sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import Dataset
from rnnspec.data.collate import BatchColumn, Nested, PerRow, ReverseSteps, Steps, Texts
from rnnspec.data.decode import words
from rnnspec.plan import Facts, Plan
from rnnspec.plan.facts import UNKNOWN_ID, TextFacts
from rnnspec.plan.nodes import (
    CategoriesInput,
    CategoryInput,
    NestedInput,
    TokensInput,
    WrittenOutput,
)
from rnnspec.report.words import plural

BLOCK = 1 << 22
"""Numbers that are counted at once."""
Labelled = CategoryInput | CategoriesInput
Named = TokensInput | NestedInput | Labelled | WrittenOutput
"""Nodes that have a vocabulary."""
_NAMES = {"words": "words", "chars": "characters", "tokens": "tokens", "subwords": "subwords"}


def data_notes(plan: Plan, facts: Facts, valid: Dataset | None) -> Iterator[str]:
    """Notes on the vocabularies, and on the validation rows if there are any."""
    for node in _texts(plan):
        known = facts.inputs if node in plan.inputs else facts.outputs
        yield from _with_white_space(node, known[node.column])
        yield from _of_vectors(node, known[node.column])
    if valid is not None:
        for node in _texts(plan):
            yield from _unknown(node, valid)


def history_note(history: int, train: Dataset) -> str | None:
    """Of windows that read at most `history` steps, that all training series have fewer before
    their answer: each gives one window, however many steps it has."""
    if train.series is None:
        return None
    longest = int((train.ends - train.series.first).max())
    if history <= longest:
        return None
    return (
        f"data.series.history is {history:,}, and no training series has more than"
        f" {plural(longest, 'step')} before the last ones, which are answered: each series gives"
        f" one window, and {plural(train.rows, 'window')} in all; a lower history gives more"
    )


def _texts(plan: Plan) -> Iterator[Named]:
    """The nodes that have a vocabulary, but for bytes, which are all known."""
    for node in (*plan.inputs, *plan.outputs):
        if isinstance(node, TokensInput) and node.kind == "bytes":
            continue
        if isinstance(node, Named):
            yield node


def _with_white_space(node: Named, known: object) -> Iterator[str]:
    """Tokens that hold white space, as if they were several."""
    if isinstance(node, Labelled) or node.kind != "tokens":
        return
    assert isinstance(known, TextFacts)
    entries = known.vocabulary.entries
    found = [entry for entry in entries if words(entry) != [entry]]
    if found:
        has = "holds" if len(found) == 1 else "hold"
        yield (
            f"{len(found):,} of the {len(entries):,} tokens of {node.column!r} {has} white space,"
            f" as {found[0]!r} does: each is one token, as the list has it"
        )


def _of_vectors(node: Named, known: object) -> Iterator[str]:
    """How many words have a vector from a file."""
    if not isinstance(known, TextFacts) or known.vectors is None:
        return
    of, file = known.vectors, PurePath(known.vectors.source.file).name
    yield (
        f"{of.found:,} of the {of.words:,} words of {node.column!r} have a vector in {file}"
        f" ({percent(of.found, of.words)} %), and {of.more:,} more are known by it"
    )
    if of.left_out:
        yield f"{file}: words left out, as they are no UTF-8 or stood before: {of.left_out:,}"


def _unknown(node: Named, valid: Dataset) -> Iterator[str]:
    """Tokens and labels of the validation rows that are not in the vocabulary."""
    answers = isinstance(node, WrittenOutput)
    view = valid.targets[node.column] if isinstance(node, WrittenOutput) else valid.inputs[node.key]
    values = _numbers(view, valid)
    starts = range(0, len(values), BLOCK)
    count = sum(int(np.count_nonzero(values[at : at + BLOCK] == UNKNOWN_ID)) for at in starts)
    if count:
        what = "labels" if isinstance(node, Labelled) else _NAMES[node.kind]
        are = "are empty, or not" if isinstance(node, CategoriesInput) else "are not"
        how = "that answers are written with" if answers else "and are read as unknown"
        yield (
            f"validation rows: {count:,} of the {len(values):,} {what} of {node.column!r}"
            f" ({percent(count, len(values))} %) {are} in the vocabulary {how}"
        )


def percent(count: int, total: int) -> str:
    """A share in per cent: two digits below 10, else a whole number. 100 means all."""
    share = 100 * count / total
    if count < total and share > 99:
        return "more than 99"
    if share < 0.01:
        return "less than 0.01"
    return f"{share:.0f}" if share >= 9.95 else f"{share:.2g}"


def _numbers(view: BatchColumn, valid: Dataset) -> NDArray[Any]:
    """All numbers of a column of the data set."""
    assert isinstance(view, Nested | Steps | ReverseSteps | PerRow | Texts)
    if isinstance(view, PerRow) and valid.of_rows is not None:
        return view.values[valid.of_rows]
    return view.values
