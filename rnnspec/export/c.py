"""Export as C99: written only once it has been compiled and has answered as the module does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnspec import __version__
from rnnspec.errors import DataError, OutputError
from rnnspec.evaluate.score import evaluate_build
from rnnspec.export.compiled import compiled
from rnnspec.export.parity import Parity, prove
from rnnspec.export.probes import probes
from rnnspec.files import FileKind, check_output, json_text, make_folder, marked, write_text
from rnnspec.plan import Facts, Plan, TextFacts
from rnnspec.plan.names import names_of
from rnnspec.store.folder import Trained
from rnnspec.to_c import Program, quantized, to_c
from rnnspec.to_c.example import example
from rnnspec.to_torch import Model
from rnnspec.to_torch.threads import allowed_threads, computing_with

C_FILE = FileKind("a program in C", (".c", ".h"), marked(b"rnnspec"))
DESCRIPTION = FileKind("a description", (".json",), marked(b'"rnnspec"'))


@dataclass(frozen=True, slots=True)
class Rounded:
    """The metrics on `rows` validation rows with the weights of the build, and with rounded ones;
    `why_not` says why there are none."""

    rows: int
    metrics: Mapping[str, tuple[float, float]]
    why_not: str = ""

    def line(self) -> str:
        """For people."""
        if self.why_not:
            return f"int8: what that costs is not measured: {self.why_not}"
        told = [f"{name} {one:.4g} to {other:.4g}" for name, (one, other) in self.metrics.items()]
        return f"int8: on {self.rows:,} validation rows {', '.join(told)}"


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the files, how the proof went, and bytes of code (None: not known) and of
    the state of a stream; of rounded weights what they cost."""

    files: tuple[Path, ...]
    parity: Parity
    program: Program
    code: int | None
    state: int
    rounded: Rounded | None = None

    def summary(self) -> str:
        """Sizes and work, in one line."""
        counts = self.program.counts
        code = "" if self.code is None else f"code {_bytes(self.code)}, "
        return (
            f"{code}weights {_bytes(counts.weights)}, state {_bytes(self.state)}; a step is"
            f" {counts.multiply_adds:,} multiply-adds and {counts.functions:,} functions"
        )


def _bytes(count: int) -> str:
    return f"{count:,} bytes" if count < 10_000 else f"{count / 1000:,.0f} kB"


def export_c(trained: Trained, folder: Path, *, int8: bool = False) -> Written:
    """Write `trained` to `folder` as NAME.h, NAME.c, an example main.c and NAME.json.

    `int8`: matrices and embeddings are rounded to 8 bits, and so are the module's that the program
    is compared with; what that costs is measured on the validation rows.

    Raises ExportError for what a program cannot compute step by step, without a C compiler, and
    where its answers differ from the module's; OutputError where a file stands in the way. Nothing
    is written then.
    """
    plan, facts = trained.plan, trained.facts
    weights = quantized(plan, trained.weights) if int8 else trained.weights
    program = to_c(plan, facts, weights, int8=int8)
    files = {
        folder / f"{program.name}.h": program.header,
        folder / f"{program.name}.c": program.source,
        folder / "main.c": example(program),
    }
    beside = folder / f"{program.name}.json"
    check_folder(folder, [*files, beside])
    model = Model(plan).eval()
    model.load_canonical(weights)
    with compiled(program, plan, facts, example(program)) as session:
        with computing_with(allowed_threads()):
            parity = prove(session, model, facts, probes(plan, facts, ids=True, least=1), True)
        code, state = session.code, session.state
    rounded = _rounded(trained, weights) if int8 else None
    for path, text in files.items():
        make_folder(path)
        write_text(path, text)
    write_text(beside, _description(program, plan, facts, parity, state, rounded))
    return Written((*files, beside), parity, program, code, state, rounded)


def _rounded(trained: Trained, weights: Mapping[str, NDArray[np.float32]]) -> Rounded:
    """What rounded weights cost: the program answers as the module does with them."""
    try:
        before = evaluate_build(trained)
        after = evaluate_build(replace(trained, weights=dict(weights)))
    except DataError as error:
        return Rounded(0, {}, str(error).partition(";")[0])
    known = {name: (value, after.metrics[name]) for name, value in before.metrics.items()}
    return Rounded(before.rows, known)


def check_folder(folder: Path, files: list[Path]) -> None:
    """Raises OutputError where a file must not be written."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; name a folder for the files of the program")
    if folder.is_dir():
        for path in files:
            check_output(path, DESCRIPTION if path.suffix == ".json" else C_FILE)


def _description(
    program: Program, plan: Plan, facts: Facts, parity: Parity, state: int, rounded: Rounded | None
) -> str:
    vocabularies = {
        each.name: list(names_of(known))
        for each in (*program.rows, *program.inputs)
        if isinstance(known := facts.inputs[each.column], TextFacts) and each.kind == "int32_t"
    }
    found = {
        "written_by": "rnnspec",
        "version": __version__,
        "model": plan.name,
        **program.description(),
        "vocabularies": vocabularies,
        "bytes_of_state": state,
        "largest_difference": parity.difference,
        **({} if rounded is None else {"rows": rounded.rows, "metrics": rounded.metrics}),
    }
    return json_text(found, indent=1) + "\n"
