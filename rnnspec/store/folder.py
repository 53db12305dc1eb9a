"""The build folder: plain files that a person can read, each written whole or not at all.

spec.yaml            the resolved spec: every default written out
source.yaml          the spec as it was written
plan.txt             what `rnnspec show` prints
digests.json         the digests of the files that are read back
facts.json           what was measured on the training rows
vocabulary/          one JSON list a column of text or labels
metrics.jsonl        one line an epoch
report.html          curves, metrics, examples and the model, once training is finished
weights.safetensors  the best weights so far, under their canonical names
last.safetensors     the weights that training ended with, once it is finished
checkpoint.safetensors  everything that continuing needs, with more epochs once training is finished
import.yaml          of weights from elsewhere: which part of which tensor each of them is
build.json           state of the build: training, stopped, finished, imported, or failed or pruned
                     (by `rnnspec tune`) and why; versions; best epoch; thresholds that were chosen
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rnnspec.data.cache import UNFINISHED, clear_stale
from rnnspec.errors import BuildError
from rnnspec.files import digest, finite, json_text, write_text
from rnnspec.plan import Facts, Plan, dump, resolve
from rnnspec.plan.facts import ClassFacts
from rnnspec.plan.facts_file import FILE, FOLDER, read_facts, write_facts
from rnnspec.spec import Spec
from rnnspec.spec.load import LoadedSpec, load_spec, resolved_yaml
from rnnspec.store.files import (
    CHANGED,
    DAMAGED,
    DIGEST,
    numbers_of,
    read_arrays,
    read_json,
    read_text,
)

STATES = ("training", "stopped", "finished", "failed", "pruned", "not trained", "imported")
CACHE = ".cache"
"""Folder beside the builds in which encoded data is kept for the next build."""
PLAN = "plan.txt"
THRESHOLDS = "thresholds"
"""The key of the state under which thresholds stand by column."""
Which = Literal["best", "last"]
"""Weights of a build: of the best epoch, or those that training ended with."""


@dataclass(frozen=True, slots=True)
class _File:
    """The path of the file of this name in the folder of a build."""

    name: str

    def __get__(self, build: BuildFolder, of: type[BuildFolder]) -> Path:
        return build.path / self.name


@dataclass(frozen=True, slots=True)
class BuildFolder:
    """Paths of one build."""

    path: Path

    spec = _File("spec.yaml")
    source = _File("source.yaml")
    metrics = _File("metrics.jsonl")
    weights = _File("weights.safetensors")
    last = _File("last.safetensors")
    checkpoint = _File("checkpoint.safetensors")
    state = _File("build.json")
    digests = _File("digests.json")
    report = _File("report.html")

    def measured(self, epoch: int) -> dict[str, float]:
        """The metrics on validation rows after epoch `epoch` (from 1), empty without any. NaN
        stands in the file as null."""
        for record in self.records():
            if record.get("epoch") == epoch:
                return numbers_of({k[6:]: v for k, v in record.items() if k.startswith("valid.")})
        return {}

    def records(self) -> Iterator[dict[str, Any]]:
        """The epochs in metrics.jsonl, as far as they can be read."""
        if not self.metrics.exists():
            return
        for line in read_text(self.metrics).splitlines():
            try:
                record = json.loads(line)
            except ValueError:  # cut off by a full disk
                return
            if isinstance(record, dict):
                yield record

    def read_state(self) -> dict[str, Any]:
        """The content of build.json. Raises BuildError."""
        state = read_json(self.state)
        if not isinstance(state, dict) or state.get("state") not in STATES:
            raise BuildError(f"{self.state}: does not say how the build stands; {DAMAGED}")
        if state.pop(DIGEST, None) != _digest(state):
            raise BuildError(f"{self.state}: {CHANGED}; {DAMAGED}")
        return state

    def check(self) -> None:
        """Raises BuildError where a file that never changes has changed."""
        for name, written in self._read_digests().items():
            try:
                content = (self.path / name).read_bytes()
            except OSError as error:
                raise BuildError(
                    f"{self.path / name}: cannot be read ({error.strerror}); {DAMAGED}"
                ) from error
            if digest(content) != written:
                raise BuildError(f"{self.path / name}: {CHANGED}; {DAMAGED}")

    def _read_digests(self) -> dict[str, str]:
        found = read_json(self.digests)
        if not isinstance(found, dict) or not {self.spec.name, FILE} <= found.keys():
            raise BuildError(f"{self.digests}: does not have the digests of the files; {DAMAGED}")
        return found

    def write_digests(self) -> None:
        """Write the digests of the files that are read back and never change."""
        files = [self.spec, self.path / PLAN, self.path / FILE]
        files += sorted((self.path / FOLDER).iterdir())
        found = {str(f.relative_to(self.path).as_posix()): digest(f.read_bytes()) for f in files}
        write_text(self.digests, json.dumps(found, indent=2, ensure_ascii=False) + "\n")

    def is_unfinished(self) -> bool:
        """Whether there is something left to do: training, or the report. Raises BuildError."""
        state = self.read_state()["state"]
        return state in ("training", "stopped") or (
            state == "finished" and not self.report.exists()
        )

    def write_state(self, state: Mapping[str, Any]) -> None:
        whole = finite({**state})
        write_text(self.state, json_text({**whole, DIGEST: _digest(whole)}, indent=2) + "\n")

    def append_metrics(self, record: Mapping[str, Any]) -> None:
        """Add a line. Raises BuildError if the disk does not take it."""
        try:
            with self.metrics.open("a", encoding="utf-8") as file:
                file.write(json_text(record) + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise BuildError(f"{self.metrics}: cannot be written ({error.strerror})") from error

    def cut_metrics(self, lines: int) -> None:
        """Keep the first `lines` lines: what came after a checkpoint is computed again."""
        if self.metrics.exists():
            kept = read_text(self.metrics).splitlines(keepends=True)[:lines]
            write_text(self.metrics, "".join(kept))


@dataclass(frozen=True, slots=True)
class Trained:
    """A build read back: all that `evaluate` and `export` need."""

    folder: BuildFolder
    spec: Spec
    plan: Plan
    facts: Facts
    weights: dict[str, Any]
    which: Which = "best"

    @property
    def data_folder(self) -> Path:
        """Where the relative paths of the spec's `data:` start: the folder of the spec built."""
        return Path(self.folder.read_state()["source"]).parent


