"""Reports to draw: one small section of each kind, reports of any content, and a reader of HTML."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TypeVar
from xml.etree.ElementTree import Element

from hypothesis import strategies as st

from rnnspec.plan.diagram import diagram, svg
from rnnspec.report import Report, render
from rnnspec.report.model import (
    AlignedExample,
    AlignedExamples,
    Attention,
    AttentionMap,
    Calibration,
    CalibrationBin,
    Chart,
    ClassRow,
    ClassTable,
    ConfusionMatrix,
    Counts,
    Curves,
    Example,
    Examples,
    Figure,
    ForecastPlot,
    ForecastTable,
    ForecastWindow,
    Generated,
    Generation,
    Histogram,
    HorizonRow,
    Metric,
    MetricTable,
    Note,
    Scatter,
    Section,
    Series,
    SeriesRow,
    SeriesTable,
    Setting,
    Settings,
    Shares,
    Span,
    SpanExample,
    SpanExamples,
    Stretch,
    Table,
    TagExample,
    TagExamples,
    Trial,
    TrialTable,
)
from tests.pictures import letters_plan

PNG = b"\x89PNG: the page does not look into it"


def sections() -> dict[str, Section]:
    """A section of every kind, by its class's name."""
    found: list[Section] = [
        TrialTable(
            "All trials",
            (
                Trial("0", ("64", ""), 0.8, "finished", 9),
                Trial("1", ("32", "0.1"), None, "pruned", 0, "the loss became inf"),
            ),
            ("units", "rate"),
            "accuracy",
            True,
        ),
        Shares("Which setting matters", (("units", 0.25), ("rate", 0.75)), "its part"),
        Settings(
            "Where good values lie",
            (
                Setting("units", (0.0, 1.0), (0.8, None), (False, True), 0, ("64", "32")),
                Setting("rate", (0.1, 0.001), (0.8, 0.7), (False, True), 0, logarithmic=True),
            ),
            "accuracy",
        ),
        Curves(
            "Training",
            (
                Chart(
                    "loss",
                    (Series("train", (2.0, 0.5, 0.02)), Series("valid", (2.1, 0.7, 0.8))),
                    "nats",
                    False,
                ),
                Chart("accuracy", (Series("valid", (0.2, 0.8, 0.7)),), "", True),
            ),
            best=2,
        ),
        MetricTable(
            "How good", (Metric("accuracy", 0.8, "share that is right", 0.3, True),), "chance"
        ),
        ClassTable(
            "Classes", (ClassRow("yes", 0.9, 0.8, 0.85, 10), ClassRow("no", None, 0.0, 0.0, 3))
        ),
        ConfusionMatrix("Confusion", ("yes", "no"), ((8, 2), (3, 0))),
        TagExamples(
            "Tags", (TagExample(("old", "man"), ("NOUN", "VERB"), ("ADJ", "VERB"), "line 3"),)
        ),
        SpanExamples(
            "Spans",
            (
                SpanExample(
                    ("to", "las", "vegas", "or", "reno"),
                    (Span(1, 3, "city"), Span(4, 5, "city")),
                    (Span(1, 3, "city"), Span(3, 5, "day")),
                    "line 4",
                ),
            ),
        ),
        Examples("Rows", (Example("a", "2026", "2016", -0.5), Example("b", "2025", "2025", -0.1))),
        AlignedExamples(
            "Read",
            (
                AlignedExample(
                    PNG,
                    2.0,
                    2.1,
                    (Stretch("a", 0.5, 1.0), Stretch("b", 1.5, 1.6)),
                    ("a", "c"),
                    (Stretch("a", 0.5, 1.0), Stretch("c", 1.4, 1.6)),
                    low="0 Hz",
                    high="900 Hz",
                ),
            ),
        ),
        Generated("Written", (Generation("ROMEO:", "\nBut soft", "greedy"),)),
        ForecastPlot(
            "Forecast",
            (
                ForecastWindow(
                    "OT", (1.0, 2.0), (3.0, 4.0), (3.5, 3.0), (2.0, 2.5), (4.0, 5.0), (2.0, 2.0)
                ),
            ),
            "°C",
            "hour",
        ),
        ForecastTable("Horizon", (HorizonRow(1, 0.5, 0.9), HorizonRow(2, 0.8, 0.7))),
        SeriesTable("Series", (SeriesRow("a", 9, 0.5, 0.9, 0.4, 0.8), SeriesRow("b", 3, 8.0))),
        Scatter("Numbers", (1.0, 2.0, 3.0), (1.5, 2.0, 2.0), "kg"),
        Calibration("Sure", (CalibrationBin(0.1, 0.3, 5), CalibrationBin(0.9, 0.8, 50)), 0.1),
        Histogram("Lengths", (0.0, 5.0, 10.0), (Counts("train", (3, 7)), Counts("valid", (1, 0)))),
        Attention("Attention", (AttentionMap(("a", "b"), ("x",), ((0.2, 0.8),)),)),
        Table("Table", ("key", "a", "b"), (("units", "64", ""), ("lr", "0.1", "0.2")), left=2),
        Note("Note", "One.\n\nTwo."),
    ]
    return {type(one).__name__: one for one in found}


