"""Kernels for tests: generic ones of cells, with weights and inputs, and those of torch itself."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rnnspec.cells import Cell, CellSource, compile_cell
from rnnspec.to_torch.generic import GenericKernel

INPUTS, UNITS = 3, 4


def cell(equations: str, *states: str, **more: object) -> Cell:
    return compile_cell(CellSource("own", states or ("h",), equations, **more))  # type: ignore[arg-type]


def kernel(of: Cell, seed: int = 0) -> GenericKernel:
    """In float64, with weights at which gates are neither idle nor saturated."""
    built = GenericKernel(of, of.sizes(INPUTS, UNITS, dict.fromkeys(of.own_sizes, 2))).double()
    generator = torch.Generator().manual_seed(seed)
    for parameter in built.parameters():
        parameter.data.normal_(0, 0.5, generator=generator)
    return built


def random_inputs(
    of: GenericKernel, length: int, rows: int, seed: int = 0
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The inputs of a sequence, and the states before it; all want a gradient."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    inputs = {"x": draw(length, rows, INPUTS)}
    inputs |= {name: draw(length, rows, 1) for name in of.cell.inputs}
    states = {n: draw(rows, of.sizes[of.cell.state_size(n)]) for n in of.cell.states}
    return inputs, states


def run(of: GenericKernel, inputs: dict[str, Tensor], states: dict[str, Tensor] | None) -> Tensor:
    """One number that all outputs and all states after the last step go into."""
    more = {name: value for name, value in inputs.items() if name != "x"}
    out, after = of(inputs["x"], states, more)
    return total(out, after)


def total(out: Tensor, after: Mapping[str, Tensor]) -> Tensor:
    weights = torch.linspace(0.5, 1.5, out.numel(), dtype=out.dtype).view_as(out)
    return (weights * out.sin()).sum() + sum(value.cos().sum() for value in after.values())


def lstm_of(weights: Mapping[str, Tensor], layer: str) -> nn.LSTM:
    """Torch's own LSTM, bidirectional, with the weights of a layer by their canonical names."""
    units, inputs = weights[f"{layer}.forward.W_i"].shape
    dtype = weights[f"{layer}.forward.W_i"].dtype
    lstm = nn.LSTM(inputs, units, bidirectional=True, dtype=dtype)
    for direction, suffix in (("forward", ""), ("reverse", "_reverse")):
        for ours, theirs in (("W", "weight_ih"), ("U", "weight_hh"), ("b", "bias_ih")):
            parts = [weights[f"{layer}.{direction}.{ours}_{gate}"] for gate in "ifgo"]
            getattr(lstm, f"{theirs}_l0{suffix}").data.copy_(torch.cat(parts))
        getattr(lstm, f"bias_hh_l0{suffix}").data.zero_()
    return lstm
