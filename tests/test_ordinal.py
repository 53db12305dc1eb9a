"""Labels that have an order: their probabilities, metrics, data, and a build to its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, cohen_kappa_score, mean_absolute_error
from statsmodels.miscmodels.ordinal_model import OrderedModel

import rnnspec
from rnnspec.data import survey
from rnnspec.errors import DataError
from rnnspec.evaluate.metrics import ClassMetrics
from rnnspec.plan import nodes
from rnnspec.reference.interpret import values_of
from rnnspec.reference.layers import LAYERS
from rnnspec.source.text import Source
from rnnspec.spec.load import load_source
from rnnspec.to_torch.layers import Ordinal
from tests.kinds import output, plan_of, spec_data

SPEC = """
name: reviews
cardinality: N:1
data:
  train: rows.csv
  input: {column: text, as: words}
  output: {column: stars, as: ordinal, labels: [1, 2, 3]}
encoder: {embed: 6, layers: [{cell: gru, units: 8}]}
train: {epochs: 40, batch: 4, optimizer: {adam: {lr: 0.03}}, threads: 1}
"""
WORDS = {"bad": "1", "fair": "2", "good": "3"}


@pytest.mark.parametrize("gaps", [[], [0.5], [-1.0, 2.0, 0.25]])
def test_probabilities_are_those_of_an_ordered_logit(gaps: list[float]) -> None:
    """statsmodels' parameters are the slope, the first cut, and ln of what is between the cuts."""
    classes, numbers = len(gaps) + 2, np.linspace(-4, 5, 7)
    module = Ordinal(nodes.Ordinal("o", "s", classes)).double()
    if gaps:
        module.gaps.data[:] = torch.tensor(gaps)
    logs = module(torch.from_numpy(numbers[:, None]))
    truth = np.arange(7) % classes
    model = OrderedModel(truth, numbers[:, None], distr="logit")
    between: list[float] = np.log(np.logaddexp(0, gaps)).tolist()
    parameters = np.array([1.0, 0.0, *between])
    expected = model.predict(parameters)
    np.testing.assert_allclose(logs.exp().detach().numpy(), expected, rtol=1e-9)
    each = -logs[torch.arange(7), torch.from_numpy(truth)]
    assert each.sum().item() == pytest.approx(-model.loglike(parameters))


def test_the_reference_agrees_and_what_is_far_has_a_finite_loss() -> None:
    plan, _ = plan_of(spec_data("1:1", ["vector"], [output("ordinal")]))
    (node,) = (each for each in plan.nodes if isinstance(each, nodes.Ordinal))
    gaps, numbers = np.array([0.3, -0.7]), np.array([[-3.0], [0.5], [4.0]])
    naive = LAYERS[nodes.Ordinal](plan, node, {f"{node.name}.gaps": gaps}, {node.source: numbers})
    module = Ordinal(node).double()
    module.gaps.data[:] = torch.from_numpy(gaps)
    found = module(torch.from_numpy(numbers))
    np.testing.assert_allclose(found.detach().numpy(), naive, rtol=1e-9)
    far = torch.tensor([[-500.0], [500.0]], requires_grad=True)
    logs = module.float()(far)
    (gradient,) = torch.autograd.grad(logs.sum(), far)
    assert torch.isfinite(logs).all() and torch.isfinite(gradient).all()
    assert logs[0, 3].item() == pytest.approx(-500, abs=5)


def test_metrics_are_those_of_scikit_learn() -> None:
    draw = np.random.default_rng(3)
    true, answered = draw.integers(0, 4, 200), draw.integers(0, 4, 200)
    answered = np.where(draw.random(200) < 0.6, true, answered)
    metrics = ClassMetrics(4, ordered=True)
    for part in (slice(0, 50), slice(50, 200)):
        answers = torch.nn.functional.one_hot(torch.from_numpy(answered[part]), 4).double()
        metrics.add(answers, torch.from_numpy(true[part]))
    found = metrics.values()
    assert set(found) == set(metrics.names())
    assert found["accuracy"] == pytest.approx(accuracy_score(true, answered))
    assert found["rank_error"] == pytest.approx(mean_absolute_error(true, answered))
    kappa = cohen_kappa_score(true, answered, weights="quadratic")
    assert found["kappa"] == pytest.approx(kappa)
    alone = ClassMetrics(3, ordered=True)
    alone.add(torch.eye(3)[[1, 1]], torch.tensor([1, 1]))
    assert np.isnan(alone.values()["kappa"]) and alone.values()["rank_error"] == 0


