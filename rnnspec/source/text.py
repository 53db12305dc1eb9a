"""Reading a source file; its size, encoding and characters are checked before parsing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from rnnspec.errors import SpecError
from rnnspec.source.problems import Problem, Span

MAX_BYTES = 1_000_000
"""Largest spec file read; a spec is a few kilobytes."""

_UNREADABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]"
)
_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a file and where its lines start; `file` is its name as the user gave it."""

    file: str
    text: str
    starts: tuple[int, ...] = field(repr=False)

    @staticmethod
    def of(text: str, file: str) -> Source:
        return Source(file, text, (0, *(match.end() for match in _BREAK.finditer(text))))

    def line(self, number: int) -> str:
        """The text of line `number` (from 1) without its line break; empty outside the file."""
        if not 1 <= number <= len(self.starts):
            return ""
        end = self.starts[number] if number < len(self.starts) else len(self.text)
        return self.text[self.starts[number - 1] : end].rstrip("\r\n")

    def place(self, index: int, length: int = 1) -> Span:
        """The place of the character at `index` of the text."""
        from bisect import bisect_right

        line = bisect_right(self.starts, max(0, min(index, len(self.text))))
        return Span(line, index - self.starts[line - 1] + 1, max(1, length))

    def problem(self, span: Span, message: str, hint: str = "", path: str = "") -> Problem:
        return Problem(self.file, span, path, message, hint, self.line(span.line))


def read_source(path: Path, file: str) -> Source:
    """The text of the file at `path`. Raises SpecError if it cannot be a spec.

    At most `MAX_BYTES` are read, so that a huge file or an endless device is refused at once.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _unusable(file, "there is no such file", _near(path)) from None
    except IsADirectoryError:
        raise _unusable(file, "is a folder, not a file", "name a .yaml file in it") from None
    except PermissionError:
        raise _unusable(file, "may not be read", "check the rights of the file") from None
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise _unusable(file, f"cannot be read: {cause}", "check the path") from None
    if len(content) > MAX_BYTES:
        size = f"larger than {MAX_BYTES:,} bytes"
        raise _unusable(file, size, "a spec is a few kilobytes; is this a data file?")
    return source_of(content, file)


def source_of(content: bytes, file: str) -> Source:
    """The text of a file's content; raises SpecError if it is not readable UTF-8."""
    for mark, name in (
        (b"\xff\xfe", "UTF-16"),
        (b"\xfe\xff", "UTF-16"),
        (b"\0\0\xfe\xff", "UTF-32"),
    ):
        if content.startswith(mark):
            raise _unusable(file, f"is encoded as {name}", "save it as UTF-8")
    try:
        text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as error:
        before = Source.of(content[: error.start].decode("utf-8"), file)
        what = f"byte 0x{content[error.start]:02x} is not valid UTF-8"
        hint = "save the file as UTF-8 (a data file or an archive is no spec)"
        if file.endswith(".onnx"):
            hint = "a model file is no spec; name the spec, or the build that it was exported from"
        place = before.place(len(before.text))
        raise SpecError([Problem(file, place, "", what, hint)]) from None
    source = Source.of(text, file)
    check_characters(source)
    return source


def check_characters(source: Source) -> None:
    """Raises SpecError at the first character that editors do not display."""
    found = _UNREADABLE.search(source.text)
    if found is None:
        return
    code = ord(found[0])
    what = {
        0x00: "a NUL character",
        0x2028: "a line separator (U+2028)",
        0x2029: "a paragraph separator (U+2029)",
        0x85: "a next-line character (U+0085)",
        0xFEFF: "a byte-order mark (U+FEFF) inside the file",
    }.get(code, f"a control character (U+{code:04X})")
    hint = "remove it" if code else "remove it (is this a text file?)"
    raise SpecError([source.problem(source.place(found.start()), what, hint)])


def _unusable(file: str, message: str, hint: str) -> SpecError:
    return SpecError([Problem(file, Span(1, 1), "", message, hint)])


def _near(path: Path) -> str:
    """The nearest file name in the same folder, as a hint."""
    from rnnspec.source.problems import did_you_mean

    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.suffix in (".yaml", ".yml")]
    except (OSError, ValueError):
        return "check the path"
    return did_you_mean(path.name, names[:1000]) or "check the path"
