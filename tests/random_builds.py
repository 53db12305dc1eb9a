"""Builds with random weights, without a folder, to export."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rnnspec.plan import Facts, Plan, resolve
from rnnspec.plan.facts import END_ID
from rnnspec.spec import Spec
from rnnspec.store.folder import BuildFolder, Trained
from tests.kinds import facts_of, strong_weights


def trained(data: Mapping[str, Any], size: float = 0.6) -> Trained:
    """A build of a spec of `tests.kinds.spec_data`; texts seldom end early."""
    spec = Spec.model_validate(data)
    facts = facts_of(spec)
    plan = resolve(spec, facts)
    weights = strong_weights(plan, size=size)
    for name in ("scores.b", "answer.b"):
        for each in (each for each in weights if each.endswith(name) and len(weights[each]) > 3):
            weights[each][END_ID] -= 3
    return build_of(spec, plan, facts, weights)


def build_of(spec: Spec, plan: Plan, facts: Facts, weights: Any) -> Trained:
    return Trained(BuildFolder(Path("nowhere")), spec, plan, facts, weights)
