"""Where the rows that `rnnspec run` answers come from: options, files, or standard input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rnnspec.cli import answers, rows
from rnnspec.cli.bulk import Bulk, Count
from rnnspec.cli.options import check_files_of_data
from rnnspec.cli.rows import Asked
from rnnspec.cli.terminal import note
from rnnspec.errors import DataError, RnnspecError

if TYPE_CHECKING:
    from rnnspec.data.how import How
    from rnnspec.data.reading import SeriesReading
    from rnnspec.data.shards import Shards
    from rnnspec.run import Model
    from rnnspec.spec.files import Quoting

Pairs = Iterator[tuple[Asked, answers.Answer | DataError]]


@dataclass(frozen=True, slots=True)
class Source:
    """The rows of `--text`, of `--data` or of `--input`, of standard input where all are empty; and
    how the files of `--data` are read."""

    texts: Sequence[str]
    data: Sequence[str]
    inputs: Sequence[str]
    quoting: Quoting | None
    format: str | None
    query: str | None

    @property
    def given(self) -> bool:
        """Whether an option names the rows."""
        return bool(self.texts or self.data or self.inputs)

    @property
    def is_long(self) -> bool:
        """Whether there may be rows without end."""
        return bool(self.data) or not self.given

    @property
    def several(self) -> bool:
        """Whether there may be more than one row."""
        return self.is_long or len(self.texts) > 1

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read."""
        from rnnspec.data.shards import find_shards

        return find_shards(self.data, query=self.query).every_file if self.data else ()

    def check(self) -> None:
        """Raises RnnspecError for two sources, and for options of files without any."""
        if sum(map(bool, (self.texts, self.data, self.inputs))) > 1:
            raise RnnspecError("--text, --input and --data are each a source of rows; give one")
        check_files_of_data(self.data, self.quoting, self.format, self.query)

    def answered(
        self, model: Model, seed: int, bulk: Bulk, count: Count
    ) -> tuple[tuple[str, ...], Pairs]:
        """The rows with their answers, and the names of what is kept of each."""
        return (
            _of_files(self, model, seed, bulk, count)
            if self.data
            else _of_rows(self, model, seed, bulk)
        )


def _of_rows(source: Source, model: Model, seed: int, bulk: Bulk) -> tuple[tuple[str, ...], Pairs]:
    """Rows of options or of standard input, with their answers."""
    found: Iterable[Asked]
    if source.texts:
        where, found = "--text", rows.from_texts(model, source.texts)
    elif source.inputs:
        where, found = "--input", [rows.from_inputs(model, source.inputs)]
    else:
        where, found = rows.STDIN, rows.from_stdin(model)
    kept: tuple[str, ...] = ()
    if bulk.keep:
        names, found = rows.names_of(found)
        kept = bulk.kept(names, f"the first row of {where}" if where == rows.STDIN else where)
    several = where == rows.STDIN and bulk.batch
    return kept, answers.answered(
        model,
        found,
        textual=bool(source.inputs),
        at_once=where == rows.STDIN and not several,
        seed=seed,
        batch=bulk.batch or answers.BATCH,
        threads=bulk.workers if several else 0,
    )


def _of_files(
    source: Source, model: Model, seed: int, bulk: Bulk, count: Count
) -> tuple[tuple[str, ...], Pairs]:
    """The rows of files, or the series of a table, with their answers."""
    from rnnspec.data.column_names import column_names
    from rnnspec.data.shards import find_shards
    from rnnspec.run import series

    files = find_shards(source.data, query=source.query)
    how = rows.reading_of(model, files, source.quoting, source.format).how
    table = series.series_of(model)
    if table is not None and series.is_table(model, files, how):
        if bulk.keep:
            raise RnnspecError(
                f"--keep carries columns of rows, and a row of {files} is a step of a series, whose"
                " answer has its name and its times; leave it out"
            )
        about = tuple(filter(None, (table.id, table.time)))
        return about, _of_series(model, files, table, seed, how)
    kept = bulk.kept(column_names(files, how) if bulk.keep else [], files)
    return kept, answers.answered(
        model,
        rows.from_file(model, files, how, kept, count.read),
        textual=rows.is_textual(how),
        seed=seed,
        batch=bulk.batch or answers.BATCH,
        threads=bulk.workers,
    )


def _of_series(model: Model, data: Shards, reading: SeriesReading, seed: int, how: How) -> Pairs:
    """Each series of a table with its answer, beside which stand its name and its times."""
    from rnnspec.run import series

    table = series.from_table(model, data, reading, how)
    for text in table.notes():
        note(text)
    textual = rows.is_textual(how)
    asked_of = (
        Asked(place, row if isinstance(row, DataError) else dict(row))
        for place, row in table.rows()
    )
    found = answers.answered(model, asked_of, textual=textual, seed=seed)
    for each, (asked, answer) in zip(table.series, found, strict=True):
        if isinstance(answer, DataError):
            yield Asked(asked.place, asked.row, {}), answer
            continue
        title: rows.Row = {answers.SERIES: series.titled(each.name, table.times(each))}
        yield Asked(asked.place, title, table.about(each)), answer
