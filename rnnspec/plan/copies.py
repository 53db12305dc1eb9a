"""Numbers of tokens that an answer may copy: its vocabulary, extended by a row's own source.

A token of the source that the vocabulary lacks has a number of its own in that row, `size` + j:
`size` is the size of the vocabulary, and j is the first step of the source, from 0, with the same
token (See et al. 2017, Get To The Point, section 2.2). Tokens are compared as they are in the file:
split by the kind of the column, before `fold_case`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rnnspec.plan.facts import UNKNOWN_ID, Vocabulary
from rnnspec.plan.nodes import CopiesInput, Plan, TextOutput, WrittenOutput


def source_numbers(
    tokens: Sequence[str], vocabulary: Vocabulary, banned: Collection[str] = ()
) -> list[int]:
    """The number of each token of a source; ~number for a `banned` one that the vocabulary lacks.

    `vocabulary` is the vocabulary of the answer.
    """
    size, first, found = len(vocabulary), dict[str, int](), list[int]()
    for step, (token, number) in enumerate(zip(tokens, vocabulary.numbers(tokens), strict=True)):
        if number == UNKNOWN_ID:
            number = size + first.setdefault(token, step)
            number = ~number if token in banned else number
        found.append(number)
    return found


def answer_numbers(
    tokens: Sequence[str], source: Sequence[str], vocabulary: Vocabulary
) -> list[int]:
    """The number of each token of an answer to a row with this `source`; the unknown for a token
    that neither vocabulary nor source has."""
    numbers = vocabulary.numbers(tokens)
    if UNKNOWN_ID not in numbers:
        return numbers
    size, first = len(vocabulary), dict[str, int]()
    for step, token in enumerate(source):
        first.setdefault(token, size + step)
    pairs = zip(tokens, numbers, strict=True)
    return [first.get(t, n) if n == UNKNOWN_ID else n for t, n in pairs]


def copied_column(plan: Plan, node: WrittenOutput) -> str:
    """The input column whose tokens may be copied into the answer; "" if there is none."""
    if not isinstance(node, TextOutput) or not node.copies:
        return ""
    source = plan.node(node.copies)
    assert isinstance(source, CopiesInput), f"{node.name} copies from {source.name}"
    return source.column


def named(entries: Sequence[str], numbers: Iterable[int], source: Sequence[str]) -> tuple[str, ...]:
    """The tokens of an answer: numbers below the number of `entries` are entries, the others are
    steps of the `source`."""
    size = len(entries)
    return tuple(entries[n] if n < size else source[n - size] for n in numbers)
