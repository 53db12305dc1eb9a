"""Messages for pydantic's errors: what was expected, what was found, and a hint."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rnnspec.source.nodes import shown_path
from rnnspec.source.problems import MAX_WORD, Problem, nearest
from rnnspec.source.scalars import resolve
from rnnspec.source.yaml12 import Document
from rnnspec.spec.base import PATTERNS, Loc, keys_of
from rnnspec.spec.choice import HIDDEN, describe, mapping_meant
from rnnspec.spec.foreign import (
    BEAMS,
    NAMED,
    NEEDLESS,
    SWITCHES,
    SYNONYMS,
    meant_value,
    said_otherwise,
)
from rnnspec.spec.spec import Spec
from rnnspec.spec.walk import model_at, places_of, siblings_with

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found at `path`: the key is wrong with `key`, else the value under it.

    `inside` is line, column and length within the text at `path`.
    """

    path: Loc
    message: str
    hint: str = ""
    key: bool = False
    inside: tuple[int, int, int] | None = None


def no_effect(path: Loc, why: str, hint: str = "remove it") -> Finding:
    """The finding that the key at `path` has no effect."""
    return Finding(path, f"has no effect {why}", hint, key=True)


def explain(details: Sequence[ErrorDetails], document: Document) -> list[Problem]:
    """One problem per mistake: a misspelt key is not also reported as a missing one."""
    unknown = [detail["loc"] for detail in details if detail["type"] == "extra_forbidden"]
    missing = missing_keys(details)
    corrected = {loc: corrected_key(loc, missing) for loc in unknown}
    found = {(*loc[:-1], key) for loc, key in corrected.items() if key}
    problems = [_unknown_key(loc, corrected[loc], document) for loc in unknown]
    problems += [
        _wrong_value(detail, document)
        for detail in details
        if detail["type"] != "extra_forbidden" and detail["loc"] not in found
    ]
    return problems


def mistakes(error: ValidationError) -> list[ErrorDetails]:
    """The errors of pydantic, without lists that are too short only because items are wrong."""
    return [
        detail
        for detail in error.errors(include_url=False)
        if detail["type"] != "too_short" or len(detail["input"]) < detail["ctx"]["min_length"]
    ]


def path_of(loc: Loc, kind: str = "") -> Loc:
    """The keys and indices of a `loc` that are in the file; `kind` is the type of the error."""
    if loc and loc[-1] == "[key]" and kind != "extra_forbidden":
        loc = loc[:-1]
    return tuple(p for p in loc if not (isinstance(p, str) and p.startswith(HIDDEN)))


def missing_keys(details: Iterable[ErrorDetails]) -> frozenset[Loc]:
    """The places of keys that are missing."""
    return frozenset(detail["loc"] for detail in details if detail["type"] == "missing")


def corrected_key(loc: Loc, missing: Collection[Loc] = ()) -> str | None:
    """The key that an unknown one at `loc` probably stands for, or None. One of those that are
    `missing` beside it is likelier than others."""
    model = model_at(loc[:-1])
    known = keys_of(model) if model else {}
    word = str(loc[-1])
    for synonym in SYNONYMS.get(word.lower(), ()):
        if synonym in known:
            return synonym
    if wanted := nearest(word, [str(other[-1]) for other in missing if other[:-1] == loc[:-1]]):
        return wanted
    of_others = siblings_with(loc[:-1], word)
    if of_others and of_others[2]:
        return None  # a key of others, and no misspelt one of these
    near = nearest(word, known)
    return near if near is not None else nearest(word.partition(":")[0], known)


