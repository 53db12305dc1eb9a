"""Inputs on which an exported file must prove itself: every shape of batch, drawn by seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.decode import fold, words
from rnnspec.plan import Facts, NumericFacts, Plan, TextFacts
from rnnspec.plan.nodes import FramesInput, TokensInput, VectorInput

UNKNOWN_SHARE = 0.1
"""Share of probe tokens that stand in no vocabulary."""
MOST_STEPS = 200
"""Probes stay this short even where training rows were longer, so that the proof stays quick."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A batch in both forms: as the file takes it and as the trained module does.

    `text`: texts `[B]` by column, where the input is text; `padded`: values `[B, T]` or
    `[B, T, W]` and lengths `[B]` by column, with arbitrary values past the lengths, or vectors
    `[B, W]` with lengths of 1.
    """

    text: dict[str, list[str]]
    padded: dict[str, tuple[NDArray[np.generic], NDArray[np.int64]]]


def probes(plan: Plan, facts: Facts, seeds: int = 3) -> Iterator[Probe]:
    """Batches of 1 to 17 rows, 0 to more steps than any training row had; some rows empty."""
    for seed in range(seeds):
        draw = np.random.default_rng(seed)
        longest = min(MOST_STEPS, max(_longest(plan, facts), 2))
        for rows, steps in ((1, 1), (1, longest), (2, 3), (5, longest + 7), (17, longest), (3, 0)):
            lengths = draw.integers(0, steps + 1, rows)
            lengths[draw.integers(rows)] = steps
            yield _probe(plan, facts, lengths, draw)


def _longest(plan: Plan, facts: Facts) -> int:
    known = [facts.inputs[node.column] for node in plan.inputs]
    return max(k.longest for k in known if isinstance(k, TextFacts | NumericFacts))


def _probe(
    plan: Plan, facts: Facts, lengths: NDArray[np.int64], draw: np.random.Generator
) -> Probe:
    text: dict[str, list[str]] = {}
    padded: dict[str, tuple[NDArray[np.generic], NDArray[np.int64]]] = {}
    longest = max(1, int(lengths.max()))
    for node in plan.inputs:
        known = facts.inputs[node.column]
        if isinstance(node, FramesInput):
            assert isinstance(known, NumericFacts)
            frames = draw.normal(known.mean, known.deviation, (len(lengths), longest, node.width))
            if node.elapsed is not None:  # time does not run backwards
                frames[..., node.elapsed] = np.abs(frames[..., node.elapsed])
            padded[node.column] = (frames.astype(np.float32), lengths)
            continue
        if isinstance(node, VectorInput):
            assert isinstance(known, NumericFacts)
            vectors = draw.normal(known.mean, known.deviation, (len(lengths), node.width))
            padded[node.column] = (vectors.astype(np.float32), np.ones_like(lengths))
            continue
        assert isinstance(known, TextFacts)
        texts = [_text(node, known, length, draw) for length in lengths]
        numbers = draw.integers(0, node.size, (len(lengths), longest))
        for row, one in zip(numbers, texts, strict=True):
            tokens = _tokens(node, one)
            row[: len(tokens)] = known.vocabulary.numbers(tokens)
        text[node.column] = texts
        padded[node.column] = (numbers, lengths)
    return Probe(text, padded)


def _tokens(node: TokensInput, text: str) -> list[str]:
    """The tokens of a text, as training reads it."""
    if node.kind == "words":
        return words(text)
    return [fold(char) if node.fold_case else char for char in text]


def _text(node: TokensInput, known: TextFacts, length: int, draw: np.random.Generator) -> str:
    """A text of `length` tokens, some of them unknown, some in upper case if case is folded."""
    entries = known.vocabulary.entries
    unknown = _unknown(entries)
    tokens = []
    for _ in range(length):
        token = entries[draw.integers(len(entries))]
        if node.fold_case and draw.random() < 0.5 and fold(token.upper()) == token:
            token = token.upper()
        tokens.append(unknown if draw.random() < UNKNOWN_SHARE else token)
    if node.kind == "chars":
        return "".join(tokens)
    gaps = ["  " if draw.random() < 0.1 else " " for _ in tokens]
    return "".join(token + gap for token, gap in zip(tokens, gaps, strict=True))


def _unknown(entries: tuple[str, ...]) -> str:
    """A character, of a private plane, that is in no vocabulary of texts with a meaning."""
    return next(c for c in map(chr, range(0xF0000, 0xFFFFE)) if c not in entries)
