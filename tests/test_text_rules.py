"""Normal forms, lower case and splitting: in the file as Python's unicodedata and re have them."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from rnnspec.data import encode, survey
from rnnspec.data.decode import WHITE_SPACE, folded, folds
from rnnspec.data.reading import Reading
from rnnspec.export.parity import inputs_of, prove
from rnnspec.export.probes import probes
from rnnspec.plan import TextFacts, resolve
from rnnspec.plan.nodes import TokensInput
from rnnspec.plan.text_rule import FORMS, Form, TextRule, definition, marks
from rnnspec.run.feeds import padded_texts
from rnnspec.run.session import Session
from rnnspec.spec import Spec
from rnnspec.spec.patterns import PatternError, holds_white_space, in_re2, parsed
from rnnspec.to_onnx import to_onnx, unicode
from rnnspec.to_onnx.emitter import CONTRIB, STRING, Attributes, Emitter
from rnnspec.to_torch import Model
from tests.answers import of_torch

POINTS = [chr(at) for at in range(1, 0x110000) if not 0xD800 <= at < 0xE000]
TEXTS = 800
"""Random ones, of each form; `benchmarks/text_rules.py` draws a million."""


def session(changed: Callable[[Emitter, str], str], extents: Sequence[str] = ("N",)) -> Session:
    """A file of texts `x` `[N]` to texts `y`."""
    emit = Emitter()
    emit.reserve(["x", "y"])
    texts = emit.input("x", STRING, ["N"], reserved=True)
    emit.output(changed(emit, texts), "y", STRING, list(extents), "")
    return Session(emit.model("texts", "", "0").SerializeToString())


def answers(of: Session, texts: Sequence[str]) -> Any:
    return of.run({"x": np.array(texts, object)})["y"].tolist()


def drawn(draw: random.Random, pools: Sequence[Sequence[str]]) -> str:
    two = draw.choices(pools, k=2)
    return "".join(draw.choice(draw.choice(two)) for _ in range(draw.choice((1, 2, 3, 5, 8))))


@pytest.mark.parametrize("form", get_args(Form))
def test_normal_forms_are_those_of_unicodedata(form: Form) -> None:
    """Of every code point that some form changes, and of random texts of all kinds of them."""
    of = session(lambda emit, texts: unicode.normalized(emit, texts, form, "normal"))
    special = sorted({*unicode.touched("nfkc"), *unicode.touched("nfkd")})
    marks = [char for char in special if unicodedata.combining(char)]
    seconds = [char for char, kind in unicode.classes("nfc").items() if kind == unicode.SECOND]
    firsts = sorted({pair[0] for pair in unicode.compositions()})
    draw, pools = random.Random(0), (POINTS, special, marks, seconds, firsts, "aE o\n")
    texts = [*special, *(drawn(draw, pools) for _ in range(TEXTS)), ""]
    expected = [unicodedata.normalize(FORMS[form], text) for text in texts]
    assert answers(of, texts) == expected
    assert sum(map(str.__ne__, texts, expected)) > TEXTS / 4


@pytest.mark.parametrize("form", get_args(Form))
def test_code_points_without_a_part_in_a_form_are_left_alone(form: Form) -> None:
    """The file does not look at texts of such alone: they are no part of any change."""
    plain = "".join(char for char in POINTS if char not in unicode.touched(form))
    assert unicodedata.normalize(FORMS[form], plain) == plain
    assert len(plain) > 1_000_000


def test_texts_in_a_normal_form_alone_and_none_at_all() -> None:
    of = session(lambda emit, texts: unicode.normalized(emit, texts, "nfc", "normal"))
    assert answers(of, ["e\u0301"]) == ["\u00e9"]
    assert answers(of, [""]) == [""]
    assert answers(of, ["plain"]) == ["plain"]
    assert answers(of, []) == []
    # Blocked by a mark of the same class; composed over one of a lower class.
    assert answers(of, ["a\u0302\u0301", "a\u0306\u0301", "a\u0323\u0302"]) == [
        "\u1ea5", "\u0103\u0301".replace("\u0103\u0301", "\u1eaf"), "\u1ead",
    ]  # fmt: skip
    # Hangul: leading consonant and vowel, then a trailing consonant.
    assert answers(of, ["\u1112\u1161\u11ab\u1100\u1173\u11af"]) == ["\ud55c\uae00"]


def test_lower_case_goes_by_code_points() -> None:
    of = session(lambda emit, texts: unicode.folded(emit, texts, "lower"))
    every = list(map(chr, folds()))
    texts = [*every, "".join(every), "STRASSE ΣΊΣΥΦΟΣ İI", "", "plain"]
    assert answers(of, texts) == folded(texts)
    assert folded(["ΣΑΣ", "İ", "ẞ"]) == ["σασ", "İ", "ß"]


# ------------------------------------------------------------------------------------- words

PATTERNS = (
    r"\w+|[^\w\s]",
    r"\d+(?:[.,]\d+)*|\w+(?:['’-]\w+)*|[^\w\s]",  # rewritten: "1a" is "1" and "a"
    r"a|ab",
    r"(?:a|ab)(?:c|bcd)?",
    r"(?:ab|a)(?:bc|c){,2}|.",
    r"[A-Z][a-z]*|[a-z]+|\S",
    r"(?:\w\.){2,}|\w+",
    r"\w+|(?:\w\.){2,}",
    r"[^]\n a]{2}|[]\-]|\x41\u00e9|\t",
    r"[^\W\d_]+|\d|\D",
    r"a{2}b{1,}|a{3}|b",
)
ALPHABET = "aaabbc..,1 2'-é\nAz_\tÉ]’\u0301"


def found(pattern: str, texts: Sequence[str]) -> list[list[str]]:
    """The tokens that an exported file finds."""
    rule: Attributes = {"tokenexp": pattern, "mark": 0, "pad_value": "", "mincharnum": 1}
    of = session(
        lambda emit, texts: emit.op("Tokenizer", [texts], "tokens", CONTRIB, **rule), ("N", "T")
    )
    return [[token for token in row if token] for row in answers(of, texts)]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_regular_expressions_find_what_re_finds(pattern: str) -> None:
    draw = random.Random(0)
    texts = ["".join(draw.choices(ALPHABET, k=draw.randrange(16))) for _ in range(300)]
    expected = list(map(re.compile(pattern).findall, texts))
    assert found(in_re2(parsed(pattern)), texts) == expected


def test_punctuation_is_set_apart_by_category() -> None:
    """Of code points between letters: a part of the word, a word of its own, or a gap."""
    assigned = [char for char in POINTS if unicodedata.category(char) not in ("Cn", "Co")]
    points = [*(char for char in assigned if not "\u3400" < char < "\ud7a0"), *POINTS[::97]]
    texts = [f"a{char}b" for char in points]
    expected = []
    for char in points:
        inside = char == "_" or char.isalnum() or unicodedata.category(char)[0] == "M"
        between = [] if char in WHITE_SPACE else [char]
        expected.append([f"a{char}b"] if inside else ["a", *between, "b"])
    rule = TextRule(split="punctuation")
    assert list(map(rule.words, texts)) == expected
    some = slice(0, None, 9)
    assert found(in_re2(parsed(definition())), texts[some]) == expected[some]
    text = "C'est déjà vu, n’est-ce pas?"
    assert " ".join(rule.words(text)) == "C ' est déjà vu , n ’ est - ce pas ?"


REFUSED = {
    "(a)b": "a group that captures is not offered",
    "(?i)a": "(?i…) is not offered",
    "a(?=b)": "(?=…) is not offered",
    "(?P<x>a)": "(?P…) is not offered",
    "a+?": "+? is not offered",
    "a{2}+": "{2}+ is not offered",
    "a++": "++ is not offered",
    "^a": "^ is a place, and a token is found at any place",
    "a$": "$ is a place, and a token is found at any place",
    r"\ba": r"\b is not offered",
    r"a\Z": r"\Z is not offered",
    r"\07": r"\0 is not offered",
    "a{": "{ stands where nothing is repeated",
    "a*": "it matches the empty text",
    "a|b?": "it matches the empty text",
    "": "it matches the empty text",
    "(?:a?)+b": "it repeats what may be empty",
    "(?:|a)*b": "it repeats what may be empty",
    r"\w{99}": "it is too large, 72,666 ranges of characters with its repetitions",
    "(?:a{60}){60}": "it is too large",
    "(?:a|b)*a(?:a|b){14}": "it is too large to be decided",
    "(?:" * 300 + "a" + ")" * 300: "its groups are nested too deeply",
    r"a|[^\w\W]": "a class has no character",
    r"[^\x00-\U0010ffff]b": "a class has no character",
    "[[a]": "possible nested set at position 1, whose meaning may change in Python",
    "[a&&b]": "possible set intersection at position 2, whose meaning may change in Python",
    "[a": "no regular expression of Python's re: unterminated character set at position 0",
    "[b-a]": "no regular expression of Python's re: bad character range b-a at position 1",
}


@pytest.mark.parametrize("pattern", REFUSED)
def test_what_is_not_offered_is_refused_with_a_cure(pattern: str) -> None:
    with pytest.raises(PatternError) as refused:
        parsed(pattern)
    expected = REFUSED[pattern]
    if r"\w" in pattern:  # how many ranges it has, Unicode decides
        expected = re.sub(r"[\d,]+", "", expected)
    assert re.sub(r"[\d,]+" if r"\w" in pattern else r"(?!)", "", str(refused.value)) == expected
    assert refused.value.cure


def test_whether_words_may_hold_white_space() -> None:
    assert holds_white_space(parsed(r"\w+ \w+"))
    assert holds_white_space(parsed(r"a|[^b]"))
    assert not holds_white_space(parsed(r"\S+|a{1}"))
    assert not holds_white_space(parsed(r"a(?: ){0}"))


# ------------------------------------------------------------------------- from rows to answers

ROWS = [
    "Hello, wo\u0308rld! C'est déjà vu.",
    "\uc548\ub155하세요 Über-Gro\u0308ße …",
    "ﬁne ① ﬁsh, NAI\u0308VE café a.b. 3.14",
    "don't\u00a0stop_now STOP",
    "",
]
NEW = [*ROWS, "ǅ\u0301 x", "HELLO,WÖRLD c’était", "한국어 ", "\u0301", "\ufb01ne", " \u3000"]
REGEX = {"regex": r"\d+(?:[.]\d+)*|\w+|[^\w\s]"}
RULES: list[dict[str, Any]] = [
    {"as": "words", "normalize": "nfkd", "split": "punctuation", "fold_case": True},
    {"as": "words", "normalize": "nfc", "spelling": {"embed": 3, "units": 3}, "fold_case": True},
    {"as": "words", "split": REGEX, "spelling": {"embed": 3, "units": 3}},
    {"as": "chars", "normalize": "nfd"},
    {"as": "chars", "normalize": "nfkc", "fold_case": True},
    {"as": "tokens", "normalize": "nfc", "fold_case": True, "spelling": {"embed": 3, "units": 3}},
]


def tokens_by_hand(rule: dict[str, Any], text: Any) -> list[str]:
    form = rule.get("normalize", "none").upper()
    if rule["as"] == "tokens":
        return [unicodedata.normalize(form, token) for token in text]
    normal: str = text if form == "NONE" else unicodedata.normalize(form, text)
    if rule["as"] == "chars":
        return list(normal)
    match rule.get("split"):
        case "punctuation":
            return re.findall(rf"[\w{marks()}]+|[^\w\s{marks()}]", normal)
        case {"regex": pattern}:
            return list(map(str, re.findall(pattern, normal)))
        case _:
            return normal.split()


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_data_and_file_number_texts_alike(tmp_path: Path, rule: dict[str, Any]) -> None:
    """From rows to numbers by hand, in the data, in the proof and in the file."""
    cells: list[Any] = [text.split() for text in NEW] if rule["as"] == "tokens" else list(NEW)
    file, other = tmp_path / "train.jsonl", tmp_path / "other.jsonl"
    for path, written in ((file, cells[: len(ROWS)]), (other, cells)):
        rows = [{"x": cell, "y": at % 2} for at, cell in enumerate(written)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    wanted = {"column": "y", "as": "class"}
    data = {"train": str(file), "input": {"column": "x", **rule}, "output": wanted}
    encoder = {"embed": 4, "layers": [{"cell": "gru", "units": 4}]}
    spec = Spec.model_validate(
        {"name": "ruled", "cardinality": "N:1", "data": data, "encoder": encoder}
    )
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    known = facts.inputs["x"]
    assert isinstance(known, TextFacts)
    tokens = [tokens_by_hand(rule, cell) for cell in cells]
    read = [folded(row) if rule.get("fold_case") else row for row in tokens]
    assert set(known.vocabulary.entries) == set(chain.from_iterable(read[: len(ROWS)]))
    batch = encode(plan, facts, other, Reading("jsonl"), tmp_path).collate(np.arange(len(cells)))
    numbers, lengths = batch.inputs["x"]
    found = [row[:length].tolist() for row, length in zip(numbers, lengths, strict=True)]
    assert found == [known.vocabulary.numbers(row) for row in read]
    model = Model(plan)
    model.start(facts, seed=0)
    expected = of_torch(model, inputs_of(model, batch.inputs))["y"]
    of = Session(to_onnx(plan, facts, model.canonical_arrays()).SerializeToString())
    feeds = {"x": padded_texts(cells) if rule["as"] == "tokens" else np.array(cells, object)}
    if rule["as"] == "tokens":
        feeds["x.lengths"] = np.array(list(map(len, cells)), np.int64)
    np.testing.assert_allclose(of.run(feeds)["y.probabilities"], expected, atol=1e-5)
    node = plan.node("input.x")
    assert isinstance(node, TokensInput)
    assert [node.rule.tokens(node.kind, cell) for cell in cells] == tokens
    prove(of, model, facts, probes(plan, facts), ids=False)
