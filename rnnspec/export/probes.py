"""Inputs on which an exported file must prove itself: batches of every shape, drawn by seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, assert_never

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from rnnspec.data.pictures import in_place, in_steps
from rnnspec.export.probe_texts import TextDraw
from rnnspec.export.probe_tokens import (
    FOREIGN,
    GAPS,
    UNKNOWN_SHARE,
    drawn_row,
    looked_up,
    numbers_of_bytes,
    text_of_bytes,
    unknown,
    unknowns,
    written,
)
from rnnspec.plan import ClassFacts, Facts, NumericFacts, Plan, TextFacts, nodes
from rnnspec.plan.copies import source_numbers
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.plan.kinds import INPUT_TRAITS
from rnnspec.plan.names import SEED, draws, first_sequences, lengths_names
from rnnspec.plan.nodes import STEPS
from rnnspec.plan.nodes.outputs import OutputNode
from rnnspec.plan.text_rule import PLAIN
from rnnspec.run.feeds import Feeds
from rnnspec.run.interface import InputColumn, interface
from rnnspec.run.parse import feeds_of

MOST_STEPS = 200
"""Probes stay this short even where training rows were longer, so that the proof stays quick."""
Lengths = NDArray[np.int64]
ModuleInput = tuple[NDArray[Any], Lengths]
"""Values and lengths, as the trained module takes them."""
Batch = dict[str, ModuleInput]
LONG_SHARE = 0.25
"""Share of nested rows of which one step is as long as any training row had."""
MISSING_SHARE = 0.2
"""Share of numbers that are missing, where they may be."""
TIMES = (-1_500_000_000, 4_000_000_000)
"""Seconds since 1970, from 1922 to 2096."""


NumericInput = nodes.FramesInput | nodes.VectorInput | nodes.SeriesInput | nodes.FutureInput


@dataclass(frozen=True, slots=True)
class Drawn:
    """The values of one input, a row each: as a file that reads `texts` takes them, and as
    `numbers`, which a file with `ids` takes."""

    texts: Sequence[Any]
    numbers: Sequence[Any]


@dataclass(frozen=True, slots=True)
class Draw:
    """What the values of an input are drawn from. `lengths` are the steps of the rows, `earlier`
    the values of earlier inputs by key, `copied` the nodes that copy from a column."""

    facts: Facts
    lengths: Sequence[int]
    generator: Generator
    earlier: Mapping[str, Drawn]
    copied: Mapping[str, nodes.CopiesInput]
    tokens: Mapping[str, nodes.TokensInput]


def _draw_copies(node: nodes.CopiesInput, draw: Draw) -> Drawn:
    wanted = draw.facts.outputs[node.answers]
    assert isinstance(wanted, TextFacts)
    *before, own = (_tokens_drawn(draw, column) for column in (*_before(node, draw), node.column))
    firsts = [[t for source in before for t in source[row]] for row in range(len(own))]
    pairs = zip(own, firsts, strict=True)
    numbers = [source_numbers(row, wanted.vocabulary, node.banned, first) for row, first in pairs]
    found = [np.array(of_row, np.int64) for of_row in numbers]
    return Drawn(found, found)


def _before(node: nodes.CopiesInput, draw: Draw) -> list[str]:
    """The columns copied from whose steps come before those of `node`."""
    return [column for column, each in draw.copied.items() if each.name in node.after]


def _tokens_drawn(draw: Draw, column: str) -> list[list[str]]:
    """The tokens of a column that may be copied, of each row."""
    kind, rule = draw.copied[column].kind, draw.tokens[column].rule
    return [rule.tokens(kind, cell) for cell in draw.earlier[column].texts]


def _draw_texts(node: nodes.TokensInput, draw: Draw) -> Drawn:
    known = draw.facts.inputs[node.column]
    assert isinstance(known, TextFacts)
    copied = draw.copied.get(node.column)
    if copied is not None:
        foreign = [*unknowns(known.vocabulary.entries, FOREIGN), *copied.banned]
        alone = [t for t in foreign if node.kind == "tokens" or _is_one(node, t)]
        return _draw_tokens(node, known, draw, alone)
    match node.kind:
        case "subwords":
            numbers = [draw.generator.integers(1, node.size, length) for length in draw.lengths]
            return Drawn(numbers, numbers)
        case "bytes":
            texts = [text_of_bytes(length, draw.generator) for length in draw.lengths]
            return Drawn(texts, [numbers_of_bytes(text) for text in texts])
        case "words" | "chars" | "tokens":
            return _draw_tokens(node, known, draw)
        case _:
            assert_never(node.kind)


def _is_one(node: nodes.TokensInput, token: str) -> bool:
    """Whether a text of this token alone is this token."""
    return node.rule.tokens(node.kind, token) == [token]


def _draw_characters(node: nodes.CharactersInput, draw: Draw) -> Drawn:
    known = draw.facts.inputs[node.column]
    assert isinstance(known, TextFacts) and known.characters is not None
    of, texts = draw.tokens[node.column], draw.earlier[node.column].texts
    tokens = [of.rule.tokens(of.kind, cell) for cell in texts]
    spell = known.characters.numbers
    spelled = [[np.array(spell(list(t)), np.int64) for t in row] for row in tokens]
    return Drawn(spelled, spelled)


def _draw_nested(node: nodes.NestedInput, draw: Draw) -> Drawn:
    """Of each step 0 to 6 tokens, and now and then as many as a training row had; with more levels
    0 to 3 sequences, drawn so."""
    if node.levels > 1:
        own = [draw.generator.integers(0, 4, length).tolist() for length in draw.lengths]
        one_less = replace(node, levels=node.levels - 1)
        within = _draw_nested(one_less, replace(draw, lengths=[n for row in own for n in row]))
        return Drawn(_regrouped(within.texts, own), _regrouped(within.numbers, own))
    known = draw.facts.inputs[node.column]
    assert isinstance(known, TextFacts)
    most, inner = min(MOST_STEPS, max(known.longest_step, 2)), node.inner
    texts, numbers = list[Any](), list[Any]()
    for length in draw.lengths:
        counts = draw.generator.integers(0, min(most, 6) + 1, length)
        if length and draw.generator.random() < LONG_SHARE:
            counts[draw.generator.integers(length)] = most
        steps = _draw_tokens(inner, known, replace(draw, lengths=counts.tolist()))
        texts.append(list(steps.texts))
        numbers.append(list(steps.numbers))
    return Drawn(texts, numbers)


def _regrouped(steps: Sequence[Any], counts: Sequence[Sequence[int]]) -> list[list[Any]]:
    """As many of the steps in each row as it has `counts`."""
    left = iter(steps)
    return [list(islice(left, len(row))) for row in counts]


def _draw_categories(node: nodes.CategoryInput, draw: Draw) -> Drawn:
    known = draw.facts.inputs[node.column]
    assert isinstance(known, TextFacts)
    entries, rows = known.vocabulary.entries, len(draw.lengths)
    numbers = draw.generator.integers(UNKNOWN_ID, len(entries) + UNKNOWN_ID + 1, rows)
    names = [unknown(entries), *entries]
    return Drawn([names[number - UNKNOWN_ID] for number in numbers.tolist()], list(numbers))


def _draw_labels(
    node: nodes.CategoriesInput | nodes.CategoriesFuture, draw: Draw, counts: Sequence[int]
) -> Drawn:
    """So many labels a row, as `_draw_categories` draws one."""
    of_row = nodes.CategoryInput(node.name, node.column, node.size)
    rows = [_draw_categories(of_row, replace(draw, lengths=[0] * count)) for count in counts]
    return Drawn([each.texts for each in rows], [np.array(each.numbers, np.int64) for each in rows])


def _draw_keys(node: nodes.KeysInput, draw: Draw) -> Drawn:
    known = draw.facts.inputs[node.column]
    assert isinstance(known, ClassFacts)
    share = min(0.5, max(known.most, 1) / node.size)
    foreign, texts, numbers = unknown(known.labels), list[Any](), list[Any]()
    for length in draw.lengths:
        on = [np.flatnonzero(draw.generator.random(node.size) < share) for _ in range(length)]
        labels = [[known.labels[key] for key in step] for step in on]
        for step in labels:
            if draw.generator.random() < UNKNOWN_SHARE:
                step.insert(0, foreign)
        texts.append(labels)
        numbers.append(on)
    return Drawn(texts, numbers)


def _draw_numbers(
    node: NumericInput, draw: Draw, sizes: Sequence[Any], elapsed: int | None = None
) -> Drawn:
    """Normal numbers of these sizes, as precise as a batch has them; some are missing, if any may
    be. Number `elapsed` of a step is a time, which does not run backwards."""
    known, found = draw.facts.inputs[node.column], []
    assert isinstance(known, NumericFacts)
    for size in sizes:
        values = draw.generator.normal(known.mean, known.deviation, size)
        if elapsed is not None:
            values[..., elapsed] = np.abs(values[..., elapsed])
        if isinstance(node, nodes.SeriesInput | nodes.FutureInput) and node.log:
            values = np.exp(values)
        values = values.astype(np.float64 if node.double else np.float32)
        if node.missing != "error":
            gone = draw.generator.random(values.shape) < MISSING_SHARE
            if elapsed is not None:
                gone[..., elapsed] = False
            values[gone] = np.nan
        found.append(values)
    return Drawn(found, found)


def _draw_times(counts: Sequence[int], draw: Draw) -> Drawn:
    """Seconds, with the changes of clocks among them."""
    found = [draw.generator.integers(*TIMES, count) for count in counts]
    return Drawn(found, found)


def _draw_frames(node: nodes.FramesInput, draw: Draw) -> Drawn:
    sizes = [(length, node.width) for length in draw.lengths]
    return _draw_numbers(node, draw, sizes, node.elapsed)


def _draw_samples(node: nodes.AudioInput, draw: Draw) -> Drawn:
    """Noise, louder and softer, with as many windows as there are to be steps: the last window may
    begin a sample before the end. Some rows are silent."""
    found = []
    for steps in draw.lengths:
        last = int(draw.generator.integers(1, node.hop + 1))
        count = (steps - 1) * node.hop + last if steps else 0
        loudness = draw.generator.choice([0.0, 0.001, 0.1, 0.5])
        found.append((loudness * draw.generator.normal(size=count)).astype(np.float32))
    return Drawn(found, found)


def _draw_pictures(node: nodes.ImageInput, draw: Draw) -> Drawn:
    sides = (node.picture.features, node.picture.channels)
    found = [draw.generator.integers(0, 256, (n, *sides), np.uint8) for n in draw.lengths]
    return Drawn(found, found)


def _draw_tokens(
    node: nodes.TokensInput, known: TextFacts, draw: Draw, foreign: Sequence[str] = ()
) -> Drawn:
    """`foreign` tokens, if given, are the ones that the vocabulary lacks, and there are more of
    them: each may come again in its row."""
    entries, generator = known.vocabulary.entries, draw.generator
    if node.rule != PLAIN:
        return _draw_by_rule(node, known, draw, foreign)
    rows = [drawn_row(node, entries, length, generator, foreign) for length in draw.lengths]
    numbers = [looked_up(node, known, row) for row in rows]
    if node.kind == "tokens":
        return Drawn(rows, numbers)
    return Drawn([written(node, row, generator) for row in rows], numbers)


def _draw_by_rule(
    node: nodes.TokensInput, known: TextFacts, draw: Draw, foreign: Sequence[str]
) -> Drawn:
    """Texts whose tokens are whatever the rule makes of them, as many as wanted."""
    entries, generator = known.vocabulary.entries, draw.generator
    texts = TextDraw(
        node,
        generator,
        token=lambda: drawn_row(node, entries, 1, generator, foreign)[0],
        gap=lambda: "".join(generator.choice(GAPS, generator.integers(1, 3))),
    )
    cells = [texts.row(length, entries) for length in draw.lengths]
    rows = [node.rule.tokens(node.kind, cell) for cell in cells]
    return Drawn(cells, [looked_up(node, known, row) for row in rows])


@dataclass(frozen=True, slots=True)
class Probe:
    """A batch in both forms: `feeds` for the file, and `batch` for the trained module, values and
    lengths by the inputs' keys. Values past the lengths are arbitrary in both. `lengths` `[B]` are
    the rows' steps on the first time axis, `on_axes` those on each, `seeds` `[B]` what answers are
    drawn from."""

    feeds: Feeds
    batch: Batch
    lengths: NDArray[np.int64]
    seeds: NDArray[np.int64]
    on_axes: Mapping[str, NDArray[np.int64]]

    def steps(self, node: OutputNode) -> NDArray[np.int64]:
        """The rows' steps that an answer is about, `[B]`."""
        return self.on_axes.get(node.axis, self.lengths)


