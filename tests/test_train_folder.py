"""Build folders in the hands of several processes, of other versions, and of whoever edits them."""

from __future__ import annotations

import errno
import math
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import typer

from rnnspec.cli.errors import reported
from rnnspec.data.shards import find_sources
from rnnspec.data.survey import survey
from rnnspec.errors import BuildError
from rnnspec.files import write_bytes
from rnnspec.plan import resolve
from rnnspec.spec.load import LoadedSpec, load_spec
from rnnspec.store.events import Heard, Silent
from rnnspec.store.folder import BuildFolder, all_builds, begin
from rnnspec.store.lock import locked
from rnnspec.train import build as building
from rnnspec.train.build import Result, build
from rnnspec.train.interrupt import ending, interruptible
from rnnspec.train.loop import Trainer
from tests.kills import SPEC, metrics_of, write_spec
from tests.training import model_of, rows_data, settings_of


class Crash(RuntimeError):
    """Ends a build as a killed process would."""


class CrashAfter(Silent):
    """Crashes at the end of an epoch, which has its checkpoint."""

    def epoch_done(self, record: object) -> None:
        raise Crash


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedSpec:
    return load_spec(write_spec(tmp_path, SPEC.replace("epochs: 4", "epochs: 2"), rows=40))


@pytest.fixture
def builds(tmp_path: Path) -> Path:
    return tmp_path / "builds"


def crashed(loaded: LoadedSpec, builds: Path) -> BuildFolder:
    """A build that ended after its first epoch, without a word."""
    with pytest.raises(Crash):
        build(loaded, builds, CrashAfter())
    return next(all_builds(builds))


def changed(folder: BuildFolder, **keys: object) -> None:
    folder.write_state({**folder.read_state(), **keys})


def weights_of(result: Result) -> bytes:
    return result.folder.weights.read_bytes()


# ---------------------------------------------------------------- several processes


def test_a_build_that_is_being_trained_is_not_resumed(loaded: LoadedSpec, builds: Path) -> None:
    folder = crashed(loaded, builds)
    before = folder.checkpoint.read_bytes()
    with (
        locked(folder.source),
        pytest.raises(BuildError, match=r"001: another process trains in it right now; wait"),
    ):
        build(loaded, builds, Silent(), resume=True)
    assert folder.checkpoint.read_bytes() == before
    assert build(loaded, builds, Silent(), resume=True).finished


def test_a_folder_is_locked_while_it_is_trained_in(loaded: LoadedSpec, builds: Path) -> None:
    refused: list[str] = []

    class Other(Silent):
        def epoch_done(self, record: object) -> None:
            with pytest.raises(BuildError) as error:
                build(loaded, builds, Silent(), resume=True)
            refused.append(str(error.value))

    assert build(loaded, builds, Other()).finished
    assert len(refused) == 2 and "another process trains in it" in refused[0]


def test_builds_begun_at_the_same_moment_have_folders_of_their_own(
    loaded: LoadedSpec, builds: Path
) -> None:
    facts = survey(loaded.spec, find_sources(loaded.spec.data, loaded.path.parent).train)
    plan = resolve(loaded.spec, facts)

    def begun(number: int) -> str:
        return begin(builds, loaded, plan, facts, {"state": "training"}).path.name

    with ThreadPoolExecutor(8) as threads:
        names = list(threads.map(begun, range(16)))
    assert sorted(names) == [f"{number:03}" for number in range(1, 17)]
    assert sorted(path.name for path in (builds / "killed").iterdir()) == sorted(names)


def test_processes_of_a_run_go_on_with_its_build(
    loaded: LoadedSpec, builds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also on a machine that joined later and counts no restart; and only with that run's."""
    whole = build(loaded, builds / "whole", Silent())
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "17")
    folder = crashed(loaded, builds)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "18")
    assert build(loaded, builds, Silent()).folder != folder
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "17")
    again = build(loaded, builds, Silent())
    assert again.folder == folder and weights_of(again) == weights_of(whole)


def test_processes_that_end_badly_after_the_build_do_not_train_anew(
    loaded: LoadedSpec, builds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "17")
    first = build(loaded, builds, Silent())
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    again = build(loaded, builds, CrashAfter())
    assert (again.folder, again.metrics, again.report) == (
        first.folder,
        first.metrics,
        first.report,
    )
    monkeypatch.delenv("TORCHELASTIC_RESTART_COUNT")
    assert build(loaded, builds, Silent()).folder != first.folder, "a new run, a new build"


# ---------------------------------------------------------------- going on


