"""Export of every kind of input, output and search: proven, opened again, and asked by rows."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.errors import ExportError, SpecError
from rnnspec.export import export_onnx
from rnnspec.export.parity import Parity
from rnnspec.export.probes import probes
from rnnspec.export.variant import as_yaml, variant
from rnnspec.plan import resolve
from rnnspec.plan.nodes import Beam, Greedy, TextOutput
from rnnspec.run import Model
from rnnspec.store.folder import Trained
from rnnspec.to_onnx import to_onnx
from tests import ctc
from tests.decoders import decoded, with_strategy
from tests.kinds import HORIZON, SEQUENCES, SOUNDS, STATICS, output, spec_data
from tests.random_builds import trained

SERIES = [name for name in SEQUENCES if "series" in name]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of the probes: each shape of batch once."""
    monkeypatch.setattr("rnnspec.export.write.probes", partial(probes, seeds=1))


def exported(build: Trained, folder: Path, **options: Any) -> tuple[Parity, Model]:
    target = folder / "model.onnx"
    parity = export_onnx(build, target, **options)
    assert parity.rows == 29
    assert parity.difference < 1e-3
    return parity, Model.load(target, threads=1)


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("kind", [*(name for name in SEQUENCES if name not in SERIES), *SOUNDS])
def test_sequences(kind: str, ids: bool, tmp_path: Path) -> None:
    outputs = [output("tags"), output("keys"), output("out_frames")]
    exported(trained(spec_data("N:N", [kind, *STATICS], outputs)), tmp_path, ids=ids)


@pytest.mark.parametrize("name", ["greedy", "beam", "transducer", "transducer's beam"])
def test_texts_with_the_steps_of_their_tokens(name: str, tmp_path: Path) -> None:
    _, model = exported(trained(ctc.ALL[name], size=1.2), tmp_path, alignment=True)
    draw = np.random.default_rng(0)
    for count in (0, 1, 9):
        (answer,) = model.answer([{"frames": draw.normal(size=(count, 3)).tolist()}])
        spans = answer["out_chars.alignment"]
        assert len(spans) == len(answer["out_chars"])
        assert spans == sorted(spans) and all(0 <= a <= b < count for a, b in spans)


@pytest.mark.parametrize("beside", [["number"], ["vector", "double_number"]])
def test_a_text_of_sound_with_numbers_beside_it(beside: list[str], tmp_path: Path) -> None:
    """The rows of the numbers are those of the sound, also where none has a sample."""
    exported(trained(decoded(("log_mel", *beside))), tmp_path)


@pytest.mark.parametrize("kind", SERIES)
@pytest.mark.parametrize("distribution", [{"quantiles": [0.1, 0.5, 0.9]}, "negative_binomial"])
def test_forecasts(kind: str, distribution: Any, tmp_path: Path) -> None:
    ahead = {
        "column": kind, "as": "forecast", "horizon": HORIZON, "distribution": distribution,
    }  # fmt: skip
    _, model = exported(trained(spec_data("N:M", [kind], [ahead])), tmp_path)
    row: dict[str, Any] = {kind: [1.0, 2.5, 3.0], f"{kind}.future": [1, 2, 3]}
    (answer,) = model.answer([row])
    assert len(answer[kind]) == HORIZON
    if distribution == "negative_binomial":
        assert len(answer[f"{kind}.dispersion"]) == HORIZON
    else:
        assert list(answer[f"{kind}.quantiles"]) == ["0.1", "0.5", "0.9"]
        assert answer[f"{kind}.quantiles"]["0.5"] == answer[kind]
    json.dumps(answer)


STRATEGIES = ("greedy", "beam:3", "beam:width=4,n_best=3,length_norm=gnmt", "sample:top_k=3")


CASES = [
    *(("out_chars", ids, strategy) for ids in (False, True) for strategy in STRATEGIES),
    ("out_words", False, STRATEGIES[2]),
    ("out_words", False, STRATEGIES[0]),
    ("out_tokens", False, STRATEGIES[2]),
    ("out_tokens", False, STRATEGIES[3]),
    ("out_tokens", True, STRATEGIES[1]),
]


