"""How texts are split into words, and where their vectors come from."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.check_data import is_plain_text
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.inputs import TokensInput, WordsInput
from rnnspec.spec.spec import Spec
from rnnspec.spec.text_options import RegexSplit


def vectors_have_words(spec: Spec) -> Iterator[Finding]:
    """The word list of vectors, and their lower case."""
    for path, source in spec.data.located_inputs:
        if not isinstance(source, WordsInput | TokensInput) or source.vectors is None:
            continue
        wanted, place = source.vectors, (*path, "vectors")
        listed = wanted.file_format in ("npy", "safetensors")
        if listed and wanted.words is None:
            message = f"{wanted.file} has numbers alone"
            yield Finding((*place, "file"), message, "set words to a list of its words, one a line")
        if wanted.words is not None and not listed:
            yield no_effect((*place, "words"), f"with {wanted.file}, which has the words itself")
        if wanted.lower_case and source.fold_case:
            yield no_effect((*place, "lower_case"), "with fold_case, which reads all in lower case")


def patterns_are_offered(spec: Spec) -> Iterator[Finding]:
    """A regular expression finds the same in an exported file as in Python."""
    from rnnspec.spec.patterns import PatternError, holds_white_space, parsed

    for path, source in spec.data.located_inputs:
        if not isinstance(source, WordsInput) or not isinstance(source.split, RegexSplit):
            continue
        place = (*path, "split", "regex")
        try:
            pattern = parsed(source.split.value)
        except PatternError as error:
            yield Finding(place, str(error), error.cure)
            continue
        if is_plain_text(spec) and holds_white_space(pattern):
            message = "a word may hold white space, where plain text is read piece by piece"
            yield Finding(place, message, "leave white space out of its classes")
