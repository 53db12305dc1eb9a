"""Builds side by side: what differs in spec and data, metrics with their spread, curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from rnnspec.errors import BuildError
from rnnspec.evaluate.metrics import info_of
from rnnspec.plan import resolve, weights
from rnnspec.plan.facts_file import read_facts
from rnnspec.report import Report, model
from rnnspec.report.words import number, plural
from rnnspec.spec import Spec
from rnnspec.spec.load import load_spec
from rnnspec.spec.metrics import monitored
from rnnspec.spec.named_metrics import column_and_metric
from rnnspec.store.files import numbers_of
from rnnspec.store.folder import BuildFolder, builds_in

SEED = "train.seed"
"""The key in which builds of one group may differ."""
APART = (SEED, "data.train", "data.valid")
"""Keys that are told elsewhere: of data the content counts, not the names."""
MOST_LINES = 8
"""Most groups whose curves are drawn."""


@dataclass(frozen=True, slots=True)
class Group:
    """Builds that differ in their seeds alone: one column of the comparison.

    `keys`: the resolved spec by dotted keys; `data`: the files by what they are for, each with the
    digest of its content; `metrics`: by name the value of each build; `monitor`: what decided on
    the best epoch.
    """

    builds: tuple[BuildFolder, ...]
    keys: Mapping[str, Any]
    data: Mapping[str, str]
    metrics: Mapping[str, tuple[float, ...]]
    figures: Mapping[str, str]
    monitor: str

    @property
    def label(self) -> str:
        """`NAME/001`, or `NAME/001 and 2 more`."""
        first = self.builds[0].path
        more = f" and {len(self.builds) - 1} more" if len(self.builds) > 1 else ""
        return f"{first.parent.name}/{first.name}{more}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Groups of builds, and what differs: `spec` and `data`, by key, in the order of groups; None
    for a key that a group lacks."""

    groups: tuple[Group, ...]
    spec: Mapping[str, tuple[Any, ...]]
    data: Mapping[str, tuple[str | None, ...]]

    @property
    def metrics(self) -> dict[str, tuple[tuple[float, ...], ...]]:
        """The values of each metric by group; none of a group that did not measure it."""
        names = dict.fromkeys(name for group in self.groups for name in group.metrics)
        return {name: tuple(g.metrics.get(name, ()) for g in self.groups) for name in names}

    def best(self, metric: str) -> int | None:
        """The group with the best mean of a metric; None of one alone or of equal ones."""
        info = info_of(metric)
        means = [fmean(found) if found else math.nan for found in self.metrics[metric]]
        if (
            info is None
            or column_and_metric(metric)[1].startswith("coverage")
            or len(set(means)) < 2
        ):
            return None
        known = [(value, at) for at, value in enumerate(means) if not math.isnan(value)]
        chosen = max(known) if info.larger_is_better else min(known)
        return chosen[1] if len(known) > 1 else None


def compare(builds: Sequence[BuildFolder]) -> Comparison:
    """Compare builds. Raises BuildError for a single one, and for one that cannot be read."""
    if len(builds) < 2:
        raise BuildError(
            f"{builds[0].path if builds else 'nothing'}: is one build; name another to compare it"
            " with, or a folder of several"
        )
    found: dict[tuple[str, str], list[tuple[BuildFolder, Spec, dict[str, Any]]]] = {}
    for build in builds:
        build.check()
        spec, state = load_spec(build.spec).spec, build.read_state()
        keys = {k: v for k, v in _flat(spec.model_dump(mode="json")) if k not in APART}
        same = (repr(keys), repr(_contents(state)))
        found.setdefault(same, []).append((build, spec, state))
    groups = tuple(map(_group, found.values()))
    every = dict.fromkeys(key for group in groups for key in group.keys)
    spec_rows = {key: tuple(group.keys.get(key) for group in groups) for key in every}
    files = dict.fromkeys(key for group in groups for key in group.data)
    data_rows = {key: tuple(group.data.get(key) for group in groups) for key in files}
    return Comparison(groups, _differing(spec_rows), _differing(data_rows))


def builds_of(named: Iterable[Path], builds: Path) -> list[BuildFolder]:
    """The builds that are named: each a build, or a folder of builds, of which all that have
    weights. Raises BuildError."""
    found: dict[Path, BuildFolder] = {}
    for path in named:
        below = builds / path
        where = below if below.exists() and not path.exists() else path
        chosen = [build for build in builds_in(where) if build.weights.exists()]
        if not chosen:
            raise BuildError(f"{path}: no build with weights here; rnnspec list shows all builds")
        found |= {build.path: build for build in reversed(chosen)}
    return list(found.values())


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings and lists by their dotted keys."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        for place, inner in enumerate(value):
            yield from _flat(inner, f"{path}[{place}]")
    else:
        yield path, value


def _contents(state: Mapping[str, Any]) -> dict[str, str]:
    """What was read, by what it was for: the names of files with the digests of their content."""
    return {
        f"data.{part}": ", ".join(f"{name} ({digest[:8]})" for name, digest in files.items())
        for part, files in state.get("files", {}).items()
    }


