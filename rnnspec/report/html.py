"""HTML that is escaped by construction: a str becomes Html only through functions of this file.

`mypy` keeps the two apart; at run time both are str.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import NewType

from rnnspec.report.words import TITLE, cut, token, visible

Html = NewType("Html", str)

NOTHING = Html("")
_VOID = frozenset({"meta", "br", "hr", "img"})


def words(text: str) -> Html:
    """A text on one line."""
    return Html(escape(visible(text)))


def lines(text: str) -> Html:
    """A text with its line breaks, for an element that keeps them."""
    return Html("\n".join(map(words, text.replace("\r\n", "\n").split("\n"))))


def tag(name: str, attributes: Mapping[str, str], *children: Html) -> Html:
    """One element; attributes are escaped, children are taken as they are."""
    written = "".join(f' {key}="{escape(visible(text))}"' for key, text in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{''.join(children)}</{name}>")


def join(parts: Iterable[Html], between: str = "") -> Html:
    return Html(escape(between).join(parts))


def span(style: str, text: str) -> Html:
    return tag("span", {"class": style}, words(text))


def data(text: str, limit: int = 200, title: str = "") -> Html:
    """A text of the data: in its own direction, cut, and whole in the tooltip.

    `title` is the tooltip of a text that is not cut.
    """
    if not text:
        return span("none", "(empty)")
    whole = title or (text if len(text) > limit else "")
    tip = {"title": cut(whole, TITLE)} if whole else {}
    return tag("bdi", tip, Html(escape(token(cut(text, limit)))))


def picture(png: bytes, shown: str) -> Html:
    """A picture inside the page; `shown` says what it is to who does not see it."""
    return tag("img", {"class": "picture", "src": address(png), "alt": shown})


def address(png: bytes) -> str:
    """The bytes of a picture as an address."""
    return f"data:image/png;base64,{b64encode(png).decode()}"


def scroll(label: str, *children: Html) -> Html:
    """What may be wider than the page: scrolled by itself, by keyboard too."""
    return tag(
        "div",
        {"class": "scroll", "role": "region", "aria-label": label, "tabindex": "0"},
        *children,
    )


def fold(summary: str, *children: Html) -> Html:
    """What is shown when the reader asks for it."""
    return tag("details", {}, tag("summary", {}, words(summary)), *children)


def table(
    caption: str,
    head: Sequence[str],
    rows: Iterable[Sequence[Html]],
    numeric: Iterable[int] = (),
    style: str = "",
    shown: bool = True,
    named: bool = False,
) -> Html:
    """A table whose first column names its rows; columns `numeric` are set to the right.

    `shown` False: the caption is only read aloud, since the same words stand above the table.
    `named`: cells carry the name of their column, for a style that sets them below one another.
    """
    right = frozenset(numeric)

    def attributes(column: int) -> dict[str, str]:
        return {"class": "number"} if column in right else {}

    def cell(column: int, content: Html) -> Html:
        more = {"scope": "row"} if column == 0 else {}
        more |= {"data-name": head[column]} if named else {}
        return tag("td" if column else "th", {**more, **attributes(column)}, content)

    titles = (
        tag("th", {"scope": "col", **attributes(column)}, words(title))
        for column, title in enumerate(head)
    )
    body = (tag("tr", {}, *(cell(c, content) for c, content in enumerate(row))) for row in rows)
    return tag(
        "table",
        {"class": style} if style else {},
        tag("caption", {} if shown else {"class": "aloud"}, words(caption)),
        tag("thead", {}, tag("tr", {}, *titles)),
        tag("tbody", {}, *body),
    )
