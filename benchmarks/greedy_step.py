"""Where a step of greedy decoding goes in onnxruntime, and what other forms of its body give.

The file is that of a speller: a bidirectional GRU, a GRU decoder with general attention asked by
its output, 28 tokens, embeddings of 64. Weights are random and no row ends by itself, so that each
takes 24 steps; of compaction, each row takes as many steps as it has letters, 5 to 20. All forms
are made of the exported file, one change each, and give the same answers. One thread, CPU time,
forms in turns; a ratio is the median over rounds of a form's time to that of the exported file.

  python benchmarks/greedy_step.py
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime as ort
from interleave import interleave, ratio
from joeynmt import Settings, tool_spec, words, write_pairs
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper

from rnnspec.bench.clock import peak
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import read_build
from rnnspec.to_onnx import to_onnx
from rnnspec.to_onnx.inner import into_bodies, to_root
from rnnspec.train.build import build

STEPS, TIME, EMBED = 24, 20, 64
CELL, HIDDEN = "decoder.layers.0.forward", "decoder.hidden"
STATE, NEXT, TOKEN = f"{CELL}.h.before_2", f"{CELL}.sum_31", "output.answer.previous.before_2"
FED, ROWS = "output.answer.search.steps", "output.answer.search.rows.before"
Weights = dict[str, Any]
Calls = dict[str, Callable[[], None]]


class File:
    """The exported file under change: its graph, the outer loop's body and the inner loop's."""

    def __init__(self, model: ModelProto, weights: Weights) -> None:
        self.model, self.weights = deepcopy(model), weights
        self.graph = self.model.graph
        to_root(self.graph)  # where a change finds them by their names

    @property
    def outer(self) -> GraphProto:
        return cast(
            GraphProto, _loop(self.graph).attribute[0].g
        )  # looked up anew: nodes that are moved are copies

    @property
    def loop(self) -> NodeProto:
        return _loop(self.outer)

    @property
    def body(self) -> GraphProto:
        return cast(GraphProto, self.loop.attribute[0].g)

    def held(self, name: str) -> Any:
        (found,) = (each for each in self.graph.initializer if each.name == name)
        return numpy_helper.to_array(found)

    def weight(self, name: str, value: Any) -> str:
        self.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def replace(self, graph: GraphProto, gone: Sequence[str], new: Sequence[NodeProto]) -> None:
        """Put `new` in the place of the first of the nodes that give `gone`."""
        nodes = list(graph.node)
        places = [n for n, node in enumerate(nodes) if node.output[0] in gone]
        assert len(places) == len(gone), gone
        kept = [node for node in nodes if node.output[0] not in gone]
        del graph.node[:]
        graph.node.extend([*kept[: places[0]], *new, *kept[places[0] :]])

    def before_loop(self, graph: GraphProto, new: Sequence[NodeProto]) -> None:
        place = next(n for n, node in enumerate(graph.node) if node.op_type == "Loop")
        nodes = list(graph.node)
        del graph.node[:]
        graph.node.extend([*nodes[:place], *new, *nodes[place:]])


def _loop(graph: GraphProto) -> NodeProto:
    (found,) = (node for node in graph.node if node.op_type == "Loop")
    return cast(NodeProto, found)


def op(kind: str, inputs: Sequence[str], outputs: str | Sequence[str], **given: Any) -> NodeProto:
    return helper.make_node(
        kind, inputs, [outputs] if isinstance(outputs, str) else outputs, **given
    )


GATES = ["of_token_14", "U_r.product.added", "sigmoid_16", "U_n.product.added", "of_token_26"]
GATES = [f"{CELL}.{each}" for each in (*GATES, "U_z.product.added", "sigmoid_28")]


def _gates(file: File) -> tuple[Any, Any, int]:
    """The matrices of r, z and n side by side, the token's parts of r and z, and H."""
    matrix = np.concatenate([file.held(f"{CELL}.U_{g}.transposed") for g in "rzn"], 1)
    table = np.concatenate([file.held(f"{CELL}.of_token_{n}.table") for n in (14, 26)], 1)
    return matrix, table, matrix.shape[0]


