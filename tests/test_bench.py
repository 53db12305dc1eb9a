"""What `rnnspec bench` counts is what torch counts; what it prints has every part."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.utils.flop_counter import FlopCounterMode

from rnnspec.bench.clock import LEAST, in_turns
from rnnspec.bench.work import Extents, multiply_adds
from rnnspec.data import encode, survey
from rnnspec.objective.objective import Objective
from rnnspec.plan import resolve
from rnnspec.source.text import Source
from rnnspec.spec.load import load_source
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
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


def test_every_call_has_its_turns() -> None:
    order: list[str] = []
    calls = {name: (lambda name=name: order.append(name)) for name in ("one", "two")}
    found = in_turns(calls, 0.0)
    assert order == ["one", "two"] * (LEAST + 1)
    assert found.keys() == calls.keys()
    assert all(each >= 0 for each in found.values())


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = write_world(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    found: dict[str, Any] = json.loads(right("bench", spec, "--seconds", "0.1", "--json"))
    assert sorted(tmp_path.rglob("*")) == before
    training = found["training"]
    assert 0 < training["filled"] <= 1
    assert {"layers.0", "embed"} <= training["layers"].keys()
    assert sum(training["layers"].values()) <= 1.001
    forms = {each["form"]: each for each in found["answering"]}
    assert {"float32", "int8", "half", "a step of a stream"} <= forms.keys()
    assert 0 < forms["half"]["size"] <= forms["float32"]["size"]
    assert all(len(each["seconds"]) == 2 for each in forms.values())
    text = right("bench", spec, "--seconds", "0.1")
    assert "of the machine" in text and "a step of a stream" in text
