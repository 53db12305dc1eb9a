"""A spec to a build folder: survey, resolve, encode, train, evaluate."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from rnnspec import __version__
from rnnspec.data import Dataset, Reading, encode, survey
from rnnspec.data.encode import Part
from rnnspec.data.find import Sources, find_sources
from rnnspec.errors import BuildError
from rnnspec.plan import Facts, Plan, dump, resolve
from rnnspec.plan.facts_file import read_facts
from rnnspec.spec.load import LoadedSpec, resolved_yaml
from rnnspec.to_torch import Model
from rnnspec.train.devices import Numbers
from rnnspec.train.distributed import ALONE, Processes, restarts
from rnnspec.train.events import Heard, Listener, Several
from rnnspec.train.files import read_arrays, read_text, sweep, write_arrays
from rnnspec.train.folder import CACHE, BuildFolder, Trained, all_builds, begin, next_folder
from rnnspec.train.goals import goals_of
from rnnspec.train.interrupt import interruptible
from rnnspec.train.loop import Trainer
from rnnspec.train.report import write_report
from rnnspec.train.score import evaluate_build
from rnnspec.train.threads import take_threads, threads_for

SHOWN = 5
"""Most files named of those that have changed."""


@dataclass(frozen=True, slots=True)
class Result:
    """A build's outcome. `metrics` are those of the best weights on validation rows, empty without
    any; `finished` is False after an interrupt; `report` is None where none was written."""

    folder: BuildFolder
    finished: bool
    metrics: Mapping[str, float]
    best_epoch: int
    report: Path | None = None


def build(
    loaded: LoadedSpec,
    builds: Path,
    listener: Listener,
    *,
    resume: bool = False,
    train: bool = True,
    processes: Processes = ALONE,
) -> Result:
    """Build `loaded` into a new folder below `builds`, or continue the newest unfinished one.

    Without `train` the folder holds the starting weights. Raises DataError for bad data, and
    BuildError if there is nothing to resume or it belongs to another spec. All processes of a
    training call it; the first one writes. Processes that were started again go on by themselves.
    """
    heard = Heard()
    listener = Several(listener, heard)
    listener.stage("reading the data")
    resume = resume or (restarts() > 0 and processes.from_first(lambda: _goes_on(loaded, builds)))
    with processes.first_then_others():
        folder, facts = _unfinished(loaded, builds) if resume else (None, None)
        sources = find_sources(loaded.spec.data, loaded.path.parent)
        facts = facts or survey(loaded.spec, sources.train)
        plan = resolve(loaded.spec, facts)
        train_data, valid_data = datasets(loaded, plan, facts, builds / CACHE, sources)
    settings = loaded.spec.train
    wanted = settings.threads or (1 if processes.count > 1 else None)
    take_threads(threads_for(plan, settings.batch, wanted))
    keys = [data.key for data in (train_data, valid_data) if data]
    files = _digests(sources)
    if folder is None:
        folder = processes.from_first(lambda: _begun(loaded, builds, plan, facts, keys, files))
    elif folder.read_state()["data"] != keys:
        raise BuildError(
            f"{folder.path}: cannot be resumed, for the data files have changed since it was begun"
            f"{_changes(folder.read_state().get('files', {}), files)}; put them back, or start a"
            " new build without --resume"
        )
    listener.begun(folder.path)
    model = Model(plan)
    model.start(facts, loaded.spec.train.seed)
    if not train:
        if processes.first:
            write_arrays(folder.weights, model.canonical_arrays(), {"epoch": "0"})
            _write_state(folder, "not trained")
        return Result(folder, True, {}, 0)
    goals = goals_of(loaded.spec, facts)
    trainer = Trainer(model, settings, folder, train_data, valid_data, listener, processes, goals)
    result = _trained(trainer, interrupted=resume)
    if heard.warnings and processes.first:
        state = folder.read_state()
        told = dict.fromkeys([*state.get("warnings", []), *heard.warnings])
        _write_state(folder, state["state"], warnings=list(told))
    if not result.finished or not processes.first:
        return result
    kept = Trained(folder, loaded.spec, plan, facts, read_arrays(folder.weights)[0])
    wide = trainer.stepper.numbers.precision == "float64"
    numbers = Numbers(trainer.stepper.numbers.device, "float64" if wide else "float32")
    return _reported(result, kept, numbers, listener, sources)


def _trained(trainer: Trainer, interrupted: bool) -> Result:
    """Train to the end, or until asked to stop, from the last checkpoint if there is one."""
    folder, writes = trainer.folder, trainer.processes.first
    if interrupted and folder.checkpoint.exists():
        trainer.resume()
    if writes:
        sweep(folder.path)
    trainer.listener.stage("training")
    with interruptible() as interrupt:
        finished = trainer.run(interrupt)
    at = trainer.position
    if not finished:
        if writes:
            _write_state(folder, "stopped", epoch=at.epoch + 1, batches=at.batches)
        return Result(folder, False, {}, at.best_epoch)
    metrics = trainer.processes.from_first(lambda: folder.measured(at.best_epoch))
    if writes:
        _write_state(folder, "finished", best_epoch=at.best_epoch, valid=metrics)
        folder.checkpoint.unlink(missing_ok=True)
    return Result(folder, True, metrics, at.best_epoch)


def _reported(
    result: Result, trained: Trained, numbers: Numbers, listener: Listener, sources: Sources
) -> Result:
    """Measure the best weights as they will be used, and write the report.

    The build is finished before: whatever goes wrong here is told as a warning.
    """
    folder, metrics = result.folder, result.metrics
    listener.stage("writing the report")
    try:
        scores = None
        if sources.measured is not None:
            scores = evaluate_build(trained, numbers=numbers, sources=sources)
            metrics = scores.metrics
            _write_state(folder, "finished", valid=metrics)
        write_report(trained, scores, folder.report)
    except (Exception, KeyboardInterrupt) as error:
        why = str(error) or type(error).__name__
        listener.warning(
            f"the build is finished, but has no report ({why}); write one with:"
            f" rnnspec evaluate {folder.path} --report {folder.report}"
        )
        return replace(result, metrics=metrics)
    return replace(result, metrics=metrics, report=folder.report)


def datasets(
    loaded: LoadedSpec, plan: Plan, facts: Facts, cache: Path, sources: Sources | None = None
) -> tuple[Dataset, Dataset | None]:
    """The encoded training rows and validation rows, if the spec has any.

    `sources` are its files, where they are found already.
    """
    sources = sources or find_sources(loaded.spec.data, loaded.path.parent)
    reading, measured, share = Reading.of(loaded.spec), sources.measured, sources.share
    train = encode(plan, facts, sources.train, reading, cache, "train", share)
    if measured is None:
        return train, None
    part: Part = "valid" if share else "all"
    return train, encode(plan, facts, measured, reading, cache, part, share)


def _digests(sources: Sources) -> dict[str, dict[str, str]]:
    """The content of each file, by what it is for and by its name."""
    found = {}
    for name, shards in (("train", sources.train), ("valid", sources.valid)):
        if shards is not None:
            digests = (content.digest[:16] for content in shards.content)
            found[name] = dict(zip(shards.short_names, digests, strict=True))
    return found


def _changes(before: Mapping[str, Mapping[str, str]], now: Mapping[str, Mapping[str, str]]) -> str:
    """The first files that differ, in words."""
    told = []
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name, {}), now.get(name, {})
        told += [f"{file} is gone" for file in old if file not in new]
        told += [f"{file} is new" for file in new if file not in old]
        told += [f"{file} has changed" for file in new if old.get(file, new[file]) != new[file]]
    more = [f"and {len(told) - SHOWN} more"] if len(told) > SHOWN else []
    return f" ({', '.join(told[:SHOWN] + more)})" if told else ""


def _begun(
    loaded: LoadedSpec,
    builds: Path,
    plan: Plan,
    facts: Facts,
    keys: list[str],
    files: Mapping[str, Mapping[str, str]],
) -> BuildFolder:
    """A new folder, for rows with these keys, out of these files."""
    folder = begin(next_folder(builds, plan.name), loaded, dump(plan), facts)
    _write_state(folder, "training", source=str(loaded.path.resolve()), data=keys, files=files)
    return folder


def _goes_on(loaded: LoadedSpec, builds: Path) -> bool:
    """Whether there is a build to go on with."""
    try:
        _unfinished(loaded, builds)
    except BuildError:
        return False
    return True


def _unfinished(loaded: LoadedSpec, builds: Path) -> tuple[BuildFolder, Facts]:
    """The newest build of this spec's name that is not finished. Raises BuildError if none fits."""
    name = loaded.spec.name
    found = [b for b in all_builds(builds) if b.path.parent.name == name]
    folder = next((b for b in found if b.read_state()["state"] in ("training", "stopped")), None)
    if folder is None:
        why = "each build is finished already" if found else "no build was ever begun"
        raise BuildError(
            f"{builds / name}: nothing to resume, for {why}; start one without --resume"
        )
    before, now = read_text(folder.spec), resolved_yaml(loaded.spec)
    if before != now:
        changes = difflib.unified_diff(before.splitlines(), now.splitlines(), lineterm="", n=0)
        lines = [line for line in changes if line[:1] in "+-" and line[:3] not in ("+++", "---")]
        raise BuildError(
            f"{folder.path}: cannot be resumed, for the spec has changed:\n"
            + "\n".join(f"    {line}" for line in lines[:10])
            + "\nundo the change, or start a new build without --resume"
        )
    return folder, read_facts(folder.path)


def _write_state(folder: BuildFolder, state: str, **more: object) -> None:
    before: dict[str, object] = {"begun": datetime.now(UTC).isoformat(timespec="milliseconds")}
    if folder.state.exists():
        before = folder.read_state()
    versions = {"rnnspec": __version__, "torch": torch.__version__}
    folder.write_state({**before, **versions, **more, "state": state})
