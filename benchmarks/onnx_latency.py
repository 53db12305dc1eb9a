"""Latency of an exported N:1 model against a minimal hand-made ONNX file.

The hand-made file is the least that computes the same kind of answer around the same native
operators: Transpose (for ids and text after a Gather from the embedding, for text after a split
and a look-up), the recurrent operators, the last state, Gemm, Softmax, ArgMax. It knows no
scaling, no pooling and no labels. Cell, sizes, directions and kind of input are read from the
given file; the weights are random.

  python benchmarks/onnx_latency.py model.onnx
  python benchmarks/onnx_latency.py --kind frames --units 128

The second form has no file to measure and runs the hand-made one against itself: its ratio shows
the noise. Both run in one process on one thread, in turns; the ratio is the median over turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from interleave import interleave, ratio
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
KINDS: dict[tuple[int, int], str] = {
    (TensorProto.FLOAT, 3): "frames",
    (TensorProto.INT64, 2): "ids",
    (TensorProto.STRING, 1): "text",
    (TensorProto.INT64, 1): "lengths",
    (TensorProto.INT32, 1): "lengths",
}
WORDS = [f"w{index}" for index in range(1000)]
LENGTHS_TYPE: dict[int, type[np.generic]] = {
    TensorProto.INT64: np.int64,
    TensorProto.INT32: np.int32,
}


@dataclass(frozen=True)
class Layer:
    """A native operator with weights W [directions, gates * units, inputs]."""

    operator: str
    directions: int
    inputs: int
    units: int
    linear_before_reset: int = 0


def kind_of(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    kind = KINDS.get((tensor.elem_type, len(tensor.shape.dim)))
    if kind is None:
        raise SystemExit(f"input {value.name!r} is none of {sorted(set(KINDS.values()))}")
    return kind


def read(path: Path) -> tuple[str, list[Layer]]:
    """The kind of input of a file and its native operators, in order."""
    graph = onnx.load(path).graph
    dims = {weight.name: weight.dims for weight in graph.initializer}
    layers = []
    for node in graph.node:
        if node.op_type in GATES:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            directions, _, inputs = dims[node.input[1]]
            before = attributes.get("linear_before_reset", 0)
            units = attributes["hidden_size"]
            layers.append(Layer(node.op_type, directions, inputs, units, before))
    kinds = {kind_of(value) for value in graph.input} - {"lengths"}
    if not layers or len(kinds) != 1:
        raise SystemExit(f"{path}: needs one sequence as input and a native recurrent operator")
    return kinds.pop(), layers


class HandMade:
    """A graph as a list of nodes, with random weights."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.random = np.random.default_rng(0)

    def add(self, operator: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        self.nodes.append(helper.make_node(operator, inputs, outputs, **attributes))

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def weight(self, name: str, *shape: int) -> str:
        return self.constant(name, self.random.normal(0, 0.1, shape).astype(np.float32))

    def sequence(self, kind: str, inputs: int) -> tuple[list[onnx.ValueInfoProto], str]:
        """The graph's inputs, and the value [B, T, inputs]; ``lengths`` is int32 [B]."""
        if kind == "frames":
            frames = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["B", "T", inputs])
            return [frames, lengths_info()], "x"
        if kind == "ids":
            ids, given = "x", [helper.make_tensor_value_info("x", TensorProto.INT64, ["B", "T"])]
            given.append(lengths_info())
        else:
            given = [helper.make_tensor_value_info("x", TensorProto.STRING, ["B"])]
            self.add("StringSplit", ["x"], ["words", "counts"])
            self.add("Cast", ["counts"], ["lengths"], to=TensorProto.INT32)
            self.add(
                "LabelEncoder", ["words"], ["ids"], domain="ai.onnx.ml", default_int64=1,
                keys_strings=WORDS, values_int64s=list(range(2, len(WORDS) + 2)),
            )  # fmt: skip
            ids = "ids"
        self.add("Gather", [self.weight("embedding", len(WORDS) + 2, inputs), ids], ["embedded"])
        return given, "embedded"

    def layer(self, index: int, layer: Layer, x: str, last: bool) -> str:
        """[T, B, I] to [T, B, D*H], or for the last layer to its last state [D, B, H]."""
        y, state, d, h = f"y{index}", f"h{index}", layer.directions, layer.units
        rows = GATES[layer.operator] * h
        extra = {"linear_before_reset": layer.linear_before_reset}
        self.add(
            layer.operator,
            [
                x,
                self.weight(f"W{index}", d, rows, layer.inputs),
                self.weight(f"R{index}", d, rows, h),
                self.weight(f"B{index}", d, 2 * rows),
                "lengths",
            ],
            ["" if last else y, state],
            hidden_size=h,
            direction="bidirectional" if d == 2 else "forward",
            **(extra if layer.operator == "GRU" else {}),
        )
        if last:
            return state
        shape = self.constant(f"shape{index}", np.array([0, 0, d * h]))
        self.add("Transpose", [y], [f"{y}t"], perm=[0, 2, 1, 3])
        self.add("Reshape", [f"{y}t", shape], [f"{y}r"])
        return f"{y}r"


