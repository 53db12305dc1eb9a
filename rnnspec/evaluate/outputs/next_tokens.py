"""What a language model writes after the beginnings of a few rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from rnnspec.errors import RnnspecError
from rnnspec.evaluate.examples import WHOLE, Drawn, joined
from rnnspec.evaluate.outputs.kind import MeasuredBatch
from rnnspec.plan.facts import SPACE
from rnnspec.plan.generate import generation
from rnnspec.plan.nodes import ClassOutput, Greedy, Sample, TokensInput
from rnnspec.plan.written_bytes import text_of
from rnnspec.report.model import Generated, Generation, Section
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Inputs
from rnnspec.to_torch.search import Texts

Prompt = tuple[Inputs, tuple[str, ...]]
"""The beginning of a row, or its end, and its tokens, as they stand in the file where that is
known."""
PROMPTS = 3
PROMPT = {"chars": 30, "words": 6, "tokens": 6, "bytes": 30, "subwords": 8}
"""Most tokens of a prompt, by kind."""
WRITTEN = {"chars": 250, "words": 60, "tokens": 60, "bytes": 250, "subwords": 80}
"""Most tokens written."""
STRATEGIES = (("greedy", Greedy()), ("drawn at temperature 0.8", Sample(temperature=0.8)))


class NextExamples:
    """Prompts drawn at random from the rows, and what the model writes after them."""

    def __init__(
        self, node: ClassOutput, names: Sequence[str], read: Sequence[str], model: Model
    ) -> None:
        """`names` are of the tokens answered, `read` of those that are read, which may be more."""
        self.names, self.read, self.model = names, read, model
        inputs = [n for n in model.plan.inputs if n.column == node.column]
        self.prompt = next((n for n in inputs if isinstance(n, TokensInput)), None)
        self.reverse = node.reverse
        self.writes = self.prompt is not None and self.prompt.kind in WRITTEN
        self.rows: Drawn[Prompt] = Drawn(PROMPTS)

    def see(self, measured: MeasuredBatch) -> None:
        if not self.writes or self.prompt is None:
            return
        _, lengths = measured.batch.inputs[self.prompt.key]
        for row in np.flatnonzero(lengths > 1).tolist():
            self.rows.offer(partial(self._prompt, measured, row))

    def sections(self) -> tuple[Section, ...]:
        prompts = self.rows.values()
        if not prompts or self.prompt is None:
            return ()
        limit = WRITTEN[self.prompt.kind]
        found = []
        for how, search in STRATEGIES:
            try:
                plan = generation(self.model.plan, replace(search, limit=limit))
            except RnnspecError:  # it reads more than can be put together from what it wrote
                return ()
            model = Model(plan)
            model.load_canonical(self.model.canonical_arrays())
            model.eval()
            for number, prompt in enumerate(prompts):
                found.append(self._written(model, prompt, how, number))
        about = "What the model writes after the beginnings of rows drawn at random."
        if self.reverse:
            about = "What the model writes before the ends of rows drawn at random."
        ordered = [one for n in range(len(prompts)) for one in found[n :: len(prompts)]]
        return (Generated("Generated text", tuple(ordered), about),)

    def _prompt(self, measured: MeasuredBatch, row: int) -> Prompt:
        """The inputs of a row, with only the beginning of its tokens, or their end."""
        assert self.prompt is not None
        found: Inputs = {}
        tokens: tuple[str, ...] = ()
        for key, (values, lengths) in measured.batch.inputs.items():
            value, length = values[row : row + 1].copy(), lengths[row : row + 1].copy()
            if key == self.prompt.key:
                every = int(length[0])
                count = min(PROMPT[self.prompt.kind], max(1, every // 2))
                kept = slice(every - count, every) if self.reverse else slice(count)
                value, length = value[:, kept], np.minimum(length, count)
                numbers = value[0].tolist()
                if self.prompt.kind == "bytes":
                    tokens = (text_of(numbers),)
                else:
                    tokens = tuple(self.read[n] for n in numbers)
                if measured.batch.raw is not None and self.prompt.kind in WHOLE:
                    tokens = (measured.batch.raw.input(key, row) or tokens)[kept]
            found[key] = (torch.from_numpy(value), torch.from_numpy(length))
        return found, tokens

    def _written(self, model: Model, prompt: Prompt, how: str, seed: int) -> Generation:
        assert self.prompt is not None
        inputs, begun = prompt
        (texts,) = model.answers(inputs, seeds=torch.tensor([seed])).values()
        assert isinstance(texts, Texts)
        kind, numbers = self.prompt.kind, best(texts)[0]
        before = joined(kind, begun)
        if kind == "bytes":
            return Generation(before, text_of(numbers), how, self.reverse)
        named = [self.names[n] for n in numbers]
        if kind == "subwords" and self.reverse:  # a token that begins a word has the space
            end = joined("chars", begun).replace(SPACE, " ")
            return Generation(end if named else before, joined(kind, named), how, before=True)
        if kind == "subwords":
            return Generation(before, joined(kind, [*begun, *named])[len(before) :], how)
        after = joined(kind, named)
        gap = "" if kind == "chars" or not after else " "
        if self.reverse:
            return Generation(gap + before, after, how, before=True)
        return Generation(before + gap, after, how)


def best(texts: Texts) -> list[list[int]]:
    """The numbers of the best answer to each row."""
    numbers, lengths = texts.numbers[:, 0].tolist(), texts.lengths[:, 0].tolist()
    return [row[:length] for row, length in zip(numbers, lengths, strict=True)]
