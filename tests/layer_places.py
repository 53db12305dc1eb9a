"""Every setting of a layer, as the schema lists them, and every place where a layer may stand."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from rnnspec.spec.schema import json_schema
from tests.kinds import HORIZON, STATICS, output, spec_data

Data = dict[str, Any]
COMPANIONS: dict[str, Data] = {
    "merge": {"direction": "bidirectional"},
    "sizes": {"cell": "lstm_projected"},
    "dropout_per": {"dropout": 0.25},
    "forget_bias": {"cell": "lstm"},
}
"""What else a layer must say for a setting to have an effect."""
VALUES: dict[str, list[Any]] = {
    "sizes": [{"projection": 3}],
    "initial_state": ["learned", {"column": "start"}],
    "init": [{part: {"normal": 0.2}} for part in ("input", "recurrent", "bias")],
}
"""Of settings whose values their schema alone does not tell."""
WIDTH = 4
UNTOLD = ("cell", "units", "name", "reads")
STATELESS: dict[str, Data] = {
    "ConvLayer": {"conv": WIDTH, "causal": True},
    "PoolLayer": {"pool": "max"},
    "DenseLayer": {"dense": WIDTH},
    "StackLayer": {"stack": 2},
    "NormLayer": {"norm": "layer"},
    "ActivationLayer": {"activation": "relu"},
    "DropoutLayer": {"dropout": 0.25},
}
"""Layers without a cell that stand by themselves: the others, which read several or a grid, are in
the plans of `tests/layers.py`."""
OF_STATELESS: dict[str, list[Any]] = {
    "size": [2], "stride": [2, 1], "dilation": [2], "activation": ["relu", "softplus"],
    "causal": [True], "init": [{"weights": "glorot", "bias": "zeros"}],
}  # fmt: skip
_DEFINITIONS = json.loads(json_schema())["definitions"]


def settings() -> dict[str, Data]:
    """Recurrent layers, each with one value of one setting that is not its default, by
    `SETTING VALUE`.

    The settings are those of the schema: a new one is here by being there. One whose schema does
    not tell its values, or that needs another beside it, is a line above.
    """
    return {
        f"{name} {written}": {
            "cell": "gru",
            "units": WIDTH,
            **COMPANIONS.get(name, {}),
            name: value,
        }
        for name, value, written in _settings("RecurrentLayer", VALUES)
    }


def stateless() -> dict[str, Data]:
    """The other layers, each as it is and with one value of one setting, by
    `KIND: SETTING VALUE`."""
    found = {}
    for kind, layer in STATELESS.items():
        key = next(iter(layer))
        found[key] = layer
        for name, value, written in _settings(kind, OF_STATELESS):
            if name == key or layer.get(name) == value:
                continue
            more = {"dropout": 0.25} if name == "dropout_per" else {}
            found[f"{key}: {name} {written}"] = {**layer, **more, name: value}
    return found


def _settings(kind: str, known: Mapping[str, list[Any]]) -> Iterator[tuple[str, Any, str]]:
    """Each setting of a kind of layer with its values but for the default, and as written."""
    for name, own in _DEFINITIONS[kind]["properties"].items():
        about = {**_DEFINITIONS[own["$ref"].rpartition("/")[2]], **own} if "$ref" in own else own
        for value in () if name in UNTOLD else known.get(name) or list(_values(about)):
            if value != about.get("default"):
                yield name, value, value if isinstance(value, str) else json.dumps(value)


def _values(about: Mapping[str, Any]) -> Iterator[Any]:
    """Values that a schema allows."""
    for each in about.get("anyOf", [about]):
        if "enum" in each:
            yield from each["enum"]
        elif "const" in each:
            yield each["const"]
        else:
            known = {"number": 0.25, "integer": 2, "boolean": True, "null": None}
            yield known[each["type"]]


def everything(layer: Data, directions: bool) -> Data:
    """A layer with all settings at once, but those of directions and of what a row gives."""
    both = {"direction": "bidirectional", "merge": "sum"} if directions else {}
    return {
        **layer, **both, "cell": "lstm", "initial_state": "learned", "norm": "layer",
        "dropout": 0.25, "dropout_per": "sequence", "recurrent_dropout": 0.25, "zoneout": 0.25,
        "weight_drop": 0.25,
        "init": {"input": "glorot", "recurrent": "orthogonal", "bias": "zeros"},
        "forget_bias": 1.0, "l2": 0.01,
    }  # fmt: skip


TEXT = {"strategy": {"beam": {"width": 2}}, "embed": WIDTH, "max_steps": 4}
FORECAST = {"column": "series", "as": "forecast", "horizon": HORIZON, "distribution": "gaussian"}


def _encoder(cardinality: str, inputs: list[str], target: Data, **more: Any) -> Data:
    return spec_data(cardinality, inputs, [target], _PLACE, **more)


def _decoder(inputs: list[str], target: Data, **decoder: Any) -> Data:
    cardinality = "1:N" if set(inputs) <= set(STATICS) else "N:M"
    decoder = {"layers": _PLACE, **decoder}
    if target["as"] != "forecast":
        decoder = TEXT | decoder
    encoder = [{"cell": "gru", "units": WIDTH}]
    return spec_data(cardinality, inputs, [target], encoder, decoder=decoder)


_PLACE: list[Data] = []
"""Stands where the layers go."""
WORDS = output("out_words")
PLACES: dict[str, Data] = {
    "encoder N:1": _encoder("N:1", ["words"], output("class")),
    "encoder N:1 of all steps": _encoder("N:1", ["frames"], output("class"), pooling="mean"),
    "encoder N:N": _encoder("N:N", ["words"], output("tags")),
    "encoder next": _encoder("N:N", ["words"], {"column": "words", "as": "next"}),
    "encoder of a forecast": _encoder("N:M", ["series"], FORECAST),
    "window N:N": _encoder("N:N", ["frames"], output("tags"), train={"window": 3, "batch": 2}),
    "window next": _encoder(
        "N:N", ["words"], {"column": "words", "as": "next"}, train={"window": 3, "batch": 2}
    ),
    "encoder N:M": {
        **_encoder("N:M", ["words"], WORDS),
        "decoder": {"layers": [{"cell": "gru", "units": WIDTH}], "attention": "additive", **TEXT},
    },
    "decoder N:M": _decoder(["words"], WORDS),
    "decoder N:M, attention after": _decoder(["words"], WORDS, attention="additive"),
    "decoder N:M, attention before": _decoder(
        ["words"], WORDS, attention="additive", attend="before"
    ),
    "decoder N:M, input feeding": _decoder(
        ["words"], WORDS, attention="general", input_feeding=True
    ),
    "decoder N:M, own answers": _decoder(["words"], WORDS, teacher_forcing=0.5),
    "decoder 1:N": _decoder(["vector"], WORDS),
    "decoder of a forecast": _decoder(["series"], FORECAST),
    "decoder of a forecast, own answers": _decoder(["series"], FORECAST, teacher_forcing=0.5),
}
"""Specs without the layers at the place that the name says."""

FORWARD_ONLY = frozenset({"direction reverse", "direction bidirectional"})
MERGES = frozenset({"merge sum", "merge mean", "merge mul"})
GIVEN = 'initial_state {"column": "start"}'
ONE_WAY = FORWARD_ONLY | MERGES
PENALTIES = frozenset({"activation_l2 0.25", "temporal_l2 0.25"})


FEW_PLACES = (
    "encoder N:1", "encoder N:N", "encoder next", "window N:N", "encoder N:M",
    "decoder N:M, attention before", "decoder of a forecast",
)  # fmt: skip
"""Places that treat layers without a cell in ways of their own."""


def refuses(place: str, layer: Data) -> bool:
    """Whether `check` refuses a layer without a cell at a place: what answers each step keeps the
    steps, what is carried on or fed back reads no later ones, and batch norm needs a batch."""
    fewer = layer.get("stride", 2 if {"pool", "stack"} & set(layer) else 1) > 1
    several = "pool" in layer or "stack" in layer
    if place.startswith("decoder"):
        without_states = "attention" not in place and not behind_a_cell(layer)
        return fewer or several or layer.get("norm") == "batch" or without_states
    if place.startswith("window") or place == "encoder next":
        return fewer or several
    return fewer and place == "encoder N:N"


def refused(place: str) -> frozenset[str]:
    """The settings that `check` refuses at a place, by the rules of the language: what is carried
    on or fed back is read forward, the states of a decoder come from `start_from`, and no penalty
    is of its outputs."""
    if place.startswith("decoder"):
        return ONE_WAY | PENALTIES | {"initial_state learned", GIVEN}
    if place.startswith("window") or place == "encoder next":
        return ONE_WAY
    return frozenset()


OF_ITS_OWN = {"cell", "conv", "dense"}
"""The keys that say how wide a layer is."""


def behind_a_cell(layer: Data) -> bool:
    """Whether `spec` puts a recurrent layer before this one."""
    return bool({"skip", "groups"} & set(layer)) or not OF_ITS_OWN & set(layer)


def spec(place: str, *layers: Data) -> Data:
    """The spec of a place with these layers there. A skip goes around a layer of its own width, and
    what has no width of its own reads such a layer."""
    data = copy.deepcopy(PLACES[place])
    part = "decoder" if place.startswith("decoder") else "encoder"
    stack = [copy.deepcopy(layer) for layer in layers]
    if any(map(behind_a_cell, stack)):
        stack.insert(0, {"cell": "gru", "units": WIDTH})
    data[part]["layers"] = stack
    return data
