"""What a step of a Scan costs in onnxruntime: of its operators, of other ways to write an LSTM,
and of the cells as rnnspec exports them.

One thread, CPU time in turns, least of several: microseconds a step.

- operators: what one more operator in the body costs, from chains of 1 and of 9 of them. So that
  no chain is fused or left out, each reads the one before. A sequence more, a state that is also
  given out (Identity), and a body of two operators;
- forms: an LSTM from its equations, whose products with the inputs stand before the loop:
  - gates: Gemm and activation for each gate, as files have it;
  - inside: the products with the inputs in the loop too;
  - MatMul, Add: in place of Gemm;
  - joined: one Gemm for all gates, Split, activations;
  - joined, Sigmoid first: Sigmoid of three gates before they are split;
  - Sigmoids joined: one Gemm for the gates with Sigmoid, one for the other;
  - output first: the output is what the operator gives, the state its copy;
  - at the root: the matrices as initializers of the graph around the body and not of the body;
  - not packed: as gates, by a session that packs no matrices (`session.disable_prepacking`);
  - Loop: in place of Scan;
- cells: the operators in the bodies that `rnnspec export --onnx` writes, and what a step takes.
  With 4 units hardly anything is computed: what it takes then is operators a step.

    python benchmarks/scan_steps.py --units 64 256 --parts operators forms
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from tool import frames_model

from rnnspec.to_onnx import to_onnx

SHORT, LONG = 100, 300
"""Steps of two calls, whose difference is steps alone."""
FEW = 4
GATES = "ifog"
CELLS = (
    "rnn", "indrnn", "gru", "gru_reset_before", "mgu", "lstm", "lstm_coupled", "lstm_peephole",
    "lstm_layer_norm", "phased_lstm", "slstm", "fastgrnn", "cfc", "ltc", "mingru",
)  # fmt: skip
Arrays = dict[str, NDArray[Any]]
Feeds = Callable[[int], Arrays]
Case = tuple[ort.InferenceSession, Feeds]


# ---------------------------------------------------------------- measuring


def least(cases: Mapping[str, Case], rounds: int) -> dict[str, float]:
    """Microseconds a step."""
    feeds = {name: (case[1](SHORT), case[1](LONG)) for name, case in cases.items()}
    best = {name: [np.inf, np.inf] for name in cases}
    names = list(cases)
    for _ in range(rounds + 1):  # the first is slow, and never the least
        for name in names:
            for place, given in enumerate(feeds[name]):
                started = time.process_time()
                cases[name][0].run(None, given)
                best[name][place] = min(best[name][place], time.process_time() - started)
        names.append(names.pop(0))
    return {name: (b - a) / (LONG - SHORT) * 1e6 for name, (a, b) in best.items()}


def session(model: ModelProto, packed: bool = True) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    if not packed:
        options.add_session_config_entry("session.disable_prepacking", "1")
    content = model.SerializeToString()
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


# ---------------------------------------------------------------- bodies by hand


def op(kind: str, inputs: str, outputs: str, **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def told(name: str, *shape: int | str) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def scan(
    body: Sequence[NodeProto],
    states: Mapping[str, str],
    sequences: Mapping[str, int],
    out: str,
    arrays: Arrays,
    units: int,
    rows: int,
    in_body: bool = True,
    packed: bool = True,
) -> Case:
    """A file with a Scan: `states` by what follows each, `sequences` by their widths; `out` is
    given out for each step."""
    tensors = [numpy_helper.from_array(np.asarray(v), k) for k, v in arrays.items()]
    inputs = [told(state, "B", units) for state in states]
    inputs += [told(name, "B", width) for name, width in sequences.items()]
    outputs = [told(name, "B", units) for name in (*states.values(), *([out] if out else []))]
    inner = helper.make_graph(body, "body", inputs, outputs, tensors if in_body else [])
    names = [f"{name}.given" for name in (*states, *sequences)]
    found = [f"{name}.found" for name in (*states.values(), *([out] if out else []))]
    node = helper.make_node("Scan", names, found, body=inner, num_scan_inputs=len(sequences))
    given = [told(f"{state}.given", "B", units) for state in states]
    given += [told(f"{name}.given", "T", "B", width) for name, width in sequences.items()]
    shape: Sequence[int | str] = ["T", "B", units] if out else ["B", units]
    wanted = told(f"{out or next(iter(states.values()))}.found", *shape)
    model = _model([node], given, [wanted], [] if in_body else tensors)
    return session(model, packed), _feeds(states, sequences, units, rows)


def looped(
    body: Sequence[NodeProto],
    states: Mapping[str, str],
    sequences: Mapping[str, int],
    out: str,
    arrays: Arrays,
    units: int,
    rows: int,
) -> Case:
    """The same as a Loop, which takes each step of a sequence by Gather."""
    tensors = [numpy_helper.from_array(np.asarray(v), k) for k, v in arrays.items()]
    tensors.append(numpy_helper.from_array(np.array(True), "true"))
    picked = [op("Gather", f"{name}.given step", name) for name in sequences]
    inputs = [
        helper.make_tensor_value_info("step", TensorProto.INT64, []),
        helper.make_tensor_value_info("going", TensorProto.BOOL, []),
        *(told(state, "B", units) for state in states),
    ]
    outputs = [helper.make_tensor_value_info("on", TensorProto.BOOL, [])]
    outputs += [told(name, "B", units) for name in (*states.values(), out)]
    inner = helper.make_graph(
        [*picked, op("Identity", "going", "on"), *body], "body", inputs, outputs
    )
    first = next(iter(sequences))
    nodes = [
        op("Shape", f"{first}.given", "steps", start=0, end=1),
        helper.make_node(
            "Loop",
            ["steps", "true", *(f"{state}.given" for state in states)],
            [f"{name}.found" for name in (*states.values(), out)],
            body=inner,
        ),
    ]
    given = [told(f"{state}.given", "B", units) for state in states]
    given += [told(f"{name}.given", "T", "B", width) for name, width in sequences.items()]
    model = _model(nodes, given, [told(f"{out}.found", "T", "B", units)], tensors)
    return session(model), _feeds(states, sequences, units, rows)


def _model(
    nodes: Sequence[NodeProto], inputs: Sequence[Any], outputs: Sequence[Any], tensors: Any
) -> ModelProto:
    graph = helper.make_graph(nodes, "steps", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def _feeds(states: Mapping[str, str], sequences: Mapping[str, int], units: int, rows: int) -> Feeds:
    def feeds(steps: int) -> Arrays:
        draw = np.random.default_rng(0)
        found: Arrays = {f"{s}.given": np.zeros((rows, units), np.float32) for s in states}
        for name, width in sequences.items():
            drawn = draw.normal(size=(steps, rows, width))
            found[f"{name}.given"] = drawn.astype(np.float32)
        return found

    return feeds


# ---------------------------------------------------------------- operators


def operators(units: int, rows: int, rounds: int) -> dict[str, float]:
    """Microseconds of one more of each kind, and of some other things, in a step."""
    few, many = 1, 9
    arrays = {"c": np.full(units, 0.99, np.float32), "W": _matrix(units, units)}
    arrays["halves"] = np.array([units // 2, units - units // 2])
    kinds: dict[str, Callable[[str, str], list[NodeProto]]] = {
        "Add": lambda a, b: [op("Add", f"{a} c", b)],
        "Mul": lambda a, b: [op("Mul", f"{a} c", b)],
        "Sigmoid": lambda a, b: [op("Sigmoid", a, b)],
        "Tanh": lambda a, b: [op("Tanh", a, b)],
        "Gemm": lambda a, b: [op("Gemm", f"{a} W c", b)],
        "Gemm, Tanh": lambda a, b: [op("Gemm", f"{a} W c", f"{b}.s"), op("Tanh", f"{b}.s", b)],
        "Split, Concat": lambda a, b: [
            op("Split", f"{a} halves", f"{b}.1 {b}.2", axis=1),
            op("Concat", f"{b}.1 {b}.2", b, axis=1),
        ],
    }
    cases: dict[str, Case] = {}
    for kind, made in kinds.items():
        for count in (few, many):
            body = [op("Mul", "h c", "v0")]
            for place in range(count):
                body += made(f"v{place}", f"v{place + 1}")
            body.append(op("Add", f"v{count} x", "n"))
            cases[f"{kind}{count}"] = scan(body, {"h": "n"}, {"x": units}, "", arrays, units, rows)
    two = [op("Mul", "h c", "v"), op("Add", "v x", "n")]
    again = [*two, op("Identity", "n", "y")]
    cases["two"] = scan(two, {"h": "n"}, {"x": units}, "", arrays, units, rows)
    cases["again"] = scan(again, {"h": "n"}, {"x": units}, "y", arrays, units, rows)
    for count in (1, 4):
        more = {f"x{place}": units for place in range(count)}
        body = [op("Mul", "h c", "v"), op("Sum", " ".join(["v", *more]), "n")]
        cases[f"sequences{count}"] = scan(body, {"h": "n"}, more, "", arrays, units, rows)
    found = least(cases, rounds)
    each = {kind: (found[f"{kind}{many}"] - found[f"{kind}{few}"]) / (many - few) for kind in kinds}
    return {
        "Scan of two operators": found["two"],
        "the state given out": found["again"] - found["two"],
        "a sequence more": (found["sequences4"] - found["sequences1"]) / 3,
        **each,
    }


def _matrix(rows: int, columns: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(rows + columns).uniform(-1, 1, (rows, columns))
    return np.asarray(drawn * rows**-0.5, np.float32)


# ---------------------------------------------------------------- forms of an LSTM


def forms(units: int, rows: int, rounds: int) -> dict[str, float]:
    """Microseconds a step."""
    cases = dict(_forms(units, rows))
    return least(cases, rounds)


def _forms(units: int, rows: int) -> Iterator[tuple[str, Case]]:
    states = {"h": "h1", "c": "c1"}
    each = {f"U{gate}": _matrix(units, units) for gate in GATES}
    per_gate = {f"x{gate}": units for gate in GATES}
    end = [
        op("Mul", "i g", "new"), op("Mul", "f c", "kept"), op("Add", "kept new", "c1"),
        op("Tanh", "c1", "t"), op("Mul", "o t", "h1"), op("Identity", "h1", "y"),
    ]  # fmt: skip
    output_first = [*end[:-2], op("Mul", "o t", "y"), op("Identity", "y", "h1")]

    def activated(gate: str) -> NodeProto:
        return op("Tanh" if gate == "g" else "Sigmoid", f"s{gate}", gate)

    gates = [n for g in GATES for n in (op("Gemm", f"h U{g} x{g}", f"s{g}"), activated(g))]
    inside = [
        node
        for g in GATES
        for node in (
            op("Gemm", f"x V{g} b{g}", f"p{g}"), op("Gemm", f"h U{g} p{g}", f"s{g}"), activated(g),
        )
    ]  # fmt: skip
    added = [
        node
        for g in GATES
        for node in (
            op("MatMul", f"h U{g}", f"m{g}"),
            op("Add", f"m{g} x{g}", f"s{g}"),
            activated(g),
        )
    ]
    size = (units, rows)
    yield "gates", scan([*gates, *end], states, per_gate, "y", each, *size)
    more = each | {f"V{g}": _matrix(units, units) for g in GATES}
    more |= {f"b{g}": np.zeros(units, np.float32) for g in GATES}
    yield "inside", scan([*inside, *end], states, {"x": units}, "y", more, *size)
    yield "MatMul, Add", scan([*added, *end], states, per_gate, "y", each, *size)
    whole = {"U": np.concatenate([each[f"U{g}"] for g in GATES], 1)}
    joined = op("Gemm", "h U x", "s")
    parts = " ".join(f"s{g}" for g in GATES)
    body = [joined, op("Split", "s four", parts, axis=1), *map(activated, GATES), *end]
    yield (
        "joined",
        scan(body, states, {"x": 4 * units}, "y", whole | {"four": np.array([units] * 4)}, *size),
    )
    cuts = {"four": np.array([3 * units, units]), "three": np.array([units] * 3)}
    of_three = [op("Sigmoid", "s3", "q"), op("Split", "q three", "i f o", axis=1), activated("g")]
    body = [joined, op("Split", "s four", "s3 sg", axis=1), *of_three, *end]
    yield "joined, Sigmoid first", scan(body, states, {"x": 4 * units}, "y", whole | cuts, *size)
    two = {"U3": whole["U"][:, : 3 * units], "Ug": each["Ug"], "three": cuts["three"]}
    body = [op("Gemm", "h U3 x3", "s3"), op("Gemm", "h Ug xg", "sg"), *of_three, *end]
    widths = {"x3": 3 * units, "xg": units}
    yield "Sigmoids joined", scan(body, states, widths, "y", two, *size)
    yield "output first", scan([*gates, *output_first], states, per_gate, "y", each, *size)
    yield "at the root", scan([*gates, *end], states, per_gate, "y", each, *size, in_body=False)
    yield "not packed", scan([*gates, *end], states, per_gate, "y", each, *size, packed=False)
    yield "Loop", looped([*gates, *end], states, per_gate, "y", each, *size)


# ---------------------------------------------------------------- cells as exported


def exported(cell: str, units: int, rows: int) -> tuple[ModelProto, Feeds]:
    plan, facts, weights = frames_model(units, cell)
    model = to_onnx(plan, facts, weights, generic=True)

    def feeds(steps: int) -> Arrays:
        drawn = np.random.default_rng(0).normal(size=(rows, steps, units))
        return {"frames": drawn.astype(np.float32), "frames.lengths": np.full(rows, steps)}

    return model, feeds


def bodies(model: ModelProto) -> list[str]:
    """The operators of each Scan, as `3 Gemm, 2 Mul; 1 state, 3 sequences`."""
    found = []
    for node in model.graph.node:
        if node.op_type == "Scan":
            given = {each.name: helper.get_attribute_value(each) for each in node.attribute}
            counts = Counter(each.op_type for each in given["body"].node)
            sequences = given["num_scan_inputs"]
            kinds = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
            found.append(
                f"{counts.total()}: {kinds}; states {len(node.input) - sequences}, "
                f"sequences {sequences}"
            )
    return found


def cells(units: Sequence[int], rows: Sequence[int], rounds: int, names: Sequence[str]) -> Any:
    """By cell the operators, and microseconds a step by size."""
    table = {}
    for cell in names:
        sizes = [(FEW, 1), *((u, r) for u in units for r in rows)]
        made = {size: exported(cell, *size) for size in sizes}
        cases = {f"{u} units, {r}": (session(m), f) for (u, r), (m, f) in made.items()}
        operators = bodies(made[sizes[0]][0])
        taken = least(cases, rounds)
        table[cell] = {"operators": operators, "microseconds": taken}
        print(f"{cell:<16} {_line(taken)}")
        for body in operators:
            print(f"{'':<16}   {body}", flush=True)
    return table


def _line(found: Mapping[str, float]) -> str:
    return "   ".join(f"{name} {value:.2f}" for name, value in found.items())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    every = ("operators", "forms", "cells")
    parser.add_argument("--parts", nargs="+", default=every, choices=every)
    parser.add_argument("--units", nargs="+", type=int, default=[64, 128, 256])
    parser.add_argument("--rows", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--cells", nargs="+", default=CELLS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    for part, measure in (("operators", operators), ("forms", forms)):
        if part in options.parts:
            print(f"{part}, µs a step")
            for units in options.units:
                for rows in options.rows:
                    size = f"{units} units, {rows} rows"
                    found.setdefault(part, {})[size] = measure(units, rows, options.rounds)
                    print(f"  {size}: {_line(found[part][size])}", flush=True)
    if "cells" in options.parts:
        print("cells, µs a step by units and rows")
        found["cells"] = cells(options.units, options.rows, options.rounds, options.cells)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
