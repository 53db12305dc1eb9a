"""Sound: features of samples, and what training changes of both."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from rnnspec.plan import nodes
from rnnspec.plan.names import steps_in
from rnnspec.plan.nodes.audio import DELTA_SPAN, LEAST_DEVIATION, Augmentation
from rnnspec.reference import audio
from rnnspec.to_torch.inputs import Scaling
from rnnspec.to_torch.sequences import Lengths, PaddedSequence

NOISE_SPREAD = 30.0
"""Decibels between the least and the largest ratio of a row's power to that of its noise."""
MASKED_SHARE = 5
"""A stretch of masked windows is at most one part in so many of its row."""


class Audio(Scaling):
    """The features of samples; see `AudioInput`. They are computed in float32 or float64, whatever
    the precision of the layers behind them."""

    node: nodes.AudioInput
    taper: Tensor
    filters: Tensor
    cosines: Tensor

    def __init__(self, node: nodes.AudioInput) -> None:
        super().__init__(node)
        constants = {"taper": np.zeros(node.transform)}
        constants["taper"][: node.window] = audio.taper(node.window)
        if node.bands:
            constants["filters"] = audio.filters(node).T.copy()
        if node.kind == "mfcc":
            constants["cosines"] = audio.cosines(node).T.copy()
        self.constants = constants
        for name, value in constants.items():
            self.register_buffer(name, torch.from_numpy(value).float(), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Audio:
        """Constants keep their own digits where the module becomes float64."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, value in self.constants.items():
            held = self.get_buffer(name)
            held.data = torch.from_numpy(value).to(held)
        return self

    def canonical(self) -> Iterator[tuple[str, Tensor]]:
        names = {weight.name.rpartition(".")[2] for weight in self.node.weights()}
        yield from ((name, value) for name, value in super().canonical() if name in names)

    def forward(self, values: Tensor, lengths: Tensor) -> PaddedSequence:
        """`values` `[B, S]`, S at least 1, with `lengths` `[B]` in samples."""
        augment = self.node.augment if self.training else None
        with torch.autocast(values.device.type, enabled=False):
            samples = values.to(self.taper.dtype)
            if augment is not None:
                samples, lengths = _changed(augment, samples, lengths)
            of_rows = steps_in(self.node, lengths)
            features = self._features(self._cut(samples, lengths))
            mask = _below(of_rows, features.shape[1])
            steps = self._normalised(self._with_slopes(features, of_rows), mask)
            if augment is not None:
                steps = _masked(augment, self.node, steps, of_rows)
        steps = self.narrow(steps)
        return PaddedSequence(steps.transpose(0, 1), Lengths(of_rows, steps.shape[1]))

    def _cut(self, samples: Tensor, lengths: Tensor) -> Tensor:
        """The samples that T windows are cut from: 0 past each length, and at the end as many more
        as a transform takes."""
        node, extent = self.node, samples.shape[1]
        samples = samples.masked_fill(~_below(lengths, extent), 0.0)
        window = node.window if node.kind == "raw" else node.transform
        wanted = (steps_in(node, extent) - 1) * node.hop + window
        return torch.nn.functional.pad(samples, (0, wanted - extent))

    def _features(self, samples: Tensor) -> Tensor:
        """`[B, T, size]`."""
        node = self.node
        if node.kind == "raw":
            return samples.unfold(1, node.window, node.hop)
        size, hop, taper = node.transform, node.hop, self.taper
        found = torch.stft(samples, size, hop, window=taper, center=False, return_complex=True)
        # A fifth of the time of a sum over view_as_real.
        power = (found.real.square() + found.imag.square()).transpose(1, 2)
        if node.kind == "magnitude":
            return power.sqrt()
        if node.kind == "power":
            return power
        energies = power @ self.filters if node.bands else power
        logarithms = energies.clamp(min=node.floor).log()
        return logarithms @ self.cosines if node.kind == "mfcc" else logarithms

    def _with_slopes(self, steps: Tensor, lengths: Tensor) -> Tensor:
        parts = [steps]
        for _ in range(self.node.deltas):
            parts.append(_slopes(parts[-1], lengths))
        return torch.cat(parts, -1) if len(parts) > 1 else steps

    def _normalised(self, steps: Tensor, mask: Tensor) -> Tensor:
        if self.node.normalize == "utterance":
            return _by_utterance(steps, mask[..., None], self.node.least_deviation)
        return (steps - self.mean) / self.deviation if self.scaled else steps


def _below(lengths: Tensor, extent: int) -> Tensor:
    """`[B, extent]`: whether a place is below the row's length."""
    return torch.arange(extent, device=lengths.device) < lengths[:, None]


def _slopes(steps: Tensor, lengths: Tensor) -> Tensor:
    """Of `[B, T, W]`, within the lengths `[B]`."""
    places = torch.arange(steps.shape[1], device=steps.device)
    last = (lengths - 1).clamp(min=0)[:, None]

    def at(distance: int) -> Tensor:
        moved = torch.minimum((places + distance).clamp(min=0), last)
        return steps.gather(1, moved[..., None].expand_as(steps))

    found = sum(n * (at(n) - at(-n)) for n in range(1, DELTA_SPAN + 1))
    assert isinstance(found, Tensor)
    return found / audio.slope_divisor()


def _by_utterance(steps: Tensor, mask: Tensor, least: float) -> Tensor:
    """`[B, T, W]` by mean and deviation, at least `least`, over the windows of each row; `mask` is
    `[B, T, 1]`."""
    count = mask.sum(1, keepdim=True).clamp(min=1)

    def mean(values: Tensor) -> Tensor:
        return values.masked_fill(~mask, 0.0).sum(1, keepdim=True) / count

    centred = steps - mean(steps)
    centred = centred - mean(centred)  # of a feature that never changes the rounding of its mean
    size, deviation = mean(steps.square()).sqrt(), mean(centred.square()).sqrt()
    scale = torch.maximum(deviation, LEAST_DEVIATION * size).clamp(min=least)
    return centred / torch.where(scale > 0, scale, 1.0)


# ---------------------------------------------------------------- while training


def _changed(augment: Augmentation, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Samples `[B, S]` cut, amplified and with noise, and their lengths `[B]`."""
    if augment.crop:
        samples, lengths = _cropped(augment.crop, samples, lengths)
    if augment.gain:
        decibels = augment.gain * (2 * _drawn(samples) - 1)
        samples = samples * 10 ** (decibels / 20)
    if augment.noise is not None:
        decibels = augment.noise + NOISE_SPREAD * _drawn(samples)
        own = samples.masked_fill(~_below(lengths, samples.shape[1]), 0.0)
        power = own.square().sum(1, keepdim=True) / lengths.clamp(min=1)[:, None]
        samples = samples + torch.randn_like(samples) * (power / 10 ** (decibels / 10)).sqrt()
    return samples, lengths


def _drawn(like: Tensor, count: int = 1) -> Tensor:
    """`[B, count]` in [0, 1), for the rows of `like`."""
    return torch.rand((len(like), count), dtype=like.dtype, device=like.device)


def _cropped(share: float, samples: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    draws = _drawn(samples, 2)
    left_out = (draws[:, 0] * share * lengths).long()
    start = (draws[:, 1] * (left_out + 1)).long()
    places = torch.arange(samples.shape[1], device=samples.device) + start[:, None]
    return samples.gather(1, places.clamp(max=samples.shape[1] - 1)), lengths - left_out


def _masked(
    augment: Augmentation, node: nodes.AudioInput, steps: Tensor, lengths: Tensor
) -> Tensor:
    """`[B, T, W]` with stretches of windows and ranges of features set to 0."""
    if augment.time_masks:
        most = torch.clamp(lengths // MASKED_SHARE, max=augment.time_mask)
        hidden = _ranges(steps, augment.time_masks, most, lengths, steps.shape[1])
        steps = steps.masked_fill(hidden[..., None], 0.0)
    if augment.frequency_masks:
        size = torch.full_like(lengths, node.size)
        most = torch.full_like(lengths, augment.frequency_mask)
        hidden = _ranges(steps, augment.frequency_masks, most, size, node.size)
        steps = steps.masked_fill(hidden.repeat(1, 1 + node.deltas)[:, None], 0.0)
    return steps


def _ranges(like: Tensor, count: int, most: Tensor, extents: Tensor, extent: int) -> Tensor:
    """`[B, extent]`: whether a place is in one of `count` ranges of 0 to `most` `[B]` places, each
    within the first `extents` `[B]`."""
    width = (_drawn(like, count) * (most[:, None] + 1)).long()
    start = (_drawn(like, count) * (extents[:, None] - width + 1)).long()
    places = torch.arange(extent, device=like.device)[:, None]
    inside = (places >= start[:, None]) & (places < (start + width)[:, None])
    return inside.any(-1)
