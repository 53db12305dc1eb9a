"""Models of `decoder.strategy` and `decoder.max_steps`: the search for an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from rnnspec.spec.base import ListOf, Model, NotNegative, Positive, Text
from rnnspec.spec.choice import ByShape, OneOf, Option, by_type

Repetition = Annotated[
    Positive,
    Field(
        description="Factor by which the score of a token answered before is made less likely; 1 "
        "means not at all (Keskar et al., 2019)."
    ),
]
NoRepeat = Annotated[
    int,
    Field(
        ge=0, le=100, description="No run of this many tokens comes twice; 0 means no such rule."
    ),
]
Tokens = Annotated[tuple[Text, ...], ListOf]
Banned = Annotated[
    Tokens,
    Field(
        description="Tokens that are never answered; with decoder.copy also tokens that the "
        "vocabulary lacks."
    ),
]
Prefix = Annotated[Tokens, Field(description="Tokens that every answer begins with.")]


class GreedySearch(Option, name="greedy"):
    """The most probable token at each step."""

    repetition_penalty: Repetition = 1.0
    no_repeat: NoRepeat = 0
    banned: Banned = ()
    prefix: Prefix = ()


NBest = Annotated[
    int,
    Field(
        ge=1,
        le=1000,
        description="Answers given, the best first; no more than width. Where a row has fewer, "
        "empty ones of log-probability -inf follow in what a file gives, and none in the answers "
        "of 'rnnspec run'.",
    ),
]


class BeamSearch(Option, name="beam"):
    """The most probable partial answers, several at each step."""

    width: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=4, description="Partial answers kept at each step."
    )
    n_best: NBest = 1
    length_norm: Literal["none", "average", "gnmt"] = Field(
        default="average",
        description="Divisor of log-probabilities, to compare answers of different lengths: "
        "nothing, the number of steps, or ((5 + steps) / 6) ^ length_penalty (Wu et al., 2016).",
    )
    length_penalty: NotNegative = Field(default=0.6, description="The exponent of gnmt.")
    coverage_penalty: NotNegative = Field(
        default=0.0,
        description="Factor of the penalty on source steps that attention left out (Wu et al., "
        "2016). Needs attention.",
    )
    stop: Literal["best", "bound", "full", "first"] = Field(
        default="best",
        description="When the search ends: 'best' when no unfinished answer is better than the "
        "finished ones, 'bound' when none can come to be better, 'full' with as many finished "
        "ones as the beam is wide, 'first' with the first that is better than all unfinished ones.",
    )
    repetition_penalty: Repetition = 1.0
    no_repeat: NoRepeat = 0
    banned: Banned = ()
    prefix: Prefix = ()


class SampleSearch(Option, name="sample"):
    """Drawn at random, the same for the same seed."""

    temperature: Positive = Field(
        default=1.0, description="Below 1 makes probable tokens more probable, above 1 less."
    )
    top_k: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Draw from this many most probable tokens; 0 means all."
    )
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        default=1.0,
        description="Draw from the most probable tokens that together have this probability.",
    )
    repetition_penalty: Repetition = 1.0
    no_repeat: NoRepeat = 0
    banned: Banned = ()
    prefix: Prefix = ()


Strategy = Annotated[GreedySearch | BeamSearch | SampleSearch, OneOf()]


class CtcGreedySearch(Option, name="greedy"):
    """The most probable token or blank at each step: the best path."""


class CtcBeamSearch(Option, name="beam"):
    """The most probable beginnings of answers, each by all its alignments (Graves, 2012; Hannun et
    al., 2014)."""

    width: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=8, description="Beginnings of answers kept at each step."
    )
    n_best: NBest = 1


class TransducerGreedySearch(Option, name="greedy"):
    """The most probable token or blank, again and again."""


CtcStrategy = Annotated[CtcGreedySearch | CtcBeamSearch, OneOf()]


class TransducerBeamSearch(CtcBeamSearch, name="beam"):
    """The most probable beginnings of answers, each by all its alignments, all with as many tokens
    and steps together (Saon et al., 2020)."""


TransducerStrategy = Annotated[TransducerGreedySearch | TransducerBeamSearch, OneOf()]


class TimesInput(Model):
    """A multiple of the input's length."""

    times: Positive = Field(description="Steps of the answer for each step of the input.")
    plus: Annotated[int, Field(ge=0, le=100_000)] = Field(
        default=10, description="Steps added to that."
    )


MostSteps = Annotated[int, Field(ge=1, le=100_000)]
StepLimit = Annotated[
    Literal["auto"] | MostSteps | TimesInput,
    ByShape(
        "auto, a number of steps, or {times: 2.0, plus: 10}",
        by_type(str, int, Mapping | TimesInput),
    ),
]
