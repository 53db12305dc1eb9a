"""The commands in the order of their use, and the handling of errors."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from rnnspec import __version__
from rnnspec.cli import (
    bench,
    build,
    check,
    compare,
    data,
    evaluate,
    explain,
    export,
    import_,
    new,
    run,
    schema,
    show,
    tune,
)
from rnnspec.cli import list as list_
from rnnspec.cli.errors import reported
from rnnspec.cli.options import examples
from rnnspec.cli.repeat import SeveralSeeds
from rnnspec.cli.terminal import loudness

QUIET, VERBOSE = "--quiet", "--verbose"
WORDS = {
    "add": "new",
    "augment": "explain augment",
    "beam": "export --onnx --strategy",
    "benchmark": "bench",
    "browse": "list",
    "builds": "list",
    "c": "export --c DIR",
    "cells": "show --cell",
    "config": "schema",
    "convert": "export --onnx",
    "create": "new",
    "cuda": "build SPEC --set train.device=gpu",
    "diagram": "show SPEC --diagram",
    "diff": "compare",
    "doc": "explain",
    "docs": "explain",
    "eval": "evaluate",
    "explore": "data",
    "finetune": "build, with train.start_from in the spec",
    "fine-tune": "build, with train.start_from in the spec",
    "fit": "build",
    "generate": "export --onnx --generate",
    "gpu": "build SPEC --set train.device=gpu",
    "graph": "show SPEC --diagram",
    "help": "--help",
    "hpo": "tune",
    "infer": "run",
    "inference": "run",
    "init": "new",
    "inspect": "show",
    "keys": "explain",
    "lint": "check",
    "load": "import",
    "ls": "list",
    "measure": "evaluate",
    "metrics": "evaluate",
    "model": "show",
    "onnx": "export --onnx",
    "optimize": "tune",
    "optuna": "tune",
    "plan": "show",
    "plot": "show SPEC --svg FILE",
    "predict": "run",
    "profile": "bench",
    "quantize": "export --onnx --quantize int8",
    "report": "evaluate --report FILE",
    "resume": "build SPEC --resume",
    "score": "evaluate",
    "search": "tune",
    "serve": "export --triton DIR",
    "speed": "bench",
    "start": "new",
    "stats": "data",
    "stream": "export --onnx --stream",
    "summary": "show",
    "sweep": "tune",
    "test": "evaluate",
    "train": "build",
    "validate": "check",
    "version": "--version",
    "view": "show",
}
"""What people type, and the command that does it."""


class Commands(TyperGroup):
    """All commands; an error of the user becomes a message and exit code 2."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """--quiet and --verbose may stand behind the command too, before a `--`."""
        end = args.index("--") if "--" in args else len(args)
        loud = [each for each in args[:end] if each in (QUIET, VERBOSE)]
        others = [each for each in args[:end] if each not in (QUIET, VERBOSE)]
        found: list[str] = super().parse_args(ctx, [*loud, *others, *args[end:]])
        return found

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except typer.TyperException as wrong:
            if meant := WORDS.get(args[0].lower()):
                wrong.message = f"No such command '{args[0]}'; that is: rnnspec {meant}"
            raise

    def invoke(self, ctx: Any) -> Any:
        with reported():
            try:
                return super().invoke(ctx)
            except typer.TyperException as wrong:
                _hint_at_set(wrong)
                raise


def _hint_at_set(wrong: typer.TyperException) -> None:
    """`build x.yaml --epochs 3` probably means a key of the spec, for which there is no option."""
    unknown = hasattr(wrong, "option_name") and not getattr(wrong, "possibilities", None)
    command = getattr(getattr(wrong, "ctx", None), "command", None)
    if unknown and command and any(each.name == "overrides" for each in command.params):
        wrong.message += ". Keys of the spec are set with --set, like --set train.epochs=3"


# No rich markup: loading rich would take as long as everything else that --help does.
app = typer.Typer(
    name="rnnspec",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "rnnspec new dates-language", "rnnspec build dates-language.yaml", "rnnspec export --onnx"
    ),
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"rnnspec {__version__}")
        raise typer.Exit


@app.callback()
def rnnspec(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Print the version and leave."
        ),
    ] = False,
    quiet: Annotated[
        bool, typer.Option(QUIET, help="Say nothing but answers, files written and errors.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option(VERBOSE, help="Show where in the program an error was raised.")
    ] = False,
) -> None:
    """Compile a YAML spec of a recurrent network to PyTorch, train it, and export it to ONNX."""
    loudness.quiet, loudness.verbose = quiet, verbose


app.command(epilog=new.EXAMPLES)(new.new)
app.command(epilog=check.EXAMPLES)(check.check)
app.command(epilog=show.EXAMPLES)(show.show)
app.command(epilog=explain.EXAMPLES)(explain.explain)
app.command(epilog=data.EXAMPLES)(data.data)
app.command(epilog=build.EXAMPLES, cls=SeveralSeeds)(build.build)
app.command("import", epilog=import_.EXAMPLES)(import_.import_)
app.command(epilog=tune.EXAMPLES)(tune.tune)
app.command("list", epilog=list_.EXAMPLES)(list_.list_builds)
app.command(epilog=compare.EXAMPLES)(compare.compare)
app.command(epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command(epilog=export.EXAMPLES)(export.export)
app.command(epilog=run.EXAMPLES)(run.run)
app.command(epilog=bench.EXAMPLES)(bench.bench)
app.command(epilog=schema.EXAMPLES)(schema.schema)
