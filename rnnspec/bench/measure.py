"""All that is measured of one spec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rnnspec.bench.answering import Answering, measure_answering, window_of
from rnnspec.bench.clock import processors_got
from rnnspec.bench.training import Training, measure_training
from rnnspec.data.processors import processors
from rnnspec.spec.load import LoadedSpec
from rnnspec.store.events import Silent
from rnnspec.store.folder import CACHE, Trained, read_build
from rnnspec.train.build import build, datasets


@dataclass(frozen=True, slots=True)
class Measured:
    """Training on the rows of the spec, and the forms of the exported file.

    `window`: the steps of a row that is answered, None for rows as they are. `processors` may be
    kept busy by this process, and `processors_got` it got when it tried.
    """

    training: Training
    answering: tuple[Answering, ...]
    window: int | None
    processors: int
    processors_got: float


def measure(loaded: LoadedSpec, seconds: float, tell: Callable[[str], None]) -> Measured:
    """Measure `loaded` with the weights that training starts from; nothing is kept.

    `seconds` of training are timed; `tell` says what is being done. Raises DataError for bad data,
    as a build does.
    """
    with TemporaryDirectory(prefix="rnnspec-bench-") as folder:
        tell("reading the data")
        builds = Path(folder)
        trained: Trained = read_build(build(loaded, builds, Silent(), train=False).folder)
        data, _ = datasets(loaded, trained.plan, trained.facts, builds / CACHE)
        got = processors_got(processors())
        tell("training")
        of_training = measure_training(trained, data, seconds)
        tell("answering")
        return Measured(
            of_training,
            measure_answering(trained, data),
            window_of(trained, data),
            processors(),
            got,
        )