def probes(
    plan: Plan, facts: Facts, ids: bool = False, seeds: int = 3, least: int = 0
) -> Iterator[Probe]:
    """Batches of 1 to 17 rows, `least` to more steps than any training row had; some rows empty if
    `least` is 0."""
    longest = min(max(MOST_STEPS, _reach(plan)), max(_longest(plan, facts), 2))
    shapes = ((1, 1), (1, longest), (2, 3), (5, longest + 7), (17, longest), (3, 0))
    for seed in range(seeds):
        draw = np.random.default_rng(seed)
        for rows, steps in shapes:
            lengths = draw.integers(0, steps + 1, rows)
            lengths[draw.integers(rows)] = steps
            lengths = np.maximum(lengths, least)
            yield probe(plan, facts, lengths, draw, ids)


def _longest(plan: Plan, facts: Facts) -> int:
    known = (facts.inputs.get(node.column) for node in plan.inputs)  # times have no facts
    return max(each.longest for each in known if each is not None)


def _reach(plan: Plan) -> int:
    """Steps that have all lags before them."""
    found = (max(node.lags) for node in plan.nodes if isinstance(node, nodes.Lags))
    return max(found, default=0) + 3


def probe(plan: Plan, facts: Facts, lengths: Lengths, draw: Generator, ids: bool) -> Probe:
    """A batch of rows of `lengths` `[B]` on the first time axis; on others they have others."""
    found: dict[str, Drawn] = {}
    on_axes = _lengths_on_axes(plan, lengths, draw)
    copied = {node.column: node for node in plan.inputs if isinstance(node, nodes.CopiesInput)}
    tokens = {node.column: node for node in plan.inputs if isinstance(node, nodes.TokensInput)}
    source = Draw(facts, lengths.tolist(), draw, found, copied, tokens)
    for node in plan.inputs:
        on_axis = replace(source, lengths=on_axes.get(node.axis, lengths).tolist())
        found[node.key] = PROBES[type(node)].draw(node, on_axis)
    numbers = _feeds(interface(plan, facts, ids=True).inputs, found, ids=True)
    batch: Batch = {}
    for node in plan.inputs:
        values = [numbers[name] for name in INPUT_TRAITS[type(node)].names(node, True)]
        own = on_axes.get(node.axis, lengths)
        if isinstance(node, nodes.AudioInput):  # in samples
            own = np.array([len(row) for row in found[node.key].numbers], np.int64)
        batch[node.key] = PROBES[type(node)].batch(node, values, own, draw)
    feeds = numbers if ids else _feeds(interface(plan, facts).inputs, found, ids=False)
    _fill(plan, feeds, batch)
    feeds |= lengths_of_axes(plan, {key: own for key, (_, own) in batch.items()}, ids)
    seeds = draw.integers(-(2**63), 2**63 - 1, len(lengths), np.int64)
    if any(map(draws, plan.outputs)):
        feeds[SEED] = seeds
    return Probe(feeds, batch, lengths, seeds, on_axes)


