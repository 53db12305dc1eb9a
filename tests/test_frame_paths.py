"""Paths of frames that a decoder draws: every back end against the reference, and closed forms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import norm

from rnnspec.errors import ExportError
from rnnspec.evaluate.prediction_intervals import interval_of_frames
from rnnspec.export.parity import prove
from rnnspec.plan import Facts, Plan
from rnnspec.plan.names import SEED, answer_name
from rnnspec.plan.nodes import FramesOutput
from rnnspec.reference import answers
from rnnspec.reference.frames import Frames as Written
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.to_torch.frames import Frames
from tests.answers import close
from tests.draws import LEVELS, SEEDS, check_proof
from tests.frame_decoders import LENGTHS, LSTM, again, law, output_of, written
from tests.kinds import batched, feeds, plan_of, random_rows, strong_weights

Array = NDArray[np.float64]
PATHS = {"samples": 5, "quantiles": LEVELS}
PEN = {"mixture": {"components": 3, "correlated": True}}
SPECS = {
    "pen, learned": written(entry=law(PEN, paths=PATHS), max_steps=5, attention="additive"),
    "student_t, learned, reverse": written(
        ("chars",), entry=law("student_t", paths=4), reverse=True, layers=[LSTM], min_steps=1,
        max_steps={"times": 0.7, "plus": 1},
    ),
    "counts, own inputs": written(
        ("frames", "plain_frames"), entry=law("negative_binomial", paths=PATHS), length="input",
        inputs=["plain_frames"],
    ),
    "shares, column": written(
        ("frames", "count"), entry=law("beta", paths=PATHS), length={"column": "count"}
    ),
    "mixture, again": written(
        ("double_frames",), length="input", reverse=True,
        entry=again("double_frames", distribution={"mixture": 2}, paths=PATHS),
    ),
    "1:N, laplace": written(
        ("number",), "1:N", entry=law("laplace", scale="none", paths=PATHS), length=3
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SPECS)
def test_draw_by_draw(name: str) -> None:
    """Every path, and what is answered of them, in a batch and alone."""
    plan, facts = plan_of(SPECS[name])
    given, rows = strong_weights(plan, size=0.8), random_rows(plan, LENGTHS)
    out = output_of(plan)
    exact = {name: value.astype(np.float64) for name, value in given.items()}
    expected = answers(plan, exact, rows, SEEDS)[out.column]
    model = Model(plan).eval()
    model.load_canonical(given)
    session = Session(to_onnx(plan, facts, given, ids=True).SerializeToString(), threads=1)
    for own in (slice(0, 4), slice(1, 2)):
        seeds = torch.tensor(SEEDS[own])
        found = model.answers(batched(plan, rows[own], extra=2, filler=3.7), seeds)[out.column]
        of_file = session.run({**feeds(plan, rows[own], 2, 3.7), SEED: seeds.numpy()})
        assert isinstance(found, Frames)
        for number, true in enumerate(expected[own]):
            _agree(true, _of_module(found, number))
            _agree(true, _of_file(plan, out, of_file, number))


def _of_module(found: Frames, row: int) -> dict[str, Any]:
    assert found.paths is not None
    of_row = {"": found.values, ".lengths": found.lengths, ".errors": found.errors}
    of_row |= {".quantiles": found.parameters, ".scores": found.scores}
    of_row |= {".paths": found.paths.values, ".paths.lengths": found.paths.lengths}
    return {end: each[row].numpy() for end, each in of_row.items() if each is not None}


def _of_file(plan: Plan, out: FramesOutput, found: Any, row: int) -> dict[str, Any]:
    name = answer_name(plan, out)
    return {
        each.removeprefix(name): value[row]
        for each, value in found.items()
        if each.startswith(name)
    }


def _agree(true: Written, found: dict[str, Any]) -> None:
    count = len(true.values)
    assert found[".lengths"] == count
    for end, value in (
        ("", true.values),
        (".quantiles", true.parameters),
        (".errors", true.errors),
    ):
        if value is not None:
            got = found[end].reshape(len(found[end]), -1)
            close(got[:count], value.reshape(count, got.shape[1]), end)
            assert not got[count:].any()
    if true.score is not None:
        assert abs(found[".scores"] - true.score) < 1e-4
    for number, path in enumerate(true.paths):
        steps = found[".paths"][number]
        close(steps[: len(path)], path, "path")
        assert not steps[len(path) :].any()
        if ".paths.lengths" in found:
            assert found[".paths.lengths"][number] == len(path)


@pytest.mark.parametrize("name", ["pen, learned", "counts, own inputs", "mixture, again"])
def test_the_proof_goes_draw_by_draw(name: str) -> None:
    """It holds, and fails of a file whose draws are those of other seeds, and of one whose answers
    are not those of its paths."""
    plan, facts = plan_of(SPECS[name])
    file, model, asked = check_proof(plan, facts, strong_weights(plan, size=0.8))

    class Moved(Session):
        def run(self, feeds: Any) -> Any:
            found = dict(super().run(feeds))
            end = f"{answer_name(plan, output_of(plan))}.quantiles"
            return {**found, end: found[end] * 1.01}

    with pytest.raises(ExportError, match="other frames than those of its paths"):
        prove(Moved(file), model, facts, asked, ids=False)


MANY, STEPS = 4000, 6
MATRIX: Array = np.array([[0.5, 0.3], [-0.4, 0.8]])
SHIFT: Array = np.array([0.2, -0.1])


def walk(distribution: Any, **decoder: Any) -> tuple[Plan, Facts, dict[str, NDArray[np.float32]]]:
    """Of frames y of two numbers, y[0] = 0: raw numbers of y[t - 1] as they are, which weights are
    to be made of."""
    entry = law(distribution, scale="none", paths={"samples": MANY, "quantiles": LEVELS})
    data = written(("number",), "1:N", entry=entry, layers=[{"dense": 2}], **decoder)
    plan, facts = plan_of(data)
    weights = {
        name: np.zeros_like(value) if name.startswith("decoder") else value
        for name, value in strong_weights(plan).items()
    }
    weights["decoder.layers.0.W"][:, :2] = np.eye(2)
    return plan, facts, weights


def drawn(plan: Plan, facts: Facts, weights: Any, seed: int = 11) -> dict[str, Any]:
    session = Session(to_onnx(plan, facts, weights, ids=True).SerializeToString())
    rows = feeds(plan, [{"number": np.array([1.0], np.float32)}])
    return {key: value[0] for key, value in session.run({**rows, SEED: np.array([seed])}).items()}


def test_an_autoregression_in_closed_form() -> None:
    """y[t] = A y[t - 1] + c + noise is normal, of mean (A^(t - 1) + ... + 1) c and covariance the
    sum of A^i D (A^i)^T over i < t."""
    plan, facts, weights = walk("gaussian", length=STEPS)
    deviations = np.array([0.7, 0.4])
    weights["decoder.answer.W"][::2] = MATRIX
    weights["decoder.answer.b"][::2] = SHIFT
    weights["decoder.answer.b"][1::2] = np.log(np.expm1(deviations))
    found = drawn(plan, facts, weights)
    mean, covariance, power = np.zeros(2), np.zeros((2, 2)), np.eye(2)
    for step in range(STEPS):
        mean = mean + power @ SHIFT
        covariance = covariance + power @ np.diag(deviations**2) @ power.T
        power = power @ MATRIX
        spread = np.sqrt(np.diag(covariance))
        levels = norm.ppf(LEVELS, mean[:, None], spread[:, None])
        assert np.abs(found["out_frames.quantiles"][step] - levels).max() < 6 / np.sqrt(MANY)
        seen = np.cov(found["out_frames.paths"][:, step].T)
        np.testing.assert_allclose(seen, covariance, atol=6 * covariance.max() / np.sqrt(MANY))
    np.testing.assert_array_equal(found["out_frames"], found["out_frames.quantiles"][..., 1])


def test_a_pen_moves_as_the_mixture_says() -> None:
    """Of a pen whose moves are drawn from one mixture with correlation, place t has t times the
    mean and t times the covariance of a move: sum w (S + m m^T) - (sum w m)(sum w m)^T."""
    plan, facts, weights = walk(PEN, length=STEPS)
    shares, moves = np.array([0.2, 0.3, 0.5]), np.array([[2.0, 0.0], [-1.0, 1.0], [0.0, -0.5]])
    spreads, turned = np.array([[0.3, 0.5], [0.2, 0.2], [1.0, 0.4]]), np.array([0.9, 0.0, -0.6])
    bias, wide = weights["decoder.answer.b"], weights["decoder.answer.W"]
    bias[:3], bias[3:9], bias[9:15] = (
        np.log(shares),
        moves.ravel(),
        np.log(np.expm1(spreads.ravel())),
    )
    bias[15:18] = np.arctanh(turned / 0.999)
    wide[3:9] = np.tile(np.eye(2), (3, 1))
    found = drawn(plan, facts, weights)["out_frames.paths"].astype(np.float64)
    mean, second = shares @ moves, np.zeros((2, 2))
    for share, move, (a, b), r in zip(shares, moves, spreads, turned, strict=True):
        own = np.array([[a * a, r * a * b], [r * a * b, b * b]])
        second += share * (own + np.outer(move, move))
    covariance = second - np.outer(mean, mean)
    for step in range(STEPS):
        far = 5 * np.sqrt((step + 1) * covariance.max() / MANY)
        np.testing.assert_allclose(found[:, step].mean(0), (step + 1) * mean, atol=far)
        np.testing.assert_allclose(
            np.cov(found[:, step].T), (step + 1) * covariance, atol=far * (step + 1)
        )
    changes = np.diff(found, axis=1, prepend=0.0)
    between = np.corrcoef(changes[:, 1].T, changes[:, 4].T)[:2, 2:]
    assert np.abs(between).max() < 5 / np.sqrt(MANY)  # moves of other steps have nothing in common


def test_paths_end_by_what_they_drew() -> None:
    """A path that ends behind the first number above q has n frames with probability p (1 - p)^(n -
    1), p that of a number above q; a step is answered of the paths that have it."""
    plan, facts, weights = walk("gaussian", max_steps=STEPS)
    weights["decoder.answer.b"][1:4:2] = np.log(np.expm1(1.0))
    weights["decoder.answer.W"][4, 0], weights["decoder.answer.b"][4] = 1.0, -0.6
    found, p = drawn(plan, facts, weights), norm.sf(0.6)
    lengths, paths = found["out_frames.paths.lengths"], found["out_frames.paths"]
    for count in range(1, STEPS):
        share = p * (1 - p) ** (count - 1)
        assert abs((lengths == count).mean() - share) < 4 * np.sqrt(share / MANY)
    assert found["out_frames.lengths"] == np.sort(lengths)[(MANY - 1) // 2] == 3
    assert (lengths > 0).all() and len(found["out_frames"]) == 3 and paths.shape[1] == STEPS
    for step in range(3):
        own = paths[lengths > step, step]
        levels = np.quantile(own.astype(np.float64), LEVELS, axis=0).T
        np.testing.assert_allclose(found["out_frames.quantiles"][step], levels, atol=1e-6)


def test_the_band_of_frames() -> None:
    """From 0.1 to 0.9 of each step by itself, of each number; of paths between their quantiles."""
    point = FramesOutput("o", "d", "c", 2, "fixed")
    node = replace(point, distribution="gaussian")
    band = interval_of_frames(node, np.array([[1.0, 2.0, -3.0, 0.5]]))
    assert band is not None and band[0] == "80 % band"
    ends = norm.ppf([[0.1], [0.9]], [1.0, -3.0], [2.0, 0.5])
    np.testing.assert_allclose(np.concatenate(band[1:]), ends, atol=1e-9)
    of_paths = replace(node, quantiles=(0.05, 0.5, 0.75), paths=9)
    band = interval_of_frames(of_paths, np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]))
    assert band is not None and band[0] == "70 % band"
    np.testing.assert_array_equal(np.concatenate(band[1:]), [[1.0, 4.0], [3.0, 6.0]])
    assert interval_of_frames(point, np.zeros((1, 2))) is None
