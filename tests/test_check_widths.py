"""What a spec alone decides is found by its check: widths around a decoder, names of the file.

The oracle is the resolver, with facts of data of any width: a spec whose check finds nothing is
resolved, and one whose check finds something could not be.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings

from rnnspec.errors import DataError
from rnnspec.plan import NumericFacts, Plan, resolve
from rnnspec.plan.names import draws, input_names, lengths_name, output_names
from rnnspec.plan.nodes import Decoder, Recurrent, TokensInput
from rnnspec.spec import Spec, check_widths
from rnnspec.spec.check import findings
from rnnspec.spec.check_names import file_names
from rnnspec.spec.widths import decoder_layers, encoder_layers
from tests.kinds import facts_of, output, spec_data
from tests.random_kinds import kind_specs

WIDTHS = (
    check_widths.tied_scores_are_as_wide_as_vectors,
    check_widths.attention_fits_the_widths,
    check_widths.first_states_are_as_wide,
    check_widths.given_states_of_a_column_are_alike,
    check_widths.decoder_skips_join_equal_widths,
    check_widths.what_is_fed_has_a_width,
)
CELLS = {
    "wide": {
        "states": ["h"],
        "equations": "h = tanh(W @ x + U @ h)\ny = x + O @ h\n",
        "output": "y",
    },
    "two": {
        "states": {"h": "units", "m": "n"},
        "sizes": ["n"],
        "equations": "m = tanh(A @ x + B @ m)\nh = tanh(W @ x + U @ m)\n",
        "output": "h",
    },
}
"""An output as wide as the input; states of unlike widths."""


def layer(cell: str, units: int, **more: Any) -> dict[str, Any]:
    sizes = {"sizes": {"n": 6}} if cell == "two" else {}
    return {"cell": cell, "units": units, **sizes, **more}


def outcome(data: dict[str, Any]) -> tuple[list[str], bool]:
    """What the check finds of widths, and whether a plan can be made."""
    names = {each["cell"] for part in ("encoder", "decoder") for each in data[part]["layers"]}
    own = {name: cell for name, cell in CELLS.items() if name in names}
    spec = Spec.model_validate({**data, "cells": own} if own else data)
    found = [each.message for check in WIDTHS for each in check(spec)]
    assert {each.message for each in findings(spec)} >= set(found)  # they are among the checks
    if any("feeds the layers with their own output" in each for each in found):
        return found, False  # whatever width it were given: it has none of its own
    try:
        resolve(spec, facts_of(spec))
    except (DataError, AssertionError, RecursionError):
        return found, False
    return found, True


def texts(encoder: list[Any], decoder: dict[str, Any]) -> dict[str, Any]:
    data = dict(spec_data("N:M", ["words"], [output("out_words")], encoder, decoder=decoder))
    data["encoder"] = {**data["encoder"], "embed": 4}
    return data


ENCODERS: list[list[Any]] = [
    [layer("gru", 4)],
    [layer("gru", 4), layer("lstm", 6)],
    [layer("gru", 3, direction="bidirectional")],
    [layer("gru", 3, direction="bidirectional", merge="sum")],
    [layer("gru", 4, repeat=2)],
    [layer("wide", 6)],
    [layer("two", 4)],
]
DECODERS: list[list[Any]] = [
    [layer("gru", 4)],
    [layer("lstm", 6)],
    [layer("gru", 4), layer("lstm", 6)],
    [layer("gru", 6, repeat=2)],
    [layer("two", 4)],
    [layer("wide", 6)],
]


@pytest.mark.parametrize("encoder", range(len(ENCODERS)))
def test_of_first_states_attention_and_tied_scores(encoder: int) -> None:
    seen: Counter[bool] = Counter()
    for layers, start, attention in product(
        DECODERS,
        ("encoder", "auto"),
        ("none", "dot", "general", {"multi_head": {"heads": 4}}, {"multi_head": {"heads": 3}}),
    ):
        for tied, hidden, attend, feeding in (
            (False, None, "after", False),
            (True, None, "after", False),
            (True, 4, "after", True),
            (False, None, "before", False),
            (False, 5, "before", True),
            (True, None, "after", True),
        ):
            if attention == "none" and attend == "before":
                continue
            decoder: dict[str, Any] = {"layers": layers, "embed": 4, "start_from": start}
            decoder |= {"attention": attention, "attend": attend, "input_feeding": feeding}
            decoder |= {"tied": tied, "hidden": hidden}
            found, resolved = outcome(texts(ENCODERS[encoder], decoder))
            assert (not found) == resolved, (decoder, found)
            seen[resolved] += 1
    assert seen[True] > 20 and seen[False] > 20


def test_of_states_given_by_one_column() -> None:
    """Right where the data may be of some width, wrong where of none."""
    seen: Counter[bool] = Counter()
    for first, second in product(ENCODERS[:3] + ENCODERS[4:], repeat=2):
        given = {"initial_state": {"column": "start"}}
        layers = [{**each, **given} for each in [*first, *second]]
        data = dict(spec_data("N:1", ["words"], [output("class")], layers))
        own = {each["cell"]: CELLS[each["cell"]] for each in layers if each["cell"] in CELLS}
        spec = Spec.model_validate({**data, "cells": own} if own else data)
        found = [each.message for each in check_widths.given_states_of_a_column_are_alike(spec)]
        facts = facts_of(spec)
        resolved = False
        for width in range(1, 80):
            start = NumericFacts(width, (0.0,) * width, (1.0,) * width)
            try:
                resolve(spec, replace(facts, inputs={**facts.inputs, "start": start}))
            except DataError:
                continue
            resolved = True
        assert (not found) == resolved, (layers, found)
        seen[resolved] += 1
    assert seen[True] > 5 and seen[False] > 5


@pytest.mark.parametrize("skip", ["residual", "highway"])
def test_of_skips_in_a_decoder(skip: str) -> None:
    seen: Counter[bool] = Counter()
    for units, embed, feeding, attend, hidden in product(
        (4, 8, 12), (4, 8), (False, True), ("after", "before"), (None, 4)
    ):
        decoder = {
            "layers": [layer("gru", units, skip=skip), layer("lstm", 8, skip=skip, repeat=2)],
            "embed": embed,
            "input_feeding": feeding,
            "attention": "additive",
            "attend": attend,
            "hidden": hidden,
        }
        found, resolved = outcome(texts([layer("gru", 4)], decoder))
        assert (not found) == resolved, (decoder, found)
        seen[resolved] += 1
    assert len(seen) == 2


@pytest.mark.parametrize("known", [False, True])
def test_of_skips_in_a_forecast(known: bool) -> None:
    series = ["series", "known_series"] if known else ["series"]
    target = {"column": "series", "as": "forecast", "horizon": 3}
    seen = set()
    for units in (1, 2, 3):
        decoder = {"layers": [layer("gru", units, skip="residual")]}
        data = dict(spec_data("N:M", series, [target], [layer("gru", 4)], decoder=decoder))
        found, resolved = outcome(data)
        assert (not found) == resolved, (units, found)
        seen.add(resolved)
    assert seen == {True, False}


@settings(max_examples=60)
@given(kind_specs())
def test_widths_are_those_of_the_plan_and_names_those_of_the_file(data: dict[str, Any]) -> None:
    spec = Spec.model_validate(data)
    plan = resolve(spec, facts_of(spec))
    layers = [node for node in plan.nodes if isinstance(node, Recurrent)]
    sized = [(node, "layers.") for node in layers if node.name.startswith("layers.")]
    check_layers([node for node, _ in sized], encoder_layers(spec))
    for decoder in (node for node in plan.nodes if isinstance(node, Decoder)):
        assert spec.decoder is not None
        inside = [node for node in decoder.body if isinstance(node, Recurrent)]
        check_layers(inside, decoder_layers(spec, spec.decoder))
    ids = any(isinstance(node, TokensInput) and node.kind == "subwords" for node in plan.inputs)
    assert Counter(name for name, _ in file_names(spec)) == names_of(plan, ids)


def check_layers(nodes: list[Recurrent], sized: list[Any]) -> None:
    sized = [each for each in sized if each.cell is not None]
    assert len(nodes) == len(sized)
    for node, layer in zip(nodes, sized, strict=True):
        assert layer.inputs in (None, node.inputs)
        for state in node.cell.states:
            width = node.state_width(state) * len(node.directions)
            assert layer.state(state) in (None, width)


def names_of(plan: Plan, ids: bool) -> Counter[str]:
    names = [name for node in plan.inputs for name in input_names(node, ids)]
    names += [name for node in plan.outputs for name in output_names(plan, node, ids)]
    names += filter(None, [lengths_name(plan, ids)])
    return Counter(names + ["seed"] * any(map(draws, plan.outputs)))
