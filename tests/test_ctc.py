"""Connectionist temporal classification against brute force over all paths of small problems, and
rows whose answer does not fit into their steps."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rnnspec.data import encode, survey
from rnnspec.data.alignments import refuse_too_short, steps_at, steps_needed, without_too_short
from rnnspec.data.reading import Reading
from rnnspec.data.rows import BadRows
from rnnspec.errors import DataError
from rnnspec.objective.losses import ctc_loss, reads_as
from rnnspec.objective.objective import Objective
from rnnspec.plan import Plan, nodes, resolve
from rnnspec.reference import alignment as reference
from rnnspec.spec import Spec
from rnnspec.spec.train import Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.alignment import read
from rnnspec.to_torch.devices import Precision
from rnnspec.to_torch.outputs import CtcOutput
from rnnspec.to_torch.sequences import Lengths, PaddedSequence
from tests import ctc
from tests.data_rows import write_rows

SYMBOLS = (0, 2, 3, 4)
"""The blank and three tokens; number 1 is the unknown."""
Array = NDArray[np.float64]
Tokens = tuple[int, ...]


def problems(ties: bool = False) -> list[Array]:
    """Log-probabilities of up to five steps, the unknown impossible."""
    draw = np.random.default_rng(1)
    found = [ctc.logs_of(steps, 5, draw, ties) for steps in (0, 1, 2, 3, 4, 5, 5, 5)]
    for logs in found:
        logs[:, 1] = -np.inf
    return found


def texts_of(logs: Array) -> Mapping[Tokens, float]:
    """The log-probability of every text, summed over all paths that read as it."""
    found: dict[Tokens, float] = defaultdict(lambda: -np.inf)
    for path in itertools.product(SYMBOLS, repeat=len(logs)):
        score = sum(float(logs[step, number]) for step, number in enumerate(path))
        text = tuple(n for n, _ in itertools.groupby(path) if n)
        found[text] = float(np.logaddexp(found[text], score))
    return found


def padded(logs: Array) -> torch.Tensor:
    """As one row, with two steps more."""
    certain = np.full((2, 5), -np.inf)
    certain[:, 0] = 0.0
    return torch.from_numpy(np.concatenate([logs, certain]))[None]


def test_the_reference_sums_over_all_paths() -> None:
    for logs in problems():
        for text, score in texts_of(logs).items():
            assert reference.log_probability(logs, text) == pytest.approx(score)


def test_the_loss_sums_over_all_paths() -> None:
    """Also of texts that no path reads as: they are left out."""
    for logs in problems():
        every = texts_of(logs)
        for text in [*itertools.islice(every, 60), (2,) * 6, (2, 2, 2, 2), (3, 3, 3)]:
            target = torch.tensor([[*text, 0, -1]])
            score = every.get(text, 0.0)
            assert reads_as(padded(logs), target).item() == (text in every), text
            assert ctc_loss(padded(logs), target).item() == pytest.approx(-score), text


def test_the_loss_is_that_of_torch_with_lengths() -> None:
    draw = torch.Generator().manual_seed(0)
    scores = torch.randn((9, 4, 6), generator=draw, dtype=torch.float64)
    lengths, targets = torch.tensor([9, 4, 6, 0]), [[2, 3, 3, 5], [4], [], []]
    output = CtcOutput(nodes.CtcOutput("output.y", "answer", "y", "chars", 6))
    logs = output(PaddedSequence(scores, Lengths(lengths, 9)))
    wanted = sum(
        torch.nn.functional.ctc_loss(
            torch.log_softmax(scores[: int(steps), row : row + 1], dim=-1),
            torch.tensor([target], dtype=torch.int64),
            steps[None],
            torch.tensor([len(target)]),
            reduction="sum",
        )
        for row, (steps, target) in enumerate(zip(lengths[:3], targets[:3], strict=True))
    )
    numbers = torch.full((4, 5), -1)
    for row, target in enumerate(targets):
        numbers[row, : len(target) + 1] = torch.tensor([*target, 0])
    torch.testing.assert_close(ctc_loss(logs, numbers).sum(), wanted)


def test_the_gradient_is_that_of_the_sum_over_all_paths() -> None:
    """In rows of unequal lengths, one of them without steps, and one that does not fit."""
    draw = torch.Generator().manual_seed(2)
    scores = torch.randn((4, 4, 5), generator=draw, dtype=torch.float64)
    lengths, texts = [3, 4, 0, 2], [(2, 3), (4, 4), (), (3, 3)]
    output = CtcOutput(nodes.CtcOutput("output.y", "answer", "y", "chars", 5))

    def ours(given: torch.Tensor) -> torch.Tensor:
        logs = output(PaddedSequence(given, Lengths(torch.tensor(lengths), 4)))
        return ctc_loss(logs, torch.tensor([[2, 3, 0], [4, 4, 0], [0, -1, -1], [3, 3, 0]])).sum()

    def brute(given: torch.Tensor) -> torch.Tensor:
        total = given.new_zeros(())
        for row, (steps, text) in enumerate(zip(lengths, texts, strict=True)):
            logs = torch.log_softmax(given[:steps, row], dim=-1)
            paths = [
                torch.stack([logs[step, number] for step, number in enumerate(path)]).sum()
                for path in itertools.product((0, 1, 2, 3, 4), repeat=steps)
                if path and tuple(n for n, _ in itertools.groupby(path) if n) == text
            ]
            total = total - torch.stack(paths).logsumexp(0) if paths else total
        return total

    one, other = scores.clone().requires_grad_(), scores.clone().requires_grad_()
    ours(one).backward()
    brute(other).backward()
    torch.testing.assert_close(one.grad, other.grad)
    assert one.grad is not None and not one.grad[:, 3].any(), (
        "a row that does not fit moves nothing"
    )


def test_rows_without_a_target_have_no_loss() -> None:
    logs = padded(problems()[4])
    assert ctc_loss(logs, torch.tensor([[-1, -1]])).item() == 0.0


@pytest.mark.parametrize("ties", [False, True], ids=["drawn", "with ties"])
def test_a_wide_beam_finds_every_text_with_its_probability(ties: bool) -> None:
    for logs in problems(ties):
        every = texts_of(logs)
        found = reference.find(logs, nodes.PrefixBeam(400, 400))
        assert dict(one for one in found if one[1] > -np.inf) == pytest.approx(dict(every))


@pytest.mark.parametrize("ties", [False, True], ids=["drawn", "with ties"])
@pytest.mark.parametrize("width", [1, 2, 3, 20])
def test_torch_finds_what_the_reference_does(width: int, ties: bool) -> None:
    """In a wide beam sums of other paths are equal too, but for their rounding."""
    search = nodes.PrefixBeam(width, width)
    for logs in problems(ties):
        expected, found = reference.find(logs, search), read(padded(logs), search, aligned=True)
        np.testing.assert_allclose(found.scores[0], [score for _, score in expected])
        if ties and width > 3:
            continue
        assert [text for text, _ in expected] == _texts(found.numbers[0], found.lengths[0])
        assert found.alignment is not None
        best = expected[0][0]
        spans = found.alignment[0, : len(best)].tolist()
        assert tuple(map(tuple, spans)) == reference.align(logs, best)


def _texts(numbers: torch.Tensor, lengths: torch.Tensor) -> list[Tokens]:
    return [tuple(n[:c].tolist()) for n, c in zip(numbers, lengths, strict=True)]


@pytest.mark.parametrize("ties", [False, True], ids=["drawn", "with ties"])
def test_the_best_path_is_the_best_of_all(ties: bool) -> None:
    for logs in problems(ties):
        scores = {
            path: sum(float(logs[step, number]) for step, number in enumerate(path))
            for path in itertools.product(SYMBOLS, repeat=len(logs))
        }
        best = max(scores, key=lambda path: (round(scores[path], 9), [-number for number in path]))
        ((text, score),) = reference.find(logs, nodes.BestPath())
        assert text == tuple(n for n, _ in itertools.groupby(best) if n)
        assert score == pytest.approx(scores[best])
        found = read(padded(logs), nodes.BestPath(), aligned=True)
        assert _texts(found.numbers[0], found.lengths[0]) == [text]
        assert found.scores[0].item() == pytest.approx(score)
        assert found.alignment is not None
        spans = found.alignment[0, : len(text)].tolist()
        assert tuple(map(tuple, spans)) == reference.spans_of(best)


def test_an_alignment_is_the_most_probable_of_its_text() -> None:
    for logs in problems():
        for text in itertools.islice(texts_of(logs), 30):
            scores = [
                (sum(float(logs[step, number]) for step, number in enumerate(path)), path)
                for path in itertools.product(SYMBOLS, repeat=len(logs))
                if tuple(n for n, _ in itertools.groupby(path) if n) == text
            ]
            assert reference.align(logs, text) == reference.spans_of(max(scores)[1])


def test_the_unknown_is_never_answered() -> None:
    logs = np.log(np.array([[0.1, 0.8, 0.1], [0.2, 0.7, 0.1]]))
    for search in (nodes.BestPath(), nodes.PrefixBeam(3, 2)):
        found = read(torch.from_numpy(logs)[None], search)
        assert 1 not in found.numbers
        assert reference.find(logs, search)[0][0] == tuple(
            found.numbers[0, 0, : found.lengths[0, 0]].tolist()
        )


# ---------------------------------------------------------------- rows that are too short


ROWS: list[dict[str, object]] = [
    {"x": [[0.5]] * 3, "y": "ab"}, {"x": [[1.0]] * 3, "y": "aab"}, {"x": [], "y": ""},
    {"x": [[0.2]], "y": "ba"}, {"x": [[0.1]] * 5, "y": "bbaa"}, {"x": [[0.1]] * 6, "y": "bbaa"},
]  # fmt: skip


@pytest.fixture
def encoded(tmp_path: Path) -> tuple[Plan, object, Path]:
    file = tmp_path / "rows.jsonl"
    write_rows(file, ROWS)
    spec = Spec.model_validate({
        "name": "short", "cardinality": "N:M",
        "data": {"train": "rows.jsonl", "input": {"column": "x", "as": "frames"},
                 "output": {"column": "y", "as": "chars"}},
        "encoder": {"layers": [{"cell": "gru", "units": 2}]}, "decoder": {"ctc": {}},
    })  # fmt: skip
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    return plan, encode(plan, facts, file, Reading.of(spec), tmp_path / "cache"), file


def test_steps_are_counted_with_those_between_equal_tokens(
    encoded: tuple[Plan, object, Path],
) -> None:
    assert steps_needed(encoded[1], "y").tolist() == [2, 4, 0, 2, 6, 6]  # type: ignore[arg-type]


def test_rows_that_do_not_fit_are_refused_by_their_lines(
    encoded: tuple[Plan, object, Path],
) -> None:
    plan, data, file = encoded
    with pytest.raises(DataError) as caught:
        refuse_too_short(plan, data, BadRows(file))  # type: ignore[arg-type]
    message = str(caught.value)
    for line, there in ((2, "3 steps"), (4, "1 step"), (5, "5 steps")):
        assert f"{file}:{line}: column 'y'" in message and f"has {there};" in message
    assert "set decoder.ctc.too_short to skip" in message and message.count("\n") == 3


def test_rows_that_do_not_fit_are_left_out(encoded: tuple[Plan, object, Path]) -> None:
    plan, data, file = encoded
    found, (note,) = without_too_short(plan, data, BadRows(file))  # type: ignore[arg-type]
    assert note.startswith(f"3 rows are left out of the loss; {file}:2: column 'y' takes 4 steps")
    targets = found.collate(np.arange(6)).targets["y"]
    assert (targets[[1, 3, 4]] == -1).all()
    assert (targets[[0, 2, 5]] >= 0).sum(axis=1).tolist() == [3, 1, 5]


def test_rows_that_do_not_fit_are_left_out_of_a_measured_loss(
    encoded: tuple[Plan, object, Path],
) -> None:
    """The mean over the tokens and ends of the three rows that fit, by torch's own loss."""
    plan, data, _ = encoded
    model = Model(plan).eval()
    objective = Objective(model, Train())
    batch = data.collate(np.arange(6))  # type: ignore[attr-defined]
    found = objective(batch, Precision())
    assert found.counts == {"y": 9.0} and objective.counts(batch) == {"y": 21.0}
    total = 0.0
    for row in (0, 2, 5):
        text = [number for number in batch.targets["y"][row].tolist() if number > 0]
        logs = found.logits["y"][row, : len(ROWS[row]["x"]), None]  # type: ignore[arg-type]
        if text:
            steps, tokens = (torch.tensor([len(each)]) for each in (logs, text))
            target = torch.tensor([text])
            each = torch.nn.functional.ctc_loss(logs, target, steps, tokens, reduction="sum")
            total += each.item()
    assert found.losses["y"].item() == pytest.approx(total / 9, rel=1e-5)


def test_steps_follow_strides() -> None:
    plan, _ = ctc.plan_and_facts("greedy")
    steps = np.array([0, 1, 4, 5])
    assert steps_at(plan, "answer", steps).tolist() == steps.tolist()
