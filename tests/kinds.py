"""Every kind of input and of output: its entry in a spec, its facts, and rows drawn at random.

Rows are in the form of the reference (`rnnspec.reference.inputs.Row`): no padding, by the keys of
the plan's inputs. `batched` and `feeds` put them into a batch of torch and of onnxruntime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnspec import spec as language
from rnnspec.data.pictures import in_place
from rnnspec.plan import ClassFacts, Facts, Plan, TextFacts, Vocabulary, resolve
from rnnspec.plan.facts import ColumnFacts, VectorFacts, VectorFile
from rnnspec.plan.names import SEED, draws, first_sequences, input_names, lengths_names
from rnnspec.plan.nodes import (
    FORBIDDEN,
    CopiesInput,
    FromVectors,
    FutureInput,
    ImageInput,
    NestedInput,
    SeriesInput,
    VectorInput,
    Vectors,
    weights,
)
from rnnspec.run.feeds import inner_counts
from rnnspec.spec import Spec
from rnnspec.spec.audio import width_of
from rnnspec.spec.calendar import PERIODS
from rnnspec.spec.text_options import WordVectors
from tests.column_facts import LETTERS, TOKENS, WORDS, Kind, colours, doubles, numbers, text
from tests.drawn_values import behind, drawn_value
from tests.output_kinds import OUTPUTS
from tests.padding import padded

Row = dict[str, Any]
Batch = dict[str, tuple[torch.Tensor, torch.Tensor]]
HORIZON = 3
LAGGED_HISTORY = 2
"""Of rows of 5 steps, where lags are read before it."""


CHARACTERS = Vocabulary(tuple("enothrw"))
SEQUENCES: dict[str, Kind] = {
    "words": Kind({"as": "words"}, text(WORDS)),
    "spelled": Kind(
        {"as": "words", "spelling": {"embed": 3, "cell": "gru", "units": 2}},
        text(WORDS, characters=CHARACTERS, longest_token=5),
    ),
    "tokens": Kind({"as": "tokens"}, text(TOKENS)),
    "chars": Kind({"as": "chars"}, text(LETTERS)),
    "bytes": Kind({"as": "bytes"}, text([f"{byte:02x}" for byte in range(256)])),
    "ruled_words": Kind(
        {"as": "words", "normalize": "nfkc", "split": "punctuation", "fold_case": True},
        text((*WORDS, "é", ",")),
    ),
    "ruled_chars": Kind(
        {"as": "chars", "normalize": "nfd", "fold_case": True}, text((*LETTERS, "\u0301", "\u0327"))
    ),
    "ruled_tokens": Kind(
        {"as": "tokens", "normalize": "nfc", "fold_case": True}, text(("t é", "x"))
    ),
    "vector_words": Kind(
        {"as": "words", "vectors": {"file": "v.txt", "lower_case": True}},
        text(
            (*WORDS, "Two", "four"),
            vectors=VectorFacts(
                VectorFile("v.txt", "text"), "", 3, first=4, words=3, found=1, more=2
            ),
        ),
    ),
    "nested_words": Kind(
        {
            "as": "nested",
            "of": {"as": "words", "fold_case": True, "split": "punctuation"},
            "encoder": {
                "embed": 3,
                "layers": [{"cell": "gru", "units": 3, "direction": "bidirectional"}],
                "pooling": "attention",
            },
        },
        text((*WORDS, ","), longest_step=4),
    ),
    "nested_tokens": Kind(
        {
            "as": "nested",
            "of": {"as": "tokens"},
            "encoder": {
                "embed": 2,
                "layers": [
                    {"conv": 3, "size": 2, "stride": 2, "activation": "relu", "name": "a"},
                    {"cell": "lstm", "units": 3, "norm": "layer", "skip": "residual", "name": "b"},
                    {"join": "sum", "reads": ["a", "b"]},
                ],
                "pooling": "max",
            },
        },
        text(TOKENS, longest_step=4),
    ),
    "nested_chars": Kind(
        {
            "as": "nested",
            "of": {"as": "chars", "normalize": "nfc"},
            "encoder": {"embed": 2, "layers": [{"cell": "lstm", "units": 2}]},
        },
        text(LETTERS, longest_step=4),
    ),
    "nested_parts": Kind(
        {
            "as": "nested",
            "of": {
                "as": "nested",
                "of": {"as": "words"},
                "encoder": {
                    "embed": 2,
                    "layers": [{"cell": "gru", "units": 2, "direction": "bidirectional"}],
                    "pooling": "mean",
                },
            },
            "encoder": {"layers": [{"cell": "lstm", "units": 3}], "pooling": "attention"},
        },
        text(WORDS, longest_step=4),
    ),
    "nested_books": Kind(
        {
            "as": "nested",
            "of": {
                "as": "nested",
                "of": {
                    "as": "nested",
                    "of": {"as": "tokens"},
                    "encoder": {"embed": 2, "layers": [{"cell": "gru", "units": 2}]},
                },
                "encoder": {"layers": [{"conv": 2, "size": 2}], "pooling": "max"},
            },
            "encoder": {"layers": [{"cell": "mgu", "units": 2}]},
        },
        text(TOKENS, longest_step=4),
    ),
    "frames": Kind({"as": "frames", "missing": "mean"}, numbers(3)),
    "raw_frames": Kind({"as": "frames", "missing": "previous"}, numbers(2)),
    "plain_frames": Kind({"as": "frames", "scale": "none"}, numbers(2)),
    "double_frames": Kind({"as": "frames", "missing": "previous"}, doubles(2)),
    "key_steps": Kind({"as": "keys"}, ClassFacts(("p", "q", "r"), (3, 2, 1), 5, 3)),
    "image": Kind({"as": "image", "height": 3}, colours(1)),
    "video": Kind({"as": "video", "height": 2, "width": 3, "channels": 3}, colours(3)),
    "colour_rows": Kind(
        {
            "as": "image",
            "width": 2,
            "channels": 3,
            "steps": "rows",
            "scale": "standard",
            "invert": True,
        },
        colours(3),
    ),
    "series": Kind({"as": "series", "scale": "standard", "missing": "previous"}, numbers(1)),
    "window_series": Kind({"as": "series", "scale": "window", "missing": "mean"}, numbers(1)),
    "mean_series": Kind({"as": "series", "scale": "mean", "missing": "previous"}, numbers(1)),
    "known_series": Kind({"as": "series", "scale": "robust", "known": True}, numbers(1)),
    "known_previous_series": Kind(
        {"as": "series", "scale": "window", "known": True, "missing": "previous"}, numbers(1)
    ),
    "double_series": Kind({"as": "series", "known": True, "missing": "previous"}, doubles(1)),
    "double_window_series": Kind(
        {"as": "series", "scale": "window", "known": True, "missing": "mean"}, doubles(1)
    ),
    "observed_series": Kind(
        {"as": "series", "scale": "window", "missing": "previous", "observed": True}, numbers(1)
    ),
    "observed_mean_series": Kind({"as": "series", "missing": "mean", "observed": True}, doubles(1)),
    "level_series": Kind({"as": "series", "scale": "level", "missing": "previous"}, numbers(1)),
    "log_series": Kind(
        {"as": "series", "transform": "log", "scale": "level", "known": True, "missing": "mean"},
        numbers(1),
    ),
    "standard_log_series": Kind({"as": "series", "transform": "log"}, numbers(1)),
    "lagged_series": Kind(
        {"as": "series", "scale": "window", "missing": "previous", "lags": [3, 1]}, numbers(1)
    ),
    "known_mean_series": Kind({"as": "series", "known": True, "missing": "mean"}, numbers(1)),
}
DIFFERENCED: dict[str, Kind] = {
    "differenced_series": Kind({"as": "series", "difference": [1, 2]}, numbers(1)),
    "double_differenced_series": Kind(
        {"as": "series", "difference": [2], "scale": "robust", "lags": [1]}, doubles(1)
    ),
    "log_differenced_series": Kind(
        {"as": "series", "transform": "log", "difference": [1, 1]}, numbers(1)
    ),
    "raw_differenced_series": Kind(
        {"as": "series", "difference": [1], "scale": "none"}, numbers(1)
    ),
}
"""Series whose differences are read, of which only points are answered, and all at once."""
CALENDARS: dict[str, Mapping[str, Any]] = {
    "calendar": {
        "as": "calendar",
        "features": list(PERIODS),
        "encode": {"cyclic": {"harmonics": 2}},
    },
    "calendar_marks": {"as": "calendar", "features": ["week", "weekday"], "encode": "one_hot"},
    "calendar_vectors": {"as": "calendar", "features": ["day", "weekday"], "encode": {"embed": 3}},
}
"""Calendars, which have no facts and are read beside a series."""
LABELS_OF_STEPS: dict[str, Kind] = {
    "holiday": Kind({"as": "categories", "embed": 3, "known": True}, text(("x", "y"))),
    "weather": Kind({"as": "categories", "embed": 2}, text(("x", "y", "z"))),
}
"""Labels that change with the steps, read beside a series."""
ZONES = {"calendar": "Australia/Melbourne"}
SOUND = {"as": "audio", "rate": 1000}
SPANS_OF_TIME = {"window": "16 ms", "hop": "3 ms"}
SOUNDS: dict[str, Kind] = {
    "log_mel": Kind(
        {**SOUND, "features": {"log_mel": 3, "deltas": 1, **SPANS_OF_TIME}}, numbers(6)
    ),
    "mfcc": Kind(
        {
            **SOUND,
            "features": {"mfcc": 2, "mel": 3, "deltas": 2, "window": "12 ms", "hop": "12 ms"},
            "normalize": "utterance",
        },
        numbers(6),
    ),
    "magnitude": Kind(
        {
            **SOUND,
            "features": {"spectrum": "magnitude", "window": "5 ms", "hop": "2 ms"},
            "normalize": "none",
        },
        numbers(5),
    ),
    "log_power": Kind(
        {
            **SOUND,
            "features": {"spectrum": "log", "window": "4 ms", "hop": "3 ms"},
            "normalize": "utterance",
        },
        numbers(3),
    ),
    "raw_sound": Kind(
        {**SOUND, "features": {"raw": True, "window": "3 ms", "hop": "2 ms"}}, numbers(3)
    ),
}
"""Sound, which has steps of its own: no other sequence is read beside it."""
CLIPS: dict[str, Kind] = {
    "clip": Kind({"as": "video", "height": 7, "width": 5, "channels": 1}, numbers(1))
}
"""Videos of frames that layers have something to do in."""
PICTURES = ("image", "colour_rows", "video")
"""Kinds whose next step is not answered."""
STATICS: dict[str, Kind] = {
    "category": Kind({"as": "category", "embed": 3}, text(("x", "y"))),
    "number": Kind({"as": "number", "missing": "mean"}, numbers(1)),
    "vector": Kind({"as": "vector", "missing": "mean"}, numbers(4)),
    "double_number": Kind({"as": "number", "missing": "mean"}, doubles(1)),
}
COUNTS: dict[str, Kind] = {"count": Kind({"as": "number"}, numbers(1))}
"""Numbers of which none may be missing."""


def spec_data(
    cardinality: str,
    inputs: Sequence[str],
    outputs: Sequence[Mapping[str, Any]],
    layers: Sequence[Mapping[str, Any]] = ({"cell": "gru", "units": 4},),
    **more: Any,
) -> dict[str, Any]:
    """The data of a spec's YAML, over columns named as the kinds of `SEQUENCES` and `STATICS`."""
    kinds = {**SEQUENCES, **DIFFERENCED, **LABELS_OF_STEPS, **CLIPS, **SOUNDS, **STATICS, **COUNTS}
    entries = {**{name: kind.entry for name, kind in kinds.items()}, **CALENDARS}
    data: dict[str, Any] = {
        "train": "nowhere.jsonl",
        "input": [{"column": name, **entries[name]} for name in inputs],
        "output": [dict(each) for each in outputs],
    }
    if any("series" in name for name in inputs):
        lagged = any("lags" in entries[name] for name in inputs)
        reach = max(sum(entries[name].get("difference", ())) for name in inputs)
        history = {"history": max(LAGGED_HISTORY, reach) if lagged or reach else 5}
        series: dict[str, Any] = {} if cardinality == "N:N" else history
        for name in (name for name in inputs if name in CALENDARS):
            series |= {"time": name, **({"zone": ZONES[name]} if name in ZONES else {})}
        data |= {"train": "nowhere.csv", "series": series}
    spec: dict[str, Any] = {"name": "test", "cardinality": cardinality, "data": data, **more}
    if cardinality[0] == "N":
        spec["encoder"] = {"layers": list(layers)}
        if any(name in _EMBEDDED for name in inputs):
            spec["encoder"]["embed"] = 4
    return spec


