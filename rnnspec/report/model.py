"""What a report says: frozen values, filled by whoever measured them and drawn by `render`.

Texts are plain: whatever comes from data is escaped, cut and made visible where it is drawn. A
number that was not measured is None; NaN and infinities are drawn as what they are. Series that
belong together have one value a step, and `render` raises ValueError where their lengths differ.

Every section has a `title` (two may have the same) and a `text`, one or two sentences on what
is seen; both are plain. An empty section is drawn with a sentence that says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Value = float | None
"""A measured number, or None where there is none."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the few numbers that matter most: `name`, `value` as text, and what it counts."""

    name: str
    value: str
    note: str = ""


# ---------------------------------------------------------------- training


@dataclass(frozen=True, slots=True)
class Series:
    """One value an epoch. Lines of the names `train` and `each trial` are drawn behind the
    others."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """One metric over the epochs: the series that are compared, in one unit."""

    metric: str
    series: tuple[Series, ...]
    unit: str = ""
    larger_is_better: bool | None = None
    """None: neither end is better, as with a learning rate."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Charts side by side over the same epochs, counted from `first`; `best` is the epoch kept.
    `step` is what is counted, where that is no epoch."""

    title: str
    charts: tuple[Chart, ...]
    best: int | None = None
    first: int = 1
    text: str = ""
    step: str = "epoch"


# ---------------------------------------------------------------- figures


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's value, in plain words what it means, and the same of the baseline."""

    name: str
    value: Value
    explanation: str = ""
    baseline: Value = None
    larger_is_better: bool | None = None


@dataclass(frozen=True, slots=True)
class MetricTable:
    """Metrics, one a row; `baseline` names what they are compared with, empty for nothing."""

    title: str
    metrics: tuple[Metric, ...]
    baseline: str = ""
    text: str = ""


# ---------------------------------------------------------------- classes and tags


@dataclass(frozen=True, slots=True)
class ClassRow:
    """One class or tag. `rows` of it occur; None where a share has nothing to be a share of."""

    label: str
    precision: Value
    recall: Value
    f1: Value
    rows: int


@dataclass(frozen=True, slots=True)
class ClassTable:
    """How each class fares, drawn from the lowest F1 up. `of` is what `rows` counts."""

    title: str
    classes: tuple[ClassRow, ...]
    of: str = "rows"
    text: str = ""


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """`counts[t][a]`: rows of class `labels[t]` that were answered as `labels[a]`."""

    title: str
    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    of: str = "rows"
    text: str = ""


@dataclass(frozen=True, slots=True)
class TagExample:
    """One row: a true and an answered tag for each token. `place` says where the row stands."""

    tokens: tuple[str, ...]
    true: tuple[str, ...]
    answered: tuple[str, ...]
    place: str = ""


