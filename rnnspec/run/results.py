"""The outputs of a graph for a batch as Python values, row by row.

By the kind of an output `c`, the answer to a row has:

- `class`: `c` the label, `c.probabilities` the probability of each label.
- `labels`: `c` a list of the labels that are on, `c.probabilities` the probability of each label.
- `tags`: `c` a label for each step, `c.probabilities` the probability of each of these.
- `path`: as `tags`, and `c.score` the log-probability of all labels of the row together.
- `keys`: `c` a list of labels for each step, `c.probabilities` the probabilities of these labels.
- `number`, `vector`, `frames`: `c` a number, a list of them, a list of lists of them.
- `sequence`: `c` a list of lists of numbers; of an input that is answered again `c.score`, the mean
  of the squared differences from it, and `c.errors`, the same of each step.
- `text`, `tokens`, `ids`: `c` a text, a list of texts or of numbers, `c.score` its log-probability;
  for several best answers `c.n_best`, a list of `{"answer": …, "score": …}`, the best first, which
  is also `c`; empty ones of log-probability -inf, which fill up a row with fewer, are left out.
  `c.attention`, if the graph has it: the weights of each step of the answer, of several encoders
  `c.attention.NAME` of each; `c.alignment`: for
  each token of the answer its first and its last step, from 0.
- `forecast`: `c` a list of values.
- `position`: `c` the number of a step, -1 for none; `span`: `c` a list of the first and the last
  one. `c.probability`, of a span that of its ends together; where the steps are tokens `c.text`.
- `positions`: as `ids`, the numbers of several steps.
- Beside numbers, sequences of them and forecasts, of the same shape: `c.quantiles`, by the
  probability, or the parameters of their distribution, such as `c.deviation`; of a mixture a list
  of its components; `c.lower` and `c.upper`, the bounds of intervals by their share; `c.samples`,
  lists of draws.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.run.fields import ATTENTION, attentions
from rnnspec.run.interface import LABELLED, OutputColumn, OutputKind

Answer = dict[str, Any]
Results = Mapping[str, NDArray[Any]]


def answers_of(
    output: OutputColumn, results: Results, steps: Sequence[int], top: int = 0
) -> Iterator[Answer]:
    """The part of each row's answer that one output gives; `steps` are the rows' lengths.

    With `top`, `c.probabilities` of labels are those of the so many most probable ones, the most
    probable first, of the row or of each step.
    """
    found = OUTPUT_KINDS[output.kind](output, results, steps)
    if not top or output.kind not in LABELLED:
        return found
    return _with_top(output, results, steps, top, found)


def _with_top(
    output: OutputColumn, results: Results, steps: Sequence[int], top: int, found: Iterator[Answer]
) -> Iterator[Answer]:
    shares = results[f"{output.answer}.probabilities"]
    order = np.argsort(-shares, axis=-1, kind="stable")[..., :top]
    labels = np.array(output.labels, object)[order]
    pairs = zip(found, labels, np.take_along_axis(shares, order, -1), steps, strict=True)
    for answer, names, best, count in pairs:
        if output.kind in ("class", "labels"):
            most: Any = dict(zip(names.tolist(), best.tolist(), strict=True))
        else:
            of_steps = zip(names[:count].tolist(), best[:count].tolist(), strict=True)
            most = [dict(zip(*of_step, strict=True)) for of_step in of_steps]
        yield answer | {f"{output.column}.probabilities": most}


def labels_told(output: OutputColumn, results: Results) -> NDArray[Any]:
    """The answer of an output of labels: texts, "" where there is none; those of their numbers, or
    of 1 and 0 for each, where the graph answers numbers."""
    told = results[output.answer]
    if told.dtype != np.int64:
        return told
    names = np.array([*output.labels, ""], object)
    if output.kind in ("labels", "keys"):
        return np.where(told.astype(bool), names[:-1], "")
    return np.asarray(names[told])  # -1, past the length, is the last


def with_labels(outputs: Sequence[OutputColumn], results: Results) -> dict[str, NDArray[Any]]:
    """The graph's outputs with labels as texts, also where they are numbers."""
    told = {each.answer: labels_told(each, results) for each in outputs if each.labels}
    return {**results, **told}


