"""The written forms of a date in many languages, without ambiguous ones.

The patterns, month names and weekday names are CLDR's, as Babel ships them. A form is a CLDR date
pattern (UTS 35 part 4) split into pieces, each with its tag and the words it can show. The text of
a date and the tag of each of its characters come from the same pieces.

Left out, so that every text has one language and one date:

* two-digit years;
* forms that show the month as a number, unless they run year, month, day: 03/04/2026 is March in
  one country and April in another, while no form of any language here runs year, day, month;
* every text that two forms write for different languages or different dates. All forms and days are
  compared, with the forms of the second rule among them, not a sample: "22. november 2026" is
  Danish and Norwegian, so neither language ever shows it.

CLDR's no-break and narrow no-break spaces (U+00A0, U+202F) become U+0020, which people type: a
model should not distinguish Russian from Bulgarian by an invisible difference of spaces. Marks of
writing direction (U+200E, U+200F, U+061C) are invisible too and are removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Literal

from rnnspec.errors import DataError

if TYPE_CHECKING:
    from babel import Locale

Tag = Literal["day", "month", "year", "weekday", "other"]

# Language code to the CLDR locales whose forms it is written in.
_LATIN = "de nl sv da nb fr es it pt ro pl cs hr hu fi tr vi id"
_OTHER_SCRIPTS = "el ru uk bg ka he hi th ja ko zh"
LOCALES: Mapping[str, tuple[str, ...]] = {
    "en": ("en", "en_GB"),
    **{code: (code,) for code in f"{_LATIN} {_OTHER_SCRIPTS}".split()},
}

FIRST_YEAR, LAST_YEAR = 1900, 2099

_NAMED = ("full", "long", "medium", "short")
_SKELETONS = ("yMMMMd", "yMMMd", "yMd", "yMMMMEEEEd", "yMMMMEd", "yMMMEEEEd", "yMMMEd", "yMEd")
_CHARACTERS = str.maketrans("\u00a0\u202f", "  ", "\u200e\u200f\u061c")
_TAG_OF_FIELD: Mapping[str, Tag] = {
    "y": "year",
    "M": "month",
    "L": "month",
    "d": "day",
    "E": "weekday",
    "c": "weekday",
    "G": "other",
}
_DAYS_IN_MONTH = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# 2024 begins on a Monday and is a leap year: these dates show every month, day and weekday in turn.
_SAMPLES: Mapping[Tag, tuple[date, ...]] = {
    "month": tuple(date(2024, month, 1) for month in range(1, 13)),
    "day": tuple(date(2024, 1, day) for day in range(1, 32)),
    "weekday": tuple(date(2024, 1, day) for day in range(1, 8)),
    "other": (date(2024, 1, 1),),
    "year": (),
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a form under one tag.

    `words` are the texts it can show: 12 for a month, 31 for a day, 7 for a weekday from Monday on,
    1 for a literal (or an era, constant here), none for a year, which is always its four digits.
    """

    tag: Tag
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """One way of writing a date: `language` code, `name` as in CLDR, and the pieces in order."""

    language: str
    name: str
    pieces: tuple[Piece, ...]

    def words(self, year: str, month: int, day: int, weekday: int) -> list[str]:
        """The text piece by piece. `weekday` counts from Monday, 1; unused where none is shown."""
        index = {"month": month - 1, "day": day - 1, "weekday": weekday - 1, "other": 0}
        return [piece.words[index[piece.tag]] if piece.words else year for piece in self.pieces]

    def tags(self, words: list[str]) -> list[Tag]:
        """One tag for every character (code point) of the joined `words`."""
        pairs = zip(self.pieces, words, strict=True)
        return [piece.tag for piece, word in pairs for _ in word]

    @property
    def shows_weekday(self) -> bool:
        return any(piece.tag == "weekday" for piece in self.pieces)

    @property
    def is_clear(self) -> bool:
        """Whether the order of day and month is clear: month in words, or year, month, day."""
        order = [piece.tag for piece in self.pieces if piece.tag in ("year", "month", "day")]
        months = [word for piece in self.pieces if piece.tag == "month" for word in piece.words]
        return order == ["year", "month", "day"] or not any(word.isdigit() for word in months)


@dataclass(frozen=True, slots=True)
class World:
    """The forms kept for each language, the languages' English names, and the texts left out.

    `shared` holds texts with YEAR in place of the year: every form shows the year as the only run
    of four digits, so two texts are equal just when their years and the rest of them are.
    """

    forms: Mapping[str, tuple[Form, ...]]
    names: Mapping[str, str]
    shared: frozenset[str]


