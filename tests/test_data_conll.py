"""CoNLL files: sentences are rows, columns are named, numbered or stated in the file."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from rnnspec.data.how import How
from rnnspec.data.readers import read
from rnnspec.data.rows import BadRows
from rnnspec.errors import DataError
from rnnspec.source.emit import to_yaml
from tests.cli import right, wrong
from tests.tiny import spec_of

SHARED = Path(__file__).parents[2] / "shared" / "data"
TABS = "EU\tB-org\nrejects\tO\n\n-DOCSTART-\tO\n\n# a remark\n#tag\tO\n.\tO\n\t\n"
TABS_READ = [["EU", "rejects"], ["#tag", "."]]


def rows(file: Path, columns: list[str], names: tuple[str, ...] = ()) -> list[tuple[Any, ...]]:
    """Line and cells of each row."""
    return [
        row
        for chunk in read(file, columns, How(names=tuple(names)))
        for row in zip(chunk.lines, *(chunk.cells[column] for column in columns), strict=True)
    ]


def written(folder: Path, text: str, name: str = "rows.conll") -> Path:
    (folder / name).write_bytes(text.encode())
    return folder / name


@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_sentences_are_rows(tmp_path: Path, ends: str) -> None:
    """Without an end of the last line, too; lines of documents and remarks are no tokens."""
    expected = [(1, TABS_READ[0], ["B-org", "O"]), (7, TABS_READ[1], ["O", "O"])]
    for text in (TABS, TABS.rstrip()):
        file = written(tmp_path, text.replace("\n", ends))
        assert rows(file, ["1", "2"]) == expected
        assert rows(file, ["tokens", "2"], ("tokens",)) == expected
    zipped = tmp_path / "rows.conll.gz"
    zipped.write_bytes(gzip.compress(TABS.encode()))
    assert rows(zipped, ["1", "2"]) == expected


LINES = (
    "a\tO", "b\tB-x", "#tag\tO", "#\tO", "# \tO", "#x", "# one two", "# text = x\ty\tz", "# x\t\ty",
    "", "", " ", "\t", "-DOCSTART-", "-DOCSTART-\tO", " -DOCSTART- -X- O", "-DOCSTART-x\tO",
    "c-DOCSTART-\tO",
)  # fmt: skip


def by_rule(text: str) -> list[tuple[int, list[str]]]:
    """The sentences of two columns between tabs, and their first lines, as the rules have it."""
    found, sentence = [], list[tuple[int, str]]()
    lines = io.StringIO(text, newline=None).read().split("\n")
    for number, line in enumerate([*lines, ""], start=1):
        if re.fullmatch(r"\s*(-DOCSTART-(\s.*)?)?", line):
            found += [(sentence[0][0], [token for _, token in sentence])] if sentence else []
            sentence = []
        elif not (re.fullmatch(r"#[^\t]*", line) or re.fullmatch(r"#\s.*\t.*\t.*", line)):
            sentence.append((number, line.split("\t")[0].strip(" ")))
    return found


def test_random_files_are_read_by_the_rules(tmp_path: Path) -> None:
    """Line ends of every system, remarks with tabs, and lines of documents."""
    draw = random.Random(0)
    for _ in range(200):
        lines = draw.choices(LINES, k=draw.randrange(12))
        text = "".join(line + draw.choice(["\n", "\r\n", "\r"]) for line in [*lines, "z\tO"])
        file = written(tmp_path, text)
        assert rows(file, ["1"]) == [(line, tokens) for line, tokens in by_rule(text)], repr(text)


def test_a_line_of_conll_u_that_begins_with_a_hash_is_a_remark(tmp_path: Path) -> None:
    rest = "\t_" * 8
    text = f"# a{rest}\t_\n#\tb\n1\tx{rest}\n#{rest}\t_\n2\t#{rest}\n"
    assert rows(written(tmp_path, text, "x.conllu"), ["2"]) == [(3, ["x", "#"])]


def test_columns_between_white_space(tmp_path: Path) -> None:
    """As in CoNLL-2003, where a # is a token."""
    text = "-DOCSTART- -X- -X- O\n\n# NN I-NP O\nfirst  JJ I-NP   O\n\n\nx NN I-NP B-per\n"
    names = ("token", "pos", "chunk", "name")
    assert rows(written(tmp_path, text), ["name", "token"], names) == [
        (3, ["O", "O"], ["#", "first"]), (7, ["B-per"], ["x"])
    ]  # fmt: skip


def test_conll_u_has_words_alone(tmp_path: Path) -> None:
    """Not the lines of several words, nor of words that are not written; `1-2` elsewhere is one."""
    rest = "\t_" * 7
    forms = ["1-2\tdu\t_", "1\tde\tADP", "2\tle\tDET", "2.1\tfut\tAUX", "3\t1-2\tNUM"]
    text = "# text = du\n" + "".join(f"{form}{rest}\n" for form in forms)
    expected = [(3, ["de", "le", "1-2"], ["ADP", "DET", "NUM"])]
    assert rows(written(tmp_path, text, "x.conllu"), ["2", "3"]) == expected
    named = "# global.columns = ID FORM POS\n" + "".join(f"{form}\n" for form in forms)
    assert rows(written(tmp_path, named), ["FORM", "POS"]) == expected
    assert rows(written(tmp_path, "1-2\tO\n1\tO\n"), ["1"]) == [(1, ["1-2", "1"])]


