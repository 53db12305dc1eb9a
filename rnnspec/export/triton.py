"""A build as a model repository of NVIDIA's Triton Inference Server.

The configuration is a `ModelConfig` in protobuf's text format (model_config.proto of
triton-inference-server/common); requests are those of KServe's Open Inference Protocol v2, which
Triton and others speak. What the backend for onnxruntime asks of a configuration stands in its
`ModelInstanceState::ValidateInputs` and `ValidateBooleanSequenceControl`
(triton-inference-server/onnxruntime_backend, src/onnxruntime.cc).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec import __version__
from rnnspec.errors import OutputError
from rnnspec.export.file import Exported, OnnxOptions, export_file
from rnnspec.export.probes import probe
from rnnspec.export.variant import DEFAULT_STEPS, variant
from rnnspec.files import (
    MODEL_FILE,
    FileKind,
    check_output,
    json_text,
    make_folder,
    marked,
    write_text,
)
from rnnspec.run import Model
from rnnspec.run.feeds import Feeds
from rnnspec.run.session import Tensor
from rnnspec.store.folder import Trained

MOST_ROWS, MOST_SEQUENCES = 64, 256
"""Rows that the server may answer together, and streams that it keeps states of."""
STEPS = 4
"""Steps of the row in the example of a request."""
TYPES: Mapping[str, tuple[str, str]] = {
    "tensor(string)": ("TYPE_STRING", "BYTES"),
    "tensor(float)": ("TYPE_FP32", "FP32"),
    "tensor(double)": ("TYPE_FP64", "FP64"),
    "tensor(float16)": ("TYPE_FP16", "FP16"),
    "tensor(int64)": ("TYPE_INT64", "INT64"),
    "tensor(int32)": ("TYPE_INT32", "INT32"),
    "tensor(uint8)": ("TYPE_UINT8", "UINT8"),
    "tensor(bool)": ("TYPE_BOOL", "BOOL"),
}
"""By the type of onnxruntime, that of Triton's configuration and that of a request."""
CONFIG = FileKind("a configuration of Triton", (".pbtxt",), marked(b"rnnspec"))
PAGE = FileKind("a page on a model", (".md",), marked(b"rnnspec"))
REQUEST = FileKind("a request", (".json",), marked(b'"id": "rnnspec"'))


@dataclass(frozen=True, slots=True)
class Served:
    """A model in a repository: its folder, and its file."""

    folder: Path
    exported: Exported

    def __str__(self) -> str:
        pages = "config.pbtxt, request.json, and README.md, which says how to serve and ask it"
        return f"{self.exported}\nwrote {self.folder}/: {pages}"


def export_triton(trained: Trained, repository: Path, options: OnnxOptions) -> Served:
    """Write `trained` into a model repository: NAME/1/model.onnx, as `export_file` does, with
    NAME/config.pbtxt, NAME/README.md and NAME/request.json. Raises as `export_file`, and
    OutputError where something else is in the way."""
    options.check()
    name = options.default(trained).stem
    folder = repository / name
    target = folder / "1" / "model.onnx"
    pages = {
        folder / "config.pbtxt": CONFIG,
        folder / "README.md": PAGE,
        folder / "request.json": REQUEST,
    }
    _check(folder, {target: MODEL_FILE, **pages})
    make_folder(target)
    exported = export_file(trained, replace(options, output=target))
    model = Model.load(target, threads=1)
    request = json_text(request_of(model, _example(trained, options)))
    texts = (config_of(name, model), _page(name, model, request), request + "\n")
    for path, text in zip(pages, texts, strict=True):
        write_text(path, text)
    return Served(folder, exported)


def _check(folder: Path, files: Mapping[Path, FileKind]) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file, and a model becomes a folder; name another")
    for path, kind in files.items():
        if path.exists():
            check_output(path, kind)


def _states(model: Model) -> dict[str, str]:
    """The states that the server keeps: the output by the input. None where it cannot, since one
    has no axis but that of the batch."""
    if model.chunks is None or not all(state.shape for state in model.chunks.states):
        return {}
    return {state.name: state.after for state in model.chunks.states}


