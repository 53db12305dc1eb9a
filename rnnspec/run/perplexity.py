"""The perplexity of a text, of an exported language model, without torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.perplexity import CHUNK, Perplexity, Reading, measured
from rnnspec.errors import ModelFileError
from rnnspec.plan.facts import UNKNOWN_ID, Vocabulary
from rnnspec.run.chunks import StreamSession
from rnnspec.run.interface import SPEC, InputColumn, OutputColumn
from rnnspec.run.model import Model
from rnnspec.source.text import Source
from rnnspec.spec.load import load_source

MOST = 1 << 28
"""Most probabilities that are held at once, of a file without states: a gigabyte."""


def perplexity_of(model: Model, text: str) -> Perplexity:
    """What a text costs a model file, each token by all before it. Raises ModelFileError for a file
    that answers no next token of a text, and DataError for a text of less than two tokens."""
    source, output = _columns(model)
    reading = _reading(model, source, output)
    numbers = reading.numbers(text)
    if model.chunks is None:
        _check_size(model, reading, len(numbers), output.width)
        return measured(text, numbers, iter([_whole(model, reading, text, numbers)]))
    if model.chunks.step and source.kind == "bytes":
        raise ModelFileError(
            f"{model.path}: reads one byte at a time, which is no text; export the build again"
            " without --step"
        )
    return measured(text, numbers, _in_chunks(model, reading, text, numbers))


def _columns(model: Model) -> tuple[InputColumn, OutputColumn]:
    """The text, and the answer to its next token."""
    reads = {each.column: each for each in model.inputs}
    ahead = [o for o in model.outputs if o.kind == "tags" and o.column in reads]
    if len(ahead) != 1 or len(model.outputs) != 1:
        hint = "export it without --generate" if model.outputs[0].kind == "text" else ""
        raise ModelFileError(
            f"{model.path}: answers no probabilities of a next token; "
            + (hint or "only models with one output 'as: next' over text have a perplexity")
        )
    source, others = reads[ahead[0].column], [c for c in reads if c != ahead[0].column]
    if others:
        raise ModelFileError(
            f"{model.path}: reads {', '.join(map(repr, others))} beside the text, of which a file"
            " of text has none"
        )
    if source.kind == "ids":
        raise ModelFileError(f"{model.path}: reads numbers of tokens; export it without --ids")
    return source, ahead[0]


def _reading(model: Model, source: InputColumn, output: OutputColumn) -> Reading:
    """As the spec in the file says."""
    spec = load_source(Source.of(model.metadata[SPEC], str(model.path)), Path(model.path)).spec
    of_spec = next(each for each in spec.data.inputs if each.column == source.column)
    vectors = getattr(of_spec, "vectors", None)
    return Reading(
        column=source.column,
        kind=source.kind,
        rule=source.rule,
        vocabulary=Vocabulary(output.labels[UNKNOWN_ID + 1 :]),
        fold_case=getattr(of_spec, "fold_case", False),
        or_lower=vectors is not None and vectors.lower_case,
        tokenizer=model.tokenizer,
        reverse=spec.data.is_reversed(source.column),
    )


def _check_size(model: Model, reading: Reading, tokens: int, width: int) -> None:
    if tokens * width > MOST:
        cure = "measure the build" if reading.reverse else "export the build again with --stream"
        raise ModelFileError(
            f"{model.path}: {tokens:,} tokens with {width:,} probabilities each are too many for a"
            f" file that answers whole rows; {cure}"
        )


def _whole(model: Model, reading: Reading, text: str, numbers: NDArray[np.int64]) -> float:
    found = model.session.run(model.feeds([model.values({reading.column: text})]))
    return _cost(model, reading, found, numbers[1:])


def _in_chunks(
    model: Model, reading: Reading, text: str, numbers: NDArray[np.int64]
) -> Iterator[float]:
    """What the next tokens of each chunk cost."""
    assert model.chunks is not None
    session, at = StreamSession(model.session, model.chunks), 0
    states = session.first(1)
    for chunk, count in _chunks(reading, text, numbers, 1 if model.chunks.step else CHUNK):
        feeds = model.feeds([model.values({reading.column: chunk})])
        found, states = session.run(feeds, states, np.array([False]))
        yield _cost(model, reading, found, numbers[at + 1 : at + 1 + count])
        at += count


def _chunks(
    reading: Reading, text: str, numbers: NDArray[np.int64], step: int
) -> Iterator[tuple[object, int]]:
    """Parts of a text as a stream reads them, with how many tokens each has. A stream makes tokens
    by no rule but white space, so that words with one space between them are the same words."""
    if reading.kind == "subwords":
        for start in range(0, len(numbers), step):
            part = numbers[start : start + step].tolist()
            yield part, len(part)
        return
    pieces = list(text) if reading.kind == "bytes" else reading.pieces(text)
    for start in range(0, len(pieces), step):
        chunk = (" " if reading.kind == "words" else "").join(pieces[start : start + step])
        many = min(step, len(pieces) - start)
        yield chunk, len(chunk.encode()) if reading.kind == "bytes" else many


def _cost(
    model: Model,
    reading: Reading,
    found: Mapping[str, NDArray[np.generic]],
    following: NDArray[np.int64],
) -> float:
    """The sum of -ln p of the tokens that follow the steps answered. A token beyond those that are
    answered counts as the unknown."""
    (output,) = model.outputs
    shares = np.asarray(found[f"{output.answer}.probabilities"], np.float64)[0]
    shares = shares[::-1] if reading.reverse else shares
    known = np.where(following < shares.shape[-1], following, UNKNOWN_ID)
    of_true = shares[np.arange(len(known)), known]
    with np.errstate(divide="ignore"):
        return float(-np.log(of_true).sum())
