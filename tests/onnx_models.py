"""Exported models opened in onnxruntime, and padded feeds for them, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from rnnspec.cells import builtin_cell
from rnnspec.plan import ClassFacts, Facts, Plan, TextFacts, Vocabulary
from rnnspec.plan.nodes import (
    ClassOutput,
    Dense,
    Dropout,
    Embed,
    Pool,
    PoolKind,
    Recurrent,
    TokenKind,
    TokensInput,
    verify,
)
from rnnspec.to_onnx.opsets import graphs_of
from rnnspec.to_onnx.own_steps import nodes_of

Rows = Sequence[Mapping[str, NDArray[np.float32]]]


def opened(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """A checked model in a session on one thread."""
    onnx.checker.check_model(model, full_check=True)
    assert_all_is_read(model)
    onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def assert_no_texts(file: onnx.ModelProto) -> None:
    """No tensor of texts comes in, stands anywhere in the graph or its bodies, or goes out."""
    waiting = [onnx.shape_inference.infer_shapes(file, data_prop=True).graph]
    while waiting:
        graph = waiting.pop()
        for value in (*graph.input, *graph.output, *graph.value_info):
            assert value.type.tensor_type.elem_type != onnx.TensorProto.STRING, value.name
        for tensor in graph.initializer:
            assert tensor.data_type != onnx.TensorProto.STRING, tensor.name
        for node in graph.node:
            assert node.op_type not in ("LabelEncoder", "Tokenizer", "StringConcat"), node.name
            waiting += [each.g for each in node.attribute if each.HasField("g")]


def assert_all_is_read(file: onnx.ModelProto) -> None:
    """No initializer that nothing reads: onnxruntime warns of each where the file is opened."""
    read = {value.name for graph in graphs_of(file.graph) for value in graph.output}
    read |= {name for node in nodes_of(file.graph) for name in node.input}
    assert [name for name in initializers(file) if name not in read] == []


def initializers(file: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Those of the graph and of the bodies in it, by their names, which are unique."""
    every = [each for graph in graphs_of(file.graph) for each in graph.initializer]
    found = {each.name: each for each in every}
    assert len(found) == len(every)
    return found


def feeds(rows: Rows, time: int, filler: float = 0.0, width: int = 3) -> dict[str, NDArray[Any]]:
    """Frames of the rows in one batch of `time` steps, `filler` past each row's length."""
    values = np.full((len(rows), time, width), filler, np.float32)
    for row, into in zip(rows, values, strict=True):
        into[: len(row["frames"])] = row["frames"]
    lengths = np.array([len(row["frames"]) for row in rows], np.int64)
    return {"frames": values, "frames.lengths": lengths}


def text_plan(
    size: int,
    kind: TokenKind = "words",
    fold_case: bool = False,
    pool: PoolKind = "last",
    cell: str = "gru",
) -> Plan:
    """Text of `text` through an embedding and two layers, with dropout, to a class of three."""
    layer = builtin_cell(cell)
    return verify(
        Plan(
            "text",
            "N:1",
            (
                TokensInput("input.text", "text", kind, size, fold_case),
                Embed("embed", "input.text", size, 4),
                Dropout("embed.dropout", "embed", 0.5),
                Recurrent("layers.0", "embed.dropout", layer, 4, 5, "bidirectional"),
                Recurrent("layers.1", "layers.0", layer, 10, 3, "reverse"),
                Dropout("layers.1.dropout", "layers.1", 0.5),
                Pool("pool", "layers.1.dropout", pool, 3, 2 if pool == "attention" else 0),
                Dense("hidden.0", "pool", 3, 6, "gelu"),
                Dense("answer", "hidden.0", 6, 3, "none"),
                ClassOutput("output.mood", "answer", "mood", 3),
            ),
        )
    )


def text_facts(entries: Sequence[str]) -> Facts:
    """Facts that fit `text_plan`; `len(entries) + 2` is its size."""
    vocabulary = Vocabulary(tuple(entries))
    labels = ClassFacts(("froh", "müde", "wütend"))
    return Facts(10, {"text": TextFacts(vocabulary, 9)}, {"mood": labels})
