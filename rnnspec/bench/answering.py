"""Exported files: how long an answer takes, and what fewer bits, streams and threads would give.

The files are not proven and not written: their speed is that of the weights before training.
Inputs and answers are numbers, so that no time goes into texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from rnnspec.bench.clock import in_turns
from rnnspec.data import Batch, Dataset
from rnnspec.data.processors import processors
from rnnspec.errors import ExportError
from rnnspec.export.file_metrics import feeds_of_batch
from rnnspec.export.variant import variant
from rnnspec.plan.stream import stream_of
from rnnspec.run.feeds import Feeds
from rnnspec.run.session import Session
from rnnspec.store.folder import Trained
from rnnspec.to_onnx import ModelProto, to_onnx
from rnnspec.to_onnx.small import in_few_bits
from rnnspec.train.feed import is_stream

ROWS = (1, 32)
SECONDS = 0.3
"""Of the calls of one file with one number of rows."""


@dataclass(frozen=True, slots=True)
class Answering:
    """One form of the file: its size in bytes, and the seconds of a call by the number of rows.
    `why_not`: why there is no such file."""

    form: str
    size: int = 0
    seconds: tuple[float, ...] = ()
    why_not: str = ""


def measure_answering(trained: Trained, data: Dataset) -> tuple[Answering, ...]:
    """Each form of the exported file, timed in turns."""
    _, plan = variant(trained)
    whole = to_onnx(plan, trained.facts, trained.weights, ids=True)
    narrow = to_onnx(plan, trained.facts, trained.weights, ids=True, narrow=True)
    asked = [feeds_of_batch(plan, batch) for batch in batches_of(data, window_of(trained, data))]
    forms = [
        _Form("float32", whole, asked),
        _Form("int8", in_few_bits(narrow, plan, "int8", True).model, asked),
        _Form("half", in_few_bits(whole, plan, "float16", True).model, asked),
    ]
    if processors() > 1:
        forms.insert(1, _Form(f"float32, {processors()} threads", whole, asked, processors()))
    step = _step(trained)
    if isinstance(step, _Form):
        forms.append(step)
    each_of = [{form.name: form.call(at) for form in forms} for at in range(len(ROWS))]
    taken = [in_turns(calls, SECONDS) for calls in each_of]
    found = tuple(
        Answering(form.name, len(form.content), tuple(each[form.name] for each in taken))
        for form in forms
    )
    return found if isinstance(step, _Form) else (*found, step)


class _Form:
    """An opened file, and what it is asked, by the number of rows."""

    def __init__(self, name: str, file: ModelProto, asked: list[Feeds], threads: int = 1) -> None:
        self.name, self.asked = name, asked
        self.content: bytes = file.SerializeToString()
        self.session = Session(self.content, threads)

    def call(self, at: int) -> Callable[[], object]:
        return partial(self.session.run, self.asked[at])


def window_of(trained: Trained, data: Dataset) -> int | None:
    """The steps that a row is cut to, where training reads windows: the rows are as long as whole
    texts."""
    return trained.spec.train.window if is_stream(data) else None


def batches_of(data: Dataset, window: int | None) -> Iterator[Batch]:
    """Batches of `ROWS` rows of about the middle length; of fewer rows some stand there twice."""
    lengths = data.lengths(np.arange(data.rows))
    by_length = np.argsort(lengths, kind="stable")
    for count in ROWS:
        if window is not None:
            yield next(data.lanes(count, window, order=(0, 0)))[0]
            continue
        start = max(0, (data.rows - count) // 2)
        yield data.collate(np.sort(np.resize(by_length[start : start + count], count)))


def _step(trained: Trained) -> _Form | Answering:
    """A stream's next step, of one row and of several."""
    plan = trained.plan
    try:
        stream = stream_of(plan, True, step=True)
    except ExportError as error:
        why, _, _ = str(error).partition("; ")  # the cure is one of `export --stream`
        return Answering("a step of a stream", why_not=why)
    file = to_onnx(plan, trained.facts, trained.weights, ids=True, stream=stream)
    asked = [_one_step(file, count) for count in ROWS]
    return _Form("a step of a stream", file, asked)


def _one_step(file: ModelProto, rows: int) -> Feeds:
    """Zeros in every input."""
    from onnx.helper import tensor_dtype_to_np_dtype

    feeds: Feeds = {}
    for each in file.graph.input:
        kind = each.type.tensor_type
        shape = [axis.dim_value or rows for axis in kind.shape.dim]
        feeds[each.name] = np.zeros(shape, tensor_dtype_to_np_dtype(kind.elem_type))
    return feeds
