"""A diagram as SVG: self-contained, in light or dark as the reader's system is.

Text is measured by upper bounds (`measure.py`), boxes are made to hold it, and what would be too
wide is wrapped or shortened, so that no text leaves its box in whatever font the reader has.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from rnnspec.plan.diagram.boxes import Box, Diagram, Flow, legend
from rnnspec.plan.diagram.layout import Line, Place, layout
from rnnspec.plan.diagram.measure import ems, monospace_ems, shortened, wrapped
from rnnspec.plan.diagram.style import SIZES, STYLE
from rnnspec.source.characters import shown

MARGIN = 24.0
_PAD = 14.0
_ROW = 19.0
_ABOVE, _BELOW = 9.0, 11.0
"""Between the edges of a box and its first and last row."""
_BETWEEN = 18.0
"""Between what stands at the left and at the right of a row."""
_NARROW, _WIDE, _WIDER = 210.0, 400.0, 20.0
"""Least and greatest width of a box; how much wider it is for a value twice as wide."""
_RIGHTMOST = 0.6 * (_WIDE - 2 * _PAD)
"""Greatest width of what stands at the right of a row."""
_SHEET = 5.0
"""How far the sheet behind a box of steps looks out."""
_STEPS, _STEP, _DOT = 4, 17.0, 3.5
"""Dots that stand for the steps along which a layer reads, their distance, their radius."""
_CHAIN = _STEPS * _STEP


@dataclass(frozen=True, slots=True)
class Text:
    """Words at a baseline: `x` is where they start, or where they end if `end`."""

    words: str
    style: str
    x: float
    y: float
    end: bool = False


@dataclass(frozen=True, slots=True)
class _Drawn:
    """The inside of a box, from its upper left corner."""

    width: float
    height: float
    texts: tuple[Text, ...]
    flows: tuple[tuple[Flow, float], ...]


def svg(diagram: Diagram, ident: str = "diagram") -> str:
    """The diagram as one `<svg>` element, for a file of its own or inside a page.

    `ident` starts every id in it: two diagrams in one page need two.
    """
    drawn = {box.name: _inside(box) for box in diagram.boxes}
    sizes = {name: (inside.width, inside.height) for name, inside in drawn.items()}
    found = layout({box.name: box.sources for box in diagram.boxes}, sizes)
    width = max(found.width + _SHEET, _NARROW) + 2 * MARGIN
    head = _paragraph(diagram.title, "title", width) + _paragraph(diagram.subtitle, "line", width)
    foot = _paragraph("; ".join(legend(diagram)), "line", width)
    top = MARGIN + _ROW * len(head) + 12
    bottom = top + found.height + _SHEET + 24
    root = _root(diagram, ident, width, bottom + _ROW * len(foot) + MARGIN - 10)
    _column(root, head, MARGIN)
    page = SubElement(root, "g", {"transform": f"translate({_n(MARGIN)} {_n(top)})"})
    for line in found.lines:
        _arrow(page, line, any(_has_steps(b) for b in diagram.boxes if b.name == line.source))
    for box in diagram.boxes:
        _box(page, box, found.places[box.name], drawn[box.name])
    _column(root, foot, bottom)
    indent(root, " ")
    return tostring(root, encoding="unicode") + "\n"


def _inside(box: Box) -> _Drawn:
    """What stands in a box, and how large the box must be for it."""
    styles = ["name", "operation", *("line" for _ in box.lines)]
    rows = [
        (shown(left), style, _fit(shown(right), _RIGHT[style], _RIGHTMOST))
        for (left, right), style in zip(box.rows, styles, strict=True)
    ]
    needs = [_width(left, style) + _right(style, right) for left, style, right in rows]
    needs += [_CHAIN + _width(shown(flow.label), "line") for flow in box.flows]
    width = min(ceil(max(needs)) + 1 + 2 * _PAD, _WIDE)  # 1: sums of widths are not exact
    width = max(width, _preferred(box))
    texts: list[Text] = []
    y = _ABOVE
    for left, style, right in rows:
        room = width - 2 * _PAD - _right(style, right)
        parts = [_fit(left, style, room)] if style == "name" else _wrap(left, style, room)
        for number, part in enumerate(parts):
            y += _ROW
            texts.append(Text(part, style, _PAD, y - 4))
            if right and not number:
                texts.append(Text(right, _RIGHT[style], width - _PAD, y - 4, end=True))
    flows: list[tuple[Flow, float]] = []
    for flow in box.flows:
        y += _ROW
        flows.append((flow, y - 8))
        label = _fit(shown(flow.label), "line", width - 2 * _PAD - _CHAIN)
        texts.append(Text(label, "line", _PAD + _CHAIN, y - 4))
    return _Drawn(width, y + _BELOW, tuple(texts), tuple(flows))


_RIGHT = {"name": "shape", "operation": "line", "line": "line"}
"""The style of what stands at the right of a row, by the style at its left."""


def _right(style: str, right: str) -> float:
    return _BETWEEN + _width(right, _RIGHT[style]) if right else 0.0


def _preferred(box: Box) -> float:
    """A width that grows with the width of the value."""
    last = box.shape[-1] if box.shape else 1
    wide = last if isinstance(last, int) else 1
    return min(_NARROW + _WIDER * log2(max(1, wide)), _WIDE)


def _width(words: str, style: str) -> float:
    return SIZES[style] * (monospace_ems(words) if style == "shape" else ems(words))


def _fit(words: str, style: str, room: float) -> str:
    return shortened(words, room, lambda part: _width(part, style))


def _wrap(words: str, style: str, room: float) -> list[str]:
    return wrapped(words, room, lambda part: _width(part, style))


def _paragraph(words: str, style: str, width: float) -> list[Text]:
    room = width - 2 * MARGIN
    return [Text(part, style, MARGIN, 0.0) for part in _wrap(shown(words), style, room) if part]


def _column(root: Element, texts: list[Text], top: float) -> None:
    for number, text in enumerate(texts):
        _text(root, Text(text.words, text.style, text.x, top + _ROW * number + 10))


def _root(diagram: Diagram, ident: str, width: float, height: float) -> Element:
    size = {"width": _n(width), "height": _n(height), "viewBox": f"0 0 {_n(width)} {_n(height)}"}
    names = {"role": "img", "aria-labelledby": f"{ident}-title {ident}-words"}
    root = Element(
        "svg", {"xmlns": "http://www.w3.org/2000/svg", "class": "rnnspec-diagram", **size, **names}
    )
    title = SubElement(root, "title", {"id": f"{ident}-title"})
    title.text = shown(f"{diagram.title}: {diagram.subtitle}")
    words = SubElement(root, "desc", {"id": f"{ident}-words"})
    words.text = " ".join(map(shown, diagram.described().splitlines()))
    SubElement(root, "style").text = STYLE
    SubElement(root, "rect", {"class": "page", "width": "100%", "height": "100%", "rx": "8"})
    return root


def _box(page: Element, box: Box, place: Place, inside: _Drawn) -> None:
    kind = "layer" if box.flows else box.kind
    at = {"transform": f"translate({_n(place.x)} {_n(place.y)})"}
    group = SubElement(
        page, "g", {"class": f"box {kind}{' training' if box.training else ''}", **at}
    )
    SubElement(group, "title").text = shown(box.name)
    radius = "12" if box.kind in ("input", "output") else "5"
    frame = {"width": _n(place.width), "height": _n(place.height), "rx": radius}
    if _has_steps(box):
        SubElement(group, "rect", {"class": "sheet", "x": _n(_SHEET), "y": _n(_SHEET), **frame})
    SubElement(group, "rect", {"class": "frame", **frame})
    # A box of its own clips what a font wider than any we know would push out of it.
    clip = SubElement(group, "svg", {"width": _n(place.width), "height": _n(place.height)})
    for text in inside.texts:
        _text(clip, text)
    for flow, y in inside.flows:
        _chain(clip, flow, y)


def _has_steps(box: Box) -> bool:
    """Whether a value has the steps of a sequence that is read."""
    return any(axis == "T" or str(axis).startswith("T.") for axis in box.shape)


def _text(parent: Element, text: Text) -> None:
    end = {"text-anchor": "end"} if text.end else {}
    place = {"x": _n(text.x), "y": _n(text.y), "class": text.style, **end}
    SubElement(parent, "text", place).text = text.words


def _chain(parent: Element, flow: Flow, y: float) -> None:
    """Dots with arrows from one to the next, in the order of reading."""
    path, heads = [], []
    sign = 1 if flow.direction == "forward" else -1
    for number in range(_STEPS):
        x = _PAD + _DOT + number * _STEP
        SubElement(parent, "circle", {"class": "step", "cx": _n(x), "cy": _n(y), "r": _n(_DOT)})
        if number + 1 < _STEPS:
            start, end = x + _DOT + 1.5, x + _STEP - _DOT - 1.5
            tip, tail = (end, start) if sign == 1 else (start, end)
            path.append(f"M{_n(tail)} {_n(y)}H{_n(tip - 3 * sign)}")
            heads.append(f"M{_n(tip)} {_n(y)}l{_n(-4 * sign)} -2.5v5z")
    SubElement(parent, "path", {"class": "way", "d": "".join(path)})
    SubElement(parent, "path", {"class": "head", "d": "".join(heads)})


def _arrow(page: Element, line: Line, from_steps: bool) -> None:
    (x, y), *rest = line.points
    path = [f"M{_n(x)} {_n(y + (_SHEET if from_steps else 0))}"]
    for place, (to_x, to_y) in enumerate(rest):
        to_y -= 7 if place == len(rest) - 1 else 0  # where the arrow's head begins
        if to_x == x:
            path.append(f"V{_n(to_y)}")
        else:
            half = (y + to_y) / 2
            path.append(f"C{_n(x)} {_n(half)} {_n(to_x)} {_n(half)} {_n(to_x)} {_n(to_y)}")
        x, y = to_x, to_y
    SubElement(page, "path", {"class": "line", "d": "".join(path)})
    SubElement(page, "path", {"class": "head", "d": f"M{_n(x)} {_n(y + 7)}l-4.5 -8h9z"})


def _n(value: float) -> str:
    """A coordinate to a tenth of a pixel, as short as it can be written."""
    return f"{value:.1f}".removesuffix(".0")
