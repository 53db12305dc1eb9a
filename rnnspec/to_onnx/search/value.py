"""The value by which hypotheses of unlike length are compared: see `rnnspec.plan.nodes.Search`."""

from __future__ import annotations

from rnnspec.plan.nodes import Attend, Beam, Decoder, TextOutput
from rnnspec.to_onnx.attention import MEMORY, State
from rnnspec.to_onnx.emitter import FLOAT, Emitter
from rnnspec.to_onnx.lowering import Lowering
from rnnspec.to_onnx.rows import Rows

LEAST_COVERED = 1e-6
"""A source step that has been given less weight counts as if it had this much."""


def normed(emit: Emitter, node: TextOutput, scores: str, count: str, name: str) -> str:
    """Log-probabilities divided for `count` steps, int64, whose shape goes into theirs."""
    search = node.search
    assert isinstance(search, Beam)
    if search.length_norm == "none" or (search.length_norm == "gnmt" and not search.alpha):
        return scores
    exact = emit.op("Cast", [count], f"{name}.count", {"to": FLOAT})
    if search.length_norm == "gnmt":
        more = emit.op("Add", [exact, emit.number(5.0)], f"{name}.more")
        base = emit.op("Div", [more, emit.number(6.0)], f"{name}.base")
        exact = emit.op("Pow", [base, emit.number(search.alpha)], f"{name}.norm")
    return emit.op("Div", [scores, exact], name)


class Coverage:
    """The penalty for source steps that attention has left out. `states` is the sum of all weights
    so far, `[R, T]`."""

    def __init__(self, low: Lowering, node: TextOutput, rows: Rows) -> None:
        self._node = node
        emit, name = low.emit, f"{node.name}.covered"
        decoder = low.plan.node(node.source)
        assert isinstance(decoder, Decoder), f"{node.name} reads no decoder"
        attends = [each for each in decoder.body if isinstance(each, Attend)]
        lengths = low.steps(attends[-1].memory).lengths
        own = emit.op("Squeeze", [lengths.mask(), emit.integers(2)], f"{name}.mask")
        by_row = emit.op("Transpose", [own], f"{name}.mask.by_row", {"perm": [1, 0]})
        flags = emit.op("Cast", [by_row], f"{name}.flags", {"to": FLOAT})
        self._own = flags
        zeros = emit.op("Mul", [rows.each(flags), emit.number(0.0)], f"{name}.none")
        self.states = [State(name, zeros, (MEMORY,))]

    def of(self, emit: Emitter, rows: Rows, sums: str, name: str) -> str:
        """The penalty of each hypothesis, `[B, K]`."""
        bounds = [emit.number(LEAST_COVERED), emit.number(1.0)]
        share = emit.op("Clip", [sums, *bounds], f"{name}.share")
        logs = emit.op(
            "Mul", [emit.op("Log", [share], f"{name}.logs"), rows.each(self._own)], f"{name}.own"
        )
        total = emit.op("ReduceSum", [logs, emit.integers(1)], f"{name}.total", {"keepdims": 0})
        search = self._node.search
        assert isinstance(search, Beam)
        factor = emit.number(search.coverage_penalty)
        scaled = emit.op("Mul", [total, factor], f"{name}.scaled")
        return rows.by_beam(emit, scaled, name)
