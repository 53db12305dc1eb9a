"""Every kind of output that has a column of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rnnspec.plan import ClassFacts, PositionFacts
from tests.column_facts import LETTERS, TOKENS, WORDS, Kind, doubles, numbers, text

CLASSES = ClassFacts(("a", "b", "c"), (3, 2, 1))
SPANS = ClassFacts(("B-x", "I-x", "I-y", "O"), (4, 3, 2, 1))
BOUNDS: dict[str, Any] = {"intervals": [0.5, 0.9]}
BESIDE: dict[str, Any] = {**BOUNDS, "samples": 3}
OUTPUTS: dict[str, Kind] = {
    "class": Kind({"as": "class"}, CLASSES),
    "labels": Kind({"as": "labels"}, CLASSES),
    "ordinal": Kind(
        {"as": "ordinal", "labels": ["c", "a", "b", "d"]},
        ClassFacts(("c", "a", "b", "d"), (3, 2, 1, 0), ordered=True),
    ),
    "out_number": Kind({"as": "number"}, numbers(1)),
    "out_vector": Kind({"as": "vector"}, numbers(2)),
    "out_doubles": Kind({"as": "vector"}, doubles(2)),
    "position": Kind({"as": "position"}, PositionFacts()),
    "no_position": Kind({"as": "position", "none": True}, PositionFacts()),
    "span": Kind({"as": "span"}, PositionFacts(3, 2.0, 0.5)),
    "short_span": Kind({"as": "span", "max_span": 2}, PositionFacts(3, 2.0, 0.5)),
    "no_span": Kind({"as": "span", "max_span": 3, "none": True}, PositionFacts(3, 2.0, 0.5)),
    "positions": Kind({"as": "positions"}, PositionFacts(4, 2.5, 1.0)),
    "positions_once": Kind({"as": "positions", "once": True}, PositionFacts(4, 2.5, 1.0)),
    "tags": Kind({"as": "tags"}, CLASSES),
    "path": Kind({"as": "tags", "crf": True, "scheme": "bio"}, SPANS),
    "free_path": Kind({"as": "tags", "crf": True}, CLASSES),
    "keys": Kind(
        {"as": "keys", "threshold": {"auto": "label"}},
        replace(CLASSES, thresholds=(0.375, 0.5, 0.625)),
    ),
    "out_frames": Kind({"as": "frames"}, numbers(2)),
    "out_double_frames": Kind({"as": "frames"}, doubles(2)),
    **{
        f"out_{name}": Kind({"as": "number", "distribution": name, **BESIDE}, numbers(1))
        for name in ("gaussian", "student_t", "negative_binomial", "poisson", "beta", "weibull")
    },
    "out_quantiles": Kind(
        {"as": "vector", "distribution": {"quantiles": [0.1, 0.5, 0.7]}}, numbers(2)
    ),
    "out_mixture": Kind({"as": "number", "distribution": {"mixture": 2}, **BESIDE}, numbers(1)),
    "out_mixtures": Kind({"as": "vector", "distribution": {"mixture": 3}, **BESIDE}, doubles(3)),
    "out_alone": Kind({"as": "vector", "distribution": {"mixture": 2}, **BESIDE}, numbers(1)),
    "out_correlated": Kind(
        {
            "as": "vector",
            "distribution": {"mixture": {"components": 2, "correlated": True}},
            **BESIDE,
        },
        numbers(2),
    ),
    "out_laplace_frames": Kind({"as": "frames", "distribution": "laplace", **BOUNDS}, doubles(2)),
    "out_count_frames": Kind(
        {"as": "frames", "distribution": "negative_binomial", "scale": "none", **BESIDE}, numbers(2)
    ),
    "out_mixed_frames": Kind(
        {
            "as": "frames",
            "distribution": {"mixture": {"components": 2, "correlated": True}},
            **BESIDE,
        },
        numbers(2),
    ),
    "out_words": Kind({"as": "words"}, text(WORDS)),
    "out_chars": Kind({"as": "chars"}, text(LETTERS)),
    "out_tokens": Kind({"as": "tokens"}, text(TOKENS)),
}
"""Of outputs with a column of their own: `next` and `forecast` have that of an input."""
