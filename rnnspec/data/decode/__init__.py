"""Raw cells to values. Every function raises DataError without a place, which the reader adds.

What the formats leave open is settled here:

- null is an error unless the spec says what a missing value means, and so is an empty CSV or TSV
  field where a label, a number or a list is expected; NaN is missing as null is. An empty text is a
  sequence of length 0 and so is the list `[]`.
- Strings must reach onnxruntime as they are: a lone surrogate, which is not UTF-8, and U+0000,
  which ends a string in C, are errors.
- In CSV and TSV (`textual`) numbers are read from decimal text, and lists from JSON in a cell;
  a label a step everywhere also from labels with white space between, and several labels of a row
  from a text with a stated separator. Elsewhere a text never counts as a number, nor does true or
  false.
- Numbers are stored as float32; infinities and what overflows float32 are errors.
"""

from rnnspec.data.decode.cells import is_missing
from rnnspec.data.decode.labels import key_steps, label, label_set, labels_of_steps, tokens
from rnnspec.data.decode.numbers import (
    Floats,
    check_elapsed,
    frames,
    is_gap,
    is_number,
    number,
    real,
    vector,
)
from rnnspec.data.decode.texts import (
    MOST_STEPS,
    WHITE_SPACE,
    are_plain,
    check_length,
    fold,
    folds,
    text,
    text_of_chars,
    text_of_words,
    words,
    words_of,
)

__all__ = [
    "MOST_STEPS",
    "WHITE_SPACE",
    "Floats",
    "are_plain",
    "check_elapsed",
    "check_length",
    "fold",
    "folds",
    "frames",
    "is_gap",
    "is_missing",
    "is_number",
    "key_steps",
    "label",
    "label_set",
    "labels_of_steps",
    "number",
    "real",
    "text",
    "text_of_chars",
    "text_of_words",
    "tokens",
    "vector",
    "words",
    "words_of",
]
