"""Checks of `encoders:` as a whole: which inputs each reads, whose weights it has, and how their
vectors meet. What holds of any encoder is checked of each alone (`rnnspec.spec.views`)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from rnnspec.source.problems import did_you_mean
from rnnspec.spec.base import Loc, SequenceInput
from rnnspec.spec.branches import headed
from rnnspec.spec.encoder import OwnEncoder, SharedEncoder
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.head import LastPooling
from rnnspec.spec.inputs import StaticInput
from rnnspec.spec.spec import Spec
from rnnspec.spec.views import answers_of_all, of_one_encoder, views
from rnnspec.spec.widths import layers_of_encoders

SIDE_BY_SIDE = ("concat",)


def encoders_are_several(spec: Spec) -> Iterator[Finding]:
    if len(spec.encoders) == 1:
        (name,) = spec.encoders
        message = f"{name!r} is the only encoder"
        hint = "write 'encoder:' with its layers, and 'pooling:' beside it; or add another encoder"
        yield Finding(("encoders",), message, hint, key=True)


def encoders_stand_alone(spec: Spec) -> Iterator[Finding]:
    """Each of several encoders has its own layers and pooling."""
    if not spec.encoders:
        return
    if spec.encoder_ is not None:
        hint = "remove it, or make it one of the encoders"
        yield no_effect(("encoder",), "beside 'encoders'", hint)
    for path, output in headed(spec):
        for key in ("reads", "pooling"):
            if getattr(output, key, None) is not None and not of_one_encoder(spec, output):
                yield no_effect((*path, key), "beside 'encoders', whose vectors all answers read")
    if not isinstance(spec.pooling, LastPooling):
        name = next(iter(spec.encoders))
        why = "beside 'encoders', each of which says its own"
        yield no_effect(("pooling",), why, f"write it in encoders.{name} and the others")


def combinations_have_encoders(spec: Spec) -> Iterator[Finding]:
    if spec.combine != SIDE_BY_SIDE and not spec.encoders:
        hint = "remove it, or write several encoders under 'encoders'"
        yield no_effect(("combine",), "without 'encoders'", hint)
    for place, each in enumerate(spec.combine):
        if each in spec.combine[:place]:
            yield Finding(("combine", place), f"{each} is there already", "name it once")


def inputs_have_one_encoder(spec: Spec) -> Iterator[Finding]:
    """Each sequence is read once; vectors of whole rows may stand beside what encoders give."""
    taken: dict[str, str] = {}
    columns = [each.column for each in spec.data.inputs]
    named = {column for encoder in spec.encoders.values() for column in encoder.inputs}
    for name, encoder in spec.encoders.items():
        for place, column in enumerate(encoder.inputs):
            path: Loc = ("encoders", name, "inputs", place)
            if column not in columns:
                near = did_you_mean(column, [each for each in columns if each not in named])
                hint = near or f"the columns of data.input are {', '.join(columns)}"
                yield Finding(path, f"data.input has no column {column!r}", hint)
            elif column in taken:
                message = f"column {column!r} is read by {taken[column]!r} already"
                hint = "read it once; for another reading of it, name a copy in the data"
                yield Finding(path, message, hint)
            taken.setdefault(column, name)
    wrong = _wrongly_named(spec)
    for path, source in spec.data.located_inputs:
        if not spec.encoders or source.column in taken:
            continue
        if not isinstance(source, StaticInput):
            hint = f"add it to encoders.{next(iter(spec.encoders))}.inputs, or remove it"
            if wrong is not None:
                name, column = wrong
                hint = f"write it in encoders.{name}.inputs in the place of {column!r}"
            yield Finding((*path, "column"), "no encoder reads this column", hint)
        elif source.join != "steps":
            message = f"'{source.join}' makes first states of it, and no encoder reads it"
            name = next(iter(spec.encoders))
            hint = f"write 'join: steps', or add {source.column} to encoders.{name}.inputs"
            yield Finding((*path, "join"), message, hint)


def _wrongly_named(spec: Spec) -> tuple[str, str] | None:
    """The first encoder with a column that is not there or is read before, and this column."""
    columns = {each.column for each in spec.data.inputs}
    for name, encoder in spec.encoders.items():
        for column in encoder.inputs:
            if column not in columns:
                return name, column
            columns.remove(column)
    return None


def encoders_read_sequences(spec: Spec) -> Iterator[Finding]:
    reads_rows = spec.cardinality[0] == "1"  # which no encoder does
    for name, encoder in spec.encoders.items() if not reads_rows else ():
        known = [each for each in spec.data.inputs if each.column in encoder.inputs]
        if known and not any(isinstance(each, SequenceInput) for each in known):
            message = f"{known[0].as_} is of a whole row, and an encoder reads a sequence"
            hint = "add its column to the inputs of an encoder that reads a sequence"
            yield Finding(("encoders", name, "inputs"), message, hint)


def shared_encoders_exist(spec: Spec) -> Iterator[Finding]:
    own = [name for name, each in spec.encoders.items() if isinstance(each, OwnEncoder)]
    for name, encoder in spec.encoders.items():
        if not isinstance(encoder, SharedEncoder) or encoder.same_as in own:
            continue
        path: Loc = ("encoders", name, "same_as")
        others = [each for each in own if each != name]
        hint = did_you_mean(encoder.same_as, others) or (
            f"name {' or '.join(others)}" if others else "give one encoder layers"
        )
        if encoder.same_as in spec.encoders:
            message = f"{encoder.same_as!r} has no layers of its own"
        else:
            message = f"there is no encoder {encoder.same_as!r}"
        yield Finding(path, message, hint)


def shared_columns_are_alike(spec: Spec) -> Iterator[Finding]:
    """Encoders with the same weights read columns of the same kinds and settings."""
    known = {view.name: view for view in views(spec)}
    for name, view in known.items():
        other = known.get(view.same_as)
        if other is None:
            continue
        path: Loc = ("encoders", name, "inputs")
        if len(view.columns) != len(other.columns):
            message = f"reads {_counted(view.columns)}, and {other.name!r},"
            message += f" whose weights it has, {_counted(other.columns)}"
            yield Finding(path, message, "read as many, in the same order")
            continue
        pairs = zip(view.spec.data.inputs, other.spec.data.inputs, strict=True)
        for place, (one, two) in enumerate(pairs):
            if one != two.model_copy(update={"column": one.column}):
                message = f"column {one.column!r} is read otherwise than {two.column!r} of"
                message += f" {other.name!r}, whose weights it has"
                hint = "give both the same 'as' and settings under data.input"
                yield Finding((*path, place), message, hint)


def _counted(columns: tuple[str, ...]) -> str:
    return f"{len(columns)} column{'s' * (len(columns) != 1)}"


def compared_vectors_have_one_width(spec: Spec) -> Iterator[Finding]:
    if spec.combine == SIDE_BY_SIDE or not answers_of_all(spec):
        return
    widths = {name: layers[-1].output for name, layers in layers_of_encoders(spec).items()}
    for (one, width), (two, other) in combinations(widths.items(), 2):
        if width and other and width != other:
            kind = next(each for each in spec.combine if each != "concat")
            message = f"{kind} needs vectors of one width, and {one!r} gives {width} numbers,"
            message += f" {two!r} {other}"
            place = spec.combine.index(kind)
            hint = "choose units that give equal widths, or 'combine: [concat]'"
            yield Finding(("combine", place), message, hint)
            return
