"""Names in messages: labels in a chain (CRF) or each alone, with vectors of word2vec or none."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
import word_vectors
from torch import Tensor
from twins.data import Vocabulary, data_folder
from twins.fitting import Recipe
from twins.report import Variant, main
from twins.tagger import Known, Sentences, Setting, Shape, learner, train

SHAPE = Shape(embed=100, units=100)
RECIPE = Recipe(epochs=10, batch=16, lr=3e-3, schedule="cosine", clip_norm=5.0)


def read_conll(path: Path) -> Sentences:
    """The two columns of a file, between tabs."""
    words: list[list[str]] = [[]]
    tags: list[list[str]] = [[]]
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line.strip():
            word, tag = line.split("\t")
            words[-1].append(word)
            tags[-1].append(tag.strip())
        elif words[-1]:
            words.append([])
            tags.append([])
    return Sentences([row for row in words if row], [row for row in tags if row])


def vectors_file() -> Path:
    """Vectors of the words of the training part; learned at the first call on this machine."""
    path = Path(tempfile.gettempdir()) / "wnut17-vectors" / "words.vec"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        word_vectors.train(data_folder() / "wnut17" / "train.conll", path)
    return path


def with_vectors(known: Known) -> Known:
    """All words of the file, whose vectors go on learning; one more that stands for the unknown."""
    rows = [line.split(" ") for line in vectors_file().read_text("utf-8").splitlines()[1:]]
    places = {row[0]: number for number, row in enumerate(rows, start=2)}
    vectors = torch.tensor([[float(x) for x in row[1:]] for row in rows])
    given = torch.cat([torch.zeros(1, vectors.shape[1]), torch.randn(1, vectors.shape[1]) * 0.1])
    return replace(known, words=Vocabulary(places), vectors=torch.cat([given, vectors]))


def run(chain: bool, vectors: bool, seed: int, *, show: bool = False) -> dict[str, float]:
    data, dev = (read_conll(data_folder() / "wnut17" / f"{p}.conll") for p in ("train", "dev"))
    torch.manual_seed(seed)
    known = Known.of(data, SHAPE.min_count)
    if vectors:
        known = with_vectors(known)
    setting = Setting(replace(SHAPE, chain=chain), RECIPE)
    found = train(setting, known, data, dev, seed, show=show)
    return {
        "F1": found.score,
        "parameters": found.parameters,
        "epoch s": found.epoch,
        "CPU s": found.seconds,
    }


def step(chain: bool) -> Callable[[Tensor], None]:
    data = read_conll(data_folder() / "wnut17" / "train.conll")
    setting = Setting(replace(SHAPE, chain=chain), RECIPE)
    return learner(setting, Known.of(data, SHAPE.min_count), data, 0)[1].stepping()


VARIANTS = {
    f"{name}{'-vectors' if vectors else ''}": Variant("reported", partial(run, chain, vectors))
    for name, chain in (("crf", True), ("softmax", False))
    for vectors in (False, True)
}

if __name__ == "__main__":
    main(__doc__, VARIANTS)
