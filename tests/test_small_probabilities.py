"""Small probabilities have all their digits, wherever a logarithm or a quotient is taken of one.

onnxruntime's Sigmoid has an error of 1e-7 however small its value: ln sigmoid(-14) is off by 0.07,
and from -18 on it answers 0. Logits from -60 to 60 are held against float64, computed here by the
plain formula, and no file may have a Log or a Div of a plain Sigmoid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto

from rnnspec.cells import CellSource, compile_cell
from rnnspec.errors import ExportError
from rnnspec.export.parity import prove
from rnnspec.export.probes import probes
from rnnspec.plan import Plan
from rnnspec.plan.nodes import CopyMix, Decoder
from rnnspec.reference import answers, raw_outputs
from rnnspec.reference.attention import AttentionState, attend
from rnnspec.reference.decode import Body, DecoderState
from rnnspec.reference.interpret import values_of
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_onnx.rewrite import SMALL_SIGMOID, rewritten
from rnnspec.to_torch import Model
from rnnspec.to_torch.attention.kinds import NEVER, log_scan
from rnnspec.to_torch.copying import copied_of, grouped
from tests.answers import close, close_scores
from tests.kinds import batched, feeds, output, plan_of, random_rows, spec_data, strong_weights
from tests.test_conformance_decoder import ATTENTIONS, STRATEGIES, decoder_spec
from tests.test_reference_nodes import node as attend_node
from tests.texts import agree, of_onnx, of_torch, tasks

LENGTHS = (5, 1, 0, 3)
SEEDS = (3, -1, 2**40, 7)
LOGITS = np.arange(-60.0, 61.0, dtype=np.float32)
WORDS = ("one", "two", "three")


def copying(attention: str, **more: Any) -> dict[str, Any]:
    data = decoder_spec(attention, copy="words", **more)
    data["data"]["output"] = [output("out_words")]
    return data


def extreme(plan: Plan, gate: float) -> dict[str, NDArray[np.float32]]:
    """Moderate states, the gate of copying near `gate`, scores and energies of several dozens."""
    found = strong_weights(plan, size=0.8)
    for name, value in found.items():
        last = name.rpartition(".")[2]
        if name.startswith("decoder.copy"):
            found[name] = value if last == "w" else np.full_like(value, gate)
        elif name.startswith("decoder.scores") or last in ("v", "W_k"):
            found[name] = value * np.float32(40 / max(1e-9, np.abs(value).max()))
    return found


CASES = [
    (attention, gate) for attention in ATTENTIONS if attention != "none" for gate in (-60.0, 60.0)
]


@pytest.mark.parametrize(("attention", "gate"), CASES)
def test_torch_scores_improbable_copies_as_the_reference_does(attention: str, gate: float) -> None:
    plan, _ = plan_of(copying(attention))
    weights, rows = extreme(plan, gate), random_rows(plan, LENGTHS)
    truth = [[2, 3, 4, 0], [0], [1, 4], [3, 3, 2, 0]]
    for one, row in zip(truth, rows, strict=True):
        one[:0] = [number for number in row["words.copies"][:1] if number > 4]
    expected = raw_outputs(plan, weights, rows, [{"out_words": t} for t in truth])["out_words"]
    assert min(float(row[row > -np.inf].min()) for row in expected) < -60
    padded = torch.full((len(rows), 5), -1)
    for into, one in zip(padded, truth, strict=True):
        into[: len(one)] = torch.tensor(one)
    model = Model(plan).eval()
    model.load_canonical(weights)
    with torch.no_grad():
        got = model(batched(plan, rows, extra=1, filler=3.7), {"out_words": padded})["out_words"]
    close_scores(got.numpy(), expected, attention, tolerance=2e-5)


@pytest.mark.parametrize(("attention", "gate"), CASES)
def test_files_answer_improbable_copies_as_the_reference_does(attention: str, gate: float) -> None:
    """The words of the prefix come whatever they cost, and count in the scores."""
    strategy = {"beam": {"width": 3, "n_best": 2, "prefix": ["two", "three", "one", "one"]}}
    plan, facts = plan_of(copying(attention, strategy=strategy))
    weights, rows = extreme(plan, gate), random_rows(plan, LENGTHS)
    expected = answers(plan, weights, rows, SEEDS)["out_words"]
    assert min(min(text.scores) for text in expected) < -60
    found = tasks(plan, weights, rows, SEEDS)
    file = to_onnx(plan, facts, weights, ids=True, attention=True)
    session = Session(file.SerializeToString(), threads=1)
    model = Model(plan).eval()
    model.load_canonical(weights)
    for got in (
        of_onnx(plan, session.run(feeds(plan, rows, 2, 3.7))),
        of_torch(model, batched(plan, rows, 2, 3.7), SEEDS),
    ):
        for task, one, other in zip(found, expected, got, strict=True):
            agree(task, one, other, f"{attention}, {gate:g}")


def test_copies_are_mixed_as_decimals_with_many_digits_say() -> None:
    """ln(g softmax(s) + (1 - g) c) of See et al. 2017, by the reference, in 60 digits."""
    plan, _ = plan_of(copying("additive"))
    weights, (row,) = extreme(plan, -60.0), random_rows(plan, (5,))
    row["words.copies"] = np.array([2, 5 + 1, 2, 5 + 1, 4])
    exact = {name: value.astype(np.float64) for name, value in weights.items()}
    decoder, node = plan.node("decoder"), plan.node("decoder.copy")
    assert isinstance(decoder, Decoder) and isinstance(node, CopyMix)
    body = Body(plan, decoder, exact, values_of(plan, exact, row))
    got, left = body.advance(0, DecoderState())
    scores_of, gate_of = left.last["decoder.scores"], left.last[node.gate]
    affine = float(exact["decoder.copy.w"] @ gate_of + exact["decoder.copy.b"][0])
    energies = left.attention["decoder.context"].logs
    with localcontext() as digits:
        digits.prec = 60
        shares = [Decimal(float(s)).exp() for s in scores_of] + [Decimal(0)] * 5
        weighed = [Decimal(float(e)).exp() for e in energies]
        gate = 1 / (1 + (-Decimal(affine)).exp())
        for number, share in enumerate(shares):
            pairs = zip(weighed, row["words.copies"], strict=True)
            copied = sum((w for w, place in pairs if place == number), Decimal(0)) / sum(weighed)
            wanted = gate * share / sum(shares) + (1 - gate) * copied
            if not wanted:
                assert np.isneginf(got[number])
                continue
            assert abs(float(wanted.ln()) - got[number]) < 1e-9 * abs(got[number])


@pytest.mark.parametrize("steps", [1, 2, 5, 33])
def test_monotonic_weights_of_extreme_energies(steps: int) -> None:
    """Equation 9 of Raffel et al. 2017 in decimals, beside the reference and the scan of torch."""
    draw = np.random.default_rng(steps)
    energies = draw.uniform(-60, 60, steps)
    last = draw.uniform(-200, 0, steps)
    with localcontext() as digits:
        digits.prec = 60
        chosen = [1 / (1 + (-Decimal(float(e))).exp()) for e in energies]
        q, wanted = Decimal(0), []
        for j, p in enumerate(chosen):
            q = (
                (1 - chosen[j - 1]) * q + Decimal(float(last[j])).exp()
                if j
                else Decimal(float(last[j])).exp()
            )
            wanted.append(float((p * q).ln()))
    where = attend_node("monotonic", units=1)
    given = {f"{where.name}.{name}": np.zeros(shape) for name, shape in _MONOTONIC.items()}
    given[f"{where.name}.v"] = np.ones(1)
    memory = np.arctanh(energies / 61)[:, np.newaxis]
    given |= {f"{where.name}.W_m": np.ones((1, 1)), f"{where.name}.v": np.full(1, 61.0)}
    _, looked = attend(where, given, np.zeros(1), memory, AttentionState(last, np.zeros(steps)))
    np.testing.assert_allclose(looked.logs, wanted, rtol=1e-9)
    passed = torch.nn.functional.logsigmoid(-torch.from_numpy(energies).float())[None]
    reached = log_scan(passed[:, :-1], torch.from_numpy(last).float()[None])
    logs = torch.nn.functional.logsigmoid(torch.from_numpy(energies).float()) + reached
    np.testing.assert_allclose(logs[0].numpy(), wanted, rtol=2e-6, atol=2e-6)


_MONOTONIC = {"W_q": (1, 1), "W_m": (1, 1), "b": (1,), "v": (1,), "r": (1,)}


def test_a_scan_of_logarithms_has_a_gradient_where_nothing_arrives() -> None:
    addends = torch.full((2, 4), NEVER)
    addends[0, 0] = 0.0
    factors = torch.zeros((2, 3), requires_grad=True)
    log_scan(factors, addends)[0].sum().backward()
    assert factors.grad is not None and factors.grad.tolist() == [[3, 2, 1], [0, 0, 0]]


def test_weights_of_one_token_are_summed_up_at_its_first_step() -> None:
    numbers = torch.tensor([[7, 3, 7, ~7, 3, 5], [4, 4, 4, 4, 4, 4]])
    there = torch.tensor([[True] * 5 + [False], [False] * 6])
    copied = copied_of(numbers, there, size=3)
    assert copied.first[0, :5].tolist() == [0, 1, 0, 0, 1]
    assert copied.places.tolist() == [[7, 3, 9, 9, 9, 9], [9] * 6]
    assert copied.banned is not None
    assert copied.banned.nonzero().tolist() == [[0, 7]]
    logs = torch.tensor([[[-200.0, -1.0, -201.0, -150.0, -90.0, 0.0], [0.0] * 6]])
    sums = grouped(logs.double(), copied.first[None])[0, 0]
    wanted = np.logaddexp.reduce([-200.0, -201.0, -150.0]), np.logaddexp(-1.0, -90.0)
    np.testing.assert_allclose(sums[:2].numpy(), wanted, rtol=1e-12)


@pytest.mark.parametrize("kind", ["labels", "keys", "class", "tags"])
def test_answered_probabilities_have_all_their_digits(kind: str) -> None:
    """A file's probabilities, whose logarithms its callers may want."""
    steps = kind in ("keys", "tags")
    plan, facts = plan_of(
        spec_data("N:N" if steps else "1:1", ["frames" if steps else "vector"], [output(kind)])
    )
    weights = strong_weights(plan)
    for name in weights:
        if name == "answer.W":
            weights[name] = weights[name] * np.float32(40)
    rows = random_rows(plan, (9, 0, 4) if steps else (1,) * 40)
    session = Session(to_onnx(plan, facts, weights, ids=True).SerializeToString(), threads=1)
    got = session.run(feeds(plan, rows))[f"{kind}.probabilities"]
    expected = answers(plan, weights, rows)[kind]
    smallest = 1.0
    for found, one in zip(got, expected, strict=True):
        real = one > 1e-36
        np.testing.assert_allclose(found[: len(one)][real], one[real], rtol=2e-4)
        smallest = min(smallest, one.min(initial=1.0))
    assert smallest < 1e-9, "nothing small was looked at"


