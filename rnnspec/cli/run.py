"""`rnnspec run`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnspec.cli import answers, rows
from rnnspec.cli.errors import loading
from rnnspec.cli.options import examples
from rnnspec.cli.terminal import error, writing
from rnnspec.errors import DataError, RnnspecError

if TYPE_CHECKING:
    from rnnspec.cli.rows import Row
    from rnnspec.run import Model

EXAMPLES = examples(
    "rnnspec run dates-language.onnx",
    "rnnspec run dates-language.onnx --text 'Sonntag, 22. November 2026'",
    "rnnspec run dates-language.onnx --data dates/test.jsonl --output answers.jsonl",
    "cut -f2 texts.tsv | rnnspec run dates-language.onnx --json",
    "rnnspec run speaker.onnx --input 'frames=[[0.5, -1.2], [0.1, 0.3]]'",
)


def run(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL", help="A file that `rnnspec export` wrote.", show_default=False
        ),
    ],
    texts: Annotated[
        list[str] | None,
        typer.Option("--text", metavar="TEXT", help="A text to answer; may be given again."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Answer the rows of a JSONL, CSV, TSV or Parquet file."),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="COLUMN=VALUE",
            help="A row to answer, column by column; lists as JSON.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the answers to a file, as JSON, one a line."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the answers as JSON, one a line.")
    ] = False,
) -> None:
    """Answer texts or rows with an exported file.

    Without --text, --input and --data it reads standard input, a text or a JSON object a line;
    on a terminal it asks for them until Ctrl-D.
    """
    if sum(map(bool, (texts, data, inputs))) > 1:
        raise RnnspecError("--text, --input and --data are each a source of rows; give one")
    with loading():
        from rnnspec.run import Model
    asked = Model.load(model)
    if not (texts or data or inputs) and sys.stdin.isatty() and not (as_json or output):
        _converse(asked)
        return
    pairs = enumerate(_answered(asked, texts, data, inputs), start=1)
    if output:
        with writing(output) as file:
            for _, (_, answer) in pairs:
                file.write(answers.as_json(answer) + "\n")
        return
    for number, (row, answer) in pairs:
        if as_json:
            print(answers.as_json(answer), flush=True)
        else:
            text = answers.as_text(asked.outputs, answer)
            print(f"{answers.question(row, number)}  →  {text}", flush=True)


def _answered(
    model: Model, texts: list[str] | None, data: Path | None, inputs: list[str] | None
) -> Iterator[tuple[Row, answers.Answer]]:
    """Rows from the source that was named, or else from standard input, with their answers."""
    if texts:
        return answers.answered(model, rows.from_texts(model, texts), place="--text")
    if inputs:
        row = rows.from_inputs(model, inputs)
        return answers.answered(model, [row], textual=True, place="--input")
    if data:
        textual = rows.is_textual(data)
        return answers.answered(model, rows.from_file(model, data), str(data), textual=textual)
    return answers.answered(model, rows.from_stdin(model), rows.STDIN, at_once=True)


def _converse(model: Model) -> None:
    """Ask for a text or a row, answer it, and again, until Ctrl-D."""
    with suppress(ImportError):
        import readline  # noqa: F401  (its loading lets input() edit and recall lines)

    print(f"{model.path} reads {rows.described(model.inputs)}; Ctrl-D ends")
    while True:
        try:
            line = input("> ")
        except EOFError:
            print()
            return
        try:
            for _, answer in answers.answered(model, [rows.typed(model, line)], "this"):
                print(answers.as_text(model.outputs, answer))
        except DataError as wrong:
            error(str(wrong))
