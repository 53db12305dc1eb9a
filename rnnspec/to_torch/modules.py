"""The module of each node type, in one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from rnnspec.plan import Plan, nodes
from rnnspec.to_torch import (
    audio,
    calendar,
    convolution,
    inputs,
    lags,
    layers,
    outputs,
    pictures,
    seasonal,
)
from rnnspec.to_torch.attention import attention
from rnnspec.to_torch.chain import ChainOutput
from rnnspec.to_torch.copying import CopyMix
from rnnspec.to_torch.frames import FramesOutput
from rnnspec.to_torch.pointers import Pointed, Pointer
from rnnspec.to_torch.positions import PositionOutput
from rnnspec.to_torch.recurrent import RecurrentLayer
from rnnspec.to_torch.weighted import Weighted

Make = Callable[[Any, Plan, bool], nn.Module]
"""From a node, its plan, and whether to leave torch's own recurrent kernels out, to a module.

The module of an input is called with what a batch holds, the others with the values of the node's
sources in order; `rnnspec.to_torch.values` and `rnnspec.to_torch.decoder` name the exceptions.
"""

_OF_NODE: dict[type[nodes.Node], Callable[[Any], nn.Module]] = {
    nodes.TokensInput: inputs.Tokens,
    nodes.CopiesInput: inputs.Sequence,
    nodes.KeysInput: inputs.Sequence,
    nodes.CharactersInput: inputs.Characters,
    nodes.NestedInput: inputs.Sequence,
    nodes.Unnest: inputs.Unnest,
    nodes.CategoryInput: inputs.Category,
    nodes.FramesInput: inputs.Frames,
    nodes.AudioInput: audio.Audio,
    nodes.ImageInput: pictures.Image,
    nodes.Elapsed: inputs.Elapsed,
    nodes.VectorInput: inputs.Vectors,
    nodes.SeriesInput: inputs.Series,
    nodes.Observed: inputs.Observed,
    nodes.LastValues: inputs.LastValues,
    nodes.WindowMoments: inputs.Moments,
    nodes.FutureInput: inputs.Future,
    nodes.SeasonAgo: seasonal.SeasonAgo,
    nodes.AddBase: seasonal.AddBase,
    nodes.Lags: lags.Lags,
    nodes.LagsAhead: lags.LagsAhead,
    nodes.Latest: lags.Latest,
    nodes.CalendarInput: calendar.CalendarInput,
    nodes.CalendarFuture: calendar.CalendarFuture,
    nodes.CalendarEmbed: calendar.CalendarEmbed,
    nodes.CategoriesInput: inputs.Categories,
    nodes.CategoriesFuture: inputs.Categories,
    nodes.AheadFlat: inputs.AheadFlat,
    nodes.PerStep: inputs.PerStep,
    nodes.Embed: layers.Embed,
    nodes.Dropout: layers.Dropout,
    nodes.Merge: layers.Merge,
    nodes.Normalize: layers.Normalize,
    nodes.Ordinal: layers.Ordinal,
    nodes.Residual: layers.Residual,
    nodes.Highway: layers.Highway,
    nodes.Join: layers.Join,
    nodes.Dense: layers.Dense,
    nodes.Conv: convolution.Conv,
    nodes.LocalPool: convolution.LocalPool,
    nodes.StackSteps: convolution.StackSteps,
    nodes.BatchNorm: convolution.BatchNorm,
    nodes.Grid: convolution.Grid,
    nodes.Unflatten: convolution.Unflatten,
    nodes.Squeeze: convolution.Squeeze,
    nodes.Places: convolution.Places,
    nodes.Activate: convolution.Activate,
    nodes.Combine: convolution.Combine,
    nodes.Compare: layers.Compare,
    nodes.Attend: attention,
    nodes.Scores: layers.Scores,
    nodes.CopyMix: CopyMix,
    nodes.ClassOutput: outputs.ClassOutput,
    nodes.ChainOutput: ChainOutput,
    nodes.LabelsOutput: outputs.LabelsOutput,
    nodes.NumericOutput: outputs.NumericOutput,
    nodes.StatesOutput: outputs.StatesOutput,
    nodes.PositionOutput: PositionOutput,
    nodes.PointerOutput: outputs.TextOutput,
    nodes.Pointed: Pointed,
    nodes.Pointer: Pointer,
    nodes.TextOutput: outputs.TextOutput,
    nodes.CtcOutput: outputs.CtcOutput,
    nodes.TransducerOutput: outputs.TransducerOutput,
    nodes.ForecastOutput: outputs.ForecastOutput,
    nodes.FramesOutput: FramesOutput,
}
_WITHOUT_FORWARD = (
    nodes.FinalState,
    nodes.Previous,
    nodes.PreviousNumber,
    nodes.PreviousFrame,
    nodes.Delayed,
    nodes.Decoder,
)


def _of_node(make: Callable[[Any], nn.Module]) -> Make:
    return lambda node, plan, generic: make(node)


MODULES: dict[type[nodes.Node], Make] = {
    **{kind: _of_node(make) for kind, make in _OF_NODE.items()},
    **dict.fromkeys(_WITHOUT_FORWARD, lambda node, plan, generic: Weighted()),
    nodes.Pool: lambda node, plan, generic: layers.pool(node, plan),
    nodes.Recurrent: lambda node, plan, generic: RecurrentLayer(node, generic),
}


def module_of(plan: Plan, node: nodes.Node, generic: bool) -> nn.Module:
    """A new module for a node. Raises KeyError if `MODULES` lacks the node's type."""
    return MODULES[type(node)](node, plan, generic)
