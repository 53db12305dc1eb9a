"""Nodes of sound from what a spec says of it."""

from __future__ import annotations

from typing import assert_never

from rnnspec import spec as language
from rnnspec.plan.nodes.audio import AudioInput, AudioKind, Augmentation
from rnnspec.spec.audio import (
    FLOOR,
    Augment,
    LogMel,
    Mfcc,
    RawWindows,
    Spectrum,
    samples_of,
    width_of,
)


def audio_node(source: language.AudioInput) -> AudioInput:
    """The node of an input of sound; it needs no facts."""
    features, rate = source.features, source.rate
    kind: AudioKind
    bands, deltas, lowest, highest, floor = 0, 0, 0.0, 0.0, FLOOR
    match features:
        case LogMel() | Mfcc():
            kind = "mfcc" if isinstance(features, Mfcc) else "log_mel"
            bands = features.mel if isinstance(features, Mfcc) else features.log_mel
            deltas, lowest, floor = features.deltas, features.lowest, features.floor
            highest = features.highest or rate / 2
        case Spectrum():
            kind = features.spectrum
        case RawWindows():
            kind = "raw"
        case _:
            assert_never(features)
    return AudioInput(
        f"input.{source.column}",
        source.column,
        rate,
        kind,
        width_of(features, rate) // (1 + deltas),
        samples_of(features.window, rate),
        samples_of(features.hop, rate),
        bands,
        lowest,
        highest,
        floor,
        deltas,
        source.normalize,
        source.channels,
        source.resample,
        None if source.augment is None else _augmentation(source.augment),
    )


def _augmentation(augment: Augment) -> Augmentation:
    """Settings without masks are 0."""
    return Augmentation(
        augment.crop,
        augment.gain,
        augment.noise,
        augment.time_masks,
        augment.time_mask if augment.time_masks else 0,
        augment.frequency_masks,
        augment.frequency_mask if augment.frequency_masks else 0,
    )
