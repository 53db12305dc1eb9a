"""A program in C, compiled here, that answers as a session of an exported file does."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.pictures import in_steps
from rnnspec.errors import ExportError
from rnnspec.plan import Facts, Plan, nodes
from rnnspec.plan.kinds import INPUT_TRAITS
from rnnspec.plan.names import input_names, labels_of, lengths_name, output_names
from rnnspec.run.feeds import Feeds
from rnnspec.run.session import Arrays
from rnnspec.to_c import Program
from rnnspec.to_c.lowering import Argument

COMPILERS = ("cc", "gcc", "clang")
FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-O2")
DTYPES: Mapping[str, type[np.generic]] = {
    "float": np.float32,
    "double": np.float64,
    "int32_t": np.int32,
    "uint8_t": np.uint8,
}
GARBAGE = 0xA5
"""What stands in the memory of a state before a stream begins."""


def compiler() -> list[str]:
    """The command of a C compiler: the variable CC, or the first that is installed. Raises
    ExportError where there is none."""
    if chosen := shlex.split(os.environ.get("CC", "")):
        return chosen
    for name in COMPILERS:
        if found := shutil.which(name):
            return [found]
    raise ExportError(
        "a program in C is written only once it has been compiled and has answered as the trained"
        " model does, and no C compiler is installed; install one (Debian, Ubuntu: apt install"
        " gcc; macOS: xcode-select --install), or name one in the variable CC"
    )


@dataclass(frozen=True, slots=True)
class Compiled:
    """A program in memory: `library` is loaded from a folder that may be gone. `state` and `code`
    are bytes of a stream's state and of instructions (None: not known)."""

    program: Program
    plan: Plan
    facts: Facts
    library: Any
    state: int
    code: int | None

    def run(self, feeds: Feeds) -> Arrays:
        """The answers to rows of one step at least, by the names of an exported file with `ids`."""
        lengths = feeds[lengths_name(self.plan, True)]
        given = {node.key: _values(node, feeds) for node in self.plan.inputs}
        rows = [
            self._row({key: value[row] for key, value in given.items()}, int(length))
            for row, length in enumerate(lengths)
        ]
        return self._named(rows)

    def _row(self, given: Mapping[str, NDArray[Any]], steps: int) -> dict[str, NDArray[Any]]:
        """The answers of all steps of a row, `[T, width]`, by the names of the results."""
        memory = np.full(max(self.state, 1), GARBAGE, np.uint8)
        rows = [_flat(each, given[each.key]) for each in self.program.rows]
        inputs = [_flat(each, given[each.key][:steps]) for each in self.program.inputs]
        outputs = [
            np.zeros((steps, each.width), DTYPES[each.kind]) for each in self.program.outputs
        ]
        self.library.harness_run(
            ctypes.c_void_p(memory.ctypes.data),
            ctypes.c_int64(steps),
            *(_pointers(arrays) for arrays in (rows, inputs, outputs)),
        )
        return {each.key: value for each, value in zip(self.program.outputs, outputs, strict=True)}

    def _named(self, rows: Sequence[Mapping[str, NDArray[Any]]]) -> Arrays:
        found: Arrays = {}
        for node in self.plan.outputs:
            for name in output_names(self.plan, node, True):
                steps = getattr(node, "steps", False)
                parts = [row[name] if steps else row[name][-1] for row in rows]
                if DTYPES["int32_t"] == parts[0].dtype:
                    parts = [_labels(node, part, self.facts) for part in parts]
                if isinstance(node, nodes.NumericOutput) and node.single:
                    parts = [part[..., 0] for part in parts]
                if isinstance(node, nodes.ForecastOutput) and name.endswith(".quantiles"):
                    parts = [part.reshape(node.horizon, -1) for part in parts]
                found[name] = _padded(parts) if steps else np.stack(parts)
        return found


