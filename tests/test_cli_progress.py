"""What is shown while a model trains."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from rnnspec.cli.progress import Bar, Lines, Pace, Pass, epoch_line

RECORD = {
    "epoch": 2,
    "train.loss": 1.25,
    "rows_per_second": 12345.6,
    "valid.loss": 0.5,
    "valid.accuracy": 0.875,
    "best": True,
}


class Clock:
    """Time that passes when it is told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that moves its cursor: a dumb one, as of a build farm, is shown no bar."""
    monkeypatch.setenv("TERM", "xterm")


def test_an_epochs_line_names_every_figure() -> None:
    assert epoch_line(RECORD, 10) == (
        "epoch  2/10  train loss 1.2500  valid loss 0.5000  accuracy 0.8750  12,346 rows/s  best"
    )
    assert not epoch_line({**RECORD, "best": False}, 10).endswith("best")


def test_pace_counts_what_is_left_of_all_epochs() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.begin(1, 3, 100, 0)
    assert pace.text() == ""
    for _ in range(50):
        pace.step()
    clock.now += 10
    assert pace.text() == "5.0 batches/s, 0:00:50 left"  # 50 of this epoch, 200 of the others


def test_pace_of_a_resumed_epoch_counts_only_what_was_done_here() -> None:
    clock = Clock()
    pace = Pace(clock)
    pace.begin(1, 1, 100, 80)
    for _ in range(10):
        pace.step()
    clock.now += 5
    assert pace.text() == "2.0 batches/s, 0:00:05 left"


def test_lines_come_at_most_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    lines = Lines(Pace(clock))
    lines.stage("training")
    lines.epoch(1, 10, 101, 0)
    for _ in range(101):
        clock.now += 0.25
        lines.batch(0.5)
    lines.epoch_done({**RECORD, "epoch": 1})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "training"
    assert said[1] == ("epoch  1/10: batch 40 of 101, loss 0.5000, 4.0 batches/s, 0:04:02 left")
    assert [line.split(",")[0] for line in said[1:3]] == [
        "epoch  1/10: batch 40 of 101",
        "epoch  1/10: batch 80 of 101",
    ]
    assert said[3].startswith("epoch  1/10  train loss")
    assert len(said) == 4


def test_lines_of_reading_tell_the_share_and_the_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = Clock()
    lines = Lines(Pace(clock), _pass=Pass(clock))
    for text in ("looking through train.txt", "encoding train.txt"):
        for part in range(1, 26):
            lines.reading(part / 25, text)
            clock.now += 1
    lines.reading(0.5, "encoding train.txt")  # of the validation part
    clock.now += 9
    lines.reading(0.9, "encoding train.txt")
    assert capsys.readouterr().out.splitlines() == [
        "looking through train.txt: 44%, 0:00:14 left",
        "looking through train.txt: 84%, 0:00:04 left",
        "encoding train.txt: 44%, 0:00:14 left",
        "encoding train.txt: 84%, 0:00:04 left",
    ]


@pytest.mark.usefixtures("terminal")
def test_the_bar_of_reading_makes_way_for_that_of_training() -> None:
    clock = Clock()
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
    with Progress(*columns, console=console, auto_refresh=False) as progress:
        bar = Bar(progress, Pace(clock), _pass=Pass(clock))
        for part in range(1, 11):
            bar.reading(part / 10, "encoding [x].txt")
            clock.now += 1
        assert [task.description for task in progress.tasks] == ["encoding [x].txt"]
        bar.begun(Path("build"))
        assert not progress.tasks
        bar.epoch(1, 1, 4, 0)
        assert [task.description for task in progress.tasks] == ["epoch 1/1"]
    assert "%, 0:00:05 left" in screen.getvalue()


@pytest.mark.usefixtures("terminal")
def test_the_bar_shows_batches_loss_and_time_left_and_keeps_the_epochs_lines() -> None:
    clock = Clock()
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=120, color_system=None)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[text]}"))
    with Progress(*columns, console=console, auto_refresh=False) as progress:
        bar = Bar(progress, Pace(clock))
        bar.epoch(1, 2, 4, 0)
        for _ in range(4):
            clock.now += 1
            bar.batch(0.5)
        bar.epoch_done({**RECORD, "epoch": 1, "valid.[x]": 1.0})
        bar.epoch(2, 2, 4, 0)
        assert [task.description for task in progress.tasks] == ["epoch 2/2"]
    shown = screen.getvalue()
    assert "epoch 1/2" in shown and "loss 0.5000, 1.0 batches/s, 0:00:05 left" in shown
    assert "[x] 1.0000" in shown, "a column's name is no markup"


def test_the_bar_is_not_drawn_at_every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    console = Console(file=io.StringIO(), force_terminal=True)
    with Progress(console=console, auto_refresh=False) as progress:
        drawn = []
        monkeypatch.setattr(progress, "refresh", lambda: drawn.append(clock.now))
        bar = Bar(progress, Pace(clock))
        bar.epoch(1, 1, 2000, 0)
        drawn.clear()
        for _ in range(1000):
            clock.now += 0.001
            bar.batch(0.5)
    assert 8 <= len(drawn) <= 12
