"""The rows of Parquet shards answered by an exported file on many workers, by Dask.

    pip install 'rnnspec[dask]'
    python bulk_dask.py model.onnx 'shards/*.parquet' answers --keep id --workers 2

writes a folder `answers` with a Parquet file for each partition, in the order of the shards. On a
cluster, make a `dask.distributed.Client` first and leave out `scheduler`; the file of the model
must be where every worker can read it.
"""

from __future__ import annotations

import argparse
from functools import cache

import dask.dataframe as dd
import pandas as pd

import rnnspec


@cache
def opened(model: str) -> rnnspec.OpenModel:
    """The model, opened once in each worker, with one thread: workers share the processors."""
    return rnnspec.open(model, threads=1)


def answered(rows: pd.DataFrame, model: str, keep: list[str]) -> pd.DataFrame:
    """The rows' columns to keep, and an answer of every output."""
    file = opened(model)
    cells = rows[[column.column for column in file.inputs]].to_dict("records")
    found = list(file.answer(cells))
    answers = {each.column: [answer[each.column] for answer in found] for each in file.outputs}
    return rows[keep].assign(**answers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("shards", help="Parquet files, as a pattern in quotes")
    parser.add_argument("answers", help="the folder to write")
    parser.add_argument("--keep", action="append", default=[], help="a column beside the answers")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    rows = dd.read_parquet(asked.shards)
    form = answered(rows.head(2), asked.model, asked.keep)[:0]
    found = rows.map_partitions(answered, asked.model, asked.keep, meta=form)
    found.to_parquet(
        asked.answers,
        write_index=False,
        compute_kwargs={"scheduler": "processes", "num_workers": asked.workers},
    )


if __name__ == "__main__":
    main()
