"""From a spec file to a `Spec`, or to every problem of the file in one run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rnnspec.errors import SpecError
from rnnspec.source.emit import to_yaml
from rnnspec.source.overrides import NAME, apply_overrides
from rnnspec.source.problems import Problem
from rnnspec.source.text import Source, read_source
from rnnspec.source.yaml12 import Document, compose
from rnnspec.spec.check import findings
from rnnspec.spec.explain import Finding, explain, mistakes
from rnnspec.spec.recovery import with_corrected_keys, without_mistakes
from rnnspec.spec.spec import Spec
from rnnspec.spec.walk import options_at

MAX_MISTAKES = 200
"""Most wrong keys and values that are shown; of more only the number is."""


@dataclass(frozen=True)
class LoadedSpec:
    """A correct spec, and the file it came from."""

    spec: Spec
    document: Document
    path: Path


def load_spec(path: Path, overrides: Sequence[str] = ()) -> LoadedSpec:
    """The spec in the file at `path`, with `overrides` like `train.epochs=3` put into it.

    Raises SpecError with every problem of the file and of the overrides, in the order of places:
    syntax, unknown keys, wrong values, what does not fit together, wrong equations.
    """
    return load_source(read_source(path, str(path)), path, overrides)


def load_source(source: Source, path: Path, overrides: Sequence[str] = ()) -> LoadedSpec:
    """As `load_spec`, from a text."""
    document, problems = compose(source)
    if document is None:
        raise SpecError(problems)
    document, wrong = apply_overrides(document, overrides, options_at)
    problems += wrong
    found: Iterable[Finding] = ()
    more = 0
    try:
        spec = Spec.model_validate(document.data)
        found = findings(spec)
    except ValidationError as error:
        details = mistakes(error)
        more = max(0, len(details) - MAX_MISTAKES)
        places = {(problem.file, problem.span) for problem in problems}
        wrong = explain(details[:MAX_MISTAKES], document)
        if not more:
            document, below = with_corrected_keys(document, details)
            wrong += below
        problems += [problem for problem in wrong if (problem.file, problem.span) not in places]
        found = () if more else _findings_of_the_rest(document.data)
    problems += [_placed(finding, document) for finding in found]
    if problems:
        raise SpecError(_in_order(problems, more))
    return LoadedSpec(spec, document, path)


def resolved_yaml(spec: Spec) -> str:
    """The spec with every default written out, keys in the order of the models.

    Loads back to an equal spec.
    """
    return to_yaml(spec.model_dump(mode="json"))


def _findings_of_the_rest(data: Any) -> Iterable[Finding]:
    rest = without_mistakes(data) if isinstance(data, dict) else None
    return findings(*rest) if rest else ()


def _placed(finding: Finding, document: Document) -> Problem:
    if finding.inside:
        line, column, length = finding.inside
        return document.problem_inside(
            finding.path, line, column, length, finding.message, finding.hint
        )
    return document.problem(finding.path, finding.message, finding.hint, key=finding.key)


def _in_order(problems: list[Problem], more: int) -> list[Problem]:
    """Each problem once, by place, first of the file, then of the overrides."""
    ordered = sorted(
        dict.fromkeys(problems), key=lambda p: (p.file == NAME, p.span.line, p.span.column)
    )
    if more:
        last = ordered[-1]
        what, hint = f"and {more:,} more mistakes", "mend these first"
        ordered.append(Problem(last.file, last.span, "", what, hint))
    return ordered
