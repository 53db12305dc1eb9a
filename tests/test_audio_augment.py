"""What training changes in sound: gain, noise, crops and masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnspec.data.collate import PerRow, Samples
from rnnspec.data.dataset import Dataset
from rnnspec.plan import ClassFacts, Facts, NumericFacts, resolve
from rnnspec.plan.nodes import AudioInput, Augmentation
from rnnspec.spec import Spec
from rnnspec.to_torch.audio import Audio
from tests.test_audio import HOP, RATE, WINDOW, spec_data
from tests.training import assert_same_training, settings_of, trained_in_pieces


def augmented(**settings: Any) -> Audio:
    size = 8 if "frequency_masks" in settings else HOP
    kind = "log_mel" if size == 8 else "raw"
    augment = Augmentation(**settings)
    window = WINDOW if kind == "log_mel" else HOP
    more: Any = {"bands": 8, "highest": 4000.0} if kind == "log_mel" else {}
    return Audio(
        AudioInput("input.a", "a", RATE, kind, size, window, HOP, normalize="none",  # type: ignore[arg-type]
                   augment=augment, **more)
    )  # fmt: skip


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    return torch.randn(64, 1600) * 0.1, torch.tensor([1600, 800] * 32)


def test_nothing_is_changed_but_in_training() -> None:
    module = augmented(crop=0.5, gain=10.0, noise=5.0, time_masks=2, time_mask=4).eval()
    samples, lengths = batch()
    found = module(samples, lengths)
    np.testing.assert_array_equal(found.values.transpose(0, 1).flatten(1)[0], samples[0])
    assert found.lengths.of_rows.tolist() == [20, 10] * 32


def test_gain_is_of_a_row() -> None:
    module = augmented(gain=6.0)
    samples, lengths = batch()
    found = module(samples, lengths).values.transpose(0, 1).flatten(1)
    decibels = 20 * (found[:, 7] / samples[:, 7]).log10()
    assert decibels.abs().max() <= 6 and decibels.std() > 2
    np.testing.assert_allclose(found[0] / samples[0], (found[0] / samples[0])[0].item(), rtol=1e-4)


def test_noise_has_its_ratio() -> None:
    module = augmented(noise=10.0)
    samples, lengths = batch()
    found = module(samples, lengths).values.transpose(0, 1).flatten(1)
    for row in range(0, 64, 2):
        noise = found[row] - samples[row]
        ratio = 10 * np.log10(float(samples[row].square().mean() / noise.square().mean()))
        assert 9 < ratio < 41


def test_a_crop_is_a_part_of_the_row() -> None:
    module = augmented(crop=0.5)
    samples, lengths = batch()
    samples[:] = torch.arange(1600.0)
    found = module(samples, lengths)
    for row in range(64):
        steps = int(found.lengths.of_rows[row])
        part = found.values[:steps, row].flatten()
        part = part[: int((part > 0).nonzero().max()) + 1]  # zeros fill the last window
        assert len(part) >= lengths[row] / 2 - 1 and int(part[-1]) < lengths[row]
        assert part.diff().eq(1).all()
    assert len({int(n) for n in found.lengths.of_rows}) > 5


def test_masks_are_ranges() -> None:
    module = augmented(time_masks=1, time_mask=3, frequency_masks=1, frequency_mask=2)
    samples, lengths = batch()
    found = module(samples, lengths).values.transpose(0, 1) == 0
    windows, bands = found[:, :20].all(2).sum(1), found[:, :10].all(1).sum(1)
    assert windows[::2].unique().tolist() == [0, 1, 2, 3]
    assert windows[1::2].max() <= 2 + 10  # a fifth of ten windows
    assert bands.unique().tolist() == [0, 1, 2]


def noises(rows: int, seed: int) -> Dataset:
    """Rows of noise, 0 to 30 windows of four samples each; the class is that of the loudness."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(0, 120, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    classes = draw.integers(0, 3, rows)
    values = draw.normal(size=offsets[-1]) * np.repeat(0.1 * (classes + 1), lengths)
    steps = np.concatenate([[0], np.cumsum(-(-lengths // 4))])
    column = Samples(values.astype(np.float32), offsets)
    places = (np.arange(rows), steps[:-1], steps[1:])
    return Dataset({"audio": column}, {"label": PerRow(classes)}, *places)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_training_resumes_exactly(precision: str, tmp_path: Path) -> None:
    augment = {"crop": 0.2, "gain": 6, "noise": 15, "time_masks": 1}
    data = spec_data(Path("rows.jsonl"), rate=400, augment=augment, normalize="utterance")
    data["data"]["input"]["features"] = {"log_mel": 3, "window": "8 samples", "hop": "4 samples"}
    data["data"]["output"]["column"] = "label"
    known = {"audio": NumericFacts(3, (-2.0,) * 3, (1.5,) * 3, 30)}
    facts = Facts(40, known, {"label": ClassFacts(("a", "b", "c"), (1, 1, 1))})
    plan = resolve(Spec.model_validate(data), facts)
    settings, train, valid = settings_of(precision=precision), noises(40, 0), noises(16, 1)
    whole = trained_in_pieces(tmp_path / "whole", settings, [], train, valid, plan)
    broken = trained_in_pieces(tmp_path / "broken", settings, [1, 2, 4], train, valid, plan)
    assert_same_training(whole, broken)


def test_draws_are_those_of_the_seed() -> None:
    module = augmented(crop=0.3, gain=6.0, noise=10.0, time_masks=1, time_mask=3)
    samples, lengths = batch()
    torch.manual_seed(5)
    first = module(samples, lengths).values
    second = module(samples, lengths).values
    torch.manual_seed(5)
    assert torch.equal(module(samples, lengths).values, first)
    assert not torch.equal(first, second)
