"""Changes of a cell's graph that leave its values as they are: most save operators at every step,
one keeps digits that onnxruntime's would lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rnnspec.cells.graph import Graph, Node
from rnnspec.cells.layout import SHAPED
from rnnspec.cells.reassociate import Builder, count_uses, is_state, without_dead

CENTRED = ".centred"
"""Ends the name of a parameter from whose columns their means have been taken."""
CENTRED_NORM = "centred_layer_norm"
"""`layer_norm` of a value whose mean is 0."""
SCALED_NORM, SCALED_CENTRED_NORM = "scaled_layer_norm", "scaled_centred_layer_norm"
"""`layer_norm(v) * g + b`, of v, g and, if there is one, b; and of a v whose mean is 0."""
NEGATED = ".negated"
"""Ends the name of a parameter whose sign has been turned."""
SMALL_SIGMOID = "small_sigmoid"
"""`sigmoid` with all digits of a value near 0."""
ORIGINALS = {CENTRED_NORM: "layer_norm", SMALL_SIGMOID: "sigmoid"}
"""Functions that cells are rewritten to, each with the one it is equal to."""
_GATES = frozenset({"sigmoid", "hard_sigmoid", "softmax"})
"""Functions with values from 0 to 1."""
_BOUNDED = _GATES | {"tanh", "softsign"}
"""Functions with values from -1 to 1."""


def rewritten(graph: Graph) -> Graph:
    """The graph after all changes that every cell gets."""
    graph = with_scaled_norms(with_centred_products(with_negated_sums(graph)))
    return with_small_sigmoids(with_interpolation(graph))


def with_unit_steps(graph: Graph, names: frozenset[str]) -> Graph:
    """The graph in which the inputs `names` are 1, and are not multiplied with."""
    builder, moved = Builder(), list[int]()
    for node in graph.nodes:
        args = tuple(moved[arg] for arg in node.args)
        ones = [n for n, arg in enumerate(args) if _is_one(builder.nodes[arg])]
        if node.op == "input" and node.name in names:
            moved.append(builder.constant(1.0))
        elif node.op == "mul" and ones:
            moved.append(args[1 - ones[0]])
        else:
            moved.append(builder.add(node, args))
    return _moved(graph, builder, moved)


def with_centred_products(graph: Graph) -> Graph:
    """`layer_norm(U @ v)` with the mean taken from U beforehand, and not from `U @ v` at each step.

    mean(U v) is (mean of U's rows) v.
    """
    uses = count_uses(graph)
    builder, moved = Builder(), list[int]()
    for node in graph.nodes:
        args = tuple(moved[arg] for arg in node.args)
        whole = node.op == "layer_norm" and len(node.shape) == 1  # the mean of all rows of U
        product = graph.nodes[node.args[0]] if whole else node
        if product is not node and product.op == "matmul" and uses[node.args[0]] == 1:
            matrix = graph.nodes[product.args[0]]
            centred = builder.add(replace(matrix, name=matrix.name + CENTRED), ())
            value = builder.add(product, (centred, moved[product.args[1]]))
            moved.append(builder.add(replace(node, op=CENTRED_NORM), (value,)))
        else:
            moved.append(builder.add(node, args))
    return _moved(graph, builder, moved)


def with_scaled_norms(graph: Graph) -> Graph:
    """`g * layer_norm(v)` and, beside a b, `g * layer_norm(v) + b` as one operation, where g and b
    need weights alone and are as wide as v: ONNX's operator takes both."""
    for scales in (True, False):
        fixed, uses = _needs_weights_alone(graph), count_uses(graph)
        builder, moved = Builder(), list[int]()
        for node in graph.nodes:
            args = tuple(moved[arg] for arg in node.args)
            found = None
            if node.op == ("mul" if scales else "add"):
                found = _norm_and_weights(graph, node, fixed, uses, scales)
            if found is None:
                moved.append(builder.add(node, args))
                continue
            norm, weights = found
            op = _SCALED.get(graph.nodes[norm].op, graph.nodes[norm].op)
            parts = (*(moved[arg] for arg in graph.nodes[norm].args), moved[weights])
            moved.append(builder.add(replace(node, op=op), parts))
        graph = _moved(graph, builder, moved)
    return graph


_SCALED = {"layer_norm": SCALED_NORM, CENTRED_NORM: SCALED_CENTRED_NORM}


def _norm_and_weights(
    graph: Graph, node: Node, fixed: Sequence[bool], uses: Mapping[int, int], scales: bool
) -> tuple[int, int] | None:
    """Of the product or sum of a norm and of weights as wide as it, these two, if nothing else
    reads the norm. Scaled are norms, shifted those that are scaled already."""
    kinds = _SCALED.keys() if scales else _SCALED.values()
    for norm, weights in (node.args, node.args[::-1]):
        one, other = graph.nodes[norm], graph.nodes[weights]
        alike = len(one.shape) == 1 and one.shape == other.shape
        bare = scales or len(one.args) == 2
        if one.op in kinds and alike and bare and fixed[weights] and uses[norm] == 1:
            return (norm, weights) if not fixed[norm] else None
    return None


def _needs_weights_alone(graph: Graph) -> list[bool]:
    found: list[bool] = []
    for node in graph.nodes:
        given = node.op in ("input", "state")
        found.append(not given and all(found[arg] for arg in node.args))
    return found


def with_negated_sums(graph: Graph) -> Graph:
    """`-(U @ h + …)` with the signs turned in U and in what is added, and `b - a` in the place of
    `-a + b`: an operator less at each step each."""
    uses, depends = count_uses(graph), graph.depends_on_state()
    builder, moved = Builder(), list[int]()

    def is_turned(index: int) -> bool:
        """Whether a value can have the other sign at no cost in a step."""
        node = graph.nodes[index]
        if not depends[index]:
            return True
        if node.op == "add":
            return uses[index] == 1 and all(map(is_turned, node.args))
        return node.op == "matmul" and uses[index] == uses[node.args[0]] == 1

    def turned(index: int) -> int:
        node = graph.nodes[index]
        if node.op == "parameter" and uses[index] == 1:
            return builder.add(replace(node, name=node.name + NEGATED), ())
        if node.op == "add" and uses[index] == 1:
            return builder.apply("add", *map(turned, node.args))
        if node.op == "matmul" and uses[index] == uses[node.args[0]] == 1:
            return builder.add(node, (turned(node.args[0]), moved[node.args[1]]))
        return builder.apply("neg", moved[index])

    for index, node in enumerate(graph.nodes):
        args = tuple(moved[arg] for arg in node.args)
        if node.op == "neg" and depends[index] and is_turned(node.args[0]):
            moved.append(turned(node.args[0]))
            continue
        subtracted = [
            arg
            for arg in node.args
            if node.op == "add"
            and graph.nodes[arg].op == "neg"
            and depends[arg]
            and uses[arg] == 1
            and not is_turned(graph.nodes[arg].args[0])
        ]
        if len(subtracted) == 1:
            (minus,) = subtracted
            other = args[1 - node.args.index(minus)]
            value = moved[graph.nodes[minus].args[0]]
            moved.append(builder.add(replace(node, op="sub"), (other, value)))
        else:
            moved.append(builder.add(node, args))
    return _moved(graph, builder, moved)


def with_interpolation(graph: Graph) -> Graph:
    """`a + z * (b - a)` in the place of `(1 - z) * a + z * b`, for a gate z that reads a state.

    One operator less at each step, and as torch's own kernel computes the GRU. Only where a and b
    are bounded, or are the state that the value is the next of, which they then keep bounded: where
    one were much larger than the other, the difference would lose the other's digits.
    """
    depends = graph.depends_on_state()
    builder, moved = Builder(), list[int]()
    next_of = {index: state for state, index in graph.next_states.items()}
    for index, node in enumerate(graph.nodes):
        found = _interpolation(graph, index, next_of.get(index, "")) if node.op == "add" else None
        if found is None or not depends[found[0]]:
            moved.append(builder.add(node, tuple(moved[arg] for arg in node.args)))
            continue
        gate, a, b = (moved[part] for part in found)
        change = builder.apply("mul", gate, builder.apply("sub", b, a))
        moved.append(builder.apply("add", a, change))
    return _moved(graph, builder, moved)


def with_small_sigmoids(graph: Graph) -> Graph:
    """The graph in which every sigmoid has all its digits that a logarithm or a quotient is taken
    of, directly or by way of products, sums, extremes and states: onnxruntime's own has an error of
    1e-7 however small it is.

    So has every sigmoid that reads no state, and is computed for all steps at once at little cost:
    the `norm` of a layer divides what a gate multiplied by its deviation.
    """
    wanted, depends = _magnitudes(graph), graph.depends_on_state()
    builder, moved = Builder(), list[int]()
    for index, node in enumerate(graph.nodes):
        small = node.op == "sigmoid" and (index in wanted or not depends[index])
        kept = replace(node, op=SMALL_SIGMOID) if small else node
        moved.append(builder.add(kept, tuple(moved[arg] for arg in node.args)))
    return _moved(graph, builder, moved)


def _magnitudes(graph: Graph) -> set[int]:
    """The nodes whose error counts in proportion to their size."""
    nodes, found = graph.nodes, set[int]()
    waiting = [node.args[-1] for node in nodes if node.op in ("log", "div")]
    waiting += [node.args[0] for node in nodes if node.op in ("pow", "sqrt")]
    while waiting:
        index = waiting.pop()
        node = nodes[index]
        beside = any(nodes[arg].op == "constant" for arg in node.args)
        if index in found or (node.op in ("add", "sub") and beside):  # as of 1 + p, of size 1
            continue
        found.add(index)
        if node.op in _KEEPING:
            waiting += node.args
        elif node.op == "state":
            waiting.append(graph.next_states[node.name])
    return found


_KEEPING = frozenset(
    {"add", "sub", "mul", "div", "neg", "pow", "sqrt", "abs", "relu", "max", "min", "copy"} | SHAPED
)
"""Operations whose result is as precise, in proportion to its size, as what they are given."""


def _interpolation(graph: Graph, index: int, state: str) -> tuple[int, int, int] | None:
    """`(z, a, b)` if the node is `(1 - z) * a + z * b`, in any order, of bounded a and b."""
    products = [graph.nodes[arg] for arg in graph.nodes[index].args]
    if any(product.op != "mul" for product in products):
        return None
    for one, other in (products, products[::-1]):
        for closed, a in (one.args, one.args[::-1]):
            gate = _complement(graph, closed)
            if gate in other.args and graph.nodes[gate].op in _GATES:
                b = other.args[1 - other.args.index(gate)]
                if _is_bounded(graph, a, state) and _is_bounded(graph, b, state):
                    return gate, a, b
    return None


def _complement(graph: Graph, index: int) -> int | None:
    """z of `1 - z`."""
    node = graph.nodes[index]
    return node.args[1] if node.op == "sub" and _is_one(graph.nodes[node.args[0]]) else None


def _is_bounded(graph: Graph, index: int, state: str) -> bool:
    node = graph.nodes[index]
    return node.op in _BOUNDED or (is_state(graph, index) and node.name == state)


def _is_one(node: Node) -> bool:
    return node.op == "constant" and node.value == 1.0


def _moved(graph: Graph, builder: Builder, moved: list[int]) -> Graph:
    states = {state: moved[index] for state, index in graph.next_states.items()}
    whole = replace(
        graph, nodes=tuple(builder.nodes), next_states=states, output=moved[graph.output]
    )
    return without_dead(whole)