def lengths_info() -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info("lengths", TensorProto.INT32, ["B"])


def hand_made(kind: str, layers: list[Layer], classes: int) -> onnx.ModelProto:
    graph = HandMade()
    inputs, x = graph.sequence(kind, layers[0].inputs)
    graph.add("Transpose", [x], ["steps"], perm=[1, 0, 2])
    x = "steps"
    for index, layer in enumerate(layers):
        x = graph.layer(index, layer, x, last=index == len(layers) - 1)
    width = layers[-1].directions * layers[-1].units
    graph.add("Transpose", [x], ["rows"], perm=[1, 0, 2])
    graph.add("Reshape", ["rows", graph.constant("flat", np.array([0, width]))], ["state"])
    head = [graph.weight("head", width, classes), graph.weight("bias", classes)]
    graph.add("Gemm", ["state", *head], ["logits"])
    graph.add("Softmax", ["logits"], ["probabilities"])
    graph.add("ArgMax", ["probabilities"], ["class"], axis=1, keepdims=0)
    outputs = [
        helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["B", classes]),
        helper.make_tensor_value_info("class", TensorProto.INT64, ["B"]),
    ]
    model = helper.make_model(
        helper.make_graph(graph.nodes, "hand_made", inputs, outputs, graph.weights),
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=10,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def caller(path: Path, rows: int, steps: int) -> Callable[[], None]:
    """A call of the model on ``rows`` random rows, all ``steps`` long."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    feeds: dict[str, NDArray[Any]] = {}
    for value in onnx.load(path).graph.input:
        tensor = value.type.tensor_type
        kind = kind_of(value)
        if kind == "frames":
            width = tensor.shape.dim[2].dim_value
            feeds[value.name] = random.normal(size=(rows, steps, width)).astype(np.float32)
        elif kind == "ids":
            feeds[value.name] = random.integers(2, len(WORDS), (rows, steps))
        elif kind == "text":
            sentences = [" ".join(random.choice(WORDS, steps)) for _ in range(rows)]
            feeds[value.name] = np.array(sentences, dtype=object)
        else:
            feeds[value.name] = np.full(rows, steps, LENGTHS_TYPE[tensor.elem_type])
    return lambda: void(session.run(None, feeds))


def void(_: object) -> None:
    """For calls whose answer does not matter."""


def measure(files: dict[str, Path], rows: int, steps: int, rounds: int) -> dict[str, float]:
    calls = {name: caller(path, rows, steps) for name, path in files.items()}
    minimal, other = interleave(calls, rounds).values()
    result = {
        "rows": rows,
        "steps": steps,
        "minimal_ms": 1e3 * statistics.median(minimal),
        "model_ms": 1e3 * statistics.median(other),
        "ratio": ratio(other, minimal),
    }
    print(
        f"{rows:>5} {steps:>6} {result['minimal_ms']:>13.3f} {result['model_ms']:>9.3f}"
        f" {result['ratio']:>7.3f}"
    )
    return result


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, nargs="?", help="the exported file to measure")
    parser.add_argument("--classes", type=int, default=10, help="of the hand-made head")
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 32], help="batch sizes")
    parser.add_argument("--steps", type=int, nargs="+", default=[50], help="lengths")
    parser.add_argument("--rounds", type=int, default=300, help="timed calls of each file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    alone = parser.add_argument_group("without a file")
    alone.add_argument("--kind", choices=["frames", "ids", "text"], default="frames")
    alone.add_argument("--cell", choices=["rnn", "gru", "lstm"], default="lstm")
    alone.add_argument("--units", type=int, default=128)
    alone.add_argument("--inputs", type=int, default=32, help="features, or width of embedding")
    alone.add_argument("--bidirectional", action="store_true")
    return parser.parse_args()


def main() -> None:
    given = options()
    if given.model:
        kind, layers = read(given.model)
    else:
        directions = 2 if given.bidirectional else 1
        kind = given.kind
        layers = [Layer(given.cell.upper(), directions, given.inputs, given.units)]
    with tempfile.TemporaryDirectory() as folder:
        minimal = Path(folder) / "minimal.onnx"
        onnx.save(hand_made(kind, layers, given.classes), minimal)
        print(f"{kind} through {', '.join(map(str, layers))}")
        print(f"{'rows':>5} {'steps':>6} {'hand-made ms':>13} {'model ms':>9} {'ratio':>7}")
        files = {"minimal": minimal, "model": given.model or minimal}
        results = [
            measure(files, rows, steps, given.rounds)
            for rows in given.rows
            for steps in given.steps
        ]
    if given.json:
        given.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
