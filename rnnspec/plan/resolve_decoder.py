"""The decoder: its initial states, its body, and its search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import assert_never, cast

from rnnspec import spec as language
from rnnspec.cells import Cell
from rnnspec.errors import DataError
from rnnspec.plan.builder import Stack
from rnnspec.plan.facts import UNKNOWN_ID, Facts, PositionFacts, TextFacts, Vocabulary
from rnnspec.plan.fed_tokens import embedded_token
from rnnspec.plan.nodes import (
    AddBase,
    Attend,
    AttentionKind,
    Beam,
    CopiesInput,
    CopyMix,
    Decoder,
    Delayed,
    Dense,
    FinalState,
    ForecastOutput,
    Greedy,
    InitialState,
    Node,
    Pointed,
    Pointer,
    PointerOutput,
    Pool,
    Previous,
    PreviousFrame,
    PreviousNumber,
    Recurrent,
    Sample,
    Scores,
    Search,
    TextOutput,
    TokensInput,
)
from rnnspec.plan.resolve_frames import frames_output
from rnnspec.plan.resolve_inputs import Sources
from rnnspec.plan.resolve_outputs import forecast_output, moved_by_base, season_ago
from rnnspec.plan.stateless import Read, dropped, joined
from rnnspec.spec import decoder as kinds
from rnnspec.spec.recurrent import RecurrentLayer
from rnnspec.spec.search import BeamSearch, GreedySearch, SampleSearch, Strategy, TimesInput
from rnnspec.spec.stack import CONTEXT, Steps, sized
from rnnspec.spec.views import encoder_of


@dataclass(frozen=True, slots=True)
class Source:
    """An encoder that a decoder reads: its recurrent `layers`, and the sequence `memory` that they
    give. `name` is "" where it is the only one."""

    memory: Read
    layers: tuple[Recurrent, ...] = ()
    name: str = ""

    def called(self, name: str) -> str:
        """The name of a node about this encoder."""
        return f"{name}.{self.name}" if self.name else name


@dataclass(frozen=True, slots=True)
class Encoded:
    """What the decoder of a spec is built from: its `sources`, of which 1:N has none; `inputs`,
    whose vectors stand beside them; `nodes` of the plan so far, to which the decoder is added, and
    nodes of its `body` so far."""

    spec: language.Spec
    facts: Facts
    inputs: Sources
    nodes: list[Node]
    body: list[Node]
    sources: tuple[Source, ...] = ()

    @property
    def settings(self) -> kinds.Decoder:
        assert self.spec.decoder is not None, "the spec has no decoder"
        return self.spec.decoder

    @property
    def beside_steps(self) -> bool:
        """Whether vectors of the row are read at each step: where no layer of an encoder has, or
        several encoders have none of them."""
        return not any(each.layers for each in self.sources) or len(self.sources) > 1

    @property
    def width(self) -> int:
        """The width of the context of attention."""
        return sum(each.memory.width for each in self.sources)


def write_answer(encoded: Encoded) -> None:
    """Adds the decoder and the output of the spec to the nodes. Raises DataError."""
    frames = encoded.spec.written_frames
    if frames is not None:
        _frames(encoded, frames)
        return
    forecasts = [o for o in encoded.spec.data.outputs if isinstance(o, language.ForecastOutput)]
    if forecasts:
        _forecast(encoded, forecasts)
        return
    (target,) = (o for o in encoded.spec.data.outputs if isinstance(o, _WRITTEN))
    if isinstance(target, language.PositionsOutput):
        _positions(encoded, target)
    else:
        _text(encoded, target)


_WRITTEN = (
    language.WordsOutput | language.CharsOutput | language.TokensOutput | language.PositionsOutput
)
"""What a decoder writes token by token."""


def _positions(encoded: Encoded, target: language.PositionsOutput) -> None:
    """A decoder whose scores are those of the steps of its encoder."""
    known, body, memory = (
        encoded.facts.outputs[target.column],
        encoded.body,
        encoded.sources[0].memory,
    )
    assert isinstance(known, PositionFacts)
    body.append(Previous("decoder.previous", 0))
    body.append(Pointed("decoder.pointed", "decoder.previous", memory.name, memory.width))
    read = _run(encoded, Read("decoder.pointed", memory.width))
    units = read.width
    body.append(Pointer("decoder.pointer", read.name, memory.name, read.width, memory.width, units))
    search = search_of(encoded.settings, known, target.column)
    search = replace(search, no_repeat=1) if target.once else search
    name = f"output.{target.column}"
    end = PointerOutput(name, "decoder", target.column, memory.name, search)
    encoded.nodes.extend([_decoder(encoded, 0), end])


def _forecast(encoded: Encoded, targets: Sequence[language.ForecastOutput]) -> None:
    body, ends = encoded.body, list[ForecastOutput]()
    for target in targets:
        end = forecast_output(target, "decoder", encoded.nodes)
        ends.append(replace(end, first=sum(each.parameters for each in ends)))
    past, *others = (f"input.{target.column}" for target in targets)
    fed = encoded.settings.feedback == "answers"
    body.append(PreviousNumber("decoder.previous", past, tuple(others), fed))
    read = _run(encoded, Read("decoder.previous", len(targets)))
    width, name = sum(end.parameters for end in ends), "decoder.answer"
    body.append(Dense(name, read.name, read.width, width, "none"))
    for target, end in zip(targets, ends, strict=True):
        if target.residual != "none":
            base = season_ago(target, encoded.nodes, flat=False)
            moved = f"decoder.answer{f'.{target.column}' * (len(ends) > 1)}.moved"
            body.append(AddBase(moved, name, base, 1, width, moved_by_base(end), end.first))
            name = moved
    encoded.nodes.extend([_decoder(encoded, targets[0].horizon), *ends])


def _frames(encoded: Encoded, target: language.FramesOutput) -> None:
    end, body = frames_output(encoded.spec, encoded.facts, target, encoded.nodes), encoded.body
    fed = encoded.settings.feedback == "answers"
    before = PreviousFrame("decoder.previous", end.width if fed else 1, fed)
    body.append(before)
    read = _run(encoded, Read(before.name, before.width))
    body.append(Dense("decoder.answer", read.name, read.width, end.raw_width, "none"))
    encoded.nodes.extend([_decoder(encoded, 0), end])


def _text(
    encoded: Encoded, target: language.WordsOutput | language.CharsOutput | language.TokensOutput
) -> None:
    known, column, body = encoded.facts.outputs[target.column], target.column, encoded.body
    assert isinstance(known, TextFacts)
    size, settings = len(known.vocabulary), encoded.settings
    embedded = embedded_token(settings, size, body)
    width, read = embedded.width, _run(encoded, embedded)
    if settings.tied and read.width != width:
        raise DataError(
            f"decoder.tied: the scores are made of {read.width} numbers and the learned vectors"
            f" are {width} wide; set decoder.hidden or decoder.embed so that they are equal"
        )
    tied = "decoder.embed" if settings.tied else ""
    body.append(Scores("decoder.scores", read.name, read.width, size, tied))
    first, *others = _copy(encoded, read, column, known.vocabulary) or ("",)
    search = search_of(settings, known, column, bool(first))
    name = f"output.{column}"
    end = TextOutput(name, "decoder", column, target.as_, size, search)
    end = replace(end, copies=first, more_copies=tuple(others))
    encoded.nodes.extend([_decoder(encoded, 0), end])


def _decoder(encoded: Encoded, steps: int) -> Decoder:
    own = {node.name for node in encoded.body}
    read = (name for node in encoded.body for name in node.sources() if name not in own)
    reverse = encoded.settings.reverse and bool(encoded.inputs.controls)
    reads = tuple(dict.fromkeys(read))
    return Decoder("decoder", tuple(encoded.body), reads, steps, reverse=reverse)


def _run(encoded: Encoded, previous: Read) -> Read:
    """The body from the previous answer to the input of the scores."""
    settings, body = encoded.settings, encoded.body
    attention = not isinstance(settings.attention, kinds.NoAttention)
    beside = [previous, *encoded.inputs.ahead, *encoded.inputs.controls]
    if encoded.beside_steps:
        beside += encoded.inputs.beside
    width = _top_width(encoded, beside)
    context = None
    if attention and settings.attend == "before":
        body.append(Delayed("decoder.before", _TOP, width))
        context = _contexts(encoded, Read("decoder.before", width))
        beside.append(context)
    hidden = settings.hidden or (width if attention else 0)
    if settings.input_feeding:
        body.append(Delayed("decoder.fed", _FED, hidden or width))
        beside.append(Read("decoder.fed", hidden or width))
    read = joined("decoder.inputs", beside, body)
    initial = _InitialStates(encoded)
    others = {CONTEXT: context} if context else {}
    stack = Stack(encoded.spec, "decoder", "decoder.layers", body, initial, others)
    top = read = stack.built(read)
    if attention:
        read = joined("decoder.joined", [top, context or _contexts(encoded, top)], body)
    if hidden:
        body.append(Dense("decoder.hidden", read.name, read.width, hidden, "tanh"))
        read = Read("decoder.hidden", hidden)
    _name_delayed(body, {_TOP: top.name, _FED: read.name})
    return dropped("decoder.dropout", settings.dropout, read, body)


def _top_width(encoded: Encoded, beside: list[Read]) -> int:
    """Width of the last layer's output. What is fed back to the first layer does not count unless
    `hidden` gives its width: without it, the spec has been checked not to need it."""
    settings = encoded.settings
    width = sum(read.width for read in beside) + settings.input_feeding * (settings.hidden or 0)
    if settings.attend == "before" and not isinstance(settings.attention, kinds.NoAttention):
        width += encoded.width
    others = {CONTEXT: Steps(encoded.width)} if encoded.sources else {}
    top = sized(encoded.spec, settings.layers, Steps(width), others)[-1].output
    assert top is not None, "all cells are right"
    return top


_TOP, _FED = "the top layer", "what the scores are made of"
"""Placeholders for nodes that come later in the body, until their names are known."""


def _name_delayed(body: list[Node], names: dict[str, str]) -> None:
    for place, node in enumerate(body):
        if isinstance(node, Delayed) and node.source in names:
            body[place] = Delayed(node.name, names[node.source], node.width)


def _contexts(encoded: Encoded, query: Read) -> Read:
    """What is attended to of each encoder, side by side (Zoph and Knight 2016, Multi-Source Neural
    Translation, section 3.4; compared by Libovický and Helcl 2017)."""
    found = [_attend(encoded, source, query) for source in encoded.sources]
    return joined("decoder.contexts", found, encoded.body)


def _attend(encoded: Encoded, source: Source, query: Read) -> Read:
    """The attention node of one encoder, and dropout of its context."""
    settings, memory = encoded.settings, source.memory
    chosen, context = settings.attention, source.called("decoder.context")
    # The options have the names of the kinds, and their settings those of the node.
    own = {key: getattr(chosen, key) for key in type(chosen).model_fields}
    if "units" in own:
        own["units"] = own["units"] or query.width
    if isinstance(chosen, kinds.DotAttention) and query.width != memory.width:
        raise DataError(
            f"decoder.attention: dot needs equal widths, but the decoder's state is {query.width}"
            f" wide and the encoder's steps are {memory.width}; use general"
        )
    if isinstance(chosen, kinds.MultiHeadAttention) and own["units"] % chosen.heads:
        raise DataError(
            f"decoder.attention.multi_head: {own['units']} units cannot be shared by"
            f" {chosen.heads} heads"
        )
    encoded.body.append(
        Attend(
            name=context,
            source=query.name,
            memory=memory.name,
            kind=cast(AttentionKind, chosen.name),
            query_width=query.width,
            memory_width=memory.width,
            **own,
        )
    )
    found = Read(context, memory.width)
    return dropped(f"{context}.dropout", settings.context_dropout, found, encoded.body)


@dataclass(frozen=True, slots=True)
class _InitialStates:
    """The states before the first step: see `rnnspec.plan.builder.InitialStates`."""

    encoded: Encoded

    def __call__(
        self, name: str, cell: Cell, widths: dict[str, int]
    ) -> tuple[InitialState, tuple[str, ...]]:
        chosen = self.encoded.settings.start_from
        if isinstance(chosen, kinds.LearnedStart):
            return "learned", ()
        if isinstance(chosen, kinds.ZeroStart):
            return "zeros", ()
        sources = self.encoded.sources
        if not any(each.layers for each in sources):
            return self._from_vectors(name, widths)
        number = sum(isinstance(node, Recurrent) for node in self.encoded.body)
        if len(sources) > 1:
            return "given", tuple(self._of_all(number, name, s, w) for s, w in widths.items())
        layer = self._layer(sources[0], number)
        return "given", tuple(self._state(layer, name, state, w) for state, w in widths.items())

    def _layer(self, source: Source, number: int) -> Recurrent:
        """The encoder's layer of the same number if both have equally many, else its last layer."""
        layers = self.encoded.settings.layers
        count = sum(layer.repeat for layer in layers if isinstance(layer, RecurrentLayer))
        return source.layers[number] if len(source.layers) == count else source.layers[-1]

    def _of_all(self, number: int, name: str, state: str, width: int) -> str:
        """One state of the decoder's layer `name`, the one of this `number`, by a dense layer from
        the last states of all encoders side by side (Zoph and Knight 2016, section 3.2)."""
        last = [
            self._final(self._layer(each, number), state) if each.layers else self._mean(each)
            for each in self.encoded.sources
        ]
        start = f"{name}.start.{state}"
        return self._dense(start, joined(f"{start}.of", last, self.encoded.nodes), width)

    def _final(self, layer: Recurrent, state: str) -> Read:
        """A state that an encoder's layer ends with, of both directions."""
        of = state if state in layer.cell.states else next(iter(layer.cell.states))
        final = FinalState(f"{layer.name}.final.{of}", layer.name, of)
        if final not in self.encoded.nodes:
            self.encoded.nodes.append(final)
        return Read(final.name, layer.state_width(of) * len(layer.directions))

    def _state(self, layer: Recurrent, name: str, state: str, width: int) -> str:
        """The node that gives one state of the decoder's layer `name`."""
        chosen, final = self.encoded.settings.start_from, self._final(layer, state)
        if final.width == width and not isinstance(chosen, kinds.DenseStart):
            return final.name
        if isinstance(chosen, kinds.EncoderStart):
            raise DataError(
                f"decoder.start_from: the state {state} of {name} is {width} wide and that of the"
                f" encoder's {layer.name} is {final.width}; use dense, or change units"
            )
        return self._dense(f"{name}.start.{state}", final, width)

    def _from_vectors(
        self, name: str, widths: dict[str, int]
    ) -> tuple[InitialState, tuple[str, ...]]:
        inputs = self.encoded.inputs
        of = inputs.start
        if isinstance(self.encoded.settings.start_from, kinds.DenseStart):
            of = of or inputs.beside
        if self.encoded.sources:
            of = [self._mean(each) for each in self.encoded.sources]
        if not of:
            return "zeros", ()
        if not any(node.name == "start" for node in self.encoded.nodes):
            source = joined("start", of, self.encoded.nodes)
        else:
            source = Read("start", sum(read.width for read in of))
        names = [self._dense(f"{name}.start.{s}", source, w) for s, w in widths.items()]
        return "given", tuple(names)

    def _mean(self, source: Source) -> Read:
        """The mean over the steps of an encoder without states (Xu et al. 2015, 3.1.2)."""
        memory = source.memory
        mean = Pool(source.called("memory.mean"), memory.name, "mean", memory.width, 0)
        if mean not in self.encoded.nodes:
            self.encoded.nodes.append(mean)
        return Read(mean.name, memory.width)

    def _dense(self, name: str, source: Read, width: int) -> str:
        chosen = self.encoded.settings.start_from
        activation = chosen.activation if isinstance(chosen, kinds.DenseStart) else "tanh"
        node = Dense(name, source.name, source.width, width, activation)
        self.encoded.nodes.append(node)
        return name


