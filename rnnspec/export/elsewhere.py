"""What is proven of a file beyond the proof of every export: other runtimes, a fixed batch."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import ExportError
from rnnspec.export.compare import DEFECT
from rnnspec.export.parity import prove
from rnnspec.export.probes import Probe
from rnnspec.plan import Facts
from rnnspec.run.chunks import Answering
from rnnspec.to_onnx.evaluated import Unknown
from rnnspec.to_torch import Model

OF_BATCH = 4
"""Probes that a file of a fixed batch answers."""
ROUNDED = 1e-4


def check_batch(rows: int | None) -> None:
    """Raises ExportError for a batch of no rows."""
    if rows is not None and rows < 1:
        raise ExportError(f"--batch {rows}: expected a number of rows, 1 or more")


def in_reference(evaluated: Answering, model: Model, facts: Facts, asked: Iterable[Probe]) -> str:
    """How a portable file does in the reference evaluator of ONNX. Raises ExportError where it
    answers otherwise than the module."""
    try:
        parity = prove(evaluated, model, facts, asked, ids=True)
    except Unknown as error:
        return f"not proven in the reference evaluator of ONNX: {error}"
    except ExportError as error:
        raise ExportError(f"in the reference evaluator of ONNX: {error}") from error
    return f"{parity.rows} rows are answered so by the reference evaluator of ONNX too"


def check_rows(free: Answering, fixed: Answering, rows: int, asked: Iterable[Probe]) -> None:
    """Raises ExportError where a file answers otherwise because its batch is fixed at `rows`."""
    for probe in islice(asked, OF_BATCH):
        order = np.arange(rows) % len(probe.lengths)
        feeds = {name: value[order] for name, value in probe.feeds.items()}
        one, other = (each.run(feeds) for each in (free, fixed))
        for name, value in one.items():
            if not _same(value, other[name]):
                raise ExportError(f"{name}: is another where the batch is fixed; {DEFECT}")


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    if one.dtype.kind != "f":
        return np.array_equal(one, other)
    return one.shape == other.shape and np.allclose(one, other, ROUNDED, ROUNDED, equal_nan=True)
