"""Export: nothing is written that has not answered as the trained module does."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from rnnspec.errors import ExportError
from rnnspec.export import export_onnx
from rnnspec.export.parity import Parity
from rnnspec.export.probes import probes
from rnnspec.plan.names import labels_of
from rnnspec.run.session import Session
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import Trained, read_build
from rnnspec.to_onnx import to_onnx
from rnnspec.train.build import build

SPECS = {
    "chars": """
  input: {column: text, as: chars, fold_case: true}
  output: {column: label, as: class}
""",
    "words": """
  input: {column: text, as: words}
  output: {column: count, as: number}
""",
    "frames": """
  input: {column: frames, as: frames}
  output: {column: pair, as: vector}
""",
}
HEAD = "name: NAME\ncardinality: N:1\ndata:\n  train: train.jsonl"
TAIL = """
encoder:
  layers:
    - {cell: gru, units: 6, direction: bidirectional}
    - {cell: gru_reset_before, units: 5}
pooling: attention
train: {epochs: 1}
"""


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    """A small trained model of each kind of input and of output."""
    folder = tmp_path_factory.mktemp("export")
    draw = np.random.default_rng(0)
    rows = []
    for length in draw.integers(0, 9, 60):
        text = " ".join(draw.choice(["a", "Bc", "dé", "字"], length))
        frames = (draw.normal(size=(max(length, 1), 2)) * [1, 50]).tolist()
        pair = [float(length), 1e4 + float(length)]
        label = "even" if length % 2 == 0 else "odd"
        rows.append(
            {"text": text, "label": label, "count": int(length), "frames": frames, "pair": pair}
        )
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = {}
    for name, data in SPECS.items():
        path = folder / f"{name}.yaml"
        path.write_text(HEAD.replace("NAME", name) + data + TAIL)
        found[name] = read_build(build(load_spec(path), folder / "builds", Silent()).folder)
    return found


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("opset", [20, 21])
@pytest.mark.parametrize("generic", [False, True])
def test_an_export_carries_its_proof(
    builds: dict[str, Trained], tmp_path: Path, name: str, opset: int, generic: bool
) -> None:
    target = tmp_path / "model.onnx"
    parity = export_onnx(builds[name], target, opset=opset, generic=generic)
    assert parity.rows > 50
    assert 0 < parity.difference <= parity.tolerance
    model = onnx.load(target)
    onnx.checker.check_model(model, full_check=True)
    assert (model.opset_import[0].version, model.ir_version) == (opset, opset - 11)
    metadata = Session(target).metadata
    assert Parity(**json.loads(metadata["rnnspec.parity"])) == parity
    loaded = tmp_path / "again.yaml"
    loaded.write_text(metadata["rnnspec.spec"])
    assert load_spec(loaded).spec == builds[name].spec


@pytest.mark.parametrize("name", SPECS)
def test_a_file_that_differs_is_not_written(
    builds: dict[str, Trained], tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lowering is given other weights than the module: the proof must notice."""
    weights = dict(builds[name].weights)
    last = "layers.1.forward.U_n"
    weights[last] = weights[last] + np.float32(0.01)

    def other(plan: object, facts: object, _: object, **options: object) -> onnx.ModelProto:
        return to_onnx(plan, facts, weights, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("rnnspec.export.write.to_onnx", other)
    target = tmp_path / "model.onnx"
    target.write_bytes(b"what was there")
    with pytest.raises(ExportError, match="nothing was written"):
        export_onnx(builds[name], target)
    assert target.read_bytes() == b"what was there"
    assert list(tmp_path.iterdir()) == [target]


def test_ids_take_token_numbers_and_answer_the_same(
    builds: dict[str, Trained], tmp_path: Path
) -> None:
    trained = builds["chars"]
    export_onnx(trained, tmp_path / "text.onnx")
    export_onnx(trained, tmp_path / "ids.onnx", ids=True)
    text, ids = Session(tmp_path / "text.onnx"), Session(tmp_path / "ids.onnx")
    probe = next(iter(probes(trained.plan, trained.facts)))
    numbers, lengths = probe.batch["text"]
    given = text.run(probe.feeds)
    by_number = ids.run({"text.ids": numbers, "text.lengths": lengths})
    labels = np.array(labels_of(trained.facts, "label"), object)
    assert by_number["label"].dtype == np.int64
    np.testing.assert_array_equal(given["label"], labels[by_number["label"]])


def test_probes_hold_unknown_tokens_empty_rows_and_more_steps_than_training(
    builds: dict[str, Trained],
) -> None:
    trained = builds["words"]
    found = list(probes(trained.plan, trained.facts))
    numbers = np.concatenate([p.batch["text"][0].ravel() for p in found])
    lengths = np.concatenate([p.lengths for p in found])
    assert {0, 1} <= set(lengths.tolist())
    assert lengths.max() > trained.facts.inputs["text"].longest
    assert 1 in numbers


def test_weights_of_another_plan_are_refused(builds: dict[str, Trained], tmp_path: Path) -> None:
    trained = builds["frames"]
    short = {name: value[:-1] for name, value in trained.weights.items()}
    with pytest.raises(ExportError, match="do not fit the model"):
        export_onnx(replace(trained, weights=short), tmp_path / "model.onnx")


def test_a_file_answers_in_a_process_with_onnxruntime_and_numpy_alone(
    builds: dict[str, Trained], tmp_path: Path
) -> None:
    export_onnx(builds["chars"], tmp_path / "model.onnx")
    script = """
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
answers, _ = session.run(None, {"text": numpy.array(["a Bc", "", "\u5b57 ?"], dtype=object)})
assert not {"torch", "onnx", "rnnspec"} & set(sys.modules)
print(*answers)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "model.onnx")]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert set(ran.stdout.split()) <= {"even", "odd"}
    assert len(ran.stdout.split()) == 3
