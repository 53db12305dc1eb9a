"""Cells whose state is a matrix: training in chunks beside the loop over their steps, and how far
the answers of the lowerings are apart.

    python benchmarks/matrix_cells.py [--steps 1000] [--rows 4] [--heads 4] [--width 64]

One layer, forward and backward, gradients of all weights. Each cell is trained on the same
sequences in chunks and by its loop, in turns; the ratio is of the medians of CPU time on one
thread. At least 3 for mLSTM and the delta rule at T = 1,000 with 4 heads of 64. Then the reference
in float64, the layer in chunks and in steps, and an exported file answer the same rows; the
largest distance is at most 1e-4.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
from torch import Tensor

from rnnspec.cells import Cell, builtin_cell
from rnnspec.cells.heads import with_heads
from rnnspec.plan import ClassFacts, Facts, NumericFacts, Plan, weights
from rnnspec.plan.nodes import ClassOutput, Dense, FramesInput, Pool, Recurrent
from rnnspec.plan.nodes.plan import verify
from rnnspec.reference import answers, step
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch.generic import GenericKernel

CELLS = ("mlstm", "delta_rule", "gated_delta_rule", "gated_linear_attention")
CLASSES = 4


def kernels(cell: Cell, sizes: dict[str, int]) -> tuple[GenericKernel, GenericKernel]:
    """In chunks and in steps, with the same weights."""
    found = GenericKernel(cell, sizes), GenericKernel(cell, sizes, matrices_in_steps=True)
    generator = torch.Generator().manual_seed(0)
    held = [dict(kernel.packed.canonical()) for kernel in found]
    for name, value in held[0].items():
        drawn = torch.randn(value.shape, generator=generator) / sizes["inputs"] ** 0.5
        for each in held:
            each[name].copy_(drawn)
    return found


def seconds(kernel: GenericKernel, x: Tensor) -> float:
    """CPU time of one step of training."""
    start = time.process_time()
    out, _ = kernel(x)
    out.square().mean().backward()
    kernel.zero_grad()
    return time.process_time() - start


def distances(pair: tuple[GenericKernel, GenericKernel], x: Tensor) -> tuple[float, float]:
    """Of the outputs of the first row, in chunks and in steps, from the reference's."""
    cell, sizes = pair[0].cell, pair[0].sizes
    held = {name: value.double().numpy() for name, value in pair[0].packed.canonical()}
    states = {state: np.zeros(sizes[cell.state_size(state)]) for state in cell.states}
    outputs = []
    for each in x[:, 0].double().numpy():
        states, out = step(cell, held, {"x": each}, states, sizes)
        outputs.append(out)
    with torch.no_grad():
        found = [kernel(x[:, :1])[0][:, 0].numpy() for kernel in pair]
    chunks, steps = (float(np.abs(one - np.stack(outputs)).max()) for one in found)
    return chunks, steps


def distance_of_file(cell: Cell, own: dict[str, int], units: int, x: Tensor) -> float:
    """Of the probabilities that an exported file answers from those of the reference."""
    inputs = x.shape[-1]
    layer = Recurrent("layer", "input.frames", cell, inputs, units, "forward", tuple(own.items()))
    plan = verify(
        Plan(
            "matrices",
            "N:1",
            (
                FramesInput("input.frames", "frames", inputs, False, None),
                layer,
                Pool("pool", "layer", "last", layer.width, 0),
                Dense("answer", "pool", layer.width, CLASSES, "none"),
                ClassOutput("output.label", "answer", "label", CLASSES),
            ),
        )
    )
    draw = np.random.default_rng(0)
    held = {w.name: draw.normal(0, inputs**-0.5, w.shape).astype(np.float32) for w in weights(plan)}
    frames = NumericFacts(inputs, (0.0,) * inputs, (1.0,) * inputs, longest=len(x))
    labels = ClassFacts(tuple("abcd"))
    facts = Facts(x.shape[1], {"frames": frames}, {"label": labels})
    rows = [{"frames": row.numpy()} for row in x.unbind(1)]
    session = Session(to_onnx(plan, facts, held).SerializeToString())
    lengths = np.full(x.shape[1], len(x), np.int64)
    told = session.run({"frames": x.transpose(0, 1).numpy(), "frames.lengths": lengths})
    right = answers(plan, held, rows)["label"]
    return float(np.abs(told["label.probabilities"] - right).max())


def main() -> None:
    asked = argparse.ArgumentParser()
    defaults = {"steps": 1000, "rows": 4, "heads": 4, "width": 64, "rounds": 3}
    for name, value in defaults.items():
        asked.add_argument(f"--{name}", type=int, default=value)
    asked.add_argument("--cells", nargs="+", default=CELLS)
    options = asked.parse_args()
    torch.set_num_threads(1)
    units = options.heads * options.width
    x = torch.randn(options.steps, options.rows, units, generator=torch.Generator().manual_seed(1))
    print(f"{options.steps} steps, {options.rows} rows, {options.heads} heads of {options.width}")
    for name in options.cells:
        cell = with_heads(builtin_cell(name))
        own = {"keys": options.width, "heads": options.heads}
        pair = kernels(cell, cell.sizes(units, options.width, own))
        times = [[seconds(kernel, x) for kernel in pair] for _ in range(options.rounds)]
        chunks, steps = (statistics.median(each) for each in zip(*times, strict=True))
        far = (*distances(pair, x), distance_of_file(cell, own, units, x[:, :2]))
        print(
            f"{name:24} chunks {chunks:6.2f} s  steps {steps:6.2f} s  ratio {steps / chunks:5.1f}"
            f"  from the reference: chunks {far[0]:.1e}, steps {far[1]:.1e}, file {far[2]:.1e}",
            flush=True,
        )


if __name__ == "__main__":
    main()
