"""The plans of the conformance suites, in one list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from rnnspec.plan import Plan
from tests import ctc, decoders, layers


def every_plan() -> Iterator[tuple[str, Plan]]:
    """The plans of the conformance suites."""
    yield from ((name, layers.plan(name)) for name in layers.PLANS)
    yield from ((name, decoders.plan(name)) for name in decoders.SPECS)
    yield from ((name, ctc.plan_and_facts(name)[0]) for name in ctc.ALL)


def traits(plan: Plan) -> set[tuple[str, str, object]]:
    """What the nodes of a plan are: their types, and of each the settings that are words or flags,
    and the kinds of their searches and cells."""
    found: set[tuple[str, str, object]] = set()
    for node in plan.every_node():
        kind = type(node).__name__
        found.add((kind, "", ""))
        for field in fields(node):
            value = getattr(node, field.name)
            if field.name in ("name", "source", "column", "key"):
                continue
            if isinstance(value, bool) or (isinstance(value, str) and value.isidentifier()):
                found.add((kind, field.name, value))
            elif field.name == "search":
                found.add((kind, field.name, type(value).__name__))
            elif field.name == "cell":
                found.add((kind, field.name, bool(value.inputs)))
    return found


def covering() -> dict[str, Plan]:
    """Of the plans those with a trait that none before them has."""
    seen: set[tuple[str, str, object]] = set()
    found: dict[str, Plan] = {}
    for name, plan in every_plan():
        new = traits(plan) - seen
        if new:
            found[name] = plan
            seen |= new
    return found


PLANS = covering()
