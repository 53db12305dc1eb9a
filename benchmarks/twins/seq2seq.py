"""The N:M and 1:N network: encoder, state handed over or attended to, recurrent decoder.

Attention is Luong's (2015): the cell runs first, its output asks, and what it gets is joined to
that output by a dense tanh layer ahead of the head. Without input feeding the decoder's layers
therefore run over whole targets in one call while training.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

PAD, UNKNOWN, START, END = 0, 1, 2, 3
CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


@dataclass(frozen=True)
class Shape:
    """Sizes of a model.

    One kind of input: ``source`` tokens, or else frames or a vector of ``features`` numbers.
    encoder: units of each direction; a decoder of unequal width, and every decoder that starts
    from a vector, starts from a dense tanh layer instead of a copy of the final state. static:
    the vector is also joined to the decoder's input at every step. attention: ``""``, ``dot``,
    ``general`` or ``additive``.
    """

    target: int
    source: int = 0
    features: int = 0
    vector: bool = False
    cell: str = "lstm"
    embed: int = 64
    target_embed: int = 64
    encoder: int = 128
    encoder_layers: int = 1
    bidirectional: bool = True
    decoder: int = 256
    decoder_layers: int = 1
    static: bool = False
    attention: str = ""
    input_feeding: bool = False
    embed_dropout: float = 0.0
    layer_dropout: float = 0.0
    head_dropout: float = 0.0


@dataclass(frozen=True)
class State:
    """recurrent: h, or h and c, each [L, N, H]; fed: the attended output of the step before [N, H],
    if it is fed."""

    recurrent: tuple[Tensor, ...]
    fed: Tensor | None = None

    def select(self, rows: Tensor) -> State:
        """The state of these rows, in this order."""
        recurrent = tuple(part.index_select(1, rows) for part in self.recurrent)
        return State(recurrent, None if self.fed is None else self.fed.index_select(0, rows))


@dataclass(frozen=True)
class Memory:
    """What the decoder sees at every step. states: [N, S, E], padding: bool [N, S], both for
    attention; vector: [N, F], joined to the decoder's input."""

    states: Tensor | None = None
    padding: Tensor | None = None
    vector: Tensor | None = None

    def select(self, rows: Tensor) -> Memory:
        parts = (self.states, self.padding, self.vector)
        return Memory(*(None if part is None else part.index_select(0, rows) for part in parts))


class Encoder(nn.Module):
    """[B, S] tokens or [B, S, F] frames, and lengths [B], to states [B, S, D*H] and the final
    state of each layer, its directions joined: h, or h and c, each [L, B, D*H]."""

    mean: Tensor
    std: Tensor

    def __init__(self, shape: Shape, mean: Tensor | None, std: Tensor | None) -> None:
        super().__init__()
        self.embed = nn.Embedding(shape.source, shape.embed) if shape.source else None
        self.register_buffer("mean", torch.zeros(shape.features) if mean is None else mean)
        self.register_buffer("std", torch.ones(shape.features) if std is None else std)
        self.layers = CELLS[shape.cell](
            shape.embed if shape.source else shape.features,
            shape.encoder,
            shape.encoder_layers,
            batch_first=True,
            bidirectional=shape.bidirectional,
            dropout=shape.layer_dropout if shape.encoder_layers > 1 else 0.0,
        )
        self.depth = shape.encoder_layers
        self.embed_dropout = nn.Dropout(shape.embed_dropout)
        self.layer_dropout = nn.Dropout(shape.layer_dropout)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        y = (x - self.mean) / self.std if self.embed is None else self.embed(x)
        if self.embed is not None:
            y = self.embed_dropout(y)
        packed = pack_padded_sequence(y, lengths, batch_first=True, enforce_sorted=False)
        out, final = self.layers(packed)
        states = pad_packed_sequence(out, batch_first=True)[0]
        parts = final if isinstance(final, tuple) else (final,)
        size = len(lengths)
        joined = tuple(
            p.view(self.depth, -1, size, p.shape[-1]).transpose(1, 2).flatten(2) for p in parts
        )
        return self.layer_dropout(states), joined


class Attention(nn.Module):
    """Luong et al. 2015 (dot, general), Bahdanau et al. 2015 (additive), and the dense tanh."""

    def __init__(self, kind: str, width: int, units: int) -> None:
        super().__init__()
        self.key = None if kind == "dot" else nn.Linear(width, units, bias=False)
        self.query = nn.Linear(units, units) if kind == "additive" else None
        self.energy = nn.Linear(units, 1, bias=False) if kind == "additive" else None
        self.out = nn.Linear(width + units, units)

    def forward(self, y: Tensor, memory: Memory) -> Tensor:
        """Outputs of the cell [N, T, H] to attended outputs [N, T, H]."""
        assert memory.states is not None and memory.padding is not None
        keys = memory.states if self.key is None else self.key(memory.states)
        if self.query is None or self.energy is None:
            scores = y @ keys.transpose(1, 2)
        else:
            scores = self.energy(torch.tanh(self.query(y)[:, :, None] + keys[:, None]))[..., 0]
        weights = scores.masked_fill(memory.padding[:, None], -torch.inf).softmax(2)
        return torch.tanh(self.out(torch.cat([weights @ memory.states, y], 2)))


