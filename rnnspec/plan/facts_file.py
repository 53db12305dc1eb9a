"""Facts as files of a build folder, in JSON that a person can read.

    facts.json                        rows; widths, scales, counts and longest row of each column;
                                      the scale of each series of a forecast
    vocabulary/<side>.<column>.json   words, characters or labels in order of number, one per line
    vocabulary/<side>.<column>.characters.json   characters of tokens whose spelling is read
    vocabulary/<side>.<column>.tokenizer.json    the tokenizers library's own file for subwords

Numbers 0 and 1 of a vocabulary of words or characters, the pad and the unknown, are not written:
the first line of entries has number 2. Labels start at number 0. An output that shares the facts of
the input in its column has a note of this and nothing else. What is read back equals what was
written, floats to the last bit.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn, cast, get_args
from urllib.parse import quote

from rnnspec.errors import BuildError, OutputError
from rnnspec.files import write_text
from rnnspec.plan.facts import (
    ClassFacts,
    ColumnFacts,
    ConstantFacts,
    Facts,
    NumericFacts,
    PositionFacts,
    TextFacts,
    VectorFacts,
    VectorFile,
    Vocabulary,
)
from rnnspec.spec.text_options import VectorFormat

FILE = "facts.json"
FOLDER = "vocabulary"
VERSION = 2
AS_INPUT = "as the input"
"""The kind of an output that shares the facts of the input in its column."""


def write_facts(folder: Path, facts: Facts) -> None:
    """Writes the facts into `folder`, which must exist; each file appears whole or not at all.

    Raises OutputError if a file cannot be written.
    """
    try:
        (folder / FOLDER).mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error
    inputs = {name: _written(folder, "input", name, of) for name, of in facts.inputs.items()}
    outputs = {
        name: {"kind": AS_INPUT}
        if facts.inputs.get(name) is of
        else _written(folder, "output", name, of)
        for name, of in facts.outputs.items()
    }
    about = {"version": VERSION, "rows": facts.rows, "inputs": inputs, "outputs": outputs}
    if facts.scales:
        about["scales"] = {column: dict(of) for column, of in facts.scales.items()}
    if facts.constants:
        about["constants"] = {key: asdict(of) for key, of in facts.constants.items()}
    text = json.dumps(about, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(folder / FILE, f"{text}\n")


def _written(folder: Path, side: str, column: str, facts: ColumnFacts) -> dict[str, object]:
    """The entry of a column in facts.json. Its vocabulary, if any, is written."""
    match facts:
        case NumericFacts(width=width, mean=mean, deviation=deviation, longest=longest, lost=lost):
            return {
                "kind": "numeric",
                "width": width,
                "longest": longest,
                "mean": list(mean),
                "deviation": list(deviation),
                **({"lost": list(lost)} if lost else {}),
            }
        case PositionFacts():
            return {"kind": "positions", **asdict(facts)}
        case TextFacts():
            return _written_text(folder, side, column, facts)
        case ClassFacts(labels=labels, counts=counts, longest=longest, most=most):
            name = _name(side, column)
            _write_entries(folder, name, labels)
            return {
                "kind": "class",
                "longest": longest,
                "most": most,
                "entries": len(labels),
                "vocabulary": name,
                "counts": list(counts),
                **({"ordered": True} if facts.ordered else {}),
                **({"weighed": list(facts.weighed)} if facts.weighed else {}),
            }


def _written_text(folder: Path, side: str, column: str, facts: TextFacts) -> dict[str, object]:
    name = _name(side, column)
    _write_entries(folder, name, facts.vocabulary.entries)
    about: dict[str, object] = {
        "kind": "text",
        "longest": facts.longest,
        "mean_length": facts.mean_length,
        "length_deviation": facts.length_deviation,
        "entries": len(facts.vocabulary.entries),
        "vocabulary": name,
    }
    if facts.characters is not None:
        spelled = _name(side, column, "characters")
        _write_entries(folder, spelled, facts.characters.entries)
        about["characters"] = {
            "longest_token": facts.longest_token,
            "entries": len(facts.characters.entries),
            "vocabulary": spelled,
        }
    if facts.longest_step:
        about["longest_step"] = facts.longest_step
    if facts.tokenizer:
        about["tokenizer"] = _name(side, column, "tokenizer")
        write_text(folder / _name(side, column, "tokenizer"), f"{facts.tokenizer}\n")
    if facts.vectors is not None:
        about["vectors"] = asdict(facts.vectors)
    return about


def _name(side: str, column: str, what: str = "") -> str:
    return f"{FOLDER}/{side}.{_file_name(column)}{f'.{what}' if what else ''}.json"


def _write_entries(folder: Path, name: str, entries: tuple[str, ...]) -> None:
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries)
    write_text(folder / name, f"[\n{lines}\n]\n")


def _file_name(column: str) -> str:
    """A name that every file system accepts and that no other column has, whatever its case."""
    name = quote(column, safe="")
    if name == column.lower() and len(name) <= 100:
        return name
    return f"{name[:80]}-{hashlib.sha256(column.encode()).hexdigest()[:8]}"


def read_facts(folder: Path) -> Facts:
    """The facts that `write_facts` wrote into `folder`.

    Raises BuildError, naming file and key, for what is missing, broken or does not fit together.
    """
    place = _Place(folder / FILE)
    about = place.mapping(_load(folder / FILE))
    version = place.at("version").whole(about)
    if version != VERSION:
        place.at("version").fail(f"is {version}, this rnnspec reads {VERSION}")
    rows = place.at("rows").whole(about)
    inputs = _side(folder, place.at("inputs"), about, {})
    outputs = _side(folder, place.at("outputs"), about, inputs)
    constants = _constants(place.at("constants"), about)
    return Facts(rows, inputs, outputs, _scales(place.at("scales"), about), constants)


def _constants(place: _Place, about: Mapping[str, Any]) -> dict[str, ConstantFacts]:
    """The files that cells read."""
    found: dict[str, ConstantFacts] = {}
    for key, value in place.mapping(about.get("constants", {})).items():
        at = place.at(key)
        of = at.mapping(value)
        file, tensor, digest = (at.at(name).text(of) for name in ("file", "tensor", "digest"))
        shape = of.get("shape")
        if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape):
            at.at("shape").fail(f"is {shape!r}, expected a list of whole numbers")
        found[key] = ConstantFacts(file, tensor, tuple(shape), digest)
    return found


def _scales(place: _Place, about: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """The scales of series, by column and by name of the series."""
    columns = place.mapping(about.get("scales", {}))
    found: dict[str, dict[str, float | None]] = {}
    for column in columns:
        at = place.at(column)
        of = at.mapping(columns[column])
        found[column] = {n: None if of[n] is None else at.at(n).real(of) for n in of}
        if any(scale is not None and scale < 0 for scale in found[column].values()):
            at.fail("holds a number below 0")
    return found


def _side(
    folder: Path, place: _Place, about: Mapping[str, Any], inputs: Mapping[str, ColumnFacts]
) -> dict[str, ColumnFacts]:
    columns = place.mapping(place.get(about))
    return {name: _column(folder, place.at(name), columns, inputs) for name in columns}


@dataclass(frozen=True, slots=True)
class _Place:
    """A key of a file, for values that are checked; each check raises BuildError."""

    file: Path
    path: tuple[str, ...] = ()

    def at(self, key: str) -> _Place:
        return _Place(self.file, (*self.path, key))

    def fail(self, message: str) -> NoReturn:
        keys = ".".join(self.path)
        raise BuildError(
            f"{self.file}: {keys + ': ' if keys else ''}{message}; "
            "the build folder is damaged: build again"
        )

    def get(self, mapping: Mapping[str, Any]) -> Any:
        """The value under the last key of this place."""
        if self.path[-1] not in mapping:
            self.fail("is missing")
        return mapping[self.path[-1]]

    def mapping(self, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.fail("is not an object")
        return value

    def whole(self, mapping: Mapping[str, Any]) -> int:
        value = self.get(mapping)
        if type(value) is not int or value < 0:
            self.fail(f"is {value!r}, expected a whole number")
        return value

    def real(self, mapping: Mapping[str, Any]) -> float:
        value = self.get(mapping)
        if type(value) not in (int, float) or not math.isfinite(value):
            self.fail(f"is {value!r}, expected a finite number")
        return float(value)

    def text(self, mapping: Mapping[str, Any]) -> str:
        value = self.get(mapping)
        if type(value) is not str:
            self.fail(f"is {value!r}, expected a text")
        return value

    def floats(self, mapping: Mapping[str, Any], count: int) -> tuple[float, ...]:
        value = self.get(mapping)
        if not isinstance(value, list) or len(value) != count:
            self.fail(f"is not a list of {count} numbers")
        if not all(type(entry) in (int, float) and math.isfinite(entry) for entry in value):
            self.fail("holds something that is not a finite number")
        return tuple(float(entry) for entry in value)

    def counts(self, mapping: Mapping[str, Any]) -> tuple[int, ...]:
        value = self.get(mapping)
        if not isinstance(value, list) or not all(type(n) is int and n >= 0 for n in value):
            self.fail("is not a list of whole numbers")
        return tuple(value)


def _column(
    folder: Path, place: _Place, columns: Mapping[str, Any], inputs: Mapping[str, ColumnFacts]
) -> ColumnFacts:
    about = place.mapping(place.get(columns))
    match place.at("kind").get(about):
        case "numeric":
            width = place.at("width").whole(about)
            mean = place.at("mean").floats(about, width)
            deviation = place.at("deviation").floats(about, width)
            if not all(value > 0 for value in deviation):
                place.at("deviation").fail("holds a number that is not above 0")
            lost = place.at("lost").floats(about, width) if "lost" in about else ()
            return NumericFacts(width, mean, deviation, place.at("longest").whole(about), lost)
        case "text":
            return _text(folder, place, about)
        case "class":
            labels = _entries(folder, place, about)
            counts = place.at("counts").counts(about)
            if counts and len(counts) != len(labels):
                place.at("counts").fail(f"has {len(counts)} entries for {len(labels)} labels")
            longest, most = place.at("longest").whole(about), place.at("most").whole(about)
            ordered = about.get("ordered") is True
            weighed = place.at("weighed").floats(about, len(labels)) if "weighed" in about else ()
            return ClassFacts(labels, counts, longest, most, ordered=ordered, weighed=weighed)
        case "positions":
            longest = place.at("longest").whole(about)
            spread = (place.at(name).real(about) for name in ("mean_length", "length_deviation"))
            return PositionFacts(longest, *spread)
        case kind if kind == AS_INPUT and inputs:
            if place.path[-1] not in inputs:
                place.at("kind").fail(f"is {kind!r}, but there is no input of this name")
            return inputs[place.path[-1]]
        case kind:
            place.at("kind").fail(f"is {kind!r}, expected text, numeric, class or positions")


def _text(folder: Path, place: _Place, about: Mapping[str, Any]) -> TextFacts:
    entries = Vocabulary(_entries(folder, place, about))
    characters, longest_token, tokenizer = None, 0, ""
    if "characters" in about:
        spelled = place.at("characters")
        of_tokens = spelled.mapping(about["characters"])
        characters = Vocabulary(_entries(folder, spelled, of_tokens))
        longest_token = spelled.at("longest_token").whole(of_tokens)
    if "tokenizer" in about:
        tokenizer = _read(_inside(folder, place.at("tokenizer"), about)).removesuffix("\n")
    return TextFacts(
        entries,
        place.at("longest").whole(about),
        place.at("mean_length").real(about),
        place.at("length_deviation").real(about),
        characters,
        longest_token,
        tokenizer,
        _vectors(place.at("vectors"), about["vectors"]) if "vectors" in about else None,
        place.at("longest_step").whole(about) if "longest_step" in about else 0,
    )


def _vectors(place: _Place, value: object) -> VectorFacts:
    about = place.mapping(value)
    at = place.at("source")
    source = at.mapping(at.get(about))
    format = at.at("format").text(source)
    if format not in get_args(VectorFormat):
        at.at("format").fail(f"is {format!r}, expected one of {', '.join(get_args(VectorFormat))}")
    most = None if source.get("most") is None else at.at("most").whole(source)
    words = at.at("words").text(source)
    file = VectorFile(at.at("file").text(source), cast(VectorFormat, format), words, most)
    counts = ("width", "first", "words", "found", "more", "left_out")
    return VectorFacts(
        file, place.at("digest").text(about), *(place.at(name).whole(about) for name in counts)
    )


def _inside(folder: Path, place: _Place, about: Mapping[str, Any]) -> Path:
    """The file that a key names."""
    name = place.get(about)
    if not isinstance(name, str) or Path(name).parent != Path(FOLDER):
        place.fail(f"is not the name of a file in {FOLDER}/")
    return folder / name


def _entries(folder: Path, place: _Place, about: Mapping[str, Any]) -> tuple[str, ...]:
    file = _inside(folder, place.at("vocabulary"), about)
    of_file, entries = _Place(file), _load(file)
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        of_file.fail("is not a list of texts")
    if len(set(entries)) != len(entries):
        ((twice, _),) = Counter(entries).most_common(1)
        of_file.fail(f"holds {twice!r} twice")
    expected = place.at("entries").whole(about)
    if len(entries) != expected:
        of_file.fail(f"has {len(entries)} entries, {FILE} says {expected}")
    return tuple(entries)


def _load(file: Path) -> object:
    text = _read(file)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        _Place(file).fail(f"broken JSON at line {error.lineno}, column {error.colno}: {error.msg}")
    except (ValueError, RecursionError) as error:
        _Place(file).fail(f"cannot be read: {error}")


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except FileNotFoundError:
        _Place(file).fail("is missing")
    except (OSError, ValueError) as error:
        _Place(file).fail(f"cannot be read: {error}")
