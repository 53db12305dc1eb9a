"""Figures name the command that makes them: README, manual and the list of benchmarks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
PAGES = [
    ROOT / "README.md",
    BENCHMARKS / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "generated" not in path.parts),
]
MEASURED = re.compile(
    r"\b\d[\d.,]*\s(?:MB|GB|ms|µs|seconds?|s of CPU|MW)\b"
    r"|\b\d[\d.,]* times (?:as|faster|slower|the)\b|\bof the peak\b"
)
"""Figures that only a run can give: sizes, times and ratios of them."""
NAMED = re.compile(r"benchmarks/|pytest tests/|rnnspec bench|\w+\.py\b")


def _sections(page: Path) -> list[str]:
    """The text under each heading, without blocks of code and what stands in code."""
    text = re.sub(r"^(`{3,}).*?^\1$", "", page.read_text("utf-8"), flags=re.M | re.S)
    return re.split(r"^#+ ", text, flags=re.M)


def _without_code(text: str) -> str:
    return re.sub(r"`[^`]*`", "", text)


@pytest.mark.parametrize("page", [each for each in PAGES if each.name != "CHANGELOG.md"], ids=str)
def test_measured_figures_name_their_command(page: Path) -> None:
    """A section with a figure that was measured names what measures it."""
    unnamed = [
        (found[0], section.partition("\n")[0])
        for section in _sections(page)
        if (found := MEASURED.search(_without_code(section))) and not NAMED.search(section)
    ]
    assert unnamed == []


def test_rows_of_figures_in_the_readme_name_a_command() -> None:
    (section,) = (each for each in _sections(PAGES[0]) if each.startswith("Measured"))
    rows = [line for line in section.splitlines() if line.startswith("|")]
    under = [
        row for row in rows if not row.endswith("`python benchmarks/…` |") and "---" not in row
    ]
    assert len(under) > 12
    assert [row for row in under if not re.search(r"`\w+\.py[^`]*` \|$", row)] == []


def test_commands_are_there_with_their_options() -> None:
    """What is named is a script, and has each option that stands behind it."""
    scripts = {path.name: path.read_text("utf-8") for path in BENCHMARKS.glob("*.py")}
    checked = 0
    for page in PAGES:
        for name, rest in re.findall(
            r"`(?:python )?(?:benchmarks/)?(\w+\.py)([^`]*)`", page.read_text("utf-8")
        ):
            in_readme = page.parent in (BENCHMARKS, ROOT) and page.name == "README.md"
            if not in_readme and name not in scripts:
                continue  # a program of the reader's, or of examples/
            assert name in scripts, (page, name)
            for option in re.findall(r"(?<= )--[a-z][a-z-]+", rest):
                assert option in scripts[name], (page, name, option)
                checked += 1
    assert checked > 10


def test_every_script_is_in_the_list() -> None:
    listed = (BENCHMARKS / "README.md").read_text("utf-8")
    names = [path.name for path in BENCHMARKS.glob("*.py") if path.name != "__init__.py"]
    assert [name for name in names if f"`{name}`" not in listed] == []
