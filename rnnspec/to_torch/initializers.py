"""The first values of weights: drawn by a seed, or taken from the facts of the data."""

from __future__ import annotations

from math import prod, sqrt

import torch
from torch import Tensor

from rnnspec.cells import initializers
from rnnspec.data.constants import constant_values
from rnnspec.data.pretrained import first_rows, fixed_rows, keyed, rows_of
from rnnspec.data.schemes import rules
from rnnspec.plan import Facts, NumericFacts, Plan, TextFacts, Weight, nodes
from rnnspec.plan.facts import constant_key
from rnnspec.plan.names import labels_of


def drawn(weight: Weight, plan: Plan, facts: Facts, generator: torch.Generator) -> Tensor:
    """A new tensor of the weight's shape, by the formulas of `rnnspec.cells.initializers`."""
    match weight.initializer:
        case nodes.Vectors(pad, init):
            vectors = _started(init, weight.shape, generator)
            if pad:
                vectors[0] = 0.0
            return vectors
        case nodes.FromVectors():
            return _from_vectors(weight, plan, facts, generator)
        case initializers.FromFile() as file:
            return _from_file(file, facts)
        case initializers.EachHead(initializers.FromFile() as file, heads):
            return torch.cat([_from_file(file, facts)] * heads)
        case nodes.FromData(what):
            return _from_data(what, weight, plan, facts)
        case init:
            return _started(init, weight.shape, generator)


def _started(
    init: initializers.Initializer, shape: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """Filters are a matrix of what one output reads; Glorot counts each input and output as often
    as a filter has places."""
    match init:
        case initializers.Uniform(bound):
            return _uniform(shape, generator) * bound
        case initializers.Normal(deviation):
            return torch.randn(shape, generator=generator) * deviation
        case initializers.Constant(value):
            return torch.full(shape, value)
        case initializers.Glorot():
            fans = sum(shape[:2]) * prod(shape[2:])
            return _uniform(shape, generator).mul(sqrt(6 / fans))
        case initializers.Orthogonal(gain):
            flat = (shape[0], prod(shape[1:]))
            return _orthogonal(flat, generator).view(shape) * gain
        case initializers.Identity(gain):
            return torch.eye(*shape) * gain
        case initializers.EachHead(start, heads):
            one = (shape[0] // heads, *shape[1:])
            return torch.cat([_started(start, one, generator) for _ in range(heads)])
        case initializers.Spectral(radius):
            matrix = _uniform(shape, generator)
            largest = torch.linalg.eigvals(matrix).abs().max().clamp(min=1e-12)
            return matrix.mul(radius / largest)
        case initializers.S4DReal():
            return torch.arange(1.0, shape[1] + 1).log().repeat(shape[0], 1)
        case initializers.Legendre(window):
            of_states, of_input = _legendre(shape[0], float(window))
            return of_states if len(shape) == 2 else of_input
        case initializers.FromFile(file):
            raise AssertionError(f"{file} is read where facts are")


def _from_file(of: initializers.FromFile, facts: Facts) -> Tensor:
    """As many numbers as the plan found there."""
    return torch.from_numpy(constant_values(facts.constants[constant_key(of.file, of.tensor)]))


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Within [-1, 1]."""
    return torch.rand(shape, generator=generator) * 2 - 1


def _orthogonal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """By the QR decomposition of a normal matrix; the diagonal of R decides the signs."""
    normal = torch.randn(max(shape), min(shape), generator=generator)
    q, r = torch.linalg.qr(normal)
    tall: Tensor = q * torch.where(r.diagonal() < 0, -1.0, 1.0)
    return tall if shape[0] >= shape[1] else tall.t().contiguous()


def _legendre(order: int, window: float) -> tuple[Tensor, Tensor]:
    """A and B of equations 3 and 4 of Voelker et al. (2019), over one step by zero-order hold: the
    exponential of [[A, B], [0, 0]] / window."""
    i, j = torch.meshgrid(torch.arange(order), torch.arange(order), indexing="ij")
    signs = torch.where(i < j, -torch.ones(()), (-1.0) ** (i - j + 1))
    whole = torch.zeros(order + 1, order + 1, dtype=torch.float64)
    scale = (2 * torch.arange(order) + 1).double()
    whole[:order, :order] = scale[:, None] * signs
    whole[:order, order] = scale * (-1.0) ** torch.arange(order)
    held = torch.linalg.matrix_exp(whole / window)
    return held[:order, :order].float(), held[:order, order].float()


def _from_vectors(weight: Weight, plan: Plan, facts: Facts, generator: torch.Generator) -> Tensor:
    node = plan.node(weight.name.rpartition(".")[0])
    assert isinstance(node, nodes.Embed)
    tokens = plan.node(node.source)
    while isinstance(tokens, nodes.Unnest):
        tokens = plan.node(tokens.source)
    assert isinstance(tokens, nodes.TokensInput | nodes.NestedInput)
    known = facts.inputs[tokens.column]
    assert isinstance(known, TextFacts)
    vectors = rows_of(known)
    places = keyed(vectors, tokens.kind, tokens.rule, tokens.fold_case)
    if not weight.trained:
        return torch.from_numpy(fixed_rows(known, vectors.values, places, node.half))
    drawn = torch.randn(weight.shape, generator=generator).numpy()
    return torch.from_numpy(first_rows(known, vectors.values, places, drawn))


def _from_data(what: str, weight: Weight, plan: Plan, facts: Facts) -> Tensor:
    node = plan.node(weight.name.rpartition(".")[0])
    if isinstance(node, nodes.ChainOutput):
        return torch.from_numpy(rules(labels_of(facts, node.column), node.scheme))
    assert isinstance(node, nodes.Input | nodes.Output | nodes.WindowMoments)
    # A forecast is scaled as its past.
    is_target = isinstance(node, nodes.Output) and not isinstance(node, nodes.ForecastOutput)
    column = (facts.outputs if is_target else facts.inputs)[node.column]
    assert isinstance(column, NumericFacts)
    values = list(column.deviation if what == "deviation" else column.mean)
    if isinstance(node, nodes.FramesInput) and node.elapsed is not None:
        del values[node.elapsed]
    exact = torch.tensor(values, dtype=torch.float64)
    rounded = exact.float()
    return (exact - rounded).float() if what == "rest" else rounded
