"""Specs whose answers are aligned with steps, by name, their plans and facts, and their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnspec.plan import Facts, Plan, resolve
from rnnspec.plan.names import answer_name
from rnnspec.reference import Text
from rnnspec.spec import Spec
from rnnspec.to_torch.search import Texts
from tests.column_facts import text
from tests.kinds import facts_of, output, spec_data
from tests.texts import tokens_of

MANY = tuple(f"T{number}" for number in range(120))
"""A vocabulary of which not every token is looked at in a wide beam."""
GRU: dict[str, Any] = {"cell": "gru", "units": 4}


def aligned(
    inputs: Sequence[str] = ("frames",),
    kind: str = "out_chars",
    strategy: Any = "greedy",
    layers: Sequence[Mapping[str, Any]] = (GRU,),
) -> dict[str, Any]:
    """The data of a spec with CTC."""
    decoder = {"ctc": {}, "strategy": strategy}
    return spec_data("N:M", inputs, [output(kind)], layers, decoder=decoder)


def beam(width: int, n_best: int = 1) -> dict[str, Any]:
    return {"beam": {"width": width, "n_best": n_best}}


def transduced(
    inputs: Sequence[str] = ("frames",),
    kind: str = "out_chars",
    layers: Sequence[Mapping[str, Any]] = (GRU,),
    predict: Sequence[Mapping[str, Any]] = (GRU,),
    symbols: int = 3,
    **decoder: Any,
) -> dict[str, Any]:
    """The data of a spec with a transducer."""
    settings = {"transducer": {"symbols": symbols}, "embed": 3, "layers": list(predict), **decoder}
    return spec_data("N:M", inputs, [output(kind)], layers, decoder=settings)


BOTH = [{"cell": "lstm", "units": 3, "direction": "bidirectional", "norm": "layer"}]
SPECS: dict[str, dict[str, Any]] = {
    "greedy": aligned(),
    "greedy words": aligned(("words",), "out_words", layers=BOTH),
    "greedy tokens": aligned(("tokens", "category"), "out_tokens"),
    "beam": aligned(strategy=beam(4, 3), layers=BOTH),
    "narrow beam": aligned(("chars",), strategy=beam(1)),
    "wide beam": aligned(("words", "vector"), "out_words", beam(40, 7)),
    "beam of tokens": aligned(("spelled",), "out_tokens", beam(6, 2)),
    "beam of many tokens": aligned(kind="out_tokens", strategy=beam(40, 4), layers=BOTH),
    "fewer steps": aligned(layers=[{"conv": 4, "stride": 2, "activation": "relu"}, *BOTH]),
    "fewer steps, beam": aligned(
        strategy=beam(4), layers=[{"conv": 3, "size": [3, 3]}, {"pool": "max", "size": [3, 2]}]
    ),
    "sound": aligned(("log_mel",), strategy=beam(3), layers=[{"conv": 4, "stride": 2}, *BOTH]),
    "scan": aligned(strategy=beam(3), layers=[{"cell": "mingru", "units": 5, "skip": "none"}]),
}


STACK = [{"cell": "lstm", "units": 5}, {"cell": "gru", "units": 5, "skip": "residual"}]
TRANSDUCERS: dict[str, dict[str, Any]] = {
    "transducer": transduced(),
    "transducer of words": transduced(("words",), "out_words", BOTH, predict=STACK, hidden=6),
    "transducer of tokens": transduced(("spelled", "category"), "out_tokens", symbols=1),
    "transducer by scan": transduced(
        layers=[{"cell": "mingru", "units": 5}], embed_dropout=0.2,
        predict=[{"cell": "slstm", "units": 3, "norm": "layer", "initial_state": "learned"}],
    ),
}  # fmt: skip
TRANSDUCER_BEAMS: dict[str, dict[str, Any]] = {
    "transducer's beam": transduced(symbols=2, strategy=beam(4, 3)),
    "transducer's narrow beam": transduced(("words",), "out_words", strategy=beam(1)),
    "transducer's wide beam": transduced(
        ("chars", "vector"), "out_tokens", BOTH, STACK, symbols=1, strategy=beam(9, 4)
    ),
}  # fmt: skip
ALL = {**SPECS, **TRANSDUCERS, **TRANSDUCER_BEAMS}


def plan_and_facts(name: str) -> tuple[Plan, Facts]:
    spec = Spec.model_validate(ALL[name])
    facts = facts_of(spec)
    if "many" in name:
        facts = replace(facts, outputs={"out_tokens": text(MANY)})
    return resolve(spec, facts), facts


@dataclass(frozen=True, slots=True)
class Read:
    """The answers to a row, the best first, and the steps of each token of the best."""

    tokens: tuple[tuple[int, ...], ...]
    scores: tuple[float, ...]
    spans: tuple[tuple[int, int], ...] | None


def of_reference(one: Text) -> Read:
    return Read(one.tokens, one.scores, one.alignment)


def of_torch(found: Texts) -> list[Read]:
    spans = None if found.alignment is None else found.alignment.numpy()
    return _rows(found.numbers.numpy(), found.lengths.numpy(), found.scores.numpy(), spans)


def of_onnx(plan: Plan, got: Mapping[str, NDArray[Any]]) -> list[Read]:
    """Of a file with token numbers."""
    (out,) = plan.outputs
    name = answer_name(plan, out)
    numbers, lengths, scores = (got[f"{name}.{part}"] for part in ("ids", "lengths", "scores"))
    if lengths.ndim == 1:
        numbers, lengths, scores = numbers[:, None], lengths[:, None], scores[:, None]
    return _rows(numbers, lengths, scores, got.get(f"{name}.alignment"))


def _rows(
    numbers: NDArray[Any], lengths: NDArray[Any], scores: NDArray[Any], spans: NDArray[Any] | None
) -> list[Read]:
    found = []
    for row, tokens in enumerate(tokens_of(numbers, lengths)):
        count, steps = len(tokens[0]), None
        if spans is not None:
            assert (spans[row, count:] == -1).all(), "a step stands past the end"
            steps = tuple((int(first), int(last)) for first, last in spans[row, :count])
        found.append(Read(tokens, tuple(map(float, scores[row])), steps))
    return found


def agree(expected: Read, got: Read, where: str) -> None:
    assert got.tokens == expected.tokens, where
    assert got.spans == expected.spans, where
    np.testing.assert_allclose(got.scores, expected.scores, rtol=1e-4, atol=1e-4, err_msg=where)


def logs_of(steps: int, size: int, draw: np.random.Generator, ties: bool = False) -> NDArray[Any]:
    """Log-probabilities `[T, size]` drawn at random, the unknown impossible; with `ties` few
    different ones."""
    scores = draw.normal(0, 2, (steps, size))
    if ties:
        return np.asarray(np.round(scores).clip(-1, 1) - 2.0)
    return np.asarray(torch.log_softmax(torch.from_numpy(scores), dim=1).numpy())
