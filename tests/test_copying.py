"""Copying what training has never seen: See et al. 2017, section 2.2, by the step of the source.

Names are new in every test: what is answered is known by hand, or from strings alone.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from rnnspec.cli.rows import from_texts
from rnnspec.data import Reading, encode
from rnnspec.errors import DataError
from rnnspec.evaluate.score import evaluate_build
from rnnspec.export.parity import prove
from rnnspec.export.probes import probes
from rnnspec.export.write import export_onnx
from rnnspec.plan import Facts, Plan, TextFacts, Vocabulary, resolve
from rnnspec.plan.copies import answer_numbers, named, source_numbers
from rnnspec.plan.nodes import CopiesInput, CopyMix, TextOutput
from rnnspec.reference import answers
from rnnspec.report.model import Examples
from rnnspec.run import Model as File
from rnnspec.run.interface import interface, read_interface
from rnnspec.run.session import Session
from rnnspec.spec import Spec
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import BuildFolder, Trained, read_build
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.to_torch.copying import CopyMix as Mixture
from rnnspec.to_torch.sequences import Lengths, PaddedSequence
from rnnspec.train.build import build
from tests.column_facts import text
from tests.kinds import strong_weights
from tests.texts import Answered, agree, tasks

WORDS = Vocabulary(("call", "and", "now", "please"))
SIZE = 6


def test_numbers_of_the_source() -> None:
    tokens = ["call", "Ada", "and", "Bob", "and", "Ada", "now"]
    assert source_numbers(tokens, WORDS) == [2, SIZE + 1, 3, SIZE + 3, 3, SIZE + 1, 4]
    assert source_numbers(tokens, WORDS, {"Bob", "call"}) == [2, 7, 3, ~9, 3, 7, 4]
    assert source_numbers([], WORDS) == []


def test_numbers_of_the_answer() -> None:
    source = ["call", "Ada", "and", "Bob", "and", "Ada", "now"]
    assert answer_numbers(["Bob", "please", "Ada"], source, WORDS) == [SIZE + 3, 5, SIZE + 1]
    assert answer_numbers(["Bob", "please", "Eve"], source, WORDS) == [SIZE + 3, 5, 1]
    assert answer_numbers(["Bob"], [], WORDS) == [1]
    entries = ("<end>", "<unknown>", *WORDS.entries)
    assert named(entries, [SIZE + 3, 5, SIZE + 1], source) == ("Bob", "please", "Ada")


# ---------------------------------------------------------------- what is read and written

KINDS: dict[str, tuple[Any, Any, Any, Any]] = {
    # input, output, a row and its targets; "q" to "z" are in no training row
    "words": ({"as": "words"}, {"as": "words"}, "  a q  q b ", "b q z"),
    "tokens": ({"as": "tokens"}, {"as": "tokens"}, ["a", "q", "q", "b"], ["b", "q", "z"]),
    "tokens of words": ({"as": "words"}, {"as": "tokens"}, "a q q b", ["b", "q", "z"]),
    "words of tokens": ({"as": "tokens"}, {"as": "words"}, ["a", "q", "q", "b"], "b q z"),
    "chars": ({"as": "chars"}, {"as": "chars"}, "aqqb", "bqz"),
    "folded chars": ({"as": "chars", "fold_case": True}, {"as": "chars"}, "aQQb", "bQz"),
}


def spec_data(
    given: Mapping[str, Any], wanted: Mapping[str, Any], **decoder: Any
) -> dict[str, Any]:
    settings = {
        "embed": 4, "layers": [{"cell": "gru", "units": 6}], "attention": "additive", "copy": "x",
        "max_steps": 5, **decoder,
    }  # fmt: skip
    return {
        "name": "copies",
        "cardinality": "N:M",
        "data": {
            "train": "train.jsonl",
            "input": {"column": "x", **given},
            "output": {"column": "y", **wanted},
        },
        "encoder": {"embed": 4, "layers": [{"cell": "gru", "units": 5}]},
        "decoder": settings,
    }


def planned(data: Mapping[str, Any]) -> tuple[Plan, Facts]:
    """Of a vocabulary "a", "b" and "c" on both sides."""
    spec, known = Spec.model_validate(data), text(("a", "b", "c"))
    facts = Facts(9, {"x": known}, {"y": known})
    return resolve(spec, facts), facts


def planned_of_two(kind: str, wanted: str, **decoder: Any) -> tuple[Plan, Facts]:
    """As `planned`, of two columns, each read by an encoder of its own: "z", and then "x"."""
    data = spec_data({"as": kind}, {"as": wanted}, copy=["z", "x"], **decoder)
    first = "words" if kind == "tokens" else kind
    data["data"]["input"] = [{"column": "x", "as": kind}, {"column": "z", "as": first}]
    own = data.pop("encoder")
    data["encoders"] = {name: {**own, "inputs": [name]} for name in ("x", "z")}
    spec, known = Spec.model_validate(data), text(("a", "b", "c"))
    facts = Facts(9, {"x": known, "z": known}, {"y": known})
    return resolve(spec, facts), facts


def write(file: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_encoded_by_their_own_tokens(tmp_path: Path, kind: str) -> None:
    given, wanted, x, y = KINDS[kind]
    plan, facts = planned(spec_data(given, wanted))
    empty: Any = [] if isinstance(x, list) else ""
    file = write(tmp_path / "rows.jsonl", [{"x": x, "y": y}, {"x": empty, "y": y}])
    batch = encode(plan, facts, file, Reading("jsonl"), tmp_path).collate(np.arange(2))
    values, lengths = batch.inputs["x.copies"]
    assert lengths.tolist() == [4, 0]
    assert values.tolist() == [[2, 5 + 1, 5 + 1, 3], [0, 0, 0, 0]]
    assert batch.targets["y"].tolist() == [[3, 5 + 1, 1, 0], [3, 1, 1, 0]]


def test_tokens_of_both_sources_have_one_number(tmp_path: Path) -> None:
    """By hand: "q" is the second token of the first source, "r" the first of the second one."""
    plan, facts = planned_of_two("words", "words")
    rows = [{"z": "a q b", "x": "r q  a", "y": "q r p"}, {"z": "", "x": "r q a", "y": "q r p"}]
    file = write(tmp_path / "rows.jsonl", rows)
    batch = encode(plan, facts, file, Reading("jsonl"), tmp_path).collate(np.arange(2))
    assert batch.inputs["z.copies"][0].tolist() == [[2, 5 + 1, 3], [0, 0, 0]]
    assert batch.inputs["x.copies"][0].tolist() == [[5 + 3, 5 + 1, 2], [5, 5 + 1, 2]]
    assert batch.inputs["x.copies"][1].tolist() == [3, 3]
    assert batch.targets["y"].tolist() == [[5 + 1, 5 + 3, 1, 0], [5 + 1, 5, 1, 0]]


def test_a_bad_row_is_told_once_in_each_column(tmp_path: Path) -> None:
    plan, facts = planned(spec_data({"as": "words"}, {"as": "words"}))
    file = write(tmp_path / "rows.jsonl", [{"x": 1, "y": "a"}, {"x": "a", "y": 2}])
    with pytest.raises(DataError) as caught:
        encode(plan, facts, file, Reading("jsonl"), tmp_path)
    assert str(caught.value).count("column 'x'") == 1
    assert str(caught.value).count("column 'y'") == 1


# ---------------------------------------------------------------- files of texts

STRATEGIES: dict[str, Any] = {
    "greedy": "greedy",
    "never q": {"greedy": {"banned": ["q", "a"], "repetition_penalty": 1.3}},
    "beam": {"beam": {"width": 4, "n_best": 3, "no_repeat": 2, "coverage_penalty": 0.3}},
    "beam without r": {"beam": {"width": 3, "n_best": 2, "banned": ["r"], "no_repeat": 1}},
    "sample": {"sample": {"top_p": 0.9}},
    "few": {"sample": {"top_k": 7, "banned": ["q"]}},
    "forced": {"beam": {"width": 2, "prefix": ["c"], "banned": ["q", "c"]}},
    "only copies": {"greedy": {"banned": ["a", "b", "c"]}},
}
SOURCES = ["a q q b", "", "r s q", "q", "b a r r s q r"]
SEEDS = [3, 4, -5, 2**40, 7]
FORMS: dict[tuple[str, str], Any] = {
    ("words", "words"): lambda t: t,
    ("tokens", "tokens"): str.split,
    ("tokens", "words"): str.split,
    ("words", "tokens"): lambda t: t,
    ("chars", "chars"): lambda t: t.replace(" ", ""),
}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kinds", FORMS, ids="-".join)
def test_texts_of_a_file_are_those_of_the_reference(kinds: tuple[str, str], strategy: str) -> None:
    """Random weights; the file reads and writes texts, and runs in onnxruntime alone."""
    given, wanted = kinds
    data = spec_data(
        {"as": given}, {"as": wanted}, strategy=STRATEGIES[strategy],
        min_steps=2 if strategy in ("only copies", "beam") else 0,
    )  # fmt: skip
    plan, facts = planned(data)
    weights = strong_weights(plan, seed=len(strategy), size=1.1)
    weights["decoder.copy.b"] = np.full(1, -2, np.float32)  # much is copied, and few answers end
    weights["decoder.scores.b"][0] = -5
    (node,) = (each for each in plan.inputs if isinstance(each, CopiesInput))
    tokens = [source.split() for source in SOURCES]
    rows = [
        {
            "x": facts_of(facts.inputs["x"]).numbers(row),
            "x.copies": source_numbers(row, facts_of(facts.outputs["y"]), node.banned),
        }
        for row in tokens
    ]
    expected = answers(plan, weights, rows, SEEDS)["y"]
    found = tasks(plan, weights, rows, SEEDS)
    session = onnxruntime.InferenceSession(to_onnx(plan, facts, weights).SerializeToString())
    shapes = [FORMS[kinds](source) for source in SOURCES]
    together = asked(session, given, shapes, SEEDS)
    entries = ("<end>", "<unknown>", "a", "b", "c")
    copied = 0
    for number, (row, task, one) in enumerate(zip(tokens, found, expected, strict=True)):
        alone = asked(session, given, shapes[number : number + 1], SEEDS[number : number + 1])
        names = {name: at for at, name in enumerate(entries)}
        own = source_numbers(row, facts_of(facts.outputs["y"]))
        names |= dict(zip(row, own, strict=True))
        for got, at in ((together, number), (alone, 0)):
            answer = numbered(plan, got, at, names, wanted)
            if not agree(task, one, answer, f"row {number}", attention=False):
                continue
            copied += sum(n >= 5 for tokens in answer.tokens for n in tokens)
            banned = data["decoder"]["strategy"]
            never = next(iter(banned.values())).get("banned", ()) if banned != "greedy" else ()
            answered = [named(entries, numbers, row) for numbers in answer.tokens]
            forced = 1 if strategy == "forced" else 0
            assert not any(t in never for each in answered for t in each[forced:])
    assert copied, "nothing was copied"


def facts_of(known: object) -> Vocabulary:
    assert isinstance(known, TextFacts)
    return known.vocabulary


def asked(
    session: onnxruntime.InferenceSession, kind: str, rows: Sequence[Any], seeds: Sequence[int]
) -> dict[str, NDArray[Any]]:
    return results(session, column_fed("x", kind, rows), seeds)


def column_fed(column: str, kind: str, rows: Sequence[Any]) -> dict[str, Any]:
    if kind != "tokens":
        return {column: np.array(rows, object)}
    texts = np.full((len(rows), max(map(len, rows))), "", object)
    for into, row in zip(texts, rows, strict=True):
        into[: len(row)] = row
    return {column: texts, f"{column}.lengths": np.array(list(map(len, rows)), np.int64)}


def results(
    session: onnxruntime.InferenceSession, feeds: dict[str, Any], seeds: Sequence[int]
) -> dict[str, NDArray[Any]]:
    names = [each.name for each in session.get_outputs()]
    if any(each.name == "seed" for each in session.get_inputs()):
        feeds["seed"] = np.array(seeds, np.int64)
    return dict(zip(names, session.run(None, feeds), strict=True))


def numbered(
    plan: Plan, got: Mapping[str, NDArray[Any]], row: int, names: Mapping[str, int], kind: str
) -> Answered:
    """The texts answered to a row as the numbers of their tokens."""
    (out,) = plan.outputs
    assert isinstance(out, TextOutput)
    texts, scores = got["y"][row], np.atleast_1d(got["y.scores"][row])
    each = list(texts) if out.search.n_best > 1 else [texts]
    split: Any = {"words": str.split, "chars": list, "tokens": lambda t: [x for x in t if x]}[kind]
    tokens = tuple(tuple(names[token] for token in split(one)) for one in each)
    return Answered(tokens, tuple(map(float, scores)))


@pytest.mark.parametrize("strategy", ["never q", "beam", "few"])
@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("kinds", FORMS, ids="-".join)
def test_files_that_copy_are_proven(kinds: tuple[str, str], ids: bool, strategy: str) -> None:
    plan, facts = planned(
        spec_data({"as": kinds[0]}, {"as": kinds[1]}, strategy=STRATEGIES[strategy])
    )
    weights = strong_weights(plan, size=0.9)
    model = Model(plan).eval()
    model.load_canonical(weights)
    session = Session(to_onnx(plan, facts, weights, ids=ids).SerializeToString(), threads=1)
    parity = prove(session, model, facts, probes(plan, facts, ids, seeds=1), ids)
    assert parity.tokens > 10


# ---------------------------------------------------------------- two sources


def uncovered(strategy: Any) -> Any:
    """Without the penalty that is about the steps of one encoder."""
    if not isinstance(strategy, dict) or "beam" not in strategy:
        return strategy
    kept = {k: v for k, v in strategy["beam"].items() if k != "coverage_penalty"}
    return {"beam": kept}


PAIRS = [("a q q b", "r q c"), ("", "s q s"), ("s r q", ""), ("", ""), ("p", "b p r r s q r")]


@pytest.mark.parametrize(
    ("kind", "wanted", "strategy"),
    [("words", "words", "never q"), ("tokens", "words", "sample"), ("chars", "chars", "beam"),
     ("words", "tokens", "few"), ("tokens", "tokens", "only copies")],
)  # fmt: skip
def test_either_of_two_sources_is_copied_from(kind: str, wanted: str, strategy: str) -> None:
    """Random weights; texts in, texts out, by what was answered of their tokens in the reference;
    rows of one source, of none, and of a token that both have."""
    least = 2 if strategy == "only copies" else 0
    search = uncovered(STRATEGIES[strategy])
    plan, facts = planned_of_two(kind, wanted, strategy=search, min_steps=least)
    weights = strong_weights(plan, seed=len(strategy), size=1.1)
    weights["decoder.copy.b"] = np.full(1, -2, np.float32)
    weights["decoder.copy.b_s"] = np.array([-1.5, 1.5], np.float32)
    weights["decoder.scores.b"][0] = -5
    known = facts_of(facts.outputs["y"])
    first, second = (each for each in plan.inputs if isinstance(each, CopiesInput))
    assert (first.column, second.column, second.after) == ("z", "x", (first.name,))
    sources = [tuple(each.split() for each in pair) for pair in PAIRS]
    rows = [
        {
            "z": known.numbers(one),
            "x": known.numbers(other),
            "z.copies": source_numbers(one, known, first.banned),
            "x.copies": source_numbers(other, known, second.banned, before=one),
        }
        for one, other in sources
    ]
    expected = answers(plan, weights, rows, SEEDS)["y"]
    found = tasks(plan, weights, rows, SEEDS)
    session = onnxruntime.InferenceSession(to_onnx(plan, facts, weights).SerializeToString())
    first_kind = "words" if kind == "tokens" else kind
    feeds = column_fed("z", first_kind, [FORMS[first_kind, wanted](one) for one, _ in PAIRS])
    feeds |= column_fed("x", kind, [FORMS[kind, wanted](other) for _, other in PAIRS])
    together = results(session, feeds, SEEDS)
    copied = set[int]()
    for number, ((one, other), task) in enumerate(zip(sources, found, strict=True)):
        names = {name: at for at, name in enumerate(("<end>", "<unknown>", "a", "b", "c"))}
        names |= dict(zip(one + other, source_numbers(one + other, known), strict=True))
        answer = numbered(plan, together, number, names, wanted)
        if agree(task, expected[number], answer, f"row {number}", attention=False):
            copied |= {n - 5 < len(one) for tokens in answer.tokens for n in tokens if n >= 5}
    both = {True, False} if strategy in ("beam", "few", "sample") else copied
    assert copied and copied == both, "not both were copied from"


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("kind", ["words", "tokens", "chars"])
def test_files_that_copy_from_two_sources_are_proven(kind: str, ids: bool) -> None:
    strategy = uncovered(STRATEGIES["beam" if ids else "few"])
    plan, facts = planned_of_two(kind, "chars" if kind == "chars" else "tokens", strategy=strategy)
    weights = strong_weights(plan, size=0.9)
    model = Model(plan).eval()
    model.load_canonical(weights)
    session = Session(to_onnx(plan, facts, weights, ids=ids).SerializeToString(), threads=1)
    assert prove(session, model, facts, probes(plan, facts, ids, seeds=1), ids).tokens > 10
    known = interface(plan, facts, ids)
    assert read_interface(known.metadata()) == known
    assert (known.outputs[0].copies, known.outputs[0].more_copies) == ("z", ("x",))
    if ids:
        file = File(Path("two.onnx"), known.inputs, known.outputs, {}, session)
        row = {"z": [2, 1], "z.copies": [2, 5 + 1], "x": [1], "x.copies": [5 + 2]}
        assert list(file.answer([row]))
        with pytest.raises(DataError, match=r"'x.copies' holds 8, .* from -8 to 7: .* of 3 steps"):
            list(file.answer([{**row, "x.copies": [5 + 3]}]))


def test_what_is_copied_of_two_sources_by_hand() -> None:
    """Half is written, three quarters of the other half are of the first source; the second row has
    no first source, the third neither."""
    node = CopyMix("mix", "scores", "gate", 1, "one", "z", 4, (("two", "x"),))
    mix = Mixture(node)
    mix.b_s.data = torch.tensor([3.0, 1.0]).log()
    numbers = [[[2, 5 - 1], [0, 0], [0, 0]], [[4, 3, 4 + 2 + 2], [4, 3, 4 + 2], [0, 0, 0]]]
    lengths = [[2, 0, 0], [3, 3, 0]]
    sources = [
        PaddedSequence(torch.tensor(each).t(), Lengths(torch.tensor(of), len(each[0])))
        for each, of in zip(numbers, lengths, strict=True)
    ]
    attended = [torch.tensor([0.5, 0.5]), torch.tensor([0.2, 0.3, 0.5])]
    logs = [each.log().expand(3, 1, -1).clone().requires_grad_() for each in attended]
    one = Lengths(torch.ones(3, dtype=torch.int64), 1)
    scores = PaddedSequence(torch.zeros(1, 3, 4), one)
    found = mix(scores, PaddedSequence(torch.ones(1, 3, 1), one), logs, mix.copied(sources))
    expected = [
        [0.125, 0.125, 0.125 + 0.1875, 0.125 + 0.0375, 0.1875 + 0.025, 0, 0, 0, 0.0625],
        [0.125, 0.125, 0.125, 0.125 + 0.15, 0.1, 0, 0.25, 0, 0],
        [0.125, 0.125, 0.125, 0.125, 0, 0, 0, 0, 0],
    ]
    torch.testing.assert_close(found.values[0].exp(), torch.tensor(expected))
    found.values.exp().sum().backward()
    gradients = [*(each.grad for each in mix.parameters()), *(each.grad for each in logs)]
    assert all(each is not None and each.isfinite().all() for each in gradients)


# ---------------------------------------------------------------- from names to an answer

SYLLABLES = [
    "ba",
    "do",
    "ki",
    "lu",
    "me",
    "no",
    "pa",
    "ri",
    "su",
    "ta",
    "ve",
    "zo",
    "na",
    "mi",
    "ro",
    "el",
    "an",
    "or",
]


def names_of(count: int, draw: random.Random) -> list[str]:
    every = [a + b + c for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES]
    return [name.capitalize() for name in draw.sample(every, count)]


def pair(names: Sequence[str], draw: random.Random) -> dict[str, str]:
    one, other = draw.sample(list(names), 2)
    return {"x": f"call {one} and {other} now", "y": f"{other} please {one}"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a build that has seen 400 names, and rows with 40 others."""
    folder, draw = tmp_path_factory.mktemp("names"), random.Random(0)
    every = names_of(440, draw)
    write(folder / "train.jsonl", [pair(every[:400], draw) for _ in range(350)])
    write(folder / "valid.jsonl", [pair(every[:400], draw) for _ in range(30)])
    rows = [pair(every[400:], draw) for _ in range(50)]
    write(folder / "new.jsonl", rows)
    both = {"cell": "gru", "units": 24, "direction": "bidirectional"}
    data = spec_data(
        {"as": "words"}, {"as": "words"}, layers=[{"cell": "gru", "units": 24}], embed=16,
        strategy={"beam": {"width": 3, "n_best": 2}}, max_steps="auto",
    )  # fmt: skip
    data["encoder"] = {"embed": 16, "layers": [both]}
    data["data"]["valid"] = "valid.jsonl"
    data["train"] = {
        "epochs": 10, "batch": 16, "threads": 1, "optimizer": {"adam": {"lr": 0.01}},
    }  # fmt: skip
    (folder / "spec.yaml").write_text(json.dumps(data))
    build(load_spec(folder / "spec.yaml"), folder / "builds", Silent())
    return folder


