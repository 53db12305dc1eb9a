"""Additive scores of attention in training: by torch's tanh, and by products of exponentials.

Forward and backward on one thread, best of the rounds in CPU time, and how far scores and gradients
are from float64. Shapes are rows, queries, keys and units.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch
from torch import Tensor

from rnnspec.to_torch.attention.memory import _AdditiveScores, _FactoredScores

WAYS: dict[str, Any] = {"tanh": _AdditiveScores, "products": _FactoredScores}
SHAPES = ((64, 21, 20, 128), (32, 60, 60, 256), (64, 1, 20, 128))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    for shape in SHAPES:
        rows, queries, keys, units = shape
        torch.manual_seed(0)
        given = [torch.randn(rows, queries, units), torch.randn(rows, keys, units)]
        given.append(torch.randn(units) / units**0.5)
        gradient = torch.randn(rows, queries, keys)
        exact = once(_AdditiveScores, [each.double() for each in given], gradient.double())[1]
        best, far = dict.fromkeys(WAYS, 1e9), dict.fromkeys(WAYS, 0.0)
        for _ in range(rounds):
            for name, way in WAYS.items():
                seconds, found = once(way, given, gradient)
                best[name] = min(best[name], seconds)
                pairs = zip(found, exact, strict=True)
                far[name] = max(float((a.double() - b).abs().max()) for a, b in pairs)
        times = "   ".join(
            f"{name} {1e3 * each:.2f} ms, off by {far[name]:.1e}" for name, each in best.items()
        )
        print(f"{shape}: {times}   ratio {best['tanh'] / best['products']:.2f}")


def once(way: Any, given: list[Tensor], gradient: Tensor) -> tuple[float, list[Tensor]]:
    leaves = [each.clone().requires_grad_() for each in given]
    began = time.process_time()
    scores = way.apply(*leaves)
    scores.backward(gradient)
    taken = time.process_time() - began
    return taken, [scores.detach(), *(each.grad for each in leaves[:2] if each.grad is not None)]


if __name__ == "__main__":
    main()
