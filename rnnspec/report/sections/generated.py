"""What the model wrote."""

from __future__ import annotations

from rnnspec.report.html import NOTHING, Html, join, lines, span, tag, words
from rnnspec.report.model import Generated, Generation
from rnnspec.report.words import cut, plural

_MOST = 4000
"""Most characters shown of a text."""


def generated(section: Generated) -> Html:
    if not section.generations:
        return words("Nothing was generated.")
    key = tag(
        "p",
        {"class": "key"},
        tag("span", {}, span("prompt", "prompt"), words("what the model wrote")),
    )
    return join([key, *map(_one, section.generations)])


def _one(one: Generation) -> Html:
    prompt = tag("span", {"class": "prompt"}, lines(cut(one.prompt, _MOST)))
    written = lines(cut(one.text, _MOST)) if one.text else span("none", "(nothing)")
    how = tag("p", {"class": "quiet"}, words(one.how)) if one.how else NOTHING
    more = len(one.text) - _MOST
    left = span("none", f" {plural(more, 'characters')} more") if more > 0 else NOTHING
    text = tag("p", {"class": "text", "dir": "auto"}, prompt, written, left)
    return tag("article", {"class": "row"}, how, text)
