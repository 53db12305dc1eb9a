"""The head: hidden layers, then one dense layer and one output node for each answer."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from rnnspec import spec as language
from rnnspec.errors import DataError
from rnnspec.plan.facts import ClassFacts, ColumnFacts, Facts, NumericFacts, TextFacts
from rnnspec.plan.nodes import (
    AddBase,
    ChainOutput,
    ClassOutput,
    Dense,
    Embed,
    ForecastOutput,
    FramesInput,
    LabelsOutput,
    Law,
    Node,
    NumericOutput,
    Ordinal,
    Output,
    PositionOutput,
    Scores,
    SeasonAgo,
    SeriesInput,
    StatesOutput,
    TokensInput,
)
from rnnspec.plan.nodes.node import STEPS, ColumnNode
from rnnspec.plan.nodes.outputs import OutputNode
from rnnspec.plan.stateless import Read, affine_init, dropped
from rnnspec.spec.branches import Branch
from rnnspec.spec.distributions import (
    Distribution,
    MixtureDistribution,
    QuantilesDistribution,
    censored_by,
    paths_of,
)
from rnnspec.spec.outputs import Distributed, Headed, StepOutput
from rnnspec.spec.stack import unequal_tied
from rnnspec.spec.views import encoder_read, of_one_encoder


def answer(
    spec: language.Spec, facts: Facts, branch: Branch, read: Read, nodes: list[Node]
) -> None:
    """The head of a branch over one value: a vector for each row or, for answers of each step, a
    sequence. The output nodes follow all others: see `in_order`."""
    head, (first, *_) = branch.head, branch.outputs
    if isinstance(first, language.StatesOutput):
        name, steps = f"output.{first.column}", branch.pooling is None
        reverse = steps and any(isinstance(n, TokensInput) and n.reverse for n in nodes)
        states = StatesOutput(name, read.name, first.column, read.width, steps, reverse)
        nodes.append(replace(states, axis=_axis(spec, first)) if steps else states)
        return
    init = affine_init(head.init)
    name = "pool.dropout" if branch.pooling is not None else "head.dropout"
    read = dropped(named(branch, name), head.dropout, read, nodes)
    for index, units in enumerate(head.hidden):
        name = named(branch, f"hidden.{index}")
        nodes.append(Dense(name, read.name, read.width, units, head.activation, init))
        read = dropped(f"{name}.dropout", head.dropout, Read(name, units), nodes)
    alone = len(spec.data.targets) == 1
    ends: list[Output] = []
    for target in branch.outputs:
        assert not isinstance(target, language.StatesOutput), "a branch of its own"
        dense = "answer" if alone else f"answer.{target.column}"
        end = _output(target, facts, dense, _own_inputs(spec, target, nodes))
        if isinstance(end, OutputNode) and of_one_encoder(spec, target):
            end = replace(end, axis=_axis(spec, target))
        tied = _tied(branch, target, read, nodes)
        if tied:
            nodes.append(Scores(dense, read.name, read.width, _width(end), tied, init))
        else:
            nodes.append(Dense(dense, read.name, read.width, _width(end), "none", init))
        if isinstance(target, language.ForecastOutput) and target.residual != "none":
            assert isinstance(end, ForecastOutput)
            base = season_ago(target, nodes, flat=True)
            name, moved = f"{dense}.moved", moved_by_base(end)
            nodes.append(AddBase(name, dense, base, target.horizon, end.parameters, moved))
            end = replace(end, source=name)
        if isinstance(end, ClassOutput) and end.ordered:
            nodes.append(Ordinal(f"{dense}.ordered", dense, end.classes))
            end = replace(end, source=nodes[-1].name)
        ends.append(end)
    nodes.extend(ends)


def _axis(spec: language.Spec, target: language.Output) -> str:
    """The axis of the steps that an answer is about."""
    return f"{STEPS}.{encoder_read(target)}" if spec.encoders else STEPS


def _own_inputs(spec: language.Spec, target: Headed, nodes: list[Node]) -> list[Node]:
    """The nodes without the inputs of other encoders than the one that an answer is made of."""
    if not spec.encoders or not of_one_encoder(spec, target):
        return nodes
    axis = _axis(spec, target)
    return [node for node in nodes if not isinstance(node, ColumnNode) or node.axis == axis]


def named(branch: Branch, name: str) -> str:
    """The name of a node of a branch: columns tell branches apart."""
    return f"branch.{branch.name}.{name}" if branch.name else name


def in_order(spec: language.Spec, nodes: list[Node]) -> list[Node]:
    """The nodes with the outputs last, as the spec has them; nothing reads an output."""
    places = {f"output.{output.column}": at for at, output in enumerate(spec.data.outputs)}
    ends = [node for node in nodes if isinstance(node, Output)]
    others = [node for node in nodes if not isinstance(node, Output)]
    return [*others, *sorted(ends, key=lambda node: places[node.name])]


def _tied(branch: Branch, target: Headed, read: Read, nodes: list[Node]) -> str:
    """The embedding whose table scores the next token; "" for none. Raises DataError."""
    if not branch.head.tied or not isinstance(target, language.NextOutput):
        return ""
    source = f"input.{target.column}"
    embed = next((n for n in nodes if isinstance(n, Embed) and n.source == source), None)
    if embed is None:
        return ""
    if embed.width != read.width:
        raise DataError(unequal_tied(read.width, embed.width))
    return embed.name


def forecast_output(
    target: language.ForecastOutput, source: str, nodes: list[Node]
) -> ForecastOutput:
    """The output of a forecast, scaled like its past."""
    past = next(n for n in nodes if isinstance(n, SeriesInput) and n.column == target.column)
    law, paths = _law(target.distribution), paths_of(target.paths)
    return ForecastOutput(
        name=f"output.{target.column}",
        source=source,
        column=target.column,
        horizon=target.horizon,
        distribution=law.name,
        quantiles=law.quantiles if paths is None else paths.quantiles,
        scaled=past.scaled,
        moments=past.moments,
        double=past.double,
        log=past.log,
        components=law.components,
        intervals=target.intervals,
        samples=target.samples or 0,
        paths=0 if paths is None else paths.samples,
        differences=past.differences,
        base=f"{past.name}.end" if past.differences else "",
    )


def _law(chosen: Distribution) -> Law:
    """The distribution of a number, as its option says."""
    quantiles = tuple(chosen.value) if isinstance(chosen, QuantilesDistribution) else ()
    many, correlated = 0, False
    if isinstance(chosen, MixtureDistribution):
        many, correlated = chosen.components, chosen.correlated
    return Law(chosen.name, quantiles, many, correlated)  # type: ignore[arg-type]


def law_of(chosen: Distribution, column: str, width: int) -> Law:
    """The distribution of the answers of a column. Raises DataError where a correlation is asked
    for of vectors of another width than 2."""
    law = _law(chosen)
    if law.correlated and width != 2:
        raise DataError(
            f"{column!r} has width {width}, and a correlation is of two numbers: remove"
            " 'correlated: true' from its distribution"
        )
    return law


def _distributed(node: NumericOutput, target: Distributed) -> NumericOutput:
    """The node with the distribution of its answers. Raises DataError as `law_of` does."""
    law = law_of(target.distribution, node.column, node.width)
    return replace(
        node,
        distribution=law.name,
        quantiles=law.quantiles,
        components=law.components,
        correlated=law.correlated,
        intervals=target.intervals,
        samples=target.samples or 0,
        censored=censored_by(target.distribution) is not None,
    )


def season_ago(target: language.ForecastOutput, nodes: list[Node], flat: bool) -> str:
    """Adds the values that a forecast answers the distance from; their name."""
    name, season = f"input.{target.column}.before", target.season
    if target.residual == "last":
        season = 1
    nodes.append(SeasonAgo(name, f"input.{target.column}", season, target.horizon, flat))
    return name


def moved_by_base(end: ForecastOutput) -> int:
    """How many of the raw numbers of a step are the distance from a value."""
    return end.parameters if end.distribution == "quantiles" else 1


def _output(target: Headed, facts: Facts, source: str, nodes: list[Node]) -> Output:
    """The output node of one answer."""
    known, name, column = facts.outputs[target.column], f"output.{target.column}", target.column
    steps = isinstance(target, StepOutput)
    match target:
        case language.TagsOutput(crf=True):
            return ChainOutput(name, source, column, len(_labels(known)), target.scheme)
        case language.ClassOutput() | language.TagsOutput():
            ordered = isinstance(target, language.TagsOutput) and target.labels is not None
            return ClassOutput(name, source, column, len(_labels(known)), steps, ordered=ordered)
        case language.OrdinalOutput():
            return ClassOutput(name, source, column, len(_labels(known)), ordered=True)
        case language.LabelsOutput() | language.KeysOutput():
            return _labels_output(target, known, source, steps)
        case language.NextOutput() if isinstance(known, TextFacts):
            size, reverse = len(known.vocabulary), target.direction == "reverse"
            return ClassOutput(name, source, column, size, True, ahead=True, reverse=reverse)
        case language.NextOutput() if isinstance(known, NumericFacts):
            read = (n for n in nodes if isinstance(n, FramesInput | SeriesInput))
            past = next(n for n in read if n.column == column)
            double = past.scaled and past.double
            answer = NumericOutput(
                name, source, column, known.width, past.scaled, False, True, True, double
            )
            return _distributed(answer, target)
        case language.NextOutput():
            return LabelsOutput(name, source, column, len(_labels(known)), steps=True, ahead=True)
        case language.NumberOutput() | language.VectorOutput() | language.FramesOutput():
            assert isinstance(known, NumericFacts)
            single = isinstance(target, language.NumberOutput)
            scaled = target.scale == "standard" and target.distribution.name != "beta"
            double = scaled and known.is_double()
            answer = NumericOutput(
                name, source, column, known.width, scaled, single, steps, double=double
            )
            return _distributed(answer, target)
        case language.ForecastOutput():
            return forecast_output(target, source, nodes)
        case language.PositionOutput():
            return PositionOutput(name, source, column, 1, 0, target.none, _tokens(nodes))
        case language.SpanOutput():
            longest = target.max_span or 0
            return PositionOutput(name, source, column, 2, longest, target.none, _tokens(nodes))
        case _:
            assert_never(target)


def _tokens(nodes: list[Node]) -> str:
    """The input whose tokens stand at the steps; "" without one."""
    told = ("words", "chars", "tokens")
    read = (node for node in nodes if isinstance(node, TokensInput) and node.kind in told)
    return next((node.name for node in read), "")


def _labels_output(
    target: language.LabelsOutput | language.KeysOutput,
    known: ColumnFacts,
    source: str,
    steps: bool,
) -> LabelsOutput:
    """With the threshold of the spec, or those that were chosen once the model was trained; until
    then with that of a node."""
    assert isinstance(known, ClassFacts)
    name, labels = f"output.{target.column}", len(known.labels)
    found = LabelsOutput(name, source, target.column, labels, steps=steps)
    if isinstance(target.threshold, float):
        return replace(found, threshold=target.threshold)
    if isinstance(target.threshold, str) and known.thresholds:
        return replace(found, threshold=known.thresholds[0])
    return replace(found, thresholds=known.thresholds)


def _width(end: Output) -> int:
    """Width of the input of an output node."""
    match end:
        case ClassOutput(ordered=True):
            return 1
        case ClassOutput() | ChainOutput():
            return end.classes
        case LabelsOutput():
            return end.labels
        case NumericOutput():
            return end.raw
        case PositionOutput():
            return end.marks
        case ForecastOutput():
            return end.horizon * end.parameters
    raise AssertionError(f"{end.name} takes no vector")


def _labels(known: ColumnFacts) -> tuple[str, ...]:
    assert isinstance(known, ClassFacts)
    return known.labels
