"""A report as one HTML file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnnspec.report.html import NOTHING, Html, fold, join, lines, scroll, tag, words
from rnnspec.report.model import Calibration, Figure, Histogram, Note, Report, Scatter, Section
from rnnspec.report.sections import SECTIONS
from rnnspec.report.style import STYLE

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""For the browser: nothing is to be loaded and no script is to run, whatever a page may hold."""
_MODEL = "The model"


def render(report: Report) -> str:
    """The whole page: one file that needs nothing else, neither network nor scripts.

    Raises ValueError where series that belong together differ in length, and for a diagram that is
    not an `<svg>` element.
    """
    titles = [section.title for section in report.sections]
    titles += [_MODEL] if report.diagram or report.spec else []
    body = tag(
        "div",
        {"class": "sheet"},
        tag("header", {}, _head(report), _summary(report.summary), *_notices(report)),
        _contents(titles),
        tag("main", {}, *map(_section, range(len(titles)), report.sections), _model(report)),
        tag("footer", {}, words("Written by rnnspec. Point at a chart to read its values.")),
    )
    page = tag("html", {"lang": "en"}, _meta(report.title), tag("body", {}, body))
    return f"<!DOCTYPE html>\n{page}\n"


def _meta(title: str) -> Html:
    return tag(
        "head",
        {},
        tag("meta", {"charset": "utf-8"}),
        tag("meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY}),
        tag("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        tag("meta", {"name": "generator", "content": "rnnspec"}),
        tag("title", {}, words(title)),
        tag("style", {}, Html(STYLE)),
    )


def _head(report: Report) -> Html:
    about = (tag("li", {}, words(part)) for part in report.subtitle)
    listed = tag("ul", {"class": "about"}, *about) if report.subtitle else NOTHING
    return join([tag("h1", {}, words(report.title)), listed])


def _summary(figures: Sequence[Figure]) -> Html:
    if not figures:
        return NOTHING
    parts = []
    for one in figures:
        note = tag("dd", {"class": "note"}, words(one.note)) if one.note else NOTHING
        value = tag("dd", {}, words(one.value))
        parts.append(tag("div", {}, tag("dt", {}, words(one.name)), value, note))
    return tag("dl", {"class": "summary"}, *parts)


def _notices(report: Report) -> Iterator[Html]:
    """Warnings and notes, where there are any."""
    warnings = report.warnings
    if warnings:
        said = "Warning" if len(warnings) == 1 else f"{len(warnings):,} warnings"
        yield _list("warnings", tag("span", {"class": "warning"}, words(f"⚠ {said}")), warnings)
    if report.notes:
        yield _list("notes", words("Of the data"), report.notes)


def _list(kind: str, title: Html, texts: Sequence[str]) -> Html:
    listed = tag("ul", {}, *(tag("li", {}, words(one)) for one in texts))
    return tag("div", {"class": kind}, tag("h2", {}, title), listed)


def _contents(titles: Sequence[str]) -> Html:
    """Links to the sections, where there are enough to look for one."""
    if len(titles) < 3:
        return NOTHING
    links = (tag("a", {"href": f"#{_ident(n)}"}, words(title)) for n, title in enumerate(titles))
    listed = tag("ol", {}, *(tag("li", {}, link) for link in links))
    return tag("nav", {"aria-label": "Contents"}, listed)


def _ident(place: int) -> str:
    return f"section-{place + 1}"


def _section(place: int, section: Section) -> Html:
    """One section; the text of a note is its content, that of another explains it."""
    lead = "" if isinstance(section, Note) else section.text
    content = SECTIONS[type(section)](section)
    said = tag("p", {"class": "lead"}, words(lead)) if lead else NOTHING
    style = "half" if isinstance(section, Calibration | Histogram | Scatter) else ""
    return _titled(place, section.title, join([said, content]), style)


def _titled(place: int, title: str, content: Html, style: str = "") -> Html:
    ident = _ident(place)
    head = tag("h2", {"id": ident}, words(title))
    names = {"class": style} if style else {}
    return tag("section", {**names, "aria-labelledby": ident}, head, content)


def _model(report: Report) -> Html:
    if not report.diagram and not report.spec:
        return NOTHING
    if report.diagram and not report.diagram.startswith("<svg"):
        raise ValueError("the diagram is not an <svg> element")
    parts = [scroll("Diagram of the model", Html(report.diagram))] if report.diagram else []
    if report.spec:
        parts.append(fold("The resolved spec", tag("pre", {"tabindex": "0"}, lines(report.spec))))
    return _titled(len(report.sections), _MODEL, join(parts))
