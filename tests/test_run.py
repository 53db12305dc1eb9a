"""Model files answered without torch: rows in, answers out in order, errors in plain words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import rnnspec
from rnnspec.errors import DataError, ModelFileError
from rnnspec.plan import Facts, NumericFacts, Plan
from rnnspec.plan.nodes import Dense, FramesInput, NumericOutput, Pool, Recurrent, verify
from rnnspec.reference import answers
from rnnspec.run import InputColumn, Model, OutputColumn, interface
from rnnspec.run.interface import PARITY, PLAN, SPEC, VERSION
from rnnspec.to_onnx import add_metadata, to_onnx
from tests.models import Arrays, frames_facts, frames_plan, random_frames, random_weights
from tests.onnx_models import text_facts, text_plan

WORDS = ["der", "die", "das", "猫"]


def _written(
    folder: Path, plan: Plan, facts: Facts, weights: Arrays | None = None, ids: bool = False
) -> Path:
    """A model file with everything that an export writes into it."""
    model = to_onnx(plan, facts, weights or random_weights(plan), ids=ids)
    told = interface(plan, facts, ids).metadata()
    rest = {SPEC: "name: test", PLAN: "plan", VERSION: rnnspec.__version__, PARITY: "{}"}
    add_metadata(model, rest | told)
    file = folder / "model.onnx"
    onnx.save(model, file)
    return file


def _numbers_plan(width: int, single: bool, scaled: bool) -> tuple[Plan, Facts]:
    """Frames to numbers in the units of the data."""
    layer = frames_plan().nodes[1]
    assert isinstance(layer, Recurrent)
    nodes = (
        FramesInput("input.frames", "frames", 3, False),
        layer,
        Pool("pool", "layers.0", "mean", 5, 0),
        Dense("hidden.0", "pool", 5, 4, "relu"),
        Dense("answer", "hidden.0", 4, width, "none"),
        NumericOutput("output.price", "answer", "price", width, scaled, single),
    )
    known = NumericFacts(width, (0.0,) * width, (1.0,) * width)
    facts = Facts(10, dict(frames_facts().inputs), {"price": known})
    return verify(Plan("numbers", "N:1", nodes)), facts


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Model:
    plan = text_plan(len(WORDS) + 2)
    return Model.load(_written(tmp_path_factory.mktemp("text"), plan, text_facts(WORDS)))


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return Model.load(_written(tmp_path_factory.mktemp("frames"), frames_plan(), frames_facts()))


def test_what_a_file_says_of_itself(texts: Model, frames: Model) -> None:
    assert texts.inputs == (InputColumn("text", "words"),)
    assert texts.outputs == (OutputColumn("mood", "class", 3, ("froh", "müde", "wütend")),)
    assert frames.inputs == (InputColumn("frames", "frames", 3),)
    assert texts.metadata[SPEC] == "name: test"
    assert texts.metadata[VERSION] == rnnspec.__version__


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_answers_come_in_the_order_of_the_rows(frames: Model, batch: int) -> None:
    rows = random_frames([4, 0, 9, 1, 7, 2, 2, 30, 0, 5, 3, 8] * 4)
    plan = frames_plan()
    expected = answers(plan, random_weights(plan), rows)["label"]
    asked = ({"frames": row["frames"].tolist(), "unread": 1} for row in rows)
    found = list(frames.answer(asked, batch=batch))
    for answer, wanted in zip(found, expected, strict=True):
        shares = answer["label.probabilities"]
        assert list(shares) == ["a", "b", "c", "d"]
        np.testing.assert_allclose(list(shares.values()), wanted, atol=1e-5)
        assert answer["label"] == "abcd"[int(wanted.argmax())]
        json.dumps(answer)


def test_rows_are_read_no_further_than_needed(frames: Model) -> None:
    asked = []

    def rows() -> Iterator[dict[str, object]]:
        for number in range(10_000):
            asked.append(number)
            yield {"frames": [[1.0, 2.0, float(number)]]}

    found = frames.answer(rows(), batch=1)
    next(found)
    next(found)
    assert len(asked) == 2


def test_rows_of_text_cells_as_in_csv(frames: Model, texts: Model) -> None:
    cells: list[dict[str, object]] = [{"frames": "[[1, 2, 3], [4, 5, 6]]"}, {"frames": "[]"}]
    lists: list[dict[str, object]] = [{"frames": [[1, 2, 3], [4, 5, 6]]}, {"frames": []}]
    assert list(frames.answer(cells, textual=True)) == list(frames.answer(lists))
    assert [a["mood"] for a in texts.answer([{"text": "die 猫"}, {"text": ""}])]


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("width", "single"), [(1, True), (1, False), (3, False)])
def test_numbers(tmp_path: Path, width: int, single: bool, scaled: bool) -> None:
    plan, facts = _numbers_plan(width, single, scaled)
    weights, rows = random_weights(plan), random_frames([3, 0, 5])
    expected = answers(plan, weights, rows)["price"]
    model = Model.load(_written(tmp_path, plan, facts, weights))
    assert model.outputs == (OutputColumn("price", "number" if single else "vector", width),)
    found = [answer["price"] for answer in model.answer(rows)]
    np.testing.assert_allclose(found, expected[:, 0] if single else expected, atol=1e-5)


def test_token_numbers(tmp_path: Path) -> None:
    plan, facts = text_plan(len(WORDS) + 2), text_facts(WORDS)
    weights = random_weights(plan)
    model = Model.load(_written(tmp_path, plan, facts, weights, ids=True))
    assert model.inputs == (InputColumn("text", "ids", 6, name="text.ids"),)
    rows: list[dict[str, Any]] = [{"text": [2, 3, 1]}, {"text": []}, {"text": np.array([5, 5])}]
    expected = answers(plan, weights, [{"text": np.array(row["text"])} for row in rows])["mood"]
    for answer, wanted in zip(model.answer(rows), expected, strict=True):
        np.testing.assert_allclose(list(answer["mood.probabilities"].values()), wanted, atol=1e-5)
    for wrong in (6, -1, 1.5):
        with pytest.raises(DataError, match="expected whole numbers from 0 to 5"):
            list(model.answer([{"text": [2, wrong]}]))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({}, "row 2: column 'frames' is missing; the row has the columns none"),
        ({"frame": []}, "row 2: column 'frames' is missing; the row has the columns 'frame'"),
        ({"frames": None}, "row 2: column 'frames' is null"),
        ({"frames": "x"}, "row 2: column 'frames' is the text 'x', expected a list"),
        ({"frames": [[1, 2]]}, "row 2: column 'frames' has 2 numbers in each step, .* reads 3"),
        ({"frames": [[1, 2, 3], [1]]}, "row 2: column 'frames' has 3 numbers in step 1 but 1"),
        ({"frames": [[1, 2, float("nan")]]}, "row 2: column 'frames' has in step 1.*NaN"),
    ],
)
def test_wrong_rows_are_named(frames: Model, row: Mapping[str, object], message: str) -> None:
    good = {"frames": [[1.0, 2.0, 3.0]]}
    with pytest.raises(DataError, match=message):
        list(frames.answer([good, row, good]))


@pytest.mark.parametrize("cell", [7, None, ["a"], "a\0b", "half \ud83d of a pair"])
def test_wrong_texts_are_named(texts: Model, cell: object) -> None:
    with pytest.raises(DataError, match="row 1: column 'text' "):
        list(texts.answer([{"text": cell}]))


def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"gone\.onnx: there is no such file; .* export"):
        Model.load(tmp_path / "gone.onnx")
    with pytest.raises(ModelFileError, match="is a folder"):
        Model.load(tmp_path)
    for content in (b"", b"\n", b"not a model at all", bytes(range(256))):
        file = tmp_path / "noise.onnx"
        file.write_bytes(content)
        with pytest.raises(ModelFileError, match=r"noise\.onnx: is not an ONNX file"):
            Model.load(file)
    good = _written(tmp_path, frames_plan(), frames_facts())
    good.write_bytes(good.read_bytes()[:-700])
    with pytest.raises(ModelFileError, match=r"model\.onnx: "):
        Model.load(good)


def test_files_of_another_version_or_maker(tmp_path: Path) -> None:
    plan = frames_plan()
    model = to_onnx(plan, frames_facts(), random_weights(plan))
    file = tmp_path / "model.onnx"
    onnx.save(model, file)
    with pytest.raises(ModelFileError, match="was not written by rnnspec"):
        Model.load(file)
    add_metadata(model, {SPEC: "name: test"})
    onnx.save(model, file)
    with pytest.raises(ModelFileError, match="does not say what it reads"):
        Model.load(file)
    model.ir_version = 99
    onnx.save(model, file)
    with pytest.raises(ModelFileError, match="install a newer onnxruntime, or export again"):
        Model.load(file)
    model.ir_version = 10
    model.opset_import[0].version = 99
    onnx.save(model, file)
    with pytest.raises(ModelFileError, match="install a newer onnxruntime, or export again"):
        Model.load(file)


def test_metadata_is_added_to_what_is_there() -> None:
    plan = frames_plan()
    model = to_onnx(plan, frames_facts(), random_weights(plan))
    add_metadata(model, {"a": "1", "b": "2"})
    add_metadata(model, {"b": "3", "c": "ü"})
    found = {entry.key: entry.value for entry in model.metadata_props}
    assert found == {"a": "1", "b": "3", "c": "ü"}


ALONE = """
import sys
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
label, shares = session.run(None, {"text": np.array(["die 猫", ""], dtype=object)})
loaded = {name.partition(".")[0] for name in sys.modules} & {"torch", "onnx", "rnnspec"}
print(ascii([label.tolist(), shares.round(4).tolist(), sorted(loaded)]))
"""


def test_a_file_answers_with_onnxruntime_and_numpy_alone(texts: Model, tmp_path: Path) -> None:
    away = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(texts.path.resolve())],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=away,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    own = list(texts.answer([{"text": "die 猫"}, {"text": ""}]))
    shares = [list(answer["mood.probabilities"].values()) for answer in own]
    expected = [[a["mood"] for a in own], np.array(shares, np.float32).round(4).tolist(), []]
    assert done.stdout.strip() == ascii(expected)


NOISE = """
import sys
from pathlib import Path
from rnnspec.errors import RnnspecError
from rnnspec.run import Model

model = Model.load(Path(sys.argv[1]), threads=1)
print(next(model.answer([{"text": "die"}]))["mood"])
try:
    model.session.run({})
except RnnspecError:
    print("refused")
print(sorted({"torch", "onnx"} & set(sys.modules)))
"""


def test_nothing_is_written_to_stderr_and_nothing_heavy_is_loaded(texts: Model) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOISE, str(texts.path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stderr == ""
    assert done.stdout.splitlines()[1:] == ["refused", "[]"]
