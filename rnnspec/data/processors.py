"""How many processor threads this process may keep busy."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

LIMITS = ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT")
"""Limits in the environment; of OMP_NUM_THREADS, which may be a list, the first counts."""


def processors(root: Path = Path("/")) -> int:
    """The minimum of the cores that the process may run on, the LIMITS of the environment and the
    quota of its container, at least 1. `root` holds `proc` and `sys`."""
    found = [_cores(), *_environment(), *_quotas(root)]
    return max(1, int(min(found)))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _environment() -> Iterator[int]:
    for name in LIMITS:
        if stated := re.match(r"\s*(\d+)\s*(,|$)", os.environ.get(name, "")):
            yield int(stated[1])


def _quotas(root: Path) -> Iterator[float]:
    """Processors that each control group of this process allows, in versions 1 and 2 (Linux,
    admin-guide/cgroup-v2 `cpu.max`; scheduler/sched-bwc `cpu.cfs_quota_us`)."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0" and not controllers:
            for folder in _folders(root, ("", "unified"), group):
                quota, _, period = _read(folder / "cpu.max").partition(" ")
                yield from _share(quota, period)
        elif "cpu" in controllers.split(","):
            for folder in _folders(root, (controllers, "cpu"), group):
                quota = _read(folder / "cpu.cfs_quota_us")
                yield from _share(quota, _read(folder / "cpu.cfs_period_us"))


def _folders(root: Path, mounts: tuple[str, ...], group: str) -> Iterator[Path]:
    """The folders of a group and of all groups above it that the container sees."""
    inside = PurePosixPath(group.lstrip("/"))
    for mount in mounts:
        for each in (inside, *inside.parents):
            yield root / "sys/fs/cgroup" / mount / each


def _share(quota: str, period: str) -> Iterator[float]:
    """The processors of a quota of microseconds in each period; -1 or `max` is no limit."""
    if quota.strip().isdigit() and period.strip().isdigit() and int(period):
        yield int(quota) / int(period)


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
