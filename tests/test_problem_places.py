"""Problems in specs with several encoders, spoilt at random, name places that are the user's."""

from __future__ import annotations

import random
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from rnnspec.data import survey
from rnnspec.errors import DataError, SpecError
from rnnspec.plan import resolve
from rnnspec.source.emit import to_yaml
from rnnspec.source.problems import Problem
from rnnspec.source.text import Source
from rnnspec.source.yaml12 import load
from rnnspec.spec.load import load_source
from tests.data_rows import write_rows
from tests.problem_places import misplaced

FILE = "spoilt.yaml"
READ = """\
name: several
cardinality: {cardinality}
data:
  train: rows.jsonl
  input:
    - {{column: number, as: number, join: both}}
    - {{column: given, as: words}}
    - column: said
      as: nested
      of: {{as: words}}
      encoder: {{layers: [{{cell: gru, units: 4}}, {{norm: layer}}]}}
    - {{column: heard, as: frames}}
  output: {output}
encoders:
  given:
    inputs: [given, number]
    layers:
      - {{cell: gru, units: 8, direction: bidirectional, name: low}}
      - {{attend: said}}
      - {{cell: lstm, units: 24, skip: residual}}
  said:
    inputs: [said]
    layers: [{{cell: lstm, units: 8, direction: bidirectional}}, {{dense: 8}}]
    pooling: {pooling}
  heard:
    inputs: [heard]
    layers:
      - {{cell: lstm, units: 8, initial_state: {{column: start}}}}
      - {{cell: gru, units: 8, initial_state: {{column: start}}}}
"""
WRITTEN = "decoder: {layers: [{cell: lstm, units: 8}], attention: additive}\n"
TEXTS = (
    READ.format(cardinality="N:M", output="{column: answer, as: words}", pooling="last") + WRITTEN,
    READ.format(cardinality="N:1", output="{column: answer, as: class}", pooling="mean"),
    READ.format(
        cardinality="N:N",
        output="[{column: a, as: tags, reads: [given]}, {column: b, as: tags, reads: [heard]}]",
        pooling="last",
    ),
)
VALUES: tuple[Any, ...] = (
    *(1, 3, 8, True, None, "none", "last", "mean", "residual", "state", "both", "steps", "forward"),
    *("bidirectional", "gru", "lstm", "words", "class", "tags", "states", "dot", "encoder"),
    *("attention", "given", "said", "heard", ["said"], ["given"], ["heard.x"], ["given.low"]),
)
KEYS: dict[str, Any] = {
    **{"embed": 5, "skip": "residual", "direction": "bidirectional", "merge": "sum", "tied": True},
    **{"norm": "layer", "name": "low", "dropout": 0.5, "repeat": 2, "reads": ["low"], "hidden": 4},
    **{"init": "orthogonal", "zoneout": 0.1, "pooling": "last", "start_from": "encoder"},
    **{"attention": "none", "join": "state", "forget_bias": 1.0, "score": "dot", "elapsed": 0},
}
LAYERS: tuple[dict[str, Any], ...] = (
    *({"norm": "layer"}, {"conv": 4, "width": 3, "stride": 2}, {"pool": "max", "size": 2}),
    *({"dense": 3, "skip": "residual"}, {"join": "sum", "reads": ["low", "input"]}),
    *({"attend": "given.low", "combine": ["difference"]}, {"attend": "said", "score": "dot"}),
    *({"cell": "gru", "units": 3}, {"cell": "lstm", "units": 5, "direction": "bidirectional"}),
)


def spoilt(data: Any, drawn: random.Random) -> Any:
    """A few values, keys or layers changed, added or removed."""
    data = deepcopy(data)
    for _ in range(drawn.choice((1, 1, 2, 3))):
        holder, key = drawn.choice(list(_places(data)))
        match drawn.randrange(5):
            case 0 | 1:
                holder[key] = deepcopy(drawn.choice(VALUES))
            case 2:
                del holder[key]
            case 3 if isinstance(holder[key], dict):
                name, value = drawn.choice(list(KEYS.items()))
                holder[key][name] = value
            case _:
                stacks = [h[k] for h, k in _places(data) if k == "layers" and type(h[k]) is list]
                if stacks:
                    stack = drawn.choice(stacks)
                    stack.insert(drawn.randint(0, len(stack)), deepcopy(drawn.choice(LAYERS)))
    return data


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = range(len(value)) if isinstance(value, list) else ()
    for key in list(value) if isinstance(value, dict) else items:
        yield value, key
        yield from _places(value[key])


def problems_of(data: Any) -> tuple[Problem, ...]:
    try:
        load_source(Source.of(to_yaml(data), FILE), Path(FILE))
    except SpecError as refused:
        return tuple(refused.problems)
    return ()


def test_places_of_spoilt_specs_are_the_users() -> None:
    drawn, refused = random.Random(0), 0
    for number in range(120):
        data = spoilt(load(TEXTS[number % len(TEXTS)], FILE).data, drawn)
        problems = problems_of(data)
        refused += bool(problems)
        assert misplaced(problems, load(to_yaml(data), FILE).data) == [], to_yaml(data)
    assert 60 < refused < 115  # some changes are right


def test_the_specs_are_right_before() -> None:
    for text in TEXTS:
        assert problems_of(load(text, FILE).data) == ()


def test_data_that_do_not_fit_one_of_several_encoders(tmp_path: Path) -> None:
    """What the data alone decide is named by its place in the file too."""
    rows = [
        {"given": "a b", "heard": [[0.0, 1.0]], "said": ["a", "b"], "number": 1, "answer": label}
        for label in ("a", "b")
    ]
    write_rows(tmp_path / "rows.jsonl", [{**row, "start": [0.0] * 8} for row in rows])
    text = TEXTS[1].replace("heard, as: frames", "heard, as: frames, elapsed: 4")
    text = text.replace("{cell: gru, units: 8, init", "{cell: cfc, units: 8, init")
    spec = load_source(Source.of(text, FILE), tmp_path / FILE).spec
    with pytest.raises(DataError, match=r"^data\.input\[3\]\.elapsed is 4"):
        resolve(spec, survey(spec, tmp_path / "rows.jsonl"))