def _unknown_key(loc: Loc, corrected: str | None, document: Document) -> Problem:
    path, key = path_of(loc, "extra_forbidden"), str(loc[-1])
    if path[:-1] == ("encoder",) and isinstance(_value(path, document), Mapping):
        hint = f"write several encoders by name under 'encoders', as in 'encoders: {{{key}: …}}'"
        return document.problem(path, "unknown key", hint, key=True)
    if needless := NEEDLESS.get(key.lower(), ""):
        return document.problem(path, "unknown key", f"remove it: {needless}", key=True)
    model = model_at(loc[:-1])
    known = list(keys_of(model)) if model else []
    if corrected and key.startswith(corrected + ":"):
        hint = f"write a space after the colon: {corrected}: {key[len(corrected) + 1 :][:40]}"
        return document.problem(path, "no space after ':'", hint, key=True)
    if corrected:
        hint = f"did you mean {corrected!r}?"
        if key.lower() in SWITCHES and _value(path, document) is True:
            hint = f"write '{corrected}: {SWITCHES[key.lower()]}'"
        if key.lower() in BEAMS and type(width := _value(path, document)) is int:
            hint = f"write 'strategy: {{beam: {{width: {width}}}}}'"
        if key.lower() in NAMED:
            hint = f"write '{corrected}: {NAMED[key.lower()]}'"
        return document.problem(path, "unknown key", hint, key=True)
    beside = _value(path[:-1], document)
    if hint := said_otherwise(key, beside if isinstance(beside, Mapping) else {}):
        return document.problem(path, "unknown key", hint, key=True)
    kinds = siblings_with(loc[:-1], key)
    if kinds and kinds[2]:
        which, kind, others = kinds
        if not which:
            what = "features" if "features" in path else "layers"
            hint = f"remove it ({', '.join(others)} {what} have it)"
            return document.problem(path, f"{kind} {what} have no key {key!r}", hint, key=True)
        if kind == "same_as":
            message = "has no effect beside 'same_as', whose encoder says it for both"
            return document.problem(path, message, "remove it", key=True)
        message = f"has no effect with {which}: {kind}"
        hint = f"remove it (it belongs to {which}: {', '.join(others)})"
        return document.problem(path, message, hint, key=True)
    names = (key, *SYNONYMS.get(key.lower(), ()))
    here = ".".join(map(str, path[:-1]))
    places = {place: name for name in names for place in places_of(name) if place != here}
    if places:
        # The nearest place, then one that the spec has, then the shortest.
        place = min(places, key=lambda each: (-_shared(each, path), not _exists(each, document)))
        hint = f"it belongs to {place or 'the top of the file'}"
        hint += f", as {places[place]!r}" if places[place] != key else ""
        return document.problem(path, "unknown key here", hint, key=True)
    return document.problem(path, "unknown key", f"known here: {', '.join(known)}", key=True)


def _shared(place: str, path: Loc) -> int:
    """The number of keys that a place and a path have in common, from the top."""
    same = [one == other for one, other in zip(place.split("."), path, strict=False)]
    return same.index(False) if False in same else len(same)


def _exists(place: str, document: Document) -> bool:
    """Whether the spec has this place, or names the option that has it: `optimizer: sgd`."""
    path = tuple(place.split("."))
    if document.has(path):
        return True
    return bool(path[:-1]) and _value(path[:-1], document) == path[-1]


def _value(path: Loc, document: Document) -> Any:
    """The value at a path, None where there is none."""
    value: Any = document.data
    for part in path:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def _wrong_value(detail: ErrorDetails, document: Document) -> Problem:
    path, found = path_of(detail["loc"], detail["type"]), detail["input"]
    context: dict[str, Any] = detail.get("ctx", {})
    if detail["type"] == "spec_error":
        at = context.get("at", "")
        place = (*path, at) if at and document.has((*path, at)) else path
        on_key = bool(context.get("key"))
        problem = document.problem(place, context["message"], context.get("hint", ""), key=on_key)
        return replace(problem, path=shown_path(path)) if on_key else problem
    if detail["type"] == "missing":
        return _missing(detail["loc"], document)
    say = _SENTENCES.get(detail["type"])
    message, hint = say(found, context) if say else (detail["msg"], "")
    if detail["type"] == "model_type":
        model = model_at(detail["loc"]) or Spec
        meant = mapping_meant(model, found)
        others = siblings_with(detail["loc"], found) if isinstance(found, str) else None
        if others and others[2]:  # the key of another member, as in 'decoder: ctc'
            meant = f"{{{found}: {{}}}}"
        hint = f"write {meant}" if meant else f"its keys are {', '.join(keys_of(model))}"
    return document.problem(path, message, hint, key=detail["loc"][-1:] == ("[key]",))


_TO_COPY = {("CalendarInput", "features"): "[weekday, month]"}
"""Values of missing keys, to be copied, where a description alone leads to none."""


def _missing(loc: Loc, document: Document) -> Problem:
    key, path = loc[-1], path_of(loc)
    if isinstance(key, int):
        message = f"the item number {key + 1} of this list is missing"
        return document.problem(path[:-1], message, "add it")
    model = model_at(loc[:-1])
    about = keys_of(model).get(key, "") if model else ""
    first = about.partition(";")[0].partition(". ")[0].rstrip(".")
    hint = f"add '{key}: …' ({first[:1].lower() + first[1:]})" if first else f"add '{key}: …'"
    value = _TO_COPY.get((model.__name__ if model else "", key))
    hint = f"add '{key}: {value}'" if value else hint
    return document.problem(path, "this key is missing", hint)


