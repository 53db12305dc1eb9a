"""Answers of the steps of one of several encoders: reading comprehension against torch by hand,
which rows are right, and what is read of an encoder that others attend to."""

from __future__ import annotations

from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnspec.data import encode, survey
from rnnspec.data.reading import Reading
from rnnspec.errors import DataError
from rnnspec.plan import resolve
from rnnspec.report.model import Example, Examples, Marked, Span
from rnnspec.run.session import Session
from rnnspec.spec import Spec
from rnnspec.spec.check import findings
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.to_torch.positions import Positions
from tests.data_rows import write_rows
from tests.kinds import batched, encoders_data, feeds, output, plan_of, random_rows, strong_weights
from tests.layer_places import settings, stateless
from tests.reports import drawn, words

READER = encoders_data(
    {
        "question": {
            "inputs": ["plain_frames"],
            "layers": [{"cell": "lstm", "units": 2, "direction": "bidirectional"}],
            "pooling": "mean",
        },
        "passage": {
            "inputs": ["plain_frames.2"],
            "layers": [
                {"dense": 4, "name": "seen"},
                {"attend": "question", "combine": ["concat", "product"], "name": "asked"},
                {
                    "attend": "question",
                    "score": "pooling",
                    "combine": ["context", "difference"],
                    "reads": ["seen"],
                    "name": "whole",
                },
                {"cell": "lstm", "units": 3, "reads": ["asked", "whole"]},
            ],
        },
    },
    outputs=[output("short_span", reads=["passage"])],
)
"""A reader in the way of Chen et al. (2017, DrQA) and Seo et al. (2017, BiDAF)."""


def lstm_of(held: dict[str, Tensor], name: str, inputs: int, units: int, both: bool) -> nn.LSTM:
    found = nn.LSTM(inputs, units, bidirectional=both, dtype=torch.float64)
    for direction, suffix in (("forward", ""), ("reverse", "_reverse"))[: 1 + both]:
        for ours, theirs in (("W", "weight_ih"), ("U", "weight_hh"), ("b", "bias_ih")):
            parts = [held[f"{name}.{direction}.{ours}_{gate}"] for gate in "ifgo"]
            getattr(found, f"{theirs}_l0{suffix}").data.copy_(torch.cat(parts))
        getattr(found, f"bias_hh_l0{suffix}").data.zero_()
    return found


def test_a_reader_is_that_of_torch() -> None:
    """Row by row without padding; the best span by trying all of at most `max_span` steps, in torch
    and in the exported file."""
    plan, facts = plan_of(READER)
    rows = random_rows(plan, (7, 1, 4, 2))
    weights = strong_weights(plan)
    model = Model(plan).double().eval()
    model.load_canonical({name: value.astype(np.float64) for name, value in weights.items()})
    held = {name: torch.from_numpy(value) for name, value in model.canonical_arrays().items()}
    reads = lstm_of(held, "encoders.question.layers.0", 2, 2, True)
    top = lstm_of(held, "encoders.passage.layers.3", 20, 3, False)
    inputs = {key: (x.double(), n) for key, (x, n) in batched(plan, rows).items()}
    found = model.answers(inputs)["short_span"]
    session = Session(to_onnx(plan, facts, weights, ids=True).SerializeToString(), threads=1)
    told = session.run(feeds(plan, rows))["short_span"]
    assert isinstance(found, Positions)
    longest = next(node.longest for node in plan.outputs if node.column == "short_span")  # type: ignore[union-attr]
    for number, row in enumerate(rows):
        question, passage = (
            torch.from_numpy(row[name]).double() for name in ("plain_frames", "plain_frames.2")
        )
        asked = reads(question)[0]
        dense = [held[f"encoders.passage.layers.0.{name}"] for name in "Wb"]
        seen = F.linear(passage, *dense)
        keys = F.linear(asked, held["encoders.passage.layers.1.context.W"])
        context = torch.softmax(seen @ keys.t(), dim=1) @ asked
        vector = asked.mean(dim=0).expand_as(seen)
        met = [seen, context, seen * context, vector, (seen - vector).abs()]
        scores = F.linear(top(torch.cat(met, 1))[0], held["answer.W"], held["answer.b"])
        logs = torch.log_softmax(scores, dim=0).detach()
        torch.testing.assert_close(found.logs[number, 1 : 1 + len(passage)], logs)
        pairs = combinations_with_replacement(range(len(passage)), 2)
        best = max(
            (pair for pair in pairs if pair[1] - pair[0] < longest),
            key=lambda pair: float(logs[pair[0], 0] + logs[pair[1], 1]),
        )
        assert (found.choices[number] - 1).tolist() == list(best) == told[number].tolist()


READING: dict[str, Any] = {
    "name": "reading",
    "cardinality": "N:1",
    "data": {
        "train": "rows.jsonl",
        "input": [{"column": "question", "as": "words"}, {"column": "passage", "as": "words"}],
        "output": {"column": "answer", "as": "span", "reads": ["passage"]},
    },
    "encoders": {
        "question": {"inputs": ["question"], "layers": [{"cell": "gru", "units": 4}]},
        "passage": {
            "inputs": ["passage"],
            "layers": [{"attend": "question"}, {"cell": "gru", "units": 4}],
        },
    },
}
TAGGING = {
    **READING,
    "cardinality": "N:N",
    "data": {**READING["data"], "output": {"column": "answer", "as": "tags", "reads": ["passage"]}},
}


