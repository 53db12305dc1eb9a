"""Answers of a model, row by row, and how they are shown."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, assert_never

from rnnspec.cli.terminal import note, printable
from rnnspec.errors import DataError

if TYPE_CHECKING:
    from rnnspec.cli.rows import Asked, Row
    from rnnspec.run import Model, OutputColumn

Answer = Mapping[str, Any]

TOP = 3
"""Probabilities shown of an answer; JSON has them all."""
NUMBERS = 8
"""Numbers shown of a vector."""
BATCH = 64
"""Rows answered together."""
ENDS = ("lower", "upper")
"""What the bounds of an interval are called."""
CHARACTERS = 60
"""Characters shown of a text that was answered."""
SERIES = ""
"""The key of the title in the row of a series."""
OnError = Literal["stop", "skip", "null"]
ERRORS = 10
"""Most rows without an answer that are reported one by one."""
ADVICE = "--on-error skip goes on without it, --on-error null with null in its place"


def answered(
    model: Model,
    rows: Iterable[Asked],
    *,
    textual: bool = False,
    at_once: bool = False,
    seed: int = 0,
    batch: int = BATCH,
    threads: int = 0,
) -> Iterator[tuple[Asked, Answer | DataError]]:
    """Each row with its answer, or with the error why it has none, in order.

    Answers are drawn with the seeds `seed`, `seed` + 1 and so on. `textual` rows hold lists as JSON
    texts. With `at_once` each row is answered before the next is read. An error of `rows` itself is
    raised after the answers to the rows before it.
    """
    waiting: deque[Asked] = deque()
    failed: list[DataError] = []

    def readable() -> Iterator[Row | DataError]:
        try:
            for asked in rows:
                waiting.append(asked)
                yield asked.row
        except DataError as error:
            failed.append(error)

    batch, threads = (1, 0) if at_once else (batch, threads)
    for found in model.answers_or_errors(readable(), batch, textual, seed, threads):
        asked = waiting.popleft()
        if isinstance(found, DataError) and found is not asked.row:
            found = DataError(f"{asked.place}: {found}")
        yield asked, found
    if failed:
        raise failed[0]


@dataclass(slots=True)
class Policy:
    """What to do with a row that has no answer; counts the rows with and without answers.

    `several`: whether there may be more rows. `where` the answers go, if not to the terminal.
    """

    on_error: OnError
    several: bool = True
    where: str = ""
    answered: int = 0
    bad: int = 0

    def answers(
        self, found: Iterable[tuple[Asked, Answer | DataError]]
    ) -> Iterator[tuple[int, Asked, Answer | None]]:
        """Each row that is not left out, with its number from 1; None stands for null.

        Raises the DataError of the first row without an answer with "stop", and a DataError at the
        end if no row has an answer.
        """
        number = 0
        try:
            for number, (asked, result) in enumerate(found, start=1):
                if not isinstance(result, DataError):
                    self.answered += 1
                    yield number, asked, result
                elif self.on_error == "stop":
                    self._say_where(result, ADVICE)
                    raise result
                else:
                    self._report(result)
                    if self.on_error == "null":
                        yield number, asked, None
        except DataError as error:
            self._say_where(error)
            raise
        if self.bad:
            what = "left out" if self.on_error == "skip" else "null"
            if not self.answered:
                raise DataError(f"none of {number:,} can be answered")
            note(f"{self.bad:,} of {number:,} have no answer and are {what}")

    def _report(self, error: DataError) -> None:
        self.bad += 1
        if self.bad <= ERRORS:
            note(str(error))
        elif self.bad == ERRORS + 1:
            note("and more that cannot be answered")

    def _say_where(self, error: DataError, advice: str = "") -> None:
        """Adds to the error, once, how many rows were answered, and advice."""
        if not self.several or getattr(error, "__notes__", []):
            return
        given = f"answer{'s were' if self.answered != 1 else ' was'} given before it"
        count = f"{self.answered:,} {given}{self.where}" if self.answered else f"no {given}"
        error.add_note("; ".join(filter(None, (count, advice))))


def as_text(outputs: Iterable[OutputColumn], answer: Answer) -> str:
    """`de 0.993 (nl 0.004, sv 0.001)`; columns are named where there are several."""
    several = [(output.column, _shown(output, answer)) for output in outputs]
    if len(several) == 1:
        return several[0][1]
    return "; ".join(f"{column} {text}" for column, text in several)


def question(row: Row, number: int) -> str:
    """The text of a row, or its number if it is no text; the title of a series."""
    if SERIES in row:
        return printable(str(row[SERIES]))
    values = list(row.values())
    if len(values) != 1 or not isinstance(values[0], str):
        return f"row {number}"
    text = printable(values[0])
    return text if len(text) <= CHARACTERS else text[: CHARACTERS - 1] + "…"


def _shown(output: OutputColumn, answer: Answer) -> str:
    """One output's answer, in a line."""
    column, value = output.column, answer[output.column]
    match output.kind:
        case "class":
            return _with_others(value, answer[f"{column}.probabilities"])
        case "labels":
            shares = answer[f"{column}.probabilities"]
            return ", ".join(f"{printable(n)} {shares[n]:.3f}" for n in value) or "(none)"
        case "text" | "tokens" | "ids" | "positions":
            return _with_next_best(output, answer)
        case "tags" | "path":
            return _plain(value)
        case "keys":
            return " ".join(f"({' '.join(map(printable, step))})" for step in value) or "(nothing)"
        case "forecast":
            return _forecast(output, answer)
        case "frames" | "sequence":
            more = [", …"] if len(value) > NUMBERS else []
            listed = [_listed(output, step) for step in value[:NUMBERS]]
            score = answer.get(f"{column}.score")
            beside = "" if score is None else f" {score:.6g}"
            return "[" + ", ".join(listed) + "".join(more) + "]" + beside
        case "position" | "span":
            return _steps(output, answer)
        case "vector":
            return _listed(output, value) + _interval(output, answer)
        case "number":
            return _number(output, value) + _interval(output, answer)
        case _:
            assert_never(output.kind)


