"""What each type of node keeps from one chunk of a stream to the next, or why it needs the whole
row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, assert_never

from rnnspec.plan import nodes
from rnnspec.plan.nodes import Node, Plan, Shape
from rnnspec.plan.nodes.audio import DELTA_SPAN
from rnnspec.plan.nodes.node import ColumnNode, SourceNode
from rnnspec.plan.stream_states import (
    HELD,
    Lag,
    StateKind,
    States,
    StreamState,
    waiting_of,
    window_states,
)
from rnnspec.plan.written_bytes import LONGEST


class CannotStream(Exception):
    """Why a node needs the whole row."""


@dataclass(slots=True)
class Reading:
    """What is known of the nodes so far. `running` are vectors that change with the steps read."""

    plan: Plan
    ids: bool
    step: bool
    shapes: Mapping[str, Shape]
    lags: dict[str, Lag] = field(default_factory=dict)
    running: set[str] = field(default_factory=set)
    begun: bool = False

    def width(self, name: str) -> tuple[int, ...]:
        """The extents of a sequence behind rows and steps, or of a vector behind rows."""
        axes = self.shapes[name][2 if name in self.lags else 1 :]
        assert all(isinstance(each, int) for each in axes), f"{name} has the shape {axes}"
        return tuple(int(each) for each in axes)

    def last(self, node: Node, width: tuple[int, ...]) -> States:
        """The last value that the node has read, which a chunk without steps needs."""
        return () if self.step else (StreamState(f"{node.name}.last", width),)

    def windowed(self, node: SourceNode, left: int, right: int, stride: int) -> States:
        """The states of a node that reads `left` steps before and `right` behind each of its own,
        which are every `stride`-th; and its lag."""
        before = self.lags[node.source]
        ahead = before.ahead + before.stride * right
        self.lags[node.name] = Lag(before.stride * stride, ahead)
        return window_states(node.name, left, right, stride, self.width(node.source))


def states_of(reading: Reading, node: Node) -> States:
    """The states of a node, whose lag is known then."""
    if "W" in str(reading.shapes[node.name][0]):  # the characters of a token come all at once
        return ()
    sources = list(node.sources())
    steps = [name for name in sources if name in reading.lags]
    own = "T" in str(reading.shapes[node.name][1:2])
    if own and (vectors := [name for name in sources if name in reading.running]):
        raise CannotStream(f"reads {vectors[0]}, which is made of all steps, at each of them")
    lags = {name: reading.lags[name] for name in steps}
    waiting = tuple(
        state
        for name, most in waiting_of(lags).items()
        for state in (
            StreamState(f"{node.name}.{name}.waiting.inputs", (most, *reading.width(name))),
            StreamState(f"{node.name}.{name}.waiting.count", (), "int64"),
        )
    )
    if own and lags:
        reading.lags[node.name] = max(lags.values(), key=lambda lag: lag.ahead)
    if not own and (lags or reading.running.intersection(sources)):
        reading.running.add(node.name)
    if type(node) not in RULES and not node.pointwise:
        raise NotImplementedError(f"no rule for streams of {type(node).__name__}")
    rule = RULES.get(type(node))
    return waiting + (() if rule is None else rule(reading, node))


# --------------------------------------------------------------------- one rule a type of node


def _nothing(reading: Reading, node: Node) -> States:
    return ()


def _input(reading: Reading, node: ColumnNode) -> States:
    reading.lags[node.name] = Lag()
    return ()


def _tokens(reading: Reading, node: nodes.TokensInput) -> States:
    if node.reverse:
        raise CannotStream(
            "is read from its end ('direction: reverse'), which a stream has not reached"
        )
    split = not reading.ids and node.kind not in ("tokens", "subwords")
    if split and node.rule.normalize != "none":
        raise CannotStream(
            f"is brought into {node.rule.normalize.upper()}, in which a character may depend on the"
            " one before it; add --ids, with which token numbers come in"
        )
    if split and node.rule.split != "whitespace":
        raise CannotStream(
            f"is split by {node.rule.split}, which depends on what stands on both sides; add --ids,"
            " with which token numbers come in"
        )
    return _input(reading, node)


def _attend(reading: Reading, node: nodes.Attend) -> States:
    raise CannotStream("attends to all steps of another encoder")


def _copies(reading: Reading, node: nodes.CopiesInput) -> States:
    raise CannotStream("may be copied into the answer, from any step")


def _filled(reading: Reading, node: nodes.FramesInput | nodes.SeriesInput) -> States:
    _input(reading, node)
    if node.missing != "previous":
        return ()
    reading.begun = True
    kind: StateKind = "float64" if node.double else "float32"
    width = node.features if isinstance(node, nodes.FramesInput) else 1
    return (StreamState(f"{node.name}.last", (width,), kind),)


def _moments(reading: Reading, node: nodes.WindowMoments) -> States:
    raise CannotStream(
        "is scaled by its own window, all steps of it; train a model with another 'scale'"
    )


def _future(reading: Reading, node: nodes.FutureInput) -> States:
    if node.past:
        raise CannotStream(
            "has missing values ahead that the last one of the past replaces; train a model with"
            " another rule for 'missing'"
        )
    return ()


def _last_values(reading: Reading, node: nodes.LastValues) -> States:
    raise CannotStream(
        "is read as its differences, whose answers are summed up from the end of the row; train a"
        " model without 'difference'"
    )


def _series(reading: Reading, node: nodes.SeriesInput) -> States:
    if node.differences:
        raise CannotStream(
            "is read as its differences from many steps before; train a model without 'difference'"
        )
    return _filled(reading, node)


def _observed(reading: Reading, node: nodes.Observed) -> States:
    raise CannotStream(
        "is read with the steps since its last known number; train a model without 'observed'"
    )


def _season_ago(reading: Reading, node: nodes.SeasonAgo) -> States:
    raise CannotStream(
        "answers how far the values ahead are from those of the past, and reads them again at the"
        " end of the row; train a model without 'residual'"
    )


def _lagged(reading: Reading, node: nodes.Lags | nodes.LagsAhead | nodes.Latest) -> States:
    raise CannotStream("reads values of many steps before; train a model without 'lags'")


def _audio(reading: Reading, node: nodes.AudioInput) -> States:
    if node.normalize == "utterance":
        raise CannotStream(
            "is normalised by its own mean and deviation, of all windows; train a model with"
            " 'normalize: learned' or none"
        )
    ahead = node.window - 1 + node.hop * DELTA_SPAN * node.deltas
    reading.lags[node.name] = Lag(node.hop, ahead)
    found = window_states(node.name, 0, node.window - 1, node.hop, ())
    for order in range(1, node.deltas + 1):
        name = f"{node.name}.slopes.{order}"
        found += window_states(name, DELTA_SPAN, DELTA_SPAN, 1, (node.size * order,))
        found += (StreamState(f"{name}.some", ()),)
    return found


def _recurrent(reading: Reading, node: nodes.Recurrent) -> States:
    if node.direction != "forward":
        raise CannotStream(
            f"reads its steps in the direction {node.direction!r}, from the end of the row; train a"
            " model with 'direction: forward'"
        )
    given = [name for name in node.given if name in reading.running]
    if given:
        raise CannotStream(f"begins with {given[0]}, which is made of all steps of the row")
    reading.begun |= node.initial != "zeros"
    return tuple(
        StreamState(f"{node.name}.{state}", (node.state_width(state),))
        for state in node.cell.states
    )


def _conv(reading: Reading, node: nodes.Conv) -> States:
    return reading.windowed(node, node.left[0], node.right[0], node.stride[0])


def _local_pool(reading: Reading, node: nodes.LocalPool) -> States:
    return reading.windowed(node, 0, node.size[0] - 1, node.stride[0])


def _stack_steps(reading: Reading, node: nodes.StackSteps) -> States:
    return reading.windowed(node, 0, node.size - 1, node.stride)


def _places(reading: Reading, node: nodes.Places) -> States:
    raise CannotStream("gives the places of the whole picture to an attention")


def _pool(reading: Reading, node: nodes.Pool) -> States:
    name, width = node.name, (node.inputs,)
    match node.kind:
        case "last":
            return reading.last(node, width)
        case "mean":
            total = StreamState(f"{name}.sum", width, "float64")
            return (total, StreamState(f"{name}.count", (), "int64"))
        case "max":
            largest = StreamState(f"{name}.largest", width)
            return (largest, StreamState(f"{name}.count", (), "int64"))
        case "attention":
            return (
                StreamState(f"{name}.most", (1,)),
                StreamState(f"{name}.weight", (1,)),
                StreamState(f"{name}.sum", width),
            )
        case _:
            assert_never(node.kind)


def _decoder(reading: Reading, node: nodes.Decoder) -> States:
    """A decoder answers the steps so far: it begins anew behind each chunk. What goes on behind it
    keeps its states in its output."""
    if any(isinstance(each, nodes.TextOutput) and each.prompt for each in reading.plan.outputs):
        return ()
    if any(isinstance(each, nodes.TransducerOutput) for each in reading.plan.outputs):
        if read := [name for name in node.reads if name in reading.running]:
            raise CannotStream(f"reads {read[0]}, which is made of all steps, at each token")
        return ()
    for each in node.body:
        if isinstance(each, nodes.Attend | nodes.CopyMix):
            raise CannotStream("attends to all steps of the input at each of its own")
        if isinstance(each, nodes.PreviousNumber):
            return reading.last(node, (len(each.series),))
    return ()


def _numbers(reading: Reading, node: nodes.NumericOutput) -> States:
    if node.steps and node.samples:
        raise CannotStream(
            "is drawn by the number of the step in the whole row, which a chunk does not know;"
            " remove its 'samples', and build again"
        )
    return ()


def _chain(reading: Reading, node: nodes.ChainOutput) -> States:
    raise CannotStream(
        "is answered as the best path of labels, which later steps decide; train a model without"
        " 'crf'"
    )


def _text(reading: Reading, node: nodes.TextOutput) -> States:
    """Of a text that is written on: the token that waits to be read, 0 before the first and behind
    the end; how many tokens were written, and whether any were, or were read. Of bytes that are
    answered as a text, those of a character that is not whole yet."""
    search, name = node.search, node.name
    if not node.prompt:
        return ()
    if isinstance(search, nodes.Beam) and search.width > 1:
        raise CannotStream("is found in a beam of whole texts; add --strategy greedy or sample")
    if search.no_repeat > 1:
        raise CannotStream(
            "repeats no tokens of all that came before; leave 'no_repeat' out of --strategy, or use"
            " 'repetition_penalty'"
        )
    if search.prefix:
        raise CannotStream(
            "has a prefix; leave it out of --strategy and give it as the first chunk"
        )
    decoder = reading.plan.node(node.source)
    assert isinstance(decoder, nodes.Decoder)
    seen = search.repetition_penalty != 1.0 or search.no_repeat
    held = node.kind == "bytes" and not reading.ids
    return (
        *kept_states(decoder),
        StreamState(f"{name}.waits", (), "int64"),
        StreamState(f"{name}.begun", (), "int64"),
        StreamState(f"{name}.written", (), "int64"),
        StreamState(f"{name}.score", ()),
        *((StreamState(f"{name}.seen", (node.size,)),) if seen else ()),
        *((StreamState(f"{name}{HELD}", (LONGEST - 1,), "int64"),) if held else ()),
    )


def _frames_written(reading: Reading, node: nodes.FramesOutput) -> States:
    raise CannotStream("is a sequence of frames, written once the input has ended")


def _ctc(reading: Reading, node: nodes.CtcOutput) -> States:
    if not isinstance(node.search, nodes.BestPath):
        raise CannotStream("is found in a beam of whole texts; add --strategy greedy")
    name = node.name
    return (
        StreamState(f"{name}.previous", (), "int64"),
        StreamState(f"{name}.score", ()),
        *_written(node),
    )


def _transducer(reading: Reading, node: nodes.TransducerOutput) -> States:
    if not isinstance(node.search, nodes.TransducerGreedy):
        raise CannotStream("is found in a beam of whole texts; add --strategy greedy")
    decoder = reading.plan.node(node.decoder)
    assert isinstance(decoder, nodes.Decoder)
    reading.begun = True
    return (
        *kept_states(decoder),
        StreamState(f"{node.name}.predicted", (node.hidden,)),
        StreamState(f"{node.name}.score", ()),
        *_written(node),
    )


def _written(node: nodes.AlignedOutput) -> States:
    """Whether a word has been written, behind which a space comes."""
    return (StreamState(f"{node.name}.written", ()),) if node.kind == "words" else ()


def _position(reading: Reading, node: nodes.PositionOutput | nodes.PointerOutput) -> States:
    raise CannotStream("is chosen among all steps of the row")


def kept_states(decoder: nodes.Decoder) -> Iterator[StreamState]:
    """What the body of a decoder carries from token to token. Raises CannotStream where that is all
    steps of the input."""
    for node in decoder.body:
        if isinstance(node, nodes.Attend | nodes.CopyMix | nodes.Pointer):
            raise CannotStream("attends to all steps of the input at each of its own")
        for state in node.carried() or ():
            yield StreamState(f"{node.name}.{state.name}", state.shape)


RULES: Mapping[type[Node], Callable[[Reading, Any], States]] = {
    nodes.TokensInput: _tokens,
    nodes.CharactersInput: _nothing,
    nodes.NestedInput: _input,
    nodes.Unnest: _nothing,
    nodes.CopiesInput: _copies,
    nodes.CategoryInput: _nothing,
    nodes.KeysInput: _input,
    nodes.FramesInput: _filled,
    nodes.AudioInput: _audio,
    nodes.ImageInput: _input,
    nodes.Elapsed: _input,
    nodes.VectorInput: _nothing,
    nodes.SeriesInput: _series,
    nodes.LastValues: _last_values,
    nodes.WindowMoments: _moments,
    nodes.FutureInput: _future,
    nodes.SeasonAgo: _season_ago,
    nodes.Lags: _lagged,
    nodes.LagsAhead: _lagged,
    nodes.Latest: _lagged,
    nodes.Observed: _observed,
    nodes.CalendarInput: _input,
    nodes.CalendarFuture: _nothing,
    nodes.CategoriesInput: _input,
    nodes.CategoriesFuture: _nothing,
    nodes.AheadFlat: _nothing,
    nodes.Attend: _attend,
    nodes.Recurrent: _recurrent,
    nodes.FinalState: _nothing,
    nodes.Conv: _conv,
    nodes.LocalPool: _local_pool,
    nodes.StackSteps: _stack_steps,
    nodes.Places: _places,
    nodes.Pool: _pool,
    nodes.PerStep: _nothing,
    nodes.Decoder: _decoder,
    nodes.ClassOutput: _nothing,
    nodes.ChainOutput: _chain,
    nodes.LabelsOutput: _nothing,
    nodes.NumericOutput: _numbers,
    nodes.StatesOutput: _nothing,
    nodes.PositionOutput: _position,
    nodes.PointerOutput: _position,
    nodes.TextOutput: _text,
    nodes.CtcOutput: _ctc,
    nodes.TransducerOutput: _transducer,
    nodes.ForecastOutput: _nothing,
    nodes.FramesOutput: _frames_written,
}
"""Every type of node of a plan that is not pointwise; those that are keep nothing."""
