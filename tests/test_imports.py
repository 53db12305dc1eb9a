"""Weights from elsewhere give the answers that they gave there: each library is its own oracle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnspec.errors import ModelFileError
from rnnspec.imports.facts import Told
from rnnspec.imports.importing import Wanted, import_weights, read_layers
from rnnspec.plan.facts import TextFacts
from rnnspec.plan.facts_file import read_facts
from rnnspec.spec.load import load_spec
from rnnspec.to_onnx import to_onnx
from tests.imported import (
    FEATURES,
    LABELS,
    ROWS,
    TORCH,
    UNITS,
    frames,
    imported,
    spec_of,
    steps0,
    torch_model,
)
from tests.models import frames_facts, frames_plan, random_weights


@pytest.mark.parametrize("name", TORCH)
@pytest.mark.parametrize("form", ["pt", "safetensors", "onnx"])
def test_layers_of_torch(tmp_path: Path, name: str, form: str) -> None:
    if (name, form) == ("projected", "onnx"):
        pytest.skip("torch exports no projections")
    model, steps = torch_model(name), frames()
    file = tmp_path / f"model.{form}"
    match form:
        case "pt":
            torch.save({"epoch": 3, "state_dict": model.state_dict()}, file)
        case "safetensors":
            from safetensors.torch import save_file

            save_file(model.state_dict(), file)
        case _:
            export(model, steps, file)
    expected = {"frames": steps.numpy(), "kind.logits": model(steps).detach().numpy()}
    found = imported(tmp_path, spec_of(TORCH[name][2]), file, expected)
    (agreement,) = found.agreements
    assert agreement.difference < 1e-6


def export(model: nn.Module, steps: Tensor, file: Path) -> None:
    """As torch writes it by tracing: gates brought into the order of ONNX by slices and joins."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (steps,), str(file), dynamo=False, do_constant_folding=False)


class Tagger(nn.Module):
    """Everything that is found by itself but recurrent layers, and a cell in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, FEATURES)
        self.conv = nn.Conv1d(FEATURES, 6, 3, padding=1)
        self.scale = nn.BatchNorm1d(6)
        self.cell = nn.GRUCell(6, UNITS)
        self.norm = nn.LayerNorm(UNITS)
        self.answer = nn.Linear(UNITS, LABELS)

    def forward(self, tokens: Tensor) -> Tensor:
        steps = self.scale(self.conv(self.table(tokens).transpose(1, 2))).transpose(1, 2)
        state, found = steps.new_zeros(len(steps), UNITS), []
        for step in steps.unbind(1):
            state = self.cell(step, state)
            found.append(self.answer(self.norm(state)))
        return torch.stack(found, 1)


TAGGER = """
name: tagger
cardinality: N:N
data:
  train: rows.jsonl
  input: {column: words, as: tokens}
  output: {column: kind, as: tags}
encoder:
  embed: 5
  layers:
    - {conv: 6, size: 3, norm: batch}
    - {cell: gru, units: 4, norm: layer}
"""
VOCABULARY = "ant\n<unk>\nbee\ncat\n<pad>\ndog\neel\n"


def tagger() -> tuple[Tagger, dict[str, NDArray[Any]]]:
    """With lengths: what stands past them is the pad of torch's model, which is row 4 there."""
    torch.manual_seed(2)
    model = Tagger()
    for _ in range(3):
        model(torch.randint(0, 7, (8, 5)))
    tokens = torch.tensor([[0, 2, 3, 5, 6], [6, 1, 0, 2, 2]])
    return model.eval(), {"words": tokens.numpy(), "kind.logits": model(tokens).detach().numpy()}


def test_embeddings_convolutions_norms_and_a_vocabulary_in_another_order(tmp_path: Path) -> None:
    model, expected = tagger()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    found = imported(tmp_path, TAGGER, tmp_path / "model.pt", expected, words=VOCABULARY)
    assert found.agreements[0].difference < 1e-5
    facts = read_facts(found.folder.path).inputs["words"]
    assert isinstance(facts, TextFacts)
    assert list(facts.vocabulary.entries) == ["ant", "bee", "cat", "dog", "eel"]


def test_a_table_without_a_vocabulary(tmp_path: Path) -> None:
    model, expected = tagger()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    rows = [{"words": ["ant", "bee", "cat", "dog", "eel"], "kind": ["a", "b", "c", "a", "b"]}]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(ModelFileError, match="order of the vocabulary of 'words', which is not"):
        imported(tmp_path, TAGGER, tmp_path / "model.pt", expected)


