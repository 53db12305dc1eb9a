"""Random specs: every one loads, builds, trains a step, exports, and agrees in every back end.

Of six families: stacks of layers with cells of one's own, N:1; every cardinality and kind of
column; several encoders; decoders with every search; alignments; decoders of frames. Torch, the
reference and onnxruntime give the same answers, alone and in a batch, by native kernels and by the
equations of the cells.

`pytest tests/test_random_specs.py --random-specs 1000` runs 1000 of the first family, 250, 125,
500, 125 and 125 of the others; they are the same every time, and others with
`--hypothesis-seed` (`make explore`).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, event, given, note, seed, settings
from hypothesis.strategies import SearchStrategy
from numpy.typing import NDArray

from rnnspec.data import Batch
from rnnspec.data.vectors import read_vectors
from rnnspec.errors import ExportError
from rnnspec.export.cuts import Cutting
from rnnspec.export.parity import prove
from rnnspec.export.probes import Probe, probes
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan import Facts, Plan, TextFacts, resolve
from rnnspec.plan.facts import ColumnFacts, VectorFile
from rnnspec.plan.nodes import (
    AlignedOutput,
    Beam,
    CtcOutput,
    FramesOutput,
    Node,
    PrefixBeam,
    TextOutput,
    TransducerBeam,
    TransducerOutput,
)
from rnnspec.plan.stream import stream_of
from rnnspec.reference import answers
from rnnspec.run.chunks import StreamSession
from rnnspec.run.interface import stream_columns
from rnnspec.run.session import Session
from rnnspec.source.emit import to_yaml
from rnnspec.source.text import Source
from rnnspec.spec import Spec
from rnnspec.spec.load import load_source
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.to_torch.frames import Frames
from rnnspec.to_torch.search import Texts
from rnnspec.train.feed import MicroBatch
from rnnspec.train.step import TrainStep
from tests import answers as numbers
from tests import ctc, texts
from tests.kinds import Batch as Tensors
from tests.kinds import Row, batched, facts_of, feeds, random_rows, strong_weights
from tests.random_kinds import (
    alignment_specs,
    decoder_specs,
    encoder_specs,
    frame_specs,
    kind_specs,
)
from tests.random_specs import specs
from tests.targets import labels_of, random_targets

LENGTHS = (4, 0, 1, 6)
SEEDS = (5, -1, 2**62, 0)
EXACT = 1e-6
"""Between the module in float64 and the reference; facts of the data are float32 in both."""
TOLERANCE = 1e-4
"""What float32 may cost a model that is well conditioned."""
MOST = 1e-2
"""What it may cost any: a sum that cancels in a norm, an exponential of a large number."""
Weights = Mapping[str, NDArray[Any]]


def trained_a_step(plan: Plan, spec: Spec, facts: Facts) -> Weights:
    """The weights after a step on random targets; they and the loss are finite."""
    model = Model(plan)
    model.start(facts, seed=1)
    inputs = {
        key: (values.numpy(), lengths.numpy())
        for key, (values, lengths) in batched(plan, random_rows(plan, LENGTHS)).items()
    }
    batch = Batch(inputs, random_targets(plan, LENGTHS))
    train_step = TrainStep(model.train(), spec.train, loss_settings=loss_settings_of(spec, facts))
    stepped = train_step.step([MicroBatch(batch, len(LENGTHS), sum(LENGTHS), 24)])
    assert np.isfinite(stepped.loss)
    assert all(bool(p.isfinite().all()) for p in model.parameters())
    return model.canonical_arrays()


def in_folder(facts: Facts, folder: Path) -> Facts:
    """The facts, of word vectors that stand in a file of this folder."""
    file = VectorFile(str(folder / "v.txt"), "text")
    Path(file.file).write_text("three 1 -0.5 0.25\nTwo 0 1 0.125\nfour -1 0.5 2\n")
    digest = read_vectors(file).digest

    def placed(known: ColumnFacts) -> ColumnFacts:
        if not isinstance(known, TextFacts) or known.vectors is None:
            return known
        return replace(known, vectors=replace(known.vectors, source=file, digest=digest))

    return replace(facts, inputs={name: placed(known) for name, known in facts.inputs.items()})


def check(data: dict[str, Any], folder: Path, strong: bool = True) -> None:
    """Everything of one spec; with weights that are `strong`, else as they are after a step."""
    data["data"].setdefault("valid", 0.25)  # thresholds may be chosen on its rows
    text = to_yaml(data)
    note(text)
    spec = load_source(Source.of(text, "random.yaml"), Path("random.yaml")).spec
    facts = in_folder(facts_of(spec), folder)
    plan = resolve(spec, facts)
    weights = trained_a_step(plan, spec, facts)
    if strong:
        weights = strong_weights(plan, size=0.8)
    rows = random_rows(plan, LENGTHS)
    if any(isinstance(node, TextOutput) for node in plan.outputs):
        texts_agree(plan, facts, weights, rows)
    elif any(isinstance(node, FramesOutput) for node in plan.outputs):
        frames_agree(plan, weights, rows)
    elif any(isinstance(node, AlignedOutput) for node in plan.outputs):
        alignments_agree(plan, weights, rows)
    else:
        numbers_agree(plan, facts, weights, rows)
    proved_with_texts(plan, facts, weights)


def proved_with_texts(plan: Plan, facts: Facts, weights: Weights) -> None:
    """The file that reads and answers texts does as the module, by the proof of every export; where
    tokens have steps, these too.

    Of several texts only the best: weights drawn at random often answer one token again and again,
    whatever came before, so that many orders of the same tokens tie.
    """
    plan = replace(plan, nodes=tuple(map(best_alone, plan.nodes)))
    model = Model(plan).eval()
    model.load_canonical(weights)
    steps = any(isinstance(node, AlignedOutput) for node in plan.outputs)
    file = to_onnx(plan, facts, weights, attention=steps)
    session = Session(file.SerializeToString(), threads=1)
    drawn = list(probes(plan, facts, seeds=1))
    chosen = [drawn[0], drawn[2], drawn[3], drawn[5]]
    prove(session, model, facts, chosen, ids=False)
    try:
        stream = stream_of(plan)
    except ExportError:  # it needs whole rows
        return
    event("streams")
    file = to_onnx(plan, facts, weights, stream=stream)
    asked = StreamSession(Session(file.SerializeToString(), threads=1), stream_columns(stream))
    proved(Cutting(asked, plan, facts, False, np.random.default_rng(1)), model, facts, chosen)


def proved(cutting: Cutting, model: Model, facts: Facts, chosen: Sequence[Probe]) -> None:
    """The proof, of which a difference is no refusal."""
    try:
        prove(cutting, model, facts, chosen, ids=False)
    except ExportError as error:
        raise AssertionError(str(error)) from error


def best_alone(node: Node) -> Node:
    """A node with, of a text, only the best answer."""
    match node:
        case TextOutput(search=Beam() as search):
            return replace(node, search=replace(search, n_best=1))
        case CtcOutput(search=PrefixBeam() as search):
            return replace(node, search=replace(search, n_best=1))
        case TransducerOutput(search=TransducerBeam() as search):
            return replace(node, search=replace(search, n_best=1))
        case _:
            return node


def models(plan: Plan, weights: Weights) -> list[Model]:
    """By native kernels, and by the equations of the cells."""
    found = [Model(plan, generic).eval() for generic in (False, True)]
    for model in found:
        model.load_canonical(weights)
    return found


def sessions(plan: Plan, facts: Facts, weights: Weights, attention: bool = False) -> list[Session]:
    files = [
        to_onnx(plan, facts, weights, generic=generic, ids=True, attention=attention)
        for generic in (False, True)
    ]
    return [Session(file.SerializeToString(), threads=1) for file in files]


def exactly(model: Model, batch: Tensors) -> tuple[Model, Tensors]:
    """The module and its inputs in float64."""
    inputs = {k: (v.double() if v.is_floating_point() else v, n) for k, (v, n) in batch.items()}
    return copy.deepcopy(model).double(), inputs


def allowed(cost: float) -> float:
    """The tolerance where float32 costs the module `cost`: as in the proof of every export."""
    assert cost <= MOST, f"float32 costs the module {cost}"
    return max(TOLERANCE, 10 * cost)


def numbers_agree(plan: Plan, facts: Facts, weights: Weights, rows: Sequence[Row]) -> None:
    expected, together = answers(plan, weights, rows), batched(plan, rows, 2, 3.7)
    labels, cost = labels_of(plan, facts), 0.0
    found = models(plan, weights)
    for model in found:
        for column, got in numbers.of_torch(*exactly(model, together)).items():
            numbers.close(got, expected[column], f"torch in float64, {column}", EXACT)
        for column, got in numbers.of_torch(model, together).items():
            cost = max(cost, numbers.distance(got, expected[column]))
    close = allowed(cost)
    for model in found:
        for number, row in enumerate(rows):
            for column, got in numbers.of_torch(model, batched(plan, [row])).items():
                one = expected[column][number : number + 1]
                numbers.close(got, one, f"torch, {column} alone", close)
    for session in sessions(plan, facts, weights):
        drawn = {"seed": np.zeros(len(rows), np.int64)} if "seed" in session.inputs else {}
        answer = session.run({**feeds(plan, rows, 2, 3.7), **drawn})
        numbers.onnx_agrees(plan, answer, expected, labels, close)
        for number, row in enumerate(rows):
            alone = {column: each[number : number + 1] for column, each in expected.items()}
            answer = session.run({**feeds(plan, [row]), **{k: v[:1] for k, v in drawn.items()}})
            numbers.onnx_agrees(plan, answer, alone, labels, close)


def texts_agree(plan: Plan, facts: Facts, weights: Weights, rows: Sequence[Row]) -> None:
    found = answers(plan, weights, rows, SEEDS)[texts.written(plan).column]
    tasks = texts.tasks(plan, weights, rows, SEEDS)
    looks = any(text.attention[0] is not None for text in found)
    cost = 0.0

    def agree(answer: Sequence[texts.Answered], first: int, where: str) -> None:
        close, tie = allowed(cost), max(texts.TIE, 10 * cost if cost > TOLERANCE / 10 else 0.0)
        for number, one in enumerate(answer, start=first):
            place = f"{where}, row {number}"
            texts.agree(tasks[number], found[number], one, place, close, tie=tie)

    whole, each = models(plan, weights), batched(plan, rows, 2, 3.7)
    for model in whole:
        exact = texts.of_torch(*exactly(model, each), SEEDS)
        for number, one in enumerate(exact):
            place = f"torch in float64, row {number}"
            texts.agree(tasks[number], found[number], one, place, EXACT, tie=1e-9)
        answer = texts.of_torch(model, each, SEEDS)
        cost = max(cost, *map(texts.distance, exact, answer))
    for model in whole:
        agree(texts.of_torch(model, each, SEEDS), 0, "torch")
        for number, row in enumerate(rows):
            alone = texts.of_torch(model, batched(plan, [row]), SEEDS[number : number + 1])
            agree(alone, number, "torch alone")
    for session in sessions(plan, facts, weights, looks):
        drawn = {"seed": np.array(SEEDS, np.int64)} if "seed" in session.inputs else {}
        together = session.run({**feeds(plan, rows, 2, 3.7), **drawn})
        agree(texts.of_onnx(plan, together), 0, "onnx")
        for number, row in enumerate(rows):
            single = {name: each[number : number + 1] for name, each in drawn.items()}
            got = session.run({**feeds(plan, [row]), **single})
            agree(texts.of_onnx(plan, got), number, "alone")


def alignments_agree(plan: Plan, weights: Weights, rows: Sequence[Row]) -> None:
    """In float64, which orders what nearly ties as the reference does; files are proven after."""
    column = texts.written(plan).column
    expected = answers(plan, weights, rows)[column]
    for model in models(plan, weights):
        module, inputs = exactly(model, batched(plan, rows, 2, 3.7))
        found = module.answers(inputs, aligned=True)[column]
        assert isinstance(found, Texts)
        for number, one in enumerate(ctc.of_torch(found)):
            ctc.agree(ctc.of_reference(expected[number]), one, f"row {number}")


def frames_agree(plan: Plan, weights: Weights, rows: Sequence[Row]) -> None:
    """In float64; files are proven after."""
    (out,) = (node for node in plan.outputs if isinstance(node, FramesOutput))
    expected = answers(plan, weights, rows)[out.column]
    for model in models(plan, weights):
        module, inputs = exactly(model, batched(plan, rows, 2, 3.7))
        found = module.answers(inputs)[out.column]
        assert isinstance(found, Frames)
        assert found.lengths.tolist() == [len(one.values) for one in expected]
        numbers.close(found.values.numpy(), [one.values for one in expected], "frames", EXACT)
        if found.parameters is not None:
            true = [one.parameters for one in expected]
            numbers.close(found.parameters.numpy(), true, "parameters", EXACT)


FAMILIES: dict[str, tuple[SearchStrategy[dict[str, Any]], bool, int]] = {
    "layers": (specs(), False, 1),
    "kinds": (kind_specs(), True, 4),
    "encoders": (encoder_specs(), True, 8),
    "decoders": (decoder_specs(), True, 2),
    "alignments": (alignment_specs(), True, 8),
    "frames": (frame_specs(), True, 8),
}
"""A strategy, whether the weights are strong, and the share of the number asked for."""


@pytest.mark.hypothesis
@pytest.mark.parametrize("family", FAMILIES)
def test_random_specs_agree_everywhere(
    request: pytest.FixtureRequest, tmp_path: Path, family: str
) -> None:
    strategy, strong, share = FAMILIES[family]
    asked = int(request.config.getoption("--random-specs"))
    torch.set_num_threads(1)

    @seed(int(request.config.getoption("--hypothesis-seed") or 0))
    @settings(
        max_examples=max(1, asked // share),
        deadline=None,
        database=None,
        phases=[Phase.generate],  # to make an example smaller takes minutes
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(data: dict[str, Any]) -> None:
        check(data, tmp_path, strong)

    run()
