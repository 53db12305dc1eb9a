"""Memory of mapped arrays: pages that were read are let go."""

from __future__ import annotations

import mmap
from pathlib import Path

import numpy as np
import pytest

from rnnspec.data import cache as module
from rnnspec.data.cache import MemoryMaps, new_folder, open_folder, resident
from tests.data_rows import CLASS, WORDS, encoded, spec_of, write_rows

NO_FIGURES = not resident() or not hasattr(mmap, "MADV_DONTNEED")
linux = pytest.mark.skipif(NO_FIGURES, reason="the system does not tell resident bytes of files")


@linux
def test_pages_that_were_read_do_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 32 MiB that are read through, a small part is resident at any time."""
    monkeypatch.setattr(module, "MOST_RESIDENT", 4 << 20)
    with new_folder(tmp_path / "folder") as writer:
        column = writer.column("numbers", "<i8")
        for first in range(0, 4 << 20, 1 << 18):
            column.append(np.arange(first, first + (1 << 18)))
    arrays = open_folder(tmp_path / "folder")
    assert arrays is not None
    numbers, read = arrays["numbers"], 1 << 16
    maps, before, most = MemoryMaps.of(arrays.values()), resident(), 0
    for first in range(0, len(numbers), read):
        rows = np.arange(first, first + read)
        assert np.array_equal(numbers[rows], rows)
        maps.read(read)
        most = max(most, resident() - before)
    assert 0 < most < 12 << 20
    assert np.array_equal(numbers[[0, -1]], [0, len(numbers) - 1]), "and is still there"


def test_a_data_set_looks_at_what_its_batches_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [0]

    def counted() -> int:
        looks[0] += 1
        return 0

    monkeypatch.setattr(module, "ROWS_BETWEEN", 3)
    monkeypatch.setattr(module, "resident", counted)
    rows = [{"text": "a b", "label": n % 2} for n in range(9)]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    assert not encoded(spec_of(WORDS, CLASS), file)[1].maps.maps, "too small to be let go"
    monkeypatch.setattr(module, "MOST_RESIDENT", 16)
    _, data = encoded(spec_of(WORDS, CLASS), file)
    assert len(data.maps.maps) == 5, "lines, offsets, words, labels and those new to training"
    looks[0] = 0
    for ask in (data.collate, data.lengths):
        ask(np.arange(4))
    assert looks[0] == 2


def test_where_the_system_does_not_tell_nothing_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STATM", str(tmp_path / "none"))
    monkeypatch.setattr(module, "ROWS_BETWEEN", 1)
    monkeypatch.setattr(module, "MOST_RESIDENT", 0)
    assert resident() == 0
    with new_folder(tmp_path / "folder") as writer:
        writer.column("numbers", "<i8").append(np.arange(5))
    arrays = open_folder(tmp_path / "folder")
    assert arrays is not None
    MemoryMaps.of(arrays.values()).read(10**6)
    assert arrays["numbers"].tolist() == [0, 1, 2, 3, 4]
