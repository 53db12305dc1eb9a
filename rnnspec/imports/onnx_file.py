"""Layers in an ONNX file: the operators RNN, GRU, LSTM, and what stands around them.

What is computed of constants alone, as exporters write it (slices and joins that bring gates into
the order of ONNX), is computed first: its values count as tensors of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import ModelFileError
from rnnspec.imports.groups import Foreign, Group, Matrices, recurrent_group, rows_of, whole
from rnnspec.imports.terms import Place, Sum, Tensors, Term
from rnnspec.to_onnx.opsets import graphs_of

RECURRENT = {"LSTM": ("lstm", "sigmoid tanh tanh"), "GRU": ("gru", "sigmoid tanh")}
"""Operator to the family of its cell, and its activations."""
_MOST_FOLDED = 1 << 28
"""Bytes of a value that is computed of constants."""


def read_onnx(path: Path) -> tuple[dict[str, NDArray[np.generic]], Any]:
    """The constants of the file, and its graph. Raises ModelFileError."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path)
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelFileError(f"{path}: not a readable ONNX file ({error})") from error
    if not model.graph.node:
        raise ModelFileError(f"{path}: holds no graph of ONNX")
    found: dict[str, NDArray[np.generic]] = {}
    for graph in graphs_of(model.graph):  # weights that steps read may stand in their loop
        for each in graph.initializer:
            found.setdefault(each.name, onnx.numpy_helper.to_array(each))
    _fold(model, found)
    return found, model.graph


def _fold(model: Any, found: dict[str, NDArray[np.generic]]) -> None:
    """Add what is computed of constants alone."""
    from onnx.reference import ReferenceEvaluator

    for node in model.graph.node:
        if node.op_type in ("LSTM", "GRU", "RNN") or any(n and n not in found for n in node.input):
            continue
        if sum(found[n].nbytes for n in node.input if n) > _MOST_FOLDED:
            continue
        if any(each.type in (each.GRAPH, each.GRAPHS) for each in node.attribute):
            continue
        try:
            values = ReferenceEvaluator(node).run(None, {n: found[n] for n in node.input if n})
        except Exception:  # an operator that the evaluator lacks gives no tensor
            continue
        for name, value in zip(node.output, values, strict=False):
            if isinstance(value, np.ndarray):
                found[name] = value


def onnx_layers(tensors: Tensors, graph: Any) -> Foreign:
    """The layers in the order of the graph. Raises ModelFileError for settings of an operator that
    no cell here has. A tensor that no layer uses is left alone: graphs hold many small constants.
    """
    used = tuple(_groups(tensors, graph))
    named = {name for group in used for name in group.tensors}
    return Foreign("onnx", tensors, used, frozenset(set(tensors) - named))


def _groups(tensors: Tensors, graph: Any) -> Iterator[Group]:
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for node in graph.node:
        settings = {each.name: each for each in node.attribute}
        match node.op_type:
            case "LSTM" | "GRU" | "RNN":
                yield from _recurrent(node, settings, tensors)
            case "Gemm" if _known(node, 1, tensors, 2):
                _check_product(node, settings)
                turned = settings["transB"].i if "transB" in settings else 0
                bias = whole(node.input[2]) if len(node.input) > 2 and node.input[2] else Sum()
                yield Group(node.input[1], ("dense",), _dense(node.input[1], not turned, bias))
            case "MatMul" if _known(node, 1, tensors, 2):
                bias = _added(node, readers, tensors)
                yield Group(node.input[1], ("dense",), _dense(node.input[1], True, bias))
            case "Gather" if _known(node, 0, tensors, 2):
                table = whole(node.input[0])
                yield Group(node.input[0], ("table",), {"table": table})
            case "Conv" if node.input[1] in tensors:
                bias = whole(node.input[2]) if len(node.input) > 2 else Sum()
                yield Group(node.input[1], ("conv",), {"W": whole(node.input[1]), "b": bias})


def _check_product(node: Any, settings: Mapping[str, Any]) -> None:
    for name, usual in (("alpha", 1.0), ("beta", 1.0)):
        if name in settings and settings[name].f != usual:
            raise ModelFileError(
                f"{node.name or node.op_type}: has {name} {settings[name].f:g}, which no layer here"
                " has; put it into the weights"
            )