@contextmanager
def compiled(
    program: Program, plan: Plan, facts: Facts, example: str, flags: Sequence[str] = FLAGS
) -> Iterator[Compiled]:
    """The program, compiled, as is the `example` that calls it. Raises ExportError where the
    compiler refuses it."""
    command = [*compiler(), *flags]
    with TemporaryDirectory(prefix="rnnspec-c-") as folder:
        path = Path(folder)
        (path / f"{program.name}.h").write_text(program.header)
        (path / f"{program.name}.c").write_text(program.source)
        (path / "main.c").write_text(example)
        (path / "harness.c").write_text(_harness(program))
        _compile([*command, "-fPIC", "-c", f"{program.name}.c"], path)
        _compile([*command, "-o", "example", "main.c", f"{program.name}.o", "-lm"], path)
        shared = ["-fPIC", "-shared", "-o", "program.so", "harness.c", f"{program.name}.o", "-lm"]
        _compile([*command, *shared], path)
        library = ctypes.CDLL(str(path / "program.so"))
        library.harness_state.restype = ctypes.c_size_t
        code = _code(path / f"{program.name}.o")
        yield Compiled(program, plan, facts, library, library.harness_state(), code)


def _compile(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ExportError(
            f"{command[0]}: cannot be run ({error.strerror or error}); name a C compiler in the"
            " variable CC"
        ) from error
    if done.returncode:
        first = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[0]
        raise ExportError(
            f"{command[0]} does not compile the program ({first}); nothing was written. Name"
            " another C compiler in the variable CC; where gcc says so, please report it with the"
            " spec"
        )


def _code(file: Path) -> int | None:
    """Bytes of instructions in an object file, as `size` of the binutils tells them."""
    tool = shutil.which("size")
    if tool is None:
        return None
    done = subprocess.run([tool, "-A", str(file)], capture_output=True, text=True, check=False)
    parts = [line.split() for line in done.stdout.splitlines() if line.startswith(".text")]
    return sum(int(part[1]) for part in parts) if parts else None


def _harness(program: Program) -> str:
    """A function that runs a whole row."""
    name = program.name
    rows = [_argument(each, f"rows[{n}]", "0") for n, each in enumerate(program.rows)]
    inputs = [_argument(each, f"inputs[{n}]", "t") for n, each in enumerate(program.inputs)]
    outputs = [
        f"({each.kind} *)outputs[{n}] + t * {each.width}" for n, each in enumerate(program.outputs)
    ]
    return f"""\
#include <stddef.h>
#include "{name}.h"
size_t harness_state(void);
void harness_run(void *memory, int64_t steps, const void *const *rows,
    const void *const *inputs, void *const *outputs);
size_t harness_state(void)
{{
    return sizeof({name}_state);
}}
void harness_run(void *memory, int64_t steps, const void *const *rows,
    const void *const *inputs, void *const *outputs)
{{
    {name}_state *state = memory;
    (void)rows;
    {name}_init({", ".join(["state", *rows])});
    for (int64_t t = 0; t < steps; t++)
        {name}_step({", ".join(["state", *inputs, *outputs])});
}}
"""


def _argument(each: Argument, pointer: str, step: str) -> str:
    if not each.width:
        return f"((const {each.kind} *){pointer})[{step}]"
    return f"(const {each.kind} *){pointer} + {step} * {each.width}"


def _values(node: nodes.Input, feeds: Feeds) -> NDArray[Any]:
    """The values of an input, rows first."""
    value = feeds[input_names(node, True)[0]]
    if isinstance(node, nodes.ImageInput):
        value = in_steps(value, node.picture)
    if INPUT_TRAITS[type(node)].steps and value.ndim == 2:
        return value[..., np.newaxis]
    return value


def _flat(each: Argument, values: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(values, DTYPES[each.kind]).reshape(-1)


def _pointers(arrays: Sequence[NDArray[Any]]) -> Any:
    kind = ctypes.c_void_p * max(1, len(arrays))
    return kind(*(array.ctypes.data for array in arrays))


def _labels(node: nodes.Output, numbers: NDArray[Any], facts: Facts) -> NDArray[Any]:
    """The names of labels: of the number of one, or of flags in their places."""
    names = np.array(labels_of(facts, node.column), object)
    if isinstance(node, nodes.LabelsOutput):
        return np.asarray(np.where(numbers != 0, names, ""), object)
    return np.asarray(names[numbers[..., 0]])


def _padded(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """`[B, T, …]`, with 0 or the empty text behind the last step."""
    steps = max(len(part) for part in parts)
    fill: Any = "" if parts[0].dtype == object else 0
    found = np.full((len(parts), steps, *parts[0].shape[1:]), fill, parts[0].dtype)
    for part, into in zip(parts, found, strict=True):
        into[: len(part)] = part
    return found
