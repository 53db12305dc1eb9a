"""A plan as an `nn.Module`: one module per node, run in the order of the plan."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rnnspec.errors import BuildError
from rnnspec.plan import Facts, Plan, nodes, weights
from rnnspec.to_torch import alignment, outputs, transducer
from rnnspec.to_torch.activity import activity, penalized
from rnnspec.to_torch.chain import ChainOutput, Paths
from rnnspec.to_torch.convolution import Conv
from rnnspec.to_torch.decoded import (
    input_of,
    last_values,
    lengths_of,
    moments_of,
    seeds_of,
    steps_of,
    text_of,
)
from rnnspec.to_torch.decoder import Body
from rnnspec.to_torch.frame_paths import Asked, drawn_frames, of_paths
from rnnspec.to_torch.frames import (
    FramePaths,
    Frames,
    FramesOutput,
    raw_frames,
    true_lengths,
    write,
)
from rnnspec.to_torch.initializers import drawn
from rnnspec.to_torch.length_groups import insides
from rnnspec.to_torch.modules import module_of
from rnnspec.to_torch.native import NativeKernel
from rnnspec.to_torch.positions import PositionOutput, Positions
from rnnspec.to_torch.recurrent import RecurrentLayer
from rnnspec.to_torch.sample_paths import Drawn, drawn_paths, quantiles_over
from rnnspec.to_torch.search import Texts
from rnnspec.to_torch.sequences import PaddedSequence, sequence, vector
from rnnspec.to_torch.teacher_forcing import Ahead, raw_forecast, text_logits
from rnnspec.to_torch.values import (
    Inputs,
    Values,
    ends_read,
    inputs_before,
    last_known,
    of_characters,
    rows_of,
    spent_after,
    values_of,
)
from rnnspec.to_torch.weighted import Weighted

Arrays = Mapping[str, NDArray[np.generic]]
OutputModule = outputs.OutputModule | ChainOutput | FramesOutput | PositionOutput


class Model(nn.Module):
    """A trainable model. Weights are 0 until `start` or `load_canonical` sets them."""

    def __init__(self, plan: Plan, generic: bool = False) -> None:
        super().__init__()
        self.plan = plan
        every = tuple(plan.every_node())
        own = [node for node in every if not node.same_as]
        self.parts = nn.ModuleDict({_key(n.name): module_of(plan, n, generic) for n in own})
        self._by_name = {node.name: self.parts[_key(node.same_as or node.name)] for node in every}
        self.bodies = {
            node.name: Body(node, {each.name: self._module(each) for each in node.body})
            for node in plan.nodes
            if isinstance(node, nodes.Decoder)
        }
        self.ends = ends_read(plan)
        self.penalized = penalized(plan)
        self.activity: Tensor | None = None
        self.of_characters = of_characters(plan)
        penalties = [node.name for node in self.penalized]
        norms = (node.name for node in plan.nodes if isinstance(node, nodes.BatchNorm))
        self.inside = insides(plan, penalties)
        self.inside_trained = insides(plan, [*penalties, *norms])  # which need the whole batch
        self.spent = spent_after(plan, [*penalties, *(f"{name}.dropout" for name in penalties)])

    def forward(
        self,
        inputs: Inputs,
        targets: Mapping[str, Tensor] | None = None,
        teacher_forcing: float = 1.0,
    ) -> dict[str, Tensor]:
        """What a loss takes, by output column: logits `[B, classes]`, or scaled numbers
        `[B, width]`; with steps `[B, T, width]`; for texts `[B, U, size]` (log-probabilities
        `[B, U, size + T]` if tokens may be copied); for texts by CTC log-probabilities
        `[B, T, size]`, of the blank alone past a row's length; for texts by a transducer those of
        the blank and the next true token, `[B, T, U, 2]`; for forecasts raw numbers `[B, H, k]`;
        for frames that a decoder writes raw numbers `[B, U, k]` in the order of writing, of a
        learned length one step more than `targets`. Steps of a text that is read from its end stand
        in the order of reading, those of `answers` in that of the text.

        `inputs` maps the key of each input to `(values, lengths)`: token numbers `[B, T]` int64,
        numbers to copy `[B, T]`, nested ones `[B, T, E]`, characters `[B, T, C]` with lengths
        `[B, T]`, frames, keys or a series `[B, T, width]`, a category `[B]`, vectors `[B, width]`,
        values ahead `[B, H, 1]`. Lengths are `[B]` int64; those of categories and
        vectors are not read. T is at least 1, even if every row is empty.

        A text needs its `targets` `[B, U]`: numbers, END_ID, then -1. Each step reads the true
        number before it with probability `teacher_forcing`, else the most probable one of the step
        before (scheduled sampling, Bengio et al. 2015; drawn by torch). A recursive forecast reads
        the true values `[B, H]` of `targets` likewise, and its own answers where they are missing,
        a decoder of frames those `[B, U, width]`, NaN past the end.
        """
        values = self.values(inputs, None)[0]
        found: dict[str, Tensor] = {}
        for out in self.plan.targets:
            found[out.column] = self._logits(out, values, inputs, targets or {}, teacher_forcing)
        return found

    def scores(self, column: str, inputs: Inputs) -> Tensor:
        """What `forward` gives of one output, which no target is needed for."""
        out = next(each for each in self.plan.outputs if each.column == column)
        return self._logits(out, self.values(inputs, None)[0], inputs, {}, 1.0)

    def run(
        self, inputs: Inputs, states: Mapping[str, Tensor], reset: Tensor | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """As `forward`, from the states before the first step; also returns those after the last.

        States are `[B, width]` each, named `LAYER.STATE` as in `first_states`. Rows where `reset`
        `[B]` is set begin a sequence: states that a column gives are taken from the row instead.
        Only a model that reads forward and has no decoder carries states (`carries`). The states of
        a row that ends before step T are arbitrary.
        """
        values, after = self.values(inputs, states, reset)
        return {
            o.column: self._logits(o, values, inputs, {}, 1.0) for o in self.plan.targets
        }, after

    def answers(
        self,
        inputs: Inputs,
        seeds: Tensor | None = None,
        search: nodes.AnySearch | None = None,
        aligned: bool = False,
    ) -> dict[str, Tensor | Paths | Texts | Frames | Positions]:
        """Probabilities `[B, classes]`; numbers `[B, width]` and the parameters `[B, H, k]` of a
        forecast in the units of the data, or the quantiles over its paths; with steps
        `[B, T, width]`, arbitrary past a row's length; for chains of labels their paths; for
        positions these; for texts what the search found; for frames that a decoder writes these.
        `seeds` `[B]` int64 are those of the rows, 0 if None, for answers that are drawn; `search`
        replaces the plan's. `aligned`: texts along steps have those of their tokens."""
        values = self.values(inputs, None)[0]
        found: dict[str, Tensor | Paths | Texts | Frames | Positions] = {}
        drawn = self._paths(values, inputs, seeds)
        for out in self.plan.outputs:
            if isinstance(out, nodes.ForecastOutput) and out.paths:
                found[out.column] = quantiles_over(drawn[out.column], out.quantiles)
                continue
            if isinstance(out, nodes.SearchedOutput):
                assert search is None or isinstance(search, nodes.Search)
                chosen = out if search is None else replace(out, search=search)
                body, steps = self.bodies[out.source], steps_of(self.plan, inputs)
                found[out.column] = text_of(body, chosen, values, rows_of(inputs), steps, seeds)
                continue
            if isinstance(out, nodes.FramesOutput):
                found[out.column] = self._frames(out, values, inputs, seeds)
                continue
            if isinstance(out, nodes.CtcOutput):
                assert search is None or isinstance(search, nodes.CtcSearch)
                logs = self._logits(out, values, inputs, {}, 1.0)
                found[out.column] = alignment.read(logs, search or out.search, aligned)
                continue
            if isinstance(out, nodes.TransducerOutput):
                assert search is None or isinstance(search, nodes.TransducerSearch)
                found[out.column] = self._transduced(
                    out, search or out.search, values, inputs, aligned
                )
                continue
            logits, module = self._logits(out, values, inputs, {}, 1.0), self.output(out.column)
            if isinstance(module, outputs.ForecastOutput):
                base = vector(values[module.node.base]) if module.node.base else None
                found[out.column] = module.answer(logits, moments_of(out, values), base)
            elif isinstance(module, ChainOutput):
                lengths = sequence(values[out.source]).lengths.of_rows
                found[out.column] = module.answer(logits, lengths)
            elif isinstance(module, PositionOutput):
                found[out.column] = module.answer(logits)
            else:
                assert not isinstance(
                    module,
                    outputs.TextOutput
                    | outputs.CtcOutput
                    | outputs.TransducerOutput
                    | FramesOutput,
                )
                answer = module.answer(logits)
                if isinstance(out, nodes.ClassOutput | nodes.StatesOutput) and out.reverse:
                    answer = outputs.in_order(answer, sequence(values[out.source]).lengths)
                found[out.column] = answer
        return found

    def moments(self, column: str, inputs: Inputs) -> Tensor | None:
        """Centre and scale `[B, 2]` of each row's window, which a loss needs if the forecast of
        `column` is scaled by windows; else None."""
        out = next(o for o in self.plan.outputs if o.column == column)
        if not isinstance(out, nodes.ForecastOutput) or not out.moments:
            return None
        node = self.plan.node(out.moments)
        assert isinstance(node, nodes.WindowMoments)
        found: Tensor = self._module(node)(*inputs[node.key])
        return found

    def base(self, column: str, inputs: Inputs) -> Tensor | None:
        """The last values `[B, K]` that a forecast of `column` is summed up from, which a loss
        needs if it is answered as differences; else None."""
        out = next(o for o in self.plan.outputs if o.column == column)
        if not isinstance(out, nodes.ForecastOutput) or not out.base:
            return None
        node = self.plan.node(out.base)
        assert isinstance(node, nodes.LastValues)
        found: Tensor = self._module(node)(*inputs[node.key])
        return found

    def output(self, column: str) -> OutputModule:
        """The module of the output of `column`, which turns logits into answers."""
        module = self._by_name[f"output.{column}"]
        assert isinstance(module, OutputModule)
        return module

    def named_parts(self) -> Iterator[tuple[str, nn.Module]]:
        """The module of each node of the plan, those inside decoders too, by the node's name; one
        that nodes share by the name of the first."""
        yield from ((n.name, self._module(n)) for n in self.plan.every_node() if not n.same_as)

    @property
    def carries(self) -> bool:
        """Whether states can be carried from window to window: no value at a step depends on later
        steps, and there is no decoder."""
        steps = (n for n in self.plan.nodes if n.name not in self.of_characters)
        return all(node.carried() is not None for node in steps) and not self.bodies

    def first_states(self, rows: int) -> dict[str, Tensor]:
        """The states before the first step of a sequence: the learned ones, else 0, also for those
        that a column of the row gives. The last known values of inputs are NaN."""
        found = {
            f"{node.name}.{state}": value
            for node, module in self._carried()
            for state, value in module.first(rows).items()
        }
        like = next(self.parameters())
        for node in self.plan.nodes:
            if left := inputs_before(node):
                module = self._module(node)
                assert isinstance(module, Conv)
                found[left] = module.first(rows)
            if name := last_known(node):
                width = node.features if isinstance(node, nodes.FramesInput) else 1
                found[name] = like.new_full((rows, width), math.nan)
        return found

    def _carried(self) -> Iterator[tuple[nodes.Recurrent, RecurrentLayer]]:
        """The layers over the steps of a row."""
        return ((n, module) for n, module in self._recurrent() if n.name not in self.of_characters)

    def _recurrent(self) -> Iterator[tuple[nodes.Recurrent, RecurrentLayer]]:
        for node in self.plan.every_node():
            if isinstance(node, nodes.Recurrent):
                module = self._by_name[node.name]
                assert isinstance(module, RecurrentLayer)
                yield node, module

    def native_kernels(self) -> Iterator[tuple[str, NativeKernel]]:
        """torch's own kernels by `LAYER.DIRECTION`."""
        for node, module in self._recurrent():
            for direction, kernel in zip(node.directions, module.kernels, strict=True):
                if isinstance(kernel, NativeKernel):
                    yield f"{node.name}.{direction}", kernel

    def packed_below(self) -> dict[str, float]:
        """The shares of `pack_below`, of the kernels that pack."""
        return {name: k.packed_below for name, k in self.native_kernels() if k.packed_below}

    def pack_below(self, shares: Mapping[str, float]) -> None:
        """Set the share of real steps below which a native kernel packs a batch, by name; 0 for the
        others. Answers differ by rounding only."""
        for name, kernel in self.native_kernels():
            kernel.packed_below = shares.get(name, 0.0)

    def values(
        self,
        inputs: Inputs,
        states: Mapping[str, Tensor] | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Values, dict[str, Tensor]]:
        """The values of all nodes except decoders and outputs and, if the states before the first
        step are given, those after the last. While training, `activity` is what they add to the
        loss. Values that no decoder and no output reads are not kept."""
        ends, spent = self.ends, self.spent
        inside = self.inside_trained if self.training else self.inside
        found = values_of(self.plan, self._module, ends, inputs, states, reset, inside, spent)
        self.activity = activity(self.penalized, found[0]) if self.training else None
        return found

    def _module(self, node: nodes.Node) -> nn.Module:
        return self._by_name[node.name]

    def _logits(
        self,
        out: nodes.Output,
        values: Values,
        inputs: Inputs,
        targets: Mapping[str, Tensor],
        teacher_forcing: float,
    ) -> Tensor:
        """What `forward` gives of one output. The raw numbers of a decoder of forecasts join the
        values, so that several forecasts are of one run."""
        module, truth = self._module(out), targets.get(out.column)
        if isinstance(out, nodes.TransducerOutput):
            assert truth is not None, f"the loss of {out.column} needs its targets"
            assert isinstance(module, outputs.TransducerOutput)
            body, steps = self.bodies[out.decoder], sequence(values[out.source])
            return transducer.arc_logs(
                module, body, body.reads(values, rows_of(inputs)), steps, truth
            )
        if out.source not in self.bodies:
            logits: Tensor = module(values[out.source])
            return logits
        if isinstance(out, nodes.ForecastOutput):
            if out.source not in values:
                values[out.source] = self._ahead(
                    out.source, values, inputs, targets, teacher_forcing
                )
            raw: Tensor = module(values[out.source])
            return raw
        body = self.bodies[out.source]
        reads = body.reads(values, rows_of(inputs))
        if isinstance(out, nodes.SearchedOutput):
            assert truth is not None, f"the logits of {out.column} need its targets"
            return outputs.rows_first(text_logits(body, reads, truth, teacher_forcing))
        assert isinstance(out, nodes.FramesOutput) and isinstance(module, FramesOutput)
        assert truth is not None, f"the raw numbers of {out.column} need its targets"
        lengths = self.true_lengths(out, inputs, truth)
        frames = raw_frames(body, reads, module, truth, lengths, teacher_forcing)
        return frames.transpose(0, 1)

    def _ahead(
        self,
        decoder: str,
        values: Values,
        inputs: Inputs,
        targets: Mapping[str, Tensor],
        teacher_forcing: float,
    ) -> PaddedSequence:
        """The raw numbers `[H, B, W]` of all forecasts of a decoder."""
        body = self.bodies[decoder]
        ahead = [
            Ahead(self._forecast(out), moments_of(out, values), targets.get(out.column))
            for out in self.plan.outputs
            if isinstance(out, nodes.ForecastOutput) and out.source == decoder
        ]
        reads = body.reads(values, rows_of(inputs))
        return raw_forecast(body, reads, ahead, last_values(body, values), teacher_forcing)

    @torch.no_grad()
    def paths(
        self,
        inputs: Inputs,
        seeds: Tensor | None = None,
        given: Mapping[str, Tensor] | None = None,
        shift: float = 0.0,
    ) -> dict[str, Tensor]:
        """The paths `[B, S, H]` of forecasts, by column, drawn with the `seeds` `[B]` of the rows,
        0 if None; each step after the steps before it of the paths `given`, if there are any.
        `shift` is added to the uniform draws."""
        return self._paths(self.values(inputs)[0], inputs, seeds, given, shift)

    def _paths(
        self,
        values: Values,
        inputs: Inputs,
        seeds: Tensor | None,
        given: Mapping[str, Tensor] | None = None,
        shift: float = 0.0,
    ) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for decoder, body in self.bodies.items():
            ahead = {
                out.column: Drawn(self._forecast(out), moments_of(out, values), seed, shift)
                for out, seed in zip(
                    self.plan.outputs, seeds_of(self.plan, inputs, seeds, self._device), strict=True
                )
                if isinstance(out, nodes.ForecastOutput) and out.paths and out.source == decoder
            }
            if ahead:
                reads, of = body.reads(values, rows_of(inputs)), list(ahead.values())
                told = None if given is None else [given[column] for column in ahead]
                drawn = drawn_paths(body, reads, of, last_values(body, values), told)
                found |= dict(zip(ahead, drawn, strict=True))
        return found

    @property
    def _device(self) -> torch.device:
        return next(self.parameters()).device

    def _forecast(self, out: nodes.ForecastOutput) -> outputs.ForecastOutput:
        module = self._module(out)
        assert isinstance(module, outputs.ForecastOutput)
        return module

    def true_lengths(self, out: nodes.FramesOutput, inputs: Inputs, truth: Tensor) -> Tensor:
        """The frames `[B]` of rows with the targets `truth` of an output that writes frames."""
        return true_lengths(out, truth, steps_of(self.plan, inputs))

    def frames(
        self, column: str, inputs: Inputs, seeds: Tensor | None = None, drawn: bool = True
    ) -> Frames:
        """What `answers` gives of frames that are written; of paths that are not `drawn` what is
        written after the point answers."""
        module = self.output(column)
        assert isinstance(module, FramesOutput)
        out = module.node if drawn else replace(module.node, paths=0)
        return self._frames(out, self.values(inputs)[0], inputs, seeds)

    def _frames(
        self, out: nodes.FramesOutput, values: Values, inputs: Inputs, seeds: Tensor | None
    ) -> Frames:
        module, body = self._module(out), self.bodies[out.source]
        assert isinstance(module, FramesOutput)
        given = inputs[input_of(self.plan, out.read).key][0] if out.read else None
        if out.paths:
            asked = self._asked(out, values, inputs, seeds)
            return of_paths(module, drawn_frames(body, module, asked), given)
        lengths, limits = lengths_of(self.plan, out, inputs, self.bodies[out.source].device)
        return write(body, body.reads(values, rows_of(inputs)), module, lengths, limits, given)

    def frame_paths(
        self, column: str, inputs: Inputs, seeds: Tensor, given: FramePaths, shift: float = 0.0
    ) -> FramePaths:
        """The paths of frames that are drawn with the `seeds` `[B]` of the rows, each step after
        the steps before it of the paths `given`. `shift` is added to the uniform draws."""
        module = self.output(column)
        assert isinstance(module, FramesOutput)
        asked = self._asked(module.node, self.values(inputs)[0], inputs, seeds)
        asked = replace(asked, shift=shift)
        return drawn_frames(self.bodies[module.node.source], module, asked, given)

    def of_frame_paths(self, column: str, inputs: Inputs, paths: FramePaths) -> Frames:
        """What is answered of paths of frames."""
        module = self.output(column)
        assert isinstance(module, FramesOutput)
        read = module.node.read
        return of_paths(module, paths, inputs[input_of(self.plan, read).key][0] if read else None)

    def _asked(
        self, out: nodes.FramesOutput, values: Values, inputs: Inputs, seeds: Tensor | None
    ) -> Asked:
        reads = self.bodies[out.source].reads(values, rows_of(inputs))
        of_outputs = tuple(seeds_of(self.plan, inputs, seeds, self._device))
        seeds = of_outputs[self.plan.outputs.index(out)]
        return Asked(
            reads, *lengths_of(self.plan, out, inputs, self.bodies[out.source].device), seeds
        )

    def _transduced(
        self,
        out: nodes.TransducerOutput,
        search: nodes.TransducerSearch,
        values: Values,
        inputs: Inputs,
        aligned: bool,
    ) -> Texts:
        module, body = self._module(out), self.bodies[out.decoder]
        assert isinstance(module, outputs.TransducerOutput)
        reads, steps = body.reads(values, rows_of(inputs)), sequence(values[out.source])
        return transducer.read(module, body, reads, steps, search, aligned)

    def freeze(self, names: Collection[str]) -> None:
        """Take the weights of these nodes out of training: no gradient, and no moments of a norm
        follow the rows."""
        for name in names:
            self._by_name[name].requires_grad_(False)

    def penalties(self) -> Iterator[tuple[nn.Parameter, float]]:
        """Trained parameters with `l2`; `l2 / 2` times the sum of their squares is part of the
        loss."""
        for node, module in self._recurrent():
            if node.l2 and not node.same_as:
                yield from ((p, node.l2) for p in module.kernels.parameters() if p.requires_grad)

    def decaying(self) -> Iterator[nn.Parameter]:
        """The trained matrices, without those of nodes that do not decay."""
        kept = set[nn.Parameter]()
        for node in self.plan.every_node():
            kept.update(() if node.decays else self._module(node).parameters())
        return (p for p in self.parameters() if p.requires_grad and p.dim() > 1 and p not in kept)

    def canonical(self) -> Iterator[tuple[str, Tensor]]:
        """Canonical names of all weights, and the tensors that hold them in the model."""
        for node in self.plan.every_node():
            if node.same_as:
                continue
            module = self._module(node)
            assert isinstance(module, Weighted | RecurrentLayer)
            yield from ((f"{node.name}.{name}", value) for name, value in module.canonical())

    def canonical_arrays(self) -> dict[str, NDArray[np.floating]]:
        """A copy of all weights in canonical order."""
        held = {name: value.detach().cpu().numpy().copy() for name, value in self.canonical()}
        return {weight.name: held[weight.name] for weight in weights(self.plan)}

    @torch.no_grad()
    def load_canonical(self, arrays: Arrays) -> None:
        """Copy all weights from `arrays`. Raises BuildError if names or shapes do not fit."""
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
        """Initialize every weight as the plan says, from `seed`; the same on native and generic
        kernels."""
        held = dict(self.canonical())
        generator = torch.Generator().manual_seed(seed)
        for weight in weights(self.plan):
            held[weight.name].copy_(drawn(weight, self.plan, facts, generator))


def _key(name: str) -> str:
    """A node's name as a key of a ModuleDict, which allows no dots."""
    return name.replace(".", "/")
