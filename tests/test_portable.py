"""Files for every runtime: numbers, operators of the standard, masks in the place of lengths.

The reference evaluator of ONNX ignores `sequence_lens`, as OpenVINO does: a file whose recurrent
operators are told lengths is answered wrongly there, and a portable one as the module does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from rnnspec.errors import ExportError, ModelFileError
from rnnspec.export import export_onnx
from rnnspec.export.parity import Parity
from rnnspec.export.probes import probes
from rnnspec.plan import resolve
from rnnspec.plan.names import labels_of
from rnnspec.plan.stream import stream_of
from rnnspec.reference import answers
from rnnspec.run import Model
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_onnx.evaluated import Evaluated
from rnnspec.to_onnx.native import NATIVE
from rnnspec.to_onnx.opsets import needed
from tests import ctc, decoders, frame_decoders, layers
from tests.answers import onnx_agrees
from tests.kinds import feeds, output, plan_of, random_rows, spec_data, strong_weights
from tests.models import frames_facts, random_weights
from tests.onnx_models import assert_no_texts
from tests.random_builds import trained

LENGTHS = (5, 1, 0, 3)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnspec.export.write.probes", partial(probes, seeds=1))


def nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from nodes_of(attribute.g)


def check_standard(file: onnx.ModelProto) -> None:
    assert_no_texts(file)
    assert {each.domain for each in file.opset_import} == {""}
    for node in nodes_of(file.graph):
        if node.op_type in ("RNN", "GRU", "LSTM"):
            assert len(node.input) < 5 or not node.input[4], f"{node.name} is told lengths"
            assert {each.s for each in node.attribute if each.name == "direction"} == {b"forward"}


def of_cell(cell: str, direction: str, number: int) -> dict[str, Any]:
    sizes = {"sizes": {"projection": 3}} if cell == "lstm_projected" else {}
    initial, pooling = (("learned", "last"), ("zeros", "mean"))[number % 2]
    layer = {"cell": cell, "units": 4, "direction": direction, "initial_state": initial, **sizes}
    return {"layers": [layer], "pooling": pooling}


CELLS = {
    f"{cell} {direction}": of_cell(cell, direction, at + number)
    for at, cell in enumerate(NATIVE)
    for number, direction in enumerate(("forward", "reverse", "bidirectional"))
}


@pytest.mark.parametrize("name", [*CELLS, *list(layers.PLANS)[::6]])
def test_every_layer(name: str) -> None:
    """As the reference of rnnspec answers, in onnxruntime and in the evaluator of ONNX."""
    spec = layers.spec(CELLS.get(name) or layers.PLANS[name])
    facts = frames_facts()
    plan = resolve(spec, facts)
    weights, rows = random_weights(plan), random_rows(plan, LENGTHS)
    file = to_onnx(plan, facts, weights, portable=True)
    check_standard(file)
    labels = {"label": labels_of(facts, "label")}
    expected = answers(plan, weights, rows)
    evaluators: list[Any] = [Session(file.SerializeToString(), threads=1)]
    if not any(each.name == "activations" for n in file.graph.node for each in n.attribute):
        evaluators.append(Evaluated(file))  # which knows no Relu in them
    for evaluator in evaluators:
        onnx_agrees(plan, evaluator.run(feeds(plan, rows, 2, 3.7)), expected, labels)
        for number, row in enumerate(rows):
            one = {column: found[number : number + 1] for column, found in expected.items()}
            onnx_agrees(plan, evaluator.run(feeds(plan, [row])), one, labels)


def test_lengths_that_operators_are_told_are_ignored_elsewhere() -> None:
    """What portable files are for."""
    plan, facts = plan_of(spec_data("N:1", ["frames"], [output("class")], [LSTM]))
    weights, fed = strong_weights(plan), feeds(plan, random_rows(plan, LENGTHS), 2, 3.7)
    whole = to_onnx(plan, facts, weights, ids=True)
    right = Session(whole.SerializeToString(), threads=1).run(fed)["class.probabilities"]
    wrong = Evaluated(whole).run(fed)["class.probabilities"]
    assert np.abs(right - wrong).max() > 0.01
    found = Evaluated(to_onnx(plan, facts, weights, portable=True)).run(fed)["class.probabilities"]
    np.testing.assert_allclose(found, right, atol=1e-6)


LSTM = {"cell": "lstm", "units": 4, "direction": "bidirectional"}
SPECS: dict[str, Mapping[str, Any]] = {
    "classes": spec_data(
        "N:1",
        ["spelled", "frames", "category", "number"],
        [output("class"), output("labels")],
        [LSTM],
    ),
    "tags": spec_data("N:N", ["key_steps"], [output("tags"), output("keys")], [LSTM]),
    "sound": spec_data("N:1", ["log_mel"], [output("class")]),
    "both ways": decoders.SPECS["lstm both ways"],
    "copy": decoders.SPECS["copy"],
    "greedy": ctc.SPECS["greedy"],
    "transducer": ctc.TRANSDUCERS["transducer"],
    "written frames": frame_decoders.SPECS["again, reverse"],
}


@pytest.mark.parametrize("name", SPECS)
def test_proven_twice(name: str, tmp_path: Path) -> None:
    parity = exported(SPECS[name], tmp_path, portable=True)
    assert "rows are answered so by the reference evaluator of ONNX too" in parity.reference
    check_standard(onnx.load(tmp_path / "model.onnx"))


def test_long_axes_are_gathered_in_the_reference_evaluator() -> None:
    """Among 100 values, more than its own GatherElements takes; inside a branch too."""
    text = """<ir_version: 8, opset_import: ["": 17]>
        long (float[2, 100] x, int64[2, 3] at, bool yes) => (float[2, 3] y, float[2, 3] z) {
            y = GatherElements<axis = 1>(x, at)
            z = If (yes) <
                then_branch = one () => (float[2, 3] a) { a = GatherElements<axis = 1>(x, at) },
                else_branch = two () => (float[2, 3] b) { b = Identity(y) }
            >
        }"""
    x = np.arange(200, dtype=np.float32).reshape(2, 100)
    fed = {"x": x, "at": np.array([[99, 0, -1], [40, 64, 33]]), "yes": np.array(True)}
    found = Evaluated(onnx.parser.parse_model(text)).run(fed)
    for name in "yz":
        assert found[name].tolist() == [[99, 0, 99], [140, 164, 133]]


def exported(data: Mapping[str, Any], folder: Path, **options: Any) -> Parity:
    return export_onnx(trained(data), folder / "model.onnx", **options)


def test_what_the_evaluator_does_not_know_is_told(tmp_path: Path) -> None:
    parity = exported(spec_data("N:N", ["frames"], [output("path")]), tmp_path, portable=True)
    assert parity.reference.startswith("not proven in the reference evaluator of ONNX: Scan")


@pytest.mark.parametrize(
    ("data", "strategy", "reason"),
    [
        (SPECS["both ways"], "sample", "drawn by whole numbers of 64 bits"),
        (SPECS["greedy"], "beam:3", "searched by a beam that knows what it has read by"),
        (SPECS["transducer"], "beam:3", "add --strategy greedy, or leave out --portable"),
    ],
)
def test_what_is_answered_wrongly_elsewhere_is_refused(
    data: Mapping[str, Any], strategy: str, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=f"does not run everywhere: the text of .*{reason}"):
        exported(data, tmp_path, portable=True, strategy=strategy)
    assert not [*tmp_path.iterdir()]


def test_columns_of_float64_are_refused(tmp_path: Path) -> None:
    data = spec_data("N:1", ["double_frames"], [output("class")])
    with pytest.raises(ExportError, match="numbers of column 'double_frames' are float64"):
        exported(data, tmp_path, portable=True)


@pytest.mark.parametrize("options", [{}, {"step": True}, {"joined": True, "bits": "float16"}])
def test_streams(options: Mapping[str, Any], tmp_path: Path) -> None:
    stack = [{"cell": cell, "units": 16} for cell in ("lstm", "gru", "rnn", "mgu")]
    data = spec_data("N:N", ["frames"], [output("tags")], stack)
    parity = exported(data, tmp_path, portable=True, stream=True, batch=2, **options)
    assert "reference evaluator of ONNX too" in parity.reference
    check_standard(onnx.load(tmp_path / "model.onnx"))


def test_weights_in_8_bits_are_stored_alone(tmp_path: Path) -> None:
    data = spec_data("N:1", ["frames"], [output("class")], [{"cell": "gru", "units": 256}])
    parity = exported(data, tmp_path, portable=True, bits="int8")
    assert parity.reference
    check_standard(onnx.load(tmp_path / "model.onnx"))


def test_a_fixed_batch(tmp_path: Path) -> None:
    data = spec_data("N:N", ["words"], [output("tags")])
    exported(data, tmp_path, batch=3)
    free, fixed = tmp_path / "free.onnx", tmp_path / "model.onnx"
    export_onnx(trained(data), free)
    shapes = [each.type.tensor_type.shape.dim[0] for each in onnx.load(fixed).graph.input]
    assert {each.dim_value for each in shapes} == {3}
    rows = [{"words": text} for text in ("one two", "", "three", "two two one", "unheard")]
    expected = list(Model.load(free, threads=1).answer(rows))
    model = Model.load(fixed, threads=1)
    assert [each["tags"] for each in model.answer(rows)] == [each["tags"] for each in expected]
    with pytest.raises(ModelFileError, match=r"answers 3 rows in each call .*, not 4"):
        model.session.run({"words": np.array(["a"] * 4, object)})
    with pytest.raises(ExportError, match="--batch 0: expected a number of rows"):
        exported(data, tmp_path, batch=0)


@pytest.mark.parametrize("kind", ["words", "spelled", "ruled_words", "bytes", "key_steps"])
def test_the_description_says_how_texts_become_numbers(kind: str, tmp_path: Path) -> None:
    data = spec_data("N:1", [kind, "category"], [output("class"), output("labels")])
    exported(data, tmp_path, ids=True)
    known = json.loads((tmp_path / "model.json").read_text())
    session = Session(tmp_path / "model.onnx", threads=1)
    assert [each["name"] for each in known["graph"]["inputs"]] == [*session.inputs]
    assert [each["name"] for each in known["graph"]["outputs"]] == [*session.outputs]
    assert known["numbers"]["class"]["vocabulary"] == ["a", "b", "c"]
    vocabulary = known["numbers"]["category.ids"]["vocabulary"]
    assert vocabulary[:2] == ["<end>", "<unknown>"]
    for name, rule in known["numbers"].items():
        assert rule["rule"]
        assert name in {*session.inputs, *session.outputs}
    runtime = json.loads(session.metadata["rnnspec.runtime"])
    assert {key: known[key] for key in runtime} == runtime


def test_a_rule_that_is_followed_answers_as_the_text_does(tmp_path: Path) -> None:
    data = spec_data("N:1", ["words"], [output("class")])
    data["data"]["input"][0]["fold_case"] = True
    exported(data, tmp_path, ids=True)
    rule = json.loads((tmp_path / "model.json").read_text())["numbers"]
    place = {token: at for at, token in enumerate(rule["words.ids"]["vocabulary"])}
    assert rule["words.ids"]["lower_case"] and rule["words.ids"]["split"] == "whitespace"
    texts = ["One TWO three", "none", "three"]
    numbers = [[place.get(word, 1) for word in text.lower().split()] for text in texts]
    labels = [
        each["class"]
        for each in Model.load(tmp_path / "model.onnx").answer([{"words": row} for row in numbers])
    ]
    export_onnx(trained(data), tmp_path / "text.onnx")
    whole = Model.load(tmp_path / "text.onnx").answer([{"words": text} for text in texts])
    assert labels == [each["class"] for each in whole]


def test_whole_files_are_described_on_request(tmp_path: Path) -> None:
    data = spec_data("N:1", ["frames"], [output("class")])
    exported(data, tmp_path)
    assert not (tmp_path / "model.json").exists()
    exported(data, tmp_path, describe=True)
    known = json.loads((tmp_path / "model.json").read_text())
    assert "numbers" not in known and "stream" not in known
    assert set(known["scaling"]["frames"]) == {"mean", "deviation"}


def test_the_lowest_opset() -> None:
    """That of the operators: of what changed after 17 only what is in the file counts."""
    plain = spec_data("N:1", ["frames"], [output("class")], [{"cell": "lstm", "units": 4}])
    gelu = spec_data(
        "1:1", ["number"], [output("class")], head={"activation": "gelu", "hidden": [3]}
    )
    text = decoders.SPECS["dot after"]
    found = {}
    for name, data in (("plain", plain), ("gelu", gelu), ("text", text)):
        plan, facts = plan_of(data)
        file = to_onnx(plan, facts, strong_weights(plan))
        found[name] = next(each.version for each in file.opset_import if not each.domain)
        onnx.checker.check_model(file, full_check=True)
        if found[name] > 17:
            too_low = found[name] - 1
            kinds = {kind for kind, least in needed(file).items() if least > too_low}
            with pytest.raises(ExportError, match=f"opset {too_low} is too low: .*{min(kinds)}"):
                to_onnx(plan, facts, strong_weights(plan), opset=too_low)
    assert found == {"plain": 17, "gelu": 20, "text": 20}


@pytest.mark.parametrize(
    ("pooling", "streamed"), [("max", False), ("max", True), ("attention", True)]
)
def test_no_axis_of_no_steps_is_reduced(pooling: str, streamed: bool) -> None:
    """onnxruntime 1.20 refuses that, newer ones do not: a step is added where no row has any."""
    data = spec_data("N:1", ["tokens"], [output("class")], [{"dense": 4}], pooling=pooling)
    plan, facts = plan_of(data)
    stream = stream_of(plan, True) if streamed else None
    file = to_onnx(plan, facts, strong_weights(plan), ids=True, stream=stream)
    assert "Pad" in {node.op_type for node in file.graph.node}
    fed = {"tokens.ids": np.zeros((1, 0), np.int64), "tokens.lengths": np.zeros(1, np.int64)}
    for state in stream.states if stream else ():
        fed[state.name] = np.zeros((1, *state.shape), state.kind)
    found = Session(file.SerializeToString(), threads=1).run(fed)["class.probabilities"]
    assert np.isfinite(found).all()
