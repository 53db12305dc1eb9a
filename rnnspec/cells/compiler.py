"""Syntax tree to graph: resolves names, infers shapes from use, and locates mistakes.

Equations run from top to bottom. A state's name means its previous value until it is assigned and
its next value afterwards. A free name that starts with a capital is a matrix parameter; a free `b`
or lower-case letter with an underscore (`b_i`, `p_f`) is a vector parameter; any other free name is
a mistake. A matrix applied to `x` has `inputs` columns; a matrix applied to a state has as many
columns as the state is wide. All other sizes follow from use, and are `units` where it leaves them
open. Values are numbers, vectors and matrices; a number goes with either, element by element, a
vector with a matrix only where `rows` or `columns` makes a matrix of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from rnnspec.cells.expressions import RANKS, Expressions, error, near
from rnnspec.cells.functions import FUNCTIONS
from rnnspec.cells.graph import RESERVED_SIZES, Cell, CellSource, Graph, Shape
from rnnspec.cells.initializers import MATRIX_ONLY, SQUARE_ONLY, Legendre
from rnnspec.cells.sizes import names_in, size_of
from rnnspec.cells.syntax import Equation, Place, parsed
from rnnspec.errors import CellError


def compile_cell(source: CellSource) -> Cell:
    """Parse, resolve and check `source`. Raises CellError with the place of the first mistake."""
    compiler = _Compiler(source)
    cell = compiler.cell()
    if cell is None:
        raise compiler.mistakes[0]
    return cell


def mistakes_of(source: CellSource) -> list[CellError]:
    """Every mistake of a cell, without mistakes that follow from others.

    Mistakes of the equations come last, in the order of their places.
    """
    compiler = _Compiler(source)
    compiler.cell()
    return sorted(compiler.mistakes, key=lambda m: (m.about == "equations", m.line, m.column))


class _Compiler:
    def __init__(self, source: CellSource) -> None:
        self._source = source
        self._parsed = parsed(source.equations)
        self._equations = self._parsed.equations
        self._values = Expressions(source, self._equations)
        self._assigned: dict[str, Place] = {}
        self._states: dict[str, Shape] = {}
        self.mistakes = self._values.mistakes

    def cell(self) -> Cell | None:
        """The cell, or None where there are `mistakes`."""
        self.mistakes.extend(self._parsed.mistakes)
        self._declare()
        self._values.unknown |= self._parsed.broken - set(self._source.states)
        for equation in self._equations:
            self._assign(equation)
        output = self._output()
        if not self.mistakes:  # an unused name may be a consequence of a mistake
            self._check_used(output)
        if self.mistakes:
            return None
        nodes = self._values.settled()
        source = self._source
        parameters = {name: nodes[index].shape for name, index in self._values.parameters.items()}
        self._check_initializers(parameters)
        if self.mistakes:
            return None
        return Cell(
            name=source.name,
            states=self._states,
            parameters=parameters,
            inputs=tuple(source.inputs),
            own_sizes=tuple(source.sizes),
            output=output,
            graph=Graph(
                nodes,
                {s: self._values.names[s] for s in source.states},
                self._values.names[output],
                {name: self._values.names[name] for name in self._assigned},
            ),
            starts={n: p.start for n, p in source.parameters.items() if p.start is not None},
            fixed=frozenset(n for n, p in source.parameters.items() if not p.trained),
            constants=dict(source.constants),
            equations=source.equations,
            paper=source.paper,
        )

    def _declare(self) -> None:
        source, recording = self._source, self._values.recording
        if not source.states:
            self.mistakes.append(CellError("a cell needs at least one state", about="states"))
        self._declare_sizes()
        self._values.names["x"] = self._values.add("input", (), ("inputs",), "x")
        for name in source.inputs:
            with recording():
                self._check_new(name, "input", "inputs")
                self._values.names[name] = self._values.add("input", (), (), name)
        shapes = source.state_shapes()
        for state in source.states:
            shape = shapes[state]
            with recording():
                self._check_new(state, "state", "states")
                fresh = tuple(self._values.sizes.fresh() for _ in shape)
                self._values.names[state] = self._values.add("state", (), fresh, state)
                self._check_rank(shape, "states", state)
                self._states[state] = tuple(
                    self._check_size(size, "states", state) for size in shape
                )
                for size, known in zip(fresh, self._states[state], strict=True):
                    self._values.sizes.unify(size, known)
        for name, value in source.constants.items():
            with recording():
                self._check_new(name, "constant", "constants")
                self._values.names[name] = self._values.add("constant", (), (), value=value)
        for name, parameter in source.parameters.items():
            self._values.unknown.add(name)
            with recording():
                self._check_new(name, "parameter", "parameters")
                if parameter.shape is not None:
                    self._values.shapes[name] = tuple(
                        self._check_size(size, "parameters", name) for size in parameter.shape
                    )
                    self._check_rank(parameter.shape, "parameters", name)
                self._values.unknown.discard(name)

    def _check_rank(self, shape: Shape, about: str, name: str) -> None:
        if len(shape) > 2:
            what = f"the shape of {name} has no size (one number), one (a vector) or two"
            raise CellError(f"{what} (a matrix)", about=about, name=name)

    def _declare_sizes(self) -> None:
        for number, size in enumerate(self._source.sizes):
            what = ""
            if not size.isidentifier() or size in self._source.sizes[:number]:
                what = f"the size {size!r} is not a name (letters, digits, _), or is listed twice"
            elif size in RESERVED_SIZES:
                what = f"the size {size!r} is there already; rename it"
            if what:
                self.mistakes.append(CellError(what, about="sizes"))

    def _check_size(self, size: str, about: str, name: str) -> str:
        """The normal form of a size."""
        known = (*RESERVED_SIZES, *self._source.sizes)
        try:
            found = size_of(size)
        except ValueError as problem:
            raise CellError(
                f"{problem}, such as units or 2*units", about=about, name=name
            ) from None
        for each in names_in(found):
            if each not in known:
                hint = near(each, known) or f"; the sizes are {', '.join(known)}"
                raise CellError(f"unknown size {each!r}{hint}", about=about, name=name)
        return found

    def _check_new(self, name: str, what: str, about: str) -> None:
        """A declared name must be an identifier that nothing else has."""
        if name in FUNCTIONS:
            message = f"the {what} {name!r} has the name of a function; rename it"
        elif name in self._values.names:
            message = f"the {what} {name!r} is listed twice, or is the input's name; rename it"
        elif not name.isidentifier():
            message = f"the {what} {name!r} is not a name (letters, digits, _)"
        else:
            return
        raise CellError(message, about=about, name=name)

    def _assign(self, equation: Equation) -> None:
        target, place = equation.target, equation.place
        known = False
        with self._values.recording():
            self._check_target(target, place)
            known = True
        with self._values.recording():
            value = self._values.expression(equation.value)
            shape = self._values.nodes[value].shape
            if target in self._source.states:
                self._check_value(target, shape, place)
            if known:
                self._values.names[target] = value
                self._values.unknown.discard(target)
                self._assigned[target] = place
        if known and target not in self._assigned:
            self._assigned[target] = place
            if target not in self._source.states:  # a state is as wide as it was
                self._values.unknown.add(target)

    def _check_value(self, state: str, shape: Shape, place: Place) -> None:
        """The new value of a state has its shape."""
        known = self._values.nodes[self._values.names[state]].shape
        if len(shape) != len(known):
            what = f"the state {state} must be {RANKS[len(known)]}, not {RANKS[len(shape)]}"
            raise error(place, what)
        for size, other in zip(shape, known, strict=True):
            self._values.unify(size, other, place, f"the new value of {state}")

    def _check_target(self, target: str, place: Place) -> None:
        if target == "x" or target in self._source.inputs:
            raise error(place, f"{target} is an input of the step and cannot be assigned")
        if target in (*RESERVED_SIZES, *self._source.sizes):
            raise error(place, f"{target} is a size, a number; give the value another name")
        if target in self._source.constants or target in self._source.parameters:
            raise error(place, f"{target} is declared beside the equations and cannot be assigned")
        if target in FUNCTIONS:
            raise error(place, f"{target} is a function; give the value another name")
        if target in self._assigned:
            first = self._assigned[target].line
            raise error(place, f"{target} is assigned twice, first on line {first}")
        if target in self._values.parameters:
            raise error(place, f"{target} is used above as a parameter and cannot be assigned")

    def _output(self) -> str:
        """The name of the output; records mistakes of names that are not assigned."""
        assigned = {*self._assigned, *self._parsed.broken}
        output = self._source.output or next(iter(self._source.states), "")
        if self._parsed.lost:
            return output
        lacking = [state for state in self._source.states if state not in assigned]
        for state in dict.fromkeys(lacking):
            what = f"the state {state} is never assigned; add an equation {state} = …"
            self.mistakes.append(CellError(what))
        if output not in assigned and output not in lacking:
            hint = near(output, assigned) or "; name a state or a left side"
            what = f"the output {output!r} is never assigned{hint}"
            self.mistakes.append(CellError(what, about="output"))
        elif output in self._assigned and self._rank(output) != 1:
            what = f"the output {output!r} must be a vector, not {RANKS[self._rank(output)]}"
            self.mistakes.append(CellError(what, about="output"))
        return output

    def _rank(self, name: str) -> int:
        """The number of sizes of a name's value; 1 where it is not known."""
        if name in self._values.unknown:
            return 1
        return len(self._values.nodes[self._values.names[name]].shape)

    def _check_used(self, output: str) -> None:
        kinds = {
            "inputs": self._source.inputs,
            "constants": self._source.constants,
            "parameters": self._source.parameters,
        }
        used = self._values.read | self._values.parameters.keys()
        for about, names in kinds.items():
            for name in names:
                if name not in used:
                    what = f"{name} is declared but never used"
                    self.mistakes.append(CellError(what, about=about, name=name))
        for name, place in self._assigned.items():
            if name not in self._values.read and name not in self._source.states and name != output:
                self.mistakes.append(error(place, f"{name} is computed but never used"))

    def _check_initializers(self, shapes: Mapping[str, Shape]) -> None:
        """An initializer for matrices, or for square ones, must have such a parameter."""
        for name, parameter in self._source.parameters.items():
            initializer, shape, what = parameter.start, shapes[name], ""
            if isinstance(initializer, MATRIX_ONLY) and len(shape) != 2:
                kind_of = "a vector" if shape else "one number"
                what = f"{name} is {kind_of}; its init needs a matrix"
            elif isinstance(initializer, SQUARE_ONLY) and not shape:
                what = f"{name} is one number; its init needs a vector or a square matrix"
            elif isinstance(initializer, SQUARE_ONLY) and shape[0] != shape[-1]:
                what = f"{name} is {shape[0]} × {shape[-1]}; its init needs a square matrix"
            elif isinstance(initializer, Legendre) and isinstance(initializer.window, str):
                with self._values.recording():
                    self._check_size(initializer.window, "parameters", name)
            if what:
                self.mistakes.append(CellError(what, about="parameters", name=name))
