"""Cells as functions of C, one step and several, against the reference: the built-in ones and
random ones, all in one program."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnspec.cells import Cell, CellSource, builtin_cell, builtin_names, compile_cell
from rnnspec.export.compiled import FLAGS, compiler
from rnnspec.reference.layers import step
from rnnspec.to_c.equations import CellFunction, cell_function
from rnnspec.to_c.functions import called_in
from rnnspec.to_c.products import as_int8
from tests.equations import cells
from tests.kernels import cell

INPUTS, UNITS, OTHER, STEPS = 3, 5, 2, 4
MODERATE = 1e3
"""Beyond it little is left of float32."""
KEPT = cell("o = h\nh = c\nc = tanh(W @ x + U @ o)\ny = o + c", "h", "c", output="y")
"""A state that becomes another, and is read before and after."""
COPIED = compile_cell(
    CellSource(
        "copied",
        {"h": "inputs", "c": "units"},
        "h = x\nc = tanh(U @ h + V @ c)\ny = h + P @ c",
        output="y",
    )
)
"""A state that is the input of the step before."""


@dataclass(frozen=True)
class Written:
    cell: Cell
    parameters: Mapping[str, NDArray[np.float32]]
    function: CellFunction
    timed: bool


def sizes_of(cell: Cell) -> dict[str, int]:
    return cell.sizes(INPUTS, UNITS, dict.fromkeys(cell.own_sizes, OTHER))


def written(number: int, cell: Cell, int8: bool = False) -> Written:
    draw = np.random.default_rng(number)
    sizes = sizes_of(cell)
    parameters = {
        name: draw.normal(0, 0.6, [sizes[each] for each in shape]).astype(np.float32)
        for name, shape in cell.parameters.items()
    }
    timed = bool(cell.inputs) and number % 3 > 0
    title = [f"{cell.name}", *cell.equations.splitlines()]
    function = cell_function(f"cell_{number}", title, cell, sizes, parameters, timed, int8)
    if int8:
        nodes = cell.graph.nodes
        of_products = {nodes[n.args[0]].name for n in nodes if n.op == "matmul"}
        parameters = {n: as_int8(v) if n in of_products else v for n, v in parameters.items()}
    return Written(cell, parameters, function, timed)


def library(folder: Path, functions: Sequence[Written]) -> Any:
    """All functions in one library: `run_NAME(x, numbers, states, y)`."""
    texts = [each.function.text for each in functions]
    lines = ["#include <math.h>", "#include <stdint.h>", *called_in(texts)]
    for each in functions:
        lines += [*each.function.tables, each.function.text, *caller(each)]
    (folder / "cells.c").write_text("\n".join(lines) + "\n")
    command = [*compiler(), *FLAGS, "-fPIC", "-shared", "-o", "cells.so", "cells.c", "-lm"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return ctypes.CDLL(str(folder / "cells.so"))


def caller(each: Written) -> list[str]:
    name, own = each.function.name, each.cell
    given = ["x", *(f"numbers[{n}]" for n in range(len(own.inputs) * each.timed))]
    given += [f"states[{n}]" for n in range(len(own.states))]
    given += [] if each.function.output else ["y"]
    head = f"void run_{name}(const float *x, const float *numbers, float **states, float *y)"
    return [f"{head};", head, f"{{ (void)numbers; (void)y; {name}({', '.join(given)}); }}"]


def compare(one: Written, lib: Any, seed: int) -> None:
    """Several steps from random states, against the reference."""
    own, sizes, draw = one.cell, sizes_of(one.cell), np.random.default_rng(seed)
    widths = {state: sizes[own.state_size(state)] for state in own.states}
    states = {s: draw.normal(0, 1, width).astype(np.float32) for s, width in widths.items()}
    exact = {name: value.astype(np.float64) for name, value in states.items()}
    parameters = {name: value.astype(np.float64) for name, value in one.parameters.items()}
    y = np.zeros(sizes[own.output_size], np.float32)
    pointers = (ctypes.c_void_p * len(states))(*(v.ctypes.data for v in states.values()))
    for _ in range(STEPS):
        x = draw.normal(0, 1, INPUTS).astype(np.float32)
        numbers = np.abs(draw.normal(0, 1, max(1, len(own.inputs)))).astype(np.float32)
        inputs: dict[str, Any] = {"x": x.astype(np.float64)}
        for name, number in zip(own.inputs, numbers, strict=False):
            inputs[name] = np.float64(number if one.timed else 1)
        exact, expected = step(own, parameters, inputs, exact, sizes)
        found = (ctypes.c_void_p(array.ctypes.data) for array in (x, numbers))
        getattr(lib, f"run_{one.function.name}")(*found, pointers, ctypes.c_void_p(y.ctypes.data))
        got = {"": y, "x": x, **states}[one.function.output]
        for value, wanted in [(got, expected), *((states[s], exact[s]) for s in states)]:
            if np.abs(wanted).max() > MODERATE:
                return
            text = f"{own.equations}{one.function.text}"
            np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=2e-5, err_msg=text)


def check(of: Sequence[Cell], int8: bool = False) -> None:
    functions = [written(number, each, int8) for number, each in enumerate(of)]
    with TemporaryDirectory() as folder:
        lib = library(Path(folder), functions)
        for number, each in enumerate(functions):
            compare(each, lib, number)


def test_every_built_in_cell() -> None:
    timed = [builtin_cell(name) for name in builtin_names() if builtin_cell(name).inputs]
    check([*(builtin_cell(name) for name in builtin_names()), *timed, *timed])


def test_every_built_in_cell_of_int8() -> None:
    check([builtin_cell(name) for name in builtin_names()], int8=True)


@settings(max_examples=2, phases=[Phase.explicit, Phase.generate])
@given(st.lists(cells(), min_size=25, max_size=25))
@example([KEPT, COPIED])
def test_random_cells(drawn: Sequence[Cell]) -> None:
    check(drawn)
