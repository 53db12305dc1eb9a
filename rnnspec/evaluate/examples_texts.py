"""Texts that a model wrote, beside the true ones; and where it looked meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Literal

import numpy as np

from rnnspec.data.raw import RawRows
from rnnspec.evaluate.evaluate import Seen, as_greedy
from rnnspec.evaluate.examples import Drawn, Kept
from rnnspec.evaluate.examples_rows import Rows, joined
from rnnspec.evaluate.metrics import TextMetrics
from rnnspec.evaluate.metrics.corpus import CorpusScores
from rnnspec.evaluate.metrics.texts import same, true_numbers
from rnnspec.plan.copies import copied_column, named
from rnnspec.plan.names import END
from rnnspec.plan.nodes import Greedy, TextOutput
from rnnspec.report.model import (
    Attention,
    AttentionMap,
    Example,
    Examples,
    Note,
    Section,
)
from rnnspec.to_torch import Model
from rnnspec.to_torch.search import Texts

Differ = Literal["characters", "words"]
Tokens = tuple[str, ...]
Asked = tuple[bytes, Tokens, Example]
"""What an input is known by, the answer to it, and how it is shown."""
WRONG, RIGHT = 10, 5
SPARE = 4
"""Of so many times more mistakes the first are shown that are none by another row's answer."""
MAPS, BESTS = 4, 3
LONG = 60
"""Steps of an attention map from which on shorter ones are rather shown."""


