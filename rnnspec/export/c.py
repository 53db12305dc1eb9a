"""Export as C99: written only once it has been compiled and has answered as the module does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rnnspec import __version__
from rnnspec.builds.folder import Trained
from rnnspec.errors import OutputError
from rnnspec.export.compiled import compiled
from rnnspec.export.parity import Parity, prove
from rnnspec.export.probes import probes
from rnnspec.files import FileKind, check_output, json_text, make_folder, marked, write_text
from rnnspec.plan import Facts, Plan, TextFacts
from rnnspec.plan.names import names_of
from rnnspec.to_c import Program, to_c
from rnnspec.to_c.example import example
from rnnspec.to_torch import Model
from rnnspec.to_torch.threads import allowed_threads, computing_with

C_FILE = FileKind("a program in C", (".c", ".h"), marked(b"rnnspec"))
DESCRIPTION = FileKind("a description", (".json",), marked(b'"rnnspec"'))


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: the files, how the proof went, and bytes of code (None: not known) and of
    the state of a stream."""

    files: tuple[Path, ...]
    parity: Parity
    program: Program
    code: int | None
    state: int

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


def export_c(trained: Trained, folder: Path) -> Written:
    """Write `trained` to `folder` as NAME.h, NAME.c, an example main.c and NAME.json.

    Raises ExportError for what a program cannot compute step by step, without a C compiler, and
    where its answers differ from the module's; OutputError where a file stands in the way. Nothing
    is written then.
    """
    plan, facts = trained.plan, trained.facts
    program = to_c(plan, facts, trained.weights)
    files = {
        folder / f"{program.name}.h": program.header,
        folder / f"{program.name}.c": program.source,
        folder / "main.c": example(program),
    }
    beside = folder / f"{program.name}.json"
    check_folder(folder, [*files, beside])
    model = Model(plan).eval()
    model.load_canonical(trained.weights)
    with compiled(program, plan, facts, example(program)) as session:
        with computing_with(allowed_threads()):
            parity = prove(session, model, facts, probes(plan, facts, ids=True, least=1), True)
        code, state = session.code, session.state
    for path, text in files.items():
        make_folder(path)
        write_text(path, text)
    write_text(beside, _description(program, plan, facts, parity, state))
    return Written((*files, beside), parity, program, code, state)


def check_folder(folder: Path, files: list[Path]) -> None:
    """Raises OutputError where a file must not be written."""
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; name a folder for the files of the program")
    if folder.is_dir():
        for path in files:
            check_output(path, DESCRIPTION if path.suffix == ".json" else C_FILE)


def _description(program: Program, plan: Plan, facts: Facts, parity: Parity, state: int) -> str:
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
    }
    return json_text(found, indent=1) + "\n"
