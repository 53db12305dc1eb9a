"""The page of one cell: what `rnnspec show --cell` prints."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from math import ceil, prod
from textwrap import dedent, wrap

from rnnspec.cells.cost import Cost, costs
from rnnspec.cells.functions import FUNCTIONS, STRUCTURAL
from rnnspec.cells.graph import RESERVED_SIZES, Cell, Shape
from rnnspec.cells.initializers import FromFile
from rnnspec.cells.library import (
    ONNX_OPERATORS,
    TORCH_KERNELS,
    builtin_names,
    builtin_text,
    identify,
)
from rnnspec.cells.matching import Match
from rnnspec.cells.sizes import Numbers

DEFAULT_INPUTS = 64
DEFAULT_UNITS = 128


def default_sizes(cell: Cell) -> dict[str, int]:
    """Sizes on a page where neither the command nor a spec gives them: `DEFAULT_INPUTS`, or the
    next number that the cell can read, `DEFAULT_UNITS`, and half of these for sizes of its own."""
    inputs = ceil(DEFAULT_INPUTS / cell.inputs_divisor) * cell.inputs_divisor
    own = dict.fromkeys(cell.own_sizes, DEFAULT_UNITS // 2)
    return {"inputs": inputs, "units": DEFAULT_UNITS, **own}


Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, and lines of aligned columns (one column: a paragraph) under it."""

    heading: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """`title`, then a description of the cell in a sentence or two, then the sections."""

    title: str
    about: tuple[str, ...]
    sections: tuple[Section, ...]

    def text(self, columns: int = 80) -> str:
        """The page as plain text; paragraphs wrap at `columns`, equations and tables do not."""
        lines = [self.title]
        for paragraph in self.about:
            lines += wrap(paragraph, columns, break_long_words=False, break_on_hyphens=False)
        for section in self.sections:
            lines += ["", section.heading, *_aligned(section.rows, columns)]
        return "\n".join(lines).replace("\u00a0", " ") + "\n"


def page(
    cell: Cell, sizes: Mapping[str, int], origin: str = "", notes: Mapping[str, str] | None = None
) -> Page:
    """The page of `cell`, with a number for every size name of it.

    `origin`, beside the title, is where the cell comes from; `notes` explain the numbers of sizes.
    Raises ValueError where a size made of others is no whole number.
    """
    match, sizes = identify(cell), Numbers(sizes)
    sections = [
        Section("Equations", tuple(_equations(cell))),
        Section("where", tuple(_meanings(cell))),
        Section("Sizes", tuple(_sizes(cell, sizes, notes or {}))),
        Section("States", tuple(_states(cell, sizes))),
        Section("Parameters of one direction", tuple(_parameters(cell, sizes))),
        Section("Kernels", tuple(_kernels(cell, match))),
        Section("Generic, from the equations", tuple(_costs(costs(cell), sizes))),
    ]
    title = f"cell {cell.name}" + (f" ({origin})" if origin else "")
    return Page(title, tuple(_about(cell)), tuple(section for section in sections if section.rows))


def _equations(cell: Cell) -> Iterable[Row]:
    """The lines of the source, without the indentation they share."""
    return ((line,) for line in dedent(cell.equations).strip("\n").splitlines())


def _about(cell: Cell) -> Iterable[str]:
    """The comment at the top of a built-in cell's file, and the paper."""
    if cell.name in builtin_names():
        comments = builtin_text(cell.name).partition("\nname:")[0].splitlines()
        yield " ".join(line.removeprefix("#").strip() for line in comments)
    if cell.paper:
        yield f"Paper: {cell.paper}."


def _meanings(cell: Cell) -> Iterable[Row]:
    """The names in the equations that are neither states nor parameters."""
    yield "x", "the input of the step"
    for name in cell.inputs:
        yield name, "an input of its own, one number for each row and step"
    for name, value in cell.constants.items():
        yield name, f"{value:g}"
    for op in dict.fromkeys(node.op for node in cell.graph.nodes if node.op in FUNCTIONS):
        function = FUNCTIONS[op]
        yield f"{op}({', '.join('vw'[: function.arity])})", function.formula
    for part in dict.fromkeys(_calls(cell)):
        yield f"{part}(…)", STRUCTURAL[part]


def _calls(cell: Cell) -> Iterable[str]:
    """The functions of `STRUCTURAL` that the equations call, in order."""
    return re.findall(rf"\b({'|'.join(STRUCTURAL)})\(", cell.equations)


def _sizes(cell: Cell, sizes: Mapping[str, int], notes: Mapping[str, str]) -> Iterable[Row]:
    for name in (*RESERVED_SIZES, *cell.own_sizes):
        yield name, f"{sizes[name]:,}", notes.get(name, "")


def _states(cell: Cell, sizes: Mapping[str, int]) -> Iterable[Row]:
    for name, shape in cell.states.items():
        what = "the output of the step" if name == cell.output else ""
        yield name, _symbols(shape), _numbers(shape, sizes), what
    if cell.output not in cell.states:
        size = (cell.output_size,)
        yield cell.output, _symbols(size), _numbers(size, sizes), "the output; not a state"