def _values(output: OutputColumn, results: Results, steps: Sequence[int]) -> Iterator[Answer]:
    for row, value in enumerate(results[output.answer].tolist()):
        yield {output.column: value} | _parts(output, results, row)


def _frames(output: OutputColumn, results: Results, steps: Sequence[int]) -> Iterator[Answer]:
    for row, count in enumerate(steps):
        values = results[output.answer][row, :count].tolist()
        yield {output.column: values} | _parts(output, results, row, count)


def _parts(output: OutputColumn, results: Results, row: int, steps: int | None = None) -> Answer:
    """What a row's distribution has beside the answer; of `steps` steps, None for all there is."""
    found: Answer = {}
    for part in (*output.parts, *output.beside):
        values = results[f"{output.answer}.{part}"][row]
        values = values if steps is None else values[:steps]
        shares = output.intervals if part in ("lower", "upper") else ()
        shares = output.quantiles if part == "quantiles" else shares
        found[f"{output.column}.{part}"] = _by_share(values, shares) if shares else values.tolist()
    return found


def _by_share(values: NDArray[Any], shares: Sequence[float]) -> dict[str, Any]:
    """What stands side by side on the last axis, by the share or probability that it is of."""
    of_each = np.moveaxis(values, -1, 0).tolist()
    return dict(zip(map(str, shares), of_each, strict=True))


def _class(output: OutputColumn, results: Results, steps: Sequence[int]) -> Iterator[Answer]:
    for label, shares in _with_probabilities(output, results):
        yield {output.column: label, f"{output.column}.probabilities": shares}


def _labels(output: OutputColumn, results: Results, steps: Sequence[int]) -> Iterator[Answer]:
    for labels, shares in _with_probabilities(output, results):
        on = [label for label in labels if label]
        yield {output.column: on, f"{output.column}.probabilities": shares}


def _with_probabilities(
    output: OutputColumn, results: Results
) -> Iterator[tuple[Any, dict[str, float]]]:
    """Each row's answer, and the probability of each label."""
    shares = results[f"{output.answer}.probabilities"].tolist()
    for value, of_row in zip(labels_told(output, results).tolist(), shares, strict=True):
        yield value, dict(zip(output.labels, of_row, strict=True))


def _tags(output: OutputColumn, results: Results, steps: Sequence[int]) -> Iterator[Answer]:
    for labels, shares in _steps_with_probabilities(output, results, steps):
        largest = shares.max(axis=-1).tolist() if len(shares) else []
        yield {output.column: labels, f"{output.column}.probabilities": largest}


def _path(output: OutputColumn, results: Results, steps: Sequence[int]) -> Iterator[Answer]:
    column, numbers = output.column, {label: at for at, label in enumerate(output.labels)}
    scores = results[f"{output.answer}.scores"].tolist()
    rows = _steps_with_probabilities(output, results, steps)
    for (labels, shares), score in zip(rows, scores, strict=True):
        own = [shares[at, numbers[label]].item() for at, label in enumerate(labels)]
        yield {column: labels, f"{column}.probabilities": own, f"{column}.score": score}


def _keys(output: OutputColumn, results: Results, steps: Sequence[int]) -> Iterator[Answer]:
    for labels, shares in _steps_with_probabilities(output, results, steps):
        on = [[label for label in step if label] for step in labels]
        known = [
            {label: share for label, share in zip(step, each, strict=True) if label}
            for step, each in zip(labels, shares.tolist(), strict=True)
        ]
        yield {output.column: on, f"{output.column}.probabilities": known}


