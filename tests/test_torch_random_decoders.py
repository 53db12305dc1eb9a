"""Decoders drawn at random: torch finds what the reference finds, and scores it as it does."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

from rnnspec.plan.nodes import Beam, Greedy, Sample, Search
from rnnspec.reference import answers, raw_outputs
from rnnspec.to_torch.search import Texts
from tests.answers import close_scores
from tests.decoders import ATTENTIONS, column, decoded, doubled, model_of, targets, with_search
from tests.kinds import batched, plan_of, random_rows, strong_weights

CELLS = ("gru", "lstm", "rnn", "gru_reset_before", "lstm_peephole", "mgu", "indrnn", "slstm")
COUNT = 40


def random_search(draw: random.Random) -> Search:
    width = draw.randint(1, 5)
    strategy = draw.choice((Greedy, Beam, Beam, Sample))
    shared: dict[str, Any] = {
        "limit": draw.randint(1, 7),
        "factor": draw.choice((0.0, 0.0, 0.7)),
        "min_steps": draw.choice((0, 0, 2)),
    }
    own: dict[str, Any] = {}
    if strategy is Beam:
        own = {
            "width": width,
            "n_best": draw.randint(1, width),
            "length_norm": draw.choice(("none", "average", "gnmt")),
            "alpha": 0.6,
            "coverage_penalty": draw.choice((0.0, 0.2)),
            "stop": draw.choice(("best", "full", "bound", "first")),
        }
    if strategy is Sample:
        own = {
            "temperature": draw.choice((1.0, 0.6, 1.7)),
            "top_k": draw.choice((0, 2, 4)),
            "top_p": draw.choice((1.0, 0.8)),
        }
    shared |= {
        "repetition_penalty": draw.choice((1.0, 1.0, 1.3, 0.8)),
        "no_repeat": draw.choice((0, 0, 1, 2, 3)),
        "prefix": draw.choice(((), (), (2,), (3, 3))),
        "banned": draw.choice(((), (), (4,))),
    }
    return strategy(**shared, **own)


def random_spec(draw: random.Random) -> dict[str, Any]:
    encoder = [
        {
            "cell": draw.choice(CELLS),
            "units": draw.choice((2, 4)),
            "direction": draw.choice(("forward", "reverse", "bidirectional")),
        }
        for _ in range(draw.randint(1, 2))
    ]
    settings: dict[str, Any] = {
        "layers": [{"cell": draw.choice(CELLS), "units": 4} for _ in range(draw.randint(1, 2))],
        "start_from": draw.choice(("auto", "auto", "dense", "learned", "zeros")),
    }
    kind = draw.choice(("none", *ATTENTIONS))
    if kind == "none":
        settings["start_from"] = draw.choice(("auto", "dense"))
        settings["input_feeding"] = draw.random() < 0.3
        if settings["input_feeding"]:
            settings["hidden"] = 3
    else:
        settings |= {"attention": ATTENTIONS[kind], "attend": draw.choice(("after", "before"))}
        settings["input_feeding"] = draw.random() < 0.3
        if draw.random() < 0.3:
            settings["copy"] = "chars"
        if kind == "dot":
            encoder[-1] |= {"units": 4, "direction": "forward"}
    return decoded(
        ("chars", *draw.sample(["category", "frames"], draw.randint(0, 1))),
        encoder=encoder,
        **settings,
    )


@pytest.mark.parametrize("seed", range(COUNT))
@torch.no_grad()
def test_torch_agrees_with_the_reference(seed: int) -> None:
    draw = random.Random(seed)
    plan = with_search(plan_of(random_spec(draw))[0], random_search(draw))
    weights = strong_weights(plan, seed=seed, size=0.8)
    model = model_of(plan, weights, generic=draw.random() < 0.3)
    lengths = [draw.randint(0, 6) for _ in range(3)]
    rows, seeds = random_rows(plan, lengths, seed), [draw.randrange(2**63) for _ in range(3)]
    inputs = doubled(batched(plan, rows, extra=draw.randint(0, 2), filler=1.0))
    texts = model.answers(inputs, torch.tensor(seeds))[column(plan)]
    assert isinstance(texts, Texts)
    expected = answers(plan, weights, rows, seeds)[column(plan)]
    for number, one in enumerate(expected):
        found = [
            tuple(numbers[:length])
            for numbers, length in zip(
                texts.numbers[number].tolist(), texts.lengths[number].tolist(), strict=True
            )
        ]
        assert found == list(one.tokens)
        np.testing.assert_allclose(texts.scores[number], one.scores, atol=1e-5)
    truth = targets(((2, 3, 4, 0), (0,), (5, 2)))
    known = [{column(plan): row[row >= 0].numpy()} for row in truth]
    forward = model(inputs, {column(plan): truth})[column(plan)]
    wanted = raw_outputs(plan, weights, rows, known)[column(plan)]
    close_scores(forward.numpy(), wanted, "with the true tokens", 1e-8)
