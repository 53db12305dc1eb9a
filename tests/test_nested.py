"""Sequences nested in steps: against documents and sentences read one by one by torch's own GRU,
how cells are read and refused, and files that are asked with texts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnspec.data import encode, survey
from rnnspec.errors import DataError, ExportError
from rnnspec.export.probes import probes
from rnnspec.plan import TextFacts, resolve
from rnnspec.plan.stream import stream_of
from rnnspec.reference import answers
from rnnspec.run.interface import interface
from rnnspec.run.parse import feeds_of, parse_cell
from rnnspec.run.session import Session
from rnnspec.spec import Spec
from rnnspec.to_c.lower import to_c
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.to_torch.length_groups import of_rows
from rnnspec.to_torch.sequences import PaddedSequence
from tests.answers import tensor_of
from tests.data_rows import write_rows
from tests.kinds import batched, output, plan_of, random_rows, spec_data, strong_weights

GRU = {"cell": "gru", "units": 4, "direction": "bidirectional"}
HAN: dict[str, Any] = {
    "name": "han",
    "cardinality": "N:1",
    "data": {
        "train": "rows.jsonl",
        "input": {
            "column": "document",
            "as": "nested",
            "of": {"as": "words"},
            "encoder": {"embed": 3, "layers": [GRU], "pooling": "attention"},
        },
        "output": {"column": "kind", "as": "class"},
    },
    "encoder": {"layers": [GRU]},
    "pooling": "attention",
}
"""Hierarchical attention networks (Yang et al. 2016)."""
ROWS = [
    {"document": ["a b b", "", "c"], "kind": "x"},
    {"document": [], "kind": "y"},
    {"document": ["b"], "kind": "x"},
]


def nested(kind: str) -> dict[str, Any]:
    """`HAN` over steps of a kind."""
    source = {**HAN["data"]["input"], "of": {"as": kind}}
    return {**HAN, "data": {**HAN["data"], "input": source}}


def gru_by_hand(weights: dict[str, Any], layer: str, inputs: int) -> nn.GRU:
    """torch's GRU with the weights of a layer, by the names of its equations."""
    made = nn.GRU(inputs, 4, bidirectional=True)
    with torch.no_grad():
        for direction, end in (("forward", ""), ("reverse", "_reverse")):
            own = direction if f"{layer}.{direction}.W_r" in weights else "forward"
            of = {n: torch.from_numpy(weights[f"{layer}.{own}.{n}"]) for n in NAMES}
            getattr(made, f"weight_ih_l0{end}").copy_(torch.cat([of[n] for n in NAMES[:3]]))
            getattr(made, f"weight_hh_l0{end}").copy_(torch.cat([of[n] for n in NAMES[3:6]]))
            getattr(made, f"bias_ih_l0{end}").copy_(torch.cat([of[n] for n in NAMES[6:9]]))
            zeros = torch.zeros(8)
            getattr(made, f"bias_hh_l0{end}").copy_(torch.cat([zeros, of["c_n"]]))
    return made


NAMES = ("W_r", "W_z", "W_n", "U_r", "U_z", "U_n", "b_r", "b_z", "b_n", "c_n")


def attended(weights: dict[str, Any], pool: str, steps: Tensor) -> Tensor:
    """Equations 5 to 7 of the paper over `[T, width]`; 0 of no steps."""
    w, b, v = (torch.from_numpy(weights[f"{pool}.{name}"]) for name in ("W", "b", "v"))
    if not len(steps):
        return torch.zeros(steps.shape[-1])
    return torch.softmax(torch.tanh(steps @ w.t() + b) @ v, 0) @ steps


