"""Going on from an earlier build (`train.start_from`): its vocabulary, its scaling, its weights.

The new model keeps every token and label of the start build and adds those of the new rows, and
scales numbers as the start build did, so that its weights mean what they meant. A weight is taken
where name and shape are the same; of those with a row for each token or label the rows are taken by
token and label. A new token starts as the unknown did, so that no answer changes before training; a
new label, and a new token that is answered, starts with drawn weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import BuildError, SpecError
from rnnspec.plan import Facts, Plan, nodes, weights
from rnnspec.plan.facts import (
    UNKNOWN_ID,
    ClassFacts,
    ColumnFacts,
    NumericFacts,
    TextFacts,
    Vocabulary,
)
from rnnspec.plan.names import names_of
from rnnspec.plan.nodes.node import FromData, FromVectors
from rnnspec.plan.resolve_encoders import prefix_of
from rnnspec.spec.encoder import OwnEncoder
from rnnspec.spec.inner_views import levels
from rnnspec.spec.load import LoadedSpec
from rnnspec.spec.nested import NestedInput
from rnnspec.spec.spec import Spec
from rnnspec.spec.stack import repeats
from rnnspec.spec.views import encoder_of
from rnnspec.store.folder import Trained, find_build, read_build
from rnnspec.to_torch import Model

SHOWN = 6
"""Most names that a sentence lists."""
Array = NDArray[np.generic]
Named = tuple[str, ...]


def start_build(loaded: LoadedSpec) -> Trained | None:
    """The build that `train.start_from` names, relative to the folder of the spec or, where there
    is none, to the current one. Raises SpecError where there is none."""
    name = loaded.spec.train.start_from
    if name is None:
        return None
    beside = loaded.path.parent / name
    try:
        folder = beside if beside.exists() else Path(name)
        return read_build(find_build(folder, folder))
    except BuildError as error:
        what = f"cannot be started from ({error})"
        place = ("train", "start_from")
        raise SpecError([loaded.document.problem(place, what, "name a build folder")]) from error


# ---------------------------------------------------------------- facts


def grown(facts: Facts, before: Facts) -> tuple[Facts, list[str]]:
    """The facts of the new rows with the vocabulary, the labels and the scaling of the start build,
    and sentences on what that changes. Raises BuildError for keys that the start build lacks."""
    notes: list[str] = []
    sides = []
    for side in ("inputs", "outputs"):
        of_new, of_old = getattr(facts, side), getattr(before, side)
        found = {}
        for column, known in of_new.items():
            found[column], said = _grown(column, known, of_old.get(column), side == "inputs")
            notes += said
        sides.append(found)
    return replace(facts, inputs=sides[0], outputs=sides[1]), list(dict.fromkeys(notes))


def _grown(
    column: str, new: ColumnFacts, old: ColumnFacts | None, read: bool
) -> tuple[ColumnFacts, list[str]]:
    match new, old:
        case NumericFacts(), NumericFacts() if new.width == old.width:
            same = (new.mean, new.deviation) == (old.mean, old.deviation)
            kept = replace(new, mean=old.mean, deviation=old.deviation, lost=old.lost)
            said = f"{column} is scaled as in the start build, not by the new rows"
            return kept, [] if same else [said]
        case ClassFacts(ordered=False), ClassFacts():
            return _with_labels(column, new, old, read)
        case TextFacts(), TextFacts() if new.vectors is None and old.vectors is None:
            return _with_tokens(column, new, old)
    return new, []


def _with_labels(
    column: str, new: ClassFacts, old: ClassFacts, read: bool
) -> tuple[ClassFacts, list[str]]:
    more = [label for label in new.labels if label not in old.labels]
    if more and read:
        raise BuildError(
            f"column {column!r} has keys that the start build does not read ({_listed(more)});"
            " leave those rows out, or build without train.start_from"
        )
    labels = tuple(sorted({*new.labels, *old.labels}))
    of_label = dict(zip(new.labels, new.counts, strict=False))
    counts = tuple(of_label.get(label, 0) for label in labels) if new.counts else ()
    of_weights = dict(zip(new.labels, new.weighed, strict=False))
    weighed = tuple(of_weights.get(label, 0.0) for label in labels) if new.weighed else ()
    found = replace(new, labels=labels, counts=counts, weighed=weighed)
    return found, [f"{column} has new labels: {_listed(more)}"] if more else []


def _with_tokens(column: str, new: TextFacts, old: TextFacts) -> tuple[TextFacts, list[str]]:
    if new.tokenizer or old.tokenizer:
        kept = replace(new, vocabulary=old.vocabulary, tokenizer=old.tokenizer)
        return kept, [f"{column} is split by the tokenizer of the start build"]
    vocabulary, more = _joined(old.vocabulary, new.vocabulary)
    characters = new.characters
    if characters is not None and old.characters is not None:
        characters, _ = _joined(old.characters, characters)
    found = replace(new, vocabulary=vocabulary, characters=characters)
    said = f"{column} has {len(more):,} tokens that the start build did not know: {_listed(more)}"
    return found, [said] if more else []


def _joined(old: Vocabulary, new: Vocabulary) -> tuple[Vocabulary, list[str]]:
    """The old entries, then those that are new."""
    known = frozenset(old.entries)
    more = [entry for entry in new.entries if entry not in known]
    return Vocabulary((*old.entries, *more)), more


def _listed(names: Sequence[str]) -> str:
    left = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + left


# ---------------------------------------------------------------- weights


@dataclass(frozen=True, slots=True)
class Rows:
    """The axes of a weight with a row for each of `names`; `read`: tokens that are read."""

    names: Named
    axes: tuple[int, ...] = (0,)
    read: bool = False


def take(model: Model, facts: Facts, start: Trained) -> list[str]:
    """Put the weights of the start build into a model with starting weights, and say which.

    Raises BuildError where none fits.
    """
    now: dict[str, Array] = dict(model.canonical_arrays())
    of_new, of_old = named_rows(model.plan, facts), named_rows(start.plan, start.facts)
    taken, fresh, owners = [], [], _owners(model.plan)
    for weight in weights(model.plan):
        if isinstance(weight.initializer, FromData | FromVectors) and not weight.trained:
            continue  # of the facts, which hold the scaling of the start build already
        old = start.weights.get(weight.name)
        found = _taken(now[weight.name], old, of_new.get(weight.name), of_old.get(weight.name))
        if found is None:
            fresh.append(owners[weight.name])
        else:
            now[weight.name] = found
            taken.append(weight.name)
    if not taken:
        raise BuildError(
            f"{start.folder.path}: no weight has the name and the shape of one of the new model"
        )
    model.load_canonical(now)
    gone = {owner for name, owner in _owners(start.plan).items() if name not in owners}
    return list(_told(start, len(taken), list(dict.fromkeys(fresh)), sorted(gone)))


def _told(start: Trained, taken: int, fresh: list[str], gone: list[str]) -> Iterator[str]:
    said = f"starts from {start.folder.path}: {taken} weights are taken"
    yield said + ("" if fresh else ", which are all")
    if fresh:
        yield f"start anew, for the start build has none of the same shape: {', '.join(fresh)}"
    if gone:
        yield f"only in the start build, and left out: {', '.join(gone)}"


def _owners(plan: Plan) -> dict[str, str]:
    """The node of each weight."""
    return {weight.name: node.name for node in plan.every_node() for weight in node.weights()}


def _taken(new: Array, old: Array | None, to: Rows | None, of: Rows | None) -> Array | None:
    """The value of a weight: of the start build as far as it has it; None where it has not."""
    if old is None or old.ndim != new.ndim:
        return None
    if to is None or of is None:
        return old if to is of and old.shape == new.shape else None
    others = [axis for axis in range(new.ndim) if axis not in to.axes]
    if to.axes != of.axes or any(old.shape[axis] != new.shape[axis] for axis in others):
        return None
    place = {name: number for number, name in enumerate(of.names)}
    unknown = UNKNOWN_ID if to.read else -1
    source = np.array([place.get(name, unknown) for name in to.names])
    known = np.flatnonzero(source >= 0)
    found = new.copy()
    into: list[slice | NDArray[np.intp]] = [slice(None)] * new.ndim
    if len(to.axes) == 2:
        found[np.ix_(known, known)] = old[np.ix_(source[known], source[known])]
        return found
    into[to.axes[0]] = known
    found[tuple(into)] = np.take(old, source[known], axis=to.axes[0])
    return found


def named_rows(plan: Plan, facts: Facts) -> dict[str, Rows]:
    """The weights with a row for each token or label."""
    found: dict[str, Rows] = {}
    by_name = {node.name: node for node in plan.every_node()}
    answered = {out.source: out for out in plan.outputs}
    for node in by_name.values():
        if isinstance(node, nodes.Embed):
            names = _names_read(by_name.get(node.source), plan, facts)
            found[f"{node.name}.table"] = Rows(names[: node.own], read=True)
        elif isinstance(node, nodes.Scores):
            written = node.name not in answered
            names = (
                _names_written(plan, facts)
                if written
                else _numbered(facts.outputs[answered[node.name].column])
            )
            found |= {f"{node.name}.{each}": Rows(names) for each in ("W", "b")}
        elif isinstance(node, nodes.Dense) and node.name in answered:
            known = facts.outputs.get(answered[node.name].column)
            if isinstance(known, ClassFacts | TextFacts) and len(_numbered(known)) == node.units:
                rows = Rows(_numbered(known))
                found |= {f"{node.name}.{each}": rows for each in ("W", "b")}
        elif isinstance(node, nodes.ChainOutput):
            labels = _numbered(facts.outputs[node.column])
            found |= {f"{node.name}.{each}": Rows(labels) for each in ("start", "end")}
            found[f"{node.name}.transitions"] = Rows(labels, (0, 1))
    return found


def _numbered(known: ColumnFacts) -> Named:
    """The name of each number of a column; no token is called as the first two numbers are."""
    names = names_of(known)
    return ("\0end", "\0unknown", *names[2:]) if isinstance(known, TextFacts) else names


def _names_read(source: nodes.Node | None, plan: Plan, facts: Facts) -> Named:
    """The names of the numbers that an embedding reads."""
    while isinstance(source, nodes.Unnest):
        source = plan.node(source.source)
    if isinstance(source, nodes.CharactersInput):
        known = facts.inputs[source.column]
        assert isinstance(known, TextFacts) and known.characters is not None
        return ("\0end", "\0unknown", *known.characters.entries)
    if isinstance(source, nodes.Input):
        return _numbered(facts.inputs[source.column])
    return _names_written(plan, facts)


def _names_written(plan: Plan, facts: Facts) -> Named:
    """The tokens that a decoder writes."""
    for out in plan.outputs:
        if isinstance(out, nodes.WrittenOutput):
            return _numbered(facts.outputs[out.column])
    return ()


# ---------------------------------------------------------------- layers that stay as they are


def frozen_nodes(plan: Plan, loaded: LoadedSpec) -> frozenset[str]:
    """The nodes that `train.freeze` names, each with what follows it by its name. Raises SpecError
    for a name that fits no layer with weights, and where nothing is left to train."""
    patterns = loaded.spec.train.freeze
    owners = _owners(plan)
    trained = {owners[weight.name] for weight in weights(plan) if weight.trained}
    own = _own_names(loaded)
    found: set[str] = set()
    for index, pattern in enumerate(patterns):
        matches = {n for n in trained if any(_fits(n, p) for p in own.get(pattern, [pattern]))}
        if not matches:
            hint = f"the layers are {', '.join(sorted(trained))}"
            what = f"no layer with weights is called {pattern!r}"
            raise SpecError([loaded.document.problem(("train", "freeze", index), what, hint)])
        found |= matches
    if patterns and found == trained:
        what, hint = "nothing is left to train", "leave a layer out of train.freeze"
        raise SpecError([loaded.document.problem(("train", "freeze"), what, hint, key=True)])
    return frozenset(found)


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*")


def _own_names(loaded: LoadedSpec) -> Mapping[str, list[str]]:
    """The nodes of layers that the spec gives a name; those of several encoders may have one."""
    found: dict[str, list[str]] = {}
    spec = loaded.spec
    own = ((n, e) for n, e in spec.encoders.items() if isinstance(e, OwnEncoder))
    nested = [each for each in spec.data.inputs if isinstance(each, NestedInput)]
    for prefix, layers in (
        ("layers", spec.encoder.layers),
        *((f"{prefix_of(name)}layers", each.layers) for name, each in own),
        ("decoder.layers", spec.decoder_layers),
        *(
            (f"{_nested(spec, each)}{'.of' * deep}.layers", level.encoder.layers)
            for each in nested
            for deep, level in enumerate(levels(each))
        ),
    ):
        number = 0
        for layer in layers:
            times = repeats(layer)
            if layer.name is not None:
                named = [f"{prefix}.{number + n}" for n in range(times)]
                found.setdefault(layer.name, []).extend(named)
            number += times
    return found


def _nested(spec: Spec, source: NestedInput) -> str:
    """The prefix of the nodes of the encoder in a nested input."""
    encoder = encoder_of(spec).get(source.column)
    return f"{prefix_of(encoder) if encoder else ''}nested.{source.column}"
