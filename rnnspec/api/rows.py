"""Rows that a build of Python is given: encoded into batches, and measured."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rnnspec.api.building import training_rows
from rnnspec.api.data import rows_of
from rnnspec.api.module import Batches
from rnnspec.data import Reading, encode
from rnnspec.errors import DataError
from rnnspec.evaluate.score import Scores, evaluate_build
from rnnspec.store.folder import Trained


def encoded(trained: Trained, rows: Any, batch: int, shuffle: bool, seed: int) -> Batches:
    """Batches of rows, or where they are None of those that the build was trained on: see
    `Build.encode`."""
    if batch < 1:
        raise DataError(f"a batch of {batch} rows cannot be encoded; use 1 or more")
    held = ExitStack()
    if rows is None:
        data = training_rows(trained)
    else:
        folder = Path(held.enter_context(TemporaryDirectory(prefix="rnnspec-")))
        with rows_of(trained.spec, rows, folder) as file:
            reading = Reading.of(trained.spec, "auto")
            data = encode(trained.plan, trained.facts, file, reading, folder, "all")
    return Batches(data, batch, shuffle, seed, trained.spec.train.window, held)


def measured(
    trained: Trained,
    rows: Any,
    metrics: Sequence[str],
    windows: str | None,
    forecasts: Path | None,
    by: str,
) -> Scores:
    """The metrics on rows, or where they are None on the validation rows: see `Build.evaluate`.
    `forecasts`: the file that they are written to."""
    of = partial(
        evaluate_build, trained, metrics=metrics, windows=windows, forecasts=forecasts, by=by
    )
    if rows is None:
        return of()
    with (
        TemporaryDirectory(prefix="rnnspec-") as folder,
        rows_of(trained.spec, rows, Path(folder), [by] if by else []) as file,
    ):
        return of(file)