def of_build(folder: Path) -> Trained:
    (found,) = (folder / "builds" / "copies").iterdir()
    return read_build(BuildFolder(found))


def test_names_that_training_has_never_seen_are_answered(built: Path) -> None:
    trained = of_build(built)
    scores = evaluate_build(trained, built / "new.jsonl")
    assert scores.metrics["exact_match"] == 1.0
    assert scores.metrics["token_accuracy"] == 1.0
    assert scores.metrics["perplexity"] < 1.05
    shown = [s for s in scores.outputs["y"].sections if isinstance(s, Examples)]
    assert all(row.right and row.answered == row.expected for s in shown for row in s.examples)
    assert any(shown)
    rows = [json.loads(line) for line in (built / "new.jsonl").read_text().splitlines()]
    known = set(facts_of(trained.facts.outputs["y"]).entries)
    assert all(not known & {*row["x"].split()[1::2]} for row in rows), "all names are new"

    file = built / "copies.onnx"
    export_onnx(trained, file)
    session = onnxruntime.InferenceSession(file)
    got = session.run(["y"], {"x": np.array([row["x"] for row in rows], object)})[0]
    assert got[:, 0].tolist() == [row["y"] for row in rows]
    (odd,) = File.load(file).answer([{"x": "call Zyx and Qwv now"}])
    assert odd["y"] == "Qwv please Zyx"


