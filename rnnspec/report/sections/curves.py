"""Curves: how each metric went over the epochs."""

from __future__ import annotations

from collections.abc import Sequence

from rnnspec.report import chart as draw
from rnnspec.report.html import NOTHING, Html, fold, join, scroll, span, table, tag, words
from rnnspec.report.model import Chart, Curves, Series
from rnnspec.report.scale import Scale, drawable, scale, steps
from rnnspec.report.words import number

_POINTS = 400
"""Most epochs that a chart draws, and that a table lists."""
_BEHIND = ("train", "each trial")


def curves(section: Curves) -> Html:
    epochs = _epochs(section)
    if not epochs:
        return words(f"No {section.step} was finished.")
    shown = _shown(epochs, section.best)
    parts = [_chart(section, chart, shown) for chart in section.charts]
    if len(shown) < len(epochs):
        drawn = f"{len(shown):,} of {len(epochs):,} {section.step}s are drawn"
        said = words(f"{drawn}, the best and the last among them.")
        parts.append(tag("p", {"class": "quiet"}, said))
    figures = fold(f"The numbers of every {section.step}", _table(section, shown))
    return join([tag("div", {"class": "charts"}, *parts), figures])


def _epochs(section: Curves) -> range:
    """The epochs of the section. Raises ValueError if the series are not of one length."""
    lengths = {len(one.values) for chart in section.charts for one in chart.series}
    if len(lengths) > 1:
        raise ValueError(f"{section.title}: series of different lengths ({sorted(lengths)})")
    return range(section.first, section.first + max(lengths, default=0))


def _shown(epochs: range, best: int | None) -> Sequence[int]:
    if len(epochs) <= _POINTS:
        return epochs
    every = -(-len(epochs) // _POINTS)
    return sorted({*epochs[::every], epochs[-1], *(n for n in epochs if n == best)})


def _style(series: Sequence[Series], position: int) -> str:
    """Training is drawn as background; the others take the styles in turn."""
    if series[position].name in _BEHIND and len(series) > 1:
        return "back"
    before = sum(one.name not in _BEHIND or len(series) == 1 for one in series[:position])
    return draw.look(before)


def _chart(section: Curves, chart: Chart, shown: Sequence[int]) -> Html:
    values = [value for one in chart.series for value in one.values]
    y = scale(values, draw.BOTTOM, draw.TOP, logarithmic=not chart.larger_is_better)
    x = steps(shown[0], shown[-1] - shown[0] + 1, draw.margin(y), draw.RIGHT)
    order = sorted(range(len(chart.series)), key=lambda n: chart.series[n].name not in _BEHIND)
    label = ", ".join(filter(None, (chart.unit, "log scale" if y.logarithmic else "")))
    parts = [draw.axes(x, y, section.step, label)]
    if section.best is not None and shown[0] <= section.best <= shown[-1]:
        parts.append(draw.upright(section.best, x, y, "best"))
    for position in order:
        style = _style(chart.series, position)
        parts.append(_line(section, chart.series[position], shown, x, y, style))
    tooltip = [_tooltip(section, chart, epoch) for epoch in shown]
    parts.append(draw.columns(shown, x, y, tooltip.__getitem__))
    styles = [(_style(chart.series, n), one.name) for n, one in enumerate(chart.series)]
    caption = join([span("name", chart.metric), _at_best(section, chart), _lost(section, chart)])
    title = f"{chart.metric} over {len(shown):,} {section.step}s. {tooltip[-1]}"
    drawn = draw.svg(title, *parts)
    return draw.figure(caption, drawn, draw.key(styles) if len(styles) > 1 else NOTHING)


def _line(
    section: Curves, series: Series, shown: Sequence[int], x: Scale, y: Scale, style: str
) -> Html:
    points = [(float(epoch), series.values[epoch - section.first]) for epoch in shown]
    parts = [draw.line(points, x, y, style)]
    for place, value in points:
        if value is not None and not drawable(value):
            parts.append(draw.cross(place, x, y, style))
        elif value is not None and place == section.best and style != "back":
            ends = draw.at(cx=x.at(place), cy=y.at(value), r=4.5)
            parts.append(tag("circle", {"class": f"dot {style}", **ends}))
    return tag("g", {}, *parts)


def _tooltip(section: Curves, chart: Chart, epoch: int) -> str:
    found = (f"{s.name} {number(s.values[epoch - section.first])}" for s in chart.series)
    kept = " (the one kept)" if epoch == section.best else ""
    return f"{section.step} {epoch}{kept}: {', '.join(found)}"


def _main(chart: Chart) -> Series | None:
    """The series by which a chart is judged: the first that is not of training."""
    others = [one for one in chart.series if one.name not in _BEHIND]
    return next(iter(others or chart.series), None)


def _at_best(section: Curves, chart: Chart) -> Html:
    main = _main(chart)
    if main is None or section.best is None or chart.larger_is_better is None:
        return NOTHING
    position = section.best - section.first
    if not 0 <= position < len(main.values):
        return NOTHING
    unit = f" {chart.unit}" if chart.unit else ""
    return span("value", f"{number(main.values[position])}{unit} at {section.step} {section.best}")


def _lost(section: Curves, chart: Chart) -> Html:
    """A warning about values that are not numbers."""
    wrong = [
        section.first + position
        for position in range(max((len(one.values) for one in chart.series), default=0))
        if any(
            one.values[position] is not None and not drawable(one.values[position])
            for one in chart.series
        )
    ]
    if not wrong:
        return NOTHING
    listed = ", ".join(map(str, wrong[:5])) + (", …" if len(wrong) > 5 else "")
    return span("warning", f"⚠ not a finite number at {section.step} {listed} (×)")


def _table(section: Curves, shown: Sequence[int]) -> Html:
    columns = [(chart, one) for chart in section.charts for one in chart.series]
    head = [section.step, *(f"{one.name} {chart.metric}" for chart, one in columns)]
    rows = [
        [
            words(f"{epoch}{' ★' if epoch == section.best else ''}"),
            *(words(number(one.values[epoch - section.first])) for _, one in columns),
        ]
        for epoch in shown
    ]
    kept = f" (★: the {section.step} kept)" if section.best is not None else ""
    caption = f"{section.title}, by {section.step}{kept}"
    return scroll(caption, table(caption, head, rows, range(len(head))))
