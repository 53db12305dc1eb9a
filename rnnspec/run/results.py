"""What a graph answers to a batch, as Python values row by row.

By the kind of an output `c`, the answer to a row has:

- `class`: `c` the label, `c.probabilities` the probability of each label.
- `labels`: `c` a list of the labels that are on, `c.probabilities` that of each label.
- `tags`: `c` a label for each step, `c.probabilities` the probability of each of these.
- `keys`: `c` a list of labels for each step, `c.probabilities` those of the labels that are on.
- `number`, `vector`, `frames`: `c` a number, a list of them, a list of lists of them.
- `text`, `tokens`, `ids`: `c` a text, a list of texts or of numbers, `c.score` its log-probability;
  of several best answers `c.n_best`, a list of `{"answer": …, "score": …}`, the best first, which
  is also `c`. `c.attention`, where the graph tells it: the weights of each step of the answer.
- `forecast`: `c` a list of values, and beside it, each a list as long, `c.quantiles`, by the
  probability, or `c.deviation`, or `c.scale` and `c.degrees`, or `c.dispersion`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.run.interface import OutputColumn

Answer = dict[str, Any]
Results = Mapping[str, NDArray[Any]]


def told(output: OutputColumn, results: Results, steps: Sequence[int]) -> Iterator[Answer]:
    """The part of each row's answer that one output gives; `steps` are the rows' lengths."""
    column, name = output.column, output.answer
    match output.kind:
        case "class" | "labels":
            yield from _of_labels(output, results)
        case "tags" | "keys":
            yield from _of_steps(output, results, steps)
        case "text" | "tokens" | "ids":
            yield from _of_texts(output, results, steps)
        case "forecast":
            yield from _of_forecast(output, results)
        case "frames":
            for values, count in zip(results[name], steps, strict=True):
                yield {column: values[:count].tolist()}
        case _:
            yield from ({column: value} for value in results[name].tolist())


def _of_labels(output: OutputColumn, results: Results) -> Iterator[Answer]:
    column, name = output.column, output.answer
    shares_of_rows = results[f"{name}.probabilities"].tolist()
    for value, shares in zip(results[name].tolist(), shares_of_rows, strict=True):
        answer = value if output.kind == "class" else [label for label in value if label]
        probabilities = dict(zip(output.labels, shares, strict=True))
        yield {column: answer, f"{column}.probabilities": probabilities}


def _of_steps(output: OutputColumn, results: Results, steps: Sequence[int]) -> Iterator[Answer]:
    column, name = output.column, output.answer
    rows = zip(results[name], results[f"{name}.probabilities"], steps, strict=True)
    for labels, shares, count in rows:
        labels, shares = labels[:count].tolist(), shares[:count]
        if output.kind == "tags":
            told = shares.max(axis=-1).tolist() if count else []
            yield {column: labels, f"{column}.probabilities": told}
            continue
        on = [[label for label in step if label] for step in labels]
        known = [
            {label: share for label, share in zip(step, each, strict=True) if label}
            for step, each in zip(labels, shares.tolist(), strict=True)
        ]
        yield {column: on, f"{column}.probabilities": known}


def _of_texts(output: OutputColumn, results: Results, steps: Sequence[int]) -> Iterator[Answer]:
    column, name = output.column, output.answer
    for row, count in enumerate(steps):
        values = results[f"{name}.ids" if output.kind == "ids" else name][row]
        scores = results[f"{name}.scores"][row]
        several = output.n_best > 1
        answers = list(values) if several else [values]
        lengths = [None] * len(answers)
        if output.kind == "ids":
            lengths = np.atleast_1d(results[f"{name}.lengths"][row]).tolist()
        found = [_plain(output, a, n) for a, n in zip(answers, lengths, strict=True)]
        of_each = np.atleast_1d(scores).tolist()
        answer: Answer = {column: found[0], f"{column}.score": of_each[0]}
        if several:
            pairs = zip(found, of_each, strict=True)
            answer[f"{column}.n_best"] = [{"answer": a, "score": s} for a, s in pairs]
        if f"{name}.attention" in results:
            weights = results[f"{name}.attention"][row][..., :count]
            answer[f"{column}.attention"] = weights[_written(found[0])].tolist()
        yield answer


def _plain(output: OutputColumn, value: Any, length: int | None) -> Any:
    """One answer without its padding."""
    if output.kind == "text":
        return value
    if length is not None:
        return value[:length].tolist()
    tokens = value.tolist()
    while tokens and tokens[-1] == "":
        tokens.pop()
    return tokens


def _written(answer: Any) -> slice:
    """The steps of an answer that is a list; of a text, whose steps cannot be told, all."""
    return slice(None) if isinstance(answer, str) else slice(len(answer))


def _of_forecast(output: OutputColumn, results: Results) -> Iterator[Answer]:
    column, name = output.column, output.answer
    for row, values in enumerate(results[name].tolist()):
        answer: Answer = {column: values}
        for part in output.parts:
            found = results[f"{name}.{part}"][row]
            told = found.tolist()
            if part == "quantiles":
                told = dict(zip(map(str, output.quantiles), found.T.tolist(), strict=True))
            answer[f"{column}.{part}"] = told
        yield answer
