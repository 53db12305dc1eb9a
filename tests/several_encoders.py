"""Specs with several encoders, for conformance: how they meet, and answers of the steps of one."""

from __future__ import annotations

from typing import Any

from tests.kinds import encoders_data, output

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
