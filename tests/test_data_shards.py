"""The same rows in one file and in several: same facts, same arrays, errors with the very file."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.data import Dataset, Reading, encode, survey
from rnnspec.data.how import How
from rnnspec.data.readers import read
from rnnspec.data.rows import BadRows
from rnnspec.data.series import Part
from rnnspec.data.shards import FILE, Shards
from rnnspec.errors import DataError
from rnnspec.plan import Facts, resolve
from rnnspec.spec import Spec
from tests.data_rows import CLASS, NUMBER, WORDS, any_spec, spec_of, write_rows

NEXT = {"column": "text", "as": "next"}
FORECAST = {"column": "value", "as": "forecast", "horizon": 2}
SERIES = {"column": "value", "as": "series"}
ROWS = [
    {"text": f"word{n % 7} and{n % 3} {'more ' * (n % 4)}", "label": f"l{n * n % 5}"}
    for n in range(60)
]


def of(files: Sequence[Path]) -> Shards:
    return Shards(tuple(files), files[0].parent / "part-*")


def encoded_of(
    spec: Spec, files: Path | Shards, cache: Path, part: Part = "all", share: float = 0.0
) -> tuple[Facts, Dataset]:
    facts = survey(spec, files)
    plan = resolve(spec, facts)
    return facts, encode(plan, facts, files, Reading.of(spec), cache, part, share)


def arrays_of(cache: Path, data: Dataset) -> dict[str, bytes]:
    """The arrays on disk but for the lines, which must differ, and what is said of them."""
    folder = cache / data.key
    about = json.loads((folder / "arrays.json").read_text())["arrays"]
    del about["lines"]["crc"]
    files = (file for file in folder.iterdir() if file.name not in ("lines", "arrays.json"))
    found = {file.name: file.read_bytes() for file in files}
    return found | {"arrays.json": json.dumps(about, sort_keys=True).encode()}


def in_parts(rows: Sequence[Any], cuts: Sequence[int]) -> list[Sequence[Any]]:
    return [rows[start:end] for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True)]


def compressed(file: Path) -> Path:
    packed = file.with_name(file.name + ".gz")
    packed.write_bytes(gzip.compress(file.read_bytes()))
    file.unlink()
    return packed


@pytest.mark.parametrize("ending", ["jsonl", "csv", "tsv", "parquet", "jsonl.gz", "csv.gz"])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_rows(tmp_path: Path, ending: str, share: float) -> None:
    spec = spec_of(WORDS, CLASS, share or None)
    kind = ending.removesuffix(".gz")
    pack: Callable[[Path], Path] = compressed if ending.endswith(".gz") else lambda file: file
    whole = pack(write_rows(tmp_path / f"rows.{kind}", ROWS))
    parts = of(
        [
            pack(write_rows(tmp_path / f"part-{n}.{kind}", part))
            for n, part in enumerate(in_parts(ROWS, [11, 12]))
        ]
    )
    for part in ("train", "valid") if share else ("all",):
        facts, data = encoded_of(spec, whole, tmp_path, part, share)
        of_parts, split = encoded_of(spec, parts, tmp_path, part, share)
        assert of_parts == facts
        assert arrays_of(tmp_path, split) == arrays_of(tmp_path, data)
        first = 1 + (kind in ("csv", "tsv"))
        rows = data.lines - first
        number = np.searchsorted([11, 12], rows, "right")
        lines = rows - np.array([0, 11, 12])[number] + first
        np.testing.assert_array_equal(split.lines, number * FILE + lines)


def test_plain_text(tmp_path: Path) -> None:
    paragraphs = [f"The {n}th\nparagraph {'of it ' * n}" for n in range(20)]
    whole = tmp_path / "rows.txt"
    whole.write_text("\n\n".join(paragraphs) + "\n")
    files = [tmp_path / f"part-{n}.txt" for n in range(3)]
    for file, part in zip(files, in_parts(paragraphs, [4, 15]), strict=True):
        file.write_text("\n\n".join(part))  # the last line ends with the file
    for documents in ("paragraph", "line"):
        spec = any_spec("N:N", WORDS, NEXT, {"window": 4}, format="text", documents=documents)
        facts, data = encoded_of(spec, whole, tmp_path)
        of_parts, split = encoded_of(spec, of(files), tmp_path)
        assert of_parts == facts
        assert arrays_of(tmp_path, split) == arrays_of(tmp_path, data)
        assert [tuple(divmod(line, FILE)) for line in split.lines.tolist()][:5][-1] == (
            (1, 1) if documents == "paragraph" else (0, 7)
        )


def test_each_file_is_a_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnspec.data.plain.BLOCK", 64)
    monkeypatch.setattr("rnnspec.data.lines.BLOCK", 64)
    texts = [f"{n} " + f"word{n} " * 50 for n in range(12)]
    files = [tmp_path / f"part-{n}.txt" for n in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    rows = write_rows(tmp_path / "rows.jsonl", [{"text": text} for text in texts])
    for share in (None, 0.4):
        spec = any_spec("N:N", {"column": "text", "as": "chars"}, NEXT, {"window": 4}, valid=share)
        for part in ("train", "valid") if share else ("all",):
            facts, data = encoded_of(spec, rows, tmp_path, part, share or 0.0)
            of_parts, split = encoded_of(spec, of(files), tmp_path, part, share or 0.0)
            assert of_parts == facts
            assert arrays_of(tmp_path, split) == arrays_of(tmp_path, data)
            assert split.lines.tolist() == [(line - 1) * FILE + 1 for line in data.lines.tolist()]


STEPS = [
    {"id": name, "time": f"2024-01-{day:02}", "value": day * 1.5 + len(name), "mass": len(name)}
    for day in range(1, 29)
    for name in ("one", "three", "seven")
]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_series_go_on_in_the_next_file(tmp_path: Path, ending: str) -> None:
    inputs = [SERIES, {"column": "mass", "as": "number"}]
    series = {"history": 5, "id": "id", "time": "time"}
    spec = any_spec("N:M", inputs, FORECAST, series=series, valid=0.2)
    whole = write_rows(tmp_path / f"rows.{ending}", STEPS)
    files = [
        write_rows(tmp_path / f"part-{n}.{ending}", part)
        for n, part in enumerate(in_parts(STEPS, [10, 50]))
    ]
    for part in ("train", "valid"):
        facts, data = encoded_of(spec, whole, tmp_path, part, 0.2)
        of_parts, split = encoded_of(spec, of(files), tmp_path, part, 0.2)
        assert of_parts == facts
        assert arrays_of(tmp_path, split) == arrays_of(tmp_path, data)
        first = 1 + (ending == "csv")
        rows = [(0, 10, 50)[line // FILE] + line % FILE - first for line in split.lines.tolist()]
        assert rows == (data.lines - first).tolist()
    late = [{**STEPS[50], "time": "2024-01-01"}, *STEPS[51:]]
    write_rows(files[2], late)
    with pytest.raises(DataError) as caught:
        encoded_of(spec, of(files), tmp_path, "train", 0.2)
    place, before = (":2", ":39") if ending == "csv" else (": row 1", ": row 38")
    assert str(caught.value) == (
        f"{files[2]}{place}: column 'time' is 2024-01-01 00:00:00, which does not come after "
        f"2024-01-16 00:00:00 of the step before it ({files[1]}{before}); order the rows of each "
        "series by time, one row a step"
    )


def three(folder: Path, change: Mapping[int, str]) -> Shards:
    """Three files of JSON lines, `change` the texts of some."""
    files = [write_rows(folder / f"part-{n}.jsonl", ROWS[:3]) for n in range(3)]
    for number, text in change.items():
        files[number].write_text(text)
    return of(files)


GOOD = '{"text": "a", "label": "b"}\n'


def error(shards: Shards, **how: Any) -> str:
    with pytest.raises(DataError) as caught:
        for _ in read(shards, ["text", "label"], How(**how)):
            pass
    return str(caught.value).replace(str(shards.files[0].parent), "DIR")


def test_errors_name_the_file(tmp_path: Path) -> None:
    assert error(three(tmp_path, {1: GOOD + "7\n"})) == (
        "DIR/part-1.jsonl:2: holds a number, expected an object; write one object per line"
    )
    bad = three(tmp_path, {1: GOOD + "7\n", 2: "null\n"})
    assert error(bad) == (
        "DIR/part-*: 2 bad lines\n"
        "  DIR/part-1.jsonl:2: holds a number, expected an object; write one object per line\n"
        "  DIR/part-2.jsonl:1: holds null, expected an object; write one object per line"
    )
    assert error(three(tmp_path, {2: '{"label": "b"}\n'})) == (
        "DIR/part-2.jsonl:1: there is no key 'text'; the keys are: label"
    )
    assert error(three(tmp_path, {2: ""})) == "DIR/part-2.jsonl: the file is empty"
    assert error(three(tmp_path, dict.fromkeys(range(3), "\n"))) == (
        "DIR/part-*: the files have no rows"
    )
    number = spec_of(WORDS, {"column": "label", "as": "number"})
    with pytest.raises(DataError) as caught:
        survey(number, three(tmp_path, {0: GOOD.replace('"b"', "1"), 1: GOOD, 2: GOOD}))
    assert f"\n  {tmp_path}/part-1.jsonl:1: column 'label' " in str(caught.value)


def test_rows_far_behind_a_bad_one_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnnspec.data.rows.LOOK_ON", 4)
    assert error(three(tmp_path, {0: "1\n" + GOOD, 2: "2\n"})) == (
        "DIR/part-*: 2 bad lines\n"
        "  DIR/part-0.jsonl:1: holds a number, expected an object; write one object per line\n"
        "  DIR/part-2.jsonl:1: holds a number, expected an object; write one object per line"
    )
    assert error(three(tmp_path, {0: "1\n" + GOOD * 2, 2: "2\n"})).splitlines()[0] == (
        "DIR/part-*: 1 bad line and perhaps more; reading stopped there"
    )


def test_files_without_rows_are_read_over(tmp_path: Path) -> None:
    files = [write_rows(tmp_path / f"part-{n}.csv", ROWS[:3]) for n in range(3)]
    files[0].write_text("text,label\n")
    found = [(chunk.first, len(chunk)) for chunk in read(of(files), ["text"])]
    assert found == [(0, 3), (3, 3)]


def test_formats_that_differ(tmp_path: Path) -> None:
    files = [write_rows(tmp_path / f"part.{ending}", ROWS) for ending in ("jsonl", "csv")]
    assert error(of(files)) == (
        "DIR/part.csv: is csv by its ending, and DIR/part.jsonl is jsonl; name files of one "
        "format, or set data.format"
    )


def test_progress_rises_over_the_files(tmp_path: Path) -> None:
    told: list[float] = []
    for _ in read(three(tmp_path, {}), ["text"], progress=told.append):
        pass
    assert told == sorted(told) and len(told) == 3 and told[-1] == 1.0 and told[0] < 0.4


def test_the_cache_goes_by_content_in_order(tmp_path: Path) -> None:
    spec = spec_of(WORDS, CLASS)
    shards = three(tmp_path, {0: GOOD, 1: GOOD.replace('"b"', '"c"') * 2, 2: GOOD})
    facts, data = encoded_of(spec, shards, tmp_path / "cache")
    plan = resolve(spec, facts)

    def key(*files: Path) -> str:
        return encode(plan, facts, of(files), Reading.of(spec), tmp_path / "cache").key

    moved = [tmp_path / f"moved-{n}.jsonl" for n in (7, 3, 5)]
    for old, new in zip(shards.files, moved, strict=True):
        old.rename(new)
    assert key(*moved) == data.key
    assert key(moved[1], moved[0], moved[2]) != data.key
    assert key(*moved[:2]) != data.key
    one = tmp_path / "one.jsonl"
    one.write_text("".join(file.read_text() for file in moved))
    assert key(one) != data.key  # its rows have other places
    moved[1].write_text(moved[1].read_text() + GOOD)
    assert key(*moved) != data.key


def test_content_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = three(tmp_path, {})
    before = shards.content
    write_rows(shards.files[1], ROWS)
    os.utime(shards.files[1], ns=(1, 1))
    assert shards.content is before
    with pytest.raises(DataError, match=r"part-1\.jsonl: the file changed while it was read"):
        shards.check_unchanged()


def test_values_of_numbers_do_not_depend_on_the_cut(tmp_path: Path) -> None:
    rows = [{"text": "a", "value": n * 0.37} for n in range(30)]
    spec = spec_of(WORDS, NUMBER)
    facts, data = encoded_of(spec, write_rows(tmp_path / "rows.jsonl", rows), tmp_path)
    files = [
        write_rows(tmp_path / f"part-{n}.jsonl", part)
        for n, part in enumerate(in_parts(rows, [1, 17]))
    ]
    of_parts, split = encoded_of(spec, of(files), tmp_path)
    assert of_parts == facts
    assert arrays_of(tmp_path, split) == arrays_of(tmp_path, data)


def test_places(tmp_path: Path) -> None:
    files = [tmp_path / "a" / "part-0.csv", tmp_path / "b" / "part-0.csv"]
    shards = of(files)
    assert shards.short_names == ("a/part-0.csv", "b/part-0.csv")
    assert Shards.of(files[0]).short_names == ("part-0.csv",)
    assert (str(shards), shards.name) == (str(tmp_path / "a" / "part-*"), "part-*")
    several = Shards(shards.files, Path("x/a.csv"), 2)
    assert (str(several), several.name) == ("x/a.csv and 2 more", "a.csv and 2 more")
    bad = BadRows(shards)
    assert bad.place(FILE + 7) == f"{files[1]}:7"
    assert bad.beside(FILE + 7, FILE + 9) == "line 7"
    assert bad.beside(7, FILE + 9) == f"{files[0]}:7"
