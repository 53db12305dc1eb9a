"""`rnnspec explain`."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnspec.cli.options import Json, examples
from rnnspec.errors import RnnspecError

if TYPE_CHECKING:
    from rnnspec.spec.entries import Entry

EXAMPLES = examples(
    "rnnspec explain",
    "rnnspec explain class_weights",
    "rnnspec explain train.optimizer.adam.lr",
    "rnnspec explain lstm",
    "rnnspec explain log_mel",
)
WIDEST = 100
"""Most columns of the output."""


def explain(
    key: Annotated[
        str | None,
        typer.Argument(
            metavar="KEY", help="A key, as in train.epochs or epochs.", show_default=False
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Explain a key of specs, or list all keys.

    KEY is a path from the top of a spec or the end of one; a name that several places have lists
    them. A value works too, as in `rnnspec explain bidirectional`.
    """
    from rnnspec.spec.entries import entries

    columns = min(get_terminal_size().columns, WIDEST)
    if as_json:
        chosen = entries() if key is None else _found(key)
        if not chosen and key is not None:
            raise RnnspecError(_unknown(key))
        print(json.dumps([_as_json(entry) for entry in chosen], ensure_ascii=False))
        return
    if key is None:
        print("\n".join(_tree(_nested(entries()), _first_sentences(entries()), columns)))
        return
    found = _found(key)
    if len({entry.places for entry in found}) == 1:
        print("\n\n".join(_page(entry, columns) for entry in found))
    elif found:
        print("\n".join(_listed(found, columns)))
    values = _values(key)
    if values:
        print("\n".join(["", *values] if found else values))
    if not found and not values:
        raise RnnspecError(_unknown(key))


def _as_json(entry: Entry) -> dict[str, object]:
    return {
        "key": entry.key,
        "places": list(entry.places),
        "about": entry.about,
        "type": entry.type,
        "default": entry.default,
        "values": dict(entry.values),
    }


def _found(key: str) -> list[Entry]:
    """The entries that `key` names: a path, without numbers of lists, or the end of one."""
    from rnnspec.spec.entries import entries

    parts = key.replace("[", ".").replace("]", "").split(".")
    wanted = ".".join(part for part in parts if not part.isdecimal())
    exact = [entry for entry in entries() if wanted in entry.names]
    return exact or [
        entry for entry in entries() if any(n.endswith("." + wanted) for n in entry.names)
    ]


def _values(wanted: str) -> list[str]:
    """The keys that have a word as a value, each with what it means there; the word may stand
    behind its key, as in `optimizer.adam`."""
    from rnnspec.cells import builtin_names
    from rnnspec.spec.entries import entries

    key, _, word = wanted.rpartition(".")
    found = {}
    for entry in entries():
        about = _about_value(entry, word)
        if about and (not key or any(f".{name}".endswith(f".{key}") for name in entry.names)):
            found[f"{entry.places[0]}: {word}"] = about
    if word in builtin_names() and not key:
        found[f"encoder.layers.cell: {word}"] = f"see: rnnspec show --cell {word}"
    return [f"{place}\n{_wrapped(about, 80)}" for place, about in found.items()]


def _about_value(entry: Entry, word: str) -> str:
    """What a value of a key means, with the keys that it has; "" if the key has no such value."""
    from rnnspec.spec.entries import entries

    about = dict(entry.values).get(word)
    if about is None and entry.key == "as" and entry.type == word:
        return entry.about
    if about is None and word not in entry.literals:
        return ""
    about = about or f"See: rnnspec explain {entry.places[0]}"
    above = f"{entry.places[0]}.{word}."
    below = [each.key for each in entries() if any(p.startswith(above) for p in each.places)]
    return f"{about.rstrip('.')}. Its keys: {', '.join(below)}." if below else about


ALIKE = 0.75
"""How similar a key is to the word that a reader wrote, at least, to be meant before a value."""


def _unknown(key: str) -> str:
    from difflib import SequenceMatcher

    from rnnspec.source.problems import nearest
    from rnnspec.spec.entries import entries
    from rnnspec.spec.foreign import SYNONYMS

    last = key.rpartition(".")[2]
    names = {name for entry in entries() for name in (entry.key, *entry.names)}
    values = {value for entry in entries() for value in entry.literals if value.isidentifier()}
    near = nearest(key, names) or nearest(last, names)
    alike = SequenceMatcher(None, last.lower(), (near or "").rpartition(".")[2]).ratio()
    value = nearest(last, values) if alike < ALIKE else None
    meant = SYNONYMS.get(last.lower()) or tuple(each for each in (value, near) if each)
    hint = f"did you mean {meant[0]!r}?" if meant else "list all keys with: rnnspec explain"
    return f"specs have no key {key[:60]!r}; {hint}"


