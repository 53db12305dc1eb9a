"""A build that is killed at random moments loses nothing.

`benchmarks/kills.py` does the same 50 times.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from rnnspec.data.batches import BUFFER
from rnnspec.errors import OutputError
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import all_builds
from rnnspec.train.build import build
from tests.kills import SPEC, STREAM, readable, survive, undisturbed, write_spec
from tests.test_data_batches import shrink


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(
    ("text", "buffer"),
    [(SPEC, BUFFER), (SPEC, 64), (STREAM, BUFFER)],
    ids=["rows", "rows beyond the buffer", "stream"],
)
def test_killed_builds_end_with_the_same_weights(
    tmp_path: Path, text: str, buffer: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shrink(monkeypatch, buffer, 8)
    spec = write_spec(tmp_path, text)
    whole, seconds = undisturbed(spec)
    for halved in range(1, 9):  # a machine that was slow for the undisturbed build may be fast now
        found = survive(spec, whole, seconds / 2**halved, most=5, seed=halved)
        assert found.same and found.metrics_same
        if found.kills:
            break
    assert found.kills >= 1


def test_a_full_disk_leaves_a_build_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full from the fourth file on that is written after the first checkpoint."""
    spec = load_spec(write_spec(tmp_path))
    written, sync = [0], os.fsync

    def full(file: int) -> None:
        written[0] += any((tmp_path / "builds").glob("*/*/checkpoint.safetensors"))
        if written[0] > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(file)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"No space left on device.*is unchanged"):
        build(spec, tmp_path / "builds", Silent())
    monkeypatch.undo()
    (folder,) = all_builds(tmp_path / "builds")
    readable(folder)
    assert list(folder.path.glob(".*.part")) == []
    result = build(spec, tmp_path / "builds", Silent(), resume=True)
    whole = build(spec, tmp_path / "whole", Silent())
    assert result.folder == folder and result.metrics == whole.metrics


def test_what_a_killed_build_left_half_written_is_swept_away(tmp_path: Path) -> None:
    spec = load_spec(write_spec(tmp_path))
    folder = build(spec, tmp_path / "builds", Silent()).folder
    folder.write_state({**folder.read_state(), "state": "training"})
    torn = folder.path / ".checkpoint.safetensors.123.part"
    torn.write_bytes(b"half")
    build(spec, tmp_path / "builds", Silent(), resume=True)
    assert not torn.exists()