def report() -> Report:
    """All of them, with everything else that a report may have."""
    return Report(
        "dates",
        ("N:1", "22 November 2026"),
        (Figure("accuracy", "80.0 %", "of 13 rows"),),
        ("a label is new",),
        tuple(sections().values()),
        svg(diagram(letters_plan())),
        "name: dates\ncardinality: N:1\n",
    )


# ---------------------------------------------------------------- any report

_T = TypeVar("_T")

_TEXT = st.text(max_size=30) | st.sampled_from(
    [
        "<b>&amp;</b>",
        '"></svg><script>',
        "\x00\x1b\u202e",
        "مرحبا",
        " ",
        "a\nb\t",
        "]]>",
        "x" * 5000,
    ]
)
_NUMBER = st.floats() | st.floats(-100, 100) | st.none()


def _numbers(size: int) -> st.SearchStrategy[tuple[float | None, ...]]:
    return st.lists(_NUMBER, min_size=size, max_size=size).map(tuple)


@st.composite
def _curves(draw: st.DrawFn) -> Curves:
    epochs = draw(st.integers(0, 6))
    series = st.builds(Series, _TEXT | st.just("train"), _numbers(epochs))
    chart = st.builds(
        Chart, _TEXT, st.lists(series, max_size=3).map(tuple), _TEXT, st.none() | st.booleans()
    )
    best = draw(st.none() | st.integers(-1, 9))
    first = draw(st.integers(0, 3))
    return Curves(draw(_TEXT), tuple(draw(st.lists(chart, max_size=2))), best, first, draw(_TEXT))


@st.composite
def _confusion(draw: st.DrawFn) -> ConfusionMatrix:
    size = draw(st.integers(0, 4) | st.just(41))
    row = st.lists(st.integers(0, 10**7), min_size=size, max_size=size).map(tuple)
    counts = draw(st.lists(row, min_size=size, max_size=size)) if size < 9 else [(3,) * 41] * 41
    labels = draw(st.lists(_TEXT, min_size=min(size, 4), max_size=min(size, 4)))
    names = tuple(labels * 11)[:size] if size > 4 else tuple(labels)
    return ConfusionMatrix(draw(_TEXT), names, tuple(counts), draw(_TEXT))


@st.composite
def _window(draw: st.DrawFn) -> ForecastWindow:
    past, ahead = draw(st.integers(0, 20)), draw(st.integers(0, 5))
    parts = [draw(_numbers(ahead)) for _ in range(5)]
    kept = [part if draw(st.booleans()) else () for part in parts]
    band = (parts[1], parts[2]) if draw(st.booleans()) else ((), ())
    times = draw(st.lists(_TEXT, min_size=past + ahead, max_size=past + ahead))
    return ForecastWindow(
        draw(_TEXT),
        draw(_numbers(past)),
        parts[0],
        kept[3],
        *band,
        kept[4],
        tuple(times) if draw(st.booleans()) else (),
    )


