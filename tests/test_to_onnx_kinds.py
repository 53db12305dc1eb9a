"""Every kind of input and output in ONNX: texts and numbers in, the reference's answers out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import pytest

from rnnspec.plan import Facts, Plan
from rnnspec.reference import answers
from rnnspec.spec import Spec
from rnnspec.spec.check import findings
from rnnspec.to_onnx import to_onnx
from tests.kinds import HORIZON, SEQUENCES, SOUNDS, STATICS, feeds, output, plan_of, spec_data
from tests.kinds import strong_weights as weights_of
from tests.onnx_kinds import check_answers, rows_of_texts, text_feeds
from tests.onnx_models import opened

LENGTHS = (4, 0, 1, 7, 2)
CELLS = ("lstm", "gru", "rnn", "mingru", "slstm")
SERIES = [name for name in SEQUENCES if "series" in name]
BOTH_WAYS = [{"cell": "lstm", "units": 4, "direction": "bidirectional"}]


def check(plan: Plan, facts: Facts, opset: int = 21, generic: bool = False) -> onnx.ModelProto:
    """From texts and from numbers, together and alone, padded or not: the reference's answers."""
    weights = weights_of(plan)
    rows, texts = rows_of_texts(plan, facts, LENGTHS)
    wanted = answers(plan, weights, rows)
    empty, empty_texts = rows_of_texts(plan, facts, (0, 0), seed=1)
    of_empty = answers(plan, weights, empty)
    models = {}
    for ids in (False, True):
        models[ids] = to_onnx(plan, facts, weights, ids=ids, generic=generic, opset=opset)
        session = opened(models[ids])
        names = [value.name for value in session.get_outputs()]

        def ask(rows: Any, texts: Any, extra: int = 0, filler: float = 0.0) -> Any:
            given = feeds(plan, rows, extra, filler)
            if not ids:  # noqa: B023
                given = text_feeds(plan, rows, texts, extra, filler)
            return dict(zip(names, session.run(None, given), strict=True))  # noqa: B023

        for extra, filler in ((0, 0.0), (3, 1.0)):
            check_answers(plan, facts, ask(rows, texts, extra, filler), wanted)
            check_answers(plan, facts, ask(empty, empty_texts, extra, filler), of_empty)
        for number, (row, told) in enumerate(zip(rows, texts, strict=True)):
            alone = {column: value[number : number + 1] for column, value in wanted.items()}
            check_answers(plan, facts, ask([row], [told]), alone)
    return models[False]


def planned(
    cardinality: str,
    inputs: Sequence[str],
    outputs: Sequence[Mapping[str, Any]],
    layers: Sequence[Mapping[str, Any]] = ({"cell": "gru", "units": 4},),
    **more: Any,
) -> tuple[Plan, Facts]:
    return plan_of(spec_data(cardinality, inputs, outputs, layers, **more))


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("kind", [*(name for name in SEQUENCES if name not in SERIES), *SOUNDS])
def test_sequences_to_one_answer(kind: str, generic: bool) -> None:
    for pooling in ("last", "mean"):
        plan, facts = planned("N:1", [kind], [output("class")], BOTH_WAYS, pooling=pooling)
        check(plan, facts, generic=generic)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("kind", [*(name for name in SEQUENCES if name not in SERIES), *SOUNDS])
def test_sequences_step_by_step(kind: str, cell: str) -> None:
    layers = [{"cell": cell, "units": 4, "direction": "bidirectional"}]
    outputs = [output("tags"), output("keys"), output("out_frames")]
    plan, facts = planned("N:N", [kind], outputs, layers)
    check(plan, facts)


@pytest.mark.parametrize("opset", [20, 21])
def test_several_inputs_together(opset: int) -> None:
    for first in ("words", "tokens", "frames", "key_steps"):
        others = [n for n in ("chars", "spelled", "raw_frames", "bytes") if n != first]
        plan, facts = planned("N:N", [first, *others, *STATICS], [output("tags")], BOTH_WAYS)
        check(plan, facts, opset)


@pytest.mark.parametrize("join", ["steps", "state", "both"])
@pytest.mark.parametrize("static", STATICS)
def test_vectors_beside_a_sequence(static: str, join: str) -> None:
    data = spec_data("N:1", ["chars", static], [output("class")], BOTH_WAYS)
    data["data"]["input"][1]["join"] = join
    check(*plan_of(data))


@pytest.mark.parametrize("inputs", [["category"], ["number"], ["vector"], list(STATICS)])
def test_vectors_to_one_answer(inputs: Sequence[str]) -> None:
    outputs = [output("class"), output("labels"), output("out_number"), output("out_vector")]
    check(*planned("1:1", inputs, outputs))


DISTRIBUTIONS: list[Any] = [
    "point",
    {"quantiles": [0.1, 0.4, 0.6, 0.9]},
    "gaussian",
    "student_t",
    "negative_binomial",
]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=str)
@pytest.mark.parametrize("kind", SERIES)
def test_forecasts_at_once(kind: str, distribution: Any) -> None:
    ahead = {
        "column": kind, "as": "forecast", "horizon": HORIZON, "distribution": distribution,
    }  # fmt: skip
    density = isinstance(distribution, str) and distribution != "point"
    if density and SEQUENCES[kind].entry.get("transform") == "log":
        (found,) = findings(Spec.model_validate(spec_data("N:M", [kind], [ahead])))
        assert found.message.startswith(f"{distribution} answers a mean, which is not")
        return
    check(*planned("N:M", [kind], [ahead]))
    check(*planned("N:M", [kind, "frames", "category", "number"], [ahead]))


@pytest.mark.parametrize("kind", ["chars", "tokens", "words", "bytes", "key_steps"])
def test_the_next_step(kind: str) -> None:
    check(*planned("N:N", [kind], [{"column": kind, "as": "next"}]))


def test_missing_numbers_are_carried_on_from_step_to_step() -> None:
    """By hand: the second feature starts with none, the last step of the first row has none."""
    plan, facts = planned("N:N", ["raw_frames"], [output("out_frames")])
    model = to_onnx(plan, facts, weights_of(plan))
    (scan,) = (node for node in model.graph.node if node.op_type == "Scan")
    carried = scan.output[1]
    shape: list[str | int | None] = ["steps", "batch", 2]
    model.graph.output.append(onnx.helper.make_tensor_value_info(carried, 1, shape))
    nan = float("nan")
    frames = np.array([[[1, nan], [2, 5], [nan, nan]], [[nan, 3], [nan, nan], [9, 9]]], np.float32)
    given = {"raw_frames": frames, "raw_frames.lengths": np.array([3, 2])}
    found = opened(model).run([carried], given)[0]
    wanted = [[[1, nan], [2, 5], [2, 5]], [[nan, 3], [nan, 3], [9, 9]]]
    np.testing.assert_array_equal(found.transpose(1, 0, 2), np.array(wanted, np.float32))
