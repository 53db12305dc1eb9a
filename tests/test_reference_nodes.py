"""The reference's attention, inputs and forecasts against their formulas, written out once more."""

from __future__ import annotations

from dataclasses import replace
from math import exp, sqrt, tanh
from typing import Any

import numpy as np
import pytest

from rnnspec.plan import Plan
from rnnspec.plan.nodes import Attend, AttentionKind, Decoder, Scores, TextOutput
from rnnspec.reference import answers, raw_outputs
from rnnspec.reference.attention import AttentionState, attend, initial_attention
from rnnspec.reference.decode import Body, DecoderState
from rnnspec.reference.functions import Array
from rnnspec.reference.interpret import text_task, values_of
from tests.kinds import HORIZON, output, plan_of, random_rows, spec_data, strong_weights

MEMORY = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
QUERY = np.array([0.5, -1.0])


def node(kind: AttentionKind, **more: Any) -> Attend:
    return Attend("a", "q", "m", kind, 2, 2, **more)


def looked(kind: AttentionKind, given: dict[str, Any], **more: Any) -> tuple[Array, Array]:
    """Context and weights of the second step, after one that looked at the first step mostly."""
    weights = {f"a.{name}": np.array(value, float) for name, value in given.items()}
    before = AttentionState(np.log([0.7, 0.2, 0.1]), np.array([0.7, 0.2, 0.1]))
    context, after = attend(node(kind, **more), weights, QUERY, MEMORY, before)
    np.testing.assert_allclose(after.total, before.total + after.last)
    return context, after.last


def softmax(energies: list[float]) -> Array:
    found = np.array([exp(energy) for energy in energies])
    return np.asarray(found / found.sum())


ONE = {"W_q": [[1.0, 2.0]], "W_m": [[3.0, -1.0]], "b": [0.5], "v": [2.0]}
"""With one hidden unit, e_j = 2 tanh(-1.5 + 3 m_0 - m_1 + 0.5)."""
SUMS = (2.0, -3.0, 1.0)


@pytest.mark.parametrize(
    ("kind", "given", "more", "energies"),
    [
        ("dot", {}, {}, [0.5, -2.0, -0.5]),
        ("general", {"W": [[1, 2], [0, 1]]}, {}, [0.5, 2 - 2, 1.5 - 1]),
        (
            "concat",
            {"W": [[1, 0, 2, 3]], "v": [2.0]},
            {"units": 1},
            [2 * tanh(0.5 + 2), 2 * tanh(0.5 + 6), 2 * tanh(0.5 + 5)],
        ),
        ("additive", ONE, {"units": 1}, [2 * tanh(each - 1) for each in (3.0, -2.0, 2.0)]),
        (
            "additive",
            {**ONE, "w_c": [10.0]},
            {"units": 1, "coverage": True},
            [2 * tanh(each - 1) for each in (3.0 + 7, -2.0 + 2, 2.0 + 1)],
        ),
        (
            "location",
            {**ONE, "F": [[1.0, 0.0, 0.0], [0.0, 0.0, 4.0]], "U": [[1.0, 0.5]]},
            {"units": 1, "filters": 2, "kernel": 3},
            [2 * tanh(each - 1) for each in (3 + 0 + 0.4, -2 + 0.7 + 0.2, 2.0 + 0.2 + 0)],
        ),
    ],
)
def test_attention(
    kind: AttentionKind, given: dict[str, Any], more: dict[str, Any], energies: list[float]
) -> None:
    context, found = looked(kind, given, **more)
    np.testing.assert_allclose(found, softmax(energies))
    np.testing.assert_allclose(context, softmax(energies) @ MEMORY)


def test_multi_head_attention() -> None:
    given = {
        "W_q": [[1, 0], [0, 1]],
        "W_k": [[1, 1], [0, 1]],
        "W_v": [[1, 0], [0, 2]],
        "W_o": [[1, 1], [0, 1]],
    }
    context, found = looked("multi_head", given, units=2, heads=2)
    one, other = softmax([0.5, 1.0, 1.0]), softmax([0.0, -2.0, -1.0])
    np.testing.assert_allclose(found, (one + other) / 2)
    parts = np.array([one @ [1, 0, 1], other @ [0, 4, 2]])
    np.testing.assert_allclose(context, [parts.sum(), parts[1]])
    _, scaled = looked("multi_head", given, units=2, heads=1)
    energies = [(0.5 * k0 - k1) / sqrt(2) for k0, k1 in ((1, 0), (2, 2), (2, 1))]
    np.testing.assert_allclose(scaled, softmax(energies))


def test_monotonic_attention() -> None:
    context, found = looked("monotonic", {**ONE, "r": [-1.0]}, units=1)
    p = [1 / (1 + exp(-(2 * tanh(each - 1) - 1))) for each in (3.0, -2.0, 2.0)]
    q = [0.7]
    q.append((1 - p[0]) * q[0] + 0.2)
    q.append((1 - p[1]) * q[1] + 0.1)
    expected = np.array(p) * np.array(q)
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(context, expected @ MEMORY)
    assert initial_attention(node("monotonic"), 3).last.tolist() == [1, 0, 0]