def encoders_data(
    encoders: Mapping[str, Sequence[str] | Mapping[str, Any]],
    combine: Sequence[str] = ("concat",),
    outputs: Sequence[Mapping[str, Any]] = (),
    beside: Sequence[str] = (),
    cardinality: str = "N:1",
) -> dict[str, Any]:
    """The data of a spec with several encoders: of each the columns that it reads, named as
    kinds, with `kind.2` for another column of a kind; or all that the spec says of it. Columns of
    whole rows may stand `beside` them."""
    kinds = {**SEQUENCES, **DIFFERENCED, **LABELS_OF_STEPS, **CLIPS, **SOUNDS, **STATICS, **COUNTS}
    written: dict[str, Any] = {}
    for name, given in encoders.items():
        stated = dict(given) if isinstance(given, Mapping) else {"inputs": list(given)}
        if "same_as" not in stated:
            embedded = any(each.partition(".")[0] in _EMBEDDED for each in stated["inputs"])
            usual = {"embed": 4} if embedded else {}
            stated = {"layers": [{"cell": "gru", "units": 4}], **usual, **stated}
        written[name] = stated
    columns = [*(column for each in written.values() for column in each["inputs"]), *beside]
    data = {
        "train": "nowhere.jsonl",
        "input": [{"column": c, **kinds[c.partition(".")[0]].entry} for c in columns],
        "output": [dict(each) for each in outputs] or [output("class")],
    }
    more = {"encoders": written, "combine": list(combine)}
    return {"name": "test", "cardinality": cardinality, "data": data, **more}


