"""Models of pictures: what training does to them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rnnspec.spec.base import Model, Share

Flip = Literal["none", "horizontal", "vertical", "both"]


class PictureAugment(Model):
    """What training changes in each row, drawn anew each time, in the order of these keys and after
    `invert`: all of it is off elsewhere, and the exported file knows nothing of it. The frames of a
    video are all changed alike, but for the noise."""

    flip: Flip = Field(
        default="none",
        description="Which sides of a row are turned round, left and right ('horizontal'), top and "
        "bottom ('vertical') or, each by itself, both; every second time.",
    )
    shift: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=0,
        description="Most pixels by which a row is moved to the left or right, and up or down; "
        "what comes in from beyond its edges is 0. It keeps its size, as a random crop of the row "
        "with so many pixels of padding does.",
    )
    contrast: Share = Field(
        default=0.0,
        description="Largest share by which the distance of all pixels from their mean in the row "
        "grows or shrinks.",
    )
    brightness: Share = Field(
        default=0.0,
        description="Most that is added to or taken from all pixels, as a share of 255.",
    )
    noise: Share = Field(
        default=0.0,
        description="Deviation of the normal noise that is added to each number, as a share of "
        "255. Behind contrast, brightness and noise numbers beyond 0 and 255 become 0 and 255.",
    )


PictureAugmentKey = Annotated[
    PictureAugment | None,
    Field(description="What training changes in each row; null means nothing."),
]