def test_no_steps_give_the_context_zero() -> None:
    kinds: tuple[AttentionKind, ...] = ("dot", "monotonic", "multi_head")
    for kind in kinds:
        empty = initial_attention(node(kind), 0)
        context, after = attend(node(kind), {}, QUERY, np.zeros((0, 2)), empty)
        assert context.tolist() == [0, 0] and after.last.shape == (0,)


def text_plan(**decoder: Any) -> Plan:
    settings = {"embed": 4, "layers": [{"cell": "gru", "units": 4}], "max_steps": 6, **decoder}
    return plan_of(spec_data("N:M", ["words"], [output("out_words")], decoder=settings))[0]


def test_copying_mixes_what_is_written_with_what_is_read() -> None:
    plan = text_plan(attention="general", copy="words")
    decoder = plan.node("decoder")
    assert isinstance(decoder, Decoder)
    weights = {name: np.asarray(v, float) for name, v in strong_weights(plan).items()}
    # "one three other one": the vocabulary of the answer lacks the third, its number is 5 + 2
    row = {"words": [2, 4, 1, 2], "words.copies": [2, 4, 5 + 2, 2]}
    body = Body(plan, decoder, weights, values_of(plan, weights, row))
    found, left = body.advance(0, DecoderState())
    assert np.exp(found).sum() == pytest.approx(1)
    gate = left.last["decoder.hidden"] @ weights["decoder.copy.w"] + weights["decoder.copy.b"][0]
    share = 1 / (1 + exp(-gate))
    read = left.attention["decoder.context"].last
    written = softmax(left.last["decoder.scores"].tolist())
    for number, copied in ((0, 0), (1, 0), (2, read[0] + read[3]), (3, 0), (4, read[1])):
        assert exp(found[number]) == pytest.approx(share * written[number] + (1 - share) * copied)
    assert exp(found[7]) == pytest.approx((1 - share) * read[2])
    assert np.isneginf(found[[5, 6, 8]]).all()
    # fed back it is the unknown
    np.testing.assert_array_equal(body.advance(7, left)[0], body.advance(1, left)[0])


def test_tied_scores_share_the_table() -> None:
    plan = text_plan(tied=True, attention="additive")
    (made,) = (n for n in plan.every_node() if isinstance(n, Scores))
    weights = strong_weights(plan)
    assert made.tied and f"{made.name}.W" not in weights
    (row,) = random_rows(plan, [3])
    (before,) = raw_outputs(plan, weights, [row], [{"out_words": [2, 3, 0]}])["out_words"]
    weights[f"{made.tied}.table"] = weights[f"{made.tied}.table"].copy()
    weights[f"{made.tied}.table"][4] += 1  # a token that is not read, only scored
    (after,) = raw_outputs(plan, weights, [row], [{"out_words": [2, 3, 0]}])["out_words"]
    changed = np.abs(after - before).max(axis=0) > 1e-9
    assert changed.tolist() == [False, False, False, False, True]


@pytest.mark.parametrize("strategy", ["greedy", {"beam": {"width": 3, "n_best": 2}}, "sample"])
def test_scores_of_answers_are_those_of_teacher_forcing(strategy: Any) -> None:
    plan = text_plan(attention="location", input_feeding=True, strategy=strategy)
    weights, rows = strong_weights(plan), random_rows(plan, [4, 0, 1])
    for row, text in zip(rows, answers(plan, weights, rows, [7, 8, 9])["out_words"], strict=True):
        for tokens, score in zip(text.tokens, text.scores, strict=True):
            ended = len(tokens) < 6
            target = [*tokens, *([0] if ended else [])]
            (raw,) = raw_outputs(plan, weights, [row], [{"out_words": target}])["out_words"]
            chances = [np.log(softmax(step.tolist())) for step in raw]
            told = sum(chance[n] for chance, n in zip(chances, target, strict=True))
            assert score == pytest.approx(told)


def test_a_prompt_is_read_after_the_mark() -> None:
    """Reading a prompt is answering it: what follows is scored alike."""
    plan = text_plan()
    (end,) = plan.outputs
    assert isinstance(end, TextOutput)
    weights, (row,) = strong_weights(plan), random_rows(plan, [3])
    (raw,) = raw_outputs(plan, weights, [row], [{"out_words": [3, 2, 4]}])["out_words"]
    exact = {n: np.asarray(v, float) for n, v in weights.items()}
    values = {**values_of(plan, exact, row), "prompt": np.array([3.0, 2.0])}
    task = text_task(plan, replace(end, prompt="prompt"), exact, values)
    found, _, _ = task.read(task.state, task.previous)
    np.testing.assert_allclose(found, raw[2])


