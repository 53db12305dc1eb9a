"""Unions of the spec, validated so that one mistake gives one error.

Four ways to write a choice in YAML, each an annotation of a union:

- `OneOf()`: the name of an option, or a mapping with that name as its only key and the option's
  settings under it: `pooling: last`, `pooling: {attention: {units: 64}}`. Members are `Option`s.
  The one setting of a `Valued` option has no key: `init: {uniform: 0.1}`.
- `ByKey("as")`: a mapping in which one key names the kind: `{column: text, as: words}`. Members
  are models that have that key as a `Literal`.
- `ByName("cell", "conv")`: a mapping whose first key among these names the kind:
  `{conv: 64, size: 5}`. Members are models in the same order, each with the key of its kind.
- `ByShape(...)`: one of several plain values of different shapes: a text or a number.

Each becomes a tagged union of pydantic, which reports the errors of the chosen member only.
Errors come from `rnnspec.spec.base.spec_error`; `rnnspec.spec.explain` gives them their places.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import cleandoc
from itertools import chain
from types import UnionType
from typing import Any, ClassVar, get_args

from pydantic import ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, core_schema

from rnnspec.source.emit import flow
from rnnspec.source.problems import nearest
from rnnspec.spec.base import Model, keys_of, spec_error
from rnnspec.spec.foreign import SYNONYMS, meant_value

HIDDEN = "\0"
"""Prefix of parts of an error's path that are no keys of the file (YAML has no NUL)."""