def test_spaces_around_a_cell_are_no_part_of_it(tmp_path: Path) -> None:
    file = written(tmp_path, "a b \tO \nc\t O\n")
    assert rows(file, ["1", "2"]) == [(1, ["a b", "c"], ["O", "O"])]


def test_a_file_names_its_columns(tmp_path: Path) -> None:
    """Names of a spec are before those of the file; of more names than columns the first count."""
    file = written(tmp_path, "# global.columns = FORM NER\nEU\tB-org\n")
    assert rows(file, ["NER", "FORM", "2"]) == [(2, ["B-org"], ["EU"], ["B-org"])]
    assert rows(file, ["b", "a"], ("a", "b", "c")) == [(2, ["B-org"], ["EU"])]


@pytest.mark.parametrize(
    ("text", "columns", "names", "message"),
    [
        ("a\tO\nb\n", ["1"], (), "FILE:2: has 1 column, and line 1 has 2; every token needs all of"
         " them, and an empty line ends a sentence"),
        ("a\tO\nb O\n\nc\tO\n", ["1"], (), "FILE:2: has 1 column, and line 1 has 2; separate all"
         " columns by tabs"),
        ("a O\n", ["tokens"], (), "FILE: there is no column 'tokens'; the columns are: 1, 2;"
         " data.columns names them"),
        ("a O x\n", ["tag"], ("token", "tags"), "FILE: there is no column 'tag'; did you mean"
         " 'tags'?; the columns are: token, tags, 3"),
        ("\n\n# only a remark\tx\n", ["3"], (), "FILE: there is no column '3'; the columns are: "),
        ("\n \n", ["1"], (), "FILE: the file has no rows"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(
    tmp_path: Path, text: str, columns: list[str], names: tuple[str, ...], message: str
) -> None:
    file = written(tmp_path, text)
    with pytest.raises(DataError) as caught:
        rows(file, columns, names)
    assert str(caught.value).startswith(message.replace("FILE", str(file)))


def test_a_bad_sentence_is_left_out_and_the_others_are_read(tmp_path: Path) -> None:
    file = written(tmp_path, "a\tO\n\nb\tO\nc\nd\tO\n\ne\tO\n")
    bad = BadRows(file, kept=True)
    found = [cell for chunk in read(file, ["1"], bad=bad) for cell in chunk.cells["1"]]
    assert found == [["a"], ["e"]] and [line for line, _ in bad.found] == [4]


def test_from_training_to_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A share of the rows, another file to measure, and a file without answers to ask."""
    monkeypatch.chdir(tmp_path)
    sentences = ["new\tB-c\nyork\tI-c\n", "to\tO\nrome\tB-c\n", "go\tO\n"] * 5
    written(tmp_path, "\n".join(sentences), "train.conll")
    written(tmp_path, "to\nnew\nyork\n\ngo\n", "asked.conll")
    output = {"column": "tags", "as": "tags", "scheme": "bio", "crf": True}
    spec = dict(spec_of("N:N", {"column": "tokens", "as": "tokens"}, output))
    spec["data"] = {**spec["data"], "train": "train.conll", "valid": 0.2}
    spec["data"]["columns"] = ["tokens", "tags"]
    (tmp_path / "spec.yaml").write_text(to_yaml(spec))
    right("build", "spec.yaml")
    right("export", "--onnx", "--output", "tiny.onnx")
    assert "(15 rows with 25 steps)" in right("evaluate", "--data", "train.conll")
    lines = right("run", "tiny.onnx", "--data", "asked.conll", "--output", "answers.jsonl")
    answers = [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()]
    assert [len(answer["tags"]) for answer in answers] == [3, 1], lines
    written(tmp_path, "to O\n\nnew\n", "broken.conll")
    assert "broken.conll:3: has 1 column" in wrong("run", "tiny.onnx", "--data", "broken.conll")


@pytest.mark.skipif(not SHARED.exists(), reason="../shared/data is absent")
def test_wnut17_is_read_as_it_is() -> None:
    for name, count in (("train", 3394), ("dev", 1009)):
        file = SHARED / "wnut17" / f"{name}.conll"
        found = rows(file, ["tags", "tokens"], ("tokens", "tags"))
        assert len(found) == count
        lines = file.read_text(encoding="utf-8").split("\n")
        for first, tags, tokens in found:
            sentence = lines[first - 1 : first - 1 + len(tokens)]
            assert sentence == [f"{t}\t{tag}" for t, tag in zip(tokens, tags, strict=True)]
            assert not lines[first - 1 + len(tokens)].strip()


def test_columns_of_conll_u_have_names(tmp_path: Path) -> None:
    """Its own, unless others are given; numbers are understood as well."""
    file = tmp_path / "rows.conllu"
    words = ["1-2\tim" + "\t_" * 8, "1\tin\tin\tADP" + "\t_" * 6, "2\tdem\tder\tDET" + "\t_" * 6]
    file.write_text("# text = im\n" + "\n".join(words) + "\n\n")
    (chunk,) = read(file, ["FORM", "UPOS", "3"])
    assert list(chunk.cells.values()) == [[["in", "dem"]], [["ADP", "DET"]], [["in", "der"]]]
    (chunk,) = read(file, ["word"], How(names=("number", "word")))
    assert chunk.cells["word"] == [["in", "dem"]]
