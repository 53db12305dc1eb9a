"""The mel scale, in plain Python: matrices are small, and checks need them without NumPy."""

from __future__ import annotations

from math import log10


def mel_of(frequency: float) -> float:
    """HTK's mel of a frequency in Hz: 2595 log10(1 + Hz / 700) (O'Shaughnessy, 1987)."""
    return 2595 * log10(1 + frequency / 700)


def frequency_of(mel: float) -> float:
    """The frequency in Hz of a mel."""
    return float(700 * (10 ** (mel / 2595) - 1))


def mel_filters(
    bands: int, size: int, rate: int, lowest: float, highest: float
) -> list[list[float]]:
    """`bands` triangles over the frequencies 0, rate / size, …, rate / 2 of a transform of `size`:
    `[bands, size / 2 + 1]`.

    The edges lie evenly on the mel scale from `lowest` to `highest` Hz. Triangle b rises from edge
    b to 1 at edge b + 1 and falls to edge b + 2, linearly in Hz. No area is made equal.
    """
    low, high = mel_of(lowest), mel_of(highest)
    edges = [frequency_of(low + (high - low) * at / (bands + 1)) for at in range(bands + 2)]
    frequencies = [rate * at / size for at in range(size // 2 + 1)]

    def height(band: int, frequency: float) -> float:
        left, top, right = edges[band : band + 3]
        rising, falling = (frequency - left) / (top - left), (right - frequency) / (right - top)
        return max(0.0, min(rising, falling))

    return [[height(band, each) for each in frequencies] for band in range(bands)]
