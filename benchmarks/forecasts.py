"""Forecasts of real series beside naive ones, AutoETS and a network of another library.

    python benchmarks/forecasts.py [--peers ENVIRONMENT] [--only retail] [--seeds 0 1]

- retail: 152 monthly series, the 12 months of 2016 from those before: the mean over series of MASE,
  the mean absolute error by the mean change in 12 months in training (Hyndman and Koehler 2006).
- electricity: the next 48 half-hours, each day of the last 60 days, from the week before: the mean
  absolute error in MW.

Every forecast is scored here, by one function each. The specs are `specs/forecast-*.yaml`; the best
epoch is told on the same windows, so the last epoch is shown as well. `--peers` names an
environment with statsforecast and neuralforecast (pip install 'torch==2.13.0' neuralforecast
statsforecast), in which `elsewhere/forecasts.py` runs. Seconds are of the CPU, on one thread,
reading and measuring included; run it with `nice` where others use the machine.
"""

from __future__ import annotations

import argparse
import csv
import os
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from twins.data import data_folder

HERE = Path(__file__).parent
Array = NDArray[np.float64]
Forecasts = Mapping[tuple[str, int], Array]
"""By series and number of the last step read: the values of the steps that follow."""


@dataclass(frozen=True)
class Task:
    """A table, and how forecasts of it are scored."""

    file: str
    series: str | None
    value: str
    season: int
    horizon: int
    windows: int
    peers: tuple[str, ...]
    naive: Mapping[str, int]
    metric: str


TASKS = {
    "retail": Task("retail/months.csv", "series_id", "turnover", 12, 12, 1, ("ets", "lstm"),
                   {"seasonal naive": 12}, "mean MASE"),
    "electricity": Task("electricity/half_hours.csv", None, "demand", 336, 48, 60, ("lstm",),
                        {"yesterday": 48, "last week": 336}, "MAE, MW"),
}  # fmt: skip


def read(task: Task) -> dict[str, Array]:
    """The values of each series."""
    found = defaultdict(list)
    with (data_folder() / task.file).open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found[row[task.series] if task.series else "demand"].append(float(row[task.value]))
    return {name: np.array(values) for name, values in found.items()}


def origins(task: Task, values: Array) -> range:
    """The numbers of the last steps read."""
    first = len(values) - task.windows * task.horizon
    return range(first, len(values) - task.horizon + 1, task.horizon)


def naive(task: Task, series: Mapping[str, Array], season: int) -> Forecasts:
    return {
        (name, at): np.resize(values[at - season : at], task.horizon)
        for name, values in series.items()
        for at in origins(task, values)
    }


def score(task: Task, series: Mapping[str, Array], found: Forecasts) -> float:
    """The mean over series of MASE, or the mean absolute error of the one series."""
    errors = defaultdict(list)
    for name, values in series.items():
        for at in origins(task, values):
            error = np.abs(found[name, at] - values[at : at + task.horizon])
            assert error.shape == (task.horizon,), f"{name} at {at} has {len(error)} steps"
            errors[name].append(error)
    means = {name: float(np.mean(each)) for name, each in errors.items()}
    if task.series is None:
        return means["demand"]
    scales = {}
    for name, values in series.items():
        trained = values[: origins(task, values)[0]]
        scales[name] = float(np.abs(trained[task.season :] - trained[: -task.season]).mean())
    return float(np.mean([means[name] / scales[name] for name in series]))


def timed(command: list[str], folder: Path) -> tuple[str, float]:
    """What a command prints, and its CPU seconds."""
    begun = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done.stdout, ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime


def of_rnnspec(name: str, task: Task, seed: int, weights: str, folder: Path) -> Forecasts:
    """The forecasts of the build in `folder`, with the best weights or the last."""
    out = folder / f"{name}-{seed}-{weights}.csv"
    windows = "last" if task.windows == 1 else f"every {task.horizon}"
    tool = [sys.executable, "-m", "rnnspec", "evaluate", f"builds/{name}"]
    timed([*tool, "--windows", windows, "--weights", weights, "--output", str(out)], folder)
    series, found = read(task), defaultdict(list)
    with out.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            series_name = row[task.series] if task.series else "demand"
            found[series_name].append(float(row[f"{task.value}.forecast"]))
    return {
        (series_name, at): np.array(found[series_name][n * task.horizon : (n + 1) * task.horizon])
        for series_name, values in series.items()
        for n, at in enumerate(origins(task, values))
    }


def build(name: str, task: Task, seed: int, folder: Path) -> float:
    """Trains the spec of a task; CPU seconds."""
    spec = (HERE / "specs" / f"forecast-{name}.yaml").read_text(encoding="utf-8")
    file = data_folder() / task.file
    text = spec.replace(f"train: {file.name}", f"train: {file.resolve()}")
    (folder / f"{name}.yaml").write_text(f"{text.rstrip()}\n  seed: {seed}\n", encoding="utf-8")
    return timed([sys.executable, "-m", "rnnspec", "build", f"{name}.yaml"], folder)[1]


def of_peer(name: str, task: Task, how: str, environment: Path, folder: Path) -> Forecasts:
    script, out = HERE / "elsewhere" / "forecasts.py", folder / f"{name}-{how}.csv"
    file = (data_folder() / task.file).resolve()
    timed([str(environment / "bin/python"), str(script), name, how, str(file), str(out)], folder)
    return of_file(out)


def of_file(out: Path) -> Forecasts:
    """The forecasts that `elsewhere/forecasts.py` has written."""
    found: dict[tuple[str, int], dict[int, float]] = defaultdict(dict)
    with out.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            place = (row["series"], int(row["origin"]))
            found[place][int(row["step"])] = float(row["forecast"])
    return {place: np.array([of[step] for step in sorted(of)]) for place, of in found.items()}


def shown(label: str, figure: float, seconds: float | None = None) -> None:
    print(f"  {label:<40} {figure:10.3f}" + (f" {seconds:8.0f} s" if seconds else ""), flush=True)


def run(name: str, task: Task, peers: Path | None, seeds: list[int]) -> None:
    series = read(task)
    print(f"{name}: {task.metric}; {len(series)} series, {task.horizon} steps", flush=True)
    for label, season in task.naive.items():
        shown(label, score(task, series, naive(task, series, season)))
    for seed in seeds:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place)
            seconds = build(name, task, seed, folder)
            for weights in ("best", "last"):
                found = of_rnnspec(name, task, seed, weights, folder)
                label = f"rnnspec, seed {seed}, {weights} weights"
                shown(label, score(task, series, found), seconds)
    for how in task.peers if peers else ():
        assert peers is not None
        with tempfile.TemporaryDirectory() as place:
            begun = resource.getrusage(resource.RUSAGE_CHILDREN)
            found = of_peer(name, task, how, peers, Path(place))
            ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = ended.ru_utime + ended.ru_stime - begun.ru_utime - begun.ru_stime
        label = {"ets": "statsforecast AutoETS", "lstm": "neuralforecast LSTM"}[how]
        shown(label, score(task, series, found), seconds)


def main() -> None:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--peers", type=Path, help="environment of the other libraries")
    parser.add_argument("--only", choices=TASKS, help="one of the tasks")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    given = parser.parse_args()
    for name, task in TASKS.items():
        if given.only in (None, name):
            run(name, task, given.peers and given.peers.resolve(), given.seeds)


if __name__ == "__main__":
    main()