def _wrapped(text: str, columns: int, first: str = "  ") -> str:
    return textwrap.fill(text, columns, initial_indent=first, subsequent_indent=" " * len(first))


def _page(entry: Entry, columns: int) -> str:
    """All that is known of a key."""
    from rnnspec.spec.examples import example_of, refusal_of, yaml_of

    of = f"    of {', '.join(entry.of)}" if entry.of else ""
    rest = len(entry.places) - 3
    more = f", and {rest} more place{'s' * (rest > 1)}" if rest > 0 else ""
    lines = [_wrapped(f"{', '.join(entry.places[:3])}{more}{of}", columns, "")]
    lines += [_wrapped(entry.about, columns), ""]
    lines.append(_wrapped(entry.type, columns, "  type       "))
    lines.append(f"  default    {entry.default or 'none: the key must be there'}")
    wide = max((len(name) for name, _ in entry.values), default=0)
    for name, about in entry.values:
        lines.append(_wrapped(about, columns, f"    {name:{wide}}  "))
    refusal = refusal_of(entry)
    if refusal:
        lines.append(_wrapped(refusal, columns, "  no effect  "))
    example = example_of(entry)
    if example:
        lines += ["", textwrap.indent(yaml_of(example.shown).rstrip(), "    ")]
    return "\n".join(lines)


def _listed(found: Sequence[Entry], columns: int) -> Iterator[str]:
    """A line for each of several entries."""
    names = [entry.places[0] for entry in found]
    wide = max(map(len, names))
    for name, entry in zip(names, found, strict=True):
        of = f"({', '.join(entry.of)}) " if entry.of else ""
        yield _cut(f"{name:{wide}}  {of}{entry.about}", columns)
    yield f"\nOne of them in full: rnnspec explain {names[-1]}"


def _cut(line: str, columns: int) -> str:
    return line if len(line) <= columns else line[: columns - 1].rstrip() + "…"


def _nested(all_of: Sequence[Entry]) -> dict[str, Any]:
    """Every place of a spec, by its keys: `{"train": {"epochs": {}, …}}`."""
    found: dict[str, Any] = {}
    for entry in all_of:
        for place in entry.places:
            below = found
            for part in place.split("."):
                below = below.setdefault(part, {})
    return found


def _first_sentences(all_of: Sequence[Entry]) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in all_of:
        for place in entry.places:
            found.setdefault(place, entry.about.partition(". ")[0].rstrip("."))
            found |= {f"{place}.{name}": about for name, about in entry.values}
    return found


def _tree(
    nested: Mapping[str, Any], about: Mapping[str, str], columns: int, above: str = ""
) -> Iterator[str]:
    """A line for each key, those below it indented. What stands under the same key elsewhere, or
    above under another one, is shown in one place, the nearest to the top."""
    every = dict(_mappings(nested))
    order = {place: number for number, place in enumerate(every)}
    first: dict[str, str] = {}
    for place, below in every.items():
        key = place.rpartition(".")[2]
        same = (p for p, known in every.items() if known == below)
        meant = [p for p in same if p.rpartition(".")[2] == key or order[p] <= order[place]]
        first[place] = min(meant, key=lambda each: each.count("."))
    yield from _branch(nested, about, columns, above, first)


def _mappings(
    nested: Mapping[str, Any], above: str = ""
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every place that has keys below it, with these."""
    for key, below in nested.items():
        place = f"{above}.{key}".strip(".")
        if below:
            yield place, below
            yield from _mappings(below, place)


def _branch(
    nested: Mapping[str, Any],
    about: Mapping[str, str],
    columns: int,
    above: str,
    first: Mapping[str, str],
) -> Iterator[str]:
    for key, below in nested.items():
        place = f"{above}.{key}".strip(".")
        shown = first.get(place, place)
        text = about.get(place, "") if shown == place else f"as {shown}"
        yield _cut(f"{'  ' * place.count('.') + key:26} {text}".rstrip(), columns)
        if shown == place:
            yield from _branch(below, about, columns, place, first)
