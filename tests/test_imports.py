"""Weights from elsewhere give the answers that they gave there: each library is its own oracle."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from typer.testing import CliRunner

import rnnspec
from rnnspec.cli.app import app
from rnnspec.errors import BuildError, DataError, ModelFileError
from rnnspec.imports.facts import Told, read_vocabulary
from rnnspec.imports.groups import natural_order
from rnnspec.imports.importing import MAP, Imported, Wanted, import_weights, read_layers
from rnnspec.imports.terms import Sum, Term, parse_sum
from rnnspec.plan.facts import TextFacts
from rnnspec.plan.facts_file import read_facts
from rnnspec.spec.load import load_spec

ROWS, STEPS, FEATURES, UNITS, LABELS = 3, 6, 5, 4, 3
Arrays = Mapping[str, NDArray[Any]]


def spec_of(layers: str, cardinality: str = "N:1", kind: str = "class", extra: str = "") -> str:
    return f"""
name: model
cardinality: {cardinality}
data:
  train: rows.jsonl
  input: {{column: frames, as: frames}}
  output: {{column: kind, as: {kind}}}
encoder:
  layers:
    - {layers}
{extra}"""


def imported(
    folder: Path, spec: str, file: Path, expected: Arrays, map_: Path | None = None, **more: str
) -> Imported:
    """Import with labels a, b, c of `kind`, and with the vocabularies in `more`, one text each."""
    (folder / "spec.yaml").write_text(spec)
    (folder / "labels.txt").write_text("c\na\nb\n")
    np.savez(folder / "answers.npz", allow_pickle=False, **expected)
    for column, text in more.items():
        (folder / f"{column}.txt").write_text(text)
    told = Told(
        {column: folder / f"{column}.txt" for column in more},
        {"kind": folder / "labels.txt"} if "kind" in spec else {},
    )
    wanted = Wanted(told, map_, folder / "answers.npz")
    return import_weights(load_spec(folder / "spec.yaml"), file, folder / "builds", wanted)


def frames(seed: int = 0) -> Tensor:
    return torch.randn(ROWS, STEPS, FEATURES, generator=torch.Generator().manual_seed(seed))


class Layers(nn.Module):
    """A recurrent layer and a class of its last outputs, forward and backward."""

    def __init__(self, recurrent: nn.Module, width: int) -> None:
        super().__init__()
        self.answer = nn.Linear(width, LABELS)
        self.recurrent = recurrent

    def forward(self, steps: Tensor) -> Tensor:
        outputs, _ = self.recurrent(steps)
        half = outputs.shape[-1] // 2
        if self.recurrent.bidirectional:
            outputs = torch.cat([outputs[:, -1:, :half], outputs[:, :1, half:]], -1)
        found: Tensor = self.answer(outputs[:, -1])
        return found


TORCH: dict[str, tuple[Callable[[], nn.Module], int, str]] = {
    "lstm": (lambda: nn.LSTM(FEATURES, UNITS, batch_first=True), UNITS, "{cell: lstm, units: 4}"),
    "gru": (lambda: nn.GRU(FEATURES, UNITS, batch_first=True), UNITS, "{cell: gru, units: 4}"),
    "rnn": (lambda: nn.RNN(FEATURES, UNITS, batch_first=True), UNITS, "{cell: rnn, units: 4}"),
    "relu": (
        lambda: nn.RNN(FEATURES, UNITS, batch_first=True, nonlinearity="relu"),
        UNITS,
        "{cell: rnn_relu, units: 4}",
    ),
    "no bias": (
        lambda: nn.GRU(FEATURES, UNITS, batch_first=True, bias=False),
        UNITS,
        "{cell: gru, units: 4}",
    ),
    "projected": (
        lambda: nn.LSTM(FEATURES, UNITS, batch_first=True, proj_size=2),
        2,
        "{cell: lstm_projected, units: 4, sizes: {projection: 2}}",
    ),
    "stack": (
        lambda: nn.LSTM(FEATURES, UNITS, num_layers=2, batch_first=True, bidirectional=True),
        2 * UNITS,
        "{cell: lstm, units: 4, direction: bidirectional, repeat: 2}",
    ),
    "both ways": (
        lambda: nn.GRU(FEATURES, UNITS, batch_first=True, bidirectional=True),
        2 * UNITS,
        "{cell: gru, units: 4, direction: bidirectional}",
    ),
}


def torch_model(name: str) -> Layers:
    torch.manual_seed(1)
    make, width, _ = TORCH[name]
    return Layers(make(), width).eval()


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


steps0 = np.zeros((1, 2, FEATURES), np.float32)


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


def test_the_map_is_read_back(tmp_path: Path) -> None:
    model, steps = torch_model("stack"), frames()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    expected = {"frames": steps.numpy(), "kind.logits": model(steps).detach().numpy()}
    spec = spec_of(TORCH["stack"][2])
    first = imported(tmp_path, spec, tmp_path / "model.pt", expected)
    again = imported(tmp_path, spec, tmp_path / "model.pt", expected, first.folder.path / MAP)
    assert (first.folder.path / MAP).read_text() == (again.folder.path / MAP).read_text()
    assert first.folder.weights.read_bytes() == again.folder.weights.read_bytes()


def test_swapped_gates_are_found_out_and_nothing_is_left(tmp_path: Path) -> None:
    model, steps = torch_model("lstm"), frames()
    state = model.state_dict()
    rows = state["recurrent.weight_hh_l0"]
    state["recurrent.weight_hh_l0"] = torch.cat([rows[4:8], rows[:4], rows[8:]])
    torch.save(state, tmp_path / "model.pt")
    expected = {"frames": steps.numpy(), "kind.logits": model(steps).detach().numpy()}
    with pytest.raises(ModelFileError, match=r"kind.logits differs by .*layers.0"):
        imported(tmp_path, spec_of("{cell: lstm, units: 4}"), tmp_path / "model.pt", expected)
    assert not list(tmp_path.glob("builds/*/*"))


def test_from_the_command_line_to_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of the file, one at a time, are those of the model where it comes from."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(7)
    model, steps = nn.LSTM(FEATURES, UNITS, batch_first=True), frames()
    outputs = model(steps)[0].detach().numpy()
    torch.save({**model.state_dict(), "answer.weight": torch.eye(UNITS)[:3]}, "model.pt")
    layer = spec_of("{cell: lstm, units: 4}", "N:N", "tags")
    Path("spec.yaml").write_text(layer)
    Path("labels.txt").write_text("a\nb\nc\n")
    np.savez("answers.npz", frames=steps.numpy(), **{"kind.logits": outputs[..., :3]})
    given = ["--labels", "kind=labels.txt", "--expect", "answers.npz"]
    said = CliRunner().invoke(app, ["import", "spec.yaml", "model.pt", *given])
    assert said.exit_code == 0, said.output
    assert "kind.logits: differs by" in said.stdout
    said = CliRunner().invoke(app, ["export", "--onnx", "--stream"])
    assert said.exit_code == 0, said.output
    stream = rnnspec.open(next(tmp_path.glob("builds/model/001/*.onnx"))).stream()
    found = [stream.answer({"frames": step[None].tolist()})["kind"] for step in steps[0].numpy()]
    largest = outputs[0, :, :3].argmax(-1)
    assert found == [["abc"[place]] for place in largest]
    assert len(set(largest)) > 1


def test_values_of_nodes_are_compared(tmp_path: Path) -> None:
    model, steps = torch_model("gru"), frames()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    outputs, _ = model.recurrent(steps)
    expected = {
        "frames": steps.numpy(),
        "layers.0": outputs.detach().numpy(),
        "kind.probabilities": model(steps).softmax(-1).detach().numpy(),
    }
    found = imported(tmp_path, spec_of("{cell: gru, units: 4}"), tmp_path / "model.pt", expected)
    assert [each.name for each in found.agreements] == ["layers.0", "kind.probabilities"]
    assert all(each.difference < 1e-6 for each in found.agreements)


WRONG: dict[str, tuple[str, str]] = {
    "another size": ("{cell: gru, units: 5}", r"layers.0.forward \(gru\): .*W_r \[5, 5\]"),
    "another cell": ("{cell: lstm, units: 4}", r"layers.0.forward \(lstm\)"),
    "one layer too many": ("{cell: gru, units: 4, repeat: 2}", "layers.1.forward"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_spec_that_does_not_fit(tmp_path: Path, name: str) -> None:
    layer, says = WRONG[name]
    torch.save(torch_model("gru").state_dict(), tmp_path / "model.pt")
    with pytest.raises(ModelFileError, match=says) as raised:
        imported(tmp_path, spec_of(layer), tmp_path / "model.pt", {"frames": steps0})
    assert "--map" in str(raised.value)


def test_a_tensor_that_nothing_takes(tmp_path: Path) -> None:
    state = torch_model("gru").state_dict() | {"more.weight": torch.zeros(2, 9)}
    torch.save(state, tmp_path / "model.pt")
    spec, map_ = spec_of("{cell: gru, units: 4}"), tmp_path / "map.yaml"
    arrays: Arrays = {"frames": steps0, "pool": np.zeros((1, UNITS))}
    with pytest.raises(ModelFileError, match=r"nothing in the plan takes\n  more.weight \[2, 9\]"):
        imported(tmp_path, spec, tmp_path / "model.pt", arrays, map_)
    map_.write_text(map_.read_text() + "unused: [more.weight]\n")
    with pytest.raises(ModelFileError, match="pool differs"):
        imported(tmp_path, spec, tmp_path / "model.pt", arrays, map_)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "torch reads no weights"),
        (b"\x89HDF\r\n\x1a\n and no more", "not a readable file of Keras"),
        (b"PK\x03\x04 broken", "torch reads no weights"),
    ],
)
def test_files_that_are_no_weights(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    with pytest.raises(ModelFileError, match=says):
        imported(tmp_path, spec_of("{cell: gru, units: 4}"), tmp_path / "model.pt", {"a": steps0})


def test_a_pickled_module_runs_nothing(tmp_path: Path) -> None:
    torch.save(torch_model("gru"), tmp_path / "model.pt")
    with pytest.raises(ModelFileError, match=re.escape("torch.save(model.state_dict(), FILE)")):
        imported(tmp_path, spec_of("{cell: gru, units: 4}"), tmp_path / "model.pt", {"a": steps0})


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors"])
def test_broken_files_by_their_ending(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x07\x00nothing")
    with pytest.raises(ModelFileError, match=r"not a readable|holds no graph"):
        imported(tmp_path, spec_of("{cell: gru, units: 4}"), tmp_path / name, {"a": steps0})


def test_what_must_be_told(tmp_path: Path) -> None:
    torch.save(torch_model("gru").state_dict(), tmp_path / "model.pt")
    (tmp_path / "spec.yaml").write_text(spec_of("{cell: gru, units: 4}"))
    loaded = load_spec(tmp_path / "spec.yaml")

    def told(**by_column: Any) -> None:
        import_weights(loaded, tmp_path / "model.pt", tmp_path, Wanted(Told(**by_column)))

    with pytest.raises(BuildError, match=r"nothing is known of column 'frames'.*--width frames=N"):
        told()
    with pytest.raises(BuildError, match="no column 'frame'; its columns are frames, kind"):
        told(widths={"frame": 5})
    with pytest.raises(DataError, match=r"none.txt: cannot be read"):
        told(widths={"frames": 5}, labels={"kind": tmp_path / "none.txt"})
    (tmp_path / "twice.txt").write_text("a\nb\na\n")
    with pytest.raises(DataError, match="'a' stands in entries 1 and 3"):
        told(widths={"frames": 5}, labels={"kind": tmp_path / "twice.txt"})


@pytest.mark.parametrize("option", ["vocabularies", "labels", "widths"])
@pytest.mark.parametrize("column", ["frames", "kind"])
def test_an_option_about_another_kind_of_column(tmp_path: Path, option: str, column: str) -> None:
    if (option, column) in (("widths", "frames"), ("labels", "kind")):
        return
    torch.save(torch_model("gru").state_dict(), tmp_path / "model.pt")
    (tmp_path / "spec.yaml").write_text(spec_of("{cell: gru, units: 4}"))
    (tmp_path / "list.txt").write_text("a\nb\n")
    given: dict[str, Any] = {option: {column: 3 if option == "widths" else tmp_path / "list.txt"}}
    told = Told(**given)
    cure = {"frames": "--width frames=N", "kind": "--labels kind=FILE"}[column]
    with pytest.raises(BuildError, match=rf"{column}: the column is read as .* with {cure}"):
        import_weights(
            load_spec(tmp_path / "spec.yaml"), tmp_path / "model.pt", tmp_path, Wanted(told)
        )


EVERY = np.ones((ROWS, LABELS))
NO_ANSWERS: dict[str, dict[str, Any]] = {
    "is not finite": {"kind.logits": EVERY * np.nan},
    "is infinite": {"kind.logits": np.where(EVERY.cumsum(1) == 2, np.inf, 1.0)},
    "has texts": {"kind": np.array(["a", "b", "c"])},
    "has numbers of labels": {"kind": np.array([0, 1, 2])},
    "has no rows": {"frames": np.zeros((0, STEPS, FEATURES)), "kind.logits": EVERY[:0]},
    "has no axis": {"kind.logits": np.array(1.0)},
    "has fewer rows": {"kind.logits": EVERY[:1]},
    "has few lengths": {"frames.lengths": np.array([6, 6])},
    "has long lengths": {"frames.lengths": np.array([6, 9, 6])},
    "has lengths below 0": {"frames.lengths": np.array([6, -1, 6])},
    "has lengths in halves": {"frames.lengths": np.array([6, 5.5, 6])},
    "has tokens of no text": {"kind.targets": np.array([0, 1, 2])},
    "has texts for frames": {"frames": np.array(["a", "b", "c"])},
}


@pytest.mark.parametrize("name", NO_ANSWERS)
def test_an_array_that_proves_nothing(tmp_path: Path, name: str) -> None:
    model, steps = torch_model("gru"), frames()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    logits = model(steps).detach().numpy()
    expected = {"frames": steps.numpy(), "kind.logits": logits} | NO_ANSWERS[name]
    with pytest.raises(ModelFileError):
        imported(tmp_path, spec_of("{cell: gru, units: 4}"), tmp_path / "model.pt", expected)
    assert not (tmp_path / "builds").exists()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("form", ["model.pt", "model.safetensors", "checkpoint.pt", "sparse.pt"])
def test_numbers_of_every_width(tmp_path: Path, kind: torch.dtype, form: str) -> None:
    from safetensors.torch import save_file

    model, steps, file = torch_model("gru"), frames(), tmp_path / form
    tensors = {f"module.{name}": each.to(kind) for name, each in model.state_dict().items()}
    model = model.to(kind).float()
    if form == "model.safetensors":
        save_file(tensors, file)
    elif form == "checkpoint.pt":
        torch.save({"epoch": 3, "net": tensors, "optimizer": {"state": {}}}, file)
    else:
        sparse = form == "sparse.pt"
        torch.save({n: t.to_sparse() if sparse else t for n, t in tensors.items()}, file)
    expected = {"frames": steps.numpy(), "kind.logits": model(steps).detach().numpy()}
    found = imported(tmp_path, spec_of("{cell: gru, units: 4}"), file, expected)
    assert found.agreements[0].difference < 1e-6


def test_tensors_without_numbers(tmp_path: Path) -> None:
    whole = torch_model("gru").state_dict()
    for name, changed in {
        "meta": {key: each.to("meta") for key, each in whole.items()},
        "complex": {key: each.to(torch.complex64) for key, each in whole.items()},
    }.items():
        torch.save(changed, tmp_path / f"{name}.pt")
        with pytest.raises(ModelFileError, match="save it as float32"):
            read_layers(tmp_path / f"{name}.pt")


@pytest.mark.parametrize(
    "names",
    [
        ["lstm", "lstm_1", "lstm_2", "lstm_10"],
        ["rnn", "rnn1", "rnn2"],
        ["layers.0", "layers.2", "layers.10"],
        ["model/lstm/forward", "model/lstm/reverse", "model/lstm_1/forward"],
    ],
)
@pytest.mark.parametrize("end", ["", ".weight_ih_l0", "/cell/vars/0"])
def test_names_by_their_numbers(names: list[str], end: str) -> None:
    every = [name + end for name in names]
    turned = every[::-1]
    assert sorted(turned, key=natural_order) == every


def test_lines_of_a_vocabulary(tmp_path: Path) -> None:
    tokens = ["a", "\x85", "\u2028", "\x1c", "\xa0", "\ufeff", "b"]
    file = tmp_path / "tokens.txt"
    for start, ending in (("", "\n"), ("\ufeff", "\r\n")):
        file.write_bytes((start + "".join(each + ending for each in tokens)).encode())
        assert read_vocabulary(file) == tokens


@pytest.mark.parametrize(
    "text",
    ["a.weight", "a.weight[0:4]", "a[1, 0:4]", "a[:, 2:3].T", "a.transpose(2, 1, 0)",
     "a[@text]", "0", "a[0:4] + b[0:4]", "a/b:0 + 0.00099"],
)  # fmt: skip
def test_a_sum_is_read_as_it_is_written(text: str) -> None:
    assert str(parse_sum(text)) == text


def test_a_part_that_the_tensor_does_not_have() -> None:
    tensors = {"a": np.zeros((3, 2))}
    for term in (Term("a", ((0, 4),)), Term("a", (3,)), Term("a", (None, None, 0))):
        with pytest.raises(ModelFileError, match=r"has the shape \[3, 2\]"):
            term.value(tensors, {})
    with pytest.raises(ModelFileError, match="no tensor 'b'"):
        Sum((Term("b"),)).value(tensors, {}, (3, 2))
    with pytest.raises(ModelFileError, match=r"\[2, 3\] is wanted"):
        Sum((Term("a"),)).value(tensors, {}, (2, 3))
