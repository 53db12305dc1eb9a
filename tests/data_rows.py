"""Specs and files for the tests of rnnspec/data."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.data import Batch, Dataset, Reading, encode, survey
from rnnspec.data.how import How
from rnnspec.data.readers import read
from rnnspec.data.series import Part
from rnnspec.data.split import validation_mask
from rnnspec.errors import DataError
from rnnspec.plan import Facts, resolve
from rnnspec.spec import Spec
from rnnspec.spec.check import findings
from rnnspec.spec.files import Format, Quoting

WORDS = {"column": "text", "as": "words"}
CHARS = {"column": "text", "as": "chars"}
FRAMES = {"column": "frames", "as": "frames"}
CLASS = {"column": "label", "as": "class"}
NUMBER = {"column": "value", "as": "number"}
VECTOR = {"column": "vector", "as": "vector"}


def spec_of(
    source: Mapping[str, Any],
    target: Mapping[str, Any],
    valid: float | None = None,
    quoting: Quoting = "auto",
) -> Spec:
    data = {"train": "unused", "input": dict(source), "output": dict(target), "valid": valid}
    data["quoting"] = quoting
    layers = [{"cell": "gru", "units": 3}]
    return Spec.model_validate(
        {"name": "test", "cardinality": "N:1", "data": data, "encoder": {"layers": layers}}
    )


def write_rows(file: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """The rows in the format that the ending names; of CSV and TSV fields are quoted if needed."""
    if file.suffix == ".jsonl":
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        file.write_text(text, encoding="utf-8", newline="")
    elif file.suffix == ".parquet":
        import pyarrow as arrow
        from pyarrow import parquet

        parquet.write_table(arrow.Table.from_pylist(list(rows)), file, row_group_size=7)
    else:
        with file.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, delimiter="," if file.suffix == ".csv" else "\t")
            writer.writerow(rows[0])
            for row in rows:
                writer.writerow(_field(value) for value in row.values())
    return file


def _field(value: object) -> object:
    return value if isinstance(value, str) else json.dumps(value)


def rows_of(
    file: Path, columns: Sequence[str], format: Format = "auto", quoting: Quoting = "auto"
) -> list[Any]:
    """(line, cells...) of every row."""
    return [
        row
        for chunk in read(file, columns, How(format, quoting=quoting))
        for row in zip(chunk.lines, *(chunk.cells[name] for name in columns), strict=True)
    ]


def error_of(
    file: Path, columns: Sequence[str] = ("text", "label"), format: Format = "auto"
) -> str:
    with pytest.raises(DataError) as caught:
        rows_of(file, columns, format)
    return str(caught.value).replace(str(file), "FILE")


GRU = [{"cell": "gru", "units": 3}]


def any_spec(
    cardinality: str,
    inputs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    outputs: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    train: Mapping[str, Any] | None = None,
    **data: Any,
) -> Spec:
    """A checked spec of these columns, with an encoder and a decoder where its kind has them."""
    tasks: dict[str, Any] = {
        "name": "test",
        "cardinality": cardinality,
        "data": {"train": "unused", "input": inputs, "output": outputs, **data},
        "train": dict(train or {}),
    }
    if cardinality[0] == "N":
        tasks["encoder"] = {"layers": GRU}
    if cardinality in ("1:N", "N:M") and "series" not in data:
        tasks["decoder"] = {"layers": GRU}
    spec = Spec.model_validate(tasks)
    assert not list(findings(spec))
    return spec


def encoded(
    spec: Spec, file: Path, other: Path | None = None, rows: Part = "all", share: float = 0.0
) -> tuple[Facts, Dataset]:
    """The facts of `file`, and with them `file` (or `other`) encoded."""
    facts = survey(spec, file)
    cache = file.parent / "cache"
    plan = resolve(spec, facts)
    return facts, encode(plan, facts, other or file, Reading.of(spec), cache, rows, share)


def whole(dataset: Dataset) -> Batch:
    """All rows as one batch."""
    return dataset.collate(np.arange(dataset.rows))


def trouble(spec: Spec, file: Path, other: Path | None = None, **how: Any) -> str:
    """The message of the error of `encoded`, FILE for the file that is encoded."""
    with pytest.raises(DataError) as caught:
        encoded(spec, file, other, **how)
    return str(caught.value).replace(str(other or file), "FILE")


def in_validation(row: int, share: float, seed: int = 0) -> bool:
    """Whether row number `row` (from 0) belongs to validation, where no class is answered."""
    return bool(validation_mask(row, 1, share, seed)[0])


def write_letters(folder: Path, **counts: int) -> None:
    """Files of so many rows each, by their names: texts of a, b and c, the label is the letter that
    stands first, and a tag of each step is the letter of the next one."""
    draw = np.random.default_rng(0)
    for name, count in counts.items():
        texts = ["".join(draw.choice(list("abc"), draw.integers(1, 12))) for _ in range(count)]
        write_rows(
            folder / f"{name}.jsonl",
            [{"text": text, "label": text[0], "tags": [*text[1:], None]} for text in texts],
        )
