"""Attention of one encoder over another: by hand, by torch's own attention, and as in ESIM (Chen et
al. 2017); and a decoder with two sources, step by step as it is defined."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnspec.plan import Plan
from rnnspec.plan.nodes import Attend
from rnnspec.reference.layers import LAYERS
from rnnspec.to_torch import Model
from rnnspec.to_torch.attention import attention, over_steps
from rnnspec.to_torch.search import Texts
from rnnspec.to_torch.sequences import Lengths, PaddedSequence
from rnnspec.to_torch.weighted import Weighted
from tests.answers import tensor_of
from tests.decoders import two_sources
from tests.kernels import lstm_of
from tests.kinds import batched, encoders_data, plan_of, random_rows, strong_weights
from tests.several_encoders import aligned


def test_the_context_of_a_step_by_hand() -> None:
    """x = [1, 0] over [ln 2, 3] and [0, 6]: weights 2/3 and 1/3."""
    node = Attend("c", "x", "m", "dot", 2, 2)
    memory = np.array([[np.log(2.0), 3.0], [0.0, 6.0]])
    values = {"x": np.array([[1.0, 0.0]]), "m": memory}
    plan = plan_of(encoders_data({"one": ["words"], "two": ["frames"]}))[0]
    found = LAYERS[Attend](plan, node, {}, values)
    np.testing.assert_allclose(found, [[np.log(2.0) * 2 / 3, 4.0]])


@pytest.mark.parametrize("heads", [1, 3])
def test_heads_are_those_of_torch(heads: int) -> None:
    """`scaled_dot_product_attention` with a mask, between the same projections; a row of no steps
    has the context 0."""
    node = Attend("c", "x", "m", "multi_head", 5, 4, units=6, heads=heads)
    module, draw = attention(node).double(), torch.Generator().manual_seed(1)
    assert isinstance(module, Weighted)
    held = {name: weight.detach() for name, weight in module.canonical()}
    for weight in held.values():
        weight.copy_(torch.randn(weight.shape, generator=draw, dtype=torch.float64))
    query = torch.randn(7, 3, 5, generator=draw, dtype=torch.float64)
    memory = torch.randn(9, 3, 4, generator=draw, dtype=torch.float64)
    counts = torch.tensor([9, 4, 0])
    asked = PaddedSequence(query, Lengths(torch.tensor([7, 2, 5]), 7))
    found = over_steps(module, asked, PaddedSequence(memory, Lengths(counts, 9))).values

    def parts(value: Tensor, matrix: str) -> Tensor:
        projected: Tensor = F.linear(value.transpose(0, 1), held[matrix])
        found: Tensor = projected.unflatten(-1, (heads, -1)).transpose(1, 2)
        return found

    mask = torch.arange(9) < counts[:2, None]
    both = F.scaled_dot_product_attention(
        parts(query, "W_q")[:2],
        parts(memory, "W_k")[:2],
        parts(memory, "W_v")[:2],
        attn_mask=mask[:, None, None],
    )
    expected = F.linear(both.transpose(1, 2).flatten(2), held["W_o"]).transpose(0, 1)
    torch.testing.assert_close(found[:, :2], expected)
    assert not bool(found[:, 2].any())


def esim() -> Plan:
    left = {"inputs": ["plain_frames"], "layers": aligned("right.low"), "pooling": "max"}
    sides: dict[str, Any] = {"left": left, "right": {"inputs": ["plain_frames.2"]}}
    sides["right"]["same_as"] = "left"
    return plan_of(encoders_data(sides, ("difference", "product")))[0]


def test_two_encoders_attend_to_each_other_as_in_esim() -> None:
    """Row by row, without padding, by torch's own LSTM."""
    plan = esim()
    rows = random_rows(plan, (5, 1, 3))
    model = Model(plan).double().eval()
    model.load_canonical({k: v.astype(np.float64) for k, v in strong_weights(plan).items()})
    held = {name: torch.from_numpy(value) for name, value in model.canonical_arrays().items()}
    lstm = lstm_of(held, "encoders.left.layers.0")

    def pooled(a: Tensor, b: Tensor) -> Tensor:
        keys = F.linear(b, held["encoders.left.layers.1.context.W"])
        context = torch.softmax(a @ keys.t(), dim=1) @ b
        met = torch.cat([a, context, (a - context).abs(), a * context], dim=1)
        dense = [held[f"encoders.left.layers.2.{name}"] for name in "Wb"]
        return F.linear(met, *dense).relu().max(dim=0).values

    for number, row in enumerate(rows):
        both = [torch.from_numpy(row[name]).double() for name in ("plain_frames", "plain_frames.2")]
        if not all(map(len, both)):
            continue
        one, two = (lstm(side)[0] for side in both)
        u, v = pooled(one, two), pooled(two, one)
        met = torch.cat([(u - v).abs(), u * v])
        expected = F.softmax(F.linear(met, held["answer.W"], held["answer.b"]), dim=0)
        inputs = {k: (x.double(), n) for k, (x, n) in batched(plan, rows).items()}
        found = tensor_of(model, inputs, "class")[number]
        torch.testing.assert_close(found, expected, msg=f"row {number}")


