"""`rnnspec run`."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rnnspec.cli import answers, rows
from rnnspec.cli import stream as chunks
from rnnspec.cli.answers import OnError, Policy
from rnnspec.cli.bulk import Bulk, counting, few_collections
from rnnspec.cli.errors import loading
from rnnspec.cli.options import FormatOption, QueryOption, QuotingOption, examples
from rnnspec.cli.rows import Asked
from rnnspec.cli.source import Pairs, Source
from rnnspec.cli.terminal import error, loudness, near
from rnnspec.errors import DataError, RnnspecError
from rnnspec.files import check_output

Raw = Literal["s16le", "f32le"]

if TYPE_CHECKING:
    from rnnspec.run import Model
    from rnnspec.run.tables import Columns

EXAMPLES = examples(
    "rnnspec run dates-language.onnx",
    "rnnspec run dates-language.onnx --text 'Sonntag, 22. November 2026'",
    "rnnspec run dates-language.onnx --data dates/test.jsonl --output answers.jsonl",
    "rnnspec run trec.onnx --data 'shards/*.parquet' --keep id --top 3 --output answers.parquet",
    "cut -f2 texts.tsv | rnnspec run dates-language.onnx --json",
    "rnnspec run speaker.onnx --input 'frames=[[0.5, -1.2], [0.1, 0.3]]'",
    "rnnspec run shakespeare.onnx --text 'ROMEO:' --seed 7",
    "arecord -f S16_LE -r 8000 -t raw | rnnspec run voice.onnx --stream --raw s16le",
)

CUT_OFF = 128 + signal.SIGPIPE if hasattr(signal, "SIGPIPE") else 1
"""Exit code where the reader of the output has gone."""


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
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Answer the rows of a JSONL, CSV, TSV, Parquet or CoNLL file, of a folder of "
            "files, or of a pattern in quotes; of a table of series, what follows each of them. "
            "May be given again.",
        ),
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="COLUMN=VALUE",
            help="A row to answer, column by column; lists as JSON.",
        ),
    ] = None,
    quoting: QuotingOption = None,
    format: FormatOption = None,
    query: QueryOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the answers to a file, which appears when all are there: JSON, one a line "
            "(.jsonl), CSV or Parquet, by its ending.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the answers as JSON, one a line.")
    ] = False,
    on_error: Annotated[
        OnError,
        typer.Option(
            help="What to do at a row that cannot be answered: 'stop', with the answers to the "
            "rows before it kept; 'skip' it; or write 'null' as its answer. A file that cannot be "
            "read any further always ends the run."
        ),
    ] = "stop",
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="For a model that draws its answers: the seed of the first row; the next rows "
            "have N + 1 and so on.",
            show_default=False,
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="With --json or --output, a column of the rows, such as an id, that stands before "
            "the answer; 'all' of them; may be given again. A column that the model answers too is "
            "called COLUMN.given.",
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            min=1,
            help="With --json or --output, the K most probable labels of each answer, or of each "
            "step, with their probabilities.",
            show_default=False,
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help=f"Rows of --data that are answered together, {answers.BATCH} if left out. Those "
            "of standard input are answered one by one if it is left out.",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Threads that answer; as many as there are processors if left out.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        Literal["cpu", "gpu"],
        typer.Option(
            help="Where it is answered: 'gpu' is onnxruntime's CUDA provider, of the package "
            "onnxruntime-gpu."
        ),
    ] = "cpu",
    stream: Annotated[
        bool,
        typer.Option(
            "--stream",
            help="Of a file that export wrote with --stream: each line of standard input is a "
            "chunk of a row, or what has arrived of a wav file, and is answered at once. A row "
            'ends at an empty line, at {"end": true} and with the input.',
        ),
    ] = False,
    raw: Annotated[
        Raw | None,
        typer.Option(
            help="With --stream, standard input is samples of one channel at the rate of the "
            "model: of 16 bits or floats, little-endian.",
            show_default=False,
        ),
    ] = None,
    write: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="With --stream, of a language model exported with --generate: how many tokens it "
            "writes after each chunk; 1 if left out.",
            show_default=False,
            min=0,
        ),
    ] = None,
) -> None:
    """Answer texts or rows with an exported file.

    Without --text, --input and --data it reads standard input, a text or a JSON object a line;
    on a terminal it asks for them until Ctrl-D.
    """
    source = Source(texts or (), data or (), inputs or (), quoting, format, query)
    bulk = Bulk(batch, threads, tuple(keep or ()), top or 0)
    _check_of_stream(stream, raw, write)
    if stream:
        _check_stream(source, output, on_error)
    source.check()
    bulk.check(several=source.is_long, stream=stream, shown=not (as_json or output))
    asked = _loaded(model, device, source, bulk, seed, write)
    if stream:
        with quietly_cut_off():
            chunks.run(asked, raw, as_json, seed or 0, write)
    elif not source.given and sys.stdin.isatty() and not (as_json or output):
        _converse(asked, seed or 0)
    else:
        policy = Policy(on_error, source.several, f", in {output}" if output else "")
        _answer(asked, source, seed or 0, bulk, policy, output, as_json)


def _check_of_stream(stream: bool, raw: Raw | None, write: int | None) -> None:
    """Raises RnnspecError for an option that has an effect on a stream alone."""
    if raw is not None and not stream:
        raise RnnspecError("--raw says what samples --stream reads; give both, or neither")
    if write is not None and not stream:
        raise RnnspecError("--write says how much --stream writes on; give both, or neither")


def _check_stream(source: Source, output: Path | None, on_error: OnError) -> None:
    """Raises RnnspecError for an option that has no effect on a stream."""
    if source.given:
        raise RnnspecError(
            "--stream reads chunks from standard input; leave out --text, --data and --input"
        )
    if output is not None:
        raise RnnspecError(
            "--output appears at the end, and --stream answers at once; write --json > FILE"
        )
    if on_error != "stop":
        raise RnnspecError(
            "without one of its chunks a row is another one, so that --stream ends at the first"
            " bad chunk; leave out --on-error"
        )


def _loaded(
    path: Path,
    device: Literal["cpu", "gpu"],
    source: Source,
    bulk: Bulk,
    seed: int | None,
    write: int | None,
) -> Model:
    """The model of a file. Raises RnnspecError for an option that it has no use for."""
    with loading():
        from rnnspec.run import Model
        from rnnspec.run.seeds import checked_seed
    model = Model.load(path, 1 if source.data or bulk.batch else bulk.threads, device)
    bulk.check_top(model)
    if seed is not None and not model.draws:
        written = ("text", "tokens", "ids", "positions")
        writes = any(output.kind in written for output in model.outputs)
        sample = ", or export the build with --strategy sample" if writes else ""
        raise RnnspecError(
            f"--seed is for models that draw their answers, and {path} does not; leave it"
            f" out{sample}"
        )
    if write is not None and not (model.chunks and model.chunks.write):
        raise RnnspecError(
            f"--write is for language models that write on, and {path} does not; leave it out, or"
            " export the build with --generate --stream"
        )
    if seed is not None:
        checked_seed(seed, "--seed")
    return replace(model, top=bulk.top)


def _answer(
    model: Model,
    source: Source,
    seed: int,
    bulk: Bulk,
    policy: Policy,
    output: Path | None,
    as_json: bool,
) -> None:
    """Answers all rows of a source, into a file or on the screen."""
    with loading():
        from rnnspec.run.tables import answers_kind, check_format, columns_of
    if output:
        answered = [column.column for column in model.outputs]
        kind = answers_kind(model.fields, answered, [column.column for column in model.inputs])
        check_output(output, kind, source.files)
        check_format(output)
    with counting(bool(source.data) and (bool(output) or not sys.stdout.isatty())) as count:
        kept, pairs = source.answered(model, seed, bulk, count)
        columns, counted = columns_of(kept, model.fields), count.of(pairs)
        if output:
            _write(output, columns, policy, counted)
            if not as_json:
                print(near(output) if loudness.quiet else f"wrote {near(output)}")
            return
        with quietly_cut_off():
            for number, row, answer in policy.answers(counted):
                _show(model, columns, row, number, answer, as_json)


def _write(output: Path, columns: Columns, policy: Policy, pairs: Pairs) -> None:
    """Writes the answers to a file, which appears at the end; a row that stops the run keeps the
    answers before it. Without any answer an existing file is unchanged."""
    from rnnspec.run.tables import answers_file

    stopped: DataError | None = None
    with answers_file(output, columns) as add, few_collections():
        try:
            for _, row, answer in policy.answers(pairs):
                add(row.given, answer)
        except DataError as error:
            if not policy.answered:
                raise
            stopped = error
    if stopped is not None:
        raise stopped


def _show(
    model: Model,
    columns: Columns,
    asked: Asked,
    number: int,
    answer: answers.Answer | None,
    as_json: bool,
) -> None:
    if as_json:
        from rnnspec.run.tables import line_of

        print(line_of(columns, asked.given, answer), flush=True)
        return
    text = "(no answer)" if answer is None else answers.as_text(model.outputs, answer)
    row = {} if isinstance(asked.row, DataError) else asked.row
    print(f"{answers.question(row, number)}  →  {text}", flush=True)


@contextmanager
def quietly_cut_off() -> Iterator[None]:
    """Where the reader of the output stops, as `head` does, the command ends at once and silently,
    with the exit code of a process that writes into a broken pipe."""
    try:
        yield
    except BrokenPipeError:
        # The rest of the buffer would be written at the exit, and fail again.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(CUT_OFF) from None


def _converse(model: Model, seed: int) -> None:
    """Asks for texts or rows and answers them, until Ctrl-D."""
    with suppress(ImportError):
        import readline  # noqa: F401  (its loading lets input() edit and recall lines)

    print(f"{model.path} reads {rows.described(model.inputs)}; Ctrl-D ends")
    for number in count(seed):
        try:
            line = input("> ")
        except EOFError:
            print()
            return
        for _, answer in answers.answered(model, [rows.typed(model, line)], seed=number):
            if isinstance(answer, DataError):
                error(str(answer))
            else:
                print(answers.as_text(model.outputs, answer))