@dataclass(frozen=True, slots=True)
class TagExamples:
    title: str
    examples: tuple[TagExample, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """Tokens from `first` to before `end` that are one thing of a `kind`, "" where kinds have no
    names."""

    first: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class SpanExample:
    """One row with its true and its answered spans. `joint` stands between two tokens; `tags` are
    those that mark the spans."""

    tokens: tuple[str, ...]
    true: tuple[Span, ...]
    answered: tuple[Span, ...]
    place: str = ""
    joint: str = " "
    tags: TagExample | None = None


@dataclass(frozen=True, slots=True)
class SpanExamples:
    title: str
    examples: tuple[SpanExample, ...]
    text: str = ""


# ---------------------------------------------------------------- examples


@dataclass(frozen=True, slots=True)
class Example:
    """One row. `right` None: it is right if the answer equals what was expected.

    `score` is what the model says of its answer (a probability, a log-probability, an error), named
    by `Examples.score`; `place` says where the row stands.
    """

    input: str
    expected: str
    answered: str
    score: Value = None
    right: bool | None = None
    place: str = ""
    picture: bytes = b""
    """The picture that was read, as PNG."""
    marked: Marked | None = None
    """The input with what is expected and answered marked in it."""


@dataclass(frozen=True, slots=True)
class Marked:
    """The tokens of a row, `joint` between two of them, with the places that are expected and
    answered, None of none; `beside` is what else was read."""

    tokens: tuple[str, ...]
    expected: Span | None
    answered: Span | None
    joint: str = " "
    beside: str = ""


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows right and wrong. `differ` is the unit in which a wrong answer is set against the
    expected one; `nothing` for answers that are right or wrong as a whole (classes, numbers)."""

    title: str
    examples: tuple[Example, ...]
    differ: Literal["characters", "words", "nothing"] = "characters"
    score: str = "score"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A token, and where it lies on the axis of an input, from `start` to `end`."""

    token: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class AlignedExample:
    """A picture of one row's input (PNG) over an axis from 0 to `length`, and the tokens that were
    read along it.

    `extent` is how far the picture reaches on the axis. `height`: in pixels, where the picture has
    the proportions of its axis, else 0. `low` and `high` name the lower and the upper edge. `true`
    lies along the same axis where the answer is wrong and the true tokens can be aligned.
    `expected` are the true tokens.
    """

    picture: bytes
    length: float
    extent: float
    answered: tuple[Stretch, ...]
    expected: tuple[str, ...]
    true: tuple[Stretch, ...] = ()
    height: float = 0
    low: str = ""
    high: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class AlignedExamples:
    """What was read along sounds or pictures. `unit` is that of the axis (`s`, `pixels`);
    `joint` stands between two tokens of a text."""

    title: str
    examples: tuple[AlignedExample, ...]
    unit: str = "s"
    joint: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Generation:
    """What the model wrote after `prompt`, or `before` it; `how` says with which strategy, seed and
    so on."""

    prompt: str
    text: str
    how: str = ""
    before: bool = False


@dataclass(frozen=True, slots=True)
class Generated:
    title: str
    generations: tuple[Generation, ...]
    text: str = ""


# ---------------------------------------------------------------- numbers and forecasts


@dataclass(frozen=True, slots=True)
class ForecastWindow:
    """One window of a series, in the units of the data.

    `history` has H steps, `forecast` K; `truth`, `lower`, `upper` and `baseline` have K or none.
    `times` labels the H + K steps, or is empty: then steps count from the first forecast one, 1.
    """

    name: str
    history: tuple[Value, ...]
    forecast: tuple[Value, ...]
    truth: tuple[Value, ...] = ()
    lower: tuple[Value, ...] = ()
    upper: tuple[Value, ...] = ()
    baseline: tuple[Value, ...] = ()
    times: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForecastPlot:
    """Windows side by side. `unit` is that of the values, `step` what a step is (`hour`).

    `band` names the range from `lower` to `upper` (`80 % band`), `baseline` the other forecast.
    """

    title: str
    windows: tuple[ForecastWindow, ...]
    unit: str = ""
    step: str = "step"
    band: str = "band"
    baseline: str = "baseline"
    text: str = ""


@dataclass(frozen=True, slots=True)
class HorizonRow:
    """The error `step` steps ahead (counted from 1), of the model and of the baseline."""

    step: int
    error: Value
    baseline: Value = None


@dataclass(frozen=True, slots=True)
class ForecastTable:
    """An error metric by how far ahead, smaller is better; as a chart and as a table."""

    title: str
    rows: tuple[HorizonRow, ...]
    metric: str = "MAE"
    unit: str = ""
    step: str = "step"
    baseline: str = "baseline"
    text: str = ""


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """One series with so many true `values`: the mean absolute error of the model and of the
    baseline, the `skill` of the one beside the other, and the error `scaled` by how much the series
    changes (MASE)."""

    name: str
    values: int
    error: Value
    baseline: Value = None
    skill: Value = None
    scaled: Value = None


@dataclass(frozen=True, slots=True)
class SeriesTable:
    """How each series of a table fares, drawn from the lowest skill up."""

    title: str
    rows: tuple[SeriesRow, ...]
    baseline: str = "baseline"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Scatter:
    """Answered against true numbers, one point a row; on the diagonal the two are equal."""

    title: str
    truth: tuple[Value, ...]
    answered: tuple[Value, ...]
    unit: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Answers of about one probability: their mean probability, the share of them that is `right`,
    and how many there are."""

    probability: Value
    right: Value
    count: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Whether probabilities are the shares that are right (a reliability diagram): on the diagonal
    the two are equal. `error` is the mean distance from it; `of` is what is counted."""

    title: str
    bins: tuple[CalibrationBin, ...]
    error: Value = None
    of: str = "rows"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Counts:
    """How many fall into each bin."""

    name: str
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bin i holds `edges[i] <= value < edges[i + 1]`, the last one its upper edge too.

    `binned` makes edges and counts of values. `axis` says what the values are.
    """

    title: str
    edges: tuple[float, ...]
    series: tuple[Counts, ...]
    axis: str = ""
    of: str = "rows"
    text: str = ""


# ---------------------------------------------------------------- a search through settings


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of a search: a value for each setting as text, empty where it has none; how it
    ended, and after how many `epochs`; `note` says why, if it ended early."""

    name: str
    settings: tuple[str, ...]
    value: Value
    state: str
    epochs: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class TrialTable:
    """The trials of a search in their order, drawn from the best `metric` down."""

    title: str
    trials: tuple[Trial, ...]
    settings: tuple[str, ...] = ()
    metric: str = "metric"
    larger_is_better: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class Shares:
    """Parts of a whole by name, the largest first; `of` says what of."""

    title: str
    shares: tuple[tuple[str, float], ...]
    of: str = "the whole"
    text: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting beside the metric, one point a trial: `places` are its numbers, or those of its
    `options`, from 0. `pruned` trials are drawn apart, and the `best` one, by its place in these
    lists, is marked."""

    name: str
    places: tuple[float, ...]
    values: tuple[Value, ...]
    pruned: tuple[bool, ...]
    best: int | None = None
    options: tuple[str, ...] = ()
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    title: str
    settings: tuple[Setting, ...]
    metric: str = "metric"
    text: str = ""


# ---------------------------------------------------------------- the inside of a model


@dataclass(frozen=True, slots=True)
class AttentionMap:
    """`weights[t][s]`: the weight of source token s when target token t is written.

    `source` empty: the source is frames without names, numbered from 1.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Attention:
    title: str
    maps: tuple[AttentionMap, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of texts, as they stand: `head`, and `rows` of as many cells, of which the first
    names the row. The columns `left` are texts and the others numbers."""

    title: str
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    left: int = 1
    text: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """Plain text; empty lines part paragraphs. `fixed`: as it stands, in a monospaced font."""

    title: str
    text: str
    fixed: bool = False


Section = (
    Curves
    | MetricTable
    | ClassTable
    | ConfusionMatrix
    | TagExamples
    | SpanExamples
    | Examples
    | AlignedExamples
    | Generated
    | ForecastPlot
    | ForecastTable
    | SeriesTable
    | Scatter
    | Calibration
    | Histogram
    | Attention
    | TrialTable
    | Shares
    | Settings
    | Table
    | Note
)


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report, in the order in which it is read.

    `subtitle` holds cardinality, date and versions, each a text; `summary` the few numbers that
    matter; `diagram` is SVG as `rnnspec.plan.diagram.svg` writes it, the one text that is taken as
    markup; `spec` is the resolved spec; `notes` what is worth knowing of the data.
    """

    title: str
    subtitle: tuple[str, ...] = ()
    summary: tuple[Figure, ...] = ()
    warnings: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()
    diagram: str = ""
    spec: str = ""
    notes: tuple[str, ...] = ()
