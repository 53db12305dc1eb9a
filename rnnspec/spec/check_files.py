"""Checks of the files that a spec names, as far as their names tell: nothing is looked up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath

from rnnspec.spec.explain import Loc
from rnnspec.spec.files import covers
from rnnspec.spec.finding import Finding
from rnnspec.spec.spec import Spec

PLAIN = "text"
"""The one column of plain text."""
_DELIMITED = (".csv", ".tsv", ".tab")
_ROWS = (".jsonl", ".ndjson", *_DELIMITED, ".parquet", ".pq")


def files_are_named_once(spec: Spec) -> Iterator[Finding]:
    data = spec.data
    for key, names in (("train", data.train_files), ("valid", data.valid_files)):
        for index, name in enumerate(names):
            again = _again(name, names[:index])
            if again is not None:
                what = f"{name!r} is named twice"
                if PurePath(name) != PurePath(again):
                    what = f"{again!r} and {name!r} name the same file"
                yield Finding(("data", key, index), what, "name each file once")


def valid_is_another_file(spec: Spec) -> Iterator[Finding]:
    data = spec.data
    for index, name in enumerate(data.valid_files):
        again = _again(name, data.train_files)
        if again is not None:
            what = "the same file as data.train"
            if PurePath(name) != PurePath(again):
                what = f"{name!r} and {again!r} of data.train name the same file"
            path: Loc = ("data", "valid", index) if isinstance(data.valid, tuple) else _VALID
            hint = "name another file, or write 'valid: 0.1' to keep a tenth of its rows for it"
            yield Finding(path, what, hint)


def documents_are_plain_text(spec: Spec) -> Iterator[Finding]:
    """Of plain text, or of files whose names do not tell their format."""
    data = spec.data
    rows = data.format not in ("auto", "text")
    if data.format == "auto":
        names = (name.lower().removesuffix(".gz") for name in data.train_files)
        rows = any(name.endswith(_ROWS) for name in names)
    if data.documents != "file" and rows:
        message = "has no effect on files with rows"
        yield Finding(("data", "documents"), message, "remove it", key=True)


def plain_text_has_one_column(spec: Spec) -> Iterator[Finding]:
    data = spec.data
    text = data.format == "text"
    if data.format == "auto":
        names = (name.lower().removesuffix(".gz") for name in data.train_files)
        text = all(name.endswith(".txt") for name in names)
    if not text:
        return
    found: list[tuple[Loc, str]] = [
        ((*data.input_path(at), "column"), each.column) for at, each in enumerate(data.inputs)
    ]
    found += [
        ((*data.output_path(at), "column"), each.column) for at, each in enumerate(data.outputs)
    ]
    for path, column in found:
        if column != PLAIN:
            message = f"plain text has one column, {PLAIN!r}, and not {column!r}"
            yield Finding(path, message, f"use {PLAIN}, or rows in JSONL, CSV or Parquet")


def quoting_is_of_delimited(spec: Spec) -> Iterator[Finding]:
    """Of CSV and TSV, or of files whose names do not tell their format."""
    data = spec.data
    other = data.format not in ("auto", "csv", "tsv")
    if data.format == "auto":
        names = [
            name.lower().removesuffix(".gz") for name in (*data.train_files, *data.valid_files)
        ]
        other = all(name.endswith((*_ROWS, ".txt")) for name in names)
        other = other and not any(name.endswith(_DELIMITED) for name in names)
    if data.quoting != "auto" and other:
        message = "has no effect on files that are neither CSV nor TSV"
        yield Finding(("data", "quoting"), message, "remove it", key=True)


_VALID: Loc = ("data", "valid")


def _again(name: str, others: Sequence[str]) -> str | None:
    """The first of `others` that names a file that `name` names, too."""
    return next((each for each in others if covers(each, name) or covers(name, each)), None)
