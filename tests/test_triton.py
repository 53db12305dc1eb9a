"""A model repository of Triton: its configuration by Triton's own schema, and a request as JSON."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

from rnnspec.export import OnnxOptions
from rnnspec.export.triton import TYPES, export_triton
from rnnspec.run import Model
from tests.cli import wrong
from tests.decoders import decoded
from tests.kinds import output, spec_data
from tests.random_builds import trained
from tests.test_export_kinds import quick as quick

DTYPES = {"BYTES": object, "FP32": np.float32, "FP64": np.float64, "INT64": np.int64}
DTYPES |= {"INT32": np.int32, "BOOL": np.bool_, "UINT8": np.uint8}
CLASS_OF_FRAMES = spec_data("N:1", ["frames"], [output("class")])
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "texts": (spec_data("N:N", ["words"], [output("tags"), output("keys")]), {}),
    "steps and rows": (
        spec_data("N:1", ["tokens", "frames", "category", "number"], [output("class")]),
        {},
    ),
    "numbers": (spec_data("N:1", ["words"], [output("class")]), {"ids": True}),
    "doubles": (spec_data("N:1", ["frames"], [output("out_doubles")]), {}),
    "best texts": (decoded(attention="dot"), {"strategy": "beam:width=3,n_best=2"}),
    "stream": (spec_data("N:N", ["frames"], [output("tags")]), {"stream": True}),
    "joined": (
        spec_data("N:1", ["frames"], [output("class")]),
        {"stream": True, "state": "joined"},
    ),
    "steps": (spec_data("N:N", ["frames"], [output("tags")]), {"stream": True, "step": True}),
}


OF_CONFIG = {config: DTYPES[asked] for config, asked in TYPES.values() if asked in DTYPES}


@cache
def schema() -> Any:
    """model_config.proto as Triton's client has it; the client's package itself needs gRPC."""
    found = importlib.util.find_spec("tritonclient")
    assert found is not None and found.submodule_search_locations
    file = Path(found.submodule_search_locations[0]) / "grpc" / "model_config_pb2.py"
    spec = importlib.util.spec_from_file_location("model_config_pb2", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def served(folder: Path, kind: str) -> tuple[Path, Model, Any]:
    """The folder of a model, the model, and its parsed configuration."""
    data, options = KINDS[kind]
    found = export_triton(trained(data, size=0.9), folder, OnnxOptions(**options)).folder
    config = text_format.Parse((found / "config.pbtxt").read_text(), schema().ModelConfig())
    return found, Model.load(found / "1" / "model.onnx", threads=1), config


def shape_of(tensor: Any) -> list[int]:
    """The shape behind the axis of the batch that the file sees of a tensor of a configuration."""
    return list(tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims)


def described(tensors: Any) -> dict[str, tuple[str, list[int]]]:
    names = schema().DataType.Name
    return {each.name: (names(each.data_type), shape_of(each)) for each in tensors}


@pytest.mark.parametrize("kind", KINDS)
def test_the_configuration_is_of_the_file(kind: str, tmp_path: Path) -> None:
    """By Triton's schema, with each input and output of the file once, of its type and shape
    (what its backend checks as it loads a model); and the answer to the request in JSON is that to
    the arrays it was made of."""
    folder, model, config = served(tmp_path, kind)
    assert (config.name, config.backend, config.max_batch_size) == (folder.name, "onnxruntime", 64)
    states = list(config.sequence_batching.state)
    known = {each.name: each for each in model.session.input_tensors}
    wanted = {
        name: (TYPES[each.type][0], [n if isinstance(n, int) else -1 for n in each.shape[1:]])
        for name, each in known.items()
    }
    assert all(each.shape[0] == "batch" for each in known.values())
    found = described(config.input)
    found |= {
        each.input_name: (schema().DataType.Name(each.data_type), list(each.dims))
        for each in states
    }
    assert found == wanted and len(config.input) + len(states) == len(wanted)
    answered = set(described(config.output)) | {each.output_name for each in states}
    assert answered == set(model.session.outputs)
    assert all(tensor.dims for tensor in [*config.input, *config.output])
    assert config.HasField("sequence_batching") != config.HasField("dynamic_batching")


@pytest.mark.parametrize("kind", KINDS)
def test_the_request_is_answered(kind: str, tmp_path: Path) -> None:
    """The JSON becomes the arrays that a server hands to the file: dims by the configuration, with
    the axes that `reshape` takes away, states of 0."""
    folder, model, config = served(tmp_path, kind)
    text = (folder / "request.json").read_text()
    assert f"```json\n{text}```" in (folder / "README.md").read_text()
    feeds: dict[str, Any] = {}
    inputs = {each.name: each for each in config.input}
    asked = json.loads(text)["inputs"]
    assert {each["name"] for each in asked} == set(inputs)
    for each in asked:
        value = np.array(each["data"], DTYPES[each["datatype"]]).reshape(each["shape"])
        rows, *dims = each["shape"]
        fits = zip(dims, inputs[each["name"]].dims, strict=True)
        assert rows == 1 and all(size in (n, size if n < 0 else n) for size, n in fits)
        if inputs[each["name"]].HasField("reshape"):
            value = value.reshape(rows, *inputs[each["name"]].reshape.shape)
        feeds[each["name"]] = value
    for state in config.sequence_batching.state:
        first = state.initial_state[0]
        assert first.zero_data and list(first.dims) == list(state.dims)
        kind_of = OF_CONFIG[schema().DataType.Name(first.data_type)]
        feeds[state.input_name] = np.zeros((1, *first.dims), kind_of)
    results = model.session.run(feeds)
    assert all(len(value) == 1 for value in results.values())


def test_states_are_kept_by_the_server(tmp_path: Path) -> None:
    """Two requests of a sequence, with the states that the configuration pairs, answer as the
    stream does."""
    _, model, config = served(tmp_path, "stream")
    draw = np.random.default_rng(1)
    frames = draw.normal(size=(1, 5, 3)).astype(np.float32)
    states = {
        each.input_name: np.zeros((1, *each.dims), np.float32)
        for each in config.sequence_batching.state
    }
    found = []
    for part in (frames[:, :2], frames[:, 2:]):
        lengths = np.array([part.shape[1]])
        results = model.session.run({"frames": part, "frames.lengths": lengths, **states})
        pairs = config.sequence_batching.state
        states = {each.input_name: results[each.output_name] for each in pairs}
        found += results["tags"][0].tolist()
    (whole,) = model.answer([{"frames": frames[0].tolist()}])
    assert found == whole["tags"] and states


def test_what_is_in_the_way_stays(tmp_path: Path) -> None:
    folder, _, _ = served(tmp_path, "texts")
    served(tmp_path, "texts")
    (folder / "config.pbtxt").write_text("name: 'mine'\n")
    with pytest.raises(Exception, match="is not a configuration of Triton that rnnspec wrote"):
        served(tmp_path, "texts")
    assert "--onnx, --c DIR or --triton DIR" in wrong("export", "--onnx", "--triton", tmp_path)
    said = wrong("export", "--triton", tmp_path, "--output", "x.onnx")
    assert "leave out --output" in said
