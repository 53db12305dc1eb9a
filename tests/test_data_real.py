"""Public data sets in every format, against what is known of them or counted plainly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.plan import ClassFacts, NumericFacts, TextFacts
from rnnspec.plan.facts import END_ID, UNKNOWN_ID
from tests.data_rows import any_spec, encoded, whole


@pytest.fixture
def here(real_data: Path, tmp_path: Path) -> Any:
    """`here(name)`: the real file, seen from a folder that may be written to."""

    def linked(name: str) -> Path:
        link = tmp_path / Path(name).name
        if not link.exists():
            link.symlink_to(real_data / name)
        return link

    return linked


def read_json(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_tagging(here: Any) -> None:
    tokens = {"column": "tokens", "as": "tokens", "min_count": 2, "spelling": {}}
    spec = any_spec("N:N", tokens, {"column": "tags", "as": "tags"})
    train, dev = here("ud_en_ewt/train.jsonl"), here("ud_en_ewt/dev.jsonl")
    facts, data = encoded(spec, train, dev)
    known, tags = facts.inputs["tokens"], facts.outputs["tags"]
    assert isinstance(known, TextFacts)
    assert isinstance(tags, ClassFacts)
    rows = read_json(dev)
    assert (data.rows, len(tags.labels)) == (2001, 17)
    assert sum(tags.counts) == sum(len(row["tags"]) for row in read_json(train))
    batch = data.collate(np.arange(50))
    entries = ("", "?", *known.vocabulary.entries)
    for at, row in enumerate(rows[:50]):
        length = len(row["tokens"])
        numbers = batch.inputs["tokens"][0][at, :length].astype(int)
        for number, token in zip(numbers, row["tokens"], strict=True):
            assert entries[number] == (token if token in known.vocabulary.entries else "?")
        answers = batch.targets["tags"][at, :length].astype(int)
        assert [tags.labels[number] for number in answers] == row["tags"]


def test_chorales(here: Any) -> None:
    keys = {"column": "keys", "as": "keys"}
    spec = any_spec("N:N", keys, {"column": "keys", "as": "next"})
    train, valid = here("jsb/train.jsonl"), here("jsb/valid.jsonl")
    facts, data = encoded(spec, train, valid)
    known = facts.inputs["keys"]
    assert isinstance(known, ClassFacts)
    batch, rows = whole(data), read_json(valid)
    for row, on, ahead in zip(rows, batch.inputs["keys"][0], batch.targets["keys"], strict=True):
        steps = [sorted(int(known.labels[key]) for key in np.flatnonzero(step)) for step in on]
        assert steps[: len(row["keys"])] == [sorted(step) for step in row["keys"]]
        np.testing.assert_array_equal(ahead[: len(row["keys"]) - 1], on[1 : len(row["keys"])])


def test_a_stream_of_characters(here: Any) -> None:
    spec = any_spec(
        "N:N", {"column": "text", "as": "chars"}, {"column": "text", "as": "next"}, {"window": 100}
    )
    train, valid = here("tinyshakespeare/train.txt"), here("tinyshakespeare/valid.txt")
    facts, data = encoded(spec, train, valid)
    known = facts.inputs["text"]
    assert isinstance(known, TextFacts)
    text = valid.read_text(encoding="utf-8")
    assert known.longest == len(train.read_text(encoding="utf-8"))
    assert set(known.vocabulary.entries) == set(train.read_text(encoding="utf-8"))
    entries = ("", "?", *known.vocabulary.entries)
    lanes = [""] * 8
    answers = [list[int]() for _ in lanes]
    for batch, _ in data.lanes(8, 100):
        values, lengths = batch.inputs["text"]
        for lane, length in enumerate(lengths.tolist()):
            lanes[lane] += "".join(entries[n] for n in values[lane, :length].astype(int))
            answers[lane] += batch.targets["text"][lane, :length].astype(int).tolist()
    assert "".join(lanes) == text
    ahead = [number for lane in answers for number in lane]
    assert "".join(entries[number] for number in ahead[:-1]) == text[1:]
    assert ahead[-1] == END_ID
    assert {len(lane) for lane in lanes[:-1]} == {-(-len(text) // 8)}


def test_forecasts_of_a_temperature(here: Any) -> None:
    series = {"time": "date", "history": 96}
    spec = any_spec(
        "N:M",
        {"column": "OT", "as": "series"},
        {"column": "OT", "as": "forecast", "horizon": 24, "season": 24},
        series=series,
        valid=0.2,
    )
    file = here("series/ETTh1.csv")
    facts, train = encoded(spec, file, rows="train", share=0.2)
    _, valid = encoded(spec, file, rows="valid", share=0.2)
    values = np.loadtxt(file, np.float32, delimiter=",", skiprows=1, usecols=7)
    end = len(values) - int(len(values) * 0.2)
    known = facts.inputs["OT"]
    assert isinstance(known, NumericFacts)
    assert known.mean == pytest.approx((values[:end].mean(dtype=np.float64),))
    assert known.deviation == pytest.approx((values[:end].std(dtype=np.float64),))
    assert (train.rows, valid.rows) == (end - 96 - 24 + 1, len(values) - end - 24 + 1)
    batch = valid.collate(np.array([0, 7]))
    for row, first in enumerate((end, end + 7)):
        np.testing.assert_array_equal(batch.inputs["OT"][0][row, :, 0], values[first - 96 : first])
        np.testing.assert_array_equal(batch.targets["OT"][row], values[first : first + 24])
        assert valid.lines[7 * row] == first + 2
    naive = valid.naive(valid.collate(np.array([7])))["OT"]
    np.testing.assert_array_equal(naive.forecast[0], values[end + 7 - 24 : end + 7])
    expected = np.abs(values[24:end] - values[: end - 24]).mean(dtype=np.float64)
    assert naive.scale is not None and naive.scale[0] == pytest.approx(expected)


def test_months_of_passengers(here: Any) -> None:
    spec = any_spec(
        "N:M",
        {"column": "Passengers", "as": "series"},
        {"column": "Passengers", "as": "forecast", "horizon": 12, "season": 12},
        series={"time": "Month", "history": 24},
        valid=0.25,
    )
    _, data = encoded(spec, here("series/airline-passengers.csv"), rows="valid", share=0.25)
    assert data.rows == 36 - 12 + 1


def test_sentences_from_features(here: Any) -> None:
    spec = any_spec(
        "1:N", {"column": "features", "as": "vector"}, {"column": "text", "as": "words"}
    )
    train, valid = here("sfx_restaurant/train.jsonl"), here("sfx_restaurant/valid.jsonl")
    facts, data = encoded(spec, train, valid)
    known = facts.outputs["text"]
    assert isinstance(known, TextFacts)
    batch, rows = whole(data), read_json(valid)
    entries = ("END", "?", *known.vocabulary.entries)
    for row, features, text in zip(
        rows, batch.inputs["features"][0], batch.targets["text"].astype(int), strict=True
    ):
        assert features.tolist() == row["features"]
        words = row["text"].split(" ")
        answered = [entries[number] for number in text[: len(words) + 1]]
        assert answered == [w if w in known.vocabulary.entries else "?" for w in words] + ["END"]
        assert (text[len(words) + 1 :] == -1).all()


def test_sound_to_letters(here: Any) -> None:
    spec = any_spec("N:M", {"column": "frames", "as": "frames"}, {"column": "word", "as": "chars"})
    facts, data = encoded(spec, here("fsdd/train.parquet"), here("fsdd/valid.parquet"))
    assert isinstance(facts.inputs["frames"], NumericFacts)
    assert facts.inputs["frames"].width == 13
    batch = whole(data)
    assert batch.inputs["frames"][0].shape[2] == 13
    assert UNKNOWN_ID not in batch.targets["word"]
