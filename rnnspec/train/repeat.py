"""Several builds of one spec: a fold or a seed each, and what their metrics have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from rnnspec.errors import BuildError, RnnspecError, SpecError
from rnnspec.files import json_text, write_text
from rnnspec.spec.load import LoadedSpec, load_spec
from rnnspec.train.build import Result

FOLDS, SEEDS = "folds", "seeds"
"""The names of their folders begin so."""


@dataclass(frozen=True, slots=True)
class Run:
    """One of the builds: the name of its folder, and the spec with its fold or seed."""

    name: str
    loaded: LoadedSpec


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of a metric over builds: their mean, and their sample standard deviation (with a
    divisor of n - 1), None of a single one."""

    values: tuple[float, ...]
    mean: float
    deviation: float | None


def folds(spec: Path, overrides: Sequence[str], count: int) -> list[Run]:
    """A run for each fold, which takes the place of a share in `data.valid`. Raises SpecError, and
    RnnspecError where the spec names files to measure on, which would go unused."""
    first = _fold(spec, overrides, 1, count)
    if files := _files(spec, overrides):
        raise RnnspecError(
            f"--folds measures each part of the training rows once, and data.valid names {files};"
            " leave it out with --set data.valid=null"
        )
    others = (_fold(spec, overrides, number, count) for number in range(2, count + 1))
    return [Run(f"fold-{n}", each) for n, each in enumerate((first, *others), start=1)]


def _fold(spec: Path, overrides: Sequence[str], number: int, count: int) -> LoadedSpec:
    return load_spec(spec, [*overrides, f"data.valid={{fold: {number}, of: {count}}}"])


def _files(spec: Path, overrides: Sequence[str]) -> str:
    """The validation files, none for a spec that is only right with folds."""
    try:
        return ", ".join(load_spec(spec, overrides).spec.data.valid_files)
    except SpecError:
        return ""


def seeds(spec: Path, overrides: Sequence[str], numbers: Sequence[int]) -> list[Run]:
    """A run for each seed. Raises SpecError, and RnnspecError for a seed that is named twice."""
    if len(set(numbers)) < len(numbers):
        raise RnnspecError("--seeds names a seed twice; name each once")
    return [Run(f"seed-{n}", load_spec(spec, [*overrides, f"train.seed={n}"])) for n in numbers]


def group_folder(builds: Path, name: str, kind: str, resume: bool) -> Path:
    """`builds/NAME/folds-001`, or `seeds-001`: the next one, or with `resume` the last. Raises
    BuildError where there is none."""
    taken = [int(p.name.rpartition("-")[2]) for p in (builds / name).glob(f"{kind}-[0-9]*")]
    if resume and not taken:
        raise BuildError(f"{builds / name}: nothing to resume; start one without --resume")
    return builds / name / f"{kind}-{max(taken, default=0) + (not resume):03}"


def spreads(results: Sequence[Result]) -> dict[str, Spread]:
    """The spread of every metric that all builds have."""
    found = {}
    for name in results[0].metrics if results else ():
        values = tuple(each.metrics[name] for each in results if name in each.metrics)
        if len(values) == len(results):
            found[name] = Spread(values, fmean(values), stdev(values) if len(values) > 1 else None)
    return found


def as_json(folder: Path, results: Mapping[str, Result]) -> dict[str, object]:
    """The builds and their metrics, as `--json` prints them and summary.json holds them."""
    return {
        "folder": str(folder),
        "metrics": {
            name: {"mean": each.mean, "deviation": each.deviation, "values": list(each.values)}
            for name, each in spreads(list(results.values())).items()
        },
        "builds": {
            name: {
                "folder": str(each.folder.path),
                "best_epoch": each.best_epoch,
                "metrics": dict(each.metrics),
            }
            for name, each in results.items()
        },
    }


def write_summary(folder: Path, results: Mapping[str, Result]) -> None:
    """Write summary.json into the folder of the builds."""
    write_text(folder / "summary.json", json_text(as_json(folder, results), indent=2) + "\n")
