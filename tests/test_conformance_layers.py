"""What a layer can be besides its cell and direction: torch against the reference.

ONNX is held against the reference on the same list in `test_to_onnx_settings.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from rnnspec.plan import weights
from rnnspec.reference import answers
from rnnspec.to_torch import Model
from rnnspec.to_torch.native import NativeKernel
from rnnspec.to_torch.recurrent import RecurrentLayer
from tests.answers import tensor_of
from tests.layers import PLANS, plan
from tests.models import padded, random_frames, random_weights

LENGTHS = (7, 1, 4, 0, 9, 2)


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("generic", [False, True])
def test_torch_agrees_with_the_reference(name: str, generic: bool) -> None:
    model = Model(plan(name), generic).eval()
    given = random_weights(model.plan)
    model.load_canonical(given)
    rows = random_frames(LENGTHS)
    expected = answers(model.plan, given, rows)["label"]
    got = tensor_of(model, padded(rows, max(LENGTHS), 0.0)).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("generic", [False, True])
def test_padding_and_batch_mates_change_nothing(name: str, generic: bool) -> None:
    model = Model(plan(name), generic).eval()
    model.load_canonical(random_weights(model.plan))
    rows = random_frames(LENGTHS)
    together = tensor_of(model, padded(rows, max(LENGTHS) + 5, 3.7))
    for row, got in zip(rows, together, strict=True):
        alone = tensor_of(model, padded([row], max(1, len(row["frames"])), 0.0))[0]
        torch.testing.assert_close(got, alone, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("generic", [False, True])
def test_gradients_are_those_of_finite_differences(name: str, generic: bool) -> None:
    """Of every weight that is trained, along a random direction, in float64, with dropout on."""
    model = Model(plan(name), generic).double().train()
    model.load_canonical({k: v.astype(np.float64) for k, v in random_weights(model.plan).items()})
    rows = random_frames((5, 1, 3))
    inputs = {k: (v.double(), lengths) for k, (v, lengths) in padded(rows, 5, 0.0).items()}

    def loss() -> Tensor:
        torch.manual_seed(1)
        scores: Tensor = model(inputs)["label"]
        return (scores * torch.arange(1.0, 5.0)).sin().sum()

    loss().backward()
    fixed = {weight.name for weight in weights(model.plan) if not weight.trained}
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    assert trained
    for key, parameter in trained:
        assert parameter.grad is not None, key
        along = torch.randn(parameter.shape, dtype=torch.float64)
        found = finite_difference(loss, parameter, along)
        expected = float((parameter.grad * along).sum())
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-7), key
    held = {value.data_ptr() for name, value in model.canonical() if name in fixed}
    assert not held & {parameter.data_ptr() for _, parameter in trained}


@torch.no_grad()
def finite_difference(loss: Callable[[], Tensor], parameter: Tensor, along: Tensor) -> float:
    step, before = 1e-6, parameter.clone()
    found = []
    for sign in (1, -1):
        parameter.copy_(before + sign * step * along)
        found.append(float(loss()))
    parameter.copy_(before)
    return (found[0] - found[1]) / (2 * step)


@pytest.mark.parametrize(
    ("name", "native"),
    [
        ("merge sum last", True),
        ("skip highway bidirectional", True),
        ("norm last", True),
        ("dropout by the sequence", True),
        ("learned initial state lstm bidirectional", True),
        ("recurrent dropout lstm", False),
        ("zoneout lstm", False),
    ],
)
def test_native_kernels_stay_where_they_apply(name: str, native: bool) -> None:
    layers = [part for part in Model(plan(name)).parts.values() if isinstance(part, RecurrentLayer)]
    kernels = [kernel for layer in layers for kernel in layer.kernels]
    assert [isinstance(kernel, NativeKernel) for kernel in kernels] == [native] * len(kernels)
