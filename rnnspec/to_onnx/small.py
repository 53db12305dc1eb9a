"""Small files: passes over a finished model that keep its weights in fewer bits.

A weight is *stored* in 8 or 16 bits and widened once, while the file loads: onnxruntime folds what
reads nothing but initializers. Answers then are those of the rounded weights, in float32 and as
fast as before. Or a weight is *multiplied* in 8 bits: onnxruntime's DynamicQuantizeMatMul brings
what comes in to 8 bits, by one scale for the whole tensor, and multiplies whole numbers. That is
faster for large matrices, and slower for small ones. A matrix that a step of a loop reads has one
scale too, other matrices one for each column: scales of 256 columns take 0.7 µs, in which a
processor multiplies one row by a third of 256 by 768 numbers (`benchmarks/step_in_8_bits.py`).

Its DynamicQuantizeLSTM does so for a whole layer, three times as fast for one row as the LSTM of
float32. Where it is told lengths that differ, the scale is also for states of rows that have ended,
in memory that nobody wrote (onnxruntime 1.20 to 1.31), so that the same call answers twice
otherwise: it takes the place of an LSTM that is told none (`rnnspec.to_onnx.layer`).

Numbers that are multiplied have 7 bits and a sign at most 63: without VNNI, processors add two
products of 8 bits in 16, where two of 127 * 255 do not fit, and answers would be others than
elsewhere.

Before a pass: names of values are unique in all graphs. After it: the same inputs and outputs, by
name and type.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from rnnspec.plan import Plan, weights
from rnnspec.plan.names import lengths_names
from rnnspec.to_onnx.emitter import CONTRIB
from rnnspec.to_onnx.inner import into_bodies, to_root
from rnnspec.to_onnx.linear_memories import linear_memories
from rnnspec.to_onnx.lowering import time_dimension
from rnnspec.to_onnx.own_steps import clean_inputs, nodes_of
from rnnspec.to_onnx.rewrite import NEGATED

Bits = Literal["int8", "float16"]
Array = NDArray[np.float32]
_STORED_MOST, _MULTIPLIED_MOST = 127, 63


@dataclass(frozen=True, slots=True)
class Least:
    """From how many numbers on it pays to change a weight (`benchmarks/small_files.py`).

    `stored`: the operators that widen it take bytes too. `multiplied`: a matrix, 256 by 256;
    smaller ones are faster in float32 for one row. `whole`: the recurrent matrix of one gate of an
    LSTM, all of which is one operator in 8 bits.
    """

    stored: int = 256
    multiplied: int = 2**16
    whole: int = 2**14


LEAST = Least()


@dataclass(frozen=True, slots=True)
class Small:
    """A model in fewer bits. Names of weights: those that are `multiplied` in 8 bits, and those
    that are only `stored`."""

    model: onnx.ModelProto
    multiplied: tuple[str, ...]
    stored: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Use:
    """Where an initializer is read: an input of a node."""

    node: onnx.NodeProto
    place: int


def in_few_bits(
    model: onnx.ModelProto,
    plan: Plan,
    bits: Bits,
    ids: bool = False,
    least: Least = LEAST,
    portable: bool = False,
    step: bool = False,
) -> Small:
    """`model`, the graph of `plan` with `ids` or not, with matrices and tables in `bits`; the given
    one is unchanged. `step`: it answers one step of each row, and is the body of a loop itself.

    Only what the plan has weights for is changed: the constants of sound, texts and searches stay.
    In `portable` files nothing is multiplied in 8 bits: the operator is onnxruntime's own.
    What the body of a Scan reads is widened in it: OpenVINO's Scan reads no value that a node
    around it computed, and onnxruntime, which folds in bodies too, hands it over at each step.
    Biases, what has fewer numbers than `least.stored`, and matrices of states that remember
    linearly (`rnnspec.to_onnx.linear_memories`) stay in float32.
    """
    found = onnx.ModelProto()
    found.CopyFrom(model)
    to_root(found.graph)
    owners = {weight.name.split(".", 1)[0] for weight in weights(plan)} - {"input"}
    uses, exact = _uses(found.graph), linear_memories(plan)
    chosen = {
        tensor.name: uses[tensor.name]
        for tensor in found.graph.initializer
        if _is_weight(tensor, uses[tensor.name], owners, least.stored)
        and tensor.name.removesuffix(".transposed").removesuffix(NEGATED) not in exact
    }
    multiplying = bits == "int8" and not portable
    multiplied = _multiplied(found, chosen, least, step) if multiplying else ()
    stored = tuple(name for name in chosen if name not in multiplied)
    inside = _of_scans(found.graph)
    _store(found.graph, {name: _rows_of(chosen[name]) for name in stored}, bits, inside)
    if multiplied:
        for axis, lengths in lengths_names(plan, ids).items():
            clean_inputs(found.graph, lengths, time_dimension(axis))
        if all(each.domain != CONTRIB for each in found.opset_import):
            found.opset_import.append(helper.make_opsetid(CONTRIB, 1))
    into_bodies(found.graph)
    return Small(found, multiplied, stored)


# ---------------------------------------------------------------- what is a weight


def _last_axis(use: _Use) -> tuple[int, ...]:
    return (-1,)


def _columns(use: _Use) -> tuple[int, ...]:
    return (-2,)


def _of_gemm(use: _Use) -> tuple[int, ...]:
    return (-1,) if _attribute(use.node, "transB", 0) else (-2,)


def _of_kernel(use: _Use) -> tuple[int, ...]:
    return (-2, -1)


_PLACES: Mapping[tuple[str, int], Callable[[_Use], tuple[int, ...]]] = {
    ("Gather", 0): _last_axis,
    ("Gemm", 1): _of_gemm,
    ("MatMul", 1): _columns,
    ("Conv", 1): _of_kernel,
    **{(kind, place): _last_axis for kind in ("RNN", "GRU", "LSTM") for place in (1, 2)},
}
"""Where operators read a weight, and the axes of it that one scale is for."""


def _is_weight(
    tensor: TensorProto, uses: Collection[_Use], owners: Collection[str], least: int
) -> bool:
    large = int(np.prod(tensor.dims)) >= least and len(tensor.dims) > 1
    owned = tensor.name.split(".", 1)[0] in owners
    read = any((use.node.op_type, use.place) in _PLACES for use in uses)
    return owned and large and read and tensor.data_type == TensorProto.FLOAT


def _rows_of(uses: Collection[_Use]) -> tuple[int, ...]:
    """The axes that one scale is for, of the first place that is known."""
    for use in uses:
        if axes := _PLACES.get((use.node.op_type, use.place)):
            return axes(use)
    raise AssertionError("a weight is read in a place that is known")


def _uses(graph: onnx.GraphProto) -> defaultdict[str, list[_Use]]:
    found = defaultdict[str, list[_Use]](list)
    for node in nodes_of(graph):
        for place, name in enumerate(node.input):
            found[name].append(_Use(node, place))
    return found


def _attribute(node: onnx.NodeProto, name: str, default: float) -> float:
    for attribute in node.attribute:
        if attribute.name == name:
            return float(helper.get_attribute_value(attribute))
    return default


# ---------------------------------------------------------------- stored in fewer bits


def _store(
    graph: onnx.GraphProto, axes: Mapping[str, tuple[int, ...]], bits: Bits, inside: Collection[str]
) -> None:
    """Each weight of `axes` in `bits`, and what widens it, under its own name; of those `inside`
    the body of a Scan there."""
    nodes: list[onnx.NodeProto] = []
    tensors: list[TensorProto] = []
    for tensor in graph.initializer:
        name = tensor.name
        if name not in axes:
            tensors.append(tensor)
            continue
        value = numpy_helper.to_array(tensor)
        if bits == "float16":
            tensors.append(numpy_helper.from_array(value.astype(np.float16), f"{name}.half"))
            nodes.append(_cast(f"{name}.half", name))
            continue
        numbers, scale = quantized(value, axes[name], _STORED_MOST)
        tensors.append(numpy_helper.from_array(numbers, f"{name}.int8"))
        tensors.append(numpy_helper.from_array(scale, f"{name}.scale"))
        nodes.append(_cast(f"{name}.int8", f"{name}.wide"))
        nodes.append(helper.make_node("Mul", [f"{name}.wide", f"{name}.scale"], [name], name=name))
    del graph.initializer[:]
    graph.initializer.extend(tensors)
    at_root = [node for node in nodes if _widened(node) not in inside]
    for body in _bodies_of_scans(graph):
        read = {name for node in nodes_of(body) for name in node.input} & {*inside}
        _begin(body, [node for node in nodes if _widened(node) in read])
    _begin(graph, at_root)


def _begin(graph: onnx.GraphProto, nodes: Collection[onnx.NodeProto]) -> None:
    others = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *others])


def _widened(node: onnx.NodeProto) -> str:
    """The weight that a node of `_store` helps to widen."""
    return str(node.output[0]).removesuffix(".wide")


def _of_scans(graph: onnx.GraphProto) -> frozenset[str]:
    """What the body of one Scan reads, and nothing else."""
    every = Counter(name for node in nodes_of(graph) for name in node.input)
    return frozenset(
        name
        for body in _bodies_of_scans(graph)
        for name, count in Counter(name for n in nodes_of(body) for name in n.input).items()
        if count == every[name]
    )


def _bodies_of_scans(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    for node in nodes_of(graph):
        if node.op_type == "Scan":
            yield next(a.g for a in node.attribute if a.name == "body")


def _cast(narrow: str, wide: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [narrow], [wide], name=wide, to=TensorProto.FLOAT)


def quantized(value: Array, axes: tuple[int, ...], most: int) -> tuple[NDArray[np.int8], Array]:
    """Whole numbers from `-most` to `most`, and the scales, which have one element in place of
    `axes`: `value` is about numbers * scales, within half a scale."""
    largest = np.abs(value).max(axis=axes, keepdims=True)
    scale = np.where(largest > 0, largest / most, 1).astype(np.float32)
    return np.rint(value / scale).clip(-most, most).astype(np.int8), scale


# ---------------------------------------------------------------- multiplied in 8 bits


def _multiplied(
    model: onnx.ModelProto, chosen: Mapping[str, Collection[_Use]], least: Least, step: bool
) -> tuple[str, ...]:
    """Replace the operators that are faster in 8 bits; the names of their weights."""
    values = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    products = {
        name: values[name] for name, uses in chosen.items() if _pays(uses, values[name], least)
    }
    made: dict[str, TensorProto] = {}
    in_steps = products if step else _read_in_bodies(model.graph)
    _rewrite(model.graph, products, values, made, in_steps)
    products |= _whole_layers(model.graph, values, made, least)
    kept = [each for each in model.graph.initializer if each.name not in products]
    del model.graph.initializer[:]
    model.graph.initializer.extend([*kept, *made.values()])
    return tuple(products)


def _read_in_bodies(graph: onnx.GraphProto) -> frozenset[str]:
    """What the steps of loops read."""
    bodies = (a.g for node in graph.node for a in node.attribute if a.HasField("g"))
    return frozenset(name for body in bodies for node in nodes_of(body) for name in node.input)


def _whole_layers(
    graph: onnx.GraphProto, values: Mapping[str, Array], made: dict[str, TensorProto], least: Least
) -> dict[str, Array]:
    """Replace each LSTM that is told no lengths and has large matrices; W and R of all of them."""
    found: dict[str, Array] = {}
    for node in graph.node:
        inputs = [*node.input, *[""] * (8 - len(node.input))]
        if node.op_type != "LSTM" or inputs[4] or inputs[2] not in values:
            continue
        recurrent = values[inputs[2]]
        if recurrent.size < 4 * recurrent.shape[0] * least.whole:
            continue
        found |= {name: values[name] for name in inputs[1:3]}
        w = _turned(inputs[1], values[inputs[1]], (-1,), made)
        r = _turned(inputs[2], recurrent, (-2, -1), made)
        del node.input[:]
        node.input.extend([inputs[0], w[0], r[0], *inputs[3:], *w[1:], *r[1:]])
        node.op_type, node.domain = "DynamicQuantizeLSTM", CONTRIB
    return found


def _turned(
    name: str, value: Array, axes: tuple[int, ...], made: dict[str, TensorProto]
) -> tuple[str, str, str]:
    """A matrix `[D, rows, columns]` as whole numbers `[D, columns, rows]`, with a scale for all of
    `axes`, `[D, rows]` or `[D]`, and the numbers that stand for 0: one for each row in any case,
    since onnxruntime 1.17 to 1.23 takes fewer for others than 0."""
    numbers, scale = quantized(value, axes, _MULTIPLIED_MOST)
    return (
        _add(made, f"{name}.int8", numbers.transpose(0, 2, 1)),
        _add(made, f"{name}.scale", scale.squeeze(axes)),
        _add(made, f"{name}.zero", np.zeros(value.shape[:2], np.int8)),
    )


def _pays(uses: Collection[_Use], value: Array, least: Least) -> bool:
    """Whether all that read a weight are operators with a form in 8 bits that is faster."""
    kinds = {use.node.op_type for use in uses}
    plain = all(use.place == 1 and _is_plain(use.node) for use in uses)
    orders = {_of_gemm(use) for use in uses if use.node.op_type == "Gemm"}
    orders |= {_columns(use) for use in uses if use.node.op_type == "MatMul"}
    return (
        kinds <= {"Gemm", "MatMul"}
        and plain
        and len(orders) == 1
        and value.ndim == 2
        and value.size >= least.multiplied
    )


def _is_plain(node: onnx.NodeProto) -> bool:
    """Whether a Gemm has no factors and reads its first matrix as it is."""
    usual = {"alpha": 1.0, "beta": 1.0, "transA": 0.0}
    return all(_attribute(node, name, value) == value for name, value in usual.items())


def _rewrite(
    graph: onnx.GraphProto,
    products: Mapping[str, Array],
    values: Mapping[str, Array],
    made: dict[str, TensorProto],
    in_steps: Collection[str],
) -> None:
    """The nodes that read `products`, in this graph and its bodies, in 8 bits; their numbers and
    scales, one for each of those read `in_steps`, are `made`."""
    found: list[onnx.NodeProto] = []
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rewrite(attribute.g, products, values, made, in_steps)
        if len(node.input) < 2 or node.input[1] not in products:
            found.append(node)
        else:
            axes = (-2, -1) if node.input[1] in in_steps else (-2,)
            found += _product(node, products[node.input[1]], axes, values, made)
    del graph.node[:]
    graph.node.extend(found)


def _product(
    node: onnx.NodeProto,
    value: Array,
    axes: tuple[int, ...],
    values: Mapping[str, Array],
    made: dict[str, TensorProto],
) -> list[onnx.NodeProto]:
    """DynamicQuantizeMatMul, with a scale for all of `axes`, and a bias that is a vector of
    weights; another is added."""
    name = node.input[1]
    matrix = value.T if node.op_type == "Gemm" and _attribute(node, "transB", 0) else value
    numbers, scale = quantized(matrix, axes, _MULTIPLIED_MOST)
    inputs = [
        node.input[0],
        _add(made, f"{name}.int8", numbers),
        _add(made, f"{name}.scale", scale.squeeze(axes)),
    ]
    added = node.input[2] if len(node.input) > 2 else ""
    bias = added in values and values[added].shape == numbers.shape[1:]
    if bias:
        inputs += ["", added]
    (output,) = node.output
    target = output if bias or not added else f"{output}.product8"
    found = [
        helper.make_node("DynamicQuantizeMatMul", inputs, [target], name=target, domain=CONTRIB)
    ]
    if added and not bias:
        found.append(helper.make_node("Add", [target, added], [output], name=output))
    return found


def _add(made: dict[str, TensorProto], name: str, value: NDArray[np.generic]) -> str:
    made.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
    return name
