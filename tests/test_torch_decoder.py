"""Decoders in torch: whole and step by step, against the reference, alone and in a batch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from rnnspec.cells import builtin_cell
from rnnspec.plan.nodes import (
    FIRST_STEP,
    CopyMix,
    Decoder,
    FinalState,
    PointerOutput,
    Recurrent,
    TextOutput,
)
from rnnspec.plan.nodes import weights as weights_of
from rnnspec.reference import raw_outputs
from rnnspec.to_torch import Model
from rnnspec.to_torch.recurrent import MaskedKernel, RecurrentLayer
from rnnspec.to_torch.sequences import Lengths, PaddedSequence
from rnnspec.to_torch.teacher_forcing import text_logits
from tests.answers import close_scores
from tests.decoders import LENGTHS, SPECS, TARGETS, column, doubled, model_of, plan, targets
from tests.kinds import batched, random_rows, strong_weights

NAMES = list(SPECS)


def truth_of(model: Model) -> Tensor:
    """Numbers of `TARGETS`, or of steps that the rows have."""
    (out,) = model.plan.outputs
    if isinstance(out, PointerOutput):
        places = [[FIRST_STEP + n % length for n in range(length)] for length in LENGTHS]
        return targets([[*row[::-1], 0] for row in places], FIRST_STEP + max(LENGTHS))
    assert isinstance(out, TextOutput)
    return targets(size=out.size)


def in_steps(model: Model, inputs: dict[str, tuple[Tensor, Tensor]], truth: Tensor) -> Tensor:
    """The logits of a run in which each step is a run of its own, fed with the true numbers."""
    body = next(iter(model.bodies.values()))
    values, _ = model.values(inputs, None)
    reads = body.reads(values, len(truth))
    before = torch.nn.functional.pad(truth.clamp(min=0), (1, 0))[:, :-1].t()
    found = body.free_running(reads, before[0], len(before), lambda step, _: before[step + 1])
    return found.values.transpose(0, 1)


@pytest.mark.parametrize(
    ("name", "generic"),
    [*((name, False) for name in NAMES), ("lstm both ways", True), ("two layers", True)],
)
@torch.no_grad()
def test_scores_agree_with_the_reference(name: str, generic: bool) -> None:
    model = model_of(plan(name), generic=generic)
    given = strong_weights(model.plan, size=0.9)
    rows, truth = random_rows(model.plan, LENGTHS), truth_of(model)
    known = [{column(model.plan): row[row >= 0].numpy()} for row in truth]
    expected = raw_outputs(model.plan, given, rows, known)[column(model.plan)]
    inputs = doubled(batched(model.plan, rows, extra=2, filler=3.7))
    whole = model(inputs, {column(model.plan): truth})[column(model.plan)]
    steps = in_steps(model, inputs, truth)
    close_scores(whole.numpy(), expected, "at once", 1e-9)
    close_scores(steps.numpy(), expected, "step by step", 1e-9)
    for number, row in enumerate(expected):
        alone = doubled(batched(model.plan, [rows[number]]))
        one = {column(model.plan): truth[number : number + 1, : len(row)]}
        found = model(alone, one)[column(model.plan)][0]
        close_scores(found[None].numpy(), [row], "alone", 1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    """Of all weights together, along a random direction, over the true steps, dropout on."""
    model = model_of(plan(name)).train()
    rows, truth = random_rows(model.plan, LENGTHS), truth_of(model)
    inputs = doubled(batched(model.plan, rows, extra=1))

    def loss() -> Tensor:
        torch.manual_seed(1)
        found: Tensor = model(inputs, {column(model.plan): truth})[column(model.plan)]
        found = found.masked_fill(found.isneginf(), 0.0)  # what cannot be copied
        return (found[truth >= 0] * torch.linspace(-1, 1, found.shape[-1])).sin().sum()

    loss().backward()
    trained = {key: p for key, p in model.named_parameters() if p.requires_grad}
    assert all(p.grad is not None for p in trained.values())
    along = {key: torch.randn(p.shape, dtype=torch.float64) for key, p in trained.items()}
    for key in along:
        if key.endswith("embed/table") or key.endswith("embed.table"):
            along[key][0] *= "decoder" in key  # the pad's vector is not trained
    found = finite_difference(loss, trained, along)
    gradients = {key: p.grad for key, p in trained.items() if p.grad is not None}
    expected = sum(float((gradient * along[key]).sum()) for key, gradient in gradients.items())
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-8)


@torch.no_grad()
def finite_difference(
    loss: Callable[[], Tensor], at: Mapping[str, Tensor], along: Mapping[str, Tensor]
) -> float:
    """The derivative of a loss as all of `at` moves along one direction."""
    step, before = 1e-6, {key: value.clone() for key, value in at.items()}
    found = []
    for sign in (1, -1):
        for key, value in at.items():
            value.copy_(before[key] + sign * step * along[key])
        found.append(float(loss()))
    for key, value in at.items():
        value.copy_(before[key])
    return (found[0] - found[1]) / (2 * step)


def test_only_what_looks_back_is_run_step_by_step() -> None:
    """By the nodes of the loop: none where attention comes after, what it needs where before."""
    loops = {
        name: [node.name for node in next(iter(Model(plan(name)).bodies.values())).loop]
        for name in ("additive after", "additive before", "additive fed", "coverage after")
    }
    assert loops["additive after"] == []
    assert loops["coverage after"] == ["decoder.context"]
    before = ["decoder.before", "decoder.context", "decoder.inputs", "decoder.layers.0"]
    assert loops["additive before"] == before
    assert set(loops["additive fed"]) > {"decoder.fed", "decoder.hidden", "decoder.context"}
    assert "decoder.scores" not in loops["additive fed"]


@torch.no_grad()
def test_scheduled_sampling_reads_its_own_answers() -> None:
    """At 0 each step reads the most probable number of the step before; at 1 the true one."""
    model = model_of(plan("additive after"))
    name, truth = column(model.plan), targets(TARGETS)
    inputs = doubled(batched(model.plan, random_rows(model.plan, LENGTHS)))
    free = model(inputs, {name: truth}, 0.0)[name]
    own = torch.cat([free.argmax(-1)[:, :-1], truth[:, -1:]], dim=1)
    again = model(inputs, {name: own})[name]
    torch.testing.assert_close(free, again, atol=1e-10, rtol=0)
    taught = model(inputs, {name: truth})[name]
    assert not torch.allclose(free, taught)
    body = next(iter(model.bodies.values()))
    reads = body.reads(model.values(inputs, None)[0], len(truth))
    steps = text_logits(body, reads, truth, 1 - 1e-12).values.transpose(0, 1)
    torch.testing.assert_close(steps, taught, atol=1e-10, rtol=0)


def test_masks_of_a_whole_sequence_are_drawn_once_step_by_step() -> None:
    """Recurrent dropout: the same mask at every step, though each step is a run of its own."""
    model = model_of(plan("zoneout")).train()
    part = next(
        part
        for part in model.parts.values()
        if isinstance(part, RecurrentLayer) and part.node.name.startswith("decoder")
    )
    drawn: dict[str, Tensor] = {}
    kernel = part.kernels[0]
    assert isinstance(kernel, MaskedKernel)
    ones = torch.ones(1, 3, 2, dtype=torch.float64)
    names = [name for name in kernel.mask_widths if not name.startswith("zoneout")]
    assert names
    for name in names:
        first = kernel._mask(name, 4, ones, drawn)
        assert torch.equal(first, kernel._mask(name, 4, ones, drawn))


@pytest.mark.parametrize("generic", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm", "mingru", "lstm_peephole"])
@torch.no_grad()
def test_final_states_are_those_after_the_last_step_of_each_row(cell: str, generic: bool) -> None:
    """In a batch, of every length, as of the row alone: both directions, states of every kind."""
    node = Recurrent(
        "layer", "source", builtin_cell(cell), 3, 4, "bidirectional", (), "", "learned"
    )
    layer = RecurrentLayer(node, generic).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    lengths, steps = torch.tensor([4, 0, 6, 1, 4]), torch.randn(7, 5, 3, dtype=torch.float64)
    _, ends = layer.with_ends(PaddedSequence(steps, Lengths(lengths, 7)), list(node.cell.states))
    out = layer(PaddedSequence(steps, Lengths(lengths, 7))).values
    again, _ = layer.with_ends(PaddedSequence(steps, Lengths(lengths, 7)), list(node.cell.states))
    for row, length in enumerate(lengths.tolist()):
        torch.testing.assert_close(again.values[:length, row], out[:length, row])
        alone = PaddedSequence(
            steps[: max(length, 1), row : row + 1], Lengths(lengths[row : row + 1], max(length, 1))
        )
        _, expected = layer.with_ends(alone, list(node.cell.states))
        if length == 0:
            first = {n: v for k in (0, 1) for n, v in [(k, layer._learned(k))]}
            for state in node.cell.states:
                both = torch.cat([first[0][state], first[1][state]])
                torch.testing.assert_close(ends[state][row], both)
        for state in node.cell.states:
            torch.testing.assert_close(ends[state][row], expected[state][0])


def test_final_states_are_computed_only_where_they_are_read() -> None:
    plans = {name: plan(name) for name in ("state alone", "zero start")}
    read = {n: Model(p).ends for n, p in plans.items()}
    assert read == {"state alone": {"layers.0": ("h",)}, "zero start": {}}
    assert any(isinstance(node, FinalState) for node in plans["state alone"].nodes)


def test_every_weight_has_its_canonical_name() -> None:
    for name in NAMES:
        model = Model(plan(name))
        held = {key: tuple(value.shape) for key, value in model.canonical()}
        assert held == {w.name: w.shape for w in weights_of(model.plan)}, name


def test_copying_gives_log_probabilities() -> None:
    model = model_of(plan("copy"))
    name = column(model.plan)
    inputs = doubled(batched(model.plan, random_rows(model.plan, (5, 1, 3, 2))))
    found = model(inputs, {name: targets()})[name]
    torch.testing.assert_close(found.exp().sum(-1), torch.ones(found.shape[:2], dtype=torch.double))
    decoder = next(node for node in model.plan.nodes if isinstance(node, Decoder))
    assert isinstance(decoder.body[-1], CopyMix)


def test_a_copy_of_a_model_runs_on_its_own_weights() -> None:
    model = model_of(plan("additive before"))
    inputs = doubled(batched(model.plan, random_rows(model.plan, LENGTHS)))
    before = model(inputs, {column(model.plan): targets()})[column(model.plan)]
    other = copy.deepcopy(model)
    for parameter in other.parameters():
        torch.nn.init.zeros_(parameter)
    torch.testing.assert_close(
        model(inputs, {column(model.plan): targets()})[column(model.plan)], before
    )
    assert not other(inputs, {column(model.plan): targets()})[column(model.plan)].any()


@pytest.mark.parametrize(
    "name", ["additive after", "coverage before", "monotonic fed", "copy", "lstm both ways"]
)
def test_half_precision_stays_near(name: str) -> None:
    """Forward, backward and search under autocast; torch's LSTM needs a CPU with instructions for
    it, the loop of its equations does not."""
    model = model_of(plan(name), generic=name.startswith("lstm")).float()
    inputs = batched(model.plan, random_rows(model.plan, LENGTHS))
    truth = {column(model.plan): truth_of(model)}
    exact = model(inputs, truth)[column(model.plan)]
    with torch.autocast("cpu", torch.bfloat16):
        near = model(inputs, truth)[column(model.plan)]
        near.float().sum().backward()
        model.answers(inputs)
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())
    torch.testing.assert_close(near.float(), exact, atol=0.3, rtol=0.1)
