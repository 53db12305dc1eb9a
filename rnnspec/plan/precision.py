"""Which columns are float64 until they are scaled, and how much of the others float32 loses."""

from __future__ import annotations

import math
from collections.abc import Iterator

from rnnspec.plan.facts import Facts, NumericFacts
from rnnspec.plan.nodes import (
    ForecastOutput,
    FramesInput,
    FramesOutput,
    FutureInput,
    NumericOutput,
    Plan,
    SeriesInput,
    VectorInput,
)

Numeric = (
    FramesInput
    | VectorInput
    | SeriesInput
    | FutureInput
    | NumericOutput
    | ForecastOutput
    | FramesOutput
)


def doubles(plan: Plan) -> tuple[str, ...]:
    """The columns whose numbers are float64 as inputs and as outputs."""
    nodes = (*plan.inputs, *plan.outputs)
    found = (node.column for node in nodes if isinstance(node, Numeric) and node.double)
    return tuple(dict.fromkeys(found))


def note_on_doubles(plan: Plan) -> str:
    """A sentence for who exports a file; empty if its inputs and outputs are all float32."""
    names = doubles(plan)
    if not names:
        return ""
    columns = " and ".join(map(repr, names))
    return (
        f"numbers of {columns} are float64 in this file, as inputs and as outputs: float32 would"
        " lose too much of them"
    )


def lost_numbers(plan: Plan, facts: Facts) -> Iterator[str]:
    """A sentence for each column that loses too much as float32 and is not scaled: only a scaled
    one can be float64."""
    seen = set()
    for node in (*plan.inputs, *plan.targets):
        if not isinstance(node, Numeric) or node.double or node.column in seen:
            continue
        is_input = isinstance(node, FramesInput | VectorInput | SeriesInput | FutureInput)
        known = (facts.inputs if is_input else facts.outputs)[node.column]
        leaving = node.elapsed if isinstance(node, FramesInput) else None
        if isinstance(known, NumericFacts) and known.is_double(leaving):
            seen.add(node.column)
            yield _sentence(node.column, known, leaving)


def _sentence(column: str, known: NumericFacts, leaving: int | None) -> str:
    features = [at for at in range(known.width) if at != leaving]
    worst = max(features, key=lambda at: known.lost[at])
    mean, deviation = known.mean[worst], known.deviation[worst]
    step = 2.0 ** (math.floor(math.log2(max(abs(mean), 2.0**-126))) - 23)
    of = f"number {worst + 1} of column" if known.width > 1 else "column"
    return (
        f"{of} {column!r} is about {mean:.6g} with a deviation of {deviation:.3g}, and float32"
        f" tells such numbers apart by {step:.3g} only; write 'scale: standard', which takes off"
        " the mean in float64, or take it off in the data"
    )
