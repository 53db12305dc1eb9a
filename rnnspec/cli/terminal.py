"""Output for a terminal: colour only where it is wanted, tables in plain text."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import typer

from rnnspec.source.characters import display_width
from rnnspec.source.problems import Problem


@dataclass(slots=True)
class Loudness:
    """What the command line says besides answers and errors, as its flags ask for it."""

    quiet: bool = False
    verbose: bool = False


loudness = Loudness()


def say(text: str) -> None:
    """Print what is good to know; nothing with --quiet."""
    if not loudness.quiet:
        print(text)


def is_terminal(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_colour(stream: TextIO) -> bool:
    """Whether to write colours to `stream`; NO_COLOR with any value forbids it (no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def error(message: str) -> None:
    """`error: message` on standard error."""
    mark = "error:"
    if has_colour(sys.stderr):
        mark = typer.style(mark, fg="red", bold=True)
    sys.stdout.flush()
    print(f"{mark} {message}", file=sys.stderr)


def note(message: str) -> None:
    """`note: message` on standard error; nothing with --quiet."""
    if loudness.quiet:
        return
    sys.stdout.flush()
    print(f"note: {message}", file=sys.stderr)


def problem_text(problem: Problem, colour: bool) -> str:
    """A problem of a spec as its `render()`, in colour if wanted."""
    text = problem.render()
    if not colour:
        return text
    place = f"{problem.file}:{problem.span.line}:{problem.span.column}"
    lines = text.removeprefix(place).split("\n")
    if problem.source_line.strip():
        lines[-1] = typer.style(lines[-1], fg="red", bold=True)
    return typer.style(place, bold=True) + "\n".join(lines)


def printable(text: str) -> str:
    """`text` without characters that control a terminal or break the line."""
    hidden = ("Cc", "Cs", "Zl", "Zp")
    return "".join("\ufffd" if unicodedata.category(c) in hidden else c for c in text)


def number(value: float) -> str:
    """A metric with four decimals, or with four significant digits if it is very small or large."""
    return f"{value:.4f}" if value == 0 or 1e-2 <= abs(value) < 1e4 else f"{value:.4g}"


def near(path: Path) -> Path:
    """`path` from the current folder, if it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Aligned columns: the first `left` to the left, the others, which hold numbers, to the right.

    Widths are in cells of a terminal, where a wide character takes two.
    """
    lines = [list(header), *(list(map(printable, row)) for row in rows)]
    wide = [max(map(display_width, column)) for column in zip(*lines, strict=True)]
    texts = []
    for line in lines:
        parts = []
        for number, (cell, width) in enumerate(zip(line, wide, strict=True)):
            gap = " " * (width - display_width(cell))
            parts.append(cell + gap if number < left else gap + cell)
        texts.append("  ".join(parts).rstrip())
    return "\n".join(texts)
