"""Decoders: torch and ONNX answer token for token what the reference does, alone and in a batch.

Every kind of attention with all that goes with it, every bridge, cell and strategy; the pairs of
settings are many, so that each case takes the next of each.
"""

from __future__ import annotations

from copy import deepcopy
from itertools import cycle, product
from typing import Any

import numpy as np
import pytest
import torch

from rnnspec.plan.nodes import PointerOutput
from rnnspec.reference import answers, raw_outputs
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from tests.answers import close_scores
from tests.decoders import SPECS as DECODERS
from tests.decoders import points, two_sources
from tests.kinds import batched, feeds, output, plan_of, random_rows, spec_data, strong_weights
from tests.onnx_models import assert_no_texts
from tests.texts import agree, of_onnx, of_torch, tasks

LENGTHS = (5, 1, 0, 3, 4)
SEEDS = (3, -1, 2**40, 7, -(2**63))
SIZE = 1.0
"""Of the weights: large enough for answers of several tokens that differ from row to row."""

ATTENTIONS: dict[str, Any] = {
    "none": "none",
    "additive": "additive",
    "covered": {"additive": {"units": 3, "coverage": True}},
    "dot": "dot",
    "general": "general",
    "concat": {"concat": {"units": 5}},
    "covered concat": {"concat": {"coverage": True}},
    "multi_head": {"multi_head": {"heads": 2, "units": 6}},
    "location": {"location": {"filters": 2, "kernel": 3}},
    "monotonic": "monotonic",
}
STRATEGIES: dict[str, Any] = {
    "greedy": "greedy",
    "beam": {"beam": {"width": 3, "n_best": 2}},
    "sample": {"sample": {"top_k": 4, "top_p": 0.95, "temperature": 0.9}},
    "narrow beam": {"beam": {"width": 1, "length_norm": "gnmt"}},
    "full beam": {"beam": {"width": 4, "n_best": 4, "stop": "full", "length_norm": "none"}},
    "bound beam": {"beam": {"width": 3, "n_best": 2, "stop": "bound", "length_norm": "gnmt"}},
    "first beam": {"beam": {"width": 2, "n_best": 2, "stop": "first", "length_norm": "gnmt"}},
    "penalised": {"greedy": {"repetition_penalty": 1.7, "no_repeat": 2, "banned": ["c"]}},
    "forced": {"beam": {"width": 3, "n_best": 3, "prefix": ["b", "a"], "repetition_penalty": 0.8}},
    "covering": {"beam": {"width": 3, "coverage_penalty": 0.4, "no_repeat": 1}},
    "free sample": {"sample": {"prefix": ["d"], "no_repeat": 3}},
}
STARTS: tuple[Any, ...] = (
    "auto", "dense", "learned", "zeros", {"dense": {"activation": "none"}}, "encoder",
)  # fmt: skip
CELLS = ("gru", "lstm", "rnn", "lstm_peephole", "mingru", "gru_reset_before")
LIMITS: tuple[Any, ...] = (6, {"times": 1.5, "plus": 2}, "auto", {"times": 0.7, "plus": 3})


def decoder_spec(
    attention: str,
    attend: str = "after",
    feeding: bool = False,
    cell: str = "gru",
    start: Any = "auto",
    strategy: Any = "greedy",
    limit: Any = 6,
    **more: Any,
) -> dict[str, Any]:
    """From words of an encoder to characters; widths fit where the settings ask for that."""
    both = attention not in ("dot", "none") and start != "encoder"
    encoder = {"cell": "gru" if both else cell, "units": 3 if both else 4}
    if both:
        encoder["direction"] = "bidirectional"
    settings = {
        "embed": 3,
        "layers": [{"cell": cell, "units": 4}],
        "start_from": start,
        "attention": ATTENTIONS[attention],
        "attend": attend,
        "input_feeding": feeding,
        "max_steps": limit,
        "strategy": strategy,
        **more,
    }
    return spec_data("N:M", ["words"], [output("out_chars")], [encoder], decoder=settings)


