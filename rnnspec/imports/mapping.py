"""The map of an import as a YAML file: which part of which tensor each weight is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rnnspec.errors import DataError, ModelFileError
from rnnspec.imports.match import Matched, Slot
from rnnspec.imports.terms import Sum, parse_sum
from rnnspec.plan.nodes import Weight
from rnnspec.source.yaml12 import load

UNKNOWN = "?"
UNUSED = "unused"
"""The entry of the map with the tensors that are left out on purpose."""


def read_map(path: Path, wanted: Mapping[str, Weight]) -> tuple[dict[str, Sum], list[str]]:
    """The sums by weight, and the tensors left out. Raises SpecError for wrong YAML, DataError for
    a file that cannot be read, and ModelFileError for what is wrong in it."""
    try:
        data = load(path.read_text("utf-8"), str(path)).data
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from error
    if not isinstance(data, dict):
        raise ModelFileError(f"{path}: is no mapping of weights to parts of tensors")
    unused = data.pop(UNUSED, [])
    if not isinstance(unused, list):
        raise ModelFileError(f"{path}: '{UNUSED}' is no list of tensors")
    if unknown := sorted(set(data) - set(wanted)):
        raise ModelFileError(f"{path}: the plan has no weight {unknown[0]!r}; see rnnspec show")
    found = {}
    for name in wanted:
        text = data.get(name, UNKNOWN)
        if text == UNKNOWN:
            raise ModelFileError(f"{path}: does not say what {name} is {_shape(wanted[name])}")
        try:
            found[name] = parse_sum(str(text))
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {name}: {error}") from None
    return found, [str(each) for each in unused]


def map_text(matched: Matched, wanted: Mapping[str, Weight], shapes: Mapping[str, str]) -> str:
    """The map of what was matched, with a `?` for each weight that was not; `shapes` of the tensors
    that nothing took."""
    lines = [f"# {note}" for note in matched.notes]
    for name, weight in wanted.items():
        text = str(matched.sums[name]) if name in matched.sums else UNKNOWN
        lines.append(f"{_quoted(name)}: {_quoted(text)}  # {_shape(weight)}")
    if matched.unused:
        lines += [f"# To leave tensors out, list them below '{UNUSED}:'. Not taken are:"]
        lines += [f"#   {_quoted(name)}  {shapes[name]}" for name in matched.unused]
    return "\n".join(lines) + "\n"


def _shape(weight: Weight) -> str:
    return str(list(weight.shape))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def why_missing(slots: tuple[Slot, ...], file: str) -> str:
    """What was looked for and not found."""
    lines = [f"{file}: no layer in it is"]
    for slot in slots:
        parts = (f"{name} {_shape(weight)}" for name, weight in slot.weights.items())
        kind = slot.kind or "of a kind that is found by itself"
        lines.append(f"  {slot.name} ({kind}): {', '.join(parts)}")
    return "\n".join(lines)