QUOTIENTS = {
    "log(sigmoid(W @ x + b)) / 60": True,
    "log(sigmoid(W @ x) * sigmoid(b)) / 60": True,
    "sigmoid(W @ x) / (sigmoid(W @ x) + sigmoid(b - 40))": True,
    "tanh(sqrt(sigmoid(W @ x)) * 1000)": True,
    "sigmoid(W @ x) * tanh(U @ h)": True,  # it reads no state
    "h / (1 + sigmoid(U @ h + W @ x))": False,
    "tanh(W @ x) * sigmoid(U @ h)": False,
}


@pytest.mark.parametrize("equation", QUOTIENTS)
def test_cells_with_quotients_of_small_sigmoids(equation: str) -> None:
    cells = {"own": {"states": ["h"], "equations": f"h = {equation}"}}
    layer = {"cell": "own", "units": 3}
    data = spec_data("N:N", ["plain_frames"], [output("out_frames")], [layer], cells=cells)
    plan, facts = plan_of(data)
    weights = strong_weights(plan)
    for name in weights:
        if name == "layers.0.forward.W":
            weights[name] = weights[name] * np.float32(15)
    graph = compile_cell(CellSource("own", ("h",), f"h = {equation}")).graph
    small = any(node.op == SMALL_SIGMOID for node in rewritten(graph).nodes)
    assert small == QUOTIENTS[equation]
    rows = random_rows(plan, (6, 2))
    file = to_onnx(plan, facts, weights, ids=True)
    got = Session(file.SerializeToString(), threads=1).run(feeds(plan, rows))["out_frames"]
    close(got, answers(plan, weights, rows)["out_frames"], equation)


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


