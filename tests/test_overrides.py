"""Overrides of the command line: `--set train.epochs=3`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rnnspec.errors import SpecError
from rnnspec.source.overrides import apply_overrides
from rnnspec.source.yaml12 import load
from rnnspec.spec.load import load_spec
from rnnspec.spec.optimizers import SGD, Adam
from rnnspec.spec.recurrent import RecurrentLayer

SPEC = """\
name: demo
cardinality: N:1
data:
  train: train.jsonl
  input: {column: text, as: words}
  output: {column: label, as: class}
encoder:
  layers:
    - {cell: lstm, units: 32}
train: {optimizer: sgd}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "demo.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def refusal(path: Path, *overrides: str) -> str:
    with pytest.raises(SpecError) as caught:
        load_spec(path, overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "data"),
    [
        (["a=2"], {"a": 2, "b": [{"c": "x"}]}),
        (["a=1e-3", "a=no"], {"a": "no", "b": [{"c": "x"}]}),
        (["b.0.c=3"], {"a": 1, "b": [{"c": 3}]}),
        (["b[0].c=3"], {"a": 1, "b": [{"c": 3}]}),
        (["b.0.d.e={x: [1, 'y=2']}"], {"a": 1, "b": [{"c": "x", "d": {"e": {"x": [1, "y=2"]}}}]}),
        (["b.0.c.x.y=1"], {"a": 1, "b": [{"c": {"x": {"y": 1}}}]}),
        (["b=null"], {"a": 1, "b": None}),
        (["b=[]", "d=g: 1"], {"a": 1, "b": [], "d": {"g": 1}}),
        (['a="two: 2"'], {"a": "two: 2", "b": [{"c": "x"}]}),
    ],
)
def test_values_in_their_places(overrides: list[str], data: dict[str, Any]) -> None:
    document = load("a: 1\nb: [{c: x}]\n", "f")
    changed, problems = apply_overrides(document, overrides)
    assert changed.data == data
    assert not problems
    assert document.data == {"a": 1, "b": [{"c": "x"}]}


def test_a_loaded_spec_has_them(path: Path) -> None:
    overrides = ["train.epochs=3", "encoder.layers.0.units=8", "train.optimizer.sgd.lr=0.5"]
    spec = load_spec(path, overrides).spec
    layer = spec.encoder.layers[0]
    assert isinstance(layer, RecurrentLayer)
    assert (spec.train.epochs, layer.units) == (3, 8)
    assert spec.train.optimizer == SGD(lr=0.5)
    spec = load_spec(path, ["train.optimizer={adam: {lr: 2e-3}}"]).spec
    assert spec.train.optimizer == Adam(lr=2e-3)


def test_wrong_ones_are_placed_in_the_command(path: Path) -> None:
    assert refusal(path, "train.epoch=3", "encoder.layers.0.units=many").splitlines() == [
        "--set:1:7: train.epoch: unknown key; did you mean 'epochs'?",
        "    train.epoch=3",
        "          ^^^^^",
        "--set:2:24: encoder.layers[0].units: expected a whole number, found the text 'many'",
        "    encoder.layers.0.units=many",
        "                           ^^^^",
    ]


def test_an_override_and_the_file_are_checked_together(path: Path) -> None:
    assert refusal(path, "train.loss=mse", "data.valid=0.7").splitlines()[0::3] == [
        "--set:1:12: train.loss: mse does not fit 'as: class'; use auto or cross_entropy, focal",
        "--set:2:12: data.valid: expected a number of at most 0.5, found the number 0.7",
    ]


@pytest.mark.parametrize(
    ("override", "first"),
    [
        ("train.epochs", "--set:1:1: expected key=value; write it like train.epochs=3"),
        ("=3", "--set:1:1: expected key=value; write it like train.epochs=3"),
        ("", "--set:1:1: expected key=value; write it like train.epochs=3"),
        ("a..b=3", "--set:1:1: expected key=value; write it like train.epochs=3"),
        ("train.epochs=", "--set:1:1: no value after '='; write null for none"),
        ("train.epochs=[1", "--set:1:14: '[' is never closed; add the ']'"),
        ("train={epochs: 1, epochs: 2}", "--set:1:19: epochs: duplicate key; it stands in line 1,"),
        ("encoder.layers.1.units=3", "--set:1:16: encoder.layers is a list of 1; '1' is no item"),
        ("encoder.layers.x.units=3", "--set:1:16: encoder.layers is a list of 1; 'x' is no item"),
        ("train.optimizer.adam.lr=1", "--set:1:17: train.optimizer is 'sgd'; write train."),
        ("name.first=x", "--set:1:6: name is 'demo', which has no keys; set name itself: name="),
        ("trian.epochs=3", "--set:1:1: trian: unknown key; did you mean 'train'?"),
        ("cells.c.states=[h", "--set:1:16: '[' is never closed; add the ']'"),
        ("name=\x1b[31m", "--set:1:6: a control character (U+001B); remove it"),
        ("a=" + "[" * 200, "--set:1:104: nested deeper than 100 levels"),
    ],
)
def test_an_override_that_cannot_be_read(path: Path, override: str, first: str) -> None:
    assert refusal(path, override).splitlines()[0].startswith(first)


def test_equations_in_an_override(path: Path) -> None:
    cell = 'cells.mine={states: [h], equations: "h = tanh(W @ x + q)"}'
    shown = refusal(path, cell, "encoder.layers.0.cell=mine").splitlines()
    assert shown[0].startswith("--set:1:55: cells.mine.equations: unknown name 'q'")
    assert shown[2].index("^") == shown[1].index("q)")


@pytest.mark.parametrize(
    ("overrides", "cure", "expected"),
    [
        (["train.optimizer=adam", "train.optimizer.lr=0.1"], "train.optimizer.adam.lr=0.1", Adam),
        (["train.optimizer.lr=0.1"], "train.optimizer.sgd.lr=0.1", SGD),
        (["train.optimizer.adam.lr=0.1"], "train.optimizer={adam: {lr: 0.1}}", Adam),
        (["train.lr=0.1"], "train.optimizer.sgd.lr=0.1", SGD),
    ],
)
def test_the_way_out_of_a_setting_of_what_is_named_works(
    path: Path, overrides: list[str], cure: str, expected: type[SGD | Adam]
) -> None:
    """The spec's optimizer is sgd."""
    said = refusal(path, *overrides)
    if "belongs to" in said:
        assert f"; it belongs to {cure.rpartition('.lr')[0]}\n" in said
    else:
        assert f"; write {cure}\n" in said
    assert load_spec(path, [*overrides[:-1], cure]).spec.train.optimizer == expected(lr=0.1)


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("train.optimizer.foo=1", "its settings are lr, momentum"),
        ("name.x=1", "set name itself: name=…"),
    ],
)
def test_what_has_no_such_setting(path: Path, override: str, hint: str) -> None:
    assert hint in refusal(path, override)
