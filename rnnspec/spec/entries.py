"""The reference of every key: what it means, its type, default and values, and an example.

`rnnspec explain` prints it, and the manual has it as a page for each section. All of it is read off
the models, but for the examples, which stand in `examples.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

from rnnspec.source.emit import flow
from rnnspec.spec.base import Model
from rnnspec.spec.choice import VALUE, Option, Valued
from rnnspec.spec.schema import model_schemas
from rnnspec.spec.types import Schema, followed, literals_of, type_text, values_of
from rnnspec.spec.walk import Kind, kinds


@dataclass(frozen=True, slots=True)
class Entry:
    """One key as it means one thing, wherever it does.

    `default` is as YAML has it, "" where the key must be there. `values` are those that have a
    meaning of their own, each with it; `literals` are all that are named.
    """

    key: str
    kinds: tuple[Kind, ...]
    about: str
    type: str
    default: str
    values: tuple[tuple[str, str], ...]
    literals: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every dotted name of the key: by the places in a file, and by kinds."""
        found = [f"{kind.place}.{self.key}".strip(".") for kind in self.kinds]
        found += [f"{kind.name}.{self.key}".strip(".") for kind in self.kinds]
        return tuple(dict.fromkeys(found))

    @property
    def places(self) -> tuple[str, ...]:
        """The places in a file, those of the deepest mappings last."""
        found = dict.fromkeys(f"{kind.place}.{self.key}".strip(".") for kind in self.kinds)
        return tuple(sorted(found, key=lambda place: place.count(".")))

    @property
    def of(self) -> tuple[str, ...]:
        """The kinds that have the key, where its place alone does not say which: `words`."""
        told = []
        for kind in self.kinds:
            place = kind.place.split(".")
            told += [part for part in reversed(kind.name.split(".")) if part not in place][:1]
        return tuple(dict.fromkeys(told))


@cache
def entries() -> tuple[Entry, ...]:
    """Every entry, in the order of the places of a spec.

    One entry are the keys of one model wherever it stands, and equal ones of kinds side by side.
    """
    of_model: dict[type[Model], list[Kind]] = {}
    for kind in kinds():
        if kind.model.model_fields:
            of_model.setdefault(kind.model, []).append(kind)
    schemas = model_schemas(of_model)
    found: dict[tuple[str, ...], Entry] = {}
    for model, where in of_model.items():
        for entry in _of_kinds(model, tuple(where), schemas):
            same = (_beside(where[0]), entry.key, entry.about, entry.type, entry.default)
            before = found[same].kinds if same in found else ()
            found[same] = replace(entry, kinds=(*before, *entry.kinds))
    return tuple(found.values())


def _beside(kind: Kind) -> str:
    """The place of a kind; of an option, the place of them all."""
    is_option = issubclass(kind.model, Option)
    return kind.place.rpartition(".")[0] if is_option else kind.place


def _of_kinds(
    model: type[Model], where: tuple[Kind, ...], schemas: Mapping[str, Schema]
) -> Iterator[Entry]:
    schema = schemas[model.__name__]
    if issubclass(model, Valued):
        about = f"{schema['description']} {schema['properties'][VALUE]['description']}"
        value = followed(schema["properties"][VALUE], schemas)
        yield Entry(
            model.name, tuple(map(_above, where)), about, type_text(value, schemas), "", (), ()
        )
        return
    for key, own in schema["properties"].items():
        entry = _entry(key, where, followed(own, schemas), schemas)
        if key == where[0].name.rpartition(".")[2]:  # the key that names a kind
            entry = replace(entry, about=f"{schema['description']} {entry.about}")
        elif entry.type == where[0].name.rpartition(".")[2]:  # `as`, whose value does
            entry = replace(entry, about=schema["description"])
        yield entry


def _above(kind: Kind) -> Kind:
    """The mapping that has the name of an option as its key."""
    return Kind(kind.place.rpartition(".")[0], kind.name.rpartition(".")[0], kind.model)


def _entry(
    key: str, where: tuple[Kind, ...], schema: Schema, schemas: Mapping[str, Schema]
) -> Entry:
    values = tuple(values_of(schema, schemas))
    default = schema.get("default")
    if isinstance(default, dict) and set(default) & {name for name, _ in values}:
        default = next(iter(default))  # an option with its own defaults
    shown = flow(default) if "default" in schema else ""
    about, literals = schema.get("description", ""), tuple(literals_of(schema, schemas))
    return Entry(key, where, about, type_text(schema, schemas), shown, values, literals)