def _copy(encoded: Encoded, gate: Read, answers: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Mixes the tokens that may be copied into the scores. Returns the names of their inputs."""
    pairs = list[tuple[str, str]]()
    for column in encoded.settings.copied:
        after = tuple(tokens for _, tokens in pairs)
        pairs.append(_copied(encoded, column, answers, vocabulary, after))
    if not pairs:
        return ()
    (attend, tokens), *others = pairs
    size, read = len(vocabulary), (gate.name, gate.width)
    mix = CopyMix("decoder.copy", "decoder.scores", *read, attend, tokens, size, tuple(others))
    encoded.body.append(mix)
    return mix.all_tokens


def _copied(
    encoded: Encoded, column: str, answers: str, vocabulary: Vocabulary, after: tuple[str, ...]
) -> tuple[str, str]:
    """The attention over the steps of a column, and the input of its tokens that may be copied,
    made after the tokens of `column` and after those of the inputs `after`."""
    place, steps = next(
        (at, n)
        for at, n in enumerate(encoded.nodes)
        if isinstance(n, TokensInput) and n.column == column
    )
    places = (at for at, node in enumerate(encoded.nodes) if node.name in after)
    place, name = max(place, *places, -1), f"{steps.name}.copies"
    tokens = dict.fromkeys(encoded.settings.strategy.banned)
    numbers = zip(tokens, vocabulary.numbers(list(tokens)), strict=True)
    banned = tuple(token for token, number in numbers if number == UNKNOWN_ID)
    numbered = (name, column, steps.name, steps.kind, answers, len(vocabulary), banned, after)
    encoded.nodes.insert(place + 1, CopiesInput(*numbered, axis=steps.axis))
    read_by = encoder_of(encoded.spec).get(column, "")
    (source,) = (each for each in encoded.sources if each.name == read_by)
    return source.called("decoder.context"), name


def search_of(
    settings: kinds.Decoder, known: TextFacts | PositionFacts, column: str, copies: bool = False
) -> Search:
    """The search of a decoder whose answers have the facts `known`. Raises DataError.

    If tokens may be copied, the vocabulary may lack banned tokens.
    """
    chosen, limit, factor = settings.strategy, settings.max_steps, 0.0
    if isinstance(limit, TimesInput):
        factor, limit = limit.times, limit.plus
    elif isinstance(limit, str):
        usual = ceil(known.mean_length + 4 * known.length_deviation)
        limit = max(known.longest, usual) + 1
    vocabulary = known.vocabulary if isinstance(known, TextFacts) else Vocabulary(())
    return replace(
        _strategy(chosen),
        limit=limit,
        factor=factor,
        min_steps=settings.min_steps,
        repetition_penalty=chosen.repetition_penalty,
        no_repeat=chosen.no_repeat,
        prefix=_numbers(chosen.prefix, vocabulary, column, "prefix"),
        banned=_banned(chosen.banned, vocabulary, column, copies),
    )


def _strategy(chosen: Strategy) -> Search:
    match chosen:
        case GreedySearch():
            return Greedy()
        case SampleSearch():
            return Sample(temperature=chosen.temperature, top_k=chosen.top_k, top_p=chosen.top_p)
        case BeamSearch():
            return Beam(
                width=chosen.width,
                n_best=chosen.n_best,
                length_norm=chosen.length_norm,
                alpha=chosen.length_penalty if chosen.length_norm == "gnmt" else 0.0,
                coverage_penalty=chosen.coverage_penalty,
                stop=chosen.stop,
            )
        case _:
            assert_never(chosen)


def _banned(
    tokens: tuple[str, ...], vocabulary: Vocabulary, column: str, copies: bool
) -> tuple[int, ...]:
    if copies:
        return tuple(n for n in vocabulary.numbers(tokens) if n != UNKNOWN_ID)
    return _numbers(tokens, vocabulary, column, "banned")


def _numbers(
    tokens: tuple[str, ...], vocabulary: Vocabulary, column: str, key: str
) -> tuple[int, ...]:
    numbers = vocabulary.numbers(tokens)
    for token, number in zip(tokens, numbers, strict=True):
        if number == UNKNOWN_ID:
            raise DataError(
                f"decoder.strategy: {key} has {token!r}, which no training row has in column"
                f" {column!r}"
            )
    return tuple(numbers)
