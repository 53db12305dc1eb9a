"""`rnnspec run --stream` and `rnnspec.open`: answers to chunks, at once, are the whole row's."""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnnspec
from rnnspec.data.audio import AudioReading, read_file
from rnnspec.data.pipe import from_wav
from rnnspec.errors import DataError, ModelFileError
from rnnspec.export import export_onnx
from tests.cli import right, wrong
from tests.cli import rnnspec as rnnspec_command
from tests.kinds import output, spec_data
from tests.test_streams import WAITING, trained
from tests.test_streams import quick as quick

PROGRAM = [sys.executable, "-m", "rnnspec", "run"]


def file(folder: Path, data: dict[str, Any], name: str = "model.onnx", **options: Any) -> Path:
    target = folder / name
    export_onnx(trained(data), target, stream=True, **options)
    return target


def tagger(folder: Path) -> Path:
    return file(folder, spec_data("N:N", ["words"], [output("tags")]))


def told(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def joined(answers: list[dict[str, Any]], column: str) -> list[Any]:
    """The answers of all steps, one after the other."""
    return [step for answer in answers for step in answer[column]]


def test_a_text_a_line(tmp_path: Path) -> None:
    """The words of a row in lines; an empty line ends it, the end of the input the next one."""
    model = tagger(tmp_path)
    whole = told(right("run", model, "--text", "one two three", "--text", "three", "--json"))
    found = told(right("run", model, "--stream", "--json", stdin="one two\nthree\n\n\nthree\n"))
    assert [answer["tags"] for answer in found] == [
        whole[0]["tags"][:2],
        whole[0]["tags"][2:],
        whole[1]["tags"],
    ]
    shown = right("run", model, "--stream", stdin="one two\nthree").splitlines()
    assert shown == [
        f"one two  →  {' '.join(whole[0]['tags'][:2])}",
        f"three  →  {whole[0]['tags'][2]}",
    ]


def test_an_object_a_line(tmp_path: Path) -> None:
    """Layers that read ahead answer later and at the end, which an object tells; what stands for
    the whole row is given once."""
    inputs, outputs = ["frames", "category"], [output("tags"), output("out_frames")]
    model = file(tmp_path, spec_data("N:N", inputs, outputs, WAITING))
    steps = np.random.default_rng(0).normal(size=(9, 3)).tolist()
    asked = {"frames": steps, "category": "y"}
    (whole,) = rnnspec.open(model).answer([asked])
    lines = [
        {"frames": steps[:4], "category": "y"},
        {"frames": []},
        {"frames": steps[4:]},
        {"end": True},
        asked | {"end": True},
    ]
    given = "\n".join(map(json.dumps, lines))
    found = told(right("run", model, "--stream", "--json", stdin=given))
    assert len(found) == 5
    assert found[1]["tags"] == []
    assert joined(found[:4], "tags") == whole["tags"] == found[4]["tags"]
    np.testing.assert_allclose(joined(found[:4], "out_frames"), whole["out_frames"], atol=1e-5)
    shown = right("run", model, "--stream", stdin="\n".join(map(json.dumps, lines[:3])))
    assert [line.split("  →")[0] for line in shown.splitlines()] == [
        "chunk 1",
        "chunk 2",
        "chunk 3",
        "end",
    ]


def test_a_bad_chunk_ends_it_with_its_number(tmp_path: Path) -> None:
    model = file(tmp_path, spec_data("N:N", ["frames"], [output("tags")]))
    lines = ['{"frames": [[1, 2, 3]]}', "", '{"frames": [[1, 2]]}', '{"frames": []}']
    said = rnnspec_command("run", model, "--stream", stdin="\n".join(lines))
    assert (said.code, said.out.count("→")) == (2, 1)
    assert "standard input:3: chunk 2: column 'frames' has 2 numbers in each step" in said.err
    assert "1 chunk was answered before" in said.err
    for line, reason in (
        ("{}", "chunk 1: column 'frames' is missing"),
        ('{"frames": [], "end": 1}', "'end' is 1, expected true or false"),
        ("[1]", "chunk 1: expected a JSON object"),
        ("", "no chunks came"),
    ):
        assert reason in wrong("run", model, "--stream", stdin=line)


def test_what_cannot_be_a_stream_is_refused(tmp_path: Path) -> None:
    model = tagger(tmp_path)
    for options, cure in (
        (["--text", "one"], "leave out --text"),
        (["--output", "x.jsonl"], "--json > FILE"),
        (["--on-error", "skip"], "leave out --on-error"),
        (["--raw", "s16le"], "reads sound alone"),
    ):
        assert cure in wrong("run", model, "--stream", *options, stdin="one")
    assert "give both" in wrong("run", model, "--raw", "s16le")
    export_onnx(trained(spec_data("N:N", ["words"], [output("tags")])), tmp_path / "whole.onnx")
    whole = tmp_path / "whole.onnx"
    assert "again with --stream" in wrong("run", whole, "--stream", stdin="one")
    with pytest.raises(ModelFileError, match="again with --stream"):
        rnnspec.open(whole).stream()
    assert len(next(rnnspec.open(str(whole)).answer([{"words": "one two"}]))["tags"]) == 2


def sound() -> np.ndarray[Any, np.dtype[np.int16]]:
    draw = np.random.default_rng(0)
    return draw.integers(-9000, 9000, 700).astype(np.int16)


def wav(samples: bytes, rate: int = 1000, kind: int = 1, bits: int = 16, size: int = -1) -> bytes:
    """One channel, with a chunk that says something else before the samples."""
    form = struct.pack("<HHIIHH", kind, 1, rate, rate * bits // 8, bits // 8, bits)
    other = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    data = b"data" + struct.pack("<I", len(samples) if size < 0 else size) + samples
    inner = b"WAVE" + b"fmt " + struct.pack("<I", len(form)) + form + other + data
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


def test_samples_of_a_pipe(tmp_path: Path) -> None:
    """They are answered before the pipe is closed, in whatever pieces the bytes come."""
    frames = output("out_frames")
    model = file(tmp_path, spec_data("N:N", ["raw_sound"], [frames, output("tags")]))
    samples = sound()
    (whole,) = rnnspec.open(model).answer([{"raw_sound": samples / 32768}])
    data = samples.tobytes()
    command = [*PROGRAM, str(model), "--stream", "--json"]
    for begin, more in ((b"", ["--raw", "s16le"]), (wav(data)[: -len(data)], [])):
        with subprocess.Popen(
            [*command, *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(begin + data[:301])
            process.stdin.flush()
            first = json.loads(process.stdout.readline())
            assert 0 < len(first["out_frames"]) <= 75
            process.stdin.write(data[301:])
            process.stdin.close()
            found = [first, *map(json.loads, process.stdout)]
        assert process.returncode == 0
        np.testing.assert_allclose(joined(found, "out_frames"), whole["out_frames"], atol=1e-5)
        assert joined(found, "tags") == whole["tags"]
    assert found[-1]["tags"], "the last windows read ahead"


def test_wrong_sound(tmp_path: Path) -> None:
    model = file(tmp_path, spec_data("N:1", ["raw_sound"], [output("class")]))
    data = sound().tobytes()

    fast = wrong("run", model, "--stream", stdin=wav(data, 44100))
    assert "has 44100 samples a second, and the model reads 1000" in fast
    cut = wrong("run", model, "--stream", stdin=wav(data, size=2000))
    assert "breaks off before the end" in cut and "answered before" in cut
    odd = wrong("run", model, "--stream", "--raw", "s16le", stdin=data[:-1])
    assert "the last sample has 1 bytes of 2" in odd
    for endless in (0, 0xFFFFFFFF):
        assert right("run", model, "--stream", stdin=wav(data, size=endless)).startswith("0.70 s")


@pytest.mark.parametrize("kind", ["u8", "s16", "s24", "s32", "f32", "f64"])
@pytest.mark.parametrize("channels", ["mean", "first"])
def test_wav_as_libsndfile_reads_it(kind: str, channels: Any, tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    names = {"u8": "PCM_U8", "f32": "FLOAT", "f64": "DOUBLE", "s16": "PCM_16", "s24": "PCM_24"}
    values = np.random.default_rng(0).uniform(-1, 1, (500, 2))
    path = tmp_path / "a.wav"
    soundfile.write(path, values, 1000, subtype=names.get(kind, "PCM_32"))
    reading = AudioReading(1000, channels)
    found = np.concatenate(list(from_wav(Dripping(path.read_bytes()), reading)))
    np.testing.assert_array_equal(found, read_file(path, reading))


class Dripping(io.BytesIO):
    """Gives a few bytes at a time."""

    def read1(self, size: int | None = -1, /) -> bytes:
        return self.read(min(size or 0, 501))


def test_what_is_no_wav() -> None:
    reading = AudioReading(1000)
    for content, reason in (
        (b"RIFX", "is no wav file"),
        (wav(b"ab", kind=6), "of the kind 6"),
        (wav(b"")[:-8], "ends before its samples"),
    ):
        with pytest.raises(DataError, match=reason):
            list(from_wav(io.BytesIO(content), reading))


def test_ctrl_c_ends_it_quietly(tmp_path: Path, usual_signals: None) -> None:
    model = tagger(tmp_path)
    with subprocess.Popen(
        [*PROGRAM, str(model), "--stream"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(b"one\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith(b"one")
        os.kill(process.pid, signal.SIGINT)
        _, said = process.communicate()
    assert (process.returncode, said) == (130, b"")


def test_draws_of_rows_in_turn(tmp_path: Path) -> None:
    """Each row has a seed of its own, as in a file of whole rows; a chunk draws with its row's."""
    decoder = {"embed": 4, "layers": [{"cell": "gru", "units": 4}], "max_steps": 6}
    data = spec_data("N:M", ["chars"], [output("out_chars")], decoder=decoder)
    path = file(tmp_path, data, strategy="sample:temperature=2")
    model = rnnspec.open(path, threads=1)
    texts = ["abc", "bb", "a"]
    whole = [answer["out_chars"] for answer in model.answer(({"chars": t} for t in texts), seed=4)]
    stream = model.stream(seed=4)
    found = [stream.answer({"chars": text}, end=True)["out_chars"] for text in texts]
    assert found == whole
    assert len({*found}) > 1


def test_a_file_of_single_steps(tmp_path: Path) -> None:
    data = spec_data("N:N", ["frames"], [output("tags")])
    build, model = trained(data), tmp_path / "model.onnx"
    export_onnx(build, tmp_path / "whole.onnx")
    export_onnx(build, model, stream=True, step=True)
    steps = np.random.default_rng(1).normal(size=(5, 3)).tolist()
    whole = [
        answer["tags"]
        for answer in rnnspec.open(tmp_path / "whole.onnx").answer(
            [{"frames": steps}, {"frames": steps[1:3]}]
        )
    ]
    given = [json.dumps({"frames": [step]}) for step in steps]
    lines = "\n".join([*given, "", *given[1:3]])
    found = joined(told(right("run", model, "--stream", "--json", stdin=lines)), "tags")
    assert [found[:5], found[5:]] == whole
    assert "one step of each row" in wrong("run", model, "--stream", stdin='{"frames": []}')


def pieces(values: list[Any]) -> Iterator[list[Any]]:
    yield values[:1]
    yield values[1:]


def test_a_chunk_that_is_refused_leaves_the_row_as_it_was(tmp_path: Path) -> None:
    data = spec_data("N:N", ["frames"], [output("out_frames")])
    model = rnnspec.open(file(tmp_path, data))
    stream, steps = model.stream(), [[0.1, 0.2, 0.3], [1.0, -1.0, 2.0]]
    (whole,) = model.answer([{"frames": steps}])
    found = []
    for piece in pieces(steps):
        with pytest.raises(DataError):
            stream.answer({"frames": [[1]]})
        found += stream.answer({"frames": piece})["out_frames"]
    np.testing.assert_allclose(found, whole["out_frames"], atol=1e-5)


def test_states_that_are_set_are_those_of_the_file(tmp_path: Path) -> None:
    """Of states of one row for two, onnxruntime would give some to each row."""
    data = spec_data("N:1", ["frames"], [output("class")])
    stream = rnnspec.open(file(tmp_path, data | {"pooling": "mean"})).stream()
    chunks: list[dict[str, object]] = [{"frames": [[1, 2, 3]]}, {"frames": [[3, 2, 1]] * 2}]
    stream.answers(chunks)
    kept = stream.states
    after = stream.answers(chunks)
    name, value = "pool.sum", kept["pool.sum"]
    for other in (value[:1], value[:, :-1], value.astype(np.float32)):
        stream.states = kept | {name: other}
        with pytest.raises(ModelFileError, match=f"'{name}' that was set is .*, expected float64"):
            stream.answers(chunks)
    stream.states = kept | {"more": value}
    with pytest.raises(ModelFileError, match=r"'more' that was set is .*, expected none;"):
        stream.answers(chunks)
    stream.states = {each: own for each, own in kept.items() if each != name}
    with pytest.raises(ModelFileError, match=f"'{name}' that was set is none, expected float64"):
        stream.answers(chunks)
    saved = json.loads(json.dumps({each: own.tolist() for each, own in kept.items()}))
    for states in (dict(kept), saved):
        stream.states = states
        assert stream.answers(chunks) == after
    with pytest.raises(ModelFileError, match="2 rows have chunks, and 'end' speaks of 1"):
        stream.answers(chunks, [True])
