"""The inputs and outputs of a model file, as JSON in its metadata.

Keys of the metadata of a model file:

    rnnspec.spec      the resolved spec, as YAML
    rnnspec.plan      the plan, as text
    rnnspec.version   the version of rnnspec that wrote the file
    rnnspec.parity    how far its answers were from the trained module's, as JSON
    rnnspec.inputs    the columns it reads, as JSON (`InputColumn`)
    rnnspec.outputs   the columns it answers with, as JSON (`OutputColumn`)
    rnnspec.quoting   what quotes are in CSV and TSV, as data.quoting of the spec says
    rnnspec.columns   the names of the columns of CoNLL files, as JSON, where the spec has any
    rnnspec.tokenizer the digest of the tokenizer beside it, of a model that reads subwords
    rnnspec.unicode   the version of Unicode that it makes tokens of texts by, where that matters
    rnnspec.stream    the states of a stream file, as JSON (`StreamColumns`)
    rnnspec.runtime   its opset and file format, and the first onnxruntime that loads it, as JSON
    rnnspec.quantized how its weights are kept in fewer bits and what that costs, as JSON
    rnnspec.digest    the digest of all of the file before this last entry (`rnnspec.run.seal`)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from pydantic import TypeAdapter

from rnnspec.data.audio import AudioReading
from rnnspec.plan import Facts, Plan, nodes
from rnnspec.plan.copies import copied_columns, copies_of
from rnnspec.plan.kinds import INPUT_TRAITS, answers_ids
from rnnspec.plan.names import (
    answer_name,
    draws,
    first_sequence,
    input_names,
    labels_of,
    later_name,
    stepwise_answer,
)
from rnnspec.plan.nodes import STEPS
from rnnspec.plan.nodes.outputs import OutputNode
from rnnspec.plan.stream import END, JOINED, JOINED_AFTER, WRITE, Stream
from rnnspec.plan.text_rule import PLAIN, TextRule

SPEC, PLAN, VERSION = "rnnspec.spec", "rnnspec.plan", "rnnspec.version"
PARITY, INPUTS, OUTPUTS = "rnnspec.parity", "rnnspec.inputs", "rnnspec.outputs"
QUOTING, TOKENIZER, UNICODE = "rnnspec.quoting", "rnnspec.tokenizer", "rnnspec.unicode"
COLUMNS, STREAM, QUANTIZED = "rnnspec.columns", "rnnspec.stream", "rnnspec.quantized"
RUNTIME = "rnnspec.runtime"

InputKind = Literal[
    "words", "chars", "bytes", "tokens", "ids", "characters", "copies", "category", "category_id",
    "keys", "key_ids", "frames", "series", "future", "number", "vector", "subwords",
    "audio", "image", "video", "times", "times_ahead",
    "categories", "categories_ahead", "category_ids", "category_ids_ahead",
    "nested_texts", "nested_tokens", "nested_ids",
]  # fmt: skip
OutputKind = Literal[
    "class", "tags", "path", "labels", "keys", "number", "vector", "frames", "text", "tokens",
    "ids", "forecast", "sequence", "position", "span", "positions",
]  # fmt: skip
LABELLED = ("class", "tags", "path", "labels", "keys")
"""Kinds whose answers are labels."""


@dataclass(frozen=True, slots=True)
class InputColumn:
    """A column that a row must have. By its kind it holds:

    - `words`, `chars`, `bytes`: a text. `tokens`: a list of texts.
    - `ids`: a list of token numbers below `width`.
    - `subwords`: such a list, or a text that the tokenizer beside the model turns into one.
    - `copies`: for each token its number where it is copied: below `width` a number of the answer's
      vocabulary, else `width` + the first step, from 0, that holds the same token; ~number where it
      may not be answered; 0 for nothing to copy. Steps are those of the columns `after` which it
      stands, one after the other, and then of this one.
    - `nested_texts`: for each step a text; `nested_tokens`, `nested_ids`: for each step a list of
      texts, or of token numbers from 1 and below `width`. With more `levels` than 1 a list of such
      for each step, and so on.
    - `characters`: for each token a list of the numbers of its characters.
    - `category`, `category_id`: a label, or its number below `width`.
    - `keys`, `key_ids`: for each step a list of the labels that are on, or of their numbers below
      `width`.
    - `frames`: a list of steps of `width` numbers each.
    - `image`: the path of a picture, or its pixels as an array `[height, width]` or `[height,
      width, channels]` of whole numbers from 0 to 255, brought to what `picture` says before they
      are fed. `video`: the path of a folder of pictures or of an .npy file, or a list of such
      arrays. `width` is the pixels of a step.
    - `series`: the past of a series, a list of numbers. `future`: its `width` values ahead.
    - `times`: the time of each step, as seconds since 1970 or as dates; `times_ahead`: the times of
      the `width` steps ahead. With a `zone`, seconds are of UTC, and dates without an offset are of
      that zone; else both are of the clock that the calendar goes by.
    - `categories`, `category_ids`: the label of each step, or its number below `width`, null for
      none; `categories_ahead`, `category_ids_ahead`: those of the `horizon` steps ahead.
    - `audio`: the path of a file, or a list of samples, `width` to a step; `audio` says how
      files are read.
    - `number`, `vector`: a number, a list of `width` numbers.

    With `missing`, numbers may be null, except number `elapsed` of each step, the time since the
    step before, which is at least 0. With `double` the graph input is float64, since float32 would
    lose too much of its numbers; those that are `positive` are above 0. `name` is the graph input,
    if it differs from the column. `rule` says how the model makes tokens of a text.
    Columns of steps on one `axis` have equally many.
    """

    column: str
    kind: InputKind
    width: int | None = None
    missing: bool = False
    name: str = ""
    elapsed: int | None = None
    double: bool = False
    rule: TextRule = PLAIN
    audio: AudioReading | None = None
    picture: nodes.Picture | None = None
    zone: str = ""
    positive: bool = False
    axis: str = STEPS
    horizon: int = 0
    after: tuple[str, ...] = ()
    levels: int = 1

    def written(self) -> dict[str, Any]:
        """As the metadata have it, without the usual rule and axis, and with `audio`, `picture`,
        `zone`, `horizon` and `after` only where there is one, `positive` where it holds, `levels`
        where there are several."""
        found = asdict(self)
        unusual: dict[str, object] = {"rule": self.rule != PLAIN, "audio": self.audio}
        unusual |= {"picture": self.picture, "zone": self.zone, "positive": self.positive}
        unusual |= {"axis": self.axis != STEPS, "horizon": self.horizon}
        unusual |= {"after": self.after, "levels": self.levels > 1}
        return {key: value for key, value in found.items() if unusual.get(key, True)}

    @property
    def feed(self) -> str:
        """The graph input of its values."""
        return self.name or self.column


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of the answer. By its kind it holds:

    - `class`, `tags`: one of `labels`, or one a step. `path`: one a step, answered together.
    - `labels`, `keys`: the `labels` that are on, of a row or of each step.
    - `number`, `vector`, `frames`: a number, `width` numbers, or `width` numbers a step.
    - `text`, `tokens`, `ids`: a text, a list of texts or of numbers, the `n_best` of them. With
      `copies`, number `width` + j of `ids` is the token at step j, from 0, of that input column;
      with `more_copies`, of the steps of all these columns, one after the other.
    - `sequence`: frames of `width` numbers, as many as the answer has; with the parts `errors` and
      `score`, how far each is from the input, and the row.
    - `forecast`: `width` values ahead.
    - `position`, `span`: the number of a step, or those of the first and the last one; with the
      part `text` the tokens there. `positions`: the numbers of several steps, `n_best` such lists.

    Numbers have beside them the `parts` of their distribution, such as `quantiles`; and of
    `intervals`, shares of the true values, the bounds `lower` and `upper`, and `samples` draws.

    `drawn` answers need a seed; `double` ones are float64; `name` is the graph output, if it
    differs from the column. An answer of steps, or one of them, is of those of the `axis`.
    """

    column: str
    kind: OutputKind
    width: int
    labels: tuple[str, ...] = ()
    name: str = ""
    n_best: int = 1
    quantiles: tuple[float, ...] = ()
    parts: tuple[str, ...] = ()
    drawn: bool = False
    double: bool = False
    copies: str = ""
    intervals: tuple[float, ...] = ()
    samples: int = 0
    more_copies: tuple[str, ...] = ()
    axis: str = STEPS

    def written(self) -> dict[str, Any]:
        """As the metadata have it, with `intervals`, `samples` and `more_copies` only where there
        are some, and without the usual axis."""
        found = asdict(self)
        given: dict[str, object] = {"intervals": self.intervals, "samples": self.samples}
        given |= {"more_copies": self.more_copies, "axis": self.axis != STEPS}
        return {key: value for key, value in found.items() if given.get(key, True)}

    @property
    def beside(self) -> tuple[str, ...]:
        """What is answered of a distribution beside its parameters."""
        bounds = ("lower", "upper") if self.intervals else ()
        return (*bounds, *(("samples",) if self.samples else ()))

    @property
    def answer(self) -> str:
        """The graph output of the answer itself."""
        return self.name or self.column