def _parameters(cell: Cell, sizes: Mapping[str, int]) -> Iterable[Row]:
    """A line for each, then the sum, in numbers and in symbols."""
    for name, shape in cell.parameters.items():
        start = cell.starts.get(name)
        said = [f"starts {_start(start)}"] if start is not None else []
        said += ["not trained"] if name in cell.fixed else []
        count = f"{_size(shape, sizes):,}"
        yield name, _symbols(shape), _numbers(shape, sizes), count, ", ".join(said)
    for heading, fixed in (("trained", False), ("not trained", True)):
        shapes = [shape for name, shape in cell.parameters.items() if (name in cell.fixed) == fixed]
        if shapes:
            total = sum(_size(shape, sizes) for shape in shapes)
            yield heading, _sum(shapes), "", f"{total:,}", ""
    if len(cell.starts) < len(cell.parameters):
        others = "the others start" if cell.starts else "all start"
        yield (f"{others} uniform within 1/sqrt(units)",)


def _sum(shapes: Sequence[Shape]) -> str:
    """The number of elements in symbols: `3*units*inputs + 3*units**2 + 3*units`."""
    counted = Counter(tuple(sorted(shape, reverse=True)) for shape in shapes)
    terms = []
    for shape, count in sorted(counted.items(), key=lambda item: -len(item[0])):
        factors = [str(count)] if count > 1 or not shape else []
        for size, power in Counter(shape).items():
            factors.append(size if power == 1 else f"{size}**{power}")
        terms.append("*".join(factors))
    return " + ".join(terms)


def _kernels(cell: Cell, match: Match | None) -> Iterable[Row]:
    """The kernel of each target for the cell, and why."""
    renamed = _renamed(match)
    for target, table, without, kind in (
        ("PyTorch", TORCH_KERNELS, "generic", "torch kernel"),
        ("ONNX", ONNX_OPERATORS, "Scan", "ONNX operator"),
    ):
        if match is None:
            yield target, without, "the equations are not those of a built-in cell"
            continue
        known = match.pattern in table
        none = f"none of the {kind}s in use has"
        if cell.name == match.pattern:
            why = "computes these equations" if known else f"{none} these equations"
        else:
            up_to = " up to names" if renamed else ""
            why = f"the equations are those of the built-in {match.pattern}{up_to}"
            why += "" if known else f"; {none} them"
        yield target, table[match.pattern] if known else without, why
    if renamed:
        yield "names", "", renamed


def _renamed(match: Match | None) -> str:
    """`h is s, W_i is A`: the names of the built-in cell, and the cell's own."""
    pairs = {**match.states, **match.parameters} if match else {}
    # Spaces at which lines are not broken.
    return ", ".join(
        f"{ours}\u00a0is\u00a0{theirs}" for ours, theirs in pairs.items() if ours != theirs
    )


def _costs(parts: Iterable[Cost], sizes: Mapping[str, int]) -> Iterable[Row]:
    for part in parts:
        rows = sum(sizes[shape[0]] for shape in part.shapes)
        size = f"{rows:,} x {sizes[part.shapes[0][1]]:,}" if part.shapes else ""
        yield part.when, part.what, size


def _start(start: object) -> str:
    """`spectral 0.9`: the kind and its numbers."""
    if isinstance(start, FromFile):
        return f"as {start.file}" + (f", {start.tensor}" if start.tensor else "")
    values = astuple(start)  # type: ignore[call-overload]
    return " ".join(
        [type(start).__name__.lower(), *(v if isinstance(v, str) else f"{v:g}" for v in values)]
    )


def _symbols(shape: Shape) -> str:
    return f"[{', '.join(shape)}]"


def _numbers(shape: Shape, sizes: Mapping[str, int]) -> str:
    return f"[{', '.join(str(sizes[name]) for name in shape)}]"


def _size(shape: Shape, sizes: Mapping[str, int]) -> int:
    return prod(sizes[name] for name in shape)


def _aligned(rows: Sequence[Row], columns: int) -> list[str]:
    """Aligned columns: numbers to the right, other texts to the left; the last column wraps."""
    tables = [row for row in rows if len(row) > 1]
    count = max(map(len, tables), default=1)
    wide = [max((len(row[i]) for row in tables), default=0) for i in range(count)]
    lines: list[str] = []
    for row in rows:
        if len(row) == 1:
            lines.append(f"  {row[0]}")
            continue
        cells = [
            cell.rjust(width) if _is_number(cell) else cell.ljust(width)
            for cell, width in zip(row[:-1], wide, strict=False)
        ]
        head = "  ".join(["", *cells, ""])
        last = wrap(row[-1], max(columns - len(head), 20), break_long_words=False) or [""]
        lines.append((head + last[0]).rstrip())
        lines += [" " * len(head) + part for part in last[1:]]
    return lines


def _is_number(cell: str) -> bool:
    return cell.replace(",", "").isdigit()
