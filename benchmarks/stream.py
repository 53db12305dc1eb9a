"""A step of a model in C against the same step in onnxruntime, one row, one thread.

One recurrent layer over frames as wide as it has units, and a class of four after each step:

- C: what `rnnspec export --c` writes, called for many steps in a row, by compiler and flags;
- int8: the same with the fast flags and `--quantize int8`;
- stream: what `rnnspec export --onnx --stream --step --ids` writes, called from Python for each
  step;
- one row: the same with `--batch 1`;
- numbers: the same of a model that answers ten numbers in place of a class and its probabilities;
- hand: a file made by hand that gives the same answer: the native operator with its states in and
  out, a dense layer, softmax and the largest, without anything else; called in the same way;
- bare: the same without the answer: the native operator alone;
- kernel: that operator over many steps in one call, for each of them.

All run in one process in turns, in CPU time; a ratio is the median over turns. The share of the
processor is that of multiply-adds of a step to those of a loop in registers, with the same flags.

  python benchmarks/stream.py --cells lstm gru --units 16 64 128
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from interleave import interleave, ratio
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tool import frames_model

from rnnspec.export.compiled import compiled, compiler
from rnnspec.plan import Facts, NumericFacts, Plan, nodes
from rnnspec.plan.stream import stream_of
from rnnspec.to_c import to_c
from rnnspec.to_c.example import example
from rnnspec.to_onnx import to_onnx, with_batch

STEPS, CALLS = 2000, 200
FAST = ("-std=c99", "-O3", "-march=native", "-ffp-contract=fast")
FLAGS: dict[str, tuple[str, ...]] = {"C -O2": ("-std=c99", "-O2"), "C": FAST}
GATES = {"rnn": 1, "gru": 3, "lstm": 4}
PEAK = """
#include <stdint.h>
float peak(int64_t count);
float peak(int64_t count)
{
    float sum[128];
    for (int j = 0; j < 128; j++)
        sum[j] = (float)j;
    for (int64_t i = 0; i < count; i++)
        for (int j = 0; j < 128; j++)
            sum[j] = sum[j] * 0.999f + 0.001f;
    for (int j = 1; j < 128; j++)
        sum[0] += sum[j];
    return sum[0];
}
"""
"""128 numbers, which stand in registers, each a multiply-add a turn."""


@dataclass(frozen=True)
class Contestants:
    """Calls by name, each of so many steps; `work` are the multiply-adds of a step."""

    calls: dict[str, Callable[[], None]]
    steps: dict[str, int]
    work: int


def in_c(
    plan: Plan, facts: Facts, weights: Any, flags: tuple[str, ...], int8: bool = False
) -> Callable[[], None]:
    """A call of `STEPS` steps."""
    program = to_c(plan, facts, weights, int8=int8)
    with compiled(program, plan, facts, example(program), flags) as found:
        width = program.inputs[0].width
        given = np.random.default_rng(0).normal(size=(1, STEPS, width)).astype(np.float32)
        feeds = {"frames": given, "frames.lengths": np.full(1, STEPS)}

    def call() -> None:
        found.run(feeds)

    return call


def session(content: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def stepping(asked: ort.InferenceSession, pairs: list[tuple[str, str]]) -> Callable[[], None]:
    """A call of `CALLS` steps, each with the states of the one before."""
    feeds: dict[str, NDArray[Any]] = {}
    for each in asked.get_inputs():
        shape = [size if isinstance(size, int) else 1 for size in each.shape]
        feeds[each.name] = np.full(shape, 0.1, np.float32)
    names = [each.name for each in asked.get_outputs()]
    places = [(before, names.index(after)) for before, after in pairs]

    def call() -> None:
        for _ in range(CALLS):
            found = asked.run(None, feeds)
            for before, place in places:
                feeds[before] = found[place]

    return call


CLASSES = 10


def bare(cell: str, units: int, answers: bool = False) -> bytes:
    """The native operator with its states as inputs and outputs; if it `answers`, the class of its
    last output and the probabilities, and no outputs of each step."""
    draw, states = np.random.default_rng(0), ["h", "c"] if cell == "lstm" else ["h"]
    rows = GATES[cell] * units
    arrays = {name: draw.normal(0, 0.1, (1, rows, units)) for name in ("W", "R")}
    arrays["B"] = draw.normal(0, 0.1, (1, 2 * rows))
    if answers:
        arrays |= {"A": draw.normal(0, 0.1, (units, CLASSES)), "a": np.zeros(CLASSES)}
    node = helper.make_node(
        cell.upper(),
        ["x", "W", "R", "B", "", *states],
        ["" if answers else "y", *(f"{state}.next" for state in states)],
        hidden_size=units,
    )
    if cell == "gru":
        node.attribute.append(helper.make_attribute("linear_before_reset", 1))
    state: Sequence[str | int] = [1, 1, units]
    inputs: list[tuple[str, Sequence[str | int]]] = [("x", ["time", 1, units])]
    outputs: list[tuple[str, Sequence[str | int]]] = [("y", ["time", 1, 1, units])]
    head = []
    if answers:
        head = [
            helper.make_node("MatMul", ["h.next", "A"], ["product"]),
            helper.make_node("Add", ["product", "a"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["probabilities"]),
            helper.make_node("ArgMax", ["probabilities"], ["largest"], axis=2, keepdims=0),
        ]
        outputs = [("probabilities", [1, 1, CLASSES])]
    inputs += [(name, state) for name in states]
    outputs += [(f"{name}.next", state) for name in states]
    graph = helper.make_graph(
        [node, *head],
        "bare",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs]
        + (
            [helper.make_tensor_value_info("largest", TensorProto.INT64, [1, 1])] if answers else []
        ),
        [numpy_helper.from_array(v.astype(np.float32), n) for n, v in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString()
    return content


def of_numbers(plan: Plan) -> Plan:
    """The same that answers what it would make a class of."""
    output = nodes.NumericOutput("output.label", "answer", "label", 10, scaled=False, single=False)
    return replace(plan, nodes=(*plan.nodes[:-1], output))


def contestants(cell: str, units: int) -> Contestants:
    plan, facts, weights = frames_model(units, cell)
    stream = stream_of(plan, ids=True, step=True)
    file = to_onnx(plan, facts, weights, ids=True, stream=stream)
    answers = replace(facts, outputs={"label": NumericFacts(10, (0.0,) * 10, (1.0,) * 10)})
    numbers = to_onnx(of_numbers(plan), answers, weights, ids=True, stream=stream)
    alone = session(bare(cell, units))
    states = ["h", "c"] if cell == "lstm" else ["h"]
    of_hand = [(name, f"{name}.next") for name in states]
    pairs = [(state.name, state.after) for state in stream.states]
    long = {"x": np.zeros((STEPS, 1, units), np.float32)}
    long |= {name: np.zeros((1, 1, units), np.float32) for name in states}
    of_c = {name: in_c(plan, facts, weights, flags) for name, flags in FLAGS.items()}
    calls = {
        **of_c,
        "int8": in_c(plan, facts, weights, FAST, int8=True),
        "stream": stepping(session(file.SerializeToString()), pairs),
        "one row": stepping(session(with_batch(file, 1).SerializeToString()), pairs),
        "numbers": stepping(session(with_batch(numbers, 1).SerializeToString()), pairs),
        "hand": stepping(session(bare(cell, units, answers=True)), of_hand),
        "bare": stepping(alone, of_hand),
        "kernel": lambda: alone.run(None, long) and None,
    }
    one_by_one = ("stream", "one row", "numbers", "hand", "bare")
    steps = dict.fromkeys(calls, STEPS) | dict.fromkeys(one_by_one, CALLS)
    return Contestants(calls, steps, to_c(plan, facts, weights).counts.multiply_adds)


def peak() -> float:
    """Multiply-adds a second, of the fast flags."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "peak.c").write_text(PEAK)
        command = [*compiler(), *FAST, "-funroll-loops", "-fPIC", "-shared", "-o", "peak.so"]
        subprocess.run([*command, "peak.c"], cwd=folder, check=True)
        library = ctypes.CDLL(str(Path(folder) / "peak.so"))
    library.peak.restype, turns = ctypes.c_float, 200_000
    taken = interleave({"peak": lambda: library.peak(ctypes.c_int64(turns)) and None}, 9)
    return turns * 128 / min(taken["peak"])


