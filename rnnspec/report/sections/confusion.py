"""Confusion matrices: which classes are taken for which."""

from __future__ import annotations

from math import sqrt

from rnnspec.report.chart import LETTERS, at, svg, text
from rnnspec.report.html import NOTHING, Html, data, join, scroll, table, tag, words
from rnnspec.report.model import ConfusionMatrix
from rnnspec.report.words import fitted, plural, share, visible, width

_MOST = 40
"""Most classes of a heat map; of more, only the mistakes are listed."""
_PAIRS, _PAIRS_ALONE = 12, 40
"""Most mistakes listed below a heat map, and without one."""
_LABEL = 112.0
"""Greatest width of a label in pixels."""
_REGULAR = 0.88 * LETTERS
"""Size of a label where widths are measured: the bound is for bold letters, and labels are not."""
_SHADES = {"right": (0.655, 0.89), "wrong": (0.62, 0.93)}
"""From which shade on black is legible in dark, and white in light, by kind of cell."""
_INSIDE = ((11.0, ""), (9.0, " small"))
"""Heights of the letters in a cell, and their styles."""
_HEAD = 20.0
"""Room for the names of the axes."""


def confusion_matrix(section: ConfusionMatrix) -> Html:
    size = len(section.labels)
    if len(section.counts) != size or any(len(row) != size for row in section.counts):
        raise ValueError(f"{section.title}: counts are not {size} by {size}, as labels are")
    if not any(map(any, section.counts)):
        return words(f"No {section.of} to answer.")
    if size > _MOST:
        said = f"{size:,} classes are too many for a picture; these are the most frequent mistakes."
        return join([tag("p", {}, words(said)), _mistakes(section)])
    drawn = scroll(section.title, _heat_map(section))
    return join([_key(), tag("div", {"class": "pair"}, drawn, _mistakes(section))])


def _mistakes(section: ConfusionMatrix) -> Html:
    """The most frequent pairs beside the diagonal."""
    pairs = sorted(
        (-count, true, answer)
        for true, row in enumerate(section.counts)
        for answer, count in enumerate(row)
        if count and true != answer
    )
    if not pairs:
        return tag("p", {}, words("No class is taken for another."))
    total = -sum(count for count, _, _ in pairs)
    listed = pairs[: _PAIRS if len(section.labels) <= _MOST else _PAIRS_ALONE]
    rows = [
        [
            data(section.labels[true], 60),
            data(section.labels[answer], 60),
            words(f"{-count:,}"),
            words(share(-count / sum(section.counts[true]))),
        ]
        for count, true, answer in listed
    ]
    covered = -sum(count for count, _, _ in listed)
    caption = f"The most frequent mistakes ({covered:,} of {plural(total, 'mistakes')})"
    head = ("true class", "answered", section.of, "of the class")
    return scroll(caption, table(caption, head, rows, (2, 3)))


def _heat_map(section: ConfusionMatrix) -> Html:
    size = len(section.labels)
    cell = 44.0 if size <= 10 else 26.0 if size <= 20 else 21.0
    longest = max(width(visible(label), _REGULAR) for label in section.labels)
    label = min(_LABEL, longest) + 8
    left, top = _HEAD + label, _HEAD + label * 0.75 + 10
    parts = [
        text("answered", left, 14, "quiet"),
        text("true", 14, top + cell * size, "quiet", turn=-90),
    ]
    for number, name in enumerate(section.labels):
        middle = (number + 0.5) * cell
        shown = fitted(visible(name), _REGULAR, _LABEL)
        parts.append(_label(name, shown, left - 8, top + middle + 4, 0))
        parts.append(_label(name, shown, left + middle + 4, top - 8, -50))
    for true, row in enumerate(section.counts):
        parts += _row(section, true, row, (left, top, cell))
    box = at(x=left, y=top, width=cell * size, height=cell * size)
    parts.append(tag("rect", {"class": "outline", **box}))
    last = min(_LABEL, width(visible(section.labels[-1]), _REGULAR)) * 0.65
    full = (left + cell * size + max(12.0, last - cell / 2 + 8), top + cell * size + 8)
    hits = sum(section.counts[n][n] for n in range(size))
    rows = sum(map(sum, section.counts))
    title = f"{section.title}: {hits:,} of {plural(rows, section.of)} are on the diagonal, right."
    return svg(title, *parts, size=full, style="heat")


def _label(name: str, shown: str, x: float, y: float, turn: float) -> Html:
    drawn = text(shown, x, y, anchor="start" if turn else "end", turn=turn)
    return tag("g", {}, tag("title", {}, words(name)), drawn)


def _row(
    section: ConfusionMatrix, true: int, row: tuple[int, ...], place: tuple[float, float, float]
) -> list[Html]:
    """The cells of one true class, those without a row left out."""
    left, top, cell = place
    total = sum(row)
    parts = []
    for answer, count in enumerate(row):
        if not count:
            continue
        x, y = left + answer * cell, top + true * cell
        part = count / total
        kind = "right" if true == answer else "wrong"
        box = at(x=x + 0.5, y=y + 0.5, width=cell - 1, height=cell - 1)
        shade = shaded(part)
        names = section.labels[true], section.labels[answer]
        tooltip = f"{names[0]} answered as {names[1]}: {count:,} of {total:,} ({share(part)})"
        inside = _inside(count, x + cell / 2, y + cell / 2, cell, contrast(kind, shade))
        drawn = tag("rect", {"class": kind, "fill-opacity": f"{shade:.2f}", **box})
        parts.append(tag("g", {}, tag("title", {}, words(tooltip)), drawn, inside))
    return parts


def _inside(count: int, x: float, y: float, cell: float, style: str) -> Html:
    """A count in its cell, as large and as exact as there is room for."""
    short = f"{count / 1e6:.0f}M" if count >= 1e6 else f"{count / 1000:.0f}k"
    for written in (f"{count:,}", short) if count >= 1000 else (f"{count:,}",):
        for size, more in _INSIDE:
            if width(written, size) <= cell - 2:
                return text(written, x, y + 0.35 * size, style + more, "middle")
    return NOTHING


def shaded(part: float) -> float:
    """Opacity of a cell: the root of its share, since few mistakes of many rows matter too."""
    return 0.06 + 0.94 * sqrt(max(0.0, min(1.0, part)))


def contrast(kind: str, shade: float) -> str:
    """The style of a text on a cell of that opacity."""
    mid, deep = _SHADES[kind]
    return "low" if shade < mid else "mid" if shade < deep else "deep"


def _key() -> Html:
    """What the shades mean."""
    parts = []
    for kind, name in (("right", "right"), ("wrong", "mistaken")):
        boxes = []
        for n, part in enumerate((0.01, 0.1, 0.3, 0.6, 1.0)):
            box = at(x=16 * n, y=0, width=15, height=12)
            shade = {"class": kind, "fill-opacity": f"{shaded(part):.2f}"}
            boxes.append(tag("rect", {**shade, **box}))
        sample = {"class": "sample wide", "viewBox": "0 0 80 12", "aria-hidden": "true"}
        parts.append(tag("span", {}, tag("svg", sample, *boxes), words(f"{name}, 1 % to 100 %")))
    said = words("of the rows of the true class")
    return tag("p", {"class": "key"}, *parts, tag("span", {"class": "quiet"}, said))
