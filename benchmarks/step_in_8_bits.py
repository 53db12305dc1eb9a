"""Ways to write a GRU in 8 bits for onnxruntime, against its own operator in float32.

Files made by hand, one thread, in turns, in CPU time: microseconds a step (median) and how many
times as fast as the operator. The products of the inputs stand before the loop; a step of a Scan is

- channel, matrix: DynamicQuantizeMatMul for each gate, a scale for each column, or one for all;
- fixed: QuantizeLinear by 1/127, for the state is within 1, and MatMulIntegerToFloat for each gate;
- joined: one product for all gates, which Split cuts; joined channel: with a scale for each column;
- joined fixed: as both say; joined unsigned: weights of uint8 too; joined QGemm: by that operator;
- 4 bits, 8 bits: the joined product as MatMulNBits, whose kernels multiply whole numbers
  (`accuracy_level` 4), with a scale for so many numbers (8 bits: onnxruntime 1.31 and newer);
- four steps: joined, four steps in a body;
- only gates, only product: joined, without its product, or without what follows it.

`parts` are what a step is made of: a Scan with one small operator, a further one of each kind, and
products by their columns.

    python benchmarks/step_in_8_bits.py --units 256 512
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import onnxruntime as ort
from interleave import interleave, ratio
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

STEPS, MOST = 50, 63
Arrays = dict[str, Any]


def op(kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> NodeProto:
    domain = "com.microsoft" if kind in OWN else ""
    return helper.make_node(kind, inputs, outputs, domain=domain, **attributes)


OWN = {"DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QGemm", "MatMulNBits"}


def in_8_bits(value: NDArray[Any], axis: int | None) -> tuple[NDArray[np.int8], NDArray[Any]]:
    scale = np.abs(value).max(axis=axis) / MOST
    return np.rint(value / scale).astype(np.int8), np.asarray(scale, np.float32)


def told(name: str, *shape: int | str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def session(nodes: list[NodeProto], arrays: Arrays, units: int) -> ort.InferenceSession:
    """A file with `x` `[T, B, units]` and `h` `[1, B, units]` in, `y` out."""
    used = {name for node in nodes for name in _reads(node)}
    tensors = [numpy_helper.from_array(np.asarray(v), k) for k, v in arrays.items() if k in used]
    inputs = [told("x", "T", "B", units), told("h", 1, "B", units)]
    graph = helper.make_graph(nodes, "step", inputs, [told("y", "T", "B", units)], tensors)
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    content = model.SerializeToString()
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _reads(node: NodeProto) -> set[str]:
    found = set(node.input)
    for attribute in node.attribute:
        for inner in attribute.g.node:
            found |= _reads(inner)
    return found


def scan(
    body: list[NodeProto], units: int, sequences: dict[str, int], rows: int = 1, after: str = "h2"
) -> NodeProto:
    """A loop over `sequences`, by their widths, `rows` steps at a time; `h` becomes `after`, and
    `y.out` is what it gives."""
    inputs = [told("h", 1, "B", units)]
    inputs += [told(f"{n}.in", rows, "B", width) for n, width in sequences.items()]
    outputs = [told(after, 1, "B", units), told("y.out", rows, "B", units)]
    graph = helper.make_graph(body, "body", inputs, outputs)
    names = ["h", *(f"{name}.by" for name in sequences)]
    return op("Scan", names, ["h.last", "y.by"], body=graph, num_scan_inputs=len(sequences))


# ---------------------------------------------------------------- a GRU


def weights(units: int) -> Arrays:
    draw, bound = np.random.default_rng(0), units**-0.5
    found: Arrays = {}
    for gate in "zrn":
        for name in "WU":
            found[name + gate] = draw.uniform(-bound, bound, (units, units)).astype(np.float32)
        for name in "bc":
            found[name + gate] = draw.uniform(-bound, bound, units).astype(np.float32)
    return found


def operator(of: Arrays, units: int) -> ort.InferenceSession:
    def packed(name: str) -> NDArray[Any]:
        return np.concatenate(
            [of[name + gate].T if name in "WU" else of[name + gate] for gate in "zrn"]
        )[None]

    arrays = {"W": packed("W"), "R": packed("U"), "axis": np.array([1])}
    arrays["B"] = np.concatenate([packed("b"), packed("c")], 1)
    inputs = ["x", "W", "R", "B", "", "h"]
    nodes = [
        op("GRU", inputs, ["all"], hidden_size=units, linear_before_reset=1),
        op("Squeeze", ["all", "axis"], ["y"]),
    ]
    return session(nodes, arrays, units)


Product = Callable[[Arrays, str, NDArray[Any], NDArray[Any], str, str], list[NodeProto]]
"""The nodes of a product: `arrays` to add to, its name, matrix and bias, what is multiplied, and
the name of what comes out."""


def dynamic(
    axis: int | None, arrays: Arrays, name: str, matrix: Any, bias: Any, of: str, out: str
) -> list[NodeProto]:
    arrays[f"{name}.8"], arrays[f"{name}.s"] = in_8_bits(matrix, axis)
    arrays[f"{name}.b"] = bias
    inputs = [of, f"{name}.8", f"{name}.s", "", f"{name}.b"]
    return [op("DynamicQuantizeMatMul", inputs, [out])]


def fixed(
    kind: str, arrays: Arrays, name: str, matrix: Any, bias: Any, of: str, out: str
) -> list[NodeProto]:
    """`of` by 1/127; the state is within 1."""
    numbers, scale = in_8_bits(matrix, None)
    arrays |= {f"{name}.8": numbers, f"{name}.s": scale, f"{name}.b": bias}
    arrays |= {"of.s": np.float32(1 / 127), "of.z": np.uint8(128)}
    zero = ""
    if kind == "unsigned":
        arrays[f"{name}.8"] = (numbers.astype(np.int16) + 128).astype(np.uint8)
        arrays[(zero := f"{name}.z")] = np.uint8(128)
    whole = op("QuantizeLinear", [of, "of.s", "of.z"], [f"{out}.8"])
    if kind == "QGemm":
        units = matrix.shape[0]
        arrays |= {f"{name}.z": np.int8(0), f"{name}.i": np.rint(bias * 127 / scale).astype("i4")}
        arrays |= {
            f"{name}.flat": np.array([-1, units]),
            f"{name}.up": np.array([1, -1, 3 * units]),
        }
        inputs = [f"{out}.flat", "of.s", "of.z", f"{name}.8", f"{name}.s", f"{name}.z", f"{name}.i"]
        return [
            whole,
            op("Reshape", [f"{out}.8", f"{name}.flat"], [f"{out}.flat"]),
            op("QGemm", inputs, [f"{out}.rows"]),
            op("Reshape", [f"{out}.rows", f"{name}.up"], [out]),
        ]
    inputs = [f"{out}.8", f"{name}.8", "of.s", f"{name}.s", "of.z", zero, f"{name}.b"]
    return [whole, op("MatMulIntegerToFloat", inputs, [out])]


def in_blocks(
    bits: int, block: int, arrays: Arrays, name: str, matrix: Any, bias: Any, of: str, out: str
) -> list[NodeProto]:
    units, columns = matrix.shape
    parts, half = matrix.T.reshape(columns, units // block, block), 2 ** (bits - 1)
    scale = np.abs(parts).max(-1, keepdims=True) / (half - 1)
    numbers = (np.rint(parts / scale) + half).astype(np.uint8)
    if bits == 4:
        numbers = numbers[..., ::2] | numbers[..., 1::2] << 4
    arrays |= {f"{name}.8": numbers, f"{name}.s": scale.ravel(), f"{name}.b": bias}
    sizes = {"K": units, "N": columns, "bits": bits, "block_size": block, "accuracy_level": 4}
    product = op("MatMulNBits", [of, f"{name}.8", f"{name}.s"], [f"{out}.0"], **sizes)
    return [product, op("Add", [f"{out}.0", f"{name}.b"], [out])]


def gates(end: str, z: str, r: str, n: str, h: str, x: str) -> list[NodeProto]:
    """What follows the gates `z` and `r` and the product `n`: `h2` with the ending `end`."""
    return [
        op("Mul", [r, n], [f"rn{end}"]),
        op("Add", [f"rn{end}", x], [f"an{end}"]),
        op("Tanh", [f"an{end}"], [f"t{end}"]),
        op("Sub", [h, f"t{end}"], [f"d{end}"]),
        op("Mul", [z, f"d{end}"], [f"zd{end}"]),
        op("Add", [f"t{end}", f"zd{end}"], [f"h2{end}"]),
    ]


def apart(product: Product, of: Arrays, arrays: Arrays) -> list[NodeProto]:
    found = []
    for gate in "rnz":
        bias = of["cn"] if gate == "n" else np.zeros_like(of["cn"])
        found += product(arrays, f"U{gate}", of[f"U{gate}"], bias, "h", f"u{gate}")
    for gate in "rz":
        found.append(op("Add", [f"u{gate}", f"{gate}.in"], [f"a{gate}"]))
        found.append(op("Sigmoid", [f"a{gate}"], [gate]))
    return [*found, *gates("", "z", "r", "un", "h", "n.in")]


def joined(
    product: Product, of: Arrays, arrays: Arrays, end: str = "", h: str = "h", part: str = "all"
) -> list[NodeProto]:
    units = len(of["cn"])
    arrays |= {"two": np.array([2 * units, units]), "halves": np.array([units, units])}
    matrix = np.concatenate([of["Uz"], of["Ur"], of["Un"]], 1)
    bias = np.concatenate([np.zeros(2 * units, np.float32), of["cn"]])
    found = product(arrays, "U", matrix, bias, h, f"u{end}")
    if part == "gates":
        arrays["none"] = np.zeros((1, 1, 3 * units), np.float32)
        found = [op("Sum", ["none", "zeros"], [f"u{end}"])]
    found.append(op("Split", [f"u{end}", "two"], [f"uzr{end}", f"un{end}"], axis=-1))
    if part == "product":
        return [*found, op("Add", [f"un{end}", f"n.in{end}"], [f"h2{end}"])]
    return [
        *found,
        op("Add", [f"uzr{end}", f"zr.in{end}"], [f"azr{end}"]),
        op("Sigmoid", [f"azr{end}"], [f"zr{end}"]),
        op("Split", [f"zr{end}", "halves"], [f"z{end}", f"r{end}"], axis=-1),
        *gates(end, f"z{end}", f"r{end}", f"un{end}", h, f"n.in{end}"),
    ]


def layer(of: Arrays, units: int, way: str) -> ort.InferenceSession:
    products: dict[str, Product] = {
        "channel": partial(dynamic, 0),
        "fixed": partial(fixed, "signed"),
        "unsigned": partial(fixed, "unsigned"),
        "QGemm": partial(fixed, "QGemm"),
        "4 bits by 32": partial(in_blocks, 4, 32),
        "4 bits by 128": partial(in_blocks, 4, 128),
        "8 bits by 128": partial(in_blocks, 8, 128),
        "8 bits by 256": partial(in_blocks, 8, 256),
    }
    product = products.get(way.removeprefix("joined "), partial(dynamic, None))
    arrays: Arrays = {}
    parts = list("zrn") if way in ("channel", "matrix", "fixed") else ["zr", "n"]
    many = 4 if way == "four steps" else 1
    nodes: list[NodeProto] = []
    for name in parts:
        matrix = np.concatenate([of[f"W{gate}"] for gate in name], 1)
        bias = np.concatenate(
            [of[f"b{gate}"] + (of[f"c{gate}"] if gate != "n" else 0) for gate in name]
        )
        nodes += dynamic(0, arrays, f"W{name}", matrix, bias, "x", f"{name}.all")
        arrays[f"{name}.to"] = np.array([-1, many, ROWS[0], units * len(name)])
        nodes.append(op("Reshape", [f"{name}.all", f"{name}.to"], [f"{name}.by"]))
    if len(parts) == 3:
        body = apart(product, of, arrays)
    elif many == 1:
        arrays["zeros"] = np.zeros(1, np.float32)
        part = way.removeprefix("only ") if way.startswith("only") else "all"
        body = joined(product, of, arrays, part=part)
    else:
        arrays["ones"] = np.ones(many, np.int64)
        body, h = [], "h"
        for name in parts:
            steps = [f"{name}.in.{k}" for k in range(many)]
            body.append(op("Split", [f"{name}.in", "ones"], steps, axis=0))
        for k in range(many):
            body += joined(product, of, arrays, f".{k}", h)
            h = f"h2.{k}"
    after = "h2" if many == 1 else f"h2.{many - 1}"
    leaving = [after] if many == 1 else [f"h2.{k}" for k in range(many)]
    body.append(
        op(
            "Identity" if many == 1 else "Concat",
            leaving,
            ["y.out"],
            **({} if many == 1 else {"axis": 0}),
        )
    )
    widths = {name: units * len(name) for name in parts}
    nodes.append(scan(body, units, widths, many, after))
    arrays["flat"] = np.array([-1, ROWS[0], units])
    nodes.append(op("Reshape", ["y.by", "flat"], ["y"]))
    return session(nodes, arrays, units)


ROWS = [1]
WAYS = (
    "channel",
    "matrix",
    "fixed",
    "joined",
    "joined channel",
    "joined fixed",
    "joined unsigned",
    "joined QGemm",
    "4 bits by 32",
    "4 bits by 128",
    "8 bits by 128",
    "8 bits by 256",
    "four steps",
    "only gates",
    "only product",
)


# ---------------------------------------------------------------- what a step is made of


def of_parts(units: int) -> dict[str, ort.InferenceSession]:
    found = {"Scan": chain(units, [])}
    for kind in ("Add", "Mul", "Sigmoid", "Tanh", "Identity"):
        found[kind] = chain(units, [kind] * 10)
    for columns in (units, 3 * units):
        matrix = np.random.default_rng(0).uniform(-0.06, 0.06, (units, columns))
        for name, axis in (("float32", 0), ("channel", 0), ("matrix", None)):
            found[f"{name} {columns}"] = chain(units, [name], matrix.astype(np.float32), axis)
    return found


def chain(
    units: int, kinds: Sequence[str], matrix: Any = None, axis: int | None = None
) -> ort.InferenceSession:
    arrays: Arrays = {
        "to": np.array([-1, 1, ROWS[0], units]),
        "flat": np.array([-1, ROWS[0], units]),
    }
    body, value = [], "h"
    for place, kind in enumerate(kinds):
        out = f"v{place}"
        if kind == "float32":
            arrays["U"] = matrix
            body.append(op("MatMul", [value, "U"], [out]))
        elif matrix is not None:
            body += dynamic(axis, arrays, "U", matrix, np.zeros(matrix.shape[1], "f4"), value, out)
        else:
            inputs = [value, "s.in"] if kind in ("Add", "Mul") else [value]
            body.append(op(kind, inputs, [out]))
        value = out
    if matrix is not None:  # read by nothing that costs
        arrays["most"] = np.array([units])
        arrays["none"], arrays["last"] = np.array([0]), np.array([2])
        body.append(op("Slice", [value, "none", "most", "last"], ["v"]))
        value = "v"
    body += [op("Add", [value, "s.in"], ["h2"]), op("Identity", ["h2"], ["y.out"])]
    nodes = [
        op("Reshape", ["x", "to"], ["s.by"]),
        scan(body, units, {"s": units}),
        op("Reshape", ["y.by", "flat"], ["y"]),
    ]
    return session(nodes, arrays, units)


def measure(units: int, rows: int, rounds: int) -> None:
    ROWS[0] = rows
    of = weights(units)
    sessions = {"operator": operator(of, units)}
    for way in WAYS:
        try:
            sessions[way] = layer(of, units, way)
        except Exception as error:  # an operator that this onnxruntime lacks
            print(f"{way}: {str(error).splitlines()[0][:90]}")
    draw, steps = np.random.default_rng(0), STEPS - STEPS % 4
    feeds = {"x": draw.normal(size=(steps, rows, units)).astype(np.float32)}
    feeds["h"] = np.zeros((1, rows, units), np.float32)
    right = sessions["operator"].run(None, feeds)[0]
    taken = _taken(sessions, feeds, rounds)
    for way, each in sessions.items():
        wrong = np.abs(each.run(None, feeds)[0] - right).max()
        print(
            f"GRU H={units} B={rows} {way:<16} {statistics.median(taken[way]) * 1e6 / steps:7.2f}"
            f" µs a step  x{ratio(taken['operator'], taken[way]):.2f}"
            + ("" if way.startswith("only") else f"  within {wrong:.3f}"),
            flush=True,
        )
    parts = of_parts(units)
    feeds["x"] *= 0.01
    taken = _taken(parts, feeds, rounds)
    base = statistics.median(taken["Scan"]) * 1e6 / steps
    shown = [f"Scan {base:.2f}"]
    for name in list(parts)[1:]:
        own = statistics.median(taken[name]) * 1e6 / steps - base
        shown.append(f"{name} {own / (1 if ' ' in name else 10):.2f}")
    print(f"parts H={units} B={rows} µs: {', '.join(shown)}", flush=True)


def _taken(
    sessions: dict[str, ort.InferenceSession], feeds: Arrays, rounds: int
) -> dict[str, list[float]]:
    def run(each: ort.InferenceSession) -> None:
        each.run(None, feeds)

    return interleave({name: partial(run, each) for name, each in sessions.items()}, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--units", type=int, nargs="+", default=[256])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--rounds", type=int, default=15, help="at 32 rows; 7 times that at 1")
    options = parser.parse_args()
    for units in options.units:
        for rows in options.rows:
            measure(units, rows, options.rounds * (7 if rows == 1 else 1))


if __name__ == "__main__":
    main()
