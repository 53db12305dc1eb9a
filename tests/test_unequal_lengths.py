"""torch's kernels over rows of unequal lengths: padded, cut and packed, the same numbers."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnnspec.cells import builtin_cell, identify
from rnnspec.plan.nodes import Direction
from rnnspec.reference import answers
from rnnspec.to_torch import Model, native
from rnnspec.to_torch.devices import Precision
from rnnspec.to_torch.native import NATIVE, NativeKernel
from rnnspec.to_torch.packed_layout import cheapest
from rnnspec.to_torch.sequences import Lengths
from rnnspec.train.checkpoint import Position, packed_below_of, save
from rnnspec.train.distributed import ALONE
from rnnspec.train.feed import RowFeed
from rnnspec.train.step import TrainStep
from rnnspec.train.trials import choose_packing, packing
from tests.answers import tensor_of
from tests.models import frames_plan, padded, random_frames, random_weights
from tests.training import assert_same_training, model_of, rows_data, settings_of, trained_in_pieces

INPUTS, UNITS = 6, 8
WAYS = ("padded", "cut", "packed")
LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=7)


@contextmanager
def going(way: str) -> Iterator[None]:
    """Kernels made inside go one way wherever rows end at different steps."""
    with pytest.MonkeyPatch.context() as patch:
        cost = 0.0 if way == "cut" else float("inf")
        patch.setattr(native, "CUT_COSTS", dict.fromkeys(NATIVE, cost))
        moving = -1e6 if way == "cut" else 0.0
        patch.setattr(native, "MOVING", dict.fromkeys(NATIVE, moving))
        patch.setattr(native, "PACKED_BELOW", dict.fromkeys(NATIVE, 0.0))
        yield


def kernel_of(cell: str, way: str) -> NativeKernel:
    of = builtin_cell(cell)
    match = identify(of)
    assert match is not None
    with going(way):
        kernel = NativeKernel(of, match, INPUTS, UNITS)
    kernel.packed_below = 2.0 if way == "packed" else 0.0
    generator = torch.Generator().manual_seed(0)
    for parameter in kernel.parameters():
        parameter.data.normal_(0, 0.4, generator=generator)
    return kernel


class Case:
    """Rows of some lengths, and states before them; past their ends stands `filler`."""

    def __init__(
        self, cell: str, lengths: Sequence[int], extra: int, started: bool, filler: float = 0.0
    ) -> None:
        self.cell = cell
        self.lengths = Lengths(torch.tensor(lengths), max(1, *lengths) + extra)
        draw = torch.Generator().manual_seed(1)
        shape = (self.lengths.longest, len(lengths))
        self.steps = torch.randn(*shape, INPUTS, generator=draw)
        self.steps[~self.lengths.mask] = filler
        names = builtin_cell(cell).states if started else ()
        self.states = {n: torch.randn(len(lengths), UNITS, generator=draw) for n in names}
        self.weights = torch.rand(*shape, UNITS, generator=draw)

    def wanted(self) -> tuple[Tensor, dict[str, Tensor]]:
        return self.steps.clone().requires_grad_(), {
            name: value.clone().requires_grad_() for name, value in self.states.items()
        }

    def found(
        self, kernel: NativeKernel, out: Tensor, ends: Mapping[str, Tensor], wanted: list[Tensor]
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Outputs at real steps and states at the ends; gradients of a number made of them."""
        real = out[self.lengths.mask]
        loss = (self.weights[self.lengths.mask] * real.sin()).sum()
        loss = loss + sum((value.cos() * self.weights[0]).sum() for value in ends.values())
        everything = [*wanted, *kernel.parameters()]
        loss = loss + sum(0 * value.sum() for value in everything)  # no row may have a step
        gradients = torch.autograd.grad(loss, everything, allow_unused=True, materialize_grads=True)
        values = {"out": real.detach(), **{s: v.detach() for s, v in ends.items()}}
        return values, list(gradients)

    def together(self, way: str, reverse: bool) -> tuple[dict[str, Tensor], list[Tensor]]:
        kernel = kernel_of(self.cell, way)
        steps, states = self.wanted()
        lengths = Lengths(self.lengths.of_rows, self.lengths.longest)
        with going(way):
            out, ends = kernel(steps, states or None, lengths, reverse, kernel.states)
        assert bool(out.isfinite().all()), "what stands past the ends is finite"
        return self.found(kernel, out, ends, [steps, *states.values()])

    def alone(self, reverse: bool) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Row by row, each as long as it is."""
        kernel = kernel_of(self.cell, "padded")
        steps, states = self.wanted()
        out = steps.new_zeros(*steps.shape[:2], UNITS)
        ends: dict[str, list[Tensor]] = {name: [] for name in kernel.states}
        for row, length in enumerate(self.lengths.of_rows.tolist()):
            before = {
                n: states[n][row : row + 1] if states else steps.new_zeros(1, UNITS) for n in ends
            }
            after: Mapping[str, Tensor] = before
            if length:
                read = steps[:length, row : row + 1]
                found, after = kernel(read.flip(0) if reverse else read, before)
                out[:length, row : row + 1] = found.flip(0) if reverse else found
            for name, value in ends.items():
                value.append(after[name])
        joined = {name: torch.cat(value) for name, value in ends.items()}
        return self.found(kernel, out, joined, [steps, *states.values()])


def assert_equal(
    one: tuple[dict[str, Tensor], list[Tensor]], other: tuple[dict[str, Tensor], list[Tensor]]
) -> None:
    for name, value in other[0].items():
        torch.testing.assert_close(one[0][name], value, atol=1e-6, rtol=0, msg=name)
    for found, expected in zip(one[1], other[1], strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@settings(max_examples=40)
@given(
    cell=st.sampled_from(sorted(NATIVE)),
    lengths=LENGTHS,
    extra=st.sampled_from((0, 3)),
    reverse=st.booleans(),
    started=st.booleans(),
)
def test_every_way_gives_what_each_row_gives_alone(
    cell: str, lengths: list[int], extra: int, reverse: bool, started: bool
) -> None:
    case = Case(cell, lengths, extra, started)
    expected = case.alone(reverse)
    for way in WAYS:
        assert_equal(case.together(way, reverse), expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("filler", [3.7, -1e30])
def test_what_stands_past_the_ends_changes_nothing(way: str, filler: float) -> None:
    lengths = (7, 1, 4, 0, 9, 2)
    expected = Case("lstm", lengths, 2, started=True).alone(reverse=False)
    assert_equal(Case("lstm", lengths, 2, True, filler).together(way, reverse=False), expected)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("cell", sorted(NATIVE))
def test_models_agree_with_the_reference_and_rows_with_themselves_alone(
    cell: str, direction: Direction, way: str
) -> None:
    plan = frames_plan(cell, direction, depth=2)
    weights, rows = random_weights(plan), random_frames((7, 1, 4, 0, 9, 2))
    with going(way):
        model = Model(plan).eval()
        model.load_canonical(weights)
        model.pack_below({n: 2.0 for n, _ in model.native_kernels()} if way == "packed" else {})
        together = tensor_of(model, padded(rows, 14, 3.7))
        expected = answers(plan, weights, rows)["label"]
        np.testing.assert_allclose(together.numpy(), expected, atol=1e-5)
        for row, got in zip(rows, together, strict=True):
            alone = tensor_of(model, padded([row], max(1, len(row["frames"])), 0.0))[0]
            torch.testing.assert_close(got, alone, atol=1e-6, rtol=0)


# ---------------------------------------------------------------- which way


@settings(max_examples=100)
@given(LENGTHS.filter(any), st.sampled_from((0.0, 1.0, 4.0, 30.0)))
def test_no_other_cuts_cost_less(lengths: list[int], cost: float) -> None:
    """Against all ways to cut at some of the lengths."""
    ends = sorted({length for length in lengths if length})
    costs = []
    for many in range(len(ends)):
        for some in itertools.combinations(ends[:-1], many):
            stops = (0, *some, ends[-1])
            read = sum(
                (end - start) * sum(length > start for length in lengths)
                for start, end in itertools.pairwise(stops)
            )
            costs.append(read + cost * many)
    stops_found, total = cheapest(sorted(lengths), cost)
    assert total == min(costs)
    assert stops_found[-1] == ends[-1]


@given(LENGTHS.filter(any))
def test_a_packed_layout_reads_each_real_step_once(lengths: list[int]) -> None:
    every = Lengths(torch.tensor(lengths), max(lengths) + 2)
    layout = every.packed
    assert sorted(layout.places.tolist()) == every.places.tolist()
    assert sum(many * rows for many, rows in layout.parts) == sum(lengths)
    assert not bool(layout.past.any())


@pytest.mark.parametrize("way", ["cut", "packed"])
def test_a_batch_is_given_back_when_it_is_done_with(way: str) -> None:
    """What its lengths keep does not keep them: that would wait for the garbage collector."""
    kernel = kernel_of("lstm", way)
    every = Lengths(torch.tensor([5, 1, 3]), 5)
    kept = weakref.ref(every)
    gc.disable()
    try:
        with going(way):
            out, _ = kernel(torch.randn(5, 3, INPUTS), None, every, True, kernel.states)
        out.sum().backward()
        assert every.cuts or "packed" in vars(every)
        del every, out
        assert kept() is None
    finally:
        gc.enable()


def test_a_batch_is_cut_where_enough_of_it_is_padding() -> None:
    def parts(*lengths: int) -> tuple[tuple[int, int], ...] | None:
        layout = Lengths(torch.tensor(lengths), max(lengths)).cut(cost=20.0, moving=0.1)
        return None if layout is None else layout.parts

    assert parts(40, 40, 40, 40) is None
    assert parts(40, 39, 40, 38) is None
    assert parts(40, 5, 40, 5) == ((5, 4), (35, 2))
    assert parts(40, 0, 0, 0) == ((40, 1),)
    assert parts(9, 1, 1, 1) is None
    assert parts(1, 1) is None


def test_packed_on_a_cpu_only_where_no_gradient_is_wanted() -> None:
    kernel = kernel_of("gru", "padded")
    kernel.answered_below = 0.5
    of_rows = torch.tensor([8, 2, 2, 2])
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            layout = kernel.layout(Lengths(of_rows, 8), torch.device("cpu"))
        assert (layout is not None and layout.packed) == (not grad)
    with torch.no_grad():
        assert kernel.layout(Lengths(of_rows + 6, 14), torch.device("cpu")) is None


def test_units_decide_what_a_cut_costs() -> None:
    """The more a step takes, the fewer of them a cut costs."""
    costs = []
    for units in (32, 512):
        match = identify(builtin_cell("lstm"))
        assert match is not None
        costs.append(NativeKernel(builtin_cell("lstm"), match, 4, units).cut_cost)
    assert costs[0] == 16 * costs[1]


# ---------------------------------------------------------------- training


@pytest.mark.parametrize("cell", sorted(NATIVE))
def test_a_training_on_cut_batches_resumes_exactly(cell: str, tmp_path: Path) -> None:
    plan = frames_plan(cell, "bidirectional", depth=2)
    with going("cut"):
        whole = trained_in_pieces(tmp_path / "whole", settings_of(), plan=plan)
        broken = trained_in_pieces(tmp_path / "broken", settings_of(), [1, 2, 3], plan=plan)
    assert_same_training(whole, broken)


def test_a_trial_takes_the_largest_share_at_which_packing_is_faster() -> None:
    model = model_of(frames_plan("gru", "bidirectional", depth=2))
    kernels = dict(model.native_kernels())
    taken = itertools.cycle([1.0, 0.5, 1.0, 0.8, 1.0, 1.2])

    def seconds(call: object, device: object) -> float:
        """Padded and packed take turns at three shares; the layers differ in size."""
        return next(taken)

    assert packing(model, (6, 4), Precision(), seconds) == dict.fromkeys(kernels, 0.5)
    assert not model.packed_below(), "a trial leaves no trace"
    assert set(packing(model, (6, 4), Precision())) == set(kernels)


def test_what_a_trial_found_is_kept_with_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resumed training goes on as it began, whatever the device does today."""
    gpu, file = Precision(torch.device("cuda")), tmp_path / "checkpoint.safetensors"
    options = settings_of()
    feed = RowFeed(rows_data(), options)
    found = {"layers.0.forward": 0.75}
    monkeypatch.setattr("rnnspec.train.trials.packing", lambda *_: found)
    model = model_of()
    choose_packing(model, options, feed, file, gpu, ALONE)
    assert model.packed_below() == found
    save(file, Position(), TrainStep(model, options))
    assert packed_below_of(file) == found
    monkeypatch.setattr("rnnspec.train.trials.packing", lambda *_: pytest.fail("tried again"))
    again = model_of()
    choose_packing(again, options, feed, file, gpu, ALONE)
    assert again.packed_below() == found
    for settings_, numbers in ((settings_of(deterministic=True), gpu), (options, Precision())):
        plain = model_of()
        choose_packing(plain, settings_, feed, tmp_path / "none", numbers, ALONE)
        assert not plain.packed_below()
