"""Word vectors from files: every format, the vocabulary, training, and the exported file."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from rnnspec.data import encode, survey
from rnnspec.data.decimals import parsed
from rnnspec.data.pretrained import fixed_rows, keyed
from rnnspec.data.reading import Reading
from rnnspec.data.vectors import read_vectors
from rnnspec.errors import DataError
from rnnspec.export import export_onnx
from rnnspec.export.parity import inputs_of, prove
from rnnspec.export.probes import probes
from rnnspec.plan import Facts, Plan, TextFacts, resolve
from rnnspec.plan.facts import VectorFile
from rnnspec.plan.facts_file import read_facts, write_facts
from rnnspec.plan.names import labels_of
from rnnspec.plan.nodes import ClassOutput, Embed
from rnnspec.plan.text_rule import TextRule
from rnnspec.reference import answers
from rnnspec.run import Model as Run
from rnnspec.run.session import Session
from rnnspec.source.emit import to_yaml
from rnnspec.spec import Spec
from rnnspec.spec.load import load_spec
from rnnspec.spec.text_options import VectorFormat
from rnnspec.store.events import Silent
from rnnspec.store.folder import read_build
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.train.build import build
from tests.answers import of_torch
from tests.onnx_models import initializers

WORDS = ["the", "cat", "é", "Katze", "unseen"]
VALUES = np.array(
    [[0.5, -1.25, 3e-05], [1, 2, 3], [-0.001, 10.5, 0.25], [4, 5, 6], [7.125, -8, 9]], np.float32
)


def lines(words: Sequence[str] = WORDS, gap: str = " ", end: str = "\n") -> str:
    rows = zip(words, VALUES.tolist(), strict=False)
    return "".join(gap.join([word, *map(repr, row)]) + end for word, row in rows)


def binary(words: Sequence[str] = WORDS, end: bytes = b"\n") -> bytes:
    rows = zip(words, VALUES, strict=True)
    body = [word.encode() + b" " + struct.pack("<3f", *row) + end for word, row in rows]
    return f"{len(words)} 3\n".encode() + b"".join(body)


def written(folder: Path, name: str, content: str | bytes) -> VectorFile:
    raw = content if isinstance(content, bytes) else content.encode()
    (folder / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    format: VectorFormat = "binary" if ".bin" in name else "text"
    return VectorFile(str(folder / name), format)


def listed(folder: Path, name: str, format: VectorFormat) -> VectorFile:
    if format == "npy":
        np.save(folder / name, VALUES.astype(np.float64))
    else:
        save_file({"any": VALUES}, folder / name)
    (folder / "words.txt").write_text("\n".join(WORDS) + "\n")
    return VectorFile(str(folder / name), format, str(folder / "words.txt"))


# ------------------------------------------------------------------------------------- reading


def test_numbers_are_those_of_float() -> None:
    draw = np.random.default_rng(0)
    numbers = [f"{x:.{at % 12}f}" for at, x in enumerate(draw.normal(0, 3, 500))]
    numbers += ["0", "-0", "5.", ".5", "-.5", "123456789012345", "0.00000000000001", "00.5"]
    text = " ".join(numbers).encode()
    expected = np.array(list(map(float, numbers)), np.float64).astype(np.float32)
    np.testing.assert_array_equal(parsed(text), expected)
    odd = ["1e-5", "+1", "1234567890123456", "-2.5E3", "0.1234567890123456789"]
    single = np.array(list(map(float, odd)), np.float32)
    np.testing.assert_array_equal(parsed(" ".join(odd).encode()), single)
    assert parsed(b"").tolist() == []
    for wrong in (b"1 x 2", b"1  2", b"1 -", b"1 .", b"1.2.3", b"--1"):
        with pytest.raises(ValueError, match="convert"):
            parsed(wrong)


def test_every_format_gives_the_same(tmp_path: Path) -> None:
    head = "5 3\n"
    files = [
        written(tmp_path, "glove.txt", lines()),
        written(tmp_path, "glove.txt.gz", lines()),
        written(tmp_path, "crlf.txt", lines(end=" \r\n")),
        written(tmp_path, "tabs.txt", lines(gap="\t") + "\n"),
        written(tmp_path, "word2vec.txt", head + lines()),
        written(tmp_path, "fasttext.vec", head + lines(end=" \n")),
        written(tmp_path, "word2vec.bin", binary()),
        written(tmp_path, "other.bin.gz", binary(end=b"")),
        listed(tmp_path, "vectors.npy", "npy"),
        listed(tmp_path, "vectors.safetensors", "safetensors"),
    ]
    digests = set()
    for file in files:
        found = read_vectors(file)
        assert found.words == tuple(WORDS), file
        np.testing.assert_array_equal(found.values, VALUES)
        assert (found.width, found.not_utf8, found.twice) == (3, 0, 0)
        digests.add(found.digest)
        first = read_vectors(replace(file, most=2))
        assert first.words == tuple(WORDS[:2])
        np.testing.assert_array_equal(first.values, VALUES[:2])
    assert len(digests) == len(files)


def test_odd_words_of_text(tmp_path: Path) -> None:
    """Words with spaces as in GloVe's largest file, of other bytes, and twice."""
    text = lines(["the", "at name@domain.com", ". . .", "the", "\u00a0"]).encode() + b"\xff 1 2 3\n"
    found = read_vectors(written(tmp_path, "odd.txt", text))
    assert found.words == ("the", "at name@domain.com", ". . .", "\u00a0")
    np.testing.assert_array_equal(found.values, VALUES[[0, 1, 2, 4]])
    assert (found.not_utf8, found.twice) == (1, 1)


