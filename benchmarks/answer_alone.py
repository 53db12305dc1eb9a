"""Answers the rows of a JSONL file by an exported model with onnxruntime and numpy alone.

  python benchmarks/answer_alone.py model.onnx rows.jsonl INPUT OUTPUT

INPUT and OUTPUT are column names. Prints JSON: the answers, the share that equals the OUTPUT
column, and which of the other libraries were loaded (none).
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import onnxruntime

BATCH = 7
"""Unlike any batch of training."""


def feeds(session: Any, column: str, values: list[Any]) -> dict[str, Any]:
    if session.get_inputs()[0].type == "tensor(string)":
        return {column: np.array(values, dtype=object)}
    longest = max(map(len, values))
    padded = np.full((len(values), longest, len(values[0][0])), np.nan, np.float32)
    for row, value in zip(padded, values, strict=True):
        row[: len(value)] = value
    return {column: padded, f"{column}.lengths": np.array([len(value) for value in values])}


def main() -> None:
    model, rows_file, given, wanted = sys.argv[1:]
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    with open(rows_file, encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    answers: list[str] = []
    for start in range(0, len(rows), BATCH):
        values = [row[given] for row in rows[start : start + BATCH]]
        answers += session.run([wanted], feeds(session, given, values))[0].tolist()
    right = sum(str(row[wanted]) == answer for row, answer in zip(rows, answers, strict=True))
    loaded = sorted({"torch", "onnx", "rnnspec", "pydantic"} & set(sys.modules))
    print(json.dumps({"answers": answers, "accuracy": right / len(rows), "loaded": loaded}))


if __name__ == "__main__":
    main()
