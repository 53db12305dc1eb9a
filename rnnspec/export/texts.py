"""The texts of an exported file against those of the trained module: token by token."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnspec.errors import ExportError
from rnnspec.export.compare import DEFECT, LOST, ROUNDING_FACTOR, Figures
from rnnspec.export.probes import Probe
from rnnspec.plan import Facts, Plan, TextFacts
from rnnspec.plan.copies import copied_inputs, named
from rnnspec.plan.facts import SPACE
from rnnspec.plan.kinds import answers_ids
from rnnspec.plan.names import UNKNOWN, attention_suffixes, output_names
from rnnspec.plan.nodes import (
    FIRST_STEP,
    CopiesInput,
    NumberedOutput,
    PointerOutput,
    TextKind,
    TextOutput,
    TokensInput,
)
from rnnspec.plan.written_bytes import text_of
from rnnspec.to_torch import Model
from rnnspec.to_torch.search import Texts

SCORES_ALLOWED = 1e-4
"""Largest difference of two log-probabilities, or of two weights of attention."""
PERTURBATION = 1e-6
"""Relative change of each weight, to see whether an answer is a tie: ten times the rounding of
float32."""
TRIES = 32
Results = Mapping[str, NDArray[Any]]
RowAnswers = list[Any]
"""The answers to a row, the best first: texts, lists of tokens or lists of numbers."""


@dataclass(frozen=True, slots=True)
class Question:
    """One output on one batch: the module in float64, its inputs and seeds."""

    exact: Model
    node: NumberedOutput
    inputs: Mapping[str, tuple[torch.Tensor, torch.Tensor]]
    seeds: NDArray[np.int64]


def compare_texts(
    question: Question,
    facts: Facts,
    probe: Probe,
    one: Texts,
    precise: Texts,
    got: Results,
    ids: bool,
) -> Figures:
    """The texts answered to one batch. Raises ExportError where they differ and are no ties, and
    where the module's scores are NaN."""
    node, plan = question.node, question.exact.plan
    if bool(one.scores.isnan().any()):
        raise ExportError(f"{node.column}: {LOST.format('scores of nan')}")
    names = output_names(plan, node, ids)
    name = names[0].removesuffix(".ids")
    known = _Detokenizer.of(plan, node, facts, probe, ids)
    expected, found = known.of_module(one), known.of_file(got, names)
    differing = [row for row in range(len(expected)) if expected[row] != found[row]]
    ties = _ties(question, known, differing, found)
    if lost := set(differing) - ties:
        row = min(lost)
        raise ExportError(
            f"the exported file answers {found[row]!r} where the trained module answers"
            f" {expected[row]!r}; {DEFECT}"
        )
    alike = [row for row in range(len(expected)) if row not in ties]
    scores = np.asarray(got[f"{name}.scores"], np.float64).reshape(len(expected), -1)
    score, rounding = _scores(question, scores, one, precise, alike)
    tokens = int(one.lengths[alike].sum()) if alike else 0
    for suffix, weights in zip(attention_suffixes(plan, node), one.of_sources, strict=False):
        if f"{name}{suffix}" in got:
            _check_attention(node, got[f"{name}{suffix}"], weights, alike)
    if f"{name}.alignment" in got:
        _check_alignment(question, got[f"{name}.alignment"], one, precise, alike)
    return Figures(0.0, rounding, len(ties), tokens, score)