def _with_others(value: str, shares: Mapping[str, float]) -> str:
    """`de 0.993 (nl 0.004, sv 0.001)`."""
    others = sorted((name for name in shares if name != value), key=shares.__getitem__)
    rest = ", ".join(f"{printable(n)} {shares[n]:.3f}" for n in others[:-TOP:-1])
    return f"{printable(value)} {shares[value]:.3f}" + (f" ({rest})" if rest else "")


def _with_next_best(output: OutputColumn, answer: Answer) -> str:
    """The answer and, with a beam of several, the next best ones with their log-probabilities."""
    others = answer.get(f"{output.column}.n_best", [])[1 : TOP + 1]
    shown = [f"{_plain(other['answer'])} {other['score']:.2f}" for other in others]
    best = _plain(answer[output.column])
    return f"{best} {answer[f'{output.column}.score']:.2f} ({', '.join(shown)})" if shown else best


def _plain(value: str | Sequence[str] | Sequence[int]) -> str:
    """A text, or tokens or labels side by side."""
    if isinstance(value, str):
        return printable(value)
    return " ".join(printable(str(entry)) for entry in value) or "(nothing)"


def _steps(output: OutputColumn, answer: Answer) -> str:
    """`3-4 0.912: New York`."""
    column, value = output.column, answer[output.column]
    steps = value if isinstance(value, list) else [value]
    told = "(none)" if steps[0] < 0 else "-".join(map(str, dict.fromkeys(steps)))
    text = answer.get(f"{column}.text", "")
    share = f"{told} {answer[f'{column}.probability']:.3f}"
    return f"{share}: {printable(text)}" if text else share


def _forecast(output: OutputColumn, answer: Answer) -> str:
    """The values and, with quantiles, the outermost two; else the widest interval."""
    values = _listed(output, answer[output.column]) + _interval(output, answer)
    if len(output.quantiles) < 2:
        return values
    quantiles = answer[f"{output.column}.quantiles"]
    outer = [min(output.quantiles), max(output.quantiles)]
    low, high = (_listed(output, quantiles[str(q)]) for q in outer)
    return f"{values}, {outer[0]:g} below {low}, {outer[1]:g} below {high}"


def _interval(output: OutputColumn, answer: Answer) -> str:
    """The widest interval of a number or of several, if there is any."""
    if not output.intervals:
        return ""
    level, told = output.intervals[-1], _number if output.kind == "number" else _listed
    low, high = (told(output, answer[f"{output.column}.{end}"][str(level)]) for end in ENDS)
    return f", {100 * level:.4g} % from {low} to {high}"


def _listed(output: OutputColumn, values: Sequence[float]) -> str:
    more = ", …" if len(values) > NUMBERS else ""
    return "[" + ", ".join(_number(output, entry) for entry in values[:NUMBERS]) + more + "]"


def _number(output: OutputColumn, value: float) -> str:
    """A number in as many digits as its type needs: float64 values may be close together."""
    return f"{value:.12g}" if output.double else f"{value:.6g}"
