"""Which weights decay where only matrices do: by their names and shapes in the plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn

from rnnspec.cells.library import BUILTIN, builtin_cell
from rnnspec.plan.nodes import weights
from rnnspec.to_torch import Model
from rnnspec.train.optimizers import Updates, groups_of
from tests.decoders import SPECS
from tests.kinds import output, plan_of, spec_data
from tests.training import settings_of

ROOMY = {
    name: {"sizes": dict.fromkeys(builtin_cell(name).own_sizes, 3)}
    for name in BUILTIN
    if builtin_cell(name).own_sizes
}
"""Settings that a cell does not do without."""


def of_cell(name: str) -> dict[str, Any]:
    """A model that has all a layer can have beside its cell: norms, first states, a highway's gate,
    a pooling's query; and columns without steps."""
    layer = {"cell": name, "units": 4, **ROOMY.get(name, {})}
    first = {**layer, "direction": "bidirectional", "merge": "sum", "initial_state": "learned"}
    layers = [{**first, "norm": "layer"}, {**layer, "skip": "residual"}]
    data = spec_data("N:1", ["words", "category", "vector"], [output("class")], layers)
    return {**data, "pooling": {"attention": {"units": 3}}, "head": {"hidden": [5]}}


MODELS: dict[str, dict[str, Any]] = {
    **{f"cell {name}": of_cell(name) for name in BUILTIN if name != "gru_d"},
    **{f"decoder {name}": data for name, data in SPECS.items()},
    "highway": spec_data(
        "N:1", ["frames"], [output("class")],
        [{"cell": "gru", "units": 4}, {"cell": "gru", "units": 4, "skip": "highway"}],
    ),
    "spelled words": spec_data("N:N", ["spelled"], [output("tags"), output("out_frames")]),
}  # fmt: skip


def held_by(model: Model) -> Mapping[nn.Parameter, set[str]]:
    """The canonical names of the weights that each parameter holds, joined or alone."""
    places = [(name, value.data_ptr()) for name, value in model.canonical()]
    found = {}
    for each in model.parameters():
        start, end = each.data_ptr(), each.data_ptr() + each.numel() * each.element_size()
        found[each] = {name for name, place in places if start <= place < end}
    return found


@pytest.mark.parametrize("name", MODELS)
def test_matrices_decay_and_nothing_else(name: str) -> None:
    """Neither vectors (biases, norms, first states, peepholes, the query of an attention) nor
    embeddings, tied ones among them."""
    plan, facts = plan_of(MODELS[name])
    model = Model(plan)
    model.start(facts, 0)
    chosen = {"adamw": {"weight_decay": 0.5, "weight_decay_on": "matrices"}}
    groups = groups_of(settings_of(optimizer=chosen).optimizer, model)
    held = held_by(model)
    decaying = {n for g in groups if g.weight_decay for p in g.weights for n in held[p]}
    others = {n for g in groups if not g.weight_decay for p in g.weights for n in held[p]}
    shapes = {weight.name: weight.shape for weight in weights(plan)}
    trained = {n for p, names in held.items() if p.requires_grad for n in names}
    matrices = {n for n in trained if len(shapes[n]) > 1 and not n.endswith(".table")}
    assert decaying == matrices
    assert others == trained - decaying


def test_the_names_of_one_model() -> None:
    """Written out, so that the rule above is not all there is."""
    data = spec_data(
        "N:M", ["words"], [output("out_words")],
        [{"cell": "lstm_peephole", "units": 4, "norm": "layer", "initial_state": "learned"}],
        decoder={"embed": 4, "layers": [{"cell": "lstm_layer_norm", "units": 4}], "tied": True,
                 "attention": {"additive": {"units": 3}}, "hidden": 4, "start_from": "dense"},
    )  # fmt: skip
    plan, facts = plan_of(data)
    model = Model(plan)
    model.start(facts, 0)
    chosen = {"adamw": {"weight_decay_on": "matrices"}}
    decaying, _ = groups_of(settings_of(optimizer=chosen).optimizer, model)
    held = held_by(model)
    gates = [f"{matrix}_{gate}" for matrix in "UW" for gate in "fgio"]
    assert {name for weight in decaying.weights for name in held[weight]} == {
        *(f"layers.0.forward.{name}" for name in gates),
        *(f"decoder.layers.0.forward.{name}" for name in gates),
        *(f"decoder.layers.0.start.{state}.W" for state in "ch"),
        *(f"decoder.context.{name}" for name in ("W_m", "W_q")),
        "decoder.hidden.W",
    }


def test_a_step_takes_the_share_off_matrices_alone() -> None:
    plan, facts = plan_of(MODELS["cell lstm_peephole"])
    model = Model(plan)
    model.start(facts, 0)
    chosen = {"adamw": {"lr": 0.1, "weight_decay": 0.5, "weight_decay_on": "matrices"}}
    settings = settings_of(optimizer=chosen)
    optimizer = Updates(settings.optimizer, groups_of(settings.optimizer, model))
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(1.0)
            weight.grad = torch.zeros_like(weight)
    optimizer.step()
    shapes = {each.name: each.shape for each in weights(plan)}
    for name, value in model.canonical():
        if not name.startswith("input."):  # means and deviations of the data
            kept = len(shapes[name]) < 2 or name.endswith(".table")
            assert value.unique().tolist() == pytest.approx([1.0 if kept else 0.95]), name
