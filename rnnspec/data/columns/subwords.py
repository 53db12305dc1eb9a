"""Tokenizers of subwords: byte-pair encoding (Sennrich et al. 2016) by tokenizers.

Words are split before each U+0020, which is U+2581 in the subwords; one is put before the first
word too. The model uses the tokenizer's own numbers: 0 and 1 are the pad and the unknown. No text
can spell them, for their names hold U+0020.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from rnnspec.data.processors import processors
from rnnspec.errors import DataError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

NO_TOKEN, UNKNOWN = "<no token>", "<unknown token>"
LONGEST = 64
"""Most characters in a subword."""


def trained_tokenizer(texts: Iterator[str], size: int) -> str:
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