@dataclass(frozen=True, slots=True)
class Interface:
    """Everything a caller must know to ask a model."""

    inputs: tuple[InputColumn, ...]
    outputs: tuple[OutputColumn, ...]

    def metadata(self) -> dict[str, str]:
        """The two entries of the file's metadata."""
        return {
            INPUTS: json.dumps([each.written() for each in self.inputs], ensure_ascii=False),
            OUTPUTS: json.dumps([each.written() for each in self.outputs], ensure_ascii=False),
        }


@dataclass(frozen=True, slots=True)
class StateColumn:
    """A state of a stream file: the input `name` and the output `after`, `[batch, *shape]`. It is 0
    where a row begins; then the value after each chunk is fed with the next one."""

    name: str
    after: str
    shape: tuple[int, ...]
    kind: Literal["float32", "float64", "int64"]


@dataclass(frozen=True, slots=True)
class StreamColumns:
    """What a caller of a stream file must know beside its columns.

    With `step` a chunk is one step of each row, and the file has no lengths.
    `end` is the input, bool `[batch]`, that says which rows end with a chunk, or "" where nothing
    is read ahead. An answer comes `latency_steps` steps of the input after its own (of sound,
    samples), which are `latency_ms` milliseconds where that is known. `answered` are the outputs,
    int64 `[batch]`, that say how many steps a chunk answers, by column, where they are not its own.
    `write` is the input, int64 `[batch]`, that says how many tokens a row writes after a chunk, or
    "" where nothing is written on.
    """

    states: tuple[StateColumn, ...]
    joined: bool
    step: bool
    end: str
    latency_steps: int
    latency_ms: float | None
    answered: dict[str, str]
    write: str = ""

    def as_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


