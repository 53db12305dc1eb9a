"""What a chain of labels costs: in training beside pytorch-crf, and in an exported file.

    python benchmarks/chain.py

The time of an exported file is that of a bidirectional LSTM of 2 x 100 units with the chain, and
with a softmax in its place.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchcrf import CRF

from rnnspec.plan import ClassFacts, Facts, NumericFacts, resolve, weights
from rnnspec.plan.nodes import ChainOutput
from rnnspec.run.session import Session
from rnnspec.spec import Spec
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.to_torch.chain import ChainOutput as Chain

SHAPES = ((32, 50, 30), (1, 50, 30), (32, 12, 120), (32, 50, 9), (32, 50, 120))
"""Rows, steps and labels."""
INPUTS = 32


def timed(run: Callable[[], object], times: int = 20) -> float:
    """Milliseconds of the median call."""
    run()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return 1e3 * median(found)


def training(rows: int, steps: int, labels: int) -> tuple[float, float]:
    """A loss and its gradients: pytorch-crf's, and ours."""
    torch.manual_seed(0)
    scores = torch.randn(steps, rows, labels, requires_grad=True)
    true, lengths = torch.randint(0, labels, (steps, rows)), torch.randint(1, steps + 1, (rows,))
    lengths[0] = steps
    mask = torch.arange(steps)[:, None] < lengths
    other, module = CRF(labels), Chain(ChainOutput("o", "s", "c", labels))
    theirs = timed(lambda: (-other(scores, true, mask=mask)).backward())
    ours = timed(lambda: module.surprise(scores.transpose(0, 1), true.t(), lengths).backward())
    return theirs, ours


def answering(rows: int, steps: int, labels: int, chain: bool) -> float:
    """The exported file's answer to a batch."""
    spec = Spec.model_validate(
        {
            "name": "chain",
            "cardinality": "N:N",
            "data": {
                "train": "rows.jsonl",
                "input": {"column": "x", "as": "frames", "scale": "none"},
                "output": {"column": "y", "as": "tags", "crf": chain},
            },
            "encoder": {"layers": [{"cell": "lstm", "units": 100, "direction": "bidirectional"}]},
        }
    )
    known = NumericFacts(INPUTS, (0.0,) * INPUTS, (1.0,) * INPUTS)
    names = tuple(map(str, range(labels)))
    facts = Facts(9, {"x": known}, {"y": ClassFacts(names, (1,) * labels)})
    plan = resolve(spec, facts)
    model = Model(plan)
    model.start(facts, 0)
    assert weights(plan)
    session = Session(to_onnx(plan, facts, model.canonical_arrays()).SerializeToString(), 1)
    draw = np.random.default_rng(0)
    feeds: dict[str, NDArray[Any]] = {
        "x": draw.normal(size=(rows, steps, INPUTS)).astype(np.float32),
        "x.lengths": np.full(rows, steps, np.int64),
    }
    return timed(lambda: session.run(feeds))


def main() -> None:
    torch.set_num_threads(1)
    print("rows steps labels | training, ms: pytorch-crf, ours | answering, ms: softmax, chain")
    for shape in SHAPES:
        theirs, ours = training(*shape)
        softmax, chain = (answering(*shape, chain=each) for each in (False, True))
        print(*shape, f"| {theirs:.1f} {ours:.1f} | {softmax:.2f} {chain:.2f}")


if __name__ == "__main__":
    main()
