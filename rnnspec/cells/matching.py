"""Whether two cells have equal equations up to names and order; it chooses native kernels.

Both graphs are brought to a normal form (sums and products flattened, differences written as sums
of negations) in which the order of terms does not count, and then unified: states to states,
parameters to parameters, one to one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import zip_longest

from rnnspec.cells.graph import Cell, Graph

_COMMUTATIVE = ("add", "mul", "max", "min")
_MOST_TERMS = 16
"""Longer sums and products stay nested: squaring again and again would double them each time."""


@dataclass(frozen=True, slots=True)
class Match:
    """The renaming of the pattern's states and parameters to the matched cell's."""

    pattern: str
    states: Mapping[str, str]
    parameters: Mapping[str, str]


def match(pattern: Cell, cell: Cell) -> Match | None:
    """The renaming that turns `pattern` into `cell`, or None if the equations differ."""
    if len(pattern.states) != len(cell.states) or len(pattern.parameters) != len(cell.parameters):
        return None
    if len(cell.graph.nodes) > 2 * len(pattern.graph.nodes):  # no form of the pattern is longer
        return None
    ours, theirs = _normal(pattern.graph), _normal(cell.graph)
    start = _Names({}, {})
    for names in _unify(ours[pattern.graph.output], theirs[cell.graph.output], start):
        for complete in _unify_states(pattern, cell, ours, theirs, names, list(pattern.states)):
            parameters, states = _named(complete, "parameter"), _named(complete, "state")
            found = Match(pattern.name, states, parameters)
            whole = (len(states), len(parameters)) == (len(pattern.states), len(pattern.parameters))
            if whole and _sizes_agree(found, pattern, cell):
                return found
    return None


def _sizes_agree(found: Match, pattern: Cell, cell: Cell) -> bool:
    """Shapes are the same up to the names of the cells' own sizes."""
    names = {"units": "units", "inputs": "inputs"}
    pairs = [(pattern.states[ours], cell.states[theirs]) for ours, theirs in found.states.items()]
    for ours, theirs in found.parameters.items():
        pairs.append((pattern.parameters[ours], cell.parameters[theirs]))
    return all(
        names.setdefault(one, other) == other
        for ours, theirs in pairs
        for one, other in zip_longest(ours, theirs)
    )


@dataclass(frozen=True, slots=True)
class _Term:
    """A node in normal form. `fingerprint` is equal for terms that differ in names only."""

    op: str
    args: tuple[_Term, ...]
    name: str
    value: float
    fingerprint: str


@dataclass(frozen=True, slots=True)
class _Names:
    """A one-to-one renaming, as two maps over keys `kind:name`."""

    forward: Mapping[str, str]
    backward: Mapping[str, str]

    def bind(self, ours: str, theirs: str) -> _Names | None:
        if ours in self.forward or theirs in self.backward:
            return self if self.forward.get(ours) == theirs else None
        return _Names({**self.forward, ours: theirs}, {**self.backward, theirs: ours})


def _named(names: _Names, kind: str) -> dict[str, str]:
    """The part of a renaming for one kind of name."""
    pairs = ((ours.split(":"), theirs.split(":")) for ours, theirs in names.forward.items())
    return {ours[1]: theirs[1] for ours, theirs in pairs if ours[0] == kind}


def _unify_states(
    pattern: Cell,
    cell: Cell,
    ours: list[_Term],
    theirs: list[_Term],
    names: _Names,
    left: list[str],
) -> Iterator[_Names]:
    """Renamings under which the next values of all states agree."""
    if not left:
        yield names
        return
    state, *rest = left
    for candidate in cell.states:
        bound = names.bind(f"state:{state}", f"state:{candidate}")
        if bound is None:
            continue
        next_ours = ours[pattern.graph.next_states[state]]
        next_theirs = theirs[cell.graph.next_states[candidate]]
        for agreed in _unify(next_ours, next_theirs, bound):
            yield from _unify_states(pattern, cell, ours, theirs, agreed, rest)


def _unify(ours: _Term, theirs: _Term, names: _Names) -> Iterator[_Names]:
    """Every extension of `names` under which the two terms are equal."""
    if ours.fingerprint != theirs.fingerprint:
        return
    if ours.op in ("input", "state", "parameter"):  # an input's fingerprint holds its name
        bound = names.bind(f"{ours.op}:{ours.name}", f"{theirs.op}:{theirs.name}")
        if bound is not None:
            yield bound
    elif ours.op in _COMMUTATIVE:
        yield from _unify_any_order(list(ours.args), list(theirs.args), names)
    else:
        yield from _unify_in_order(ours.args, theirs.args, names)


def _unify_in_order(
    ours: tuple[_Term, ...], theirs: tuple[_Term, ...], names: _Names
) -> Iterator[_Names]:
    if not ours:
        yield names
        return
    for agreed in _unify(ours[0], theirs[0], names):
        yield from _unify_in_order(ours[1:], theirs[1:], agreed)


def _unify_any_order(ours: list[_Term], theirs: list[_Term], names: _Names) -> Iterator[_Names]:
    if not ours:
        yield names
        return
    for index, candidate in enumerate(theirs):
        for agreed in _unify(ours[0], candidate, names):
            yield from _unify_any_order(ours[1:], theirs[:index] + theirs[index + 1 :], agreed)


def _normal(graph: Graph) -> list[_Term]:
    """The normal form of every node, in the graph's order."""
    terms: list[_Term] = []
    for node in graph.nodes:
        args = tuple(terms[arg] for arg in node.args)
        if node.op == "sub":
            terms.append(_term("add", (args[0], _negated(args[1]))))
        elif node.op == "neg":
            terms.append(_negated(args[0]))
        else:
            terms.append(_term(node.op, args, node.name, node.value, len(node.shape)))
    return terms


def _negated(term: _Term) -> _Term:
    return term.args[0] if term.op == "neg" else _term("neg", (term,))


def _term(
    op: str, args: tuple[_Term, ...], name: str = "", value: float = 0.0, rank: int = 0
) -> _Term:
    if op in ("add", "mul"):  # associative: (a + b) + c is a + b + c
        flat: list[_Term] = []
        for arg in args:
            flat.extend(arg.args if arg.op == op else (arg,))
        if len(flat) <= _MOST_TERMS:
            args = tuple(flat)
    prints = [arg.fingerprint for arg in args]
    if op in _COMMUTATIVE:
        prints.sort()
    leaves = {
        "constant": repr(value),
        "parameter": str(rank),
        "input": name,
        "slice": name,
        "every": name,
        "size": name,
    }
    leaf = leaves.get(op, "")
    text = f"{op}[{leaf}]({','.join(prints)})"
    return _Term(op, args, name, value, sha256(text.encode()).hexdigest())
