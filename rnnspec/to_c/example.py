"""An example that calls a program: numbers from standard input, answers to standard output."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.to_c.lowering import Argument
from rnnspec.to_c.program import Program
from rnnspec.to_c.text import comment, indented

READ = {"float": "%f", "double": "%lf", "int32_t": '%" SCNd32 "', "uint8_t": '%" SCNu8 "'}
WRITTEN = {"float": "%.9g", "double": "%.17g", "int32_t": '%" PRId32 "'}


def example(program: Program) -> str:
    """The text of main.c."""
    return "\n".join(_lines(program)) + "\n"


def _lines(program: Program) -> Iterator[str]:
    name = program.name
    row = ", ".join(f"{each.name} ({max(1, each.width)})" for each in program.rows)
    step = ", ".join(f"{each.name} ({max(1, each.width)})" for each in program.inputs)
    out = ", ".join(f"{each.name} ({each.width})" for each in program.outputs)
    yield from comment(
        f"An example of {name}.h, written by rnnspec: numbers from standard input.",
        *([f"First, of the row: {row}."] if row else []),
        f"At each step: {step}. A line of the answers follows: {out}.",
        f"cc -std=c99 -O3 main.c {name}.c -lm -o {name}",
    )
    yield from ["#include <inttypes.h>", "#include <stdio.h>", "", f'#include "{name}.h"', ""]
    yield from ["int main(void)", "{"]
    yield from indented(_body(program))
    yield "}"


def _body(program: Program) -> Iterator[str]:
    name = program.name
    yield f"static {name}_state state;"
    for each in (*program.rows, *program.inputs):
        yield f"{each.kind} {each.name}[{max(1, each.width)}];"
    for each in program.outputs:
        yield f"{each.kind} {each.name}[{each.width}];"
    for each in program.rows:
        yield from _read(each, "return 1;")
    given = [each.name if each.width else f"{each.name}[0]" for each in program.rows]
    yield f"{name}_init({', '.join(['&state', *given])});"
    yield "for (;;) {"
    for each in program.inputs:
        yield from indented(_read(each, "return 0;"))
    given = [each.name if each.width else f"{each.name}[0]" for each in program.inputs]
    given += [each.name for each in program.outputs]
    yield f"    {name}_step({', '.join(['&state', *given])});"
    for each in program.outputs:
        yield f"    for (int j = 0; j < {each.width}; j++)"
        yield f'        printf("{WRITTEN[each.kind]} ", {each.name}[j]);'
    yield from ["    putchar('\\n');", "    fflush(stdout);", "}"]


def _read(each: Argument, end: str) -> Iterator[str]:
    yield f"for (int j = 0; j < {max(1, each.width)}; j++)"
    yield f'    if (scanf("{READ[each.kind]}", &{each.name}[j]) != 1)'
    yield f"        {end}"
