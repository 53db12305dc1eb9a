"""Two sources: does a model that reads both know more than one that reads either?

    python benchmarks/two_sources.py OUT [LANGUAGE]

Words and how they are said, of `g2p` (fre, gre or hun). In the first task two fifths of the letters
and of the sounds of each word are missing, and the word is to be written: from its letters, from
its sounds, or from both by a decoder with two sources. In the second a word stands beside sounds,
its own or those of the word that is most like it, and the model says which: with the vectors of
both encoders compared, or with each letter attending to the sounds before that. The figures printed
are those of the validation words, and the seconds of CPU that each model took.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
from twins.data import data_folder

import rnnspec

GAP, MISSING = "_", 0.4
Word = tuple[str, list[str]]
Row = dict[str, Any]
GRU = {"cell": "gru", "units": 64, "direction": "bidirectional"}
LETTERS, SOUNDS = {"column": "letters", "as": "chars"}, {"column": "sounds", "as": "tokens"}
OPTIMIZER = {"adam": {"lr": 3.0e-3}}


def words_of(language: str, part: str) -> list[Word]:
    path = data_folder() / "g2p" / f"{language}_{part}.tsv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t")
        return [(row["graphemes"], row["phonemes"].split()) for row in rows]


def with_gaps(tokens: Sequence[str], draw: np.random.Generator) -> list[str]:
    return [GAP if draw.random() < MISSING else token for token in tokens]


def damaged(words: Sequence[Word], copies: int, seed: int) -> list[Row]:
    """Each word `copies` times, with other gaps."""
    draw = np.random.default_rng(seed)
    return [
        {"letters": "".join(with_gaps(word, draw)), "sounds": with_gaps(sounds, draw), "word": word}
        for _ in range(copies)
        for word, sounds in words
    ]


def matched(words: Sequence[Word], seed: int) -> list[Row]:
    """Each word with its own sounds, and with those of the likest of fifty others."""
    draw, rows = np.random.default_rng(seed), list[Row]()
    for word, sounds in words:
        others = [words[at] for at in draw.integers(len(words), size=50)]
        near = max((o for o in others if o[1] != sounds), key=lambda o: _likeness(word, o[0]))
        rows.append({"letters": word, "sounds": sounds, "said": "so"})
        rows.append({"letters": word, "sounds": near[1], "said": "otherwise"})
    return rows


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()


def writer(sources: Sequence[str]) -> dict[str, Any]:
    """Writes a word from some of its sources."""
    inputs = [each for each in (LETTERS, SOUNDS) if each["column"] in sources]
    layers = {"embed": 32, "layers": [GRU]}
    several = {each: {"inputs": [each], **layers} for each in sources}
    encoders = {"encoders": several} if len(sources) > 1 else {"encoder": layers}
    decoder = {"embed": 32, "layers": [{"cell": "gru", "units": 96}], "attention": "general"}
    return {
        "name": "-".join(("word", *sources)),
        "cardinality": "N:M",
        "data": {"input": inputs, "output": {"column": "word", "as": "chars"}},
        **encoders,
        "decoder": decoder,
        "train": {"epochs": 8, "batch": 64, "optimizer": OPTIMIZER, "schedule": "cosine"},
    }


def matcher(attends: bool) -> dict[str, Any]:
    """Says whether sounds are those of a word."""
    over = [{"attend": "sounds.read", "score": "dot", "combine": ["difference", "product"]}]
    top = [{"dense": 64, "activation": "relu"}]
    letters = [{**GRU}, *(over if attends else []), *top]
    sounds = [{**GRU, "name": "read"}, *top]
    encoders = {
        "letters": {"inputs": ["letters"], "embed": 32, "layers": letters, "pooling": "max"},
        "sounds": {"inputs": ["sounds"], "embed": 32, "layers": sounds, "pooling": "max"},
    }
    return {
        "name": f"said-{'attending' if attends else 'compared'}",
        "cardinality": "N:1",
        "data": {"input": [LETTERS, SOUNDS], "output": {"column": "said", "as": "class"}},
        "encoders": encoders,
        "combine": ["concat", "difference", "product"],
        "head": {"hidden": [64]},
        "train": {"epochs": 6, "batch": 64, "optimizer": OPTIMIZER, "schedule": "cosine"},
    }


def measured(spec: dict[str, Any], train: list[Row], valid: list[Row], out: Path) -> None:
    """The share of the validation rows that the exported file answers rightly, printed."""
    start, column = time.process_time(), spec["data"]["output"]["column"]
    build = rnnspec.load(spec).build(out, data={"train": train, "valid": valid})
    seconds = time.process_time() - start
    file = out / f"{spec['name']}.onnx"
    build.export(file)
    answers = rnnspec.open(file).predict([{k: r[k] for k in r if k != column} for r in valid])
    right = sum(bool(one[column] == row[column]) for one, row in zip(answers, valid, strict=True))
    print(f"{spec['name']:24} {right / len(valid):7.1%}  {seconds:5.0f} CPU s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("language", nargs="?", default="fre")
    given = parser.parse_args()
    train, valid = (words_of(given.language, part) for part in ("train", "dev"))
    rows, held = damaged(train, 2, 1), damaged(valid, 1, 2)
    for sources in (("letters",), ("sounds",), ("letters", "sounds")):
        measured(writer(sources), rows, held, given.out)
    rows, held = matched(train, 3), matched(valid, 4)
    for attends in (False, True):
        measured(matcher(attends), rows, held, given.out)


if __name__ == "__main__":
    main()
