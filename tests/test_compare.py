"""`rnnspec list` and `rnnspec compare`: builds of a folder, side by side, on a page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from statistics import fmean, stdev

import pytest

from rnnspec.evaluate.compare import builds_of, compare, page_of, spread
from rnnspec.store.folder import BuildFolder
from tests.cli import SPEC, right, rnnspec, write_world
from tests.reports import parsed


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three builds that differ in their seeds, and one with fewer units."""
    folder = tmp_path_factory.mktemp("compare")
    write_world(folder)
    for settings in (["seed=1"], ["seed=2"], ["seed=3"], ["seed=1", "epochs=2"]):
        sets = [part for each in settings for part in ("--set", f"train.{each}")]
        if len(settings) > 1:
            sets += ["--set", "encoder.layers.0.units=4"]
        rnnspec("build", folder / "colours.yaml", *sets, "--builds", folder / "builds")
    return folder / "builds"


def test_builds_are_listed_newest_first(built: Path) -> None:
    head, *rows = right("list", built).splitlines()
    assert head.split()[:2] == ["build", "state"]
    assert [Path(row.split()[0]).name for row in rows] == ["004", "003", "002", "001"]
    assert "finished  train.jsonl | valid.jsonl  accuracy" in rows[0] and "2 of 2" in rows[0]
    assert right("list", built / "colours") == right("list", built)
    assert len(right("list", built / "colours" / "002").splitlines()) == 2
    (first, *_) = json.loads(right("list", built, "--json"))
    assert first["metric"] == "accuracy" and first["epochs"] == 2 and first["size"] > 1000
    assert first["value"] == BuildFolder(Path(first["path"])).read_state()["valid"]["accuracy"]


def test_a_link_to_a_build_is_none_of_its_own(built: Path, tmp_path: Path) -> None:
    copied = tmp_path / "builds"
    shutil.copytree(built, copied)
    before = right("list", copied)
    (copied / "colours" / "best").symlink_to("003")
    assert right("list", copied) == before


def test_a_damaged_build_is_listed_as_such(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "builds")
    (tmp_path / "builds/colours/002/build.json").write_text("{}")
    text = right("list", tmp_path / "builds")
    assert "colours/002  damaged" in text and "does not say how the build stands" in text
    for wrong in ("nowhere", tmp_path):
        said = rnnspec("list", wrong)
        assert said.code == 2 and "make one with: rnnspec build SPEC" in said.err


def test_builds_of_several_seeds_are_one_column(built: Path) -> None:
    found = compare(builds_of([built], built))
    seeds, small = found.groups
    assert seeds.label == "colours/001 and 2 more" and small.label == "colours/004"
    assert found.spec == {"encoder.layers[0].units": (8, 4), "train.epochs": (1, 2)}
    assert found.data == {}
    each = [b.read_state()["valid"]["accuracy"] for b in seeds.builds]
    assert found.metrics["accuracy"][0] == tuple(each) and len(each) == 3
    best = found.best("loss")
    means = [fmean(values) for values in found.metrics["loss"]]
    assert best == means.index(min(means))
    assert spread([0.5, 0.75]).startswith("0.6250 ± 0.18") and stdev([0.5, 0.75]) > 0.17


def test_what_compare_prints_and_writes(built: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    text = right("compare", built / "colours/001", built / "colours/004", "--report", page)
    assert "encoder.layers[0].units  8" in text and "All were built on the same data." in text
    assert text.count("★") >= 2 and f"wrote {page}" in text
    root = parsed(page.read_text("utf-8"))
    titles = ["".join(title.itertext()) for title in root.iter("h2")]
    assert titles == ["Metrics", "Curves", "Spec", "Data", "Builds"]
    names = ["".join(e.itertext()) for e in root.iter("span") if e.get("class") == "name"]
    assert names[:3] == ["loss in training", "loss", "accuracy"]
    found = json.loads(right("compare", built, "--json"))
    assert len(found["groups"][0]["metrics"]["accuracy"]) == 3


def test_other_data_are_told(built: Path, tmp_path: Path) -> None:
    lines = (built.parent / "train.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "train.jsonl").write_text("".join(lines[:-1]))
    shutil.copy(built.parent / "valid.jsonl", tmp_path)
    (tmp_path / "colours.yaml").write_text(SPEC)
    rnnspec("build", tmp_path / "colours.yaml", "--builds", tmp_path / "builds")
    builds = [*builds_of([built / "colours/001"], built), *builds_of([tmp_path / "builds"], built)]
    found = compare(builds)
    assert list(found.data) == ["data.train"] and not found.spec
    metrics = next(s for s in page_of(found).sections if s.title == "Metrics")
    assert metrics.text.endswith("so that the numbers are of different rows.")


def test_a_single_build_is_refused(built: Path, tmp_path: Path) -> None:
    said = rnnspec("compare", built / "colours/001")
    assert said.code == 2 and "is one build; name another" in said.err
    assert "no such folder of builds" in rnnspec("compare", tmp_path / "a", built).err
