"""A mistake in a source file, and how it is shown: place, message, hint, underlined line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rnnspec.source.characters import display_width, shown

MAX_SHOWN = 160
"""Characters of a long line that are shown around the place."""
MAX_WORD = 60
"""Longest word for which a similar known one is looked for."""


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a text file: 1-based `line` and `column`, `length` in code points (at least 1)."""

    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake.

    `file` as the user named it; `path` the dotted path of the key (`encoder.layers[0].units`),
    empty for the whole file; `message` what is wrong; `hint` how to correct it, or empty;
    `source_line` the text of the line, or empty.
    """

    file: str
    span: Span
    path: str
    message: str
    hint: str = ""
    source_line: str = ""

    def render(self) -> str:
        """`file:line:col: path: message; hint`, then the line with the place underlined."""
        place = f"{self.file}:{self.span.line}:{self.span.column}"
        head = ": ".join(part for part in (place, self.path, self.message) if part)
        if self.hint:
            head += f"; {self.hint}"
        head = shown(head)
        return head if not self.source_line.strip() else f"{head}\n{self._underlined()}"

    def _underlined(self) -> str:
        first = self.span.column - 1
        start = 0 if len(self.source_line) <= MAX_SHOWN else max(0, first - MAX_SHOWN // 3)
        line = shown(self.source_line[start : start + MAX_SHOWN])
        before, marked = line[: first - start], line[first - start :][: self.span.length]
        left = "…" if start else ""
        right = "…" if len(self.source_line) > start + MAX_SHOWN else ""
        below = " " * display_width(left + before) + "^" * max(1, display_width(marked))
        return f"    {left}{line}{right}\n    {below}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` for the nearest known word, or an empty text if none is similar."""
    near = nearest(word, known)
    return f"did you mean {near!r}?" if near is not None else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most similar to `word`, ignoring case, or None if none is similar."""
    import difflib  # takes longer to load than a correct spec takes to check

    if len(word) > MAX_WORD:
        return None
    words = {entry.lower(): entry for entry in sorted(known)}
    starts = [entry for entry in words if len(word) > 1 and entry.startswith(word.lower())]
    near = starts if len(starts) == 1 else difflib.get_close_matches(word.lower(), words, 5, 0.6)
    near.sort(key=lambda each: sorted(each) != sorted(word.lower()))  # letters in another order
    return words[near[0]] if near else None
