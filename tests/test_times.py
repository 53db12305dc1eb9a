"""Times of which some had not ended: data, loss, and the concordance index."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

import rnnspec
from rnnspec.data import Reading, encode, survey
from rnnspec.errors import DataError
from rnnspec.evaluate.metrics.times import ConcordanceSums, concordance
from rnnspec.objective.losses import law_loss
from rnnspec.plan import resolve
from rnnspec.plan.nodes import Law
from rnnspec.source.text import Source
from rnnspec.spec.load import load_source
from rnnspec.spec.losses import AUTO

SPEC = """
name: machines
cardinality: 1:1
data:
  train: rows.csv
  input: {column: load, as: number}
  output: {column: days, as: number, distribution: {weibull: {censored: running}}}
train: {epochs: 60, batch: 16, optimizer: {adam: {lr: 0.05}}, threads: 1}
"""


def test_a_time_that_had_not_ended_is_learned_by_its_survival() -> None:
    scale, shape, times = np.array([1.5, 2.0]), np.array([0.8, 3.0]), np.array([0.7, 1.2])
    law = Law("weibull", (), 0, False)
    parameters = torch.from_numpy(np.stack([scale, shape], -1))
    unit, known = torch.ones(1).double(), torch.ones(2, 1, dtype=torch.bool)
    of_scipy = stats.weibull_min(shape, scale=scale)
    for true, expected in ((times, -of_scipy.logpdf(times)), (-times, -of_scipy.logsf(times))):
        found = law_loss(law, parameters, unit, torch.from_numpy(true)[:, None], known, AUTO)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)


def by_hand(times: np.ndarray, over: np.ndarray, answers: np.ndarray) -> float:
    """All pairs, one by one."""
    pairs, right = 0, 0.0
    for i in range(len(times)):
        for j in range(len(times)):
            first = times[i] < times[j] or (times[i] == times[j] and not over[j])
            if over[i] and i != j and first:
                pairs += 1
                right += (answers[i] < answers[j]) + 0.5 * (answers[i] == answers[j])
    return right / pairs if pairs else float("nan")


@pytest.mark.parametrize("seed", range(12))
def test_concordance_is_that_of_all_pairs(seed: int) -> None:
    draw = np.random.default_rng(seed)
    rows = int(draw.integers(1, 60))
    times = draw.integers(1, 12, rows).astype(float)
    over = draw.random(rows) < (0.0, 0.5, 1.0)[seed % 3]
    answers = draw.integers(0, 8, rows) / 4
    found, expected = concordance(times, over, answers), by_hand(times, over, answers)
    assert found == pytest.approx(expected, nan_ok=True)
    sums = ConcordanceSums()
    for part in (slice(0, rows // 2), slice(rows // 2, rows)):
        signed = torch.from_numpy(np.where(over, times, -times)[part])
        sums.add(torch.from_numpy(answers[part]), signed)
    assert sums.value == pytest.approx(expected, nan_ok=True)


def test_the_column_is_read_beside_the_times(tmp_path: Path) -> None:
    spec = load_source(Source.of(SPEC, "spec.yaml"), Path("spec.yaml")).spec
    rows = tmp_path / "rows.csv"
    rows.write_text("load,days,running\n1,3,0\n2,5,1\n3,2,0\n")
    facts = survey(spec, rows)
    plan, reading = resolve(spec, facts), Reading.of(spec)
    data = encode(plan, facts, rows, reading, tmp_path / "cache")
    assert data.collate(np.arange(3)).targets["days"].ravel().tolist() == [3, -5, 2]
    rows.write_text("load,days,running\n1,3,0\n2,5,2\n")
    with pytest.raises(DataError) as caught:
        encode(plan, facts, rows, reading, tmp_path / "cache")
    message = "rows.csv:3: column 'running' has 2 where 1 or 0 says whether a time had not ended"
    assert message in str(caught.value)


def test_times_that_nothing_is_known_of(tmp_path: Path) -> None:
    """With `skip` nothing need be said of a time that is missing; where no time had ended, nothing
    says how long one is."""
    text = SPEC.replace("as: number, distribution", "as: number, missing: skip, distribution")
    spec = load_source(Source.of(text, "spec.yaml"), Path("spec.yaml")).spec
    rows = tmp_path / "rows.csv"
    rows.write_text("load,days,running\n1,3,0\n2,,\n3,2,1\n4,,1\n")
    facts = survey(spec, rows)
    reading = Reading.of(spec)
    data = encode(resolve(spec, facts), facts, rows, reading, tmp_path / "cache")
    found = data.collate(np.arange(4)).targets["days"].ravel()
    np.testing.assert_array_equal(found, [3, np.nan, -2, np.nan])
    rows.write_text("load,days,running\n1,3,0\n2,4,\n")
    with pytest.raises(DataError, match=r"rows\.csv:3: column 'running' is missing"):
        encode(resolve(spec, facts), facts, rows, reading, tmp_path / "cache")
    rows.write_text("load,days,running\n1,3,1\n2,4,1\n3,,\n")
    with pytest.raises(DataError, match="'days' has no time that had ended in any training row"):
        survey(spec, rows)


def test_a_build_learns_what_lies_beyond_the_end(tmp_path: Path) -> None:
    """Of times cut off at 1 the median of what is learned is beyond it, as the true one."""
    draw = np.random.default_rng(0)
    true = stats.weibull_min(2.0, scale=2.0).rvs(300, random_state=draw)
    rows = [
        {"load": n % 7 / 7, "days": float(min(t, 1.5)), "running": bool(t > 1.5)}
        for n, t in enumerate(true)
    ]
    spec = rnnspec.load(SPEC.replace("  train: rows.csv\n", ""))
    build = spec.build(tmp_path / "builds", data={"train": rows})
    (answer,) = build.predict([{"load": 0.5}])
    assert 1.5 < answer["days"] < 2.0  # 2 ln(2)^(1 / 2) = 1.67
    assert answer["days.scale"] == pytest.approx(2.0, abs=0.3)
    metrics = build.evaluate(rows).metrics
    assert {"mae", "rmse", "concordance"} <= set(metrics) and 0.3 < metrics["concordance"] < 0.7
    ended = np.array([row["days"] for row in rows if not row["running"]])
    assert metrics["mae"] == pytest.approx(np.abs(ended - answer["days"]).mean(), rel=0.2)
    exported = build.export(tmp_path / "model.onnx")
    (of_file,) = rnnspec.open(exported.path).predict([{"load": 0.5}])
    assert of_file == pytest.approx(answer)