def _known(node: Any, place: int, tensors: Tensors, axes: int) -> bool:
    name = node.input[place] if len(node.input) > place else ""
    return name in tensors and tensors[name].ndim == axes and tensors[name].dtype.kind == "f"


def _dense(name: str, turned: bool, bias: Sum) -> dict[str, Sum]:
    return {"W": whole(name, (1, 0) if turned else ()), "b": bias}


def _added(node: Any, readers: Mapping[str, list[Any]], tensors: Tensors) -> Sum:
    """The constant that the next operator adds to a product."""
    after = readers.get(node.output[0], [])
    if len(after) == 1 and after[0].op_type == "Add":
        for name in after[0].input:
            if name in tensors and tensors[name].ndim == 1:
                return whole(name)
    return Sum()


def _recurrent(node: Any, settings: Mapping[str, Any], tensors: Tensors) -> Iterator[Group]:
    """A group for each direction."""
    title = node.name or node.output[0]
    names = [*node.input, *[""] * (8 - len(node.input))]
    for name in names[1:4]:
        if name and name not in tensors:
            raise ModelFileError(f"{title}: its weight {name} is computed while the model answers")
    _check_settings(title, node.op_type, settings, names, tensors)
    units, family = settings["hidden_size"].i, RECURRENT.get(node.op_type, ("rnn", ""))[0]
    kinds = {
        "LSTM": ("lstm_peephole",) if names[7] else ("lstm",),
        "GRU": ("gru",) if _integer(settings, "linear_before_reset") else ("gru_reset_before",),
        "RNN": ("rnn_relu",) if _activations(settings)[:1] == ["relu"] else ("rnn",),
    }[node.op_type]
    directions = 2 if _direction(settings) == "bidirectional" else 1
    for at in range(directions):
        found = _matrices(names, units, at, family)
        turned = f"{title}.{'reverse' if at or _direction(settings) == 'reverse' else 'forward'}"
        group = recurrent_group("onnx", family, turned, kinds, units, found)
        peepholes = {
            f"p_{gate}": rows_of(names[7], place * units, (place + 1) * units, (at,))
            for place, gate in enumerate("iof")
        }
        yield Group(turned, kinds, {**group.parts, **(peepholes if names[7] else {})})


def _matrices(names: list[str], units: int, at: int, family: str) -> Matrices:
    """W and R `[directions, gates * units, …]`, B `[directions, 2 * gates * units]`."""
    rows = {"lstm": 4, "gru": 3, "rnn": 1}[family] * units
    before: tuple[Place, ...] = (at,)

    def biases(first: int, last: int) -> tuple[Sum, Sum]:
        if not names[3]:
            return Sum(), Sum()
        return (
            rows_of(names[3], first, last, before),
            Sum((Term(names[3], (at, (rows + first, rows + last))),)),
        )

    return Matrices(
        lambda first, last: rows_of(names[1], first, last, before),
        lambda first, last: rows_of(names[2], first, last, before),
        biases,
    )


def _check_settings(
    title: str, kind: str, settings: Mapping[str, Any], names: list[str], tensors: Tensors
) -> None:
    usual = RECURRENT[kind][1] if kind in RECURRENT else ""
    given = _activations(settings)
    per = len(usual.split()) or 1
    halves = {tuple(given[at : at + per]) for at in range(0, len(given), per)}
    fits = halves <= ({tuple(usual.split())} if usual else {("tanh",), ("relu",)})
    if not fits or len(halves) > 1:
        raise ModelFileError(f"{title}: has the activations {', '.join(given)}")
    for name in ("clip", "input_forget"):
        if name in settings and (settings[name].f or settings[name].i):
            raise ModelFileError(f"{title}: has the setting {name}, which no layer here has")
    for name in names[5:7]:
        if name in tensors and np.any(tensors[name]):
            raise ModelFileError(
                f"{title}: begins with the constant states {name}; import it with --map, whose"
                " layer has initial_state: learned"
            )


def _activations(settings: Mapping[str, Any]) -> list[str]:
    found = settings["activations"].strings if "activations" in settings else []
    return [each.decode().lower() for each in found]


def _direction(settings: Mapping[str, Any]) -> str:
    return settings["direction"].s.decode() if "direction" in settings else "forward"


def _integer(settings: Mapping[str, Any], name: str) -> int:
    return settings[name].i if name in settings else 0
