"""The module of each node: the one place where node types and pooling kinds are listed."""

from __future__ import annotations

from torch import nn

from rnnspec.plan import Plan, nodes
from rnnspec.to_torch import forecast, inputs, layers, outputs, stack
from rnnspec.to_torch.attention import attention
from rnnspec.to_torch.copying import CopyMix
from rnnspec.to_torch.recurrent import RecurrentLayer
from rnnspec.to_torch.weighted import Weighted


def part_of(plan: Plan, node: nodes.Node, generic: bool) -> nn.Module:
    """A new module. Of nodes without weights and formulas of their own it is an empty one."""
    match node:
        case nodes.TokensInput() | nodes.CopiesInput() | nodes.KeysInput():
            return inputs.Sequence()
        case nodes.CharactersInput():
            return inputs.Characters()
        case nodes.CategoryInput():
            return inputs.Category()
        case nodes.FramesInput():
            return inputs.Frames(node)
        case nodes.Elapsed():
            return inputs.Elapsed(node)
        case nodes.VectorInput():
            return inputs.Vectors(node)
        case nodes.SeriesInput():
            return inputs.Series(node)
        case nodes.WindowMoments():
            return inputs.Moments(node)
        case nodes.FutureInput():
            return inputs.Future(node)
        case nodes.PerStep():
            return inputs.PerStep()
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
        case nodes.Join():
            return layers.Join()
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
        case nodes.Attend():
            return attention(node)
        case nodes.Scores():
            return layers.Scores(node)
        case nodes.CopyMix():
            return CopyMix(node)
        case nodes.ClassOutput():
            return outputs.ClassOutput()
        case nodes.LabelsOutput():
            return outputs.LabelsOutput()
        case nodes.NumericOutput():
            return outputs.NumericOutput(node)
        case nodes.TextOutput():
            return outputs.TextOutput()
        case nodes.ForecastOutput():
            return forecast.ForecastOutput(node)
        case nodes.FinalState() | nodes.Decoder() | nodes.Delayed():
            return Weighted()
        case nodes.Previous() | nodes.PreviousNumber():
            return Weighted()
        case _:
            raise TypeError(f"no module is known for {type(node).__name__}")