def _number(found: object, whole: bool) -> tuple[str, str]:
    message = f"expected a {'whole ' if whole else ''}number, found {describe(found)}"
    if isinstance(found, str):
        bare = found.replace("_", "").replace(",", "").strip()
        value = resolve(bare) if len(bare) <= MAX_WORD else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return message, f"write {bare}, without quotes" if bare == found else f"write {bare}"
    if isinstance(found, str) and not whole and re.fullmatch(r"[0-9.]{1,9}\s*%", found):
        share = resolve(found.rstrip("% "))
        return message, f"write {share / 100:g}" if isinstance(share, int | float) else ""
    if isinstance(found, float) and whole and found.is_integer() and abs(found) < 1e15:
        return message, f"write {int(found)}"
    if isinstance(found, float) and whole:
        return message, "leave out the fraction"
    return message, "write a number" if found is None else ""


def _text(found: object, context: Mapping[str, Any]) -> tuple[str, str]:
    message = f"expected a text, found {describe(found)}"
    if isinstance(found, bool | int | float):
        return message, "put it in quotes to make it a text"
    return message, "write one" if found is None else "write one text"


_TRUTHS = {"yes": "true", "on": "true", "no": "false", "off": "false", "1": "true", "0": "false"}


def _truth(found: object, context: Mapping[str, Any]) -> tuple[str, str]:
    word = _TRUTHS.get(str(found).lower(), "true or false")
    if isinstance(found, str) and found.lower() in ("true", "false"):
        word = found.lower() + ", without quotes"
    return f"expected true or false, found {describe(found)}", f"write {word}"


def _list(found: object, context: Mapping[str, Any]) -> tuple[str, str]:
    message = f"expected a list, found {describe(found)}"
    if isinstance(found, Mapping):
        return message, "start each item with '- '"
    if isinstance(found, str | int | float) and not isinstance(found, bool):
        return message, f"put it in brackets: [{str(found)[:40]}]"
    return message, "write the items in brackets: […]"


def _mapping(found: object, context: Mapping[str, Any]) -> tuple[str, str]:
    message = f"expected a mapping of names to values, found {describe(found)}"
    return message, "write 'name: value' lines below it, indented"


def _choice(found: object, context: Mapping[str, Any]) -> tuple[str, str]:
    words = re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]]
    message = (
        f"expected {'one of ' if len(words) > 1 else ''}{', '.join(words)}, found {describe(found)}"
    )
    return message, meant_value(found, words)


def _bound(words: str, key: str) -> Callable[[object, Mapping[str, Any]], tuple[str, str]]:
    def say(found: Any, context: Mapping[str, Any]) -> tuple[str, str]:
        limit = context[key]
        shown = f"{limit:,}" if isinstance(limit, int) else f"{limit:g}"
        percent = key in ("lt", "le") and limit <= 1 and 2 <= found <= 100
        hint = f"write {found / 100:g}" if percent and found / 100 <= limit else ""
        return f"expected a number {words} {shown}, found {describe(found)}", hint

    return say


def _pattern(found: object, context: Mapping[str, Any]) -> tuple[str, str]:
    what, strange = PATTERNS[context["pattern"]]
    better = re.sub(strange, "_", str(found).strip())[:60].lstrip("._-0123456789")
    return f"expected {what}, found {describe(found)}", f"write {better}" if better else ""


_SENTENCES: Mapping[str, Callable[[Any, Mapping[str, Any]], tuple[str, str]]] = {
    "int_type": lambda found, _: _number(found, whole=True),
    "float_type": lambda found, _: _number(found, whole=False),
    "finite_number": lambda found, _: (f"expected a finite number, found {describe(found)}", ""),
    "string_type": _text,
    "bool_type": _truth,
    "tuple_type": _list,
    "model_type": lambda found, _: (f"expected a mapping of keys, found {describe(found)}", ""),
    "dict_type": _mapping,
    "literal_error": _choice,
    "greater_than": _bound("above", "gt"),
    "greater_than_equal": _bound("of at least", "ge"),
    "less_than": _bound("below", "lt"),
    "less_than_equal": _bound("of at most", "le"),
    "too_short": lambda _, context: (
        ("expected at least one item, found an empty list", "add one")
        if context["min_length"] == 1
        else (f"expected at least {context['min_length']} items", "add what is missing")
    ),
    "too_long": lambda found, context: (
        f"expected {context['max_length']} items, found {context['actual_length']}",
        "remove what is too much",
    ),
    "string_too_short": lambda found, _: ("expected a text, found an empty one", "write one"),
    "string_too_long": lambda found, context: (
        f"expected at most {context['max_length']} characters, found {len(found)}",
        "shorten it",
    ),
    "string_pattern_mismatch": _pattern,
}
