"""What `rnnspec bench` counts is what torch counts; what it prints has every part."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from rnnspec.bench import threads
from rnnspec.bench.answering import Answering, batches_of, window_of
from rnnspec.bench.clock import LEAST, in_turns
from rnnspec.bench.measure import Measured
from rnnspec.bench.threads import advised, by_threads
from rnnspec.bench.training import Training
from rnnspec.bench.work import Extents, inside, multiply_adds
from rnnspec.cli.bench import lines
from rnnspec.data import encode, survey
from rnnspec.objective.objective import Objective
from rnnspec.plan import nodes, resolve
from rnnspec.source.text import Source
from rnnspec.spec.load import load_source
from rnnspec.store.events import Silent
from rnnspec.store.folder import CACHE, read_build
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from rnnspec.train.build import build, datasets
from tests.cli import right, write_world

TRANSLATING = """
name: translating
cardinality: N:M
data:
  train: rows.jsonl
  input: {column: de, as: chars}
  output: {column: en, as: chars}
encoder:
  embed: 6
  layers:
    - {conv: 10, size: 3, stride: 2}
    - {cell: gru, units: 8, direction: bidirectional}
decoder:
  embed: 6
  layers: [{cell: lstm, units: 12}]
  attention: general
"""
TAGGING = """
name: tagging
cardinality: N:N
data:
  train: rows.jsonl
  input: {column: de, as: chars}
  output: {column: en, as: next}
encoder:
  embed: 6
  layers:
    - {cell: lstm, units: 8, repeat: 2}
    - {dense: 5}
""".replace("column: en", "column: de")


WRITING = """
name: writing
cardinality: N:N
data:
  train: rows.txt
  input: {column: text, as: chars}
  output: {column: text, as: next}
encoder:
  embed: 4
  layers:
    - {cell: gru, units: 6}
