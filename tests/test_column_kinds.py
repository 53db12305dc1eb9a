"""Every kind of column stands in every table that tells what is done with columns. States have no
column in the data."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from types import UnionType
from typing import Annotated, Any, get_args, get_origin

import pytest

from rnnspec import spec
from rnnspec.data.columns import gather
from rnnspec.data.columns.kinds import KINDS
from rnnspec.export.compare import COMPARED
from rnnspec.export.probes import PROBES
from rnnspec.plan import nodes
from rnnspec.plan.kinds import INPUT_TRAITS, OUTPUT_TRAITS
from rnnspec.run.interface import INPUT_COLUMNS, OUTPUT_COLUMNS, InputKind, OutputKind
from rnnspec.run.parse import INPUT_KINDS
from rnnspec.run.results import OUTPUT_KINDS


def members(union: Any) -> Iterator[Any]:
    """What a union, of unions and of annotated ones, is made of."""
    if get_origin(union) is Annotated:
        yield from members(get_args(union)[0])
    elif isinstance(union, UnionType) or get_args(union):
        for each in get_args(union):
            yield from members(each)
    else:
        yield union


@pytest.mark.parametrize(
    ("table", "kinds"),
    [
        (INPUT_TRAITS, members(nodes.Input)),
        (OUTPUT_TRAITS, members(nodes.Output)),
        (gather.INPUTS, members(spec.Input)),
        (gather.OUTPUTS, set(members(spec.Output)) - {spec.StatesOutput}),
        (KINDS, set(members(nodes.Input | nodes.Output)) - {nodes.StatesOutput}),
        (INPUT_COLUMNS, members(nodes.Input)),
        (OUTPUT_COLUMNS, members(nodes.Output)),
        (INPUT_KINDS, get_args(InputKind)),
        (OUTPUT_KINDS, get_args(OutputKind)),
        (PROBES, members(nodes.Input)),
        (
            COMPARED,
            set(members(nodes.Output))
            - {nodes.ChainOutput, nodes.FramesOutput, nodes.PositionOutput}
            - {*members(nodes.NumberedOutput)},
        ),
    ],
    ids=[
        "traits of inputs", "traits of outputs", "facts of inputs", "facts of outputs",
        "arrays", "inputs of a file", "outputs of a file", "cells", "answers", "probes", "proof",
    ],
)  # fmt: skip
def test_every_kind_is_in_the_table(table: Collection[Any], kinds: Collection[Any]) -> None:
    kinds = list(kinds)
    assert len(kinds) > 3
    assert [kind for kind in kinds if kind not in table] == []
    assert [kind for kind in table if kind not in kinds] == []