def _lengths_on_axes(plan: Plan, lengths: Lengths, draw: Generator) -> dict[str, Lengths]:
    """The steps of the rows on each axis: on those behind the first as many at most, or 3 where no
    row has any."""
    first, *others = list(first_sequences(plan)) or [STEPS]
    most = max(int(lengths.max(initial=0)), 3)
    return {first: lengths} | {
        axis: draw.permutation(np.r_[draw.integers(0, most + 1, len(lengths) - 1), most])
        for axis in others
    }


def lengths_of_axes(plan: Plan, lengths: Mapping[str, Lengths], ids: bool) -> Feeds:
    """The inputs of a file with the lengths of its time axes, out of those of the inputs by key."""
    firsts = first_sequences(plan)
    names = lengths_names(plan, ids)
    return {name: lengths[firsts[axis].key] for axis, name in names.items() if name}


def _feeds(columns: Sequence[InputColumn], found: dict[str, Drawn], ids: bool) -> Feeds:
    feeds: Feeds = {}
    for column in columns:
        values = found[column.column]
        feeds |= feeds_of(column, values.numbers if ids else values.texts)
    return feeds


Arrays = Sequence[NDArray[Any]]
"""What a file with `ids` takes for a node, by its names."""


def _characters(
    node: nodes.CharactersInput, found: Arrays, lengths: Lengths, draw: Generator
) -> ModuleInput:
    values, counts = found
    empty = counts.shape[1] == 0
    values = _one_more(values, empty)
    widths = ((0, 0), (0, 0), (0, int(values.shape[2] == 0)))
    return np.pad(values, widths), _one_more(counts, empty)


