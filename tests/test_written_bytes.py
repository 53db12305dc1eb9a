"""Bytes that a model writes, as UTF-8 in the file: as Python decodes them, broken or not; and
subwords as their tokenizer joins them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

import rnnspec
from rnnspec.plan.written_bytes import text_of
from rnnspec.run.session import Session
from rnnspec.to_onnx.emitter import INT64, STRING, Emitter
from rnnspec.to_onnx.text import end_to_end
from rnnspec.to_onnx.written_bytes import byte_pieces, decoded

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
    for prompt in ("the séa", "sea ", ""):
        (text,) = file.predict([prompt])
        assert text.startswith(prompt)
        assert len(text) > len(prompt)
    if kind == "subwords":  # joining is what the tokenizer undoes
        tokenizer = Tokenizer.from_file("tokenizer.json")
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    with pytest.raises(rnnspec.Error, match="a chunk may end within a character"):
        build.export("s.onnx", generate=True, stream=True, ids=kind == "subwords")