_PASSING = frozenset(
    {
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Neg",
        "Pow",
        "Sqrt",
        "Max",
        "Min",
        "Clip",
        "Where",
        "Identity",
        "Reshape",
        "Transpose",
        "Gather",
        "Concat",
        "Slice",
        "Squeeze",
        "Unsqueeze",
        "Expand",
        "Split",
        "ScatterElements",
        "GatherElements",
        "ReduceSum",
        "ReduceMean",
        "CumSum",
        "Pad",
    }
)


def plain_sigmoids(graph: GraphProto) -> list[str]:
    """The logarithms and quotients that are taken of a Sigmoid whose argument is no absolute
    value; 1 + p and the like are of size 1."""
    constants = {tensor.name for each in _graphs(graph) for tensor in each.initializer}
    made: Mapping[str, NodeProto] = {
        name: node for each in _graphs(graph) for node in each.node for name in node.output
    }
    found: list[str] = []

    def comes_from(name: str, seen: set[str]) -> bool:
        node = made.get(name)
        if node is None or name in seen:
            return False
        seen.add(name)
        if node.op_type == "Sigmoid":
            source = made.get(node.input[0])
            return source is None or source.op_type != "Abs"
        if node.op_type in ("Add", "Sub") and constants.intersection(node.input):
            return False
        return node.op_type in _PASSING and any(comes_from(each, seen) for each in node.input)

    for each in _graphs(graph):
        for node in each.node:
            if node.op_type == "Log" and comes_from(node.input[0], set()):
                found.append(node.name)
            if node.op_type == "Div" and comes_from(node.input[1], set()):
                found.append(node.name)
    return found