def test_a_decoder_reads_two_sources_step_by_step() -> None:
    """By torch's own GRU cells, one row at a time: first states by a dense layer from both, a
    context of each source."""
    data: Any = two_sources({"one": ["plain_frames"], "two": ["plain_frames.2"]}, "out_words",
                            attention="general", embed=3)  # fmt: skip
    plan = plan_of(data)[0]
    model = Model(plan).double().eval()
    model.load_canonical({k: v.astype(np.float64) for k, v in strong_weights(plan).items()})
    held = {name: torch.from_numpy(value) for name, value in model.canonical_arrays().items()}

    def gru(name: str, inputs: int) -> nn.Module:
        found = nn.GRU(inputs, 4, dtype=torch.float64)
        for ours, theirs in (("W", "weight_ih"), ("U", "weight_hh"), ("b", "bias_ih")):
            parts = [held[f"{name}.forward.{ours}_{gate}"] for gate in "rzn"]
            getattr(found, f"{theirs}_l0").data.copy_(torch.cat(parts))
        recurrent: Tensor = getattr(found, "bias_hh_l0").data  # noqa: B009
        recurrent.zero_()[8:] = held[f"{name}.forward.c_n"]
        return found

    rows = [row for row in random_rows(plan, (4, 2)) if len(row["plain_frames.2"])]
    truth = torch.tensor([2, 3, 0])
    for row in rows:
        memories, last = [], []
        for name, column in (("one", "plain_frames"), ("two", "plain_frames.2")):
            steps = torch.from_numpy(row[column]).double()
            states, final = gru(f"encoders.{name}.layers.0", 2)(steps)
            memories.append(states)
            last.append(final[0])
        start = [held[f"decoder.layers.0.start.h.{name}"] for name in "Wb"]
        state = torch.tanh(F.linear(torch.cat(last), *start))[None]
        decoder, expected, firsts = gru("decoder.layers.0", 3), [], list[Tensor]()
        for before in (0, *map(int, truth[:-1])):
            out, state = decoder(held["decoder.embed.table"][before][None], state)
            shares = [
                torch.softmax(F.linear(m, held[f"decoder.context.{name}.W"]) @ out[0], dim=0)
                for name, m in zip(("one", "two"), memories, strict=True)
            ]
            contexts = [share @ m for share, m in zip(shares, memories, strict=True)]
            firsts = firsts or shares
            hidden = [held[f"decoder.hidden.{name}"] for name in "Wb"]
            top = torch.tanh(F.linear(torch.cat([out[0], *contexts]), *hidden))
            scores = [held[f"decoder.scores.{name}"] for name in "Wb"]
            expected.append(F.linear(top, *scores))
        inputs = {k: (x.double(), n) for k, (x, n) in batched(plan, [row]).items()}
        with torch.no_grad():
            found = model(inputs, {"out_words": truth[None]})["out_words"][0]
            texts = model.answers(inputs)["out_words"]
        torch.testing.assert_close(found, torch.stack(expected))
        assert isinstance(texts, Texts)
        for weights, share in zip(texts.of_sources, firsts, strict=True):
            torch.testing.assert_close(weights[0, 0, : len(share)], share)
