"""Paths of labels through a chain, against all paths of a small problem and against pytorch-crf."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchcrf import CRF

from rnnspec.data.schemes import rules, unruly
from rnnspec.errors import DataError, ExportError
from rnnspec.export import paths
from rnnspec.export.write import export_onnx
from rnnspec.plan import ClassFacts, Facts, NumericFacts, Plan
from rnnspec.plan.nodes import FORBIDDEN, ChainOutput, FramesInput, verify
from rnnspec.reference.chain import chain_of, path_of
from rnnspec.run import Model as ModelFile
from rnnspec.run.session import Session
from rnnspec.source.emit import to_yaml
from rnnspec.spec.load import load_spec
from rnnspec.spec.outputs import Scheme
from rnnspec.store.events import Heard
from rnnspec.store.folder import Trained, read_build
from rnnspec.to_onnx import to_onnx
from rnnspec.to_onnx.chain import MANY
from rnnspec.to_torch.chain import ChainOutput as Module
from rnnspec.train.build import build
from tests.tiny import spec_of

SCHEMES: dict[Scheme, tuple[str, ...]] = {
    "none": ("a", "b", "c"),
    "bio": ("B-x", "I-x", "I-y", "O"),  # without a B-y, an I-y may begin
    "iob1": ("B-x", "I-x", "O"),
    "bioes": ("B-x", "E-x", "I-x", "O", "S-x"),
    "io": ("I-x", "I-y", "O"),
}
LENGTHS = torch.tensor([4, 1, 0, 3])


def module_of(scheme: Scheme, size: float = 1.0, seed: int = 0) -> Module:
    labels = SCHEMES[scheme]
    module = Module(ChainOutput("o", "s", "c", len(labels), scheme))
    draw = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        parameter.data.normal_(0, size, generator=draw)
    if scheme != "none":
        module.rules.copy_(torch.from_numpy(rules(labels, scheme)))
    return module


def drawn(module: Module, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Scores `[4, 5, K]`, a step more than the longest row has, and true labels, some unknown."""
    draw = torch.Generator().manual_seed(seed)
    classes = module.node.classes
    scores = torch.randn(4, 5, classes, generator=draw)
    true = torch.randint(0, classes, (4, 5), generator=draw)
    true[torch.rand(4, 5, generator=draw) < 0.2] = -1
    true[0, 0] = -3  # a label that no training row has
    return scores.requires_grad_(), true


class AllPaths:
    """Every path of a row, with its score as the node defines it, in float64."""

    def __init__(self, module: Module, scores: Tensor) -> None:
        self.classes = module.node.classes
        self.paths = list(product(range(self.classes), repeat=len(scores)))
        weights = {name: value.double() for name, value in module.named_parameters()}
        barred = torch.zeros(self.classes + 1, self.classes + 1, dtype=torch.float64)
        if module.node.scheme != "none":
            barred = module.rules.double()
        found = []
        for path in self.paths:
            score = weights["start"][path[0]] + weights["end"][path[-1]]
            score = score + barred[-1, path[0]] + barred[path[-1], -1]
            score = score + sum(scores[step, label].double() for step, label in enumerate(path))
            for one, other in pairwise(path):
                score = score + weights["transitions"][one, other] + barred[one, other]
            found.append(score)
        self.scores = torch.stack(found)

    def best(self) -> tuple[tuple[int, ...], float]:
        at = int(self.scores.argmax())
        return self.paths[at], (self.scores[at] - self.scores.logsumexp(0)).item()

    def probabilities(self) -> NDArray[np.float64]:
        found = np.zeros((len(self.paths[0]), self.classes))
        for path, share in zip(self.paths, self.scores.softmax(0).tolist(), strict=True):
            found[range(len(path)), path] += share
        return found

    def surprise(self, true: list[int]) -> Tensor:
        """-ln of the probability of all paths with these labels, where one is not below 0."""
        fits = [
            all(t < 0 or t == label for t, label in zip(true, path, strict=True))
            for path in self.paths
        ]
        return self.scores.logsumexp(0) - self.scores[torch.tensor(fits)].logsumexp(0)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_answers_are_those_of_all_paths(scheme: Scheme) -> None:
    module = module_of(scheme)
    scores, _ = drawn(module)
    answers = module.answer(scores.detach(), LENGTHS)
    weights = {f"o.{name}": value.double().numpy() for name, value in module.canonical()}
    for row, length in enumerate(LENGTHS.tolist()):
        assert not answers.probabilities[row, length:].any()
        assert not answers.labels[row, length:].any()
        reference = path_of(chain_of(module.node, weights, scores[row, :length].detach().numpy()))
        labels: tuple[int, ...] = ()
        score, shares = 0.0, np.zeros((0, module.node.classes))
        if length:
            every = AllPaths(module, scores[row, :length].detach())
            (labels, score), shares = every.best(), every.probabilities()
        for found, of_labels, chances in (
            (answers.labels[row, :length].tolist(), answers.scores[row].item(),
             answers.probabilities[row, :length].numpy()),
            (reference.labels.tolist(), reference.score, reference.probabilities),
        ):  # fmt: skip
            assert found == list(labels)
            assert of_labels == pytest.approx(score, abs=1e-5)
            np.testing.assert_allclose(chances, shares, atol=1e-6)


