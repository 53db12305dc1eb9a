"""Answers by chance, and the proof that a file draws as its module does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from rnnspec.errors import ExportError
from rnnspec.export.parity import prove
from rnnspec.export.probes import Probe, probes
from rnnspec.plan import Facts, Plan
from rnnspec.plan.names import SEED
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model

SEEDS = (3, -(2**63), 2**63 - 1, 0)
LEVELS = [0.1, 0.5, 0.75]


class _OtherSeeds(Session):
    def run(self, feeds: Any) -> Any:
        return super().run({**feeds, SEED: feeds[SEED] + 1})


def check_proof(plan: Plan, facts: Facts, weights: Any) -> tuple[bytes, Model, Sequence[Probe]]:
    """The proof holds, and fails of a file whose draws are those of other seeds. What was
    compared: the file, the module and the probes."""
    model = Model(plan).eval()
    model.load_canonical(weights)
    file = to_onnx(plan, facts, model.canonical_arrays()).SerializeToString()
    asked = list(probes(plan, facts, seeds=1))
    assert prove(Session(file), model, facts, asked, ids=False).difference < 1e-5
    with pytest.raises(ExportError, match="differs from the trained module"):
        prove(_OtherSeeds(file), model, facts, asked, ids=False)
    return file, model, asked