def stream_columns(stream: Stream) -> StreamColumns:
    """What a caller must know of the file of a stream."""
    plan = stream.plan
    states = tuple(StateColumn(s.name, s.after, s.shape, s.kind) for s in stream.states)
    if stream.joined:
        size = sum(state.size for state in stream.states)
        states = (StateColumn(JOINED, JOINED_AFTER, (size,), "float32"),)
    first = first_sequence(plan)
    rate = first.rate if isinstance(first, nodes.AudioInput) else None
    return StreamColumns(
        states,
        stream.joined,
        stream.step,
        END if stream.ends else "",
        stream.ahead,
        None if rate is None else 1000 * stream.ahead / rate,
        {
            node.column: later_name(plan, node)
            for node in plan.outputs
            if stream.answers_later(node) and stepwise_answer(node)
        },
        WRITE if stream.writes else "",
    )


def read_stream(metadata: Mapping[str, str]) -> StreamColumns | None:
    """What a file's metadata say of its states, None of a file that answers whole rows. Raises
    ValueError where that is damaged."""
    found = metadata.get(STREAM)
    if found is None:
        return None
    return TypeAdapter(StreamColumns).validate_json(found)


def interface(plan: Plan, facts: Facts, ids: bool = False) -> Interface:
    """The interface of the file exported from `plan`; `ids` as it was exported."""
    read = (node for node in plan.inputs if input_names(node, ids))
    return Interface(
        tuple(_input(plan, node, ids) for node in read),
        tuple(_output(plan, node, facts, ids) for node in plan.outputs),
    )


def _output(plan: Plan, node: nodes.Output, facts: Facts, ids: bool) -> OutputColumn:
    found = OUTPUT_COLUMNS[type(node)](plan, node, facts, ids)
    return replace(found, axis=node.axis) if isinstance(node, OutputNode) else found