_EMBEDDED = ("words", "spelled", "tokens", "chars", "bytes")


def output(kind: str, **more: Any) -> dict[str, Any]:
    """The entry of an output of a kind of `OUTPUTS`."""
    return {"column": kind, **OUTPUTS[kind].entry, **more}


def facts_of(spec: Spec) -> Facts:
    """Facts of the columns of a spec of `spec_data`, whose settings may be others."""
    read = [each for each in spec.data.inputs if each.column not in CALENDARS]
    given = {each.column: _given(each) for each in read}
    wanted = {
        each.column: OUTPUTS[each.column].facts
        if each.column in OUTPUTS
        else _answered(given[each.column])
        for each in spec.data.targets
    }
    return Facts(20, given, wanted)


def _answered(known: ColumnFacts) -> ColumnFacts:
    """The facts of what is answered of the next step."""
    return known.of_rows() if isinstance(known, TextFacts) else known


def _given(source: language.Input) -> ColumnFacts:
    """The facts of an input: of the width, and with the vectors that train, that it states."""
    kind = source.column.partition(".")[0]
    facts = {**SEQUENCES, **DIFFERENCED, **LABELS_OF_STEPS, **CLIPS, **SOUNDS, **STATICS, **COUNTS}[
        kind
    ].facts
    match source, facts:
        case language.AudioInput(), _:
            return numbers(width_of(source.features, source.rate))
        case language.ImageInput() | language.VideoInput(), _:
            return colours(source.channels)
        case language.WordsInput(vectors=WordVectors() as wanted), TextFacts():
            assert facts.vectors is not None
            return replace(facts, vectors=replace(facts.vectors, first=5 if wanted.trained else 4))
        case _:
            return facts


