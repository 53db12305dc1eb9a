"""Forecasts: windows of history, truth and forecast; the error by how far ahead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rnnspec.report import chart as draw
from rnnspec.report.html import NOTHING, Html, data, fold, join, scroll, span, table, tag, words
from rnnspec.report.model import ForecastPlot, ForecastTable, ForecastWindow, HorizonRow, Value
from rnnspec.report.scale import Scale, drawable, scale, steps
from rnnspec.report.sections.tables import difference
from rnnspec.report.words import number, plural, width

_TICKS = 4
"""Most steps whose times are written below a window."""
_LEAST, _AHEAD = 16, 2
"""Steps of history drawn at most: as many, or so many times the steps ahead."""
_ROWS = 12
"""Most steps of a table that is not folded."""


def forecast_plot(section: ForecastPlot) -> Html:
    if not section.windows:
        return words("No window was forecast.")
    for window in section.windows:
        _check(section, window)
    drawn = (_window(section, _recent(window)) for window in section.windows)
    return join([_key(section), tag("div", {"class": "charts"}, *drawn)])


def _check(section: ForecastPlot, window: ForecastWindow) -> None:
    ahead = len(window.forecast)
    for name in ("truth", "lower", "upper", "baseline"):
        found = len(getattr(window, name))
        if found not in (0, ahead):
            raise ValueError(f"{section.title}: {window.name}: {found} of {name}, not {ahead}")
    if bool(window.lower) != bool(window.upper):
        raise ValueError(f"{section.title}: {window.name}: half a band")
    if window.times and len(window.times) != len(window.history) + ahead:
        raise ValueError(f"{section.title}: {window.name}: not one time for each step")


def _recent(window: ForecastWindow) -> ForecastWindow:
    """The window with the end of its history only, so that the forecast has room."""
    past = len(window.history)
    left = max(0, past - max(_LEAST, _AHEAD * len(window.forecast)))
    return replace(window, history=window.history[left:], times=window.times[left:])


def _key(section: ForecastPlot) -> Html:
    there = section.windows
    items = [("true", "truth")] if any(w.truth or w.history for w in there) else []
    items.append(("front", "forecast"))
    items += [("band", section.band)] if any(w.lower for w in there) else []
    items += [("other", section.baseline)] if any(w.baseline for w in there) else []
    return draw.key(items)


def _window(section: ForecastPlot, window: ForecastWindow) -> Html:
    past, ahead = len(window.history), len(window.forecast)
    name = tag("span", {"class": "name"}, data(window.name, 60))
    if not past + ahead:
        return draw.figure(name, words("There are no steps."))
    places = [float(n) for n in range(1 - past, ahead + 1)]
    lines = (window.history, window.forecast, window.truth, window.baseline)
    values = [v for part in (*lines, window.lower, window.upper) for v in part]
    y = scale(values, draw.BOTTOM, draw.TOP)
    x = _times(steps(1 - past, past + ahead, draw.margin(y), draw.RIGHT), window)
    zone = draw.at(x=x.at(0.5), y=y.end, width=x.end - x.at(0.5), height=y.start - y.end)
    parts = [tag("rect", {"class": "zone", **zone})] if past and ahead else []
    label = "" if window.times else f"{section.step}, counted from the first forecast one"
    parts.append(draw.axes(x, y, label, section.unit))
    if past and ahead:
        parts.append(draw.upright(0.5, x, y, "origin"))
    after = places[past:]
    parts.append(draw.band(list(zip(after, window.lower, window.upper, strict=False)), x, y))
    whole = window.history + (window.truth or (None,) * ahead)
    parts.append(draw.line(zip(places, whole, strict=True), x, y, "true"))
    # Both forecasts are drawn from the last known value on, so that a jump is seen.
    last = [(0.0, window.history[-1])] if past and drawable(window.history[-1]) else []
    for style, part in (("other", window.baseline), ("front", window.forecast)):
        if part:
            known = last if drawable(part[0]) else []
            parts.append(draw.line([*known, *zip(after, part, strict=True)], x, y, style))
    parts.append(draw.columns(places, x, y, lambda n: _tooltip(section, window, n - past)))
    title = f"Forecast of {window.name}, {plural(ahead, section.step)} ahead"
    return draw.figure(join([name, _error(section, window)]), draw.svg(title, *parts))


def _times(x: Scale, window: ForecastWindow) -> Scale:
    """The axis with names of times, as many as there is room for."""
    if not window.times:
        return x
    count = len(window.times)
    wide = max(width(name, draw.LETTERS) for name in window.times) + 12
    most = max(2, min(_TICKS, int((x.end - x.start) / wide)))
    first = 1 - len(window.history)
    chosen = [round((n + 0.5) * count / most - 0.5) for n in range(most)]
    kept = sorted({min(count - 1, max(0, n)) for n in chosen})
    ticks = tuple((float(first + n), window.times[n]) for n in kept)
    return Scale(x.low, x.high, x.start, x.end, ticks)


def _tooltip(section: ForecastPlot, window: ForecastWindow, ahead: int) -> str:
    """The values of one step, `ahead` counted from 0 at the first forecast one."""
    past = len(window.history)
    when = window.times[past + ahead] if window.times else f"{section.step} {ahead + 1}"
    if ahead < 0:
        return f"{when}: {number(window.history[past + ahead])} {section.unit}".rstrip()
    parts = [f"forecast {number(window.forecast[ahead])}"]
    if window.lower:
        low, high = number(window.lower[ahead]), number(window.upper[ahead])
        parts.append(f"{section.band} {low} to {high}")
    parts += [f"truth {number(window.truth[ahead])}"] if window.truth else []
    parts += [f"{section.baseline} {number(window.baseline[ahead])}"] if window.baseline else []
    return f"{when}: {', '.join(parts)}"


def _error(section: ForecastPlot, window: ForecastWindow) -> Html:
    """The mean absolute error of the window, and how many true values its band holds."""
    error = _mean_error(window.forecast, window.truth)
    if error is None:
        return NOTHING
    said = f"MAE {number(error, 3)}"
    other = _mean_error(window.baseline, window.truth)
    said += f" ({section.baseline} {number(other, 3)})" if other is not None else ""
    held = [
        low <= true <= high
        for low, true, high in zip(window.lower, window.truth, window.upper, strict=False)
        if drawable(low) and drawable(true) and drawable(high)
    ]
    said += f", {sum(held)} of {len(held)} in the band" if held else ""
    return span("value", said)


def _mean_error(forecast: Sequence[Value], truth: Sequence[Value]) -> float | None:
    pairs = zip(forecast, truth, strict=False)
    errors = [abs(a - b) for a, b in pairs if drawable(a) and drawable(b)]
    return sum(errors) / len(errors) if errors else None


# ---------------------------------------------------------------- by horizon


def forecast_table(section: ForecastTable) -> Html:
    if not section.rows:
        return words("No step was forecast.")
    rows = sorted(section.rows, key=lambda row: row.step)
    picked = rows if len(rows) <= _ROWS else [rows[n * len(rows) // _ROWS] for n in range(_ROWS)]
    if picked[-1] is not rows[-1]:
        picked = [*picked[:-1], rows[-1]]
    pair = tag("div", {"class": "pair"}, _chart(section, rows), _table(section, picked))
    parts = [_verdict(section, rows), pair]
    if len(picked) < len(rows):
        parts.append(fold(f"All {plural(len(rows), section.step)}", _table(section, rows)))
    return join(parts)


def _verdict(section: ForecastTable, rows: list[HorizonRow]) -> Html:
    pairs = ((row.error, row.baseline) for row in rows)
    won = [error < other for error, other in pairs if drawable(error) and drawable(other)]
    if not won:
        return NOTHING
    style = "better" if 2 * sum(won) > len(won) else "worse"
    said = f"better than {section.baseline} at {sum(won):,} of {plural(len(won), section.step)}"
    return tag("p", {}, span(style, said))


def _chart(section: ForecastTable, rows: list[HorizonRow]) -> Html:
    places = [float(row.step) for row in rows]
    values = [value for row in rows for value in (row.error, row.baseline)]
    y = scale(values, draw.BOTTOM, draw.TOP, zero=True)
    first = rows[0].step
    x = steps(first, rows[-1].step - first + 1, draw.margin(y), draw.RIGHT)
    name = ", ".join(filter(None, (section.metric, section.unit)))
    compared = any(row.baseline is not None for row in rows)
    parts = [draw.axes(x, y, f"{section.step} ahead", name)]
    if compared:
        parts.append(draw.line(((float(r.step), r.baseline) for r in rows), x, y, "other"))
    parts.append(draw.line(((float(r.step), r.error) for r in rows), x, y, "front"))

    def tooltip(n: int) -> str:
        beside = f", {section.baseline} {number(rows[n].baseline)}" if compared else ""
        return f"{section.step} {rows[n].step}: {number(rows[n].error)}{beside}"

    parts.append(draw.columns(places, x, y, tooltip))
    items = [("front", "the model"), *([("other", section.baseline)] if compared else [])]
    title = f"{section.metric} by {section.step} ahead"
    return draw.figure(span("name", title), draw.svg(title, *parts), draw.key(items))


def _table(section: ForecastTable, rows: Sequence[HorizonRow]) -> Html:
    compared = any(row.baseline is not None for row in rows)
    unit = f" ({section.unit})" if section.unit else ""
    head = [f"{section.step} ahead", f"{section.metric}{unit}"]
    head += [section.baseline, "difference"] if compared else []
    cells = []
    for row in rows:
        line = [words(f"{row.step:,}"), words(number(row.error))]
        if compared:
            line += [words(number(row.baseline)), difference(row.error, row.baseline, False)]
        cells.append(line)
    caption = f"{section.metric} by {section.step} ahead"
    return scroll(caption, table(caption, head, cells, range(len(head))))
