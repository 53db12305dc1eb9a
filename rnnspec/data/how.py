"""How files are read: what a spec, or an option of a command, says about their format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rnnspec.data.lines import Coding
from rnnspec.spec.cell_kinds import CellKind
from rnnspec.spec.files import Format, Quoting
from rnnspec.spec.formats import Delimited, FormatSettings, PlainFormat, TextFormat
from rnnspec.spec.tables import TableShape

Documents = Literal["file", "paragraph", "line"]
"""What a row of plain text is."""
Holds = Literal["audio", "image", "video"]
"""What the files in folders are read as."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A table whose columns make others. With `series` each row of a wide table is a series, whose
    times are in the column `time`."""

    table: TableShape
    series: bool = False
    time: str | None = None

    def written(self) -> list[object]:
        settings = self.table.model_dump(mode="json")
        return [settings, self.series, self.time]


@dataclass(frozen=True, slots=True)
class How:
    """How files are read.

    - `documents`: what a row of plain text is. `end`: this share at the end of one plain text that
      is read whole is a row of its own, held out.
    - `quoting`: what quotes are in CSV and TSV.
    - `names`: those of the columns of CoNLL, and of CSV without a header, in their order.
    - `holds`: what the files in folders are read as.
    - `settings`: of a format; files of another format are read by its defaults.
    - `kinds`: what is in the cells, by column; of a column that is not there, "other".
    - `steps`: the columns that are lists, one value a step.
    - `beside`: the file of each column, where each has its own; `query`: what a database is asked.
    - `shape`: how columns of a table make those that are read.
    """

    format: Format = "auto"
    documents: Documents = "file"
    quoting: Quoting = "auto"
    end: float = 0.0
    names: tuple[str, ...] = ()
    holds: Holds | None = None
    settings: FormatSettings | None = None
    kinds: Mapping[str, CellKind] = field(default_factory=dict)
    steps: frozenset[str] = frozenset()
    shape: Shape | None = None
    beside: Mapping[str, Path] = field(default_factory=dict)
    query: str | None = None

    @property
    def coding(self) -> Coding:
        """How characters stand in the bytes of a file of text."""
        found = self.settings
        if isinstance(found, TextFormat) and found.name == self.format:
            return Coding(found.encoding, self.format)
        if isinstance(found, PlainFormat) and self.format == "columns":
            return Coding(found.encoding, "text")
        return Coding("utf-8", self.format)

    @property
    def delimited(self) -> Delimited | None:
        """The settings of CSV or TSV, where the files are that and have any."""
        found = self.settings
        return found if isinstance(found, Delimited) and found.name == self.format else None

    def written(self) -> list[object]:
        """What the cells depend on beside the files, in plain values; nothing by default."""
        known = "text" if self.format == "columns" else self.format
        given = self.settings is not None and self.settings.name == known
        found: list[object] = [self.settings.written()] if given and self.settings else []
        found += self.shape.written() if self.shape else []
        return [*found, sorted(self.kinds.items()), sorted(self.steps)] if found else []

    def kind(self, column: str) -> CellKind:
        return self.kinds.get(column, "other")
