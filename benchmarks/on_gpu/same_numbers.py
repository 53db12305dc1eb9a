"""Every plan of the conformance suites on the device, beside float64 on the CPU."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from on_gpu.clock import Machine
from rnnspec.data import Batch
from rnnspec.objective.objective import Objective
from rnnspec.plan import Plan
from rnnspec.spec import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from tests.every_plan import PLANS, every_plan
from tests.kinds import batched, random_rows, strong_weights
from tests.targets import random_targets

LENGTHS = (5, 1, 0, 3)
LIMITS = {"float32": 2e-3, "bfloat16": 0.15, "float16": 0.05}
"""Largest difference of the gradient from that in float64, as a share of its norm; the loss alike.
Small weights and inputs of size 1: what remains is what the type itself costs."""


def conformance(machine: Machine, names: int | None = None) -> dict[str, Any]:
    """By precision: plans, the median and worst difference, and what was beyond its limit."""
    found: dict[str, Any] = {}
    for kind in LIMITS:
        far: dict[str, float] = {}
        failed: dict[str, str] = {}
        for name, plan in _plans(names):
            try:
                far[name] = _difference(plan, Precision(machine.device, kind))  # type: ignore[arg-type]
            except Exception as error:
                failed[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:160]}"
        beyond = {n: each for n, each in far.items() if not each <= LIMITS[kind]}
        row = {
            "plans": len(far) + len(failed),
            "median": float(np.median(list(far.values()) or [math.nan])),
            "worst": max(far.values(), default=math.nan),
            "beyond": beyond,
            "failed": failed,
        }
        found[kind] = row
        print(
            f"  {kind:<9} {row['plans']:4} plans   median difference {row['median']:.1e}"
            f"   worst {row['worst']:.1e}   beyond {LIMITS[kind]}: {len(beyond)}"
            f"   failed: {len(failed)}"
        )
        for name, why in [*failed.items(), *((n, f"{v:.2g}") for n, v in beyond.items())]:
            print(f"    {name}: {why}")
    return found


def _plans(names: int | None) -> Iterator[tuple[str, Plan]]:
    every = every_plan() if names is None else iter(list(PLANS.items())[:names])
    yield from every


def _difference(plan: Plan, precision: Precision) -> float:
    inputs = batched(plan, random_rows(plan, LENGTHS))
    arrays = {key: (values.numpy(), lengths.numpy()) for key, (values, lengths) in inputs.items()}
    batch = Batch(arrays, random_targets(plan, LENGTHS))
    exact, expected = _taught(plan, batch, Precision(name="float64"))
    loss, found = _taught(plan, batch, precision)
    norm = float(expected.norm())
    return max(abs(loss - exact) / max(1.0, abs(exact)), float((found - expected).norm()) / norm)


def _taught(plan: Plan, batch: Batch, precision: Precision) -> tuple[float, torch.Tensor]:
    """The loss and the gradient of all weights, in one vector of float64 on the CPU."""
    model = Model(plan).eval()
    model.load_canonical(strong_weights(plan, size=0.3))
    model.to(precision.device, precision.weights)
    forward = Objective(model, Train())(batch, precision)
    forward.loss.backward()
    model.answers(forward.inputs)
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return float(forward.loss.detach()), torch.cat([g.double().cpu().flatten() for g in gradients])