@torch.no_grad()
def test_documents_are_read_as_by_loops_over_sentences(tmp_path: Path) -> None:
    """Document by document and sentence by sentence, with nn.GRU; attention by its formulas."""
    spec = Spec.model_validate(HAN)
    facts = survey(spec, write_rows(tmp_path / "rows.jsonl", ROWS))
    plan = resolve(spec, facts)
    weights = dict(strong_weights(plan))
    rows = random_rows(plan, (3, 0, 5, 1), seed=2)
    inner = gru_by_hand(weights, "nested.document.layers.0", 3)
    outer = gru_by_hand(weights, "layers.0", 8)
    table = torch.from_numpy(weights["nested.document.embed.table"])
    dense, bias = (torch.from_numpy(weights[f"answer.{name}"]) for name in ("W", "b"))
    expected = []
    for row in rows:
        sentences = []
        for sentence in row["document"]:
            states = inner(table[sentence])[0] if len(sentence) else torch.zeros(0, 8)
            sentences.append(attended(weights, "nested.document.pool", states))
        steps = outer(torch.stack(sentences))[0] if sentences else torch.zeros(0, 8)
        expected.append(torch.softmax(dense @ attended(weights, "pool", steps) + bias, 0))
    model = Model(plan).eval()
    model.load_canonical(weights)
    got = tensor_of(model, batched(plan, rows), "kind")
    np.testing.assert_allclose(got, torch.stack(expected), atol=1e-5)
    np.testing.assert_allclose(answers(plan, weights, rows)["kind"], got, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("ids", [True, False])
def test_three_levels_are_read_as_by_loops_over_packed_rows(tmp_path: Path, ids: bool) -> None:
    """Chapters of paragraphs of sentences, each level by nn.GRU over packed sequences; lists that
    are empty at each level, and rows beside which others are longer, as what trains, the reference
    and the file read them."""
    gru = {"cell": "gru", "units": 4}
    source: dict[str, Any] = {"as": "words"}
    for embed in ({"embed": 3}, {}, {}):
        source = {"as": "nested", "of": source, "encoder": {**embed, "layers": [gru]}}
    data = HAN["data"] | {"input": {"column": "document", **source}}
    spec = Spec.model_validate(
        HAN | {"data": data, "encoder": {"layers": [gru]}, "pooling": "last"}
    )
    documents: list[Any] = [
        [[["a b b", "c"], []], [["", "b"]]],
        [],
        [[], [[], ["c a"]], [[""]]],
        [[["b", "", "", "a a a a"]]],
        [[]],
    ]
    rows = [{"document": each, "kind": "xy"[at % 2]} for at, each in enumerate(documents)]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    weights = dict(strong_weights(plan))
    known = facts.inputs["document"]
    assert isinstance(known, TextFacts)
    table = torch.from_numpy(weights["nested.document.of.of.embed.table"])
    layers = {name: forward_gru(weights, f"{name}layers.0", inputs) for name, inputs in LEVELS}

    def vector(name: str, steps: list[Tensor]) -> Tensor:
        if not steps:
            return torch.zeros(4)
        rows = nn.utils.rnn.pack_sequence([torch.stack(steps)])
        last: Tensor = layers[name](rows)[1][0, 0]
        return last

    def read(level: int, value: Any) -> Tensor:
        name, _ = LEVELS[level]
        if level == 3:
            return vector(name, list(table[known.vocabulary.numbers(value.split())]))
        return vector(name, [read(level + 1, each) for each in value])

    dense, bias = (torch.from_numpy(weights[f"answer.{name}"]) for name in ("W", "b"))
    top = torch.stack([read(0, each) for each in documents])
    expected = torch.softmax(top @ dense.t() + bias, 1)
    model = Model(plan).eval()
    model.load_canonical(weights)
    batch = encode(plan, facts, file, "jsonl", tmp_path / "cache").collate(np.arange(5))
    inputs = {k: (torch.from_numpy(v), torch.from_numpy(n)) for k, (v, n) in batch.inputs.items()}
    np.testing.assert_allclose(tensor_of(model, inputs, "kind"), expected, atol=1e-5)
    columns = interface(plan, facts, ids).inputs
    numbers = [[[[known.vocabulary.numbers(s.split()) for s in p] for p in c] for c in d]
               for d in documents]  # fmt: skip
    found = answers(plan, weights, [{"document": each} for each in numbers])["kind"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    file_model = Session(to_onnx(plan, facts, weights, ids=ids).SerializeToString())
    for some in (list(range(5)), [1], [4], [1, 4]):
        given = [parse_cell(columns[0], (numbers if ids else documents)[at], False) for at in some]
        feeds = feeds_of(columns[0], given)
        feeds["document.lengths"] = np.array([len(each) for each in given], np.int64)
        answered = file_model.run(feeds)["kind.probabilities"]
        np.testing.assert_allclose(answered, expected[some], atol=1e-5)


LEVELS = (
    ("", 4),
    ("nested.document.", 4),
    ("nested.document.of.", 4),
    ("nested.document.of.of.", 3),
)


def forward_gru(weights: dict[str, Any], layer: str, inputs: int) -> nn.GRU:
    both = gru_by_hand(weights, layer, inputs)
    found = nn.GRU(inputs, 4)
    found.load_state_dict({n: w for n, w in both.state_dict().items() if "reverse" not in n})
    return found


def test_a_decoder_attends_to_the_steps(tmp_path: Path) -> None:
    data = nested("tokens") | {"cardinality": "N:M"}
    data["data"] = {**data["data"], "output": {"column": "kind", "as": "chars"}}
    data["decoder"] = {"layers": [{"cell": "gru", "units": 4}], "attention": "additive"}
    del data["pooling"]
    rows: list[dict[str, Any]] = [
        {"document": [["a", "b"], []], "kind": "xy"},
        {"document": [], "kind": "y"},
    ]
    spec = Spec.model_validate(data)
    facts = survey(spec, write_rows(tmp_path / "rows.jsonl", rows))
    plan = resolve(spec, facts)
    weights = strong_weights(plan)
    file = to_onnx(plan, facts, weights)
    given = np.full((2, 2, 2), "", object)
    given[0, 0] = ["a", "b"]
    lengths = np.array([2, 0], np.int64)
    found = Session(file.SerializeToString()).run({"document": given, "document.lengths": lengths})
    expected = answers(
        plan, weights, [{"document": [[2, 3], []]}, {"document": []}]
    )["kind"]  # fmt: skip
    names = facts.outputs["kind"]
    assert isinstance(names, TextFacts)
    texts = ["".join(names.vocabulary.entries[n - 2] for n in t.tokens[0]) for t in expected]
    assert found["kind"].tolist() == texts


# ---------------------------------------------------------------- data


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_rows_become_batches_padded_at_both_levels(tmp_path: Path, ending: str) -> None:
    spec = Spec.model_validate(HAN)
    rows: list[dict[str, Any]] = ROWS
    if ending == "csv":
        rows = [{**row, "document": str(row["document"]).replace("'", '"')} for row in ROWS]
    file = write_rows(tmp_path / f"rows.{ending}", rows)
    facts = survey(spec, file)
    known = facts.inputs["document"]
    assert isinstance(known, TextFacts)
    assert known.vocabulary.entries == ("b", "a", "c")
    assert (known.longest, known.longest_step) == (3, 3)
    plan = resolve(spec, facts)
    dataset = encode(plan, facts, file, ending, tmp_path / "cache")  # type: ignore[arg-type]
    values, lengths = dataset.collate(np.arange(3)).inputs["document"]
    assert lengths.tolist() == [3, 0, 1]
    assert values.tolist() == [
        [[3, 2, 2], [0, 0, 0], [4, 0, 0]],
        [[0, 0, 0]] * 3,
        [[2, 0, 0], [0, 0, 0], [0, 0, 0]],
    ]


@pytest.mark.parametrize(
    ("kind", "cell", "message"),
    [
        ("words", "a b", "is the text 'a b', expected a list of texts"),
        ("words", None, "is null, expected a list of texts"),
        ("words", ["a", ["b"]], "step 2 is a list, expected a text; a list of texts is read with"),
        ("words", ["a", 3], "step 2 is the number 3, expected a text"),
        ("chars", ["a", "\0"], "step 2 holds the character U+0000"),
        ("tokens", [["a"], "b c"], "step 2 is the text 'b c', expected a list of texts; a text is"),
        ("tokens", [["a"], [["b"]]], "step 2 token 1 is a list, expected a label"),
        ("tokens", [["a", ""]], "step 1 token 2 is empty"),
    ],
)
def test_cells_of_another_nesting_are_refused(
    tmp_path: Path, kind: str, cell: Any, message: str
) -> None:
    first = {"document": [["a"]] if kind == "tokens" else ["a"], "kind": "x"}
    file = write_rows(tmp_path / "rows.jsonl", [first, {"document": cell, "kind": "y"}])
    with pytest.raises(DataError, match=re.escape(f":2: column 'document' {message}")):
        survey(Spec.model_validate(nested(kind)), file)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (["a"], "step 1 is the text 'a', expected a list of texts; a text is one level"),
        (
            [["a"], [["b"]]],
            "step 2 step 1 is a list, expected a text; a list of texts is read with",
        ),
        ([["a"], None], "step 2 is null, expected a list of texts"),
        (None, "is null, expected a list of lists of texts"),
    ],
)
def test_cells_of_other_levels_are_refused(tmp_path: Path, cell: Any, message: str) -> None:
    source = {**HAN["data"]["input"], "of": {**HAN["data"]["input"], "column": None}}
    del source["of"]["column"]
    spec = Spec.model_validate(HAN | {"data": {**HAN["data"], "input": source}})
    rows = [{"document": [["a"]], "kind": "x"}, {"document": cell, "kind": "y"}]
    with pytest.raises(DataError, match=re.escape(f":2: column 'document' {message}")):
        survey(spec, write_rows(tmp_path / "rows.jsonl", rows))


