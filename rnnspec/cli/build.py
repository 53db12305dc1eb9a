"""`rnnspec build`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated

import typer

from rnnspec.cli.errors import INTERRUPTED, WRONG, loading
from rnnspec.cli.options import BUILDS, Builds, Json, Overrides, SpecFile, examples
from rnnspec.cli.repeat import repeated
from rnnspec.cli.terminal import loudness, number
from rnnspec.errors import RnnspecError
from rnnspec.files import finite, json_text

if TYPE_CHECKING:
    from rnnspec.spec.load import LoadedSpec
    from rnnspec.store.events import Heard
    from rnnspec.train.build import Result

EXAMPLES = examples(
    "rnnspec build dates-language.yaml",
    "rnnspec build dates-language.yaml --set train.epochs=3 --set train.optimizer.adam.lr=1e-3",
    "rnnspec build dates-language.yaml --resume",
    "rnnspec build dates-language.yaml --resume --set train.epochs=20",
    "rnnspec build dates-language.yaml --seeds 0 1 2",
    "rnnspec build dates-language.yaml --folds 5 --set data.valid=null",
)


def build(
    spec: SpecFile,
    overrides: Overrides = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the newest build of this spec that was stopped."),
    ] = False,
    no_train: Annotated[
        bool, typer.Option("--no-train", help="Leave the weights as they are before training.")
    ] = False,
    tensorboard: Annotated[
        bool,
        typer.Option("--tensorboard", help="Write curves for TensorBoard into the build, too."),
    ] = False,
    folds: Annotated[
        int | None,
        typer.Option(
            "--folds",
            metavar="K",
            min=2,
            max=100,
            help="Cross-validate: a build for each of K parts of the training rows, which is "
            "measured by it and left out of its training.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        list[int] | None,
        typer.Option(
            "--seeds",
            metavar="SEED...",
            min=0,
            help="A build for each of these seeds, as in --seeds 0 1 2.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
    builds: Builds = BUILDS,
) -> None:
    """Train the model of a spec; leaves a build folder.

    With --folds or --seeds it leaves several, and prints the mean and the spread of their metrics.

    Ctrl-C stops after the current batch; --resume goes on from there to the same numbers, or where
    training is finished and train.epochs is larger now, with more epochs.
    """
    if folds is not None or seeds:
        _check_several(folds, seeds or (), no_train, tensorboard)
        repeated(spec, overrides or (), builds, resume, folds, seeds or (), json)
        return
    from rnnspec.spec.load import load_spec

    if resume and no_train:
        raise RnnspecError("--resume goes on with training and --no-train has none; give one")
    loaded, again = load_spec(spec, overrides or ()), _again(spec, overrides or (), builds)
    result = _built(
        loaded,
        builds,
        again,
        resume=resume,
        train=not no_train,
        tensorboard=tensorboard,
        silent=json or loudness.quiet,
    )
    if json:
        print(_as_json(result))
    elif loudness.quiet:
        print(result.folder.path)
    elif result.finished:
        from rnnspec.spec.metrics import monitored

        print(_summary(result, builds, monitored(loaded.spec), trained=not no_train))
    else:
        print(_stopped(result, again))
    if not result.finished:
        raise typer.Exit(INTERRUPTED)


def _check_several(
    folds: int | None, seeds: Sequence[int], no_train: bool, tensorboard: bool
) -> None:
    """Raises RnnspecError for options that do not go with several builds."""
    if folds is not None and seeds:
        raise RnnspecError("--folds and --seeds are two ways to build several times; give one")
    if no_train or tensorboard:
        alone = "--no-train" if no_train else "--tensorboard"
        raise RnnspecError(f"{alone} is of one build, without --folds and --seeds")


def _built(
    loaded: LoadedSpec,
    builds: Path,
    again: str,
    *,
    resume: bool,
    train: bool,
    tensorboard: bool,
    silent: bool,
) -> Result:
    """The build; `again` is the command that goes on with it. Of several processes all but the
    first end here."""
    from rnnspec.cli.progress import progress_listener

    with loading():  # torch, once the spec is known to be right
        from rnnspec.store.events import Heard, Several
        from rnnspec.to_torch.devices import device_of
        from rnnspec.train import build as training
        from rnnspec.train.distributed import SaidElsewhere, joined
        from rnnspec.train.interrupt import ending
    gpu, heard = device_of(loaded.spec.train).type == "cuda", Heard()
    with (
        _explaining_resume(heard, again),
        ending(),
        joined(gpu) as processes,
        progress_listener(processes.first and not silent) as listener,
    ):
        listeners = [listener, heard] if processes.first else []
        if tensorboard and processes.first:
            from rnnspec.train.tensorboard import TensorBoard

            listeners.append(TensorBoard())
        told = Several(*listeners)
        try:
            result = training.build(
                loaded, builds, told, resume=resume, train=train, processes=processes
            )
        except SaidElsewhere:
            raise typer.Exit(WRONG) from None
    if not processes.first:
        raise typer.Exit(0 if result.finished else INTERRUPTED)
    return result


@contextmanager
def _explaining_resume(heard: Heard, again: str) -> Iterator[None]:
    """Says how to resume where the machine or Ctrl-C ended the training in `heard.folder`."""
    try:
        yield
    except (RnnspecError, KeyboardInterrupt) as wrong:
        from rnnspec.store.folder import BuildFolder

        if heard.folder is not None and BuildFolder(heard.folder).checkpoint.exists():
            how = f"{heard.folder} is kept as of its last checkpoint; go on with:\n  {again}"
            if isinstance(wrong, KeyboardInterrupt):
                print(how, file=sys.stderr)
            elif isinstance(wrong.__cause__, OSError):
                wrong.add_note(how)
        raise


def _as_json(result: Result) -> str:
    found = {
        "build": str(result.folder.path),
        "finished": result.finished,
        "best_epoch": result.best_epoch,
        "metrics": result.metrics,
        "report": None if result.report is None else str(result.report),
    }
    return json_text(finite(found))


def _again(spec: Path, overrides: Sequence[str], builds: Path) -> str:
    settings = [part for override in overrides for part in ("--set", override)]
    where = [] if builds == BUILDS else ["--builds", str(builds)]
    return join(["rnnspec", "build", str(spec), *settings, *where, "--resume"])


def _stopped(result: Result, again: str) -> str:
    state = result.folder.read_state()
    return (
        f"stopped in epoch {state['epoch']} after {state['batches']} batches;"
        f" {result.folder.path} holds all that is needed to go on with:\n  {again}"
    )


def _summary(result: Result, builds: Path, monitor: str, trained: bool) -> str:
    from rnnspec.spec.metrics import deciding_metric

    named = [] if builds == BUILDS else [str(result.folder.path)]
    lines = [f"built {result.folder.path}"]
    if result.metrics:
        metrics = ", ".join(f"{name} {number(value)}" for name, value in result.metrics.items())
        best = f"best epoch {result.best_epoch} by {deciding_metric(monitor, result.metrics)}"
        lines.append(f"{best}: {metrics} on the validation rows")
    elif trained:
        lines.append(f"weights of epoch {result.best_epoch}; the spec names no validation rows")
    else:
        lines.append("not trained: it holds the weights that training would start from")
    if result.report is not None:
        lines.append(f"report: {result.report}")
    lines.append(f"next: {join(['rnnspec', 'export', *named, '--onnx'])}")
    return "\n".join(lines)
