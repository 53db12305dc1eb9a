"""Answers by alignment: scores at each step of the encoder, and what they read as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from rnnspec import spec as language
from rnnspec.plan.builder import Stack, zeros
from rnnspec.plan.facts import Facts, TextFacts
from rnnspec.plan.fed_tokens import embedded_token
from rnnspec.plan.nodes import (
    BestPath,
    CtcOutput,
    CtcSearch,
    Decoder,
    Dense,
    Node,
    PrefixBeam,
    TextKind,
    TransducerBeam,
    TransducerGreedy,
    TransducerOutput,
    TransducerSearch,
)
from rnnspec.plan.stateless import Read
from rnnspec.spec.decoder import CtcDecoder, TransducerDecoder
from rnnspec.spec.search import (
    CtcBeamSearch,
    CtcGreedySearch,
    TransducerBeamSearch,
    TransducerGreedySearch,
)


def align_answer(spec: language.Spec, facts: Facts, read: Read, nodes: list[Node]) -> None:
    """Adds what aligns the answer with the steps `read`, and the output of the spec, to the nodes.
    Raises DataError."""
    texts = language.WordsOutput | language.CharsOutput | language.TokensOutput
    (target,) = (each for each in spec.data.outputs if isinstance(each, texts))
    known = facts.outputs[target.column]
    assert isinstance(known, TextFacts)
    answer = Answer(target.column, target.as_, len(known.vocabulary))
    if spec.ctc is not None:
        _ctc(spec.ctc, answer, read, nodes)
    if spec.transducer is not None:
        _transducer(spec, spec.transducer, answer, read, nodes)


@dataclass(frozen=True, slots=True)
class Answer:
    """The column of a text, its kind, and the size of its vocabulary."""

    column: str
    kind: TextKind
    size: int


def _ctc(settings: CtcDecoder, answer: Answer, read: Read, nodes: list[Node]) -> None:
    column, kind, size = answer.column, answer.kind, answer.size
    nodes.append(Dense("answer", read.name, read.width, size, "none"))
    search = ctc_search_of(settings)
    nodes.append(CtcOutput(f"output.{column}", "answer", column, kind, size, search))


def _transducer(
    spec: language.Spec, settings: TransducerDecoder, answer: Answer, read: Read, nodes: list[Node]
) -> None:
    size, body = answer.size, list[Node]()
    embedded = embedded_token(settings, size, body)
    top = Stack(spec, "decoder", "decoder.layers", body, zeros).built(embedded)
    hidden = settings.hidden or top.width
    body.append(Dense("decoder.joint", top.name, top.width, hidden, "none"))
    nodes.append(Dense("joint", read.name, read.width, hidden, "none"))
    own = {node.name for node in body}
    outer = (name for node in body for name in node.sources() if name not in own)
    nodes.append(Decoder("decoder", tuple(body), tuple(dict.fromkeys(outer))))
    search = transducer_search_of(settings)
    nodes.append(
        TransducerOutput(
            name=f"output.{answer.column}",
            source="joint",
            decoder="decoder",
            column=answer.column,
            kind=answer.kind,
            size=size,
            hidden=hidden,
            search=search,
        )
    )


def transducer_search_of(settings: TransducerDecoder) -> TransducerSearch:
    symbols = settings.transducer.symbols
    match settings.strategy:
        case TransducerGreedySearch():
            return TransducerGreedy(symbols)
        case TransducerBeamSearch(width=width, n_best=n_best):
            return TransducerBeam(width, n_best, symbols)
        case _:
            assert_never(settings.strategy)


def ctc_search_of(settings: CtcDecoder) -> CtcSearch:
    match settings.strategy:
        case CtcGreedySearch():
            return BestPath()
        case CtcBeamSearch(width=width, n_best=n_best):
            return PrefixBeam(width, n_best)
        case _:
            assert_never(settings.strategy)
