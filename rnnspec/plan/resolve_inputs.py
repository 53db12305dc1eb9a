"""The nodes of the inputs, with embeddings, spelling layers and the encoders of nested ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import assert_never

from rnnspec import spec as language
from rnnspec.errors import DataError
from rnnspec.plan.audio import audio_node
from rnnspec.plan.facts import ClassFacts, Facts, NumericFacts, TextFacts
from rnnspec.plan.nodes import (
    AheadFlat,
    Calendar,
    CalendarEmbed,
    CalendarFuture,
    CalendarInput,
    CategoriesFuture,
    CategoriesInput,
    CategoryInput,
    Elapsed,
    Embed,
    FramesInput,
    FutureInput,
    ImageInput,
    KeysInput,
    Lags,
    LagsAhead,
    LastValues,
    Node,
    Observed,
    Picture,
    PictureAugmentation,
    SeriesInput,
    Unflatten,
    VectorInput,
    WindowMoments,
)
from rnnspec.plan.resolve_tokens import nested, tokens
from rnnspec.plan.stateless import Read, flat
from rnnspec.source.nodes import shown_path
from rnnspec.spec.calendar import CyclicEncoding, EmbedEncoding
from rnnspec.spec.encoder import given_columns
from rnnspec.spec.inputs import OBSERVED
from rnnspec.spec.pictures import PictureAugment
from rnnspec.spec.widths import reads_frames


@dataclass(slots=True)
class Sources:
    """The nodes of all inputs, and their values by the place where they are read.

    `sequences` have steps. Vectors of whole rows are read `beside` each step, or make the states
    before the first step (`start`). `ahead` are known values over the horizon, and `controls` what
    a decoder of frames reads at each of its steps, and the encoder does not.
    """

    nodes: list[Node] = field(default_factory=list)
    sequences: list[Read] = field(default_factory=list)
    beside: list[Read] = field(default_factory=list)
    start: list[Read] = field(default_factory=list)
    ahead: list[Read] = field(default_factory=list)
    controls: list[Read] = field(default_factory=list)


def read_inputs(spec: language.Spec, facts: Facts, prefix: str = "") -> Sources:
    """The input nodes of a spec, with embeddings and spellings, whose names begin with `prefix`.
    Raises DataError."""
    found = Sources()
    for column in given_columns(spec.encoder.layers):
        vector = facts.inputs[column]
        assert isinstance(vector, NumericFacts)
        found.nodes.append(VectorInput(f"input.{column}", column, vector.width))
    for at, source in spec.data.located_inputs:
        path = spec.input_in_file(at)
        own = getattr(source, "column", "") in spec.decoder_inputs
        steps = found.controls if own else found.sequences
        match source:
            case language.SeriesInput():
                _series(spec, source, facts, found)
            case language.CalendarInput():
                _calendar(spec, source, found)
            case language.CategoriesInput():
                _categories(spec, source, facts, found)
            case language.FramesInput():
                key = shown_path((*path, "elapsed"))
                steps.append(_frames(key, source, facts, found.nodes))
            case language.AudioInput():
                sound = audio_node(source)
                found.nodes.append(sound)
                found.sequences.append(Read(sound.name, sound.features))
            case language.ImageInput() | language.VideoInput():
                found.sequences.append(_image(source, reads_frames(spec), found.nodes))
            case language.KeysInput():
                steps.append(_keys(source, facts, found.nodes))
            case language.CategoryInput():
                _of_row(source, _category(source, facts, found.nodes), found)
            case language.NumberInput() | language.VectorInput():
                _of_row(source, _vector(source, facts, found.nodes), found)
            case (
                language.WordsInput()
                | language.TokensInput()
                | language.CharsInput()
                | language.BytesInput()
                | language.SubwordsInput()
            ):
                found.sequences.append(tokens(spec, source, facts, found.nodes, prefix))
            case language.NestedInput():
                found.sequences.append(nested(spec, path, source, facts, found.nodes, prefix))
            case _:
                assert_never(source)
    return found


def _frames(key: str, source: language.FramesInput, facts: Facts, nodes: list[Node]) -> Read:
    """`key` is the place of `elapsed` in the spec."""
    known = facts.inputs[source.column]
    assert isinstance(known, NumericFacts)
    name, elapsed = f"input.{source.column}", source.elapsed
    if elapsed is not None and not elapsed < known.width:
        raise DataError(
            f"{key} is {elapsed}, but the frames of column {source.column!r} have"
            f" {known.width} elements, counted from 0"
        )
    if elapsed is not None and known.width == 1:
        raise DataError(
            f"{key} takes the only element of the frames of column"
            f" {source.column!r}, which leaves no input; give each frame another element"
        )
    if elapsed is not None:
        nodes.append(Elapsed(f"{name}.elapsed", source.column, elapsed))
    scaled = source.scale == "standard"
    double = scaled and known.is_double(elapsed)
    node = FramesInput(name, source.column, known.width, scaled, elapsed, source.missing, double)
    nodes.append(node)
    return Read(node.name, node.features)


def picture_of(source: language.ImageInput | language.VideoInput) -> Picture:
    steps = source.steps if isinstance(source, language.ImageInput) else "frames"
    return Picture(source.height, source.width, source.channels, steps)


def _image(
    source: language.ImageInput | language.VideoInput, within: bool, nodes: list[Node]
) -> Read:
    """`within`: layers read the rows and columns of frames."""
    picture = picture_of(source)
    name = f"input.{source.column}"
    augment = None if source.augment is None else _augmentation(source.augment)
    nodes.append(ImageInput(name, source.column, picture, source.scale, source.invert, augment))
    read = Read(name, picture.features * picture.channels, (picture.features,))
    if picture.steps != "frames":
        return read
    if not within:
        return flat(read, nodes)
    assert picture.height is not None and picture.width is not None, "frames have both sides"
    nodes.append(Unflatten(f"{name}.frames", name, picture.height, picture.width))
    return replace(read, name=f"{name}.frames", sides=(picture.height, picture.width))


def _augmentation(of: PictureAugment) -> PictureAugmentation:
    return PictureAugmentation(of.flip, of.shift, of.contrast, of.brightness, of.noise)


def _series(
    spec: language.Spec, source: language.SeriesInput, facts: Facts, found: Sources
) -> None:
    """The past of a series and, if `known`, the values ahead."""
    known, name, moments = facts.inputs[source.column], f"input.{source.column}", ""
    assert isinstance(known, NumericFacts)
    scaled = source.scale in ("standard", "robust")
    log = source.transform == "log"
    double = (scaled or source.scale in ("window", "level")) and known.is_double()
    if source.scale in ("window", "level", "mean"):
        moments, kind = f"{name}.moments", source.scale
        steps = spec.data.history if spec.data.reach else 0
        node = WindowMoments(moments, source.column, kind, source.missing, double, log, steps)
        found.nodes.append(node)
    missing = source.missing
    lags = spec.data.differences(source)
    found.nodes.append(
        SeriesInput(name, source.column, scaled, moments, missing, double, log, lags)
    )
    if lags and any(output.column == source.column for output in spec.data.outputs):
        found.nodes.append(LastValues(f"{name}.end", source.column, sum(lags), double, log))
    found.sequences.append(Read(name, 1))
    if source.observed:
        found.nodes.append(Observed(f"{name}.observed", source.column, double))
        found.sequences.append(Read(f"{name}.observed", OBSERVED))
    if spec.data.read_ahead(source):
        horizon = _horizon(spec)
        ahead = FutureInput(
            f"{name}.future",
            source.column,
            horizon,
            scaled,
            moments,
            flat=spec.decoder is None,
            missing=source.missing,
            past=name if source.missing == "previous" else "",
            double=double,
            log=log,
        )
        found.nodes.append(ahead)
        found.ahead.append(Read(ahead.name, horizon if ahead.flat else 1))
    if source.lags:
        _lags(spec, source, found)


def _lags(spec: language.Spec, source: language.SeriesInput, found: Sources) -> None:
    """What a series was some steps before, of the past and of the steps ahead."""
    name, flat = f"input.{source.column}", spec.decoder is None
    found.nodes.append(Lags(f"{name}.lags", name, source.lags))
    found.sequences.append(Read(f"{name}.lags", len(source.lags)))
    known = f"{name}.future" if spec.data.read_ahead(source) and not flat else ""
    ahead = LagsAhead(f"{name}.lags.future", name, source.lags, _horizon(spec), known, flat)
    found.nodes.append(ahead)
    found.ahead.append(Read(ahead.name, ahead.width))


def _horizon(spec: language.Spec) -> int:
    """The longest of all forecasts."""
    outputs = spec.data.outputs
    return max(each.horizon for each in outputs if isinstance(each, language.ForecastOutput))


def _calendar(spec: language.Spec, source: language.CalendarInput, found: Sources) -> None:
    """What the calendar says of the past and, if `known`, of the steps ahead."""
    name, encode = f"input.{source.column}", source.encode
    harmonics = encode.harmonics if isinstance(encode, CyclicEncoding) else 0
    zone = spec.data.series.zone if spec.data.series is not None else None
    calendar = Calendar(source.features, harmonics, zone or "", isinstance(encode, EmbedEncoding))
    found.nodes.append(CalendarInput(name, source.column, calendar))
    embed = f"embed.{source.column}"
    if isinstance(encode, EmbedEncoding):
        found.nodes.append(CalendarEmbed(embed, name, source.features, encode.value))
    found.sequences.append(Read(embed if calendar.numbers else name, source.width))
    if not spec.data.read_ahead(source):
        return
    ahead, flat, horizon = f"{name}.future", spec.decoder is None, _horizon(spec)
    at_once = flat and not calendar.numbers
    found.nodes.append(CalendarFuture(ahead, source.column, calendar, horizon, at_once))
    if isinstance(encode, EmbedEncoding):
        vectors, width = f"{embed}.future", encode.value
        found.nodes.append(CalendarEmbed(vectors, ahead, source.features, width, same_as=embed))
        ahead = vectors
        if flat:
            ahead = f"{vectors}.flat"
            found.nodes.append(AheadFlat(ahead, vectors, horizon, source.width))
    found.ahead.append(Read(ahead, source.width * (horizon if flat else 1)))


def _categories(
    spec: language.Spec, source: language.CategoriesInput, facts: Facts, found: Sources
) -> None:
    """The vectors of the labels of the past and, if `known`, of those ahead, out of one table."""
    known, name = facts.inputs[source.column], f"input.{source.column}"
    assert isinstance(known, TextFacts)
    size, width, embed = len(known.vocabulary), source.embed, f"embed.{source.column}"
    found.nodes.append(CategoriesInput(name, source.column, size, source.unknown))
    found.nodes.append(Embed(embed, name, size, width))
    found.sequences.append(Read(embed, width))
    if not spec.data.read_ahead(source):
        return
    ahead, vectors, horizon = f"{name}.future", f"{embed}.future", _horizon(spec)
    found.nodes.append(CategoriesFuture(ahead, source.column, size, horizon, source.unknown))
    found.nodes.append(Embed(vectors, ahead, size, width, same_as=embed))
    if spec.decoder is None:
        found.nodes.append(AheadFlat(f"{vectors}.flat", vectors, horizon, width))
        found.ahead.append(Read(f"{vectors}.flat", horizon * width))
    else:
        found.ahead.append(Read(vectors, width))


def _keys(source: language.KeysInput, facts: Facts, nodes: list[Node]) -> Read:
    known = facts.inputs[source.column]
    assert isinstance(known, ClassFacts)
    nodes.append(KeysInput(f"input.{source.column}", source.column, len(known.labels)))
    return Read(f"input.{source.column}", len(known.labels))


def _category(source: language.CategoryInput, facts: Facts, nodes: list[Node]) -> Read:
    known, name = facts.inputs[source.column], f"input.{source.column}"
    assert isinstance(known, TextFacts)
    size, embed = len(known.vocabulary), f"embed.{source.column}"
    nodes.append(CategoryInput(name, source.column, size, source.unknown))
    nodes.append(Embed(embed, name, size, source.embed, pad=False))
    return Read(embed, source.embed)


def _vector(
    source: language.NumberInput | language.VectorInput, facts: Facts, nodes: list[Node]
) -> Read:
    known, name = facts.inputs[source.column], f"input.{source.column}"
    assert isinstance(known, NumericFacts)
    single = isinstance(source, language.NumberInput)
    scaled = source.scale == "standard"
    double = scaled and known.is_double()
    width = known.width
    nodes.append(VectorInput(name, source.column, width, scaled, single, source.missing, double))
    return Read(name, width)


def _of_row(source: language.StaticInput, read: Read, found: Sources) -> None:
    """Puts the vector of a row to where it is read."""
    if source.join in ("steps", "both"):
        found.beside.append(read)
    if source.join in ("state", "both"):
        found.start.append(read)
