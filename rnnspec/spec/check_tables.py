"""Checks of `data.table`: columns that nothing reads, and shapes that exclude each other."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.base import Loc
from rnnspec.spec.data import Data
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.inputs import CategoriesInput, FramesInput, KeysInput, SeriesInput, TokensInput
from rnnspec.spec.outputs import FramesOutput, KeysOutput, NextOutput, TagsOutput, TokensOutput
from rnnspec.spec.spec import Spec
from rnnspec.spec.tables import ColumnRange, TableShape

TABLE: Loc = ("data", "table")
_STEPS = (
    FramesInput,
    KeysInput,
    TokensInput,
    SeriesInput,
    CategoriesInput,
    FramesOutput,
    KeysOutput,
    NextOutput,
    TagsOutput,
    TokensOutput,
)


def step_columns(data: Data) -> frozenset[str]:
    """The columns whose cells are lists, one value a step."""
    return frozenset(c.column for c in (*data.inputs, *data.targets) if isinstance(c, _STEPS))


def tables_make_columns_that_are_read(spec: Spec) -> Iterator[Finding]:
    data, table = spec.data, spec.data.table
    if table is None:
        return
    if data.format_name in ("text", "conll", "folders"):
        yield no_effect(TABLE, f"on files of the format {data.format_name}")
        return
    if not table.join and not table.wide and table.long is None:
        yield Finding(TABLE, "names nothing", "write join, wide or long below it, or remove it")
    columns = {each.column for each in (*data.inputs, *data.targets)}
    for key, made in (("join", table.join), ("wide", table.wide)):
        for name, parts in made.items():
            if name not in columns:
                why = "for no input and no output has this column"
                yield no_effect(TABLE if _alone(table) else (*TABLE, key, name), why)
            elif not isinstance(parts, ColumnRange) and len(set(parts)) < len(parts):
                twice = next(each for each in parts if parts.count(each) > 1)
                hint = "name each column once"
                yield Finding((*TABLE, key, name), f"{twice!r} is named twice", hint)
            if key == "wide" and name in table.join:
                message = f"{name!r} is made by join already"
                yield Finding((*TABLE, key, name), message, "keep one of them", key=True)
    steps = step_columns(data)
    for name in table.wide:
        if name in columns and name not in steps:
            message = f"{name!r} is made of steps, and is not read as steps"
            hint = "read it as frames, tokens, series or categories, or use join for a vector"
            yield Finding((*TABLE, "wide", name), message, hint, key=True)


def _alone(table: TableShape) -> bool:
    """Whether a table says one thing, without which it says nothing."""
    return len(table.join) + len(table.wide) + (table.long is not None) == 1


def long_tables_make_sequences(spec: Spec) -> Iterator[Finding]:
    data, table = spec.data, spec.data.table
    if table is None or table.long is None:
        return
    path = (*TABLE, "long")
    if data.series is not None:
        message = "data.series says already how rows are the steps of series"
        yield Finding(path, message, "keep one of them", key=True)
    elif table.wide:
        message = "a row has all steps, as 'wide' says, or one"
        yield Finding(path, message, "keep long or wide", key=True)
    elif not step_columns(data):
        why = "where no column is read as the steps that 'long' makes"
        yield no_effect(TABLE if _alone(table) else path, why)
