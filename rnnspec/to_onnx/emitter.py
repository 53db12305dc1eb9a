"""A small emitter of ONNX graphs: unique names, one copy of each constant, bodies, one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from rnnspec.to_onnx.opsets import HIGHEST, IR_OF_OPSET, graphs_of

Attribute = int | float | str | Sequence[int] | Sequence[float] | Sequence[str] | onnx.GraphProto
Attributes = Mapping[str, Attribute]
Extent = int | str
"""The extent of a dimension: a number, or a name if it varies."""

FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE
UINT8 = TensorProto.UINT8
INT64, STRING, BOOL = TensorProto.INT64, TensorProto.STRING, TensorProto.BOOL
ML_OPSET = 3
CONTRIB, ML = "com.microsoft", "ai.onnx.ml"


@dataclass(slots=True)
class _Shared:
    """What a graph shares with the bodies inside it."""

    taken: set[str]
    initializers: dict[str, TensorProto]
    constants: dict[tuple[str, tuple[int, ...], bytes], str]
    domains: set[str]
    renamed: dict[str, str]


class Emitter:
    """A graph under construction. Values are known by name; each name is given out once.

    Initializers of bodies go to the root; `rnnspec.to_onnx.inner` puts them back when all is there.
    """

    def __init__(self, shared: _Shared | None = None) -> None:
        self._shared = shared or _Shared(set(), {}, {}, set(), {})
        self._nodes: list[onnx.NodeProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._types: list[onnx.ValueInfoProto] = []

    def body(self) -> Emitter:
        """A graph inside this one; it may read every value and initializer of this one."""
        return Emitter(self._shared)

    def name(self, wanted: str) -> str:
        """`wanted`, or `wanted_2` and so on where it is taken."""
        name, count = wanted, 1
        while name in self._shared.taken:
            count += 1
            name = f"{wanted}_{count}"
        self._shared.taken.add(name)
        return name

    def reserve(self, names: Sequence[str]) -> None:
        """Keep the names of the model's own inputs and outputs from inner values."""
        self._shared.taken.update(names)

    def input(
        self,
        name: str,
        kind: int,
        shape: Sequence[Extent],
        doc: str = "",
        *,
        reserved: bool = False,
    ) -> str:
        """An input of this graph; `reserved` if its name has been kept for it."""
        name = name if reserved else self.name(name)
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape, doc))
        return name

    def emits(self, value: str) -> bool:
        """Whether an operator of this very graph, not of one around or inside it, gives `value`."""
        return any(value in node.output for node in self._nodes)

    def can_leave(self, value: str) -> bool:
        """Whether `value` is one of an operator of this graph that does not leave it already."""
        return self.emits(value) and value not in self._shared.renamed

    def output(self, value: str, name: str, kind: int, shape: Sequence[Extent], doc: str) -> None:
        """`value` leaves the model as `name`, which must have been reserved."""
        self._shared.renamed[value] = name
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape, doc))

    def result(self, value: str, kind: int, shape: Sequence[Extent]) -> None:
        """`value` leaves this body, in the order of the calls."""
        self._outputs.append(helper.make_tensor_value_info(value, kind, shape))

    def typed(self, value: str, kind: int, shape: Sequence[Extent]) -> str:
        """`value`, with its type stated where shape inference cannot know it."""
        self._types.append(helper.make_tensor_value_info(value, kind, shape))
        return value

    def weight(self, name: str, value: NDArray[np.generic]) -> str:
        """An initializer; the same value under the same name is emitted once."""
        tensor = numpy_helper.from_array(value.copy(order="C"), name)
        known = self._shared.initializers.get(name)
        if known is not None and known == tensor:
            return name
        name = self.name(name)
        tensor.name = name
        self._shared.initializers[name] = tensor
        return name

    def strings(self, name: str, value: Sequence[str | bytes]) -> str:
        """An initializer `[len(value)]` of texts, or of parts of their UTF-8."""
        name = self.name(name)
        encoded = [v if isinstance(v, bytes) else v.encode() for v in value]
        self._shared.initializers[name] = TensorProto(
            name=name, data_type=STRING, dims=[len(value)], string_data=encoded
        )
        return name

    def constant(self, value: NDArray[np.generic], name: str) -> str:
        """A small initializer; equal ones share the first one's name."""
        key = (value.dtype.str, value.shape, value.tobytes())
        if key not in self._shared.constants:
            self._shared.constants[key] = self.weight(name, value)
        return self._shared.constants[key]

    def integers(self, *values: int) -> str:
        """An int64 initializer `[len(values)]`: axes, shapes, sizes."""
        text = "_".join(str(value).replace("-", "minus") for value in values)
        return self.constant(np.array(values, np.int64), f"integers.{text}")

    def integer(self, value: int) -> str:
        """An int64 initializer without dimensions."""
        return self.constant(np.array(value, np.int64), f"integer.{value}".replace("-", "minus"))

    def number(self, value: float, kind: int = FLOAT) -> str:
        """An initializer without dimensions, of floats or doubles."""
        dtype = np.float64 if kind == DOUBLE else np.float32
        return self.constant(np.array(value, dtype), f"number.{value:g}")

    def cast(self, value: str, of: int, to: int, name: str) -> str:
        """`value`, of the element type `of`, in the element type `to`."""
        return value if of == to else self.op("Cast", [value], name, to=to)

    def unsqueeze(self, value: str, axis: int, name: str) -> str:
        """`value` with an axis of one element."""
        return self.op("Unsqueeze", [value, self.integers(axis)], name)

    def squeeze(self, value: str, axis: int, name: str) -> str:
        """`value` without an axis of one element."""
        return self.op("Squeeze", [value, self.integers(axis)], name)

    def extent(self, value: str, axis: int, name: str) -> str:
        """Int64 `[1]`: the extent of an axis."""
        return self.op("Shape", [value], name, start=axis, end=axis + 1)

    def transpose(self, value: str, order: Sequence[int], name: str) -> str:
        """`value` with its axes in this order."""
        return self.op("Transpose", [value], name, perm=order)

    def concat(self, values: Sequence[str], axis: int, name: str) -> str:
        """The values one after the other on an axis."""
        return self.op("Concat", values, name, axis=axis)

    def slice(self, value: str, start: int | str, end: int | str, axis: int, name: str) -> str:
        """The elements from `start` to before `end` on an axis; texts name int64 values `[1]`."""
        bounds = [each if isinstance(each, str) else self.integers(each) for each in (start, end)]
        return self.op("Slice", [value, *bounds, self.integers(axis)], name)

    def reduce(self, kind: str, value: str, axis: int, name: str, keep: bool = False) -> str:
        """`value` reduced by the operator `kind` over an axis, which stays if `keep`."""
        return self.op(kind, [value, self.integers(axis)], name, keepdims=int(keep))

    def range(self, extent: str, name: str) -> str:
        """Int64: 0 to before `extent`, an int64 without dimensions."""
        return self.op("Range", [self.integer(0), extent, self.integer(1)], name)

    def pick(self, values: str, places: str, name: str) -> str:
        """`[R, P]`: of each row of values `[R, W]` the elements at its `places` `[R, P]`."""
        return self.op("GatherElements", [values, places], name, axis=1)

    def scatter(self, into: str, places: str, values: str, name: str, reduction: str) -> str:
        """`[R, W]`: in each row, values `[R, P]` reduced with those at their `places`."""
        inputs = [into, places, values]
        return self.op("ScatterElements", inputs, name, axis=1, reduction=reduction)

    def op(
        self,
        kind: str,
        inputs: Sequence[str],
        name: str,
        domain: str = "",
        /,
        **attributes: Attribute,
    ) -> str:
        """Emit one operator with one output called `name`; the output's name."""
        return self.ops(kind, inputs, [name], domain, **attributes)[0]

    def ops(
        self,
        kind: str,
        inputs: Sequence[str],
        names: Sequence[str],
        domain: str = "",
        /,
        **attributes: Attribute,
    ) -> list[str]:
        """Emit one operator; the names of its outputs. An empty name leaves an output out."""
        self._shared.domains.add(domain)
        outputs = [self.name(name) if name else "" for name in names]
        title = next(filter(None, outputs))
        node = helper.make_node(kind, inputs, outputs, name=title, domain=domain)
        node.attribute.extend(
            helper.make_attribute(key, value) for key, value in attributes.items()
        )
        self._nodes.append(node)
        return outputs

    def graph(self, name: str) -> onnx.GraphProto:
        """This body as a graph, without initializers of its own."""
        return helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, value_info=self._types
        )

    def model(self, name: str, doc: str, version: str) -> onnx.ModelProto:
        """The whole model, at the highest opset."""
        graph = self.graph(name)
        _rename(graph, self._shared.renamed)
        inside = list(graphs_of(graph))
        read = {name for each in inside for node in each.node for name in node.input}
        read |= {value.name for each in inside for value in each.output}
        # Of a mean and a deviation, say, a lowering may use one; onnxruntime warns of the other.
        graph.initializer.extend(t for n, t in self._shared.initializers.items() if n in read)
        versions = {"": HIGHEST, ML: ML_OPSET, CONTRIB: 1}
        return helper.make_model(
            graph,
            opset_imports=[
                onnx.OperatorSetIdProto(domain=domain, version=versions[domain])
                for domain in sorted(self._shared.domains | {""})
            ],
            ir_version=IR_OF_OPSET[HIGHEST],
            producer_name="rnnspec",
            producer_version=version,
            doc_string=doc,
        )


def fix_extent(graph: onnx.GraphProto, name: str, extent: int) -> None:
    """Make the dimension called `name` a number, in a graph and its bodies."""
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param == name:
                dimension.dim_value = extent
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                fix_extent(attribute.g, name, extent)


def _rename(graph: onnx.GraphProto, renamed: Mapping[str, str]) -> None:
    """Give values the names of the model's outputs, wherever they are emitted or read."""
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        node.output[:] = [renamed.get(name, name) for name in node.output]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, renamed)