class Decoder(nn.Module):
    def __init__(self, shape: Shape, memory_width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(shape.target, shape.target_embed)
        inputs = shape.target_embed + (shape.features if shape.static else 0)
        inputs += shape.decoder if shape.input_feeding else 0
        self.layers = CELLS[shape.cell](
            inputs,
            shape.decoder,
            shape.decoder_layers,
            batch_first=True,
            dropout=shape.layer_dropout if shape.decoder_layers > 1 else 0.0,
        )
        self.attention = (
            Attention(shape.attention, memory_width, shape.decoder) if shape.attention else None
        )
        self.embed_dropout = nn.Dropout(shape.embed_dropout)
        self.layer_dropout = nn.Dropout(shape.layer_dropout)
        self.head_dropout = nn.Dropout(shape.head_dropout)
        self.head = nn.Linear(shape.decoder, shape.target)

    def forward(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        """Tokens [N, T] that were written, from START, to logits [N, T, V] of the next ones."""
        x = self.embed_dropout(self.embed(tokens))
        if memory.vector is not None:
            x = torch.cat([x, memory.vector[:, None].expand(-1, x.shape[1], -1)], 2)
        if state.fed is None:
            y, state = self.attended(x, state, memory)
        else:
            steps = []
            for at in range(x.shape[1]):
                assert state.fed is not None
                step = torch.cat([x[:, at], state.fed], 1)[:, None]
                out, state = self.attended(step, state, memory)
                state = State(state.recurrent, out[:, 0])
                steps.append(out)
            y = torch.cat(steps, 1)
        return self.head(self.head_dropout(y)), state

    def attended(self, x: Tensor, state: State, memory: Memory) -> tuple[Tensor, State]:
        parts = state.recurrent
        y, final = self.layers(x, parts if len(parts) > 1 else parts[0])
        after = State(final if isinstance(final, tuple) else (final,))
        y = self.layer_dropout(y)
        return y if self.attention is None else self.attention(y, memory), after


class Seq2Seq(nn.Module):
    """Source to the decoder's start: ``begin``; ``decoder`` does the rest."""

    def __init__(
        self, shape: Shape, *, mean: Tensor | None = None, std: Tensor | None = None
    ) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = None if shape.vector else Encoder(shape, mean, std)
        width = shape.encoder * (2 if shape.bidirectional else 1)
        given = shape.features if shape.vector else width
        dense = (
            given != shape.decoder or shape.vector or shape.encoder_layers < shape.decoder_layers
        )
        states = (2 if shape.cell == "lstm" else 1) * shape.decoder_layers
        self.bridges = nn.ModuleList(
            nn.Linear(given, shape.decoder) for _ in range(states if dense else 0)
        )
        self.decoder = Decoder(shape, width)

    def begin(self, x: Tensor, lengths: Tensor) -> tuple[State, Memory]:
        if self.encoder is None:
            parts = tuple(x[None] for _ in range(2 if self.shape.cell == "lstm" else 1))
            memory = Memory(vector=x if self.shape.static else None)
        else:
            states, parts = self.encoder(x, lengths)
            steps = torch.arange(states.shape[1], device=states.device)
            padding = steps >= lengths.to(states.device)[:, None]
            memory = Memory(states, padding) if self.shape.attention else Memory()
        depth = self.shape.decoder_layers
        parts = tuple(part[-depth:] for part in parts)  # of a deeper encoder, the last layers
        if self.bridges:
            # Layer by layer; a decoder deeper than the encoder starts from the last layer's state.
            given = [part[min(at, len(part) - 1)] for part in parts for at in range(depth)]
            dense = [
                torch.tanh(bridge(one)) for bridge, one in zip(self.bridges, given, strict=True)
            ]
            parts = tuple(torch.stack(dense[i : i + depth]) for i in range(0, len(dense), depth))
        fed = x.new_zeros(len(x), self.shape.decoder, dtype=torch.float32)
        return State(parts, fed if self.shape.input_feeding else None), memory

    def forward(self, x: Tensor, lengths: Tensor, tokens: Tensor) -> Tensor:
        """Logits [B, T, V] of the tokens that follow each of ``tokens`` [B, T]."""
        state, memory = self.begin(x, lengths)
        logits: Tensor = self.decoder(tokens, state, memory)[0]
        return logits
