"""The entities world: the same everywhere, and tagged as its grammar says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, Entities

from rnnspec.demo import entities
from rnnspec.errors import OutputError

COUNT = 600


def test_the_same_seed_gives_the_same_rows_and_fewer_begin_more() -> None:
    few, many = list(entities.rows(0, 3, "train")), list(entities.rows(0, 5, "train"))
    assert many[:3] == few and few != list(entities.rows(0, 3, "valid"))


def templates(split: str) -> set[str]:
    """The sentences of rows with the words that stand for spans put back, by seqeval's spans."""
    found = set()
    for row in entities.rows(2, COUNT, split):
        words = list(row.tokens)
        for kind, first, last in reversed(get_entities(list(row.tags))):
            words[first : last + 1] = [kind]
        found.add(" ".join(words))
    return found


def test_spans_stand_where_the_grammar_has_them() -> None:
    every = set()
    for sentence in entities.SENTENCES:
        every.add(" ".join(entities.KINDS.get(word, word) for word in sentence.split()))
    assert templates("valid") == every
    unseen = every - templates("train")
    assert len(unseen) == entities.UNSEEN and "May I introduce PER ?" in unseen


def test_tags_are_whole_spans_of_the_scheme() -> None:
    for row in entities.rows(3, 200, "test"):
        assert len(row.tokens) == len(row.tags)
        strict = Entities([list(row.tags)], IOB2)
        assert len(strict.entities[0]) == len(get_entities(list(row.tags)))


def test_most_names_are_new_and_any_may_be_of_a_person_or_a_place() -> None:
    seen: dict[str, set[str]] = {}
    for row in entities.rows(0, 2000, "train"):
        for token, tag in zip(row.tokens, row.tags, strict=True):
            if tag[2:] in ("PER", "LOC"):
                seen.setdefault(token, set()).add(tag[2:])
    both = [name for name, kinds in seen.items() if len(kinds) > 1]
    assert len(both) > 200
    names = 0, 0
    for row in entities.rows(0, 300, "valid"):
        for token, tag in zip(row.tokens, row.tags, strict=True):
            if tag[2:] == "LOC" and token not in ("New", "Saint"):
                names = names[0] + 1, names[1] + (token in seen)
    assert names[1] < names[0]
    assert "May" in {t for r in entities.rows(0, 300, "train") for t in r.tokens[1:]}


def test_the_files_hold_the_rows(tmp_path: Path) -> None:
    paths = entities.write(tmp_path / "entities", train=3, valid=2, test=1)
    lines = paths["train"].read_text(encoding="utf-8").splitlines()
    first = json.loads(lines[0])
    row = next(entities.rows(0, 1, "train"))
    assert len(lines) == 3
    assert (tuple(first["tokens"]), tuple(first["tags"])) == (row.tokens, row.tags)
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        entities.write(tmp_path / "taken", train=1, valid=1, test=1)
