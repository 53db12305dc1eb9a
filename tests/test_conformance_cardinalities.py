"""Every kind of input with every kind of output: torch and ONNX against the reference.

Texts, which a decoder writes, are in `test_conformance_decoder.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rnnspec.plan import Plan
from rnnspec.plan.nodes import ForecastOutput
from rnnspec.reference import answers, raw_outputs
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from tests.answers import bounds_agree, close, of_torch, onnx_agrees
from tests.kinds import (
    BESIDE,
    BOUNDS,
    CALENDARS,
    DIFFERENCED,
    HORIZON,
    OUTPUTS,
    PICTURES,
    SEQUENCES,
    SOUNDS,
    STATICS,
    batched,
    encoders_data,
    feeds,
    output,
    plan_of,
    random_rows,
    spec_data,
    strong_weights,
)
from tests.onnx_models import assert_all_is_read, assert_no_texts
from tests.targets import labels_of

LENGTHS = (5, 1, 0, 3)
"""Of the rows in a batch: among them 0, 1 and T."""
STEPS = [*(name for name in SEQUENCES if "series" not in name), *SOUNDS]
LAYERS = ({"cell": "lstm", "units": 4, "direction": "bidirectional", "norm": "layer"},)


def joined(name: str, join: str) -> dict[str, Any]:
    """A spec N:1 with a vector of the row put where `join` says."""
    data = spec_data("N:1", ["chars", name], [output("class"), output("out_number")])
    data["data"]["input"][1]["join"] = join
    return data


def forecast(kind: str, distribution: Any, **more: Any) -> dict[str, Any]:
    target = {"column": kind, "as": "forecast", "horizon": HORIZON, "distribution": distribution}
    if distribution not in ("point", DISTRIBUTIONS["quantiles"]):
        target |= BOUNDS if "decoder" in more else BESIDE
    others = ["number"] if kind != "series" else ["category"]
    return spec_data("N:M", [kind, *others], [target], **more)


def past_alone(name: str) -> dict[str, Any]:
    """A forecast that reads a calendar first, and of the past alone."""
    target = {"column": "series", "as": "forecast", "horizon": HORIZON}
    data = spec_data("N:M", [name, "series"], [target])
    data["data"]["input"][0]["known"] = False
    return data


RECURSIVE: dict[str, Any] = {"decoder": {"layers": [{"cell": "lstm", "units": 4}]}}
DECODED: list[tuple[str, dict[str, Any]]] = [("direct", {}), ("recursive", RECURSIVE)]
ATTENDING = {
    "decoder": {
        "layers": [{"cell": "gru", "units": 4}],
        "attention": "additive",
        "input_feeding": True,
    }
}
DISTRIBUTIONS: dict[str, Any] = {
    "point": "point",
    "quantiles": {"quantiles": [0.1, 0.45, 0.55, 0.9]},
    "gaussian": "gaussian",
    "student_t": "student_t",
    "negative_binomial": "negative_binomial",
}
OTHERS: dict[str, Any] = {
    "laplace": "laplace",
    "poisson": "poisson",
    "beta": "beta",
    "mixture": {"mixture": 3},
    "weibull": "weibull",
}
DISTRIBUTED = [name for name, kind in OUTPUTS.items() if "distribution" in kind.entry]


def residual_of(kind: str, residual: str, distribution: str, **more: Any) -> dict[str, Any]:
    """A season of 2 is shorter than the horizon, and longer than some rows."""
    data = forecast(kind, DISTRIBUTIONS[distribution], **more)
    data["data"]["output"][0] |= {"residual": residual, "season": 2}
    return data


def forecasts(**more: Any) -> dict[str, Any]:
    """Of several series, each in its own units and by its own distribution."""
    kinds: dict[str, dict[str, Any]] = {
        "double_window_series": {"distribution": DISTRIBUTIONS["quantiles"], "residual": "last"},
        "series": {"distribution": "negative_binomial"},
        "log_series": {"residual": "seasonal", "season": 2},
    }
    targets = [
        {"column": kind, "as": "forecast", "horizon": HORIZON, **each}
        for kind, each in kinds.items()
    ]
    return spec_data("N:M", ["number", *kinds], targets, **more)


def lags_of(kind: str, **more: Any) -> dict[str, Any]:
    """A forecast by the lags of another column, of which one is longer than the horizon."""
    target = {"column": "series", "as": "forecast", "horizon": HORIZON}
    data = spec_data("N:M", ["series", kind], [target], **more)
    data["data"]["input"][1]["lags"] = [2, 1, 4]
    data["data"]["series"]["history"] = 3
    return data


FRAMES: dict[str, list[dict[str, Any]]] = {
    "convolutions": [
        {"conv": 3, "size": [3, 2], "activation": "relu", "norm": "batch"},
        {"pool": "max", "size": [2, 2]},
        {"conv": 4, "size": [2, 3], "stride": [1, 2], "dilation": [2, 1], "norm": "layer"},
        {"cell": "gru", "units": 4, "direction": "bidirectional"},
    ],
    "groups and mean": [
        {"conv": 4, "size": [1, 3]},
        {"conv": 6, "size": [3, 3], "groups": 2, "skip": "none", "dropout": 0.2},
        {"pool": "mean", "size": [3, 2], "stride": [2, 2]},
        {"squeeze": "mean"},
    ],
    "residuals": [
        {"conv": 2, "size": [3, 3], "name": "a"},
        {"conv": 2, "size": [3, 3], "activation": "tanh", "skip": "residual", "repeat": 2,
         "name": "b"},
        {"join": "sum", "reads": ["a", "b"], "name": "c"},
        {"conv": 1, "size": [2, 2], "reads": ["a", "c"]},
        {"squeeze": "flatten"},
        {"dense": 4},
    ],
    "squeezed first": [{"squeeze": "max"}, {"cell": "gru", "units": 4}],
    "over frames": [
        {"conv": 3, "size": [3, 3, 2], "stride": [2, 1, 2], "activation": "silu"},
        {"pool": "max", "size": [2, 2, 3], "stride": [1, 2, 1]},
        {"pool": "mean", "size": [3, 2, 2], "stride": [2, 2, 1]},
        {"conv": 2, "size": [2, 1, 2], "dilation": [2, 1, 1], "norm": "batch"},
        {"squeeze": "max"},
    ],
    "causal": [
        {"conv": 2, "size": [2, 3, 3], "causal": True},
        {"conv": 3, "size": 2},
        {"cell": "gru", "units": 4},
    ],
    "places": [
        {"conv": 3, "size": [3, 3], "stride": 2},
        {"conv": 2, "size": [3, 1, 1]},
        {"squeeze": "places"},
        {"cell": "gru", "units": 4},
    ],
}  # fmt: skip
"""Layers of a video."""
BRANCHES = (
    {"cell": "lstm", "units": 4, "direction": "bidirectional", "norm": "layer", "name": "low"},
    {"cell": "gru", "units": 3, "direction": "bidirectional"},
)
MIXED: dict[str, dict[str, Any]] = {
    "N:N of steps and rows": spec_data(
        "N:N", ["chars"],
        [output("path"), output("class"), output("keys"),
         output("out_number", pooling="attention", reads=["low"], head={"hidden": [3]}),
         output("out_vector", pooling="max"),
         output("labels", reads=["low", "input"], pooling="mean"), output("ordinal")],
        BRANCHES, head={"hidden": [5]},
    ),
    "N:N of rows at other steps": spec_data(
        "N:N", ["frames"],
        [output("tags", reads=["low"]), output("out_vector"), output("out_frames", reads=["low"])],
        [BRANCHES[0], {"conv": 3, "stride": 2}], pooling="max",
    ),
    "N:1 of several layers": spec_data(
        "N:1", ["frames", "number"],
        [output("class"), output("out_number", reads=["low"]),
         output("labels", head={"hidden": [2]})],
        BRANCHES, pooling="mean",
    ),
    "N:N of two next steps and a row": spec_data(
        "N:N", ["words", "frames"],
        [{"column": "words", "as": "next"}, {"column": "frames", "as": "next", "reads": ["low"]},
         output("class", reads=["low", "back"])],
        [{"cell": "gru", "units": 4, "name": "low"}, {"cell": "lstm", "units": 3, "name": "fore"},
         {"cell": "gru", "units": 2, "direction": "reverse", "reads": ["input"], "name": "back"},
         {"dense": 3, "reads": ["fore"]}],
        pooling="mean",
    ),
    "N:N of tags and states": spec_data(
        "N:N", ["chars"],
        [output("tags"), {"column": "states", "as": "states", "reads": ["low"]},
         {"column": "mean", "as": "states", "pooling": "mean"}],
        BRANCHES,
    ),
    "N:1 of a class and states": spec_data(
        "N:1", ["frames"],
        [output("class"), {"column": "each", "as": "states"},
         {"column": "largest", "as": "states", "reads": ["input", "low"], "pooling": "max"}],
        BRANCHES, pooling="mean", head={"hidden": [3]},
    ),
    "N:1 of positions": spec_data(
        "N:1", ["chars"],
        [output("position"), output("no_position", reads=["low"]), output("span"),
         output("short_span", head={"hidden": [3]}), output("no_span"), output("class")],
        BRANCHES,
    ),
    "N:1 of a position of frames": spec_data(
        "N:1", ["frames", "number"], [output("position"), output("no_span")], LAYERS,
    ),
    "N:N of tags and a span": spec_data(
        "N:N", ["words"], [output("tags"), output("short_span")], LAYERS, head={"hidden": [3]},
    ),
    "1:1 of two heads": spec_data(
        "1:1", ["vector"],
        [output("class"), output("ordinal"), output("labels", head={"hidden": [3]})],
    ),
    "N:M of two forecasts": spec_data(
        "N:M", ["series", "double_series", "category"],
        [{"column": "series", "as": "forecast", "horizon": HORIZON, "distribution": "gaussian"},
         {"column": "double_series", "as": "forecast", "horizon": 2, "head": {"hidden": [3]}}],
        head={"hidden": [2]},
    ),
}  # fmt: skip
"""Several kinds of outputs in one model, and branches."""
BOTH_WAYS = {"cell": "lstm", "units": 3, "direction": "bidirectional"}
ALL_COMPARED = ("concat", "difference", "product", "cosine", "manhattan")


def aligned(other: str) -> list[dict[str, Any]]:
    """Layers of which one attends to a layer of another encoder (Chen et al. 2017, ESIM)."""
    low = {"cell": "lstm", "units": 2, "direction": "bidirectional", "name": "low"}
    meeting = ["concat", "difference", "product"]
    return [low, {"attend": other, "combine": meeting}, {"dense": 4, "activation": "relu"}]


ENCODERS: dict[str, dict[str, Any]] = {
    "apart": encoders_data(
        {"one": ["words"], "two": {"inputs": ["frames", "key_steps", "number"], "pooling": "mean"}},
        outputs=[output("class"), output("labels"), output("out_vector")],
    ),
    "compared": encoders_data(
        {
            "left": {"inputs": ["spelled"], "layers": [BOTH_WAYS], "pooling": "attention"},
            "right": {"inputs": ["chars"], "layers": [BOTH_WAYS], "pooling": "max"},
        },
        ALL_COMPARED,
        beside=["number", "category"],
    ),
    "shared": encoders_data(
        {
            "left": {
                "inputs": ["spelled", "category"],
                "layers": [
                    {**BOTH_WAYS, "norm": "layer", "initial_state": "learned"},
                    {"dense": 4, "norm": "batch"},
                ],
                "pooling": "attention",
            },
            "right": {"inputs": ["spelled.2", "category.2"], "same_as": "left"},
        },
        ALL_COMPARED,
    ),
    "pictures": encoders_data(
        {
            "left": {
                "inputs": ["image", "vector"],
                "layers": [{"conv": 2, "size": [3, 3], "stride": [2, 1]}, BOTH_WAYS],
            },
            "right": {"inputs": ["image.2", "vector.2"], "same_as": "left"},
        },
        ("difference",),
    ),
    "three": encoders_data(
        {
            "a": ["frames"],
            "b": {"inputs": ["frames.2"], "same_as": "a"},
            "c": {"inputs": ["log_mel"], "pooling": "max"},
        },
        ("cosine", "difference", "product"),
    ),
    "attending": encoders_data(
        {
            "left": {"inputs": ["spelled"], "layers": aligned("right.low"), "pooling": "mean"},
            "right": {"inputs": ["spelled.2"], "same_as": "left"},
        },
        ALL_COMPARED,
    ),
    **{
        f"{name} over another": encoders_data(
            {
                "premise": {"inputs": ["words"], "layers": [{"conv": 4, "stride": 2}]},
                "told": {
                    "inputs": ["frames", "number"],
                    "layers": [
                        {"dense": 4},
                        {"attend": "premise", "score": score, "combine": meeting},
                        {"cell": "gru", "units": 3},
                    ],
                },
            }
        )
        for name, score, meeting in (
            ("dot", "dot", ["product", "cosine", "context"]),
            ("additive", {"additive": {"units": 3}}, ["concat"]),
            ("heads", {"multi_head": {"heads": 2}}, ["context"]),
        )
    },
}
"""Several encoders, whose rows have numbers of steps of their own."""
LOW = {**BOTH_WAYS, "norm": "layer", "name": "low"}
VECTOR_AT_EACH = ["context", "difference", "product", "cosine", "manhattan"]
OF_ONE: dict[str, dict[str, Any]] = {
    "N:1 a span of one of two": encoders_data(
        {
            "question": {"inputs": ["words"], "layers": [LOW]},
            "passage": {
                "inputs": ["spelled", "category"],
                "layers": [
                    {**LOW, "units": 2},
                    {"attend": "question", "combine": ["concat"], "name": "met"},
                    {"dense": 6, "activation": "tanh"},
                    {"attend": "question", "score": "pooling", "combine": VECTOR_AT_EACH},
                    {**BOTH_WAYS, "units": 2, "name": "last"},
                ],
            },
        },
        outputs=[
            output("span", reads=["passage"]),
            output("no_position", reads=["passage.met", "passage"], head={"hidden": [3]}),
            output("short_span", reads=["question"]),
        ],
        beside=["number"],
    ),
    "N:1 a position and a class": encoders_data(
        {
            "left": {"inputs": ["frames"], "layers": [LOW]},
            "right": {"inputs": ["frames.2"], "same_as": "left"},
        },
        ["difference"],
        [output("class"), output("position", reads=["right"]),
         {"column": "found", "as": "states", "reads": ["left"], "pooling": "mean"}],
    ),
    "N:N given another": encoders_data(
        {
            "about": {"inputs": ["chars"], "pooling": "attention"},
            "said": {
                "inputs": ["words", "key_steps"],
                "layers": [{"attend": "about", "score": "pooling"}, LOW],
            },
        },
        outputs=[
            output("tags", reads=["said"]), output("path", reads=["said"]),
            output("keys", reads=["said.low"]), output("out_frames", reads=["said.input"]),
            {"column": "each", "as": "states", "reads": ["said"]},
        ],
        beside=["category"],
        cardinality="N:N",
    ),
    "N:N of two and a row": encoders_data(
        {
            "one": {"inputs": ["frames"], "pooling": "max"},
            "two": {"inputs": ["image"], "layers": [{"dense": 4}, {"attend": "one", "score": "dot"},
                                                    {"cell": "gru", "units": 4}]},
        },
        ["product"],
        [output("tags", reads=["one"]), output("path", reads=["two"]), output("labels")],
        cardinality="N:N",
    ),
}  # fmt: skip
"""Answers of the steps of one of several encoders."""
SPECS: dict[str, dict[str, Any]] = {
    **MIXED,
    **{f"N:1 encoders {name}": data for name, data in ENCODERS.items()},
    **OF_ONE,
    **{
        f"N:1 {name}": spec_data(
            "N:1", [name],
            [output("class"), output("labels"), output("out_number"), output("out_vector")], LAYERS,
        )
        for name in STEPS
    },
    **{
        f"N:N {name}": spec_data(
            "N:N", [name],
            [output("tags"), output("path"), output("free_path"), output("keys"),
             output("out_frames"), output("out_double_frames")],
            LAYERS,
        )
        for name in STEPS
    },
    **{
        f"N:N next of {name}": spec_data("N:N", [name], [{"column": name, "as": "next"}])
        for name in (*STEPS, "series") if name not in (*SOUNDS, *PICTURES)
    },
    "N:N the word before, states and a class": spec_data(
        "N:N", ["words", "number"],
        [{"column": "words", "as": "next", "direction": "reverse"},
         {"column": "vector", "as": "states"}, output("class")],
    ),
    **{
        f"N:N next of {name}, tied": spec_data(
            "N:N", [name], [{"column": name, "as": "next"}], head={"tied": True}
        )
        for name in ("words", "bytes")
    },
    **{
        f"N:1 {name}": spec_data("N:1", ["clip"], [output("class")], layers, pooling="mean")
        for name, layers in FRAMES.items()
    },
    "N:N frames": spec_data(
        "N:N", ["clip"], [output("tags")], FRAMES["convolutions"]
    ),
    "N:1 distributions": spec_data(
        "N:1", ["frames"], [output(name) for name in DISTRIBUTED if "frames" not in name], LAYERS
    ),
    "N:N distributions": spec_data(
        "N:N", ["frames"], [output(name) for name in DISTRIBUTED if "frames" in name], LAYERS
    ),
    "1:1 distributions": spec_data(
        "1:1", ["number"], [output(name) for name in DISTRIBUTED if "frames" not in name]
    ),
    "N:N next of frames mixed": spec_data(
        "N:N", ["double_frames"],
        [{"column": "double_frames", "as": "next",
          "distribution": {"mixture": {"components": 2, "correlated": True}}}],
    ),
    "N:N next of series by student_t": spec_data(
        "N:N", ["series"], [{"column": "series", "as": "next", "distribution": "student_t"}]
    ),
    "N:1 frames beside a vector": spec_data(
        "N:1", ["video", "vector"], [output("class")],
        [{"conv": 2, "size": [1, 3]}, {"cell": "gru", "units": 4}],
    ),
    "N:1 video of steps": spec_data(
        "N:1", ["clip"], [output("class")], [{"conv": 2, "size": 2}, {"cell": "gru", "units": 4}]
    ),
    "N:N series": spec_data(
        "N:N", ["series", "number"], [output("tags"), output("out_frames")], LAYERS
    ),
    **{f"N:1 {name} to {join}": joined(name, join)
       for name in STATICS for join in ("steps", "state", "both")},
    "N:1 several sequences": spec_data(
        "N:1", ["spelled", "frames", "key_steps", "category", "number"],
        [output("class"), output("out_vector")],
    ),
    "N:N several sequences": spec_data(
        "N:N", ["tokens", "raw_frames", "vector"], [output("tags"), output("out_frames")], LAYERS
    ),
    **{
        f"1:1 {' '.join(names)}": spec_data(
            "1:1", names,
            [output("class"), output("labels"), output("out_number"), output("out_vector"),
             output("out_doubles")],
            head={"hidden": [5], "activation": "gelu"},
        )
        for names in (["category"], ["number"], ["vector"], ["vector", "category", "number"])
    },
    **{
        f"forecast of {kind} {name} {how}": forecast(kind, distribution, **more)
        for kind in SEQUENCES if "series" in kind
        for name, distribution in DISTRIBUTIONS.items()
        for how, more in (("direct", {}), ("recursive", RECURSIVE), ("attending", ATTENDING))
        if (kind in ("series", "double_series", "double_window_series")
        or name in ("gaussian", "negative_binomial")) and "log" not in kind
    },
    **{
        f"forecast of {kind} {name} {how}": forecast(kind, DISTRIBUTIONS[name], **more)
        for kind in SEQUENCES if "log" in kind
        for name in ("point", "quantiles")
        for how, more in DECODED
    },
    **{
        f"residual {residual} of {kind} {name} {how}": residual_of(kind, residual, name, **more)
        for kind, residual, name in (
            ("series", "seasonal", "student_t"), ("window_series", "last", "point"),
            ("log_series", "seasonal", "quantiles"),
        )
        for how, more in (("direct", {}), ("recursive", RECURSIVE), ("attending", ATTENDING))
    },
    **{f"forecast of {kind} direct": forecast(kind, "point") for kind in DIFFERENCED},
    "forecasts recursive": forecasts(**RECURSIVE),
    "forecasts without feedback": forecasts(decoder={**RECURSIVE["decoder"], "feedback": "none"}),
    "forecast of known_series without feedback attending": forecast(
        "known_series", "gaussian", decoder={**ATTENDING["decoder"], "feedback": "none"}
    ),
    "forecasts recursive attending": forecasts(**ATTENDING),
    **{
        f"forecast by lags of what is known {how}": lags_of("known_mean_series", **more)
        for how, more in DECODED
    },
    "N:N series and calendar": spec_data(
        "N:N", ["series", "calendar_marks"], [output("out_frames")], LAYERS
    ),
    **{
        f"forecast by the {name} {how}": spec_data(
            "N:M", ["series", name], [{"column": "series", "as": "forecast", "horizon": HORIZON}],
            **more,
        )
        for name in CALENDARS
        for how, more in DECODED
    },
    "forecast by the calendar of the past": past_alone("calendar"),
    "N:N series and labels": spec_data(
        "N:N", ["series", "weather"], [output("out_frames")], LAYERS
    ),
    **{
        f"forecast by labels of steps {how}": spec_data(
            "N:M",
            ["weather", "series", "holiday"],
            [{"column": "series", "as": "forecast", "horizon": HORIZON}],
            **more,
        )
        for how, more in DECODED
    },
    **{
        f"forecast of double_window_series {name} recursive": forecast(
            "double_window_series", distribution, **RECURSIVE
        )
        for name, distribution in OTHERS.items()
    },
}  # fmt: skip


def rows_of(plan: Plan) -> list[dict[str, Any]]:
    return random_rows(plan, LENGTHS)


@pytest.mark.parametrize("name", SPECS)
def test_torch_agrees_with_the_reference(name: str) -> None:
    plan, _ = plan_of(SPECS[name])
    weights, rows = strong_weights(plan), rows_of(plan)
    model = Model(plan).eval()
    model.load_canonical(weights)
    expected, raw = answers(plan, weights, rows), raw_outputs(plan, weights, rows)
    batch = batched(plan, rows, extra=2, filler=3.7)
    with torch.no_grad():
        forward = model(batch)
    for column, got in of_torch(model, batch).items():
        close(got, expected[column], column)
        bounds_agree(plan, column, got, expected[column])
        if column in raw:  # states have no scores
            close(forward[column].numpy(), raw[column], f"scores of {column}")
    for number, row in enumerate(rows):
        for column, got in of_torch(model, batched(plan, [row])).items():
            close(got, expected[column][number : number + 1], f"{column} alone")


@pytest.mark.parametrize("name", SPECS)
def test_onnx_agrees_with_the_reference(name: str) -> None:
    plan, facts = plan_of(SPECS[name])
    weights, rows, labels = strong_weights(plan), rows_of(plan), labels_of(plan, facts)
    expected = answers(plan, weights, rows)
    file = to_onnx(plan, facts, weights, ids=True)
    assert_all_is_read(file)
    assert_no_texts(file)
    session = Session(file.SerializeToString(), threads=1)
    for extra in (0, 7):
        onnx_agrees(plan, session.run(feeds(plan, rows, extra, 3.7)), expected, labels)
    for number, row in enumerate(rows):
        one = {column: found[number : number + 1] for column, found in expected.items()}
        onnx_agrees(plan, session.run(feeds(plan, [row])), one, labels)


@pytest.mark.parametrize("name", [name for name in SPECS if "recursive" in name])
def test_teacher_forced_forecasts(name: str) -> None:
    """A true value is read in the place of the model's own, a missing one is not."""
    plan, _ = plan_of(SPECS[name])
    weights, rows = strong_weights(plan), rows_of(plan)
    truths, rng = dict[str, NDArray[np.float32]](), np.random.default_rng(3)
    for out in plan.outputs:
        truth = rng.normal(1, 2, (len(rows), HORIZON)).astype(np.float32)
        assert isinstance(out, ForecastOutput)
        truth = np.exp(truth) if out.log else truth
        truth[1, 0] = truth[2] = np.nan
        truths[out.column] = truth
    each = [{column: truth[row] for column, truth in truths.items()} for row in range(len(rows))]
    expected = raw_outputs(plan, weights, rows, each)
    model = Model(plan).eval()
    model.load_canonical(weights)
    with torch.no_grad():
        targets = {column: torch.from_numpy(truth) for column, truth in truths.items()}
        got = model(batched(plan, rows), targets)
    for column, found in got.items():
        close(found.numpy(), expected[column], f"{name}: {column}")
