"""Matrix products of one operand that one step can compute as one product."""

from __future__ import annotations

from dataclasses import dataclass

from rnnspec.to_onnx.hoist import Expressions, Needs


@dataclass(frozen=True, slots=True)
class Group:
    """Products of `operand`, joined along their results.

    If each product is read only by a sum whose other term needs no state, those terms are the
    `addends` and the sums the `results`; otherwise the products themselves are.
    """

    operand: int
    products: tuple[int, ...]
    addends: tuple[int, ...]
    results: tuple[int, ...]


def groups(cell: Expressions) -> list[Group]:
    """Every product that needs a state, each in one group."""
    readers = cell.readers()
    by_operand: dict[int, list[int]] = {}
    for index in readers:
        if cell.nodes[index].op == "matmul" and cell.needs[index] == Needs.STATE:
            by_operand.setdefault(cell.nodes[index].args[1], []).append(index)
    return [_group(cell, readers, operand, found) for operand, found in by_operand.items()]


def _group(
    cell: Expressions, readers: dict[int, list[int]], operand: int, products: list[int]
) -> Group:
    leaving = {*cell.next_states.values(), cell.output}
    sums, addends = [], []
    for product in products:
        if product in leaving or len(readers[product]) != 1:
            break
        (reader,) = readers[product]
        others = [arg for arg in cell.nodes[reader].args if arg != product]
        if cell.nodes[reader].op != "add" or cell.needs[others[0]] == Needs.STATE:
            break
        sums.append(reader)
        addends.append(others[0])
    else:
        return Group(operand, tuple(products), tuple(addends), tuple(sums))
    return Group(operand, tuple(products), (), tuple(products))
