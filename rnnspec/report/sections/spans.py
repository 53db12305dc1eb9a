"""Texts with the spans that tags mark in them, right ones and wrong ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnnspec.report.html import NOTHING, Html, data, join, span, tag, words
from rnnspec.report.model import Span, SpanExample, SpanExamples
from rnnspec.report.words import cut, plural

_TOKENS = 160
"""Most tokens drawn of a row."""


def span_examples(section: SpanExamples) -> Html:
    if not section.examples:
        return words("No row was looked at.")
    right = join([tag("span", {"class": "tag found"}, words("✓ kind")), words("right")])
    wrong = tag("span", {"class": "tag off"}, words("✗ answered"))
    true = tag("span", {"class": "tag missed"}, words("true"))
    parts = (right, join([wrong, true, words("wrong: what was answered, then what is true")]))
    key = tag("p", {"class": "key"}, *(tag("span", {}, part) for part in parts))
    return join([key, *map(_row, section.examples)])


def _row(example: SpanExample) -> Html:
    every = (*example.true, *example.answered)
    if any(not 0 <= one.first < one.end <= len(example.tokens) for one in every):
        raise ValueError(f"spans of {example.place or 'a row'}: not within its tokens")
    true, answered = set(example.true), set(example.answered)
    parts = [f"{len(true & answered):,} of {plural(len(true), 'spans')} found"]
    if not true:
        parts = ["no span to find"]
    if answered - true:
        parts.append(f"{len(answered - true):,} that {_is(len(answered - true))} not there")
    good = true == answered
    said = f"{'✓' if good else '✗'} {', '.join(parts)}"
    place = join([words(" · "), span("quiet", example.place)]) if example.place else NOTHING
    head = tag("p", {}, span("better" if good else "worse", said), place)
    more = len(example.tokens) - _TOKENS
    left = span("none", f" … {plural(more, 'tokens')} more") if more > 0 else NOTHING
    text = tag("p", {"class": "spans", "dir": "auto"}, join(_parts(example)), left)
    return tag("article", {"class": "row"}, head, text)


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _parts(example: SpanExample) -> Iterator[Html]:
    """The text: tokens outside of spans, and the groups of spans that overlap."""
    at, joint = 0, words(example.joint)
    for first, end in groups((*example.true, *example.answered)):
        if first >= _TOKENS:
            break
        if at < first:
            yield join([_plain(example, at, first), joint])
        yield join([_group(example, first, end), joint])
        at = end
    if at < min(len(example.tokens), _TOKENS):
        yield _plain(example, at, _TOKENS)


def _plain(example: SpanExample, first: int, end: int) -> Html:
    """Tokens outside of spans."""
    return tag("bdi", {}, words(cut(example.joint.join(example.tokens[first:end]), 4000)))


def groups(spans: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """First token and the one after the last of the spans that overlap each other, in order."""
    first = end = -1
    for one in sorted(spans, key=lambda each: each.first):
        if one.first >= end:
            if end > 0:
                yield first, end
            first = one.first
        end = max(end, one.end)
    if end > 0:
        yield first, end


def _group(example: SpanExample, first: int, end: int) -> Html:
    """The words of a group above its kinds, right or answered and true."""
    true, answered = (
        [one for one in spans if first <= one.first < end]
        for spans in (example.true, example.answered)
    )
    text = tag("span", {"class": "token"}, data(example.joint.join(example.tokens[first:end]), 400))
    if set(true) == set(answered):
        found = (tag("span", {"class": "tag found"}, words("✓ "), _kind(one.kind)) for one in true)
        return tag("span", {"class": "group"}, text, *found)

    def named(spans: Sequence[Span]) -> Html:
        if not spans:
            return words("no span")
        return join((_named(example, one, (first, end)) for one in spans), ", ")

    off = tag("span", {"class": "tag off"}, words("✗ "), named(answered))
    missed = tag("span", {"class": "tag missed"}, words("true: "), named(true))
    return tag("span", {"class": "group wrong"}, text, off, missed)


def _named(example: SpanExample, one: Span, group: tuple[int, int]) -> Html:
    """The kind of a span, with its words where they are not those of its group."""
    if (one.first, one.end) == group:
        return _kind(one.kind)
    text = example.joint.join(example.tokens[one.first : one.end])
    return join([data(text, 100), words(" "), _kind(one.kind)])


def _kind(kind: str) -> Html:
    return data(kind, 40) if kind else words("span")
