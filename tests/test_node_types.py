"""Every node type stands in every table, in a plan of an encoder and in one of a decoder, and does
what its traits say."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import get_args

import numpy as np
import pytest

from rnnspec.plan import Plan
from rnnspec.plan.diagram.of_plan import WORDS
from rnnspec.plan.dump import dump
from rnnspec.plan.nodes import (
    NODE_TYPES,
    Attend,
    BatchNorm,
    CalendarEmbed,
    CharactersInput,
    Compare,
    Conv,
    CopyMix,
    Decoder,
    Delayed,
    Grid,
    Merge,
    Node,
    Ordinal,
    Output,
    PerStep,
    Pointed,
    Pointer,
    Pool,
    Previous,
    PreviousFrame,
    PreviousNumber,
    Recurrent,
    Squeeze,
    Unflatten,
    Unnest,
    shared_weights,
)
from rnnspec.plan.stream_rules import RULES
from rnnspec.reference.decode import BODY
from rnnspec.reference.inputs import Reading
from rnnspec.reference.interpret import values_of
from rnnspec.reference.layers import LAYERS
from rnnspec.to_c.lower import LOWERINGS as OF_C
from rnnspec.to_c.lower import REFUSED
from rnnspec.to_onnx.body import STEPS
from rnnspec.to_onnx.lower import LOWERINGS
from rnnspec.to_onnx.pointwise import POINTWISE
from rnnspec.to_torch.modules import MODULES
from tests import ctc, decoders, frame_decoders, layers
from tests.cardinalities import SPECS
from tests.kinds import plan_of, random_rows, strong_weights

BODY_ONLY = frozenset({Previous, PreviousFrame, PreviousNumber, Delayed, CopyMix, Pointed, Pointer})
"""Node types that only the body of a decoder has."""
IN_BODIES = (
    BODY_ONLY | {kind for kind in NODE_TYPES if kind.pointwise} | {Recurrent, Conv, Attend}
) - {Merge, BatchNorm, CalendarEmbed, Compare, Grid, Ordinal, Squeeze, Unflatten}
"""A decoder runs forward only, so that it has no directions to merge; its steps are plain, no batch
norm is taken over them, vectors of encoders are compared before it, it answers no labels, and the
calendar of the steps ahead is looked up before it."""
OUTSIDE = frozenset(NODE_TYPES) - BODY_ONLY
INTERPRETED = {*LAYERS, *BODY, *get_args(Reading), *get_args(Output)} | {
    CharactersInput, Unnest, PerStep, Decoder,
}  # fmt: skip
"""The reference's tables; the last line and the outputs are the closed matches of `interpret`."""


@cache
def plans() -> Mapping[str, Plan]:
    """All plans that the conformance suites compute by each back end."""
    return {
        **{f"layers: {name}": layers.plan(name) for name in layers.PLANS},
        **{f"decoder: {name}": decoders.plan(name) for name in decoders.SPECS},
        **{f"frames: {name}": frame_decoders.plan(name) for name in frame_decoders.SPECS},
        **{f"kinds: {name}": plan_of(data)[0] for name, data in SPECS.items()},
        **{f"ctc: {name}": ctc.plan_and_facts(name)[0] for name in ctc.ALL},
    }


def outside(plan: Plan) -> Iterator[Node]:
    return iter(plan.nodes)


def bodies(plan: Plan) -> Iterator[Node]:
    return (node for each in plan.nodes if isinstance(each, Decoder) for node in each.body)


@pytest.mark.parametrize(
    ("table", "kinds"),
    [
        (MODULES, NODE_TYPES),
        (LOWERINGS.keys() | POINTWISE.keys(), OUTSIDE),
        (STEPS.keys() | POINTWISE.keys(), IN_BODIES),
        (WORDS, NODE_TYPES),
        (INTERPRETED, NODE_TYPES),
        (RULES.keys() | POINTWISE.keys(), OUTSIDE),
        (OF_C.keys() | REFUSED.keys(), NODE_TYPES),
    ],
    ids=["torch", "ONNX graph", "ONNX body", "diagram", "reference", "streams", "C"],
)
def test_every_type_is_in_the_table(
    table: Collection[type[Node]], kinds: Collection[type[Node]]
) -> None:
    assert [kind.__name__ for kind in kinds if kind not in table] == []
    assert set(table) <= set(NODE_TYPES)


