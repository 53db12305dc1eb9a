"""What exported files ask of a runtime: operators, of the versions and types that it has.

`tests/runtimes/` holds the kernels of the least onnxruntime that files are meant for, as it says
itself (`benchmarks/elsewhere/kernels.py`). Whether it answers the same says
`benchmarks/runtimes.py`, whose table is in `docs/runtimes.md`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from rnnspec.export.probes import probes
from rnnspec.plan import Facts, Plan, resolve
from rnnspec.plan.stream import stream_of
from rnnspec.run.session import Session
from rnnspec.spec import Spec
from rnnspec.to_onnx import to_onnx
from rnnspec.to_onnx.own_steps import nodes_of
from rnnspec.to_onnx.small import Bits, Least, in_few_bits
from tests import ctc, decoders, layers
from tests.kinds import (
    HORIZON,
    SEQUENCES,
    SOUNDS,
    STATICS,
    facts_of,
    output,
    spec_data,
    strong_weights,
)
from tests.models import frames_facts, layers_plan
from tests.test_streams import JOINED, forward

KERNELS = Path(__file__).parent / "runtimes" / "onnxruntime-1.20.json"
Kernels = Mapping[str, Mapping[str, list[Any]]]


@pytest.fixture(scope="module")
def kernels() -> Kernels:
    found: Kernels = json.loads(KERNELS.read_text())
    return found


def lacking(model: onnx.ModelProto, kernels: Kernels) -> set[str]:
    """The operators of a model that have no kernel."""
    model = onnx.shape_inference.infer_shapes(model)
    opsets = {each.domain: each.version for each in model.opset_import}
    types = dict(_types(model.graph))
    return {
        f"{node.op_type}: {reason}"
        for node in nodes_of(model.graph)
        if (reason := _lacks(node, opsets[node.domain], types, kernels))
    }


def _lacks(node: onnx.NodeProto, opset: int, types: Mapping[str, str], kernels: Kernels) -> str:
    schema = None
    if node.domain != "com.microsoft":
        schema = onnx.defs.get_schema(node.op_type, opset, node.domain)
    version = 1 if schema is None else schema.since_version
    fitting = [
        allowed
        for first, last, allowed in kernels[node.domain].get(node.op_type, ())
        if first == version or (last is not None and first < version <= last)
    ]
    if not fitting:
        return "" if getattr(schema, "has_function", False) else f"version {version}"
    if schema is None:
        return ""
    own = dict(_constraints(node, schema, types))
    if any(all(own[name] in each[name] for name in own.keys() & each.keys()) for each in fitting):
        return ""
    return f"version {version} of {own}"


def _constraints(
    node: onnx.NodeProto, schema: onnx.defs.OpSchema, types: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """The type of each parameter of an operator that the graph tells."""
    for names, formal in ((node.input, schema.inputs), (node.output, schema.outputs)):
        for place, name in enumerate(names):
            parameter = formal[min(place, len(formal) - 1)]
            if name in types and not str(parameter.option).endswith("Variadic"):
                yield parameter.type_str, types[name]


def _types(graph: onnx.GraphProto) -> Iterator[tuple[str, str]]:
    for each in (*graph.input, *graph.output, *graph.value_info):
        if each.type.HasField("tensor_type") and each.type.tensor_type.elem_type:
            yield each.name, _title(each.type.tensor_type.elem_type)
    for weight in graph.initializer:
        yield weight.name, _title(weight.data_type)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _types(attribute.g)


def _title(kind: int) -> str:
    return f"tensor({TensorProto.DataType.Name(kind).lower()})"


# ------------------------------------------------------------------------ files of all kinds


def of_kinds() -> Mapping[str, dict[str, Any]]:
    outputs = [output("tags"), output("keys"), output("out_frames"), output("out_double_frames")]
    paths = [output("path"), output("free_path")]
    series = [kind for kind in SEQUENCES if "series" in kind]
    return {
        **{
            f"steps of {kind}": spec_data("N:N", [kind, *STATICS], outputs)
            for kind in (*SEQUENCES, *SOUNDS)
            if kind not in series
        },
        **{
            f"forecast of {kind} as {name}": spec_data(
                "N:1", [kind], [{"column": kind, "as": "forecast", "horizon": HORIZON, **more}]
            )
            for kind in series
            for name, more in DISTRIBUTIONS.items()
        },
        "paths": spec_data("N:N", ["words"], paths),
        "of rows": spec_data(
            "N:1", ["frames"], [output("class"), output("labels"), output("out_doubles")]
        ),
        "attended": spec_data("N:1", ["frames"], [output("class")], pooling="attention"),
        "next": spec_data("N:N", ["chars"], [{"column": "chars", "as": "next"}]),
    }


DISTRIBUTIONS: Mapping[str, dict[str, Any]] = {
    "quantiles": {"distribution": {"quantiles": [0.1, 0.5]}},
    "counts": {"distribution": "negative_binomial"},
    "student": {"distribution": "student_t"},
}


STREAMED = (*JOINED, "norm mean", "pool max", "learned initial state gru reverse")


def models() -> Iterator[tuple[str, Plan, Facts, dict[str, Any]]]:
    """Plans by name, each with options of `to_onnx`."""
    for name in layers.PLANS:
        yield name, layers.plan(name), frames_facts(), {}
    for name in STREAMED:
        plan = resolve(layers.spec(forward(layers.PLANS[name])), frames_facts())
        yield f"{name}, stream", plan, frames_facts(), {"stream": stream_of(plan)}
    for name, data in {**decoders.SPECS, **ctc.ALL, **of_kinds()}.items():
        spec = Spec.model_validate(data)
        facts = facts_of(spec)
        yield name, resolve(spec, facts), facts, {"ids": "tokens" in name}


def test_every_operator_is_there(kernels: Kernels) -> None:
    operators = set()
    for name, plan, facts, options in models():
        model = to_onnx(plan, facts, strong_weights(plan), **options)
        assert not lacking(model, kernels), name
        operators |= {node.op_type for node in nodes_of(model.graph)}
    assert len(operators) > 70


@pytest.mark.parametrize("bits", ["int8", "float16"])
def test_operators_of_small_files(bits: Bits, kernels: Kernels) -> None:
    for name in ("greedy words", "transducer of words"):
        plan, facts = ctc.plan_and_facts(name)
        model = to_onnx(plan, facts, strong_weights(plan))
        small = in_few_bits(model, plan, bits, least=Least(2, 2)).model
        assert not lacking(small, kernels)


@pytest.mark.parametrize("bits", ["int8", "float16"])
def test_scans_of_portable_files_read_no_value_that_is_computed_around_them(bits: Bits) -> None:
    """As OpenVINO's cannot; what onnxruntime answers stays."""
    cells = {"own": layers.OWN_CELLS["one_number"]}
    plan, facts = layers_plan({"cell": "own", "units": 16}, cells=cells), frames_facts()
    whole = to_onnx(plan, facts, strong_weights(plan), ids=True, portable=True)
    small = in_few_bits(whole, plan, bits, ids=True, portable=True).model
    bodies = [
        a.g
        for n in small.graph.node
        if n.op_type == "Scan"
        for a in n.attribute
        if a.name == "body"
    ]
    computed = {name for node in small.graph.node for name in node.output}
    (body,) = bodies
    assert not computed & {name for node in body.node for name in node.input}
    assert any(node.op_type == "Cast" for node in body.node)
    usual = in_few_bits(whole, plan, bits, ids=True, least=Least(256, 10**9)).model
    for probe in probes(plan, facts, ids=True, seeds=1):
        one, other = (Session(m.SerializeToString()).run(probe.feeds) for m in (small, usual))
        for name, value in one.items():
            np.testing.assert_array_equal(value, other[name])


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (("Where", ["yes", "yes", "yes"], ["out"]), "Where: version 16 of {'B': 'tensor(bool)'"),
        (("TensorScatter", ["x", "x"], ["out"]), "TensorScatter: version 24"),
    ],
)
def test_operators_that_are_not_there(node: Any, reason: str, kernels: Kernels) -> None:
    """The newest of them, and one of a type that has none."""
    inputs = [
        helper.make_tensor_value_info("yes", TensorProto.BOOL, [None]),
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, None]),
    ]
    graph = helper.make_graph([helper.make_node(*node)], "g", inputs, [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)])
    (found,) = lacking(model, kernels)
    assert found.startswith(reason)