def _group(members: Sequence[tuple[BuildFolder, Spec, dict[str, Any]]]) -> Group:
    _, spec, state = members[0]
    keys = dict(_flat(spec.model_dump(mode="json")))
    measured = [numbers_of(state.get("valid", {})) for _, _, state in members]
    names = dict.fromkeys(name for each in measured for name in each)
    metrics = {n: tuple(each[n] for each in measured if n in each) for n in names}
    builds = tuple(build for build, _, _ in members)
    seeds = [str(each.train.seed) for _, each, _ in members]
    figures = {
        "builds": ", ".join(str(build.path) for build in builds),
        "state": ", ".join(dict.fromkeys(state["state"] for _, _, state in members)),
        "seeds": ", ".join(seeds),
        "weights": f"{_weights(spec, builds[0]):,}",
        "best epoch": ", ".join(_best(build, state) for build, _, state in members),
    }
    kept = {key: value for key, value in keys.items() if key not in APART}
    share = spec.data.valid
    data = _contents(state) | ({"data.valid": f"{share:g}"} if isinstance(share, float) else {})
    return Group(builds, kept, data, metrics, figures, monitored(spec))


def _weights(spec: Spec, build: BuildFolder) -> int:
    return sum(weight.size for weight in weights(resolve(spec, read_facts(build.path))))


def _best(build: BuildFolder, state: Mapping[str, Any]) -> str:
    epochs = max((int(record["epoch"]) for record in build.records()), default=0)
    return f"{state.get('best_epoch', 0)} of {epochs}"


def _differing(rows: Mapping[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    return {key: row for key, row in rows.items() if any(cell != row[0] for cell in row[1:])}


# ---------------------------------------------------------------- for people


def spread(values: Sequence[float]) -> str:
    """A mean and, of several builds, their standard deviation (of a sample): `0.912 ± 0.004`."""
    if not values:
        return ""
    if len(values) == 1:
        return number(values[0])
    return f"{number(fmean(values))} ± {number(stdev(values), 2)}"


def tables(found: Comparison) -> Iterator[model.Table]:
    """What is compared, as tables: the builds, metrics, differences of spec and of data."""
    labels = tuple(group.label for group in found.groups)
    names = dict.fromkeys(name for group in found.groups for name in group.figures)
    rows = [(name, *(group.figures.get(name, "") for group in found.groups)) for name in names]
    yield model.Table("Builds", ("", *labels), tuple(rows), left=len(labels) + 1)
    metrics = []
    for name, values in found.metrics.items():
        best = found.best(name)
        cells = [spread(each) + " ★" * (best == at) for at, each in enumerate(values)]
        metrics.append((name, *cells))
    several = any(len(group.builds) > 1 for group in found.groups)
    text = "On the validation rows of each build; ★ is the best"
    if several:
        text += ", ± the standard deviation over builds that differ in their seeds alone"
    text += "."
    if "data.valid" in found.data or "data.train" in found.data:
        text += " The data differ, so that the numbers are of different rows."
    yield model.Table("Metrics", ("metric", *labels), tuple(metrics), text=text)
    for title, differences in (("Spec", found.spec), ("Data", found.data)):
        cells_of = [(key, *map(_shown, row)) for key, row in differences.items()]
        same = f"All were built {'by the same spec' if title == 'Spec' else 'on the same data'}."
        said = "" if cells_of else same
        yield model.Table(title, ("key", *labels), tuple(cells_of), left=len(labels) + 1, text=said)


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case list():
            return f"[{', '.join(map(_shown, value))}]"
    return str(value)


def page_of(found: Comparison) -> Report:
    """The comparison as a page, with the curves over each other."""
    builds, metrics, spec, data = tables(found)
    groups = found.groups[:MOST_LINES]
    charts = tuple(_charts(groups))
    sections: list[model.Section] = [metrics]
    if charts:
        text = "Of each epoch; of several builds the mean of those that had it."
        if len(found.groups) > len(groups):
            text += f" The first {MOST_LINES} columns are drawn."
        sections.append(model.Curves("Curves", charts, text=text))
    title = "Comparison of " + plural(sum(len(g.builds) for g in found.groups), "builds")
    sections += [spec, data, builds]
    return Report(title, tuple(g.label for g in found.groups), sections=tuple(sections))


def _charts(groups: Sequence[Group]) -> Iterator[model.Chart]:
    """Losses, what decided on the best epochs, and all other metrics that every epoch measures."""
    records = [[list(build.records()) for build in group.builds] for group in groups]
    epochs = max((int(r["epoch"]) for of in records for each in of for r in each), default=0)
    keys = dict.fromkeys(["train.loss", "valid.loss", *(f"valid.{g.monitor}" for g in groups)])
    keys |= dict.fromkeys(k for of in records for each in of for r in each for k in r)
    for key in keys:
        part, _, metric = key.partition(".")
        info = info_of(metric)
        if info is None or ((part, metric) != ("train", "loss") and part != "valid"):
            continue
        lines = [
            model.Series(group.label, _means(of, key, epochs))
            for group, of in zip(groups, records, strict=True)
        ]
        if any(value is not None for line in lines for value in line.values):
            title = f"{metric} in training" if part == "train" else metric
            yield model.Chart(title, tuple(lines), "", info.larger_is_better)


def _means(
    builds: Sequence[Sequence[Mapping[str, Any]]], key: str, epochs: int
) -> tuple[float | None, ...]:
    """The mean over builds of what was measured after each epoch; None where none was."""
    by_epoch: dict[int, list[float]] = {}
    for record in (record for records in builds for record in records):
        if record.get(key) is not None:
            by_epoch.setdefault(int(record["epoch"]), []).append(float(record[key]))
    return tuple(
        fmean(by_epoch[epoch]) if epoch in by_epoch else None for epoch in range(1, epochs + 1)
    )