def config_of(name: str, model: Model) -> str:
    """The text of config.pbtxt. Every tensor has the axis of the batch first, which `dims` leave
    out; one that has no other gets an axis of 1, which `reshape` takes away."""
    states, session = _states(model), model.session
    inputs = [each for each in session.input_tensors if each.name not in states]
    outputs = [each for each in session.output_tensors if each.name not in states.values()]
    lines = [
        f"# Written by rnnspec {__version__}.",
        f"name: {_text(name)}",
        'backend: "onnxruntime"',
        'default_model_filename: "model.onnx"',
        f"max_batch_size: {MOST_ROWS}",
        *(_tensor("input", each) for each in inputs),
        *(_tensor("output", each) for each in outputs),
    ]
    if states:
        lines += ["sequence_batching {", *_sequences(model, states), "}"]
    else:
        lines.append("dynamic_batching { }")
    return "\n".join(lines) + "\n"


def _tensor(kind: str, tensor: Tensor) -> str:
    dims = _dims(tensor)
    shape = f"dims: [ {', '.join(map(str, dims or [1]))} ]"
    reshape = "" if dims else " reshape { shape: [ ] }"
    named = f"name: {_text(tensor.name)} data_type: {TYPES[tensor.type][0]}"
    return f"{kind} {{ {named} {shape}{reshape} }}"


def _sequences(model: Model, states: Mapping[str, str]) -> Iterator[str]:
    """States begin as 0. The control of the end would need an axis of 1, which `end` lacks: it
    stays an input, which is true in the last request of a sequence."""
    yield f"  oldest {{ max_candidate_sequences: {MOST_SEQUENCES} }}"
    for tensor in model.session.input_tensors:
        if tensor.name not in states:
            continue
        dims = f"dims: [ {', '.join(map(str, _dims(tensor)))} ]"
        kind = f"data_type: {TYPES[tensor.type][0]} {dims}"
        names = f"input_name: {_text(tensor.name)} output_name: {_text(states[tensor.name])}"
        first = f'initial_state {{ name: "zeros" {kind} zero_data: true }}'
        yield f"  state {{ {names} {kind} {first} }}"


def _dims(tensor: Tensor) -> list[int]:
    """The axes behind that of the batch, -1 where they may have any size."""
    return [size if isinstance(size, int) else -1 for size in tensor.shape[1:]]


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def request_of(model: Model, feeds: Feeds) -> dict[str, Any]:
    """A request with the graph inputs of a batch; what the server keeps is left out, and what the
    batch lacks, such as the end of a stream, is 0."""
    states, inputs = _states(model), []
    rows = len(next(iter(feeds.values())))
    for tensor in model.session.input_tensors:
        if tensor.name in states:
            continue
        value = feeds.get(tensor.name)
        if value is None:
            value = _nothing(tensor, rows)
        shape = list(value.shape) if value.ndim > 1 else [*value.shape, 1]
        kind = TYPES[tensor.type][1]
        data = value.reshape(-1).tolist()
        inputs.append({"name": tensor.name, "shape": shape, "datatype": kind, "data": data})
    return {"id": "rnnspec", "inputs": inputs}


def _nothing(tensor: Tensor, rows: int) -> NDArray[Any]:
    shape = [rows, *(max(size, 1) for size in _dims(tensor))]
    if tensor.type == "tensor(string)":
        return np.full(shape, "", object)
    return np.zeros(shape, np.bool_ if tensor.type == "tensor(bool)" else np.int64)


def _example(trained: Trained, options: OnnxOptions) -> Feeds:
    """The graph inputs of one row, drawn; without missing numbers, which JSON does not have."""
    steps = (options.steps or DEFAULT_STEPS) if options.generate else None
    _, plan = variant(trained, options.strategy, steps)
    lengths = np.array([1 if options.step else STEPS])
    draw = np.random.default_rng(0)
    feeds = probe(plan, trained.facts, lengths, draw, options.ids).feeds
    floats = {name for name, value in feeds.items() if value.dtype.kind == "f"}
    return {name: np.nan_to_num(v) if name in floats else v for name, v in feeds.items()}


