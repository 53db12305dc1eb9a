"""A loop's body differentiated: the instructions from gradients of a step's values to gradients of
what the step reads.

Reverse accumulation (Griewank and Walther 2008, Evaluating Derivatives, section 3.2) on the graph
of one step. Only the gradients of the states, which the step before needs, and of the products in
between are computed step by step. All others, such as the gradient of a vector of weights, are
computed for all steps at once after the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import assert_never

from rnnspec.cells.graph import Graph
from rnnspec.cells.layout import is_shaped, layout
from rnnspec.cells.schedule import JoinedProduct, Loop
from rnnspec.to_torch import instructions as do
from rnnspec.to_torch.derivatives import DERIVATIVES, VALUE, Local, Rule, Same, Times, of_activation
from rnnspec.to_torch.instructions import Body, Columns, Instruction, Run, Value
from rnnspec.to_torch.structural import gradients_of


@dataclass(frozen=True)
class Adjoint:
    """The backward pass of a loop.

    `steps` run from the last step to the first, `after` once for all steps. `after_step`: for each
    state, the gradient of its value after the step: given at the last step, at the others
    `before_step` of the following step. `earlier`: for each exported state, the gradient from
    outside of its value before the step. `seeds`: the gradients of the other exports. `products`:
    the gradient of each joined product, before its activations; `columns` are parts of these.
    `gradients`: of each value read from outside. `widths`: of all new values.
    """

    steps: Body
    after: Body
    after_step: Mapping[str, Value]
    before_step: Mapping[str, Value]
    earlier: Mapping[str, Value]
    seeds: Mapping[int, Value]
    products: Mapping[int, Value]
    columns: Mapping[Value, Columns]
    gradients: Mapping[int, Value]
    widths: Mapping[Value, int]

    @cached_property
    def reads(self) -> frozenset[Value]:
        return self.steps.reads | self.after.reads

    @cached_property
    def kept_whole(self) -> frozenset[Value]:
        """Gradients of all steps that are needed after the steps."""
        return self.after.reads | set(self.gradients.values())


@dataclass(frozen=True, slots=True)
class _Sum:
    """A term of a gradient: `sign * value`, `value * factor`, or the matmul of a product."""

    value: Value
    sign: int = 1
    factor: Value | None = None
    product: int | None = None


@dataclass(frozen=True, slots=True)
class _Statement:
    """Instructions that together compute one value."""

    out: Value
    body: tuple[Instruction, ...]


class Differentiator:
    """Goes through a loop's entries once, from the last to the first.

    `widths` of nodes (1: one number a row); `run_values`: the value of each run's columns.
    """

    def __init__(
        self,
        graph: Graph,
        loop: Loop,
        sizes: Mapping[str, int],
        widths: Sequence[int],
        run_values: Mapping[int, Sequence[tuple[Run, Value]]],
        matrices: Mapping[int, Value],
        next_value: Callable[[], Value],
    ) -> None:
        self.graph, self.loop, self.sizes = graph, loop, sizes
        self.run_values, self.matrices, self.next_value = run_values, matrices, next_value
        self.widths: dict[Value, int] = dict(enumerate(widths))
        self.statements: list[_Statement] = []
        self.terms: dict[int, list[_Sum]] = {}
        self.columns: dict[Value, Columns] = {}
        self.products: dict[int, Value] = {}
        self.leaves = {
            node.name: i
            for i, node in enumerate(graph.nodes)
            if node.op == "state" and node.name in loop.states
        }
        self.takes = {i for entry in loop.entries for i in _results(entry)}
        self.takes |= set(self.leaves.values())

    def adjoint(self, wanted: Iterable[int]) -> Adjoint:
        """The backward pass; of the values read from outside only those `wanted` get a gradient."""
        outside = set(wanted)
        self.takes |= outside
        results = {state: self.graph.next_states[state] for state in self.loop.states}
        after_step = {state: self._new(self.widths[i]) for state, i in results.items()}
        before_step = {state: self._new(self.widths[i]) for state, i in results.items()}
        exported = [state for state, i in results.items() if i in self.loop.exports]
        earlier = {state: self._new(self.widths[results[state]]) for state in exported}
        others = [i for i in self.loop.exports if i not in results.values()]
        seeds = {i: self._new(self.widths[i]) for i in others}
        for state, value in after_step.items():
            self._push(results[state], _Sum(value))
        for index, value in seeds.items():
            self._push(index, _Sum(value))
        number = sum(isinstance(entry, JoinedProduct) for entry in self.loop.entries)
        for entry in reversed(self.loop.entries):
            if isinstance(entry, JoinedProduct):
                number -= 1
                self._product(number, entry)
            else:
                self._node(entry)
        for state, out in before_step.items():
            terms = self.terms.pop(self.leaves[state], [])
            if state in earlier:
                terms.insert(0, _Sum(earlier[state]))
            self.statements.append(_Statement(out, tuple(self._summed(terms, out))))
        gradients = {i: self._total(i) for i in outside if i in self.terms}
        steps = self._needed(before_step.values())
        after = self._needed([*gradients.values(), *self.products.values()], known=steps)
        return Adjoint(
            steps=_body(steps),
            after=_body(after),
            after_step=after_step,
            before_step=before_step,
            earlier=earlier,
            seeds=seeds,
            products=self.products,
            columns=self.columns,
            gradients=gradients,
            widths=self.widths,
        )

    def _new(self, width: int) -> Value:
        value = self.next_value()
        self.widths[value] = width
        return value

    def _node(self, index: int) -> None:
        if index not in self.terms:
            return
        g = self._total(index)
        node = self.graph.nodes[index]
        if is_shaped(node):
            self._structural(g, index)
            return
        for arg, rule in zip(node.args, DERIVATIVES[node.op], strict=True):
            if rule is not None and arg in self.takes:
                self._push(arg, self._term(g, index, rule), self.widths[index])

    def _structural(self, g: Value, index: int) -> None:
        """Pushes the gradients of the arguments of an operation that is told a layout."""
        node = self.graph.nodes[index]
        dims = layout(self.graph.nodes, index, self.sizes)
        for arg, (function, reads) in zip(node.args, gradients_of(node.op, dims), strict=True):
            if arg in self.takes:
                out = self._new(self.widths[arg])
                values = (index if place == VALUE else node.args[place] for place in reads)
                step = Instruction(function, (g, *values), out)
                self.statements.append(_Statement(out, (step,)))
                self._push(arg, _Sum(out))

    def _term(self, g: Value, index: int, rule: Rule) -> _Sum:
        """The gradient of an argument of a node with the gradient g."""
        args = self.graph.nodes[index].args

        def read(place: int) -> Value:
            return index if place == VALUE else args[place]

        match rule:
            case Same(sign):
                return _Sum(g, sign)
            case Times(place):
                return _Sum(g, factor=read(place))
            case Local(function, places):
                out = self._new(self.widths[index])
                reads = (g, *(read(place) for place in places))
                self.statements.append(_Statement(out, (Instruction(function, reads, out),)))
                return _Sum(out)
            case None:
                raise AssertionError(f"no rule for {self.graph.nodes[index].op}")
            case _:
                assert_never(rule)

    def _product(self, number: int, product: JoinedProduct) -> None:
        """Adds the gradient of a joined product, column by column, and the term of its operand."""
        body: list[Instruction] = []
        total = 0
        for run, value in self.run_values[number]:
            body += self._run(run, value)
            total = run.columns.stop
        whole = self._new(total)
        self.columns[whole] = Columns(number, 0, total)
        self.products[number] = whole
        self.statements.append(_Statement(whole, tuple(body)))
        if product.operand in self.takes:
            self._push(product.operand, _Sum(whole, product=number))

    def _run(self, run: Run, value: Value) -> Iterable[Instruction]:
        """The gradients of the results side by side, then the derivative of their activation."""
        place = self._place(run.columns)
        g = place
        terms = [self.terms.pop(result, []) for result, _ in run.results]
        if run.activation and len(terms) == 1 and (same := _one_value(terms[0])) is not None:
            g = same
        else:
            for one, (_, columns) in zip(terms, run.results, strict=True):
                yield from self._summed(one, self._place(columns))
        if run.activation:
            yield Instruction(of_activation(run.activation), (g, value), place)

    def _place(self, columns: Columns) -> Value:
        value = self._new(columns.stop - columns.start)
        self.columns[value] = columns
        return value

    def _push(self, index: int, term: _Sum, width: int = 0) -> None:
        """Adds a term to a node's gradient; `width` of the term, if it may differ."""
        if width > self.widths[index] == 1:  # one number a row, broadcast over the columns
            wide, out = self._new(width), self._new(1)
            body = [*self._summed([term], wide), Instruction(do.sum_columns, (wide,), out)]
            self.statements.append(_Statement(out, tuple(body)))
            term = _Sum(out)
        self.terms.setdefault(index, []).append(term)

    def _total(self, index: int) -> Value:
        """The gradient of a node: the sum of its terms."""
        terms = self.terms.pop(index)
        same = _one_value(terms)
        if same is not None:
            return same
        out = self._new(self.widths[index])
        self.statements.append(_Statement(out, tuple(self._summed(terms, out))))
        return out

    def _summed(self, terms: list[_Sum], out: Value) -> Iterable[Instruction]:
        """Writes the sum of the terms to `out`, with one instruction for each term."""
        plain = next((term for term in terms if _one_value([term]) is not None), None)
        rest = [term for term in terms if term is not plain]
        rest.sort(key=lambda term: term.sign, reverse=True)
        if plain is not None and not rest:
            yield Instruction(do.copy, (plain.value,), out)
        if not terms:
            yield Instruction(do.zero, (), out)
        total = None if plain is None else plain.value
        for term in rest:
            yield self._added(total, term, out)
            total = out

    def _added(self, total: Value | None, term: _Sum, out: Value) -> Instruction:
        start = () if total is None else (total,)
        if term.product is not None:
            args = (term.value, self.matrices[term.product])
            return Instruction(do.add_matmul if start else do.matmul, (*start, *args), out)
        if term.factor is not None:
            args = (term.value, term.factor)
            return Instruction(do.add_product if start else do.mul, (*start, *args), out)
        if term.sign > 0:
            return Instruction(do.add if start else do.copy, (*start, term.value), out)
        return Instruction(do.sub if start else do.neg, (*start, term.value), out)

    def _needed(self, ends: Iterable[Value], known: Sequence[_Statement] = ()) -> list[_Statement]:
        """The statements behind `ends`, in order, without those that are `known`."""
        wanted = set(ends)
        found: list[_Statement] = []
        done = {statement.out for statement in known}
        for statement in reversed(self.statements):
            if statement.out in wanted and statement.out not in done:
                found.append(statement)
                wanted.update(arg for step in statement.body for arg in step.args)
        return found[::-1]


def _one_value(terms: list[_Sum]) -> Value | None:
    """The value of a sum whose only term is a plain value, else None."""
    if len(terms) == 1 and (terms[0].sign, terms[0].factor, terms[0].product) == (1, None, None):
        return terms[0].value
    return None


def _results(entry: int | JoinedProduct) -> tuple[int, ...]:
    return entry.results if isinstance(entry, JoinedProduct) else (entry,)


def _body(statements: Iterable[_Statement]) -> Body:
    return Body(tuple(step for statement in statements for step in statement.body))
