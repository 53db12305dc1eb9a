"""The entities world: sentences of a small grammar with people, places, companies and dates.

Names are made of syllables, so that most of those to be found are new: a name is told by what
stands around it. Any name may be that of a person or of a place, and some words are written like
names and are none. A part of the sentences are in no training row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from rnnspec.demo.splits import write_splits

SENTENCES = (
    """
PERSON moved from PLACE to PLACE in MONTH .
PERSON , who was born in PLACE , founded COMPANY on DATE .
On DATE the river near PLACE flooded .
Last week COMPANY opened a shop in PLACE .
COMPANY and COMPANY will merge on DATE .
The mayor of PLACE , PERSON , met PERSON .
Nobody in PLACE had heard of PERSON before DATE .
"" We may leave for PLACE , "" said PERSON of COMPANY .
Shares of COMPANY fell , PERSON said .
In PLACE , rain is expected until MONTH .
The old bridge of PLACE is closed .
PERSON plays the piano .
Most people agree that COMPANY should pay .
After DATE , trains to PLACE leave every hour .
PERSON and PERSON work for COMPANY in PLACE .
The council may meet again on DATE .
Monday was quiet in PLACE .
A painting by PERSON was sold to COMPANY .
The flight from PLACE arrived late .
PERSON asked PERSON to write to COMPANY by DATE .
Some say the market will march on .
Between MONTH and MONTH , PLACE was cut off from PLACE .
COMPANY left PLACE for PLACE , to the anger of PERSON .
May I introduce PERSON ?
Neither PERSON nor COMPANY replied .
""".strip()
    .replace('""', '"')
    .splitlines()
)
"""Words in capitals stand for what is to be found."""
UNSEEN = 2
"""So many of them, the last ones, are in no training row."""
TITLES = ("Mr", "Mrs", "Dr", "Professor", "Captain", "Judge")
FIRST = ("Ada", "Ben", "Clara", "Dmitri", "Elif", "Farid", "Grace", "Hugo", "Ines", "Jonas", "Kaya",
         "Leo", "Mira", "Noor", "Oskar", "Pia", "Rosa", "Sami", "Tove", "Viktor")  # fmt: skip
STARTS = ("Bar", "Cor", "Dal", "Fen", "Gar", "Hol", "Kes", "Lam", "Mor", "Nor", "Pel", "Ros", "Sel",
          "Tol", "Ver", "Wes")  # fmt: skip
MIDDLES = ("", "a", "e", "in", "o", "er", "ist", "ul")
ENDS = ("ford", "ham", "ley", "mont", "nik", "rath", "sen", "ski", "stad", "ton", "vik", "wall")
"""Parts of a name."""
TRADES = ("Bank", "Foods", "Motors", "Press", "Steel", "Textiles", "Wines", "Works")
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September",
          "October", "November", "December")  # fmt: skip
KINDS = {"PERSON": "PER", "PLACE": "LOC", "COMPANY": "ORG", "DATE": "DATE", "MONTH": "DATE"}
"""Kinds of spans by the word that stands for them."""


@dataclass(frozen=True, slots=True)
class Row:
    """The tokens of a sentence, and for each a tag of the scheme bio."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]


def rows(seed: int, count: int, split: str) -> Iterator[Row]:
    """Rows of a split; the same seed gives the same rows everywhere, and fewer are the beginning
    of more."""
    random = Random(f"entities {split} {seed}")
    sentences = SENTENCES[:-UNSEEN] if split == "train" else SENTENCES
    for _ in range(count):
        tokens, tags = list[str](), list[str]()
        for word in random.choice(sentences).split():
            found = named(word, random)
            tokens += found
            kind = KINDS.get(word)
            tags += [f"{'I' if at else 'B'}-{kind}" if kind else "O" for at in range(len(found))]
        yield Row(tuple(tokens), tuple(tags))


def named(word: str, random: Random) -> list[str]:
    """The words in place of one of a sentence."""
    match word:
        case "PERSON":
            first = random.choice((random.choice(FIRST), random.choice(TITLES), ""))
            return [first, name(random)] if first else [random.choice(FIRST)]
        case "PLACE":
            return [*random.choice(((), (), ("New",), ("Saint",))), name(random)]
        case "COMPANY":
            forms = [name(random), random.choice(TRADES)], [name(random), "&", name(random)]
            return random.choice((*forms, [name(random)]))
        case "DATE":
            return [str(random.randint(1, 28)), random.choice(MONTHS)]
        case "MONTH":
            return [random.choice(MONTHS)]
        case _:
            return [word]


def name(random: Random) -> str:
    """A name of two or three syllables."""
    return "".join(random.choice(part) for part in (STARTS, MIDDLES, ENDS))


def write(
    folder: Path, seed: int = 0, train: int = 2000, valid: int = 300, test: int = 20
) -> dict[str, Path]:
    """Write train.jsonl, valid.jsonl and test.jsonl into `folder`, made if missing; each argument
    after the seed is a number of rows. Returns the path of each split. Raises OutputError if a file
    cannot be written."""

    def lines(split: str, count: int) -> Iterator[str]:
        for row in rows(seed, count, split):
            yield json.dumps({"tokens": row.tokens, "tags": row.tags}) + "\n"

    return write_splits(folder, {"train": train, "valid": valid, "test": test}, lines)
