"""Cells as ONNX Scan against the native operators for the same equations.

One layer over frames and its last output, T=100, at 64 and 256 units, for one row and for 32: both
files are exported by rnnspec, native and generic, and run in turns in onnxruntime on one thread, in
CPU time. The ratio is the median over turns; at most 1.5 is asked for at 256 units. A file
has the operator or the Scan by these figures (`fits` of `to_onnx/native.py`).
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace

import numpy as np
import onnxruntime as ort
from interleave import interleave, ratio
from tool import frames_model

from rnnspec.to_onnx import native as operators
from rnnspec.to_onnx import to_onnx

CELLS = ("lstm", "gru", "gru_reset_before", "rnn")
STEPS = 100


def session(units: int, cell: str, generic: bool) -> ort.InferenceSession:
    plan, facts, weights = frames_model(units, cell)
    table = dict(operators.NATIVE)
    table[cell] = replace(table[cell], fits=lambda node: True)
    operators.NATIVE = table  # the operator, wherever a file would have a Scan
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    content = to_onnx(plan, facts, weights, generic=generic).SerializeToString()
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def measure(units: int, cell: str, rows: int, rounds: int) -> None:
    draw = np.random.default_rng(0)
    feeds = {
        "frames": draw.normal(size=(rows, STEPS, units)).astype(np.float32),
        "frames.lengths": np.full(rows, STEPS),
    }
    native, scan = session(units, cell, False), session(units, cell, True)
    taken = interleave(
        {"native": lambda: native.run(None, feeds), "scan": lambda: scan.run(None, feeds)}, rounds
    )
    times = [f"{name} {statistics.median(t) * 1e3:7.2f} ms" for name, t in taken.items()]
    found = ratio(taken["scan"], taken["native"])
    print(
        f"{cell:<16} H={units:<3} B={rows:<2}  {'   '.join(times)}   ratio {found:.2f}", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds", type=int, default=15, help="at 32 rows; 5 times that at 1 (default 15)"
    )
    options = parser.parse_args()
    for units in (64, 256):
        for cell in (*CELLS, "rnn_relu", "indrnn"):
            for rows in (1, 32):
                measure(units, cell, rows, options.rounds * (5 if rows == 1 else 1))


if __name__ == "__main__":
    main()
