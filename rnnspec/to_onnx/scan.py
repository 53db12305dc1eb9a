"""Any cell as a Scan over time: what needs no state before it, the rest one graph per step.

Nothing is masked inside the loop. Steps past a row's length compute on; in order of reading they
come after all of the row's own steps, so they reach none of them, and what they give is replaced
afterwards.
"""

from __future__ import annotations

from rnnspec.plan.nodes import Recurrent
from rnnspec.to_onnx.cell import CellLowering
from rnnspec.to_onnx.emitter import FLOAT
from rnnspec.to_onnx.values import BATCH, Lowering, Steps


def lower_scan(low: Lowering, node: Recurrent) -> Steps:
    """One layer, in all its directions, each its own Scan."""
    name, asked, source = node.name, low.demands[node.name], low.steps(node.source)
    assert low.padded, "Scan refuses an empty time axis"
    lengths = source.lengths
    outputs = [_scan(low, node, direction, source) for direction in node.directions]
    steps = last = ""
    if asked.last:
        last = lengths.at_end(_joined(low, f"{name}.as_read", outputs), f"{name}.last")
    if asked.steps:
        in_time = [
            lengths.reversed(output, f"{output}.in_time") if direction == "reverse" else output
            for direction, output in zip(node.directions, outputs, strict=True)
        ]
        steps = lengths.cleaned(_joined(low, f"{name}.in_time", in_time), f"{name}.steps")
    return Steps(steps, lengths, last, clean=True)


def _joined(low: Lowering, name: str, parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else low.emit.op("Concat", parts, name, {"axis": -1})


def _scan(low: Lowering, node: Recurrent, direction: str, source: Steps) -> str:
    """Outputs `[T, B, width]` of one direction, in the order in which it reads the steps."""
    emit, prefix, lengths = low.emit, f"{node.name}.{direction}", source.lengths
    x = source.name
    if direction == "reverse":
        x = lengths.reversed(x, f"{prefix}.input")
    body = emit.body()
    widths = [node.state_width(state) for state in node.cell.states]
    states = {
        state: body.input(f"{prefix}.{state}.before", FLOAT, [BATCH, width])
        for state, width in zip(node.cell.states, widths, strict=True)
    }
    cell = CellLowering(low, node, prefix, x, body, states)
    for value, width in zip(cell.emitted(), [*widths, node.output_width], strict=True):
        body.result(value, FLOAT, [BATCH, width])
    sequences = cell.sequences()
    outputs = emit.ops(
        "Scan",
        [*map(lengths.zeros, widths), *sequences],
        [*(f"{prefix}.{name}.final" for name in states), f"{prefix}.outputs"],
        {"body": body.graph(f"{prefix}.step"), "num_scan_inputs": len(sequences)},
    )
    return outputs[-1]