@dataclass(frozen=True, slots=True)
class _Detokenizer:
    """How numbers become an answer: `entries` by number, higher numbers from the row's `sources`;
    tokens of a text are joined by the rule of its `kind`. The row's `prompts`, texts or lists of
    tokens, come first, with `reverse` last. `first` is the number of step 0, where steps are
    answered."""

    entries: tuple[str, ...]
    kind: TextKind
    prompts: list[Any]
    ids: bool
    sources: list[Sequence[str]]
    first: int = 0
    reverse: bool = False

    @classmethod
    def of(
        cls, plan: Plan, node: NumberedOutput, facts: Facts, probe: Probe, ids: bool
    ) -> _Detokenizer:
        if isinstance(node, PointerOutput):
            rows = len(probe.lengths)
            return cls((), "tokens", [[]] * rows, True, [()] * rows, FIRST_STEP)
        known = facts.outputs.get(node.column, facts.inputs.get(node.column))
        assert isinstance(known, TextFacts)
        ids, given = answers_ids(node, ids), ids
        rows = len(probe.lengths)
        lists_of_tokens = node.kind in ("tokens", "subwords")
        prompts: list[Any] = [[] if lists_of_tokens else ""] * rows
        if isinstance(node, TextOutput) and node.prompt and not ids:
            prompts = probe.feeds[f"{node.column}.ids" if given else node.column].tolist()
            if lists_of_tokens:
                lists = zip(prompts, probe.lengths.tolist(), strict=True)
                prompts = [tokens[:length] for tokens, length in lists]
        sources: list[Sequence[str]] = [()] * rows
        for source in () if ids else copied_inputs(plan, node):
            own = _tokens_of(plan, source, probe)
            sources = [(*before, *row) for before, row in zip(sources, own, strict=True)]
        entries = ("", UNKNOWN, *known.vocabulary.entries)
        reverse = isinstance(node, TextOutput) and node.reverse
        return cls(entries, node.kind, prompts, ids, sources, reverse=reverse)

    def of_module(self, texts: Texts) -> list[RowAnswers]:
        numbers, lengths = texts.numbers.tolist(), texts.lengths.tolist()
        return [
            [self._plain(n[:count], row) for n, count in zip(best, counts, strict=True)]
            for row, (best, counts) in enumerate(zip(numbers, lengths, strict=True))
        ]

    def _plain(self, numbers: list[int], row: int) -> Any:
        if self.ids:
            return numbers
        prompt = self.prompts[row]
        if self.kind == "bytes":
            return self._beside(prompt, text_of(numbers))
        if self.kind == "subwords":
            pieces = [self.entries[number] for number in self._beside(prompt, numbers)]
            return "".join(pieces).replace(SPACE, " ").removeprefix(" ")
        tokens = list(named(self.entries, numbers, self.sources[row]))
        if self.kind == "tokens":
            return self._beside(prompt, tokens)
        glue = " " if self.kind == "words" else ""
        return self._beside(prompt, glue.join(tokens), glue if prompt and tokens else "")

    def _beside(self, prompt: Any, written: Any, glue: str = "") -> Any:
        if self.reverse:
            return written + glue + prompt if glue else written + prompt
        return prompt + glue + written if glue else prompt + written

    def of_file(self, got: Results, names: tuple[str, ...]) -> list[RowAnswers]:
        values = got[names[0]]
        rows = len(self.prompts)
        if self.ids:
            numbers = (values + self.first).reshape(rows, -1, values.shape[-1]).tolist()
            lengths = got[names[1]].reshape(rows, -1).tolist()
            pairs = zip(numbers, lengths, strict=True)
            return [[n[:c] for n, c in zip(ns, cs, strict=True)] for ns, cs in pairs]
        if self.kind != "tokens":
            return [list(row) for row in values.reshape(rows, -1).tolist()]
        lists = values.reshape(rows, -1, values.shape[-1]).tolist()
        return [[[token for token in each if token] for each in row] for row in lists]


def _tokens_of(plan: Plan, source: CopiesInput, probe: Probe) -> list[Sequence[str]]:
    """The tokens of each row that may be copied."""
    tokens = plan.node(source.steps)
    assert isinstance(tokens, TokensInput)
    given, (_, lengths) = probe.feeds[source.column].tolist(), probe.batch[source.key]
    pairs = zip(given, lengths.tolist(), strict=True)
    return [tokens.rule.tokens(source.kind, row)[:length] for row, length in pairs]


def _ties(
    question: Question, known: _Detokenizer, rows: list[int], answers: list[RowAnswers]
) -> set[int]:
    """The rows among `rows` where the module with slightly perturbed weights gives the file's
    answer."""
    found: set[int] = set()
    if rows:
        for texts in _perturbed_answers(question):
            each = known.of_module(texts)
            found |= {row for row in rows if each[row] == answers[row]}
            if len(found) == len(rows):
                break
    return found


@torch.inference_mode()
def _perturbed_answers(question: Question, aligned: bool = False) -> Iterator[Texts]:
    """The module's answers with its weights perturbed in one direction after another."""
    generator = torch.Generator().manual_seed(0)
    seeds = torch.from_numpy(question.seeds)
    for _ in range(TRIES):
        perturbed = copy.deepcopy(question.exact)
        for weight in perturbed.parameters():
            shift = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
            weight.mul_(1 + PERTURBATION * shift)
        found = perturbed.answers(question.inputs, seeds, aligned=aligned)
        answers = found[question.node.column]
        assert isinstance(answers, Texts)
        yield answers


