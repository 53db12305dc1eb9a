"""The body of a decoder in step mode: every node on the values of one step, `[R, W]`.

What does not depend on the answer is emitted once, outside of the loop. A body may be emitted more
than once (a prompt is read by a loop of its own); its weights are then the same initializers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rnnspec.plan import nodes
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.to_onnx.attention import Attention
from rnnspec.to_onnx.convolution import DecoderConv
from rnnspec.to_onnx.copying import CopyMixture
from rnnspec.to_onnx.decoder_cell import DecoderCell
from rnnspec.to_onnx.emitter import Emitter
from rnnspec.to_onnx.fuse_context import fused_context
from rnnspec.to_onnx.lowering import TIME, Lowering, PaddedSequence, Vector, entry_of
from rnnspec.to_onnx.pointing import PointedSteps, PointerScores
from rnnspec.to_onnx.pointwise import POINTWISE, Scope, activated, affine_name
from rnnspec.to_onnx.rows import Rows, State


@dataclass(frozen=True, slots=True)
class StepOutput:
    """What a step gives.

    `logits` are `[R, size]`, where tokens are copied `[R, size + T]`; of a forecast they are the
    raw numbers. `states` are the next states in the order of `Body.states`, `weights` `[R, T]`
    those of attention, "" unless asked for: of several sources side by side.
    """

    logits: str
    states: list[str]
    weights: str


@dataclass(slots=True)
class _Step:
    """One step under construction: values, next states and attention weights by node name."""

    emit: Emitter
    rows: Rows
    number: str
    previous: str
    before: Mapping[str, list[str]]
    values: dict[str, str] = field(default_factory=dict)
    after: dict[str, list[str]] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    log_weights: dict[str, str] = field(default_factory=dict)


class Body:
    """The body of `node` on `rows`. `attention` asks for the weights of the attention nodes."""

    def __init__(
        self, low: Lowering, node: nodes.Decoder, rows: Rows, attention: bool = False
    ) -> None:
        self.low, self.node, self.rows = low, node, rows
        self.nodes = {each.name: each for each in node.body}
        self.cells: dict[str, DecoderCell] = {}
        self.convs: dict[str, DecoderConv] = {}
        self.attentions: dict[str, Attention] = {}
        self.copies: dict[str, CopyMixture] = {}
        self.pointed: dict[str, PointedSteps] = {}
        self.pointers: dict[str, PointerScores] = {}
        attends = [each.name for each in node.body if isinstance(each, nodes.Attend)]
        self.attends = tuple(attends) if attention else ()
        copies = (each for each in node.body if isinstance(each, nodes.CopyMix))
        self.copied = {attend for each in copies for attend, _ in each.copied}
        self.fused = fused_context(node) if rows.width > 1 else None
        self.turned: dict[str, str] = {}
        self._states: dict[str, list[State]] = {}
        for each in node.body:
            if type(each) not in POINTWISE:
                prepare = entry_of(STEPS, each, "a decoder's body").prepare
                self._states[each.name] = prepare(self, each)

    @property
    def states(self) -> list[State]:
        """What is carried from step to step."""
        return [state for states in self._states.values() for state in states]

    def memory_extent(self) -> str:
        """Int64 `[1]`: the number of steps that the attention asked for has weights of."""
        total, *others = (self.attentions[name].extent for name in self.attends)
        for number, extent in enumerate(others):
            name = f"{self.node.name}.attended.{number}"
            total = self.low.emit.op("Add", [total, extent], name)
        return total

    def step(
        self, emit: Emitter, rows: Rows, number: str, previous: str, before: Sequence[str]
    ) -> StepOutput:
        """One step of these rows.

        `number` is the step's, int64 `[]`; `previous` are the tokens before it, int64 `[R]`, or
        the numbers, float `[R, 1]`; `before` are the states before it.
        """
        states = iter(before)
        known = {name: [next(states) for _ in own] for name, own in self._states.items()}
        step = _Step(emit, rows, number, previous, known)
        for node in self.node.body:
            if type(node) not in POINTWISE:
                step.values[node.name] = STEPS[type(node)].step(self, step, node)
        for node in self.node.body:
            if isinstance(node, nodes.Delayed):
                step.after[node.name] = [self.value(step, node.source)]
        after = [value for name, own in self._states.items() if own for value in step.after[name]]
        logits = self.value(step, self.node.scores)
        return StepOutput(logits, after, self._weights(step))

    def _weights(self, step: _Step) -> str:
        """The weights that were asked for, side by side."""
        found = [step.weights[name] for name in self.attends]
        if len(found) < 2:
            return "".join(found)
        return step.emit.concat(found, 1, f"{self.node.name}.weights")

    def value(self, step: _Step, name: str) -> str:
        """The value of a node at a step: of the body, or of one outside of it.

        Pointwise nodes of the body are emitted when they are first read.
        """
        if name not in step.values:
            node = self.nodes.get(name)
            found = self._outside(step, name) if node is None else self._pointwise(step, node)
            step.values[name] = found
        return step.values[name]

    def _pointwise(self, step: _Step, node: nodes.Node) -> str:
        if self.fused and self.fused.dense == node:
            return self._fused_dense(step)
        scope = Scope(self.low, step.emit, lambda name: Vector(self.value(step, name)), True)
        return POINTWISE[type(node)](scope, node).name

    def _fused_dense(self, step: _Step) -> str:
        """`activation(W_s s + context)`, where the attention has applied W_c and b already."""
        assert self.fused is not None
        dense = self.fused.dense
        matrix = self.low.weights[f"{dense.name}.W"][:, self.fused.other_columns].T
        inputs = [
            self.value(step, self.fused.other),
            step.emit.weight(f"{dense.name}.W_s.transposed", matrix),
            self.value(step, self.fused.attend.name),
        ]
        return activated(step.emit, dense, step.emit.op("Gemm", inputs, affine_name(dense)))

    def _outside(self, step: _Step, name: str) -> str:
        """A value of the graph around the body: of a sequence its step of this number."""
        emit, outer, rows = step.emit, self.low.values[name], step.rows
        if not isinstance(outer, PaddedSequence):
            return rows.repeated(outer.name)
        inputs = [rows.chosen(self._from_the_end(name, outer), axis=1), step.number]
        at_step = emit.op("Gather", inputs, f"{name}.at_step")
        if rows.width == 1:
            return at_step
        return emit.op("Gather", [at_step, rows.owners()], f"{name}.at_step.each")

    def _from_the_end(self, name: str, outer: PaddedSequence) -> str:
        """A sequence as the body reads it. Some versions of onnxruntime leave rows without a step
        unwritten, where nothing is read."""
        if not self.node.reverse:
            return outer.name
        if name not in self.turned:
            emit, lengths = self.low.emit, self.low.axes[TIME].name
            least = emit.op("Max", [lengths, emit.integer(1)], f"{name}.least_one")
            inputs, axes = [outer.name, least], {"time_axis": 0, "batch_axis": 1}
            self.turned[name] = emit.op("ReverseSequence", inputs, f"{name}.turned", **axes)
        return self.turned[name]


@dataclass(frozen=True, slots=True)
class StepLowering:
    """One node type that is no pointwise one.

    `prepare` emits what stands outside of the loop and gives the states that the node carries;
    `step` emits one step, and gives the node's value.
    """

    step: Callable[[Body, _Step, Any], str]
    prepare: Callable[[Body, Any], list[State]] = lambda body, node: []


def _previous(body: Body, step: _Step, node: nodes.Previous) -> str:
    """The tokens before; a copied one is read as the unknown."""
    if not body.copies:
        return step.previous
    emit, name = step.emit, node.name
    known = emit.op("Less", [step.previous, emit.integer(node.size)], f"{name}.known")
    return emit.op("Where", [known, step.previous, emit.integer(UNKNOWN_ID)], f"{name}.read")


def _prepare_delayed(body: Body, node: nodes.Delayed) -> list[State]:
    return [State(node.name, body.rows.zeros(node.name, node.width), (node.width,))]


def _prepare_recurrent(body: Body, node: nodes.Recurrent) -> list[State]:
    body.cells[node.name] = DecoderCell(body.low, node, body.rows)
    return body.cells[node.name].states


def _recurrent(body: Body, step: _Step, node: nodes.Recurrent) -> str:
    """The output of a layer. Products of embedded tokens are looked up where that is better."""
    emit, rows, cell = step.emit, step.rows, body.cells[node.name]
    before, output = step.before[node.name], None
    source = body.nodes.get(node.source)
    while isinstance(source, nodes.Dropout):
        source = body.nodes.get(source.source)
    if (
        isinstance(source, nodes.Embed)
        and isinstance(body.nodes.get(source.source), nodes.Previous)
        and not source.frozen
    ):
        tokens, table = step.values[source.source], f"{source.name}.table"
        output = cell.step_of_tokens(emit, rows, tokens, table, before)
    if output is None:
        output = cell.step(emit, rows, body.value(step, node.source), before)
    value, step.after[node.name] = output
    return value


def _prepare_conv(body: Body, node: nodes.Conv) -> list[State]:
    body.convs[node.name] = DecoderConv(body.low, node, body.rows)
    return body.convs[node.name].states


def _conv(body: Body, step: _Step, node: nodes.Conv) -> str:
    value, before = body.value(step, node.source), step.before[node.name]
    out, step.after[node.name] = body.convs[node.name].step(step.emit, value, before)
    return out


def _prepare_attend(body: Body, node: nodes.Attend) -> list[State]:
    fused = body.fused if body.fused and body.fused.attend == node else None
    read, logged = node.name in body.attends, node.name in body.copied
    attention = Attention(body.low, node, body.rows, read, logged, fused)
    body.attentions[node.name] = attention
    return attention.states


def _attend(body: Body, step: _Step, node: nodes.Attend) -> str:
    query, before = body.value(step, node.source), step.before[node.name]
    attended = body.attentions[node.name].step(step.emit, step.rows, query, before)
    step.after[node.name] = attended.states
    step.weights[node.name], step.log_weights[node.name] = attended.weights, attended.log_weights
    return attended.context


def _prepare_copies(body: Body, node: nodes.CopyMix) -> list[State]:
    body.copies[node.name] = CopyMixture(body.low, node)
    return []


def _copies(body: Body, step: _Step, node: nodes.CopyMix) -> str:
    logits, gate = (body.value(step, each) for each in (node.source, node.gate))
    log_weights = [step.log_weights[attend] for attend, _ in node.copied]
    return body.copies[node.name].step(step.emit, step.rows, logits, gate, log_weights)


def _prepare_pointed(body: Body, node: nodes.Pointed) -> list[State]:
    body.pointed[node.name] = PointedSteps(body.low, node)
    return []


def _pointed(body: Body, step: _Step, node: nodes.Pointed) -> str:
    return body.pointed[node.name].step(step.emit, step.rows, step.previous)


def _prepare_pointer(body: Body, node: nodes.Pointer) -> list[State]:
    body.pointers[node.name] = PointerScores(body.low, node)
    return []


def _pointer(body: Body, step: _Step, node: nodes.Pointer) -> str:
    query = body.value(step, node.source)
    return body.pointers[node.name].step(step.emit, step.rows, query)


STEPS: Mapping[type[nodes.Node], StepLowering] = {
    nodes.Previous: StepLowering(_previous),
    nodes.PreviousNumber: StepLowering(lambda body, step, node: step.previous),
    nodes.PreviousFrame: StepLowering(lambda body, step, node: step.previous),
    nodes.Delayed: StepLowering(
        lambda body, step, node: step.before[node.name][0], _prepare_delayed
    ),
    nodes.Recurrent: StepLowering(_recurrent, _prepare_recurrent),
    nodes.Conv: StepLowering(_conv, _prepare_conv),
    nodes.Attend: StepLowering(_attend, _prepare_attend),
    nodes.CopyMix: StepLowering(_copies, _prepare_copies),
    nodes.Pointed: StepLowering(_pointed, _prepare_pointed),
    nodes.Pointer: StepLowering(_pointer, _prepare_pointer),
}
"""The node types of a body that are not pointwise: those that read or carry more than a vector."""
