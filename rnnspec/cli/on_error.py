"""What becomes of rows that cannot be answered: `rnnspec run --on-error`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from rnnspec.cli.answers import Answer
from rnnspec.cli.rows import Asked
from rnnspec.cli.terminal import note
from rnnspec.errors import DataError

OnError = Literal["stop", "skip", "null"]
SHOWN = 10
"""Most rows without an answer that are told one by one."""
ADVICE = "--on-error skip goes on without it, --on-error null with null in its place"


@dataclass(slots=True)
class Policy:
    """What to do with a row that has no answer, and how many there have been of either kind.

    `several`: whether there may be others. `where` the answers are, if not on the terminal.
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

        Raises the DataError of the first row without an answer that is to stop it, and at the end
        one where no row has an answer.
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
                    self._tell(result)
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

    def _tell(self, error: DataError) -> None:
        self.bad += 1
        if self.bad <= SHOWN:
            note(str(error))
        elif self.bad == SHOWN + 1:
            note("and more that cannot be answered")

    def _say_where(self, error: DataError, advice: str = "") -> None:
        """Add to the error, once, how many rows have their answers, and what may be done."""
        if not self.several or getattr(error, "__notes__", []):
            return
        given = f"answer{'s were' if self.answered != 1 else ' was'} given before it"
        count = f"{self.answered:,} {given}{self.where}" if self.answered else f"no {given}"
        error.add_note("; ".join(filter(None, (count, advice))))
