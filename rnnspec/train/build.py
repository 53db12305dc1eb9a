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
from rnnspec.train.threads import threads_for


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
        facts = facts or survey(loaded.spec, loaded.resolve_path(loaded.spec.data.train))
        plan = resolve(loaded.spec, facts)
        train_data, valid_data = datasets(loaded, plan, facts, builds / CACHE)
    settings = loaded.spec.train
    wanted = settings.threads or (1 if processes.count > 1 else None)
    torch.set_num_threads(threads_for(plan, settings.batch, wanted))
    keys = [data.key for data in (train_data, valid_data) if data]
    if folder is None:
        folder = processes.from_first(lambda: _begun(loaded, builds, plan, facts, keys))
    elif folder.read_state()["data"] != keys:
        raise BuildError(
            f"{folder.path}: cannot be resumed, for the data files have changed since it was begun;"
            " put them back, or start a new build without --resume"
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
    return _reported(result, kept, numbers, listener)


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


def _reported(result: Result, trained: Trained, numbers: Numbers, listener: Listener) -> Result:
    """Measure the best weights as they will be used, and write the report.

    The build is finished before: whatever goes wrong here is told as a warning.
    """
    folder, metrics = result.folder, result.metrics
    listener.stage("writing the report")
    try:
        scores = None
        if trained.spec.data.valid is not None:
            scores = evaluate_build(trained, numbers=numbers)
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
    loaded: LoadedSpec, plan: Plan, facts: Facts, cache: Path
) -> tuple[Dataset, Dataset | None]:
    """The encoded training rows and validation rows, if the spec has any."""
    data, reading = loaded.spec.data, Reading.of(loaded.spec)
    train = loaded.resolve_path(data.train)
    if isinstance(data.valid, float):
        share = data.valid
        return (
            encode(plan, facts, train, reading, cache, "train", share),
            encode(plan, facts, train, reading, cache, "valid", share),
        )
    whole = encode(plan, facts, train, reading, cache, "train")
    if data.valid is None:
        return whole, None
    return whole, encode(plan, facts, loaded.resolve_path(data.valid), reading, cache)


def _begun(
    loaded: LoadedSpec, builds: Path, plan: Plan, facts: Facts, keys: list[str]
) -> BuildFolder:
    """A new folder, for rows with these keys."""
    folder = begin(next_folder(builds, plan.name), loaded, dump(plan), facts)
    _write_state(folder, "training", source=str(loaded.path.resolve()), data=keys)
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
