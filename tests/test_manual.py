"""The manual is true: every block of code in it is executed."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from rnnspec.cells import builtin_names
from rnnspec.spec.entries import entries
from tests.manual import Page, blocks

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(
    path.relative_to(DOCS).as_posix()
    for path in DOCS.rglob("*.md")
    if "generated" not in path.parts
)


def test_there_are_pages() -> None:
    assert len(PAGES) > 10


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = re.findall(r"^([\w/-]+)$", (DOCS / "index.md").read_text("utf-8"), re.MULTILINE)
    assert {f"{name}.md" for name in listed} >= {*PAGES} - {"index.md"}


def test_what_the_readme_names_is_there() -> None:
    named = re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_pages_are_made_of_every_key_command_and_cell() -> None:
    pages = dict(runpy.run_path(str(DOCS / "generate.py"))["pages"]())
    keys = "".join(text for name, text in pages.items() if name.startswith("keys-"))
    assert keys.count("\n### ") == len(entries())
    assert all(f"## {name}\n" in pages["cells"] for name in builtin_names())
    assert "## rnnspec export\n" in pages["commands"]
    assert "did you mean 'sigmoid'?" in pages["mistakes"]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_does_what_it_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "88")
    page = Page(name)
    for block in blocks((DOCS / name).read_text(encoding="utf-8")):
        page.run(block)
