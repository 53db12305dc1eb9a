"""The dates world: clear by construction, the same everywhere, and written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import pytest
from babel.dates import format_date
from hypothesis import given
from hypothesis import strategies as st

from rnnspec.demo import dates, starter
from rnnspec.demo.__main__ import main
from rnnspec.demo.forms import FIRST_YEAR, LAST_YEAR, LOCALES, YEAR, Form, texts, world
from rnnspec.errors import DataError, OutputError
from rnnspec.files import write_lines

SPECS = Path(__file__).parent.parent / "specs"
SEEDS = st.integers(0, 2**63)
SPLITS = st.sampled_from(["train", "valid", "test"])


@pytest.fixture(scope="module")
def forms() -> list[Form]:
    return [form for forms in world().forms.values() for form in forms]


@pytest.fixture(scope="module")
def sample() -> list[dates.Row]:
    return list(dates.rows(0, 4000, "train"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("starter")
    starter.write_starter("dates-language", folder)
    return folder


def years(split: str) -> list[int]:
    """The years of a split, ascending."""
    every = range(FIRST_YEAR, LAST_YEAR + 1)
    return [year for year in every if dates.split_of(year) == split]


def test_every_text_that_can_be_drawn_has_one_language_and_one_date(forms: list[Form]) -> None:
    """Over the whole space: each form, each of 366 days, each weekday it can fall on."""
    meanings: dict[str, tuple[str, int, int]] = {}
    shared = world().shared
    for form in forms:
        for text, month, day, _ in texts(form):
            if text not in shared:
                meaning = (form.language, month, day)
                assert meanings.setdefault(text, meaning) == meaning, text
    assert len(meanings) > 150_000


def test_every_text_of_a_leap_year_has_one_meaning_and_shows_its_year_once(
    forms: list[Form],
) -> None:
    """The same on rows, tags included. The year is the only run of four digits, so years differ."""
    meanings: dict[str, tuple[str, str, tuple[str, ...]]] = {}
    for form in forms:
        for number in range(366):
            row = dates.row_of(form, date(2024, 1, 1) + timedelta(number))
            if row is not None:
                meaning = (row.language, row.iso, row.tags)
                assert meanings.setdefault(row.text, meaning) == meaning, row.text
                assert re.findall(r"\d{3,}", row.text) == ["2024"], row.text


def test_left_out_are_just_the_texts_that_several_would_write() -> None:
    shared = world().shared
    assert f"22. november {YEAR}" in shared  # Danish, Norwegian
    assert f"22. maj {YEAR}" not in shared  # Danish alone
    assert f"22. mai {YEAR}" not in shared  # Norwegian alone
    assert f"{YEAR}年11月22日" in shared  # Japanese, Chinese
    assert f"3/4/{YEAR}" in shared  # March or April


def test_a_month_is_in_words_or_follows_the_year(sample: list[dates.Row]) -> None:
    in_numbers = [row for row in sample if tagged(row, "month").isdigit()]
    assert {row.language for row in in_numbers} == {"hu", "ja", "ko", "sv", "zh"}
    for row in in_numbers:
        year, month, day = (row.tags.index(tag) for tag in ("year", "month", "day"))
        assert year < month < day, row.text


def test_at_least_20_languages_all_with_several_forms_and_an_even_share(
    sample: list[dates.Row],
) -> None:
    assert len(LOCALES) >= 20
    assert all(len(forms) >= 3 for forms in world().forms.values())
    share = Counter(row.language for row in sample)
    assert share.keys() == LOCALES.keys()
    assert min(share.values()) > len(sample) / len(share) / 2
    names = {row.language: row.language_name for row in sample}
    assert (names["de"], names["ja"], names["nb"]) == ("German", "Japanese", "Norwegian Bokmål")


def test_a_form_is_one_pattern_of_its_language(forms: list[Form]) -> None:
    """So that language, form and fields have one text (1:N)."""
    assert len({(form.language, form.name) for form in forms}) == len(forms)


def test_the_text_is_what_babel_writes(sample: list[dates.Row]) -> None:
    checked = 0
    for row in sample:
        if row.form in ("full", "long", "medium", "short"):
            written = format_date(date.fromisoformat(row.iso), row.form, LOCALES[row.language][0])
            assert row.text == re.sub("[\u00a0\u202f]", " ", written)
            checked += 1
    assert checked > 1000


def test_no_invisible_characters(forms: list[Form]) -> None:
    letters = {c for form in forms for piece in form.pieces for word in piece.words for c in word}
    assert letters.isdisjoint("\u00a0\u202f\u2009\u200e\u200f\u061c\n\t")
    assert " " in letters


@given(seed=SEEDS, split=SPLITS)
def test_fields_and_tags_say_what_the_text_says(seed: int, split: dates.Split) -> None:
    for row in dates.rows(seed, 3, split):
        day = date.fromisoformat(row.iso)
        assert (row.year, row.month, row.day) == (day.year, day.month, day.day)
        assert row.weekday == day.isoweekday()
        assert date(day.year, 1, 1) + timedelta(row.day_of_year - 1) == day
        assert len(row.tags) == len(row.text)
        assert tagged(row, "year") == row.iso[:4]
        assert int(tagged(row, "day")) == row.day
        month = tagged(row, "month")
        assert int(month) == row.month if month.isdigit() else re.search(r"[^\W\d_]", month)
        assert not re.search(r"\d", tagged(row, "other"))


def test_tags_of_a_text() -> None:
    (form,) = (form for form in world().forms["de"] if form.name == "yMMMEd")
    row = dates.row_of(form, date(2026, 11, 22))
    assert row is not None
    assert row.text == "So., 22. Nov. 2026"
    letters = "".join(
        {"weekday": "w", "other": ".", "day": "d", "month": "m"}.get(t, "y") for t in row.tags
    )
    assert letters == "www..dd..mmmm.yyyy"


def tagged(row: dates.Row, tag: str) -> str:
    return "".join(c for c, its in zip(row.text, row.tags, strict=True) if its == tag)


def test_years_are_held_out_one_in_each_decade() -> None:
    train, valid, test = (years(split) for split in ("train", "valid", "test"))
    assert sorted(train + valid + test) == list(range(FIRST_YEAR, LAST_YEAR + 1))
    decades = list(range(FIRST_YEAR // 10, LAST_YEAR // 10 + 1))
    for held_out in (valid, test):
        assert [year // 10 for year in held_out] == decades
        assert {year % 10 for year in held_out} == set(range(10))
    assert {year % 100 for year in train} == set(range(100))


@given(seed=SEEDS, split=SPLITS, count=st.integers(0, 20), more=st.integers(0, 20))
def test_rows_keep_to_their_years_and_fewer_begin_more(
    seed: int, split: dates.Split, count: int, more: int
) -> None:
    rows = list(dates.rows(seed, count + more, split))
    assert list(dates.rows(seed, count, split)) == rows[:count]
    assert len(rows) == count + more
    assert {row.year for row in rows} <= set(years(split))


def test_seeds_and_splits_differ() -> None:
    first, again, other = ([r.text for r in dates.rows(s, 50, "train")] for s in (0, 0, 1))
    assert first == again != other


def test_the_files_are_the_same_in_every_process(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys; from rnnspec.demo.dates import write\n"
        "write(pathlib.Path(sys.argv[1]), 7, train=300, valid=20, test=20)"
    )
    digests = []
    for hash_seed in ("0", "1"):
        folder = tmp_path / hash_seed
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        subprocess.run([sys.executable, "-c", code, str(folder)], check=True, env=environment)
        assert sorted(file.name for file in folder.iterdir()) == [
            "test.jsonl",
            "train.jsonl",
            "valid.jsonl",
        ]
        digests.append(
            [hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(folder.iterdir())]
        )
    assert digests[0] == digests[1]


@pytest.mark.skipif(version("babel") != "2.18.0", reason="stated for Babel 2.18.0")
def test_rows_are_those_of_every_machine() -> None:
    digest = hashlib.sha256("\n".join(r.text for r in dates.rows(0, 200, "train")).encode())
    assert digest.hexdigest()[:16] == "5739bc7db31971fe"


def test_importing_needs_neither_babel_nor_torch() -> None:
    code = (
        "import sys, rnnspec.demo.starter\n"
        "assert sys.modules.keys().isdisjoint({'babel', 'torch', 'onnx', 'onnxruntime', 'numpy'})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_babel_the_way_out_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "babel", None)
    world.cache_clear()
    with pytest.raises(DataError, match=re.escape("pip install 'rnnspec[demo]'")):
        starter.write_starter("dates-language", tmp_path / "new")
    assert main([str(tmp_path / "new")]) == 2
    assert "pip install" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken() -> Iterator[str]:
        yield from ["new\n"] * 5000
        raise DataError("stop")

    file = tmp_path / "rows.jsonl"
    write_lines(file, iter(["old\n"]))
    with pytest.raises(DataError, match="stop"):
        write_lines(file, broken())
    assert file.read_text() == "old\n"
    write_lines(file, islice(broken(), 2))
    assert file.read_text() == "new\nnew\n"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match=r"taken.*train\.jsonl: cannot be written"):
        dates.write(tmp_path / "taken", train=1, valid=1, test=1)


def test_starter_writes_the_spec_and_its_data(folder: Path) -> None:
    spec = (folder / "dates-language.yaml").read_text(encoding="utf-8")
    assert spec.startswith("#\n# Which language")
    for name, count in (("train", 20_000), ("valid", 2_000), ("test", 2_000)):
        lines = (folder / "dates" / f"{name}.jsonl").read_bytes().splitlines()
        assert len(lines) == count
        row = json.loads(lines[0])
        assert row.keys() >= {"text", "language", "iso", "tags", "form", "day_of_year"}
        assert row["year"] in years(name)
        assert f"dates/{name}.jsonl" in spec or name == "test"


def test_starter_overwrites_nothing(folder: Path, tmp_path: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in folder.rglob("*")}
    message = r"dates-language\.yaml: there already, .* name another folder"
    with pytest.raises(DataError, match=message):
        starter.write_starter("dates-language", folder)
    assert {file: file.stat().st_mtime_ns for file in folder.rglob("*")} == before
    (tmp_path / "dates").mkdir()
    (tmp_path / "dates" / "test.jsonl").write_text("mine")
    with pytest.raises(DataError, match=r"dates.test\.jsonl: there already"):
        starter.write_starter("dates-language", tmp_path)
    assert [file.name for file in tmp_path.rglob("*")] == ["dates", "test.jsonl"]


def test_starter_of_no_such_kind(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="did you mean 'dates-language'"):
        starter.write_starter("date-language", tmp_path)
    with pytest.raises(DataError, match="there are: dates-iso, dates-language"):
        starter.write_starter("x", tmp_path)


@pytest.mark.parametrize("kind", starter.KINDS)
def test_the_packaged_spec_is_the_one_of_specs(kind: str) -> None:
    """They differ in the way to the schema alone; after a change to one, copy it to the other."""
    ours = (SPECS / f"{kind}.yaml").read_text(encoding="utf-8")
    packaged = starter.spec_text(kind)
    assert ours == packaged.replace("$schema=rnnspec", "$schema=../schemas/rnnspec")


@pytest.mark.parametrize("file", sorted(SPECS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_spec_names_the_schema(file: Path) -> None:
    first = file.read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=../schemas/rnnspec.schema.json"
