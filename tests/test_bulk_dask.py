"""examples/bulk_dask.py: shards answered by two workers of Dask are answered as by one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as arrow
import pytest
from pyarrow import parquet

from rnnspec.export import export_onnx
from tests.cli import right
from tests.kinds import output, spec_data
from tests.random_builds import trained
from tests.test_export_kinds import quick as quick

EXAMPLE = Path(__file__).parent.parent / "examples" / "bulk_dask.py"
ROWS, SHARDS = 60, 3


def test_two_workers_answer_as_one_process(tmp_path: Path) -> None:
    pytest.importorskip("dask.dataframe", reason="Dask is not installed: pip install rnnspec[dask]")
    model, shards, out = tmp_path / "model.onnx", tmp_path / "shards", tmp_path / "answers"
    outputs = [output("class"), output("out_number")]
    export_onnx(trained(spec_data("N:1", ["words"], outputs), size=0.9), model)
    shards.mkdir()
    words = ["one", "two three", "", "four one two", "five"]
    for shard in range(SHARDS):
        rows = range(shard * ROWS, (shard + 1) * ROWS)
        cells = {"id": list(rows), "words": [words[row % len(words)] for row in rows]}
        parquet.write_table(arrow.table(cells), shards / f"part-{shard}.parquet")
    command = [sys.executable, str(EXAMPLE), str(model), str(shards / "*.parquet"), str(out)]
    subprocess.run([*command, "--keep", "id"], check=True, cwd=tmp_path)
    found = parquet.read_table(out).to_pylist()
    one = tmp_path / "one.parquet"
    right("run", model, "--data", shards, "--output", one, "--keep", "id", "--threads", 1)
    wanted = parquet.read_table(one, columns=["id", "class", "out_number"]).to_pylist()
    assert [row["id"] for row in found] == list(range(ROWS * SHARDS))
    assert [row["class"] for row in found] == [row["class"] for row in wanted]
    numbers = [[row["out_number"] for row in rows] for rows in (found, wanted)]
    assert numbers[0] == pytest.approx(numbers[1], abs=1e-5)