def _steps_with_probabilities(
    output: OutputColumn, results: Results, steps: Sequence[int]
) -> Iterator[tuple[list[Any], NDArray[Any]]]:
    """The labels of each step of each row, and the probabilities of all labels, `[T, L]`."""
    name = output.answer
    shares_of_rows = results[f"{name}.probabilities"]
    rows = zip(labels_told(output, results), shares_of_rows, steps, strict=True)
    for labels, shares, count in rows:
        yield labels[:count].tolist(), shares[:count]


def _texts(output: OutputColumn, results: Results, steps: Sequence[int]) -> Iterator[Answer]:
    column, name = output.column, output.answer
    for row, count in enumerate(steps):
        values = results[f"{name}.ids" if output.kind == "ids" else name][row]
        scores = results[f"{name}.scores"][row]
        several = output.n_best > 1
        answers = list(values) if several else [values]
        lengths = [None] * len(answers)
        if output.kind in ("ids", "positions"):
            lengths = np.atleast_1d(results[f"{name}.lengths"][row]).tolist()
        found = [_plain(output, a, n) for a, n in zip(answers, lengths, strict=True)]
        of_each = np.atleast_1d(scores).tolist()
        answer: Answer = {column: found[0], f"{column}.score": of_each[0]}
        if several:
            pairs = list(zip(found, of_each, strict=True))
            real = [pairs[0], *(pair for pair in pairs[1:] if pair[1] > -np.inf)]
            answer[f"{column}.n_best"] = [{"answer": a, "score": s} for a, s in real]
        for suffix in attentions(name, results):
            weights = results[f"{name}{suffix}"][row]
            weights = weights[..., :count] if suffix == ATTENTION else weights
            answer[f"{column}{suffix}"] = weights[_written(found[0])].tolist()
        if f"{name}.alignment" in results:
            spans = results[f"{name}.alignment"][row]
            answer[f"{column}.alignment"] = spans[spans[:, 0] >= 0].tolist()
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
    """The steps of an answer that is a list; of a text, whose steps are unknown, all."""
    return slice(None) if isinstance(answer, str) else slice(len(answer))


def _forecast(output: OutputColumn, results: Results, steps: Sequence[int]) -> Iterator[Answer]:
    return _values(output, results, steps)


def _sequence(output: OutputColumn, results: Results, steps: Sequence[int]) -> Iterator[Answer]:
    column, name = output.column, output.answer
    for row, count in enumerate(results[f"{name}.lengths"].tolist()):
        answer: Answer = {column: results[name][row, :count].tolist()}
        if "score" in output.parts:
            answer[f"{column}.score"] = results[f"{name}.scores"][row].item()
        of_steps = replace(output, parts=tuple(p for p in output.parts if p != "score"))
        yield answer | _parts(of_steps, results, row, count)


def _position(output: OutputColumn, results: Results, steps: Sequence[int]) -> Iterator[Answer]:
    column, shares = output.column, results[f"{output.answer}.probabilities"]
    places = results[output.answer]
    for row, told in enumerate(places.tolist()):
        of_row = shares[row].astype(np.float64)
        of_row = of_row if of_row.ndim > 1 else of_row[:, np.newaxis]  # also of no steps
        choices = np.atleast_1d(told)
        marks = np.arange(len(choices))
        none = 1 - of_row.sum(axis=0)
        each = none if choices[0] < 0 else of_row[choices, marks]
        answer: Answer = {column: told, f"{column}.probability": max(0.0, float(each.prod()))}
        if "text" in output.parts:
            answer[f"{column}.text"] = results[f"{output.answer}.text"][row]
        yield answer


OUTPUT_KINDS: Mapping[
    OutputKind, Callable[[OutputColumn, Results, Sequence[int]], Iterator[Answer]]
] = {
    "class": _class,
    "tags": _tags,
    "path": _path,
    "labels": _labels,
    "keys": _keys,
    "number": _values,
    "vector": _values,
    "frames": _frames,
    "text": _texts,
    "tokens": _texts,
    "ids": _texts,
    "forecast": _forecast,
    "sequence": _sequence,
    "position": _position,
    "span": _position,
    "positions": _texts,
}
