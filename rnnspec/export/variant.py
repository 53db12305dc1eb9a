"""The plan that is exported: that of the build, with another search, or as a text generator."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnnspec.errors import ExportError, RnnspecError, SpecError
from rnnspec.plan import Facts, Plan, TextFacts, resolve
from rnnspec.plan.generate import generation
from rnnspec.plan.nodes import GREEDY, NumberedOutput
from rnnspec.plan.resolve_decoder import search_of
from rnnspec.source.emit import to_yaml
from rnnspec.source.text import Source
from rnnspec.spec import Spec
from rnnspec.spec.load import load_source, resolved_yaml
from rnnspec.store.folder import Trained

DEFAULT_STEPS = 200
"""Default of the most tokens that a language model generates."""
_WRITER: Mapping[str, Any] = {
    "name": "writer",
    "cardinality": "1:N",
    "data": {
        "train": "nothing.jsonl",
        "input": {"column": "start", "as": "category"},
        "output": {"column": "text", "as": "chars"},
    },
    "decoder": {"layers": [{"cell": "gru", "units": 1}]},
}
"""A spec with a decoder, to check a strategy for models without one."""
_OPTION = "--strategy"
_SETTING = re.compile(r"(^|,)\s*([A-Za-z_]+)\s*=")
_WIDTH = re.compile(r"\s*[0-9]+\s*")


def variant(trained: Trained, strategy: str = "", generate: int | None = None) -> tuple[Spec, Plan]:
    """The spec and the plan to export: those of the build, with `strategy` in place of its own;
    with `generate`, a language model that continues a prompt by at most so many tokens.

    Raises ExportError where the model has no use for a strategy, or cannot generate text, and
    SpecError for a wrong strategy.
    """
    if generate is not None:
        return trained.spec, _writer(trained, strategy, generate)
    if not strategy:
        return trained.spec, trained.plan
    if not any(isinstance(node, NumberedOutput) for node in trained.plan.outputs):
        more = ", or add --generate, with which it does" if _can_write(trained.plan) else ""
        raise ExportError(
            f"{_OPTION} is for models that write text step by step, and {trained.spec.name} does"
            f" not; leave it out{more}"
        )
    spec = _with_strategy(resolved_yaml(trained.spec), strategy)
    return spec, resolve(spec, trained.facts)


def as_yaml(strategy: str) -> str:
    """`beam:5` and `beam:width=8,length_norm=gnmt` in YAML: `{beam: {width: 5}}`; one that is in
    YAML is unchanged."""
    name, colon, settings = strategy.partition(":")
    if not colon or strategy.lstrip().startswith("{"):
        return strategy
    if _WIDTH.fullmatch(settings):
        settings = f"width={settings}"
    inside = _SETTING.sub(r"\1 \2: ", settings)
    return f"{{{name.strip()}: {{{inside.strip()}}}}}"


def _can_write(plan: Plan) -> bool:
    """Whether the plan is a language model that can continue a prompt."""
    try:
        generation(plan, GREEDY)
    except RnnspecError:
        return False
    return True


def _writer(trained: Trained, strategy: str, steps: int) -> Plan:
    if steps < 1:
        raise ExportError(f"--generate {steps}: expected a number of tokens, 1 or more")
    column = generation(trained.plan, GREEDY).outputs[0].column  # refuses what cannot write
    settings = _with_strategy(to_yaml(dict(_WRITER)), strategy or "greedy").decoder
    assert settings is not None
    search = search_of(settings, _texts(trained.facts, column), column)
    search = replace(search, limit=steps, factor=0.0)
    return generation(trained.plan, search)


def _texts(facts: Facts, column: str) -> TextFacts:
    known = facts.outputs[column]
    assert isinstance(known, TextFacts)
    return known


def _with_strategy(yaml: str, strategy: str) -> Spec:
    """The spec in `yaml` with another strategy. Raises SpecError, which names the option."""
    override = f"decoder.strategy={as_yaml(strategy)}"
    try:
        return load_source(Source.of(yaml, "spec.yaml"), Path("spec.yaml"), [override]).spec
    except SpecError as error:
        problems = [replace(problem, file=_OPTION) for problem in error.problems]
        raise SpecError(problems) from error