def test_rows_without_anything_in_any_step_are_refused(tmp_path: Path) -> None:
    file = write_rows(tmp_path / "rows.jsonl", [{"document": ["", ""], "kind": "x"}])
    with pytest.raises(DataError, match="column 'document' has no word in any training row"):
        survey(Spec.model_validate(HAN), file)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("kind", ["words", "chars", "tokens"])
def test_what_stands_past_a_step_or_a_row_changes_nothing(tmp_path: Path, kind: str) -> None:
    """A file that reads texts answers each row as if it came alone."""
    rows: list[dict[str, Any]] = ROWS
    if kind == "tokens":
        rows = [{**row, "document": [s.split() for s in row["document"]]} for row in ROWS]
    spec = Spec.model_validate(nested(kind))
    facts = survey(spec, write_rows(tmp_path / "rows.jsonl", rows))
    plan = resolve(spec, facts)
    session = Session(to_onnx(plan, facts, strong_weights(plan)).SerializeToString())

    def asked(documents: list[Any], steps: int, inside: int, past: str) -> np.ndarray:
        shape = (len(documents), steps, inside) if kind == "tokens" else (len(documents), steps)
        given = np.full(shape, past, object)
        for into, document in zip(given, documents, strict=True):
            for at, step in enumerate(document):
                into[at] = [*step, *[""] * (inside - len(step))] if kind == "tokens" else step
        lengths = np.array([len(each) for each in documents], np.int64)
        feeds = {"document": given, "document.lengths": lengths}
        return session.run(feeds)["kind.probabilities"]

    documents = [row["document"] for row in rows]
    together = asked(documents, 5, 4, "c")
    for document, found in zip(documents, together, strict=True):
        most = max((len(step) for step in document), default=0)
        alone = asked([document], len(document), most, "")[0]
        np.testing.assert_allclose(found, alone, atol=1e-6)
    assert np.ptp(together, axis=0).min() > 1e-3