def one_product(file: File) -> None:
    """r, z and n by one Gemm, which adds the token's part; one Sigmoid."""
    matrix, table, units = _gates(file)
    bias = np.tile(file.held(f"{CELL}.c_n"), (len(table), 1))
    file.weight("table", np.concatenate([table, bias], 1))
    file.weight("two_one", np.array([2 * units, units]))
    file.weight("one_one", np.array([units, units]))
    new = [
        op("Gather", ["table", TOKEN], "known"),
        op("Gemm", [STATE, file.weight("all", matrix), "known"], "gates"),
        op("Split", ["gates", "two_one"], ["rz", GATES[3]], axis=1),
        op("Sigmoid", ["rz"], "rz.open"),
        op("Split", ["rz.open", "one_one"], [GATES[2], GATES[6]], axis=1),
    ]
    file.replace(file.body, GATES, new)


def native(file: File) -> None:
    """The operator GRU over one step of the embedded token."""
    found, cell = file.weights, CELL
    packed = {
        side: np.concatenate([found[f"{cell}.{side}_{g}"] for g in "zrn"])[None] for side in "WU"
    }
    bias = [*(found[f"{cell}.b_{g}"] for g in "zrn")]
    units = packed["U"].shape[2]
    bias = [*bias, np.zeros(2 * units, np.float32), file.held(f"{cell}.c_n")]
    inputs = [
        "x", file.weight("W", packed["W"]), file.weight("R", packed["U"]),
        file.weight("B", np.concatenate(bias)[None]), "", "h",
    ]  # fmt: skip
    file.weight("first", np.array([0]))
    table = file.weight("embedded", found["decoder.embed.table"])
    new = [
        op("Gather", [table, TOKEN], "embedded.token"),
        op("Unsqueeze", ["embedded.token", "first"], "x"),
        op("Unsqueeze", [STATE, "first"], "h"),
        op("GRU", inputs, ["", "h.after"], hidden_size=units, linear_before_reset=1),
        op("Squeeze", ["h.after", "first"], NEXT),
    ]
    rest = ("mul_19", "of_token_21", "sum_22", "tanh_23", "sub_29", "mul_30", "sum_31")
    file.replace(file.body, [*GATES, *(f"{CELL}.{each}" for each in rest)], new)


def values_outside(file: File) -> None:
    """What the layer after the attention makes of the memory, before the loop."""
    matrix = file.held(f"{HIDDEN}.W.transposed")
    units = matrix.shape[1]
    file.weight("W_s", matrix[:units])
    _values(file, matrix[units:], file.held(f"{HIDDEN}.b"))
    gone = ["decoder.context", "decoder.joined", f"{HIDDEN}.affine"]
    new = [
        op("Reshape", ["decoder.context.context", file.weight("flat", np.array([-1, units]))], "c"),
        op("Gemm", [NEXT, "W_s", "c"], f"{HIDDEN}.affine"),
    ]
    file.replace(file.body, gone, new)


def _values(file: File, matrix: Any, bias: Any) -> None:
    memory = "decoder.context.memory"
    product = op("MatMul", [memory, file.weight("W_c", matrix)], "values.product")
    file.before_loop(
        file.graph, [product, op("Add", ["values.product", file.weight("b_c", bias)], "values")]
    )
    file.before_loop(file.outer, [op("Gather", ["values", ROWS], "values.active")])
    _read(file.body, f"{memory}.active", "values.active")


def _read(graph: GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]


