"""Raw cells taken apart as a spec reads them, for a look at them before training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from rnnspec.data import decode
from rnnspec.data.audio import seconds_of
from rnnspec.data.columns.positions import position, positions, span
from rnnspec.errors import DataError, MissingPackage
from rnnspec.plan.text_rule import PLAIN, rule_of
from rnnspec.spec import Spec
from rnnspec.spec.inner_views import innermost, levels
from rnnspec.spec.inputs import TokenInput


@dataclass(frozen=True, slots=True)
class ReadColumn:
    """A column of the spec: how its cells are taken apart."""

    name: str
    role: str
    kind: str
    take: Callable[[object, bool], Taken]


@dataclass(frozen=True, slots=True)
class Taken:
    """What a cell holds: steps or seconds, labels or tokens, numbers `[n, features]`."""

    length: float | None = None
    words: Sequence[str] = ()
    numbers: Any = None


def columns_of(spec: Spec) -> Iterator[ReadColumn]:
    """The columns of a spec, each once; what is answered of an input is the input."""
    seen = set[str]()
    pairs = [("input", each) for each in spec.data.inputs]
    for role, each in [*pairs, *(("output", each) for each in spec.data.targets)]:
        name = getattr(each, "column", None)
        if name is None or name in seen:
            continue
        seen.add(name)
        kind = str(getattr(each, "as_", ""))
        yield ReadColumn(name, role, kind, _taker(each, kind))
    series = spec.data.series
    if series is not None and series.id is not None and series.id not in seen:
        yield ReadColumn(series.id, "series", "label", _labelled)


def _labelled(cell: object, textual: bool) -> Taken:
    return Taken(words=[decode.label(cell)])


def _taker(source: Any, kind: str) -> Callable[[object, bool], Taken]:
    missing = getattr(source, "missing", "error") != "error"
    match kind:
        case "words" | "chars" | "bytes" | "subwords":
            rule = rule_of(source) if isinstance(source, TokenInput) else PLAIN
            fold = bool(getattr(source, "fold_case", False))
            return lambda cell, textual: _text(rule.tokens(kind, decode.text(cell)), fold)
        case "tokens":
            fold = bool(getattr(source, "fold_case", False))
            return lambda cell, textual: _text(decode.tokens(cell, textual), fold)
        case "nested":
            return partial(_nested, innermost(source), sum(1 for _ in levels(source)))
        case "class" | "ordinal" | "category":
            return _labelled
        case "labels":
            separator = getattr(source, "separator", None)
            return lambda cell, textual: Taken(words=decode.label_set(cell, textual, separator))
        case "tags":
            return _tags
        case "keys":
            return _keys
        case "number" | "series" | "forecast":
            return lambda cell, textual: _numbers(decode.number(cell, textual, missing)[None])
        case "vector":
            return lambda cell, textual: _numbers(decode.vector(cell, textual, missing)[None])
        case "frames":
            return lambda cell, textual: _frames(decode.frames(cell, textual, missing))
        case "position":
            return lambda cell, textual: _steps([position(cell, textual)])
        case "positions":
            return lambda cell, textual: Taken(len(positions(cell, textual)))
        case "span":
            return lambda cell, textual: _steps(span(cell, textual))
        case "audio":
            return _sound
        case "image" | "video":
            return _picture
    return lambda cell, textual: Taken()


def _text(tokens: Sequence[str], fold: bool) -> Taken:
    return Taken(len(tokens), decode.folded(list(tokens)) if fold else tokens)


def _nested(inner: TokenInput, deep: int, cell: object, textual: bool) -> Taken:
    """The steps, and the tokens in all of them."""
    steps = inside = decode.nested(cell, textual, inner.as_ == "tokens", deep)
    for _ in range(deep - 1):
        inside = [each for step in inside for each in step]
    rule, fold = rule_of(inner), bool(getattr(inner, "fold_case", False))
    tokens = [token for step in inside for token in rule.tokens(inner.as_, step)]
    return Taken(len(steps), _text(tokens, fold).words)


def _tags(cell: object, textual: bool) -> Taken:
    found = decode.labels_of_steps(cell, textual)
    return Taken(len(found), [label for label in found if label is not None])


def _keys(cell: object, textual: bool) -> Taken:
    found = decode.key_steps(cell, textual)
    return Taken(len(found), list(chain.from_iterable(found)))


def _steps(steps: Sequence[int]) -> Taken:
    """Steps of the input, as numbers."""
    return Taken(None, (), np.array([steps], np.float64))


def _numbers(values: Any) -> Taken:
    return Taken(None, (), values)


def _frames(values: Any) -> Taken:
    return Taken(len(values), (), values)


def _sound(cell: object, textual: bool) -> Taken:
    """The seconds of a file, by its header; of samples, and without soundfile, none."""
    path = decode.path_of(cell, textual)
    try:
        return Taken(None if path is None else seconds_of(Path(path)))
    except MissingPackage:
        return Taken()


def _picture(cell: object, textual: bool) -> Taken:
    path = decode.path_of(cell, textual)
    if path is not None and not Path(path).exists():
        raise DataError(f"names {path}, and there is no such file")
    return Taken()
