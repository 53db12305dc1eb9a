"""A long plain text is split by position: its end is for validation, whatever a row is."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnspec.data import Reading, survey
from rnnspec.data.encode import encode_parts
from rnnspec.data.how import How
from rnnspec.data.readers import read
from rnnspec.data.shards import Shards
from rnnspec.errors import DataError
from rnnspec.plan import TextFacts, resolve
from tests.cli import right
from tests.data_rows import any_spec

NEXT = {"column": "text", "as": "next"}
TEXT = "".join(f"Wort{n} ist größer als {n - 1}.\n" for n in range(300))


def spec_of(kind: str, share: float) -> Any:
    source = {"column": "text", "as": kind}
    return any_spec("N:N", source, NEXT, {"window": 5}, valid=share, format="text")


def split(file: Path, share: float) -> tuple[str, str]:
    """The texts of the two parts, put together again."""
    found = {False: "", True: ""}
    for chunk in read(file, ["text"], How("text", end=share)):
        assert chunk.held_out is not None
        found[chunk.held_out] += str(chunk.cells["text"][0])
    return found[False], found[True]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("ending", ["txt", "txt.gz"])
def test_the_end_of_the_text_by_hand(tmp_path: Path, share: float, ending: str) -> None:
    """By its bytes: from the first white space at or behind (1 - share) of them."""
    data = TEXT.encode()
    file = tmp_path / f"text.{ending}"
    file.write_bytes(gzip.compress(data) if ending.endswith("gz") else data)
    at = int((1 - share) * len(data))
    while data[at : at + 1] not in (b" ", b"\n"):
        at += 1
    train, valid = split(file, share)
    assert (train, valid) == (data[: at + 1].decode(), data[at + 1 :].decode())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.sampled_from("ab \né\u3000"), min_size=1, max_size=120),
    share=st.sampled_from([0.1, 0.3, 0.5]),
    block=st.sampled_from([4, 16, 1 << 20]),
)
def test_nothing_is_lost_wherever_blocks_end(
    tmp_path: Path, text: str, share: float, block: int
) -> None:
    file = tmp_path / "text.txt"
    file.write_text(text, encoding="utf-8", newline="")
    whole = split(file, share)
    with pytest.MonkeyPatch.context() as patch:
        for module in ("lines", "plain"):
            patch.setattr(f"rnnspec.data.{module}.BLOCK", block)
        assert "".join(split(file, share)) == text
        train, valid = split(file, share)
    if block > len(text.encode()):
        assert (train, valid) == whole
    if valid:
        assert train[-1].isspace()
        assert len(valid.encode()) <= share * len(text.encode()) + 1


@pytest.mark.parametrize("kind", ["words", "chars", "bytes", "subwords"])
def test_facts_and_rows_are_those_of_the_parts(tmp_path: Path, kind: str) -> None:
    if kind == "subwords":
        pytest.importorskip("tokenizers")
    file = tmp_path / "text.txt"
    file.write_text(TEXT)
    train, valid = split(file, 0.1)
    spec = spec_of(kind, 0.1)
    facts = survey(spec, file)
    known = facts.inputs["text"]
    assert isinstance(known, TextFacts) and facts.rows == 1
    alone = tmp_path / "train.txt"
    alone.write_text(train)
    assert (
        survey(spec_of(kind, 0.1).model_copy(update={"data": without_share(spec)}), alone) == facts
    )
    parts = encode_parts(
        resolve(spec, facts), facts, Shards.of(file), Reading.of(spec), tmp_path / "cache", 0.1
    )
    counts = [int((part.ends - part.starts).sum()) for part in parts]
    assert [part.rows for part in parts] == [1, 1]
    if kind != "subwords":
        expected = {"words": str.split, "chars": list, "bytes": str.encode}[kind]
        assert counts == [len(expected(train)), len(expected(valid))]  # type: ignore[operator]
    assert parts[1].lines.tolist() == [1 + train.count("\n")]
    assert np.array_equal(parts[0].lines, [1])


def without_share(spec: Any) -> Any:
    return spec.data.model_copy(update={"valid": None})


def test_a_text_too_short_for_an_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    for text in ("abc", "abc abc\n"):
        file.write_text(text)
        with pytest.raises(
            DataError, match=r"takes none of the only row; set data\.valid to a file"
        ):
            survey(spec_of("chars", 0.1), file)


def test_several_texts_are_rows(tmp_path: Path) -> None:
    """Whole ones are held out; where a share takes none of them, the way out works."""
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(f"{name} b.\n\nc d.\n" * 20)
    files = Shards(tuple(tmp_path / f"{name}.txt" for name in "abc"), tmp_path)
    with pytest.raises(DataError) as caught:
        survey(spec_of("chars", 0.01), files)
    assert "takes none of the 3 rows; set data.documents to paragraph or line" in str(caught.value)
    for documents in ("paragraph", "line"):
        spec = any_spec(
            "N:N", {"column": "text", "as": "chars"}, NEXT, {"window": 5},
            valid=0.1, format="text", documents=documents,
        )  # fmt: skip
        assert survey(spec, files).rows > 40


def test_a_build_of_one_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT[:3000])
    (tmp_path / "spec.yaml").write_text(json.dumps({
        "name": "text", "cardinality": "N:N",
        "data": {"train": "text.txt", "valid": 0.1,
                 "input": {"column": "text", "as": "chars"}, "output": NEXT},
        "encoder": {"embed": 3, "layers": [{"cell": "gru", "units": 4}]},
        "train": {"epochs": 1, "batch": 2, "window": 20, "threads": 1},
    }))  # fmt: skip
    assert "on the validation rows" in right("build", "spec.yaml")
    assert "the 0.1 of it kept for validation (1 row" in right("evaluate")
