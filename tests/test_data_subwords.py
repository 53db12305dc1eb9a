"""Subwords: numbers that are the tokenizer's own, the same in every run, in pieces as in whole."""

from __future__ import annotations

import builtins
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from rnnspec.data import lines
from rnnspec.data.columns.subwords import NO_TOKEN, UNKNOWN, subword_numbers
from rnnspec.plan import TextFacts
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.plan.facts_file import read_facts, write_facts
from tests.data_rows import CLASS, any_spec, encoded, trouble, whole, write_rows

SOURCE = {"column": "text", "as": "subwords", "size": 300}
WORDS = [
    "the",
    "cat",
    "sat",
    "on",
    "the",
    "mat",
    "and",
    "the",
    "dog",
    "ran",
    "to",
    "the",
    "cat",
    "who",
    "sat",
    "near",
    "them",
    "all",
]
ROWS = [
    {"text": " ".join(WORDS[(n * step) % len(WORDS)] for n in range(9)), "label": step % 2}
    for step in range(1, 40)
]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> TextFacts:
    file = write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl", ROWS)
    found = encoded(any_spec("N:1", SOURCE, CLASS), file)[0].inputs["text"]
    assert isinstance(found, TextFacts)
    return found


def test_numbers_are_those_of_the_tokenizer(tmp_path: Path) -> None:
    rows = [*ROWS, {"text": "", "label": 0}, {"text": "the zebra", "label": 1}]
    train = write_rows(tmp_path / "rows.jsonl", ROWS)
    file = write_rows(tmp_path / "other.jsonl", rows)
    facts, data = encoded(any_spec("N:1", SOURCE, CLASS), train, file)
    known = facts.inputs["text"]
    assert isinstance(known, TextFacts)
    tokenizer = Tokenizer.from_str(known.tokenizer)
    entries = ("", "<unknown>", *known.vocabulary.entries)
    assert len(entries) == len(known.vocabulary) == tokenizer.get_vocab_size()
    values, lengths = whole(data).inputs["text"]
    for row, numbers, length in zip(rows, values.astype(int), lengths.tolist(), strict=True):
        assert numbers[:length].tolist() == tokenizer.encode(row["text"]).ids
        spelled = "".join(entries[number] for number in numbers[:length])
        if "z" not in str(row["text"]):
            assert spelled.replace("▁", " ").removeprefix(" ") == row["text"]
            assert tokenizer.decode(numbers[:length].tolist()) == row["text"]
        else:
            assert "<unknown>" in spelled
    assert lengths[-2] == 0
    of_rows = lengths[: len(ROWS)]
    assert known.longest == of_rows.max()
    assert known.mean_length == pytest.approx(of_rows.mean())
    assert known.length_deviation == pytest.approx(of_rows.std())
    assert known.mean_length < np.mean([len(str(row["text"])) for row in ROWS]) / 3


def test_facts_with_a_tokenizer_as_files(tmp_path: Path, facts: TextFacts) -> None:
    from rnnspec.plan import Facts

    write_facts(tmp_path, Facts(1, {"text": facts}, {}))
    assert read_facts(tmp_path).inputs["text"] == facts
    file = tmp_path / "vocabulary" / "input.text.tokenizer.json"
    assert (
        Tokenizer.from_file(str(file)).encode("the cat").ids
        == (subword_numbers(facts.tokenizer, ["the cat"])[0])
    )


@settings(max_examples=60)
@given(text=st.text(st.sampled_from("the cat<>nokuw▁ \n"), max_size=40), data=st.data())
def test_pieces_cut_before_a_space_give_the_same(
    facts: TextFacts, text: str, data: st.DataObject
) -> None:
    places = [at for at, char in enumerate(text) if at and char == " "]
    cut = data.draw(st.sampled_from(places or [len(text)]))
    whole, first, second = subword_numbers(facts.tokenizer, [text, text[:cut], text[cut:]])
    assert first + second == whole
    assert 0 not in whole


def test_no_text_spells_the_pad_or_the_unknown(tmp_path: Path) -> None:
    rows = [{"text": f"{NO_TOKEN} {UNKNOWN} <unk>", "label": n % 2} for n in range(50)]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    _, data = encoded(any_spec("N:1", SOURCE, CLASS), file)
    values, lengths = whole(data).inputs["text"]
    assert values[0, : lengths[0]].min() > UNKNOWN_ID


def test_training_is_the_same_in_every_process(tmp_path: Path, facts: TextFacts) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from rnnspec.data import survey\n"
        "from tests.data_rows import CLASS, any_spec\n"
        "from tests.test_data_subwords import SOURCE\n"
        "facts = survey(any_spec('N:1', SOURCE, CLASS), Path(sys.argv[1]))\n"
        "print(facts.inputs['text'].tokenizer)\n"
    )
    file = write_rows(tmp_path / "rows.jsonl", ROWS)
    done = subprocess.run(
        [sys.executable, "-c", program, str(file)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == json.loads(facts.tokenizer)


def test_chunks_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: TextFacts
) -> None:
    monkeypatch.setattr(lines, "BLOCK", 100)
    file = write_rows(tmp_path / "rows.jsonl", ROWS)
    assert encoded(any_spec("N:1", SOURCE, CLASS), file)[0].inputs["text"] == facts


def test_more_characters_than_subwords(tmp_path: Path) -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 400)))
    rows = [{"text": text, "label": n} for n in range(2)]
    assert trouble(any_spec("N:1", SOURCE, CLASS), write_rows(tmp_path / "r.jsonl", rows)) == (
        "FILE: column 'text' has 400 different characters, and each is a subword of its own; set "
        "size to more than 400"
    )


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "tokenizers":
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    file = write_rows(tmp_path / "rows.jsonl", ROWS)
    assert trouble(any_spec("N:1", SOURCE, CLASS), file) == (
        "FILE: column 'text' has subwords, which need the library tokenizers; pip install "
        "'rnnspec[subwords]'"
    )