def read_interface(metadata: Mapping[str, str]) -> Interface:
    """The interface in a file's metadata. Raises KeyError or ValueError without a valid one."""
    inputs = TypeAdapter(tuple[InputColumn, ...]).validate_json(metadata[INPUTS], strict=True)
    outputs = TypeAdapter(tuple[OutputColumn, ...]).validate_json(metadata[OUTPUTS], strict=True)
    for output in outputs:
        if output.kind in LABELLED and len(output.labels) != output.width:
            raise ValueError(f"{output.column!r} has other labels than its width")
    return Interface(inputs, outputs)


def _input(plan: Plan, node: nodes.Input, ids: bool) -> InputColumn:
    name = input_names(node, ids)[0]
    column = next(iter(input_names(node, False)), node.key)
    kind, width = INPUT_COLUMNS[type(node)](node, ids)
    known = INPUT_TRAITS[type(node)]
    return InputColumn(
        column,
        kind,
        width,
        known.may_miss(node),
        "" if name == column else name,
        node.elapsed if isinstance(node, nodes.FramesInput) else None,
        known.is_double(node),
        node.rule if isinstance(node, nodes.TokensInput | nodes.NestedInput) and not ids else PLAIN,
        AudioReading(node.rate, node.channels, node.resample)
        if isinstance(node, nodes.AudioInput)
        else None,
        node.picture if isinstance(node, nodes.ImageInput) else None,
        node.calendar.zone if isinstance(node, nodes.CalendarInput | nodes.CalendarFuture) else "",
        isinstance(node, nodes.SeriesInput | nodes.FutureInput) and node.log,
        node.axis,
        node.horizon if isinstance(node, nodes.CategoriesFuture) else 0,
        tuple(copies_of(plan, name).key for name in node.after)
        if isinstance(node, nodes.CopiesInput)
        else (),
        node.levels if isinstance(node, nodes.NestedInput) else 1,
    )


KindAndWidth = tuple[InputKind, int | None]


def _tokens(node: nodes.TokensInput, ids: bool) -> KindAndWidth:
    return "ids" if ids and node.kind != "subwords" else node.kind, node.size if ids else None


def _nested(node: nodes.NestedInput, ids: bool) -> KindAndWidth:
    if ids:
        return "nested_ids", node.size
    return "nested_tokens" if node.kind == "tokens" else "nested_texts", None


def _category(node: nodes.CategoryInput, ids: bool) -> KindAndWidth:
    return ("category_id", node.size) if ids else ("category", None)


def _categories(node: nodes.CategoriesInput | nodes.CategoriesFuture, ids: bool) -> KindAndWidth:
    if isinstance(node, nodes.CategoriesFuture):
        return ("category_ids_ahead", node.size) if ids else ("categories_ahead", None)
    return ("category_ids", node.size) if ids else ("categories", None)


INPUT_COLUMNS: Mapping[type[nodes.Input], Callable[[Any, bool], KindAndWidth]] = {
    nodes.TokensInput: _tokens,
    nodes.NestedInput: _nested,
    nodes.CharactersInput: lambda node, ids: ("characters", node.size),
    nodes.CopiesInput: lambda node, ids: ("copies", node.size),
    nodes.CategoryInput: _category,
    nodes.KeysInput: lambda node, ids: ("key_ids" if ids else "keys", node.size),
    nodes.FramesInput: lambda node, ids: ("frames", node.width),
    nodes.AudioInput: lambda node, ids: ("audio", node.hop),
    nodes.ImageInput: lambda node, ids: (
        "video" if node.picture.steps == "frames" else "image",
        node.picture.features,
    ),
    nodes.SeriesInput: lambda node, ids: ("series", None),
    nodes.FutureInput: lambda node, ids: ("future", node.horizon),
    nodes.CategoriesInput: _categories,
    nodes.CategoriesFuture: _categories,
    nodes.CalendarInput: lambda node, ids: ("times", None),
    nodes.CalendarFuture: lambda node, ids: ("times_ahead", node.horizon),
    nodes.VectorInput: lambda node, ids: ("number" if node.single else "vector", node.width),
}


def _name(plan: Plan, node: nodes.Output) -> str:
    name = answer_name(plan, node)
    return "" if name == node.column else name


