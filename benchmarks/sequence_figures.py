"""The figures of real_sequences.py: what an exported file is asked, and how its answers are scored.

Each function takes a scratch folder and gives the feeds of a file's inputs, batch by batch, and a
function from the answers to figures. Rows are read and scored by themselves, without rnnspec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import twin_sfx_restaurant
from numpy.typing import NDArray
from twins.data import data_folder, read_rows

Feeds = list[dict[str, NDArray[Any]]]
Figures = dict[str, float]
Measure = tuple[Feeds, Callable[[Feeds], Figures]]
BATCH = 64
TRAIN, TEST, HISTORY, HORIZON = 8640, (11520, 14400), 96, 24
"""Hours of ETTh1: 12 months to train on, the last 4 to be tested on."""


def tags(folder: Path) -> Measure:
    """Accuracy of the tag of each token."""
    rows = read_rows(data_folder() / "ud_en_ewt" / "dev.jsonl")
    feeds = [
        {"tokens": texts(some), "tokens.lengths": lengths_of(some)}
        for some in batches([row["tokens"] for row in rows])
    ]

    def figures(answers: Feeds) -> Figures:
        hits = count = 0
        for some, answer in zip(batches(rows), answers, strict=True):
            for row, found in zip(some, answer["tags"], strict=True):
                hits += sum(a == b for a, b in zip(row["tags"], found, strict=False))
                count += len(row["tags"])
        return {"accuracy": hits / count}

    return feeds, figures


def chords(folder: Path) -> Measure:
    """Nats of the next chord: the sum over all 88 keys, the mean over steps.

    Keys that training never showed are known to the file as never on.
    """
    rows = read_rows(data_folder() / "jsb" / "valid.jsonl")
    train = read_rows(data_folder() / "jsb" / "train.jsonl")
    labels = sorted({str(key) for row in train for chord in row["keys"] for key in chord})
    feeds = []
    for some in batches(rows):
        steps, most = (
            max(len(r["keys"]) for r in some),
            max(len(c) for r in some for c in r["keys"]),
        )
        keys = np.full((len(some), steps, most), "", dtype="<U4")
        for i, row in enumerate(some):
            for t, chord in enumerate(row["keys"]):
                keys[i, t, : len(chord)] = list(map(str, chord))
        feeds.append({"keys": keys, "keys.lengths": lengths_of([row["keys"] for row in some])})

    def figures(answers: Feeds) -> Figures:
        nats, steps = 0.0, 0
        for some, answer in zip(batches(rows), answers, strict=True):
            told = answer["keys.next.probabilities"].astype(float)
            for row, found in zip(some, told, strict=True):
                for shares, chord in zip(found, row["keys"][1:], strict=False):
                    on = np.isin(labels, list(map(str, chord)))
                    nats -= float(np.log(np.where(on, shares, 1 - shares).clip(1e-30)).sum())
                    steps += 1
        return {"nats": nats / steps}

    return feeds, figures


def characters(folder: Path) -> Measure:
    """Nats of the next character of the whole validation text, read as one row."""
    text = (data_folder() / "tinyshakespeare" / "valid.txt").read_text(encoding="utf-8")
    train = (data_folder() / "tinyshakespeare" / "train.txt").read_text(encoding="utf-8")
    counts: dict[str, int] = {}
    for character in train:
        counts[character] = counts.get(character, 0) + 1
    ordered = sorted(counts, key=lambda c: (-counts[c], c))
    numbers = {character: number for number, character in enumerate(ordered, start=2)}

    def figures(answers: Feeds) -> Figures:
        (shares,) = answers[0]["text.next.probabilities"]
        ahead = [numbers.get(character, 1) for character in text[1:]]
        found = shares[np.arange(len(ahead)), ahead].astype(float)
        return {"nats": float(-np.log(found.clip(1e-30)).mean())}

    return [{"text": np.array([text])}], figures


def sentences(folder: Path) -> Measure:
    """BLEU against all references of the same features, and the slot error rate, as the twin."""
    _, valid = twin_sfx_restaurant.load()
    rows = read_rows(data_folder() / "sfx_restaurant" / "valid.jsonl")
    feeds: Feeds = [
        {"features": np.array([r["features"] for r in some], np.float32)} for some in batches(rows)
    ]

    def figures(answers: Feeds) -> Figures:
        told = [text for answer in answers for text in answer["text"].tolist()]
        return {
            "BLEU": twin_sfx_restaurant.bleu(told, valid.references),
            "slot error": twin_sfx_restaurant.slot_error(told, valid.slots),
        }

    return feeds, figures


def surnames(folder: Path) -> Measure:
    rows = read_rows(data_folder() / "names" / "valid.jsonl")
    feeds = [{"name": np.array([r["name"] for r in some])} for some in batches(rows)]
    return feeds, lambda answers: {"accuracy": exact(rows, "language", answers)}


def letters(folder: Path) -> Measure:
    rows = read_rows(data_folder() / "fsdd" / "valid.parquet")
    feeds: Feeds = []
    for some in batches(rows):
        steps = max(len(row["frames"]) for row in some)
        frames = np.zeros((len(some), steps, 13), np.float32)
        for i, row in enumerate(some):
            frames[i, : len(row["frames"])] = row["frames"]
        feeds.append(
            {"frames": frames, "frames.lengths": lengths_of([row["frames"] for row in some])}
        )
    return feeds, lambda answers: {"exact": exact(rows, "word", answers)}


def commands(folder: Path) -> Measure:
    rows = _table(data_folder() / "scan" / "valid.tsv")
    feeds = [{"command": np.array([r["command"] for r in some])} for some in batches(rows)]
    return feeds, lambda answers: {"exact": exact(rows, "actions", answers)}


def pronunciation(language: str) -> Callable[[Path], Measure]:
    def measure(folder: Path) -> Measure:
        rows = _table(data_folder() / "g2p" / f"{language}_dev.tsv")
        feeds = [{"graphemes": np.array([r["graphemes"] for r in some])} for some in batches(rows)]
        return feeds, lambda answers: {"wrong words": 1 - exact(rows, "phonemes", answers)}

    return measure


def forecast(folder: Path) -> Measure:
    """Squared error in units of the training rows' deviation, over all windows of the test months;
    writes the files that the spec reads."""
    source = (data_folder() / "series" / "ETTh1.csv").read_text(encoding="utf-8").splitlines()
    head, hours = source[0], source[1:]
    first, last = TEST
    parts = {"train": hours[:TRAIN], "test": hours[first - HISTORY : last]}
    for name, lines in parts.items():
        (folder / f"etth1_{name}.csv").write_text("\n".join([head, *lines]) + "\n")
    place = head.split(",").index("OT")
    values = np.array([float(line.split(",")[place]) for line in hours], np.float32)
    scale = values[:TRAIN].astype(float).std()
    starts = np.arange(first, last - HORIZON + 1)
    past = np.stack([values[at - HISTORY : at] for at in starts])
    true = np.stack([values[at : at + HORIZON] for at in starts]).astype(float)
    feeds: Feeds = [
        {"OT": some, "OT.lengths": np.full(len(some), HISTORY, np.int64)}
        for some in np.array_split(past, -(-len(past) // BATCH))
    ]

    def figures(answers: Feeds) -> Figures:
        found = np.concatenate([answer["OT.forecast"] for answer in answers])
        naive = {"last value": past[:, -1:], "seasonal naive": past[:, -HORIZON:]}
        told = {"MSE": found, **naive}
        return {name: float((((of - true) / scale) ** 2).mean()) for name, of in told.items()}

    return feeds, figures


# ---------------------------------------------------------------- for all


def batches(rows: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(rows), BATCH):
        yield list(rows[start : start + BATCH])


def lengths_of(rows: list[Any]) -> NDArray[np.int64]:
    return np.array([len(row) for row in rows], np.int64)


def texts(rows: list[list[str]]) -> NDArray[Any]:
    """Lists of texts `[B, T]`, padded with empty ones."""
    longest = max(map(len, rows))
    return np.array([[*row, *[""] * (longest - len(row))] for row in rows])


def exact(rows: Sequence[Any], column: str, answers: Feeds) -> float:
    found = [text for answer in answers for text in answer[column].tolist()]
    hits = sum(bool(a == row[column]) for a, row in zip(found, rows, strict=True))
    return hits / len(rows)


def _table(file: Path) -> list[dict[str, str]]:
    names, *lines = file.read_text(encoding="utf-8").splitlines()
    return [dict(zip(names.split("\t"), line.split("\t"), strict=True)) for line in lines]