class TextExamples:
    """Mistakes that the model was surest of, others and right answers drawn at random; BLEU and
    chrF; the same texts written greedily where the model searches otherwise."""

    def __init__(self, node: TextOutput, names: Sequence[str], rows: Rows, model: Model) -> None:
        self.node, self.column, self.names, self.rows = node, node.column, names, rows
        self.model, self.copied = model, copied_column(model.plan, node)
        self.corpus = CorpusScores(node.kind)
        plain = isinstance(node.search, Greedy)
        self.greedy = None if plain else (TextMetrics(), CorpusScores(node.kind))
        self.sure: Kept[Asked] = Kept(SPARE * WRONG)
        self.wrong: Drawn[Asked] = Drawn(SPARE * WRONG)
        self.right: Drawn[Example] = Drawn(RIGHT)
        self.maps: Drawn[AttentionMap] = Drawn(MAPS)
        self.bests: Drawn[str] = Drawn(BESTS)

    def see(self, seen: Seen) -> None:
        texts, raw = seen.answers[self.column], seen.batch.raw
        assert isinstance(texts, Texts) and raw is not None
        targets, written = seen.batch.targets[self.column].tolist(), best(texts)
        truth = [raw.truth(self.column, row) for row in range(len(targets))]
        asked = [raw.input_digest(row) for row in range(len(targets))]
        for row, (answer, true) in enumerate(zip(written, truth, strict=True)):
            new = asked[row] not in self.corpus.true
            source = self._source(raw, row)
            self.corpus.add(self._tokens(answer, source), true, asked[row])
            score = texts.scores[row, 0].item()
            right = same(answer, true_numbers(targets[row]))
            make = self._example(seen, row, answer, true, score, right)
            if right:
                self.right.offer(make)
            elif new:  # of rows with one input, the first
                wrong = self._asked(asked[row], self._tokens(answer, source), make)
                self.wrong.offer(wrong)
                self.sure.offer(score / (len(answer) + 1), wrong)
            if texts.attention is not None:
                self._offer_map(seen, texts, row, answer)
            if texts.numbers.shape[1] > 1:
                self.bests.offer(self._n_best(seen, texts, row))
        if self.greedy is not None:
            self._see_greedy(seen, truth, asked)

    def metrics(self) -> dict[str, float]:
        """BLEU and chrF."""
        return self.corpus.values()

    def greedy_metrics(self) -> dict[str, float]:
        """Those of texts written greedily; empty where the model does so anyway."""
        if self.greedy is None:
            return {}
        return {**self.greedy[0].values(), **self.greedy[1].values()}

    def sections(self) -> tuple[Section, ...]:
        sure = self._wrong(self.sure.values(), ())
        others = self._wrong(self.wrong.values(), sure)
        rows = (*sure, *others, *self.right.values())
        found: list[Section] = []
        if rows:
            text = (
                "First the mistakes that the model was surest of, then mistakes and right answers"
                " drawn at random. An answer that another row with the same input has is no mistake"
                " here."
            )
            differ: Differ = "characters" if self.node.kind == "chars" else "words"
            found.append(Examples("Examples", rows, differ, "ln p", text))
        if maps := self.maps.values():
            text = "How much each step of the input weighed when each token was written."
            found.append(Attention("Attention", maps, text))
        if bests := self.bests.values():
            found.append(
                Note("All answers to a few rows, with ln p", "\n\n".join(bests), fixed=True)
            )
        return tuple(found)

    def _wrong(self, found: Sequence[Asked], but: Sequence[Example]) -> tuple[Example, ...]:
        """The first of them that no row with the same input has for an answer."""
        wrong = (
            example
            for asked, answer, example in found
            if not self.corpus.known(asked, answer) and example not in but
        )
        return tuple(islice(wrong, WRONG // 2))

    def _asked(
        self, asked: bytes, answer: Tokens, make: Callable[[], Example]
    ) -> Callable[[], Asked]:
        return lambda: (asked, answer, make())

    def _source(self, raw: RawRows | None, row: int) -> Tokens:
        """The tokens that may be copied into the answer to a row."""
        if not self.copied:
            return ()
        assert raw is not None, "rows with texts to be answered are not streams"
        return raw.input(self.copied, row) or ()

    def _tokens(self, numbers: Sequence[int], source: Tokens) -> Tokens:
        return named(self.names, numbers, source)

    def _text(self, numbers: Sequence[int], source: Tokens) -> str:
        return joined(self.node.kind, self._tokens(numbers, source))

    def _example(
        self, seen: Seen, row: int, answer: list[int], true: Tokens, score: float, right: bool
    ) -> Callable[[], Example]:
        def make() -> Example:
            asked, place = self.rows.text(seen.batch, row), self.rows.place(seen.rows, row)
            expected = joined(self.node.kind, true)
            text = self._text(answer, self._source(seen.batch.raw, row))
            return Example(asked, expected, text, score, right, place)

        return make

    def _offer_map(self, seen: Seen, texts: Texts, row: int, answer: list[int]) -> None:
        assert texts.attention is not None
        weights = texts.attention[row]

        def make() -> AttentionMap:
            steps = self.rows.steps(seen.batch, row)
            target = self._tokens(answer, self._source(seen.batch.raw, row))
            if len(weights) > len(answer) and weights[len(answer)].any():
                target = (*target, END)  # the end was reached, and has weights of its own
            shown = weights[: len(target), : len(steps)].tolist()
            names = steps if self.rows.named_source() else ()
            place = self.rows.place(seen.rows, row)
            return AttentionMap(names, target, tuple(map(tuple, shown)), place)

        short = max(weights.shape[1], len(answer)) <= LONG
        self.maps.offer(make, rank=int(short and bool(answer)))

    def _n_best(self, seen: Seen, texts: Texts, row: int) -> Callable[[], str]:
        def make() -> str:
            listed = [f"{self.rows.place(seen.rows, row)}  {self.rows.text(seen.batch, row)}"]
            source = self._source(seen.batch.raw, row)
            every = (part[row].tolist() for part in (texts.numbers, texts.lengths, texts.scores))
            for numbers, length, score in zip(*every, strict=True):
                if score > -np.inf:
                    listed.append(f"{score:10.3f}  {self._text(numbers[:length], source)}")
            return "\n".join(listed)

        return make

    def _see_greedy(self, seen: Seen, truth: list[Tokens], asked: list[bytes]) -> None:
        assert self.greedy is not None
        metrics, corpus = self.greedy
        search = as_greedy(self.node.search)
        texts = self.model.answers(seen.found.inputs, search=search)[self.column]
        assert isinstance(texts, Texts)
        written = best(texts)
        metrics.add_texts(written, seen.found.targets[self.column])
        sources = [self._source(seen.batch.raw, row) for row in range(len(written))]
        answers = map(self._tokens, written, sources)
        for answer, true, key in zip(answers, truth, asked, strict=True):
            corpus.add(answer, true, key)


def best(texts: Texts) -> list[list[int]]:
    """The numbers of the best answer to each row."""
    numbers, lengths = texts.numbers[:, 0].tolist(), texts.lengths[:, 0].tolist()
    return [row[:length] for row, length in zip(numbers, lengths, strict=True)]
