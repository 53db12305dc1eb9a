"""Which build training goes on with, and whether it can."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch

from rnnspec import __version__
from rnnspec.errors import BuildError, SpecError
from rnnspec.files import sweep, write_text
from rnnspec.spec.decoder import LinearForcing
from rnnspec.spec.load import LoadedSpec, load_spec, resolved_yaml
from rnnspec.spec.schedules import Cosine, Linear
from rnnspec.store.events import Listener
from rnnspec.store.files import read_text
from rnnspec.store.folder import BuildFolder, all_builds
from rnnspec.store.lock import locked
from rnnspec.to_torch.threads import allowed_threads

SHOWN = 5
"""Most changed files that are named."""
Digests = Mapping[str, Mapping[str, str]]
"""The content of each file, by what it is for and by its name."""
VERSIONS = {"rnnspec": __version__, "torch": torch.__version__}


def run_id() -> str:
    """The name of this run of torchrun, the same after restarts, empty without one."""
    run = os.environ.get("TORCHELASTIC_RUN_ID", "")
    return "" if run == "none" else run  # torchrun's default, for all runs


def found_build(
    loaded: LoadedSpec,
    builds: Path,
    resume: bool,
    restarted: bool,
    held: ExitStack,
    place: Path | None = None,
) -> BuildFolder | None:
    """The build to go on with, which no other process trains in; None where a new one is wanted.
    With a `place`, the build there, if there is one.

    Raises BuildError where it is to be resumed and cannot be.
    """
    if place is not None:
        folder = _at(place, loaded)
    else:
        folder = _of_this_run(loaded, builds, restarted) or (
            _unfinished(loaded, builds) if resume else None
        )
    if folder is None:
        return None
    folder.check()
    state = folder.read_state()
    if state["state"] == "failed":
        raise BuildError(
            f"{folder.path}: cannot be resumed, for its training failed and would again:"
            f" {state.get('why')}"
        )
    held.enter_context(locked(folder.source))
    sweep(folder.path)
    if _has_more_epochs(folder, loaded):
        _extend(folder, loaded)
    return folder


def _has_more_epochs(folder: BuildFolder, loaded: LoadedSpec) -> bool:
    """Whether the spec is that of the build but for more epochs, and its training can go on: it has
    a checkpoint, and did not end early."""
    try:
        before, now = load_spec(folder.spec).spec, loaded.spec
    except SpecError:  # damaged, as the check of the folder says
        return False
    if before.train.epochs >= now.train.epochs or not folder.checkpoint.exists():
        return False
    train = before.train.model_copy(update={"epochs": now.train.epochs})
    return before.model_copy(update={"train": train}) == now


def _extend(folder: BuildFolder, loaded: LoadedSpec) -> None:
    """Let a build have the epochs of `loaded`. Raises BuildError for one that early stopping ended:
    more epochs would be none."""
    state, epochs = folder.read_state(), load_spec(folder.spec).spec.train.epochs
    done = sum(1 for _ in folder.records())
    if state["state"] == "finished" and done < epochs:
        raise BuildError(
            f"{folder.path}: early stopping ended it after epoch {done} of {epochs}, and no more"
            " epochs would be begun; start a new build without --resume"
        )
    folder.report.unlink(missing_ok=True)
    write_text(folder.spec, resolved_yaml(loaded.spec))
    folder.write_digests()
    folder.write_state({**state, "state": "training"})


def epochs_note(before: int, loaded: LoadedSpec) -> str:
    """What more epochs than a build was begun with change of the epochs that are done: empty where
    they are those of an uninterrupted run."""
    spec = loaded.spec
    schedule, forcing = spec.train.schedule, spec.decoder.teacher_forcing if spec.decoder else None
    over = [f"the schedule {schedule.name}"] if isinstance(schedule, Cosine | Linear) else []
    over += ["linear teacher forcing"] if isinstance(forcing, LinearForcing) else []
    if not over:
        return ""
    return (
        f"{' and '.join(over)} runs over all epochs: the first were trained as those of {before},"
        f" the next are as the last of {spec.train.epochs}; the weights are not those of one run"
    )


def _of_this_run(loaded: LoadedSpec, builds: Path, restarted: bool) -> BuildFolder | None:
    """The build that the same run of torchrun has begun: its processes were started again.

    Without a name, a run is known only by the number of its restarts.
    """
    run = run_id()
    if not run and not restarted:
        return None
    begun = (build for build in _of_name(loaded, builds) if _run_of(build) == run)
    newest = next(begun, None)
    if newest is None or _changes(newest, loaded):
        return None
    return newest if restarted or newest.is_unfinished() else None


def _run_of(build: BuildFolder) -> str | None:
    try:
        return str(build.read_state().get("run", ""))
    except BuildError:  # damaged: reading it again raises
        return None


def _of_name(loaded: LoadedSpec, builds: Path) -> Iterator[BuildFolder]:
    """The builds of this spec's name, newest first."""
    return (build for build in all_builds(builds) if build.path.parent.name == loaded.spec.name)


