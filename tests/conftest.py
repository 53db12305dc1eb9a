"""What all tests share: the option that rewrites golden files, the folder of real data."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent

# No test asserts a time, and that includes the time of one of hypothesis's examples.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens",
        action="store_true",
        help="rewrite the golden files with what the code answers now; read the diff before commit",
    )
    parser.addoption(
        "--random-specs",
        type=int,
        default=40,
        help="how many random specs to build, train, export and compare (the full number: 1000)",
    )


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """`golden(path, text)`: the text is what the file holds, or is written there when asked to."""
    update = bool(request.config.getoption("--update-goldens"))

    def check(path: Path, text: str) -> None:
        if update:
            path.write_text(text, encoding="utf-8", newline="\n")
        if not path.exists():
            pytest.fail(f"there is no {path}; run pytest --update-goldens and read what it wrote")
        with path.open(encoding="utf-8", newline="") as file:
            assert text == file.read()

    return check


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets, from RNNSPEC_DATA; tests that need it skip without it."""
    folder = Path(os.environ.get("RNNSPEC_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set RNNSPEC_DATA to its folder")
    return folder
