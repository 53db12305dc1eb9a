"""Language models that write on from a prompt: torch and ONNX against the reference.

The plan is made of the plan that was trained, by `rnnspec.plan.generate`, with the same weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnspec.errors import ExportError
from rnnspec.plan import Facts, Plan
from rnnspec.plan.generate import generation
from rnnspec.plan.nodes import Beam, Greedy, Sample, Search, TextOutput
from rnnspec.reference import answers, raw_outputs
from rnnspec.reference.interpret import text_task, values_of
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from tests.kinds import (
    PICTURES,
    SEQUENCES,
    STATICS,
    batched,
    feeds,
    plan_of,
    random_rows,
    spec_data,
    strong_weights,
)
from tests.texts import agree, of_onnx, of_torch, tasks

LENGTHS = (4, 1, 3, 0, 2)
SEEDS = (1, -9, 2**50, 4, 0)
SEARCHES: dict[str, Search] = {
    "greedy": Greedy(6),
    "ruled": Greedy(6, repetition_penalty=1.6, no_repeat=2, min_steps=3),
    "relative": Greedy(2, factor=1.5, no_repeat=1),
    "beam": Beam(6, width=3, n_best=3, length_norm="average", no_repeat=3),
    "forced": Beam(5, width=2, prefix=(3, 2), repetition_penalty=0.7, stop="full"),
    "sample": Sample(6, top_k=3, temperature=0.8),
    "ruled sample": Sample(6, top_p=0.9, no_repeat=2, banned=(3,)),
}
LAYERS: dict[str, list[dict[str, Any]]] = {
    "tied": [{"cell": "gru", "units": 4}],
    "lstm": [{"cell": "lstm", "units": 4}],
    "deep": [
        {"cell": "gru", "units": 4, "norm": "layer", "initial_state": "learned"},
        {"cell": "rnn", "units": 4, "skip": "residual", "dropout": 0.2},
    ],
}


def language_model(column: str, layers: str, statics: tuple[str, ...] = ()) -> tuple[Plan, Facts]:
    """A plan N:N that answers the next token, and its facts."""
    target = [{"column": column, "as": "next"}]
    head: dict[str, Any] = {"hidden": [5], "activation": "gelu"}
    head = {"tied": True} if layers == "tied" else head
    data = spec_data("N:N", [column, *statics], target, LAYERS[layers], head=head)
    for entry in data["data"]["input"][1:]:
        entry["join"] = "both" if layers == "lstm" else "steps"
    return plan_of(data)


CASES = [
    (column, layers, statics, search)
    for number, search in enumerate(SEARCHES)
    for column, layers, statics in (
        (("chars", "words", "tokens")[number % 3], ("lstm", "deep")[number % 2], ()),
        (("words", "tokens", "chars")[number % 3], ("deep", "lstm")[number % 2], ("category",)),
    )
] + [
    *(("vector_words", "deep", (), search) for search in ("ruled", "beam", "ruled sample")),
    ("words", "tied", (), "beam"),
    ("bytes", "lstm", (), "ruled"),
]
"""Of `vector_words` more are read, in a prompt, than answered."""


@pytest.mark.parametrize(("column", "layers", "statics", "search"), CASES)
def test_every_back_end_writes_on_as_the_reference_does(
    column: str, layers: str, statics: tuple[str, ...], search: str
) -> None:
    trained, facts = language_model(column, layers, statics)
    plan = generation(trained, SEARCHES[search])
    weights, rows = strong_weights(trained, size=1.0), random_rows(plan, LENGTHS)
    (expected,) = answers(plan, weights, rows, SEEDS).values()
    found = tasks(plan, weights, rows, SEEDS)
    model = Model(plan).eval()
    model.load_canonical(weights)
    session = Session(to_onnx(plan, facts, weights, ids=True).SerializeToString(), threads=1)
    drawn = {"seed": np.array(SEEDS, np.int64)} if "seed" in session.inputs else {}
    together = of_torch(model, batched(plan, rows, 2, 3.7), SEEDS)
    in_file = of_onnx(plan, session.run({**feeds(plan, rows, 2, 3.7), **drawn}))
    for number, row in enumerate(rows):
        agree(found[number], expected[number], together[number], f"torch, row {number}")
        agree(found[number], expected[number], in_file[number], f"onnx, row {number}")
        (alone,) = of_torch(model, batched(plan, [row]), SEEDS[number : number + 1])
        agree(found[number], expected[number], alone, f"torch, row {number} alone")
        one = {name: each[number : number + 1] for name, each in drawn.items()}
        (alone,) = of_onnx(plan, session.run({**feeds(plan, [row]), **one}))
        agree(found[number], expected[number], alone, f"onnx, row {number} alone")


@pytest.mark.parametrize("layers", LAYERS)
def test_writing_on_scores_as_the_language_model_does(layers: str) -> None:
    """After a prompt the next token has the scores that the trained plan gives it, and so have
    those after it."""
    trained, _ = language_model("chars", layers)
    plan = generation(trained, Greedy(4))
    weights, (row,) = strong_weights(trained), random_rows(trained, [4])
    text = [int(number) for number in row["chars"]]
    (raw,) = raw_outputs(trained, weights, [row])["chars"]
    exact = {name: np.asarray(value, np.float64) for name, value in weights.items()}
    (out,) = plan.outputs
    assert isinstance(out, TextOutput)
    prompt = {"chars": np.array(text[:2])}
    task = text_task(plan, out, exact, values_of(plan, exact, prompt))
    left, number = task.state, task.previous
    for step, following in ((1, text[2]), (2, text[3]), (3, None)):
        found, _, left = task.read(left, number)
        np.testing.assert_allclose(found, raw[step], atol=1e-12)
        number = following or 0


@pytest.mark.parametrize("prompt", SEQUENCES)
@pytest.mark.parametrize("beside", ["", *SEQUENCES, *STATICS])
def test_what_cannot_be_written_on_is_refused_with_a_sentence(prompt: str, beside: str) -> None:
    """Each kind of input beside each kind of prompt: it writes, or is told why not and the cure."""
    if "series" in prompt or "series" in beside or prompt in (beside, *PICTURES):
        return
    target = [{"column": prompt, "as": "next"}]
    plan, _ = plan_of(spec_data("N:N", [prompt, *filter(None, [beside])], target))
    kind = prompt.removeprefix("ruled_").removeprefix("vector_")
    if kind in ("words", "tokens", "chars", "bytes") and beside not in SEQUENCES:
        assert generation(plan, SEARCHES["greedy"]).outputs[0].column == prompt
        return
    with pytest.raises(ExportError) as caught:
        generation(plan, SEARCHES["greedy"])
    said = str(caught.value)
    if prompt == "spelled" and beside not in SEQUENCES:
        assert "train a model without 'spelling'" in said
    elif kind in ("words", "spelled", "tokens", "chars", "bytes"):
        assert f"reads {beside!r} beside {prompt!r} at each step" in said
        assert f"train a model whose only input of steps is {prompt!r}" in said
    else:
        assert "train a model that reads it as words" in said or "only models with one" in said
