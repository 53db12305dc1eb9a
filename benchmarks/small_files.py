"""Files in fewer bits against the file in float32: sizes and latency, by cell, units and rows.

One layer over frames as wide as itself and its last output, T=50. Beside `--quantize int8` and
`--half` as they are exported stand both ways of 8 bits whatever the size: weights *stored* in 8
bits and widened as the file loads, and *multiplied* in 8 bits by the operator or by a Scan. All run
in turns in onnxruntime on one thread, in CPU time; the ratio, how many times as fast as float32, is
that of the quickest turns. The thresholds of `rnnspec/to_onnx/small.py` and `units_of_scan` of
`rnnspec/to_onnx/native.py` are read off here: nothing may be slower for one row.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import onnxruntime as ort
from interleave import interleave
from numpy.typing import NDArray
from onnx import ModelProto
from tool import frames_model

from rnnspec.to_onnx import to_onnx
from rnnspec.to_onnx.small import Least, in_few_bits

CELLS = ("lstm", "gru", "rnn", "mgu")
STEPS = 50
STORED = Least(multiplied=10**9, whole=10**9)
MULTIPLIED = Least(multiplied=256, whole=256)


def models(units: int, cell: str) -> dict[str, ModelProto]:
    """Each way to keep the weights, by its name."""
    plan, facts, weights = frames_model(units, cell)
    whole = to_onnx(plan, facts, weights)
    scan = to_onnx(plan, facts, weights, generic=True)
    chosen = to_onnx(plan, facts, weights, narrow=True)
    return {
        "float32": whole,
        "int8": in_few_bits(chosen, plan, "int8").model,
        "half": in_few_bits(whole, plan, "float16").model,
        "stored": in_few_bits(whole, plan, "int8", least=STORED).model,
        "operator": in_few_bits(whole, plan, "int8", least=MULTIPLIED).model,
        "scan": in_few_bits(scan, plan, "int8", least=MULTIPLIED).model,
    }


def session(content: bytes) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run(each: ort.InferenceSession, feeds: dict[str, NDArray[Any]]) -> None:
    each.run(None, feeds)


def measure(units: int, cell: str, rounds: int) -> None:
    contents = {name: model.SerializeToString() for name, model in models(units, cell).items()}
    sessions = {name: session(content) for name, content in contents.items()}
    draw, whole = np.random.default_rng(0), len(contents["float32"])
    sizes = "  ".join(f"{name} {len(each) / whole:.2f}" for name, each in contents.items())
    print(f"{cell:<5} H={units:<4} size   {sizes}", flush=True)
    for rows in (1, 32):
        feeds = {
            "frames": draw.normal(size=(rows, STEPS, units)).astype(np.float32),
            "frames.lengths": np.full(rows, STEPS),
        }
        calls: dict[str, Callable[[], None]] = {
            name: partial(run, each, feeds) for name, each in sessions.items()
        }
        taken = {
            name: min(times)
            for name, times in interleave(calls, rounds * (5 if rows == 1 else 1)).items()
        }
        shown = "  ".join(f"{name} x{taken['float32'] / each:.2f}" for name, each in taken.items())
        print(f"{cell:<5} H={units:<4} B={rows:<4} {shown}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--units", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--cells", nargs="+", default=CELLS)
    parser.add_argument("--rounds", type=int, default=7, help="at 32 rows; 5 times that at 1")
    options = parser.parse_args()
    for units in options.units:
        for cell in options.cells:
            measure(units, cell, options.rounds)


if __name__ == "__main__":
    main()