def decoded_specs(name: str, strategy: Any) -> dict[str, Any]:
    """A plan of `tests.decoders` with a strategy of its own."""
    found = deepcopy(DECODERS[name])
    found["decoder"]["strategy"] = strategy
    return found


def cases() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    others = zip(cycle(CELLS), cycle(STARTS[:5]), cycle(STRATEGIES), cycle(LIMITS), strict=False)
    for attention, attend, feeding in product(ATTENTIONS, ("after", "before"), (False, True)):
        if attention == "none" and attend == "before":
            continue
        cell, start, strategy, limit = next(others)
        if attention == "none":
            start, strategy = "auto", "beam"
        name = f"{attention} {attend}{' fed' * feeding}, {cell}, {start}, {strategy}, {limit}"
        found[name] = decoder_spec(
            attention, attend, feeding, cell, start, STRATEGIES[strategy], limit
        )
    for name in ("places of a picture", "places of colours"):
        for strategy in ("greedy", "beam", "sample"):
            found[f"{name}, {strategy}"] = decoded_specs(name, STRATEGIES[strategy])
    for name, strategy in STRATEGIES.items():
        found[f"strategy {name}"] = decoder_spec("additive", strategy=strategy, cell="lstm")
        found[f"strategy {name}, monotonic"] = decoder_spec(
            "monotonic", "before", strategy=strategy, limit={"times": 1.2, "plus": 3}, min_steps=2
        )
    for start in STARTS:
        for attention in ("none", "general"):
            if attention == "none" and start in ("learned", "zeros"):
                continue  # the decoder would see nothing of the input
            found[f"start {start}, {attention}"] = decoder_spec(
                attention, start=start, cell="lstm", strategy=STRATEGIES["beam"]
            )
    for name in ("greedy", "beam", "sample", "narrow beam", "full beam", "bound beam"):
        for kind in ("positions", "positions_once"):
            both = {"cell": "lstm", "units": 3, "direction": "bidirectional"}
            data = points(kind, strategy=STRATEGIES[name], max_steps=LIMITS[len(found) % 4])
            found[f"{kind}, {name}"] = data | {"encoder": {"layers": [both]}}
    return found | whole_rows() | others_with_text() | several_sources()


def several_sources() -> dict[str, dict[str, Any]]:
    """Decoders that read several encoders, by each attention and strategy."""
    found = {}
    strategies = [name for name in STRATEGIES if name != "covering"]  # is of one encoder
    kinds = [name for name in ATTENTIONS if name != "none"]
    pairs = zip(kinds, strategies, cycle(CELLS), cycle(LIMITS), strict=False)
    for number, (attention, strategy, cell, limit) in enumerate(pairs):
        found[f"two sources, {attention}, {strategy}, {cell}"] = two_sources(
            {"one": ["words"], "two": {"inputs": ["frames"]}}, embed=3, beside=["number"],
            layers=[{"cell": cell, "units": 4}], attention=ATTENTIONS[attention],
            strategy=STRATEGIES[strategy], max_steps=limit, input_feeding=number % 2 == 1,
            attend="before" if number % 3 == 1 else "after", start_from=STARTS[number % 5],
        )  # fmt: skip
    found["two sources, none, greedy, gru"] = two_sources(
        {"one": ["words"], "two": {"inputs": ["words.2"], "same_as": "one"}}, embed=3
    )
    names = ("two sources", "two sources alike, before", "three sources remembered")
    for number, (column, strategy) in enumerate((("words", "greedy"), ("words.2", "beam"))):
        found[f"copying of two sources, {column}, {strategy}"] = two_sources(
            {"one": ["words"], "two": ["words.2"]}, "out_words", embed=3, copy=column,
            attention="additive", attend=("after", "before")[number],
            strategy=STRATEGIES[strategy],
        )  # fmt: skip
    names_of = (("additive", "greedy"), ("monotonic", "beam"), ("covered", "sample"))
    for number, (attention, strategy) in enumerate(names_of):
        sources = {"one": ["words"], "two": ["words.2"]}
        sources |= {"three": ["tokens"]} if number == 1 else {}
        columns = [column for each in sources.values() for column in each]
        found[f"copying from either, {attention}, {strategy}"] = two_sources(
            sources, "out_words", embed=3, copy=columns[::-1] if number == 2 else columns,
            attention=ATTENTIONS[attention], attend=("after", "before")[number == 1],
            strategy=of_words(STRATEGIES[strategy]), min_steps=2,
        )  # fmt: skip
    return found | {name: decoded_specs(name, STRATEGIES["beam"]) for name in names}


