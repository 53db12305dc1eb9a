"""The weights that training ended with, beside the best: kept, measured and exported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.errors import BuildError
from rnnspec.run import Model as ModelFile
from rnnspec.store.files import read_arrays
from rnnspec.store.folder import BuildFolder, read_build
from rnnspec.to_torch import Model
from rnnspec.train.averaging import averaged
from rnnspec.train.loop import Trainer
from tests.cli import right, wrong
from tests.tiny import SPECS, write_data

WORSE: dict[str, Any] = {"epochs": 4, "optimizer": {"sgd": {"lr": 10.0}}, "clip_norm": None}
"""A rate so large that the last epoch is not the best one."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A build whose best epoch is not the last, in the current folder."""
    folder = tmp_path_factory.mktemp("last")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_data(folder)
        write_spec(folder, "worse", **WORSE)
        right("build", "worse.yaml")
        yield folder


def write_spec(folder: Path, name: str, kind: str = "class", **train: Any) -> str:
    spec = {**SPECS[kind], "name": name}
    spec["train"] = {**spec["train"], **train}
    (folder / f"{name}.yaml").write_text(json.dumps(spec))  # JSON is YAML
    return f"{name}.yaml"


def lines(build: str) -> list[dict[str, float]]:
    return [json.loads(line) for line in Path(build, "metrics.jsonl").read_text().splitlines()]


def of(build: str, *arguments: object) -> Any:
    return json.loads(right("evaluate", build, "--json", *arguments))


def test_both_are_measured_as_their_epochs_were(world: Path) -> None:
    found = lines("builds/worse/001")
    best = [record["best"] for record in found]
    assert not best[-1], "the last epoch must not be the best one for this test"
    kept = max(epoch for epoch, is_best in enumerate(best) if is_best)
    for epoch, arguments, which in (
        (kept, (), "best"),
        (kept, ("--weights", "best"), "best"),
        (-1, ("--weights", "last"), "last"),
    ):
        told = of("builds/worse/001", *arguments)
        assert told["weights"] == which
        assert told["metrics"]["loss"] == pytest.approx(found[epoch]["valid.loss"], rel=1e-5)
    for file, number in (("weights", kept + 1), ("last", 4)):
        arrays, about = read_arrays(Path(f"builds/worse/001/{file}.safetensors"))
        assert about == {"epoch": str(number)}
        assert {value.dtype for value in arrays.values()} == {np.dtype(np.float32)}


def test_people_are_told_which_weights(world: Path, tmp_path: Path) -> None:
    assert "its last weights" not in right("evaluate", "builds/worse/001")
    report = tmp_path / "report.html"
    said = right("evaluate", "builds/worse/001", "--weights", "last", "--report", report)
    assert said.startswith("builds/worse/001, its last weights, on valid.jsonl")
    assert "the weights that training ended with" in report.read_text(encoding="utf-8")


def test_each_is_exported_to_a_file_of_its_own(world: Path) -> None:
    right("export", "builds/worse/001", "--onnx")
    before = Path("builds/worse/001/worse.onnx").read_bytes()
    right("export", "builds/worse/001", "--onnx", "--weights", "last")
    assert Path("builds/worse/001/worse.onnx").read_bytes() == before
    answers = []
    for name in ("worse", "worse-last"):
        model = ModelFile.load(Path(f"builds/worse/001/{name}.onnx"))
        answers.append(model.answer([{"text": "red one"}]))
    assert answers[0] != answers[1]


def test_of_an_average_its_last_values_are_kept(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[dict[str, Any]] = []

    def keep_last(trainer: Trainer) -> None:
        raw = trainer.model.canonical_arrays()
        with averaged(trainer.train_step.average):
            kept.extend([raw, {k: v.copy() for k, v in trainer.model.canonical_arrays().items()}])
        before(trainer)

    before = Trainer.keep_last
    monkeypatch.setattr(Trainer, "keep_last", keep_last)
    write_spec(world, "average", ema=0.9, precision="float64")
    right("build", "average.yaml")
    raw, mean = kept
    found, _ = read_arrays(Path("builds/average/001/last.safetensors"))
    assert any(not np.array_equal(raw[name], mean[name]) for name in mean)
    for name, value in mean.items():
        np.testing.assert_array_equal(found[name], value.astype(np.float32))
    trained = read_build(BuildFolder(Path("builds/average/001")), "last")
    Model(trained.plan).load_canonical(trained.weights)
    assert trained.which == "last"


def test_they_are_there_before_the_build_says_that_it_is_finished(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A build that stops between the two is not finished, goes on, and ends with the same file."""
    write_spec(world, "torn")

    def full(self: Trainer) -> None:
        raise BuildError("last.safetensors: cannot be written (No space left on device)")

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "keep_last", full)
        assert "No space left" in wrong("build", "torn.yaml")
    folder = BuildFolder(Path("builds/torn/001"))
    assert not folder.last.exists() and folder.read_state()["state"] == "training"
    right("build", "torn.yaml", "--resume")
    right("build", "torn.yaml")
    one, other = (read_arrays(Path(f"builds/torn/00{n}/last.safetensors"))[0] for n in (1, 2))
    for name, value in one.items():
        np.testing.assert_array_equal(other[name], value)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ("training", "training is not finished; go on with rnnspec build SPEC --resume"),
        ("stopped", "training is not finished"),
        ("finished", "no last.safetensors, as builds of earlier versions"),
        ("failed", "its training failed: the loss became nan"),
        ("not trained", "was not trained; leave out --weights last"),
    ],
)
def test_a_build_without_them_says_why(world: Path, state: str, told: str) -> None:
    if not Path("builds/untrained").exists():
        write_spec(world, "untrained")
        right("build", "untrained.yaml", "--no-train")
    folder = BuildFolder(Path("builds/untrained/001"))
    assert folder.read_state()["state"] == "not trained"
    more = {"why": "the loss became nan"} if state == "failed" else {}
    folder.write_state({**folder.read_state(), **more, "state": state})
    try:
        for command in (("evaluate",), ("export", "--onnx")):
            assert told in wrong(*command, "builds/untrained/001", "--weights", "last")
            right(*command, "builds/untrained/001")
    finally:
        folder.write_state({**folder.read_state(), "state": "not trained"})


def test_other_weights_are_refused(world: Path) -> None:
    said = wrong("evaluate", "builds/worse/001", "--weights", "newest")
    assert "best" in said and "last" in said
