"""Every wrong file gets an error of its own, with the place and the way out."""

from __future__ import annotations

import builtins
import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from rnnspec.data import lines
from tests.data_rows import error_of, rows_of, write_rows

WHERE = "(data.format of a spec, --format of run and evaluate)"
GOOD = '{"text": "a", "label": "b"}\n'
WRONG_JSONL = {
    "empty": ("", "FILE: the file is empty"),
    "blank": ("\n \n", "FILE: the file has no rows"),
    "broken": (
        GOOD + '{"text": "a" "label": "b"}\n',
        "FILE:2: broken JSON at column 14: expecting ',' delimiter, near "
        """'{"text": "a" "label": "b"}'; every line must hold one whole object""",
    ),
    "two on a line": (
        GOOD + GOOD.strip() + " " + GOOD,
        "FILE:2: broken JSON at column 29: extra data, near "
        """'… "a", "label": "b"} {"text": "a", "label…'; every line must hold one whole object""",
    ),
    "deep": (GOOD + "[" * 100_000 + "\n", "FILE:2: broken JSON: nested too deeply"),
    "long number": (GOOD + "9" * 5000 + "\n", "FILE:2: broken JSON: a number too long"),
    "not an object": (
        "[\n" + GOOD,
        "FILE:1: broken JSON at column 2: expecting value, near '['; "
        "every line must hold one whole object",
    ),
    "a list": (
        '["a", "b"]\n',
        "FILE:1: holds a list, expected an object; write one object per line",
    ),
    "missing in all": (
        '{"txt": "a", "label": "b"}\n' * 3,
        "FILE:1: there is no key 'text'; did you mean 'txt'?; the keys are: txt, label",
    ),
    "missing in one": (
        GOOD + '{"label": "b"}\n',
        "FILE:2: there is no key 'text'; the keys are: label",
    ),
    "twice": (
        GOOD + '{"text": "a", "label": "b", "text": "c"}\n',
        "FILE:2: the key 'text' stands twice; keep one",
    ),
    "several": (
        GOOD + "1\n" + GOOD + "null\n",
        "FILE: 2 bad lines\n"
        "  FILE:2: holds a number, expected an object; write one object per line\n"
        "  FILE:4: holds null, expected an object; write one object per line",
    ),
}


@pytest.mark.parametrize("name", WRONG_JSONL)
def test_wrong_jsonl(tmp_path: Path, name: str) -> None:
    content, message = WRONG_JSONL[name]
    file = tmp_path / "rows.jsonl"
    file.write_text(content, encoding="utf-8", newline="")
    assert error_of(file) == message


def test_a_value_that_names_its_key_is_no_repetition(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "text", "label": {"text": 1, "label": 2}}\n')
    assert rows_of(file, ["text"]) == [(1, "text")]


