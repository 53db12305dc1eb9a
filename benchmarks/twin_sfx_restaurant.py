"""Sentences about restaurants from 41 flags of a dialogue act: a decoder started by a vector.

BLEU is sacrebleu's corpus BLEU-4 of text already tokenised, against every sentence of the
validation file with the same flags. The slot error is (missing + redundant) / wanted over the
slots that delexicalised text can show, as of Wen et al. 2015.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass

import sacrebleu
import torch
from twins.data import data_folder, read_rows
from twins.fitting import Fitted, Recipe, fit
from twins.pairs import Pairs, Tokens, token_loss
from twins.report import Variant, main
from twins.search import beam, greedy
from twins.seq2seq import Seq2Seq, Shape

SHAPE = Shape(
    target=0,
    features=41,
    vector=True,
    static=True,
    target_embed=64,
    decoder=256,
    embed_dropout=0.2,
    layer_dropout=0.5,
)
RECIPE = Recipe(epochs=25, batch=32, lr=3e-3, schedule="cosine")
MAX_STEPS = 60
BEAM = 5


@dataclass(frozen=True)
class Part:
    """One file. references: the sentences of equal flags, for each row."""

    pairs: Pairs
    tokens: Tokens
    references: list[list[str]]
    slots: list[Counter[str]]


def slots_of(flags: list[int], names: list[str]) -> Counter[str]:
    """How often each SLOT_ token is wanted: the flags ``slot#1``, ``slot#2``."""
    on = [name for flag, name in zip(flags, names, strict=True) if flag and "#" in name]
    return Counter(f"SLOT_{name.split('#')[0].upper()}" for name in on)


def load() -> tuple[Part, Part]:
    folder = data_folder() / "sfx_restaurant"
    names = json.loads((folder / "feature_names.json").read_text(encoding="utf-8"))
    parts = [read_rows(folder / f"{part}.jsonl") for part in ("train", "valid")]
    tokens = Tokens.of(row["text"].split() for row in parts[0])
    found = []
    for rows in parts:
        alike: defaultdict[tuple[int, ...], list[str]] = defaultdict(list)
        for row in rows:
            alike[tuple(row["features"])].append(row["text"])
        pairs = Pairs(
            [torch.tensor(row["features"], dtype=torch.float32) for row in rows],
            [tokens.encode(row["text"].split()) for row in rows],
            vectors=True,
        )
        references = [alike[tuple(row["features"])] for row in rows]
        found.append(
            Part(pairs, tokens, references, [slots_of(row["features"], names) for row in rows])
        )
    return found[0], found[1]


def bleu(answers: list[str], references: list[list[str]]) -> float:
    """0 to 1; rows may have different numbers of references."""
    most = max(len(some) for some in references)
    # sacrebleu wants equally many for each row; a repeated one changes nothing.
    streams = [[some[min(i, len(some) - 1)] for some in references] for i in range(most)]
    score = sacrebleu.corpus_bleu(answers, streams, force=True, tokenize="none")
    return float(score.score) / 100


def slot_error(answers: list[str], wanted: list[Counter[str]]) -> float:
    wrong = total = 0
    for answer, slots in zip(answers, wanted, strict=True):
        said = Counter(word for word in answer.split() if word.startswith("SLOT_"))
        wrong += (slots - said).total() + (said - slots).total()
        total += slots.total()
    return wrong / total


def answer(model: Seq2Seq, part: Part, width: int = 1, power: float = 1.0) -> list[str]:
    """A sentence for each row, by greedy search or a beam. Rows with equal flags get one answer."""
    found: dict[tuple[float, ...], str] = {}
    distinct = torch.unique(torch.stack(part.pairs.x), dim=0)
    for x in distinct.split(200):
        lengths = torch.full((len(x),), x.shape[1])
        if width == 1:
            written = greedy(model, x, lengths, MAX_STEPS)
        else:
            written = beam(model, x, lengths, MAX_STEPS, width, power)
        for flags, tokens in zip(x.tolist(), written, strict=True):
            found[tuple(flags)] = " ".join(part.tokens.decode(tokens))
    return [found[tuple(flags.tolist())] for flags in part.pairs.x]


def train(
    shape: Shape, recipe: Recipe, seed: int, *, smoothing: float = 0.0, show: bool = False
) -> tuple[Fitted, Seq2Seq, Part]:
    torch.manual_seed(seed)
    order = torch.Generator().manual_seed(seed)
    data, valid = load()
    model = Seq2Seq(Shape(**{**vars(shape), "target": len(data.tokens)}))
    found = fit(
        model,
        recipe,
        lambda: data.pairs.shuffled(recipe.batch, order),
        lambda batch: token_loss(model, batch, smoothing),
        lambda: bleu(answer(model, valid), valid.references),
        higher=True,
        show=show,
    )
    model.eval()
    return found, model, valid


def run(seed: int, shape: Shape = SHAPE, recipe: Recipe = RECIPE) -> dict[str, float]:
    found, model, valid = train(shape, recipe, seed)
    result: dict[str, float] = {}
    with torch.no_grad():
        for name, width in (("greedy", 1), (f"beam {BEAM}", BEAM)):
            answers = answer(model, valid, width)
            result[f"BLEU {name}"] = bleu(answers, valid.references)
            result[f"slot error {name}"] = slot_error(answers, valid.slots)
    return result | {"parameters": found.parameters, "CPU s": found.seconds}


if __name__ == "__main__":
    main(
        __doc__, {"sfx_restaurant": Variant("valid BLEU at least 0.72, slot error below 3 %", run)}
    )
