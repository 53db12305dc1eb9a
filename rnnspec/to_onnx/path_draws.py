"""The uniform draws of paths: each path of each row has numbers of its own at each step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnnspec.plan.nodes import ForecastOutput, FramesOutput
from rnnspec.plan.sampling_rng import P
from rnnspec.to_onnx.emitter import Emitter
from rnnspec.to_onnx.lowering import Lowering
from rnnspec.to_onnx.rows import Rows
from rnnspec.to_onnx.sampling_rng import keys, output_seeds, uniform


@dataclass(frozen=True, slots=True)
class PathDraws:
    """What stands outside of the loop over steps: the `keys` of the seeds of the paths, int64
    `[R, 1]`, the `offsets` of the draws of a step, int64 `[R, J]`, and how many of them all paths
    of a row take, `per_step`."""

    keys: tuple[str, str]
    offsets: str
    per_step: int

    def at(self, emit: Emitter, step: str, steps: int | None, name: str) -> str:
        """The draws of a step, float64 `[R, J]`; `steps` are the most of them, if that is known."""
        start = emit.op("Mul", [step, emit.integer(self.per_step)], f"{name}.start")
        number = emit.op("Add", [self.offsets, start], f"{name}.steps")
        if steps is None or steps * self.per_step >= P:
            number = emit.op("Mod", [number, emit.integer(P)], f"{name}.steps.rest")
        return uniform(emit, self.keys, number, name)


def path_draws(
    low: Lowering, node: ForecastOutput | FramesOutput, rows: Rows, count: int, name: str
) -> PathDraws:
    """The draws of the paths of an output, `rows`, of which each takes `count` a step."""
    emit = low.emit
    seeds = rows.repeated(output_seeds(low, node.name, name))
    of_paths = keys(emit, emit.unsqueeze(seeds, 1, f"{name}.seeds"), name)
    path = emit.op("Mod", [rows.numbers(rows.count()), emit.integer(node.paths)], f"{name}.number")
    first = emit.op("Mul", [path, emit.integer(count)], f"{name}.first")
    each = emit.constant(np.arange(count, dtype=np.int64), f"{name}.each")
    offsets = emit.op("Add", [emit.unsqueeze(first, 1, f"{name}.row"), each], f"{name}.offsets")
    return PathDraws(of_paths, offsets, node.paths * count)
