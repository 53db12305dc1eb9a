"""Loops of one step: their bodies in their place.

In a file of single steps a Scan over time runs its body once, and takes 4 to 5 µs to begin, beside
the 12 of a whole call of 64 units (`benchmarks/stream.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rnnspec.to_onnx.idle import known_shapes
from rnnspec.to_onnx.own_steps import nodes_of

AXIS = "integers.first_axis"


def without_loops_of_one(model: onnx.ModelProto) -> None:
    """Replace each Scan of the graph that takes one step, as far as shapes say, by its body. Names
    of values are unique in all graphs, before and after."""
    shapes, found, some = known_shapes(model), list[onnx.NodeProto](), False
    for node in model.graph.node:
        if node.op_type == "Scan" and _takes_one_step(node, shapes):
            found += _body_of(node)
            some = True
        else:
            found.append(node)
    if some:
        del model.graph.node[:]
        model.graph.node.extend(found)
        model.graph.initializer.append(numpy_helper.from_array(np.array([0]), AXIS))


def _takes_one_step(node: onnx.NodeProto, shapes: Mapping[str, tuple[int | None, ...]]) -> bool:
    """Whether it reads sequences along their first axis, of one step."""
    given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    turned = any(any(given.get(f"scan_{which}", ())) for which in _AXES)
    sequences = list(node.input)[len(node.input) - given["num_scan_inputs"] :]
    return not turned and all(shapes.get(name, (None,))[:1] == (1,) for name in sequences)


_AXES = ("input_axes", "output_axes", "input_directions", "output_directions")


def _body_of(node: onnx.NodeProto) -> Iterator[onnx.NodeProto]:
    """The nodes that give what the Scan gives."""
    given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
    body, states = given["body"], len(node.input) - given["num_scan_inputs"]
    named: dict[str, str] = {}
    for place, (inner, outer) in enumerate(zip(body.input, node.input, strict=True)):
        if place < states:
            named[inner.name] = outer
        else:
            yield helper.make_node("Squeeze", [outer, AXIS], [inner.name], name=inner.name)
    computed = {name for each in body.node for name in each.output}
    after: list[onnx.NodeProto] = []
    for place, (inner, outer) in enumerate(zip(body.output, node.output, strict=False)):
        name = inner.name
        if not outer:
            continue
        if place >= states:
            after.append(helper.make_node("Unsqueeze", [name, AXIS], [outer], name=outer))
        elif name in computed:
            named[name] = outer
        else:
            after.append(helper.make_node("Identity", [name], [outer], name=outer))
    every = [*body.node, *after]
    for each in every:
        for part in (each, *(inner for a in each.attribute for inner in nodes_of(a.g))):
            part.input[:] = [named.get(name, name) for name in part.input]
            part.output[:] = [named.get(name, name) for name in part.output]
    yield from every
