"""Finds linear recurrences of matrices in the equations: `S_t = S_{t-1} A_t + u_t k_t^T`.

A_t is a number or a diagonal (a decay of each key), and `u_t = w_t + c_t S_{t-1} z_t`. With c = 0
these are linear attentions (Yang et al. 2024, Gated Linear Attention Transformers, equation 3) and
the memory of mLSTM, with c the delta rule (Yang et al. 2024, Parallelizing Linear Transformers with
the Delta Rule). Where S is read by products `S q` alone, whole chunks of steps are products of
matrices, and S itself is computed between chunks only.

Every value that depends on S is followed as a form that is linear in `S_{t-1}`: a matrix
`S A + sum_i u_i k_i^T`, or a vector `w + sum_i c_i S z_i`. A value with another form may read
vectors, which become sums over products `S_{t-1} z`, but no matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rnnspec.cells.graph import Graph, Node, Shape
from rnnspec.cells.heads import rank
from rnnspec.cells.reassociate import Builder

RECURRENCE = "recurrence"
"""The operation of a matrix of this kind: its arguments are the decay, w, c, z, k and the matrix
before the step; its name says whether the decay is a "number" or one of "keys". Without c, it is a
constant of 0 and z is k."""


@dataclass(frozen=True, slots=True)
class _Vector:
    """`w + sum_i c_i S z_i`: w is a node (None: 0), c_i a node of one number, z_i a node."""

    w: int | None
    products: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class _Matrix:
    """`S A + sum_i u_i k_i^T`; A is of the kind "number" or "keys" (None: 0)."""

    kind: str
    decay: int | None
    terms: tuple[tuple[_Vector, int], ...] = ()


_Form = _Vector | _Matrix | None


def with_recurrence(graph: Graph, state: str, level: Sequence[int], number: int) -> Graph | None:
    """The graph in which a matrix is a `RECURRENCE`, read by products of it before the step only;
    None if it is not of this kind. `number` is its level."""
    forms = _Forms(graph, state)
    result = graph.next_states[state]
    for index, node in enumerate(graph.nodes):
        if level[index] >= number and forms.depends(node):
            forms.add(index)
    found = forms.of.get(result)
    if not isinstance(found, _Matrix) or found.decay is None or len(found.terms) != 1:
        return None
    ((u, k),) = found.terms
    ends = _read(graph, forms, result)
    if ends is None or len(u.products) > 1 or u.w is None:
        return None
    builder = forms.builder
    c, z = u.products[0] if u.products else (builder.constant(0.0), k)
    changed: dict[int, Node] = {}
    copies: dict[int, int] = {}
    for end in sorted(ends):
        value = forms.value(end)
        if value != end:  # no two nodes are equal: one copies the other
            changed[end] = Node("copy", (copies.get(value, value),), graph.nodes[end].shape)
            copies[value] = end
    shape = graph.nodes[result].shape
    args = (found.decay, u.w, c, z, k, forms.leaf)
    changed[result] = Node(RECURRENCE, args, shape, found.kind)
    nodes = tuple(changed.get(i, node) for i, node in enumerate(builder.nodes))
    return replace(graph, nodes=nodes)


def _read(graph: Graph, forms: _Forms, result: int) -> set[int] | None:
    """The vectors that others read; None where another value reads a matrix."""
    ends: set[int] = set()
    read = [(i, arg) for i, node in enumerate(graph.nodes) for arg in node.args]
    others = [i for s, i in graph.next_states.items() if i != result]
    outside = [arg for index, arg in read if forms.of.get(index) is None]
    for arg in (*outside, *others, graph.output):
        match forms.of.get(arg):
            case _Matrix():
                return None
            case _Vector():
                ends.add(arg)
    return ends


class _Forms:
    """The forms of the nodes that depend on a matrix."""

    def __init__(self, graph: Graph, state: str) -> None:
        self.builder = Builder(graph.nodes)
        self.nodes = self.builder.nodes
        self.leaf = next(
            i for i, n in enumerate(graph.nodes) if n.op == "state" and n.name == state
        )
        one = self.builder.constant(1.0)
        self.of: dict[int, _Form] = {self.leaf: _Matrix("number", one)}

    def depends(self, node: Node) -> bool:
        return any(arg in self.of for arg in node.args)

    def add(self, index: int) -> None:
        """The form of a node whose arguments are known or have forms."""
        node = self.nodes[index]
        args = [self.of[arg] if arg in self.of else self._known(arg) for arg in node.args]
        self.of[index] = self._form(node, args)

    def _known(self, index: int) -> _Form:
        """A value that does not depend on the matrix: a vector, or an outer product."""
        node = self.nodes[index]
        if rank(node.shape) < 2:
            return _Vector(index)
        if node.op == "outer":
            return _Matrix("number", None, ((_Vector(node.args[0]), node.args[1]),))
        if node.op in ("mul", "neg", "add", "sub"):
            return self._form(node, [self._known(arg) for arg in node.args])
        return None

    def _form(self, node: Node, args: list[_Form]) -> _Form:
        if node.op in ("where", "select"):
            return self._chosen(node, args[1], args[2])
        if node.op == "apply":
            return self._applied(args[0], node.args[1])
        if node.op == "outer":
            u = args[0]
            known = node.args[1] not in self.of
            return (
                _Matrix("number", None, ((u, node.args[1]),))
                if (known and isinstance(u, _Vector))
                else None
            )
        if node.op == "mul":
            return self._scaled(node, args)
        if node.op in ("copy", "neg"):
            return args[0] if node.op == "copy" else self._negated(args[0])
        if node.op in ("add", "sub"):
            one, other = args
            return self._sum(one, self._negated(other) if node.op == "sub" else other)
        return None

    # ---------------------------------------------------------------- arithmetic of forms

    def _sum(self, one: _Form, other: _Form) -> _Form:
        match one, other:
            case _Vector(), _Vector():
                return self._vector(self._added(one.w, other.w), one.products + other.products)
            case _Matrix(), _Matrix():
                if one.decay is not None and other.decay is not None and one.kind != other.kind:
                    return None
                kind = one.kind if one.decay is not None else other.kind
                terms: dict[int, _Vector] = {}
                for u, k in (*one.terms, *other.terms):
                    total = self._sum(terms[k], u) if k in terms else u
                    assert isinstance(total, _Vector)
                    terms[k] = total
                together = tuple((u, k) for k, u in terms.items())
                return _Matrix(kind, self._added(one.decay, other.decay), together)
            case _:
                return None

    def _vector(self, w: int | None, products: Iterable[tuple[int, int]]) -> _Vector:
        """Products of the same vector are one."""
        merged: dict[int, int] = {}
        for c, z in products:
            merged[z] = self.builder.apply("add", merged[z], c) if z in merged else c
        return _Vector(w, tuple((c, z) for z, c in merged.items()))

    def _negated(self, value: _Form) -> _Form:
        return self._times_number(value, self.builder.constant(-1.0))

    def _times_number(self, value: _Form, number: int) -> _Form:
        match value:
            case _Vector(w, products):
                return _Vector(
                    None if w is None else self._times(w, number),
                    tuple((self._times(c, number), z) for c, z in products),
                )
            case _Matrix(kind, decay, terms):
                decay = None if decay is None else self._times(decay, number)
                scaled = [(self._times_number(u, number), k) for u, k in terms]
                return _Matrix(
                    kind, decay, tuple((u, k) for u, k in scaled if isinstance(u, _Vector))
                )
            case _:
                return None

    def _scaled(self, node: Node, args: list[_Form]) -> _Form:
        """A product of a form and a value that does not depend on the matrix."""
        for value, place in ((args[0], 1), (args[1], 0)):
            factor = node.args[place]
            if factor in self.of or value is None or isinstance(args[place], _Matrix):
                continue
            number = self._number(factor)
            if number is not None:
                return self._times_number(value, number)
            of_keys = self.nodes[factor]
            if isinstance(value, _Matrix) and of_keys.op == "rows":
                return self._times_keys(value, of_keys.args[0])
            if isinstance(value, _Vector) and not value.products and rank(of_keys.shape) < 2:
                assert value.w is not None
                return _Vector(self.builder.apply("mul", value.w, factor))
        return None

    def _times_keys(self, value: _Matrix, keys: int) -> _Form:
        terms = tuple((u, self._times(k, keys)) for u, k in value.terms)
        if value.decay is None:
            return _Matrix(value.kind, None, terms)
        return _Matrix("keys", self._times(keys, value.decay), terms)

    def _applied(self, matrix: _Form, q: int) -> _Form:
        """`M q = S (A q) + sum_i u_i (k_i . q)`."""
        if not isinstance(matrix, _Matrix) or q in self.of:
            return None
        total: _Form = _Vector(None)
        if matrix.decay is not None and matrix.kind == "keys":
            one = self.builder.constant(1.0)
            total = _Vector(None, ((one, self._times(q, matrix.decay)),))
        elif matrix.decay is not None:
            total = _Vector(None, ((matrix.decay, q),))
        for u, k in matrix.terms:
            product = self.builder.apply("mul", k, q)
            shape = self.nodes[product].shape[:-1]
            dot = self.builder.add(Node("sum", (), shape), (product,))
            total = self._sum(total, self._times_number(u, dot))
        return total

    def _chosen(self, node: Node, one: _Form, other: _Form) -> _Form:
        """`where(flag, M, S)` of one flag, the same for all elements of a row."""
        flag = node.args[0]
        if self.nodes[flag].shape or flag in self.of:
            return None
        match one, other:
            case _Matrix(kind, decay, terms), _Matrix(_, kept, ()) if None not in (decay, kept):
                assert decay is not None and kept is not None
                chosen = self._where(node.op, flag, decay, kept)
                masked = [(self._masked(node.op, flag, u), k) for u, k in terms]
                return _Matrix(kind, chosen, tuple(masked))
            case _:
                return None

    def _masked(self, op: str, flag: int, u: _Vector) -> _Vector:
        zero = self.builder.constant(0.0)
        w = None if u.w is None else self._where(op, flag, u.w, zero)
        return _Vector(w, tuple((self._where(op, flag, c, zero), z) for c, z in u.products))

    # ---------------------------------------------------------------- nodes

    def _where(self, op: str, flag: int, one: int, other: int) -> int:
        return self.builder.apply(op, flag, one, other)

    def _added(self, one: int | None, other: int | None) -> int | None:
        if one is None or other is None:
            return other if one is None else one
        return self.builder.apply("add", *self._alike(one, other))

    def _times(self, value: int, factor: int) -> int:
        for one, other in ((value, factor), (factor, value)):
            if self.nodes[one].op == "constant" and self.nodes[one].value == 1.0:
                return other
        return self.builder.apply("mul", *self._alike(value, factor))

    def _alike(self, one: int, other: int) -> tuple[int, int]:
        """Both with a value for each element where one is a number of each head."""
        shapes = self.nodes[one].shape, self.nodes[other].shape
        if len(shapes[0]) < len(shapes[1]):
            return self._spread(one, shapes[1]), other
        return one, self._spread(other, shapes[0])

    def _spread(self, index: int, shape: Shape) -> int:
        for size in shape[len(self.nodes[index].shape) :] if self.nodes[index].shape else ():
            before = self.nodes[index].shape
            index = self.builder.add(Node("columns", (), (*before, size), size), (index,))
        return index

    def _number(self, index: int) -> int | None:
        """The node of one number (of each head) that a value is made of."""
        node = self.nodes[index]
        while node.op == "columns" and rank(node.shape) > 0:
            index = node.args[0]
            node = self.nodes[index]
        return index if rank(node.shape) == 0 else None

    def value(self, index: int) -> int:
        """The node of a vector, from products of the matrix before the step."""
        form = self.of[index]
        assert isinstance(form, _Vector)
        shape, total = self.nodes[index].shape, form.w
        for c, z in form.products:
            read = self.builder.add(Node("apply", (), shape), (self.leaf, z))
            total = self._added(total, self._times(read, c))
        assert total is not None
        return total
