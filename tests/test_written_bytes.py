"""Bytes that a model writes, as UTF-8 in the file: as Python decodes them, broken or not; and
subwords as their tokenizer joins them."""

from __future__ import annotations

from codecs import getincrementaldecoder
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

import rnnspec
from rnnspec.plan.written_bytes import text_of
from rnnspec.run.session import Session
from rnnspec.to_onnx.emitter import BOOL, INT64, STRING, Emitter
from rnnspec.to_onnx.text import end_to_end
from rnnspec.to_onnx.written_bytes import Held, byte_pieces, decoded, decoded_so_far

LOW = (0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF)
SOME = [*LOW, 0xF0, 0xF3, 0xF4, 0xF5, 0xFF]
"""The ends of each range that the standard has a rule for."""


@pytest.fixture(scope="module")
def session() -> Session:
    emit = Emitter()
    emit.reserve(["numbers", "text"])
    numbers = emit.input("numbers", INT64, ["U", "B"], reserved=True)
    found = decoded(emit, numbers, 2, "bytes")
    pieces = emit.strings("pieces", byte_pieces())
    first = emit.op("Gather", [found, emit.integer(0)], "first.numbers")
    begun = emit.op("Gather", [pieces, first], "first")
    text = end_to_end(emit, begun, found, pieces, ["B"], "whole")
    emit.output(text, "text", STRING, ["B"], "")
    return Session(emit.model("bytes", "", "0").SerializeToString())


def test_bytes_are_the_text_that_python_makes_of_them(session: Session) -> None:
    draw = np.random.default_rng(0)
    every = np.stack(np.meshgrid(SOME, SOME, SOME, indexing="ij"), -1).reshape(-1, 3)
    fours, longs = draw.choice(SOME, (4000, 4)), draw.choice(SOME, (2000, 11))
    whole = np.frombuffer("aé字😀\u07ff\uffff\U0010ffff".encode(), np.uint8)
    for rows in (every, fours, longs, whole[np.newaxis], np.array(SOME)[:, np.newaxis]):
        texts = session.run({"numbers": rows.T.astype(np.int64) + 2})["text"].tolist()
        wanted = [bytes(row).decode("utf-8", "replace") for row in rows.tolist()]
        assert texts == wanted
        assert [text_of([byte + 2 for byte in row]) for row in rows.tolist()] == wanted


def test_what_stands_past_the_end_is_no_text(session: Session) -> None:
    numbers = np.array([[0xE5 + 2, 0x41 + 2, 0], [0xAD + 2, 0, 0], [0, 0, 0]], np.int64)
    assert session.run({"numbers": numbers})["text"].tolist() == ["\ufffd", "A", ""]


@pytest.fixture(scope="module")
def so_far() -> Session:
    emit = Emitter()
    named = ["numbers", "lengths", "held", "apart", "last", "text", "held.next"]
    emit.reserve(named)
    numbers, held = (
        emit.input(name, INT64, ["B", size], reserved=True)
        for name, size in (("numbers", "U"), ("held", 3))
    )
    lengths = emit.input("lengths", INT64, ["B"], reserved=True)
    apart, last = (emit.input(name, BOOL, ["B"], reserved=True) for name in ("apart", "last"))
    found, after = decoded_so_far(emit, Held(held, apart, last), numbers, lengths, "bytes")
    pieces = emit.strings("pieces", byte_pieces())
    first = emit.op("Gather", [found, emit.integer(0)], "first.numbers")
    begun = emit.op("Gather", [pieces, first], "first")
    text = end_to_end(emit, begun, found, pieces, ["B"], "whole")
    emit.output(text, "text", STRING, ["B"], "")
    emit.output(after, "held.next", INT64, ["B", 3], "")
    return Session(emit.model("bytes", "", "0").SerializeToString())