def whole_rows() -> dict[str, dict[str, Any]]:
    """1:N from vectors and categories, beside each step and to the first state."""
    found = {}
    places = ("steps", "state", "both")
    for number, (name, strategy) in enumerate(STRATEGIES.items()):
        if name == "covering":
            continue
        settings = {
            "embed": 3, "layers": [{"cell": CELLS[number % 6], "units": 4}], "max_steps": 5,
            "strategy": strategy, "input_feeding": number % 2 == 1,
        }  # fmt: skip
        inputs = ["category", "vector", "number"]
        data = spec_data("1:N", inputs, [output("out_chars")], decoder=settings)
        for entry, place in zip(data["data"]["input"], cycle(places[number % 3 :]), strict=False):
            entry["join"] = place
        found[f"1:N {name}"] = data
    return found


def others_with_text() -> dict[str, dict[str, Any]]:
    """Stacks, tied scores, copying, inputs of several kinds, hidden layers."""
    beam = STRATEGIES["beam"]
    deep = [
        {"cell": "lstm", "units": 4, "norm": "layer"},
        {"cell": "gru", "units": 4, "skip": "residual", "zoneout": 0.1},
        {"cell": "gru", "units": 4, "skip": "highway", "dropout": 0.3},
    ]
    found = {
        "deep": decoder_spec("additive", layers=deep, strategy=beam, input_feeding=True),
        "deep before": decoder_spec("location", "before", layers=deep, strategy=beam),
        "tied": decoder_spec("general", tied=True, hidden=3, strategy=beam),
        "tied without attention": decoder_spec("none", tied=True, embed=4),
        "hidden without attention": decoder_spec("none", hidden=5, strategy=beam),
        "dropouts": decoder_spec("additive", "before", context_dropout=0.3, dropout=0.2),
    }
    pairs = zip(cycle(name for name in ATTENTIONS if name != "none"), STRATEGIES, strict=False)
    for number, (attention, strategy) in enumerate(pairs):
        for attend in ("after", "before"):
            cell, feeding = CELLS[number % 6], number % 3 == 0
            data = decoder_spec(attention, attend, feeding, cell, copy="words")
            data["decoder"]["strategy"] = of_words(STRATEGIES[strategy])
            data["data"]["output"] = [output("out_words")]
            found[f"copying, {attention} {attend}, {cell}, {strategy}"] = data
    for attention in ("additive", "multi_head", "monotonic", "covered"):
        for strategy in ("greedy", "beam", "sample"):
            data = decoder_spec(attention, copy="words", strategy=STRATEGIES[strategy])
            data["data"]["output"] = [output("out_words")]
            found[f"copying, {attention}, {strategy}"] = data
    # Nothing of the vocabulary may be answered: what is not copied is the end.
    for number, only in enumerate(("greedy", "beam", "sample")):
        rules = {"banned": ["one", "two", "three"], "no_repeat": 2 * (number == 2)}
        data = decoder_spec("additive", copy="words", strategy={only: rules}, min_steps=2)
        data["data"]["output"] = [output("out_words")]
        found[f"only copying, {only}"] = data
    several = spec_data(
        "N:M", ["frames", "key_steps", "spelled", "category"], [output("out_tokens")],
        [{"cell": "gru", "units": 4, "direction": "bidirectional"}],
        decoder={"layers": [{"cell": "lstm", "units": 4}], "embed": 3, "max_steps": 6,
                 "attention": "additive", "strategy": beam},
    )  # fmt: skip
    return {**found, "several inputs": several}