def test_every_class_of_nodes_is_listed() -> None:
    """A class that is no base of others is a type of node."""
    classes, bases, ends = [Node], set[str](), set[str]()
    while classes:
        kind = classes.pop()
        own = [each for each in kind.__subclasses__() if each.__module__.startswith("rnnspec.")]
        classes += own
        (bases if own else ends).add(kind.__name__)
    # A dataclass with slots leaves the class without them behind, of the same name.
    assert ends - bases == {kind.__name__ for kind in NODE_TYPES}


def test_what_is_lowered_as_pointwise_is_pointwise() -> None:
    assert {kind for kind in NODE_TYPES if kind.pointwise} == set(POINTWISE)
    assert not set(POINTWISE) & (set(LOWERINGS) | set(STEPS))


@pytest.mark.parametrize("kind", NODE_TYPES, ids=lambda kind: kind.__name__)
def test_every_type_is_in_a_plan_that_all_back_ends_compute(kind: type[Node]) -> None:
    """Alone, and in the body of a decoder; with its shape in the dump."""
    for place, kinds in (("outside", OUTSIDE), ("in a body", IN_BODIES)):
        nodes = bodies if place == "in a body" else outside
        held = [plan for plan in plans().values() if any(type(n) is kind for n in nodes(plan))]
        assert bool(held) == (kind in kinds), f"{kind.__name__} {place}"
        for plan in held[:1]:
            assert f" = {kind.__name__}(" in dump(plan)


def sequences(plan: Plan) -> Iterator[tuple[Node, dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Each node of the encoder that reads a sequence of seven steps, with weights and values."""
    weights = {name: w.astype(np.float64) for name, w in strong_weights(plan).items()}
    weights |= {name: weights[own] for name, own in shared_weights(plan).items()}
    (row,) = random_rows(plan, (7,))
    values = values_of(plan, weights, row)
    for node in plan.nodes:
        found = [values[name] for name in node.sources() if name in values]
        if found and found[0].ndim >= 2 and len(found[0]) == 7 and node.name in values:
            yield node, weights, values


def cut(values: Mapping[str, np.ndarray], steps: slice) -> dict[str, np.ndarray]:
    return {n: v[steps] if v.ndim and len(v) == 7 else v for n, v in values.items()}


STREAMED = ("layers:", "kinds: N:N", "kinds: N:1")


@pytest.mark.parametrize("name", [name for name in plans() if name.startswith(STREAMED)])
def test_a_node_does_what_its_traits_say(name: str) -> None:
    """Pointwise: steps turned round give values turned round. Without states to carry, or with
    those of a layer: the first steps alone give the first values. None: later steps matter, or a
    step stands for several of the input."""
    plan = plans()[name]
    for node, weights, values in sequences(plan):
        whole = values[node.name]
        if isinstance(node, PerStep | Attend):  # which reads steps that are not cut
            continue
        if node.pointwise:
            turned = LAYERS[type(node)](plan, node, weights, cut(values, slice(None, None, -1)))
            np.testing.assert_allclose(turned, whole[::-1], atol=1e-12, err_msg=node.name)
        first = LAYERS[type(node)](plan, node, weights, cut(values, slice(3)))
        if node.carried() is not None and not isinstance(node, Pool):
            np.testing.assert_allclose(first, whole[:3], atol=1e-12, err_msg=node.name)
        elif node.carried() is None and whole.ndim == 2 and len(whole) == 7:
            assert not np.allclose(first, whole[:3]), f"{node.name} could be streamed"
