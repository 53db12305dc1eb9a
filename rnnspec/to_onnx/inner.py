"""Initializers of the bodies that read them.

onnxruntime hands each step of a Scan or Loop every value of the graphs around it that the body
reads, its weights too, for 0.1 to 0.2 µs each. An initializer of the body itself costs nothing at a
step, and is packed once as those of the root are (`benchmarks/scan_steps.py`). Files of Scans of
64 units take 0.9 of the time for one row, of 256 units 0.96, and greedy decoding 0.93 to 0.97.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from onnx import TensorProto

from rnnspec.to_onnx.opsets import graphs_of

MOST_COPIED = 1024
"""Numbers of a vector that stands in each of several bodies that read it."""
Path = tuple[onnx.GraphProto, ...]
"""The graphs from the root down to one."""


def to_root(graph: onnx.GraphProto) -> None:
    """All initializers at the root. Their names are unique in all graphs."""
    for body in list(graphs_of(graph))[1:]:
        graph.initializer.extend(body.initializer)
        del body.initializer[:]


def into_bodies(graph: onnx.GraphProto) -> None:
    """What one body alone reads becomes an initializer of that body, and a number or a vector that
    several graphs read one of each. All initializers stand at the root before, and their names are
    unique; after it they are unique in all graphs.

    What would be the only one of its body stays: an RNN of 64 units takes 1.03 µs a step with its
    matrix at the root, 1.11 with it in the body.
    """
    readers = _readers(graph)
    homes = {tensor.name: _homes(tensor, readers[tensor.name]) for tensor in graph.initializer}
    count = Counter(id(home) for each in homes.values() for home in each)
    kept: list[TensorProto] = []
    for tensor in graph.initializer:
        paths = readers[tensor.name]
        chosen = [home for home in homes[tensor.name] if count[id(home)] > 1]
        inner = [[path for path in paths if _is_in(path, home)] for home in chosen]
        if sum(map(len, inner)) < len(paths) or not paths:
            kept.append(tensor)
        elif len(chosen) == 1:
            chosen[0].initializer.append(tensor)
            continue
        for number, (home, reading) in enumerate(zip(chosen, inner, strict=True), 1):
            home.initializer.append(_renamed(tensor, f"{tensor.name}.in_body_{number}", reading))
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _readers(graph: onnx.GraphProto) -> defaultdict[str, list[Path]]:
    """The graphs that read each value. What leaves a graph is read around it."""
    found = defaultdict[str, list[Path]](list)
    for path in _paths((graph,)):
        for name in {name for node in path[-1].node for name in node.input}:
            found[name].append(path)
        for value in path[-1].output:
            found[value.name].append(path[:1])
    return found


def _paths(path: Path) -> Iterator[Path]:
    yield path
    for node in path[-1].node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _paths((*path, attribute.g))


def _homes(tensor: TensorProto, paths: Sequence[Path]) -> list[onnx.GraphProto]:
    """The bodies that a tensor would stand in: the deepest that all who read it are in, else, of a
    number or a vector, one in each body of the root."""
    if len(shared := _shared(paths)) > 1:
        return [shared[-1]]
    if len(tensor.dims) > 1 or np.prod(tensor.dims) > MOST_COPIED:
        return []
    bodies = {id(path[1]): path[1] for path in paths if len(path) > 1}
    return [_shared([p for p in paths if _is_in(p, body)])[-1] for body in bodies.values()]


def _shared(paths: Sequence[Path]) -> Path:
    """The graphs from the root down to the deepest that all of them are in."""
    depth = 0
    for graphs in zip(*paths, strict=False):
        if any(each is not graphs[0] for each in graphs):
            break
        depth += 1
    return paths[0][:depth] if paths else ()


def _is_in(path: Path, graph: onnx.GraphProto) -> bool:
    return any(each is graph for each in path)


def _renamed(tensor: TensorProto, name: str, readers: Sequence[Path]) -> TensorProto:
    """A copy called `name`, which these graphs read in its place."""
    copy = TensorProto()
    copy.CopyFrom(tensor)
    copy.name = name
    for path in readers:
        for node in path[-1].node:
            node.input[:] = [name if each == tensor.name else each for each in node.input]
    return copy
