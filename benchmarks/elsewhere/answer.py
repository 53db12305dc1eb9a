"""Calls of files, answered in Python by another runtime, without rnnspec.

    python answer.py onnxruntime|openvino|tract NAME...

NAME.calls.json holds the names of the outputs of NAME.onnx, and groups of calls; each gives the
inputs of a call, and which of them are outputs of the one before. Prints a line of JSON a file:
`load`, empty or why it does not, and for each group its answers, or after `error` why there are
none.
"""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, Any]
Run = Callable[[Arrays], Arrays]


def tensor(packed: Mapping[str, Any]) -> Any:
    if packed["type"] == "string":
        return np.array(packed["data"], object).reshape(packed["dims"])
    content = base64.b64decode(packed["data"])
    return np.frombuffer(content, packed["type"]).reshape(packed["dims"])


def packed(value: Any) -> dict[str, Any]:
    """A tensor as JSON: texts as they are, numbers as the bytes of little-endian machines."""
    value = np.asarray(value)
    shape = list(value.shape)
    if value.dtype.kind in "OUS":
        return {"type": "string", "dims": shape, "data": [str(each) for each in value.ravel()]}
    data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
    return {"type": value.dtype.name, "dims": shape, "data": data}


def onnxruntime(file: str, names: list[str]) -> Run:
    import onnxruntime as runtime

    runtime.set_default_logger_severity(4)
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    return lambda feeds: dict(zip(names, session.run(names, feeds), strict=True))


def openvino(file: str, names: list[str]) -> Run:
    import openvino as runtime  # type: ignore[import-not-found]

    core = runtime.Core()
    # Else it multiplies in bfloat16 or 8 bits, where the processor does.
    settings = {"INFERENCE_NUM_THREADS": 1, "EXECUTION_MODE_HINT": "ACCURACY"}
    compiled = core.compile_model(core.read_model(file), "CPU", settings)

    def run(feeds: Arrays) -> Arrays:
        found = compiled(feeds)
        return {name: np.array(value) for port, value in found.items() for name in port.get_names()}

    return run


def tract(file: str, names: list[str]) -> Run:
    """Of symbolic extents, or, where tract cannot, of those of each call."""
    import tract as runtime  # type: ignore[import-not-found]

    kinds = {"float32": "f32", "float64": "f64", "int64": "i64", "int32": "i32", "uint8": "u8"}
    loaded = runtime.onnx().load(file)
    inputs = [loaded.input_name(at) for at in range(loaded.input_count())]
    try:
        symbolic = loaded.into_model().into_runnable()
    except runtime.TractError:
        symbolic = None

    def run(feeds: Arrays) -> Arrays:
        chosen = symbolic
        if chosen is None:
            model = runtime.onnx().load(file)
            for at, name in enumerate(inputs):
                value = feeds[name]
                extents = [*map(str, value.shape), kinds.get(value.dtype.name, value.dtype.name)]
                model.set_input_fact(at, ",".join(extents))
            chosen = model.into_model().into_runnable()
        values = chosen.run([feeds[name] for name in inputs])
        return dict(zip(names, [each.to_numpy() for each in values], strict=True))

    return run


def answered(run: Run, calls: list[dict[str, Any]]) -> Any:
    found: list[dict[str, Any]] = []
    last: Arrays = {}
    try:
        for call in calls:
            feeds = {name: tensor(value) for name, value in call["feeds"].items()}
            feeds.update({name: last[after] for name, after in call["carried"].items()})
            last = run(feeds)
            found.append({name: packed(value) for name, value in last.items()})
    except Exception as error:
        return {"error": str(error) or type(error).__name__}
    return found


def found(kind: str, name: str) -> dict[str, Any]:
    runtimes = {"onnxruntime": onnxruntime, "openvino": openvino, "tract": tract}
    asked = json.loads(Path(f"{name}.calls.json").read_text())
    try:
        run = runtimes[kind](f"{name}.onnx", asked["outputs"])
    except Exception as error:
        return {"load": str(error) or type(error).__name__}
    groups = asked["groups"].items()
    return {"load": "", **{each: answered(run, calls) for each, calls in groups}}


if __name__ == "__main__":
    for name in sys.argv[2:]:
        print(json.dumps(found(sys.argv[1], name)), flush=True)
