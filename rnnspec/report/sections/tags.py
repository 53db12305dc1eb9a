"""Rows with a tag for each token."""

from __future__ import annotations

from rnnspec.report.html import NOTHING, Html, data, join, span, tag, words
from rnnspec.report.model import TagExample, TagExamples
from rnnspec.report.words import plural

_TOKENS = 80
"""Most tokens drawn of a row."""


def tag_examples(section: TagExamples) -> Html:
    if not section.examples:
        return words("No row was looked at.")
    right = tag("span", {"class": "tag"}, words("tag"))
    wrong = tag("span", {"class": "tag off"}, words("✗ answered"))
    true = tag("span", {"class": "tag missed"}, words("true"))
    parts = (right, words("right"), wrong, true, words("wrong: the answer, then the true tag"))
    key = tag("p", {"class": "key"}, *(tag("span", {}, part) for part in parts))
    return join([key, *map(_example, section.examples)])


def _example(example: TagExample) -> Html:
    lengths = {len(example.tokens), len(example.true), len(example.answered)}
    if len(lengths) > 1:
        raise ValueError(f"tags of {example.place or 'a row'}: not one for each token")
    pairs = list(zip(example.tokens, example.true, example.answered, strict=True))
    wrong = sum(true != answered for _, true, answered in pairs)
    said = f"{wrong:,} of {plural(len(pairs), 'tokens')} wrong" if wrong else "all right"
    verdict = span("worse" if wrong else "better", f"{'✗' if wrong else '✓'} {said}")
    place = join([words(" · "), span("quiet", example.place)]) if example.place else NOTHING
    tokens = [_token(*of_token) for of_token in pairs[:_TOKENS]]
    if len(pairs) > _TOKENS:
        more = plural(len(pairs) - _TOKENS, "tokens")
        tokens.append(tag("li", {}, span("none", f"… {more} more")))
    listed = tag("ol", {"class": "tokens"}, *tokens)
    return tag("article", {"class": "row"}, tag("p", {}, verdict, place), listed)


def _token(token: str, true: str, answered: str) -> Html:
    word = tag("span", {"class": "token"}, data(token, 40))
    if true == answered:
        return tag("li", {}, word, tag("span", {"class": "tag"}, data(true, 30)))
    off = tag("span", {"class": "tag off"}, words("✗ "), data(answered, 30))
    missed = tag("span", {"class": "tag missed"}, data(true, 30))
    return tag("li", {"class": "wrong"}, word, off, missed)
