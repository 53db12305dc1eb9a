"""Finds the model at the path of an error, and the places of a key.

Pydantic's errors carry a path (`loc`) of keys, list indices and the hidden tags of
`rnnspec.spec.choice`; the models on it have the keys that are allowed there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from rnnspec.spec.base import Model, keys_of
from rnnspec.spec.choice import HIDDEN, ByKey, ByName, ByShape, OneOf, literal_of
from rnnspec.spec.spec import Spec


def model_at(loc: Sequence[str | int]) -> type[Model] | None:
    """The model that validates the mapping at `loc`; None if there is none."""
    kind = _bare(reduce(_below, loc, Spec))[0]
    return kind if isinstance(kind, type) and issubclass(kind, Model) else None


def siblings_with(loc: Sequence[str | int], key: str) -> tuple[str, str, list[str]] | None:
    """For a mapping at `loc` that is one member of a union: the key that selects the member, its
    name, and the names of the members that have `key`. Where a key of its own tells a member, the
    first is the key of the union; in a list it is ""."""
    if not loc or not isinstance(loc[-1], str):
        return None
    union, marks = _bare(reduce(_below, loc[:-1], Spec))
    if any(isinstance(mark, OneOf) for mark in marks):
        names = [member.name for member in get_args(union) if key in keys_of(member)]
        return str(loc[-2]), loc[-1], names
    if not loc[-1].startswith(HIDDEN):
        return None
    if any(isinstance(mark, ByShape) for mark in marks):
        return _by_shape(get_args(union), loc, key)
    by_name = next((mark for mark in marks if isinstance(mark, ByName)), None)
    if by_name is not None:
        members = zip(by_name.names, get_args(union), strict=True)
        others = [name for name, member in members if key in keys_of(member)]
        return "", loc[-1].removeprefix(HIDDEN), others
    by_key = next((mark for mark in marks if isinstance(mark, ByKey)), None)
    if by_key is None:
        return None
    names = [literal_of(m, by_key.key) for m in get_args(union) if key in keys_of(m)]
    return by_key.key, loc[-1].removeprefix(HIDDEN), names


def _by_shape(
    members: Sequence[Any], loc: Sequence[str | int], key: str
) -> tuple[str, str, list[str]] | None:
    """As `siblings_with`, for a union of models with names."""
    if not all(isinstance(each, type) and hasattr(each, "name") for each in members):
        return None
    kind = members[int(str(loc[-1]).removeprefix(HIDDEN))]
    return str(loc[-2]), kind.name, [each.name for each in members if key in keys_of(each)]


def options_at(path: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """For a `OneOf` key: the settings of each option by its name; empty for any other key."""
    kinds: list[Any] = [Spec]
    for part in path:
        kinds = [below for kind in kinds for below in _all_below(kind, part)]
    found: dict[str, tuple[str, ...]] = {}
    for kind in kinds:
        union, marks = _bare(kind)
        if any(isinstance(mark, OneOf) for mark in marks):
            for member in get_args(union):
                keys = (key for key in keys_of(member) if not key.startswith(HIDDEN))
                found[member.name] = tuple(dict.fromkeys((*found.get(member.name, ()), *keys)))
    return found


def _all_below(kind: Any, part: str) -> Iterator[Any]:
    """The types that a value at `part` of a value of type `kind` may have, for all members of a
    union."""
    bare, marks = _bare(kind)
    if get_origin(bare) in (Union, UnionType) and not any(isinstance(m, OneOf) for m in marks):
        for member in get_args(bare):
            yield from _all_below(member, part)
    elif (found := _below(kind, part)) is not None:
        yield found


def places_of(key: str) -> list[str]:
    """Every place of a spec that has `key`, as `train.optimizer.adam`: the shortest first, then
    the default option of a key before its other options."""
    found = {place for place, keys in _places() if key in keys}
    return sorted(found, key=lambda place: (place.count("."), place not in _defaults(), place))


@cache
def _defaults() -> frozenset[str]:
    """The places of the default options of keys, as `train.optimizer.adam`."""
    found = set()
    for kind in kinds():
        for key, field in kind.model.model_fields.items():
            name = getattr(field.get_default(call_default_factory=False), "name", None)
            if isinstance(name, str):
                found.add(f"{kind.place}.{field.alias or key}.{name}".lstrip("."))
    return frozenset(found)


@cache
def _places() -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((kind.place, frozenset(keys_of(kind.model))) for kind in kinds())


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of mapping of a spec.

    `place` are the keys that lead to it, without numbers of lists and names of one's own:
    `data.input.features`. `name` also has what it is where a key leaves a choice:
    `data.input.audio.features.log_mel`.
    """

    place: str
    name: str
    model: type[Model]


