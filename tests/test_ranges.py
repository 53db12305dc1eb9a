"""Ranges in a spec: what they are, where they may stand, the text with values in their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnspec.errors import SpecError
from rnnspec.source.emit import to_yaml
from rnnspec.source.yaml12 import load
from rnnspec.spec.load import Tunable, load_spec, load_tunable
from rnnspec.spec.ranges import Choices, Numbers
from tests.cli import right, write_world, wrong

SPEC = """\
# colours of things
name: colours # a name
cardinality: N:1
data:
  train: train.jsonl
  valid: valid.jsonl
  input: {column: text, as: words}
  output: {column: colour, as: class}
encoder:
  embed: &width {tune: [8, 16]} # also of the layer
  layers:
    - cell: {tune: [gru, lstm]}
      units: *width
      dropout:
        tune: {low: 0.0, high: 0.5} # how much
train:
  epochs: 2
  optimizer:
    tune:
      - adam: # the usual one
          lr: {tune: {low: 1e-4, high: 1e-2, log: true}}
      - {sgd: {lr: 0.1}}
  batch: 20
"""
EPOCHS = SPEC.replace("epochs: 2", "epochs: {}")


def _tunable(folder: Path, text: str = SPEC) -> Tunable:
    file = folder / "spec.yaml"
    file.write_text(text)
    return load_tunable(file)


def _problem(folder: Path, text: str) -> str:
    with pytest.raises(SpecError) as caught:
        _tunable(folder, text)
    return str(caught.value).removeprefix(f"{folder}/")


def test_ranges_are_named_by_their_places(tmp_path: Path) -> None:
    described = {each.name: each.described() for each in _tunable(tmp_path).ranges}
    assert described == {
        "encoder.embed": "8 or 16",
        "encoder.layers[0].cell": "gru or lstm",
        "encoder.layers[0].dropout": "0.0 to 0.5",
        "train.optimizer": "{adam: {lr: …}} or {sgd: {lr: 0.1}}",
        "train.optimizer.adam.lr": "0.0001 to 0.01, log",
    }


def test_the_text_keeps_comments_and_layout(tmp_path: Path) -> None:
    tunable = _tunable(tmp_path)
    embed, _, dropout, optimizer, rate = tunable.ranges
    text = tunable.text({embed: 1, dropout: 0.25, rate: 3e-3})
    expected = SPEC.replace("{tune: [8, 16]}", "16").replace("{tune: [gru, lstm]}", "gru")
    expected = expected.replace(
        "dropout:\n        tune: {low: 0.0, high: 0.5} # how much", "dropout: 0.25 # how much"
    )
    first, last = expected.index("optimizer:"), expected.index("  batch: 20")
    assert text == f"{expected[:first]}optimizer: {{adam: {{lr: 0.003}}}}\n{expected[last:]}"
    assert "optimizer: {sgd: {lr: 0.1}}\n" in tunable.text({optimizer: 1})
    spec = tunable.spec({embed: 1}).spec
    assert spec.encoder.layers[0].units == 16  # type: ignore[union-attr]  # as its alias


def test_another_folder_has_other_paths(tmp_path: Path) -> None:
    write_world(tmp_path)
    text = _tunable(tmp_path).text({}, tmp_path / "tune" / "colours")
    assert load(text, "").data["data"]["train"] == "../../train.jsonl"
    assert "# colours of things" in text


def test_a_block_that_cannot_be_put_in_place_is_written_anew(tmp_path: Path) -> None:
    text = SPEC.replace("[gru, lstm]", "\n        - >-\n          gru\n        - lstm")
    tunable = _tunable(
        tmp_path, text.replace("{tune: \n", "\n        tune:\n").replace("lstm}", "lstm")
    )
    cell = tunable.ranges[1]
    assert load(tunable.text({cell: 1}), "").data["encoder"]["layers"][0]["cell"] == "lstm"


def test_overrides_may_hold_ranges(tmp_path: Path) -> None:
    spec = write_world(tmp_path)
    tunable = load_tunable(spec, ["train.batch={tune: [5, 10]}"])
    (batch,) = tunable.ranges
    assert isinstance(batch, Choices)
    assert tunable.spec({batch: 1}).spec.train.batch == 10
    assert tunable.text({batch: 1}) == to_yaml(load(tunable.text({batch: 1}), "").data)


def test_drawn_numbers_are_rounded(tmp_path: Path) -> None:
    numbers = [each for each in _tunable(tmp_path).ranges if isinstance(each, Numbers)]
    dropout, rate = numbers
    assert dropout.rounded(0.123456) == 0.123
    assert rate.rounded(0.00123456) == 0.00123
    assert rate.rounded(0.0001000001) == rate.low


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[8, 16]", "[8, 0]", "10:28: encoder.embed: expected a number of at least 1, found"),
        ("high: 0.5", "high: 1.5", "encoder.layers[0].dropout: expected"),
        ("[8, 16]", "[8]", "10:18: encoder.embed: a range of 1 value; write several"),
        ("[8, 16]", "[]", "encoder.embed: a range of no values"),
        ("[8, 16]", "[8, 8]", "10:28: encoder.embed: the value 8 stands in the range twice"),
        ("[8, 16]}", "[8, 16], also: 3}", "'also' stands beside 'tune'"),
        ("low: 0.0, ", "", "the range has no 'low'; write it like"),
        ("low: 0.0", "low: 0.9", "the range ends at 0.5 and begins at 0.9"),
        ("low: 0.0", "low: few", "low is no number"),
        ("high: 0.5", "high: 0.5, stepp: 1", "unknown key 'stepp' of a range; did you"),
        ("high: 0.5", "high: 0.5, step: 0.2", "0.5 is not reached from 0 by steps of 0.2"),
        ("high: 0.5", "high: 0.5, log: true", "a range with 'log' begins above 0, not at 0"),
        ("log: true", "log: true, step: 0.1", "a range with 'log' has no even steps"),
        ("log: true", "log: 3", "log is true or false"),
        ("valid.jsonl", "{tune: [0.1, 0.2]}", "data.valid: the trials could not be compared"),
        ("batch: 20", "seed: {tune: [0, 1]}", "rnnspec build --seeds"),
    ],
)
def test_what_is_no_range(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in _problem(tmp_path, SPEC.replace(old, new, 1))


def test_values_that_are_measured_in_different_ways(tmp_path: Path) -> None:
    text = SPEC.replace("as: class}", "as: class, class_weights: {tune: [none, balanced]}}")
    said = _problem(tmp_path, text)
    assert "some of these values are measured by accuracy, and some by macro_f1" in said
    _tunable(tmp_path, text.replace("train:\n  epochs", "train:\n  monitor: accuracy\n  epochs"))


def test_a_build_needs_values(tmp_path: Path) -> None:
    spec = write_world(tmp_path)
    spec.write_text(SPEC)
    with pytest.raises(SpecError, match="search through it with: rnnspec tune") as caught:
        load_spec(spec)
    assert len(caught.value.problems) == 5
    assert "rnnspec tune" in wrong("build", spec)


def test_check_shows_the_ranges(tmp_path: Path) -> None:
    spec = write_world(tmp_path)
    spec.write_text(SPEC)
    said = right("check", spec)
    assert "train.optimizer.adam.lr    0.0001 to 0.01, log" in said
    assert f"next: rnnspec tune {spec}" in said


def test_a_cell_or_a_class_may_be_called_tune(tmp_path: Path) -> None:
    text = SPEC.replace("as: class}", "as: class, class_weights: {tune: 2.0}}")
    assert len(_tunable(tmp_path, text).ranges) == 5
