"""Texts drawn at random, in normal forms, in lower case and split: in a file as in Python.

Every rule is a file of its own, which takes texts and gives texts. It must give what Python's
unicodedata and re give, of every code point and of random texts. What a text takes is measured on
sentences of several scripts.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

from rnnspec.data.decode import folded
from rnnspec.plan.text_rule import FORMS, Form, definition, punctuation
from rnnspec.run.session import Session
from rnnspec.spec.patterns import in_re2, parsed
from rnnspec.to_onnx import unicode
from rnnspec.to_onnx.emitter import CONTRIB, STRING, Attributes, Emitter

POINTS = [chr(at) for at in range(1, 0x110000) if not 0xD800 <= at < 0xE000]
REGEX = r"\d+(?:[.,]\d+)*|\w+(?:['’-]\w+)*|[^\w\s]"
SENTENCES = {
    "ASCII": "the quick brown fox, jumps over it. " * 6,
    "French": "Élève à l'école, déjà été! " * 8,
    "French, decomposed": unicodedata.normalize("NFD", "Élève à l'école, déjà été! " * 8),
    "Korean": "안녕하세요 세계 여러분 반갑습니다 " * 11,
    "Korean, decomposed": unicodedata.normalize("NFD", "안녕하세요 세계 여러분 " * 15),
}
BATCH = 1000
Expected = Callable[[str], Any]


def file_of(changed: Callable[[Emitter, str], str], extents: Sequence[str]) -> tuple[Session, int]:
    """A file of texts `x` to what `changed` makes of them, and its bytes."""
    emit = Emitter()
    emit.reserve(["x", "y"])
    texts = emit.input("x", STRING, ["N"], reserved=True)
    emit.output(changed(emit, texts), "y", STRING, list(extents), "")
    content = emit.model("texts", "", "0").SerializeToString()
    return Session(content), len(content)


def normal(form: Form) -> tuple[Session, int, Expected]:
    of, size = file_of(lambda emit, texts: unicode.normalized(emit, texts, form, "n"), ["N"])
    return of, size, lambda text: unicodedata.normalize(FORMS[form], text)


def lower() -> tuple[Session, int, Expected]:
    of, size = file_of(lambda emit, texts: unicode.folded(emit, texts, "n"), ["N"])
    return of, size, lambda text: folded([text])[0]


def split(pattern: str, compiled: re.Pattern[str]) -> tuple[Session, int, Expected]:
    rule: Attributes = {
        "tokenexp": in_re2(parsed(pattern)),
        "mark": 0,
        "pad_value": "",
        "mincharnum": 1,
    }
    of, size = file_of(
        lambda emit, texts: emit.op("Tokenizer", [texts], "n", CONTRIB, **rule), ["N", "T"]
    )
    return of, size, compiled.findall


def pools() -> list[Sequence[str]]:
    special = sorted({*unicode.touched("nfkc"), *unicode.touched("nfkd")})
    marks = [char for char in special if unicodedata.combining(char)]
    seconds = [char for char, kind in unicode.classes("nfc").items() if kind == unicode.SECOND]
    firsts = sorted({char for pair in unicode.compositions() for char in pair})
    return [POINTS, special, marks, seconds, firsts, "aE bo\n1.,'"]


def drawn(draw: random.Random, of: Sequence[Sequence[str]]) -> str:
    two = draw.choices(of, k=2)
    return "".join(
        draw.choice(draw.choice(two)) for _ in range(draw.choice((0, 1, 2, 3, 5, 8, 13)))
    )


def found(of: Session, texts: Sequence[str], split_up: bool) -> list[Any]:
    rows = of.run({"x": np.array(texts, object)})["y"].tolist()
    return [[token for token in row if token] for row in rows] if split_up else rows


def differences(of: Session, expected: Expected, count: int, seed: int, split_up: bool) -> int:
    draw, kinds, wrong = random.Random(seed), pools(), 0
    for start in range(0, len(POINTS) + count, BATCH):
        texts = POINTS[start : start + BATCH] or [drawn(draw, kinds) for _ in range(BATCH)]
        for text, got in zip(texts, found(of, texts, split_up), strict=True):
            if got != expected(text):
                wrong += 1
                if wrong < 4:
                    print(f"  {text!a}: {got!a}, expected {expected(text)!a}")
    return wrong


def microseconds(of: Session, text: str) -> float:
    feeds, times = {"x": np.array([text], object)}, []
    for _ in range(50):
        start = time.perf_counter()
        of.run(feeds)
        times.append(time.perf_counter() - start)
    return round(min(times) * 1e6, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=1_000_000, help="random texts of each rule")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    rules = {form: normal(form) for form in get_args(Form)}
    rules["lower case"] = lower()
    rules["punctuation"] = split(definition(), punctuation())
    rules[REGEX] = split(REGEX, re.compile(REGEX))
    figures: dict[str, Any] = {}
    for name, (of, size, expected) in rules.items():
        split_up = name in ("punctuation", REGEX)
        times = {each: microseconds(of, text) for each, text in SENTENCES.items()}
        wrong = differences(of, expected, chosen.texts, chosen.seed, split_up)
        figures[name] = {"bytes": size, "differences": wrong, "microseconds": times}
        print(f"{name}: {size:,} bytes, {wrong} differences, {times}", flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
