"""A spec to a build folder: survey, resolve, encode, train, evaluate."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from rnnspec.data import Dataset, Progress, Reading, encode, survey
from rnnspec.data.alignments import refuse_too_short, without_too_short
from rnnspec.data.columns.new_labels import new_labels_note
from rnnspec.data.encode import encode_parts
from rnnspec.data.readers import notes_of
from rnnspec.data.shards import Sources, find_sources
from rnnspec.errors import BuildError
from rnnspec.evaluate.monitor import check_bleu
from rnnspec.evaluate.report import write_report
from rnnspec.evaluate.score import evaluate_build
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan import Facts, Plan, resolve
from rnnspec.plan.facts_file import read_facts
from rnnspec.plan.names import names_of
from rnnspec.plan.nodes import BatchNorm
from rnnspec.plan.precision import lost_numbers
from rnnspec.spec import Spec, Train
from rnnspec.spec.load import LoadedSpec
from rnnspec.spec.metrics import default_metric, monitored_metrics
from rnnspec.store.events import Heard, Listener, Several
from rnnspec.store.files import numbers_of, read_arrays, write_arrays
from rnnspec.store.folder import CACHE, BuildFolder, Trained, begin
from rnnspec.store.lock import locked
from rnnspec.store.resume import (
    VERSIONS,
    check_data,
    epochs_note,
    found_build,
    run_id,
    warn_of_threads,
    warn_of_versions,
)
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision, device_of
from rnnspec.to_torch.memory import keep_few_kernels, map_large_blocks
from rnnspec.to_torch.threads import computing_with, threads_for
from rnnspec.train.answered import check_answered, unmeasured
from rnnspec.train.data_notes import data_notes, history_note
from rnnspec.train.distributed import ALONE, Processes, SaidElsewhere, restarts
from rnnspec.train.interrupt import interruptible
from rnnspec.train.loop import Diverged, Trainer
from rnnspec.train.scheme_notes import scheme_notes
from rnnspec.train.start_from import frozen_nodes, grown, start_build, take
from rnnspec.train.thresholds import with_thresholds


@dataclass(frozen=True, slots=True)
class Result:
    """A build's outcome. `metrics`: of the best weights on validation rows, empty without any;
    `finished`: False after an interrupt; `report`: None where none was written."""

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
    place: Path | None = None,
) -> Result:
    """Build `loaded` into a new folder below `builds`, or continue the newest unfinished one; or
    into the folder `place`, where a build that is there is continued.

    Without `train` the folder holds the starting weights. Raises DataError for bad data, and
    BuildError if there is nothing to resume, if it belongs to another spec, or if another process
    trains in it. All processes of a training call it; the first one writes. Processes that were
    started again go on by themselves.
    """
    heard = Heard()
    listener = Several(listener, heard)
    listener.stage("reading the data")
    restarted = processes.any(restarts() > 0)
    with ExitStack() as held:
        found = processes.from_first(
            lambda: found_build(loaded, builds, resume, restarted, held, place)
        )
        job = _prepared(loaded, builds, found, listener, processes)
        if found is None:
            folder = processes.from_first(
                lambda: _begun(job, builds, train, processes, held, place)
            )
        else:
            folder = found
            check_data(folder, job.keys, _digests(job.sources))
        keep_few_kernels()
        map_large_blocks()
        held.enter_context(computing_with(job.threads))
        listener.begun(folder.path)
        if not train:
            return _untrained(job, folder, listener, processes)
        state = folder.read_state()
        begun = state.get("epochs", loaded.spec.train.epochs)
        if begun < loaded.spec.train.epochs and (text := epochs_note(begun, loaded)):
            listener.warning(text)
        if state["state"] == "finished":  # but has no report, or was started again
            metrics = numbers_of(state.get("valid", {}))
            result = Result(folder, True, metrics, state.get("best_epoch", 0))
        else:
            result = _trained(job, folder, listener, processes, resumed=found is not None)
        kept = _kept(job, folder, listener) if result.finished and processes.first else None
        if heard.warnings and processes.first:
            before = folder.read_state().get("warnings", [])
            _write_state(folder, warnings=list(dict.fromkeys([*before, *heard.warnings])))
        if heard.notes and processes.first:
            _write_state(folder, notes=heard.notes)
        return _reported(result, kept, listener, job.sources) if kept else result


@dataclass(frozen=True, slots=True)
class _Job:
    """What is to be trained, and on what."""

    loaded: LoadedSpec
    sources: Sources
    facts: Facts
    plan: Plan
    train: Dataset
    valid: Dataset | None
    threads: int
    start: Trained | None = None
    """The build to start from, unless a checkpoint is gone on with."""
    frozen: frozenset[str] = frozenset()

    @property
    def keys(self) -> list[str]:
        return [data.key for data in (self.train, self.valid) if data]


def _prepared(
    loaded: LoadedSpec,
    builds: Path,
    found: BuildFolder | None,
    listener: Listener,
    processes: Processes,
) -> _Job:
    """Facts, plan and rows: of the build that is resumed, or new ones."""
    spec = loaded.spec
    sources, tell = find_sources(spec.data, loaded.path.parent), listener.reading
    for files in filter(None, (sources.train, sources.valid)):
        for text in notes_of(files, Reading.of(spec).how):
            listener.note(text)
    start = start_build(loaded) if _starts(found) else None
    facts = processes.from_first(lambda: _facts(loaded, sources, found, start, listener))
    plan = resolve(spec, facts)
    frozen = frozen_nodes(plan, loaded)
    processes.from_first(lambda: _check_moments(plan, loaded.path, processes.count))
    for sentence in lost_numbers(plan, facts) if processes.first else ():
        listener.warning(sentence)
    with processes.first_then_others():
        train, valid = datasets(loaded, plan, facts, builds / CACHE, sources, tell)
    train = _aligned(loaded, plan, train, valid, sources, listener)
    window = spec.train.window
    processes.from_first(lambda: check_answered(plan, train, sources.train, window))
    _tell_of_rows(spec, plan, facts, train, valid, sources, listener)
    names = monitored_metrics(spec.train, default_metric(spec))
    processes.from_first(lambda: check_bleu(names, plan, valid))
    threads = _threads(spec.train, plan, found, listener, processes)
    job = _Job(loaded, sources, facts, plan, train, valid, threads, start, frozen)
    if any(keys != job.keys for keys in processes.all(job.keys)):
        raise BuildError(
            f"{sources.train}: the processes of this training read different data; let all of"
            " them see the same files"
        )
    return job


def _facts(
    loaded: LoadedSpec,
    sources: Sources,
    found: BuildFolder | None,
    start: Trained | None,
    listener: Listener,
) -> Facts:
    """Facts of the build that is resumed, or of the training rows; with those of the build to start
    from, whose vocabularies grow."""
    if found:
        return read_facts(found.path)
    home = loaded.path.parent
    facts = survey(loaded.spec, sources.train, listener.reading, listener.note, home)
    if start is None:
        return facts
    facts, said = grown(facts, start.facts)
    for text in said:
        listener.note(text)
    return facts


def _tell_of_rows(
    spec: Spec,
    plan: Plan,
    facts: Facts,
    train: Dataset,
    valid: Dataset | None,
    sources: Sources,
    listener: Listener,
) -> None:
    """Warnings and notes of the rows that are trained on and measured."""
    if valid is not None and sources.measured is not None:
        for text in unmeasured(plan, valid, sources.measured, spec.train.window):
            listener.warning(text)
    if valid is not None and valid.filled and sources.valid is not None:
        filled = f"{valid.filled:,} steps of series have no row, and are filled"
        listener.note(f"{sources.valid}: {filled}")
    for text in data_notes(plan, facts, valid):
        listener.note(text)
    series = Reading.of(spec).series
    if series is not None and not series.whole and (said := history_note(series.history, train)):
        listener.note(said)
    for text in scheme_notes(plan, facts, train, sources.train, spec.data.format_name):
        listener.note(text)
    _warn_of_new_labels(facts, valid, sources, listener)


def _threads(
    settings: Train, plan: Plan, found: BuildFolder | None, listener: Listener, processes: Processes
) -> int:
    """Threads to train with: those of the spec, those of the build that is resumed, or as many as
    pay off."""
    wanted = settings.threads or (1 if processes.count > 1 else None)
    threads = threads_for(plan, settings.batch, wanted)
    if found is not None:
        before = found.read_state()
        if before.get("processes") == processes.count:
            threads = before.get("threads", threads)
        warn_of_versions(before, listener)
        if wanted is None:
            warn_of_threads(threads, listener)
    return threads


def _check_moments(plan: Plan, spec: Path, count: int) -> None:
    """Raises BuildError where several processes would each have a batch norm of their own."""
    if count > 1 and any(isinstance(node, BatchNorm) for node in plan.nodes):
        raise BuildError(
            f"{spec}: 'norm: batch' takes its moments from the rows of one process, and {count}"
            " train together; write 'norm: layer', or train in one process"
        )


def _aligned(
    loaded: LoadedSpec,
    plan: Plan,
    train: Dataset,
    valid: Dataset | None,
    sources: Sources,
    listener: Listener,
) -> Dataset:
    """The training rows, without targets that do not fit into their steps. Raises DataError where
    the spec refuses such rows."""
    ctc, transducer = loaded.spec.ctc, loaded.spec.transducer
    settings = ctc.ctc if ctc else transducer.transducer if transducer else None
    if settings is None:
        return train
    reading = Reading.of(loaded.spec)
    if settings.too_short == "error":
        refuse_too_short(plan, train, reading.bad_rows(sources.train))
    found, notes = without_too_short(plan, train, reading.bad_rows(sources.train))
    listener_notes = [f"training rows: {text}" for text in notes]
    if valid is not None and sources.measured is not None:
        _, notes = without_too_short(plan, valid, reading.bad_rows(sources.measured))
        listener_notes += [f"validation rows: {text}" for text in notes]
    for text in listener_notes:
        listener.note(text)
    return found


def _warn_of_new_labels(
    facts: Facts, valid: Dataset | None, sources: Sources, listener: Listener
) -> None:
    """Warns of labels that only validation rows have."""
    if valid is None or sources.measured is None:
        return
    for column, found in valid.new.items():
        known = names_of(facts.outputs[column])
        listener.warning(new_labels_note(column, found, known, sources.measured, sources.share))


def _starts(found: BuildFolder | None) -> bool:
    """Whether training begins, or begins again for it was ended before its first checkpoint."""
    if found is None:
        return True
    return not found.checkpoint.exists() and found.read_state()["state"] != "finished"


def _untrained(job: _Job, folder: BuildFolder, listener: Listener, processes: Processes) -> Result:
    if processes.first:
        arrays = _started(job, listener).canonical_arrays()
        write_arrays(folder.weights, arrays, {"epoch": "0"})
    return Result(folder, True, {}, 0)


def _started(job: _Job, listener: Listener) -> Model:
    """The model with the weights that training starts from."""
    model = Model(job.plan)
    model.start(job.facts, job.loaded.spec.train.seed)
    for text in take(model, job.facts, job.start) if job.start else ():
        listener.note(text)
    model.freeze(job.frozen)
    return model


def _trained(
    job: _Job, folder: BuildFolder, listener: Listener, processes: Processes, resumed: bool
) -> Result:
    """Train to the end, or until asked to stop, from the last checkpoint if there is one."""
    spec, writes = job.loaded.spec, processes.first
    loss_settings = loss_settings_of(spec, job.facts)
    model = _started(job, listener)
    trainer = Trainer(
        model, spec.train, folder, job.train, job.valid, listener, processes, loss_settings
    )
    if resumed and folder.checkpoint.exists():
        trainer.resume()
    listener.stage("training")
    with interruptible(several=processes.count > 1) as interrupt:
        try:
            finished = trainer.run(interrupt)
        except Diverged as error:
            failed = {"why": str(error), "best_epoch": trainer.position.best_epoch}
            processes.from_first(lambda: _write_state(folder, state="failed", **failed))
            if not writes:  # none ends before it is written, or torchrun would end the first
                raise SaidElsewhere(str(error)) from error
            raise
    at = trainer.position
    if not finished:
        if writes:
            _write_state(folder, state="stopped", epoch=at.epoch + 1, batches=at.batches)
        return Result(folder, False, {}, at.best_epoch)
    metrics = processes.from_first(lambda: folder.measured(at.best_epoch))
    if writes:
        trainer.keep_last()
        _write_state(folder, state="finished", best_epoch=at.best_epoch, valid=metrics)
    return Result(folder, True, metrics, at.best_epoch)


def _kept(job: _Job, folder: BuildFolder, listener: Listener) -> Trained:
    """The finished build, with thresholds where they are chosen."""
    weights, _ = read_arrays(folder.weights)
    kept = Trained(folder, job.loaded.spec, job.plan, job.facts, weights)
    return with_thresholds(kept, job.sources, _precision(job.loaded.spec.train), listener)


def _precision(settings: Train) -> Precision:
    """In which a finished build is measured."""
    wide = settings.precision == "float64"
    return Precision(device_of(settings), "float64" if wide else "float32")


def _reported(result: Result, trained: Trained, listener: Listener, sources: Sources) -> Result:
    """Measure the best weights as they will be used, and write the report.

    The build is finished before: whatever goes wrong here is a warning.
    """
    folder, metrics, settings = result.folder, result.metrics, trained.spec.train
    if folder.report.exists():
        return replace(result, report=folder.report)
    listener.stage("writing the report")
    try:
        scores = None
        if sources.measured is not None:
            scores = evaluate_build(trained, precision=_precision(settings), sources=sources)
            metrics = scores.metrics
            heard = folder.read_state().get("warnings", [])
            for warning in scores.warnings:
                if warning not in heard:
                    listener.warning(warning)
            _write_state(folder, valid=metrics)
        write_report(trained, scores, folder.report)
    except (Exception, KeyboardInterrupt) as error:
        why = str(error) or type(error).__name__
        listener.warning(f"the build is finished, but has no report ({why}); --resume writes it")
        return replace(result, metrics=metrics)
    return replace(result, metrics=metrics, report=folder.report)


def datasets(
    loaded: LoadedSpec,
    plan: Plan,
    facts: Facts,
    cache: Path,
    sources: Sources | None = None,
    progress: Progress | None = None,
) -> tuple[Dataset, Dataset | None]:
    """The encoded training rows and validation rows, if the spec has any.

    `sources` are its files, where they are found already; for `progress` see `encode`.
    """
    sources = sources or find_sources(loaded.spec.data, loaded.path.parent)
    reading, measured, share = Reading.of(loaded.spec), sources.measured, sources.share
    if share:
        return encode_parts(plan, facts, sources.train, reading, cache, share, progress)
    train = encode(plan, facts, sources.train, reading, cache, "train", progress=progress)
    if measured is None:
        return train, None
    valid = encode(plan, facts, measured, reading, cache, progress=progress, measured=True)
    return train, valid


def _digests(sources: Sources) -> dict[str, dict[str, str]]:
    """The content of each file, by what it is for and by its name."""
    found = {}
    for name, shards in (("train", sources.train), ("valid", sources.valid)):
        if shards is not None:
            digests = (content.digest[:16] for content in shards.content)
            found[name] = dict(zip(shards.short_names, digests, strict=True))
    return found


def _begun(
    job: _Job, builds: Path, train: bool, processes: Processes, held: ExitStack, place: Path | None
) -> BuildFolder:
    """A new folder, which no other process trains in."""
    state = {
        "begun": datetime.now(UTC).isoformat(timespec="milliseconds"),
        **VERSIONS,
        "threads": job.threads,
        "processes": processes.count,
        "run": run_id(),
        "source": str(job.loaded.path.resolve()),
        "data": job.keys,
        "files": _digests(job.sources),
        "epochs": job.loaded.spec.train.epochs,
        "state": "training" if train else "not trained",
    }
    if job.start is not None:
        state["start_from"] = str(job.start.folder.path.resolve())
    folder = begin(builds, job.loaded, job.plan, job.facts, state, place)
    held.enter_context(locked(folder.source))
    return folder


def _write_state(folder: BuildFolder, **more: object) -> None:
    folder.write_state({**folder.read_state(), **VERSIONS, **more})