def _numeric(plan: Plan, node: nodes.NumericOutput, facts: Facts, ids: bool) -> OutputColumn:
    row: OutputKind = "number" if node.single else "vector"
    parts = tuple(part.name for part in node.law.parts)
    return _of_numbers(plan, node, "frames" if node.steps else row, node.width, parts)


def _of_numbers(
    plan: Plan,
    node: nodes.NumericOutput | nodes.ForecastOutput,
    kind: OutputKind,
    width: int,
    parts: tuple[str, ...],
) -> OutputColumn:
    return OutputColumn(
        node.column,
        kind,
        width,
        name=_name(plan, node),
        quantiles=node.quantiles,
        parts=parts,
        drawn=draws(node),
        double=node.double,
        intervals=node.intervals,
        samples=node.samples,
    )


def _states(plan: Plan, node: nodes.StatesOutput, facts: Facts, ids: bool) -> OutputColumn:
    kind: OutputKind = "frames" if node.steps else "vector"
    return OutputColumn(node.column, kind, node.width, name=_name(plan, node))


def _position(plan: Plan, node: nodes.PositionOutput, facts: Facts, ids: bool) -> OutputColumn:
    kind: OutputKind = "position" if node.marks == 1 else "span"
    parts = ("text",) if node.tokens and not ids else ()
    return OutputColumn(node.column, kind, node.marks, name=_name(plan, node), parts=parts)


def _positions(plan: Plan, node: nodes.PointerOutput, facts: Facts, ids: bool) -> OutputColumn:
    many = node.search.n_best
    return OutputColumn(
        node.column, "positions", 1, name=_name(plan, node), n_best=many, drawn=draws(node)
    )


def _labelled(
    plan: Plan, node: nodes.ClassOutput | nodes.LabelsOutput, facts: Facts, ids: bool
) -> OutputColumn:
    labels, one = labels_of(facts, node.column), isinstance(node, nodes.ClassOutput)
    of_row: OutputKind = "class" if one else "labels"
    of_steps: OutputKind = "tags" if one else "keys"
    kind = of_steps if node.steps else of_row
    return OutputColumn(node.column, kind, len(labels), labels, _name(plan, node))


def _path(plan: Plan, node: nodes.ChainOutput, facts: Facts, ids: bool) -> OutputColumn:
    labels = labels_of(facts, node.column)
    return OutputColumn(node.column, "path", len(labels), labels, _name(plan, node))


def _text(plan: Plan, node: nodes.WrittenOutput, facts: Facts, ids: bool) -> OutputColumn:
    first, *more = copied_columns(plan, node) or ("",)
    return OutputColumn(
        node.column,
        "ids" if answers_ids(node, ids) else "tokens" if node.kind == "tokens" else "text",
        node.size,
        name=_name(plan, node),
        n_best=node.search.n_best,
        drawn=draws(node),
        copies=first,
        more_copies=tuple(more),
    )


def _forecast(plan: Plan, node: nodes.ForecastOutput, facts: Facts, ids: bool) -> OutputColumn:
    parts = tuple(part.name for part in node.answered.parts)
    return _of_numbers(plan, node, "forecast", node.horizon, parts)


def _sequence(plan: Plan, node: nodes.FramesOutput, facts: Facts, ids: bool) -> OutputColumn:
    errors = ("score", "errors") if node.read else ()
    return OutputColumn(
        node.column,
        "sequence",
        node.width,
        name=_name(plan, node),
        quantiles=node.quantiles,
        parts=(*errors, *(part.name for part in node.answered.parts)),
        drawn=draws(node),
        double=node.double,
    )


OUTPUT_COLUMNS: Mapping[type[nodes.Output], Callable[[Plan, Any, Facts, bool], OutputColumn]] = {
    nodes.ClassOutput: _labelled,
    nodes.ChainOutput: _path,
    nodes.LabelsOutput: _labelled,
    nodes.NumericOutput: _numeric,
    nodes.StatesOutput: _states,
    nodes.PositionOutput: _position,
    nodes.PointerOutput: _positions,
    nodes.TextOutput: _text,
    nodes.CtcOutput: _text,
    nodes.TransducerOutput: _text,
    nodes.ForecastOutput: _forecast,
    nodes.FramesOutput: _sequence,
}
