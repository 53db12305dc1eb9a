"""rnnspec's side of decoding in joeynmt.py: a process with onnxruntime and NumPy, nothing else.

Reads lines from stdin: `greedy` or `beam`. Each is answered by a line of JSON: CPU `seconds` and
the `answers` to the rows of the file of texts, batch by batch in its order.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime


def session(model: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def main(greedy: str, beam: str, texts: str, batch: str) -> None:
    sessions = {"greedy": session(greedy), "beam": session(beam)}
    rows = np.array(Path(texts).read_text(encoding="utf-8").splitlines(), dtype=object)
    loaded = {name.partition(".")[0] for name in sys.modules}
    assert not loaded & {"rnnspec", "torch", "onnx"}, loaded
    for line in sys.stdin:
        asked = sessions[line.strip()]
        answers: list[str] = []
        started = time.process_time()
        for start in range(0, len(rows), int(batch)):
            found = asked.run(["answer"], {"text": rows[start : start + int(batch)]})[0]
            answers += np.asarray(found).reshape(-1).tolist()
        print(
            json.dumps({"seconds": time.process_time() - started, "answers": answers}), flush=True
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
