"""What all readings of text share: normal forms, where texts are split, and vectors of words."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from rnnspec.spec.base import Count, Model, Text
from rnnspec.spec.choice import OneOf, Option, Valued

Normalize = Annotated[
    Literal["none", "nfc", "nfd", "nfkc", "nfkd"],
    Field(
        description="Normal form of Unicode that a text is brought into before anything else: "
        "composed (nfc), decomposed (nfd), or one of these with compatible characters made the "
        "same (nfkc, nfkd), as Python's unicodedata has it; 'none' leaves it as it is."
    ),
]


class WhitespaceSplit(Option):
    """At white space as Unicode has it, as Python's str.split."""

    name: ClassVar[Literal["whitespace"]] = "whitespace"


class PunctuationSplit(Option):
    """Runs of letters, digits, marks and underscores are words, and so is each other character that
    is no white space."""

    name: ClassVar[Literal["punctuation"]] = "punctuation"


class RegexSplit(Valued):
    """Words are what this regular expression matches, as Python's re.findall."""

    name: ClassVar[Literal["regex"]] = "regex"
    needs: ClassVar[tuple[str, str]] = ("a regular expression", r"'\w+|[^\w\s]'")
    value: Text = Field(
        description="Characters, classes, ., |, groups (?:…) and greedy *, +, ?, {m,n}; it matches "
        "no empty text."
    )


Split = Annotated[
    WhitespaceSplit | PunctuationSplit | RegexSplit,
    OneOf(),
    Field(description="Where a text is split into words."),
]
FoldCase = Annotated[
    bool,
    Field(
        description="Whether words are looked up in lower case, character by character; their "
        "spelling and what is copied keep their case."
    ),
]


VectorFormat = Literal["text", "binary", "npy", "safetensors"]
_VECTOR_FORMATS: dict[str, VectorFormat] = {
    ".bin": "binary", ".npy": "npy", ".safetensors": "safetensors"
}  # fmt: skip


class WordVectors(Model):
    """Vectors of words that were learned elsewhere. All words of the file are in the vocabulary
    that a cell can have; a next word is answered out of those of the training rows."""

    file: Text = Field(
        description="File of the vectors, beside the spec: text as of GloVe, word2vec and fastText "
        "(.vec), word2vec's binary format (.bin), npy or safetensors."
    )
    words: Text | None = Field(
        default=None, description="List of the words of an npy or safetensors file, one a line."
    )
    format: Literal["auto", "text", "binary", "npy", "safetensors"] = Field(
        default="auto", description="Format of the file; 'auto' goes by the ending of its name."
    )
    most: Count | None = Field(
        default=None,
        description="How many vectors are read, the first ones of the file; null means all.",
    )
    trained: bool = Field(
        default=False,
        description="Whether the vectors of the words in the training rows go on learning; those "
        "of other words, and all others without it, stay as they are.",
    )
    lower_case: bool = Field(
        default=False,
        description="Whether a word without an entry is read as its lower case, if that has one.",
    )
    storage: Literal["float32", "float16"] = Field(
        default="float32",
        description="Numbers that stay as they are, in the exported file: float16 halves its size "
        "and rounds them to 11 bits, in training too.",
    )

    @property
    def file_format(self) -> VectorFormat:
        """The format of the file, by the ending of its name (before a `.gz`) if none is stated."""
        if self.format != "auto":
            return self.format
        ending = PurePath(self.file.lower().removesuffix(".gz")).suffix
        return _VECTOR_FORMATS.get(ending, "text")


VectorsKey = Annotated[
    WordVectors | None,
    Field(description="Vectors learned elsewhere; null means that all are learned here."),
]
