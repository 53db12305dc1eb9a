"""ARCHITECTURE.md is true: its example runs, and the places that it names are there."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILE = ROOT / "ARCHITECTURE.md"


def text_of(heading: str) -> str:
    return FILE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = text_of("One number from YAML to ONNX, one row from file to gradient")
    spec, rows = re.findall(r"^```(?:yaml|json)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    (tmp_path / "spec.yaml").write_text(spec)
    (tmp_path / "rows.jsonl").write_text(rows)
    monkeypatch.chdir(tmp_path)
    found = doctest.DocTestParser().get_doctest(section, {}, FILE.name, str(FILE), 0)
    assert len(found.examples) > 20
    said: list[str] = []
    runner = doctest.DocTestRunner()
    runner.run(found, out=said.append)
    assert runner.failures == 0, "".join(said)


def test_the_files_that_it_names_are_there() -> None:
    named = set(re.findall(r"`((?:\w+/)+[\w.*]*)`", FILE.read_text(encoding="utf-8")))
    assert len(named) > 60
    patterns = {name: name.replace("NAME", "*") for name in named}
    found = {n for n, p in patterns.items() if any(ROOT.glob(p)) or any(ROOT.glob(f"rnnspec/{p}"))}
    assert named - found == set()


def test_words_of_our_own_are_few() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", text_of("Words of our own"), re.MULTILINE)
    assert len(rows) - 2 <= 15
