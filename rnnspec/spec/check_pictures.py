"""Whether what training changes in pictures has an effect, and leaves what is answered."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.base import Loc
from rnnspec.spec.branches import is_of_another
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.inputs import ImageInput, VideoInput
from rnnspec.spec.outputs import PointedOutput, PositionsOutput, StepOutput
from rnnspec.spec.pictures import PictureAugment
from rnnspec.spec.spec import Spec

Pictures = ImageInput | VideoInput
Pointing = PointedOutput | PositionsOutput


def changes_have_effects(spec: Spec) -> Iterator[Finding]:
    """Each setting changes something."""
    for path, source, augment in _augmented(spec):
        if augment == PictureAugment() and not augment.model_fields_set:
            hint = "add flip, shift, contrast, brightness or noise, or remove it"
            yield no_effect(path, "without a setting", hint)
        least = min((side for side in (source.height, source.width) if side), default=None)
        if least is not None and augment.shift >= least:
            message = f"may move all of the {least} pixels of a side out of the picture"
            yield Finding((*path, "shift"), message, f"write less than {least}")


def changes_keep_what_is_answered(spec: Spec) -> Iterator[Finding]:
    """Answers of steps stay at their steps, and what is read along them keeps its order."""
    for path, source, augment in _augmented(spec):
        if isinstance(source, VideoInput):
            continue
        own = [output for output in spec.data.outputs if not is_of_another(output)]
        points = next((output.as_ for output in own if isinstance(output, Pointing)), "")
        of_steps = spec.cardinality == "N:N" and any(isinstance(o, StepOutput) for o in own)
        if augment.shift and (points or of_steps):
            answered = f"a {points} is one" if points else "N:N answers each"
            message = f"moves the steps, and {answered} of them"
            yield Finding((*path, "shift"), message, "remove it")
        along, across = "horizontal", "vertical"
        if source.steps == "rows":
            along, across = across, along
        why = "and N:N answers each of them" if of_steps else ""
        why = f"and a {points} is one of them" if points else why
        if spec.aligner is not None:
            why = "and the answer is read along them"
        if why and augment.flip in (along, "both"):
            message = f"turns the steps round, {why}"
            yield Finding((*path, "flip"), message, f"write '{across}', or remove it")


def _augmented(spec: Spec) -> Iterator[tuple[Loc, Pictures, PictureAugment]]:
    for path, source in spec.data.located_inputs:
        if isinstance(source, Pictures) and source.augment is not None:
            yield (*path, "augment"), source, source.augment
