"""A cell run several times side by side, with weights of its own each time: its heads.

All heads read the whole step. A value of each head stands behind that of the head before, and so do
the rows of each parameter. A matrix that is applied to values of the heads is block-diagonal: each
head's block is applied to that head's part.
"""

from __future__ import annotations

from dataclasses import replace

from rnnspec.cells.graph import Cell, Graph, Node, Shape
from rnnspec.cells.layout import SHAPED
from rnnspec.cells.reassociate import Builder
from rnnspec.cells.sizes import product_of

HEADS = "heads"
"""The size that is the number of heads; `units` and the cell's own sizes are those of one head."""
BLOCKS = ".blocks"
"""Ends the name of a parameter where it is applied as a block-diagonal matrix."""


def with_heads(cell: Cell) -> Cell:
    """The cell with a size `heads` of its own, which runs `cell` so many times side by side."""
    builder = Builder()
    places: list[int] = []
    of_heads: list[bool] = []
    for node in cell.graph.nodes:
        own = node.op in ("state", "parameter") or any(of_heads[arg] for arg in node.args)
        args = tuple(places[arg] for arg in node.args)
        if node.op == "matmul":
            own = True
            args = _product_args(builder, cell, node, args, of_heads[node.args[1]])
        elif own:
            args = tuple(
                _for_heads(builder, cell.graph.nodes[arg], places[arg], of_heads[arg], node)
                for arg in node.args
            )
        shape = (HEADS, *node.shape) if own else node.shape
        places.append(builder.add(replace(node, shape=shape), args))
        of_heads.append(own)

    def whole(index: int) -> int:
        if of_heads[index]:
            return places[index]
        tiled = Node("tile", (), (HEADS, *cell.graph.nodes[index].shape))
        return builder.add(tiled, (places[index],))

    return replace(
        cell,
        states={state: (HEADS, *shape) for state, shape in cell.states.items()},
        parameters={name: _stacked(shape) for name, shape in cell.parameters.items()},
        own_sizes=(*cell.own_sizes, HEADS),
        graph=Graph(
            tuple(builder.nodes),
            {s: whole(index) for s, index in cell.graph.next_states.items()},
            whole(cell.graph.output),
            {name: places[index] for name, index in cell.graph.names.items()},
        ),
        head=cell,
    )


def rank(shape: Shape) -> int:
    """The number of sizes of a value of one head."""
    return len(shape) - (shape[:1] == (HEADS,))


def _stacked(shape: Shape) -> Shape:
    """The shape of a parameter of all heads: the rows of each behind those of the one before."""
    return (product_of(HEADS, *shape[:1]), *shape[1:])


def _product_args(
    builder: Builder, cell: Cell, node: Node, args: tuple[int, ...], of_heads: bool
) -> tuple[int, ...]:
    matrix = cell.graph.nodes[node.args[0]]
    name = matrix.name + BLOCKS if of_heads else matrix.name
    shape = (HEADS, *matrix.shape)
    return builder.add(replace(matrix, name=name, shape=shape), ()), args[1]


def _for_heads(builder: Builder, arg: Node, place: int, of_heads: bool, node: Node) -> int:
    """An argument with a value for each head, as the operation of the heads needs it."""
    if not of_heads:
        if not arg.shape:
            return place
        return builder.add(Node("tile", (), (HEADS, *arg.shape)), (place,))
    if arg.shape or not _spreads(node):
        return place
    shape: Shape = (HEADS,)
    for size in node.shape:
        shape = (*shape, size)
        # The name keeps apart what is spread to different sizes: equal nodes are shared.
        place = builder.add(Node("columns", (), shape, size), (place,))
    return place


def _spreads(node: Node) -> bool:
    """Whether a number among the arguments goes with each element of the value."""
    return node.op not in SHAPED and bool(node.shape)
