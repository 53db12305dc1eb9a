"""The head: hidden layers, then one dense layer and one output node for each answer."""

from __future__ import annotations

from rnnspec import spec as language
from rnnspec.plan.facts import ClassFacts, ColumnFacts, Facts, NumericFacts, TextFacts
from rnnspec.plan.nodes import (
    ChainOutput,
    ClassOutput,
    Dense,
    ForecastOutput,
    FramesInput,
    LabelsOutput,
    Node,
    NumericOutput,
    Output,
    SeriesInput,
)
from rnnspec.plan.stateless import Read, dropped
from rnnspec.spec.outputs import QuantilesDistribution


def answer_all(
    spec: language.Spec, facts: Facts, read: Read, nodes: list[Node], steps: bool = False
) -> None:
    """The head of `spec` over one value: a vector for each row or, with `steps`, a sequence."""
    head = spec.head
    name = "pool.dropout" if any(node.name == "pool" for node in nodes) else "head.dropout"
    read = dropped(name, head.dropout, read, nodes)
    for index, units in enumerate(head.hidden):
        name = f"hidden.{index}"
        nodes.append(Dense(name, read.name, read.width, units, head.activation))
        read = dropped(f"{name}.dropout", head.dropout, Read(name, units), nodes)
    outputs = spec.data.outputs
    ends: list[Output] = []
    for target in outputs:
        dense = "answer" if len(outputs) == 1 else f"answer.{target.column}"
        end = _output(target, facts, dense, steps, nodes)
        nodes.append(Dense(dense, read.name, read.width, _width(end), "none"))
        ends.append(end)
    nodes.extend(ends)


def forecast_output(
    target: language.ForecastOutput, source: str, nodes: list[Node]
) -> ForecastOutput:
    """The output of a forecast, scaled like its past."""
    past = next(n for n in nodes if isinstance(n, SeriesInput) and n.column == target.column)
    chosen = target.distribution
    quantiles = chosen.value if isinstance(chosen, QuantilesDistribution) else ()
    return ForecastOutput(
        name=f"output.{target.column}",
        source=source,
        column=target.column,
        horizon=target.horizon,
        distribution=chosen.name,  # type: ignore[arg-type]  # the options have these names
        quantiles=tuple(quantiles),
        scaled=past.scaled,
        moments=past.moments,
        double=past.double,
    )


def _output(
    target: language.Output, facts: Facts, source: str, steps: bool, nodes: list[Node]
) -> Output:
    """The output node of one answer."""
    known, name, column = facts.outputs[target.column], f"output.{target.column}", target.column
    match target:
        case language.TagsOutput(crf=True):
            return ChainOutput(name, source, column, len(_labels(known)), target.scheme)
        case language.ClassOutput() | language.TagsOutput():
            return ClassOutput(name, source, column, len(_labels(known)), steps)
        case language.LabelsOutput() | language.KeysOutput():
            labels = len(_labels(known))
            return LabelsOutput(name, source, column, labels, target.threshold, steps)
        case language.NextOutput() if isinstance(known, TextFacts):
            return ClassOutput(name, source, column, len(known.vocabulary), True, ahead=True)
        case language.NextOutput() if isinstance(known, NumericFacts):
            read = (n for n in nodes if isinstance(n, FramesInput | SeriesInput))
            past = next(n for n in read if n.column == column)
            double = past.scaled and past.double
            return NumericOutput(
                name, source, column, known.width, past.scaled, False, True, True, double
            )
        case language.NextOutput():
            return LabelsOutput(name, source, column, len(_labels(known)), steps=True, ahead=True)
        case language.NumberOutput() | language.VectorOutput() | language.FramesOutput():
            assert isinstance(known, NumericFacts)
            single = isinstance(target, language.NumberOutput)
            scaled = target.scale == "standard"
            double = scaled and known.is_double()
            return NumericOutput(
                name, source, column, known.width, scaled, single, steps, double=double
            )
        case language.ForecastOutput():
            return forecast_output(target, source, nodes)
    raise AssertionError(f"as: {target.as_} is written by a decoder")


def _width(end: Output) -> int:
    """Width of the input of an output node."""
    match end:
        case ClassOutput() | ChainOutput():
            return end.classes
        case LabelsOutput():
            return end.labels
        case NumericOutput():
            return end.width
        case ForecastOutput():
            return end.horizon * end.parameters
    raise AssertionError(f"{end.name} takes no vector")


def _labels(known: ColumnFacts) -> tuple[str, ...]:
    assert isinstance(known, ClassFacts)
    return known.labels
