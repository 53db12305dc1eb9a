"""The exception tree. Everything rnnspec raises on purpose is one of these.

    RnnspecError                what the user can mend; the CLI prints it and exits with 2
    ├── SpecError               the spec is wrong: carries every problem found, with its place
    ├── CellError               an equation is wrong: line and column within the equations
    ├── DataError               a data file is wrong: carries file and row
    ├── BuildError              a build folder is missing, unreadable or does not fit
    ├── OutputError             a file cannot be written where it was asked for
    ├── ExportError             the exported file could not be written or proven equal
    └── ModelFileError          a .onnx file is not one that rnnspec wrote, or its input is wrong

Any other exception that reaches the user is a defect of rnnspec.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnspec.source.problems import Problem


class RnnspecError(Exception):
    """Base of all errors that rnnspec raises on purpose; `str()` is the whole message."""


class SpecError(RnnspecError):
    """A spec that cannot be used. `problems` holds every mistake found, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.render() for problem in self.problems))


class CellError(RnnspecError):
    """A wrong cell. `line` and `column` count from 1 within the equations' own text.

    `about` is the part of the cell that is wrong, a key of its definition: `equations`, `states`,
    `output`, `inputs`, `sizes`, `constants` or `parameters`; the place counts for equations only.
    `name` is the entry below that key that is wrong, empty for all of it.
    """

    def __init__(
        self,
        message: str,
        line: int = 1,
        column: int = 1,
        length: int = 1,
        about: str = "equations",
        name: str = "",
    ) -> None:
        self.message, self.line, self.column, self.length = message, line, column, length
        self.about, self.name = about, name
        place = f"{about}:{line}:{column}" if about == "equations" else about
        super().__init__(f"{place}: {message}")


class DataError(RnnspecError):
    """A data file that cannot be used; the message names the file and, if any, the row."""


class MissingCell(DataError):
    """A cell, or a number within one, that is missing where a value has to be."""


class BuildError(RnnspecError):
    """A build folder that is missing, unreadable, or belongs to another spec."""


class OutputError(RnnspecError):
    """A file that cannot be written, or that would take the place of something else."""


class ExportError(RnnspecError):
    """An export that could not be written, or whose answers differ from the trained module's."""


class ModelFileError(RnnspecError):
    """A model file, or an input given to it, that onnxruntime cannot use as asked."""
