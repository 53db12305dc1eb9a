"""A language model whose vectors also score the next token: one matrix everywhere."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnspec.cells.initializers import Uniform
from rnnspec.export.probes import probes
from rnnspec.export.write import export_onnx
from rnnspec.plan import weights
from rnnspec.plan.nodes import Vectors
from rnnspec.reference import raw_outputs
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from tests.kinds import batched, plan_of, random_rows, spec_data, strong_weights
from tests.onnx_models import initializers
from tests.test_streams import trained
from tests.test_to_c import proven

TIED = spec_data("N:N", ["words"], [{"column": "words", "as": "next"}], head={"tied": True})


def test_the_file_has_the_matrix_once() -> None:
    plan, facts = plan_of(TIED)
    held = strong_weights(plan)
    file = to_onnx(plan, facts, held)
    table = held["embed.table"]
    alike = [n for n, each in initializers(file).items() if np.prod(each.dims) == table.size]
    assert alike == ["embed.table"]
    assert "answer.W" not in held and held["answer.b"].shape == (len(table),)


def test_scores_are_products_with_the_vectors_that_are_read() -> None:
    plan, _ = plan_of(TIED)
    held, (row,) = strong_weights(plan), random_rows(plan, [3])
    (before,) = raw_outputs(plan, held, [row])["words"]
    moved = {name: value.copy() for name, value in held.items()}
    other = next(n for n in range(2, len(held["embed.table"])) if n not in row["words"])
    moved["embed.table"][other] *= 2  # of a word that is not read, only scored
    (after,) = raw_outputs(plan, moved, [row])["words"]
    bias = held["answer.b"][other]
    np.testing.assert_allclose(after[:, other] - bias, 2 * (before[:, other] - bias))
    np.testing.assert_allclose(np.delete(after, other, 1), np.delete(before, other, 1))


def test_the_gradient_is_that_of_both_uses() -> None:
    """That of a word that is scored alone is not 0."""
    plan, facts = plan_of(TIED)
    model = Model(plan)
    model.start(facts, seed=0)
    row = random_rows(plan, [3])[0]
    scores = model(batched(plan, [row]))["words"]
    torch.nn.functional.cross_entropy(scores[0], torch.tensor([2, 3, 2])).backward()
    gradient = model.get_parameter("parts.embed.table").grad
    assert gradient is not None
    unread = [n for n in range(len(gradient)) if n not in row["words"]]
    assert unread and bool(gradient[unread].any(dim=1).all())


def test_vectors_start_as_a_matrix_of_scores_does() -> None:
    plan, _ = plan_of(TIED)
    (table,) = (each for each in weights(plan) if each.name == "embed.table")
    assert table.initializer == Vectors(False, Uniform(0.5))


def test_streams_and_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("write", "c"):
        monkeypatch.setattr(f"rnnspec.export.{place}.probes", partial(probes, seeds=1))
    build = trained(TIED)
    assert export_onnx(build, tmp_path / "model.onnx", stream=True).difference < 1e-5
    proven(build, tmp_path)
