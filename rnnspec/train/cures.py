"""Remedies for gradients that vanish or explode, which the plan does not have already."""

from __future__ import annotations

from rnnspec.cells.graph import Cell, parameter_roles
from rnnspec.cells.initializers import Constant, Orthogonal
from rnnspec.plan import Plan
from rnnspec.plan.nodes import Pool, Recurrent
from rnnspec.spec import Train

LEAST_BIAS = 1.0
"""Bias of a forget gate that begins open: Jozefowicz, Zaremba and Sutskever (2015), section 4."""


def cure_of(plan: Plan, settings: Train, sign: str, layer: str) -> str:
    """The remedy for "exploding" or "vanishing" gradients of a layer, by its plan name, or for
    "large" ones of any layer."""
    if sign == "vanishing":
        return _either(_of_cell(_layer(plan, layer)), _of_pooling(plan))
    if sign == "exploding":
        node = _layer(plan, layer)
        return _either(_clipped(settings), _orthogonal(node) if node else "")
    name, lr = settings.optimizer.name, settings.optimizer.lr
    return _either(
        f"set train.optimizer.{name}.lr lower than {lr:g}", any_orthogonal(plan), "scale the data"
    )


def any_orthogonal(plan: Plan) -> str:
    """The remedy of orthogonal recurrent weights; empty where all layers start with them."""
    return next(filter(None, map(_orthogonal, _layers(plan))), "")


def _layers(plan: Plan) -> list[Recurrent]:
    return [node for node in plan.every_node() if isinstance(node, Recurrent)]


def _layer(plan: Plan, name: str) -> Recurrent | None:
    return next((node for node in _layers(plan) if node.name == name), None)


def _either(*ways: str) -> str:
    *others, last = filter(None, ways)
    return f"{', '.join(others)} or {last}" if others else last


def _of_cell(node: Recurrent | None) -> str:
    if node is None or not _is_gated(node.cell):
        return "use a gated cell (lstm, gru)"
    if "b_f" not in node.cell.parameters or "b_f" in {*node.cell.starts, *node.cell.fixed}:
        return f"use cell: lstm with forget_bias: {LEAST_BIAS:g} in its place"
    start = dict(node.initializers).get("b_f")
    if isinstance(start, Constant) and start.value >= LEAST_BIAS:
        return f"set forget_bias of the layer higher than {start.value:g}"
    return f"set forget_bias of the layer to {LEAST_BIAS:g} or more"


def _is_gated(cell: Cell) -> bool:
    """Whether a gate between 0 and 1 scales a state."""
    return any(node.op in ("sigmoid", "hard_sigmoid") for node in cell.graph.nodes)


def _of_pooling(plan: Plan) -> str:
    if any(isinstance(node, Pool) and node.kind == "last" for node in plan.every_node()):
        return "set pooling to mean, max or attention, which see all steps"
    return ""


def _clipped(settings: Train) -> str:
    if settings.clip_norm is None:
        return "set train.clip_norm to 1"
    return f"set train.clip_norm smaller than {settings.clip_norm:g}"


def _orthogonal(node: Recurrent) -> str:
    """The remedy where the cell leaves open how all of its recurrent matrices start."""
    cell, starts = node.cell, dict(node.initializers)
    roles = parameter_roles(cell)
    names = [n for n, role in roles.items() if role == "recurrent" and n not in cell.starts]
    matrices = all(len(cell.parameters[name]) == 2 for name in names)
    done = all(isinstance(starts.get(name), Orthogonal) for name in names)
    if not names or not matrices or done:
        return ""
    return "start recurrent weights orthogonal (init: {recurrent: orthogonal} of the layer)"
