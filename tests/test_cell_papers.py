"""Built-in cells against loops of NumPy written from their papers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from rnnspec.cells import builtin_cell
from rnnspec.reference import step
from rnnspec.to_torch.initializers import _legendre

Array = NDArray[np.float64]
Weights = dict[str, Array]
INPUTS, UNITS, STEPS = 3, 4, 12


def sigmoid(v: Array | float) -> Array:
    return np.asarray(1 / (1 + np.exp(-v)))


def softplus(v: Array) -> Array:
    return np.asarray(np.log1p(np.exp(v)))


def silu(v: Array) -> Array:
    return v * sigmoid(v)


def unit(v: Array) -> Array:
    return np.asarray(v / np.sqrt((v**2).sum() + 1e-6))


def gated_linear_attention(w: Weights, xs: Array) -> list[Array]:
    """Yang et al. 2024, S_t = (1^T a_t) * S_{t-1} + k_t^T v_t in rows of keys; o_t = q_t S_t."""
    state, out = np.zeros((len(w["W_k"]), len(w["W_v"]))), []
    for x in xs:
        gate = sigmoid(w["W_a"] @ x + w["b_a"]) ** (1 / 16)
        state = np.diag(gate) @ state + np.outer(w["W_k"] @ x, w["W_v"] @ x)
        out.append((w["W_q"] @ x) @ state)
    return out


def mlstm(w: Weights, xs: Array) -> list[Array]:
    """Beck et al. 2024, equations 19 to 27, without the stabiliser: e^i and sigmoid(f) as they
    are."""
    keys = len(w["W_k"])
    memory, norm, out = np.zeros((len(w["W_v"]), keys)), np.zeros(keys), []
    for x in xs:
        q = w["W_q"] @ x + w["b_q"]
        k = w["W_k"] @ x / np.sqrt(keys) + w["b_k"]
        v = w["W_v"] @ x + w["b_v"]
        i = np.exp(w["w_i"] @ x + w["b_i"])
        f = sigmoid(w["w_f"] @ x + w["b_f"])
        memory = f * memory + i * np.outer(v, k)
        norm = f * norm + i * k
        read = memory @ q / max(abs(norm @ q), 1.0)
        out.append(sigmoid(w["W_o"] @ x + w["b_o"]) * read)
    return out


def delta_rule(w: Weights, xs: Array) -> list[Array]:
    """Yang et al. 2024, S_t = S_{t-1} (I - b k k^T) + b v k^T."""
    keys = len(w["W_k"])
    state, out = np.zeros((len(w["W_v"]), keys)), []
    for x in xs:
        q, k = unit(silu(w["W_q"] @ x)), unit(silu(w["W_k"] @ x))
        beta = sigmoid(w["w_beta"] @ x + w["b_beta"])
        state = state @ (np.eye(keys) - beta * np.outer(k, k)) + beta * np.outer(w["W_v"] @ x, k)
        out.append(state @ q)
    return out


def gated_delta_rule(w: Weights, xs: Array) -> list[Array]:
    """Yang et al. 2025, S_t = S_{t-1} (a (I - b k k^T)) + b v k^T."""
    keys = len(w["W_k"])
    state, out = np.zeros((len(w["W_v"]), keys)), []
    for x in xs:
        q, k = unit(silu(w["W_q"] @ x)), unit(silu(w["W_k"] @ x))
        beta = sigmoid(w["w_beta"] @ x + w["b_beta"])
        alpha = 1 - sigmoid(w["w_alpha"] @ x + w["b_alpha"])
        kept = alpha * (np.eye(keys) - beta * np.outer(k, k))
        state = state @ kept + beta * np.outer(silu(w["W_v"] @ x), k)
        out.append(state @ q)
    return out


def s6(w: Weights, xs: Array) -> list[Array]:
    """Gu and Dao 2023, algorithm 2, unit by unit: h = exp(d A) h + d B v, y = C h + D v."""
    a = -np.exp(w["A"])
    state, out = np.zeros_like(a), []
    for x in xs:
        v = silu(w["W_v"] @ ((x - x.mean()) / np.sqrt(x.var() + 1e-5)))
        d, b, c = softplus(w["W_d"] @ v + w["b_d"]), w["W_b"] @ v, w["W_c"] @ v
        y = np.zeros(len(a))
        for unit_ in range(len(a)):
            state[unit_] = np.exp(d[unit_] * a[unit_]) * state[unit_] + d[unit_] * b * v[unit_]
            y[unit_] = c @ state[unit_] + w["g_d"][unit_] * v[unit_]
        out.append(y)
    return out


def lmu(w: Weights, xs: Array) -> list[Array]:
    """Voelker et al. 2019, equations 6 and 7 and the update of the memory."""
    h, m, out = np.zeros(len(w["W_h"])), np.zeros(len(w["A"])), []
    for x in xs:
        u = w["e_x"] @ x + w["e_h"] @ h + w["e_m"] @ m
        m = w["A"] @ m + w["b_in"] * u
        h = np.tanh(w["W_x"] @ x + w["W_h"] @ h + w["W_m"] @ m)
        out.append(h)
    return out


def phased_lstm(w: Weights, xs: Array) -> list[Array]:
    """Neil et al. 2016, equations 1 to 9, at times 1, 2, …"""
    h = c = np.zeros(len(w["b_i"]))
    period, out = np.exp(w["l_period"]), []
    for t, x in enumerate(xs, 1):
        phi = np.mod(t - w["s_shift"], period) / period
        rising = np.where(phi < 0.05, 2 - 2 * phi / 0.05, 0.001 * phi)
        k = np.where(phi < 0.025, 2 * phi / 0.05, rising)
        i = sigmoid(w["W_i"] @ x + w["U_i"] @ h + w["p_i"] * c + w["b_i"])
        f = sigmoid(w["W_f"] @ x + w["U_f"] @ h + w["p_f"] * c + w["b_f"])
        proposed = f * c + i * np.tanh(w["W_c"] @ x + w["U_c"] @ h + w["b_c"])
        o = sigmoid(w["W_o"] @ x + w["U_o"] @ h + w["p_o"] * proposed + w["b_o"])
        h = k * (o * np.tanh(proposed)) + (1 - k) * h
        c = k * proposed + (1 - k) * c
        out.append(h)
    return out


def fastgrnn(w: Weights, xs: Array) -> list[Array]:
    """Kusupati et al. 2018, equation 2; zeta and nu are kept within 0 and 1 by a sigmoid."""
    h, out = np.zeros(len(w["b_z"])), []
    for x in xs:
        z = sigmoid(w["W"] @ x + w["U"] @ h + w["b_z"])
        new = np.tanh(w["W"] @ x + w["U"] @ h + w["b_n"])
        h = (sigmoid(w["zeta"]) * (1 - z) + sigmoid(w["nu"])) * new + z * h
        out.append(h)
    return out


def gru_d(w: Weights, xs: Array) -> list[Array]:
    """Che et al. 2018, section GRU-D: intervals between steps of 1, a mean of 0, and the interval
    of the first step 0."""
    numbers, masks = xs[:, 0::3], (xs[:, 1::3] > 0).astype(float)
    gap = last = np.zeros(numbers.shape[1])
    h, out = np.zeros(len(w["b_h"])), []
    for t in range(len(xs)):
        gap = 1 + (1 - masks[t - 1]) * gap if t else gap
        decay = np.exp(-np.maximum(0, w["w_x"] * gap + w["b_x"]))
        h = np.exp(-np.maximum(0, w["W_d"] @ gap + w["b_d"])) * h
        last = np.where(masks[t] == 1, numbers[t], last)
        x, m = masks[t] * numbers[t] + (1 - masks[t]) * decay * last, masks[t]
        r = sigmoid(w["W_r"] @ x + w["U_r"] @ h + w["V_r"] @ m + w["b_r"])
        z = sigmoid(w["W_z"] @ x + w["U_z"] @ h + w["V_z"] @ m + w["b_z"])
        new = np.tanh(w["W_h"] @ x + w["U_h"] @ (r * h) + w["V_h"] @ m + w["b_h"])
        h = (1 - z) * h + z * new
        out.append(h)
    return out


LOOPS: dict[str, Callable[[Weights, Array], list[Array]]] = {
    f.__name__: f
    for f in (
        gated_linear_attention,
        mlstm,
        delta_rule,
        gated_delta_rule,
        s6,
        lmu,
        phased_lstm,
        fastgrnn,
        gru_d,
    )
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_cell_computes_what_its_paper_says(name: str) -> None:
    cell = builtin_cell(name)
    draw = np.random.default_rng(0)
    width = INPUTS * cell.inputs_divisor
    sizes = cell.sizes(width, UNITS, dict.fromkeys(cell.own_sizes, 5))
    weights = {
        name: draw.normal(0, 0.7, [sizes[size] for size in shape])
        for name, shape in cell.parameters.items()
    }
    xs = draw.normal(0, 1, (STEPS, width))
    if name == "gru_d":
        xs[:, 1::3] = xs[:, 1::3] > 0
    expected = LOOPS[name](weights, xs)
    states = {state: np.zeros(sizes[cell.state_size(state)]) for state in cell.states}
    for x, wanted in zip(xs, expected, strict=True):
        inputs = {"x": x, "dt": np.ones(())}
        states, out = step(cell, weights, inputs, states, sizes)
        np.testing.assert_allclose(out, wanted, rtol=1e-9, atol=1e-9)


def test_a_legendre_memory_tells_its_window() -> None:
    """The polynomials that m stands for give back a signal within the window (equation 8)."""
    order, window = 8, 100
    a, b = (matrix.double().numpy() for matrix in _legendre(order, window))
    signal = np.sin(np.arange(400) / 20)
    m = np.zeros(order)
    for u in signal:
        m = a @ m + b * u
    for back in (0, 30, 60, 99):
        shifted = np.polynomial.legendre.legval(2 * back / window - 1, np.diag(np.ones(order)))
        assert shifted @ m == pytest.approx(signal[-1 - back], abs=0.05)