class Translator(nn.Module):
    """An encoder and a decoder that begins with its last state, fed with the true tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.source = nn.Embedding(6, 5)
        self.encoder = nn.GRU(5, UNITS, batch_first=True)
        self.target = nn.Embedding(8, 5)
        self.decoder = nn.GRU(5, UNITS, batch_first=True)
        self.scores = nn.Linear(UNITS, 8)

    def forward(self, source: Tensor, before: Tensor) -> Tensor:
        _, state = self.encoder(self.source(source))
        scores: Tensor = self.scores(self.decoder(self.target(before), state)[0])
        return scores


TRANSLATOR = """
name: translator
cardinality: N:M
data:
  train: rows.jsonl
  input: {column: de, as: tokens}
  output: {column: en, as: tokens}
encoder:
  embed: 5
  layers:
    - {cell: gru, units: 4}
decoder:
  embed: 5
  max_steps: 9
  layers:
    - {cell: gru, units: 4}
"""


def test_encoder_and_decoder(tmp_path: Path) -> None:
    torch.manual_seed(3)
    model = Translator().eval()
    source, targets = torch.tensor([[2, 3, 4], [5, 0, 2]]), torch.tensor([[3, 4, 7], [6, 5, 7]])
    start = torch.zeros(2, 1, dtype=torch.int64)
    logits = model(source, torch.cat([start, targets[:, :-1]], 1))
    torch.save(model.state_dict(), tmp_path / "model.pt")
    expected = {
        "de": source.numpy(), "en.targets": targets.numpy(), "en.logits": logits.detach().numpy()
    }  # fmt: skip
    english = "<s>\n<unk>\n<pad>\none\ntwo\nthree\nfour\n</s>\n"
    german = "drei\n<pad>\neins\nzwei\n<unk>\nvier\n"
    found = imported(tmp_path, TRANSLATOR, tmp_path / "model.pt", expected, de=german, en=english)
    assert found.agreements[0].difference < 1e-5


class NextToken(nn.Module):
    """A language model whose scores have the matrix of the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(8, UNITS)
        self.recurrent = nn.LSTM(UNITS, UNITS, num_layers=2, batch_first=True)
        self.scores = nn.Linear(UNITS, 8)
        self.scores.weight = self.table.weight

    def forward(self, tokens: Tensor) -> Tensor:
        found: Tensor = self.scores(self.recurrent(self.table(tokens))[0])
        return found


NEXT = """
name: next
cardinality: N:N
data:
  train: rows.jsonl
  input: {column: text, as: chars}
  output: {column: text, as: next}
encoder:
  embed: 4
  layers:
    - {cell: lstm, units: 4, repeat: 2}
"""


def test_a_language_model_with_tied_weights_and_a_list_in_json(tmp_path: Path) -> None:
    torch.manual_seed(8)
    model, tokens = NextToken().eval(), torch.tensor([[3, 4, 5], [7, 0, 6]])
    torch.save(model.state_dict(), tmp_path / "model.pt")
    (tmp_path / "text.json").write_text(json.dumps(["a", "<unk>", "<eos>", *"bcd \n"]))
    (tmp_path / "spec.yaml").write_text(NEXT)
    np.savez(
        tmp_path / "answers.npz",
        **{"text": tokens.numpy(), "text.logits": model(tokens).detach().numpy()},
    )
    wanted = Wanted(Told({"text": tmp_path / "text.json"}), None, tmp_path / "answers.npz")
    found = import_weights(
        load_spec(tmp_path / "spec.yaml"), tmp_path / "model.pt", tmp_path / "builds", wanted
    )
    assert found.agreements[0].difference < 1e-6


KERAS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "lstm": (lambda k: k.LSTM(4), "{cell: lstm, units: 4}"),
    "gru": (lambda k: k.GRU(4), "{cell: gru, units: 4}"),
    "gru before": (lambda k: k.GRU(4, reset_after=False), "{cell: gru_reset_before, units: 4}"),
    "no bias": (lambda k: k.GRU(4, use_bias=False), "{cell: gru, units: 4}"),
    "rnn": (lambda k: k.SimpleRNN(4), "{cell: rnn, units: 4}"),
    "both ways": (
        lambda k: k.Bidirectional(k.LSTM(4)),
        "{cell: lstm, units: 4, direction: bidirectional}",
    ),
}


@pytest.fixture(scope="module")
def keras() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        import keras
    return keras


