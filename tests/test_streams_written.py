"""Language models that write on chunk by chunk: cut anywhere, they write what they write at once.

The proof of an export holds the stream against the module (`rnnspec.export.cuts`): a prompt in
pieces, then tokens by a few and by one. Here it is asked to, for each strategy, kind of text and
layer that keeps something; and what no whole file does is held against whole files by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import rnnspec
from rnnspec.errors import ExportError, ModelFileError
from rnnspec.export import export_onnx
from rnnspec.export.file import OnnxOptions
from rnnspec.plan.stream import stream_of
from rnnspec.run import Model
from rnnspec.run.stream import Stream
from rnnspec.store.folder import Trained
from rnnspec.to_onnx.chunks import Chunks
from tests.cli import right, wrong
from tests.kinds import spec_data
from tests.random_builds import trained
from tests.test_streams import quick as quick
from tests.test_streams import streamed

GRU: dict[str, Any] = {"cell": "gru", "units": 4}
KEPT: list[dict[str, Any]] = [
    {"cell": "lstm", "units": 4, "initial_state": "learned"},
    {"conv": 4, "size": 3, "causal": True},
]
STEPS = 12


def writer(kind: str = "chars", layers: Any = (GRU,), beside: tuple[str, ...] = ()) -> Trained:
    outputs = [{"column": kind, "as": "next"}]
    return trained(spec_data("N:N", [kind, *beside], outputs, layers))


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (("chars",), {}),
        (("chars", KEPT, ("category",)), {"strategy": "sample:temperature=0.8,top_k=3"}),
        (("words",), {"strategy": "sample:top_p=0.9", "joined": True}),
        (("words", KEPT), {"strategy": "greedy:repetition_penalty=1.4", "ids": True}),
        (("tokens",), {"strategy": "sample:no_repeat=1,banned=[T2]"}),
        (("bytes",), {"strategy": "sample:temperature=2"}),
        (("bytes", KEPT), {"joined": True}),
        (("bytes",), {"ids": True}),
    ],
)
def test_what_is_written_by_and_by_is_what_is_written_at_once(
    build: tuple[Any, ...], options: dict[str, Any], tmp_path: Path
) -> None:
    parity, _ = streamed(writer(*build), tmp_path, generate=STEPS, **options)
    assert parity.tokens > 30


@pytest.mark.parametrize(
    "state", ["layers.0.h", "waits", "begun", "written", "score", "seen", "held"]
)
def test_a_writer_that_forgets_is_found_out(
    state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after, forgotten = Chunks.after, [0]

    def kept(chunks: Chunks, name: str, value: str) -> None:
        lost = name.endswith(state)
        forgotten[0] += lost
        after(chunks, name, chunks.before(name) if lost else value)

    monkeypatch.setattr(Chunks, "after", kept)
    strategy = "sample:repetition_penalty=3"
    with pytest.raises(ExportError, match="This is a defect"):
        streamed(
            writer("bytes" if state == "held" else "chars"),
            tmp_path,
            generate=STEPS,
            strategy=strategy,
        )
    assert forgotten == [1]


def test_a_text_that_somebody_else_goes_on_with(tmp_path: Path) -> None:
    """What is written is read, and so is what comes then: as if all of it had been the prompt."""
    build = writer("words", KEPT)
    _, model = streamed(build, tmp_path, generate=STEPS)
    export_onnx(build, tmp_path / "whole.onnx", generate=5)
    stream = Stream(model)
    assert stream.answer({"words": "one two"}, write=0)["words"] == ""
    first = stream.answer({}, write=2)["words"] + stream.answer({}, write=1)["words"]
    second = stream.answer({"words": " three"}, write=5)["words"]
    so_far = f"one two{first} three"
    (whole,) = Model.load(tmp_path / "whole.onnx").answer([{"words": so_far}])
    assert first.startswith(" ") and second
    assert whole["words"] == so_far + second


def test_rows_side_by_side_write_as_many_as_each_asks_for(tmp_path: Path) -> None:
    _, model = streamed(writer(), tmp_path, generate=STEPS, strategy="sample")
    together, alone = Stream(model, seed=3), [Stream(model, seed=3), Stream(model, seed=4)]
    for chunks, write in (
        (({"chars": "ab"}, {"chars": ""}), (3, 1)),
        (({}, {"chars": "cde"}), (0, 4)),
        (({}, {}), (2, 3)),
    ):
        found = together.answers(chunks, write=write)
        own = zip(alone, chunks, write, strict=True)
        assert found == [each.answer(chunk, write=count) for each, chunk, count in own]


def test_a_text_that_has_ended_writes_nothing_until_something_comes(tmp_path: Path) -> None:
    build = writer()
    build.weights["answer.b"][0] = 9
    _, model = streamed(build, tmp_path, generate=STEPS)
    stream = Stream(model)
    answers = [stream.answer({"chars": "ab"}, write=3), stream.answer({}, write=3)]
    assert [each["chars"] for each in answers] == ["", ""]
    assert answers[0]["chars.score"] == answers[1]["chars.score"] < 0
    assert stream.answer({"chars": "c"}, write=3)["chars.score"] < answers[1]["chars.score"]


def test_lines_are_written_on(tmp_path: Path) -> None:
    build = writer()
    _, model = streamed(build, tmp_path, generate=STEPS)
    export_onnx(build, tmp_path / "whole.onnx", generate=4)
    (whole,) = Model.load(tmp_path / "whole.onnx").answer([{"chars": "abc"}])
    lines = '{"chars": "abc"}\n{"chars": ""}\n\n'
    command = ["run", model.path, "--stream", "--json"]
    said = right(*command, "--write", "2", stdin=lines).splitlines()
    assert "abc" + "".join(json.loads(line)["chars"] for line in said) == whole["chars"]
    (one,) = right(*command, stdin="abc\n").splitlines()
    assert len(json.loads(one)["chars"]) == 1
    assert "give both, or neither" in wrong("run", model.path, "--write", "2")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"strategy": "beam:3"}, "add --strategy greedy or sample"),
        ({"strategy": "greedy:no_repeat=2"}, "leave 'no_repeat' out"),
        ({"strategy": "greedy:prefix=[a]"}, "give it as the first chunk"),
        ({"step": True, "ids": True}, "leave out --step"),
    ],
)
def test_what_cannot_be_written_by_and_by(
    options: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=reason):
        streamed(writer(), tmp_path, generate=STEPS, **options)
    assert not list(tmp_path.iterdir())


def test_wrong_numbers_of_tokens(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="--steps says how much a whole text has"):
        OnnxOptions(generate=True, steps=5, stream=True).check()
    _, model = streamed(writer(), tmp_path, generate=STEPS)
    assert stream_of(writer().plan).writes is False
    stream = Stream(model)
    with pytest.raises(ModelFileError, match=r"'write' is \[-1\], expected a number of tokens"):
        stream.answer({"chars": "a"}, write=-1)
    with pytest.raises(ModelFileError, match="writes on; use it as a stream"):
        list(model.answer([{"chars": "a"}]))
    export_onnx(writer(), tmp_path / "reader.onnx", stream=True)
    with pytest.raises(ModelFileError, match="writes nothing on after a chunk"):
        rnnspec.open(tmp_path / "reader.onnx").stream().answer({"chars": "a"}, write=1)
