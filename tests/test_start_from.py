"""Going on from an earlier build: its weights by names and tokens, its scaling, frozen layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.errors import BuildError, SpecError
from rnnspec.source.emit import to_yaml
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Heard
from rnnspec.store.files import read_arrays
from rnnspec.store.folder import Trained, read_build
from rnnspec.to_torch import Model
from rnnspec.train.build import build

WORDS = {"red": "apple cherry rose", "yellow": "banana lemon sun"}


def _rows(words: dict[str, str], count: int = 12) -> list[dict[str, Any]]:
    """Texts of one and two words, with their label, and a number."""
    found = []
    for number in range(count):
        label = sorted(words)[number % len(words)]
        own = words[label].split()
        text = f"{own[number % len(own)]} {own[(number + 1) % len(own)]}"
        found.append(
            {"text": text, "label": label, "size": float(number + len(text)), "again": 7.0 * number}
        )
    return found


def _write(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))


def _spec(**more: Any) -> dict[str, Any]:
    data = {
        "train": "old.jsonl",
        "valid": "valid.jsonl",
        "input": {"column": "text", "as": "words"},
        "output": {"column": "label", "as": "class"},
    }
    layers = [{"cell": "lstm", "units": 4, "name": "first"}, {"cell": "gru", "units": 3}]
    spec: dict[str, Any] = {"name": "small", "cardinality": "N:1", "data": data}
    spec["encoder"] = {"embed": 3, "layers": layers}
    spec["train"] = {"epochs": 2, "batch": 4, "threads": 1}
    for path, value in more.items():
        place = spec
        *above, last = path.split("__")
        for key in above:
            place = place.setdefault(key, {})
        place[last] = value
    return spec


def _built(
    folder: Path, name: str, spec: dict[str, Any], train: bool = True
) -> tuple[Trained, Heard]:
    file, heard = folder / f"{name}.yaml", Heard()
    file.write_text(to_yaml({**spec, "name": name}))
    result = build(load_spec(file), folder / "builds", heard, train=train)
    return read_build(result.folder), heard


def _answers(trained: Trained, numbers: list[int]) -> np.ndarray[Any, Any]:
    """Logits of a text of these tokens."""
    import torch

    model = Model(trained.plan)
    model.load_canonical(trained.weights)
    model.eval()
    with torch.no_grad():
        inputs = {"text": (torch.tensor([numbers]), torch.tensor([len(numbers)]))}
        (found,) = model(inputs).values()
    return np.asarray(found)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    _write(folder, "old.jsonl", _rows(WORDS))
    _write(folder, "valid.jsonl", _rows(WORDS, 4))
    more = {"blue": "sky sea ice", "red": "apple wine", "yellow": "banana corn"}
    _write(folder, "new.jsonl", _rows(more, 18))
    _built(folder, "old", _spec())
    return folder


@pytest.fixture(scope="module")
def old(world: Path) -> Trained:
    from rnnspec.store.folder import find_build

    return read_build(find_build(world / "builds" / "old", world / "builds"))


def _from(world: Path, **more: Any) -> dict[str, Any]:
    return _spec(train__start_from="builds/old", **more)


def test_the_same_rows_and_a_rate_of_nothing_give_the_same_weights(
    world: Path, old: Trained
) -> None:
    rate = {"adam": {"lr": 1e-30}}
    again, heard = _built(world, "still", _from(world, train__optimizer=rate))
    assert any("which are all" in note for note in heard.notes)
    for name, value in old.weights.items():
        np.testing.assert_array_equal(again.weights[name], value, err_msg=name)


def test_answers_to_old_texts_stay_when_the_vocabulary_grows(world: Path, old: Trained) -> None:
    new, heard = _built(world, "grown", _from(world, data__train="new.jsonl"), train=False)
    before, now = old.facts.inputs["text"], new.facts.inputs["text"]
    vocabularies = [each.vocabulary for each in (before, now)]  # type: ignore[union-attr]
    assert len(vocabularies[1]) > len(vocabularies[0])
    labels = [facts.outputs["label"].labels for facts in (old.facts, new.facts)]  # type: ignore[union-attr]
    assert labels == [("red", "yellow"), ("blue", "red", "yellow")]
    for text in (["apple"], ["cherry", "rose"], ["never", "lemon"], ["sky", "apple"]):
        known, grown = (each.numbers(text) for each in vocabularies)
        logits = _answers(new, grown)[:, [1, 2]]
        np.testing.assert_array_equal(logits, _answers(old, known), err_msg=str(text))
    said = "\n".join(heard.notes)
    assert "label has new labels: 'blue'" in said
    assert "tokens that the start build did not know: 'corn', " in said


def test_vocabularies_in_another_order_keep_their_rows(world: Path, old: Trained) -> None:
    """Where the number of words is the same, but not each word's number."""
    folder = world / "turned"
    folder.mkdir()
    rows = [
        *_rows(WORDS)[::-1],
        {"text": "rose rose rose", "label": "red", "size": 1.0, "again": 2.0},
    ]
    _write(folder, "old.jsonl", rows)
    _write(folder, "valid.jsonl", rows[:4])
    new, _ = _built(folder, "new", _spec(train__start_from="../builds/old"), train=False)
    for name, value in old.weights.items():
        np.testing.assert_array_equal(new.weights[name], value, err_msg=name)