def test_ten_bad_rows_are_enough(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text(GOOD + "1\n" * 50)
    message = error_of(file).splitlines()
    assert message[0] == "FILE: 10 bad lines and perhaps more; reading stopped there"
    assert [line.split(":")[1] for line in message[1:]] == [str(n) for n in range(2, 12)]


def test_reading_does_not_go_on_for_ever_after_a_bad_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnnspec.data.rows.LOOK_ON", 5)
    monkeypatch.setattr(lines, "BLOCK", 64)
    file = tmp_path / "rows.jsonl"
    file.write_text("1\n" + GOOD * 20 + "2\n")
    assert error_of(file) == (
        "FILE: 1 bad line and perhaps more; reading stopped there\n"
        "  FILE:1: holds a number, expected an object; write one object per line"
    )


OR_NONE = (
    "; or, where quotes enclose nothing, set quoting to none (data.quoting of a spec, --quoting of "
    "run and evaluate)"
)
WRONG_CSV = {
    "no column": (
        "txt,label\na,b\n",
        "FILE:1: there is no column 'text'; did you mean 'txt'?; the columns are: txt, label",
    ),
    "other delimiter": (
        "text;label\na;b\n",
        "FILE:1: the header is one column, 'text;label'; fields end with ',' here, and this looks "
        f"like fields that end with ';'; set format to {{csv: {{delimiter: ';'}}}} {WHERE}",
    ),
    "twice": (
        "text,label,text\na,b,c\n",
        "FILE:1: the header names 'text' twice; give each column its own name",
    ),
    "fields": (
        'text,label\na,b\n"c\nd",e\nf,g,h\ni\n',
        "FILE: 2 bad lines\n"
        "  FILE:5: has 3 fields, the header has 2; "
        "put a field that holds the delimiter in double quotes\n"
        "  FILE:6: has 1 field, the header has 2; "
        "put a field that holds the delimiter in double quotes",
    ),
    "open quote": (
        'text,label\na,b\n"c,d\ne,f\n',
        "FILE:3: a double quote opened in this line is never closed; "
        f"close it, or double it if meant{OR_NONE}",
    ),
    "after quote": (
        'text,label\n"a" he said,b\n',
        "FILE:2: text follows the closing double quote of a field; "
        f"double every quote that is meant inside a quoted field{OR_NONE}",
    ),
    "header only": ("text,label\n", "FILE: the file has no rows"),
    "blank": ("\n\n", "FILE: the file has no header; name the columns in its first line"),
    "old line ends": (
        "text,label\ra,b\r",
        "FILE:1: a line ends with a carriage return alone; save the file with usual line ends",
    ),
}


@pytest.mark.parametrize("name", WRONG_CSV)
def test_wrong_csv(tmp_path: Path, name: str) -> None:
    content, message = WRONG_CSV[name]
    file = tmp_path / "rows.csv"
    file.write_text(content, encoding="utf-8", newline="")
    assert error_of(file) == message


WRONG_BYTES = {
    "latin-1": (
        GOOD.encode() + '{"text": "é"}'.encode("latin-1"),
        'FILE:2: is not UTF-8: byte 0xE9 after 10 bytes; if \'{"text": "é"}\' is right, set format '
        f"to {{FORMAT: {{encoding: windows-1252}}}} {WHERE}; or save the file as UTF-8",
    ),
    "utf-16": (
        GOOD.encode("utf-16"),
        "FILE: is UTF-16 by its first bytes, not UTF-8; set format to {FORMAT: {encoding: utf-16}} "
        f"{WHERE}, or save it as UTF-8",
    ),
    "gzip": (
        gzip.compress(GOOD.encode()),
        "FILE: is gzip, not UTF-8 text; correct the ending or data.format",
    ),
    "parquet": (b"PAR1....", "FILE: is Parquet, not UTF-8 text; correct the ending or data.format"),
}


@pytest.mark.parametrize("name", WRONG_BYTES)
@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_wrong_bytes(tmp_path: Path, name: str, format: str) -> None:
    content, message = WRONG_BYTES[name]
    file = tmp_path / f"rows.{format}"
    # A CSV file is found wrong only after its header.
    header = b"text,label\n" if name == "latin-1" and format == "csv" else b""
    rows = content.replace(GOOD.encode(), b"") if header else content
    file.write_bytes(header + rows)
    assert error_of(file) == message.replace("FORMAT", format)


def test_a_line_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MAX_LINE", 1 << 20)
    monkeypatch.setattr(lines, "BLOCK", 1 << 16)
    file = tmp_path / "rows.jsonl"
    file.write_text(GOOD + '{"text": "' + "a" * (1 << 21))
    expected = "FILE:2: the line is longer than 1 MiB; end every row with a line break"
    assert error_of(file) == expected


def test_places_that_are_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert error_of(tmp_path / "none.jsonl") == "FILE: no such file"
    monkeypatch.chdir(tmp_path)
    assert error_of(Path("none.jsonl")) == (
        f"FILE: no such file; check the path, it starts at {tmp_path}"
    )
    (tmp_path / "folder.csv").mkdir()
    assert error_of(tmp_path / "folder.csv") == "FILE: is a folder; name a file in it"
    os.mkfifo(tmp_path / "pipe.jsonl")
    assert error_of(tmp_path / "pipe.jsonl") == (
        "FILE: is not a regular file, which can be read more than once"
    )


def test_unreadable_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [{"text": "a"}])

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(lines, "_opened", refuse)
    assert error_of(file) == "FILE: cannot be read: Permission denied"


def test_wrong_parquet(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.parquet", [{"text": "a", "label": "b"}] * 50)
    whole = file.read_bytes()
    assert error_of(file, ["txt"]) == (
        "FILE: there is no column 'txt'; did you mean 'text'?; the columns are: text, label"
    )
    file.write_bytes(whole[: len(whole) // 2])
    message = error_of(file)
    assert message.startswith("FILE: is not a whole Parquet file: ")
    assert message.endswith("; was it written to its end?")
    file.write_bytes(b"")
    assert error_of(file) == "FILE: the file is empty"
    write_rows(file, [{"text": "a"}])
    import pyarrow as arrow
    from pyarrow import parquet

    empty = arrow.table({"text": arrow.array([], arrow.string())})
    parquet.write_table(empty, file)
    assert error_of(file, ["text"]) == "FILE: the file has no rows"
    parquet.write_table(arrow.Table.from_arrays([arrow.array([1])] * 2, ["text", "text"]), file)
    assert error_of(file, ["text"]) == "FILE: two columns are called 'text'; rename one"


def test_damage_in_the_middle_of_parquet(tmp_path: Path) -> None:
    rows = [{"text": f"{n:>500}", "label": "b"} for n in range(20_000)]
    file = tmp_path / "rows.parquet"
    import pyarrow as arrow
    from pyarrow import parquet

    table = arrow.Table.from_pylist(rows)
    parquet.write_table(table, file, compression="zstd", use_dictionary=False, row_group_size=5000)
    damaged = bytearray(file.read_bytes())
    middle = len(damaged) // 2
    damaged[middle : middle + 200] = bytes(200)
    file.write_bytes(damaged)
    assert "cannot be read from here on" in error_of(file)


def test_parquet_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    file = write_rows(tmp_path / "rows.parquet", [{"text": "a"}])
    monkeypatch.setattr(builtins, "__import__", without)
    assert error_of(file, ["text"]) == (
        "FILE: reading Parquet needs pyarrow; pip install 'rnnspec[parquet]'"
    )