YEAR = "\0"


@cache
def world() -> World:
    """The world of Babel's CLDR data; made once a process (about a second).

    Raises DataError if Babel is not installed.
    """
    locales = {code: [_locale(name) for name in names] for code, names in LOCALES.items()}
    forms = [form for code in locales for form in _forms(code, locales[code])]
    shared = _shared(forms)
    kept = [form for form in forms if form.is_clear and _shows_something_of_its_own(form, shared)]
    return World(
        {code: tuple(form for form in kept if form.language == code) for code in locales},
        {code: str(locales[code][0].english_name) for code in locales},
        shared,
    )


def texts(form: Form) -> Iterator[tuple[str, int, int, int]]:
    """Every text of `form`, with YEAR for the year, and its month, day and weekday.

    366 days, each on every weekday if `form` shows one, else on weekday 1.
    """
    at = [piece.tag for piece in form.pieces].index("day")
    for weekday in range(1, 8) if form.shows_weekday else (1,):
        for month, length in enumerate(_DAYS_IN_MONTH, start=1):
            words = form.words(YEAR, month, 1, weekday)
            before, after = "".join(words[:at]), "".join(words[at + 1 :])
            for day, word in enumerate(form.pieces[at].words[:length], start=1):
                yield before + word + after, month, day, weekday


def _shared(forms: list[Form]) -> frozenset[str]:
    """The texts, with YEAR for the year, that have two languages, two dates or two taggings."""
    first: dict[str, tuple[Form, int, int, int]] = {}
    shared: set[str] = set()
    for form in forms:
        for text, month, day, weekday in texts(form):
            other, *when = first.setdefault(text, (form, month, day, weekday))
            if other is form and when == [month, day, weekday]:
                continue
            same = other.language == form.language and when[:2] == [month, day]
            if not same or _tags(other, *when) != _tags(form, month, day, weekday):
                shared.add(text)
    return frozenset(shared)


def _tags(form: Form, month: int, day: int, weekday: int) -> list[Tag]:
    return form.tags(form.words(YEAR, month, day, weekday))


def _shows_something_of_its_own(form: Form, shared: frozenset[str]) -> bool:
    return any(text not in shared for text, *_ in texts(form))


def _locale(name: str) -> Locale:
    try:
        from babel import Locale
    except ImportError:
        raise DataError(
            "the dates of the demo are written by Babel, which is not installed; "
            "install it with: pip install 'rnnspec[demo]'"
        ) from None
    return Locale.parse(name)


def _forms(language: str, locales: list[Locale]) -> list[Form]:
    """The language's different forms with a four-digit year; of equal ones the first."""
    forms: dict[tuple[Piece, ...], Form] = {}
    for locale in locales:
        for name, pattern in _patterns(locale).items():
            pieces = _pieces(pattern, locale)
            if pieces is not None:
                name = f"{locale.territory}.{name}" if locale.territory else name
                forms.setdefault(pieces, Form(language, name, pieces))
    return list(forms.values())


def _patterns(locale: Locale) -> dict[str, str]:
    """CLDR patterns by name: the four standard ones, then the ones of the skeletons above."""
    patterns = {name: locale.date_formats[name].pattern for name in _NAMED}
    skeletons = locale.datetime_skeletons
    patterns |= {name: skeletons[name].pattern for name in _SKELETONS if name in skeletons}
    abbreviated = patterns.get("yMMMEd", "")
    if "yMMMMEd" not in patterns and re.search(r"(?<!M)MMM(?![M.])", abbreviated):
        # UTS 35, "Missing Skeleton Fields": the nearest skeleton's fields are widened as asked;
        # not before the full stop of an abbreviation (Georgian).
        patterns["yMMMMEd"] = abbreviated.replace("MMM", "MMMM")
    return patterns


def _pieces(pattern: str, locale: Locale) -> tuple[Piece, ...] | None:
    """The pieces of a pattern, or None if its year has two digits. Babel formats every word."""
    from babel.dates import DateTimeFormat, tokenize_pattern

    pieces: list[Piece] = []
    for _, token in tokenize_pattern(pattern):
        if isinstance(token, str):
            pieces.append(Piece("other", (token.translate(_CHARACTERS),)))
            continue
        field, width = token
        if (field, width) == ("y", 2):
            return None
        tag = _TAG_OF_FIELD[field]
        written = (DateTimeFormat(sample, locale)[field * width] for sample in _SAMPLES[tag])
        pieces.append(Piece(tag, tuple(word.translate(_CHARACTERS) for word in written)))
    return tuple(pieces)
