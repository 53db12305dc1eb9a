"""Whether the settings of sound go together."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.audio import (
    MOST_SAMPLES,
    Augment,
    LogMel,
    MelWindows,
    Mfcc,
    Spectrum,
    samples_of,
    transform_size,
    width_of,
)
from rnnspec.spec.base import Loc
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.inputs import AudioInput
from rnnspec.spec.mel import mel_filters
from rnnspec.spec.spec import Spec


def _located(spec: Spec) -> Iterator[tuple[Loc, AudioInput]]:
    for path, source in spec.data.located_inputs:
        if isinstance(source, AudioInput):
            yield path, source


def sound_has_steps_of_its_own(spec: Spec) -> Iterator[Finding]:
    """The steps of sound are its windows, which no other column counts."""
    for path, source in _located(spec):
        others = [each for each in spec.data.sequences if each is not source]
        if others:
            message = (
                "the steps of sound are its windows, and"
                f" {others[0].column!r} is read beside it step by step"
            )
            yield Finding((*path, "as"), message, "read no other sequence beside it")
        if spec.train.window is not None:
            message = "reads rows of steps in windows, and sound is read as whole rows"
            yield Finding(("train", "window"), message, "remove it", key=True)


def windows_cover_the_samples(spec: Spec) -> Iterator[Finding]:
    """Each window has two samples or more, and no sample lies between two windows."""
    for path, source in _located(spec):
        at, features = (*path, "features"), source.features
        window, hop = (samples_of(span, source.rate) for span in (features.window, features.hop))
        if window < 2:
            message = f"is {window} samples at a rate of {source.rate}; a window has 2 or more"
            yield Finding((*at, "window"), message, "make it longer")
        elif window > MOST_SAMPLES:
            message = f"is {window:,} samples at a rate of {source.rate}; it has {MOST_SAMPLES:,}"
            yield Finding((*at, "window"), f"{message} at most", "make it shorter")
        elif hop < 1:
            message = f"is less than a sample at a rate of {source.rate}"
            yield Finding((*at, "hop"), message, "make it longer")
        elif hop > window:
            message = f"leaves out the samples between windows of {features.window}"
            yield Finding((*at, "hop"), message, f"write at most {features.window}")


def filters_have_frequencies(spec: Spec) -> Iterator[Finding]:
    """Filters lie below half of the rate, and each has a frequency of the transform inside."""
    for path, source in _located(spec):
        at, features = (*path, "features"), source.features
        if not isinstance(features, MelWindows):
            continue
        highest = features.highest or source.rate / 2
        if highest > source.rate / 2:
            message = f"is above half of the rate, {source.rate / 2:g} Hz"
            yield Finding((*at, "highest"), message, "lower it, or remove it")
        elif features.lowest >= highest:
            message = f"leaves no frequency below {highest:g} Hz"
            yield Finding((*at, "lowest"), message, "lower it")
        else:
            yield from _empty_filters(at, source.rate, features, highest)
        if isinstance(features, Mfcc) and features.mfcc > features.mel:
            message = f"{features.mfcc} coefficients of {features.mel} bands"
            yield Finding((*at, "mfcc"), message, f"write at most {features.mel}, or more bands")


def _empty_filters(at: Loc, rate: int, features: MelWindows, highest: float) -> Iterator[Finding]:
    size = transform_size(max(2, samples_of(features.window, rate)))
    if samples_of(features.window, rate) > MOST_SAMPLES:
        return
    bands, key = _bands(features)
    filters = mel_filters(bands, size, rate, features.lowest, highest)
    empty = sum(not any(row) for row in filters)
    if empty:
        message = (
            f"{empty} of the {bands} bands lie between two of the frequencies of a window of"
            f" {features.window}, which are {rate / size:.3g} Hz apart"
        )
        name = "log_mel" if key == "log_mel" else "mel"
        fit, least = bands, features.mfcc if isinstance(features, Mfcc) else 1
        while fit >= least and empty:
            fit = min(fit - 1, fit * 15 // 16)
            filters = mel_filters(fit, size, rate, features.lowest, highest)
            empty = sum(not any(row) for row in filters)
        hint = f"write '{name}: {fit}', or a longer window" if fit >= least else LONGER
        yield Finding((*at, key), message, hint)


LONGER = "write a longer window"


def _bands(features: MelWindows) -> tuple[int, str]:
    if isinstance(features, LogMel):
        return features.log_mel, "log_mel"
    assert isinstance(features, Mfcc)
    return features.mel, "mel" if "mel" in features.model_fields_set else "mfcc"


def augmentation_has_effects(spec: Spec) -> Iterator[Finding]:
    """Each setting changes something, and leaves what is answered."""
    for path, source in _located(spec):
        augment, at = source.augment, (*path, "augment")
        if augment is None:
            continue
        if augment == Augment() and not augment.model_fields_set:
            yield no_effect(at, "without a setting", "add gain, crop, noise or masks, or remove it")
        if augment.crop and spec.cardinality == "N:N":
            message = "cuts windows out, and N:N answers each of them"
            yield Finding((*at, "crop"), message, "remove it")
        for kind in ("time", "frequency"):
            key = f"{kind}_mask"  # in a build all defaults are written out
            set_ = getattr(augment, key) != Augment.model_fields[key].default
            if set_ and not getattr(augment, f"{kind}_masks"):
                yield no_effect((*at, f"{kind}_mask"), f"without {kind}_masks")
        if augment.frequency_masks:
            yield from _bands_can_be_masked(at, source, augment)


def _bands_can_be_masked(at: Loc, source: AudioInput, augment: Augment) -> Iterator[Finding]:
    features = source.features
    if not isinstance(features, LogMel | Spectrum):
        message = "masks ranges of frequencies, which these features are not"
        yield Finding((*at, "frequency_masks"), message, "remove it, or use log_mel or spectrum")
        return
    deltas = features.deltas if isinstance(features, LogMel) else 0
    size = width_of(features, source.rate) // (1 + deltas)
    if augment.frequency_mask >= size:
        own = "frequency_mask" in augment.model_fields_set
        key = "frequency_mask" if own else "frequency_masks"
        message = f"masks all of the {size} features"
        yield Finding((*at, key), message, f"write a frequency_mask of less than {size}")
