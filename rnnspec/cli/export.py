"""`rnnspec export`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rnnspec.cli.errors import loading
from rnnspec.cli.options import BUILDS, Build, Builds, Json, Weights, examples
from rnnspec.cli.terminal import loudness, say
from rnnspec.errors import RnnspecError
from rnnspec.files import finite

if TYPE_CHECKING:
    from rnnspec.export import OnnxOptions
    from rnnspec.store.folder import Trained

State = Literal["named", "joined"]
Quantize = Literal["int8"]
OF_C = ("build", "c", "weights", "quantize", "as_json", "builds")
"""Parameters that --c has a use for."""
EXAMPLES = examples(
    "rnnspec export --onnx",
    "rnnspec export builds/dates-language --onnx --output dates-language.onnx",
    "rnnspec export --onnx --ids",
    "rnnspec export --onnx --portable --batch 1",
    "rnnspec export builds/dates-iso --onnx --strategy beam:5 --attention",
    "rnnspec export builds/chorales --onnx --stream",
    "rnnspec export builds/fsdd --c firmware",
    "rnnspec export builds/chorales --triton models --stream",
    "rnnspec export --onnx --quantize int8 --max-loss '0.5 %'",
    "rnnspec export builds/shakespeare --onnx --generate --steps 500 --strategy sample",
)


def export(
    context: typer.Context,
    build: Build = None,
    onnx: Annotated[bool, typer.Option("--onnx", help="As an ONNX file, for onnxruntime.")] = False,
    c: Annotated[
        Path | None,
        typer.Option(
            "--c",
            metavar="DIR",
            help="As C99 that answers step by step, without dependencies: NAME.h and NAME.c, an "
            "example main.c, and NAME.json, which describes it, in this folder.",
            show_default=False,
        ),
    ] = None,
    triton: Annotated[
        Path | None,
        typer.Option(
            "--triton",
            metavar="DIR",
            help="As an ONNX file in this model repository of a Triton server: NAME/1/model.onnx, "
            "with its config.pbtxt, and a README and a request that show how to ask it.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The file to write; without it, NAME.onnx in the build folder, NAME-last.onnx "
            "of the last weights, NAME-stream.onnx of a stream, NAME-portable.onnx for every "
            "runtime, NAME-int8.onnx and NAME-half.onnx in fewer bits.",
        ),
    ] = None,
    weights: Weights = "best",
    opset: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Version of the ONNX operators to write it with, up to 21; without it, the lowest "
            "that the operators of the file need.",
            show_default=False,
        ),
    ] = None,
    ids: Annotated[
        bool,
        typer.Option(
            "--ids",
            help="Read and answer numbers of tokens and labels, not text, for runtimes without "
            "text operators. FILE.json, written beside it, says which.",
        ),
    ] = False,
    portable: Annotated[
        bool,
        typer.Option(
            "--portable",
            help="For every runtime, as OpenVINO, TensorRT and tract: with --ids, operators of the "
            "standard alone, and masks in the place of lengths that recurrent operators are told.",
        ),
    ] = False,
    batch: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="So many rows in each call, for runtimes that want to know it; without it, any.",
            min=1,
            show_default=False,
        ),
    ] = None,
    describe: Annotated[
        bool,
        typer.Option(
            "--describe",
            help="Write FILE.json beside the file too, which says what a program must know that "
            "calls it: inputs, outputs, vocabularies, labels.",
        ),
    ] = False,
    attention: Annotated[
        bool, typer.Option("--attention", help="Answer the weights of attention too.")
    ] = False,
    alignment: Annotated[
        bool,
        typer.Option(
            "--alignment",
            help="Answer the first and the last step of each token too, of texts by CTC or a "
            "transducer.",
        ),
    ] = False,
    strategy: Annotated[
        str,
        typer.Option(
            metavar="STRATEGY",
            help="The search for texts, instead of the strategy of the spec: greedy, beam:5, "
            "beam:width=8,length_norm=gnmt, sample:temperature=0.8,top_k=20.",
            show_default=False,
        ),
    ] = "",
    generate: Annotated[
        bool, typer.Option("--generate", help="Make a language model write on from a prompt.")
    ] = False,
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="With --generate, how many tokens it writes at most; 200 if left out.",
            min=1,
        ),
    ] = None,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream",
            help="Read rows chunk by chunk: the states after a chunk are outputs, and inputs of "
            "the next one. FILE.json, written beside it, names them.",
        ),
    ] = False,
    state: Annotated[
        State,
        typer.Option(
            help="With --stream, each state by its name, or all joined as one tensor, 'state' in "
            "and 'stateN' out."
        ),
    ] = "named",
    step: Annotated[
        bool,
        typer.Option(
            "--step",
            help="With --stream, chunks of just one step of each row, without lengths: the "
            "fastest, for loops that act at every step.",
        ),
    ] = False,
    quantize: Annotated[
        Quantize | None,
        typer.Option(
            help="Keep matrices and embeddings in 8 bits, a quarter of the size; with --onnx large "
            "ones are multiplied in 8 bits too, which is faster. What that costs on the validation "
            "rows is told.",
            show_default=False,
        ),
    ] = None,
    half: Annotated[
        bool,
        typer.Option("--half", help="Keep weights in 16 bits: half the size, at the same speed."),
    ] = False,
    max_loss: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="With --quantize or --half, how much a metric may lose on the validation rows, "
            "as '0.5 %': points of a metric that is a share, else percent of it.",
            show_default=False,
        ),
    ] = "",
    as_json: Json = False,
    builds: Builds = BUILDS,
) -> None:
    """Export a build as a file for onnxruntime, or as C.

    A file needs onnxruntime alone and holds everything, from the vocabulary to the labels; C needs
    nothing. Either is written only once it has been proven to answer as the trained model does.
    """
    _check_one_format(onnx, c, triton, output)
    if c is not None:
        _check_of_onnx(context)
        _export_c(read(build, builds, weights), c, quantize == "int8", as_json)
        return
    with loading():
        from rnnspec.export import OnnxOptions
    options = OnnxOptions(
        output=output,
        opset=opset,
        ids=ids,
        portable=portable,
        batch=batch,
        describe=describe,
        attention=attention,
        alignment=alignment,
        strategy=strategy,
        generate=generate,
        steps=steps,
        stream=stream,
        state=state,
        step=step,
        quantize=quantize,
        half=half,
        max_loss=max_loss,
    )
    options.check()
    trained = read(build, builds, weights)
    if triton is not None:
        _export_triton(trained, triton, options, as_json)
    else:
        _export_onnx(trained, options, as_json)


def read(build: Path | None, builds: Path, weights: Literal["best", "last"]) -> Trained:
    """The build that is exported."""
    with loading():
        from rnnspec.store.folder import find_build, read_build
    return read_build(find_build(build, builds), weights)


def _check_one_format(onnx: bool, c: Path | None, triton: Path | None, output: Path | None) -> None:
    if sum([onnx, c is not None, triton is not None]) != 1:
        raise RnnspecError("name one format: --onnx, --c DIR or --triton DIR")
    if triton is not None and output is not None:
        raise RnnspecError("--triton names the files in its folder itself; leave out --output")


def _export_triton(trained: Trained, folder: Path, options: OnnxOptions, as_json: bool) -> None:
    from rnnspec.export.triton import export_triton

    repository = export_triton(trained, folder, options)
    print(json.dumps({"folder": str(folder)}) if as_json else repository)


def _export_onnx(trained: Trained, options: OnnxOptions, as_json: bool) -> None:
    from rnnspec.export import export_file

    exported = export_file(trained, options)
    if as_json:
        print(json.dumps(finite(exported.as_json())))
        return
    print(exported.path if loudness.quiet else exported)
    say(f"next: {join(['rnnspec', 'run', str(exported.path), *(['--stream'] * options.stream)])}")


def _check_of_onnx(context: typer.Context) -> None:
    """Raises RnnspecError for an option that --c has no use for."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in OF_C and source is not None and source.name == "COMMANDLINE":
            option = f"--{name.replace('_', '-')}"
            raise RnnspecError(f"{option} is for --onnx; leave it out, --c has no use for it")


def _export_c(trained: Trained, folder: Path, int8: bool, as_json: bool) -> None:
    with loading():
        from rnnspec.export.c import export_c
    written = export_c(trained, folder, int8=int8)
    if as_json:
        files = [str(path) for path in written.files]
        found = {"files": files, "proof": asdict(written.parity), "code": written.code}
        print(json.dumps(finite({**found, "state": written.state})))
        return
    for path in written.files:
        print(path if loudness.quiet else f"wrote {path}")
    if loudness.quiet:
        return
    print(written.summary())
    module = ", with weights of 8 bits in both" if int8 else ""
    print(f"proven: {written.parity.summary()}{module}")
    if written.rounded is not None:
        print(written.rounded.line())
    name = written.program.name
    program = folder / name
    command = ["cc", "-std=c99", "-O3", "-march=native", "-ffp-contract=fast"]
    files = [str(folder / "main.c"), str(folder / f"{name}.c")]
    print(f"next: {join([*command, *files, '-lm', '-o', str(program)])}")