@st.composite
def _tags(draw: st.DrawFn) -> TagExample:
    size = draw(st.integers(0, 4) | st.just(90))
    texts = st.lists(_TEXT, min_size=size, max_size=size).map(tuple)
    one, two, three = (draw(texts) if size < 9 else ("t",) * size for _ in range(3))
    return TagExample(one, two, three, draw(_TEXT))


@st.composite
def _spans(draw: st.DrawFn) -> SpanExample:
    size = draw(st.integers(1, 6) | st.just(200))
    ends = st.tuples(st.integers(0, size - 1), st.integers(1, size)).filter(lambda e: e[0] < e[1])
    spans = st.lists(
        st.builds(lambda e, kind: Span(e[0], e[1], kind), ends, _TEXT), max_size=3
    ).map(tuple)
    tokens = draw(st.lists(_TEXT, min_size=min(size, 6), max_size=min(size, 6)))
    named = tuple(tokens * 40)[:size] if size > 6 else tuple(tokens)
    return SpanExample(named, draw(spans), draw(spans), draw(_TEXT), draw(st.sampled_from(" |")))


@st.composite
def _aligned(draw: st.DrawFn) -> AlignedExample:
    length = draw(st.floats(0.001, 1000) | st.just(0.0))
    places = st.lists(st.floats(0, length), min_size=2, max_size=2).map(sorted)
    stretch = st.builds(lambda text, ends: Stretch(text, *ends), _TEXT, places)
    read = st.lists(stretch, max_size=4).map(tuple)
    return AlignedExample(
        draw(st.just(PNG) | st.just(b"")),
        length,
        draw(st.floats(0, 1000)),
        draw(read),
        draw(st.lists(_TEXT, max_size=4).map(tuple)),
        draw(read),
        draw(st.sampled_from([0, 16, 900])),
        draw(_TEXT),
        draw(_TEXT),
        draw(_TEXT),
    )


@st.composite
def _map(draw: st.DrawFn) -> AttentionMap:
    source, target = draw(st.integers(0, 4)), draw(st.integers(0, 3))
    weight = st.floats(0, 1) | st.floats()
    row = st.lists(weight, min_size=source, max_size=source).map(tuple)
    names = st.lists(_TEXT, min_size=source, max_size=source).map(tuple)
    return AttentionMap(
        draw(names | st.just(())),
        tuple(draw(st.lists(_TEXT, min_size=target, max_size=target))),
        tuple(draw(st.lists(row, min_size=target, max_size=target))),
        draw(_TEXT),
    )


@st.composite
def _histogram(draw: st.DrawFn) -> Histogram:
    edges = draw(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=6, unique=True).map(sorted))
    bins = len(edges) - 1
    row = st.lists(st.integers(0, 10**6), min_size=bins, max_size=bins).map(tuple)
    series = draw(st.lists(st.builds(Counts, _TEXT, row), max_size=3))
    return Histogram(draw(_TEXT), tuple(edges), tuple(series), draw(_TEXT), draw(_TEXT))


def _list(of: st.SearchStrategy[_T]) -> st.SearchStrategy[tuple[_T, ...]]:
    return st.lists(of, max_size=3).map(tuple)