@pytest.mark.parametrize("name", KERAS)
@pytest.mark.parametrize("form", ["keras", "weights.h5", "h5"])
def test_layers_of_keras(tmp_path: Path, keras: Any, name: str, form: str) -> None:
    make, layer = KERAS[name]
    keras.utils.set_random_seed(4)
    model = keras.Sequential(
        [
            keras.layers.Input((None, FEATURES)),
            keras.layers.Conv1D(6, 3, padding="same"),
            make(keras.layers),
            keras.layers.Dense(LABELS),
        ]
    )
    for variable in model.variables:  # biases start as zeros, which would hide their order
        variable.assign(keras.random.normal(variable.shape, stddev=0.5, seed=5))
    file = tmp_path / f"model.{form}"
    model.save_weights(file) if form == "weights.h5" else model.save(file)
    steps = frames()
    logits = np.asarray(model(steps).detach())
    expected = {"frames": steps.numpy(), "kind.logits": logits}
    spec = spec_of("{conv: 6, size: 3}\n    - " + layer)
    found = imported(tmp_path, spec, file, expected)
    assert found.agreements[0].difference < 1e-5


@pytest.mark.parametrize("form", ["keras", "h5"])
@pytest.mark.parametrize(
    "names", [("zeta", "mid", "alpha"), ("lstm_9", "lstm_2", "lstm"), ("lstm", "lstm_1", "lstm_2")]
)
def test_layers_of_keras_by_their_place(
    tmp_path: Path, keras: Any, form: str, names: tuple[str, ...]
) -> None:
    start = keras.layers.Input((None, FEATURES))
    states = start
    for name in names:
        states = keras.layers.LSTM(FEATURES, return_sequences=name != names[-1], name=name)(states)
    model = keras.Model(start, keras.layers.Dense(LABELS)(states))
    model.save(tmp_path / f"model.{form}")
    expected = {"frames": frames().numpy(), "kind.logits": np.asarray(model(frames()).detach())}
    layer = f"{{cell: lstm, units: {FEATURES}}}"
    spec = spec_of("\n    - ".join([layer] * len(names)))
    found = imported(tmp_path, spec, tmp_path / f"model.{form}", expected)
    assert found.agreements[0].difference < 1e-5


@pytest.mark.parametrize("form", ["keras", "h5"])
@pytest.mark.parametrize("setting", ["activation", "recurrent_activation"])
def test_activations_of_keras(tmp_path: Path, keras: Any, form: str, setting: str) -> None:
    for number, kind in enumerate(("LSTM", "GRU")):
        layer = getattr(keras.layers, kind)(UNITS, **{setting: "softsign"})
        inside = keras.layers.Bidirectional(layer) if number else layer
        model = keras.Sequential([keras.layers.Input((None, FEATURES)), inside])
        model.save(tmp_path / f"{kind}.{form}")
        with pytest.raises(ModelFileError, match=f"has {setting} 'softsign', which no layer here"):
            read_layers(tmp_path / f"{kind}.{form}")