train: {window: 7, batch: 4}
"""


RECURRENT = {
    "translating": {
        "layers.1": 2
        * 5
        * 2
        * 3
        * 8
        * (10 + 8),  # 5 steps behind the stride, 2 directions, 3 gates
        "decoder.layers.0": 2 * 8 * 4 * 12 * (6 + 12),
    },
    "tagging": {"layers.0": 2 * 9 * 4 * 8 * (6 + 8), "layers.1": 2 * 9 * 4 * 8 * (8 + 8)},
}
"""Rows, steps, gates, units, and what each unit reads."""


@pytest.mark.parametrize(("name", "text"), [("translating", TRANSLATING), ("tagging", TAGGING)])
def test_multiply_adds_are_those_that_torch_counts(tmp_path: Path, name: str, text: str) -> None:
    """Torch's counter does not see the products of the steps of a loop: those are by hand."""
    file = tmp_path / "rows.jsonl"
    rows = [{"de": "eins zwei", "en": "one two"}, {"de": "zwei drei", "en": "six ten"}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = load_source(Source.of(text, "spec.yaml"), tmp_path / "spec.yaml").spec
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    model = Model(plan, generic=True)
    model.start(facts, 0)
    batch = encode(plan, facts, file, "jsonl", tmp_path / "cache").collate(np.arange(2))
    with FlopCounterMode(display=False, depth=9) as counter:
        Objective(model, spec.train)(batch, Precision())
    answered = next(iter(batch.targets.values())).shape[1]
    found = multiply_adds(plan, Extents(2, batch.inputs["de"][0].shape[1], answered))
    assert {node: found.pop(node) for node in RECURRENT[name]} == RECURRENT[name]
    counts = counter.get_flop_counts()
    loops = (of for part, of in counts.items() if ".kernels." in part)
    seen = counter.get_total_flops() - sum(sum(of.values()) for of in loops)
    assert seen == 2 * sum(found.values())


def test_what_is_inside_steps_is_counted() -> None:
    """Two documents, of two sentences and of one, with three, one and two words."""
    sentences = nodes.NestedInput("doc", "doc", "words", 9, False)
    words = np.array([[[2, 3, 4], [5, 0, 0]], [[6, 7, 0], [0, 0, 0]]])
    assert inside(sentences, words, np.array([2, 1])) == {"W": 3, "WC": 3}
    sections = replace(sentences, levels=2)
    words = np.array([[[[2, 3], [4, 0]]], [[[5, 0], [-1, -1]]]])
    found = inside(sections, words, np.array([1, 1]))
    assert found == {"W": 2, "WC": 2, "WW": 3, "WWC": 2}
    letters = nodes.CharactersInput("x", "text", "input.text", 9)
    lengths = np.array([[4, 1], [2, 0]])
    assert inside(letters, np.zeros((2, 2, 4)), lengths) == {"W": 3, "WC": 4}


def test_every_call_has_its_turns() -> None:
    order: list[str] = []
    calls = {name: (lambda name=name: order.append(name)) for name in ("one", "two")}
    found = in_turns(calls, 0.0)
    assert order == ["one", "two"] * (LEAST + 1)
    assert found.keys() == calls.keys()
    assert all(each >= 0 for each in found.values())


def test_every_number_of_threads_computes_every_batch() -> None:
    """The times are those that each number of threads took; the first batch, which starts the
    threads, does not count."""
    seen: list[tuple[Any, int]] = []

    def timed(batch: Any) -> float:
        seen.append((batch, torch.get_num_threads()))
        return (100.0 if len(seen) <= 2 else 1.0) * torch.get_num_threads()

    before = torch.get_num_threads()
    batches: Any = ["a", "b", "c"]
    assert by_threads(timed, batches, (1, 3), 0.0) == {1: 1.0, 3: 3.0}
    order = ["a", *(batches * 2)[: threads.LEAST]]
    assert seen == [(batch, count) for batch in order for count in (1, 3)]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("found", "used", "expected"),
    [
        ({1: 1.0, 2: 0.9}, 1, 2),
        ({1: 1.0, 2: 0.97}, 1, None),
        ({1: 1.0, 2: 1.4}, 2, 1),
        ({1: 1.0, 2: 1.4}, 1, None),
        ({1: 1.0, 2: 0.7, 4: 0.7}, 1, 2),
        ({}, 1, None),
    ],
)
def test_threads_are_advised_where_they_gain(
    found: dict[int, float], used: int, expected: int | None
) -> None:
    """By more than a twentieth; of two that are as fast, the fewer."""
    assert advised(found, used) == expected


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rnnspec.bench.training.numbers_of_threads", lambda used: (1, 2))
    spec = write_world(tmp_path, rows=20)
    before = sorted(tmp_path.rglob("*"))
    found: dict[str, Any] = json.loads(right("bench", spec, "--seconds", "0.1", "--json"))
    assert sorted(tmp_path.rglob("*")) == before
    training = found["training"]
    assert 0 < training["filled"] <= 1
    assert "layers.0" in training["layers"]
    assert sum(training["layers"].values()) <= 1.001
    parts = [training[part] for part in ("forward", "backward", "optimizer")]
    assert min(parts) >= 0 and sum(parts) == pytest.approx(training["step"])
    assert training["by_threads"].keys() == {"1", "2"}
    forms = {each["form"]: each for each in found["answering"]}
    assert {"float32", "int8", "half", "a step of a stream"} <= forms.keys()
    assert 0 < forms["half"]["size"] <= forms["float32"]["size"]
    assert all(len(each["seconds"]) == 2 for each in forms.values())


def test_rows_that_are_read_by_windows_are_answered_so(tmp_path: Path) -> None:
    """A text of a whole book is one row, whose answer takes minutes."""
    (tmp_path / "rows.txt").write_text("the cat sat on the mat\n" * 40)
    loaded = load_source(Source.of(WRITING, "spec.yaml"), tmp_path / "spec.yaml")
    trained = read_build(build(loaded, tmp_path, Silent(), train=False).folder)
    data, _ = datasets(loaded, trained.plan, trained.facts, tmp_path / CACHE)
    window = window_of(trained, data)
    assert window == 7
    found = [batch.inputs["text"][0].shape for batch in batches_of(data, window)]
    assert found == [(1, 7), (32, 7)]


def test_what_is_said_of_threads() -> None:
    training = Training(
        9,
        32,
        320,
        1.0,
        1,
        0.02,
        0.01,
        0.008,
        0.002,
        {"layers.0": 0.9},
        5e9,
        5e10,
        {1: 0.02, 2: 0.01},
        2,
    )
    answering = (Answering("float32", 10**6, (1e-3, 4e-3)),)
    said = "\n".join(lines(Measured(training, answering, None, 2, 1.98)))
    assert "training, 1 thread: 9 batches" in said
    assert "2 threads      2 times as fast: set train.threads=2" in said
    assert "Other programs" not in said
    slower = replace(training, by_threads={1: 0.02, 2: 0.04}, threads_advised=None)
    said = "\n".join(lines(Measured(slower, answering, 64, 2, 1.1)))
    assert said.startswith("Other programs are at work: of 2 processors this one got 1.1.")
    assert "2 threads      0.5 times as fast\n" in said
    assert "answering 64 steps" in said