@pytest.mark.parametrize(("kind", "ids", "strategy"), CASES)
def test_texts_token_for_token(kind: str, ids: bool, strategy: str, tmp_path: Path) -> None:
    build = trained(decoded(attention="additive", kind=kind), size=0.9)
    options: dict[str, Any] = {"ids": ids, "strategy": strategy, "attention": True}
    parity, model = exported(build, tmp_path, **options)
    assert parity.tokens > 50
    assert parity.score_difference < 1e-3
    (out,) = model.outputs
    assert out.n_best == (3 if "n_best" in strategy else 1)
    assert out.drawn == strategy.startswith("sample")
    rows: list[dict[str, Any]] = [{"chars": [2, 3, 2] if ids else "abz"}] * 5
    answers = list(model.answer(rows, seed=3))
    for answer in answers:
        assert isinstance(answer[kind], str if kind != "out_tokens" and not ids else list)
        assert answer[f"{kind}.score"] < 0
        assert all(len(step) == 3 for step in answer[f"{kind}.attention"])
        if out.n_best > 1:
            best = answer[f"{kind}.n_best"]
            assert len(best) == 3
            assert best[0]["answer"] == answer[kind]
        json.dumps(answer)
    if out.drawn:
        assert len({str(answer[kind]) for answer in answers}) > 1
        again = list(model.answer(rows, batch=1, seed=3))
        assert [a[kind] for a in again] == [a[kind] for a in answers]
        assert [a[kind] for a in model.answer(rows[1:], seed=4)] == [a[kind] for a in answers[1:]]
    else:
        assert len({str(answer[kind]) for answer in answers}) == 1


def test_a_strategy_is_only_another_search() -> None:
    build = trained(decoded(attention="dot"))
    spec, plan = variant(build, "beam:width=8,length_norm=none,banned=[a, b]")
    (old,), (new,) = build.plan.outputs, plan.outputs
    assert isinstance(old, TextOutput) and isinstance(new, TextOutput)
    assert new.search == with_strategy(
        Beam, replace(old.search, banned=(2, 3)), width=8, length_norm="none"
    )
    assert resolve(spec, build.facts) == plan
    assert replace(new, search=old.search) == old
    assert [n for n in plan.nodes if n != new] == [n for n in build.plan.nodes if n != old]