@cache
def kinds() -> tuple[Kind, ...]:
    """Every kind of mapping of a spec, those of one place one after the other; a model that stands
    at several places is there for each."""
    return tuple(dict.fromkeys(_kinds(Spec, "", "")))


def _kinds(
    kind: Any, place: str, name: str, around: frozenset[type[Model]] = frozenset()
) -> Iterator[Kind]:
    """Without what stands in a mapping of its own kind, as sequences inside nested ones do."""
    bare, marks = _bare(kind)
    if isinstance(bare, type) and issubclass(bare, Model):
        if bare in around:
            return
        yield Kind(place, name, bare)
        for key, below in _fields(bare).items():
            yield from _kinds(below, _dotted(place, key), _dotted(name, key), around | {bare})
        return
    for member, chosen, is_key in _members(bare, marks):
        inside = _dotted(place, chosen if is_key else "")
        yield from _kinds(member, inside, _dotted(name, chosen), around)


def _members(bare: Any, marks: Sequence[Any]) -> Iterator[tuple[Any, str, bool]]:
    """The members of a union, or what is inside a list or a mapping; for each the name that tells
    it from the others, if it has one, and whether that is a key of the file."""
    names: Sequence[str] = next((mark.names for mark in marks if isinstance(mark, ByName)), ())
    key = next((mark.key for mark in marks if isinstance(mark, ByKey)), "")
    options = any(isinstance(mark, OneOf) for mark in marks)
    shapes = any(isinstance(mark, ByShape) for mark in marks)
    for at, member in enumerate(get_args(bare)):
        if member is NoneType:
            continue
        if names:
            yield member, names[at], False
        elif key:
            yield member, literal_of(member, key), False
        else:
            told = options or shapes
            yield member, getattr(member, "name", "") if told else "", options


def _dotted(place: str, key: str) -> str:
    return f"{place}.{key}".strip(".")


def _below(kind: Any, part: str | int) -> Any:
    """The type of the value at `part` of a value of type `kind`; None where there is none."""
    bare, marks = _bare(kind)
    if get_origin(bare) in (Union, UnionType):
        return _member(get_args(bare), marks, part)
    if get_origin(bare) is tuple:
        return get_args(bare)[0]
    if get_origin(bare) is dict:
        return get_args(bare)[1]
    if isinstance(bare, type) and issubclass(bare, Model):
        return _fields(bare).get(str(part))
    return None


def _member(members: Sequence[Any], marks: Sequence[Any], part: str | int) -> Any:
    for mark in marks:
        if isinstance(mark, OneOf):
            return next((m for m in members if m.name == part), None)
        if isinstance(mark, ByKey):
            named = str(part).removeprefix(HIDDEN)
            return next((m for m in members if literal_of(m, mark.key) == named), None)
        if isinstance(mark, ByName) and str(part).startswith(HIDDEN):
            return members[mark.names.index(str(part).removeprefix(HIDDEN))]
        if isinstance(mark, ByShape) and str(part).startswith(HIDDEN):
            return members[int(str(part).removeprefix(HIDDEN))]
    only = [member for member in members if member is not NoneType]
    return _below(only[0], part) if len(only) == 1 else None


def _bare(kind: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without its annotations, and the annotations; `X | None` becomes `X`."""
    marks: tuple[Any, ...] = ()
    while True:
        if get_origin(kind) is Annotated:
            kind, *more = get_args(kind)
            marks = (*marks, *more)
        elif get_origin(kind) in (Union, UnionType) and NoneType in get_args(kind):
            only = [member for member in get_args(kind) if member is not NoneType]
            if len(only) != 1:
                return kind, marks
            kind = only[0]
        else:
            return kind, marks


def _fields(model: type[Model]) -> dict[str, Any]:
    """The types of the values of a model's keys, with their annotations."""
    return {
        field.alias or name: Annotated[field.annotation, *field.metadata, None]
        for name, field in model.model_fields.items()
    }
