"""Words and vectors of a file in a model: its vocabulary, and the weights that it begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rnnspec.data.decode import folded
from rnnspec.data.vectors import Values, WordVectors, read_vectors
from rnnspec.errors import DataError
from rnnspec.plan.facts import PAD_ID, UNKNOWN_ID, TextFacts
from rnnspec.plan.text_rule import TextRule
from rnnspec.spec.text_options import WordVectors as Wanted


def keyed(vectors: WordVectors, kind: str, rule: TextRule, fold_case: bool) -> dict[str, int]:
    """The place of each word, as tokens are looked up; of words that become the same the first.

    Words that no text of kind `words` has are left out: with white space in them, as in GloVe's
    largest file, or of several words by the rule. A word that is found in a text is also found
    where it stands alone, as no rule looks at what is around it.
    """
    words = [rule.normalized(word) for word in vectors.words]
    at_all = [kind == "tokens" or rule.words(word) == [word] for word in words]
    if fold_case:
        words = folded(words)
    places: dict[str, int] = {}
    for at in np.flatnonzero(at_all).tolist():
        places.setdefault(words[at], at)
    return places


@dataclass(frozen=True, slots=True)
class Merged:
    """A vocabulary of training rows with that of a file; the counts are those of `VectorFacts`."""

    entries: tuple[str, ...]
    first: int
    found: int
    more: int


def with_file(entries: Sequence[str], places: Mapping[str, int], wanted: Wanted) -> Merged:
    """The words of the training rows and those of a file.

    First come the words whose vectors are trained: those that the file lacks, or all of the
    training rows. A word that is read as its lower case has no entry.
    """
    lower = dict(zip(entries, folded(list(entries)), strict=True)) if wanted.lower_case else {}
    read_as = {word: word if word in places else lower.get(word, word) for word in entries}
    words = [read if read in places else word for word, read in read_as.items()]
    found = sum(word in places for word in words)
    own = dict.fromkeys(words)
    if not wanted.trained:
        own = dict.fromkeys(word for word in words if word not in places)
    every = dict.fromkeys([*own, *words, *places])
    return Merged(tuple(every), len(own) + 2, found, len(every) - len(set(words)))


def rows_of(known: TextFacts) -> WordVectors:
    """The vectors that a column was measured with. Raises DataError if they have changed since."""
    assert known.vectors is not None, "the column has no vectors"
    vectors = read_vectors(known.vectors.source)
    if vectors.digest != known.vectors.digest:
        raise DataError(
            f"{known.vectors.source.file}: has changed since this build was begun; put it back, or"
            " start a new build"
        )
    return vectors


def fixed_rows(known: TextFacts, values: Values, places: Mapping[str, int], half: bool) -> Values:
    """The vectors that stay as they are, `[size - first, width]`, rounded to float16 if `half`."""
    of = known.vectors
    assert of is not None
    rows = values[[places[word] for word in known.vocabulary.entries[of.first - 2 :]]]
    if not half:
        return rows
    with np.errstate(over="ignore"):
        rounded = rows.astype(np.float16).astype(np.float32)
    if not np.isfinite(rounded).all():
        raise DataError(f"{of.source.file}: holds numbers beyond float16; use 'storage: float32'")
    return rounded


def first_rows(
    known: TextFacts, values: Values, places: Mapping[str, int], drawn: Values
) -> Values:
    """The vectors that training begins with, `[first, width]`. Those of words that the file lacks
    are `drawn` (normal numbers) with the mean and deviation of all vectors of the file."""
    assert known.vectors is not None
    mean, deviation = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    rows: Values = (drawn * deviation + mean).astype(np.float32)
    rows[PAD_ID], rows[UNKNOWN_ID] = 0, mean
    for number, word in enumerate(known.vocabulary.entries[: known.vectors.first - 2], start=2):
        if word in places:
            rows[number] = values[places[word]]
    return rows
