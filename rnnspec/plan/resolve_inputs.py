"""The nodes of the inputs, with embeddings and spelling layers."""

from __future__ import annotations

from dataclasses import dataclass, field

from rnnspec import spec as language
from rnnspec.errors import DataError
from rnnspec.plan.builder import Read, cell_of, dropped, joined
from rnnspec.plan.facts import ClassFacts, Facts, NumericFacts, TextFacts
from rnnspec.plan.nodes import (
    CategoryInput,
    CharactersInput,
    Elapsed,
    Embed,
    FramesInput,
    FutureInput,
    KeysInput,
    Node,
    PerStep,
    Pool,
    Recurrent,
    SeriesInput,
    TokensInput,
    VectorInput,
    WindowMoments,
)
from rnnspec.spec.encoder import DEFAULT_EMBED, given_columns


@dataclass(slots=True)
class Sources:
    """The nodes of all inputs, and their values by the place where they are read.

    `sequences` have steps. Vectors of whole rows are read `beside` each step, or make the states
    before the first step (`start`). `ahead` are known values over the horizon.
    """

    nodes: list[Node] = field(default_factory=list)
    sequences: list[Read] = field(default_factory=list)
    beside: list[Read] = field(default_factory=list)
    start: list[Read] = field(default_factory=list)
    ahead: list[Read] = field(default_factory=list)


def read_inputs(spec: language.Spec, facts: Facts) -> Sources:
    """The input nodes of a spec, with embeddings and spellings. Raises DataError."""
    found = Sources()
    for column in given_columns(spec.encoder.layers):
        vector = facts.inputs[column]
        assert isinstance(vector, NumericFacts)
        found.nodes.append(VectorInput(f"input.{column}", column, vector.width))
    for number, source in enumerate(spec.data.inputs):
        if isinstance(source, language.StaticInput):
            _static(source, facts, found)
        elif isinstance(source, language.SeriesInput):
            _series(spec, source, facts, found)
        elif isinstance(source, language.FramesInput):
            found.sequences.append(_frames(spec, number, source, facts, found.nodes))
        elif isinstance(source, language.KeysInput):
            known = facts.inputs[source.column]
            assert isinstance(known, ClassFacts)
            node = KeysInput(f"input.{source.column}", source.column, len(known.labels))
            found.nodes.append(node)
            found.sequences.append(Read(node.name, node.size))
        else:
            found.sequences.append(_tokens(spec, source, facts, found.nodes))
    return found


def _tokens(
    spec: language.Spec, source: language.SequenceInput, facts: Facts, nodes: list[Node]
) -> Read:
    """Token numbers, their vectors and, with `spelling`, the last states over the characters."""
    known = facts.inputs[source.column]
    assert isinstance(known, TextFacts)
    assert not isinstance(
        source, language.FramesInput | language.KeysInput | language.SeriesInput
    ), f"{source.column} has no tokens"
    size = len(known.vocabulary)
    fold_case = isinstance(source, language.CharsInput) and source.fold_case
    tokens = TokensInput(f"input.{source.column}", source.column, source.as_, size, fold_case)
    single = sum(_has_tokens(each) for each in spec.data.sequences) == 1
    name = "embed" if single else f"embed.{source.column}"
    width = spec.encoder.embed or DEFAULT_EMBED
    nodes += [tokens, Embed(name, tokens.name, size, width)]
    read = Read(name, width)
    if isinstance(source, language.WordsInput | language.TokensInput) and source.spelling:
        spelled = _spelled(spec, source.spelling, tokens, known, nodes)
        read = joined(f"{name}.spelled", [read, spelled], nodes)
    return dropped(f"{name}.dropout", spec.encoder.embed_dropout, read, nodes)


def _has_tokens(source: language.SequenceInput) -> bool:
    numeric = language.FramesInput | language.KeysInput | language.SeriesInput
    return not isinstance(source, numeric)


def _spelled(
    spec: language.Spec,
    spelling: language.Spelling,
    tokens: TokensInput,
    known: TextFacts,
    nodes: list[Node],
) -> Read:
    """The last outputs in both directions of a layer over the characters of each token."""
    assert known.characters is not None, f"{tokens.column} has no characters"
    prefix, size = f"spelling.{tokens.column}", len(known.characters)
    name = f"{tokens.name}.characters"
    nodes.append(CharactersInput(name, tokens.column, tokens.name, size))
    nodes.append(Embed(f"{prefix}.embed", name, size, spelling.embed))
    read = Read(f"{prefix}.embed", spelling.embed)
    read = dropped(f"{prefix}.dropout", spelling.dropout, read, nodes)
    cell = cell_of(spec, spelling.cell)
    layer = Recurrent(
        f"{prefix}.layer", read.name, cell, read.width, spelling.units, "bidirectional"
    )
    pool = Pool(f"{prefix}.last", layer.name, "last", layer.width, 0)
    nodes += [layer, pool, PerStep(prefix, pool.name, tokens.name)]
    return Read(prefix, layer.width)


def _frames(
    spec: language.Spec,
    number: int,
    source: language.FramesInput,
    facts: Facts,
    nodes: list[Node],
) -> Read:
    known = facts.inputs[source.column]
    assert isinstance(known, NumericFacts)
    name, elapsed = f"input.{source.column}", source.elapsed
    key = ".".join(map(str, (*spec.data.located_inputs[number][0], "elapsed")))
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


def _series(
    spec: language.Spec, source: language.SeriesInput, facts: Facts, found: Sources
) -> None:
    """The past of a series and, if `known`, the values ahead."""
    known, name, moments = facts.inputs[source.column], f"input.{source.column}", ""
    assert isinstance(known, NumericFacts)
    scaled = source.scale in ("standard", "robust")
    double = (scaled or source.scale == "window") and known.is_double()
    if source.scale == "window" or source.scale == "mean":
        moments = f"{name}.moments"
        node = WindowMoments(moments, source.column, source.scale, source.missing, double)
        found.nodes.append(node)
    found.nodes.append(SeriesInput(name, source.column, scaled, moments, source.missing, double))
    found.sequences.append(Read(name, 1))
    if source.known:
        horizon = next(
            each.horizon for each in spec.data.outputs if isinstance(each, language.ForecastOutput)
        )
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
        )
        found.nodes.append(ahead)
        found.ahead.append(Read(ahead.name, horizon if ahead.flat else 1))


def _static(source: language.StaticInput, facts: Facts, found: Sources) -> None:
    """A vector of the whole row."""
    known, name = facts.inputs[source.column], f"input.{source.column}"
    if isinstance(source, language.CategoryInput):
        assert isinstance(known, TextFacts)
        size, embed = len(known.vocabulary), f"embed.{source.column}"
        found.nodes.append(CategoryInput(name, source.column, size))
        found.nodes.append(Embed(embed, name, size, source.embed, pad=False))
        read = Read(embed, source.embed)
    else:
        assert isinstance(known, NumericFacts)
        single = isinstance(source, language.NumberInput)
        scaled = source.scale == "standard"
        missing = source.missing
        double = scaled and known.is_double()
        node = VectorInput(name, source.column, known.width, scaled, single, missing, double)
        found.nodes.append(node)
        read = Read(name, known.width)
    if source.join in ("steps", "both"):
        found.beside.append(read)
    if source.join in ("state", "both"):
        found.start.append(read)