def of_words(strategy: Any) -> Any:
    """The same strategy with words in the place of characters."""
    if not isinstance(strategy, dict):
        return strategy
    words = {"a": "one", "b": "two", "c": "three", "d": "one"}
    ((name, settings),) = strategy.items()
    tokens = {
        key: [words[each] for each in value]
        for key, value in settings.items()
        if key in ("banned", "prefix")
    }
    return {name: {**settings, **tokens}}


SPECS = cases()


@pytest.mark.parametrize("name", SPECS)
def test_torch_answers_what_the_reference_does(name: str) -> None:
    plan, _ = plan_of(SPECS[name])
    weights, rows = strong_weights(plan, size=SIZE), random_rows(plan, LENGTHS)
    expected = answers(plan, weights, rows, SEEDS)
    found = tasks(plan, weights, rows, SEEDS)
    model = Model(plan).eval()
    model.load_canonical(weights)
    (column,) = expected
    together = of_torch(model, batched(plan, rows, extra=2, filler=3.7), SEEDS)
    for number, row in enumerate(rows):
        one = expected[column][number]
        agree(found[number], one, together[number], f"row {number} of the batch")
        (alone,) = of_torch(model, batched(plan, [row]), SEEDS[number : number + 1])
        agree(found[number], one, alone, f"row {number} alone")


@pytest.mark.parametrize("name", SPECS)
def test_torch_scores_as_the_reference_does(name: str) -> None:
    """With teacher forcing: all steps at once, where the decoder allows it, and one by one."""
    plan, _ = plan_of(SPECS[name])
    weights, rows = strong_weights(plan, size=SIZE), random_rows(plan, LENGTHS)
    (out,) = plan.outputs
    draw = np.random.default_rng(5)
    truth = [[*draw.integers(1, 5, count), 0] for count in (3, 0, 1, 4, 2)]
    pairs = zip(truth, rows, strict=True)
    for number, (one, row) in enumerate(pairs):  # with what the row may copy
        further = row.get("words.2.copies", one) if number % 2 else one
        copied = row.get("words.copies", one) if further is one else further
        one[: len(one) // 2] = copied[: len(one) // 2]
        one[:] = [number if number >= 0 else ~number for number in one]
    if isinstance(out, PointerOutput):  # steps that the rows have
        truth = [[*(2 + draw.permutation(length)[:4]), 0] for length in LENGTHS]
    expected = raw_outputs(plan, weights, rows, [{out.column: t} for t in truth])[out.column]
    model = Model(plan).eval()
    model.load_canonical(weights)
    padded = torch.full((len(rows), 5), -1)
    for into, one in zip(padded, truth, strict=True):
        into[: len(one)] = torch.tensor(one)
    with torch.no_grad():
        got = model(batched(plan, rows, extra=1, filler=3.7), {out.column: padded})[out.column]
    close_scores(got.numpy(), expected, name)


@pytest.mark.parametrize("name", SPECS)
def test_onnx_answers_what_the_reference_does(name: str) -> None:
    plan, facts = plan_of(SPECS[name])
    weights, rows = strong_weights(plan, size=SIZE), random_rows(plan, LENGTHS)
    expected = answers(plan, weights, rows, SEEDS)
    found = tasks(plan, weights, rows, SEEDS)
    (column,) = expected
    looks = any(text.attention[0] is not None for text in expected[column])
    file = to_onnx(plan, facts, weights, ids=True, attention=looks)
    assert_no_texts(file)
    session = Session(file.SerializeToString(), threads=1)
    drawn = {"seed": np.array(SEEDS, np.int64)} if "seed" in session.inputs else {}
    together = of_onnx(plan, session.run({**feeds(plan, rows, 2, 3.7), **drawn}))
    for number, row in enumerate(rows):
        one = expected[column][number]
        agree(found[number], one, together[number], f"row {number} of the batch")
        seed = {name: each[number : number + 1] for name, each in drawn.items()}
        (alone,) = of_onnx(plan, session.run({**feeds(plan, [row]), **seed}))
        agree(found[number], one, alone, f"row {number} alone")
