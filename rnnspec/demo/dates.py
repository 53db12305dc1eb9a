"""The dates world: a seeded generator whose rows have an example for every cardinality.

A row is one date written in one of 30 languages, with all its attributes:

    N:1   text → language            text → day_of_year
    N:M   text → iso
    N:N   text → tags                text → its next character
    1:N   language, form, digits, month, day, weekday → text
    1:1   month, day → day_of_year

Each of these has one right answer by construction: see rnnspec/demo/forms.py for the texts that
are left out because two languages, or two dates, would share them.

Valid and test hold whole years that train never has, one year of each in every decade from 1900 to
2099, whose last digit changes with the decade. So a model cannot memorise a year, and still sees
every digit in every place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date
from functools import cache
from pathlib import Path
from random import Random
from typing import Literal, get_args

from rnnspec.demo.forms import FIRST_YEAR, LAST_YEAR, YEAR, Form, Tag, World, world
from rnnspec.files import write_lines

Split = Literal["train", "valid", "test"]


@dataclass(frozen=True, slots=True)
class Row:
    """One date, written once.

    `text` the written date; `language` its code and `language_name` the English name of it; `form`
    the CLDR pattern it is written in; `iso` as in ISO 8601, "2026-11-22"; `weekday` from Monday,
    1, to Sunday, 7, whether the text shows it or not; `day_of_year` from 1 to 366; `digits` those
    of the year; `tags` one for every character (code point) of `text`.
    """

    text: str
    language: str
    language_name: str
    form: str
    iso: str
    year: int
    month: int
    day: int
    weekday: int
    day_of_year: int
    digits: tuple[int, int, int, int]
    tags: tuple[Tag, ...]


def split_of(year: int) -> Split:
    """The split of a year: of 200 years, 160 are train's, 20 valid's and 20 test's."""
    # The digit held out moves by 3 with the decade, so that it runs through all ten, and by 2 with
    # the century, so that train sees each pair of last digits in one century or the other.
    held_out = (3 * (year // 10) + 2 * (year // 100)) % 10
    splits: dict[int, Split] = {held_out: "valid", (held_out + 5) % 10: "test"}
    return splits.get(year % 10, "train")


def rows(seed: int, count: int, split: Split) -> Iterator[Row]:
    """`count` rows of a split, drawn with replacement: language, then form, then day, evenly.

    Texts that are not clear are drawn again within their language, so every language has its share.
    The same seed gives the same rows on every machine (for the same Babel), and fewer rows are the
    beginning of more. Raises DataError if Babel is not installed.
    """
    languages = world()
    codes = tuple(languages.forms)
    days = _days(split)
    random = Random(f"dates {split} {seed}")  # a text seeds by SHA-512, never by its hash
    for _ in range(count):
        yield _draw(languages, random.choice(codes), days, random)


def _draw(languages: World, code: str, days: tuple[date, ...], random: Random) -> Row:
    while True:
        form = random.choice(languages.forms[code])
        day = random.choice(days)
        if (row := row_of(form, day)) is not None:
            return row


def row_of(form: Form, day: date) -> Row | None:
    """The row of `day` written in `form`; None if the text is one of those left out."""
    languages = world()
    weekday = day.isoweekday()
    words = form.words(YEAR, day.month, day.day, weekday)
    if "".join(words) in languages.shared:
        return None
    words = form.words(f"{day.year:04}", day.month, day.day, weekday)
    return Row(
        text="".join(words),
        language=form.language,
        language_name=languages.names[form.language],
        form=form.name,
        iso=day.isoformat(),
        year=day.year,
        month=day.month,
        day=day.day,
        weekday=weekday,
        day_of_year=day.timetuple().tm_yday,
        digits=(day.year // 1000, day.year // 100 % 10, day.year // 10 % 10, day.year % 10),
        tags=tuple(form.tags(words)),
    )


@cache
def _days(split: Split) -> tuple[date, ...]:
    first, last = date(FIRST_YEAR, 1, 1).toordinal(), date(LAST_YEAR, 12, 31).toordinal()
    days = map(date.fromordinal, range(first, last + 1))
    return tuple(day for day in days if split_of(day.year) == split)


def write(
    folder: Path, seed: int = 0, train: int = 20_000, valid: int = 2_000, test: int = 2_000
) -> dict[Split, Path]:
    """Write train.jsonl, valid.jsonl and test.jsonl into `folder`, made if missing.

    Each argument after the seed is a number of rows. UTF-8, one JSON object per line, the fields of
    Row; every file appears whole or not at all, in place of an older one. Returns the path of each
    split. Raises DataError if Babel is not installed, OutputError if a file cannot be written.
    """
    world()  # without Babel, stop before any folder is made
    counts: dict[Split, int] = {"train": train, "valid": valid, "test": test}
    paths: dict[Split, Path] = {split: folder / f"{split}.jsonl" for split in get_args(Split)}
    for split, path in paths.items():
        write_lines(path, map(_line, rows(seed, counts[split], split)))
    return paths


def _line(row: Row) -> str:
    # Not dataclasses.asdict: it copies every tag, and takes longer than making the row.
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    return json.dumps(values, ensure_ascii=False) + "\n"
