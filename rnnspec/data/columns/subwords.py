"""Columns of text as subwords: byte-pair encoding (Sennrich et al. 2016) by tokenizers.

Words are split before each U+0020, which is written as U+2581 in the subwords, and one stands
before the first word too. The tokenizer's own numbers are those of the model: 0 and 1 are the pad
and the unknown, which no text can spell, for their names hold U+0020.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.columns.base import Lengths, lengths_of
from rnnspec.data.columns.texts import Numbered, TextCells, text_facts
from rnnspec.data.processors import processors
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.data.statistics import CharCounts, LengthStatistics
from rnnspec.errors import DataError
from rnnspec.plan.facts import TextFacts
from rnnspec.spec import SubwordsInput

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NO_TOKEN, UNKNOWN = "<no token>", "<unknown token>"
LONGEST = 64
"""Most characters in a subword."""


@dataclass(slots=True)
class SubwordCollector:
    """Facts of subwords.

    Which subwords there are is known only when all rows were seen, so the file is read three times:
    `chunks` gives the training rows again.
    """

    cells: TextCells
    column: SubwordsInput
    chunks: Callable[[], Iterator[tuple[Chunk, BadRows]]]
    characters: CharCounts = field(default_factory=CharCounts)

    def add(self, chunk: Chunk, bad: BadRows) -> None:
        self.characters.add(self.cells.texts(chunk, bad))

    def facts(self) -> TextFacts:
        alphabet = self.characters.entries(1, None, fold_case=False)
        if not alphabet:
            raise DataError("no character in any training row")
        if len(alphabet) >= self.column.size:
            raise DataError(
                f"{len(alphabet):,} different characters, and each is a subword of its own; "
                f"set size to more than {len(alphabet):,}"
            )
        trained = _trained(self._texts(), self.column.size)
        lengths = LengthStatistics()
        for chunk, bad in self.chunks():
            texts = self.cells.texts(chunk, bad)
            lengths.add(lengths_of(subword_numbers(trained, texts)), chunk.continued)
        vocabulary = json.loads(trained)["model"]["vocab"]
        entries = sorted(vocabulary, key=vocabulary.__getitem__)[2:]
        return text_facts(tuple(entries), lengths, tokenizer=trained)

    def _texts(self) -> Iterator[str]:
        for chunk, bad in self.chunks():
            yield from self.cells.texts(chunk, bad)


def _trained(texts: Iterator[str], size: int) -> str:
    """The tokenizer trained on `texts`, as JSON: the same for the same texts."""
    library = _library()
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer = library.pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = library.decoders.Metaspace(prepend_scheme="always")
    trainer = library.trainers.BpeTrainer(
        vocab_size=size, show_progress=False, special_tokens=[], max_token_length=LONGEST
    )
    tokenizer.train_from_iterator(texts, trainer)
    about = json.loads(tokenizer.to_str())
    model = about["model"]
    numbers = {NO_TOKEN: 0, UNKNOWN: 1}
    model["vocab"] = numbers | {entry: at + 2 for entry, at in model["vocab"].items()}
    model["unk_token"] = UNKNOWN
    return str(library.Tokenizer.from_str(json.dumps(about)).to_str())


def subword_numbers(tokenizer: str, texts: list[str]) -> list[list[int]]:
    """The numbers of each text's subwords, by a tokenizer as JSON (`TextFacts.tokenizer`).

    Raises DataError where the tokenizers library is missing.
    """
    found = _loaded(tokenizer).encode_batch_fast(texts, add_special_tokens=False)
    return [encoding.ids for encoding in found]


@lru_cache(maxsize=4)
def _loaded(tokenizer: str) -> Tokenizer:
    loaded: Tokenizer = _library().Tokenizer.from_str(tokenizer)
    return loaded


def numbered_subwords(cells: TextCells, facts: TextFacts) -> Numbered:
    """What numbers the subwords of a chunk."""
    return partial(_numbers, cells, facts.tokenizer)


def _numbers(
    cells: TextCells, tokenizer: str, chunk: Chunk, bad: BadRows
) -> tuple[NDArray[np.int32], Lengths]:
    rows = subword_numbers(tokenizer, cells.texts(chunk, bad))
    flat = np.fromiter((number for row in rows for number in row), np.int32)
    return flat, lengths_of(rows)


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise DataError(
            "subwords, which need the library tokenizers; pip install 'rnnspec[subwords]'"
        ) from error
    # It shares its work among threads of its own, whose number it asks of the environment once.
    os.environ.setdefault("RAYON_NUM_THREADS", str(processors()))
    return tokenizers
