"""What training changes in pictures: by hand, within the length of each row, and nowhere else."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rnnspec.data.collate import ByteSteps, PerRow
from rnnspec.data.dataset import Dataset
from rnnspec.data.pictures import in_place
from rnnspec.plan import ClassFacts, Facts, NumericFacts, Plan, resolve
from rnnspec.plan.nodes import ImageInput, Picture, PictureAugmentation
from rnnspec.spec import Spec
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.to_torch.pictures import Image
from tests.kinds import output, plan_of, spec_data, strong_weights
from tests.test_pictures import pixels
from tests.training import assert_same_training, settings_of, trained_in_pieces

ROWS, STEPS, SIDE = 64, 6, 4
LENGTHS = [6, 5] * (ROWS // 2)
PICTURES = {
    "columns": Picture(SIDE, None, 3, "columns"),
    "rows": Picture(None, SIDE, 3, "rows"),
    "frames": Picture(SIDE, 3, 1, "frames"),
}
Values = NDArray[Any]


def given(picture: Picture, filler: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """64 rows of six and five steps, padded to seven."""
    shape = (ROWS, STEPS + 1, picture.features, picture.channels)
    values = pixels(*shape, seed=1)
    for row, length in zip(values, LENGTHS, strict=True):
        row[length:] = filler
    return torch.from_numpy(values), torch.tensor(LENGTHS)


def changed(picture: Picture, filler: int = 0, seed: int = 0, **settings: Any) -> list[Values]:
    """Each row, `[T, height, width, channels]` or of an image `[height, width, channels]`, from 0
    to 255."""
    node = ImageInput("input.i", "i", picture, "none", augment=PictureAugmentation(**settings))
    torch.manual_seed(seed)
    found = Image(node)(*given(picture, filler)).values.transpose(0, 1).numpy()
    return in_order(picture, found)


def in_order(picture: Picture, values: Values) -> list[Values]:
    cut = (row[:length] for row, length in zip(values, LENGTHS, strict=True))
    return [in_place(row, picture) for row in cut]


def as_given(picture: Picture) -> list[Values]:
    return in_order(picture, given(picture)[0].numpy())


@pytest.mark.parametrize("steps", PICTURES)
def test_nothing_is_changed_but_in_training(steps: str) -> None:
    picture = PICTURES[steps]
    everything = PictureAugmentation("both", 2, 0.5, 0.5, 0.5)
    node = ImageInput("input.i", "i", picture, "none", augment=everything)
    values, lengths = given(picture)
    found = Image(node).eval()(values, lengths)
    assert torch.equal(found.values.transpose(0, 1), values.float())


def turned(picture: Values, sides: tuple[bool, ...]) -> Values:
    """Of `[..., height, width, channels]`, top and bottom and left and right."""
    axes = [axis for axis, side in zip((-3, -2), sides, strict=True) if side]
    return np.flip(picture, tuple(axes))


@pytest.mark.parametrize("steps", PICTURES)
@pytest.mark.parametrize("flip", ["horizontal", "vertical", "both"])
def test_flips_turn_half_of_the_rows(steps: str, flip: str) -> None:
    picture, counts = PICTURES[steps], dict[tuple[bool, ...], int]()
    for row, before in zip(changed(picture, flip=flip), as_given(picture), strict=True):
        ways = product((False, True), repeat=2)
        (way,) = [each for each in ways if np.array_equal(row, turned(before, each))]
        counts[way] = counts.get(way, 0) + 1
    allowed = {(flip != "horizontal" and v, flip != "vertical" and h)
               for v, h in product((False, True), repeat=2)}  # fmt: skip
    assert set(counts) == allowed
    assert min(counts.values()) > ROWS / len(allowed) / 3


def shifted(picture: Values, down: int, right: int) -> Values:
    """Of `[..., height, width, channels]`, by the definition: 0 where nothing was."""
    high, wide = picture.shape[-3:-1]
    found = np.zeros_like(picture)
    for y, x in product(range(high), range(wide)):
        if 0 <= y - down < high and 0 <= x - right < wide:
            found[..., y, x, :] = picture[..., y - down, x - right, :]
    return found


@pytest.mark.parametrize("steps", PICTURES)
def test_shifts_are_whole_pixels_within_the_row(steps: str) -> None:
    picture, seen = PICTURES[steps], set[tuple[int, ...]]()
    for row, before in zip(changed(picture, shift=1), as_given(picture), strict=True):
        ways = product((-1, 0, 1), repeat=2)
        (way,) = [each for each in ways if np.array_equal(row, shifted(before, *each))]
        seen.add(way)
    assert len(seen) == 9


def test_a_flip_comes_before_a_shift() -> None:
    picture = PICTURES["columns"]
    found = changed(picture, shift=2, flip="horizontal")
    for row, before in zip(found, as_given(picture), strict=True):
        assert any(
            np.array_equal(row, shifted(turned(before, (False, turn)), down, right))
            for turn in (False, True)
            for down, right in product(range(-2, 3), repeat=2)
        )


@pytest.mark.parametrize("steps", PICTURES)
def test_contrast_is_around_the_mean_of_the_row(steps: str) -> None:
    picture, factors = PICTURES[steps], []
    for row, before in zip(changed(picture, contrast=0.5), as_given(picture), strict=True):
        mean, inside = before.mean(), (row > 0) & (row < 255)
        ratio = (row[inside] - mean) / (before[inside] - mean)
        factors.append(float(np.median(ratio)))
        np.testing.assert_allclose(row[inside], mean + factors[-1] * (before[inside] - mean),
                                   atol=0.02)  # fmt: skip
        assert row.min() >= 0 and row.max() <= 255
    assert 0.5 <= min(factors) < 0.7 and 1.3 < max(factors) <= 1.5


@pytest.mark.parametrize("steps", PICTURES)
def test_brightness_is_of_all_pixels_alike(steps: str) -> None:
    picture, added = PICTURES[steps], []
    for row, before in zip(changed(picture, brightness=0.2), as_given(picture), strict=True):
        inside = (row > 0) & (row < 255)
        added.append(float(np.median(row[inside] - before[inside])))
        np.testing.assert_allclose(row, np.clip(before + added[-1], 0, 255), atol=1e-3)
    assert -51 <= min(added) < -35 and 35 < max(added) <= 51


def test_noise_is_normal_and_of_each_number() -> None:
    picture = Picture(40, 50, 1, "frames")
    found, before = changed(picture, noise=0.02), as_given(picture)
    middle = [(b > 60) & (b < 195) for b in before]
    noise = np.concatenate([(r - b)[m] for r, b, m in zip(found, before, middle, strict=True)])
    assert noise.mean() == pytest.approx(0, abs=0.05) and noise.std() == pytest.approx(
        5.1, rel=0.02
    )
    assert np.mean(np.abs(noise) < 5.1) == pytest.approx(0.683, abs=0.01)


def test_changes_come_behind_the_inversion() -> None:
    """What comes in from beyond the edges is 0 of what the model reads."""
    node = ImageInput(
        "input.i", "i", PICTURES["columns"], "unit", True, PictureAugmentation(shift=3)
    )
    torch.manual_seed(0)
    white = torch.full((ROWS, STEPS, SIDE, 3), 255, dtype=torch.uint8)
    assert not Image(node)(white, torch.tensor(LENGTHS)).values[:5].any()


@pytest.mark.parametrize("steps", PICTURES)
def test_draws_are_those_of_the_seed_whatever_the_padding(steps: str) -> None:
    everything: Any = {"flip": "both", "shift": 1, "contrast": 0.2, "brightness": 0.2, "noise": 0.1}
    first, again, other = (
        changed(PICTURES[steps], filler, seed, **everything)
        for filler, seed in ((0, 1), (255, 1), (0, 2))
    )
    for one, two in zip(first, again, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-3)
    assert not np.array_equal(first[0], other[0])


def test_rows_without_steps_stay_empty() -> None:
    node = ImageInput("input.i", "i", PICTURES["rows"], "unit",
                      augment=PictureAugmentation("both", 1, 0.2, 0.2, 0.2))  # fmt: skip
    found = Image(node)(torch.zeros((2, 1, SIDE, 3), dtype=torch.uint8), torch.tensor([0, 0]))
    assert found.lengths.of_rows.tolist() == [0, 0] and torch.isfinite(found.values).all()


AUGMENT = {"flip": "both", "shift": 1, "contrast": 0.2, "brightness": 0.2, "noise": 0.05}


def test_the_exported_file_knows_nothing_of_it() -> None:
    def file(**more: Any) -> bytes:
        data = spec_data("N:1", ["image"], [output("class")])
        data["data"]["input"][0] |= more
        plan, facts = plan_of(data)
        assert bool(plan.node("input.image").augment) == bool(more)  # type: ignore[attr-defined]
        return bytes(to_onnx(plan, facts, strong_weights(plan)).SerializeToString())

    assert file() == file(augment=AUGMENT)


def planned(steps: str) -> tuple[Plan, Facts]:
    sizes = {"as": "video", "height": 4, "width": 3} if steps == "frames" else {
        "as": "image", "height": 4, "steps": steps, "width": 4}  # fmt: skip
    spec = Spec.model_validate({
        "name": "augmented", "cardinality": "N:1",
        "data": {"train": "nowhere.jsonl", "input": {"column": "i", **sizes, "augment": AUGMENT},
                 "output": {"column": "label", "as": "class"}},
        "encoder": {"layers": [{"cell": "gru", "units": 3}]},
    })  # fmt: skip
    facts = Facts(40, {"i": NumericFacts(1, (100.0,), (60.0,), 5)},
                  {"label": ClassFacts(("a", "b"), (1, 1))})  # fmt: skip
    return resolve(spec, facts), facts


def dataset(plan: Plan, rows: int, seed: int) -> Dataset:
    node = plan.node("input.i")
    assert isinstance(node, ImageInput)
    draw = np.random.default_rng(seed)
    ends = np.cumsum(draw.integers(0, 6, rows))
    values = pixels(int(ends[-1]), node.picture.features, 1, seed=seed)
    starts = np.concatenate([[0], ends[:-1]])
    targets = {"label": PerRow(draw.integers(0, 2, rows))}
    return Dataset({"i": ByteSteps(values)}, targets, np.arange(rows), starts, ends)


@pytest.mark.parametrize("steps", ["columns", "frames"])
def test_training_resumes_exactly(steps: str, tmp_path: Path) -> None:
    plan, _ = planned(steps)
    settings, train, valid = settings_of(), dataset(plan, 40, 0), dataset(plan, 16, 1)
    whole = trained_in_pieces(tmp_path / "whole", settings, [], train, valid, plan)
    broken = trained_in_pieces(tmp_path / "broken", settings, [1, 2, 4], train, valid, plan)
    assert_same_training(whole, broken)


def test_a_model_that_trains_draws_and_one_that_answers_does_not() -> None:
    plan, facts = planned("columns")
    model = Model(plan)
    model.start(facts, seed=0)
    batch = {"i": (torch.from_numpy(pixels(5, 4, 4, 1)), torch.tensor([4, 3, 0, 4, 2]))}
    answers = [model.eval()(batch)["label"] for _ in range(2)]
    assert torch.equal(*answers)
    torch.manual_seed(0)
    trained = [model.train()(batch)["label"] for _ in range(2)]
    assert not torch.equal(*trained) and not torch.equal(trained[0], answers[0])