def measure(cell: str, units: int, rounds: int, limit: float) -> None:
    found = contestants(cell, units)
    taken = {
        name: [seconds / found.steps[name] for seconds in each]
        for name, each in interleave(found.calls, rounds).items()
    }
    times = "  ".join(f"{n} {statistics.median(t) * 1e6:6.2f}" for n, t in taken.items())
    share = found.work / statistics.median(taken["C"]) / limit
    print(
        f"{cell:<5} H={units:<4} µs a step: {times}   "
        f"stream/C {ratio(taken['stream'], taken['C']):5.1f}  "
        f"int8/C {ratio(taken['int8'], taken['C']):4.2f}  "
        f"bare/C {ratio(taken['bare'], taken['C']):5.1f}  "
        f"kernel/C {ratio(taken['kernel'], taken['C']):4.2f}  "
        f"stream/hand {ratio(taken['stream'], taken['hand']):4.2f}  "
        f"/bare: stream {ratio(taken['stream'], taken['bare']):4.2f}  "
        f"one row {ratio(taken['one row'], taken['bare']):4.2f}  "
        f"numbers {ratio(taken['numbers'], taken['bare']):4.2f}  "
        f"hand {ratio(taken['hand'], taken['bare']):4.2f}  "
        f"{share:4.0%} of {limit / 1e9:.0f} G multiply-adds a second",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", nargs="+", default=["lstm", "gru"], choices=GATES)
    parser.add_argument("--units", nargs="+", type=int, default=[16, 32, 64, 128])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    limit = peak()
    for cell in options.cells:
        for units in options.units:
            measure(cell, units, options.rounds, limit)


if __name__ == "__main__":
    main()