def begin(
    builds: Path,
    loaded: LoadedSpec,
    plan: Plan,
    facts: Facts,
    state: Mapping[str, Any],
    place: Path | None = None,
    more: Callable[[BuildFolder], None] | None = None,
) -> BuildFolder:
    """A new folder `builds/NAME/001`, `002`, …, or at `place`, which appears with all that is known
    before training, and with what `more` writes into it: a build never takes another's place, and
    is never there in part.

    Raises BuildError if it cannot be made.
    """
    parent = builds / plan.name if place is None else place.parent
    hidden = parent / f"{UNFINISHED}{secrets.token_hex(8)}"
    build = BuildFolder(hidden)
    try:
        hidden.mkdir(parents=True)
        clear_stale(hidden.parent)
        write_text(build.spec, resolved_yaml(loaded.spec))
        write_text(build.source, loaded.document.source.text)
        write_text(hidden / PLAN, dump(plan))
        write_facts(hidden, facts)
        build.write_digests()
        if more is not None:
            more(build)
        build.write_state(state)
        return _moved(build) if place is None else BuildFolder(hidden.rename(place))
    except OSError as error:
        raise BuildError(
            f"{hidden.parent}: a build folder cannot be made here ({error.strerror or error})"
        ) from error
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _moved(build: BuildFolder) -> BuildFolder:
    """To the first number above all that are taken."""
    named = build.path.parent
    while True:
        taken = [int(p.name) for p in named.glob("[0-9]*") if p.name.isdecimal()]
        place = named / f"{max(taken, default=0) + 1:03}"
        try:
            return BuildFolder(build.path.rename(place))
        except OSError:
            if not place.exists():
                raise  # not because another build was begun at the same moment


