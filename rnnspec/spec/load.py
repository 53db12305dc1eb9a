"""From a spec file to a `Spec`, or to every problem of the file in one run."""

from __future__ import annotations

from collections.abc import Sequence
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
from rnnspec.spec.check import Finding, findings
from rnnspec.spec.explain import explain
from rnnspec.spec.partial import without_mistakes
from rnnspec.spec.spec import Spec


@dataclass(frozen=True)
class LoadedSpec:
    """A spec that is right, and the file it came from."""

    spec: Spec
    document: Document
    path: Path

    def resolve_path(self, name: str) -> Path:
        """A path of the spec as one to open: a relative one starts at the spec's folder."""
        return self.path.parent / name


def load_spec(path: Path, overrides: Sequence[str] = ()) -> LoadedSpec:
    """The spec in the file at `path`, with `overrides` like `train.epochs=3` put into it.

    Raises SpecError with every problem of the file and of the overrides, in the order of places:
    syntax, unknown keys, wrong values, what does not fit together, wrong equations.
    """
    return load_source(read_source(path, str(path)), path, overrides)


def load_source(source: Source, path: Path, overrides: Sequence[str] = ()) -> LoadedSpec:
    """`load_spec` of a text that is read already."""
    document, problems = compose(source)
    if document is None:
        raise SpecError(problems)
    document, wrong = apply_overrides(document, overrides)
    problems += wrong
    try:
        spec = Spec.model_validate(document.data)
        found = findings(spec)
    except ValidationError as error:
        places = {(problem.file, problem.span) for problem in problems}
        wrong = explain(error, document)
        problems += [problem for problem in wrong if (problem.file, problem.span) not in places]
        rest = _rest(document.data)
        found = findings(*rest) if rest else iter(())
    problems += [_placed(finding, document) for finding in found]
    if problems:
        raise SpecError(sorted(dict.fromkeys(problems), key=_order))
    return LoadedSpec(spec, document, path)


def resolved_yaml(spec: Spec) -> str:
    """The spec with every default written out, keys in the order of the models.

    Loads back to an equal spec.
    """
    return to_yaml(spec.model_dump(mode="json"))


def _rest(data: Any) -> Any:
    return without_mistakes(data) if isinstance(data, dict) else None


def _placed(finding: Finding, document: Document) -> Problem:
    if finding.inside:
        line, column, length = finding.inside
        return document.problem_inside(
            finding.path, line, column, length, finding.message, finding.hint
        )
    return document.problem(finding.path, finding.message, finding.hint, key=finding.key)


def _order(problem: Problem) -> tuple[bool, int, int]:
    return problem.file == NAME, problem.span.line, problem.span.column
