"""Answers of a model, row by row, and how they are shown."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from rnnspec.cli.terminal import printable
from rnnspec.errors import DataError

if TYPE_CHECKING:
    from rnnspec.cli.rows import Row
    from rnnspec.run import Model, OutputColumn

Answer = Mapping[str, object]

TOP = 3
"""Probabilities shown of an answer; JSON has them all."""
NUMBERS = 8
"""Numbers shown of a vector."""
BATCH = 64
"""Rows answered together."""
CHARACTERS = 60
"""Characters shown of a text that was asked."""


def answered(
    model: Model, rows: Iterable[Row], place: str, *, textual: bool = False, at_once: bool = False
) -> Iterator[tuple[Row, Answer]]:
    """Each row with its answer, in order.

    `textual` rows hold lists as JSON texts. `at_once`: each row is answered before the next is
    read. Raises the DataError of the first row that cannot be read or answered, after the answers
    to those before it; `place` says where the rows are from.
    """
    waiting: deque[Row] = deque()
    failed: list[DataError] = []

    def readable() -> Iterator[Row]:
        try:
            for row in rows:
                waiting.append(row)
                yield row
        except DataError as error:
            failed.append(error)

    try:
        for answer in model.answer(readable(), batch=1 if at_once else BATCH, textual=textual):
            yield waiting.popleft(), answer
    except DataError as error:
        raise DataError(f"{place}: {error}") from error
    if failed:
        raise failed[0]


def as_json(answer: Answer) -> str:
    """One line."""
    return json.dumps(answer, ensure_ascii=False)


def as_text(outputs: Iterable[OutputColumn], answer: Answer) -> str:
    """`de 0.993 (nl 0.004, sv 0.001)`; columns are named where there are several."""
    several = [(output.column, _shown(output, answer)) for output in outputs]
    if len(several) == 1:
        return several[0][1]
    return "; ".join(f"{column} {text}" for column, text in several)


def question(row: Row, number: int) -> str:
    """The text that was asked, or the number of the row if it is no text."""
    values = list(row.values())
    if len(values) != 1 or not isinstance(values[0], str):
        return f"row {number}"
    text = printable(values[0])
    return text if len(text) <= CHARACTERS else text[: CHARACTERS - 1] + "…"


def _shown(output: OutputColumn, answer: Answer) -> str:
    value = answer[output.column]
    if output.kind == "class":
        shares = answer[f"{output.column}.probabilities"]
        assert isinstance(value, str) and isinstance(shares, dict)
        others = sorted((name for name in shares if name != value), key=shares.__getitem__)
        rest = ", ".join(f"{printable(n)} {shares[n]:.3f}" for n in others[:-TOP:-1])
        return f"{printable(value)} {shares[value]:.3f} ({rest})"
    if isinstance(value, list):
        more = ", …" if len(value) > NUMBERS else ""
        return "[" + ", ".join(f"{entry:.6g}" for entry in value[:NUMBERS]) + more + "]"
    return f"{value:.6g}"