def test_bytes_cut_anywhere_are_the_text_that_python_makes_of_them(so_far: Session) -> None:
    """Chunks of 0 to 4 bytes, each behind what was held; texts that come between end a character,
    and so does the end of the row. What may still become a character is held, and nothing else (a
    surrogate that is begun, as the decoder of Python holds it, is none)."""
    draw, rows = np.random.default_rng(1), 300
    common = np.frombuffer("é字😀\u07ff\U0010ffff\xa0aé😀".encode(), np.uint8)
    for choice in (SOME, common):
        held, bytes_, texts = np.zeros((rows, 3), np.int64), [b""] * rows, [""] * rows
        for _ in range(12):
            size = int(draw.integers(1, 5))
            lengths = draw.integers(0, size + 1, rows)
            values = draw.choice(choice, (rows, size))
            if choice is common:
                places = draw.integers(0, len(common), rows)[:, None] + np.arange(size)
                values = common[places % len(common)]
            numbers = np.where(np.arange(size) < lengths[:, None], values.astype(np.int64) + 2, 0)
            apart, last = draw.random(rows) < 0.1, draw.random(rows) < 0.1
            feeds = {"numbers": numbers, "lengths": lengths, "held": held}
            got = so_far.run({**feeds, "apart": apart, "last": last})
            for row in range(rows):
                begun = "\ufffd" if apart[row] and held[row].any() else ""
                if apart[row]:
                    bytes_[row], texts[row] = b"", ""
                bytes_[row] += bytes(values[row, : lengths[row]].tolist())
                texts[row] += got["text"][row].removeprefix(begun)
                assert got["text"][row].startswith(begun)
                kept = bytes(each - 2 for each in got["held.next"][row].tolist() if each)
                missing = "\ufffd" if kept else ""
                assert texts[row] + missing == bytes_[row].decode("utf-8", "replace")
                decoder = getincrementaldecoder("utf-8")("replace")
                decoder.decode(bytes_[row], final=bool(last[row]))
                pending, _ = decoder.getstate()
                assert kept == pending or (pending[0] == 0xED and pending[1] >= 0xA0 and not kept)
            held = np.where(last[:, None], 0, got["held.next"])
            for ended in np.flatnonzero(last).tolist():
                bytes_[ended], texts[ended] = b"", ""


SPEC = """
name: verses
cardinality: N:N
data: {train: rows.jsonl, input: {column: text, as: KIND}, output: {column: text, as: next}}
encoder: {embed: 4, layers: [{cell: gru, units: 4}]}
"""


@pytest.mark.parametrize("kind", ["bytes", "subwords"])
def test_a_file_writes_text(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof holds the texts against the module's; a prompt stands before what is written."""
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(SPEC.replace("KIND", kind))
    Path("rows.jsonl").write_text('{"text": "the séa is wide the sea"}\n{"text": "the old sea"}\n')
    build = rnnspec.load("spec.yaml").build(train=False)
    assert build.perplexity("the sea")["perplexity"] > 1
    strategy = "beam:width=3,n_best=2" if kind == "subwords" else "sample:temperature=2"
    build.export("written.onnx", strategy=strategy, generate=True, steps=9, ids=kind == "subwords")
    file = rnnspec.open("written.onnx")
    build.export("stream.onnx", generate=True, stream=True, ids=kind == "subwords")
    for prompt in ("the séa", "sea ", ""):
        (text,) = file.predict([prompt])
        assert text.startswith(prompt)
        assert len(text) > len(prompt)
    if kind == "subwords":  # joining is what the tokenizer undoes
        tokenizer = Tokenizer.from_file("tokenizer.json")
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    build.export("greedy.onnx", generate=True, steps=6, ids=kind == "subwords")
    for prompt in ("the séa", ""):
        (text,) = rnnspec.open("greedy.onnx").predict([prompt])
        stream = rnnspec.open("stream.onnx").stream()
        parts = [stream.answer({"text": prompt}, write=1), stream.answer({}, write=5)]
        parts.append(stream.answer({}, end=True, write=0))
        assert prompt + "".join(each["text"] for each in parts) == text
