"""Parts of specs drawn at random: columns, stacks of layers, and what decoders are made of."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hypothesis import strategies as st

from tests.kinds import SEQUENCES, SOUNDS
from tests.random_specs import Draw, layers, width_of

Own = dict[str, dict[str, Any]]
STEPS = [name for name in SEQUENCES if "series" not in name]


def some(draw: Draw, names: list[str]) -> list[str]:
    """At least one, each once."""
    return draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))


def sequences_of_steps(draw: Draw) -> list[str]:
    """One or two columns with steps; sound is alone."""
    if draw(st.integers(0, 3)) == 0:
        return [draw(st.sampled_from(sorted(SOUNDS)))]
    return some(draw, STEPS)[:2]


def several(draw: Draw, names: Collection[str], most: int) -> list[str]:
    return draw(st.lists(st.sampled_from(sorted(names)), max_size=most, unique=True))


@st.composite
def bodies(draw: Draw, own: Own, stack: list[dict[str, Any]], memory: int) -> dict[str, Any]:
    """The keys of a decoder that are about layers, over an encoder of this `stack` whose steps are
    `memory` wide (0: none)."""
    simple = all(layer.get("direction", "forward") == "forward" for layer in stack)
    bridges = ["auto", "dense", {"dense": {"activation": "relu"}}, "learned", "zeros"]
    decoder: dict[str, Any] = {"start_from": draw(st.sampled_from(bridges))}
    if stack and simple and draw(st.booleans()):
        decoder["start_from"] = "encoder"
        keys = ("cell", "units", "sizes")
        decoder["layers"] = [{k: one[k] for k in keys if k in one} for one in stack]
    else:
        decoder["layers"] = stack_of(draw, own, forward=True, own_used=not stack)
        for layer in decoder["layers"]:
            layer.pop("initial_state", None)
    decoder["input_feeding"] = draw(st.booleans())
    decoder["hidden"] = draw(st.sampled_from([None, 4]))
    query = width_of(decoder["layers"][-1], own)
    if memory and (decoder["start_from"] in ("learned", "zeros") or draw(st.integers(0, 4))):
        decoder["attention"] = draw(attentions(query, memory))
        decoder["attend"] = draw(st.sampled_from(["after", "before"]))
    elif stack:
        for key in ("merge", "norm", "dropout", "skip"):
            stack[-1].pop(key, None)  # only the states of the last layer are read
    return decoder


@st.composite
def attentions(draw: Draw, query: int, memory: int) -> Any:
    units = draw(st.sampled_from([None, 3]))
    coverage = draw(st.booleans())
    found: list[Any] = [
        {"additive": {"units": units, "coverage": coverage}},
        {"concat": {"units": units, "coverage": coverage}},
        "general",
        {"multi_head": {"heads": 2, "units": 4}},
        {"location": {"filters": 2, "kernel": draw(st.sampled_from([1, 3, 7])), "units": units}},
        {"monotonic": {"units": units}},
    ]
    return draw(st.sampled_from([*found, "dot", "dot"] if query == memory else found))


@st.composite
def searches(draw: Draw, tokens: tuple[str, ...], attention: bool) -> Any:
    """A strategy with rules of every kind, over answers of these tokens."""
    some = st.lists(st.sampled_from(tokens), max_size=1)
    settings: dict[str, Any] = {
        "repetition_penalty": draw(st.sampled_from([1.0, 1.0, 1.5, 0.8])),
        "no_repeat": draw(st.sampled_from([0, 0, 1, 2, 3])),
        "banned": draw(some),
        "prefix": draw(st.lists(st.sampled_from(tokens), max_size=2)),
    }
    name = draw(st.sampled_from(["greedy", "beam", "beam", "sample"]))
    if name == "sample":
        settings["temperature"] = draw(st.sampled_from([0.7, 1.0, 1.4]))
        settings["top_k"] = draw(st.sampled_from([0, 2, 3]))
        settings["top_p"] = draw(st.sampled_from([1.0, 0.8, 0.5]))
    if name == "beam":
        settings["width"] = draw(st.integers(1, 4))
        settings["n_best"] = draw(st.integers(1, settings["width"]))
        settings["length_norm"] = draw(st.sampled_from(["none", "average", "gnmt"]))
        settings["stop"] = draw(st.sampled_from(["best", "bound", "full", "first"]))
        settings["coverage_penalty"] = draw(st.sampled_from([0.0, 0.3])) if attention else 0.0
    return {name: settings}


def stack_of(draw: Draw, own: Own, forward: bool, own_used: bool = True) -> list[dict[str, Any]]:
    """Layers, all forward if wanted; cells of one's own are in use if `own_used`."""
    found = draw(layers(own))[:2]
    used = {layer["cell"] for layer in found}
    if own_used and own and not used & set(own):
        (name,) = own
        found[-1:] = [{"cell": name, "units": 3, **_sizes(own[name])}]
    for layer in found:
        if forward and layer.get("direction", "forward") != "forward":
            layer["direction"] = "forward"
            layer.pop("merge", None)
    width = 0
    for layer in found:
        if width_of(layer, own) != width:
            layer.pop("skip", None)
        width = width_of(layer, own)
        if width < 3:
            layer["norm"] = "none"  # of two numbers it is a step from -1 to 1: all answers are ties
    return found


def _sizes(cell: dict[str, Any]) -> dict[str, Any]:
    return {"sizes": dict.fromkeys(cell["sizes"], 2)} if "sizes" in cell else {}
