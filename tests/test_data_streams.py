"""Streams: every step once, in order, with the true next step, states anew at each document."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnspec.data import Dataset, lines
from rnnspec.data.decode import label
from rnnspec.data.lanes import Places, count_windows, document_slices, lane_slices
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.errors import DataError
from rnnspec.plan import TextFacts
from rnnspec.plan.facts import END_ID
from tests.data_rows import any_spec, encoded, trouble, write_rows

NEXT = {"column": "text", "as": "next"}


DOCUMENTS = st.lists(st.integers(0, 12), max_size=8)


def offsets_of(documents: list[int]) -> tuple[Places, Places]:
    offsets = np.concatenate([[0], np.cumsum(documents)]).astype(np.int64)
    return offsets[:-1], offsets[1:]


@settings(max_examples=300)
@given(
    documents=DOCUMENTS,
    batch=st.integers(1, 6),
    window=st.integers(1, 7),
    order=st.none() | st.tuples(st.integers(0, 3), st.integers(0, 3)),
    runs=st.integers(1, 5),
)
def test_lanes_by_definition(
    documents: list[int], batch: int, window: int, order: tuple[int, int] | None, runs: int
) -> None:
    starts, ends = offsets_of(documents)
    lanes: list[list[int]] = [[] for _ in range(batch)]
    counts = [0] * batch
    anew: set[int] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rnnspec.data.lanes.BLOCKS", runs)
        cuts = list(lane_slices(starts, ends, batch, window, 0, order))
        assert len(cuts) == count_windows(starts, ends, batch, window)
        later = list(lane_slices(starts, ends, batch, window, len(cuts) // 2, order))
    for (cut, reset), (again, reset_again) in zip(cuts[len(cuts) // 2 :], later, strict=True):
        active = cut.lengths > 0  # of the others nothing is read
        np.testing.assert_array_equal(cut.lengths, again.lengths)
        for name in ("rows", "starts", "ends"):
            np.testing.assert_array_equal(getattr(cut, name)[active], getattr(again, name)[active])
        np.testing.assert_array_equal(reset, reset_again)
    for cut, reset in cuts:
        assert cut.lengths.max() > 0
        for lane in range(batch):
            length, first = int(cut.lengths[lane]), int(cut.starts[lane])
            assert length <= window
            if length:
                document = int(cut.rows[lane])
                assert starts[document] <= first < first + length <= ends[document]
                assert cut.ends[lane] == ends[document]
                assert reset[lane] == (first == starts[document] or not lanes[lane])
                if reset[lane]:
                    anew.add(first)
                counts[lane] += 1
            lanes[lane] += range(first, first + length)
    read = [step for lane in lanes for step in lane]
    begun = {int(start) for start, end in zip(starts, ends, strict=True) if end > start}
    assert anew == begun | {lane[0] for lane in lanes if lane}
    total = sum(-(-length // window) for length in documents)
    if len(documents) == 1:
        longest = max(map(len, lanes))
        wanted = [min(longest, max(0, documents[0] - at * longest)) for at in range(batch)]
        assert [len(lane) for lane in lanes] == wanted and longest == -(-documents[0] // batch)
    else:  # no fewer windows could hold them
        most = -(-total // batch)
        assert counts == [min(most, max(0, total - at * most)) for at in range(batch)]
    assert read == ([*range(sum(documents))] if order is None else _in_turn(read, documents, runs))


def _in_turn(read: list[int], documents: list[int], runs: int) -> list[int]:
    """All steps by runs of documents, in the order of the first step of each run in `read`."""
    starts, _ = offsets_of(documents)
    size = max(1, -(-len(documents) // runs))
    bounds = [*starts[::size].tolist(), sum(documents)]
    parts = [range(*pair) for pair in pairwise(bounds) if pair[1] > pair[0]]
    return [step for part in sorted(parts, key=lambda part: read.index(part[0])) for step in part]


@settings(max_examples=200)
@given(documents=DOCUMENTS, batch=st.integers(1, 6), window=st.integers(1, 7))
def test_documents_are_measured_whole(documents: list[int], batch: int, window: int) -> None:
    starts, ends = offsets_of(documents)
    read: dict[int, list[int]] = {}
    of_lanes: dict[int, int] = {}
    before = set(range(batch))
    for cut, lanes, reset in document_slices(starts, ends, batch, window):
        assert list(lanes) == sorted(lanes) and before >= set(lanes.tolist())
        assert cut.lengths.min() > 0 and cut.lengths.max() * len(lanes) <= batch * window
        before = set(lanes.tolist())
        for row, lane in enumerate(lanes.tolist()):
            document = int(cut.rows[row])
            assert reset[row] == (document not in read)
            assert reset[row] or of_lanes[lane] == document
            of_lanes[lane] = document
            first = int(cut.starts[row])
            read.setdefault(document, []).extend(range(first, first + int(cut.lengths[row])))
            assert cut.ends[row] == ends[document]
    assert read == {
        number: list(range(starts[number], ends[number]))
        for number, length in enumerate(documents)
        if length
    }


def test_the_order_of_documents_is_drawn_anew() -> None:
    starts, ends = offsets_of([3] * 40)

    def read(order: tuple[int, int] | None) -> list[int]:
        return [int(cut.rows[0]) for cut, _ in lane_slices(starts, ends, 1, 3, 0, order)]

    assert read(None) == list(range(40))
    first, second = read((7, 0)), read((7, 1))
    assert sorted(first) == sorted(second) == list(range(40)) and first != second
    assert first == read((7, 0)) != read((8, 0))
    one = offsets_of([50])
    for (cut, _), (other, _) in zip(
        lane_slices(*one, 4, 3), lane_slices(*one, 4, 3, 0, (7, 1)), strict=True
    ):
        np.testing.assert_array_equal(cut.starts, other.starts)


def streamed(data: Dataset, batch: int, window: int) -> list[tuple[list[int], list[int]]]:
    """Of each lane the tokens read, and those to be answered."""
    lanes: list[tuple[list[int], list[int]]] = [([], []) for _ in range(batch)]
    for found, _ in data.lanes(batch, window):
        values, lengths = found.inputs["text"]
        assert values.shape == found.targets["text"].shape
        for lane, (read, answers) in enumerate(lanes):
            length = int(lengths[lane])
            read += values[lane, :length].tolist()
            answers += found.targets["text"][lane, :length].astype(int).tolist()
            assert (found.targets["text"][lane, length:] == -1).all()
    return lanes


@settings(max_examples=25)
@given(
    text=st.text(st.sampled_from("ab \né"), min_size=2, max_size=200).filter(
        lambda t: len(set(t)) > 1
    ),
    kind=st.sampled_from(["chars", "bytes", "words"]),
    batch=st.integers(1, 4),
)
def test_a_document_in_pieces_is_one_stream(
    tmp_path: Path, text: str, kind: str, batch: int
) -> None:
    if not text.strip():
        return
    file = tmp_path / "rows.txt"
    file.write_text(text, encoding="utf-8", newline="")
    source = {"column": "text", "as": kind}
    spec = any_spec("N:N", source, NEXT, {"window": 5})
    with pytest.MonkeyPatch.context() as patch:
        for module in (lines, "rnnspec.data.plain"):
            target = module if isinstance(module, str) else module.__name__
            patch.setattr(f"{target}.BLOCK", 16)
        facts, data = encoded(spec, file)
    known = facts.inputs["text"]
    assert isinstance(known, TextFacts)
    assert facts.rows == data.rows == 1
    if kind == "bytes":
        expected = [byte + 2 for byte in text.encode()]
    else:
        tokens = list(text) if kind == "chars" else text.split()
        expected = known.vocabulary.numbers(tokens)
    assert known.longest == known.mean_length == len(expected)
    lanes = streamed(data, batch, 5)
    assert [number for read, _ in lanes for number in read] == expected
    assert [number for _, answers in lanes for number in answers] == [*expected[1:], END_ID]


def test_documents_end_and_states_start_anew(tmp_path: Path) -> None:
    file = tmp_path / "rows.txt"
    file.write_text("abc\n\nba\n")
    spec = any_spec(
        "N:N",
        {"column": "text", "as": "chars"},
        NEXT,
        {"window": 2},
        documents="line",
        format="text",
    )
    _, data = encoded(spec, file)
    found = [
        (batch.inputs["text"][0].tolist(), batch.targets["text"].tolist(), reset.tolist())
        for batch, reset in data.lanes(1, 2)
    ]
    a, b, c = 2, 3, 4
    assert found == [
        ([[a, b]], [[b, c]], [True]),
        ([[c]], [[END_ID]], [False]),
        ([[b, a]], [[a, END_ID]], [True]),
    ]


def test_rows_of_a_stream_may_be_long(tmp_path: Path) -> None:
    rows = [{"text": "ab" * 60_000}]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    chars = {"column": "text", "as": "chars"}
    _, data = encoded(any_spec("N:N", chars, NEXT, {"window": 20}), file)
    assert data.lengths(np.arange(1)).tolist() == [120_000]
    assert "has 120,000 steps, and a row may have 100,000" in trouble(
        any_spec("N:N", chars, NEXT), file
    )
    text = tmp_path / "rows.txt"
    text.write_text("ab cd " * 400_000)
    assert trouble(any_spec("N:N", {"column": "text", "as": "words"}, NEXT), text).startswith(
        "FILE:1: column 'text' is too long for one row; set data.documents to paragraph or line, "
    )


def test_a_document_in_pieces_is_no_label(tmp_path: Path) -> None:
    file = tmp_path / "rows.txt"
    bad = BadRows(file)
    piece = Chunk(0, [7], {"text": ["b"]}, textual=True, continued=True)
    with pytest.raises(DataError) as caught:
        bad.decoded(piece, "text", label)
    assert str(caught.value) == (
        f"{file}:7: column 'text' is a document too long for one label; set data.documents to "
        "paragraph or line"
    )


def test_a_document_with_no_gap_near_its_end_cannot_be_split(tmp_path: Path) -> None:
    file = tmp_path / "rows.txt"
    file.write_text("a b c")
    spec = any_spec("N:N", {"column": "text", "as": "chars"}, NEXT, {"window": 2}, valid=0.1)
    assert trouble(spec, file) == (
        "FILE: a validation share of 0.1 takes none of the only row; set data.valid to a file"
    )
