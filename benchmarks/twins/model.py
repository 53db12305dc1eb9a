"""The N:1 network: embedding or scaled frames, recurrent layers, pooling, linear head.

``Padded`` runs whole padded batches and picks what counts afterwards; ``Packed`` is the same
network on ``pack_padded_sequence``. With equal weights they answer alike, and neither lets
padding change an answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


@dataclass(frozen=True)
class Shape:
    """Sizes of a model. ``vocabulary`` is 0 for numeric frames, ``embed`` is then unused."""

    outputs: int
    vocabulary: int = 0
    embed: int = 100
    features: int = 0
    cell: str = "lstm"
    layers: int = 1
    units: int = 100
    bidirectional: bool = True
    pooling: str = "last"
    hidden: int = 0
    embed_dropout: float = 0.0
    layer_dropout: float = 0.0
    head_dropout: float = 0.0

    @property
    def inputs(self) -> int:
        return self.embed if self.vocabulary else self.features

    @property
    def width(self) -> int:
        return self.units * (2 if self.bidirectional else 1)


def reverse(x: Tensor, lengths: Tensor) -> Tensor:
    """Reverses each row of [B, T, F] within its length; its own inverse."""
    steps = torch.arange(x.shape[1])
    index = lengths[:, None] - 1 - steps
    index = torch.where(index >= 0, index, steps)  # padding stays where it is
    return x.gather(1, index[:, :, None].expand_as(x))


class PaddedLayer(nn.Module):
    def __init__(self, shape: Shape, inputs: int) -> None:
        super().__init__()
        cell = CELLS[shape.cell]
        self.forwards = cell(inputs, shape.units, batch_first=True)
        self.backwards = (
            cell(inputs, shape.units, batch_first=True) if shape.bidirectional else None
        )

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, I] to [B, T, D*H]; what stands past a row's length means nothing."""
        y: Tensor = self.forwards(x)[0]
        if self.backwards is None:
            return y
        z = self.backwards(reverse(x, lengths))[0]
        return torch.cat([y, reverse(z, lengths)], 2)


class PackedLayer(nn.Module):
    def __init__(self, shape: Shape, inputs: int) -> None:
        super().__init__()
        cell = CELLS[shape.cell]
        self.both = cell(inputs, shape.units, batch_first=True, bidirectional=shape.bidirectional)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, I] to [B, T, D*H]."""
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y: Tensor = pad_packed_sequence(self.both(packed)[0], batch_first=True)[0]
        return y

    def copy(self, padded: PaddedLayer) -> None:
        """Takes the weights of a padded layer."""
        weights = dict(padded.forwards.named_parameters())
        if padded.backwards is not None:
            for name, weight in padded.backwards.named_parameters():
                weights[f"{name}_reverse"] = weight
        self.both.load_state_dict(weights)


class Attention(nn.Module):
    """Weighted mean over time, weights softmax(v . tanh(W h + b)) (Yang et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.key = nn.Linear(width, width)
        self.query = nn.Linear(width, 1, bias=False)

    def forward(self, y: Tensor, padding: Tensor) -> Tensor:
        scores = self.query(torch.tanh(self.key(y))).masked_fill(padding, -torch.inf)
        pooled: Tensor = (scores.softmax(1) * y).sum(1)
        return pooled


class Twin(nn.Module):
    """[B, T] ids or [B, T, F] frames, and lengths [B], to logits or values [B, outputs]."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        shape: Shape,
        *,
        packed: bool = False,
        mean: Tensor | None = None,
        std: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.shape = shape
        self.embed = nn.Embedding(shape.vocabulary, shape.embed) if shape.vocabulary else None
        self.register_buffer("mean", torch.zeros(shape.features) if mean is None else mean)
        self.register_buffer("std", torch.ones(shape.features) if std is None else std)
        layer = PackedLayer if packed else PaddedLayer
        inputs = [shape.inputs] + [shape.width] * (shape.layers - 1)
        self.layers = nn.ModuleList(layer(shape, width) for width in inputs)
        self.attention = Attention(shape.width) if shape.pooling == "attention" else None
        self.embed_dropout = nn.Dropout(shape.embed_dropout)
        self.layer_dropout = nn.Dropout(shape.layer_dropout)
        dropout = nn.Dropout(shape.head_dropout)
        hidden = [nn.Linear(shape.width, shape.hidden), nn.ReLU(), dropout] if shape.hidden else []
        width = shape.hidden or shape.width
        self.head = nn.Sequential(dropout, *hidden, nn.Linear(width, shape.outputs))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        if self.embed is not None:
            y = self.embed_dropout(self.embed(x))
        else:
            y = (x - self.mean) / self.std
        for layer in self.layers:
            y = self.layer_dropout(layer(y, lengths))
        output: Tensor = self.head(self.pool(y, lengths))
        return output

    def pool(self, y: Tensor, lengths: Tensor) -> Tensor:
        """[B, T, D*H] to [B, D*H]. The backward half has read everything at step 0."""
        if self.shape.pooling == "last":
            last = y[torch.arange(len(y)), lengths - 1, : self.shape.units]
            return torch.cat([last, y[:, 0, self.shape.units :]], 1)
        padding = (torch.arange(y.shape[1]) >= lengths[:, None])[:, :, None]
        if self.attention is not None:
            attended: Tensor = self.attention(y, padding)
            return attended
        if self.shape.pooling == "mean":
            return y.masked_fill(padding, 0.0).sum(1) / lengths[:, None]
        return y.masked_fill(padding, -torch.inf).amax(1)

    def copy(self, other: Twin) -> None:
        """Makes this packed twin the equal of a padded one."""
        weights = other.state_dict().items()
        outside = {name: weight for name, weight in weights if not name.startswith("layers.")}
        self.load_state_dict(outside, strict=False)
        for layer, source in zip(self.layers, other.layers, strict=True):
            assert isinstance(layer, PackedLayer) and isinstance(source, PaddedLayer)
            layer.copy(source)