def test_labels_are_in_the_stated_order_and_no_others(tmp_path: Path) -> None:
    spec = load_source(Source.of(SPEC, "spec.yaml"), Path("spec.yaml")).spec
    rows = tmp_path / "rows.csv"
    rows.write_text("text,stars\nbad,1\ngood,3\ngood,3\n")
    known = survey(spec, rows).outputs["stars"]
    assert (known.labels, known.counts, known.ordered) == (("1", "2", "3"), (1, 0, 2), True)  # type: ignore[union-attr]
    rows.write_text("text,stars\nbad,1\ngood,5\n")
    with pytest.raises(DataError) as caught:
        survey(spec, rows)
    assert "rows.csv:3: column 'stars' is '5', none of the labels 1, 2, 3; " in str(caught.value)


def test_a_build_is_measured_reported_and_exported(tmp_path: Path) -> None:
    rows = [{"text": word, "stars": int(stars)} for word, stars in WORDS.items()] * 4
    spec = rnnspec.load(SPEC.replace("  train: rows.csv\n", ""))
    build = spec.build(tmp_path / "builds", data={"train": rows, "valid": rows})
    scores = build.evaluate(rows)
    assert scores.metrics["accuracy"] == 1 and scores.metrics["kappa"] == 1
    assert scores.metrics["rank_error"] == 0
    assert build.report is not None
    assert "How many places the answer is off" in build.report.read_text()
    exported = build.export(tmp_path / "model.onnx")
    model = rnnspec.open(exported.path)
    answers = model.predict([{"text": word} for word in WORDS])
    assert [answer["stars"] for answer in answers] == list(WORDS.values())
    with pytest.raises(DataError, match="none of the labels 1, 2, 3"):
        build.evaluate([{"text": "good", "stars": 4}])


def test_steps_are_answered_by_proportional_odds(tmp_path: Path) -> None:
    """Every back end gives each step the probabilities of the ordered logit of its number, and the
    loss is that of the true labels."""
    text = """
name: moods
cardinality: N:N
data:
  input: {column: x, as: frames}
  output: {column: mood, as: tags, labels: [low, mid, high]}
encoder: {layers: [{cell: gru, units: 3}]}
train: {epochs: 1, batch: 4, threads: 1}
"""
    rows: list[dict[str, Any]] = [
        {"x": [[0.5], [-1.0], [2.0]], "mood": ["mid", None, "high"]},
        {"x": [[1.5]], "mood": ["low"]},
    ] * 3
    build = rnnspec.load(text).build(tmp_path / "builds", data={"train": rows, "valid": rows})
    metrics, model = build.evaluate(rows).metrics, build.module.model
    exact = {name: v.astype(np.float64) for name, v in model.canonical_arrays().items()}
    total, hits = list[float](), list[int]()
    found = rnnspec.open(build.export(tmp_path / "moods.onnx").path).predict(rows)
    for row, answer in zip(rows, found, strict=True):
        values = values_of(model.plan, exact, {"x": np.asarray(row["x"], np.float64)})
        logs, number = values["answer.ordered"], values["answer"][:, 0]
        between = [float(np.log(np.logaddexp(0, exact["answer.ordered.gaps"][0])))]
        logit = OrderedModel(np.arange(3), np.arange(3.0)[:, None], distr="logit")
        shares = logit.predict(np.array([1.0, 0.0, *between]), number[:, None])
        np.testing.assert_allclose(np.exp(logs), shares, rtol=1e-6)
        np.testing.assert_allclose(answer["mood.probabilities"], shares.max(1), rtol=1e-4)
        for step, mood in enumerate(row["mood"]):
            if mood is not None:
                place = ["low", "mid", "high"].index(mood)
                total.append(-np.log(shares[step, place]))
                hits.append(abs(int(shares[step].argmax()) - place))
    assert metrics["loss"] == pytest.approx(np.mean(total), rel=1e-4)
    assert metrics["rank_error"] == pytest.approx(np.mean(hits))
    assert {"kappa", "accuracy"} <= metrics.keys()