def onnx_model(kind: str, file: Path, **settings: Any) -> dict[str, NDArray[Any]]:
    """A recurrent operator with weights of every kind, answered by onnxruntime: its last states."""
    from onnx import TensorProto, helper, numpy_helper, save

    draw, gates = np.random.default_rng(6), {"LSTM": 4, "GRU": 3, "RNN": 1}[kind]
    directions = 2 if settings.get("direction") == "bidirectional" else 1
    shapes = {
        "W": (directions, gates * UNITS, FEATURES),
        "R": (directions, gates * UNITS, UNITS),
        "B": (directions, 2 * gates * UNITS),
        "P": (directions, 3 * UNITS),
    }
    peepholes = settings.pop("peepholes", False)
    names = ["W", "R", "B"] + (["P"] if peepholes else [])
    inputs = ["x", "W", "R", "B", *(["", "", "", "P"] if peepholes else [])]
    node = helper.make_node(kind, inputs, ["", "h"], name="layer", hidden_size=UNITS, **settings)
    weights = [
        numpy_helper.from_array(draw.normal(size=shapes[n]).astype(np.float32), n) for n in names
    ]
    graph = helper.make_graph(
        [node],
        "layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, None, FEATURES])],
        [helper.make_tensor_value_info("h", TensorProto.FLOAT, [None, None, UNITS])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    save(model, file)
    steps = frames().numpy()
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (states,) = session.run(["h"], {"x": np.ascontiguousarray(steps.transpose(1, 0, 2))})
    return {"frames": steps, "pool": states.transpose(1, 0, 2).reshape(ROWS, -1)}


ONNX: dict[str, tuple[str, dict[str, Any], str]] = {
    "lstm": ("LSTM", {}, "{cell: lstm, units: 4}"),
    "peepholes": ("LSTM", {"peepholes": True}, "{cell: lstm_peephole, units: 4}"),
    "gru": ("GRU", {"linear_before_reset": 1}, "{cell: gru, units: 4}"),
    "gru before": ("GRU", {}, "{cell: gru_reset_before, units: 4}"),
    "rnn": ("RNN", {}, "{cell: rnn, units: 4}"),
    "relu": ("RNN", {"activations": ["Relu"]}, "{cell: rnn_relu, units: 4}"),
    "reverse": ("GRU", {"direction": "reverse"}, "{cell: gru_reset_before, units: 4, "
                "direction: reverse}"),
    "both ways": ("LSTM", {"direction": "bidirectional"}, "{cell: lstm, units: 4, "
                  "direction: bidirectional}"),
}  # fmt: skip


@pytest.mark.parametrize("name", ONNX)
def test_operators_of_onnx(tmp_path: Path, name: str) -> None:
    kind, settings, layer = ONNX[name]
    expected = onnx_model(kind, tmp_path / "model.onnx", **settings)
    directions = 2 if "both" in name else 1
    (tmp_path / "map.yaml").write_text(
        onnx_map(tmp_path, spec_of(layer), directions)
    )  # the file has no layer for the answer
    found = imported(
        tmp_path, spec_of(layer), tmp_path / "model.onnx", expected, tmp_path / "map.yaml"
    )
    assert found.agreements[0].difference < 1e-5


def onnx_map(folder: Path, spec: str, directions: int) -> str:
    """The map as it is written out where the answer is not found, with zeros in its place."""
    (folder / "frames.npz").unlink(missing_ok=True)
    path = folder / "written.yaml"
    with pytest.raises(ModelFileError, match=r"(?s)answer \(dense\).*complete the map"):
        imported(folder, spec, folder / "model.onnx", {"frames": frames().numpy()}, path)
    text = path.read_text()
    assert text.count("?") == 2
    return text.replace("'?'", "'0'")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"activations": ["Relu", "Tanh", "Tanh"]}, "layer: has the activations relu"),
        ({"clip": 3.0}, "layer: has the setting clip"),
        ({"input_forget": 1}, "layer: has the setting input_forget"),
    ],
)
def test_what_no_cell_has(tmp_path: Path, settings: dict[str, Any], says: str) -> None:
    onnx_model("LSTM", tmp_path / "model.onnx", **settings)
    with pytest.raises(ModelFileError, match=says):
        imported(
            tmp_path, spec_of("{cell: lstm, units: 4}"), tmp_path / "model.onnx", {"x": steps0}
        )


def test_weights_within_loops_are_tensors_of_the_file(tmp_path: Path) -> None:
    """In our own files the body of a Scan holds what it alone reads; a map can name that too."""
    plan = frames_plan("mgu")
    weights = random_weights(plan)
    file = to_onnx(plan, frames_facts(), weights)
    (tmp_path / "model.onnx").write_bytes(file.SerializeToString())
    tensors = read_layers(tmp_path / "model.onnx").tensors
    of_steps = [name for name in weights if ".U_" in name]
    assert of_steps
    for name in of_steps:
        np.testing.assert_array_equal(tensors[f"{name}.transposed"].T, weights[name])


@pytest.mark.parametrize("setting", ["alpha", "beta"])
def test_a_product_with_a_factor(tmp_path: Path, setting: str) -> None:
    from onnx import helper, load, numpy_helper, save

    onnx_model("GRU", tmp_path / "model.onnx", linear_before_reset=1)
    model = load(tmp_path / "model.onnx")
    shapes = {"D": (LABELS, UNITS), "d": (LABELS,)}
    model.graph.initializer.extend(
        numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in shapes.items()
    )
    settings: dict[str, Any] = {setting: 0.5}
    product = helper.make_node("Gemm", ["h", "D", "d"], ["kind"], transB=1, **settings)
    model.graph.node.append(product)
    save(model, tmp_path / "model.onnx")
    with pytest.raises(ModelFileError, match=rf"Gemm: has {setting} 0.5, which no layer here has"):
        read_layers(tmp_path / "model.onnx")
