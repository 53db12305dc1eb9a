"""Every spec of specs/ as its reader would use it: built for one epoch, exported, and asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from rnnspec.demo import dates, demand, entities, morse, plates
from rnnspec.run import Model
from rnnspec.spec import Spec, load_spec
from tests.cli import right

SPECS = Path(__file__).parent.parent / "specs"
ROWS = {"train": 120, "valid": 20}
"""Rows of each file that a test reads."""
TEXT = {"train": 20_000, "valid": 4_000}
"""Characters of plain text."""
TABLE = 900
"""Lines of a table of one series."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated data that specs name, small."""
    folder = tmp_path_factory.mktemp("specs")
    dates.write(folder / "dates", train=300, valid=40, test=1)
    demand.write(folder / "demand", days=140)
    morse.write(folder / "morse", train=120, valid=20, test=1)
    plates.write(folder / "plates", train=120, valid=20, test=1)
    entities.write(folder / "entities", train=120, valid=20, test=1)
    return folder


@pytest.mark.parametrize("file", sorted(SPECS.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_spec_builds_exports_and_answers(
    file: Path, world: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = load_spec(file).spec
    train = spec.data.train_files[0]
    for name in (train, *spec.data.valid_files):
        if name.startswith("data/"):
            real: Path = request.getfixturevalue("real_data")
            # Both from the training rows: few of them show every label of the other file.
            source = train.removeprefix("data/")
            _cut(real / source, world / name, "train" if name == train else "valid")
    monkeypatch.chdir(world)
    (world / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    said = right("build", file.name, "--set", "train.epochs=1", "--set", "train.threads=1")
    assert f"built builds/{spec.name}/001" in said
    said = right("export", f"builds/{spec.name}", "--onnx", "--output", f"{spec.name}.onnx")
    assert "proven" in said
    model = Model.load(Path(f"{spec.name}.onnx"))
    (answer,) = model.answer([_row(spec, model)])
    assert all(output.column in answer for output in spec.data.outputs)
    if spec.name == "demand":  # as `rnnspec new demand` says
        found = right("run", "demand.onnx", "--data", "demand/next.csv", "--json").splitlines()
        assert [json.loads(line)["shop"] for line in found] == list(demand.SHOPS)


def _cut(source: Path, target: Path, part: str) -> None:
    """The beginning of a real file, in the same format."""
    if not source.exists():
        pytest.skip(f"no {source}")
    target.parent.mkdir(parents=True, exist_ok=True)
    for beside in filter(Path.is_dir, source.parent.iterdir()):  # files that the rows name
        if not (target.parent / beside.name).exists():
            (target.parent / beside.name).symlink_to(beside)
    if source.suffix == ".parquet":
        import pyarrow.parquet

        table = pyarrow.parquet.read_table(source)
        apart = table.num_rows // ROWS[part]  # rows of one label stand together
        rows = range(0, apart * ROWS[part], apart)
        pyarrow.parquet.write_table(table.take(list(rows)), target)
        return
    text = source.read_text(encoding="utf-8")
    if source.suffix == ".txt":
        target.write_text(text[: TEXT[part]], encoding="utf-8")
        return
    count = TABLE if source.suffix == ".csv" else ROWS[part]
    lines = text.splitlines(keepends=True)
    if source.parent.name == "speech":  # recordings of one word stand together
        lines = lines[:: len(lines) // count]
    lines = lines[: count + 1]
    target.write_text("".join(lines), encoding="utf-8")


def _row(spec: Spec, model: Model) -> dict[str, Any]:
    """A row that the model can answer: the first of the data, or what the series began with."""
    if spec.data.series is not None:
        return {**_past(spec), **{key: "Cork" for key in ("shop",) if _reads(model, key)}}
    path = Path((*spec.data.valid_files, *spec.data.train_files)[0])
    if path.suffix == ".txt":
        return {spec.data.inputs[0].column: "But soft, "}
    row = next(_rows(path))
    named = [each.column for each in spec.data.inputs if each.as_ in ("audio", "image")]
    return row | {column: str(path.parent / row[column]) for column in named}


def _reads(model: Model, column: str) -> bool:
    return any(each.column == column for each in model.inputs)


def _past(spec: Spec) -> dict[str, Any]:
    """Some history of each series, and what is known ahead."""
    (output,) = spec.data.outputs
    horizon = getattr(output, "horizon", 0)
    found: dict[str, Any] = {}
    for source in spec.data.inputs:
        if source.as_ == "series":
            found[source.column] = [float(7 + step % 5) for step in range(40)]
            if source.known:
                found[f"{source.column}.future"] = [0.0] * horizon
        if source.as_ == "calendar":
            days = [f"{date(2026, 1, 1) + timedelta(day)}" for day in range(40 + horizon)]
            found[source.column], found[f"{source.column}.future"] = days[:40], days[40:]
    return found


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    if path.suffix == ".jsonl":
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)
    elif path.suffix == ".parquet":
        import pyarrow.parquet

        yield from pyarrow.parquet.read_table(path).slice(0, 1).to_pylist()
    else:
        names, *lines = path.read_text(encoding="utf-8").splitlines()
        for line in lines:
            yield dict(zip(names.split("\t"), line.split("\t"), strict=True))
