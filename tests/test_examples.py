"""Drawn examples: those of `make test` are always the same, those of exploring differ by seed."""

from __future__ import annotations

from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.equations import cells
from tests.explore import again


def drawn(of: settings, number: int | None = None) -> list[str]:
    """The equations of the cells that a test would run on."""
    found: list[str] = []

    @settings(of, max_examples=20)
    @given(cells(), st.integers())
    def run(cell: object, other: int) -> None:
        found.append(f"{getattr(cell, 'equations')} {other}")  # noqa: B009

    (run if number is None else seed(number)(run))()
    return found


def test_examples_are_the_same_in_every_run() -> None:
    fixed = settings.get_profile("fixed")
    assert len(drawn(fixed)) == 20
    assert drawn(fixed) == drawn(fixed)


def test_exploring_draws_others_by_seed() -> None:
    explore = settings.get_profile("explore")
    assert drawn(explore, 1) == drawn(explore, 1)
    assert drawn(explore, 1) != drawn(explore, 2)


def test_a_finding_is_told_with_the_command_that_fails_again() -> None:
    said = """\
=== short test summary info ===
FAILED tests/test_a.py::test_b - AssertionError: not - equal
FAILED tests/test_a.py::test_c[of two words]
1 failed in 3.00s
"""
    assert again(7, said) == (
        "pytest --hypothesis-profile explore --hypothesis-seed 7"
        " 'tests/test_a.py::test_b' 'tests/test_a.py::test_c[of two words]'"
    )
