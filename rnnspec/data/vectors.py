"""Files of word vectors: text (GloVe, word2vec, fastText .vec), word2vec binary, npy, safetensors.

    text          a word and its numbers a line, with spaces between; word2vec and fastText begin
                  with a line of two whole numbers, the words and the numbers of each
    binary        this line, then for each word its text, a space and its numbers in float32
    npy           an array `[words, numbers]`, and a list of the words, one a line
    safetensors   one such array, and a list of the words

All words are UTF-8; one that is not is left out, and of equal words the first one counts. A byte
order mark at the start of a text is no part of it.
"""

from __future__ import annotations

import gzip
import hashlib
import zlib
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedIOBase
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnspec.data.decimals import parsed
from rnnspec.data.named import load_npy
from rnnspec.errors import DataError
from rnnspec.plan.facts import VectorFile
from rnnspec.spec.text_options import VectorFormat
from rnnspec.spec.text_options import WordVectors as Wanted

Values = NDArray[np.float32]
LINES = 4096
"""Lines that are parsed at once."""
_FASTTEXT = (793712314).to_bytes(4, "little")
"""What a model of fastText begins with."""


@dataclass(frozen=True, slots=True)
class WordVectors:
    """The words of a file with their vectors, `[words, width]`, and its digest; how many words were
    not UTF-8 or stood there before."""

    words: tuple[str, ...]
    values: Values
    digest: str
    not_utf8: int = 0
    twice: int = 0

    @property
    def width(self) -> int:
        return int(self.values.shape[1])


def file_of(wanted: Wanted, folder: Path) -> VectorFile:
    """The file that a spec in `folder` names."""
    words = str(folder / wanted.words) if wanted.words else ""
    return VectorFile(str(folder / wanted.file), wanted.file_format, words, wanted.most)


@lru_cache(maxsize=1)
def read_vectors(source: VectorFile) -> WordVectors:
    """The vectors of a file; those of the last one are kept in memory (`cache_clear`).

    Raises DataError where the file cannot be read, or is no file of vectors.
    """
    file = Path(source.file)
    try:
        raw, values = _RAW[source.format](source)
        digest = _digest(file) + (_digest(Path(source.words)) if source.words else "")
    except OSError as error:
        why = error.strerror or error
        raise DataError(f"{error.filename or file}: cannot be read: {why}") from error
    except (EOFError, zlib.error) as error:
        raise DataError(f"{file}: is cut off, or no gzip file: {error}") from error
    if not len(values) or not values.shape[1]:
        raise DataError(f"{file}: holds no vector")
    _check_finite(file, raw, values)
    return _with_words(raw, values, digest)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _with_words(raw: Sequence[bytes], values: Values, digest: str) -> WordVectors:
    """The vectors of the words that are texts, each word once."""
    places: dict[str, int] = {}
    not_utf8 = twice = 0
    for at, each in enumerate(raw):
        try:
            word = each.decode()
        except UnicodeDecodeError:
            not_utf8 += 1
            continue
        if not word or "\0" in word:
            not_utf8 += 1
        elif places.setdefault(word, at) != at:
            twice += 1
    if len(places) < len(raw):
        values = values[list(places.values())]
    return WordVectors(tuple(places), values, digest, not_utf8, twice)


def _check_finite(file: Path, raw: Sequence[bytes], values: Values) -> None:
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        at = int(np.argmin(finite))
        word = raw[at].decode(errors="replace")
        raise DataError(f"{file}: the vector of {word!r}, number {at + 1}, is not finite")


def _opened(file: Path) -> BufferedIOBase:
    return gzip.open(file) if file.suffix.lower() == ".gz" else file.open("rb")


def _lines(stream: BufferedIOBase) -> Iterator[bytes]:
    """The lines of a text, without the byte order mark that it may begin with."""
    yield from (line.removeprefix(BOM_UTF8) for line in islice(stream, 1))
    yield from stream


def _text(source: VectorFile) -> tuple[list[bytes], Values]:
    """Words and vectors of a file of text."""
    file = Path(source.file)
    words: list[bytes] = []
    with _opened(file) as stream:
        lines = enumerate(_lines(stream), start=1)
        counts, first = _begin(file, lines)
        width = counts[1] if counts else len(first[1].split()) - 1
        blocks = [np.zeros((0, width), np.float32)]
        if width < 1:
            raise DataError(f"{file}:{first[0]}: expected a word and its numbers")
        every = islice((pair for pair in _chained(first, lines) if pair[1].strip()), source.most)
        while block := list(islice(every, LINES)):
            words += _block(file, block, width, blocks)
    if counts and source.most is None and counts[0] != len(words):
        raise DataError(
            f"{file}: has {len(words):,} words, and its first line says {counts[0]:,}; it may be"
            " cut off"
        )
    return words, np.concatenate(blocks)


Line = tuple[int, bytes]


def _begin(file: Path, lines: Iterator[Line]) -> tuple[tuple[int, int] | None, Line]:
    """How many words and numbers the first line says there are; and the first line of a word."""
    number, line = next(lines, (1, b""))
    if line.startswith(_FASTTEXT):
        raise DataError(f"{file}: is a model of fastText; read the .vec file beside it")
    fields = line.split()
    if len(fields) == 2 and all(field.isdigit() for field in fields):
        return (int(fields[0]), int(fields[1])), next(lines, (number + 1, b""))
    if not fields:
        raise DataError(f"{file}:{number}: expected a word and its numbers, found nothing")
    return None, (number, line)