def test_a_byte_order_mark_is_no_part_of_a_word(tmp_path: Path) -> None:
    mark = "\ufeff".encode()
    for text in (lines(), f"{len(WORDS)} 3\n{lines()}"):
        assert read_vectors(written(tmp_path, "mark.txt", mark + text.encode())).words[0] == "the"
        read_vectors.cache_clear()
    file = listed(tmp_path, "vectors.npy", "npy")
    Path(file.words).write_bytes(mark + Path(file.words).read_bytes())
    assert read_vectors(file).words[0] == "the"


WRONG: dict[str, tuple[str | bytes, str]] = {
    "short.txt": (lines() + "x 1 2\n", "short.txt:6: has 2 numbers after the word, expected 3"),
    "long.txt": (lines() + "x 1 2 3 4\n", "long.txt:6: has 4 numbers after the word, expected 3"),
    "letters.txt": (lines() + "x 1 a 3\n", "letters.txt:6: could not convert string to float"),
    "nan.txt": (lines() + "x 1 nan 3\n", "nan.txt: the vector of 'x', number 6, is not finite"),
    "large.txt": (lines() + "x 1 1e39 3\n", "large.txt: the vector of 'x', number 6, is not fin"),
    "empty.txt": ("", "empty.txt:1: expected a word and its numbers"),
    "head.txt": ("0 3\n", "head.txt: holds no vector"),
    "word.txt": ("word\n", "word.txt:1: expected a word and its numbers"),
    "cut.txt": ("6 3\n" + lines(), "cut.txt: has 5 words, and its first line says 6"),
    "cut.bin": (binary()[:-9], "cut.bin: ends after 4 of 5 words; it is cut off"),
    "head.bin": (b"\x00\x01" + binary(), "head.bin: does not begin with the number of words"),
    "model.bin": (b"\xba\x16\x4f\x2f" + binary(), "model.bin: is a model of fastText; read the"),
    "model.txt": (b"\xba\x16\x4f\x2f" + binary(), "model.txt: is a model of fastText; read the"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files_are_told(tmp_path: Path, name: str) -> None:
    content, message = WRONG[name]
    file = written(tmp_path, name, content)
    with pytest.raises(DataError) as caught:
        read_vectors(file)
    assert str(caught.value).startswith(f"{tmp_path}/{message}")


def test_wrong_arrays_and_lists_are_told(tmp_path: Path) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "holds int64 5x3, expected real numbers": np.zeros((5, 3), np.int64),
        "holds float32 5, expected real numbers": np.zeros(5, np.float32),
        "has 5 words, and": np.zeros((6, 3), np.float32),
    }
    for message, array in arrays.items():
        listed(tmp_path, "a.npy", "npy")
        np.save(tmp_path / "a.npy", array)
        file = VectorFile(str(tmp_path / "a.npy"), "npy", str(tmp_path / "words.txt"))
        with pytest.raises(DataError, match=message):
            read_vectors(file)
    save_file({"a": VALUES, "b": VALUES}, tmp_path / "two.safetensors")
    two = VectorFile(str(tmp_path / "two.safetensors"), "safetensors", str(tmp_path / "words.txt"))
    with pytest.raises(DataError, match=r"holds 2 tensors \(a, b\), expected the vectors alone"):
        read_vectors(two)
    brains = {"a": torch.zeros(5, 3, dtype=torch.bfloat16)}
    save_torch(brains, tmp_path / "brains.safetensors")
    with pytest.raises(DataError, match="holds BF16, which is not read; save it as float32"):
        read_vectors(replace(two, file=str(tmp_path / "brains.safetensors")))
    (tmp_path / "no.safetensors").write_text("no")
    (tmp_path / "no.npy").write_text("no")
    for name, format in (("no.safetensors", "safetensors"), ("no.npy", "npy")):
        wrong = VectorFile(str(tmp_path / name), format, str(tmp_path / "words.txt"))  # type: ignore[arg-type]
        with pytest.raises(DataError, match=f"is no (whole .)?{format} file of numbers"):
            read_vectors(wrong)
    with pytest.raises(DataError, match=r"none\.txt: cannot be read: No such file"):
        read_vectors(VectorFile(str(tmp_path / "none.txt"), "text"))
    with pytest.raises(DataError, match="none: cannot be read: No such file"):
        read_vectors(replace(listed(tmp_path, "b.npy", "npy"), words=str(tmp_path / "none")))


# ----------------------------------------------------------------------- vocabulary and training

TRAIN = ["the CAT the", "Unknown é the", "cat Katze CAT"]
TEST = [*TRAIN, "unseen THE katze", "", "nowhere KATZE cat"]


def planned(folder: Path, ahead: bool = False, **vectors: Any) -> tuple[Spec, Plan, Facts]:
    """A class of words by these vectors, or with `ahead` the next word of each."""
    own = ("as", "fold_case", "normalize")
    more: dict[str, Any] = {key: vectors.pop(key) for key in own if key in vectors}
    embed = {"embed": vectors.pop("embed")} if "embed" in vectors else {}
    for name, texts in (("train", TRAIN), ("test", TEST)):
        cells = [text.split() if more.get("as") == "tokens" else text for text in texts]
        rows = [{"x": cell, "y": at % 2} for at, cell in enumerate(cells)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = vectors.setdefault("file", "v.txt")
    (folder / file).parent.mkdir(exist_ok=True)
    written(folder, file, lines())
    column = {"column": "x", "as": "words", "vectors": vectors, **more}
    output = {"column": "x", "as": "next"} if ahead else {"column": "y", "as": "class"}
    data = {"train": "train.jsonl", "input": column, "output": output}
    encoder = {"layers": [{"cell": "gru", "units": 4}], **embed}
    cardinality = "N:N" if ahead else "N:1"
    settings = {"name": "v", "cardinality": cardinality, "data": data, "encoder": encoder}
    spec = Spec.model_validate(settings)
    facts = survey(spec, folder / "train.jsonl", folder=folder)
    return spec, resolve(spec, facts), facts


def entries(facts: Facts) -> tuple[tuple[str, ...], int]:
    """The words whose vectors are trained and those whose are not, and how many are known."""
    known = facts.inputs["x"]
    assert isinstance(known, TextFacts) and known.vectors is not None
    return known.vocabulary.entries, known.vectors.first - 2


def rows(folder: Path, plan: Plan, facts: Facts) -> list[list[str]]:
    """The words of the test rows as they are read."""
    batch = encode(plan, facts, folder / "test.jsonl", Reading("jsonl"), folder).collate(
        np.arange(len(TEST))
    )
    names = ["", "?", *entries(facts)[0]]
    numbers, lengths = batch.inputs["x"]
    return [[names[n] for n in row[:length]] for row, length in zip(numbers, lengths, strict=True)]


def test_words_of_the_file_are_known_beyond_the_training_rows(tmp_path: Path) -> None:
    _, plan, facts = planned(tmp_path)
    assert entries(facts) == (("CAT", "Unknown", "the", "Katze", "cat", "é", "unseen"), 2)
    known = facts.inputs["x"]
    assert isinstance(known, TextFacts) and known.vectors is not None
    assert (known.vectors.words, known.vectors.found, known.vectors.more) == (6, 4, 1)
    assert rows(tmp_path, plan, facts)[3:] == [["unseen", "?", "?"], [], ["?", "?", "cat"]]
    embed = plan.node("embed")
    assert isinstance(embed, Embed)
    assert (embed.size, embed.width, embed.frozen) == (9, 3, 5)
    write_facts(tmp_path, facts)
    assert read_facts(tmp_path) == facts


def test_words_are_read_in_lower_case_where_only_that_is_known(tmp_path: Path) -> None:
    _, plan, facts = planned(tmp_path, lower_case=True)
    assert entries(facts) == (("Unknown", "the", "cat", "Katze", "é", "unseen"), 1)
    found = rows(tmp_path, plan, facts)
    assert found[0] == ["the", "cat", "the"]
    assert found[3:] == [["unseen", "the", "?"], [], ["?", "?", "cat"]]


def test_words_of_the_file_are_read_as_tokens_are(tmp_path: Path) -> None:
    _, plan, facts = planned(tmp_path, fold_case=True, normalize="nfd")
    assert entries(facts) == (("unknown", "cat", "the", "e\u0301", "katze", "unseen"), 1)
    assert rows(tmp_path, plan, facts)[5] == ["?", "katze", "cat"]


def test_a_file_that_cannot_be_read_is_named_first(tmp_path: Path) -> None:
    spec, _, _ = planned(tmp_path)
    (tmp_path / "v.txt").unlink()
    read_vectors.cache_clear()
    with pytest.raises(DataError) as caught:
        survey(spec, tmp_path / "train.jsonl", folder=tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'v.txt'}: cannot be read: No such file")


def test_words_that_no_text_has_are_left_out(tmp_path: Path) -> None:
    """With white space, or of several words by the split; lists of tokens may have them."""
    (tmp_path / "odd.txt").write_text(lines(["the", "at a@b.c", "don't", "Cat", "\u00a0"]))
    odd = read_vectors(VectorFile(str(tmp_path / "odd.txt"), "text"))
    assert keyed(odd, "words", TextRule(), fold_case=True) == {"the": 0, "don't": 2, "cat": 3}
    assert [*keyed(odd, "words", TextRule("none", "punctuation"), False)] == ["the", "Cat"]
    assert [*keyed(odd, "words", TextRule("none", "regex", "[a-z]+"), False)] == ["the"]
    assert [*keyed(odd, "tokens", TextRule(), False)] == list(odd.words)


def test_trained_vectors_are_those_of_the_training_rows(tmp_path: Path) -> None:
    _, plan, facts = planned(tmp_path, trained=True, lower_case=True)
    assert entries(facts) == (("the", "cat", "Katze", "Unknown", "é", "unseen"), 5)
    model = Model(plan)
    model.start(facts, seed=0)
    table = model.canonical_arrays()["embed.table"]
    np.testing.assert_array_equal(table[[2, 3, 4, 6]], VALUES[[0, 1, 3, 2]])


def test_most_cuts_the_file(tmp_path: Path) -> None:
    assert entries(planned(tmp_path, most=2)[2])[0][-2:] == ("the", "cat")


def test_first_weights_and_what_is_trained(tmp_path: Path) -> None:
    _, plan, facts = planned(tmp_path)
    model = Model(plan)
    model.start(facts, seed=0)
    held = model.canonical_arrays()
    np.testing.assert_array_equal(held["embed.vectors"], VALUES[[0, 3, 1, 2, 4]])
    np.testing.assert_array_equal(held["embed.table"][0], np.zeros(3))
    np.testing.assert_allclose(held["embed.table"][1], VALUES.mean(axis=0), rtol=1e-6)
    drawn = torch.randn((4, 3), generator=torch.Generator().manual_seed(0)).numpy()
    expected = drawn * VALUES.std(axis=0) + VALUES.mean(axis=0)
    np.testing.assert_allclose(held["embed.table"][2:], expected[2:], rtol=1e-5)
    trained = {name for name, _ in model.named_parameters()}
    assert any(name.endswith("table") for name in trained)
    assert not any(name.endswith("vectors") for name in trained)
    batch = encode(plan, facts, tmp_path / "train.jsonl", Reading("jsonl"), tmp_path).collate(
        np.arange(3)
    )
    logits = model(inputs_of(model, batch.inputs))["y"]
    logits.square().sum().backward()
    (table,) = (p for name, p in model.named_parameters() if name.endswith("table"))
    assert table.grad is not None
    assert (table.grad.abs().sum(dim=1) > 0).tolist() == [False, False, True, True]


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    _, plan, facts = planned(tmp_path)
    written(tmp_path, "v.txt", lines().replace("7.125", "7.25"))
    read_vectors.cache_clear()
    with pytest.raises(DataError, match=r"v\.txt: has changed since this build was begun"):
        Model(plan).start(facts, seed=0)


def test_another_width_is_refused(tmp_path: Path) -> None:
    message = r"encoder\.embed is 8, and the vectors of 'x' in .*v\.txt have 3 numbers; leave"
    with pytest.raises(DataError, match=message):
        planned(tmp_path, embed=8)
    assert planned(tmp_path, embed=3)[1] == planned(tmp_path)[1]


def test_numbers_beyond_float16_are_refused(tmp_path: Path) -> None:
    facts = planned(tmp_path, storage="float16")[2]
    known = facts.inputs["x"]
    assert isinstance(known, TextFacts)
    places = {word: at for at, word in enumerate(WORDS)}
    with pytest.raises(DataError, match="holds numbers beyond float16; use 'storage: float32'"):
        fixed_rows(known, VALUES * 10_000, places, half=True)


CASES: list[dict[str, Any]] = [
    {},
    {"lower_case": True},
    {"trained": True},
    {"storage": "float16"},
    {"as": "tokens", "lower_case": True, "storage": "float16"},
    {"trained": True, "fold_case": True, "most": 1},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_back_end_looks_vectors_up(tmp_path: Path, case: dict[str, Any]) -> None:
    _, plan, facts = planned(tmp_path, **case)
    model = Model(plan)
    model.start(facts, seed=0)
    held = model.canonical_arrays()
    batch = encode(plan, facts, tmp_path / "test.jsonl", Reading("jsonl"), tmp_path).collate(
        np.arange(len(TEST))
    )
    numbers, lengths = batch.inputs["x"]
    given = [{"x": row[:length]} for row, length in zip(numbers, lengths, strict=True)]
    expected = answers(plan, held, given)["y"]
    found = of_torch(model, inputs_of(model, batch.inputs))["y"]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    file = to_onnx(plan, facts, held)
    half = {name for name, t in initializers(file).items() if t.data_type == 10}
    assert half == ({"embed.vectors"} if "storage" in case else set())
    prove(Session(file.SerializeToString()), model, facts, probes(plan, facts), ids=False)


@pytest.mark.parametrize("case", CASES[:4], ids=str)
def test_a_next_word_is_answered_out_of_those_of_the_rows(
    tmp_path: Path, case: dict[str, Any]
) -> None:
    """A true word that the file alone has is the unknown; what is read is known by its vector."""
    spec, plan, facts = planned(tmp_path, ahead=True, **case)
    words, (out,) = entries(facts)[0], plan.outputs
    assert isinstance(out, ClassOutput) and labels_of(facts, "x")[2:] == words[:-1]
    assert words[-1] == "unseen" and out.classes == len(words) + 1
    (tmp_path / "own.jsonl").write_text(json.dumps({"x": "the unseen é nowhere"}))
    batch = encode(plan, facts, tmp_path / "own.jsonl", Reading("jsonl"), tmp_path).collate(
        np.arange(1)
    )
    the, accented, unseen = (words.index(word) + 2 for word in ("the", "é", "unseen"))
    assert batch.inputs["x"][0].tolist() == [[the, unseen, accented, 1]]
    assert batch.targets["x"].tolist() == [[1, accented, 1, 0]]
    (tmp_path / "v.yaml").write_text(to_yaml(spec.model_dump(mode="json")))
    result = build(load_spec(tmp_path / "v.yaml"), tmp_path / "builds", Silent())
    trained = read_build(result.folder)
    assert trained.facts == facts
    export_onnx(trained, tmp_path / "next.onnx")
    export_onnx(trained, tmp_path / "on.onnx", generate=4, strategy="greedy:repetition_penalty=1.5")
    nexts, on = Run.load(tmp_path / "next.onnx"), Run.load(tmp_path / "on.onnx")
    (answer,), (text,) = nexts.answer([{"x": "unseen the"}]), on.answer([{"x": "unseen the"}])
    assert set(answer["x"]) <= set(labels_of(facts, "x"))
    assert text["x"].startswith("unseen the")
    assert set(text["x"].split()[2:]) <= set(words[:-1])


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_a_build_finds_the_file_beside_its_spec_and_needs_it_no_more(tmp_path: Path) -> None:
    spec, _, facts = planned(tmp_path, file="sub/v.txt", lower_case=True, storage="float16")
    (tmp_path / "v.yaml").write_text(to_yaml(spec.model_dump(mode="json")))
    heard = Notes()
    result = build(load_spec(tmp_path / "v.yaml"), tmp_path / "builds", heard)
    assert heard.notes == [
        "5 of the 6 words of 'x' have a vector in v.txt (83 %), and 1 more are known by it"
    ]
    (tmp_path / "sub" / "v.txt").unlink()
    read_vectors.cache_clear()
    trained = read_build(result.folder)
    assert trained.facts == facts
    export_onnx(trained, tmp_path / "v.onnx")
    model = Run.load(tmp_path / "v.onnx")
    small, capital = model.answer([{"x": "unseen the"}, {"x": "UNSEEN The"}])
    assert small == capital
