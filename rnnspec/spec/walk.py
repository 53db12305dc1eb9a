"""Finds the model at the path of an error, and the places of a key.

Pydantic's errors carry a path (`loc`) of keys, list indices and the hidden tags of
`rnnspec.spec.choice`; the models on it have the keys that are allowed there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    for place, model in _models(Spec, ""):
        for key, field in model.model_fields.items():
            name = getattr(field.get_default(call_default_factory=False), "name", None)
            if isinstance(name, str):
                found.add(f"{place}.{field.alias or key}.{name}".lstrip("."))
    return frozenset(found)


@cache
def _places() -> tuple[tuple[str, frozenset[str]], ...]:
    return tuple((place, frozenset(keys_of(model))) for place, model in _models(Spec, ""))


def _models(kind: Any, place: str) -> Iterator[tuple[str, type[Model]]]:
    bare, marks = _bare(kind)
    if isinstance(bare, type) and issubclass(bare, Model):
        yield place, bare
        for key, below in _fields(bare).items():
            yield from _models(below, f"{place}.{key}" if place else key)
        return
    for member in get_args(bare):
        named = any(isinstance(mark, OneOf) for mark in marks) and member is not NoneType
        yield from _models(member, f"{place}.{member.name}" if named else place)


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
