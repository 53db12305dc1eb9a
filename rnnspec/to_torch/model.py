"""A plan as an `nn.Module`: one module a node, run in the plan's order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnspec.errors import BuildError
from rnnspec.plan import Facts, Plan, nodes, weights
from rnnspec.to_torch import layers, stack
from rnnspec.to_torch.recurrent import RecurrentLayer
from rnnspec.to_torch.starts import drawn
from rnnspec.to_torch.steps import Lengths, Steps

Arrays = Mapping[str, NDArray[np.generic]]


class Model(nn.Module):
    """A trainable model. Weights are 0 until `start` or `load_canonical` fills them."""

    def __init__(self, plan: Plan, generic: bool = False) -> None:
        super().__init__()
        self.plan = plan
        self.parts = nn.ModuleDict({_key(n.name): _part(plan, n, generic) for n in plan.nodes})

    def forward(self, inputs: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """Scores by output column: `[B, classes]`, or scaled numbers `[B, width]`.

        `inputs` maps each input column to `(values, lengths)`: token numbers `[B, T]` int64 or
        frames `[B, T, width]`, and `[B]` int64; vectors are `[B, width]`, and their lengths are not
        looked at. T is at least 1, even where every row is empty.
        """
        return self._through(inputs, None)[0]

    def run(
        self, inputs: Mapping[str, tuple[Tensor, Tensor]], states: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """As `forward`, from the states before the first step to those after the last.

        States are `[B, width]` each, named `LAYER.STATE`, as `first_states` has them. Only a model
        that reads forward carries states (`carries`). Those of a row that ends before step T are
        arbitrary, and finite.
        """
        return self._through(inputs, states)

    @property
    def carries(self) -> bool:
        """Whether every recurrent layer reads forward, so that its states can be carried on."""
        layers = (n for n in self.plan.nodes if isinstance(n, nodes.Recurrent))
        return all(n.direction == "forward" and n.initial != "given" for n in layers)

    def first_states(self, rows: int) -> dict[str, Tensor]:
        """The states before the first step of a sequence: 0, or those that were learned."""
        return {
            f"{node.name}.{state}": value
            for node, part in self._recurrent()
            for state, value in part.first(rows).items()
        }

    def _recurrent(self) -> Iterator[tuple[nodes.Recurrent, RecurrentLayer]]:
        for node in self.plan.nodes:
            if isinstance(node, nodes.Recurrent):
                part = self.parts[_key(node.name)]
                assert isinstance(part, RecurrentLayer)
                yield node, part

    def _through(
        self, inputs: Mapping[str, tuple[Tensor, Tensor]], states: Mapping[str, Tensor] | None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Scores, and the states after the last step where those before the first are given."""
        values: dict[str, Steps | Tensor] = {}
        after: dict[str, Tensor] = {}
        for node in self.plan.nodes:
            part = self.parts[_key(node.name)]
            if isinstance(node, nodes.VectorInput):
                values[node.name] = part(inputs[node.column][0])
            elif isinstance(node, nodes.TokensInput | nodes.FramesInput | nodes.Elapsed):
                values[node.name] = part(_steps(*inputs[node.column]))
            elif isinstance(node, nodes.Recurrent) and states is not None:
                assert isinstance(part, RecurrentLayer)
                before = {state: states[f"{node.name}.{state}"] for state in node.cell.states}
                source, elapsed = values[node.source], values.get(node.elapsed)
                assert isinstance(source, Steps) and not isinstance(elapsed, Tensor)
                values[node.name], found = part.carry(source, before, elapsed)
                after |= {f"{node.name}.{state}": value for state, value in found.items()}
            elif isinstance(node, nodes.Recurrent):
                values[node.name] = part(
                    values[node.source],
                    values.get(node.elapsed),
                    [values.get(name) for name in node.given],
                )
            else:
                values[node.name] = part(*(values[source] for source in nodes.sources(node)))
        return {out.column: _tensor(values[out.name]) for out in self.plan.outputs}, after

    def output(self, column: str) -> layers.ClassOutput | layers.NumericOutput:
        """The module of the output of `column`, which turns scores into answers."""
        part = self.parts[_key(f"output.{column}")]
        assert isinstance(part, layers.ClassOutput | layers.NumericOutput)
        return part

    def answers(self, inputs: Mapping[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        """Probabilities `[B, classes]` or numbers `[B, width]` in the units of the data."""
        return {name: self.output(name).answer(v) for name, v in self.forward(inputs).items()}

    def penalties(self) -> Iterator[tuple[nn.Parameter, float]]:
        """Trained parameters of which a share counts in the loss: `l2 / 2` times the sum of their
        squares."""
        for node, part in self._recurrent():
            if node.l2:
                yield from ((p, node.l2) for p in part.kernels.parameters() if p.requires_grad)

    def canonical(self) -> Iterator[tuple[str, Tensor]]:
        """Canonical names and the tensors that hold them, sharing memory with the model."""
        for node in self.plan.nodes:
            part = self.parts[_key(node.name)]
            assert isinstance(part, layers.Weighted | RecurrentLayer)
            yield from ((f"{node.name}.{name}", value) for name, value in part.canonical())

    def canonical_arrays(self) -> dict[str, NDArray[np.floating]]:
        """A copy of all weights in canonical order."""
        held = {name: value.detach().cpu().numpy().copy() for name, value in self.canonical()}
        return {weight.name: held[weight.name] for weight in weights(self.plan)}

    @torch.no_grad()
    def load_canonical(self, arrays: Arrays) -> None:
        """Take all weights from `arrays`. Raises BuildError if names or shapes do not fit."""
        held = dict(self.canonical())
        expected = {weight.name: weight.shape for weight in weights(self.plan)}
        found = {name: tuple(array.shape) for name, array in arrays.items()}
        for name in sorted(expected.keys() | found.keys()):
            if expected.get(name) != found.get(name):
                raise BuildError(
                    f"the weights do not fit the plan: {name} should have shape"
                    f" {expected.get(name, 'none')}, found {found.get(name, 'none')}"
                )
        for name in expected:
            held[name].copy_(torch.as_tensor(np.asarray(arrays[name])))

    @torch.no_grad()
    def start(self, facts: Facts, seed: int) -> None:
        """Draw every weight as the plan says, from `seed`; the same on native and generic."""
        held = dict(self.canonical())
        generator = torch.Generator().manual_seed(seed)
        for weight in weights(self.plan):
            held[weight.name].copy_(drawn(weight, self.plan, facts, generator))


def _part(plan: Plan, node: nodes.Node, generic: bool) -> nn.Module:
    """The module of a node: the one place where node types and pooling kinds are listed."""
    match node:
        case nodes.TokensInput():
            return layers.Tokens(node)
        case nodes.FramesInput():
            return layers.Frames(node)
        case nodes.VectorInput():
            return layers.Vectors(node)
        case nodes.Elapsed():
            return layers.Elapsed(node)
        case nodes.Embed():
            return layers.Embed(node)
        case nodes.Dropout():
            return stack.Dropout(node)
        case nodes.Recurrent():
            return RecurrentLayer(node, generic)
        case nodes.Merge():
            return stack.Merge(node)
        case nodes.Normalize():
            return stack.Normalize(node)
        case nodes.Residual():
            return stack.Residual(node)
        case nodes.Highway():
            return stack.Highway(node)
        case nodes.Pool(kind="last"):
            return layers.PoolLast(node, nodes.directions_read(plan, node))
        case nodes.Pool(kind="mean"):
            return layers.PoolMean(node)
        case nodes.Pool(kind="max"):
            return layers.PoolMax(node)
        case nodes.Pool():
            return layers.PoolAttention(node)
        case nodes.Dense():
            return layers.Dense(node)
        case nodes.ClassOutput():
            return layers.ClassOutput(node)
        case nodes.NumericOutput():
            return layers.NumericOutput(node)


def _steps(padded: Tensor, lengths: Tensor) -> Steps:
    return Steps(padded.transpose(0, 1), Lengths(lengths, padded.shape[1]))


def _tensor(value: Steps | Tensor) -> Tensor:
    assert isinstance(value, Tensor)
    return value


def _key(name: str) -> str:
    """A node's name as a key of a ModuleDict, which allows no dots."""
    return name.replace(".", "/")