def one_product_a_step(file: File) -> None:
    """All that is made of h by one Gemm, carried to the next step: gates and the layer after the
    attention, whose part of the memory is made before the loop."""
    matrix, table, units = _gates(file)
    hidden = file.held(f"{HIDDEN}.W.transposed")
    zeros = np.zeros(units, np.float32)
    file.weight("all", np.concatenate([matrix, hidden[:units]], 1))
    file.weight("all.b", np.concatenate([zeros, zeros, file.held(f"{CELL}.c_n"), zeros]))
    file.weight("table", table)
    file.weight("two_one", np.array([2 * units, units]))
    file.weight("one_one", np.array([units, units]))
    file.weight("three_one", np.array([3 * units, units]))
    file.weight("flat", np.array([-1, units]))
    _values(file, hidden[units:], file.held(f"{HIDDEN}.b"))
    new = [
        op("Gather", ["table", TOKEN], "known"),
        op("Split", ["parts.before", "two_one"], ["rz.state", GATES[3]], axis=1),
        op("Add", ["rz.state", "known"], "rz"),
        op("Sigmoid", ["rz"], "rz.open"),
        op("Split", ["rz.open", "one_one"], [GATES[2], GATES[6]], axis=1),
    ]
    file.replace(file.body, GATES, new)
    gone = ["decoder.context", "decoder.joined", f"{HIDDEN}.affine"]
    new = [
        op("Gemm", [NEXT, "all", "all.b"], "parts"),
        op("Split", ["parts", "three_one"], ["parts.next", "parts.hidden"], axis=1),
        op("Reshape", ["decoder.context.context", "flat"], "c"),
        op("Add", ["parts.hidden", "c"], f"{HIDDEN}.affine"),
    ]
    file.replace(file.body, gone, new)
    shape = [None, 3 * units]
    file.body.input.append(helper.make_tensor_value_info("parts.before", 1, shape))
    file.body.output.insert(4, helper.make_tensor_value_info("parts.next", 1, shape))
    first = file.weight("all.first", np.concatenate([matrix], 1))
    bias = file.weight("all.first.b", np.concatenate([zeros, zeros, file.held(f"{CELL}.c_n")]))
    file.before_loop(file.outer, [op("Gemm", [file.loop.input[-1], first, bias], "parts.first")])
    file.loop.input.append("parts.first")
    file.loop.output.insert(3, "parts.last")


def keys_inside(file: File) -> None:
    """The matrix of the attention applied to the query of each step, not once to the memory."""
    matrix = file.weight("query.matrix", file.held("decoder.context.of_memory.matrix").T)
    file.replace(file.graph, ["decoder.context.of_memory"], [])
    keys = op("Transpose", ["decoder.context.memory"], "decoder.context.keys", perm=[0, 2, 1])
    file.replace(file.graph, ["decoder.context.keys"], [keys])
    scores = "decoder.context.scores"
    turned = op("MatMul", ["decoder.context.query", matrix], "query.turned")
    new = [turned, op("MatMul", ["query.turned", "decoder.context.keys.active"], scores)]
    file.replace(file.body, [scores], new)


def keys_first(file: File) -> None:
    """Scores as keys times a column, in place of a row times turned keys."""
    file.replace(file.graph, ["decoder.context.keys"], [])
    (gathered,) = (n for n in file.outer.node if n.output[0] == "decoder.context.keys.active")
    gathered.input[0] = "decoder.context.of_memory"
    units = file.held("decoder.context.of_memory.matrix").shape[1]
    column = file.weight("column", np.array([-1, units, 1]))
    file.weight("flat", np.array([0, 1, -1]))
    new = [
        op("Reshape", [NEXT, column], "query.column"),
        op("MatMul", ["decoder.context.keys.active", "query.column"], "scores.column"),
        op("Reshape", ["scores.column", "flat"], "decoder.context.scores"),
    ]
    file.replace(file.body, ["decoder.context.query", "decoder.context.scores"], new)


def unrolled(steps: int) -> Callable[[File], None]:
    """So many steps in a trip of the loop."""

    def change(file: File) -> None:
        body, loop = file.body, file.loop
        states = [each.name for each in body.input][2:]
        results = [each.name for each in body.output]
        count = len(states)
        nodes, inputs = list(body.node), states
        file.weight("trip.size", np.array(steps))
        new = [op("Mul", [body.input[0].name, "trip.size"], "trip.first")]
        told: list[list[str]] = [[] for _ in results[1 + count :]]
        for number in range(steps):
            at = file.weight(f"trip.at_{number}", np.array(number))
            step = f"trip.step_{number}"
            new.append(op("Add", ["trip.first", at], step))
            names = {body.input[0].name: step, **dict(zip(states, inputs, strict=True))}
            last = number == steps - 1
            for node in nodes:
                names |= {o: f"{o}.{number}" for o in node.output}
                copy = deepcopy(node)
                copy.name = ""
                copy.input[:] = [names.get(each, each) for each in node.input]
                copy.output[:] = [names[each] for each in node.output]
                new.append(copy)
            inputs = [names[each] for each in results[1 : 1 + count]]
            for place, each in enumerate(results[1 + count :]):
                told[place].append(names[each])
            if last:
                going = names[results[0]]
        file.weight("axis.0", np.array([0]))
        file.weight("axis.all", np.array([-1]))
        for place, each in enumerate(told):
            new += [op("Unsqueeze", [one, "axis.0"], f"{one}.line.{place}") for one in each]
            new.append(
                op("Concat", [f"{one}.line.{place}" for one in each], f"told.{place}", axis=0)
            )
        del body.node[:]
        body.node.extend(new)
        for result, name in zip(body.output, [going, *inputs], strict=False):
            result.name = name
        for place, result in enumerate(list(body.output)[1 + count :]):
            kind = result.type.tensor_type.elem_type
            result.CopyFrom(helper.make_tensor_value_info(f"told.{place}", kind, [steps, None]))
        loop.input[0] = "trip.count"
        after = [op("Concat", ["axis.all", "output.answer.search.count"], "told.shape", axis=0)]
        for place in range(count, len(loop.output)):
            old = loop.output[place]
            loop.output[place] = f"{old}.of_trips"
            after.append(op("Reshape", [loop.output[place], "told.shape"], old))
        left = "output.answer.search.trips_left"
        more = file.weight("trip.more", np.array(steps - 1))
        before = [
            op("Add", [left, more], "trip.sum"),
            op("Div", ["trip.sum", "trip.size"], "trip.count"),
        ]
        outer = list(file.outer.node)
        place = outer.index(loop)
        del file.outer.node[:]
        file.outer.node.extend([*outer[:place], *before, loop, *after, *outer[place + 1 :]])

    return change