class Option(Model):
    """One option of a `OneOf` key."""

    name: ClassVar[str]
    """Name of the option in YAML, in plans and in reports: `class Adam(Option, name="adam")`."""
    shorthand: ClassVar[str] = ""
    """The setting that a plain number under the name is: `mixture: 5`; "" for none."""

    def __init_subclass__(cls, name: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if name:
            cls.name = name

    def written(self) -> str | dict[str, Any]:
        """The option in YAML: its name, or a mapping of its name to its settings."""
        settings = self.model_dump(mode="json")
        return {self.name: settings} if settings else self.name


VALUE = HIDDEN + "value"
"""Key of the one setting of a `Valued` option, which has no key in YAML."""


class Valued(Option):
    """An option with one setting, the field `value`, directly under its name: `{uniform: 0.1}`."""

    model_config = ConfigDict(alias_generator=lambda name: VALUE)

    needs: ClassVar[tuple[str, str]] = ("a number", "0.1")
    """The kind of value under the name, and an example of it."""
    value: Any

    def written(self) -> str | dict[str, Any]:
        return {self.name: self.value}


def _written(option: Option) -> str | dict[str, Any]:
    return option.written()


_OPTION = "option"
"""In the metadata of the schema of an option, the option."""


@dataclass(frozen=True)
class OneOf:
    """Annotates a union of `Option`s: a name, or a mapping with that name as its only key."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        options: tuple[type[Option], ...] = get_args(source) or (source,)
        by_name = {option.name: option for option in options}

        def checked(value: object) -> object:
            return value if isinstance(value, Option) else _check_one_of(value, by_name)

        def tag(value: Any) -> str:
            return value.name if isinstance(value, Option) else str(next(iter(value)))

        def choice(option: type[Option]) -> CoreSchema:
            return core_schema.no_info_before_validator_function(
                lambda value: value if isinstance(value, Option) else _settings(option, value),
                handler.generate_schema(option),
                metadata={_OPTION: option},
            )

        choices = {name: choice(option) for name, option in by_name.items()}
        return core_schema.no_info_before_validator_function(
            checked,
            core_schema.tagged_union_schema(choices, tag),
            serialization=core_schema.plain_serializer_function_ser_schema(_written),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        choices: Mapping[str, Any] = schema["schema"]["choices"]
        names: list[dict[str, Any]] = []
        mappings: dict[str, Any] = {}
        for name, choice in choices.items():
            reference, option = handler(choice), choice["metadata"][_OPTION]
            fields = option.model_fields
            if not any(field.is_required() for field in fields.values()):
                about = cleandoc(option.__doc__ or "")
                names.append({"const": name, "description": about})
            if fields:
                value = _value_schema(option, handler) if issubclass(option, Valued) else None
                mappings[name] = _without_default(value) or reference
                if option.shorthand:
                    short = handler(_field_schema(option, option.shorthand))
                    about = fields[option.shorthand].description
                    both = [_without_default(short), reference]
                    mappings[name] = {"anyOf": both, "description": about}
        if not mappings:
            return {"anyOf": names}
        mapping = {
            "type": "object",
            "properties": mappings,
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
        return {"anyOf": [*names, mapping]}


def _value_schema(option: type[Valued], handler: GetJsonSchemaHandler) -> dict[str, Any]:
    """The schema of the one setting of an option: that of its field, whose model may stand in
    several places and is then defined later."""
    found = dict(handler(_field_schema(option, "value")))
    about = option.model_fields["value"].description
    return found | ({"description": about} if about else {})


def _field_schema(option: type[Option], name: str) -> Any:
    fields: Any = option.__pydantic_core_schema__
    while "fields" not in fields:
        fields = fields["schema"]
    return fields["fields"][name]["schema"]


def _settings(option: type[Option], value: Mapping[str, Any]) -> Any:
    """The settings under the name of an option, or the number that stands for one of them."""
    given = value[option.name]
    if option.shorthand and type(given) in (int, float):
        return {option.shorthand: given}
    return given


def _without_default(schema: Mapping[str, Any] | None) -> dict[str, Any]:
    """The schema of a value that is required once the name of its option is a key."""
    return {key: value for key, value in (schema or {}).items() if key != "default"}


def _check_one_of(value: object, options: Mapping[str, type[Option]]) -> dict[str, object]:
    """The value as a mapping with one known key; a bare name has no settings."""
    listed = ", ".join(options)
    if isinstance(value, str):
        if hint := _with_setting(value, options):
            raise spec_error(f"expected one of {listed}, found {describe(value)}", hint)
        _check_known(value, options)
        if needs := _needs(options[value]):
            raise spec_error(f"{value} needs {needs[0]}", f"write {{{value}: {needs[1]}}}")
        return {value: {}}
    if not isinstance(value, Mapping):
        with_settings = [name for name in options if options[name].model_fields]
        needs = _needs(options[with_settings[0]]) if with_settings else None
        under = needs[1] if needs else "{…}"
        example = f"; for settings, {{{with_settings[0]}: {under}}}" if with_settings else ""
        hint = meant_value(value, options) or f"write one of them{example}"
        raise spec_error(f"expected one of {listed}, found {describe(value)}", hint)
    if len(value) != 1:
        found, hint = ", ".join(map(str, value)), _within(value, options) or "keep one of them"
        if not value:
            found, hint = "none", "write one of them"
        raise spec_error(f"expected exactly one of {listed}, found {found[:60]}", hint)
    ((name, settings),) = value.items()
    _check_known(name, options, str(name), on_key=True)
    if not options[name].model_fields:
        raise spec_error(
            f"{name} has no settings", f"write only the name, {name}", str(name), on_key=True
        )
    if settings is None and (needs := _needs(options[name])):
        hint = f"write {{{name}: {needs[1]}}}"
        raise spec_error(f"{name} needs {needs[0]}", hint, str(name), on_key=True)
    if settings is None:
        hint = f"write only {name} to take its defaults"
        raise spec_error(f"{name} has no settings under it", hint, str(name), on_key=True)
    return {name: {VALUE: settings} if issubclass(options[name], Valued) else settings}


def mapping_meant(model: type[Model], found: object) -> str:
    """The mapping of a model that a plain value probably stands for, as YAML, or "": a key of it,
    the first key that takes a number, the only key there is, or nothing but defaults."""
    keys = keys_of(model)
    candidates: list[dict[str, Any]] = []
    if found is None or found is True:
        candidates = [{}]
    elif isinstance(found, str) and found in keys:
        candidates = [{found: {}}]
    elif isinstance(found, int | float) or (isinstance(found, str) and len(keys) == 1):
        candidates = [{key: found} for key in keys]
    for candidate in candidates:
        with contextlib.suppress(ValidationError):
            model.model_validate(candidate)
            return flow(candidate)
    return ""


def _with_setting(value: str, options: Mapping[str, type[Option]]) -> str:
    """The cure of a name with its number behind a colon, as in `beam:5`, or ""."""
    found = re.fullmatch(r"(\w+): ?(\d{1,6})", value)
    if found is None or found[1] not in options:
        return ""
    option = options[found[1]]
    meant = found[2] if issubclass(option, Valued) else mapping_meant(option, int(found[2]))
    return f"write {{{found[1]}: {meant}}}" if meant else ""


def _within(value: Mapping[Any, Any], options: Mapping[str, type[Option]]) -> str:
    """The cure of settings that stand beside the name of their option, or ""."""
    names = [name for name in value if name in options]
    if len(names) != 1 or issubclass(options[names[0]], Valued):
        return ""
    option, settings = options[names[0]], value[names[0]]
    if option.shorthand and type(settings) in (int, float):
        settings = {option.shorthand: settings}
    rest = {key: each for key, each in value.items() if key != names[0]}
    if not all(key in keys_of(option) for key in rest):
        return ""
    settings = settings if isinstance(settings, Mapping) else {}
    return f"write {flow({names[0]: {**settings, **rest}})}"


def _needs(option: type[Option]) -> tuple[str, str] | None:
    """The value that this option requires, and an example; None if it requires none."""
    if issubclass(option, Valued) and option.model_fields["value"].is_required():
        return option.needs
    return None


def _check_known(
    name: object, known: Mapping[str, object], at: str = "", on_key: bool = False
) -> None:
    if not isinstance(name, str) or name not in known:
        raise spec_error(
            f"expected one of {', '.join(known)}, found {describe(name)}",
            meant_value(name, known),
            at,
            on_key,
        )


@dataclass(frozen=True)
class ByKey:
    """Annotates a union of models that differ in the value of `key`."""

    key: str

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        members: dict[str, type[Model]] = {}
        for member in get_args(source):
            members[literal_of(member, self.key)] = member

        def checked(value: object) -> object:
            return value if isinstance(value, Model) else self._check(value, members)

        def tag(value: Any) -> str:
            if isinstance(value, Model):
                return HIDDEN + literal_of(type(value), self.key)
            return HIDDEN + str(value[self.key])

        choices = {HIDDEN + name: handler.generate_schema(m) for name, m in members.items()}
        return core_schema.no_info_before_validator_function(
            checked, core_schema.tagged_union_schema(choices, tag)
        )

    def _check(self, value: object, members: Mapping[str, type[Model]]) -> object:
        listed = ", ".join(members)
        if not isinstance(value, Mapping):
            kind = value if isinstance(value, str) and value in members else next(iter(members))
            column = "column: …, " if "column" in keys_of(members[kind]) else ""
            raise spec_error(
                f"expected a mapping, found {describe(value)}",
                f"write {{{column}{self.key}: {kind}}}",
            )
        if self.key not in value:
            raise spec_error(
                f"key {self.key!r} is missing", f"add '{self.key}: …' with one of {listed}"
            )
        _check_known(value[self.key], members, self.key)
        return value

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        choices: Mapping[str, Any] = schema["schema"]["choices"]
        return {"oneOf": [handler(choice) for choice in choices.values()]}


@dataclass(frozen=True)
class ByName:
    """Annotates a union of models, each named by a key of its own; `names` are these keys, in the
    order of the members. The first name that is there counts."""

    names: tuple[str, ...]

    def __init__(self, *names: str) -> None:
        object.__setattr__(self, "names", names)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        members = dict(zip(self.names, get_args(source), strict=True))

        def checked(value: object) -> object:
            return value if isinstance(value, Model) else self._check(value)

        def tag(value: Any) -> str:
            if isinstance(value, Model):
                return next(HIDDEN + name for name, m in members.items() if type(value) is m)
            return HIDDEN + self._name(value)

        choices = {HIDDEN + name: handler.generate_schema(m) for name, m in members.items()}
        return core_schema.no_info_before_validator_function(
            checked, core_schema.tagged_union_schema(choices, tag)
        )

    def _name(self, value: Mapping[str, Any]) -> str:
        named = {name for name in self.names if name in value}
        for key in value:  # words of other tools that stand for one key alone
            ours = SYNONYMS.get(str(key).lower(), ())
            named.update(ours if len(ours) == 1 else ())
        there = (name for name in self.names if name in named)
        near = (nearest(str(key), self.names) for key in value)
        return next(chain(there, filter(None, near)), self.names[0])

    def _check(self, value: object) -> object:
        if not isinstance(value, Mapping):
            example = value if isinstance(value, str) else "…"
            raise spec_error(
                f"expected a mapping with one of the keys {', '.join(self.names)}, found"
                f" {describe(value)}",
                f"write {{{self.names[0]}: {example}, …}}",
            )
        return value

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        choices: Mapping[str, Any] = schema["schema"]["choices"]
        return {"anyOf": [handler(choice) for choice in choices.values()]}


@dataclass(frozen=True)
class ByShape:
    """Annotates a union of plain values of different shapes.

    `member_of` gives the index of the member that a value belongs to, None if there is none;
    `expected` describes the members.
    """

    expected: str
    member_of: Callable[[object], int | None]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        choices = {
            f"{HIDDEN}{index}": handler.generate_schema(member)
            for index, member in enumerate(get_args(source))
        }

        def checked(value: object) -> object:
            if self.member_of(value) is None:
                raise spec_error(f"expected {self.expected}, found {describe(value)}")
            return value

        return core_schema.no_info_before_validator_function(
            checked,
            core_schema.tagged_union_schema(choices, lambda v: f"{HIDDEN}{self.member_of(v)}"),
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        choices: Mapping[str, Any] = schema["schema"]["choices"]
        return {"anyOf": [handler(choice) for choice in choices.values()]}


def by_type(*types: type | UnionType, other: int | None = None) -> Callable[[object], int | None]:
    """For `ByShape`: the index of the first of `types` that a value has, else `other`; true and
    false are no numbers."""

    def member_of(value: object) -> int | None:
        kinds = () if isinstance(value, bool) else types
        return next((at for at, kind in enumerate(kinds) if isinstance(value, kind)), other)

    return member_of


def describe(value: object) -> str:
    """The kind of a YAML value in words, with the value itself where it is short."""
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the truth value {str(value).lower()}"
        case int() | float():
            return f"the number {_short(str(value))}"
        case str():
            return f"the text {_short(repr(value))}" if value else "an empty text"
        case Mapping():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return f"a {type(value).__name__}"


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:36] + "…" + text[-1]


def literal_of(member: type[Model], key: str) -> str:
    """The value of `key` in a mapping of the kind `member`."""
    for name, field in member.model_fields.items():
        if (field.alias or name) == key:
            return str(get_args(field.annotation)[0])
    raise TypeError(f"{member.__name__} has no key {key!r}")
