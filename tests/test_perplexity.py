"""The perplexity of a text: of a build, of its file and of its stream, as the reference has it."""

from __future__ import annotations

from functools import partial
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnspec
from rnnspec.errors import RnnspecError
from rnnspec.evaluate import perplexity as of_builds
from rnnspec.export.probes import probes
from rnnspec.export.write import export_onnx
from rnnspec.reference import raw_outputs
from rnnspec.run import perplexity as of_files
from rnnspec.run.model import Model
from rnnspec.store.folder import Trained
from tests.kinds import output, spec_data
from tests.random_builds import trained

TEXTS = {
    "words": "one two  three\nnine one two",
    "chars": "one twoé three",
    "bytes": "one – twoé\n",
    "ruled_words": "One, TWO three, ﬁve e\u0301 nine",
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnspec.export.write.probes", partial(probes, seeds=1))


def language_model(kind: str) -> Trained:
    return trained(spec_data("N:N", [kind], [{"column": kind, "as": "next"}]))


def by_the_reference(build: Trained, kind: str, text: str) -> tuple[float, int]:
    """The sum of -ln p of each token but the first, and their number."""
    known: Any = build.facts.inputs[kind]
    tokens = {
        "words": text.split(),
        "chars": list(text),
        "bytes": [f"{byte:02x}" for byte in text.encode()],
        "ruled_words": ["one", ",", "two", "three", ",", "five", "é", "nine"],
    }[kind]
    numbers = known.vocabulary.numbers(tokens)
    (scores,) = raw_outputs(build.plan, build.weights, [{kind: np.array(numbers)}])[kind]
    logs = scores - np.logaddexp.reduce(scores, axis=-1, keepdims=True)
    return -sum(logs[at, number] for at, number in enumerate(numbers[1:])), len(numbers) - 1


@pytest.mark.parametrize("kind", TEXTS)
def test_builds_and_files_answer_as_the_reference(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunk by chunk too: a chunk is much shorter than the text here."""
    build, text = language_model(kind), TEXTS[kind]
    nats, count = by_the_reference(build, kind, text)
    expected = {
        "perplexity": exp(nats / count),
        "bits_per_token": nats / log(2) / count,
        "bits_per_character": nats / log(2) / len(text),
        "bits_per_byte": nats / log(2) / len(text.encode()),
    }
    for module in (of_builds, of_files):
        monkeypatch.setattr(module, "CHUNK", 3)
    assert of_builds.perplexity_of(build, text).values() == pytest.approx(expected, rel=1e-5)
    export_onnx(build, tmp_path / "model.onnx")
    file = rnnspec.open(tmp_path / "model.onnx")
    assert file.perplexity(text) == pytest.approx(expected, rel=1e-4)
    if kind != "ruled_words":  # which do not stream
        export_onnx(build, tmp_path / "stream.onnx", stream=True)
        stream = rnnspec.open(tmp_path / "stream.onnx")
        assert stream.perplexity(text) == pytest.approx(expected, rel=1e-4)


def test_what_has_no_perplexity_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = language_model("words")
    with pytest.raises(RnnspecError, match="has 1 token, and each is answered from those before"):
        of_builds.perplexity_of(build, "one")
    tags = trained(spec_data("N:N", ["words"], [output("tags")]))
    with pytest.raises(RnnspecError, match="answers no next token"):
        of_builds.perplexity_of(tags, "one two")
    beside = trained(spec_data("N:N", ["words", "number"], [{"column": "words", "as": "next"}]))
    with pytest.raises(RnnspecError, match="reads 'number' beside the text"):
        of_builds.perplexity_of(beside, "one two")
    tokens = language_model("tokens")
    with pytest.raises(RnnspecError, match="read as tokens, and a plain text is none"):
        of_builds.perplexity_of(tokens, "one two")
    export_onnx(build, tmp_path / "ids.onnx", ids=True)
    with pytest.raises(RnnspecError, match="export it without --ids"):
        of_files.perplexity_of(Model.load(tmp_path / "ids.onnx"), "one two")
    export_onnx(build, tmp_path / "written.onnx", generate=4)
    with pytest.raises(RnnspecError, match="export it without --generate"):
        of_files.perplexity_of(Model.load(tmp_path / "written.onnx"), "one two")
    export_onnx(build, tmp_path / "model.onnx")
    monkeypatch.setattr(of_files, "MOST", 10)
    with pytest.raises(RnnspecError, match="export the build again with --stream"):
        of_files.perplexity_of(Model.load(tmp_path / "model.onnx"), "one two three")
