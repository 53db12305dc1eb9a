"""Sound for the twins: wav files, log-mel energies, what training changes, and layers that listen.

Energies are those of Hann windows, summed by triangular filters of the mel scale; the sizes are the
ones of the specs.
"""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

RATE, WINDOW, HOP, BANDS, TRANSFORM = 8000, 200, 80, 40, 256
FLOOR = 1e-8


def read_wav(path: Path) -> Tensor:
    """float32 [S], between -1 and 1, of a file of one channel and 16 bits."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return torch.from_numpy(samples.astype(np.float32) / 32768)


def mel_filters() -> Tensor:
    """[TRANSFORM / 2 + 1, BANDS]: triangles whose corners lie evenly on the mel scale."""
    corners = torch.linspace(0, 2595 * np.log10(1 + RATE / 1400), BANDS + 2, dtype=torch.float64)
    hertz = 700 * (10 ** (corners / 2595) - 1)
    bins = torch.arange(TRANSFORM // 2 + 1)[:, None] * RATE / TRANSFORM
    rise = (bins - hertz[:-2]) / (hertz[1:-1] - hertz[:-2])
    fall = (hertz[2:] - bins) / (hertz[2:] - hertz[1:-1])
    return torch.minimum(rise, fall).clamp(min=0).float()


class LogMel(nn.Module):
    """[B, S] samples, 0 past each row's end, to [B, T, BANDS], T = ceil(S / HOP)."""

    filters: Tensor
    taper: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("filters", mel_filters())
        self.register_buffer("taper", F.pad(torch.hann_window(WINDOW), (0, TRANSFORM - WINDOW)))

    def forward(self, samples: Tensor) -> Tensor:
        extent = samples.shape[1]
        behind = (windows(extent) - 1) * HOP + TRANSFORM - extent
        found = torch.stft(
            F.pad(samples, (0, behind)), TRANSFORM, HOP, window=self.taper, center=False,
            return_complex=True,
        )  # fmt: skip
        power = (found.real.square() + found.imag.square()).transpose(1, 2)
        energies: Tensor = power @ self.filters
        return energies.clamp(min=FLOOR).log()


def windows(samples: int) -> int:
    return -(-samples // HOP)


@torch.no_grad()
def frames_of(path: Path, listen: LogMel) -> Tensor:
    """[T, BANDS] of a wav file."""
    frames: Tensor = listen(read_wav(path)[None])[0]
    return frames


def below(lengths: Tensor, extent: int) -> Tensor:
    """bool [B, extent]."""
    return torch.arange(extent) < lengths[:, None]


# ---------------------------------------------------------------- what training changes


def changed(samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """A tenth cut off at most, 6 dB louder or softer at most, noise 15 to 45 dB below the row."""
    rows = len(samples)
    out = (torch.rand(rows) * 0.1 * lengths).long()
    start = (torch.rand(rows) * (out + 1)).long()
    places = (torch.arange(samples.shape[1]) + start[:, None]).clamp(max=samples.shape[1] - 1)
    samples, lengths = samples.gather(1, places), lengths - out
    samples = samples * below(lengths, samples.shape[1])
    samples = samples * 10 ** (6 * (2 * torch.rand(rows, 1) - 1) / 20)
    power = samples.square().sum(1, keepdim=True) / lengths[:, None]
    level = (power / 10 ** ((15 + 30 * torch.rand(rows, 1)) / 10)).sqrt()
    noisy = samples + level * torch.randn_like(samples)
    return noisy * below(lengths, samples.shape[1]), lengths


def masked(frames: Tensor, lengths: Tensor) -> Tensor:
    """SpecAugment (Park et al. 2019): up to 6 frames, a fifth of the row at most, and up to 6 bands
    of each row become 0."""
    most = torch.clamp(lengths // 5, max=6)
    time = _hidden(most, lengths, frames.shape[1])
    bands = _hidden(torch.full_like(lengths, 6), torch.full_like(lengths, BANDS), BANDS)
    return frames.masked_fill(time[:, :, None] | bands[:, None], 0.0)


def _hidden(most: Tensor, extents: Tensor, extent: int) -> Tensor:
    width = (torch.rand(len(most)) * (most + 1)).long()
    start = (torch.rand(len(most)) * (extents - width + 1)).long()
    places = torch.arange(extent)
    return (places >= start[:, None]) & (places < (start + width)[:, None])


# ---------------------------------------------------------------- layers


@dataclass(frozen=True)
class Block:
    """A convolution over time with batch norm and ReLU, zeros around the row."""

    filters: int
    size: int
    stride: int = 1
    dropout: float = 0.0


@dataclass(frozen=True)
class Hearing:
    """Convolutions, then a bidirectional GRU of ``units`` a direction."""

    blocks: tuple[Block, ...]
    units: int
    dropout: float = 0.0


class Listener(nn.Module):
    """[B, T, BANDS] frames and lengths [B] to states [B, T', 2 units] and lengths [B]."""

    mean: Tensor
    std: Tensor

    def __init__(self, shape: Hearing, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.shape = shape
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        widths = [BANDS, *(block.filters for block in shape.blocks)]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(width, block.filters, block.size, block.stride, block.size // 2)
            for width, block in zip(widths, shape.blocks, strict=False)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(block.filters) for block in shape.blocks)
        self.cell = nn.GRU(widths[-1], shape.units, batch_first=True, bidirectional=True)

    def scaled(self, frames: Tensor) -> Tensor:
        return (frames - self.mean) / self.std

    def forward(self, scaled: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        x = scaled.transpose(1, 2)
        parts = zip(self.shape.blocks, self.convolutions, self.norms, strict=True)
        for block, convolution, norm in parts:
            x = x * below(lengths, x.shape[2])[:, None]
            x = F.relu(norm(convolution(x)))
            x = F.dropout(x, block.dropout, self.training)
            lengths = (lengths + block.stride - 1) // block.stride
        packed = pack_padded_sequence(x.transpose(1, 2), lengths, True, enforce_sorted=False)
        states = pad_packed_sequence(self.cell(packed)[0], batch_first=True)[0]
        return F.dropout(states, self.shape.dropout, self.training), lengths