def _chained(first: Line, lines: Iterator[Line]) -> Iterator[Line]:
    yield first
    yield from lines


def _block(file: Path, lines: Sequence[Line], width: int, blocks: list[Values]) -> list[bytes]:
    """The words of some lines, whose vectors are added to `blocks`."""
    words, rests = [], []
    for number, line in lines:
        word, _, rest = line.rstrip().replace(b"\t", b" ").partition(b" ")
        if rest.count(b" ") != width - 1:
            word, rest = _apart(file, number, line, width)
        words.append(word)
        rests.append(rest)
    try:
        values = parsed(b" ".join(rests))
    except ValueError:
        values = np.concatenate(
            [_numbers(file, n, r) for (n, _), r in zip(lines, rests, strict=True)]
        )
    blocks.append(values.reshape(-1, width))
    return words


def _apart(file: Path, number: int, line: bytes, width: int) -> tuple[bytes, bytes]:
    """Word and numbers of a line with more spaces: between numbers, or in the word."""
    fields = line.split()
    if line[:1] in b" \t":  # the word is white space that is no ASCII, or nothing
        fields.insert(0, b"")
    more = fields[1:-width]
    if len(fields) <= width or (more and all(map(_is_number, more))):
        raise DataError(
            f"{file}:{number}: has {max(len(fields) - 1, 0)} numbers after the word, expected"
            f" {width} as at the start of the file"
        )
    return b" ".join(fields[:-width]), b" ".join(fields[-width:])


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _numbers(file: Path, number: int, text: bytes) -> Values:
    try:
        return parsed(text)
    except ValueError as error:
        raise DataError(f"{file}:{number}: {error}") from error


def _binary(source: VectorFile) -> tuple[list[bytes], Values]:
    """Words and vectors of word2vec's binary format."""
    file = Path(source.file)
    with _opened(file) as stream:
        data = stream.read()
    if data.startswith(_FASTTEXT):
        raise DataError(f"{file}: is a model of fastText; read the .vec file beside it")
    head, _, rest = data.partition(b"\n")
    fields = head.split() if len(head) < 100 else []
    if len(fields) != 2 or not all(field.isdigit() for field in fields):
        raise DataError(
            f"{file}: does not begin with the number of words and of their numbers, as files of"
            " word2vec do"
        )
    count, width = map(int, fields)
    start, size = len(data) - len(rest), 4 * width
    words: list[bytes] = []
    places: list[int] = []
    for _ in range(count if source.most is None else min(count, source.most)):
        end = data.find(b" ", start)
        if end < 0 or end + 1 + size > len(data):
            raise DataError(f"{file}: ends after {len(words):,} of {count:,} words; it is cut off")
        words.append(data[start:end].lstrip(b"\n"))
        places.append(end + 1)
        start = end + 1 + size
    chars = np.frombuffer(data, np.uint8)
    rows = np.array(places, np.int64)[:, np.newaxis]
    values = np.empty((len(words), width), np.float32)
    for at in range(0, len(words), LINES):
        block = chars[rows[at : at + LINES] + np.arange(size)]
        values[at : at + LINES] = block.view(np.dtype("<f4"))
    return words, values


def _npy(source: VectorFile) -> tuple[list[bytes], Values]:
    try:
        values = load_npy(Path(source.file))
    except DataError as error:
        raise DataError(f"{source.file}: {error}") from error
    return _listed(source, values)


def _safetensors(source: VectorFile) -> tuple[list[bytes], Values]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(source.file, "numpy") as tensors:
            names = list(tensors.keys())
            kinds = [tensors.get_slice(name).get_dtype() for name in names]
            odd = not {*kinds} <= {"F16", "F32", "F64"}  # of the others numpy lacks some
            values = [] if odd else [tensors.get_tensor(name) for name in names]
    except (SafetensorError, KeyError) as error:
        raise DataError(f"{source.file}: is no safetensors file of numbers: {error}") from error
    if len(names) != 1:
        listed = ", ".join(names[:5])
        raise DataError(
            f"{source.file}: holds {len(names)} tensors ({listed}), expected the vectors alone"
        )
    if odd:
        raise DataError(f"{source.file}: holds {kinds[0]}, which is not read; save it as float32")
    return _listed(source, values[0])


def _listed(source: VectorFile, values: NDArray[np.generic]) -> tuple[list[bytes], Values]:
    """The words of the list, and as many of the vectors as are wanted."""
    if values.ndim != 2 or values.dtype.kind != "f":
        shape = "x".join(map(str, values.shape))
        raise DataError(
            f"{source.file}: holds {values.dtype} {shape}, expected real numbers, words x width"
        )
    with _opened(Path(source.words)) as stream:
        words = [line.rstrip(b"\r\n") for line in _lines(stream)]
    if len(words) != len(values):
        raise DataError(
            f"{source.words}: has {len(words):,} words, and {source.file} {len(values):,} vectors"
        )
    with np.errstate(over="ignore"):  # infinity, which is refused
        return words[: source.most], np.array(values[: source.most], np.float32)


_RAW: dict[VectorFormat, Callable[[VectorFile], tuple[list[bytes], Values]]] = {
    "text": _text,
    "binary": _binary,
    "npy": _npy,
    "safetensors": _safetensors,
}