@pytest.mark.parametrize("known", [True, False], ids=["whole", "partly labelled"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_loss_and_gradients_are_those_of_all_paths(scheme: Scheme, known: bool) -> None:
    """Labels that break the scheme count as unknown."""
    module = module_of(scheme)
    scores, true = drawn(module, seed=1)
    if known:
        true = module.answer(torch.randn(scores.shape), LENGTHS).labels  # breaks no rule
    loss = module.surprise(scores, true, LENGTHS).sum()
    loss.backward()
    found = [scores.grad, *(each.grad for each in module.parameters())]
    scores.grad = None
    module.zero_grad()
    broken = module.unruly(true, LENGTHS)
    assert known or bool(broken.any()) == (scheme not in ("none", "io"))
    expected = torch.zeros((), dtype=torch.float64)
    for row, length in enumerate(LENGTHS.tolist()):
        if length:
            labels = true[row, :length].masked_fill(broken[row, :length], -1).tolist()
            expected = expected + AllPaths(module, scores[row, :length]).surprise(labels)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-9)
    gradients = [scores.grad, *(each.grad for each in module.parameters())]
    for got, wanted in zip(found, gradients, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-6, rtol=0)


def test_loss_gradients_and_paths_are_those_of_pytorch_crf() -> None:
    torch.manual_seed(0)
    module, other = Module(ChainOutput("o", "s", "c", 7)), CRF(7, batch_first=True)
    for name, value in module.named_parameters():
        twin = getattr(other, "transitions" if name == "transitions" else f"{name}_transitions")
        value.data.copy_(twin.data)
    scores = torch.randn(6, 12, 7, requires_grad=True)
    true, lengths = torch.randint(0, 7, (6, 12)), torch.tensor([12, 3, 9, 1, 12, 7])
    mask = torch.arange(12) < lengths[:, None]
    loss = module.surprise(scores, true, lengths).sum()
    expected = -other(scores, true, mask=mask, reduction="sum")
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    found = torch.autograd.grad(loss, [scores, module.transitions, module.start, module.end])
    weights = [other.transitions, other.start_transitions, other.end_transitions]
    for got, wanted in zip(found, torch.autograd.grad(expected, [scores, *weights]), strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-4, rtol=0)
    labels = module.answer(scores.detach(), lengths).labels
    assert other.decode(scores.detach(), mask=mask) == [
        row[:length] for row, length in zip(labels.tolist(), lengths.tolist(), strict=True)
    ]


# ---------------------------------------------------------------- rules


def allowed(scheme: Scheme, path: str) -> bool:
    """Whether a row may have these labels, written out; an oracle of its own."""
    before = "O"
    for label in [*path.split(), "O"]:
        inside = before[0] in "BI" and before[2:] == label[2:]
        match scheme:
            case "bio" if label[0] == "I" and not inside:
                return False
            case "iob1" if label[0] == "B" and not inside:
                return False
            case "bioes" if (label[0] in "IE") != (before[0] in "BI"):
                return False
            case "bioes" if label[0] in "IE" and not inside:
                return False
        before = label
    return True


@pytest.mark.parametrize("scheme", ["bio", "iob1", "bioes", "io"])
def test_rules_are_those_of_the_scheme(scheme: Scheme) -> None:
    marks = {"bio": "BI", "iob1": "BI", "bioes": "BIES", "io": "I"}[scheme]
    labels = ("O", *(f"{mark}-{kind}" for mark in marks for kind in "xy"))
    found = rules(labels, scheme)
    for length in (1, 2, 3):
        for path in product(range(len(labels)), repeat=length):
            steps = [len(labels), *path, len(labels)]
            score = sum(found[one, other] for one, other in pairwise(steps))
            assert (score == 0) == allowed(scheme, " ".join(labels[n] for n in path)), path


def test_kinds_that_could_stand_nowhere_are_free() -> None:
    assert not rules(("I-x", "O"), "bio").any()
    assert not rules(("B-x", "O"), "iob1").any()
    assert rules(("B-x", "E-y", "O", "S-y"), "bioes")[:, :3].any() == 0
    found = rules(("B-x", "I-x", "I-y", "O"), "bio")
    assert (found[3] == [0, FORBIDDEN, 0, 0, 0]).all() and (found[-1] == found[3]).all()


@pytest.mark.parametrize("scheme", ["bio", "iob1", "bioes"])
def test_what_is_left_of_a_row_stands_on_an_allowed_path(scheme: Scheme) -> None:
    module, draw = module_of(scheme), np.random.default_rng(0)
    labels = draw.integers(-1, len(SCHEMES[scheme]), (400, 6))
    lengths = draw.integers(0, 7, 400)
    broken = unruly(labels, lengths, module.rules.numpy())
    same = module.unruly(torch.from_numpy(labels), torch.from_numpy(lengths)).numpy()
    assert (broken == same).all() and 0.05 < broken.mean() < 0.9
    scores = torch.zeros(1, 6, len(SCHEMES[scheme]))
    for row, length in zip(labels, lengths, strict=True):
        one = torch.from_numpy(row)[None], torch.tensor([length])
        assert module.surprise(scores, *one).item() < -FORBIDDEN / 2


# ---------------------------------------------------------------- numbers


def test_a_row_without_an_allowed_path_has_an_answer_and_a_loss() -> None:
    """Labels of which none may stand alone."""
    labels = ("B-x", "E-x")
    module = Module(ChainOutput("o", "s", "c", 2, "bioes"))
    module.rules.copy_(torch.from_numpy(rules(labels, "bioes")))
    scores, lengths = torch.tensor([[[0.0, 1.0]]], requires_grad=True), torch.tensor([1])
    answer = module.answer(scores.detach(), lengths)
    assert answer.labels.tolist() == [[1]]
    torch.testing.assert_close(answer.probabilities[0], scores[0].detach().softmax(-1))
    loss = module.surprise(scores, torch.tensor([[0]]), lengths).sum()
    loss.backward()
    assert loss.isfinite() and scores.grad is not None and scores.grad.isfinite().all()


@pytest.mark.parametrize("size", [30.0, 1000.0, 1e30])
def test_scores_far_apart_keep_their_digits(size: float) -> None:
    """The loss is linear there; an exponential alone would be 0 or infinite."""
    module, lengths = module_of("bio"), torch.tensor([3])
    scores = torch.zeros(1, 3, 4)
    scores[0, :, 3] = size
    true = torch.tensor([[3, 0, 1]])
    scores.requires_grad_()
    loss = module.surprise(scores, true, lengths).sum()
    loss.backward()
    assert loss.item() == pytest.approx(2 * size, rel=0.2)
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad[0, 1], torch.tensor([-1.0, 0, 0, 1]), atol=1e-4, rtol=0)
    answer = module.answer(scores.detach(), lengths)
    assert answer.labels.tolist() == [[3, 3, 3]] and answer.scores.item() > -1e-3


