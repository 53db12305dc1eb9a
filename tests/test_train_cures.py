"""Ways out of gradients that vanish or explode: each can be taken, and is not told again."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rnnspec.cells import builtin_cell
from rnnspec.cells.library import BUILTIN
from rnnspec.plan import Plan
from rnnspec.spec import Train
from rnnspec.train.cures import cure_of
from tests.models import layers_plan

TRAIN = Train.model_validate({})
LAYER: dict[str, Any] = {"units": 4}


def plan_of(cell: str, pooling: str = "last", **layer: Any) -> Plan:
    own = dict.fromkeys(builtin_cell(cell).own_sizes, 4)
    sizes = {"sizes": own} if own else {}
    return layers_plan({"cell": cell, "units": 4, **sizes, **layer}, pooling=pooling)


def told(sign: str, plan: Plan, train: Train = TRAIN) -> str:
    return cure_of(plan, train, sign, "layers.0")


def test_by_hand() -> None:
    """Vanishing gradients of a plain RNN, an LSTM, one that begins open, and a GRU."""
    pooling = " or set pooling to mean, max or attention, which see all steps"
    assert told("vanishing", plan_of("rnn")) == f"use a gated cell (lstm, gru){pooling}"
    lstm = f"set forget_bias of the layer to 1 or more{pooling}"
    assert told("vanishing", plan_of("lstm")) == lstm
    higher = "set forget_bias of the layer higher than 2"
    assert told("vanishing", plan_of("lstm", "mean", forget_bias=2.0)) == higher
    other = "use cell: lstm with forget_bias: 1 in its place"
    assert told("vanishing", plan_of("gru", "mean")) == other
    orthogonal = "start recurrent weights orthogonal (init: {recurrent: orthogonal} of the layer)"
    clip = "set train.clip_norm smaller than 1"
    assert told("exploding", plan_of("gru")) == f"{clip} or {orthogonal}"
    done = plan_of("gru", init={"recurrent": "orthogonal"})
    assert told("exploding", done) == clip
    free = Train.model_validate({"clip_norm": None, "optimizer": {"sgd": {"lr": 0.5}}})
    assert told("exploding", done, free) == "set train.clip_norm to 1"
    assert told("large", done, free) == (
        "set train.optimizer.sgd.lr lower than 0.5 or scale the data"
    )


@pytest.mark.parametrize("cell", BUILTIN)
def test_no_cell_is_told_to_be_what_it_is(cell: str) -> None:
    found = told("vanishing", plan_of(cell))
    named = re.findall(r"\b(lstm|gru)\b", found)
    assert cell not in named, found


@pytest.mark.parametrize("cell", BUILTIN)
def test_each_way_can_be_taken_and_is_not_told_again(cell: str) -> None:
    plan = plan_of(cell)
    for way in (told("vanishing", plan), told("exploding", plan)):
        if found := re.search(r"forget_bias of the layer to (\S+)", way):
            taken = plan_of(cell, forget_bias=float(found[1]))
            assert found[0] not in told("vanishing", taken)
        if "init: {recurrent: orthogonal}" in way:
            taken = plan_of(cell, init={"recurrent": "orthogonal"})
            assert "orthogonal" not in told("exploding", taken)
        if "set pooling" in way:
            for pooling in ("mean", "max", "attention"):
                assert "pooling" not in told("vanishing", plan_of(cell, pooling))
        if "in its place" in way:
            assert "in its place" not in told("vanishing", plan_of("lstm", forget_bias=1.0))
        if "gated cell" in way:
            assert all("gated cell" not in told("vanishing", plan_of(c)) for c in ("lstm", "gru"))
