"""The plan: a model with every size resolved, in the middle between the spec and the back ends."""

from rnnspec.plan.dump import dump
from rnnspec.plan.facts import ClassFacts, Facts, NumericFacts, PositionFacts, TextFacts, Vocabulary
from rnnspec.plan.nodes import Plan, Weight, weights
from rnnspec.plan.resolve import resolve

__all__ = [
    "ClassFacts",
    "Facts",
    "NumericFacts",
    "Plan",
    "PositionFacts",
    "TextFacts",
    "Vocabulary",
    "Weight",
    "dump",
    "resolve",
    "weights",
]
