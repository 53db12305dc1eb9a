"""Numbers of tokens that an answer may copy: its vocabulary, extended by a row's own source.

A token of the source that the vocabulary lacks has a number of its own in that row, `size` + j:
`size` is the size of the vocabulary, and j is the first step of the source, from 0, with the same
token (See et al. 2017, Get To The Point, section 2.2). Of several sources the row's own steps are
one after the other. Tokens are compared as they are in the file: split by the kind of the column,
before `fold_case`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rnnspec.plan.facts import UNKNOWN_ID, Vocabulary
from rnnspec.plan.nodes import CopiesInput, Plan, TextOutput, WrittenOutput


def source_numbers(
    tokens: Sequence[str],
    vocabulary: Vocabulary,
    banned: Collection[str] = (),
    before: Sequence[str] = (),
) -> list[int]:
    """The number of each token of a source; ~number for a `banned` one that the vocabulary lacks.

    `vocabulary` is the vocabulary of the answer, `before` the tokens of the sources before it.
    """
    size, first, found = len(vocabulary), dict[str, int](), list[int]()
    for step, token in enumerate(before):
        first.setdefault(token, step)
    pairs = zip(tokens, vocabulary.numbers(tokens), strict=True)
    for step, (token, number) in enumerate(pairs, start=len(before)):
        if number == UNKNOWN_ID:
            number = size + first.setdefault(token, step)
            number = ~number if token in banned else number
        found.append(number)
    return found


def answer_numbers(
    tokens: Sequence[str], source: Sequence[str], vocabulary: Vocabulary
) -> list[int]:
    """The number of each token of an answer to a row with this `source`, the tokens of all sources;
    the unknown for a token that neither vocabulary nor source has."""
    numbers = vocabulary.numbers(tokens)
    if UNKNOWN_ID not in numbers:
        return numbers
    size, first = len(vocabulary), dict[str, int]()
    for step, token in enumerate(source):
        first.setdefault(token, size + step)
    pairs = zip(tokens, numbers, strict=True)
    return [first.get(t, n) if n == UNKNOWN_ID else n for t, n in pairs]


def copied_inputs(plan: Plan, node: WrittenOutput) -> tuple[CopiesInput, ...]:
    """What may be copied into the answer, in the order of its numbers."""
    names = node.all_copies if isinstance(node, TextOutput) else ()
    return tuple(copies_of(plan, name) for name in names)


def copied_columns(plan: Plan, node: WrittenOutput) -> tuple[str, ...]:
    """The input columns whose tokens may be copied into the answer, in this order."""
    return tuple(source.column for source in copied_inputs(plan, node))


def copies_of(plan: Plan, name: str) -> CopiesInput:
    found = plan.node(name)
    assert isinstance(found, CopiesInput), f"{found.name} is nothing to copy"
    return found


def named(entries: Sequence[str], numbers: Iterable[int], source: Sequence[str]) -> tuple[str, ...]:
    """The tokens of an answer: numbers below the number of `entries` are entries, the others are
    steps of the `source`."""
    size = len(entries)
    return tuple(entries[n] if n < size else source[n - size] for n in numbers)
