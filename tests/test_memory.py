"""Memory that libraries keep: given back when asked for, few kernels unless the user says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnnspec.to_torch.memory import KERNELS, give_back, keep_few_kernels

CAPACITY = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
FREED = """
from pathlib import Path
from rnnspec.to_torch.memory import give_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

blocks = [bytearray(2**16) for _ in range(1600)]  # 100 MB, too small to be mapped one by one
last = bytearray(2**16)  # stands above them: nothing below it goes back by itself
full = resident()
del blocks
kept = resident()
give_back()
print(full - kept < 2**24, kept - resident() > 2**25)
"""


def test_few_kernels_are_kept_unless_the_environment_says_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CAPACITY, "7")
    keep_few_kernels()
    assert os.environ[CAPACITY] == "7"
    monkeypatch.delenv(CAPACITY)
    keep_few_kernels()
    assert os.environ[CAPACITY] == str(KERNELS)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc here")
def test_free_memory_goes_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FREED], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "True True", done.stdout + done.stderr


def test_nothing_happens_without_such_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnspec.to_torch.memory._malloc_trim", lambda: None)
    give_back()
