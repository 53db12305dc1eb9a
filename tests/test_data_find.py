"""From names to files: patterns, folders, lists, their order, and what is refused."""

from __future__ import annotations

from glob import glob
from itertools import product
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnspec.data.shards import find_shards, find_sources
from rnnspec.errors import DataError
from rnnspec.spec.files import absent, covers
from tests.data_rows import CLASS, WORDS, any_spec


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = ["part-10.csv", "part-2.csv", "part-1.csv", "other.jsonl", "_SUCCESS", ".part-1.crc"]
    (tmp_path / "logs" / "old" / "older").mkdir(parents=True)
    for name in names:
        (tmp_path / "logs" / name).write_text("text\na\n")
    for name in ("old/part-3.csv", "old/older/part-4.csv"):
        (tmp_path / "logs" / name).write_text("text\na\n")
    (tmp_path / "[x].csv").write_text("text\na\n")
    (tmp_path / "day").mkdir()
    for name in ("2.csv", "1.csv", "_SUCCESS", ".1.csv.crc"):
        (tmp_path / "day" / name).write_text("text\na\n")
    return tmp_path


def found(folder: Path, *names: str) -> list[str]:
    files = find_shards(names, folder).files
    return [file.relative_to(folder).as_posix() for file in files]


def test_files(folder: Path) -> None:
    assert found(folder, "logs/part-*.csv") == [f"logs/part-{n}.csv" for n in (1, 2, 10)]
    assert found(folder, "logs/part-?.csv") == [f"logs/part-{n}.csv" for n in (1, 2)]
    assert found(folder, "logs/part-[!1]*.csv") == ["logs/part-2.csv"]
    assert found(folder, "logs/**/*.csv") == [
        "logs/old/older/part-4.csv",
        "logs/old/part-3.csv",
        *(f"logs/part-{n}.csv" for n in (1, 2, 10)),
    ]
    assert found(folder, "day") == ["day/1.csv", "day/2.csv"]
    assert found(folder, "[x].csv") == ["[x].csv"]
    assert found(folder, "none.csv") == ["none.csv"]
    assert found(folder, "logs/part-2.csv", "day", "logs/part-1*") == [
        "logs/part-2.csv",
        "day/1.csv",
        "day/2.csv",
        "logs/part-1.csv",
        "logs/part-10.csv",
    ]
    assert find_shards([str(folder / "day")], Path("elsewhere")).files[0] == folder / "day/1.csv"


def test_relative_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    shards = find_shards(["day", "logs/part-1.csv"])
    assert (str(shards), shards.files[0]) == ("day and 1 more", Path("day/1.csv"))


def refused(folder: Path, *names: str) -> str:
    with pytest.raises(DataError) as caught:
        find_shards(names, folder)
    return str(caught.value).replace(str(folder), "DIR")


def test_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(folder, "logs/*.parquet") == "DIR/logs/*.parquet: no file matches this pattern"
    monkeypatch.chdir(folder)
    with pytest.raises(DataError) as caught:
        find_shards(["*.parquet"])
    assert str(caught.value) == (
        f"*.parquet: no file matches this pattern; check the path, it starts at {folder}"
    )
    assert refused(folder, "l*") == (
        "DIR/l*: only folders match this pattern; add /* for the files in them"
    )
    (folder / "empty").mkdir()
    (folder / "empty" / "_SUCCESS").touch()
    assert refused(folder, "empty") == (
        "DIR/empty: the folder has no data files (names that start with _ or . are left out); name "
        "a file, a folder with data files, or a pattern"
    )
    assert refused(folder, "logs") == (
        "DIR/logs/old: is a folder within the folder of data files DIR/logs; name the files with a "
        "pattern, like DIR/logs/**/*.jsonl for those of all folders"
    )
    assert refused(folder, "day/1.csv", "./day/1.csv") == (
        "DIR/day/1.csv: the file is named by 'day/1.csv' and by './day/1.csv'; name it once"
    )
    assert refused(folder, "day/1.csv", "day/1.csv") == (
        "DIR/day/1.csv: the file is named twice; name it once"
    )
    assert "by 'day' and by 'day/?.csv'" in refused(folder, "day", "day/?.csv")
    assert refused(folder, "x" * 300).endswith("x: cannot be read: File name too long")
    with pytest.raises(DataError, match="cannot be read: File name too long"):
        absent(["x" * 300], folder)


def test_a_file_of_training_and_validation(folder: Path) -> None:
    def sources(train: object, valid: object) -> object:
        spec = any_spec("N:1", WORDS, CLASS, valid=valid)
        data = spec.data.model_copy(update={"train": train})
        return find_sources(data, folder)

    with pytest.raises(DataError) as caught:
        sources("day", "*/1.csv")
    assert str(caught.value) == (
        f"{folder}/day/1.csv: the file is named by data.train and by data.valid; keep the rows to "
        "measure on out of training"
    )
    found = find_sources(any_spec("N:1", WORDS, CLASS, valid=0.2).data, folder)
    assert (found.measured, found.share) == (found.train, 0.2)
    found = find_sources(any_spec("N:1", WORDS, CLASS, valid=("day", "[x].csv")).data, folder)
    assert (found.measured, found.share) == (found.valid, 0.0)
    assert find_sources(any_spec("N:1", WORDS, CLASS).data, folder).measured is None


def test_absent(folder: Path) -> None:
    (folder / "empty").mkdir()
    names = ["none.csv", "day", "day/*.csv", "*.jsonl", "empty", "[x].csv"]
    assert absent(names, Path()) == [
        "none.csv",
        "day",
        "that matches day/*.csv",
        "that matches *.jsonl",
        "empty",
        "that matches [x].csv",
    ]
    assert [each.replace(str(folder), "DIR") for each in absent(names, folder)] == [
        "DIR/none.csv",
        "that matches DIR/*.jsonl",
        "in DIR/empty",
    ]


PARTS = st.lists(st.sampled_from(["a", "b", "ab", "*", "?", "**", "[ab]", "a*", ".a"]), max_size=4)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files up to three folders deep."""
    folder = tmp_path_factory.mktemp("tree")
    for first, second in product(["a", "ab", ".a"], repeat=2):
        (folder / first / second).mkdir(parents=True)
        for last in ("b.d", "ab.d"):
            for above in (folder, folder / first, folder / first / second):
                (above / last).touch()
    return folder


@given(parts=PARTS)
def test_what_a_pattern_covers_is_what_it_finds(tree: Path, parts: list[str]) -> None:
    files = (file for file in tree.rglob("*") if file.is_file())
    names = {file.relative_to(tree).as_posix() for file in files}
    for pattern in ("/".join([*parts, "*"]), "/".join([*parts, "*.d"]), "/".join([*parts, "**"])):
        found = {PurePath(name).as_posix() for name in glob(pattern, root_dir=tree, recursive=True)}
        assert {name for name in names if covers(pattern, name)} == found & names


def test_covers() -> None:
    assert covers("./a.csv", "a.csv") and covers("a", "a/b.csv")
    assert not covers("a", "a/b/c.csv") and not covers("a*.csv", "a?.csv")