def plan_of(data: Mapping[str, Any]) -> tuple[Plan, Facts]:
    """The plan of the data of a spec's YAML, and the facts it was made with."""
    spec = Spec.model_validate(data)
    facts = facts_of(spec)
    return resolve(spec, facts), facts


def strong_weights(plan: Plan, seed: int = 0, size: float = 0.6) -> dict[str, NDArray[np.float32]]:
    """Weights of a size at which gates are neither idle nor saturated; deviations are positive,
    vectors of pads 0."""
    of_pixels = tuple(f"{node.name}." for node in plan.inputs if isinstance(node, ImageInput))
    draw = np.random.default_rng(seed)
    found: dict[str, NDArray[np.float32]] = {}
    for weight in weights(plan):
        value = draw.normal(0, size, weight.shape).astype(np.float32)
        if weight.name.endswith(("deviation", "variance")):
            value = (np.abs(value) + 0.5).astype(np.float32)
        if weight.name.endswith(".rules"):
            value = np.where(value < -0.5, FORBIDDEN, 0).astype(np.float32)
        if isinstance(weight.initializer, Vectors) and weight.initializer.pad:
            value[0] = 0
        if isinstance(weight.initializer, FromVectors):
            value = value.astype(np.float16).astype(np.float32)
        if weight.name.startswith(of_pixels):
            value = (100 * value).astype(np.float32)
        found[weight.name] = value
    return found


