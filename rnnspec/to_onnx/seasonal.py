"""The values that a forecast is the distance from: see `rnnspec.plan.nodes.seasonal`."""

from __future__ import annotations

import numpy as np

from rnnspec.plan import nodes
from rnnspec.to_onnx.lengths import Lengths
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence, Value, Vector


def lower_season_ago(low: Lowering, node: nodes.SeasonAgo) -> Value:
    """The values of the last season, again for each step ahead: `[H, B, 1]`, or `[B, H]`.

    A 0 is put before the first step, so that place n of a row of n steps is its last value.
    """
    emit, name = low.emit, node.name
    season = emit.integer(node.season)
    past = low.steps(node.source)
    values = emit.squeeze(past.name, 2, f"{name}.past")
    pads = [values, emit.integers(1, 0, 0, 0), "", emit.integers(0, 1)]
    values = emit.op("Pad", pads, f"{name}.from_0")
    lengths = past.lengths.name
    steps = emit.constant(np.arange(node.horizon)[:, None] % node.season + 1, f"{name}.of_season")
    begun = emit.op("Sub", [lengths, season], f"{name}.begun")
    whole = emit.op("Add", [begun, steps], f"{name}.whole")
    enough = emit.op("GreaterOrEqual", [lengths, season], f"{name}.enough")
    places = emit.op("Where", [enough, whole, lengths], f"{name}.places")
    found = emit.op("GatherElements", [values, places], f"{name}.again", axis=0)
    if node.flat:
        return Vector(emit.transpose(found, [1, 0], name))
    ahead = emit.unsqueeze(found, 2, name)
    own = emit.op("Expand", [emit.integer(node.horizon), past.lengths.batch()], f"{name}.lengths")
    return PaddedSequence(ahead, Lengths(emit, name, own, ahead, padded=False), clean=True)
