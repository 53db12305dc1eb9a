"""A build that ends at any moment of its writing is gone on with to the same bits.

Every file that a build writes is a moment: at one after the other the process is killed, or finds
the disk full.
"""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.files import read_arrays
from rnnspec.store.folder import BuildFolder, all_builds
from rnnspec.train.build import build
from tests.kills import SPEC, STREAM, metrics_of, readable, write_spec
from tests.moments import WRONG, attempt, kill, refuse

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="forks, and finds files in /proc"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]
SMALL = SPEC.replace("epochs: 4", "epochs: 2")
SMALL_STREAM = STREAM.replace("epochs: 3", "epochs: 2")


def whole_build(folder: Path, text: str, checkpoint_seconds: float) -> tuple[Path, list[str]]:
    """A small spec with the build `folder/whole` that nothing happens to, and what one writes.

    That build is made in this process, so that the children find all modules loaded.
    """
    spec = write_spec(folder, text, rows=40)
    build(load_spec(spec), folder / "whole", Silent())
    code, said = attempt(spec, folder / "written", checkpoint_seconds=checkpoint_seconds)
    assert code == 0, said
    return spec, said.splitlines()


def assert_ends_the_same(spec: Path, builds: Path) -> None:
    """Going on, or starting where nothing was begun, leads to the one build that was undisturbed;
    nothing but it is left, and the cache."""
    code, said = attempt(spec, builds, resume=True)
    if code == WRONG:
        assert "no build was ever begun" in said
        code, said = attempt(spec, builds)
    assert code == 0, said
    (whole,), (found,) = all_builds(spec.parent / "whole"), all_builds(builds)
    assert_same(whole, found)
    assert found.report.exists() and found.read_state()["state"] == "finished"
    assert found.read_state()["valid"] == whole.read_state()["valid"]
    names = {path.relative_to(whole.path) for path in whole.path.rglob("*")}
    assert {path.relative_to(found.path) for path in found.path.rglob("*")} == names


def assert_same(one: BuildFolder, other: BuildFolder) -> None:
    for before, after in ((one.weights, other.weights), (one.last, other.last)):
        expected, found = read_arrays(before)[0], read_arrays(after)[0]
        assert expected.keys() == found.keys()
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert metrics_of(one) == metrics_of(other)


@pytest.mark.parametrize(
    ("text", "seconds"), [(SMALL, 30.0), (SMALL_STREAM, 0.0)], ids=["rows", "stream"]
)
def test_killed_at_every_file_that_is_written(tmp_path: Path, text: str, seconds: float) -> None:
    """`seconds` between checkpoints: with 0 there is one after each batch."""
    spec, writes = whole_build(tmp_path, text, seconds)
    builds = tmp_path / "killed"
    for at, what in enumerate(writes, start=1):
        if "fsync" in what or "part" in what or (seconds == 0 and at % 4):
            continue
        code, said = attempt(spec, builds, at, kill, checkpoint_seconds=seconds)
        assert code == -signal.SIGKILL, said
        for folder in all_builds(builds):
            readable(folder)
        assert_ends_the_same(spec, builds)
        shutil.rmtree(builds)


def test_a_disk_that_is_full_from_any_file_on(tmp_path: Path) -> None:
    """What fails names its file, leaves nothing half written, and can be gone on with; the report
    that a finished build lacks is a warning."""
    spec, writes = whole_build(tmp_path, SMALL, 30.0)
    builds = tmp_path / "full"
    _, finished, _ = (at for at, what in enumerate(writes, 1) if what == "replace build.json")
    for at, what in enumerate(writes, start=1):
        if not what.startswith("fsync") and "metrics" not in what:
            continue
        code, said = attempt(spec, builds, at, refuse)
        assert code == (0 if at > finished else WRONG), (what, said)
        assert code == 0 or ("No space left on device" in said and str(builds) in said), what
        left = [path for path in builds.rglob("*") if path.name.startswith(".")]
        assert left in ([], [builds / ".cache"]), what
        for folder in all_builds(builds):
            readable(folder)
        assert_ends_the_same(spec, builds)
        shutil.rmtree(builds)
