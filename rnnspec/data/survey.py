"""Facts of the training rows: what a plan needs to know of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from rnnspec.data.columns.gather import facts_of, gatherers, outputs_of
from rnnspec.data.readers import BadRows, Chunk, Progress, telling
from rnnspec.data.reading import Reading
from rnnspec.data.shards import Shards
from rnnspec.data.split import Split
from rnnspec.data.steps import take
from rnnspec.data.survey_series import survey_series
from rnnspec.errors import DataError
from rnnspec.plan.facts import Facts
from rnnspec.spec import Spec


def survey(
    spec: Spec,
    train: Path | Shards,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
) -> Facts:
    """The facts of the training rows of `train`, a file or several, without those of a validation
    share.

    `progress` is called now and then with the share that is done, 0 to 1, and what is being done,
    `note` with what there is to know of the rows, such as which steps of series are filled.
    Raises DataError: see `read` and `rnnspec.data.decode`; for vectors of different widths, for
    fewer than two labels, for no steps at all, for columns of steps that are not as long, for a
    split that leaves one side empty, for a vocabulary beyond bounds (`WordCounts`), and for series
    as in `rnnspec.data.series`.
    """
    share = spec.data.valid if isinstance(spec.data.valid, float) else 0.0
    train = Shards.of(train)
    told = telling(progress, f"looking through {train.name}")
    reading = Reading.of(spec)
    if reading.series is not None:
        return survey_series(spec, reading, reading.series, train, share, told, note)
    kept = _Rows(reading, train, share)
    inputs, outputs = gatherers(spec, reading, lambda: kept.read(columns, None))
    columns = [*inputs, *outputs]
    takers = [*inputs.items(), *outputs.items()]
    for chunk, bad in kept.read(columns, told):
        take(chunk, takers, bad)
    kept.check()
    found = facts_of(train, inputs)
    return Facts(kept.rows, found, outputs_of(spec, found, facts_of(train, outputs)))


class _Rows:
    """The training rows, and how many there are."""

    def __init__(self, reading: Reading, train: Shards, share: float) -> None:
        self.reading, self.train, self.share = reading, train, share
        self.rows = self.kept_out = 0
        self.split = reading.split(share)

    def read(
        self, columns: list[str], told: Callable[[float], None] | None
    ) -> Iterator[tuple[Chunk, BadRows]]:
        """The rows anew, chunk by chunk, and where bad ones are noted."""
        bad, reading = self.reading.bad_rows(self.train), self.reading
        self.rows = self.kept_out = 0
        self.split = split = reading.split(self.share)
        for chunk in reading.read(self.train, columns, bad, told, self.share):
            used = _training_rows(chunk, split) if self.share else chunk
            self.rows += used.begun
            self.kept_out += chunk.begun - used.begun
            yield used, bad

    def check(self) -> None:
        """Raises DataError for a split that leaves a side empty."""
        if self.share and not self.kept_out and len(self.split.labels) == self.rows > 1:
            raise DataError(
                f"{self.train}: a validation share of {self.share:g} takes none of the "
                f"{self.rows} rows, for the first row of each label is trained on; "
                "set data.valid to a file"
            )
        if self.share and not self.kept_out:
            count = f"the {self.rows} rows" if self.rows > 1 else "the only row"
            cure = "set data.valid to a larger share or to a file"
            if self.train.format(self.reading.format) == "text" and self.rows > 1:
                cure = "set data.documents to paragraph or line, or data.valid to a larger share"
                cure += " or to a file"
            elif self.rows == 1:
                cure = "set data.valid to a file"
            raise DataError(
                f"{self.train}: a validation share of {self.share:g} takes none of {count}; {cure}"
            )
        if not self.rows:
            raise DataError(
                f"{self.train}: a validation share of {self.share:g} takes all of the "
                f"{self.kept_out} rows; set data.valid to a smaller share or to a file"
            )


def _training_rows(chunk: Chunk, split: Split) -> Chunk:
    return chunk.only((~split.mask(chunk)).tolist())
