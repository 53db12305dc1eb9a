"""The bytes of every code point, from the hash of a string."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from rnnspec.to_onnx.emitter import CONTRIB, INT64, STRING, Emitter
from rnnspec.to_onnx.unicode import INTO_CHARACTERS
from rnnspec.to_onnx.utf8 import bytes_of
from tests.onnx_models import opened

OFFSET = 2


@pytest.fixture(scope="module")
def session() -> onnxruntime.InferenceSession:
    emit = Emitter()
    emit.reserve(["text", "numbers", "lengths"])
    text = emit.input("text", STRING, ["batch"], reserved=True)
    chars = emit.op("Tokenizer", [text], "chars", CONTRIB, **INTO_CHARACTERS)
    emit.typed(chars, STRING, ["batch", "chars"])
    numbers, lengths = bytes_of(emit, chars, OFFSET, "bytes")
    emit.output(numbers, "numbers", INT64, ["batch", "time"], "")
    emit.output(lengths, "lengths", INT64, ["batch"], "")
    return opened(emit.model("bytes", "", "0"))


def check(session: onnxruntime.InferenceSession, texts: list[str]) -> None:
    numbers, lengths = session.run(None, {"text": np.array(texts, object)})
    wanted = [np.frombuffer(text.encode(), np.uint8).astype(np.int64) + OFFSET for text in texts]
    assert lengths.tolist() == [len(row) for row in wanted]
    assert numbers.shape == (len(texts), max(map(len, wanted)))
    for row, expected in zip(numbers, wanted, strict=True):
        np.testing.assert_array_equal(row[: len(expected)], expected)
        assert not row[len(expected) :].any()


def test_every_code_point(session: onnxruntime.InferenceSession) -> None:
    every = [chr(code) for code in range(1, 0x110000) if not 0xD800 <= code < 0xE000]
    check(session, ["".join(every[at : at + 4000]) for at in range(0, len(every), 4000)])


@pytest.mark.parametrize(
    "texts", [[""], ["", ""], ["a", "", "字é😀x\n"], ["\U0010ffff" * 3, "a"], ["", "\x7f\x80߿ࠀ"]]
)
def test_texts_of_unlike_lengths(session: onnxruntime.InferenceSession, texts: list[str]) -> None:
    check(session, texts)


def test_no_texts_are_an_exception(session: onnxruntime.InferenceSession) -> None:
    with pytest.raises(Exception, match="ONNXRuntimeError"):
        session.run(None, {"text": np.array([], object)})
