"""Spectrograms of sounds that a model has read, as PNG for a report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.evaluate.pictures import png
from rnnspec.plan.nodes import AudioInput
from rnnspec.reference import audio
from rnnspec.spec.audio import transform_size

COLUMNS, BANDS = 600, 80
"""Most columns and rows of a spectrogram; of more, the largest of every few."""
WINDOW, HOP = 0.032, 0.01
"""Seconds of the windows of a spectrogram, and between them, where the model reads samples."""
SHADES = 40
"""Greys beside white; fewer make a smaller file."""
FAINT, LOUD = 40.0, 99.5
"""Percentiles of a spectrogram that are drawn as nothing and in full."""


@dataclass(frozen=True, slots=True)
class Spectrogram:
    """A picture (PNG) of `extent` seconds, from `low` Hz at its lower edge to `high` Hz; the louder
    the darker."""

    png: bytes
    extent: float
    low: float
    high: float


def spectrogram(node: AudioInput, samples: NDArray[Any]) -> Spectrogram:
    """Of samples `[S]`: the features that the model reads, before they are normalised; where these
    are mel-frequency cepstra the logarithms they are made of, else the logarithm of the power."""
    shown = _shown(node)
    found = audio.features(shown, samples.astype(np.float64))
    every = -(-len(found) // COLUMNS) or 1
    found = _largest(_largest(found, every).T, -(-found.shape[1] // BANDS)).T
    low, high = (shown.lowest, shown.highest) if shown.bands else (0.0, shown.rate / 2)
    extent = len(found) * every * shown.hop / shown.rate
    return Spectrogram(png(_grey(found)), extent, low, high)


def _shown(node: AudioInput) -> AudioInput:
    plain = replace(node, deltas=0, normalize="none", augment=None)
    if node.kind in ("log_mel", "mfcc"):
        return replace(plain, kind="log_mel", size=node.bands)
    window, hop = node.window, node.hop
    if node.kind == "raw":
        window, hop = (max(1, round(part * node.rate)) for part in (WINDOW, HOP))
    size = transform_size(window) // 2 + 1
    return replace(plain, kind="log", size=size, window=window, hop=hop, bands=0)


def _largest(values: NDArray[Any], every: int) -> NDArray[Any]:
    """The largest of each `every` rows."""
    if every < 2 or not len(values):
        return values
    return np.asarray(np.maximum.reduceat(values, np.arange(0, len(values), every), axis=0))


def _grey(values: NDArray[Any]) -> NDArray[np.uint8]:
    """`[T, features]` as pixels `[features, T, 1]`, the first feature at the bottom."""
    if not values.size:
        return np.full((1, 1, 1), 255, np.uint8)
    faint, loud = np.percentile(values, [FAINT, LOUD])
    share = np.clip((values - faint) / max(loud - faint, 1e-12), 0.0, 1.0)
    grey = np.rint(SHADES * (1 - share)) * (255 / SHADES)
    return np.asarray(np.rint(grey).astype(np.uint8).T[::-1, :, None])
