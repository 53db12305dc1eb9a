"""Folds and seeds: each row is measured once; mean and spread; more epochs for a finished build."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import stdev

import numpy as np
import pytest

from rnnspec.cli.repeat import spread_out
from rnnspec.data.rows import Chunk
from rnnspec.data.split import Split
from rnnspec.errors import BuildError, SpecError
from rnnspec.spec.load import LoadedSpec, load_spec
from rnnspec.store.events import Heard, Silent
from rnnspec.store.files import read_arrays
from rnnspec.train.build import build
from tests.cli import right, rnnspec, write_world, wrong

FOLDED = "data.valid={fold: 1, of: 3}"


def _labels(first: int, count: int) -> Chunk:
    labels: list[object] = ["ab"[number % 7 < 2] for number in range(first, first + count)]
    return Chunk(first, list(range(first, first + count)), {"label": labels}, False)


@pytest.mark.parametrize("stratum", [None, "label"])
def test_each_row_is_in_one_fold(stratum: str | None) -> None:
    masks = []
    for fold in range(1, 6):
        split = Split(1 / 5, seed=3, stratum=stratum, fold=fold)
        masks.append(np.concatenate([split.mask(_labels(0, 123)), split.mask(_labels(123, 300))]))
    assert np.all(np.sum(masks, axis=0) == 1)
    counts = np.sum(masks, axis=1)
    assert counts.min() > 60
    if stratum is not None:  # of each label as many, to within one
        assert counts.max() - counts.min() <= 2


def test_another_seed_draws_other_folds() -> None:
    one, other = (Split(1 / 5, seed, "label", 2).mask(_labels(0, 200)) for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_folds_of_the_command(tmp_path: Path) -> None:
    spec = write_world(tmp_path, rows=30)
    builds = tmp_path / "builds"
    assert "data.valid names valid.jsonl" in wrong("build", spec, "--folds", 3, "--builds", builds)
    null = ("--set", "data.valid=null", "--builds", builds)
    said = right("build", spec, "--folds", 3, *null)
    assert "built 3 times" in said
    folder = builds / "colours" / "folds-001"
    found = json.loads((folder / "summary.json").read_text())
    values = found["metrics"]["accuracy"]["values"]
    assert len(values) == 3
    assert found["metrics"]["accuracy"]["mean"] == pytest.approx(sum(values) / 3)
    assert found["metrics"]["accuracy"]["deviation"] == pytest.approx(stdev(values))
    again = json.loads(right("build", spec, "--folds", 3, *null, "--resume", "--json"))
    assert again == found
    sizes = [json.loads((folder / f"fold-{n}/facts.json").read_text())["rows"] for n in (1, 2, 3)]
    assert sum(30 - size for size in sizes) == 30
    said = right("evaluate", folder / "fold-2")
    assert f"{values[1]:.4f}" in said


def test_seeds_of_the_command(tmp_path: Path) -> None:
    spec = write_world(tmp_path, rows=30)
    arguments = ("--builds", tmp_path / "builds", "--seeds", 0, 4)
    found = json.loads(right("build", spec, "--json", *arguments))
    assert list(found["builds"]) == ["seed-0", "seed-4"]
    text = (tmp_path / "builds/colours/seeds-001/seed-4/spec.yaml").read_text()
    assert "seed: 4" in text
    for more in (("--folds", 2), ("--no-train",), ("--tensorboard",)):
        assert rnnspec("build", spec, *arguments, *more).code == 2
    assert "names a seed twice" in wrong("build", spec, "--seeds", 1, 1)


def test_seeds_are_read_to_the_next_word() -> None:
    given = ["spec.yaml", "--seeds", "0", "1", "--resume", "2"]
    assert spread_out(given) == ["spec.yaml", "--seeds", "0", "--seeds", "1", "--resume", "2"]


def test_what_is_no_fold(tmp_path: Path) -> None:
    spec = write_world(tmp_path)
    with pytest.raises(SpecError, match="there is no fold 4 of 3; write 1 to 3"):
        load_spec(spec, ["data.valid={fold: 4, of: 3}"])
    series = ["data.series={time: t, history: 3}", FOLDED]
    with pytest.raises(SpecError, match="the end of each is measured, and have no folds"):
        load_spec(tmp_path / "sums.yaml", series)


# ---------------------------------------------------------------- more epochs


def _loaded(folder: Path, *overrides: str) -> LoadedSpec:
    return load_spec(folder / "colours.yaml", overrides)


def test_more_epochs_are_those_of_one_run(tmp_path: Path) -> None:
    write_world(tmp_path, rows=40)
    dropout = "encoder.layers.0.dropout=0.3"
    build(_loaded(tmp_path, dropout, "train.epochs=2"), tmp_path / "builds", Silent())
    more, heard = _loaded(tmp_path, dropout, "train.epochs=4"), Heard()
    longer = build(more, tmp_path / "builds", heard, resume=True)
    assert longer.folder.path.name == "001"
    assert not heard.warnings
    whole = build(more, tmp_path / "whole", Silent())
    for file in ("weights", "last"):
        one, other = (read_arrays(getattr(each.folder, file))[0] for each in (longer, whole))
        for name, value in other.items():
            np.testing.assert_array_equal(one[name], value, err_msg=name)
    assert [each["epoch"] for each in longer.folder.records()] == [1, 2, 3, 4]
    assert longer.metrics == whole.metrics
    longer.folder.check()
    with pytest.raises(BuildError, match=r"to go on, raise train\.epochs"):
        build(more, tmp_path / "builds", Silent(), resume=True)


def test_a_schedule_over_all_epochs_is_told(tmp_path: Path) -> None:
    write_world(tmp_path, rows=40)
    cosine = "train.schedule=cosine"
    build(_loaded(tmp_path, cosine, "train.epochs=1"), tmp_path / "builds", Silent())
    heard = Heard()
    build(_loaded(tmp_path, cosine, "train.epochs=2"), tmp_path / "builds", heard, resume=True)
    (said,) = heard.warnings
    assert "the schedule cosine runs over all epochs: the first were trained as those of 1" in said


def test_a_build_that_ended_early_has_no_more_epochs(tmp_path: Path) -> None:
    write_world(tmp_path, rows=40)
    early = "train.early_stopping={metric: accuracy, patience: 1, min_delta: 1.0}"
    build(_loaded(tmp_path, early, "train.epochs=5"), tmp_path / "builds", Silent())
    with pytest.raises(BuildError, match="early stopping ended it after epoch 2 of 5"):
        build(
            _loaded(tmp_path, early, "train.epochs=9"), tmp_path / "builds", Silent(), resume=True
        )


def test_other_changes_are_refused(tmp_path: Path) -> None:
    write_world(tmp_path, rows=40)
    build(_loaded(tmp_path, "train.epochs=2"), tmp_path / "builds", Silent())
    for change in ("train.epochs=1", "train.batch=5"):
        more = _loaded(tmp_path, "train.epochs=3", change)
        with pytest.raises(BuildError, match="nothing to resume"):
            build(more, tmp_path / "builds", Silent(), resume=True)
