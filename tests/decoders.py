"""Specs of decoders over texts by name, their plans, and targets drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnspec.plan import Plan
from rnnspec.plan.nodes import Constraints, Search, TextOutput
from rnnspec.to_torch import Model
from tests.kinds import encoders_data, output, plan_of, spec_data, strong_weights

LENGTHS = (5, 1, 0, 3)
"""Of the sources in a batch: among them 0, 1 and T."""
TARGETS = ((2, 4, 3, 0), (0,), (3, 2), (5, 5, 4, 2, 0))
"""Numbers of the answers of that batch; the third has no end mark."""
ATTENTIONS: dict[str, Any] = {
    "additive": "additive",
    "coverage": {"additive": {"units": 3, "coverage": True}},
    "dot": "dot",
    "general": "general",
    "concat": {"concat": {"units": 5}},
    "concat coverage": {"concat": {"coverage": True}},
    "multi_head": {"multi_head": {"heads": 2}},
    "location": {"location": {"units": 3, "filters": 2, "kernel": 3}},
    "monotonic": "monotonic",
}
GRU: dict[str, Any] = {"cell": "gru", "units": 4}


def decoded(
    inputs: Sequence[str] = ("chars",),
    cardinality: str = "N:M",
    encoder: Sequence[Mapping[str, Any]] = (GRU,),
    kind: str = "out_chars",
    **decoder: Any,
) -> dict[str, Any]:
    """The data of a spec whose decoder has these settings."""
    settings = {"embed": 4, "layers": [GRU], "max_steps": 6, **decoder}
    return spec_data(cardinality, inputs, [output(kind)], encoder, decoder=settings)


def points(kind: str = "positions", **decoder: Any) -> dict[str, Any]:
    """The data of a spec whose decoder points at steps of its input."""
    settings = {"layers": [GRU], "max_steps": 6, **decoder}
    return spec_data("N:M", ["frames"], [output(kind)], decoder=settings)


def two_sources(
    encoders: Mapping[str, Sequence[str] | Mapping[str, Any]],
    kind: str = "out_chars",
    beside: Sequence[str] = (),
    others: Sequence[str] = (),
    **decoder: Any,
) -> dict[str, Any]:
    """The data of a spec whose decoder reads several encoders, as in `encoders_data`; with answers
    of `others` beside it."""
    outputs = [output(each) for each in (kind, *others)]
    found = encoders_data(encoders, outputs=outputs, beside=beside)
    settings = {"layers": [GRU], "max_steps": 6, **decoder}
    return {**found, "cardinality": "N:M", "decoder": settings}


_BOTH = {"cell": "lstm", "units": 2, "direction": "bidirectional"}
_TWO = [{"cell": "lstm", "units": 4}, {"cell": "lstm", "units": 4, "skip": "residual"}]
SPECS: dict[str, dict[str, Any]] = {
    "state alone": decoded(),
    **{f"{name} {when}": decoded(attention=kind, attend=when)
       for name, kind in ATTENTIONS.items() for when in ("after", "before")},
    **{f"{name} fed": decoded(attention=kind, input_feeding=True)
       for name, kind in ATTENTIONS.items()},
    "fed without attention": decoded(input_feeding=True, hidden=3),
    "before and fed": decoded(attention="additive", attend="before", input_feeding=True),
    "copy": decoded(attention="additive", copy="chars"),
    "copy coverage": decoded(
        attention={"additive": {"coverage": True}}, copy="chars", attend="before"
    ),
    "sound": decoded(("mfcc",), attention="additive"),
    "tied": decoded(tied=True, attention="general", hidden=4),
    "lstm both ways": decoded(encoder=[_BOTH], layers=_TWO[:1], attention="additive"),
    "two layers": decoded(encoder=_TWO[:1] * 2, layers=_TWO, attention="general"),
    "highway and dropout": decoded(
        layers=[GRU, {**GRU, "skip": "highway", "dropout": 0.3}], attention="general"
    ),
    "dense bridge": decoded(encoder=[_BOTH], start_from="dense", layers=[GRU]),
    "learned start": decoded(
        start_from="learned", layers=[{"cell": "lstm", "units": 3}], attention="additive"
    ),
    "zero start": decoded(start_from="zeros", attention="additive"),
    "unbounded cell": decoded(
        layers=[{"cell": "indrnn", "units": 4}], encoder=[{"cell": "slstm", "units": 4}],
        attention="additive", input_feeding=True,
    ),
    "own states": decoded(encoder=[{"cell": "slstm", "units": 4}], layers=[
        {"cell": "slstm", "units": 4, "norm": "layer"}]),
    "zoneout": decoded(
        encoder=[{"cell": "lstm", "units": 4, "zoneout": 0.2}],
        layers=[{"cell": "lstm", "units": 4, "zoneout": 0.1, "recurrent_dropout": 0.2}],
        attention="dot",
    ),
    "layers of all kinds": decoded(
        layers=[
            {"conv": 4, "size": 3, "dilation": 2, "causal": True, "activation": "relu"},
            {"dense": 4, "activation": "silu", "norm": "layer", "skip": "residual", "name": "d"},
            {"dropout": 0.3}, {"norm": "layer"}, {**GRU, "name": "g"},
            {"activation": "tanh", "name": "t"},
            {"conv": 4, "size": 2, "groups": 2, "causal": True, "reads": ["t"], "name": "c"},
            {"conv": 4, "size": 1, "reads": ["input"], "name": "one"},
            {"join": "sum", "reads": ["c", "d", "one"], "name": "s"},
            {"join": "mul", "reads": ["s", "g"]}, {"dense": 4},
        ],
        attention="additive",
    ),
    "positions": points(),
    "positions once, fed": points("positions_once", input_feeding=True, hidden=3),
    "positions by attention": points("positions_once", attention="general", attend="before"),
    "convolutions alone": decoded(
        encoder=[{"conv": 4, "stride": 2}, {"conv": 5, "activation": "relu"}],
        layers=[{"conv": 4, "causal": True}, {**GRU}], attention="general",
    ),
    "places of a picture": decoded(  # Show, Attend and Tell (Xu et al. 2015)
        ("image",), kind="out_words",
        encoder=[{"conv": 3, "size": [3, 3], "activation": "relu"},
                 {"pool": "max", "size": [2, 2]}, {"squeeze": "places"}],
        layers=[{"cell": "lstm", "units": 4}], attention="additive", attend="before",
    ),
    "places of colours": decoded(
        ("colour_rows", "number"),
        encoder=[{"conv": 4, "size": [2, 2], "stride": [2, 1], "reads": ["input"], "name": "c"},
                 {"squeeze": "places"}],
        layers=[GRU], attention="general", input_feeding=True,
    ),
    "context in every layer": decoded(
        encoder=[{**GRU, "direction": "bidirectional"}, {"stack": 2}],
        layers=[{**GRU, "name": "a"}, {**GRU, "reads": ["a", "context"], "name": "b"},
                {**GRU, "reads": ["b", "context", "input"]}],
        attention="additive", attend="before",
    ),
    "two sources": two_sources(
        {"one": ["words"], "two": {"inputs": ["frames", "number"], "layers": [_BOTH]}},
        attention="additive", embed=4,
    ),
    "two sources alike, before": two_sources(
        {"one": ["chars"], "two": {"inputs": ["chars.2"], "same_as": "one"}}, beside=["category"],
        attention={"multi_head": {"heads": 2}}, attend="before", input_feeding=True, embed=3,
    ),
    "copy from either": two_sources(
        {"one": ["chars"], "two": ["chars.2"]}, attention="additive", embed=4,
        copy=["chars", "chars.2"],
    ),
    "three sources remembered": two_sources(
        {"one": ["words"], "two": {"inputs": ["frames"], "layers": [{"conv": 3, "stride": 2}]},
         "three": {"inputs": ["key_steps"], "layers": _TWO}},
        attention={"additive": {"coverage": True}}, layers=_TWO[:1], embed=3,
    ),
    "two states alone": two_sources(
        {"one": ["words"], "two": {"inputs": ["frames"], "layers": [_BOTH]}}, embed=4,
        layers=[{"cell": "lstm", "units": 5}, GRU],
    ),
    "words to tokens": decoded(("spelled", "category", "number"), kind="out_tokens"),
    "1:N": decoded(("category", "vector"), "1:N", kind="out_words"),
    "1:N fed": decoded(("number",), "1:N", kind="out_words", input_feeding=True, hidden=3),
}  # fmt: skip


def plan(name: str) -> Plan:
    return plan_of(SPECS[name])[0]


def with_search(plan: Plan, search: Search) -> Plan:
    """The plan with another search for its text."""
    nodes = tuple(replace(n, search=search) if isinstance(n, TextOutput) else n for n in plan.nodes)
    return replace(plan, nodes=nodes)


def with_strategy(strategy: Callable[..., Search], search: Search, **own: Any) -> Search:
    """Another strategy under the same constraints."""
    return strategy(**{f.name: getattr(search, f.name) for f in fields(Constraints)}, **own)


def model_of(
    plan: Plan, weights: Mapping[str, NDArray[np.float32]] | None = None, generic: bool = False
) -> Model:
    """In double precision, with random weights if none are given."""
    model = Model(plan, generic).double().eval()
    found = strong_weights(plan, size=0.9) if weights is None else weights
    model.load_canonical({name: value.astype(np.float64) for name, value in found.items()})
    return model


def column(plan: Plan) -> str:
    (out,) = plan.outputs
    return out.column


def targets(rows: Sequence[Sequence[int]] = TARGETS, size: int = 5) -> torch.Tensor:
    """Numbers `[B, U]`, -1 past the end; those beyond a vocabulary of `size` are made to fit."""
    found = torch.full((len(rows), max(map(len, rows))), -1)
    for row, into in zip(rows, found, strict=True):
        into[: len(row)] = torch.tensor([min(number, size - 1) for number in row])
    return found


def doubled(
    batch: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """A batch in double precision."""
    return {k: (v.double() if v.is_floating_point() else v, n) for k, (v, n) in batch.items()}