NAN = np.nan


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("mean_series", [NAN, -2.0, NAN, 6.0], [0, -2 / (10 / 3), -2 / (10 / 3), 6 / (10 / 3)]),
        ("window_series", [NAN, 1.0, NAN, 3.0], [0, -1, 0, 1]),
        ("window_series", [NAN, NAN], [0, 0]),
        ("window_series", [5.0], [0]),
        ("mean_series", [], []),
    ],
)
def test_windows_scale_themselves(kind: str, given: list[float], expected: list[float]) -> None:
    plan, _ = plan_of(spec_data("N:1", [kind], [output("class")]))
    exact = {n: np.asarray(v, float) for n, v in strong_weights(plan).items()}
    values = values_of(plan, exact, {kind: given})
    np.testing.assert_allclose(values[f"input.{kind}"].ravel(), expected)


def test_missing_numbers() -> None:
    plan, _ = plan_of(spec_data("N:1", ["frames", "series", "vector"], [output("class")]))
    exact = {n: np.asarray(v, float) for n, v in strong_weights(plan).items()}
    frames = [[NAN, 1, 2], [3, NAN, NAN]]
    row = {"frames": frames, "series": [NAN, 4.0, NAN], "vector": [1.0, NAN, 2.0, NAN]}
    row["frames"] = [*frames, [1.0, 2.0, 3.0]]
    values = values_of(plan, exact, row)

    def scaled(name: str, value: float, at: int) -> float:
        mean, deviation = exact[f"input.{name}.mean"][at], exact[f"input.{name}.deviation"][at]
        return float((value - mean) / deviation)

    assert values["input.frames"][0, 0] == values["input.frames"][1, 1] == 0
    assert values["input.frames"][1, 0] == pytest.approx(scaled("frames", 3, 0))
    last = scaled("series", 4, 0)
    np.testing.assert_allclose(values["input.series"].ravel(), [0, last, last])
    expected = [scaled("vector", 1, 0), 0, scaled("vector", 2, 2), 0]
    np.testing.assert_allclose(values["input.vector"], expected)


def forecast(distribution: Any, kind: str = "mean_series", **more: Any) -> Plan:
    target = {
        "column": kind, "as": "forecast", "horizon": HORIZON, "distribution": distribution,
    }  # fmt: skip
    return plan_of(spec_data("N:M", [kind], [target], **more))[0]


@pytest.mark.parametrize(
    ("distribution", "formulas"),
    [
        ("point", [lambda r, s: r[0] * s]),
        ("gaussian", [lambda r, s: r[0] * s, lambda r, s: s * np.log1p(np.exp(r[1]))]),
        (
            "student_t",
            [
                lambda r, s: r[0] * s,
                lambda r, s: s * np.log1p(np.exp(r[1])),
                lambda r, s: 2 + np.log1p(np.exp(r[2])),
            ],
        ),
        (
            "negative_binomial",
            [
                lambda r, s: s * np.log1p(np.exp(r[0])),
                lambda r, s: np.log1p(np.exp(r[1])) / np.sqrt(s),
            ],
        ),
    ],
)
def test_distributions(distribution: str, formulas: Any) -> None:
    plan = forecast(distribution)
    weights, row = strong_weights(plan), {"mean_series": [2.0, -4.0, 6.0]}
    raw = raw_outputs(plan, weights, [row])["mean_series"][0]
    found = answers(plan, weights, [row])["mean_series"][0]
    for step, told in zip(raw, found, strict=True):
        np.testing.assert_allclose(told, [formula(step, 4.0) for formula in formulas])


def test_quantiles_rise() -> None:
    plan = forecast({"quantiles": [0.1, 0.5, 0.9]})
    weights, row = strong_weights(plan), {"mean_series": [2.0, -4.0, 6.0]}
    raw = raw_outputs(plan, weights, [row])["mean_series"][0]
    found = answers(plan, weights, [row])["mean_series"][0]
    np.testing.assert_allclose(found, np.sort(raw * 4, axis=1))
    assert (np.diff(found) >= 0).all() and not (np.diff(raw) >= 0).all()


@pytest.mark.parametrize("distribution", ["point", "gaussian", "negative_binomial"])
def test_a_forecast_is_fed_with_its_own_answers(distribution: str) -> None:
    """Being told its own answers as the truth changes nothing; a missing truth is not told."""
    decoder = {"layers": [{"cell": "gru", "units": 4}]}
    plan = forecast(distribution, "series", decoder=decoder)
    weights, rows = strong_weights(plan), random_rows(plan, [4, 0])
    raw = raw_outputs(plan, weights, rows)["series"]
    told = answers(plan, weights, rows)["series"][:, :, 0]
    np.testing.assert_allclose(
        raw_outputs(plan, weights, rows, [{"series": t} for t in told])["series"], raw
    )
    hidden = [{"series": [told[0][0], NAN, 5.0]}, {"series": [NAN] * 3}]
    np.testing.assert_allclose(raw_outputs(plan, weights, rows, hidden)["series"], raw)
    other = [{"series": [99.0, 99.0, 99.0]}] * 2
    changed = np.abs(raw_outputs(plan, weights, rows, other)["series"] - raw).max(axis=2) > 1e-6
    assert changed.tolist() == [[False, True, True]] * 2