@pytest.mark.parametrize("attention", [name for name in ATTENTIONS if name != "none"])
@pytest.mark.parametrize("strategy", ["greedy", "covering", "sample"])
def test_no_file_takes_the_logarithm_of_a_plain_sigmoid(attention: str, strategy: str) -> None:
    for data in (
        decoder_spec(attention, strategy=STRATEGIES[strategy]),
        copying(attention, strategy=STRATEGIES[strategy]),
    ):
        plan, facts = plan_of(data)
        file = to_onnx(plan, facts, strong_weights(plan), ids=True, attention=True)
        assert not plain_sigmoids(file.graph)


PROVEN = [("covered", -60.0), ("location", -60.0), ("monotonic", -14.0), ("multi_head", -14.0)]


@pytest.mark.parametrize(("attention", "gate"), PROVEN)
@pytest.mark.parametrize("forced", [False, True])
def test_files_that_copy_are_proven(attention: str, gate: float, forced: bool) -> None:
    """Of which the first two have scores that float32 knows to two digits after the point."""
    beam = {"width": 3, "n_best": 2, "prefix": ["two", "three", "one", "one"] if forced else []}
    plan, facts = plan_of(copying(attention, strategy={"beam": beam}))
    weights = extreme(plan, gate)
    file = to_onnx(plan, facts, weights, ids=True, attention=True)
    model = Model(plan).eval()
    model.load_canonical(weights)
    session = Session(file.SerializeToString(), threads=1)
    prove(session, model, facts, probes(plan, facts, True, seeds=1), True)


def test_another_score_of_the_same_answer_is_no_rounding() -> None:
    plan, facts = plan_of(copying("additive"))
    weights = strong_weights(plan, size=0.8)
    model = Model(plan).eval()
    model.load_canonical(weights)
    weights["decoder.copy.b"] = weights["decoder.copy.b"] + np.float32(1e-3)
    session = Session(to_onnx(plan, facts, weights, ids=True).SerializeToString(), threads=1)
    with pytest.raises(ExportError, match="log-probabilities of the exported file differ"):
        prove(session, model, facts, probes(plan, facts, True, seeds=1), True)
