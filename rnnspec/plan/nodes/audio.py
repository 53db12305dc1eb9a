"""The node of sound: samples to a sequence of features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from rnnspec.plan.nodes.node import ColumnNode, Shape, Shapes, State, Weight, scaling
from rnnspec.spec.audio import FLOOR, transform_size

AudioKind = Literal["log_mel", "mfcc", "magnitude", "power", "log", "raw"]
DELTA_SPAN = 2
"""Windows before and after that a delta is the slope over."""
LEAST_DEVIATION = 0.01
"""Least deviation that features of a row are divided by, as a share of their root mean square."""
LEAST_OF_LOGARITHMS = 0.02
"""The same of features made of logarithms, in their own unit: less is rounding. Where the cepstrum
is 0, as of silence, its root mean square is rounding too. In speech it is 0.05 at least."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What training draws anew for each row; see `rnnspec.spec.audio.Augment`.

    The order: a part of the samples is cut out; they are multiplied by 10^(g / 20), g within +-
    `gain`; white noise is added, whose power is the row's mean square over 10^(r / 10), r from
    `noise` to `noise` + 30. Of the features, scaled, `time_masks` stretches of 0 to `time_mask`
    windows (at most a fifth of the row's), and `frequency_masks` ranges of 0 to `frequency_mask`
    features, become 0.
    """

    crop: float = 0.0
    gain: float = 0.0
    noise: float | None = None
    time_masks: int = 0
    time_mask: int = 0
    frequency_masks: int = 0
    frequency_mask: int = 0


@dataclass(frozen=True, slots=True)
class AudioInput(ColumnNode):
    """Samples of `column`, `[B, S]` at `rate` a second, with their number in each row `[B]`.

    The value is `[B, T, features]`. A row of s samples has T = ceil(s / hop) windows; window t is
    the samples from t * hop to t * hop + `window` - 1, zeros behind the last one. By its kind it
    becomes

    - `raw`: these samples;
    - `magnitude`, `power`: |X[k]|, |X[k]|^2 for k = 0 to N / 2, where X is the Fourier transform of
      size N, the next power of 2, of the samples times the periodic Hann window
      0.5 - 0.5 cos(2 pi n / window);
    - `log`: the natural logarithm of the power, or of `floor` where it is less;
    - `log_mel`: the same of the energies of `bands` filters (`rnnspec.spec.mel.mel_filters`);
    - `mfcc`: the first `size` coefficients of the orthonormal DCT-II of these logarithms.

    With `deltas`, beside the features c stand their slopes (Young et al., the HTK Book)
    d[t] = sum_n n (c[t + n] - c[t - n]) / (2 sum_n n^2), n = 1, 2; with 2 also the slopes of d.
    Before the first and after the last window of the row stand copies of it.

    `normalize`: by mean and deviation of the training rows, or of the windows of the row itself;
    there the deviation is at least a hundredth of the root mean square, of logarithms also 0.02,
    and 1 where that is 0.

    `channels` and `resample` say what was done with a file before: nothing in the node.
    """

    rate: int
    kind: AudioKind
    size: int
    window: int
    hop: int
    bands: int = 0
    lowest: float = 0.0
    highest: float = 0.0
    floor: float = FLOOR
    deltas: int = 0
    normalize: Literal["learned", "utterance", "none"] = "learned"
    channels: Literal["mean", "first"] = "mean"
    resample: Literal["refuse", "soxr"] = "refuse"
    augment: Augmentation | None = None

    missing: ClassVar = "error"
    double: ClassVar = False

    @property
    def features(self) -> int:
        """Width of the value."""
        return self.size * (1 + self.deltas)

    @property
    def transform(self) -> int:
        """The size of the Fourier transform."""
        return transform_size(self.window)

    @property
    def least_deviation(self) -> float:
        """What the deviation of a feature in a row is taken to be at least."""
        return LEAST_OF_LOGARITHMS if self.kind in ("log", "log_mel", "mfcc") else 0.0

    def weights(self) -> Iterator[Weight]:
        if self.normalize == "learned":
            yield from scaling(self, self.features, False)

    def shape(self, shapes: Shapes) -> Shape:
        return ("B", self.axis, self.features)

    def carried(self) -> tuple[State, ...] | None:
        return None
