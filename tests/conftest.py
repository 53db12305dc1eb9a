"""What all tests share: the option that rewrites golden files, the folder of real data."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from rnnspec.train.interrupt import ENDING

ROOT = Path(__file__).parent.parent

# The same examples in every run, which a database of earlier failures would add to. No test asserts
# a time, and that includes the time of one of hypothesis's examples, or of drawing it.
FIXED = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
        HealthCheck.function_scoped_fixture,
    ],
)
settings.register_profile("fixed", FIXED)
settings.register_profile("explore", FIXED, derandomize=False, print_blob=True)
settings.load_profile("fixed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens",
        action="store_true",
        help="rewrite the golden files with what the code answers now; read the diff before commit",
    )
    parser.addoption(
        "--every-place",
        action="store_true",
        help="every setting of a layer in every place, not in every other one",
    )
    parser.addoption(
        "--random-specs",
        type=int,
        default=32,
        help="how many random specs to build, train, export and compare (the full number: 1000)",
    )


@pytest.fixture
def usual_signals() -> Iterator[None]:
    """Ctrl-C and the signals that ask to end do as in a program in the foreground of a terminal,
    here and in children, whatever the parent of the tests (nohup, a job in the background) left."""
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, usual)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


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
