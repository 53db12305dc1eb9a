"""Losses against torch's own and against sums by hand; masks, weights, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, distributions
from torch.nn import functional as F

from rnnspec.objective import losses
from rnnspec.objective.objective import count_of
from rnnspec.objective.settings import OutputLoss
from rnnspec.plan.nodes import ClassOutput, ForecastOutput, LabelsOutput, NumericOutput, TextOutput
from rnnspec.spec.distributions import DistributionName
from rnnspec.spec.losses import AUTO, AbsoluteError, Focal, Huber, Loss, SquaredError

NAN = float("nan")
LOSSES: dict[str, Loss] = {
    "auto": AUTO,
    "mse": SquaredError(),
    "mae": AbsoluteError(),
    "huber": Huber(),
    "wide huber": Huber(delta=2.0),
}


def normal(*shape: int, seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=draw, dtype=torch.float64)


# ---------------------------------------------------------------- classes and texts


@pytest.mark.parametrize("shape", [(6,), (3, 4)])
def test_class_loss_is_of_what_is_known(shape: tuple[int, ...]) -> None:
    scores, targets = normal(*shape, 5), torch.zeros(shape, dtype=torch.int64)
    targets.view(-1)[:] = torch.arange(targets.numel()) % 5
    targets.view(-1)[1] = -1
    logs = torch.log_softmax(scores.view(-1, 5), -1)
    known = [(n, t) for n, t in enumerate(targets.view(-1).tolist()) if t >= 0]
    expected = -sum(logs[n, t].item() for n, t in known)
    found = losses.class_loss(scores, targets, OutputLoss(), 0.0)
    assert found.sum().item() == pytest.approx(expected)
    assert count_of(ClassOutput("o", "s", "c", 5), targets.numpy()) == len(known)


def test_class_weights_multiply_the_loss_of_each_class() -> None:
    scores, targets = normal(4, 3), torch.tensor([0, 1, 2, 2])
    logs = torch.log_softmax(scores, -1)
    weights = (0.5, 2.0, 3.0)
    expected = -sum(weights[t] * logs[n, t].item() for n, t in enumerate(targets.tolist()))
    found = losses.class_loss(scores, targets, OutputLoss(class_weights=weights), 0.0)
    assert found.sum().item() == pytest.approx(expected)


def test_label_smoothing_spreads_a_share_over_all_classes() -> None:
    scores, targets, share = normal(4, 3), torch.tensor([0, 1, -1, 2]), 0.3
    logs = torch.log_softmax(scores, -1)
    expected = 0.0
    for n, t in enumerate(targets.tolist()):
        if t >= 0:
            aim = [share / 3 + (1 - share) * (k == t) for k in range(3)]
            expected -= sum(a * logs[n, k].item() for k, a in enumerate(aim))
    found = losses.class_loss(scores, targets, OutputLoss(), share)
    assert found.sum().item() == pytest.approx(expected)


def test_log_probabilities_of_texts_count_the_end_and_no_padding() -> None:
    logs = torch.log_softmax(normal(2, 3, 4), -1)
    targets = torch.tensor([[2, 3, 0], [0, -1, -1]])
    expected = -(logs[0, 0, 2] + logs[0, 1, 3] + logs[0, 2, 0] + logs[1, 0, 0])
    assert losses.log_probability_loss(logs, targets).sum().item() == pytest.approx(expected.item())
    assert count_of(TextOutput("o", "s", "c", "words", 4), targets.numpy()) == 4


def test_labels_loss_is_of_labels_of_rows_that_are_known() -> None:
    scores = normal(2, 3, 4)
    targets = (normal(2, 3, 4, seed=1) > 0).double()
    targets[1, 2] = NAN
    shares = torch.sigmoid(scores)
    each = -(targets * shares.log() + (1 - targets) * (1 - shares).log())
    found = losses.labels_loss(scores, targets)
    assert found.sum().item() == pytest.approx(each[~targets.isnan()].sum().item())
    assert count_of(LabelsOutput("o", "s", "c", 4, steps=True), targets.numpy()) == 5


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_the_focal_loss_weighs_what_is_sure_less(gamma: float) -> None:
    """Lin et al. 2017, equation 5, whose alpha is the weight of the class."""
    scores, targets = normal(4, 3), torch.tensor([0, 1, -1, 2])
    shares, weights = torch.softmax(scores, -1), (0.5, 2.0, 3.0)
    expected = [
        -weights[t] * (1 - shares[n, t]) ** gamma * shares[n, t].log() if t >= 0 else 0.0
        for n, t in enumerate(targets.tolist())
    ]
    loss = OutputLoss(class_weights=weights, loss=Focal(gamma=gamma))
    found = losses.class_loss(scores, targets, loss, 0.0)
    assert found.tolist() == pytest.approx([float(each) for each in expected])


def test_the_focal_loss_of_labels() -> None:
    """Lin et al. 2017, equation 4, of each label by itself."""
    scores, on = normal(2, 3), torch.tensor([[1.0, 0.0, NAN], [0.0, 1.0, 1.0]]).double()
    right = torch.where(on == 1, torch.sigmoid(scores), 1 - torch.sigmoid(scores))
    expected = (-((1 - right) ** 2) * right.log())[~on.isnan()].sum()
    found = losses.labels_loss(scores, on, Focal()).sum()
    assert found.item() == pytest.approx(expected.item())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_what_is_certain_has_a_finite_gradient_in_the_focal_loss(gamma: float) -> None:
    scores = torch.tensor([[200.0, 0.0], [0.0, 200.0]]).requires_grad_()
    loss = OutputLoss(loss=Focal(gamma=gamma))
    losses.class_loss(scores, torch.tensor([0, 0]), loss, 0.0).sum().backward()
    assert scores.grad is not None and torch.isfinite(scores.grad).all()
    assert scores.grad[0].abs().max() < 1e-6 < scores.grad[1].abs().max()


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("auto", 1 + 9 + 0.25),
        ("mse", 1 + 9 + 0.25),
        ("mae", 4.5),
        ("huber", 0.5 + 2.5 + 0.125),
        ("wide huber", 0.5 + 4 + 0.125),
    ],
)
def test_numeric_loss(name: str, expected: float) -> None:
    scores = torch.tensor([[1.0, 5.0], [3.0, 0.5]])
    targets = torch.tensor([[0.0, 2.0], [NAN, 0.0]])
    assert losses.numeric_loss(scores, targets, LOSSES[name]).sum().item() == pytest.approx(
        expected
    )
    assert count_of(NumericOutput("o", "s", "c", 2, True, False), targets.numpy()) == 3


# ---------------------------------------------------------------- forecasts


def forecast(distribution: DistributionName, quantiles: tuple[float, ...] = ()) -> ForecastOutput:
    return ForecastOutput("o", "s", "c", 4, distribution, quantiles)


def targets_of(count: bool = False) -> Tensor:
    """`[3, 4]`, with two that are not known."""
    values = normal(3, 4, seed=5) * 3
    values = values.abs().floor() if count else values
    values[0, 1] = values[2, 3] = NAN
    return values


SCALE = torch.tensor([[2.0], [0.5], [1.0]], dtype=torch.float64)


def parameters_of(distribution: DistributionName) -> tuple[Tensor, distributions.Distribution]:
    """Parameters `[3, 4, k]` and what they are the parameters of."""
    first, second, third = normal(3, 3, 4, seed=2)
    width, degrees = F.softplus(second) + 0.1, 2 + F.softplus(third)
    match distribution:
        case "gaussian":
            return torch.stack([first, width], -1), distributions.Normal(first, width)
        case "student_t":
            true = distributions.StudentT(degrees, first, width)
            return torch.stack([first, width, degrees], -1), true
    mean = F.softplus(first) * 3
    count = 1 / width  # variance mean + width * mean^2
    counts = distributions.NegativeBinomial(count, probs=mean / (mean + count))
    assert torch.allclose(counts.mean, mean)
    assert torch.allclose(counts.variance, mean + width * mean**2)
    return torch.stack([mean, width], -1), counts


@pytest.mark.parametrize("distribution", ["gaussian", "student_t", "negative_binomial"])
def test_densities_are_those_of_torch(distribution: DistributionName) -> None:
    targets = targets_of(count=distribution == "negative_binomial")
    parameters, of_torch = parameters_of(distribution)
    known = ~targets.isnan()
    each = -of_torch.log_prob(torch.where(known, targets, 0.0))
    node = forecast(distribution)
    if distribution != "negative_binomial":  # of the scaled series; degrees have no unit
        units = torch.cat([SCALE[..., None]] * 2 + [torch.ones_like(SCALE[..., None])], -1)
        parameters, targets = parameters / units[..., : parameters.shape[-1]], targets / SCALE
    found = losses.forecast_loss(node, parameters, SCALE, targets, AUTO)
    assert found.sum().item() == pytest.approx(each[known].sum().item(), rel=1e-9)
    assert count_of(node, targets.numpy()) == 10


@pytest.mark.parametrize("name", ["auto", "mse", "mae", "huber"])
def test_errors_of_a_point_forecast_are_in_units_of_the_scale(name: str) -> None:
    targets, answers = targets_of(), normal(3, 4, 1)
    errors = ((answers[..., 0] - targets) / SCALE).abs()
    errors = errors[~targets.isnan()]
    by_hand = {
        "mse": (errors**2).sum(),
        "mae": errors.sum(),
        "huber": torch.where(errors < 1, errors**2 / 2, errors - 0.5).sum(),
    }
    expected = by_hand["mse" if name == "auto" else name]
    scaled = targets / SCALE
    found = losses.forecast_loss(
        forecast("point"), answers / SCALE[..., None], SCALE, scaled, LOSSES[name]
    )
    assert found.sum().item() == pytest.approx(expected.item())


def test_pinball_loss_is_the_mean_over_quantiles() -> None:
    levels = (0.1, 0.5, 0.9)
    targets, answers = targets_of(), normal(3, 4, 3)
    expected = 0.0
    for b, h, q in np.ndindex(3, 4, 3):
        true = targets[b, h].item()
        if true == true:
            short = (true - answers[b, h, q].item()) / SCALE[b, 0].item()
            expected += (levels[q] * short if short > 0 else (levels[q] - 1) * short) / 3
    node = forecast("quantiles", levels)
    scaled = answers / SCALE[..., None]
    found = losses.forecast_loss(node, scaled, SCALE, targets / SCALE, AUTO)
    assert found.sum().item() == pytest.approx(expected)


# ---------------------------------------------------------------- gradients


def masked_losses() -> dict[str, tuple[Tensor, Tensor]]:
    """Scores and their loss, of targets that are unknown in part and altogether."""
    nothing = torch.full((3, 4), NAN, dtype=torch.float64)
    found: dict[str, tuple[Tensor, Tensor]] = {}

    def keep(name: str, scores: Tensor, loss: Tensor) -> None:
        found[name] = (scores, loss.sum())

    scores = normal(3, 4).requires_grad_()
    keep("class", scores, losses.class_loss(scores, torch.tensor([-1, 2, -1]), OutputLoss(), 0.1))
    scores = normal(3, 4).requires_grad_()
    keep(
        "no class", scores, losses.class_loss(scores, torch.tensor([-1, -1, -1]), OutputLoss(), 0.0)
    )
    for name, targets in (("some", targets_of()), ("none", nothing)):
        scores = (normal(3, 4) * 1e3).requires_grad_()  # sigmoids that are 0 or 1 in float64
        on = torch.where(targets.isnan(), targets, (targets > 0).double())
        on[1] = NAN
        keep(f"labels {name}", scores, losses.labels_loss(scores, on))
        scores = normal(3, 4).requires_grad_()
        keep(f"numbers {name}", scores, losses.numeric_loss(scores, targets, AUTO))
        kinds: tuple[DistributionName, ...] = ("gaussian", "student_t", "negative_binomial")
        for kind in kinds:
            true = targets.abs().floor() if kind == "negative_binomial" else targets
            parameters = parameters_of(kind)[0].detach().requires_grad_()
            loss = losses.forecast_loss(forecast(kind), parameters, SCALE, true, AUTO)
            keep(f"{kind} {name}", parameters, loss)
        parameters = normal(3, 4, 2).requires_grad_()
        node = forecast("quantiles", (0.1, 0.9))
        loss = losses.forecast_loss(node, parameters, SCALE, targets, AUTO)
        keep(f"quantiles {name}", parameters, loss)
    return found


@pytest.mark.parametrize("name", masked_losses())
def test_gradients_are_finite_and_0_where_nothing_is_known(name: str) -> None:
    scores, loss = masked_losses()[name]
    assert torch.isfinite(loss)
    (gradient,) = torch.autograd.grad(loss, scores)
    assert torch.isfinite(gradient).all()
    if name.endswith("none") or name.startswith("no "):
        assert loss.item() == 0 and (gradient == 0).all()
    elif name.endswith("some"):
        unknown = gradient[0, 1], gradient[2, 3]
        if not name.startswith("labels"):
            assert all((part == 0).all() for part in unknown)
        assert (gradient != 0).any()


@pytest.mark.parametrize("extreme", [1e-6, 1e6])
@pytest.mark.parametrize("distribution", ["gaussian", "student_t", "negative_binomial"])
def test_densities_at_the_ends_of_their_parameters(
    distribution: DistributionName, extreme: float
) -> None:
    """The second parameter as small as softplus gives it, or very large, in float32."""
    parts = [torch.ones(1, 4), torch.full((1, 4), extreme), torch.full((1, 4), 2 + 1e-6)]
    count = 3 if distribution == "student_t" else 2
    parameters = torch.stack(parts[:count], -1).requires_grad_()
    targets = torch.tensor([[0.0, 1.0, 2.0, 30.0]])
    node = forecast(distribution)
    loss = losses.forecast_loss(node, parameters, torch.ones(1, 1), targets, AUTO)
    (gradient,) = torch.autograd.grad(loss.sum(), parameters)
    assert torch.isfinite(loss).all() and torch.isfinite(gradient).all()


def test_counts_that_are_nearly_poisson_keep_their_gradient_in_float32() -> None:
    """There 1 / dispersion is large, and ln Gamma of it far larger than the differences."""
    gradients = []
    for dtype in (torch.float32, torch.float64):
        parameters = torch.tensor([[[20.0, 1e-5]] * 3], dtype=dtype).requires_grad_()
        targets = torch.tensor([[12.0, 20.0, 25.0]], dtype=dtype)
        scale = torch.ones(1, 1, dtype=dtype)
        node = forecast("negative_binomial")
        loss = losses.forecast_loss(node, parameters, scale, targets, AUTO)
        assert loss.dtype == dtype
        poisson = -distributions.Poisson(parameters[..., 0].detach()).log_prob(targets).sum()
        assert loss.sum().item() == pytest.approx(poisson.item(), rel=1e-3)
        gradients.append(torch.autograd.grad(loss.sum(), parameters)[0].double())
    assert torch.allclose(gradients[0], gradients[1], rtol=1e-3, atol=1e-3)
