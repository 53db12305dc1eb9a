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


class Commands(TyperGroup):
    """All commands; an error of the user becomes a message and exit code 2."""

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
    add_completion=False,
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
) -> None:
    """Compile a YAML spec of a recurrent network to PyTorch, train it, and export it to ONNX."""


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
