"""Answers by alignment: scores at each step of the encoder, and what they read as."""

from __future__ import annotations

from typing import assert_never

from rnnspec import spec as language
from rnnspec.plan.facts import Facts, TextFacts
from rnnspec.plan.nodes import BestPath, CtcOutput, CtcSearch, Dense, Node, PrefixBeam
from rnnspec.plan.stateless import Read
from rnnspec.spec.decoder import CtcDecoder
from rnnspec.spec.search import CtcBeamSearch, CtcGreedySearch


def align_answer(spec: language.Spec, facts: Facts, read: Read, nodes: list[Node]) -> None:
    """Adds the scores and the output of a spec with CTC to the nodes."""
    (target,) = spec.data.outputs
    assert isinstance(target, language.WordsOutput | language.CharsOutput | language.TokensOutput)
    known, column = facts.outputs[target.column], target.column
    assert isinstance(known, TextFacts) and spec.ctc is not None
    size = len(known.vocabulary)
    nodes.append(Dense("answer", read.name, read.width, size, "none"))
    search = ctc_search_of(spec.ctc)
    nodes.append(CtcOutput(f"output.{column}", "answer", column, target.as_, size, search))


def ctc_search_of(settings: CtcDecoder) -> CtcSearch:
    match settings.strategy:
        case CtcGreedySearch():
            return BestPath()
        case CtcBeamSearch(width=width, n_best=n_best):
            return PrefixBeam(width, n_best)
        case _:
            assert_never(settings.strategy)
