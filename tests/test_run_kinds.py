"""Model files of every kind of column, asked by rows as a user has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest

import rnnspec
from rnnspec.cli.rows import described
from rnnspec.data import survey
from rnnspec.errors import DataError, ExportError
from rnnspec.export import export_onnx
from rnnspec.plan import ClassFacts, Facts, Plan, resolve
from rnnspec.plan.names import labels_of
from rnnspec.reference import answers
from rnnspec.run import Model, interface
from rnnspec.run.interface import PARITY, PLAN, SPEC, VERSION, InputColumn, InputKind
from rnnspec.run.session import Session
from rnnspec.spec import Spec
from rnnspec.store.folder import BuildFolder, Trained
from rnnspec.to_onnx import add_metadata, to_onnx
from tests import ctc
from tests.column_facts import LETTERS, TOKENS
from tests.kinds import (
    DIFFERENCED,
    HORIZON,
    SEQUENCES,
    SOUNDS,
    STATICS,
    Row,
    feeds,
    output,
    plan_of,
    spec_data,
)
from tests.kinds import strong_weights as weights_of
from tests.onnx_kinds import rows_of_texts

LENGTHS = (3, 0, 1, 5, 2)
ENTRIES = {"out_chars": LETTERS, "out_tokens": TOKENS}


def written(folder: Path, plan: Plan, facts: Facts, ids: bool = False, size: float = 0.6) -> Model:
    model = to_onnx(plan, facts, weights_of(plan, size=size), ids=ids)
    rest = {SPEC: "name: test", PLAN: "plan", VERSION: rnnspec.__version__, PARITY: "{}"}
    add_metadata(model, rest | interface(plan, facts, ids).metadata())
    onnx.save(model, folder / "model.onnx")
    return Model.load(folder / "model.onnx", threads=1)


def lists(value: Any) -> Any:
    return (
        [lists(each) for each in value] if isinstance(value, list) else np.asarray(value).tolist()
    )


def asked(row: Row, told: Mapping[str, Any], ids: bool, textual: bool = False) -> dict[str, Any]:
    """A row as a user writes it: in JSON, or as the cells of a CSV."""
    found: dict[str, Any] = {}
    for key, value in row.items():
        if not ids and key.endswith(".characters"):
            continue
        if ids and key == "key_steps":
            value = [np.flatnonzero(step).tolist() for step in value]
        elif (ids and key.startswith("nested")) or key.endswith(".characters"):
            value = lists(value)
        elif key == "image":  # whose columns are the steps
            value = np.swapaxes(np.asarray(value), 0, 1).tolist()
        elif key == "video":
            value = np.reshape(value, (len(value), 2, 3, 3)).tolist()
        elif not ids and key in told:
            value = told[key]
        else:
            value = _with_nulls(np.asarray(value).tolist())
        if key.endswith("number"):
            (value,) = value
        if textual and not (isinstance(value, str) and key not in ("tokens", "key_steps")):
            value = "" if value is None else json.dumps(value)
        found[key] = value
    return found


def _with_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_nulls(each) for each in value]
    return None if value != value else value


def check(
    folder: Path, inputs: Sequence[str], outputs: Sequence[Mapping[str, Any]], **more: Any
) -> None:
    data = spec_data(more.pop("cardinality", "N:N"), inputs, outputs, **more)
    plan, facts = plan_of(data)
    rows, texts = rows_of_texts(plan, facts, LENGTHS)
    wanted = answers(plan, weights_of(plan), rows)
    for ids in (False, True):
        model = written(folder, plan, facts, ids)
        for textual in (False, True):
            given = [asked(r, t, ids, textual) for r, t in zip(rows, texts, strict=True)]
            for batch in (1, 3):
                found = list(model.answer(given, batch=batch, textual=textual))
                json.dumps(found)
                for number, answer in enumerate(found):
                    compare(facts, answer, {c: v[number] for c, v in wanted.items()})


def compare(facts: Facts, answer: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    close: Any = {"rtol": 1e-4, "atol": 2e-5}
    for column, expected in wanted.items():
        value: Any = answer[column]
        shares: Any = answer.get(f"{column}.probabilities")
        if column == "tags":
            names = labels_of(facts, column)
            assert value == [names[step.argmax()] for step in expected]
            np.testing.assert_allclose(shares, [step.max() for step in expected], **close)
        elif column == "keys":
            names, known = labels_of(facts, column), facts.outputs[column]
            assert isinstance(known, ClassFacts)
            least = known.thresholds or (0.5,) * len(names)
            on = [
                [n for n, *p in zip(names, s, least, strict=True) if p[0] > p[1]] for s in expected
            ]
            assert value == on
            assert [list(step) for step in shares] == on
        elif column in ("class", "labels"):
            np.testing.assert_allclose(list(shares.values()), expected, **close)
        else:
            np.testing.assert_allclose(value, np.reshape(expected, np.shape(value)), **close)


@pytest.mark.parametrize("kind", [*(name for name in SEQUENCES if "series" not in name), *SOUNDS])
def test_each_sequence(kind: str, tmp_path: Path) -> None:
    check(tmp_path, [kind, "category"], [output("tags"), output("keys"), output("out_frames")])


def test_inputs_together(tmp_path: Path) -> None:
    kinds = ["words", "frames", "key_steps", "chars", *STATICS]
    check(tmp_path, kinds, [output("class"), output("labels")], cardinality="N:1")


@pytest.mark.parametrize("static", [["category"], ["number"], list(STATICS)])
def test_vectors_alone(static: Sequence[str], tmp_path: Path) -> None:
    outputs = [output("class"), output("out_number"), output("out_vector")]
    check(tmp_path, static, outputs, cardinality="1:1")


@pytest.mark.parametrize("kind", [*(name for name in SEQUENCES if "series" in name), *DIFFERENCED])
def test_series(kind: str, tmp_path: Path) -> None:
    ahead = {"column": kind, "as": "forecast", "horizon": HORIZON, "distribution": "point"}
    plan, facts = plan_of(spec_data("N:M", [kind, "number"], [ahead]))
    rows, _ = rows_of_texts(plan, facts, LENGTHS)
    wanted = answers(plan, weights_of(plan), rows)[kind]
    model = written(tmp_path, plan, facts)
    found = model.answer(asked(row, {}, False) for row in rows)
    for answer, expected in zip(found, wanted, strict=True):
        np.testing.assert_allclose(answer[kind], expected[:, 0], rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Model:
    data = spec_data("N:1", ["tokens", "raw_frames", "known_series", "vector"], [output("class")])
    data["data"]["output"].append(
        {"column": "known_series", "as": "forecast", "horizon": HORIZON, "distribution": "point"}
    )
    data["cardinality"] = "N:M"
    data["data"]["output"] = data["data"]["output"][1:]
    return written(tmp_path_factory.mktemp("together"), *plan_of(data))


GOOD: dict[str, Any] = {
    "tokens": ["T1", "T9"],
    "raw_frames": [[1, None], None],
    "known_series": [1, 2],
    "known_series.future": [1, 2, 3],
    "vector": [1, None, 3, 4],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": "T1 T2"}, "column 'tokens' is the text 'T1 T2', expected a list of texts"),
        ({"tokens": ["T1", ""]}, "column 'tokens' token 2 is empty"),
        ({"tokens": ["T1"]}, "column 'raw_frames' has 2 steps, and 'tokens' has 1; the model"),
        ({"raw_frames": [[1, 2]]}, "column 'raw_frames' has 1 step, and 'tokens' has 2"),
        ({"raw_frames": [[1], [2]]}, "column 'raw_frames' has 1 numbers in each step"),
        ({"known_series": [1, None]}, "column 'known_series' number 2 is null"),
        ({"known_series.future": [1, 2]}, "column 'known_series.future' has 2 numbers, the model"),
        ({"known_series.future": None}, "column 'known_series.future' is null"),
        ({"vector": [1, 2, 3]}, "column 'vector' has 3 numbers, the model reads 4"),
        ({"vector": "1"}, "column 'vector' is the text '1', expected a list of numbers"),
    ],
)
def test_wrong_rows_are_named(together: Model, change: Mapping[str, Any], message: str) -> None:
    (answer,) = together.answer([GOOD])
    assert len(answer["known_series"]) == HORIZON
    with pytest.raises(DataError, match=f"row 2: {message}") as caught:
        list(together.answer([GOOD, {**GOOD, **change}]))
    assert "as: " not in str(caught.value)  # a file reads as it was trained


@pytest.mark.parametrize(
    ("kind", "cell", "message"),
    [
        ("nested_words", [["one"]], "step 1 is a list, expected a text"),
        ("nested_tokens", ["one"], "step 1 is the text 'one', expected a list of texts"),
        ("nested_parts", [["one"], "one"], "step 2 is the text 'one', expected a list of texts"),
    ],
)
def test_cells_of_another_nesting(kind: str, cell: Any, message: str, tmp_path: Path) -> None:
    """Without a word about keys of the spec, as where they are trained on."""
    model = written(tmp_path, *plan_of(spec_data("N:1", [kind], [output("class")])))
    with pytest.raises(DataError) as caught:
        list(model.answer([{kind: cell}]))
    assert str(caught.value) == f"row 1: column {kind!r} {message}"


def test_rows_that_are_all_missing(together: Model) -> None:
    row = GOOD | {"raw_frames": [None, None], "vector": None}
    same = GOOD | {"raw_frames": [[None, None]] * 2, "vector": [None] * 4}
    one, other = together.answer([row, same])
    assert one == other


@pytest.mark.parametrize("cell", [[2, 99], [2.5], "x", [-1], None])
def test_wrong_numbers_of_tokens_are_named(cell: Any, tmp_path: Path) -> None:
    plan, facts = plan_of(spec_data("N:1", ["spelled", "category"], [output("class")]))
    model = written(tmp_path, plan, facts, ids=True)
    row = {"spelled": [2, 1], "spelled.characters": [[2, 3], []], "category": 1}
    assert len(list(model.answer([row]))) == 1
    for column in row:
        with pytest.raises(DataError, match=f"row 1: column '{column}'"):
            list(model.answer([row | {column: cell}]))


def test_labels_are_told_where_a_file_answers_their_numbers(tmp_path: Path) -> None:
    row_of = [{"frames": [[1.0, -2.0, 0.5]] * steps} for steps in (3, 0, 5)]
    for cardinality, outputs in (("N:1", ["class", "labels"]), ("N:N", ["tags", "keys", "path"])):
        plan, facts = plan_of(spec_data(cardinality, ["frames"], [output(o) for o in outputs]))
        whole = written(tmp_path, plan, facts)
        expected = list(whole.answer(row_of, batch=3))
        numbers = written(tmp_path, plan, facts, ids=True)
        assert list(numbers.answer(row_of, batch=3)) == expected
        assert expected[0] != expected[1]


@pytest.fixture
def subwords(tmp_path: Path) -> Path:
    """A model file of subwords with its tokenizer beside it."""
    pytest.importorskip("tokenizers", reason="subwords need the library tokenizers")
    rows = ["the cat sat on the mat", "the dog sat", "a cat and a dog", "猫 cat"] * 3
    lines = [json.dumps({"text": text, "class": "ab"[i % 2]}) for i, text in enumerate(rows)]
    (tmp_path / "train.jsonl").write_text("\n".join(lines) + "\n")
    data = spec_data("N:1", ["chars"], [output("class")])
    data["data"]["input"] = {"column": "text", "as": "subwords", "size": 300}
    spec = Spec.model_validate(data)
    facts = survey(spec, tmp_path / "train.jsonl")
    plan = resolve(spec, facts)
    build = Trained(BuildFolder(tmp_path), spec, plan, facts, weights_of(plan))
    with pytest.raises(ExportError, match=r"no operator of onnxruntime makes of a text.*--ids"):
        export_onnx(build, tmp_path / "model.onnx")
    export_onnx(build, tmp_path / "model.onnx", ids=True)
    return tmp_path / "model.onnx"


def test_subwords_by_the_tokenizer_beside_the_model(subwords: Path) -> None:
    from tokenizers import Tokenizer

    texts = ["the cat", "", "a dog sat on 猫", "unheard ü"]
    tokenizer = Tokenizer.from_file(str(subwords.parent / "tokenizer.json"))
    numbers = [tokenizer.encode(text).ids for text in texts]
    model = Model.load(subwords, threads=1)
    of_texts = list(model.answer([{"text": text} for text in texts]))
    assert of_texts == list(model.answer([{"text": row} for row in numbers]))
    assert of_texts == list(model.answer([{"text": str(row)} for row in numbers], textual=True))
    assert len({json.dumps(answer) for answer in of_texts}) == len(texts)
    (subwords.parent / "tokenizer.json").unlink()
    alone = Model.load(subwords, threads=1)
    assert list(alone.answer([{"text": numbers[0]}])) == of_texts[:1]
    with pytest.raises(DataError, match=r"row 1: column 'text' is a text, and .*put it beside"):
        list(alone.answer([{"text": "the cat"}]))


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([[1, None, 2]], "has in step 1, number 2, no time since the step before"),
        ([[1, 2, 2], [1, -3, 2]], "has in step 2, number 2, -3, a negative time"),
    ],
)
def test_a_time_since_the_step_before_is_asked_for_as_in_training(
    tmp_path: Path, steps: list[Any], message: str
) -> None:
    data = spec_data("N:1", ["frames"], [output("class")], [{"cell": "cfc", "units": 3}])
    data["data"]["input"][0]["elapsed"] = 1
    model = written(tmp_path, *plan_of(data))
    with pytest.raises(DataError, match=message):
        list(model.answer([{"frames": steps}]))
    (answer,) = model.answer([{"frames": [[None, 2, None], [1, 0, 2]]}])
    assert answer["class"] in ("a", "b", "c")


@pytest.mark.parametrize("kind", ["out_chars", "out_tokens"])
@pytest.mark.parametrize("decoder", [ctc.aligned, partial(ctc.transduced, symbols=1)])
def test_of_a_row_with_fewer_answers_than_asked_for_there_are_those(
    decoder: Callable[..., dict[str, Any]], kind: str, tmp_path: Path
) -> None:
    """A row of no steps has one, of the probability 1; a row of one step none of two tokens. In the
    file empty ones of log-probability -inf follow, as in the reference."""
    plan, facts = plan_of(decoder(kind=kind, strategy=ctc.beam(9, 8)))
    rows: list[Row] = [{"frames": np.ones((count, 3), np.float32)} for count in (0, 1)]
    expected = answers(plan, weights_of(plan), rows)[kind]
    model = written(tmp_path, plan, facts)
    for number, answer in enumerate(model.answer([{"frames": r["frames"].tolist()} for r in rows])):
        best, real = answer[f"{kind}.n_best"], 1 if number == 0 else 1 + len(ENTRIES[kind])
        assert len(best) == real and best[0]["answer"] == answer[kind]
        scores = expected[number].scores
        assert [b["score"] for b in best] == pytest.approx(list(scores[:real]), abs=1e-4)
        assert scores[real:] == (-np.inf,) * (8 - real)
        assert expected[number].tokens[real:] == ((),) * (8 - real)
    given = Session((tmp_path / "model.onnx").read_bytes(), threads=1).run(feeds(plan, rows))
    wanted = [one.scores for one in expected]
    np.testing.assert_allclose(given[f"{kind}.scores"], wanted, rtol=1e-4, atol=1e-5)
    assert not any(given[kind][np.isneginf(wanted)].flat)


def test_every_kind_of_input_is_told_in_words() -> None:
    for kind in get_args(InputKind):
        told = described([InputColumn("x", kind, width=2)])
        assert told.startswith(("'x' (a ", "'x' (the ")), told
