"""Alignments: torch and ONNX answer what the reference does, token for token and step for step,
alone and in a batch, in rows of unequal lengths and of none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rnnspec.reference import answers, raw_outputs
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from tests import ctc
from tests.kinds import batched, feeds, random_rows, strong_weights
from tests.onnx_models import assert_no_texts

LENGTHS = (5, 1, 0, 3, 12)
SIZE = 2.0
"""Of the weights: large enough for answers of several tokens."""


def size_of(name: str) -> float:
    """Smaller for beams of transducers: of a text of one token again and again, many orders tie."""
    return 1.2 if name in ctc.TRANSDUCER_BEAMS else SIZE


@pytest.mark.parametrize("name", ctc.ALL)
def test_torch_reads_what_the_reference_does(name: str) -> None:
    plan, _ = ctc.plan_and_facts(name)
    weights, rows = strong_weights(plan, size=size_of(name)), random_rows(plan, LENGTHS)
    (expected,) = answers(plan, weights, rows).values()
    model = Model(plan).eval()
    model.load_canonical(weights)
    (column,) = (out.column for out in plan.outputs)

    def answered(batch: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> list[ctc.Read]:
        with torch.no_grad():
            return ctc.of_torch(model.answers(batch, aligned=True)[column])  # type: ignore[arg-type]

    together = answered(batched(plan, rows, extra=2, filler=3.7))
    for number, row in enumerate(rows):
        one = ctc.of_reference(expected[number])
        ctc.agree(one, together[number], f"row {number} of the batch")
        (alone,) = answered(batched(plan, [row]))
        ctc.agree(one, alone, f"row {number} alone")


@pytest.mark.parametrize("name", ctc.SPECS)
def test_torch_scores_steps_as_the_reference_does(name: str) -> None:
    plan, _ = ctc.plan_and_facts(name)
    weights, rows = strong_weights(plan, size=SIZE), random_rows(plan, LENGTHS)
    model = Model(plan).eval()
    model.load_canonical(weights)
    (column,) = (out.column for out in plan.outputs)
    with torch.no_grad():
        logs = model(batched(plan, rows, extra=2, filler=3.7))[column].exp().numpy()
    for number, exact in enumerate(raw_outputs(plan, weights, rows)[column]):
        np.testing.assert_allclose(logs[number, : len(exact)], np.exp(exact), atol=1e-4)
        assert (logs[number, len(exact) :, 0] == 1).all(), "past a row's end the blank is certain"


@pytest.mark.parametrize("name", ctc.TRANSDUCERS)
def test_torch_scores_the_arcs_of_a_text_as_the_reference_does(name: str) -> None:
    plan, _ = ctc.plan_and_facts(name)
    weights, rows = strong_weights(plan), random_rows(plan, LENGTHS)
    model = Model(plan).eval()
    model.load_canonical(weights)
    (column,) = (out.column for out in plan.outputs)
    truth = [[2, 3, 0], [0], [4, 0], [3, 3, 2, 0], [1, 0]]
    numbers = torch.full((len(truth), 4), -1)
    for into, one in zip(numbers, truth, strict=True):
        into[: len(one)] = torch.tensor(one)
    with torch.no_grad():
        found = model(batched(plan, rows, extra=2, filler=3.7), {column: numbers})[column]
    exact = raw_outputs(plan, weights, rows, [{column: one} for one in truth])[column]
    for number, one in enumerate(exact):
        steps, count = one.shape[:2]
        arcs = found[number].exp().numpy()
        np.testing.assert_allclose(arcs[:steps, :count], np.exp(one), atol=1e-5)
        assert (arcs[steps:, :count] == [1, 0]).all(), "past a row's end the blank is certain"


@pytest.mark.parametrize("name", ctc.ALL)
def test_onnx_reads_what_the_reference_does(name: str) -> None:
    plan, facts = ctc.plan_and_facts(name)
    weights, rows = strong_weights(plan, size=size_of(name)), random_rows(plan, LENGTHS)
    (expected,) = answers(plan, weights, rows).values()
    file = to_onnx(plan, facts, weights, ids=True, attention=True)
    assert_no_texts(file)
    session = Session(file.SerializeToString(), threads=1)
    together = ctc.of_onnx(plan, session.run(feeds(plan, rows, 2, 3.7)))
    for number, row in enumerate(rows):
        one = ctc.of_reference(expected[number])
        ctc.agree(one, together[number], f"row {number} of the batch")
        (alone,) = ctc.of_onnx(plan, session.run(feeds(plan, [row])))
        ctc.agree(one, alone, f"row {number} alone")


@pytest.mark.parametrize("name", ["greedy", "beam", "narrow beam"])
def test_equal_candidates_are_in_one_order(name: str) -> None:
    """With scores of 0 every token is as probable at every step."""
    plan, facts = ctc.plan_and_facts(name)
    weights = strong_weights(plan)
    weights |= {key: 0 * weights[key] for key in ("answer.W", "answer.b")}
    rows = random_rows(plan, LENGTHS)
    (expected,) = answers(plan, weights, rows).values()
    model = Model(plan).double().eval()
    model.load_canonical(weights)
    batch = {
        key: (value.double() if value.is_floating_point() else value, lengths)
        for key, (value, lengths) in batched(plan, rows).items()
    }
    (found,) = model.answers(batch, aligned=True).values()
    file = to_onnx(plan, facts, weights, ids=True, attention=True)
    session = Session(file.SerializeToString(), threads=1)
    in_onnx = ctc.of_onnx(plan, session.run(feeds(plan, rows)))
    for number, one in enumerate(map(ctc.of_reference, expected)):
        ctc.agree(one, ctc.of_torch(found)[number], f"torch, row {number}")  # type: ignore[arg-type]
        ctc.agree(one, in_onnx[number], f"onnxruntime, row {number}")
