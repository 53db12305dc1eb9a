"""Outputs that write texts: beside the true texts, and what their attention read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import islice
from typing import Literal, assert_never

import numpy as np
from torch import Tensor

from rnnspec.data.alignments import steps_at
from rnnspec.data.raw import RawRows
from rnnspec.evaluate.examples import Drawn, Kept, Rows, joined
from rnnspec.evaluate.metrics import METRICS, TextMetrics
from rnnspec.evaluate.metrics.texts import CorpusScores, same, true_numbers
from rnnspec.evaluate.outputs.alignments import AlignedRows, axis_of
from rnnspec.evaluate.outputs.classes import CROSS_ENTROPY
from rnnspec.evaluate.outputs.kind import MeasuredBatch, OutputKind, OutputScore
from rnnspec.evaluate.outputs.next_tokens import best
from rnnspec.objective.settings import OutputLoss
from rnnspec.plan import Plan
from rnnspec.plan.copies import copied_columns, named
from rnnspec.plan.facts import ColumnFacts
from rnnspec.plan.names import END, attended, attended_names, first_sequences, names_of
from rnnspec.plan.nodes import (
    STEPS,
    AlignedOutput,
    AnySearch,
    Beam,
    BestPath,
    Constraints,
    CtcOutput,
    Greedy,
    PrefixBeam,
    Sample,
    TextOutput,
    TokensInput,
    TransducerBeam,
    TransducerGreedy,
    TransducerOutput,
    WrittenOutput,
)
from rnnspec.report import model as report
from rnnspec.to_torch import Model
from rnnspec.to_torch.alignment import read
from rnnspec.to_torch.search import Texts

Tokens = tuple[str, ...]
Mistake = tuple[bytes, Tokens, report.Example]
"""The key of an input, the answer to it, and both as a report shows them."""
WRONG, RIGHT = 10, 5
SPARE = 4
"""So many times more mistakes are kept than shown: some are right answers to another row with the
same input."""
MAPS, BESTS = 4, 3
CTC_LOSS = (
    "What training makes small: the surprise of the true text by all of its alignments, in nats for"
    " each token, the end of a text counted as one."
)
LONG = 60
"""Attention maps of at most so many steps are shown before larger ones."""


# ---------------------------------------------------------------- metrics


def as_greedy(search: AnySearch) -> AnySearch:
    """Greedy search by the limits and rules of `search`: it is quick enough for every epoch."""
    match search:
        case Greedy():
            return search
        case Beam() | Sample():
            return Greedy(**{each.name: getattr(search, each.name) for each in fields(Constraints)})
        case BestPath() | PrefixBeam():
            return BestPath()
        case TransducerGreedy() | TransducerBeam():
            return TransducerGreedy(search.symbols)
        case _:
            assert_never(search)


def _add_texts(node: TextOutput, sums: TextMetrics, model: Model, measured: MeasuredBatch) -> Texts:
    forward, targets = measured.forward, measured.forward.targets[node.column]
    sums.add_logits(forward.logits[node.column], targets)
    search = as_greedy(node.search) if measured.greedy else None
    texts = model.answers(forward.inputs, measured.seeds, search=search)[node.column]
    assert isinstance(texts, Texts)
    return _added(sums, texts, targets)


def _add_aligned(
    node: CtcOutput, sums: TextMetrics, model: Model, measured: MeasuredBatch
) -> Texts:
    search, forward = BestPath() if measured.greedy else node.search, measured.forward
    texts = read(forward.logits[node.column], search)
    return _added(sums, texts, forward.targets[node.column])


def _add_transduced(
    node: TransducerOutput, sums: TextMetrics, model: Model, measured: MeasuredBatch
) -> Texts:
    forward, search = measured.forward, as_greedy(node.search) if measured.greedy else None
    texts = model.answers(forward.inputs, search=search)[node.column]
    assert isinstance(texts, Texts)
    return _added(sums, texts, forward.targets[node.column])


def _added(sums: TextMetrics, texts: Texts, targets: Tensor) -> Texts:
    sums.not_finite += int(texts.scores[:, 0].isnan().sum())
    sums.add_texts(best(texts), targets)
    return texts


@dataclass(slots=True)
class TextScores:
    """BLEU and chrF of the texts of an output, whose tokens have these `names`; tokens may be
    `copied` from input columns."""

    node: WrittenOutput
    names: Sequence[str]
    copied: tuple[str, ...] = ()
    corpus: CorpusScores = field(init=False)

    def __post_init__(self) -> None:
        self.corpus = CorpusScores(self.node.kind)

    def see(self, measured: MeasuredBatch) -> None:
        texts, raw = measured.answers[self.node.column], measured.batch.raw
        assert isinstance(texts, Texts) and raw is not None
        for row, answer in enumerate(best(texts)):
            tokens = named(self.names, answer, raw.of_inputs(self.copied, row))
            self.corpus.add(tokens, raw.truth(self.node.column, row), raw.input_digest(row))

    def values(self) -> dict[str, float]:
        return self.corpus.values()


# ---------------------------------------------------------------- examples


class TextExamples:
    """Mistakes that the model was surest of, other mistakes and right answers drawn at random, and
    attention maps. Beside them BLEU and chrF, and all metrics of the texts written greedily where
    the model searches otherwise."""

    def __init__(self, node: WrittenOutput, names: Sequence[str], rows: Rows, model: Model) -> None:
        self.node, self.column, self.names, self.rows = node, node.column, names, rows
        self.model, self.copied = model, copied_columns(model.plan, node)
        self.corpus = CorpusScores(node.kind)
        plain = isinstance(node.search, Greedy | BestPath | TransducerGreedy)
        self.greedy = None if plain else (TextMetrics(), CorpusScores(node.kind))
        self.sure: Kept[Mistake] = Kept(SPARE * WRONG)
        self.wrong: Drawn[Mistake] = Drawn(SPARE * WRONG)
        self.right: Drawn[report.Example] = Drawn(RIGHT)
        self.maps: Drawn[tuple[report.AttentionMap, ...]] = Drawn(MAPS)
        self.sources = attended_names(model.plan, node)
        self.bests: Drawn[str] = Drawn(BESTS)
        self.along = None
        if isinstance(node, AlignedOutput) and (axis := axis_of(model.plan, node)):
            self.along = AlignedRows(node, axis, names, rows, model)

    def see(self, measured: MeasuredBatch) -> None:
        texts, raw = measured.answers[self.column], measured.batch.raw
        assert isinstance(texts, Texts) and raw is not None
        targets, written = measured.batch.targets[self.column].tolist(), best(texts)
        truth = [raw.truth(self.column, row) for row in range(len(targets))]
        keys = [raw.input_digest(row) for row in range(len(targets))]
        for row, (answer, true) in enumerate(zip(written, truth, strict=True)):
            new = keys[row] not in self.corpus.true
            tokens = named(self.names, answer, self._source(raw, row))
            self.corpus.add(tokens, true, keys[row])
            score = texts.scores[row, 0].item()
            right = same(answer, true_numbers(targets[row]))
            example = partial(self._example, measured, row, tokens, true, score, right)
            if self.along is not None:
                self.along.offer(measured, row, answer, true, right)
            if right:
                self.right.offer(example)
            elif new:  # of rows with one input, the first
                mistake = partial(_mistake, keys[row], tokens, example)
                self.wrong.offer(mistake)
                self.sure.offer(score / (len(answer) + 1), mistake)
            if texts.attention is not None:
                steps = max(each.shape[2] for each in texts.of_sources)
                short = max(steps, len(answer)) <= LONG
                attention = partial(self._attention, measured, texts, row, tokens)
                self.maps.offer(attention, rank=int(short and bool(answer)))
            if texts.numbers.shape[1] > 1:
                self.bests.offer(partial(self._n_best, measured, texts, row))
        if self.greedy is not None:
            self._see_greedy(measured, truth, keys)

    def greedy_metrics(self) -> dict[str, float]:
        """The metrics of texts written greedily; empty where the model does so anyway."""
        if self.greedy is None:
            return {}
        return {**self.greedy[0].values(), **self.greedy[1].values()}

    def sections(self) -> tuple[report.Section, ...]:
        sure = self._mistakes(self.sure.values(), ())
        others = self._mistakes(self.wrong.values(), sure)
        rows = (*sure, *others, *self.right.values())
        found: list[report.Section] = []
        if rows:
            text = (
                "First the mistakes that the model was surest of, then mistakes and right answers"
                " drawn at random. An answer that another row with the same input has is no mistake"
                " here."
            )
            unit: Literal["characters", "words"]
            unit = "characters" if self.node.kind == "chars" else "words"
            found.append(report.Examples("Examples", rows, unit, "ln p", text))
        if self.along is not None:
            found += self.along.sections()
        if maps := self.maps.values():
            for source, of_source in zip(self.sources, zip(*maps, strict=True), strict=True):
                of, title = (f" that {source!r} reads", f"Attention to {source}")
                if not source:
                    of, title = " of the input", "Attention"
                text = f"How much each step{of} weighed when each token was written."
                found.append(report.Attention(title, of_source, text))
        if bests := self.bests.values():
            title = "All answers to a few rows, with ln p"
            found.append(report.Note(title, "\n\n".join(bests), fixed=True))
        return tuple(found)

    def _mistakes(
        self, found: Sequence[Mistake], but: Sequence[report.Example]
    ) -> tuple[report.Example, ...]:
        """The first of them that are no true text of another row with the same input."""
        wrong = (
            example
            for key, answer, example in found
            if not self.corpus.known(key, answer) and example not in but
        )
        return tuple(islice(wrong, WRONG // 2))

    def _source(self, raw: RawRows | None, row: int) -> Tokens:
        """The tokens that may be copied into the answer to a row."""
        if not self.copied:
            return ()
        assert raw is not None, "rows with texts to be answered are not streams"
        return raw.of_inputs(self.copied, row)

    def _example(
        self,
        measured: MeasuredBatch,
        row: int,
        answer: Tokens,
        true: Tokens,
        score: float,
        right: bool,
    ) -> report.Example:
        text = self.rows.text(measured.batch, row)
        expected, answered = (joined(self.node.kind, tokens) for tokens in (true, answer))
        place = self.rows.place(measured.rows, row)
        picture = self.rows.picture(measured.batch, row)
        return report.Example(text, expected, answered, score, right, place, picture)

    def _attention(
        self, measured: MeasuredBatch, texts: Texts, row: int, answer: Tokens
    ) -> tuple[report.AttentionMap, ...]:
        """A map of each source."""
        plan, firsts = self.model.plan, first_sequences(self.model.plan)
        found: list[report.AttentionMap] = []
        place = self.rows.place(measured.rows, row)
        if any(len(w[row]) > len(answer) and w[row][len(answer)].any() for w in texts.of_sources):
            answer = (*answer, END)  # the end was reached, and has weights of its own
        nodes = attended(plan, self.node)
        for source, attend, weights in zip(self.sources, nodes, texts.of_sources, strict=True):
            axis = f"{STEPS}.{source}" if source else next(iter(firsts))
            names = self.rows.steps(measured.batch, row, axis)
            count = int(steps_at(plan, attend.memory, np.array(len(names))))
            shown = weights[row][: len(answer), :count].tolist()
            if count != len(names) or not isinstance(firsts[axis], TokensInput):
                names = ()
            found.append(report.AttentionMap(names, answer, tuple(map(tuple, shown)), place))
        return tuple(found)

    def _n_best(self, measured: MeasuredBatch, texts: Texts, row: int) -> str:
        place = self.rows.place(measured.rows, row)
        listed = [f"{place}  {self.rows.text(measured.batch, row)}"]
        source = self._source(measured.batch.raw, row)
        every = (part[row].tolist() for part in (texts.numbers, texts.lengths, texts.scores))
        for numbers, length, score in zip(*every, strict=True):
            if score > -np.inf:
                text = joined(self.node.kind, named(self.names, numbers[:length], source))
                listed.append(f"{score:10.3f}  {text}")
        return "\n".join(listed)

    def _see_greedy(
        self, measured: MeasuredBatch, truth: Sequence[Tokens], keys: Sequence[bytes]
    ) -> None:
        assert self.greedy is not None
        metrics, corpus = self.greedy
        search = as_greedy(self.node.search)
        texts = self.model.answers(measured.forward.inputs, search=search)[self.column]
        assert isinstance(texts, Texts)
        written = best(texts)
        metrics.add_texts(written, measured.forward.targets[self.column])
        for row, answer in enumerate(written):
            tokens = named(self.names, answer, self._source(measured.batch.raw, row))
            corpus.add(tokens, truth[row], keys[row])


def _mistake(key: bytes, answer: Tokens, example: partial[report.Example]) -> Mistake:
    return key, answer, example()


def _score_texts(
    node: WrittenOutput,
    known: ColumnFacts,
    sums: TextMetrics,
    kept: TextExamples,
    new: Mapping[str, int],
) -> OutputScore:
    metrics, greedy = sums.values() | kept.corpus.values(), kept.greedy_metrics()
    if sums.not_finite:
        nan = float("nan")
        metrics, greedy = dict.fromkeys(metrics, nan), dict.fromkeys(greedy, nan)
    return OutputScore(node, metrics, greedy=greedy, sections=kept.sections())


def _explained(node: WrittenOutput) -> Mapping[str, str]:
    unit = node.kind.replace("chars", "characters").capitalize()
    error_rate = METRICS["error_rate"].explanation.replace("Tokens", unit)
    loss = CTC_LOSS if isinstance(node, AlignedOutput) else CROSS_ENTROPY
    return {"loss": loss, "error_rate": error_rate}


def _text_scores(node: WrittenOutput, plan: Plan, loss: OutputLoss) -> TextScores | None:
    return TextScores(node, loss.tokens, copied_columns(plan, node)) if loss.tokens else None


TEXTS = OutputKind(
    lambda node, loss, new: TextMetrics(),
    _add_texts,
    lambda node, known, rows, model, new, loss: TextExamples(node, names_of(known), rows, model),
    _score_texts,
    lambda node: ("exact_match", "error_rate", "bleu", "chrf"),
    _explained,
    _text_scores,
)
ALIGNED_TEXTS = replace(TEXTS, add=_add_aligned)
TRANSDUCED_TEXTS = replace(TEXTS, add=_add_transduced)