def test_numbers_of_an_exported_file_are_steps_of_the_source(built: Path) -> None:
    trained, file = of_build(built), built / "ids.onnx"
    export_onnx(trained, file, ids=True)
    model = File.load(file)
    vocabulary = facts_of(trained.facts.outputs["y"])
    size, tokens = len(vocabulary), ["call", "Zyx", "and", "Qwv", "now"]
    (given, copies), (answer,) = model.inputs, model.outputs
    assert (copies.column, copies.kind, copies.width) == ("x.copies", "copies", size)
    assert (answer.copies, answer.width, answer.kind) == ("x", size, "ids")
    row = {
        given.column: facts_of(trained.facts.inputs["x"]).numbers(tokens),
        "x.copies": source_numbers(tokens, vocabulary),
    }
    (found,) = model.answer([row])
    assert found["y"] == [size + 3, vocabulary.numbers(["please"])[0], size + 1]
    # What may not be answered: Qwv, by its number
    without = [~n if n == size + 3 else n for n in row["x.copies"]]
    (other,) = model.answer([{**row, "x.copies": without}])
    assert size + 3 not in other["y"]
    with pytest.raises(DataError, match=f"expected whole numbers from -{size + 5} to {size + 4}"):
        list(model.answer([{**row, "x.copies": [*row["x.copies"][:-1], size + 5]}]))
    with pytest.raises(DataError, match=r"'x\.copies' \(a list of what each token is copied as\)"):
        from_texts(model, ["call Zyx and Qwv now"])
