"""Initializers of everything that is drawn: by the nearest key, and of the shapes they have."""

from __future__ import annotations

from math import sqrt

import pytest
import torch

from rnnspec.cells.initializers import Constant, Glorot, Initializer, Normal, Orthogonal, Uniform
from rnnspec.plan import Facts, Plan, Weight, resolve, weights
from rnnspec.plan.facts import ClassFacts, TextFacts, Vocabulary
from rnnspec.plan.nodes import FromData, FromVectors, Vectors
from rnnspec.source.yaml12 import load
from rnnspec.spec.spec import Spec
from rnnspec.to_torch import Model
from rnnspec.to_torch.initializers import drawn

WORDS = Vocabulary(("a", "b"))
FACTS = Facts(3, {"word": TextFacts(WORDS, 3, 2.0, 1.0)}, {"kind": ClassFacts(("x", "y"))})


def started_weights(text: str) -> dict[str, Initializer | Vectors | FromData | FromVectors]:
    """How each weight of a spec starts."""
    return {weight.name: weight.initializer for weight in weights(plan_of(text))}


def plan_of(text: str) -> Plan:
    return resolve(Spec.model_validate(load(text, "spec.yaml").data), FACTS)


MODEL = """
name: walk
cardinality: N:1
init: {uniform: 0.1}
data:
  train: rows.jsonl
  input: {column: word, as: chars}
  output: {column: kind, as: class}
encoder:
  layers:
    - {conv: 4, init: {weights: glorot, bias: zeros}}
    - {cell: lstm, units: 6, norm: layer, init: {recurrent: orthogonal}, forget_bias: 1.0}
pooling: attention
head: {hidden: [3], init: {bias: {constant: 0.5}}}
"""


def test_the_nearest_key_says_how_a_weight_starts() -> None:
    found = started_weights(MODEL)
    everywhere = Uniform(0.1)
    assert found["embed.table"] == Vectors(True, everywhere)
    assert found["layers.0.W"] == Glorot() and found["layers.0.b"] == Constant(0.0)
    layer = {n.rpartition(".")[2]: start for n, start in found.items() if ".forward." in n}
    assert {layer[f"W_{gate}"] for gate in "ifgo"} == {everywhere}
    assert {layer[f"U_{gate}"] for gate in "ifgo"} == {Orthogonal(1.0)}
    assert layer["b_f"] == Constant(1.0) and layer["b_i"] == everywhere
    assert found["layers.1.norm.scale"] == Constant(1.0)
    assert {found[f"pool.{name}"] for name in "Wbv"} == {everywhere}
    assert found["answer.W"] == found["hidden.0.W"] == everywhere
    assert found["answer.b"] == Constant(0.5)


def test_an_initializer_of_matrices_leaves_vectors_as_they_are() -> None:
    text = MODEL.replace("{uniform: 0.1}", "orthogonal").replace(
        "  layers", "  embed_init: {normal: 0.2}\n  layers", 1
    )
    found = started_weights(text)
    assert found["embed.table"] == Vectors(True, Normal(0.2))
    assert found["layers.1.forward.W_i"] == Orthogonal(1.0)
    assert found["layers.1.forward.b_i"] == Uniform(1 / sqrt(6))
    assert found["pool.W"] == Orthogonal(1.0) and found["pool.v"] == Uniform(1 / sqrt(6))


def test_filters_start_as_torch_starts_them() -> None:
    """Glorot and orthogonal filters have the bound, and the orthonormal rows, of torch's own."""
    generator, shape = torch.Generator().manual_seed(3), (40, 8, 5)
    plan = plan_of(MODEL)
    glorot = drawn(Weight("conv.W", shape, Glorot()), plan, FACTS, generator)
    bound = float(torch.nn.init.xavier_uniform_(torch.empty(shape)).abs().max())
    assert float(glorot.abs().max()) == pytest.approx(bound, rel=0.02)
    rows = drawn(Weight("conv.W", shape, Orthogonal()), plan, FACTS, generator).flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(40), atol=1e-5, rtol=0)


def test_the_pad_stays_0_and_the_other_vectors_are_drawn() -> None:
    plan = plan_of(MODEL)
    model = Model(plan)
    model.start(FACTS, seed=0)
    table = dict(model.canonical())["embed.table"]
    assert not table[0].any()
    assert 0.08 < float(table[1:].abs().max()) <= 0.1
