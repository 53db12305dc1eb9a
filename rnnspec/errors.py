"""The exception tree. Everything rnnspec raises on purpose is one of these.

    RnnspecError                an error that the user can correct; the CLI exits with 2
    ├── SpecError               a wrong spec, with every problem found and its place
    ├── CellError               a wrong cell, with line and column within the equations
    ├── DataError               a wrong data file, with file and row
    ├── BuildError              a build folder that is missing, unreadable or does not fit
    ├── OutputError             a file that cannot be written
    ├── ExportError             an exported file that is not written or not proven equal
    └── ModelFileError          a .onnx file that rnnspec did not write, or a wrong input to it

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

    `about` is the wrong key of its definition: `equations`, `states`, `output`, `inputs`, `sizes`,
    `constants` or `parameters`; only equations have a place. `name` is the wrong entry below that
    key, empty for all of it.
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


class OtherForm(DataError):
    """A cell in a form that the spec may read otherwise: `what` it is, and the `way`. Where a file
    answers, which reads as it was trained, only `what` matters."""

    def __init__(self, what: str, way: str) -> None:
        self.what, self.way = what, way
        super().__init__(f"{what}; {way}")


class MissingCell(DataError):
    """A cell, or a number within one, that is missing where a value is required."""


class MissingPackage(DataError):
    """Cells need a package that is not installed: no row can be read without it."""


class BuildError(RnnspecError):
    """A build folder that is missing, unreadable, or belongs to another spec."""


class OutputError(RnnspecError):
    """A file that cannot be written, or that would replace something else."""


class ExportError(RnnspecError):
    """An export that could not be written, or whose answers differ from the trained module's."""


class ModelFileError(RnnspecError):
    """A model file, or an input to it, that onnxruntime cannot use."""
