"""Specs of every kind of input with every kind of output, for conformance."""

from __future__ import annotations

from typing import Any

from tests.kinds import (
    CALENDARS,
    DIFFERENCED,
    HORIZON,
    PICTURES,
    SEQUENCES,
    SOUNDS,
    STATICS,
    output,
    spec_data,
)
from tests.output_kinds import BESIDE, BOUNDS, OUTPUTS
from tests.several_encoders import ENCODERS, OF_ONE

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
