"""A million rows of a table: CPU seconds and peak memory of rnnspec's readers and of others.

Each reader runs in a process of its own and gives the cells of the columns as lists of Python,
which is what all that follows takes. Rows are a text of about 40 characters, a number and one of 20
labels; one text in a hundred holds a line break and a delimiter in quotes.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

COLUMNS = ["text", "n", "label"]
Reader = Callable[[Path], int]
"""Reads the columns of a file and returns how many rows it has."""


def ours(file: Path) -> int:
    from rnnspec.data import read

    return sum(len(chunk) for chunk in read(file, COLUMNS))


def by_csv(file: Path) -> int:
    with file.open(encoding="utf-8", newline="") as stream:
        return sum(1 for _ in csv.DictReader(stream))


def by_json(file: Path) -> int:
    with file.open(encoding="utf-8") as stream:
        return sum(1 for line in stream if json.loads(line))


def by_pyarrow(file: Path) -> int:
    from pyarrow import csv as of_csv
    from pyarrow import json as of_json

    if file.suffix == ".csv":
        parse = of_csv.ParseOptions(newlines_in_values=True)
        texts = of_csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, "string"))
        found = of_csv.read_csv(file, parse_options=parse, convert_options=texts)
    else:
        found = of_json.read_json(file)
    return max(len(found.column(name).to_pylist()) for name in COLUMNS)


def by_polars(file: Path) -> int:
    import polars

    found = (
        polars.read_csv(file, infer_schema=False)
        if file.suffix == ".csv"
        else polars.read_ndjson(file)
    )
    return max(len(found[name].to_list()) for name in COLUMNS)


def by_duckdb(file: Path) -> int:
    import duckdb

    source = "read_csv(?, all_varchar = true)" if file.suffix == ".csv" else "read_json(?)"
    with duckdb.connect(config={"threads": 1}) as connection:
        asked = connection.execute(f"select text, n, label from {source}", [str(file)])
        return len(asked.fetchall())


READERS: dict[str, dict[str, Reader]] = {
    "csv": {
        "rnnspec": ours,
        "csv module": by_csv,
        "pyarrow": by_pyarrow,
        "polars": by_polars,
        "duckdb": by_duckdb,
    },
    "jsonl": {
        "rnnspec": ours,
        "json module": by_json,
        "pyarrow": by_pyarrow,
        "polars": by_polars,
        "duckdb": by_duckdb,
    },
}


def write(file: Path, rows: int) -> None:
    draw = np.random.default_rng(0)
    words = ["".join(draw.choice(list("abcdefghij"), 6)) for _ in range(500)]
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        if file.suffix == ".csv":
            writer.writerow(COLUMNS)
        for at, picks in enumerate(draw.integers(0, 500, (rows, 6)).tolist()):
            text = " ".join(words[pick] for pick in picks)
            text = text if at % 100 else text.replace(" ", ",\n", 1)
            row = [text, round(at / 7, 3), f"label {at % 20}"]
            if file.suffix == ".csv":
                writer.writerow(row)
            else:
                stream.write(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n")


def measured(reader: Reader, file: Path) -> tuple[float, float, int]:
    """CPU seconds, peak MB and rows, of a process that has read the file once."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (reader, file))


def _measured(reader: Reader, file: Path) -> tuple[float, float, int]:
    start = time.process_time()
    rows = reader(file)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return time.process_time() - start, peak, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        for ending, readers in READERS.items():
            file = Path(folder) / f"rows.{ending}"
            write(file, rows)
            print(f"{ending}: {rows:,} rows, {file.stat().st_size / 2**20:.0f} MiB")
            for name, reader in readers.items():
                seconds, peak, found = measured(reader, file)
                assert found == rows, (name, found)
                print(f"  {name:12} {seconds:6.1f} s of CPU  {peak:6.0f} MB")


if __name__ == "__main__":
    main()
