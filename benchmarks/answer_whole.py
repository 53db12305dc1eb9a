"""What an exported file answers by itself: a process that has onnxruntime and NumPy, nothing else.

  python benchmarks/answer_whole.py model.onnx feeds.npz answers.npz

`feeds.npz` holds the inputs of batch i under `i/NAME`; `answers.npz` gets its outputs likewise.
Prints the modules of rnnspec, torch and onnx that were loaded, as JSON: there must be none.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from typing import Any

import numpy as np
import onnxruntime


def main(model: str, feeds: str, answers: str) -> None:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    batches: dict[int, dict[str, Any]] = defaultdict(dict)
    with np.load(feeds) as given:
        for key in given.files:
            number, _, name = key.partition("/")
            value = given[key]
            batches[int(number)][name] = value.astype(object) if value.dtype.kind == "U" else value
    found: dict[str, Any] = {}
    for number, batch in batches.items():
        for name, value in zip(names, session.run(None, batch), strict=True):
            text = isinstance(value, np.ndarray) and value.dtype.kind == "O"
            found[f"{number}/{name}"] = value.astype(str) if text else np.asarray(value)
    np.savez(answers, **found)
    ours = [m for m in sys.modules if m.partition(".")[0] in ("rnnspec", "torch", "onnx")]
    print(json.dumps(ours))


if __name__ == "__main__":
    main(*sys.argv[1:])
