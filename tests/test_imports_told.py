"""Maps, answers and options of an import: what is compared, told and refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import rnnspec
from rnnspec.cli.app import app
from rnnspec.errors import BuildError, DataError, ModelFileError
from rnnspec.imports.facts import Told, read_vocabulary
from rnnspec.imports.groups import natural_order
from rnnspec.imports.importing import MAP, Wanted, import_weights, read_layers
from rnnspec.imports.terms import Sum, Term, parse_sum
from rnnspec.spec.load import load_spec
from tests.imported import (
    FEATURES,
    LABELS,
    ROWS,
    STEPS,
    TORCH,
    UNITS,
    Arrays,
    frames,
    imported,
    spec_of,
    steps0,
    torch_model,
)


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
