"""Building from Python, and the rows that a build was trained on."""

from __future__ import annotations

from pathlib import Path

from rnnspec.api.events import Events, OnEvent
from rnnspec.data import Dataset
from rnnspec.data.memory import told_by_row
from rnnspec.source.text import read_source
from rnnspec.spec.load import LoadedSpec, load_source
from rnnspec.store.events import Listener, Silent
from rnnspec.store.folder import CACHE, BuildFolder, Trained
from rnnspec.train import build as training
from rnnspec.train.build import datasets


def built(
    loaded: LoadedSpec,
    builds: Path,
    names: dict[Path, str],
    resume: bool,
    train: bool,
    on_event: OnEvent | None,
) -> BuildFolder:
    """The folder of a build: see `Spec.build`. `names` are those of data in memory, by file."""
    listener: Listener = Silent() if on_event is None else Events(on_event)
    with told_by_row(names):
        result = training.build(loaded, builds, listener, resume=resume, train=train)
    if not result.finished:
        state = result.folder.read_state()
        raise KeyboardInterrupt(
            f"stopped in epoch {state['epoch']} after {state['batches']} batches;"
            f" {result.folder.path} holds all that is needed to go on: build(…, resume=True)"
        )
    return result.folder


def training_rows(trained: Trained) -> Dataset:
    """The rows that a build was trained on. Raises DataError where they are not there."""
    file = trained.folder.spec
    source = Path(trained.folder.read_state()["source"])
    loaded = load_source(read_source(file, str(file)), source)
    cache = trained.folder.path.resolve().parent.parent / CACHE
    return datasets(loaded, trained.plan, trained.facts, cache)[0]
