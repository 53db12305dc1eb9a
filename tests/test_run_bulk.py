"""Many rows: batches computed side by side give the answers of one after another, in order."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import rnnspec
from rnnspec.errors import DataError, ModelFileError
from rnnspec.export import export_onnx
from rnnspec.run import Model, bulk
from tests.cli import wrong
from tests.decoders import decoded
from tests.kinds import output, spec_data
from tests.random_builds import trained
from tests.test_export_kinds import quick as quick

WORDS = ("one", "two", "three", "four")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("words") / "model.onnx"
    export_onnx(trained(spec_data("N:N", ["words"], [output("tags")]), size=0.9), target)
    return target


def rows(count: int, longest: int = 9) -> list[dict[str, str]]:
    draw = np.random.default_rng(3)
    lengths = draw.integers(0, longest, count)
    return [{"words": " ".join(draw.choice(WORDS, n))} for n in lengths]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 7])
def test_threads_answer_in_the_order_of_the_rows(words: Path, threads: int, batch: int) -> None:
    model = Model.load(words, threads=1)
    asked: list[dict[str, str] | DataError] = [*rows(300)]
    asked[100] = DataError("mine")
    found = list(model.answers_or_errors(asked, batch, threads=threads))
    one = list(model.answers_or_errors(asked, batch))
    assert found == one and found[100] is asked[100]
    lengths = [len(row["words"].split()) for row in rows(300)]
    tags = [0 if isinstance(each, DataError) else len(each["tags"]) for each in found]
    assert tags == [*lengths[:100], 0, *lengths[101:]]


def test_draws_do_not_depend_on_batches_and_threads(tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    export_onnx(trained(decoded(), size=0.9), target, strategy="sample")
    model = Model.load(target, threads=1)
    column = model.inputs[0].column
    asked = [{column: "ab"}] * 40

    def drawn(batch: int, threads: int) -> list[str]:
        found = model.answers_or_errors(asked, batch, seed=5, threads=threads)
        return [each["out_chars"] for each in found if isinstance(each, dict)]

    assert drawn(3, 2) == drawn(40, 0) and len(set(drawn(40, 0))) > 1


def test_rows_are_read_a_bounded_way_ahead(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than three windows are read before the first answer: the one that is answered, the
    next, which is being computed, and of the one after it what has just been asked for."""
    model, taken = Model.load(words, threads=1), 0

    def counted(count: int) -> Iterator[dict[str, str]]:
        nonlocal taken
        for row in rows(count):
            taken += 1
            yield row

    next(model.answers_or_errors(counted(2000), 4, threads=2))
    assert taken == 2 * 4 * bulk.WINDOW
    monkeypatch.setattr(bulk, "BYTES", 100)
    taken = 0
    next(model.answers_or_errors(counted(2000), 4))
    assert 4 <= taken < 4 * bulk.WINDOW


def test_an_end_in_between_leaves_no_thread(words: Path) -> None:
    model = Model.load(words, threads=1)
    before = threading.active_count()
    found = model.answers_or_errors(rows(3000), 4, threads=2)
    next(found)
    assert threading.active_count() > before
    assert isinstance(found, Generator)
    found.close()
    assert threading.active_count() == before


def test_an_error_of_the_file_is_raised_by_the_caller(words: Path) -> None:
    """What a thread raises is not lost in it."""
    model = Model.load(words, threads=1)

    def refuse(*_: object) -> None:
        raise ValueError("refused")

    object.__setattr__(
        model, "session", type("Refusing", (), {"run": refuse, "inputs": [], "batch": None})()
    )
    with pytest.raises(ValueError, match="refused"):
        list(model.answers_or_errors(rows(10), 4, threads=2))


def test_without_a_gpu_it_is_said(words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """onnxruntime itself would answer on the CPU without a word."""
    said = wrong("run", str(words), "--text", "one", "--device", "gpu")
    assert "no CUDA provider" in said and "onnxruntime-gpu" in said
    listed = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: listed)
    with pytest.raises(ModelFileError, match="does not start here"):
        rnnspec.open(words, device="gpu")