def test_a_long_row_keeps_its_digits() -> None:
    module, steps = module_of("bio", 0.5), 5000
    scores = torch.randn(1, steps, 4, generator=torch.Generator().manual_seed(1)) * 3
    answer = module.answer(scores, torch.tensor([steps]))
    weights = {f"o.{name}": value.double().numpy() for name, value in module.canonical()}
    expected = path_of(chain_of(module.node, weights, scores[0].numpy()))
    assert answer.labels[0].tolist() == expected.labels.tolist()
    assert answer.scores.item() == pytest.approx(expected.score, rel=1e-6)
    np.testing.assert_allclose(answer.probabilities[0], expected.probabilities, atol=1e-6)


# ---------------------------------------------------------------- from rows to answers

TOKENS = {"column": "tokens", "as": "tokens"}
SLOTS = {"column": "tags", "as": "tags", "scheme": "bio", "crf": True}
Rows = list[tuple[list[str], list[str | None]]]
GOOD: Rows = [
    (["go", "to", "new", "york"], ["O", "O", "B-c", "I-c"]),
    (["to", "rome"], ["O", "B-c"]),
]


def built(folder: Path, rows: Rows, listener: Heard) -> Trained:
    lines = [json.dumps({"tokens": tokens, "tags": tags}) for tokens, tags in rows]
    for name in ("train", "valid"):
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    spec = folder / "spec.yaml"
    spec.write_text(to_yaml(spec_of("N:N", TOKENS, SLOTS, train={"epochs": 30})))
    return read_build(build(load_spec(spec), folder / "builds", listener).folder)


