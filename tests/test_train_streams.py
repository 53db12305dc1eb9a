"""Truncated backpropagation: the same numbers as a hand-written loop with carried states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rnnspec.store.events import Silent
from rnnspec.store.folder import BuildFolder
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from rnnspec.train.checkpoint import load, save
from rnnspec.train.feed import StreamFeed
from rnnspec.train.interrupt import Interrupt
from rnnspec.train.loop import Trainer
from rnnspec.train.step import TrainStep
from tests.models import layers_plan
from tests.training import Stream, metrics_of, mixed_model, model_of, settings_of

SETTINGS = settings_of(batch=3, window=4, epochs=2, optimizer={"sgd": {"lr": 0.3}})
BIAS = "bias_hh_l0"
"""The second bias of torch's LSTM, which a cell of ours has not."""


class Twin(nn.Module):
    """The model by hand."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        held = dict(model.canonical())
        self.mean, self.deviation = held["input.frames.mean"], held["input.frames.deviation"]
        self.lstm: nn.LSTM = nn.LSTM(3, 5)
        self.answer: nn.Linear = nn.Linear(5, 4)
        with torch.no_grad():
            for part, letter in (("weight_ih", "W"), ("weight_hh", "U"), ("bias_ih", "b")):
                gates = [held[f"layers.0.forward.{letter}_{gate}"] for gate in "ifgo"]
                getattr(self.lstm, f"{part}_l0").copy_(torch.cat(gates))
            getattr(self.lstm, BIAS).zero_().requires_grad_(False)
            self.answer.weight.copy_(held["answer.W"])
            self.answer.bias.copy_(held["answer.b"])

    def losses(self, stream: Stream, lr: float) -> list[float]:
        """Of each window of an epoch, trained on unless the rate is 0."""
        h, c = torch.zeros(1, 3, 5), torch.zeros(1, 3, 5)
        found = []
        for batch, reset in stream.lanes(3, 4):
            values, lengths = (torch.from_numpy(part) for part in batch.inputs["frames"])
            keep = torch.from_numpy(~reset)[None, :, None]
            h, c = h.detach() * keep, c.detach() * keep
            frames = ((values - self.mean) / self.deviation).transpose(0, 1)
            out, (h, c) = self.lstm(frames, (h, c))
            rows = torch.arange(3)
            last = out[(lengths - 1).clamp(min=0), rows] * (lengths > 0)[:, None]
            loss = nn.functional.cross_entropy(
                self.answer(last), torch.from_numpy(batch.targets["label"])
            )
            found.append(loss.item())
            if lr:
                self.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_([p for p in self.parameters() if p.requires_grad], 1.0)
                with torch.no_grad():
                    for weight in self.parameters():
                        if weight.grad is not None:
                            weight.sub_(lr * weight.grad)
        return found


def test_windows_train_as_by_hand(tmp_path: Path) -> None:
    build = BuildFolder(tmp_path)
    model, valid = model_of(), Stream((9, 14, 3, 8), seed=1)
    twin = Twin(model)
    trainer = Trainer(model, SETTINGS, build, Stream(), valid, Silent())
    assert trainer.run(Interrupt())
    for record in metrics_of(build):
        trained = twin.losses(Stream(), lr=0.3)
        assert record["train.loss"] == pytest.approx(np.mean(trained), abs=1e-5)
        assert record["valid.loss"] == pytest.approx(np.mean(twin.losses(valid, 0.0)), abs=1e-5)


def test_states_are_carried_and_begin_anew() -> None:
    """Of three lanes, the second begins a new sequence in the second window."""
    train_step = TrainStep(model_of(), SETTINGS)
    micro_batches = list(StreamFeed(Stream((9, 4, 9, 9, 9, 9)), SETTINGS).micro_batches(0, 0))
    train_step.step([micro_batches[0]])
    before = train_step.states_before(micro_batches[1])
    assert train_step.carried is not None
    for name, state in before.items():
        assert not state.requires_grad
        torch.testing.assert_close(state[[0, 2]], train_step.carried[name][[0, 2]])
        assert state[1].tolist() == [0.0] * 5
        assert bool((state[0] != 0).all())


def test_an_epoch_begins_without_states() -> None:
    """Whatever was carried to the end of the epoch before, and whatever `reset` says."""
    train_step = TrainStep(model_of(), SETTINGS)
    feed = StreamFeed(Stream(), SETTINGS)
    for micro_batch in feed.micro_batches(0, 0):
        train_step.step([micro_batch])
    train_step.carried = None
    first = next(feed.micro_batches(1, 0))
    assert all(bool((state == 0).all()) for state in train_step.states_before(first).values())


def test_carried_states_come_back_from_a_checkpoint(tmp_path: Path) -> None:
    train_step, other = (TrainStep(model_of(), SETTINGS) for _ in range(2))
    micro_batches = list(StreamFeed(Stream(), SETTINGS).micro_batches(0, 0))
    train_step.step([micro_batches[0]])
    trainer = Trainer(model_of(), SETTINGS, BuildFolder(tmp_path), Stream(), None, Silent())
    save(tmp_path / "checkpoint.safetensors", trainer.position, train_step)
    load(tmp_path / "checkpoint.safetensors", other)
    assert train_step.carried is not None and other.carried is not None
    assert train_step.carried.keys() == other.carried.keys() == {"layers.0.h", "layers.0.c"}
    for name, state in train_step.carried.items():
        assert torch.equal(state, other.carried[name])


def test_evaluation_leaves_the_states_of_training_alone(tmp_path: Path) -> None:
    build = BuildFolder(tmp_path)
    trainer = Trainer(model_of(), SETTINGS, build, Stream(), Stream(seed=2), Silent())
    trainer.train_step.step([next(trainer.feed.micro_batches(0, 0))])
    before = dict(trainer.train_step.carried or {})
    first, second = trainer.validate()[0], trainer.validate()[0]
    assert first == second
    assert trainer.train_step.carried is not None
    assert all(
        torch.equal(trainer.train_step.carried[name], state) for name, state in before.items()
    )


@torch.no_grad()
def test_a_stream_without_states_differs(tmp_path: Path) -> None:
    """What a state carries matters here, or the tests above would show nothing."""
    model, twin = model_of(), Twin(model_of())
    windows = list(Stream().lanes(3, 4))
    model.eval()
    alone = [
        float(
            nn.functional.cross_entropy(
                model({"frames": tuple(map(torch.from_numpy, batch.inputs["frames"]))})["label"],
                torch.from_numpy(batch.targets["label"]),
            )
        )
        for batch, _ in windows
    ]
    carried = twin.losses(Stream(), 0.0)
    assert alone[0] == pytest.approx(carried[0], abs=1e-6)
    assert alone[1] != pytest.approx(carried[1], abs=1e-4)


def test_windows_that_are_accumulated_make_one_step() -> None:
    """Their gradient is that of all answers of both, the second from the states after the first."""
    micro_batches = list(StreamFeed(Stream(), SETTINGS).micro_batches(0, 0))[:2]
    together, apart = TrainStep(model_of(), SETTINGS), TrainStep(model_of(), SETTINGS)
    found = together.step(micro_batches)
    losses, states = [], apart.model.first_states(3)
    for micro_batch in micro_batches:
        states = {name: value.detach() for name, value in states.items()}
        forward = apart.objective(micro_batch.batch, apart.precision, states)
        states = forward.states
        losses.append(forward.losses["label"])
    loss = (losses[0] + losses[1]) / 2
    apart.model.zero_grad()
    loss.backward()
    apart._clip()
    apart.optimizer.step()
    assert found.loss == pytest.approx(loss.item(), abs=1e-6)
    for (name, one), (_, other) in zip(
        together.model.canonical(), apart.model.canonical(), strict=True
    ):
        torch.testing.assert_close(one, other, msg=name)


def test_states_of_mixed_precision_are_carried() -> None:
    """Whatever type they are computed in, they come back as the weights are."""
    train_step = TrainStep(mixed_model(), SETTINGS, Precision(name="bfloat16"))
    plain = TrainStep(mixed_model(), SETTINGS)
    for micro_batch in list(StreamFeed(Stream(), SETTINGS).micro_batches(0, 0))[:4]:
        before, exact = train_step.states_before(micro_batch), plain.states_before(micro_batch)
        for name, state in before.items():
            assert state.dtype == torch.float32
            torch.testing.assert_close(state, exact[name], atol=0.05, rtol=0.05)
        found, expected = train_step.step([micro_batch]), plain.step([micro_batch])
        assert found.loss == pytest.approx(expected.loss, rel=0.02)


def test_states_of_mixed_precision_come_back_from_a_checkpoint(tmp_path: Path) -> None:
    precision = Precision(name="bfloat16")
    train_step, other = (TrainStep(mixed_model(), SETTINGS, precision) for _ in range(2))
    micro_batches = list(StreamFeed(Stream(), SETTINGS).micro_batches(0, 0))
    train_step.step([micro_batches[0]])
    trainer = Trainer(mixed_model(), SETTINGS, BuildFolder(tmp_path), Stream(), None, Silent())
    save(tmp_path / "checkpoint.safetensors", trainer.position, train_step)
    load(tmp_path / "checkpoint.safetensors", other)
    found = other.states_before(micro_batches[1])
    for name, state in train_step.states_before(micro_batches[1]).items():
        assert torch.equal(found[name], state)


def test_masks_of_a_sequence_are_drawn_for_each_window() -> None:
    """One mask for all steps of a window, others in the next: a window is what is remembered."""
    layer = {"cell": "gru", "units": 50, "dropout": 0.5, "dropout_per": "sequence"}
    model = model_of(layers_plan(layer, {"cell": "gru", "units": 5})).train()
    seen: list[torch.Tensor] = []
    dropout = model.parts["layers/0/dropout"]
    dropout.register_forward_hook(lambda part, given, out: seen.append(out.values == 0))
    states = model.first_states(3)
    for micro_batch in list(StreamFeed(Stream(), SETTINGS).micro_batches(0, 0))[:2]:
        inputs = {
            n: tuple(map(torch.from_numpy, pair)) for n, pair in micro_batch.batch.inputs.items()
        }
        _, states = model.run(inputs, states)  # type: ignore[arg-type]
    for window in seen:
        assert bool((window == window[:1]).all())
        assert 0.2 < window.float().mean() < 0.8
    assert not torch.equal(seen[0][0], seen[1][0])
