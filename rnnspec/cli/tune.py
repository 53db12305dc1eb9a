"""`rnnspec tune`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated

import typer

from rnnspec.cli.errors import INTERRUPTED, loading
from rnnspec.cli.options import Json, Overrides, examples
from rnnspec.cli.terminal import is_terminal, loudness, number, say
from rnnspec.errors import RnnspecError

if TYPE_CHECKING:
    from rnnspec.cli.progress import Bar
    from rnnspec.tune.outcome import Outcome, Tried
    from rnnspec.tune.search import Watcher

EXAMPLES = examples(
    "rnnspec tune trec.yaml",
    "rnnspec tune trec.yaml --trials 100 --timeout 7200",
    "rnnspec tune trec.yaml --storage postgresql://me@host/tune --out /shared/trec",
)
TUNE = Path("tune")
"""The default folder of searches."""


def tune(
    spec: Annotated[
        Path, typer.Argument(metavar="SPEC", help="A spec file with ranges.", show_default=False)
    ],
    overrides: Overrides = None,
    trials: Annotated[
        int, typer.Option("--trials", metavar="N", min=1, help="Trials of all workers together.")
    ] = 20,
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            min=0,
            help="Begin no trial after this time.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="The folder of the search.", show_default="tune/NAME"
        ),
    ] = None,
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="URL",
            help="Where Optuna keeps the trials: sqlite:///FILE, postgresql://…, mysql://…, "
            "journal://FILE, redis://… or grpc://HOST:PORT.",
            show_default="sqlite, in the folder",
        ),
    ] = None,
    no_prune: Annotated[
        bool, typer.Option("--no-prune", help="Train every trial to its end.")
    ] = False,
    json: Json = False,
) -> None:
    """Search through the ranges of a spec; each trial is a build.

    The best build is marked. A range stands where a value would: {tune: [32, 64]}, or {tune: {low:
    1e-4, high: 1e-2, log: true}}. Trials that are worse than most are stopped early. The same
    command, in another terminal or on another machine that sees the folder and the storage, works
    on the same search; after Ctrl-C, or where a worker was killed, it goes on where the search was.
    """
    from rnnspec.spec.load import load_tunable

    tunable = load_tunable(spec, overrides or ())
    folder = out or TUNE / tunable.first.spec.name
    if find_spec("optuna") is None:
        raise RnnspecError(
            "tune needs the package optuna; install it with: pip install 'rnnspec[tune]'"
        )
    with loading():
        from rnnspec.train.interrupt import ending
        from rnnspec.tune.search import tune as search
    again = join(["rnnspec", *sys.argv[1:]])
    with ending(), _watcher(tunable.monitored, silent=json or loudness.quiet) as watcher:
        try:
            outcome = search(
                tunable,
                folder,
                watcher,
                trials=trials,
                timeout=timeout,
                storage=storage,
                prune=not no_prune,
            )
        except KeyboardInterrupt:
            print(f"stopped; {folder} holds all that is needed to go on with:\n  {again}")
            raise typer.Exit(INTERRUPTED) from None
    _show(outcome, json)


def _show(outcome: Outcome, json: bool) -> None:
    from rnnspec.files import json_text
    from rnnspec.tune.outcome import as_json

    if json:
        print(json_text(as_json(outcome), indent=2))
        return
    best = outcome.best
    if best is None:
        print(f"no trial was finished; {outcome.page} shows what there is")
        return
    print(f"best: {_ended(best, outcome.metric)}")
    for name, shown in best.shown.items():
        part = outcome.importances.get(name)
        matters = "" if part is None else f"  ({100 * part:.0f} % of the differences)"
        print(f"  {name}: {shown}{matters}")
    print(f"page: {outcome.page}")
    print(f"spec: {outcome.best_spec}")
    say(f"next: {join(['rnnspec', 'export', str(best.folder), '--onnx'])}")


def _ended(trial: Tried, metric: str) -> str:
    """`trial 3, accuracy 0.8612 after 7 epochs`."""
    epochs = f"{trial.epochs} epoch{'s' * (trial.epochs != 1)}"
    if trial.value is None:
        return f"trial {trial.number}, {trial.state} after {epochs}"
    return f"trial {trial.number}, {metric} {number(trial.value)} after {epochs}"


@contextmanager
def _watcher(metric: str, silent: bool) -> Iterator[Watcher]:
    """What shows the search: lines, above the bar of the running trial on a terminal."""
    from rnnspec.cli.progress import Bar, progress_listener

    with progress_listener(prints=not silent) as listener:
        bar = listener if isinstance(listener, Bar) else None
        yield _Shown(metric, silent, bar if is_terminal(sys.stdout) else None)


class _Shown:
    """A `Watcher`: a line for each trial that begins and ends, and each note and warning once."""

    def __init__(self, metric: str, silent: bool, bar: Bar | None) -> None:
        self.metric, self.silent, self.bar = metric, silent, bar
        self.said: set[str] = set()

    def trial(self, number: int, values: Sequence[tuple[str, str]]) -> None:
        self._say(f"trial {number}: {', '.join(' '.join(each) for each in values)}")

    def tried(self, trial: Tried, best: bool) -> None:
        if self.bar is not None:
            self.bar.begun(trial.folder)  # which takes the bar away
        why = f" ({trial.why})" if trial.why else ", pruned" if trial.state == "pruned" else ""
        text = f"{_ended(trial, self.metric)}{why}{'  best' if best else ''}"
        self._say(text, bold=best)

    def waiting(self, trials: int) -> None:
        what = "the last trial" if trials == 1 else f"the last {trials} trials"
        self._say(f"waiting for {what}, which other workers train")

    def stage(self, text: str) -> None:
        pass

    def reading(self, done: float, text: str) -> None:
        if self.bar is not None:
            self.bar.reading(done, text)

    def begun(self, folder: Path) -> None:
        if self.bar is not None:
            self.bar.begun(folder)

    def epoch(self, number: int, of: int, batches: int, done: int) -> None:
        if self.bar is not None:
            self.bar.epoch(number, of, batches, done)

    def batch(self, loss: float) -> None:
        if self.bar is not None:
            self.bar.batch(loss)

    def epoch_done(self, record: Mapping[str, float | int | bool]) -> None:
        pass

    def note(self, text: str) -> None:
        self._once(f"note: {text}")

    def warning(self, text: str) -> None:
        self._once(f"warning: {text}")

    def _once(self, text: str) -> None:
        if text not in self.said:
            self.said.add(text)
            self._say(text)

    def _say(self, text: str, bold: bool = False) -> None:
        if self.silent:
            return
        if self.bar is None:
            print(text, flush=True)
        else:
            self.bar.say(text, bold)