def test_a_build_notes_labels_that_break_the_scheme_and_never_answers_them(tmp_path: Path) -> None:
    heard = Heard()
    bad = (["to", "york", "new"], [None, "O", "I-c"])
    trained = built(tmp_path, [*GOOD, bad, *GOOD], heard)
    (note,) = (each for each in heard.notes if "breaks scheme" in each)
    assert note.startswith(
        f"{tmp_path / 'train.jsonl'}:3: column 'tags' breaks scheme bio in 1 of 5"
    )
    assert "here first: step 3 is 'I-c' after 'O'" in note
    file = tmp_path / "model.onnx"
    export_onnx(trained, file)
    rows = [{"tokens": tokens} for tokens, _ in [*GOOD, bad]] + [{"tokens": []}]
    first, _, third, empty = ModelFile.load(file).answer(rows)
    assert first["tags"] == GOOD[0][1] and -1 < first["tags.score"] < 0
    assert all(0.4 < share <= 1 for share in first["tags.probabilities"])
    assert allowed("bio", " ".join(third["tags"]))
    assert empty == {"tags": [], "tags.probabilities": [], "tags.score": 0.0}


def test_rows_of_another_scheme_are_refused(tmp_path: Path) -> None:
    rows: Rows = [
        (["new", "york", "rome"], ["I-c", "I-c", "B-c"]), (["to", "rome"], ["O", "I-c"])
    ]  # fmt: skip
    with pytest.raises(DataError, match=r"in 2 of 2 training rows.*set scheme: iob1"):
        built(tmp_path, rows, Heard())


def test_a_worse_path_is_no_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = built(tmp_path, [*GOOD], Heard())
    compared = paths.compare_paths

    def spoilt(node, module, facts, answers):  # type: ignore[no-untyped-def]
        labels = answers.got[0].copy()
        labels[labels == "O"] = "B-c"
        found = [labels, *answers.got[1:]]
        return compared(node, module, facts, replace(answers, got=found))

    monkeypatch.setattr("rnnspec.export.parity.compare_paths", spoilt)
    with pytest.raises(ExportError, match="answers a path that is"):
        export_onnx(trained, tmp_path / "model.onnx")


def test_a_file_finds_paths_of_many_labels_as_of_few() -> None:
    """They are compared along another axis."""
    labels = MANY + 1
    node = ChainOutput("output.y", "input.x", "y", labels)
    plan = verify(Plan("chain", "N:N", (FramesInput("input.x", "x", labels, False), node)))
    facts = Facts(
        1,
        {"x": NumericFacts(labels, (0.0,) * labels, (1.0,) * labels)},
        {"y": ClassFacts(tuple(map(str, range(labels))))},
    )
    module, draw = Module(node), torch.Generator().manual_seed(0)
    for parameter in module.parameters():
        parameter.data.normal_(0, 1.0, generator=draw)
    weights = {f"output.y.{name}": value.numpy() for name, value in module.canonical()}
    scores = torch.randn(4, 5, labels, generator=draw)
    session = Session(to_onnx(plan, facts, weights).SerializeToString(), threads=1)
    found = session.run({"x": scores.numpy(), "x.lengths": LENGTHS.numpy()})
    expected = module.answer(scores, LENGTHS).labels.numpy()
    for row, length in enumerate(LENGTHS.tolist()):
        assert found["y"][row, :length].tolist() == [str(n) for n in expected[row, :length]]
