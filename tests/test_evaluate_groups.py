"""Metrics of parts of the rows: those of a file with these rows alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rnnspec.errors import DataError
from rnnspec.evaluate.report import report_of
from rnnspec.evaluate.score import evaluate_build
from rnnspec.report.model import Table
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import Trained, read_build
from rnnspec.train.build import build
from tests.cli import right, wrong
from tests.tiny import SPECS, write_data

SHOPS = """
name: shops
cardinality: N:M
data:
  train: shops.csv
  valid: 0.3
  series: {time: day, history: 6, id: shop}
  input: {column: sold, as: series}
  output: {column: sold, as: forecast, horizon: 2, season: 4}
encoder: {layers: [{cell: gru, units: 4}]}
train: {epochs: 1, threads: 1, metrics: [r2]}
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("groups")
    write_data(folder)
    draw = np.random.default_rng(0)
    lines = ["shop,day,kind,sold"]
    for shop, kind in (("north", "small"), ("south", "small"), ("east", "large")):
        lines += [f"{shop},{n},{kind},{v:.3f}" for n, v in enumerate(draw.normal(9, 2, 40))]
    (folder / "shops.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def classes(world: Path) -> Trained:
    file = world / "spec.yaml"
    spec = SPECS["class"]
    file.write_text(json.dumps({**spec, "train": {**spec["train"], "epochs": 4}}))
    return read_build(build(load_spec(file), world / "builds", Silent()).folder)


@pytest.fixture(scope="module")
def shops(world: Path) -> Trained:
    (world / "shops.yaml").write_text(SHOPS)
    return read_build(build(load_spec(world / "shops.yaml"), world / "builds", Silent()).folder)


def rows(world: Path) -> Iterator[dict[str, object]]:
    yield from map(json.loads, (world / "valid.jsonl").read_text().splitlines())


def test_groups_are_measured_as_files_of_their_own(classes: Trained, world: Path) -> None:
    found = evaluate_build(classes, by="length", metrics=["auroc"]).groups
    assert found is not None and found.metric == "accuracy"
    assert sum(score.rows for score in found.scores) == 24
    costs = [score.metrics["accuracy"] for score in found.scores]
    assert costs == sorted(costs)
    for score in found.scores:
        alone = world / "alone.jsonl"
        those = [row for row in rows(world) if str(row["length"]) == score.name]
        alone.write_text("".join(json.dumps(row) + "\n" for row in those))
        wanted = evaluate_build(classes, alone, metrics=["auroc"])
        assert score.rows == wanted.rows
        assert score.metrics == pytest.approx(dict(wanted.metrics), nan_ok=True)


def test_series_are_groups(shops: Trained) -> None:
    """By their names, and by another column of the table."""
    scores = evaluate_build(shops, by="shop")
    assert scores.groups is not None
    known = {row.name: row for row in scores.outputs["sold"].series}
    assert {score.name for score in scores.groups.scores} == known.keys()
    for score in scores.groups.scores:
        assert score.metrics["mae"] == pytest.approx(known[score.name].error)
        assert score.metrics["mase"] == pytest.approx(known[score.name].scaled)
        assert "r2" in score.metrics
    by_kind = evaluate_build(shops, by="kind").groups
    assert by_kind is not None
    of_small = [s for s in scores.groups.scores if s.name in ("north", "south")]
    (small,) = (s for s in by_kind.scores if s.name == "small")
    assert small.rows == sum(s.rows for s in of_small)
    mean = np.mean([s.metrics["mae"] for s in of_small])
    assert small.metrics["mae"] == pytest.approx(mean)


def test_what_makes_no_groups_is_refused(classes: Trained) -> None:
    with pytest.raises(DataError, match=r"there is no key 'lenght'.*did you mean 'length'"):
        evaluate_build(classes, by="lenght")
    with pytest.raises(DataError, match="holds lists, and groups are by single values"):
        evaluate_build(classes, by="tokens")


def test_the_worst_stand_first_in_the_report(shops: Trained) -> None:
    scores = evaluate_build(shops, by="shop")
    (table,) = (
        section
        for section in report_of(shops, scores).sections
        if isinstance(section, Table) and section.title == "By shop"
    )
    assert scores.groups is not None
    assert [row[0] for row in table.rows] == [score.name for score in scores.groups.scores]
    assert table.head[:3] == ("shop", "rows", "mase")


def test_the_command(shops: Trained, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world)
    build = shops.folder.path
    said = right("evaluate", build, "--by", "shop", "--figures", "shops-figures.csv")
    assert "wrote shops-figures.csv" in said
    lines = list(csv.DictReader((world / "shops-figures.csv").open()))
    found = json.loads(right("evaluate", build, "--by", "shop", "--json"))["groups"]
    assert [line["shop"] for line in lines] == [group["name"] for group in found]
    for line, group in zip(lines, found, strict=True):
        assert float(line["mase"]) == pytest.approx(group["metrics"]["mase"])
    assert "name a column with --by" in wrong("evaluate", build, "--figures", "x.csv")
