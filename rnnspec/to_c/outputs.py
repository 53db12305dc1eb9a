"""The answers of a step: numbers, the numbers and the probabilities of labels."""

from __future__ import annotations

import numpy as np

from rnnspec.errors import ExportError
from rnnspec.plan.names import answer_name, labels_of
from rnnspec.plan.nodes import ClassOutput, LabelsOutput, NumericOutput, Output, StatesOutput
from rnnspec.to_c.lowering import Argument, CType, Labels, Lowering, Value
from rnnspec.to_c.text import loop, number


def result(
    low: Lowering, node: Output, ending: str, kind: CType, width: int, words: str
) -> Argument:
    """A new result of a step."""
    name = low.names.new(f"{answer_name(low.plan, node)}{ending}")
    key = f"{answer_name(low.plan, node)}{ending}"
    low.outputs.append(Argument(name, node.column, key, kind, width, words))
    return low.outputs[-1]


def no_c_for(column: str, distribution: str) -> ExportError:
    """The error of an answer that only files for onnxruntime have."""
    return ExportError(
        f"column {column!r} is answered with {distribution}, and there is no C for that: export it"
        " with --onnx, for onnxruntime"
    )


def lower_class(low: Lowering, node: ClassOutput) -> Value:
    """The number of the label of the largest probability, and all probabilities."""
    source, labels = low.value(node.source), labels_of(low.facts, node.column)
    label = result(low, node, "", "int32_t", 1, "the number of the likeliest label")
    words = f"the probabilities of the {node.classes} labels"
    shares = result(low, node, ".probabilities", "float", node.classes, words)
    low.labels.append(Labels(label.name, labels))
    low.counts.functions += node.classes
    low.step += [
        f"rs_softmax({shares.name}, {source.name}, {node.classes});",
        f"*{label.name} = rs_largest({shares.name}, {node.classes});",
    ]
    return source


def lower_labels(low: Lowering, node: LabelsOutput) -> Value:
    """1 for each label that is on, and the probabilities."""
    source, labels = low.value(node.source), labels_of(low.facts, node.column)
    on = result(low, node, "", "int32_t", node.labels, "1 for each label that is on, else 0")
    words = f"the probabilities of the {node.labels} labels"
    shares = result(low, node, ".probabilities", "float", node.labels, words)
    low.labels.append(Labels(on.name, labels))
    low.counts.functions += node.labels
    above = number(node.threshold)
    if node.thresholds:
        values = np.array(node.thresholds, np.float32)
        above = f"{low.table('float', f'{node.name}.thresholds', values)}[j]"
    body = [
        f"{shares.name}[j] = rs_sigmoid({source.name}[j]);",
        f"{on.name}[j] = {shares.name}[j] > {above};",
    ]
    low.step += loop(node.labels, body)
    return source


def lower_states(low: Lowering, node: StatesOutput) -> Value:
    """Numbers as they are."""
    source = low.value(node.source)
    words = f"{node.width} states of the model"
    out = result(low, node, "", "float", node.width, words)
    low.step += loop(node.width, [f"{out.name}[j] = {source.name}[j];"])
    return source


def lower_numeric(low: Lowering, node: NumericOutput) -> Value:
    """In the units of the data."""
    if node.distribution != "point":
        raise no_c_for(node.column, node.distribution)
    source = low.value(node.source)
    kind: CType = "double" if node.double else "float"
    words = f"{node.width} numbers in the units of the data"
    out = result(low, node, "", kind, node.width, words)
    value = f"{source.name}[j]"
    if node.scaled:
        mean = low.weight(node, "mean")
        if node.double:
            mean = mean + low.weight(node, "rest")
        centre = low.table(kind, f"{node.name}.mean", mean)
        scale = low.table(kind, f"{node.name}.deviation", low.weight(node, "deviation"))
        value = f"{'(double)' if node.double else ''}{value} * {scale}[j] + {centre}[j]"
    elif node.double:
        value = f"(double){value}"
    low.step += loop(node.width, [f"{out.name}[j] = {value};"])
    return source
