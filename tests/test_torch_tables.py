"""Every kind of attention, pooling and strategy is in the tables of the reference and of torch; an
unknown type of node fails by its name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import get_args

import pytest

from rnnspec.plan.nodes import ATTENTIONS, Dense, PoolKind, Search
from rnnspec.reference import answers
from rnnspec.reference.attention import ATTENTIONS as REFERENCE_ATTENTIONS
from rnnspec.reference.layers import POOLINGS as REFERENCE_POOLINGS
from rnnspec.to_torch import Model
from rnnspec.to_torch.attention import ATTENTIONS as TORCH_ATTENTIONS
from rnnspec.to_torch.layers import POOLINGS
from rnnspec.to_torch.search import STRATEGIES
from tests.kinds import random_rows
from tests.models import frames_plan, random_weights


@dataclass(frozen=True, slots=True)
class Unknown(Dense):
    """A type of node that no table has."""


def test_kinds_of_attention_pooling_and_search() -> None:
    assert set(TORCH_ATTENTIONS) == set(REFERENCE_ATTENTIONS) == set(ATTENTIONS)
    assert set(REFERENCE_POOLINGS) == {*POOLINGS, "last"} == set(get_args(PoolKind))
    assert set(STRATEGIES) == set(get_args(Search))


def test_an_unknown_type_of_node_fails_by_its_name() -> None:
    plan = frames_plan("gru", "forward", 1)
    weights = random_weights(plan)
    place, dense = next((i, n) for i, n in enumerate(plan.nodes) if isinstance(n, Dense))
    unknown = Unknown(dense.name, dense.source, dense.inputs, dense.units, dense.activation)
    plan = replace(plan, nodes=(*plan.nodes[:place], unknown, *plan.nodes[place + 1 :]))
    with pytest.raises(KeyError, match="Unknown"):
        Model(plan)
    with pytest.raises(KeyError, match="Unknown"):
        answers(plan, weights, random_rows(plan, [2]))