def _scores(
    question: Question, scores: NDArray[np.float64], one: Texts, precise: Texts, rows: list[int]
) -> tuple[float, float]:
    """The largest difference of log-probabilities, and the largest that float32 itself makes.

    The rounding of a score is measured against float64. That can be too little: the score of an
    improbable answer, a sum of large numbers, may come out right by chance. Where the difference is
    larger, the scores of perturbed modules count too, as for ties.
    """
    expected, exact = one.scores.double().numpy(), precise.scores.double().numpy()
    with np.errstate(invalid="ignore"):
        differences = np.abs(scores - expected)
    differences[np.isneginf(expected) & np.isneginf(scores)] = 0
    rounding = _apart(one, expected, precise)
    allowed = SCORES_ALLOWED + ROUNDING_FACTOR * rounding
    if not (differences <= allowed)[rows].all():
        for perturbed in _perturbed_answers(question):
            allowed = np.maximum(allowed, SCORES_ALLOWED + _apart(precise, exact, perturbed))
            if (differences <= allowed)[rows].all():
                break
    differences, rounding = differences[rows], rounding[rows]
    if not (differences <= allowed[rows]).all():
        raise ExportError(
            f"{question.node.column}: log-probabilities of the exported file differ from those of"
            f" the trained module by {np.nanmax(differences):.1e} (allowed {SCORES_ALLOWED:.0e});"
            f" {DEFECT}"
        )
    return float(differences.max(initial=0.0)), float(rounding.max(initial=0.0))


def _apart(one: Texts, scores: NDArray[np.float64], other: Texts) -> NDArray[np.float64]:
    """By how much the scores `[B, N]` of the same answers differ; 0 where the answers do."""
    longest = max(one.numbers.shape[2], other.numbers.shape[2])
    numbers, others = (
        torch.nn.functional.pad(each.numbers, (0, longest - each.numbers.shape[2]))
        for each in (one, other)
    )
    same = ((numbers == others).all(-1) & (one.lengths == other.lengths)).numpy()
    with np.errstate(invalid="ignore"):
        found: NDArray[np.float64] = np.abs(scores - other.scores.double().numpy())
    found[~same | ~np.isfinite(found)] = 0
    return found


def _check_attention(
    node: NumberedOutput, weights: NDArray[Any], one: Tensor, rows: list[int]
) -> None:
    expected = one.double().numpy()
    steps, time = (min(a, b) for a, b in zip(weights.shape[1:], expected.shape[1:], strict=True))
    if not rows:
        return
    found, expected = weights[rows], expected[rows]
    inside = np.abs(found[:, :steps, :time] - expected[:, :steps, :time])
    beyond = max(
        np.abs(found[:, steps:]).max(initial=0.0), np.abs(found[:, :, time:]).max(initial=0.0)
    )
    if not max(inside.max(initial=0.0), beyond) <= SCORES_ALLOWED:
        raise ExportError(
            f"{node.column}: weights of attention in the exported file differ from those of the"
            f" trained module by {max(inside.max(initial=0.0), beyond):.1e}; {DEFECT}"
        )


def _check_alignment(
    question: Question, spans: NDArray[Any], one: Texts, precise: Texts, rows: list[int]
) -> None:
    """The steps of each token: those of the module in float32, in float64, or, where two paths are
    as probable, with slightly perturbed weights."""

    def differing(expected: Texts, among: list[int]) -> list[int]:
        assert expected.alignment is not None
        steps = expected.alignment.numpy()
        return [row for row in among if not _same_spans(spans[row], steps[row])]

    lost = differing(precise, differing(one, rows))
    for perturbed in _perturbed_answers(question, aligned=True) if lost else ():
        lost = differing(perturbed, lost)
    if lost:
        raise ExportError(
            f"{question.node.column}: the exported file finds the tokens at other steps than the"
            f" trained module; {DEFECT}"
        )


def _same_spans(found: NDArray[Any], expected: NDArray[Any]) -> bool:
    """Whether `[U, 2]` are the same, but for how many are missing at the end."""
    count = min(len(found), len(expected))
    rest = (found[count:] < 0).all() and (expected[count:] < 0).all()
    return bool((found[:count] == expected[:count]).all() and rest)
