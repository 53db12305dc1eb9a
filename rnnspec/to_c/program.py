"""A program: the files of a model in C, and what a caller must know of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rnnspec.to_c.functions import called_in
from rnnspec.to_c.lowering import Argument, Counts, Labels, Lowering
from rnnspec.to_c.text import comment, indented, string


@dataclass(frozen=True, slots=True)
class Program:
    """A model in C. `name` begins the names of its files and of everything that they declare.

    `rows` are given where a stream begins, `inputs` at each step, which answers `outputs`.
    """

    name: str
    header: str
    source: str
    rows: tuple[Argument, ...]
    inputs: tuple[Argument, ...]
    outputs: tuple[Argument, ...]
    labels: tuple[Labels, ...]
    counts: Counts
    int8: bool

    def description(self) -> dict[str, Any]:
        """What a caller must know, for JSON."""
        return {
            "name": self.name,
            "weights": "int8" if self.int8 else "float",
            "begin": [asdict(each) for each in self.rows],
            "inputs": [asdict(each) for each in self.inputs],
            "outputs": [asdict(each) for each in self.outputs],
            "labels": {each.argument: list(each.names) for each in self.labels},
            "bytes_of_weights": self.counts.weights,
            "multiply_adds": self.counts.multiply_adds,
            "functions": self.counts.functions,
        }


def program(low: Lowering, title: str) -> Program:
    """The text that has been made, as files."""
    rows = tuple(each for each in low.inputs if each.of_row)
    inputs = tuple(each for each in low.inputs if not each.of_row)
    return Program(
        low.name,
        "\n".join(_header(low, title, rows, inputs)) + "\n",
        "\n".join(_source(low, title, rows, inputs)) + "\n",
        rows,
        inputs,
        tuple(low.outputs),
        tuple(low.labels),
        low.counts,
        low.int8,
    )


def _header(
    low: Lowering, title: str, rows: tuple[Argument, ...], inputs: tuple[Argument, ...]
) -> Iterator[str]:
    guard = f"{low.name.upper()}_H"
    yield from comment(f"{title}: one step of a stream, in C99, written by rnnspec.")
    yield from [f"#ifndef {guard}", f"#define {guard}", "", "#include <stdint.h>", ""]
    yield from ["#ifdef __cplusplus", 'extern "C" {', "#endif", ""]
    yield from comment("What is kept from one step to the next, one for each stream.")
    members = low.fields or ["char none;"]
    yield from ["typedef struct {", *indented(members), f"}} {low.name}_state;", ""]
    for each in low.labels:
        yield from comment(f"The names of the labels of {each.argument}, in order of number.")
        count = len(each.names)
        yield from [f"extern const char *const {low.name}_{each.argument}_labels[{count}];", ""]
    yield from comment("Begins a stream.", *(f"{each.name}: {each.words}" for each in rows))
    yield from [f"{_begin(low.name, rows)};", ""]
    words = [f"{each.name}: {each.words}" for each in inputs]
    words += [f"{each.name} (out): {each.words}" for each in low.outputs]
    title = "One step. Where a row has one answer, it is that to the steps so far."
    yield from comment(title, *words)
    yield from [f"{_step(low.name, inputs, tuple(low.outputs))};", ""]
    yield from ["#ifdef __cplusplus", "}", "#endif", "", "#endif"]


def _source(
    low: Lowering, title: str, rows: tuple[Argument, ...], inputs: tuple[Argument, ...]
) -> Iterator[str]:
    yield from comment(
        f"{title}: see {low.name}.h. Written by rnnspec.",
        "",
        "Fast with: cc -std=c99 -O3 -march=native -ffp-contract=fast; needs libm (-lm).",
    )
    yield from [f'#include "{low.name}.h"', "", "#include <math.h>", "#include <string.h>", ""]
    written = [*low.functions, *low.begin, *low.step]
    for text in called_in(written):
        yield from [text, ""]
    for each in low.labels:
        names = ",\n".join(f"    {string(name)}" for name in each.names)
        declared = f"const char *const {low.name}_{each.argument}_labels[{len(each.names)}]"
        yield from [f"{declared} = {{\n{names}}};", ""]
    yield from [*low.tables, ""]
    for text in low.functions:
        yield from [text, ""]
    begin = ["memset(state, 0, sizeof *state);", *low.begin]
    used = [f"(void){each.name};" for each in rows]
    yield from [_begin(low.name, rows), "{", *indented([*used, *begin]), "}", ""]
    used = [f"(void){each.name};" for each in inputs]
    step = ["(void)state;", *used, *low.step]
    yield from [_step(low.name, inputs, tuple(low.outputs)), "{", *indented(step), "}"]


def _begin(name: str, rows: tuple[Argument, ...]) -> str:
    return _signature(f"void {name}_init", [f"{name}_state *state", *_given(rows)])


def _step(name: str, inputs: tuple[Argument, ...], outputs: tuple[Argument, ...]) -> str:
    parameters = [f"{name}_state *state", *_given(inputs)]
    parameters += [each.parameter(constant=False) for each in outputs]
    return _signature(f"void {name}_step", parameters)


def _given(arguments: tuple[Argument, ...]) -> list[str]:
    return [each.parameter(constant=True) for each in arguments]


def _signature(head: str, parameters: list[str]) -> str:
    """On one line if it fits, else a parameter a line."""
    line = f"{head}({', '.join(parameters)})"
    if len(line) <= 98:
        return line
    return f"{head}(\n    " + ",\n    ".join(parameters) + ")"
