"""The nodes of inputs of tokens: their vectors, the layers that spell them, and the encoders of
sequences that are nested in steps."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import sqrt

from rnnspec import spec as language
from rnnspec.cells.initializers import Uniform
from rnnspec.errors import DataError
from rnnspec.plan.builder import Stack, cell_of, pooled, zeros
from rnnspec.plan.facts import Facts, TextFacts, VectorFacts
from rnnspec.plan.nodes import (
    CharactersInput,
    Embed,
    NestedInput,
    Node,
    PerStep,
    Pool,
    Recurrent,
    TokensInput,
    Unnest,
)
from rnnspec.plan.stateless import Read, dropped, joined, table_init
from rnnspec.plan.text_rule import rule_of
from rnnspec.spec.base import Loc
from rnnspec.spec.branches import branches
from rnnspec.spec.encoder import DEFAULT_EMBED
from rnnspec.spec.inner_views import inner_spec, innermost, levels
from rnnspec.spec.inputs import TokenInput


def tokens(
    spec: language.Spec, source: TokenInput, facts: Facts, nodes: list[Node], prefix: str
) -> Read:
    """Token numbers, their vectors and, with `spelling`, the last states over the characters."""
    known = facts.inputs[source.column]
    assert isinstance(known, TextFacts)
    size = len(known.vocabulary)
    tokens = replace(_tokens_input(source, size), reverse=spec.data.is_reversed(source.column))
    single = sum(isinstance(each, TokenInput) for each in spec.data.inputs) == 1
    name = f"{prefix}embed" if single else f"{prefix}embed.{source.column}"
    stated = spec.encoder.embed
    width, init, tied = (
        stated or DEFAULT_EMBED,
        table_init(spec.encoder.embed_init),
        _is_tied(spec, source),
    )
    if tied and not init and spec.init is None:
        init = (("table", Uniform(1 / sqrt(width))),)
    embed = Embed(name, tokens.name, size, width, pad=not tied, initializers=init)
    if isinstance(source, language.WordsInput | language.TokensInput) and known.vectors:
        stated, key = stated if single else None, spec.in_encoder("embed")
        embed = _pretrained(embed, source, known.vectors, stated, key)
    nodes += [tokens, embed]
    read = Read(name, embed.width)
    if isinstance(source, language.WordsInput | language.TokensInput) and source.spelling:
        spelled = _spelled(spec, source.spelling, tokens, known, nodes)
        read = joined(f"{name}.spelled", [read, spelled], nodes)
    return dropped(f"{name}.dropout", spec.encoder.embed_dropout, read, nodes)


def _is_tied(spec: language.Spec, source: TokenInput) -> bool:
    """Whether the vectors of a column also score its next token."""
    tied = (out for branch in branches(spec) if branch.head.tied for out in branch.outputs)
    ahead = (each for each in tied if isinstance(each, language.NextOutput))
    return any(each.column == source.column for each in ahead)


def _tokens_input(source: TokenInput, size: int) -> TokensInput:
    name, fold_case = f"input.{source.column}", getattr(source, "fold_case", False)
    wanted = getattr(source, "vectors", None)
    or_lower = wanted is not None and wanted.lower_case
    rule = rule_of(source)
    return TokensInput(name, source.column, source.as_, size, fold_case, rule, or_lower)


def _pretrained(
    embed: Embed,
    source: language.WordsInput | language.TokensInput,
    known: VectorFacts,
    stated: int | None,
    key: str,
) -> Embed:
    """The embedding with the vectors of a file. Raises DataError where another width is `stated`
    for it under `key`."""
    if stated is not None and stated != known.width:
        raise DataError(
            f"{key} is {stated}, and the vectors of {source.column!r} in"
            f" {known.source.file} have {known.width} numbers; leave {key} out"
        )
    frozen = embed.size - known.first
    half = source.vectors is not None and source.vectors.storage == "float16"
    return replace(embed, width=known.width, vectors=True, frozen=frozen, half=half)


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
    nodes += [layer, pool, PerStep(prefix, pool.name, tokens.name, tokens.reverse)]
    return Read(prefix, layer.width)


def nested(
    spec: language.Spec,
    path: Loc,
    source: language.NestedInput,
    facts: Facts,
    nodes: list[Node],
    prefix: str,
) -> Read:
    """The vectors of the steps of a nested input: an encoder over the sequence in each. `path` is
    that of the input in the spec. Raises DataError."""
    known = facts.inputs[source.column]
    assert isinstance(known, TextFacts)
    read = _tokens_input(innermost(source), len(known.vocabulary))
    of_tokens = (read.column, read.kind, read.size, read.fold_case, read.rule, read.or_lower)
    nodes.append(NestedInput(read.name, *of_tokens, sum(1 for _ in levels(source))))
    return _of_steps(spec, path, source, known, nodes, f"{prefix}nested.{source.column}", read.name)


def _of_steps(
    spec: language.Spec,
    path: Loc,
    source: language.NestedInput,
    known: TextFacts,
    nodes: list[Node],
    name: str,
    steps: str,
) -> Read:
    """The vector of each sequence in the node `steps`, by the encoder of `source`; the nodes of a
    level further in are called `name`.of."""
    inner = inner_spec(spec, source).with_encoder_at((*path, "encoder"))
    (of,) = inner.data.inputs
    unnested = f"{name}.unnested"
    nodes.append(Unnest(unnested, steps))
    if isinstance(of, language.NestedInput):
        vectors = _of_steps(inner, (*path, "of"), of, known, nodes, f"{name}.of", unnested)
    if isinstance(of, TokenInput):
        vectors = _embedded(inner, of, known, unnested, f"{name}.embed", nodes)
    stack = Stack(inner, "encoder", f"{name}.layers", nodes, zeros)
    vector = pooled(inner, partial(stack.built, vectors), f"{name}.", nodes)
    nodes.append(PerStep(name, vector.name, steps))
    return Read(name, vector.width)


def _embedded(
    spec: language.Spec,
    source: TokenInput,
    known: TextFacts,
    numbers: str,
    name: str,
    nodes: list[Node],
) -> Read:
    """The vectors of the tokens of one encoder, that of `spec`."""
    encoder = spec.encoder
    embed = Embed(
        name,
        numbers,
        len(known.vocabulary),
        encoder.embed or DEFAULT_EMBED,
        initializers=table_init(encoder.embed_init),
    )
    if isinstance(source, language.WordsInput | language.TokensInput) and known.vectors:
        embed = _pretrained(embed, source, known.vectors, encoder.embed, spec.in_encoder("embed"))
    nodes.append(embed)
    return dropped(f"{name}.dropout", encoder.embed_dropout, Read(name, embed.width), nodes)
