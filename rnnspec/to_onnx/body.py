"""The body of a decoder in step mode: every node on the values of one step, `[R, W]`.

What needs no answer is emitted outside of the loop, once. A body may be emitted more than once (a
prompt is read by a loop of its own); its weights are then the same initializers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.plan.nodes import (
    Attend,
    CopyMix,
    Decoder,
    Delayed,
    Dense,
    Dropout,
    Embed,
    Highway,
    Join,
    Merge,
    Node,
    Normalize,
    Previous,
    PreviousNumber,
    Recurrent,
    Residual,
    Scores,
)
from rnnspec.to_onnx.attention import MEMORY, Attention, State
from rnnspec.to_onnx.combine import MERGES
from rnnspec.to_onnx.copying import Copying
from rnnspec.to_onnx.decoder_cell import CellStep
from rnnspec.to_onnx.emitter import Emitter
from rnnspec.to_onnx.functions import FUNCTIONS, centred, normalized
from rnnspec.to_onnx.fuse_context import folded
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence
from rnnspec.to_onnx.rows import Rows

__all__ = ["MEMORY", "Body", "State", "Stepped"]


@dataclass(frozen=True, slots=True)
class Stepped:
    """What a step gives: `scores` `[R, size]`, where tokens are copied `[R, size + T]` (of a
    forecast the raw numbers), the next states in the order of `Body.states`, and the `weights`
    `[R, T]` of the last attention node, if asked for.
    """

    scores: str
    states: list[str]
    weights: str


class Body:
    """`told`: the weights of attention are asked for."""

    def __init__(self, low: Lowering, node: Decoder, rows: Rows, told: bool = False) -> None:
        self._low, self._node, self._rows = low, node, rows
        self._cells: dict[str, CellStep] = {}
        self._attentions: dict[str, Attention] = {}
        self._copies: dict[str, Copying] = {}
        self._owned: list[tuple[str, list[State]]] = []
        self._values: dict[str, str] = {}
        self._later: dict[str, Node] = {}
        self._step = ""
        attends = [each.name for each in node.body if isinstance(each, Attend)]
        copied = {each.attend for each in node.body if isinstance(each, CopyMix)}
        self._asked = attends[-1] if attends and told else ""
        self._folded = folded(node) if rows.width > 1 else None
        for each in node.body:
            match each:
                case Recurrent():
                    self._cells[each.name] = CellStep(low, each, rows)
                    self._owned.append((each.name, self._cells[each.name].states))
                case Attend():
                    read, logged = each.name == self._asked, each.name in copied
                    taken = self._folded if self._folded and self._folded.attend == each else None
                    self._attentions[each.name] = Attention(low, each, rows, read, logged, taken)
                    self._owned.append((each.name, self._attentions[each.name].states))
                case Delayed():
                    zeros = rows.zeros(each.name, each.width)
                    self._owned.append((each.name, [State(each.name, zeros, (each.width,))]))
                case CopyMix():
                    self._copies[each.name] = Copying(low, each)

    @property
    def states(self) -> list[State]:
        """What is carried from step to step."""
        return [state for _, states in self._owned for state in states]

    def memory_extent(self) -> str:
        """Int64 `[1]`: the number of steps that the weights asked for are of."""
        return self._attentions[self._asked].extent

    def step(
        self, emit: Emitter, rows: Rows, step: str, previous: str, before: Sequence[str]
    ) -> Stepped:
        """One step of these rows. `step` is its number, int64 `[]`; `previous` the tokens before
        it, int64 `[R]`, or the numbers, float `[R, 1]`; `before` the states before it."""
        self._values, self._later, self._step, self._rows = {}, {}, step, rows
        known, after = dict[str, list[str]](), dict[str, list[str]]()
        names = iter(before)
        for owner, states in self._owned:
            known[owner] = [next(names) for _ in states]
        weights, logs = dict[str, str](), dict[str, str]()
        for node in self._node.body:
            name = node.name
            match node:
                case Previous() if self._copies:
                    copied = emit.op("Less", [previous, emit.integer(node.size)], f"{name}.known")
                    choice = [copied, previous, emit.integer(UNKNOWN_ID)]
                    self._values[name] = emit.op("Where", choice, f"{name}.read")
                case Previous() | PreviousNumber():
                    self._values[name] = previous
                case Delayed():
                    (self._values[name],) = known[name]
                case Recurrent():
                    self._values[name], after[name] = self._layer(emit, node, known[name])
                case Attend():
                    query = self._value(emit, node.source)
                    attended = self._attentions[name].step(emit, rows, query, known[name])
                    self._values[name], after[name] = attended.context, attended.states
                    weights[name], logs[name] = attended.weights, attended.logs
                case CopyMix():
                    scores, gate = (self._value(emit, each) for each in (node.source, node.gate))
                    mixed = self._copies[name].step(emit, rows, scores, gate, logs[node.attend])
                    self._values[name] = mixed
                case _:
                    self._later[name] = node
        for node in self._node.body:
            if isinstance(node, Delayed):
                after[node.name] = [self._value(emit, node.source)]
        following = [value for owner, _ in self._owned for value in after[owner]]
        scores = self._value(emit, self._node.scores)
        return Stepped(scores, following, weights.get(self._asked, ""))

    def _layer(self, emit: Emitter, node: Recurrent, before: list[str]) -> tuple[str, list[str]]:
        """The output of a layer and its next states."""
        cell, nodes = self._cells[node.name], {each.name: each for each in self._node.body}
        read = nodes.get(node.source)
        while isinstance(read, Dropout):
            read = nodes.get(read.source)
        if isinstance(read, Embed) and isinstance(nodes.get(read.source), Previous):
            tokens, table = self._values[read.source], f"{read.name}.table"
            if found := cell.of_tokens(emit, self._rows, tokens, table, before):
                return found
        return cell.step(emit, self._rows, self._value(emit, node.source), before)

    def _value(self, emit: Emitter, name: str) -> str:
        """The value of a node at this step: of the body, or of one outside of it. What works on
        each vector alone is emitted when it is first read."""
        if name in self._later:
            self._values[name] = self._vectors(emit, self._later.pop(name))
        elif name not in self._values:
            outer = self._low.values[name]
            if isinstance(outer, PaddedSequence):  # of as many steps as the answer
                at_step = emit.op(
                    "Gather", [self._rows.at(outer.name, axis=1), self._step], f"{name}.at_step"
                )
                self._values[name] = at_step
                if self._rows.width > 1:
                    inputs = [at_step, self._rows.owners()]
                    self._values[name] = emit.op("Gather", inputs, f"{name}.at_step.each")
            else:
                self._values[name] = self._rows.each(outer.name)
        return self._values[name]

    def _vectors(self, emit: Emitter, node: Node) -> str:
        """A node that works on each vector alone."""
        low, name = self._low, node.name
        match node:
            case Embed():
                table = low.canonical(f"{name}.table")
                return emit.op("Gather", [table, self._value(emit, node.source)], name)
            case Dropout():
                return self._value(emit, node.source)
            case Join():
                parts = [self._value(emit, source) for source in node.reads]
                return emit.op("Concat", parts, name, {"axis": -1})
            case Dense():
                return self._dense(emit, node)
            case Scores():
                table = low.canonical(f"{node.tied}.table" if node.tied else f"{name}.W")
                inputs = [self._value(emit, node.source), table, low.canonical(f"{name}.b")]
                return emit.op("Gemm", inputs, name, {"transB": 1})
            case Normalize():
                others = [low.canonical(f"{name}.{part}") for part in ("scale", "shift")]
                value = centred(emit, self._value(emit, node.source), name)
                return normalized(emit, value, others, name, node.width)
            case Merge():
                split = [self._value(emit, node.source), emit.integers(node.width, node.width)]
                names = [f"{name}.forward", f"{name}.reverse"]
                return emit.op(
                    MERGES[node.kind], emit.ops("Split", split, names, {"axis": -1}), name
                )
            case Residual():
                values = [self._value(emit, each) for each in (node.source, node.skip)]
                return emit.op("Add", values, name)
            case Highway():
                return self._highway(emit, node)
            case _:
                raise AssertionError(f"{name} is no node of a decoder's body")

    def _dense(self, emit: Emitter, node: Dense) -> str:
        low, name, matrix = self._low, node.name, self._low.weights[f"{node.name}.W"]
        if self._folded and self._folded.dense == node:
            turned = emit.weight(f"{name}.W_s.transposed", matrix[:, self._folded.others].T)
            other, found = self._folded.other, self._folded.attend.name
            inputs = [self._value(emit, other), turned, self._value(emit, found)]
        else:
            turned = emit.weight(f"{name}.W.transposed", matrix.T)
            inputs = [self._value(emit, node.source), turned, low.canonical(f"{name}.b")]
        if node.activation == "none":
            return emit.op("Gemm", inputs, name)
        affine = emit.op("Gemm", inputs, f"{name}.affine")
        return FUNCTIONS[node.activation](emit, [affine], name, node.units)

    def _highway(self, emit: Emitter, node: Highway) -> str:
        """`g * source + (1 - g) * skip`."""
        low, name = self._low, node.name
        source, skip = (self._value(emit, each) for each in (node.source, node.skip))
        matrix = emit.weight(f"{name}.W.transposed", low.weights[f"{name}.W"].T)
        affine = emit.op("Gemm", [skip, matrix, low.canonical(f"{name}.b")], f"{name}.affine")
        gate = emit.op("Sigmoid", [affine], f"{name}.gate")
        closed = emit.op("Sub", [emit.number(1.0), gate], f"{name}.closed")
        taken = emit.op("Mul", [gate, source], f"{name}.taken")
        carried = emit.op("Mul", [closed, skip], f"{name}.carried")
        return emit.op("Add", [taken, carried], name)