def _unfinished(loaded: LoadedSpec, builds: Path) -> BuildFolder:
    """The newest build of this spec's name that is not finished, or has failed with this very spec.

    Raises BuildError if none fits.
    """
    found = list(_of_name(loaded, builds))
    folder = next((b for b in found if _goes_on(b, loaded)), None)
    if folder is None:
        why = "no build was ever begun"
        if found:
            why = (
                "each build is finished already (to go on, raise train.epochs), or failed with"
                " another spec"
            )
        raise BuildError(
            f"{builds / loaded.spec.name}: nothing to resume, for {why}; start one without --resume"
        )
    _refuse_changes(folder, loaded)
    return folder


def _at(place: Path, loaded: LoadedSpec) -> BuildFolder | None:
    """The build in the folder `place`, None if there is none. Raises BuildError if it is of another
    spec."""
    folder = BuildFolder(place)
    if not folder.state.exists():
        return None
    _refuse_changes(folder, loaded)
    return folder


def _refuse_changes(folder: BuildFolder, loaded: LoadedSpec) -> None:
    """Raises BuildError where the spec is no longer that of the build, but for more epochs."""
    if _has_more_epochs(folder, loaded):
        return
    if changes := _changes(folder, loaded):
        raise BuildError(
            f"{folder.path}: cannot be resumed, for the spec has changed:\n"
            + "\n".join(f"    {line}" for line in changes[:10])
            + "\nundo the change, or start a new build without --resume"
        )


def _goes_on(build: BuildFolder, loaded: LoadedSpec) -> bool:
    return build.is_unfinished() or _failed(build, loaded) or _has_more_epochs(build, loaded)


def _failed(build: BuildFolder, loaded: LoadedSpec) -> bool:
    return build.read_state()["state"] == "failed" and not _changes(build, loaded)


def _changes(folder: BuildFolder, loaded: LoadedSpec) -> list[str]:
    """The lines of the spec that have changed since the build was begun."""
    before, now = read_text(folder.spec).splitlines(), resolved_yaml(loaded.spec).splitlines()
    lines = difflib.unified_diff(before, now, lineterm="", n=0)
    return [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def check_data(folder: BuildFolder, keys: Sequence[str], files: Digests) -> None:
    """Raises BuildError unless the build was begun on rows with these keys, out of `files`."""
    before = folder.read_state()
    if before.get("data") != keys:
        raise BuildError(
            f"{folder.path}: cannot be resumed, for the data files have changed since it was begun"
            f"{_differences(before.get('files', {}), files)}; put them back, or start a new build"
            " without --resume"
        )


def _differences(before: Digests, now: Digests) -> str:
    """The first files that differ, in words."""
    found = []
    for name in before:
        old, new, of = before[name], now.get(name, {}), f" of data.{name}"
        found += [f"{file}{of} is gone" for file in old if file not in new]
        found += [f"{file}{of} is new" for file in new if file not in old]
        found += [
            f"{file}{of} has changed" for file in new if old.get(file, new[file]) != new[file]
        ]
    if not found and before == now:
        return " (sounds or pictures that they name)"
    more = [f"and {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return f" ({', '.join(found[:SHOWN] + more)})" if found else ""


def warn_of_versions(before: Mapping[str, object], listener: Listener) -> None:
    """Warn of versions that may change the last bits of the numbers."""
    for name, now in VERSIONS.items():
        if before.get(name, now) != now:
            listener.warning(
                f"this build was begun with {name} {before[name]} and goes on with {now}; its"
                " weights may differ in the last digits from those of a run without a stop"
            )


def warn_of_threads(count: int, listener: Listener) -> None:
    """Warn of a build that goes on with more threads than are allowed now."""
    if count > (now := allowed_threads()):
        listener.warning(
            f"this build was begun with {count} threads and goes on with them, so that its numbers"
            f" stay the same; only {now} may be kept busy here, so it is slower than a new build"
        )