def all_builds(builds: Path) -> Iterator[BuildFolder]:
    """Every build below `builds`, newest first by the time it was begun; a link to one, such as the
    best of a search, is none of its own."""
    folders = (state.parent for state in builds.glob("*/[!.]*/build.json"))
    found = [BuildFolder(folder) for folder in folders if not folder.is_symlink()]
    yield from sorted(found, key=_begun, reverse=True)


def builds_in(folder: Path) -> list[BuildFolder]:
    """The builds in a folder of builds, or of those of one spec, newest first; of a folder that is
    a build, that one. Raises BuildError where the folder is not there."""
    if (folder / "build.json").exists():
        return [BuildFolder(folder)]
    if not folder.is_dir():
        raise BuildError(f"{folder}: no such folder of builds; make one with: rnnspec build SPEC")
    inside = (build for build in all_builds(folder.parent) if build.path.parent == folder)
    return [*all_builds(folder), *inside]


def _digest(state: Mapping[str, Any]) -> str:
    return digest(json.dumps(state, sort_keys=True).encode())


def _begun(build: BuildFolder) -> tuple[str, str]:
    try:
        return str(build.read_state().get("begun", "")), str(build.path)
    except BuildError:
        return "", str(build.path)


def find_build(named: Path | None, builds: Path) -> BuildFolder:
    """The build at `named`, or the newest in it or in `builds`. Raises BuildError."""
    if named is not None and (named / "build.json").exists():
        return BuildFolder(named)
    if named is not None and named.is_file():
        raise BuildError(f"{named}: is a file, and a build is a folder; see {builds}/ for builds")
    if named is not None and not named.is_dir():
        raise BuildError(f"{named}: no such build folder; see {builds}/ for those there are")
    where = builds if named is None else named
    candidates = list(all_builds(where)) or list(all_builds(where.parent))
    newest = next((b for b in candidates if named is None or named in b.path.parents), None)
    if newest is None:
        raise BuildError(f"{where}: no build here; make one with: rnnspec build SPEC")
    return newest


def read_build(build: BuildFolder, which: Which = "best") -> Trained:
    """Spec, plan, facts and weights. Raises BuildError if there are no such weights yet."""
    file = build.weights if which == "best" else build.last
    if not file.exists():
        raise BuildError(f"{build.path}: {_why_none(build, which)}")
    build.check()
    spec = load_spec(build.spec).spec
    facts = all_facts(build)
    weights, _ = read_arrays(file)
    return Trained(build, spec, resolve(spec, facts), facts, weights, which)


def all_facts(build: BuildFolder) -> Facts:
    """The facts of a build, with what was found once it was trained: thresholds of labels. Raises
    BuildError."""
    facts, chosen = read_facts(build.path), build.read_state().get(THRESHOLDS, {})
    outputs = {
        column: replace(known, thresholds=tuple(chosen[column]))
        if column in chosen and isinstance(known, ClassFacts)
        else known
        for column, known in facts.outputs.items()
    }
    return replace(facts, outputs=outputs) if chosen else facts


def _why_none(build: BuildFolder, which: Which) -> str:
    """Why a build has no such weights, and what to do."""
    state = build.read_state()
    name, last = state["state"], build.last.name
    why = f"for its training failed: {state.get('why')}"
    if which == "best":
        if name == "failed":
            return f"has no weights, {why}"
        return "has no weights yet; train it with: rnnspec build SPEC --resume"
    unfinished = (
        "has no last weights yet, for its training is not finished; go on with rnnspec build SPEC"
        " --resume, or use the best weights so far"
    )
    return {
        "training": unfinished,
        "stopped": unfinished,
        "not trained": "was not trained; leave out --weights last for those it would start from",
        "imported": "was not trained here; leave out --weights last for the weights imported",
        "failed": f"has no last weights, {why}",
        "pruned": f"has no last weights, for its training was {state.get('why')}",
        "finished": f"has no {last}, as builds of earlier versions; use the best weights",
    }[name]
