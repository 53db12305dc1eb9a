"""Inputs on which an exported file must prove itself: every shape of batch, drawn by seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rnnspec.export.draws import Drawn, drawn
from rnnspec.plan import Facts, Plan
from rnnspec.plan.names import SEED, draws, first_sequence, lengths_name
from rnnspec.plan.nodes import (
    CharactersInput,
    CopiesInput,
    FutureInput,
    Input,
    KeysInput,
    SeriesInput,
    TokensInput,
    VectorInput,
)
from rnnspec.run.feeds import Feeds, feeds_of
from rnnspec.run.interface import InputColumn, interface

MOST_STEPS = 200
"""Probes stay this short even where training rows were longer, so that the proof stays quick."""
Batch = dict[str, tuple[NDArray[Any], NDArray[np.int64]]]


@dataclass(frozen=True, slots=True)
class Probe:
    """A batch in both forms: `feeds` as the file takes it, and `batch` as the trained module does,
    values and lengths by the inputs' keys. What stands past the lengths is arbitrary in both.
    `lengths` `[B]` are the rows' steps, `seeds` `[B]` what answers are drawn from."""

    feeds: Feeds
    batch: Batch
    lengths: NDArray[np.int64]
    seeds: NDArray[np.int64]


def probes(plan: Plan, facts: Facts, ids: bool = False, seeds: int = 3) -> Iterator[Probe]:
    """Batches of 1 to 17 rows, 0 to more steps than any training row had; some rows empty."""
    longest = min(MOST_STEPS, max(_longest(plan, facts), 2))
    shapes = ((1, 1), (1, longest), (2, 3), (5, longest + 7), (17, longest), (3, 0))
    for seed in range(seeds):
        draw = np.random.default_rng(seed)
        for rows, steps in shapes:
            lengths = draw.integers(0, steps + 1, rows)
            lengths[draw.integers(rows)] = steps
            yield _probe(plan, facts, lengths, draw, ids)


def _longest(plan: Plan, facts: Facts) -> int:
    known = [facts.inputs[node.column] for node in plan.inputs]
    return max(each.longest for each in known)


def _probe(
    plan: Plan, facts: Facts, lengths: NDArray[np.int64], draw: Generator, ids: bool
) -> Probe:
    found: dict[str, Drawn] = {}
    copied = {node.column: node for node in plan.inputs if isinstance(node, CopiesInput)}
    for node in plan.inputs:
        found[node.key] = drawn(node, facts, lengths.tolist(), draw, found, copied)
    numbers = _feeds(interface(plan, facts, ids=True).inputs, found, ids=True)
    batch = {node.key: _for_module(node, numbers, lengths, draw) for node in plan.inputs}
    told = numbers if ids else _feeds(interface(plan, facts).inputs, found, ids=False)
    _fill(plan, told, batch, lengths)
    if first_sequence(plan) is not None and (name := lengths_name(plan, ids)):
        told[name] = lengths
    seeds = draw.integers(-(2**63), 2**63 - 1, len(lengths), np.int64)
    if any(map(draws, plan.outputs)):
        told[SEED] = seeds
    return Probe(told, batch, lengths, seeds)


def _feeds(columns: Sequence[InputColumn], found: dict[str, Drawn], ids: bool) -> Feeds:
    feeds: Feeds = {}
    for column in columns:
        values = found[column.column]
        feeds |= feeds_of(column, values.numbers if ids else values.told)
    return feeds


def _for_module(
    node: Input, feeds: Feeds, lengths: NDArray[np.int64], draw: Generator
) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The values of an input as the module takes them, at least one step long, with anything past
    the length of each row."""
    name = f"{node.key}.ids" if f"{node.key}.ids" in feeds else node.key
    values, ones = feeds[name], np.ones_like(lengths)
    match node:
        case VectorInput():
            return values.reshape(len(values), -1), ones
        case FutureInput():
            return values[..., np.newaxis], ones * node.horizon
        case CharactersInput():
            counts = feeds[f"{node.key}.lengths"]
            steps = _one_more(counts, counts.shape[1] == 0)
            values = _one_more(values, values.shape[1] == 0)
            empty = values.shape[2] == 0
            return np.pad(values, ((0, 0), (0, 0), (0, int(empty)))), steps
        case SeriesInput():
            values = values[..., np.newaxis]
    if values.ndim == 1:
        return values, ones
    values = _one_more(values, values.shape[1] == 0)
    past = np.arange(values.shape[1]) >= lengths[:, np.newaxis]
    values[past] = _noise(node, values.shape, draw)[past]
    return values, lengths


def _one_more(values: NDArray[Any], wanted: bool) -> NDArray[Any]:
    """The values with a step more behind them, if wanted."""
    widths = [(0, 0), (0, int(wanted)), *[(0, 0)] * (values.ndim - 2)]
    return np.pad(values, widths)


def _noise(node: Input, shape: tuple[int, ...], draw: Generator) -> NDArray[Any]:
    if isinstance(node, TokensInput | CopiesInput):
        return draw.integers(0, node.size, shape)
    if isinstance(node, KeysInput):
        return draw.integers(0, 2, shape).astype(np.float32)
    return np.abs(draw.normal(0, 10, shape)).astype(np.float32)  # time does not run backwards


def _fill(plan: Plan, feeds: Feeds, batch: Batch, lengths: NDArray[np.int64]) -> None:
    """What the module is given past the lengths, where the file takes numbers padded alike."""
    for node in plan.inputs:
        if isinstance(node, VectorInput | FutureInput | CharactersInput):
            continue
        for name in (node.key, f"{node.key}.ids"):
            given = feeds.get(name)
            if given is not None and given.dtype != object and given.ndim > 1:
                values = batch[node.key][0][:, : given.shape[1]]
                feeds[name] = values.reshape(given.shape)
