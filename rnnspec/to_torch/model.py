"""A plan as an `nn.Module`: one module a node, run in the plan's order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnspec.errors import BuildError
from rnnspec.plan import Facts, Plan, nodes, weights
from rnnspec.plan.names import first_sequence
from rnnspec.to_torch.decoder import Body
from rnnspec.to_torch.evaluate import (
    Inputs,
    Values,
    ends_read,
    last_known,
    last_value,
    of_characters,
    rows_of,
    sequence,
    values_of,
    vector,
)
from rnnspec.to_torch.forecast import ForecastOutput
from rnnspec.to_torch.initializers import drawn
from rnnspec.to_torch.modules import part_of
from rnnspec.to_torch.native import NativeKernel
from rnnspec.to_torch.outputs import (
    ClassOutput,
    LabelsOutput,
    NumericOutput,
    TextOutput,
    rows_first,
)
from rnnspec.to_torch.recurrent import RecurrentLayer
from rnnspec.to_torch.search import Texts
from rnnspec.to_torch.search import search as searched
from rnnspec.to_torch.teacher_forcing import forecast_scores, text_scores
from rnnspec.to_torch.weighted import Weighted

Arrays = Mapping[str, NDArray[np.generic]]
OutputPart = ClassOutput | LabelsOutput | NumericOutput | TextOutput | ForecastOutput


class Model(nn.Module):
    """A trainable model. Weights are 0 until `start` or `load_canonical` fills them."""

    def __init__(self, plan: Plan, generic: bool = False) -> None:
        super().__init__()
        self.plan = plan
        every = tuple(plan.every_node())
        self.parts = nn.ModuleDict({_key(n.name): part_of(plan, n, generic) for n in every})
        self._by_name = {node.name: self.parts[_key(node.name)] for node in every}
        self.bodies = {
            node.name: Body(node, {each.name: self._part(each) for each in node.body})
            for node in plan.nodes
            if isinstance(node, nodes.Decoder)
        }
        self.ends = ends_read(plan)
        self.of_characters = of_characters(plan)

    def forward(
        self,
        inputs: Inputs,
        targets: Mapping[str, Tensor] | None = None,
        teacher_forcing: float = 1.0,
    ) -> dict[str, Tensor]:
        """Scores by output column: `[B, classes]`, or scaled numbers `[B, width]`; of outputs with
        steps `[B, T, width]`, of texts `[B, U, size]` (log-probabilities `[B, U, size + T]` where
        tokens may be copied), of forecasts raw numbers `[B, H, k]`.

        `inputs` maps the key of each input to `(values, lengths)`: token numbers `[B, T]` int64,
        what may be copied `[B, T]`, characters `[B, T, C]` with lengths `[B, T]`, frames, keys or a
        series `[B, T, width]`, a category `[B]`, vectors `[B, width]`, values ahead `[B, H, 1]`;
        lengths are `[B]` int64, of categories and vectors not looked at. T is at least 1, even
        where every row is empty.

        A text needs its `targets` `[B, U]`: numbers, END_ID, then -1. Each step of it reads the
        true number before it with probability `teacher_forcing`, else the most probable one of the
        step before (Bengio et al. 2015, scheduled sampling; drawn by torch). A recursive forecast
        reads true values of `targets` `[B, H]` likewise, and its own answers where there are none.
        """
        values = self.values(inputs, None)[0]
        found: dict[str, Tensor] = {}
        for out in self.plan.outputs:
            truth = None if targets is None else targets.get(out.column)
            found[out.column] = self._scores(out, values, inputs, truth, teacher_forcing)
        return found

    def run(
        self, inputs: Inputs, states: Mapping[str, Tensor], reset: Tensor | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """As `forward`, from the states before the first step to those after the last.

        States are `[B, width]` each, named `LAYER.STATE`, as `first_states` has them. Where a row
        begins a sequence, as `reset` `[B]` says, those that a column of the row gives are read
        instead. Only a model that reads forward and has no decoder carries states (`carries`).
        Those of a row that ends before step T are arbitrary.
        """
        values, after = self.values(inputs, states, reset)
        return {
            o.column: self._scores(o, values, inputs, None, 1.0) for o in self.plan.outputs
        }, after

    def answers(
        self,
        inputs: Inputs,
        seeds: Tensor | None = None,
        search: nodes.Search | None = None,
    ) -> dict[str, Tensor | Texts]:
        """Probabilities `[B, classes]`, numbers `[B, width]` and the parameters of a forecast
        `[B, H, k]` in the units of the data; of outputs with steps `[B, T, width]`, past a row's
        length arbitrary; of texts what the search found. `seeds` `[B]` int64 are those of the rows
        where answers are drawn, 0 if None; `search` takes the place of the plan's."""
        values = self.values(inputs, None)[0]
        found: dict[str, Tensor | Texts] = {}
        for out in self.plan.outputs:
            if isinstance(out, nodes.TextOutput):
                chosen = out if search is None else replace(out, search=search)
                found[out.column] = self._text(chosen, values, inputs, seeds)
                continue
            scores, part = self._scores(out, values, inputs, None, 1.0), self.output(out.column)
            if isinstance(part, ForecastOutput):
                found[out.column] = part.answer(scores, self._moments(out, values))
            else:
                assert not isinstance(part, TextOutput)
                found[out.column] = part.answer(scores)
        return found

    def moments(self, column: str, inputs: Inputs) -> Tensor | None:
        """Centre and scale `[B, 2]` of each row's window, by which the forecast of `column` is
        scaled; None if it is not scaled by windows. What a loss needs beside the scores."""
        out = next(o for o in self.plan.outputs if o.column == column)
        if not isinstance(out, nodes.ForecastOutput) or not out.moments:
            return None
        node = self.plan.node(out.moments)
        assert isinstance(node, nodes.WindowMoments)
        found: Tensor = self._part(node)(*inputs[node.key])
        return found

    def output(self, column: str) -> OutputPart:
        """The module of the output of `column`, which turns scores into answers."""
        part = self.parts[_key(f"output.{column}")]
        assert isinstance(part, OutputPart)
        return part

    @property
    def carries(self) -> bool:
        """Whether every recurrent layer reads forward, so that its states can be carried on."""
        forward = all(node.direction == "forward" for node, _ in self._carried())
        return forward and not self.bodies

    def first_states(self, rows: int) -> dict[str, Tensor]:
        """The states before the first step of a sequence: 0, or those that were learned. 0 stands
        for those that a column of the row gives. Of inputs whose last known value stands for
        missing ones, NaN."""
        found = {
            f"{node.name}.{state}": value
            for node, part in self._carried()
            for state, value in part.first(rows).items()
        }
        like = next(self.parameters())
        for node in self.plan.nodes:
            if name := last_known(node):
                width = node.features if isinstance(node, nodes.FramesInput) else 1
                found[name] = like.new_full((rows, width), math.nan)
        return found

    def _carried(self) -> Iterator[tuple[nodes.Recurrent, RecurrentLayer]]:
        """The layers over the steps of a row."""
        return ((n, part) for n, part in self._recurrent() if n.name not in self.of_characters)

    def _recurrent(self) -> Iterator[tuple[nodes.Recurrent, RecurrentLayer]]:
        for node in self.plan.every_node():
            if isinstance(node, nodes.Recurrent):
                part = self.parts[_key(node.name)]
                assert isinstance(part, RecurrentLayer)
                yield node, part

    def native_kernels(self) -> Iterator[tuple[str, NativeKernel]]:
        """torch's own kernels by `LAYER.DIRECTION`."""
        for node, part in self._recurrent():
            for direction, kernel in zip(node.directions, part.kernels, strict=True):
                if isinstance(kernel, NativeKernel):
                    yield f"{node.name}.{direction}", kernel

    def packed_below(self) -> dict[str, float]:
        """As `pack_below` takes it, of the kernels that pack."""
        return {name: k.packed_below for name, k in self.native_kernels() if k.packed_below}

    def pack_below(self, shares: Mapping[str, float]) -> None:
        """Give native kernels the shares of real steps below which they pack a batch: by name, 0 if
        not named. Answers differ by rounding alone."""
        for name, kernel in self.native_kernels():
            kernel.packed_below = shares.get(name, 0.0)

    def values(
        self,
        inputs: Inputs,
        states: Mapping[str, Tensor] | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Values, dict[str, Tensor]]:
        """The values of all nodes but decoders and outputs, and the states after the last step
        where those before the first are given: what forward, answers and searches start from."""
        return values_of(self.plan, self._part, self.ends, inputs, states, reset)

    def _part(self, node: nodes.Node) -> nn.Module:
        return self._by_name[node.name]

    def _scores(
        self,
        out: nodes.Output,
        values: Values,
        inputs: Inputs,
        truth: Tensor | None,
        teacher_forcing: float,
    ) -> Tensor:
        part = self._part(out)
        if out.source not in self.bodies:
            scores: Tensor = part(values[out.source])
            return scores
        body = self.bodies[out.source]
        reads = body.reads(values, rows_of(inputs))
        if isinstance(out, nodes.TextOutput):
            assert truth is not None, f"the scores of {out.column} need its targets"
            return rows_first(text_scores(body, reads, truth, teacher_forcing))
        assert isinstance(part, ForecastOutput)
        moments, past = self._moments(out, values), body.first_node
        assert isinstance(past, nodes.PreviousNumber)
        last = last_value(sequence(values[past.source]))
        raw = forecast_scores(body, reads, part, last, moments, truth, teacher_forcing)
        return part.forward(raw)

    def _moments(self, out: nodes.Output, values: Values) -> Tensor | None:
        name = out.moments if isinstance(out, nodes.ForecastOutput) else ""
        return vector(values[name]) if name else None

    def _text(
        self, out: nodes.TextOutput, values: Values, inputs: Inputs, seeds: Tensor | None
    ) -> Texts:
        body, first = self.bodies[out.source], first_sequence(self.plan)
        lengths = None if first is None else inputs[first.key][1]
        prompt = sequence(values[out.prompt]) if out.prompt else None
        return searched(body, body.reads(values, rows_of(inputs)), out, lengths, prompt, seeds)

    def penalties(self) -> Iterator[tuple[nn.Parameter, float]]:
        """Trained parameters of which a share counts in the loss: `l2 / 2` times the sum of their
        squares."""
        for node, part in self._recurrent():
            if node.l2:
                yield from ((p, node.l2) for p in part.kernels.parameters() if p.requires_grad)

    def decaying(self) -> Iterator[nn.Parameter]:
        """The trained matrices, without those of nodes that do not decay."""
        kept = set[nn.Parameter]()
        for node in self.plan.every_node():
            kept.update(() if node.decays else self._part(node).parameters())
        return (p for p in self.parameters() if p.requires_grad and p.dim() > 1 and p not in kept)

    def canonical(self) -> Iterator[tuple[str, Tensor]]:
        """Canonical names and the tensors that hold them, sharing memory with the model."""
        for node in self.plan.every_node():
            part = self._part(node)
            assert isinstance(part, Weighted | RecurrentLayer)
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


def _key(name: str) -> str:
    """A node's name as a key of a ModuleDict, which allows no dots."""
    return name.replace(".", "/")
