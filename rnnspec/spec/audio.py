"""Models of sound: how samples become a sequence of features, and what training does to them."""

from __future__ import annotations

import re
from typing import Annotated, Literal, assert_never

from pydantic import Field
from pydantic.functional_validators import AfterValidator, BeforeValidator

from rnnspec.spec.base import Model, NotNegative, Positive, Share, spec_error
from rnnspec.spec.choice import ByName, describe

FLOOR = 1e-8
"""Least energy that a logarithm is taken of, where the spec states none."""
LONGEST = 1e9
"""Bound of the number of a span of time."""
MOST_SAMPLES = 8192
"""Samples of the longest window: its transform takes a matrix of 256 MiB in an exported file."""
_SPAN = re.compile(r"(\d+(?:\.\d+)?) *(ms|s|samples?)")


def samples_of(span: str, rate: int) -> int:
    """The samples in a span of time at `rate` samples a second, rounded to the nearest one."""
    found = _SPAN.fullmatch(span)
    assert found is not None, span
    each = {"ms": rate / 1000, "s": float(rate)}.get(found[2], 1.0)
    return round(float(found[1]) * each)


def _checked_span(span: object) -> object:
    found = _SPAN.fullmatch(span) if isinstance(span, str) else None
    if found is None or not 0 < float(found[1]) < LONGEST:
        raise spec_error(
            f"expected a span of time above 0, found {describe(span)}",
            "write a number and ms, s or samples, as in '25 ms'",
        )
    return span


Span = Annotated[str, BeforeValidator(_checked_span)]
"""A span of time: `25 ms`, `0.025 s` or `200 samples`."""
Deltas = Annotated[
    Literal[0, 1, 2],
    Field(
        description="How often differences are put beside the features: 1 their slope over two "
        "windows before and after, 2 also the slope of the slope."
    ),
]
Floor = Annotated[
    float,
    Field(ge=1e-30, description="Least energy that the logarithm is taken of; a sample is near 1."),
]
Frequency = Annotated[NotNegative, Field(description="Lowest frequency of the filters, in Hz.")]
Highest = Annotated[
    Positive | None,
    Field(description="Highest frequency of the filters, in Hz; null means half of the rate."),
]


class Windows(Model):
    """Base of features of windows: window t begins at sample t x hop, and there are ceil(samples /
    hop) of them. Zeros follow the last sample of a row."""

    window: Span = Field(default="25 ms", description="Length of a window.")
    hop: Span = Field(default="10 ms", description="From the start of a window to the next one's.")


class MelWindows(Windows):
    """Base of features of the mel scale (mel = 2595 log10(1 + Hz / 700)): the power of Hann windows
    in a Fourier transform of the next power of 2, summed by triangular filters."""

    lowest: Frequency = 0.0
    highest: Highest = None
    floor: Floor = FLOOR
    deltas: Deltas = 0


class LogMel(MelWindows):
    """Logarithms of the energies in bands of the mel scale."""

    log_mel: Annotated[int, Field(ge=1, le=512)] = Field(description="Number of bands.")


class Mfcc(MelWindows):
    """Mel-frequency cepstral coefficients: the orthonormal DCT-II of the logarithms of the
    energies in bands of the mel scale (Davis and Mermelstein, 1980)."""

    mfcc: Annotated[int, Field(ge=1, le=512)] = Field(
        description="Number of coefficients, the constant one first."
    )
    mel: Annotated[int, Field(ge=1, le=512)] = Field(
        default=40, description="Number of bands that the coefficients are made of."
    )


class Spectrum(Windows):
    """The spectrum of each window, tapered by a Hann window, from 0 Hz to half of the rate, by a
    Fourier transform of the next power of 2."""

    spectrum: Literal["magnitude", "power", "log"] = Field(
        description="'magnitude', its square, the 'power', or the 'log' of the power, which is at "
        "least 1e-8."
    )


def _checked_true(raw: bool) -> bool:
    if not raw:
        raise spec_error("expected true, found false", "write 'raw: true', or another kind")
    return raw


class RawWindows(Windows):
    """The samples of each window, as they are."""

    raw: Annotated[bool, AfterValidator(_checked_true)] = Field(
        description="Names the kind; true is the only value."
    )


Features = Annotated[
    LogMel | Mfcc | Spectrum | RawWindows, ByName("log_mel", "mfcc", "spectrum", "raw")
]


class Augment(Model):
    """What training changes in each row, drawn anew each time: all of it is off elsewhere, and the
    exported file knows nothing of it."""

    crop: Share = Field(
        default=0.0,
        description="Largest share of a row's samples that is left out, some of it before and the "
        "rest after what is read.",
    )
    gain: NotNegative = Field(
        default=0.0, description="Most decibels by which a row is made louder or softer."
    )
    noise: Positive | None = Field(
        default=None,
        description="Least ratio, in decibels, of a row's power to that of the white noise added "
        "to it, drawn up to 30 decibels more; null adds none.",
    )
    time_masks: Annotated[int, Field(ge=0, le=100)] = Field(
        default=0,
        description="Number of stretches of windows that are set to 0 (SpecAugment, Park et al., "
        "2019).",
    )
    time_mask: Annotated[int, Field(ge=1)] = Field(
        default=10, description="Most windows in a stretch; a fifth of the row at most."
    )
    frequency_masks: Annotated[int, Field(ge=0, le=100)] = Field(
        default=0, description="Number of ranges of features that are set to 0 in all windows."
    )
    frequency_mask: Annotated[int, Field(ge=1)] = Field(
        default=8, description="Most features in a range."
    )


def transform_size(window: int) -> int:
    """The size of the Fourier transform of a window: the next power of 2, at least 2."""
    return max(2, 1 << (window - 1).bit_length())


def width_of(features: LogMel | Mfcc | Spectrum | RawWindows, rate: int) -> int:
    """Numbers of a step."""
    match features:
        case LogMel():
            return features.log_mel * (1 + features.deltas)
        case Mfcc():
            return features.mfcc * (1 + features.deltas)
        case Spectrum():
            return transform_size(samples_of(features.window, rate)) // 2 + 1
        case RawWindows():
            return samples_of(features.window, rate)
        case _:
            assert_never(features)
