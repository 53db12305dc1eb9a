"""Any cell from its equations: what can be computed for all steps at once, the rest as a Scan.

Nothing is masked inside a loop. Steps past a row's length compute on; in order of reading they
come after all of the row's own steps, so they reach none of them, and what they give is replaced
afterwards.
"""

from __future__ import annotations

from rnnspec.plan.nodes import Recurrent
from rnnspec.to_onnx.cell import CellLowering
from rnnspec.to_onnx.initial_states import of_direction
from rnnspec.to_onnx.lowering import Lowering, PaddedSequence


def lower_scan(low: Lowering, node: Recurrent) -> PaddedSequence:
    """One layer, in all its directions, each on its own."""
    name, asked, source = node.name, low.demands[node.name], low.steps(node.source)
    assert low.padded, "Scan refuses an empty time axis"
    lengths = source.lengths
    cells = [_direction(low, node, direction) for direction in node.directions]
    outputs = [cell.outputs() for cell in cells]
    steps = last = ""
    if asked.last:
        last = lengths.at_end(_joined(low, f"{name}.as_read", outputs), f"{name}.last")
    if asked.steps:
        in_time = [
            lengths.reversed(output, f"{output}.in_time") if direction == "reverse" else output
            for direction, output in zip(node.directions, outputs, strict=True)
        ]
        steps = lengths.cleaned(_joined(low, f"{name}.in_time", in_time), f"{name}.steps")
    return PaddedSequence(steps, lengths, last, clean=True, finals=_finals(low, node, cells))


def _finals(low: Lowering, node: Recurrent, cells: list[CellLowering]) -> dict[str, str]:
    """Each state that is asked for after the last step, in rows without one that before."""
    emit, lengths, found = low.emit, low.steps(node.source).lengths, {}
    for state in sorted(low.demands[node.name].finals):
        name = f"{node.name}.final_{state}"
        read = _joined(low, f"{name}.as_read", [cell.after_each(state) for cell in cells])
        before = _joined(low, f"{name}.initial", [cell.before(state) for cell in cells])
        last = emit.op("GatherND", [read, lengths.ends()], f"{name}.or_anything")
        found[state] = emit.op("Where", [lengths.present(), last, before], name)
    return found


def _joined(low: Lowering, name: str, parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else low.emit.op("Concat", parts, name, {"axis": -1})


def _direction(low: Lowering, node: Recurrent, direction: str) -> CellLowering:
    """One direction, whose values `[T, B, width]` are in the order in which it reads the steps."""
    prefix, source = f"{node.name}.{direction}", low.steps(node.source)
    lengths = source.lengths
    inputs = {"x": source.name}
    if node.elapsed:
        inputs["dt"] = low.steps(node.elapsed).name
    if direction == "reverse":
        inputs = {
            name: lengths.reversed(value, f"{prefix}.{name}.as_read")
            for name, value in inputs.items()
        }
    states = node.cell.states
    before = {state: of_direction(low, node, direction, state, lengths) for state in states}
    return CellLowering(low, node, prefix, inputs, before, low.demands[node.name].finals)
