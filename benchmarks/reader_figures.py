"""The figures of readers.py: what an exported file is asked, and how its answers are scored.

As in sequence_figures.py, each function takes a scratch folder and gives the feeds of a file, batch
by batch, and a function from its answers to figures; files are read without rnnspec.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from seqeval.metrics import f1_score
from sequence_figures import Feeds, Figures, Measure, batches, exact, lengths_of, texts
from twin_wnut17 import read_conll, vectors_file
from twins.data import data_folder, read_rows
from twins.joined import strings_folder
from twins.pairs import edits
from twins.speech import read_wav


def words(folder: Path) -> Measure:
    """The share of recordings whose word is answered."""
    rows = read_rows(data_folder() / "speech" / "valid.jsonl")
    feeds = sound(rows, data_folder() / "speech")
    return feeds, lambda answers: {"accuracy": exact(rows, "word", answers)}


def strings(folder: Path) -> Measure:
    """Word errors (edits over words), and the share of strings without any."""
    place = strings_folder()
    (folder / "strings").symlink_to(place)
    rows = read_rows(place / "valid.jsonl")

    def figures(answers: Feeds) -> Figures:
        found = [text.split() for answer in answers for text in answer["text"].tolist()]
        errors = error_rate(found, [row["words"] for row in rows])
        return {"word errors": errors, "exact": exact(rows, "text", answers)}

    return sound(rows, place), figures


def sound(rows: list[dict[str, Any]], place: Path) -> Feeds:
    """Samples `[B, S]`, 0 behind each row, and their numbers."""
    feeds: Feeds = []
    for some in batches(rows):
        samples = [read_wav(place / row["audio"]).numpy() for row in some]
        lengths = np.array([len(each) for each in samples], np.int64)
        padded = np.zeros((len(some), lengths.max()), np.float32)
        for row, each in zip(padded, samples, strict=True):
            row[: len(each)] = each
        feeds.append({"audio": padded, "audio.lengths": lengths})
    return feeds


def lines(folder: Path) -> Measure:
    """The share of lines without an error, and character errors (edits over characters)."""
    place = data_folder() / "digit_lines"
    rows = read_rows(place / "valid.jsonl")
    feeds: Feeds = []
    for some in batches(rows):
        pictures = [pixels(place / row["image"]) for row in some]
        lengths = np.array([each.shape[1] for each in pictures], np.int64)
        padded = np.zeros((len(some), pictures[0].shape[0], lengths.max(), 1), np.uint8)
        for row, each in zip(padded, pictures, strict=True):
            row[:, : each.shape[1], 0] = each
        feeds.append({"image": padded, "image.lengths": lengths})

    def figures(answers: Feeds) -> Figures:
        found = [list(text) for answer in answers for text in answer["text"].tolist()]
        errors = error_rate(found, [list(row["text"]) for row in rows])
        return {"exact": exact(rows, "text", answers), "character errors": errors}

    return feeds, figures


def pixels(path: Path) -> NDArray[np.uint8]:
    """`[height, width]` of a grey picture."""
    with Image.open(path) as picture:
        return np.array(picture.convert("L"))


def intents(folder: Path) -> Measure:
    rows = read_rows(data_folder() / "atis" / "dev.jsonl")
    feeds = tokens([row["tokens"] for row in rows])
    return feeds, lambda answers: {"accuracy": exact(rows, "intent", answers)}


def slots(folder: Path) -> Measure:
    """F1 of spans by seqeval."""
    rows = read_rows(data_folder() / "atis" / "dev.jsonl")
    truth = [row["slots"] for row in rows]
    return tokens([row["tokens"] for row in rows]), spans("slots", truth)


def entities(with_vectors: bool) -> Callable[[Path], Measure]:
    def measure(folder: Path) -> Measure:
        if with_vectors:
            (folder / "words.vec").symlink_to(vectors_file())
        rows = read_conll(data_folder() / "wnut17" / "dev.conll")
        return tokens(rows.words), spans("tags", rows.tags)

    return measure


def tokens(rows: list[list[str]]) -> Feeds:
    return [{"tokens": texts(some), "tokens.lengths": lengths_of(some)} for some in batches(rows)]


def spans(column: str, truth: list[list[str]]) -> Callable[[Feeds], Figures]:
    def figures(answers: Feeds) -> Figures:
        told = [row for answer in answers for row in answer[column].tolist()]
        found = [row[: len(true)] for row, true in zip(told, truth, strict=True)]
        return {"F1": float(f1_score(truth, found))}

    return figures


def error_rate(found: list[list[str]], wanted: list[list[str]]) -> float:
    wrong = sum(edits(a, b) for a, b in zip(found, wanted, strict=True))
    return wrong / sum(map(len, wanted))
