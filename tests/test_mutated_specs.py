"""2,000 spoilt specs: each is read, or refused with places, and never ends in a traceback."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rnnspec.errors import SpecError
from rnnspec.source.emit import to_yaml
from rnnspec.source.text import Source, source_of
from rnnspec.source.yaml12 import load
from rnnspec.spec.load import load_source, resolved_yaml
from tests.mutations import TEXTS, spoilt_data, spoilt_texts

FILE = "spoilt.yaml"


def check(content: bytes) -> None:
    """A spec that can be written out, or problems that stand inside the file and can be shown."""
    try:
        spec = load_source(source_of(content, FILE), Path(FILE)).spec
    except SpecError as refused:
        check_problems(refused, content.count(b"\n") + content.count(b"\r") + 1)
        return
    assert load_source(Source.of(resolved_yaml(spec), FILE), Path(FILE)).spec == spec


def check_problems(refused: SpecError, lines: int) -> None:
    assert refused.problems
    for problem in refused.problems:
        assert problem.message
        assert 1 <= problem.span.line <= lines
        assert problem.span.column >= 1
        shown = problem.render()
        assert shown.startswith(f"{FILE}:")
        assert not any(unicodedata.category(c) in ("Cc", "Cs") for c in shown if c != "\n")


def test_the_specs_are_right_before() -> None:
    for text in TEXTS:
        load_source(Source.of(text, FILE), Path(FILE))


@settings(max_examples=1500)
@given(spoilt_texts())
def test_spoilt_texts(content: bytes) -> None:
    check(content)


@settings(max_examples=500)
@given(st.sampled_from(TEXTS).flatmap(lambda text: spoilt_data(load(text, FILE).data)))
def test_spoilt_data(data: dict[str, Any]) -> None:
    check(to_yaml(data).encode("utf-8"))
