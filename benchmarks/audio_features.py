"""Log-mel energies of 64 rows of two seconds at 8 kHz, on one thread: ways to write the Fourier
transform of windows in onnxruntime, and torch. The exported file has the first one.

The least of several runs of each, in turns, in milliseconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from rnnspec.plan.nodes import AudioInput
from rnnspec.reference import audio
from rnnspec.to_torch.audio import Audio

ROWS, SAMPLES = 64, 16_000
SOUND = AudioInput(
    "input.a", "a", 8000, "log_mel", 40, 200, 80, 40, highest=4000.0, normalize="none"
)
WINDOWS = (SAMPLES - SOUND.window) // SOUND.hop + 1
Arrays = dict[str, NDArray[Any]]
Graph = tuple[list[NodeProto], Arrays]


def node(kind: str, inputs: Sequence[str], *outputs: str, **attributes: Any) -> NodeProto:
    return helper.make_node(kind, inputs, outputs, **attributes)


def energies(power: str, bins_first: bool) -> Graph:
    """`[B, T, K]`, or `[B, K, T]` with bins first, to logarithms."""
    filters = audio.filters(SOUND).astype(np.float32)
    matrix = {"filters": filters if bins_first else filters.T.copy()}
    read = ["filters", power] if bins_first else [power, "filters"]
    return [node("MatMul", read, "mel"), node("Log", ["mel"], "y")], matrix


def both_parts(value: str, axis: int) -> Graph:
    """The power of the real parts and the imaginary parts side by side."""
    bins = SOUND.transform // 2 + 1
    nodes = [
        node("Mul", [value, value], "squares"),
        node("Split", ["squares", "bins"], "real", "imaginary", axis=axis),
        node("Add", ["real", "imaginary"], "power"),
    ]
    return nodes, {"bins": np.array([bins, bins])}


def joined(*parts: Graph) -> Graph:
    arrays: Arrays = {}
    for _, each in parts:
        arrays |= each
    return [node for nodes, _ in parts for node in nodes], arrays


def conv() -> Graph:
    weight = audio.fourier(SOUND)[:, None].astype(np.float32)
    nodes = [
        node("Unsqueeze", ["x", "one"], "channel"),
        node("Conv", ["channel", "weight"], "both", strides=[SOUND.hop]),
    ]
    own: Graph = (nodes, {"one": np.array([1]), "weight": weight})
    return joined(own, both_parts("both", 1), energies("power", True))


def places() -> NDArray[np.int64]:
    return np.arange(WINDOWS)[:, None] * SOUND.hop + np.arange(SOUND.window)


def gather() -> Graph:
    nodes = [
        node("Gather", ["x", "places"], "windows", axis=1),
        node("MatMul", ["windows", "weight"], "both"),
    ]
    weight = audio.fourier(SOUND).T.astype(np.float32)
    own: Graph = (nodes, {"places": places(), "weight": weight})
    return joined(own, both_parts("both", 2), energies("power", False))


def complex_power(value: str) -> Graph:
    """Of `[…, 2]`."""
    nodes = [
        node("Mul", [value, value], "squares"),
        node("ReduceSum", ["squares", "last"], "power", keepdims=0),
    ]
    return nodes, {"last": np.array([-1])}


def dft() -> Graph:
    nodes = [
        node("Gather", ["x", "places"], "windows", axis=1),
        node("Mul", ["windows", "taper"], "tapered"),
        node("Unsqueeze", ["tapered", "last"], "complex"),
        node("DFT", ["complex", "size", "axis"], "transform", onesided=1),
    ]
    arrays: Arrays = {
        "places": places(), "taper": audio.taper(SOUND.window).astype(np.float32),
        "size": np.array(SOUND.transform), "axis": np.array(2),
    }  # fmt: skip
    return joined((nodes, arrays), complex_power("transform"), energies("power", False))


def stft() -> Graph:
    taper = np.zeros(SOUND.transform, np.float32)
    taper[: SOUND.window] = audio.taper(SOUND.window)
    nodes = [node("STFT", ["x", "hop", "taper", "size"], "transform")]
    arrays: Arrays = {"hop": np.array(SOUND.hop), "taper": taper, "size": np.array(SOUND.transform)}
    return joined((nodes, arrays), complex_power("transform"), energies("power", False))


def in_onnxruntime(graph: Graph, samples: NDArray[np.float32]) -> Callable[[], Any]:
    nodes, arrays = graph
    shape: list[int | str] = ["rows", "samples"]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "features",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
            [numpy_helper.from_array(value, name) for name, value in arrays.items()],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=9,
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return lambda: session.run(None, {"x": samples})


def in_torch(samples: NDArray[np.float32]) -> Callable[[], Any]:
    torch.set_num_threads(1)
    module, lengths = Audio(SOUND).eval(), torch.full((ROWS,), SAMPLES)
    return torch.no_grad()(lambda: module(torch.from_numpy(samples), lengths))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    samples = np.random.default_rng(0).normal(size=(ROWS, SAMPLES)).astype(np.float32)
    graphs = {"Conv": conv(), "Gather, MatMul": gather(), "Gather, DFT": dft(), "STFT": stft()}
    runs = {name: in_onnxruntime(graph, samples) for name, graph in graphs.items()}
    runs["torch, as trained"] = in_torch(samples)
    best = dict.fromkeys(runs, np.inf)
    for _ in range(rounds):
        for name, run in runs.items():
            begun = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - begun)
    for name, seconds in best.items():
        print(f"{name:<18} {seconds * 1000:7.1f} ms")


if __name__ == "__main__":
    main()
