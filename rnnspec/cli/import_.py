"""`rnnspec import`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated

import typer

from rnnspec.cli.errors import loading
from rnnspec.cli.options import BUILDS, Builds, Json, Overrides, SpecFile, examples
from rnnspec.cli.terminal import loudness
from rnnspec.errors import RnnspecError

if TYPE_CHECKING:
    from rnnspec.imports.importing import Imported

EXAMPLES = examples(
    "rnnspec import words.yaml model.pt --expect answers.npz",
    "rnnspec import words.yaml model.keras --vocabulary text=words.txt --labels kind=kinds.txt",
    "rnnspec import words.yaml model.onnx --map import.yaml",
)


def import_(
    spec: SpecFile,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A state dict of torch, safetensors, a file of Keras (.keras, .h5) or ONNX.",
            show_default=False,
        ),
    ],
    overrides: Overrides = None,
    vocabulary: Annotated[
        list[str] | None,
        typer.Option(
            "--vocabulary",
            metavar="COLUMN=FILE",
            help="The tokens of a column in the order of the model: one a line, a JSON list, or a"
            " JSON object of numbers by token.",
        ),
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--labels",
            metavar="COLUMN=FILE",
            help="The labels of a column in the order of the model.",
        ),
    ] = None,
    width: Annotated[
        list[str] | None,
        typer.Option(
            "--width",
            metavar="COLUMN=N",
            help="The number of features of a column, where there are no training rows.",
        ),
    ] = None,
    map_: Annotated[
        Path | None,
        typer.Option(
            "--map",
            metavar="MAP",
            help="Which part of which tensor each weight is, as YAML: read if the file is there,"
            " else written where something is not found.",
            show_default=False,
        ),
    ] = None,
    expect: Annotated[
        Path | None,
        typer.Option(
            "--expect",
            metavar="NPZ",
            help="Inputs and answers of the model where it comes from; nothing is built unless"
            " they are met.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    builds: Builds = BUILDS,
) -> None:
    """Take weights that were trained elsewhere; leaves a build folder.

    Layers are found by their kind, their shapes and their order; the map of what was taken stands
    in the build. Arrays of --expect: the inputs by column, and any of COLUMN.logits,
    COLUMN.probabilities, COLUMN, and nodes of the plan, such as layers.0.
    """
    from rnnspec.spec.load import load_spec

    loaded = load_spec(spec, overrides or ())
    with loading():
        from rnnspec.imports.facts import Told
        from rnnspec.imports.importing import Wanted, import_weights
    told = Told(
        {column: Path(path) for column, path in _pairs("--vocabulary", vocabulary)},
        {column: Path(path) for column, path in _pairs("--labels", labels)},
        {column: _count(column, text) for column, text in _pairs("--width", width)},
    )
    found = import_weights(loaded, file, builds, Wanted(told, map_, expect))
    if as_json:
        print(json.dumps(_as_json(found)))
    else:
        print(found.folder.path if loudness.quiet else _summary(found, builds))


def _as_json(found: Imported) -> dict[str, object]:
    return {
        "build": str(found.folder.path),
        "map": str(found.folder.path / "import.yaml"),
        "notes": list(found.notes),
        "agreements": [asdict(each) for each in found.agreements],
    }


def _pairs(option: str, given: Sequence[str] | None) -> list[tuple[str, str]]:
    found = [each.partition("=") for each in given or ()]
    for column, sign, value in found:
        if not (column and sign and value):
            raise RnnspecError(f"{option} {column}{sign}{value}: write {option} COLUMN=VALUE")
        if [other for other, _, _ in found].count(column) > 1:
            raise RnnspecError(f"{option} {column}: is given twice; give it once")
    return [(column, value) for column, _, value in found]


def _count(column: str, text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 1 << 20:
        raise RnnspecError(f"--width {column}={text}: the width is a whole number above 0")
    return int(text)


def _summary(found: Imported, builds: Path) -> str:
    named = [] if builds == BUILDS else [str(found.folder.path)]
    lines = [f"note: {note}" for note in found.notes]
    lines.append(f"built {found.folder.path}; its map is {found.folder.path / 'import.yaml'}")
    for each in found.agreements:
        lines.append(f"{each.name}: differs by {each.difference:.1g} at most")
    if not found.agreements:
        lines.append("not compared with any answers; give some with --expect answers.npz")
    lines.append(f"next: {join(['rnnspec', 'export', *named, '--onnx'])}")
    return "\n".join(lines)