def _page(name: str, model: Model, request: str) -> str:
    parts = [
        f"# {name} on a Triton server",
        f"Written by rnnspec {__version__}: `config.pbtxt`, `1/model.onnx` and an example of a"
        " request.",
        "## Serve\n\nIn the folder above this one, with a release of Triton whose onnxruntime reads"
        ' the file:\n\n    docker run --rm -p 8000:8000 -v "$PWD":/models \\\n'
        "      nvcr.io/nvidia/tritonserver:YY.MM-py3 tritonserver --model-repository=/models",
        f"## Ask\n\n    curl -s localhost:8000/v2/models/{name}/infer -d @{name}/request.json\n\n"
        f"which holds, in KServe's Open Inference Protocol v2:\n\n```json\n{request}\n```",
        "\n".join(_table("Input", model, model.session.input_tensors)),
        "\n".join(_table("Output", model, model.session.output_tensors)),
        "## Batches\n\n" + "\n".join(_on_batches(model)),
    ]
    if model.chunks is not None:
        parts.append("## Streams\n\n" + "\n".join(_on_streams(model)))
    return "\n\n".join(parts) + "\n"


def _table(title: str, model: Model, tensors: Sequence[Tensor]) -> Iterator[str]:
    states = _states(model)
    kept = states.keys() | set(states.values())
    kinds: dict[str, str] = {column.feed: column.kind for column in model.inputs}
    kinds |= {column.answer: column.kind for column in model.outputs}
    yield f"| {title} | datatype | shape | holds |"
    yield "|---|---|---|---|"
    for tensor in tensors:
        if tensor.name in kept:
            continue
        dims = ["rows", *("any" if size < 0 else str(size) for size in _dims(tensor) or [1])]
        shape = ", ".join(dims)
        yield (
            f"| `{tensor.name}` | {TYPES[tensor.type][1]} | [{shape}]"
            f" | {kinds.get(tensor.name, '')} |"
        )


def _on_batches(model: Model) -> Iterator[str]:
    tensors = {tensor.name: tensor for tensor in model.session.input_tensors}
    padded = [f"`{each.feed}`" for each in model.inputs if -1 in _dims(tensors[each.feed])]
    yield f"A request has one row or several, up to {MOST_ROWS}."
    yield _PADDED.format(names=" and ".join(padded)) if padded else _WHOLE
    if any(-1 in _dims(tensor) for tensor in model.session.output_tensors):
        yield _CUT


_WHOLE = """\
Lengths of texts may differ, since they become steps inside the file, and the server computes rows
of several requests together."""
_PADDED = """\
In {names} the rows of a request are padded to its longest with 0 or empty texts, and the input that
ends in `.lengths` says how many steps each row has; what stands behind them never changes an
answer. The server computes together only requests whose axes agree: pad to a few lengths, such as
16, 32 and 64, so that they meet. `allow_ragged_batch` is of no use here: it hands rows over end to
end on one axis, which this file does not read."""
_CUT = """
Answers of steps are as long as the longest row that was computed with them: cut each to the steps
of its own row."""


def _on_streams(model: Model) -> Iterator[str]:
    assert model.chunks is not None
    if _states(model):
        yield "The server keeps the states of each stream. Requests of one stream have one row and"
        yield 'the same `"parameters": {"sequence_id": 7}`; the first one has `"sequence_start":'
        yield 'true` beside it, the last one `"sequence_end": true`.'
    else:
        yield "The states are inputs, 0 where a row begins, and outputs to be fed with the next"
        yield "request; the server cannot keep them, since one is a single number of each row."
    if model.chunks.end:
        yield f"The input `{model.chunks.end}` is true in the last request as well: what waits for"
        yield "later steps is answered then."