_EXAMPLE = st.builds(Example, _TEXT, _TEXT, _TEXT, _NUMBER, st.none() | st.booleans(), _TEXT)
_METRIC = st.builds(Metric, _TEXT, _NUMBER, _TEXT, _NUMBER, st.none() | st.booleans())
_DIFFER = st.sampled_from(["characters", "words", "nothing"])
_CLASS = st.builds(ClassRow, _TEXT, _NUMBER, _NUMBER, _NUMBER, st.integers(0, 10**9))
_HORIZON = st.builds(HorizonRow, st.integers(1, 10**6), _NUMBER, _NUMBER)
_SERIES = st.builds(SeriesRow, _TEXT, st.integers(0, 10**9), _NUMBER, _NUMBER, _NUMBER, _NUMBER)
_BIN = st.builds(CalibrationBin, _NUMBER, _NUMBER, st.integers(0, 10**9))

any_section: st.SearchStrategy[Section] = st.one_of(
    _curves(),
    st.builds(MetricTable, _TEXT, _list(_METRIC), _TEXT, _TEXT),
    st.builds(ClassTable, _TEXT, _list(_CLASS), _TEXT, _TEXT),
    _confusion(),
    st.builds(TagExamples, _TEXT, _list(_tags()), _TEXT),
    st.builds(SpanExamples, _TEXT, _list(_spans()), _TEXT),
    st.builds(AlignedExamples, _TEXT, _list(_aligned()), _TEXT, st.sampled_from(["", " "]), _TEXT),
    st.builds(Examples, _TEXT, _list(_EXAMPLE), _DIFFER, _TEXT, _TEXT),
    st.builds(Generated, _TEXT, _list(st.builds(Generation, _TEXT, _TEXT, _TEXT)), _TEXT),
    st.builds(ForecastPlot, _TEXT, _list(_window()), _TEXT, _TEXT, _TEXT, _TEXT, _TEXT),
    st.builds(ForecastTable, _TEXT, _list(_HORIZON), _TEXT, _TEXT, _TEXT, _TEXT, _TEXT),
    st.builds(SeriesTable, _TEXT, _list(_SERIES), _TEXT, _TEXT),
    st.integers(0, 4).flatmap(
        lambda size: st.builds(Scatter, _TEXT, _numbers(size), _numbers(size), _TEXT, _TEXT)
    ),
    st.builds(Calibration, _TEXT, _list(_BIN), _NUMBER, _TEXT, _TEXT),
    _histogram(),
    st.builds(Attention, _TEXT, _list(_map()), _TEXT),
    st.builds(Note, _TEXT, _TEXT, st.booleans()),
)
any_report: st.SearchStrategy[Report] = st.builds(
    Report,
    _TEXT,
    _list(_TEXT),
    _list(st.builds(Figure, _TEXT, _TEXT, _TEXT)),
    _list(_TEXT),
    _list(any_section),
    st.just(""),
    _TEXT,
)


# ---------------------------------------------------------------- reading HTML

_VOID = frozenset({"meta", "br", "hr"})


class _Reader(HTMLParser):
    """A page as a tree; any tag that is not closed, or closed twice, is an error."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("page")
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice in <{tag}>"
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        here = self.open[-1]
        if len(here):
            here[-1].tail = (here[-1].tail or "") + data
        else:
            here.text = (here.text or "") + data

    def error(self, message: str) -> None:
        raise AssertionError(message)


def parsed(page: str) -> Element:
    """The tree of a page. Raises AssertionError if it is not well formed."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == [reader.root], f"<{reader.open[-1].tag}> is not closed"
    return reader.root


def drawn(section: Section) -> Element:
    """The section as it stands in a page."""
    (found,) = parsed(render(Report("t", sections=(section,)))).iter("section")
    return found


def words(element: Element) -> str:
    """All that it says."""
    return "".join(element.itertext())


def titles(element: Element) -> list[str]:
    """What is told of its pictures and their parts."""
    return [words(title) for title in element.iter("title")]


def of_class(element: Element, style: str) -> list[Element]:
    """Its parts of that class."""
    return [e for e in element.iter() if style in e.get("class", "").split()]


def table(element: Element, place: int = 0) -> list[list[str]]:
    """The words of the rows of one of its tables."""
    return [[words(cell) for cell in row] for row in list(element.iter("table"))[place][2]]
