"""A search through the ranges of a spec: its trials, workers that die, and what it writes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from rnnspec.errors import RnnspecError, SpecError
from rnnspec.spec.load import Tunable, load_spec, load_tunable
from rnnspec.spec.ranges import Choices
from rnnspec.store.events import Silent
from rnnspec.store.folder import BuildFolder, find_build, read_build
from rnnspec.train import loop
from rnnspec.tune import search, study
from rnnspec.tune.outcome import Outcome, Tried
from rnnspec.tune.search import tune
from tests.cli import right, rnnspec, write_world, wrong
from tests.reports import parsed


class Watched(Silent):
    """Keeps the trials; `dies` at the end of this epoch of all epochs, as a killed process does."""

    def __init__(self, dies: int = 0) -> None:
        self.begun_trials: list[int] = []
        self.ended: list[Tried] = []
        self.epochs, self.dies = 0, dies

    def trial(self, number: int, values: Sequence[tuple[str, str]]) -> None:
        self.begun_trials.append(number)

    def tried(self, trial: Tried, best: bool) -> None:
        self.ended.append(trial)

    def waiting(self, trials: int) -> None:
        pass

    def epoch_done(self, record: Mapping[str, float | int | bool]) -> None:
        self.epochs += 1
        if self.epochs == self.dies:
            raise Killed


class Killed(BaseException):
    """Nothing is done after it."""


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = write_world(tmp_path_factory.mktemp("tune"), rows=40, epochs=3)
    text = file.read_text().replace("units: 8", "units: {tune: [2, 4]} ")
    lr = "optimizer: {adam: {lr: {tune: {low: 1e-3, high: 1e-1, log: true}}}}"
    file.write_text("# searched\n" + text.replace("threads: 1", f"threads: 1, {lr}"))
    return file


@pytest.fixture(scope="module")
def found(spec: Path) -> tuple[Outcome, Watched, Tunable]:
    watched, tunable = Watched(), load_tunable(spec)
    return tune(tunable, spec.parent / "found", watched, trials=4), watched, tunable


def test_the_best_trial_is_marked(found: tuple[Outcome, Watched, Tunable]) -> None:
    outcome, watched, tunable = found
    best = outcome.best
    assert best is not None
    assert watched.begun_trials == [0, 1, 2, 3]
    values = [each.value or 0.0 for each in watched.ended if each.state == "finished"]
    assert best.value == max(values)
    assert find_build(outcome.out / "best", outcome.out).path.resolve() == best.folder.resolve()
    records = BuildFolder(best.folder).records()
    assert max(each["valid.accuracy"] for each in records) == best.value
    spec = load_spec(outcome.best_spec)
    assert spec.document.source.text.startswith("# searched\n")
    assert read_build(BuildFolder(best.folder)).spec.encoder == spec.spec.encoder
    assert read_build(BuildFolder(best.folder)).spec.train == spec.spec.train
    assert (spec.path.parent / str(spec.spec.data.train)).exists()
    (units, _) = tunable.ranges
    assert isinstance(units, Choices)


def test_the_page_has_all_trials(found: tuple[Outcome, Watched, Tunable]) -> None:
    outcome, _, _ = found
    root = parsed(outcome.page.read_text())
    table = next(t for t in root.iter("table") if "All trials" in "".join(t.itertext()))
    assert len(list(table.iter("tr"))) == 1 + len(outcome.trials)
    assert sum(1 for _ in root.iter("svg")) >= 3
    written = json.loads((outcome.out / "trials.json").read_text())
    assert [each["number"] for each in written["trials"]] == [0, 1, 2, 3]
    assert outcome.best is not None
    assert written["best"]["number"] == outcome.best.number


def test_a_search_goes_on_and_can_be_repeated(
    found: tuple[Outcome, Watched, Tunable], spec: Path
) -> None:
    outcome, _, tunable = found
    watched = Watched()
    again = tune(tunable, spec.parent / "again", watched, trials=1)
    assert len(again.trials) == 1
    again = tune(tunable, spec.parent / "again", watched, trials=2)
    assert watched.begun_trials == [0, 1]
    assert [each.shown for each in again.trials] == [each.shown for each in outcome.trials[:2]]
    assert [each.value for each in again.trials] == [each.value for each in outcome.trials[:2]]


def test_the_build_of_a_killed_worker_goes_on(
    spec: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    found: tuple[Outcome, Watched, Tunable],
) -> None:
    """In the second epoch of the second trial. Another worker finds it after a while."""
    monkeypatch.setattr(study, "HEARTBEAT", 1)
    monkeypatch.setattr(study, "STALE", 1)
    monkeypatch.setattr(search, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(loop, "EPOCH_SECONDS", 0.0)  # a checkpoint at the end of each
    tunable, out = load_tunable(spec), tmp_path / "out"
    with pytest.raises(Killed):
        tune(tunable, out, Watched(dies=5), trials=3)
    assert BuildFolder(out / "trial-1").read_state()["state"] == "training"
    watched = Watched()
    outcome = tune(tunable, out, watched, trials=3)
    assert (len(watched.begun_trials), min(watched.begun_trials)) == (2, 1)
    assert watched.epochs == 4, "the epoch that was done is not done again"
    assert [each.state for each in outcome.trials] == ["finished"] * 3
    values = {each.number: each.value for each in outcome.trials}
    expected = {each.number: each.value for each in found[0].trials}
    assert values[1] == expected[1]


def test_an_interrupted_trial_goes_on(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupts(Watched):
        def batch(self, loss: float) -> None:
            if self.epochs == 1:
                os.kill(os.getpid(), signal.SIGINT)

    tunable, out = load_tunable(spec), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        tune(tunable, out, Interrupts(), trials=1)
    watched = Watched()
    outcome = tune(tunable, out, watched, trials=1)
    assert (watched.begun_trials, watched.epochs) == ([0], 2)
    (trial,) = outcome.trials
    assert (trial.state, trial.epochs, trial.folder.name) == ("finished", 3, "trial-0")


def test_a_trial_that_is_worse_is_stopped(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("optuna.trial.Trial.should_prune", lambda trial: trial.number == 1)
    outcome = tune(load_tunable(spec), tmp_path / "out", Watched(), trials=2)
    assert [(each.state, each.epochs) for each in outcome.trials] == [
        ("finished", 3),
        ("pruned", 1),
    ]
    folder = BuildFolder(tmp_path / "out" / "trial-1")
    assert folder.read_state()["state"] == "pruned"
    assert not folder.checkpoint.exists()


def test_values_that_do_not_fit_together_are_a_trial_that_failed(
    spec: Path, tmp_path: Path
) -> None:
    """Each end is right beside the first values of the others, and the last ones are not."""
    text = spec.read_text()
    epochs = "epochs: {tune: [3, 1]}, average_last: {tune: [null, 2]}"
    file = spec.parent / "together.yaml"
    file.write_text(text.replace("epochs: 3", epochs).replace("colours", "together"))
    outcome = tune(load_tunable(file), tmp_path / "out", Watched(), trials=6)
    failed = [each for each in outcome.trials if each.why]
    assert all("a mean over 2 epochs, of 1 in all" in each.why for each in failed)
    assert failed, "some draw has both last values"
    assert all(each.state == "pruned" and not each.epochs for each in failed)


def test_what_cannot_be_searched(spec: Path, tmp_path: Path) -> None:
    plain = write_world(tmp_path)
    with pytest.raises(SpecError, match="no range to search through"):
        tune(load_tunable(plain), tmp_path / "out", Watched(), trials=1)
    unmeasured = load_tunable(spec, ["data.valid=null"])
    with pytest.raises(SpecError, match=r"data\.valid is null"):
        tune(unmeasured, tmp_path / "out", Watched(), trials=1)
    tunable = load_tunable(spec)
    with pytest.raises(RnnspecError, match="is no address"):
        tune(tunable, tmp_path / "out", Watched(), trials=1, storage="tune.db")
    with pytest.raises(RnnspecError, match="cannot be opened"):
        tune(
            tunable, tmp_path / "out", Watched(), trials=1, storage=f"sqlite:///{tmp_path}/no/x.db"
        )


def test_another_spec_is_another_search(
    spec: Path, found: tuple[Outcome, Watched, Tunable], tmp_path: Path
) -> None:
    out = found[0].out
    with pytest.raises(RnnspecError, match=r"another spec:\n.*-  batch: 20\n.*batch: 10"):
        tune(load_tunable(spec, ["train.batch=10"]), out, Watched(), trials=9)
    (tmp_path / "trial-0").mkdir()
    with pytest.raises(RnnspecError, match="the storage does not know"):
        tune(load_tunable(spec), tmp_path, Watched(), trials=1)


def test_a_journal_is_a_storage(spec: Path, tmp_path: Path) -> None:
    outcome = tune(
        load_tunable(spec), tmp_path, Watched(), trials=1, storage=f"journal://{tmp_path}/j.log"
    )
    assert len(outcome.trials) == 1
    assert not (tmp_path / "tune.db").exists()


def test_the_command(spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "search"
    said = right("tune", spec, "--trials", 1, "--out", out)
    assert "trial 0: encoder.layers[0].units" in said
    assert f"page: {out}/tune.html" in said
    assert (
        json.loads(right("tune", spec, "--trials", 1, "--out", out, "--json"))["best"]["number"]
        == 0
    )
    assert rnnspec("tune", spec, "--trials", 0).code == 2
    monkeypatch.setattr("rnnspec.cli.tune.find_spec", lambda name: None)
    assert "pip install 'rnnspec[tune]'" in wrong("tune", spec)
