"""A row in chunks, answered by a file of `rnnspec export --onnx --stream` with onnxruntime alone.

    python stream.py FILE.onnx ROW.json STEPS

FILE.json lies beside FILE.onnx. ROW.json holds a row, {"column": value}, of which STEPS steps are
read at a time: words or characters of a text, numbers of a list. A line for each chunk has the
outputs of the file as JSON.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int64)": np.int64}


class Stream:
    """One row after the other, chunk by chunk."""

    def __init__(self, file: Path) -> None:
        self.session = onnxruntime.InferenceSession(str(file))
        self.about = json.loads(file.with_suffix(".json").read_text())
        self.types = {each.name: each.type for each in self.session.get_inputs()}
        self.begin()

    def begin(self) -> None:
        """Begin a row: every state is 0."""
        self.states = {
            state["name"]: np.zeros((1, *state["shape"]), state["kind"])
            for state in self.about["stream"]["states"]
        }

    def answer(self, chunk: dict[str, Any], end: bool = False, write: int = 1) -> dict[str, Any]:
        """The outputs for a chunk `{column: value}`, without the axis of the batch. So many tokens
        are written after it by a language model that writes on."""
        stream, feeds = self.about["stream"], dict(self.states)
        for column in self.about["inputs"]:
            name, value = column["name"] or column["column"], chunk[column["column"]]
            feeds[name] = np.array([value], TYPES.get(self.types[name], object))
            if f"{name}.lengths" in self.types:
                feeds[f"{name}.lengths"] = np.array([len(value)], np.int64)
        if stream["end"]:
            feeds[stream["end"]] = np.array([end])
        if stream["write"]:
            feeds[stream["write"]] = np.array([write], np.int64)
        if "seed" in self.types:
            feeds["seed"] = np.zeros(1, np.int64)
        names = [each.name for each in self.session.get_outputs()]
        found = dict(zip(names, self.session.run(names, feeds), strict=True))
        self.states = {each["name"]: found.pop(each["after"]) for each in stream["states"]}
        for column, lengths in stream["answered"].items():  # the others answer each step at once
            for name in found:
                if name.partition(".")[0] == column and name != lengths:
                    found[name] = found[name][:, : found[lengths][0]]
        if end:
            self.begin()
        return {name: value[0] for name, value in found.items()}


def chunks(value: Any, kind: str, steps: int) -> list[Any]:
    """A value in pieces of so many steps."""
    if kind == "words":  # each with the gap before it
        value = re.findall(r"\s*\S+", value)
    pieces = [value[at : at + steps] for at in range(0, len(value), steps)]
    return ["".join(each) for each in pieces] if kind == "words" else pieces


def main(file: Path, row: Path, steps: int) -> None:
    stream = Stream(file)
    (column,) = stream.about["inputs"]
    name = column["column"]
    pieces = chunks(json.loads(row.read_text())[name], column["kind"], steps)
    for number, piece in enumerate(pieces, start=1):
        answer = stream.answer({name: piece}, end=number == len(pieces))
        print(json.dumps({key: np.asarray(value).tolist() for key, value in answer.items()}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
