"""Checks of what is read of several encoders: an answer of steps says which encoder's they are, and
no encoder is there for nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnnspec.source.problems import did_you_mean
from rnnspec.spec.attending import AttendLayer
from rnnspec.spec.base import Loc
from rnnspec.spec.branches import Read, reading
from rnnspec.spec.encoder import OwnEncoder
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.outputs import NextOutput
from rnnspec.spec.spec import Spec
from rnnspec.spec.stack import INPUT
from rnnspec.spec.views import answers_of_all, encoder_read, layers_of, of_one_encoder, root_of


def answers_of_steps_name_an_encoder(spec: Spec) -> Iterator[Finding]:
    """Each encoder has steps of its own; layers of one alone stand side by side."""
    for path, output in _of_one(spec):
        names, known = output.reads, list(spec.encoders)
        if names is None:
            message = f"'as: {output.as_}' is about the steps of one encoder, and there are several"
            hint = f"say which: add 'reads: [{known[-1]}]', or {' or '.join(known[:-1])}"
            yield Finding((*path, "as"), message, hint)
            continue
        read = [name.partition(".")[0] for name in names]
        for place, (name, encoder) in enumerate(zip(names, read, strict=True)):
            at: Loc = (*path, "reads", place)
            if encoder not in known:
                hint = f"name {' or '.join(known)}, or a layer of one, as in {known[-1]}.low"
                near = did_you_mean(encoder, known)
                yield Finding(at, f"there is no encoder {encoder!r}", near or hint)
            else:
                beside = len(set(names)) > 1 and set(read) == {encoder}
                yield from _unknown_layer(spec, at, name, beside)
        if len({each for each in read if each in known}) > 1:
            message = f"{' and '.join(map(repr, dict.fromkeys(read)))} have steps of their own"
            hint = f"name layers of one of them; a layer of it may say 'attend: {read[-1]}'"
            yield Finding((*path, "reads"), message, hint)
        elif len(set(names)) < len(names):
            yield Finding((*path, "reads"), "names a layer twice", "name each once")


def _of_one(spec: Spec) -> Iterator[tuple[Loc, Read]]:
    """The answers that are made of one of several encoders, with their paths."""
    found = reading(spec) if spec.encoders else ()
    yield from ((path, output) for path, output in found if of_one_encoder(spec, output))


def _unknown_layer(spec: Spec, at: Loc, name: str, beside: bool) -> Iterator[Finding]:
    encoder, _, layer = name.partition(".")
    own = layers_of(spec, spec.encoders[encoder])
    if own is None:
        return
    known = [INPUT, *(each.name for each in own.layers if each.name is not None)]
    if layer and layer not in known:
        written = [f"{encoder}.{each}" for each in known]
        hint = did_you_mean(name, written) or f"known there are {', '.join(written)}"
        yield Finding(at, f"no layer of {encoder!r} is called {layer!r}", hint)
    elif beside and not layer and own.layers[-1].name is None:
        message = f"the last layer of {encoder!r}, which this is, has no name beside others"
        hint = f"write 'name: last' in it, and here '{encoder}.last'"
        yield Finding(at, message, hint)


def next_steps_are_written(spec: Spec) -> Iterator[Finding]:
    """A model of the next step reads one sequence, and goes on with it."""
    for path, output in _of_one(spec):
        if isinstance(output, NextOutput):
            message = "the next step is answered of one encoder, which reads it, and there are"
            hint = "write it by a decoder, which reads all encoders: 'cardinality: N:M'"
            yield Finding((*path, "as"), f"{message} several", hint)


def encoders_read_whole_rows(spec: Spec) -> Iterator[Finding]:
    """Steps that encoders have of their own are cut into no windows, and are no rows of a table."""
    if not spec.encoders or spec.cardinality != "N:N":
        return
    if spec.train.window is not None:
        message = "cuts one sequence into windows, and encoders have steps of their own"
        yield Finding(("train", "window"), message, "remove it", key=True)
    for path, _ in spec.data.located_series:
        message = "the steps of series are rows of a table, which one encoder reads"
        hint = "read all columns with one 'encoder', or frames of rows that hold lists"
        yield Finding((*path, "as"), message, hint)


def encoders_are_read(spec: Spec) -> Iterator[Finding]:
    """By an answer of all, by a decoder, by an answer of its steps, or by a layer that attends."""
    if not spec.encoders or answers_of_all(spec) or spec.decoder_ is not None:
        return
    answers = [output for _, output in _of_one(spec)]
    if any(output.reads is None or encoder_read(output) not in spec.encoders for output in answers):
        return
    read = {encoder_read(output) for output in answers}
    ways = list(read)
    while ways:
        for other in _attended_by(spec, ways.pop()):
            if other not in read:
                read.add(other)
                ways.append(other)
    for name in spec.encoders:
        if name not in read:
            yield _unread(name, sorted(read & set(spec.encoders)))


def _attended_by(spec: Spec, name: str) -> Iterator[str]:
    """The encoders that the layers of another attend to, which may be those that it shares."""
    own = spec.encoders.get(root_of(spec, name))
    for layer in own.layers if isinstance(own, OwnEncoder) else ():
        if isinstance(layer, AttendLayer):
            yield root_of(spec, name) if layer.encoder == name else layer.encoder


def _unread(name: str, read: Sequence[str]) -> Finding:
    message = "no answer reads it, and no layer that one depends on attends to it"
    hint = f"write '- {{attend: {name}}}' in a layer of {' or '.join(read)}, or remove it"
    return Finding(("encoders", name), message, hint, key=True)


def combined_vectors_are_read(spec: Spec) -> Iterator[Finding]:
    """Vectors of several encoders meet where an answer of the whole row reads them."""
    if not spec.encoders or answers_of_all(spec) or spec.combine == ("concat",):
        return
    why = "where every answer is about the steps of one encoder: no vectors meet"
    if spec.decoder_ is not None:
        why = "where a decoder alone reads the encoders: no vectors of theirs meet"
    yield no_effect(("combine",), why)