@pytest.mark.parametrize("kind", ["nested_words", "nested_tokens", "nested_books", "spelled"])
def test_sequences_of_unlike_lengths_are_read_in_groups(
    monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Answers and gradients are those of one padded batch, of which most would be padding."""
    plan, _ = plan_of(spec_data("N:1", [kind], [output("class")]))
    rows = random_rows(plan, (3, 0, 5, 2, 4), seed=4)
    column = "spelled.characters" if kind == "spelled" else kind
    innermost = next(row for row in rows if len(row[column]) == 5)[column]
    for _ in range(2 if kind == "nested_books" else 0):
        innermost = next(step for step in innermost if len(step))
    innermost[0] = np.tile(np.array([2, 3, 1]), 40)
    model = Model(plan)
    model.load_canonical(strong_weights(plan))
    read = list[int]()

    def noted(inside: PaddedSequence, rows: Tensor) -> PaddedSequence:
        read.append(len(rows))
        return of_rows(inside, rows)

    monkeypatch.setattr("rnnspec.to_torch.values.of_rows", noted)

    def answered(least: int) -> tuple[Tensor, list[Tensor]]:
        monkeypatch.setattr("rnnspec.to_torch.length_groups.LEAST_PADDING", least)
        model.zero_grad()
        (found,) = model(batched(plan, rows)).values()
        found.square().sum().backward()
        return found, [p.grad.clone() for p in model.parameters() if p.grad is not None]

    whole, slopes = answered(10**9)
    assert not read
    found, found_slopes = answered(1)
    assert len(read) >= 2
    torch.testing.assert_close(found, whole, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found_slopes, slopes, atol=1e-5, rtol=1e-4)


def test_a_batch_norm_learns_from_all_sequences_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its moments are those of the batch, not of a group, of which answers may be made."""
    spec = spec_data("N:1", ["nested_words"], [output("class")])
    inner = {"embed": 3, "layers": [{"conv": 3, "size": 2, "norm": "batch"}], "pooling": "mean"}
    spec["data"]["input"][0]["encoder"] = inner
    plan, _ = plan_of(spec)
    rows = random_rows(plan, (3, 0, 5, 2, 4), seed=4)
    next(row for row in rows if len(row["nested_words"]) == 5)["nested_words"][0] = np.tile(
        np.array([2, 3, 1]), 40
    )
    read = list[int]()

    def noted(inside: PaddedSequence, rows: Tensor) -> PaddedSequence:
        read.append(len(rows))
        return of_rows(inside, rows)

    monkeypatch.setattr("rnnspec.to_torch.values.of_rows", noted)

    def answered(least: int, training: bool) -> Tensor:
        monkeypatch.setattr("rnnspec.to_torch.length_groups.LEAST_PADDING", least)
        model = Model(plan).train(training)
        model.load_canonical(strong_weights(plan))
        return torch.cat([found.detach() for found in model(batched(plan, rows)).values()])

    for training in (True, False):
        whole, found = answered(10**9, training), answered(1, training)
        torch.testing.assert_close(found, whole, atol=1e-6, rtol=1e-5)
        assert bool(read) != training


def test_probes_are_ragged_at_both_levels() -> None:
    plan, facts = plan_of(spec_data("N:1", ["nested_tokens"], [output("class")]))
    steps = [step for probe in probes(plan, facts) for row, n in zip(
        probe.feeds["nested_tokens"], probe.lengths, strict=True
    ) for step in row[:n]]  # fmt: skip
    assert {sum(map(bool, step)) for step in steps} >= {0, 1, 2, 3, 4}


def test_streams_keep_the_states_between_steps_alone() -> None:
    plan, _ = plan_of(spec_data("N:N", ["nested_words"], [output("tags")]))
    assert [state.name for state in stream_of(plan).states] == ["layers.0.h"]
    plan, _ = plan_of(spec_data("N:N", ["nested_parts"], [output("tags")]))
    assert [state.name for state in stream_of(plan).states] == ["layers.0.h"]


def test_there_is_no_program_of_it() -> None:
    plan, facts = plan_of(spec_data("N:N", ["nested_words"], [output("tags")]))
    with pytest.raises(ExportError, match="column 'nested_words' has a sequence in each step, and"):
        to_c(plan, facts, strong_weights(plan))
