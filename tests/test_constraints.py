"""constraints.txt states the exact version of whatever the test environment needs."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
# What `make` installs besides rnnspec[dev]: the build back end's own requirement and the installer.
BUILD = ("pip", "setuptools", "setuptools-scm", "hatchling", "editables")


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    stated = [line for line in lines if line and not line.startswith("#")]
    for line in stated:
        assert re.fullmatch(r"[\w.-]+==[\w.+!-]+", line), f"not an exact version: {line}"
    return {canonicalize_name(name): version for name, version in (s.split("==") for s in stated)}


def _project_requirements() -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines: list[str] = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        lines += extra
    own = (Requirement(line) for line in lines)
    return [requirement for requirement in own if requirement.name != project["name"]]


def _needed(roots: list[Requirement]) -> dict[str, str]:
    """Names of all distributions that `roots` need here, each with one that asks for it.

    A distribution that is not installed (a build tool, say) counts, but what it needs is unknown.
    """
    needed: dict[str, str] = {}
    followed: set[tuple[str, frozenset[str]]] = set()
    todo = [(requirement, "pyproject.toml") for requirement in roots]
    while todo:
        requirement, asked_by = todo.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        needed.setdefault(name, asked_by)
        if (name, extras) in followed:
            continue
        followed.add((name, extras))
        try:
            lines = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for child in map(Requirement, lines):
            marker = child.marker
            if not marker or any(marker.evaluate({"extra": extra}) for extra in {"", *extras}):
                todo.append((child, name))
    return needed


def test_every_needed_package_is_pinned() -> None:
    pins = _pins()
    needed = _needed(_project_requirements() + [Requirement(name) for name in BUILD])
    missing = [
        f"{name} (needed by {by})" for name, by in sorted(needed.items()) if name not in pins
    ]
    assert not missing, f"constraints.txt states no version of: {', '.join(missing)}"


def test_lower_bounds_admit_the_pinned_versions() -> None:
    pins = _pins()
    for requirement in _project_requirements():
        pinned = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pinned, prereleases=True), (
            f"pyproject.toml asks for {requirement}, constraints.txt pins {pinned}"
        )


def test_the_pinned_versions_run_on_the_first_python_that_the_project_names() -> None:
    """Debian 12 has Python 3.11.2: a version that asks for 3.11.5 cannot be installed there."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    first = project["requires-python"].removeprefix(">=") + ".0"
    pins = _pins()
    asked = {
        f"{each.name}=={each.version}": each.metadata["Requires-Python"]
        for each in importlib.metadata.distributions()
        if pins.get(canonicalize_name(each.name)) == each.version
    }
    wrong = {k: v for k, v in asked.items() if v and not SpecifierSet(v).contains(first)}
    assert len(asked) > 50 and not wrong
