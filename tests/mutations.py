"""Valid specs, and Hypothesis strategies that spoil them."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

TEXTS = (
    """\
name: words
cardinality: N:1
data:
  train: train.jsonl
  valid: 0.1
  input: {column: text, as: words, min_count: 2}
  output: {column: label, as: class}
encoder:
  embed: 50
  layers: [{cell: gru, units: 32, direction: bidirectional}, {cell: rnn, units: 8}]
pooling: {attention: {units: 16}}
head: {hidden: [16], activation: tanh, dropout: 0.1}
train:
  optimizer: {adam: {lr: 2e-3, betas: [0.9, 0.99]}}
  early_stopping: {metric: accuracy, patience: 2}
""",
    """\
# numbers from frames
name: frames
cardinality: "N:1"
data:
  train: &rows data/train.parquet
  format: parquet
  input:
    column: frames
    as: frames
  output: {column: 'value', as: number, scale: none}
encoder:
  layers:
    - cell: mine
      units: 8
    - &layer {cell: lstm, units: 4, dropout: 0.5}
    - *layer
cells:
  mine:
    states: [h]
    equations: |
      z = sigmoid(W_z @ x + U_z @ h + b_z)
      h = z * h + (1 - z) * tanh(W @ x + b)  # mixed
train: {loss: huber, clip_norm: null, optimizer: sgd, seed: 7}
""",
    """\
name: quoted
cardinality: N:1
data: {train: a.csv, input: {column: "a\\tb", as: chars, fold_case: true},
       output: {column: y, as: vector}}
encoder: {layers: [{cell: mine, units: 3}]}
pooling: max
cells:
  mine:
    states: [h, c]
    output: h
    equations: "c = c + W @ x\\nh = tanh(c)"
""",
)

ODD_TOKENS = (
    *("{", "}", "[", "]", ",", ":", ": ", "- ", "? ", "#", " #", "|", ">", "|2-", "&a", "*a"),
    *("*rows", "'", '"', "\\", "%", "@", "`", "!", "!!", "!!python/name:os.system", "!<x>", "<<: "),
    *("---\n", "...\n", "\n", "\n\n", "\r", "\r\n", "\t", "  ", "\x00", "\x1b", "\x85", "\u2028"),
    *("\ufeff", "~", "null", "true", "no", "1e-3", "1:1", "0x1F", ".inf", "-.inf", ".nan", "-0"),
    *("9" * 500, "1_000", "0o9", "é", "世界", "😀", "\u202e", "e\u0301", "x" * 3000, "\\ud800"),
    *("\\U00110000", "__import__('os')", "@ @", "((((((((", "h = h", "z = ", "sigmoid", "cells:"),
)


@st.composite
def spoilt_texts(draw: st.DrawFn) -> bytes:
    """A valid spec with a few lines, characters, words or bytes changed."""
    text = draw(st.sampled_from(TEXTS))
    for _ in range(draw(st.integers(1, 4))):
        text = draw(st.sampled_from(_CHANGES))(draw, text)
    content = text.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 9)) == 0:
        at = draw(st.integers(0, len(content)))
        content = content[:at] + draw(st.binary(min_size=1, max_size=4)) + content[at + 1 :]
    return content


def _change_line(draw: st.DrawFn, text: str) -> str:
    lines = text.split("\n")
    at = draw(st.integers(0, len(lines) - 1))
    other = draw(st.integers(0, len(lines) - 1))
    match draw(st.integers(0, 5)):
        case 0:
            del lines[at]
        case 1:
            lines.insert(other, lines[at])
        case 2:
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = " " * draw(st.integers(1, 4)) + lines[at]
        case 4:
            lines[at] = lines[at][draw(st.integers(1, 4)) :]
        case _:
            lines = lines[:at]
    return "\n".join(lines)


def _change_characters(draw: st.DrawFn, text: str) -> str:
    at = draw(st.integers(0, len(text)))
    cut = draw(st.integers(0, 3))
    new = draw(st.text(max_size=2) | st.sampled_from(ODD_TOKENS))
    return text[:at] + new + text[at + cut :]


def _change_word(draw: st.DrawFn, text: str) -> str:
    words = list(re.finditer(r"[\w.]+", text)) or list(re.finditer(r"^", text))
    word, other = (words[draw(st.integers(0, len(words) - 1))] for _ in range(2))
    new = draw(st.sampled_from((*ODD_TOKENS, other[0], word[0][:-1], word[0] + "s", word[0] * 2)))
    return text[: word.start()] + new + text[word.end() :]


_CHANGES = (_change_line, _change_characters, _change_word)

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 10**30, 0.0, -0.5, 0.5, 1.0, 1e308, float("inf"), float("nan")),
    *("", " ", "last", "attention", "adam", "1:1", "N:M", "3", "yes", "words", "frames", "class"),
    *([], [1], [None], [[]], {}, {"a": 1}, {"attention": None}, {"adam": {}}, {"as": "words"}),
    *({"attention": {}, "mean": {}}, {"sgd": {"nesterov": True}}, [{"cell": "lstm"}], "a\nb", "é"),
)
ODD_KEYS = ("", " ", "a.b", "a[0]", "[key]", "units", "layers", "as", "as_", "lr", "1", "no", "😀")


@st.composite
def spoilt_data(draw: st.DrawFn, data: dict[str, Any]) -> dict[str, Any]:
    """The data of a spec with a few values, keys or items changed; `data` is changed itself."""
    for _ in range(draw(st.integers(1, 3))):
        holders = list(_holders(data))
        holder = holders[draw(st.integers(0, len(holders) - 1))]
        keys: list[Any] = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        value = deepcopy(draw(st.sampled_from(ODD_VALUES)))
        if not keys:
            if isinstance(holder, dict):
                holder[draw(st.sampled_from(ODD_KEYS))] = value
            continue
        key = keys[draw(st.integers(0, len(keys) - 1))]
        match draw(st.integers(0, 4)):
            case 0:
                holder[key] = value
            case 1:
                del holder[key]
            case 2:
                holder[key] = [holder[key]]
            case 3 if isinstance(holder, dict):
                holder[draw(st.sampled_from(ODD_KEYS))] = holder.pop(key)
            case _ if isinstance(holder, dict):
                holder[draw(st.sampled_from(ODD_KEYS))] = value
    return data


def _holders(value: Any) -> list[Any]:
    """Every mapping and list in `value`, itself included."""
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value] if isinstance(value, dict | list) else []
    return own + [holder for item in below for holder in _holders(item)]
