"""Several encoders: rows with numbers of steps of their own, weights and facts in common, and how
vectors meet; against a module written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_sequence, pad_packed_sequence

from rnnspec.data import encode, survey
from rnnspec.errors import DataError, ExportError
from rnnspec.plan import Plan, TextFacts, resolve, weights
from rnnspec.plan.names import labels_of
from rnnspec.plan.nodes import Compare, shared_weights
from rnnspec.plan.stream import stream_of
from rnnspec.reference import answers
from rnnspec.reference.layers import LAYERS
from rnnspec.run.session import Session
from rnnspec.spec import Spec
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from tests.answers import all_values, close, of_torch, onnx_agrees, tensor_of
from tests.data_rows import write_rows
from tests.kernels import lstm_of
from tests.kinds import batched, encoders_data, feeds, output, plan_of, random_rows, strong_weights
from tests.onnx_models import initializers

PAIR: dict[str, Any] = {
    "name": "pair",
    "cardinality": "N:1",
    "data": {
        "train": "rows.jsonl",
        "input": [{"column": "left", "as": "words"}, {"column": "right", "as": "words"}],
        "output": {"column": "same", "as": "class"},
    },
    "encoders": {
        "first": {"inputs": ["left"], "embed": 4, "layers": [{"cell": "gru", "units": 3}]},
        "second": {"inputs": ["right"], "same_as": "first"},
    },
    "combine": ["concat", "difference"],
}
ROWS: list[dict[str, Any]] = [
    {"left": "a b c", "right": "d", "same": "no"},
    {"left": "", "right": "a a", "same": "no"},
    {"left": "b", "right": "", "same": "yes"},
]


def symmetric() -> Plan:
    """Frames on both sides through one encoder, compared in every way that has no order."""
    both = {"cell": "lstm", "units": 4, "direction": "bidirectional"}
    left = {"inputs": ["plain_frames"], "layers": [both], "pooling": "max"}
    right = {"inputs": ["plain_frames.2"], "same_as": "left"}
    kinds = ("difference", "product", "cosine", "manhattan")
    return plan_of(encoders_data({"left": left, "right": right}, kinds, [output("class")]))[0]


def test_answers_are_those_of_a_module_written_by_hand() -> None:
    """Torch's own LSTM over packed rows, and its cosine similarity."""
    plan, lengths = symmetric(), (5, 1, 3)
    rows = random_rows(plan, lengths)
    model = Model(plan).eval()
    model.load_canonical(strong_weights(plan))
    held = {name: torch.from_numpy(value) for name, value in model.canonical_arrays().items()}
    lstm = lstm_of(held, "encoders.left.layers.0")

    def encoded(column: str) -> Tensor:
        packed = pack_sequence([torch.from_numpy(row[column]) for row in rows], False)
        steps, _ = pad_packed_sequence(lstm(packed)[0], padding_value=-torch.inf)
        return steps.max(dim=0).values

    u, v = encoded("plain_frames"), encoded("plain_frames.2")
    manhattan = torch.exp(-F.pairwise_distance(u, v, p=1, eps=0.0, keepdim=True))
    met = torch.cat([(u - v).abs(), u * v, F.cosine_similarity(u, v)[:, None], manhattan], dim=1)
    expected = F.softmax(F.linear(met, held["answer.W"], held["answer.b"]), dim=1)
    torch.testing.assert_close(tensor_of(model, batched(plan, rows), "class"), expected)


def test_sides_with_the_same_weights_may_change_places() -> None:
    plan = symmetric()
    model = Model(plan).eval()
    model.load_canonical(strong_weights(plan))
    rows = random_rows(plan, (4, 0, 2))
    swapped = [
        {"plain_frames": r["plain_frames.2"], "plain_frames.2": r["plain_frames"]} for r in rows
    ]
    one, two = (tensor_of(model, batched(plan, each), "class") for each in (rows, swapped))
    torch.testing.assert_close(one, two)


def test_shared_weights_learn_from_both_sides_and_are_stored_once() -> None:
    data = encoders_data(
        {"left": ["words"], "right": {"inputs": ["words.2"], "same_as": "left"}}, ("concat",)
    )
    plan, facts = plan_of(data)
    model = Model(plan)
    model.start(facts, seed=0)
    inputs = batched(plan, random_rows(plan, (3, 2)))
    gradients = []
    for left, right in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        model.zero_grad()
        values = all_values(model, inputs)
        first, second = values["encoders.left.pool"], values["encoders.right.pool"]
        assert isinstance(first, Tensor) and isinstance(second, Tensor)
        (left * first.sum() + right * second.sum()).backward()
        gradients.append(
            torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        )
    torch.testing.assert_close(gradients[0] + gradients[1], gradients[2])
    assert all(bool(each.any()) for each in gradients)
    names = {weight.name for weight in weights(plan)}
    assert not any(name.startswith("encoders.right") for name in names)
    assert {name in names for name in shared_weights(plan).values()} == {True}
    file = to_onnx(plan, facts, model.canonical_arrays(), ids=True)
    large = [each.raw_data for each in initializers(file).values() if np.prod(each.dims) > 12]
    assert large and len(large) == len({*large}), "a matrix is there twice"