def test_a_report_that_is_missing_is_written_by_going_on(
    loaded: LoadedSpec, builds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise BuildError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(building, "write_report", full)
        first = build(loaded, builds, Silent())
    assert first.report is None
    again = build(loaded, builds, CrashAfter(), resume=True)
    assert again.folder == first.folder and again.metrics == first.metrics
    assert again.report == first.folder.report and first.folder.report.exists()
    with pytest.raises(BuildError, match="each build is finished already"):
        build(loaded, builds, Silent(), resume=True)


def test_the_threads_of_a_build_stay_as_they_were(loaded: LoadedSpec, builds: Path) -> None:
    """Their number decides the order of sums, and the machine may have other cores now."""
    folder = crashed(loaded, builds)
    assert folder.read_state()["threads"] == 1
    changed(folder, threads=3)
    seen = []

    class Looking(Silent):
        def stage(self, name: str) -> None:
            seen.append((name, torch.get_num_threads()))

    build(loaded, builds, Looking(), resume=True)
    assert ("training", 3) in seen


def test_going_on_with_another_version_is_told(loaded: LoadedSpec, builds: Path) -> None:
    changed(crashed(loaded, builds), torch="1.0")
    heard = Heard()
    result = build(loaded, builds, heard, resume=True)
    assert "begun with torch 1.0 and goes on with" in heard.warnings[0]
    assert result.folder.read_state()["torch"] == torch.__version__
    assert result.folder.read_state()["warnings"] == heard.warnings


@pytest.mark.parametrize("content", ["", "{", "[]", '{"state": 3}', "\x00" * 40])
def test_a_damaged_state_is_refused(loaded: LoadedSpec, builds: Path, content: str) -> None:
    folder = crashed(loaded, builds)
    folder.state.write_text(content)
    with pytest.raises(BuildError, match=r"build\.json"):
        build(loaded, builds, Silent(), resume=True)
    assert build(loaded, builds, Silent()).finished


def test_a_checkpoint_that_is_cut_anywhere_is_refused(loaded: LoadedSpec, builds: Path) -> None:
    folder = crashed(loaded, builds)
    whole = folder.checkpoint.read_bytes()
    for size in [*range(0, 16), 100, len(whole) // 2, len(whole) - 1]:
        folder.checkpoint.write_bytes(whole[:size])
        with pytest.raises(BuildError, match=r"checkpoint\.safetensors: "):
            build(loaded, builds, Silent(), resume=True)
    folder.checkpoint.write_bytes(whole)
    assert build(loaded, builds, Silent(), resume=True).finished


@pytest.mark.parametrize("name", ["weights.safetensors", "spec.yaml", "source.yaml", "facts.json"])
@pytest.mark.parametrize("gone", [True, False])
def test_a_file_that_is_lost_or_emptied_is_named(
    loaded: LoadedSpec, builds: Path, name: str, gone: bool
) -> None:
    """But for the spec as it was written, which nothing is read from."""
    file = crashed(loaded, builds).path / name
    file.unlink()
    if not gone:
        file.touch()
    if name == "source.yaml" and not gone:
        assert build(loaded, builds, Silent(), resume=True).finished
        return
    with pytest.raises(BuildError) as error:
        build(loaded, builds, Silent(), resume=True)
    if name != "spec.yaml" or gone:
        assert str(file) in str(error.value) and "build again" in str(error.value)


@pytest.mark.parametrize("torn", ['{"epoch": 2, "tra', "\x00\x00\x00"])
def test_a_line_of_metrics_that_is_cut_off_is_written_again(
    loaded: LoadedSpec, builds: Path, torn: str
) -> None:
    whole = build(loaded, builds / "whole", Silent())
    folder = crashed(loaded, builds)
    with folder.metrics.open("a") as file:
        file.write(torn)
    result = build(loaded, builds, Silent(), resume=True)
    assert metrics_of(folder) == metrics_of(whole.folder) and result.metrics == whole.metrics


def test_metrics_that_were_lost_do_not_lose_the_build(loaded: LoadedSpec, builds: Path) -> None:
    folder = crashed(loaded, builds)
    folder.metrics.write_text("not JSON\n")
    assert build(loaded, builds, Silent(), resume=True).finished


def test_an_epoch_whose_metric_is_no_number_is_not_the_best(tmp_path: Path) -> None:
    data = rows_data()
    trainer = Trainer(model_of(), settings_of(), BuildFolder(tmp_path), data, data, Silent())
    found = []
    for loss in (math.nan, math.nan, 2.0, 3.0, math.nan, 1.0):
        found.append(trainer._is_best({"valid.loss": loss}))
        trainer.position.epoch += 1
    assert found == [True, False, True, False, False, True]
    assert trainer.position.best_epoch == 6


# ---------------------------------------------------------------- the machine


def test_an_interrupt_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(file: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "file", b"content")
    assert list(tmp_path.iterdir()) == []


def test_what_the_machine_refuses_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left, reported():
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "builds/.cache")
    assert left.value.exit_code == 2
    assert capsys.readouterr().err == "error: builds/.cache: Permission denied\n"


def signalled(number: int, times: int, several: bool = False) -> bool:
    with interruptible(several) as interrupt:
        for _ in range(times):
            os.kill(os.getpid(), number)
        return interrupt.is_set()


@pytest.mark.usefixtures("usual_signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_ask_to_end(number: int) -> None:
    assert signalled(number, 1)
    assert signalled(number, 3, several=True), "torchrun and the terminal may both send one"


@pytest.mark.usefixtures("usual_signals")
def test_only_ctrl_c_ends_at_once_where_it_comes_twice() -> None:
    assert signalled(signal.SIGTERM, 3)
    with pytest.raises(KeyboardInterrupt):
        signalled(signal.SIGINT, 2)


@pytest.mark.usefixtures("usual_signals")
@pytest.mark.parametrize("within", [interruptible, ending])
def test_nohup_is_respected(within: Callable[[], object]) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with within():  # type: ignore[attr-defined]
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("usual_signals")
def test_a_request_to_end_is_as_ctrl_c_outside_of_training() -> None:
    with pytest.raises(KeyboardInterrupt), ending():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