def compacted(above: float) -> Callable[[File], None]:
    """A new pass of the outer loop once so large a share of the rows, or less, is active."""

    def change(file: File) -> None:
        whole, part = (
            file.weight("whole", np.array(8)),
            file.weight("part", np.array(int(8 * above))),
        )
        for node in file.outer.node:
            if node.output[0].endswith("least.times_3"):
                node.input[1] = part
            if node.output[0].endswith("search.least"):
                node.input[1] = whole

    return change


def at_the_root(file: File) -> None:
    """As before the weights that a body alone reads stood in it."""


FORMS: dict[str, Callable[[File], None]] = {
    "gates by one Gemm": one_product,
    "values of the attention outside": values_outside,
    "one Gemm of the state a step": one_product_a_step,
    "operator GRU of one step": native,
    "2 steps a trip": unrolled(2),
    "4 steps a trip": unrolled(4),
    "keys times a column": keys_first,
    "keys not made outside": keys_inside,
    "weights at the root": at_the_root,
}
SHARES = {"never": 0.0, "at 1/2": 0.5, "at 7/8": 0.875}


def exported(units: int, by_length: bool) -> tuple[ModelProto, Weights]:
    """The file, and its weights by their names; no row ends by itself."""
    spec = tool_spec(Settings(1, 3e-3, 0, False, EMBED, units))
    limit = {"times": 1.0, "plus": 0} if by_length else STEPS
    spec["decoder"] |= {"attention": "general", "max_steps": limit}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_pairs(folder, "train", words(300, 0))
        (folder / "spec.yaml").write_text(json.dumps(spec))
        loaded = load_spec(folder / "spec.yaml")
        trained = read_build(build(loaded, folder / "builds", Silent(), train=False).folder)
        weights = {name: value.copy() for name, value in trained.weights.items()}
        weights["decoder.scores.b"][0] = -1e4
        return to_onnx(trained.plan, trained.facts, weights, ids=True), weights


def session(model: ModelProto, profile: str = "") -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # of weights that a form has no use for
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_profiling, options.profile_file_prefix = bool(profile), profile
    content = model.SerializeToString()
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def feeds(rows: int, by_length: bool) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    lengths = draw.integers(5, TIME + 1, rows) if by_length else np.full(rows, TIME)
    lengths[0] = TIME
    return {"text.ids": draw.integers(2, 28, (rows, TIME)), "text.lengths": lengths}


def compare(
    base: ModelProto,
    weights: Weights,
    forms: dict[str, Callable[[File], None]],
    fed: Any,
    rounds: int,
) -> tuple[float, dict[str, float]]:
    """The least seconds of the file, and the ratio of each form's to them."""
    sessions = {"file": session(base)}
    expected = sessions["file"].run(None, fed)
    for name, change in forms.items():
        file = File(base, weights)
        change(file)
        if change is not at_the_root:
            into_bodies(file.graph)
        sessions[name] = session(file.model)
        for one, other in zip(sessions[name].run(None, fed), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4, err_msg=name)
    calls: Calls = {name: partial(s.run, None, fed) for name, s in sessions.items()}
    taken = interleave(calls, rounds)
    return min(taken["file"]), {n: ratio(taken[n], taken["file"]) for n in forms}


