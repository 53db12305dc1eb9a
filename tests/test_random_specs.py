"""Random specs: every one loads, builds, trains a step, exports, and agrees in every back end.

`pytest tests/test_random_specs.py --random-specs 1000` runs the full number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, seed, settings

from rnnspec.export.parity import prove
from rnnspec.export.probes import Probe, probes
from rnnspec.plan import Facts, NumericFacts, TextFacts, Vocabulary, resolve
from rnnspec.plan.facts import ClassFacts, ColumnFacts
from rnnspec.reference import answers
from rnnspec.run.session import Session
from rnnspec.source.emit import to_yaml
from rnnspec.source.text import Source
from rnnspec.spec import Spec
from rnnspec.spec.load import load_source
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.train.losses import loss_of
from rnnspec.train.optimizers import optimizer_of
from tests.random_specs import specs

IN: dict[str, ColumnFacts] = {
    "words": TextFacts(Vocabulary(("one", "two", "three")), longest=4),
    "chars": TextFacts(Vocabulary(tuple("abcde")), longest=4),
    "frames": NumericFacts(3, (0.5, 1.0, -2.0), (1.0, 0.3, 4.0), longest=4),
}
OUT: dict[str, ColumnFacts] = {
    "class": ClassFacts(("a", "b", "c")),
    "number": NumericFacts(1, (5.0,), (2.0,)),
    "vector": NumericFacts(2, (5.0, 0.0), (2.0, 1.0)),
}


def facts_of(spec: Spec) -> Facts:
    return Facts(
        20,
        {"given": IN[spec.data.input.as_]},
        {"wanted": OUT[spec.data.output.as_]},
    )


def tensors(probe: Probe) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    return {c: (torch.from_numpy(v), torch.from_numpy(n)) for c, (v, n) in probe.padded.items()}


def train_a_step(model: Model, spec: Spec, probe: Probe) -> None:
    model.train()
    (node,) = model.plan.outputs
    part = model.output("wanted")
    scores = model(tensors(probe))["wanted"]
    classes = spec.data.output.as_ == "class"
    target = torch.zeros(len(scores), dtype=torch.int64) if classes else torch.ones_like(scores)
    loss = loss_of(node, part, "auto")(scores, target)
    optimizer = optimizer_of(spec.train.optimizer, model.parameters())
    loss.backward()
    optimizer.step()
    assert np.isfinite(loss.item())
    assert all(bool(p.isfinite().all()) for p in model.parameters())


def rows_alone(probe: Probe) -> list[dict[str, Any]]:
    values, lengths = probe.padded["given"]
    return [{"given": value[:length]} for value, length in zip(values, lengths, strict=True)]


def agrees_everywhere(data: dict[str, Any]) -> None:
    text = to_yaml(data)
    spec = load_source(Source.of(text, "random.yaml"), Path("random.yaml")).spec
    facts = facts_of(spec)
    plan = resolve(spec, facts)
    drawn = list(probes(plan, facts, seeds=1))
    model = Model(plan)
    model.start(facts, seed=1)
    train_a_step(model, spec, drawn[3])
    model.eval()
    weights = model.canonical_arrays()
    generic = Model(plan, generic=True).eval()
    generic.load_canonical(weights)
    for probe in drawn[:3]:
        expected = answers(plan, weights, rows_alone(probe))["wanted"]
        for module in (model, generic):
            got = module.answers(tensors(probe))["wanted"].detach().numpy()
            np.testing.assert_allclose(got, expected, atol=1e-4, rtol=1e-4)
    for only_scan in (False, True):
        file = to_onnx(plan, facts, weights, generic=only_scan)
        prove(Session(file.SerializeToString()), model, facts, drawn, ids=False)


def test_random_specs_agree_everywhere(request: pytest.FixtureRequest) -> None:
    count = int(request.config.getoption("--random-specs"))

    @seed(0)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(specs())
    def check(data: dict[str, Any]) -> None:
        agrees_everywhere(data)

    check()
