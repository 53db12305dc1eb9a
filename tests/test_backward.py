"""A text read from its end: the backward model is the forward model of texts turned round."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rnnspec
from rnnspec.plan.generate import generation
from rnnspec.plan.nodes import Beam, Sample, Search
from rnnspec.reference import Text, answers
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from tests.kinds import batched, feeds, plan_of, random_rows, spec_data, strong_weights
from tests.texts import of_onnx, of_torch

LENGTHS, SEEDS = (4, 1, 3, 0), (1, -9, 2**50, 4)
BACKWARD = {"direction": "reverse"}
STATES = {"column": "vector", "as": "states"}
WRITTEN = [
    ("words", Sample(6, temperature=0.8)),
    ("tokens", Beam(6, min_steps=3, width=3, n_best=3)),
]


@pytest.mark.parametrize("column", ["chars", "vector_words", "bytes", "spelled"])
def test_answers_are_those_to_the_text_turned_round(column: str) -> None:
    """Of every back end, with rows of unequal lengths: answers stand in the order of the text."""
    target = {"column": column, "as": "next"}
    forward, _ = plan_of(spec_data("N:N", [column], [target, STATES]))
    plan, facts = plan_of(spec_data("N:N", [column], [target | BACKWARD, STATES]))
    weights, rows = strong_weights(plan), random_rows(plan, LENGTHS)
    expected = answers(
        forward, weights, [{key: value[::-1] for key, value in row.items()} for row in rows]
    )
    model = Model(plan).eval()
    model.load_canonical(weights)
    with torch.no_grad():
        found = model.answers(batched(plan, rows, 2, 3.7))
    session = Session(to_onnx(plan, facts, weights, ids=True).SerializeToString(), threads=1)
    in_file = session.run(feeds(plan, rows, 2, 3.7))
    names = {column: f"{column}.next.probabilities", "vector": "vector"}
    for name, in_onnx in names.items():
        for number, length in enumerate(LENGTHS):
            turned = expected[name][number][::-1]
            assert len(turned) == length
            in_torch = found[name]
            assert isinstance(in_torch, torch.Tensor)
            np.testing.assert_allclose(in_torch[number, :length], turned, atol=1e-5)
            np.testing.assert_allclose(in_file[in_onnx][number, :length], turned, atol=1e-5)
            assert not in_file[in_onnx][number, length:].any()


@pytest.mark.parametrize(("column", "search"), WRITTEN)
def test_texts_are_written_before_their_ends(column: str, search: Search) -> None:
    target = {"column": column, "as": "next"}
    forward, _ = plan_of(spec_data("N:N", [column], [target]))
    trained, facts = plan_of(spec_data("N:N", [column], [target | BACKWARD]))
    plan, weights = generation(trained, search), strong_weights(trained, size=1.0)
    rows = random_rows(plan, LENGTHS)
    turned = [{column: row[column][::-1]} for row in rows]
    (expected,) = answers(generation(forward, search), weights, turned, SEEDS).values()
    model = Model(plan).eval()
    model.load_canonical(weights)
    session = Session(to_onnx(plan, facts, weights, ids=True).SerializeToString(), threads=1)
    drawn = {"seed": np.array(SEEDS, np.int64)} if "seed" in session.inputs else {}
    in_torch = of_torch(model, batched(plan, rows, 2, 3.7), SEEDS)
    in_file = of_onnx(plan, session.run({**feeds(plan, rows, 2, 3.7), **drawn}))
    assert any(len(best) > 1 for one in expected for best in one.tokens)
    for number, one in enumerate(expected):
        assert isinstance(one, Text)
        wanted = tuple(best[::-1] for best in one.tokens)
        assert in_torch[number].tokens == in_file[number].tokens == wanted


def texts(count: int, size: int, seed: int) -> list[str]:
    """Texts of letters that are unequally frequent, so that either order numbers them alike."""
    draw = np.random.default_rng(seed)
    return ["".join(draw.permutation(list("aaaaaaaabbbbcc " * size))) for _ in range(count)]


def built(name: str, direction: str, data: dict[str, Any], kind: Any, **train: Any) -> Any:
    return rnnspec.load(
        {
            "name": name,
            "cardinality": "N:N",
            "data": {
                **data,
                "input": {"column": "text", **kind},
                "output": {"column": "text", "as": "next", "direction": direction},
            },
            "encoder": {"embed": 4, "layers": [{"cell": "gru", "units": 6}]},
            "train": {"epochs": 2, "batch": 2, **train},
        }
    ).build()


@pytest.mark.parametrize(("window", "spelled"), [(None, False), (7, False), (7, True)])
def test_training_is_that_of_texts_turned_round(
    window: int | None, spelled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same weights and perplexities; a long text is read window by window from its end, and the
    characters of its words with them."""
    monkeypatch.chdir(tmp_path)
    rows = texts(4, 1, 0) if window is None else texts(1, 3, 0)
    kind = {"as": "words", "spelling": {"embed": 2, "units": 2}} if spelled else {"as": "chars"}
    if spelled:
        rows = [" ".join(row.replace(" ", "")) for row in rows]
    for name, step in (("forward", -1), ("backward", 1)):
        for part in ("train", "valid"):
            Path(f"{part}-{name}.txt").write_text("\n".join(row[::step] for row in rows))
    more = {"documents": "line"} if window is None else {}
    found = {
        name: built(
            name, direction,
            {"train": f"train-{name}.txt", "valid": f"valid-{name}.txt", **more}, kind,
            window=window,
        )
        for name, direction in (("forward", "forward"), ("backward", "reverse"))
    }  # fmt: skip
    forward, backward = found["forward"], found["backward"]
    for one, other in zip(forward.module.parameters(), backward.module.parameters(), strict=True):
        # The gradient of characters is a sum over words in another order.
        np.testing.assert_allclose(one.detach(), other.detach(), atol=1e-6 * spelled, rtol=0)
    same = pytest.approx(forward.metrics["perplexity"], rel=1e-6 * spelled, abs=0)
    assert backward.metrics["perplexity"] == same
    if spelled:
        return
    text = "abca cab"
    wanted = forward.perplexity(text[::-1])
    assert backward.perplexity(text) == pytest.approx(wanted, rel=1e-6)
    if window is not None:
        return
    assert backward.report is not None
    page = backward.report.read_text()
    assert "What the model writes before the ends of rows" in page
    assert page.count('<span class="prompt">') > 1
    backward.export("answers.onnx")
    assert rnnspec.open("answers.onnx").perplexity(text) == pytest.approx(wanted, rel=1e-5)
    for name, each in found.items():
        each.export(f"{name}.onnx", generate=True, steps=6)
    (turned,) = rnnspec.open("forward.onnx").predict([text[::-1]])
    assert rnnspec.open("backward.onnx").predict([text]) == [turned[::-1]]


@pytest.mark.parametrize("kind", ["words", "subwords"])
def test_a_prompt_is_the_end_of_the_text(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.txt").write_text("the sea is wide the sea\nthe old sea is wide\n")
    spec = {
        "name": "verses",
        "cardinality": "N:N",
        "data": {
            "train": "rows.txt",
            "documents": "line",
            "input": {"column": "text", "as": kind},
            "output": {"column": "text", "as": "next", **BACKWARD},
        },
        "encoder": {"embed": 4, "layers": [{"cell": "gru", "units": 4}]},
    }
    build = rnnspec.load(spec).build(train=False)
    strategy = "beam:width=2,n_best=2" if kind == "subwords" else "sample:temperature=2"
    build.export("w.onnx", strategy=strategy, generate=True, steps=5, ids=kind == "subwords")
    for prompt in ("the sea", "wide", ""):
        (text,) = rnnspec.open("w.onnx").predict([prompt])
        assert text.endswith(prompt) and len(text) > len(prompt)
        assert text == text.strip()
    with pytest.raises(rnnspec.Error, match="'text' is read from its end"):
        build.export("s.onnx", stream=True, ids=kind == "subwords")
