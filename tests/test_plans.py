"""The plan of every spec in specs/, as text, against a golden file: what resolution decides."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rnnspec.data import survey
from rnnspec.data.shards import find_sources
from rnnspec.demo import entities, morse, plates
from rnnspec.demo.dates import write
from rnnspec.demo.demand import write as write_demand
from rnnspec.plan import dump, resolve
from rnnspec.plan.nodes import Dense, Node, Recurrent, verify
from rnnspec.spec.load import load_spec
from tests.conftest import ROOT
from tests.models import frames_plan

SPECS = sorted((ROOT / "specs").glob("*.yaml"))
GOLDENS = Path(__file__).parent / "plans"


@pytest.fixture(scope="session")
def dates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dates")
    write(folder)
    return folder


@pytest.fixture(scope="session")
def demand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demand")
    write_demand(folder)
    return folder


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("morse")
    morse.write(folder, train=40, valid=4, test=1)
    return folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plates")
    plates.write(folder, train=40, valid=4, test=1)
    return folder


@pytest.fixture(scope="session")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("entities")
    entities.write(folder, train=200, valid=4, test=1)
    return folder


@pytest.mark.parametrize("spec", SPECS, ids=lambda path: path.stem)
def test_plan_is_the_golden_one(
    spec: Path,
    dates: Path,
    demand: Path,
    sounds: Path,
    pictures: Path,
    sentences: Path,
    tmp_path: Path,
    golden: Callable[[Path, str], None],
    request: pytest.FixtureRequest,
) -> None:
    copied = Path(shutil.copy(spec, tmp_path))
    loaded = load_spec(copied)
    (tmp_path / "dates").symlink_to(dates)
    (tmp_path / "demand").symlink_to(demand)
    (tmp_path / "morse").symlink_to(sounds)
    (tmp_path / "plates").symlink_to(pictures)
    (tmp_path / "entities").symlink_to(sentences)
    if loaded.spec.data.train_files[0].startswith("data/"):
        (tmp_path / "data").symlink_to(request.getfixturevalue("real_data"))
    facts = survey(loaded.spec, find_sources(loaded.spec.data, tmp_path).train)
    golden(GOLDENS / f"{spec.stem}.txt", dump(resolve(loaded.spec, facts)))


def test_no_golden_is_left_of_a_spec_that_is_gone() -> None:
    assert {path.stem for path in GOLDENS.glob("*.txt")} == {spec.stem for spec in SPECS}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda nodes: [*nodes, nodes[1]], "two nodes are called layers.0"),
        (lambda nodes: nodes[1:], "which does not come before it"),
        (lambda nodes: [replace(n, inputs=9) if isinstance(n, Recurrent) else n for n in nodes],
         "takes width 9"),
        (lambda nodes: [*nodes, Dense("idle", "pool", 5, 2, "none")], "nothing reads idle"),
    ],
)  # fmt: skip
def test_verify_finds_an_inconsistent_plan(
    change: Callable[[list[Node]], list[Node]], message: str
) -> None:
    plan = frames_plan()
    wrong = replace(plan, nodes=tuple(change(list(plan.nodes))))
    with pytest.raises(AssertionError, match=message):
        verify(wrong)