def test_vectors_of_no_length_have_a_cosine_and_a_gradient() -> None:
    u = torch.zeros(2, 3, requires_grad=True)
    v = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]])
    module = Model(symmetric())._module(symmetric().node("combine.cosine"))
    found = module(u, v)
    found.sum().backward()
    assert found.tolist() == [[0.0], [0.0]] and bool(u.grad is not None and u.grad.isfinite().all())


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("difference", [2.0, 2.0]), ("cosine", [11 / np.sqrt(125.0)]), ("manhattan", [np.exp(-4.0)])],
)
def test_what_each_comparison_is(kind: Any, expected: list[float]) -> None:
    """u = [1, 2] and v = [3, 4], by hand: u · v is 11, the squares are 5 and 25."""
    node = Compare("c", ("u", "v"), kind)
    values = {"u": np.array([1.0, 2.0]), "v": np.array([3.0, 4.0])}
    assert LAYERS[Compare](symmetric(), node, {}, values).tolist() == pytest.approx(expected)


def test_a_pair_of_files_rows_to_answers(tmp_path: Path) -> None:
    """Texts of unequal lengths, some of them empty, are surveyed, encoded, and read by a file."""
    spec, file = Spec.model_validate(PAIR), write_rows(tmp_path / "rows.jsonl", ROWS)
    facts = survey(spec, file)
    known = facts.inputs["right"]
    assert isinstance(known, TextFacts) and facts.inputs["left"] == known
    assert set(known.vocabulary.entries) == {"a", "b", "c", "d"} and known.longest == 3
    plan = resolve(spec, facts)
    data = encode(plan, facts, file, "jsonl", tmp_path / "cache")
    batch = data.collate(np.arange(3))
    assert [batch.inputs[name][1].tolist() for name in ("left", "right")] == [[3, 0, 1], [1, 2, 0]]
    assert batch.inputs["left"][0].shape == (3, 3) and batch.inputs["right"][0].shape == (3, 2)
    assert data.lengths(np.arange(3)).tolist() == [3, 2, 1]
    model = Model(plan).eval()
    model.load_canonical(strong_weights(plan))
    inputs = {k: (torch.from_numpy(v), torch.from_numpy(n)) for k, (v, n) in batch.inputs.items()}
    expected = tensor_of(model, inputs, "same").tolist()
    graph = to_onnx(plan, facts, model.canonical_arrays())
    session = Session(graph.SerializeToString(), threads=1)
    texts = {side: np.array([row[side] for row in ROWS], object) for side in ("left", "right")}
    found = session.run(texts)["same.probabilities"].tolist()
    assert np.allclose(found, expected, atol=1e-6)


def test_a_wrong_cell_is_told_of_its_own_column(tmp_path: Path) -> None:
    rows = [*ROWS, {"left": "a", "right": 3, "same": "no"}]
    with pytest.raises(DataError, match=r"rows.jsonl:4: column 'right' "):
        survey(Spec.model_validate(PAIR), write_rows(tmp_path / "rows.jsonl", rows))


def test_columns_of_one_encoder_have_equal_numbers_of_steps(tmp_path: Path) -> None:
    data = json.loads(json.dumps(PAIR))
    data["data"]["input"].append({"column": "tags", "as": "tokens"})
    data["encoders"]["second"] = {
        "inputs": ["right", "tags"],
        "layers": [{"cell": "gru", "units": 3}],
    }
    rows = [{**row, "tags": ["x"]} for row in ROWS]
    with pytest.raises(DataError, match="column 'tags' has 1 steps, column 'right' has 2"):
        survey(Spec.model_validate(data), write_rows(tmp_path / "rows.jsonl", rows))


def test_several_axes_are_no_stream() -> None:
    with pytest.raises(ExportError, match=r"'plain_frames' and 'plain_frames\.2' have steps of"):
        stream_of(symmetric())


NESTED: dict[str, dict[str, Any]] = {
    "attended": encoders_data(
        {
            "a": {
                "inputs": ["nested_words"],
                "layers": [
                    {"cell": "gru", "units": 4},
                    {"attend": "b", "combine": ["concat", "product"]},
                ],
                "pooling": "attention",
            },
            "b": {"inputs": ["nested_parts"], "layers": [{"cell": "gru", "units": 4}]},
        },
        outputs=[output("class")],
    ),
    "steps beside a text": encoders_data(
        {
            "a": {"inputs": ["nested_tokens"], "layers": [{"attend": "b", "score": "pooling"}]},
            "b": ["words"],
        },
        outputs=[output("tags", reads=["a"]), output("class")],
        cardinality="N:N",
    ),
    "weights in common": encoders_data(
        {"a": ["nested_parts"], "b": {"inputs": ["nested_parts.2"], "same_as": "a"}},
        ("difference", "product"),
        [output("class")],
    ),
}


@pytest.mark.parametrize("name", NESTED)
def test_nested_sequences_of_several_encoders(name: str) -> None:
    """In a batch, in torch and in the file and in one for every runtime, as row by row in the
    reference."""
    plan, facts = plan_of(NESTED[name])
    rows, canonical = random_rows(plan, (3, 0, 1, 4)), strong_weights(plan)
    expected = answers(plan, canonical, rows)
    model = Model(plan).eval()
    model.load_canonical(canonical)
    for column, found in of_torch(model, batched(plan, rows)).items():
        close(found, expected[column], column)
    labels = {node.column: labels_of(facts, node.column) for node in plan.outputs}
    for portable in (False, True):
        file = to_onnx(plan, facts, canonical, ids=True, portable=portable)
        session = Session(file.SerializeToString(), threads=1)
        onnx_agrees(plan, session.run(feeds(plan, rows)), expected, labels)
    if name == "weights in common":
        pairs = [("nested_parts", "nested_parts.2"), ("nested_parts.2", "nested_parts")]
        swapped = [{new: row[old] for new, old in pairs} for row in rows]
        found = answers(plan, canonical, swapped)["class"]
        for one, other in zip(found, expected["class"], strict=True):
            np.testing.assert_allclose(one, other, atol=1e-9)
