"""Plain values written as YAML load back to the same values."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rnnspec.source.emit import to_yaml
from rnnspec.source.yaml12 import load

TEXTS = (
    st.text(st.characters(codec="utf-8", exclude_characters="\0"))
    | st.text(st.sampled_from(" \n\t:#-?'\"\\|>&*!%@`{}[],.~=ab01eE"))
    | st.sampled_from(("no", "1:1", "1e-3", "null", "true", "N:1", "~", ".5", "0x1", "2024-01-01"))
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4))
def test_loads_back(data: dict[str, Any]) -> None:
    text = to_yaml(data)
    assert load(text, "f").data == data
    assert list(load(text, "f").data) == list(data)


def test_not_a_number_loads_back() -> None:
    assert math.isnan(load(to_yaml({"a": float("nan")}), "f").data["a"])


def test_readable() -> None:
    data = {
        "name": "demo",
        "cardinality": "N:1",
        "layers": [{"cell": "gru", "units": 3}, {"cell": "lstm", "of": {"a": []}}],
        "betas": (0.9, 1e-8),
        "equations": "h = x\n\n  # more\n",
        "word": "no",
        "none": {},
    }
    assert (
        to_yaml(data)
        == """\
name: demo
cardinality: N:1
layers:
  - cell: gru
    units: 3
  - cell: lstm
    of:
      a: []
betas: [0.9, 1.0e-08]
equations: |
  h = x

    # more
word: "no"
none: {}
"""
    )


@pytest.mark.parametrize("value", ["1:1", "N:1", "no", "on", "1e-3", 1e-8, 1e22, 0.1, "0o17", "y"])
def test_an_old_reader_reads_the_same(value: object) -> None:
    """YAML 1.1, as PyYAML reads it, where both versions have a way to write the value."""
    assert yaml.safe_load(to_yaml({"a": value}))["a"] == value
