"""From a spec file to a `Spec`, or to every problem of the file in one run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rnnspec.errors import SpecError
from rnnspec.source.emit import flow, to_yaml
from rnnspec.source.fill import filled, written
from rnnspec.source.nodes import plain, shown_path
from rnnspec.source.overrides import NAME, apply_overrides
from rnnspec.source.problems import Problem
from rnnspec.source.text import Source, read_source
from rnnspec.source.yaml12 import Document, compose
from rnnspec.spec.check import findings
from rnnspec.spec.explain import Finding, explain, mistakes
from rnnspec.spec.metrics import monitored
from rnnspec.spec.moved import Written, moved
from rnnspec.spec.ranges import KEY, Choices, Picked, Range, ends, ranges_of, with_values
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
    document, ranges, problems = _composed(source, overrides)
    for each in ranges:
        what = "a range of values, and one is needed here"
        hint = f"search through it with: rnnspec tune {path}; or write one of its values"
        place = each.node.entries[KEY]
        problems.append(place.source.problem(place.span, what, hint, shown_path(each.path)))
    first = replace(document, root=with_values(document.root, ranges, {}))
    return _checked(first, problems, path)


@dataclass(frozen=True)
class Tunable:
    """A correct spec with ranges, in the order in which their values are picked; the metric that is
    `monitored`. `first` has the first value of each range."""

    ranges: tuple[Range, ...]
    document: Document
    path: Path
    first: LoadedSpec
    monitored: str

    def text(self, picked: Picked, folder: Path | None = None) -> str:
        """The text of the spec with these values, for a file beside it or in `folder`: as it is
        written, with its comments, if it was not changed by overrides."""
        root = with_values(self.document.root, self.ranges, picked)
        changes: list[Written] = []
        if folder is not None:
            root, changes = moved(root, self.path.parent, folder)
        data = plain(root)
        changes += _values(self.ranges, picked)
        found = filled(self.document, changes, data)
        return to_yaml(data) if found is None else found

    def spec(self, picked: Picked) -> LoadedSpec:
        """The spec with these values. Raises SpecError where they do not fit together."""
        return load_source(Source.of(self.text(picked), str(self.path)), self.path)


def load_tunable(path: Path, overrides: Sequence[str] = ()) -> Tunable:
    """As `load_spec`, for a spec that may have ranges.

    Raises SpecError also for ranges that are none, and with every problem of a spec with the first
    values, or one end, or one value of a range.
    """
    document, ranges, problems = _composed(read_source(path, str(path)), overrides)
    found: list[Problem] = []
    specs: list[tuple[Picked, LoadedSpec]] = []
    for picked in ends(ranges):
        root = with_values(document.root, ranges, picked)
        try:
            specs.append((picked, _checked(replace(document, root=root), list(problems), path)))
        except SpecError as error:
            found += error.problems
    if not found:
        found += _compared(specs, document)
    if found:
        raise SpecError(_in_order(found, 0))
    first = specs[0][1]
    return Tunable(ranges, document, path, first, monitored(first.spec))


def _compared(specs: Sequence[tuple[Picked, LoadedSpec]], document: Document) -> Iterable[Problem]:
    """Problems of ranges with values that are measured by another metric."""
    first = monitored(specs[0][1].spec)
    for picked, each in specs[1:]:
        name = monitored(each.spec)
        if name != first:
            place = list(picked)[-1].node.entries[KEY]
            what = f"some of these values are measured by {first}, and some by {name}"
            hint = "name the metric of all trials in train.monitor"
            path = shown_path(list(picked)[-1].path)
            yield place.source.problem(place.span, what, hint, path)


def _values(ranges: tuple[Range, ...], picked: Picked) -> Iterator[Written]:
    """The ranges of a document, and the text of the value of each."""
    for each in ranges:
        if not each.outer:
            option = each.at(picked.get(each, each.ends()[0]))
            value = plain(with_values(option, ranges, picked))
            same = isinstance(each, Choices) and value == plain(option)
            yield each.node, (same and written(option)) or flow(value)


def _composed(
    source: Source, overrides: Sequence[str]
) -> tuple[Document, tuple[Range, ...], list[Problem]]:
    """The document with its overrides, its ranges, and the problems so far. Raises SpecError for a
    text that is no YAML, and for ranges that are none."""
    document, problems = compose(source)
    if document is None:
        raise SpecError(problems)
    document, wrong = apply_overrides(document, overrides, options_at)
    ranges, none = ranges_of(document)
    if none:  # what stands in their places cannot be checked
        raise SpecError(_in_order(problems + wrong + none, 0))
    return document, ranges, problems + wrong


def _checked(document: Document, problems: list[Problem], path: Path) -> LoadedSpec:
    """The spec of a document without ranges. Raises SpecError."""
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
    if rest is None:
        return ()
    found = findings(rest.spec, rest.removed)
    return (replace(finding, path=rest.in_file(finding.path)) for finding in found)


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
