"""A search through settings: its trials, which setting matters, and where good values lie."""

from __future__ import annotations

from math import inf

from rnnspec.report import chart as draw
from rnnspec.report.html import NOTHING, Html, data, join, scroll, span, table, tag, words
from rnnspec.report.model import Setting, Settings, Shares, Trial, TrialTable, Value
from rnnspec.report.scale import Scale, drawable, scale
from rnnspec.report.words import number, plural, share

_MOST = 500
"""Most trials that a table lists."""


def trial_table(section: TrialTable) -> Html:
    if not section.trials:
        return words("No trial was begun yet.")
    ordered = sorted(section.trials, key=lambda trial: _order(trial, section.larger_is_better))
    ended = any(trial.note for trial in section.trials)
    head = ["trial", section.metric, "epochs", "ended", *section.settings]
    rows = [
        [
            words(trial.name),
            tag("strong", {}, words(number(trial.value))),
            words(f"{trial.epochs:,}"),
            data(trial.state, 40, trial.note) if ended else words(trial.state),
            *(data(value, 40) for value in trial.settings),
        ]
        for trial in ordered[:_MOST]
    ]
    said = f"{plural(len(ordered), 'trials')}; the best comes first."
    listed = table(section.title, head, rows, (1, 2), shown=False)
    return join([tag("p", {}, words(said)), scroll(section.title, listed)])


def _order(trial: Trial, larger: bool) -> tuple[bool, float]:
    """Finished trials first, from the best down."""
    value = trial.value if drawable(trial.value) else (-inf if larger else inf)
    return trial.state != "finished", -value if larger else value


def shares(section: Shares) -> Html:
    if not section.shares:
        return words(f"Nothing can be said of {section.of} yet.")
    ordered = sorted(section.shares, key=lambda each: -each[1])
    rows = [[data(name, 60), _bar(value)] for name, value in ordered]
    return scroll(section.title, table(section.title, ["setting", section.of], rows, shown=False))


def _bar(value: float) -> Html:
    long = f"width:{100 * min(1.0, max(0.0, value)):.1f}%"
    bar = tag("span", {"class": "bar"}, tag("span", {"style": long}))
    return join([span("figure", share(value)), bar])


def settings(section: Settings) -> Html:
    if not section.settings:
        return words("No trial has a value to show yet.")
    styles = [("front", "finished"), ("back", "pruned")]
    parts = [_setting(section.metric, one) for one in section.settings]
    return join([draw.key(styles), tag("div", {"class": "charts"}, *parts)])


def _setting(metric: str, one: Setting) -> Html:
    y = scale(one.values, draw.BOTTOM, draw.TOP)
    x = _places(one, draw.margin(y))
    parts = [draw.axes(x, y, "log scale" if x.logarithmic else "", metric)]
    for place, value in enumerate(one.values):
        parts.append(_point(metric, one, place, value, (x, y)))
    title = f"{metric} by {one.name}"
    return draw.figure(span("name", one.name), draw.svg(title, *parts))


def _places(one: Setting, left: float) -> Scale:
    if not one.options:
        return scale(one.places, left, draw.RIGHT, most=6, logarithmic=one.logarithmic)
    ticks = tuple((float(place), name) for place, name in enumerate(one.options))
    return Scale(-0.5, len(one.options) - 0.5, left, draw.RIGHT, ticks)


def _point(metric: str, one: Setting, place: int, value: Value, axes_: tuple[Scale, Scale]) -> Html:
    x, y = axes_
    if not drawable(value):
        return NOTHING
    at = one.places[place]
    shown = one.options[int(at)] if one.options else number(at)
    best = " (the best)" if place == one.best else ""
    tooltip = tag("title", {}, words(f"{one.name} {shown}: {metric} {number(value)}{best}"))
    style = "back" if one.pruned[place] else "front"
    look = f"dot {style}" if place == one.best else f"point {style}"
    ends = draw.at(cx=x.at(at), cy=y.at(value), r=5.5 if place == one.best else 4)
    return tag("circle", {"class": look, **ends}, tooltip)
