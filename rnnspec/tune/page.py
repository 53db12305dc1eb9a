"""A search as a page of HTML."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec import __version__
from rnnspec.report import Report, render
from rnnspec.report.model import (
    Chart,
    Curves,
    Figure,
    Note,
    Section,
    Series,
    Setting,
    Settings,
    Shares,
    Trial,
    TrialTable,
    Value,
)
from rnnspec.report.words import number
from rnnspec.spec.load import Tunable
from rnnspec.spec.ranges import Choices, Numbers, Range
from rnnspec.tune.outcome import Outcome, Tried, best_text

MOST, LONGEST = 4, 10
"""Values of the best trial at the top of the page, and their letters; the table has all."""


def page(outcome: Outcome, tunable: Tunable) -> str:
    """The page: the best trial, all others, which range matters and where good values lie."""
    trials = [each for each in outcome.trials if each.epochs]
    sections: list[Section] = [_curves(outcome, trials)] if trials else []
    sections += [_importances(outcome), _settings(outcome, tunable, trials), _table(outcome)]
    if outcome.best is not None:
        text = best_text(outcome.best, tunable, outcome.out)
        sections.append(Note("The best spec", text, fixed=True))
    return render(
        Report(
            f"{outcome.name}: the search",
            (f"{len(outcome.ranges)} ranges", f"rnnspec {__version__}"),
            tuple(_figures(outcome)),
            sections=tuple(sections),
        )
    )


def _figures(outcome: Outcome) -> Iterator[Figure]:
    best = outcome.best
    if best is not None:
        yield Figure(outcome.metric, number(best.value), f"trial {best.number}, {best.folder.name}")
        short = [each for each in best.shown.items() if len(each[1]) <= LONGEST]
        for name, shown in short[:MOST]:
            yield Figure(name, shown, "of the best trial")
    states = [each.state for each in outcome.trials]
    counted = (f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    yield Figure("trials", str(len(states)), ", ".join(counted))


def _curves(outcome: Outcome, trials: list[Tried]) -> Curves:
    """The value of each trial, and the best so far."""
    so_far: list[Value] = []
    for each in trials:
        before = [value for value in (*so_far[-1:], each.value) if value is not None]
        so_far.append((max if outcome.larger else min)(before, default=None))
    series = (
        Series("best so far", tuple(so_far)),
        Series("each trial", tuple(each.value for each in trials)),
    )
    chart = Chart(outcome.metric, series, larger_is_better=outcome.larger)
    best = next((n for n, each in enumerate(trials) if each is outcome.best), None)
    text = "The dashed line is each trial by itself, the other the best until then."
    return Curves("Trials in their order", (chart,), best, 0, text, "trial")


def _importances(outcome: Outcome) -> Shares:
    text = (
        "How much of what sets good trials apart each range explains, by PED-ANOVA (Watanabe et"
        " al., 2023). It says nothing of how good the values are, and is rough for few trials."
    )
    shares = tuple(outcome.importances.items())
    return Shares("Which range matters", shares, "its part in the differences", text)


def _settings(outcome: Outcome, tunable: Tunable, trials: list[Tried]) -> Settings:
    found = tuple(_setting(outcome, each, trials) for each in tunable.ranges)
    text = "One point for each trial, by its best epoch."
    shown = tuple(each for each in found if each.places)
    return Settings("Where good values lie", shown, outcome.metric, text)


def _setting(outcome: Outcome, of: Range, trials: list[Tried]) -> Setting:
    taken = [each for each in trials if of.name in each.values]
    return Setting(
        of.name,
        tuple(float(each.values[of.name]) for each in taken),
        tuple(each.value for each in taken),
        tuple(each.state != "finished" for each in taken),
        next((n for n, each in enumerate(taken) if each is outcome.best), None),
        tuple(map(of.shown, of.ends())) if isinstance(of, Choices) else (),
        isinstance(of, Numbers) and of.log,
    )


def _table(outcome: Outcome) -> TrialTable:
    names = tuple(outcome.ranges)
    trials = tuple(
        Trial(
            str(each.number),
            tuple(each.shown.get(name, "") for name in names),
            each.value,
            each.state,
            each.epochs,
            each.why,
        )
        for each in outcome.trials
    )
    text = "Of trials that were stopped the best epoch until then counts."
    return TrialTable("All trials", trials, names, outcome.metric, outcome.larger, text)