def random_rows(plan: Plan, lengths: Sequence[int], seed: int = 0) -> list[Row]:
    """One row a length, for every input of the plan; on each further axis the lengths are those of
    the rows before."""
    draw = np.random.default_rng(seed)
    axes = list(first_sequences(plan))
    rows = []
    for number in range(len(lengths)):
        row: Row = {}
        for node in plan.inputs:
            later = axes.index(node.axis) if node.axis in axes else 0
            length = lengths[(number - later) % len(lengths)]
            row[node.key] = drawn_value(node, length, draw)
            if isinstance(node, CopiesInput) and node.after:
                before = [row[f"{name.removeprefix('input.')}"] for name in node.after]
                row[node.key] = behind(node, row[node.key], np.concatenate(before))
        rows.append(row)
    return rows


def batched(plan: Plan, rows: Sequence[Row], extra: int = 0, filler: float = 0.0) -> Batch:
    """The rows in one batch of torch, padded to the longest and `extra` steps more."""
    return {
        node.key: (torch.from_numpy(values), torch.from_numpy(lengths))
        for node in plan.inputs
        for values, lengths in [padded(node, [row[node.key] for row in rows], extra, filler)]
    }


def feeds(plan: Plan, rows: Sequence[Row], extra: int = 0, filler: float = 0.0) -> dict[str, Any]:
    """The rows in one batch for a model that takes token numbers."""
    found: dict[str, Any] = {}
    for node in plan.inputs:
        values, lengths = padded(node, [row[node.key] for row in rows], extra, filler)
        if isinstance(node, SeriesInput | FutureInput):
            values = values[:, :, 0]
        if isinstance(node, ImageInput):
            values = np.ascontiguousarray(in_place(values, node.picture))
        if isinstance(node, VectorInput) and node.single:
            values = values[:, 0]
        given = [values, lengths]
        if isinstance(node, NestedInput) and node.levels > 1:
            cells = [
                [*row[node.key], *[[]] * (values.shape[1] - len(row[node.key]))] for row in rows
            ]
            counts = inner_counts(node.column, cells, node.levels)
            given = [np.where(values < 0, node.size - 1, values), *counts.values()]
            for at, each in enumerate(given[2:], start=2):  # as many as the values have
                widths = [(0, n - m) for n, m in zip(values.shape, each.shape, strict=False)]
                given[at] = np.pad(each, widths)
        for name, value in zip(input_names(node, True), given, strict=False):
            found[name] = value
    for axis, name in lengths_names(plan, True).items():
        first = first_sequences(plan)[axis]
        found[name] = np.array([len(row[first.key]) for row in rows], np.int64)
    if any(map(draws, plan.outputs)):
        found[SEED] = np.arange(len(rows), dtype=np.int64)
    return found