def _steps(node: nodes.Input, found: Arrays, lengths: Lengths, draw: Generator) -> ModuleInput:
    values = _one_more(found[0], found[0].shape[1] == 0)
    past = np.arange(values.shape[1]) >= lengths[:, np.newaxis]
    values[past] = _noise(node, values.shape, draw)[past]
    return values, lengths


def _nested(
    node: nodes.NestedInput, found: Arrays, lengths: Lengths, draw: Generator
) -> ModuleInput:
    empty = [(0, int(extent == 0)) for extent in found[0].shape[2:]]
    values = np.pad(found[0], ((0, 0), (0, 0), *empty))
    for level, counts in reversed(list(enumerate(found[1:], start=1))):
        most = values.shape[1 + level]
        widths = [(0, max(0, n - m)) for n, m in zip(values.shape, counts.shape, strict=False)]
        past = np.arange(most) >= np.pad(counts, widths)[..., None]
        values[past] = level - node.levels
    return _steps(node, [values], lengths, draw)


def _one_more(values: NDArray[Any], wanted: bool) -> NDArray[Any]:
    """The values with a step more behind them, if wanted."""
    widths = [(0, 0), (0, int(wanted)), *[(0, 0)] * (values.ndim - 2)]
    return np.pad(values, widths)


def _noise(node: Any, shape: tuple[int, ...], draw: Generator) -> NDArray[Any]:
    """Values of a node that stand past the lengths."""
    kind = INPUT_TRAITS[type(node)].values
    match kind:
        case "numbers of tokens":
            return draw.integers(0, node.size, shape)
        case "flags":
            return draw.integers(0, 2, shape).astype(np.float32)
        case "bytes":
            return draw.integers(0, 256, shape, np.uint8)
        case "times":
            return draw.integers(*TIMES, shape)
        case "numbers":  # time does not run backwards
            return np.abs(draw.normal(0, 10, shape)).astype(np.float32)
        case _:
            assert_never(kind)


