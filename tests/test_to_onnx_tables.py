"""Every kind of attention has a lowering; a type of node without one fails by its name."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from rnnspec.plan.nodes import ATTENTIONS, Decoder, Dense
from rnnspec.to_onnx import to_onnx
from rnnspec.to_onnx.attention import KINDS
from tests.decoders import decoded
from tests.kinds import plan_of, strong_weights
from tests.models import frames_facts, frames_plan, random_weights


@dataclass(frozen=True, slots=True)
class Unknown(Dense):
    """A type of node that no table has."""


def test_every_kind_of_attention_is_lowered() -> None:
    assert set(KINDS) == set(ATTENTIONS)


def test_an_unknown_type_of_node_fails_by_its_name() -> None:
    plan = frames_plan("gru", "forward", 1)
    nodes = list(plan.nodes)
    place = next(n for n, node in enumerate(nodes) if isinstance(node, Dense))
    dense = nodes[place]
    assert isinstance(dense, Dense)
    nodes[place] = Unknown(dense.name, dense.source, dense.inputs, dense.units, dense.activation)
    with pytest.raises(NotImplementedError, match="Unknown in a graph"):
        to_onnx(replace(plan, nodes=tuple(nodes)), frames_facts(), random_weights(plan))


def test_an_unknown_type_of_node_in_a_decoder_fails_by_its_name() -> None:
    plan, facts = plan_of(decoded(attention="additive"))
    nodes = list(plan.nodes)
    place = next(n for n, node in enumerate(nodes) if isinstance(node, Decoder))
    decoder = nodes[place]
    assert isinstance(decoder, Decoder)
    last = decoder.body[-1]
    unknown = Unknown(last.name, next(last.sources()), 4, 4, "none")
    nodes[place] = replace(decoder, body=(*decoder.body[:-1], unknown))
    plan = replace(plan, nodes=tuple(nodes))
    with pytest.raises(NotImplementedError, match="Unknown in a decoder's body"):
        to_onnx(plan, facts, strong_weights(plan), ids=True)