@pytest.mark.parametrize(
    ("strategy", "yaml"),
    [
        ("greedy", "greedy"),
        ("beam:5", "{beam: {width: 5}}"),
        ("beam:width=8,length_norm=gnmt", "{beam: {width: 8, length_norm: gnmt}}"),
        ("sample: temperature = 0.8, top_k=20", "{sample: {temperature:  0.8, top_k: 20}}"),
        ("beam:prefix=[a, b],width=2", "{beam: {prefix: [a, b], width: 2}}"),
        ("{beam: {width: 3}}", "{beam: {width: 3}}"),
    ],
)
def test_strategies_as_yaml(strategy: str, yaml: str) -> None:
    assert as_yaml(strategy) == yaml


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("bean", "did you mean 'beam'"),
        ("bean:5", "did you mean 'beam'"),
        ("beam:widht=3", "did you mean 'width'"),
        ("beam:n_best=9", "n_best"),
        ("sample:top_p=2", "top_p"),
        ("beam:width=", "width"),
        ("beam:width=3]", "strategy"),
    ],
)
def test_wrong_strategies(strategy: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as raised:
        variant(trained(decoded()), strategy)
    assert all(problem.file == "--strategy" for problem in raised.value.problems)
    with pytest.raises(SpecError, match=message):
        variant(writer(), strategy, 10)


def writer(kind: str = "chars", **more: Any) -> Trained:
    data = spec_data("N:N", [kind], [{"column": kind, "as": "next"}], **more)
    return trained(data, size=0.9)


@pytest.mark.parametrize("strategy", ["", "beam:3", "sample:temperature=0.7"])
@pytest.mark.parametrize("kind", ["chars", "words", "tokens"])
def test_a_language_model_writes_on(kind: str, strategy: str, tmp_path: Path) -> None:
    parity, model = exported(writer(kind), tmp_path, strategy=strategy, generate=12)
    assert parity.tokens > 50
    prompt: Any = {"chars": "ab", "words": "one two", "tokens": ["T1", "T3"]}[kind]
    (answer,) = model.answer([{kind: prompt}], seed=1)
    if kind == "tokens":
        assert answer[kind][:2] == prompt
        assert 2 < len(answer[kind]) <= 14
    else:
        assert answer[kind].startswith(prompt)
    json.dumps(answer)


def test_what_cannot_be_exported(tmp_path: Path) -> None:
    plain = trained(spec_data("N:1", ["chars"], [output("class")]))
    target = tmp_path / "model.onnx"
    with pytest.raises(ExportError, match=r"--strategy is for models .*; leave it out$"):
        export_onnx(plain, target, strategy="beam:3")
    with pytest.raises(ExportError, match=r"leave it out, or add --generate, with which it does$"):
        export_onnx(writer(), target, strategy="beam:3")  # as it is: a language model
    with pytest.raises(ExportError, match="no attention whose weights"):
        export_onnx(trained(decoded()), target, attention=True)
    with pytest.raises(ExportError, match="cannot write on from a prompt"):
        export_onnx(plain, target, generate=10)
    with pytest.raises(ExportError, match="--generate 0"):
        export_onnx(writer(), target, generate=0)
    assert not target.exists()


@pytest.mark.parametrize("what", ["scores", "choice"])
def test_a_text_that_differs_is_not_written(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lowering is given other weights, or another search, than the module."""
    build = trained(decoded(attention="additive"), size=0.9)
    weights = dict(build.weights)
    if what == "scores":
        name = next(name for name in weights if name.endswith("scores.b"))
        weights[name] = weights[name] + np.float32(0.01) * np.arange(weights[name].size)

    def other(plan: Any, facts: Any, _: object, **options: Any) -> Any:
        if what == "choice":
            ban = Greedy(limit=6, banned=(6,))
            nodes = [replace(n, search=ban) if isinstance(n, TextOutput) else n for n in plan.nodes]
            plan = replace(plan, nodes=tuple(nodes))
        return to_onnx(plan, facts, weights, **options)

    monkeypatch.setattr("rnnspec.export.write.to_onnx", other)
    with pytest.raises(ExportError, match="nothing was written"):
        export_onnx(build, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("apart", [1e-7, 1e-3])
def test_a_near_tie_is_counted_and_no_defect(
    apart: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tokens score nearly alike, and the file is given the one's scores for the other's."""
    build = trained(decoded(attention="additive"), size=0.9)
    weights, swapped = dict(build.weights), dict(build.weights)
    for name in ("scores.W", "scores.b"):
        name = next(each for each in weights if each.endswith(name))
        value = weights[name].astype(np.float64)
        value[5] = value[6] - apart * np.abs(value[6]) * (name.endswith("b"))
        weights[name] = value.astype(np.float32)
        other = weights[name].copy()
        other[[5, 6]] = other[[6, 5]]
        swapped[name] = other

    def lowered(plan: Any, facts: Any, _: object, **options: Any) -> Any:
        return to_onnx(plan, facts, swapped, **options)

    monkeypatch.setattr("rnnspec.export.write.to_onnx", lowered)
    if apart > 1e-5:
        with pytest.raises(ExportError, match="nothing was written"):
            export_onnx(replace(build, weights=weights), tmp_path / "model.onnx")
        return
    parity, _ = exported(replace(build, weights=weights), tmp_path)
    assert parity.ties > 5


def test_probes_are_of_every_kind() -> None:
    kinds = [*SEQUENCES, *STATICS]
    outputs = [{"column": "series", "as": "forecast", "horizon": HORIZON, "distribution": "point"}]
    build = trained(spec_data("N:M", kinds, outputs))
    found = list(probes(build.plan, build.facts))
    lengths = np.concatenate([probe.lengths for probe in found])
    assert {0, 1} <= set(lengths.tolist()) and lengths.max() > 5
    for kind in ("frames", "series", "number", "vector"):
        values = np.concatenate([probe.feeds[kind].ravel() for probe in found])
        assert 0 < np.isnan(values).mean() < 0.5
    for kind in ("words", "tokens", "category"):
        texts = "".join("".join(map(str, probe.feeds[kind].ravel())) for probe in found)
        assert any(char >= "\U000f0000" for char in texts), "unknown ones"
    assert any((~probe.feeds["key_steps"].astype(bool)).any() for probe in found)
    assert {"known_series.future", "words.lengths"} - set(found[0].feeds) == {"words.lengths"}
