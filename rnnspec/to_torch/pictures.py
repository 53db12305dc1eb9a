"""Pictures: bytes as numbers, and what training changes of them."""

from __future__ import annotations

import torch
from torch import Tensor

from rnnspec.plan import nodes
from rnnspec.to_torch.inputs import Scaling, steps_first
from rnnspec.to_torch.sequences import Lengths, PaddedSequence

WHITE = 255.0


class Image(Scaling):
    """Bytes `[B, T, F, C]` of pictures as numbers, inverted and scaled as the node says."""

    node: nodes.ImageInput

    def forward(self, values: Tensor, lengths: Tensor) -> PaddedSequence:
        source, node = steps_first(values, lengths), self.node
        pixels = self.narrow(source.values)
        if node.invert:
            pixels = WHITE - pixels
        if node.augment is not None and self.training:
            pixels = _changed(node.augment, node.picture, pixels, source.lengths)
        scaled = pixels / WHITE if node.scale == "unit" else self.scale(pixels)
        return PaddedSequence(scaled, source.lengths)


# ---------------------------------------------------------------- while training


def _changed(
    augment: nodes.PictureAugmentation, picture: nodes.Picture, pixels: Tensor, lengths: Lengths
) -> Tensor:
    """`[T, B, F, C]` as training reads them; past a row's length anything."""
    if augment.flip != "none" or augment.shift:
        pixels = _moved(augment, picture, pixels, lengths)
    if augment.contrast:
        mean, factor = _means(pixels, lengths), 1 + _drawn(pixels, augment.contrast)
        pixels = mean + factor * (pixels - mean)
    if augment.brightness:
        pixels = pixels + WHITE * _drawn(pixels, augment.brightness)
    if augment.noise:
        # A third of the time of numbers drawn in the layout of a transposed batch.
        noise = torch.randn_like(pixels, memory_format=torch.contiguous_format)
        pixels = pixels + WHITE * augment.noise * noise
    if augment.contrast or augment.brightness or augment.noise:
        pixels = pixels.clamp(0, WHITE)
    return pixels


def _means(pixels: Tensor, lengths: Lengths) -> Tensor:
    """`[B, 1, 1]`: the mean of each row."""
    sums = (pixels.sum((2, 3)) * lengths.mask).sum(0)
    count = lengths.of_rows.clamp(min=1) * pixels[0, 0].numel()
    return (sums / count)[:, None, None]


def _drawn(pixels: Tensor, most: float) -> Tensor:
    """`[B, 1, 1]` within +- `most`, for the rows of `[T, B, F, C]`."""
    draws = torch.rand((pixels.shape[1], 1, 1), dtype=pixels.dtype, device=pixels.device)
    return most * (2 * draws - 1)


def _moved(
    augment: nodes.PictureAugmentation, picture: nodes.Picture, pixels: Tensor, lengths: Lengths
) -> Tensor:
    """`[T, B, F, C]` turned round and shifted, with 0 where nothing was."""
    rows = torch.arange(pixels.shape[1], device=pixels.device)
    if picture.steps != "frames":
        along, across = ("horizontal", "vertical")
        if picture.steps == "rows":
            along, across = across, along
        steps = _sources(augment, along, lengths.of_rows, len(pixels)).t()[..., None]
        features = _sources(augment, across, pixels.shape[2] + 0 * rows, pixels.shape[2])
        found = pixels[steps.clamp(min=0), rows[:, None], features.clamp(min=0)]
        return found * ((steps >= 0) & (features >= 0))[..., None]
    assert picture.height is not None and picture.width is not None, "frames have both sides"
    frames = pixels.unflatten(2, (picture.height, picture.width))
    high = _sources(augment, "vertical", picture.height + 0 * rows, picture.height)[..., None]
    wide = _sources(augment, "horizontal", picture.width + 0 * rows, picture.width)[:, None]
    moved: Tensor = frames[:, rows[:, None, None], high.clamp(min=0), wide.clamp(min=0)]
    moved = moved * ((high >= 0) & (wide >= 0))[..., None]
    return moved.flatten(2, 3)


def _sources(augment: nodes.PictureAugmentation, side: str, own: Tensor, extent: int) -> Tensor:
    """`[B, extent]`: which place of a side, "horizontal" or "vertical", each place reads, -1 for
    none; a row has its `own` `[B]` of them."""
    own, device = own[:, None], own.device
    places = torch.arange(extent, device=device).expand(len(own), extent)
    if augment.shift:
        draws = torch.rand((len(own), 1), device=device)
        places = places - ((2 * augment.shift + 1) * draws).long() + augment.shift
    if augment.flip in (side, "both"):
        turned = torch.rand((len(own), 1), device=device) < 0.5
        places = torch.where(turned, own - 1 - places, places)
    return torch.where((places >= 0) & (places < own), places, -1)