def kernels(base: ModelProto, fed: Any, runs: int = 10) -> dict[str, tuple[float, float]]:
    """Of each operator of the inner loop: microseconds a step, and how many there are.

    The profiler's own work is within its times. So what the sum of two numbers takes in it is taken
    off each: this sum, and what calls an operator, count as time between operators.
    """
    file = File(base, {})
    loop, total = file.loop, next(n for n in file.body.node if n.op_type == "Add")
    loop.name, total.name = "steps", "total"
    with tempfile.TemporaryDirectory() as folder:
        profiled = session(file.model, os.path.join(folder, "profile"))
        for _ in range(runs):
            profiled.run(None, fed)
        events = json.loads(Path(profiled.end_profiling()).read_text())
    events = [each for each in events if each.get("name", "").endswith("_kernel_time")]
    inside = [(e["ts"], e["ts"] + e["dur"]) for e in events if e["name"].startswith("steps_")]
    least = statistics.median(e["dur"] for e in events if e["name"].startswith("total_"))
    found: dict[str, list[float]] = defaultdict(list)
    for event in events:
        if (
            any(start <= event["ts"] < end for start, end in inside)
            and event["args"]["op_name"] != "Loop"
        ):
            found[event["args"]["op_name"]].append(event["dur"] - least)
    each = runs * STEPS
    return {kind: (max(0.0, sum(t)) / each, len(t) / each) for kind, t in found.items()}


def a_step(base: ModelProto, fed: Any, rounds: int) -> float:
    """Seconds of a step: the difference of a file of `STEPS` steps to one of 4."""
    short = deepcopy(base)
    to_root(short.graph)
    for trips in short.graph.initializer:
        if trips.name.removesuffix(".in_body_1") == f"integer.{STEPS}":
            trips.CopyFrom(numpy_helper.from_array(np.array(4), trips.name))
    into_bodies(short.graph)
    sessions = {"whole": session(base), "short": session(short)}
    calls: Calls = {name: partial(s.run, None, fed) for name, s in sessions.items()}
    taken = interleave(calls, rounds)
    return statistics.median(
        (a - b) / (STEPS - 4) for a, b in zip(taken["whole"], taken["short"], strict=True)
    )


def work(units: int, rows: int) -> float:
    """Multiply-adds of a call: of the encoder, of the keys, and of the steps."""
    encoder = TIME * 2 * 3 * units * (EMBED + units)
    step = 3 * units**2 + 3 * TIME * units + 3 * units * units + 28 * units
    return float(rows * (encoder + 2 * units**2 * (TIME + 1) + STEPS * step))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--units", type=int, nargs="+", default=[128, 256])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 32, 64])
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    most = max(peak(1) for _ in range(3))
    print(f"peak {most / 1e9:.1f} G multiply-adds a second, onnxruntime {ort.__version__}")
    for units in options.units:
        base, weights = exported(units, False)
        of_lengths, _ = exported(units, True)
        for rows in options.rows:
            rounds = options.rounds * (4 if rows == 1 else 1)
            fed = feeds(rows, False)
            seconds, ratios = compare(base, weights, FORMS, fed, rounds)
            share = work(units, rows) / seconds / most
            print(f"\nH={units} B={rows}: {1e3 * seconds:.2f} ms, {share:.2f} of the peak")
            parts = kernels(base, fed)
            inside, count = (sum(column) for column in zip(*parts.values(), strict=True))
            step = 1e6 * a_step(base, fed, rounds)
            print(f"  a step: {step:.0f} µs; {count:.0f} operators, by the profile {inside:.0f} µs")
            for kind, (took, many) in sorted(parts.items(), key=lambda part: -part[1][0])[:9]:
                print(f"    {kind:<12} {took:7.1f} µs  {took / inside:5.0%}  {many:.0f} nodes")
            by_length = feeds(rows, True)
            shares = (
                {f"compaction {n}": compacted(v) for n, v in SHARES.items()} if rows > 1 else {}
            )
            _, more = compare(of_lengths, {}, shares, by_length, rounds)
            for name, value in (ratios | more).items():
                print(f"  {name:<34} {value:.2f}", flush=True)


if __name__ == "__main__":
    main()
