"""Features of sound (see `AudioInput`), and the matrices that back ends compute them with."""

from __future__ import annotations

from functools import lru_cache
from typing import assert_never

import numpy as np

from rnnspec.plan import nodes
from rnnspec.plan.nodes.audio import DELTA_SPAN, LEAST_DEVIATION
from rnnspec.reference.functions import Array, Arrays
from rnnspec.spec.mel import mel_filters


def audio(node: nodes.AudioInput, weights: Arrays, samples: Array) -> Array:
    """The features `[T, features]` of one row's samples `[S]`, normalised."""
    found = features(node, samples)
    match node.normalize:
        case "none":
            return found
        case "learned":
            mean, deviation = (weights[f"{node.name}.{part}"] for part in ("mean", "deviation"))
            return (found - mean) / deviation
        case "utterance":
            return by_utterance(found, node.least_deviation)
        case _:
            assert_never(node.normalize)


def features(node: nodes.AudioInput, samples: Array) -> Array:
    """The features `[T, features]` of samples `[S]`, before they are normalised."""
    found = _features(node, windows(node, samples))
    parts = [found]
    for _ in range(node.deltas):
        parts.append(slopes(parts[-1]))
    return np.concatenate(parts, axis=1)


def windows(node: nodes.AudioInput, samples: Array) -> Array:
    """`[T, window]`."""
    count = -(-len(samples) // node.hop)
    padded = np.concatenate([samples, np.zeros(node.window)])
    starts = np.arange(count)[:, None] * node.hop
    return np.asarray(padded[starts + np.arange(node.window)])


def _features(node: nodes.AudioInput, found: Array) -> Array:
    """Of windows `[T, window]`."""
    if node.kind == "raw":
        return found
    power = np.abs(np.fft.rfft(found * taper(node.window), node.transform)) ** 2
    match node.kind:
        case "magnitude":
            return np.asarray(np.sqrt(power))
        case "power":
            return power
        case "log":
            return np.asarray(np.log(np.maximum(power, node.floor)))
        case "log_mel" | "mfcc":
            logarithms = np.log(np.maximum(power @ filters(node).T, node.floor))
            return logarithms @ cosines(node).T if node.kind == "mfcc" else logarithms
        case _:
            assert_never(node.kind)


def slopes(steps: Array) -> Array:
    """The slope of each feature over two steps before and after, `[T, W]`."""
    if not len(steps):
        return steps
    count, last = np.arange(len(steps)), len(steps) - 1
    found = np.zeros_like(steps)
    for n in range(1, DELTA_SPAN + 1):
        found += n * (steps[np.minimum(count + n, last)] - steps[np.maximum(count - n, 0)])
    return found / slope_divisor()


def slope_divisor() -> int:
    return 2 * sum(n * n for n in range(1, DELTA_SPAN + 1))


def by_utterance(steps: Array, least: float) -> Array:
    """`[T, W]` by mean and deviation over T, which is at least `least`."""
    if not len(steps):
        return steps
    size = np.sqrt((steps**2).mean(axis=0))
    scale = np.maximum(np.maximum(steps.std(axis=0), LEAST_DEVIATION * size), least)
    return np.asarray((steps - steps.mean(axis=0)) / np.where(scale > 0, scale, 1.0))


def taper(window: int) -> Array:
    """The periodic Hann window."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window))


def fourier(node: nodes.AudioInput) -> Array:
    """What gives the real parts of all frequencies of a window, then the imaginary ones:
    `[2 (N / 2 + 1), window]`, the taper included."""
    frequencies = np.arange(node.transform // 2 + 1)[:, None]
    angle = 2 * np.pi * frequencies * np.arange(node.window) / node.transform
    return np.concatenate([np.cos(angle), -np.sin(angle)]) * taper(node.window)


@lru_cache(maxsize=8)
def filters(node: nodes.AudioInput) -> Array:
    """The mel filters `[bands, N / 2 + 1]`."""
    return np.array(mel_filters(node.bands, node.transform, node.rate, node.lowest, node.highest))


def cosines(node: nodes.AudioInput) -> Array:
    """The first rows of the orthonormal DCT-II, `[size, bands]`."""
    bands = node.bands
    rows, columns = np.arange(node.size)[:, None], np.arange(bands)
    found = np.cos(np.pi * rows * (columns + 0.5) / bands) * np.sqrt(2 / bands)
    found[0] /= np.sqrt(2)
    return np.asarray(found)
