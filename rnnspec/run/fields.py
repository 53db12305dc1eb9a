"""The columns of answers as a table has them: names in order, and what each holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, assert_never

from rnnspec.run.interface import LABELLED, OutputColumn


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list."""

    of: Field


@dataclass(frozen=True, slots=True)
class ByName:
    """A value for each of some labels, or of some probabilities."""

    of: Field


@dataclass(frozen=True, slots=True)
class Ranked:
    """An answer with its score."""

    answer: Field


Field = Literal["text", "whole", "real", "double"] | ListOf | ByName | Ranked
"""What a cell holds: a text, a whole number, a float32 or float64, or several."""


def fields_of(
    outputs: Iterable[OutputColumn], graph: Collection[str], top: int = 0
) -> dict[str, Field]:
    """What the keys of an answer hold (`rnnspec.run.results`), in their order. `graph` has the
    names of all outputs of the file, and `top` is that of `rnnspec.run.results.answers_of`."""
    return dict(pair for output in outputs for pair in _of(output, graph, top))


def _of(output: OutputColumn, graph: Collection[str], top: int) -> Iterator[tuple[str, Field]]:
    answer = _answer(output)
    yield output.column, answer
    if output.kind in LABELLED:
        yield f"{output.column}.probabilities", _shares(output, top)
    if output.kind in ("text", "tokens", "ids", "path", "positions"):
        yield f"{output.column}.score", "real"
    if output.n_best > 1:
        yield f"{output.column}.n_best", ListOf(Ranked(answer))
    for suffix in attentions(output.answer, graph):
        yield f"{output.column}{suffix}", ListOf(ListOf("real"))
    if f"{output.answer}.alignment" in graph:
        yield f"{output.column}.alignment", ListOf(ListOf("whole"))
    if output.kind in ("position", "span"):
        yield f"{output.column}.probability", "double"
        yield from ((f"{output.column}.{part}", "text") for part in output.parts)
        return
    if output.kind == "sequence":
        fields: dict[str, Field] = {"score": "real", "errors": ListOf("real")}
        for part in output.parts:
            yield f"{output.column}.{part}", fields.get(part) or _part(output, part)
        return
    for part in output.parts:
        yield f"{output.column}.{part}", _part(output, part)
    for part in output.beside:
        bound = part in ("lower", "upper")
        yield f"{output.column}.{part}", ByName(answer) if bound else _with_draws(answer)


def attentions(answer: str, graph: Iterable[str]) -> list[str]:
    """What ends the names of the outputs with weights of attention: of several encoders each has
    one of its own."""
    every = (name.removeprefix(answer) for name in graph if name.startswith(f"{answer}.attention"))
    return [each for each in every if each == ATTENTION or each.startswith(f"{ATTENTION}.")]


ATTENTION = ".attention"


def _part(output: OutputColumn, part: str) -> Field:
    """Most parts of a distribution are as the answer is; those of a mixture have a list of its
    components, of vectors with a list of numbers for each."""
    answer = _answer(output)
    if part == "quantiles":
        alone = output.width == 1 and output.kind in ("vector", "frames", "sequence")
        return ByName(answer.of if alone and isinstance(answer, ListOf) else answer)
    if part not in ("weights", "means", "deviations", "correlations"):
        return answer
    components: Field = _number(output)
    if part in ("means", "deviations") and output.kind in ("vector", "frames", "sequence"):
        components = ListOf(components)
    components = ListOf(components)
    of_steps = output.kind in ("frames", "sequence", "forecast")
    return ListOf(components) if of_steps else components


def _with_draws(answer: Field) -> Field:
    """An answer of numbers with a list in the place of each."""
    return ListOf(_with_draws(answer.of) if isinstance(answer, ListOf) else answer)


def _answer(output: OutputColumn) -> Field:
    match output.kind:
        case "class" | "text":
            return "text"
        case "tags" | "path" | "labels" | "tokens":
            return ListOf("text")
        case "keys":
            return ListOf(ListOf("text"))
        case "position":
            return "whole"
        case "ids" | "span" | "positions":
            return ListOf("whole")
        case "number":
            return _number(output)
        case "vector" | "forecast":
            return ListOf(_number(output))
        case "frames" | "sequence":
            return ListOf(ListOf(_number(output)))
        case _:
            assert_never(output.kind)


def _number(output: OutputColumn) -> Literal["real", "double"]:
    return "double" if output.double else "real"


def _shares(output: OutputColumn, top: int) -> Field:
    of_row: Field = ByName("real")
    if output.kind in ("class", "labels"):
        return of_row
    return ListOf(of_row) if top or output.kind == "keys" else ListOf("real")
