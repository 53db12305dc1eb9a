"""What no file can hold that every runtime answers right.

Runtimes beside onnxruntime know no operators but those of the standard. OpenVINO keeps whole
numbers in 32 bits and computes float64 in float32, whatever the file says, and answers all the
same.
"""

from __future__ import annotations

from rnnspec.errors import ExportError
from rnnspec.plan.nodes import (
    CtcOutput,
    ForecastOutput,
    Node,
    NumericOutput,
    Plan,
    PointerOutput,
    PrefixBeam,
    Sample,
    TextOutput,
    TransducerBeam,
    TransducerOutput,
)
from rnnspec.plan.precision import doubles

NUMBERS = "whole numbers of 64 bits, of which other runtimes keep 32"


def check_portable(plan: Plan) -> None:
    """Raises ExportError, with the name and the reason, for what others answer wrongly."""
    for column in doubles(plan):
        raise ExportError(
            f"{plan.name} does not run everywhere: numbers of column {column!r} are float64, since"
            " float32 would lose too much of them, and other runtimes compute in float32; take"
            " a constant off them in the data, or leave out --portable"
        )
    for node in plan.outputs:
        if isinstance(node, NumericOutput | ForecastOutput) and (node.intervals or node.samples):
            what = "intervals" if node.intervals else "samples"
            raise ExportError(
                f"{plan.name} does not run everywhere: {what} of column {node.column!r} are made in"
                " float64, and other runtimes compute in float32; leave out --portable"
            )
        if reason := _reason(node):
            raise ExportError(
                f"{plan.name} does not run everywhere: the text of column {node.column!r} {reason};"
                " add --strategy greedy, or leave out --portable"
            )


def _reason(node: Node) -> str:
    """Why an output cannot be portable, "" if it can."""
    match node:
        case TextOutput(search=Sample()) | PointerOutput(search=Sample()):
            return f"is drawn by {NUMBERS}"
        case CtcOutput(search=PrefixBeam()) | TransducerOutput(search=TransducerBeam()):
            return f"is searched by a beam that knows what it has read by {NUMBERS}"
    return ""
