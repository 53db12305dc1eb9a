"""Specs of decoders that write frames by name, and targets drawn at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnspec.plan import Plan
from rnnspec.plan.nodes import FramesOutput
from tests.decoders import two_sources
from tests.kinds import output, plan_of, spec_data

LENGTHS = (5, 1, 0, 3)
"""Of the inputs in a batch: among them 0, 1 and T."""
FRAMES = (3, 0, 4, 1)
"""True frames of the rows of that batch, where they are not as many as the input has steps."""
GRU: dict[str, Any] = {"cell": "gru", "units": 4}
LSTM: dict[str, Any] = {"cell": "lstm", "units": 4}


def written(
    columns: Sequence[str] = ("frames",),
    cardinality: str = "N:M",
    encoder: Sequence[Mapping[str, Any]] = (GRU,),
    kind: str = "out_frames",
    entry: Mapping[str, Any] | None = None,
    **decoder: Any,
) -> dict[str, Any]:
    """The data of a spec whose decoder writes frames with these settings."""
    settings = {"layers": [GRU], **decoder}
    out = output(kind) if entry is None else dict(entry)
    return spec_data(cardinality, columns, [out], encoder, decoder=settings)


def again(column: str, **more: Any) -> dict[str, Any]:
    """The entry of an output that answers an input again."""
    return {"column": column, "as": "frames", **more}


def law(distribution: Any, **more: Any) -> dict[str, Any]:
    """The entry of an output of frames of two numbers with a distribution."""
    return {"column": "out_frames", "as": "frames", "distribution": distribution, **more}


_COUNTED = {"column": "count"}
SPECS: dict[str, dict[str, Any]] = {
    "learned": written(max_steps=6),
    "learned, reverse": written(max_steps=5, reverse=True, layers=[LSTM], encoder=[LSTM]),
    "learned, none": written(max_steps=4, feedback="none", min_steps=2),
    "learned, times": written(("chars",), max_steps={"times": 0.7, "plus": 0}),
    "learned, attention": written(attention="additive", attend="before", max_steps=5),
    "two sources": two_sources(
        {"one": ["frames"], "two": {"inputs": ["words"], "layers": [LSTM]}}, "out_frames",
        layers=[LSTM], attention="additive", max_steps={"times": 0.5, "plus": 2},
    ),
    "two sources, column": two_sources(
        {"one": ["frames"], "two": ["plain_frames"]}, "out_frames", beside=["count"],
        max_steps="auto", length=_COUNTED, attention="location", attend="before",
    ),
    "fixed": written(length=4, layers=[LSTM]),
    "fixed, none": written(length=3, feedback="none", attention="general"),
    "fixed, doubles": written(length=3, kind="out_double_frames", reverse=True),
    "input": written(("words", "category"), length="input", input_feeding=True, hidden=3),
    "input, sound": written(("mfcc",), length="input", attention="monotonic", reverse=True),
    "column": written(("frames", "count"), length=_COUNTED, layers=[LSTM], attention="location"),
    "own inputs": written(
        ("frames", "key_steps", "plain_frames"), length="input", layers=[LSTM],
        inputs=["key_steps", "plain_frames"], attention="additive",
    ),
    "own inputs, reverse": written(
        ("frames", "key_steps"), length="input", inputs=["key_steps"], reverse=True
    ),
    "own inputs, none": written(
        ("frames", "words"), length="input", feedback="none", inputs=["frames"]
    ),
    "1:N, own inputs": written(
        ("vector", "frames"), "1:N", length="input", inputs=["frames"], feedback="none",
        reverse=True,
    ),
    "again": written(entry=again("frames"), length="input"),
    "again, reverse": written(
        entry=again("frames"), length="input", reverse=True, layers=[LSTM], encoder=[LSTM]
    ),
    "again, none": written(
        entry=again("frames"), length="input", reverse=True, feedback="none",
        layers=[LSTM, LSTM], encoder=[LSTM, LSTM],
    ),
    "again, unscaled": written(
        ("plain_frames",), entry=again("plain_frames", scale="none"), length="input",
        attention="multi_head",
    ),
    "again, doubles": written(
        ("double_frames", "words"), entry=again("double_frames"), length="input", reverse=True
    ),
    "mixture, learned": written(entry=law({"mixture": {"components": 3, "correlated": True}}),
        max_steps=5, attention="additive"),
    "student_t, reverse": written(entry=law("student_t"), length=4, reverse=True, layers=[LSTM]),
    "counts, input": written(entry=law("negative_binomial"), length="input"),
    "shares, column": written(("frames", "count"), entry=law("beta"), length=_COUNTED),
    "quantiles, none": written(entry=law({"quantiles": [0.1, 0.5, 0.9]}), length=3,
        feedback="none"),
    "mixture, again": written(("double_frames",), entry=again("double_frames",
        distribution={"mixture": 2}), length="input", reverse=True),
    "times, again": written(entry=again("frames", distribution="weibull"), length="input"),
    "1:N, laplace": written(("number",), "1:N", entry=law("laplace", scale="none"), max_steps=4),
    "1:N": written(("category", "vector"), "1:N", max_steps=5),
    "1:N, fixed": written(("number",), "1:N", length=4, feedback="none", layers=[LSTM]),
    "1:N, column": written(("count", "vector"), "1:N", length=_COUNTED, reverse=True),
}  # fmt: skip


def plan(name: str) -> Plan:
    return plan_of(SPECS[name])[0]


def output_of(plan: Plan) -> FramesOutput:
    (out,) = plan.outputs
    assert isinstance(out, FramesOutput)
    return out


def truth(plan: Plan, rows: Sequence[Mapping[str, Any]]) -> list[NDArray[np.float64]]:
    """True frames of rows; of an input that is answered again its own."""
    out, draw = output_of(plan), np.random.default_rng(3)
    if out.read:
        return [np.asarray(row[out.column], np.float64) for row in rows]
    counts = {"input": LENGTHS, "fixed": (out.limit,) * len(rows)}.get(out.length, FRAMES)
    return [draw.normal(1, 2, (count, out.width)) for count in counts]


def padded(true: Sequence[NDArray[np.float64]], width: int) -> torch.Tensor:
    """`[B, U, width]`, NaN past the end."""
    found = np.full((len(true), max(1, *map(len, true)), width), np.nan)
    for one, into in zip(true, found, strict=True):
        into[: len(one)] = one
    return torch.from_numpy(found)