def _fill(plan: Plan, feeds: Feeds, batch: Batch) -> None:
    """Gives the file the module's values past the lengths, where it takes padded numbers."""
    for node in plan.inputs:
        if not INPUT_TRAITS[type(node)].steps:
            continue
        for name in (node.key, f"{node.key}.ids"):
            given = feeds.get(name)
            if given is not None and given.dtype != object:
                values = batch[node.key][0]
                if isinstance(node, nodes.ImageInput):
                    steps = in_steps(given, node.picture).shape[1]
                    feeds[name] = np.ascontiguousarray(in_place(values[:, :steps], node.picture))
                elif isinstance(node, nodes.NestedInput):
                    own = values[tuple(slice(extent) for extent in given.shape)]
                    feeds[name] = np.where(own < 0, node.size - 1, own)
                else:
                    feeds[name] = values[:, : given.shape[1]].reshape(given.shape)


@dataclass(frozen=True, slots=True)
class ProbeFunctions:
    """How inputs of one type of node are drawn, and given to the module: from what a file with
    `ids` takes, at least one step long, with arbitrary values past the lengths."""

    draw: Callable[[Any, Draw], Drawn]
    batch: Callable[[Any, Arrays, Lengths, Generator], ModuleInput]


PROBES: Mapping[type[nodes.Input], ProbeFunctions] = {
    nodes.TokensInput: ProbeFunctions(_draw_texts, _steps),
    nodes.CharactersInput: ProbeFunctions(_draw_characters, _characters),
    nodes.NestedInput: ProbeFunctions(_draw_nested, _nested),
    nodes.CopiesInput: ProbeFunctions(_draw_copies, _steps),
    nodes.CategoryInput: ProbeFunctions(
        _draw_categories, lambda node, found, lengths, draw: (found[0], np.ones_like(lengths))
    ),
    nodes.FramesInput: ProbeFunctions(_draw_frames, _steps),
    nodes.ImageInput: ProbeFunctions(
        _draw_pictures,
        lambda node, found, lengths, draw: _steps(
            node, [in_steps(found[0], node.picture)], lengths, draw
        ),
    ),
    nodes.KeysInput: ProbeFunctions(_draw_keys, _steps),
    nodes.VectorInput: ProbeFunctions(
        lambda node, draw: _draw_numbers(node, draw, [node.width] * len(draw.lengths)),
        lambda node, found, lengths, draw: (
            found[0].reshape(len(lengths), -1),
            np.ones_like(lengths),
        ),
    ),
    nodes.AudioInput: ProbeFunctions(_draw_samples, _steps),
    nodes.SeriesInput: ProbeFunctions(
        lambda node, draw: _draw_numbers(node, draw, draw.lengths),
        lambda node, found, lengths, draw: _steps(node, [found[0][..., np.newaxis]], lengths, draw),
    ),
    nodes.CalendarInput: ProbeFunctions(lambda node, draw: _draw_times(draw.lengths, draw), _steps),
    nodes.CalendarFuture: ProbeFunctions(
        lambda node, draw: _draw_times([node.horizon] * len(draw.lengths), draw),
        lambda node, found, lengths, draw: (found[0], np.full_like(lengths, node.horizon)),
    ),
    nodes.CategoriesInput: ProbeFunctions(
        lambda node, draw: _draw_labels(node, draw, draw.lengths), _steps
    ),
    nodes.CategoriesFuture: ProbeFunctions(
        lambda node, draw: _draw_labels(node, draw, [node.horizon] * len(draw.lengths)),
        lambda node, found, lengths, draw: (found[0], np.full_like(lengths, node.horizon)),
    ),
    nodes.FutureInput: ProbeFunctions(
        lambda node, draw: _draw_numbers(node, draw, [node.horizon] * len(draw.lengths)),
        lambda node, found, lengths, draw: (
            found[0][..., np.newaxis],
            np.full_like(lengths, node.horizon),
        ),
    ),
}