@pytest.mark.parametrize("average", [{}, {"ema": 0.9}, {"average_last": 2}])
def test_frozen_layers_do_not_change(world: Path, old: Trained, average: dict[str, Any]) -> None:
    settings = {f"train__{key}": value for key, value in average.items()}
    decay = {"adamw": {"lr": 0.1, "weight_decay": 0.5}}
    freeze = ["embed", "first", "ans*"]
    spec = _from(world, train__freeze=freeze, train__optimizer=decay, **settings)
    new, _ = _built(world, "frozen", spec)
    same = {n for n in new.weights if np.array_equal(new.weights[n], old.weights[n])}
    assert {name.partition(".forward")[0] for name in same} == {
        "embed.table",
        "layers.0",
        "answer.W",
        "answer.b",
    }
    assert len(same) == len([n for n in old.weights if not n.startswith("layers.1")])


def test_the_last_weights_have_the_frozen_ones_too(world: Path) -> None:
    """Of a build without a start, too: then they are the drawn ones."""
    spec = _spec(train__freeze=["layers.*"])
    whole, _ = _built(world, "whole", spec)
    arrays, _ = read_arrays(whole.folder.last)
    assert np.array_equal(arrays["layers.0.forward.W_i"], whole.weights["layers.0.forward.W_i"])


def test_a_frozen_batch_norm_keeps_its_moments(world: Path) -> None:
    spec = _spec()
    norm = {"conv": 4, "size": 3, "norm": "batch"}
    spec["encoder"]["layers"].insert(0, norm)
    first, _ = _built(world, "norm", spec)
    spec["train"] |= {"start_from": "builds/norm", "freeze": ["layers.0"], "average_last": 2}
    spec["data"]["train"] = "new.jsonl"
    second, _ = _built(world, "normed", spec)
    names = [name for name in first.weights if name.startswith("layers.0.")]
    assert any("variance" in name for name in names)
    for name in names:
        np.testing.assert_array_equal(second.weights[name], first.weights[name], err_msg=name)


def test_numbers_keep_their_scale(world: Path) -> None:
    read = {"column": "size", "as": "number"}
    answer = {"column": "again", "as": "number"}
    one = _spec(data__input=[{"column": "text", "as": "words"}, read], data__output=answer)
    first, _ = _built(world, "number", one)
    one["data"] |= {"train": "new.jsonl"}
    one["train"] |= {"start_from": "builds/number"}
    second, heard = _built(world, "numbers", one)
    for side, column in (("inputs", "size"), ("outputs", "again")):
        before, now = (getattr(each.facts, side)[column] for each in (first, second))
        assert (before.mean, before.deviation) == (now.mean, now.deviation)
    assert "size is scaled as in the start build, not by the new rows" in heard.notes


def test_a_decoder_takes_its_tokens(world: Path) -> None:
    spec = _spec(
        cardinality="N:M",
        data__output={"column": "label", "as": "chars"},
        decoder={"embed": 3, "layers": [{"cell": "gru", "units": 4}]},
    )
    spec["encoder"]["layers"] = [{"cell": "gru", "units": 4}]
    first, _ = _built(world, "written", spec, train=False)
    spec["data"]["train"] = "new.jsonl"
    spec["train"]["start_from"] = "builds/written"
    second, heard = _built(world, "more", spec, train=False)
    said = "\n".join(heard.notes)
    assert "which are all" in said
    entries = [each.facts.outputs["label"].vocabulary.entries for each in (first, second)]  # type: ignore[union-attr]
    assert entries[1][: len(entries[0])] == entries[0]
    for name, value in first.weights.items():
        held = second.weights[name][: len(value)]
        np.testing.assert_array_equal(held, value, err_msg=name)


def test_layers_that_do_not_fit_are_told(world: Path) -> None:
    spec = _from(world)
    spec["encoder"]["layers"] = [{"cell": "lstm", "units": 5}]
    _, heard = _built(world, "wider", spec, train=False)
    said = "\n".join(heard.notes)
    assert "start anew, for the start build has none of the same shape: layers.0, answer" in said
    assert "only in the start build, and left out: layers.1" in said


def test_what_cannot_be_started_from(world: Path) -> None:
    with pytest.raises(SpecError, match=r"train\.start_from: cannot be started from .*no such"):
        _built(world, "none", _spec(train__start_from="builds/nowhere"))
    with pytest.raises(SpecError, match="no layer with weights is called 'embedding'; the layers"):
        _built(world, "none", _spec(train__freeze=["embedding"]))
    with pytest.raises(SpecError, match="nothing is left to train"):
        _built(world, "none", _spec(train__freeze=["*"]))
    other = _spec(cardinality="1:1", data__input={"column": "size", "as": "number"})
    other["data"]["output"] = {"column": "again", "as": "number"}
    del other["encoder"]
    other["train"]["start_from"] = "builds/old"
    with pytest.raises(BuildError, match="no weight has the name and the shape"):
        _built(world, "other", other, train=False)
