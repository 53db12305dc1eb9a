"""The models of a spec: defaults, strictness, choices, and the file behind them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rnnspec.errors import SpecError
from rnnspec.source.text import Source
from rnnspec.spec import (
    Adam,
    AttentionPooling,
    ClassOutput,
    Head,
    LastPooling,
    LoadedSpec,
    Spec,
    WordsInput,
    load_spec,
    resolved_yaml,
)
from rnnspec.spec.load import load_source
from rnnspec.spec.recurrent import RecurrentLayer

ROOT = Path(__file__).parent.parent
SMALL = """\
name: small
cardinality: N:1
data:
  train: rows/train.jsonl
  input: {column: text, as: words}
  output: {column: label, as: class}
encoder:
  layers: [{cell: lstm, units: 32}]
"""


def load(text: str) -> LoadedSpec:
    return load_source(Source.of(text, "small.yaml"), Path("specs/small.yaml"))


def refusal(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load(text)
    return [problem.render().splitlines()[0] for problem in caught.value.problems]


def test_defaults() -> None:
    spec = load(SMALL).spec
    assert isinstance(spec.data.input, WordsInput)
    assert (spec.data.input.as_, spec.data.input.min_count, spec.data.input.max_size) == (
        "words",
        1,
        None,
    )
    assert isinstance(spec.data.output, ClassOutput)
    assert (spec.data.valid, spec.data.format, spec.cells) == (None, "auto", {})
    layer = spec.encoder.layers[0]
    assert isinstance(layer, RecurrentLayer)
    assert (layer.direction, layer.repeat, layer.dropout) == ("forward", 1, 0.0)
    assert (spec.encoder.embed, spec.encoder.embed_dropout) == (None, 0.0)
    assert spec.pooling == LastPooling()
    assert spec.head == Head(hidden=(), activation="relu", dropout=0.0)
    train = spec.train
    assert (train.epochs, train.batch, train.clip_norm, train.loss.name) == (10, 32, 1.0, "auto")
    assert (train.early_stopping, train.seed, train.threads) == (None, 0, None)
    assert train.monitor is None
    assert train.optimizer == Adam(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)


@pytest.mark.parametrize("path", sorted((ROOT / "specs").glob("*.yaml")), ids=lambda p: p.stem)
def test_resolved_specs_load_back(path: Path) -> None:
    spec = load_spec(path).spec
    text = resolved_yaml(spec)
    again = load(text).spec
    assert again == spec
    assert resolved_yaml(again) == text
    assert Spec.model_validate(spec.model_dump(mode="json")) == spec


def test_nothing_can_be_changed() -> None:
    spec = load(SMALL).spec
    with pytest.raises(ValidationError):
        spec.name = "other"
    with pytest.raises(TypeError):
        spec.encoder.layers[0] = None  # type: ignore[index]


@pytest.mark.parametrize(
    ("written", "units"),
    [("attention", None), ("{attention: {}}", None), ("{attention: {units: 5}}", 5)],
)
def test_a_choice_by_name_or_as_a_mapping(written: str, units: int | None) -> None:
    spec = load(SMALL + f"pooling: {written}\n").spec
    assert spec.pooling == AttentionPooling(units=units)
    assert spec.pooling.name == "attention"
    assert spec.model_dump(mode="json")["pooling"] == {"attention": {"units": units}}


def test_a_choice_made_in_python() -> None:
    data: dict[str, Any] = {**load(SMALL).document.data, "pooling": AttentionPooling(units=3)}
    assert Spec.model_validate(data).pooling == AttentionPooling(units=3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", "3.0"),
        ("epochs", '"3"'),
        ("epochs", "true"),
        ("clip_norm", '"1.0"'),
        ("clip_norm", "true"),
        ("seed", "-1"),
        ("seed", "4294967296"),
        ("threads", "0"),
        ("loss", "1"),
        ("optimizer", "[adam]"),
        ("early_stopping", '{patience: "3"}'),
        ("monitor", "3"),
    ],
)
def test_values_are_not_converted(key: str, value: str) -> None:
    (line,) = refusal(SMALL + f"train:\n  {key}: {value}\n")
    assert line.startswith("small.yaml:10:")


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [("clip_norm", "2", 2.0), ("clip_norm", "null", None), ("seed", "0x10", 16)],
)
def test_values_that_fit(key: str, written: str, value: object) -> None:
    train = load(SMALL + f"train: {{{key}: {written}}}\n").spec.train
    assert getattr(train, key) == value


def test_one_mistake_gives_one_problem_and_all_are_in_order() -> None:
    text = SMALL.replace("units", "unit").replace("as: words", "as: wrds").replace("name", "nmae")
    lines = refusal(text + "head: {hidden: [0, x, 8]}\ntrain: {optimizer: adamm}\n")
    assert [line.split(": ")[1] for line in lines] == [
        "nmae",
        "data.input.as",
        "encoder.layers[0].unit",
        "head.hidden[0]",
        "head.hidden[1]",
        "train.optimizer",
    ]


def test_meaning_is_checked_beside_other_mistakes() -> None:
    cells = "cells: {mine: {states: [h], equations: 'h = tanh(W @ y)'}}\n"
    text = SMALL.replace("lstm", "mine").replace("name: small\n", "name: a b\n") + cells
    lines = refusal(text + "head: {activation: tanh, droput: 0.1}\ntrain: {loss: mse}\n")
    assert [line.split(": ")[1] for line in lines] == [
        "name",
        "cells.mine.equations",
        "head.activation",
        "head.droput",
        "train.loss",
    ]


def test_no_check_goes_by_a_value_that_is_wrong() -> None:
    stopping = "train: {early_stopping: {metric: accuracy}}\n"
    (line,) = refusal(SMALL.replace("  input", "  valid: 0.9\n  input") + stopping)
    assert "data.valid" in line
    (line,) = refusal(SMALL.replace("  input", "  vaild: 0.1\n  input") + stopping)
    assert "data.vaild" in line
    (line,) = refusal(SMALL.replace("as: class", "as: clas") + "train: {loss: huber}\n")
    assert "data.output.as" in line


def test_a_refused_spec_leaves_no_trace() -> None:
    for _ in range(3):
        assert len(refusal("name: 3\nencoder: {layers: [{}, {}]}\n")) == 7
    assert load(SMALL).spec.name == "small"


def test_thousands_of_mistakes_are_counted_not_listed() -> None:
    lines = refusal(SMALL + "".join(f"key{number}: 1\n" for number in range(5000)))
    assert len(lines) == 201
    assert lines[-1] == "small.yaml:208:1: and 4,800 more mistakes; mend these first"
