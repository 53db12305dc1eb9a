"""Checks of `data.format`: settings that the files or the columns give no meaning."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.base import Loc
from rnnspec.spec.cell_kinds import cell_kinds
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.formats import Delimited
from rnnspec.spec.spec import Spec

FORMAT: Loc = ("data", "format")


def quotes_enclose_fields(spec: Spec) -> Iterator[Finding]:
    """`quote` needs fields that are enclosed."""
    found = spec.data.format_settings
    if not isinstance(found, Delimited):
        return
    path: Loc = (*FORMAT, found.name)
    none = spec.data.quoting == "none" or (spec.data.quoting == "auto" and found.name == "tsv")
    if found.quote != '"' and none:
        hint = "write 'quoting: double' under data, or remove it"
        yield no_effect((*path, "quote"), "where quotes enclose nothing", hint)
    elif found.quote != '"' and found.delimiter == " ":
        yield no_effect((*path, "quote"), "with the delimiter ' ', at which any run of blanks ends")
    if found.quote == found.delimiter:
        message = f"{found.quote!r} is also the delimiter"
        yield Finding((*path, "quote"), message, "use another character")
    if found.thousands == found.decimal:
        message = f"{found.thousands!r} is also what stands before a fraction"
        hint = "set decimal to the other one, or leave thousands out"
        yield Finding((*path, "thousands"), message, hint)


def cells_have_the_kinds_of_the_settings(spec: Spec) -> Iterator[Finding]:
    """Decimal signs are for numbers, forms of dates for times."""
    found = spec.data.format_settings
    if not isinstance(found, Delimited):
        return
    kinds, path = set(cell_kinds(spec.data).values()), (*FORMAT, found.name)
    for key, default in (("decimal", "."), ("thousands", None)):
        if getattr(found, key) != default and "number" not in kinds:
            yield no_effect((*path, key), "where no column is read as numbers")
    if found.dates is not None and "time" not in kinds:
        why = "without a column of times, as data.series.time names one"
        yield no_effect((*path, "dates"), why)
