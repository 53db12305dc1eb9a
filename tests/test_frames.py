"""Layers within the frames of a video and over several of them, held against torch's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnnspec.plan import Plan, dump
from rnnspec.reference import answers
from rnnspec.to_torch import Model
from tests.answers import of_torch
from tests.kinds import batched, output, plan_of, random_rows, spec_data, strong_weights

GRU = {"cell": "gru", "units": 3}


def planned(*layers: dict[str, Any], **more: Any) -> Plan:
    """A video of 7 x 5 grey pixels through layers to a class."""
    return plan_of(spec_data("N:1", ["clip"], [output("class")], layers, **more))[0]


def tensors(weights: dict[str, Any], prefix: str) -> tuple[Tensor, Tensor]:
    return tuple(torch.from_numpy(weights[f"{prefix}.{each}"]) for each in "Wb")  # type: ignore[return-value]


def loaded(layer: nn.Module, weight: Tensor, bias: Tensor) -> nn.Module:
    layer.load_state_dict({"weight": weight, "bias": bias})
    return layer


@torch.no_grad()
def test_each_frame_is_read_as_torch_reads_a_picture() -> None:
    plan = planned(
        {"conv": 4, "size": [3, 5], "stride": 2, "activation": "relu"},
        {"pool": "max", "size": [2, 2]},
        {"dense": 3},
        pooling="mean",
    )
    weights = strong_weights(plan)
    (row,) = random_rows(plan, [6])
    picture = torch.from_numpy(row["clip"].reshape(6, 7, 5)[:, None].astype(np.float32) / 255)
    conv = loaded(nn.Conv2d(1, 4, (3, 5), 2, (1, 2)), *_of_frames(weights, "layers.0"))
    pool = nn.MaxPool2d(2, ceil_mode=True)
    found = pool(conv(picture).relu()).permute(0, 2, 3, 1).flatten(1)
    dense = loaded(nn.Linear(found.shape[1], 3), *tensors(weights, "layers.2"))
    answer = loaded(nn.Linear(3, 3), *tensors(weights, "answer"))
    expected = answer(dense(found).mean(0)).softmax(-1)
    got = answers(plan, weights, [row])["class"][0]
    np.testing.assert_allclose(got, expected.numpy(), atol=1e-6)


def _of_frames(weights: dict[str, Any], name: str) -> tuple[Tensor, Tensor]:
    matrix, bias = tensors(weights, name)
    return matrix.squeeze(2), bias


@torch.no_grad()
def test_three_sizes_are_those_of_conv3d() -> None:
    plan = planned(
        {"conv": 4, "size": [3, 3, 5], "stride": [2, 1, 2], "activation": "relu"},
        {"squeeze": "mean"},
        {"dense": 3},
        pooling="mean",
    )
    weights = strong_weights(plan)
    (row,) = random_rows(plan, [6])
    clip = torch.from_numpy(row["clip"].reshape(1, 1, 6, 7, 5).astype(np.float32) / 255)
    conv = loaded(nn.Conv3d(1, 4, (3, 3, 5), (2, 1, 2), (1, 1, 2)), *tensors(weights, "layers.0"))
    found = conv(clip).relu().mean((-2, -1))[0].T
    dense = loaded(nn.Linear(4, 3), *tensors(weights, "layers.2"))
    answer = loaded(nn.Linear(3, 3), *tensors(weights, "answer"))
    expected = answer(dense(found).mean(0)).softmax(-1)
    assert len(found) == 3
    got = answers(plan, weights, [row])["class"][0]
    np.testing.assert_allclose(got, expected.numpy(), atol=1e-6)


def test_a_frame_that_no_layer_looks_into_is_plain_steps() -> None:
    """The plan is that of a video without such layers."""
    assert "Unflatten" not in dump(planned(GRU))
    assert "Unflatten" not in dump(planned({"conv": 3, "size": 2}, {"dense": 2}, pooling="mean"))
    assert "Unflatten" in dump(planned({"norm": "batch"}, GRU))


@pytest.mark.parametrize(
    ("layer", "carries"),
    [
        ({"conv": 2, "size": [3, 3]}, True),
        ({"pool": "max", "size": [2, 2]}, True),
        ({"pool": "mean", "size": [1, 2, 2], "stride": [1, 1, 1]}, True),
        ({"conv": 2, "size": [3, 3, 3]}, False),
        ({"pool": "max", "size": [2, 2, 2], "stride": 1}, False),
    ],
)
def test_layers_within_frames_read_windows_of_a_stream(layer: Any, carries: bool) -> None:
    plan = plan_of(spec_data("N:N", ["clip"], [output("tags")], [layer, GRU]))[0]
    assert Model(plan).carries == carries


@pytest.mark.parametrize("layer", [{"conv": 2, "size": [3, 3]}, {"conv": 2, "size": [2, 3, 3]}])
def test_padding_frames_reach_nothing(layer: Any) -> None:
    """White padding behind each row, and rows without frames."""
    plan = planned(layer, {"pool": "mean", "size": [2, 2]}, GRU)
    model = Model(plan).eval()
    model.load_canonical(strong_weights(plan))
    rows = random_rows(plan, [4, 0, 1])
    found = [of_torch(model, batched(plan, rows, extra, 1.0))["class"] for extra in (0, 3)]
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