@pytest.mark.parametrize("data", [READING, TAGGING], ids=["span", "tags"])
def test_answers_are_of_the_steps_of_their_own_encoder(
    data: dict[str, Any], tmp_path: Path
) -> None:
    """Whatever numbers of steps the other has."""
    cells: list[Any] = [[2, 3], [0, 0]] if data is READING else [["a", "b", "a", "b"], ["b"]]
    rows = [
        {"question": "who", "passage": "it was anna lee", "answer": cells[0]},
        {"question": "who was it then", "passage": "ben", "answer": cells[1]},
    ]
    write_rows(tmp_path / "rows.jsonl", rows)
    spec = Spec.model_validate(data)
    facts = survey(spec, tmp_path / "rows.jsonl")
    plan = resolve(spec, facts)
    read = encode(plan, facts, tmp_path / "rows.jsonl", Reading.of(spec), tmp_path / "cache", "all")
    expected = [[3, 4], [1, 1]] if data is READING else [[0, 1, 0, 1], [1, -1, -1, -1]]
    assert read.collate(np.arange(2)).targets["answer"].tolist() == expected
    wrong: Any = [1, 1] if data is READING else ["a", "b"]
    write_rows(tmp_path / "rows.jsonl", [rows[0], {**rows[1], "answer": wrong}])
    with pytest.raises(DataError) as caught:
        survey(spec, tmp_path / "rows.jsonl")
    message = "column 'answer' is step 1, counted from 0, and the row has 1 step"
    if data is TAGGING:
        message = "column 'answer' has 2 steps, column 'passage' has 1; they are read together"
    assert f"rows.jsonl:2: {message}" in str(caught.value)


LAYERS = {**settings(), **stateless()}


@pytest.mark.parametrize("answered", ["class", "span", "tags", "out_words"])
@pytest.mark.parametrize("at_end", [True, False], ids=["last", "named"])
def test_all_settings_of_a_layer_that_is_attended_to_have_effects(
    answered: str, at_end: bool
) -> None:
    """No check takes a layer for unread because no answer of its own encoder reads it."""
    rows, decoded = answered == "class", answered == "out_words"
    found = {}
    for name, layer in LAYERS.items():
        own: list[dict[str, Any]] = [{"dense": 4}, {**layer, "name": "low"}]
        if not at_end and (rows or decoded):
            own.append({"cell": "gru", "units": 4, "reads": ["input"]})
        attends = [{"attend": "a" if at_end else "a.low"}, {"cell": "gru", "units": 4}]
        reads = {} if rows or decoded else {"reads": ["b"]}
        data = encoders_data(
            {
                "a": {"inputs": ["words"], "layers": own, **({"pooling": "max"} if rows else {})},
                "b": {"inputs": ["chars"], "layers": attends},
            },
            outputs=[output(answered, **reads)],
            cardinality={"tags": "N:N", "out_words": "N:M"}.get(answered, "N:1"),
        )
        if decoded:
            data["decoder"] = {"layers": [{"cell": "gru", "units": 4}]}
        found[name] = [finding.message for finding in findings(Spec.model_validate(data))]
    assert not {name: messages for name, messages in found.items() if messages}


def test_places_are_marked_in_the_text() -> None:
    tokens = ("who", "was", "there", "anna", "lee", "said", "ben")
    marked = Marked(tokens, Span(3, 5, ""), Span(4, 7, ""), beside="who <was> it")
    page = drawn(Examples("t", (Example("x", "3 to 4", "4 to 6", marked=marked),)))
    (row,) = (each for each in page.iter("th") if each.get("data-name") == "input")
    assert words(row) == "who <was> itwho was there anna lee said ben"
    marks = [(each.get("class"), words(each)) for each in row.iter("mark")]
    assert marks == [("missed", "anna"), ("found", "lee"), ("off", "said ben")]


@pytest.mark.parametrize("order", [("passage", "question"), ("question", "passage")])
def test_one_that_shares_layers_has_those_that_are_read(order: tuple[str, ...]) -> None:
    """What a passage has behind what it asks of a question, the question that shares them lacks."""
    passage: dict[str, Any] = {
        "inputs": ["plain_frames.2"],
        "layers": [
            {"cell": "lstm", "units": 2, "name": "read"},
            {"attend": "question.read"},
            {"cell": "gru", "units": 2},
        ],
    }
    each = {"passage": passage, "question": {"inputs": ["plain_frames"], "same_as": "passage"}}
    data = encoders_data(
        {name: each[name] for name in order}, outputs=[output("short_span", reads=["passage"])]
    )
    assert not list(findings(Spec.model_validate(data)))
    plan, _ = plan_of(data)
    names = [node.name for node in plan.nodes]
    assert "encoders.passage.layers.2" in names
    assert "encoders.question.layers.0" in names
    assert "encoders.question.layers.2" not in names
