"""How texts are split into words."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.check_data import is_plain_text
from rnnspec.spec.explain import Finding
from rnnspec.spec.inputs import RegexSplit, WordsInput
from rnnspec.spec.patterns import PatternError, holds_white_space, parsed
from rnnspec.spec.spec import Spec


def patterns_are_offered(spec: Spec) -> Iterator[Finding]:
    """A regular expression finds the same in an exported file as in Python."""
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
