"""Messages for syntax errors of YAML: the place, what is wrong, and how to correct it.

PyYAML reports what its scanner expected; users need to know what to change. Each entry of
`_MEANINGS` translates one of PyYAML's messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from yaml import MarkedYAMLError
from yaml.error import Mark

from rnnspec.source.problems import Problem
from rnnspec.source.text import Source

Meaning = tuple[int, str, str]
"""Index in the text, message, hint."""


_TIGHT = re.compile(r"\s*(?:- )?([\w.-]+):([^\s:].*)")
"""A line that lacks only the space of `key: value`."""


def syntax_problem(source: Source, error: MarkedYAMLError) -> Problem:
    """The problem behind an error of PyYAML."""
    text = source.text
    at = _index(text, error.problem_mark)
    context = _index(text, error.context_mark) if error.context_mark else at
    tab = _tab_in_indent(source, at)
    if tab is not None:
        meaning: Meaning = (tab, "a tab in the indentation", "indent with spaces")
    else:
        meaning = _explain(text, error.problem or "", at, context)
    index, message, hint = meaning
    index = _last_shown(text, index)
    return source.problem(source.place(index, _word_length(text, index)), message, hint)


def _explain(text: str, sentence: str, at: int, context: int) -> Meaning:
    for start, explain in _MEANINGS:
        if sentence.startswith(start):
            return explain(text, at, context)
    return at, "this is not valid YAML", "check quotes, brackets and indentation around it"


def _cannot_start(text: str, at: int, context: int) -> Meaning:
    mark = text[at : at + 1]
    if mark == "\t":
        return at, "a tab where YAML wants spaces", "replace the tab by spaces"
    if mark == "%":
        return at, "a value cannot start with '%'", "put the value in quotes"
    return at, f"a value cannot start with {mark!r}", "put the value in quotes"


def _no_colon(text: str, at: int, context: int) -> Meaning:
    line = _line_at(text, context)
    if tight := _TIGHT.match(line):
        return context, "no space after ':'", _spaced(tight)
    word = re.match(r"[^\s:#,\[\]{}]*", text[context:])
    shown = _cut(word[0]) if word and word[0] else "the key"
    what = "this line is neither 'key: value' nor part of the value above"
    return context, what, f"write {shown}: …, or indent the line to go on with the value above"


def _second_colon(text: str, at: int, context: int) -> Meaning:
    start = text.rfind("\n", 0, at) + 1
    line, before = _line_at(text, at), text[start:at]
    if ": " in before:
        return at, "a second ': ' in one line", "put the value in quotes, or start a new line"
    above = text[:start].rstrip()
    previous = above.rfind("\n") + 1
    if tight := _TIGHT.match(above[previous:]):
        return previous + tight.start(1), "no space after ':'", _spaced(tight)
    indent = len(line) - len(line.lstrip())
    if indent and not before[indent:].startswith(("- ", "[", "{")):
        hint = "line it up with the keys above it, or leave the value above it empty"
        return start + indent, "a key below a key that has a value already", hint
    return at, "a ':' that makes no key", "put the text in quotes"


def _misindented(text: str, at: int, context: int) -> Meaning:
    line = _line_at(text, at)
    if text[at : at + 1] in ("]", "}"):
        opening = "[" if text[at] == "]" else "{"
        return at, f"{text[at]!r} closes nothing", f"remove it, or open it with {opening!r}"
    if text[at : at + 1] == ",":
        return at, "a ',' outside of brackets", "put the list in brackets, or the text in quotes"
    if text[:at].endswith(('"', "'")) or text[:at].rstrip(" ").endswith(('"', "'")):
        return at, "text after the closing quote", "put the whole value in one pair of quotes"
    if text[at : at + 1] == ":":
        return at, "a key is missing before ':'", "write a name before it"
    if text.startswith("- ", context) and not text.startswith("- ", at):
        hint = "start it with '- ', or move it to where the other keys stand"
        return at, "this line stands among list items and is none", hint
    if line.lstrip().startswith("- "):
        what = "a list item between keys, or indented unlike the items above"
        return at, what, "line the items up one under another, below their key"
    hint = "line up the keys that belong together in one column"
    return at, "this line is indented unlike its neighbours", hint


def _unclosed(opening: str, closing: str) -> Callable[[str, int, int], Meaning]:
    def explain(text: str, at: int, context: int) -> Meaning:
        if at >= len(text.rstrip()) or text[at : at + 1] in ("", "\n"):
            return context, f"{opening!r} is never closed", f"add the {closing!r}"
        found = _cut(re.match(r"[^\s,\]}]*", text[at:])[0] or text[at])  # type: ignore[index]
        if _same_line(text, context, at) and found == ":":
            hint = "put a ',' between the entries"
            return at, f"a second ':' in one entry of {opening!r}", hint
        if _same_line(text, context, at):
            hint = f"separate the entries with commas and close with {closing!r}"
            return at, f"expected ',' or {closing!r} before {found!r}", hint
        line = len(re.findall(r"\r\n|\r|\n", text[:at])) + 1
        hint = f"add the {closing!r}, or a ',' between entries"
        return context, f"{opening!r} is still open in line {line}", hint

    return explain


def _no_content(text: str, at: int, context: int) -> Meaning:
    found = _cut(re.match(r"\S*", text[at:])[0])  # type: ignore[index]
    if text[at : at + 1] in (",", "]", "}"):
        return at, f"a value is missing before {text[at]!r}", "write it, or remove the extra mark"
    if not found:
        return at, "a value is missing at the end", "write it, or close the bracket"
    return at, f"a value is missing before {found!r}", "write it, or put it in quotes"


def _unclosed_quote(text: str, at: int, context: int) -> Meaning:
    what = f"the quote {text[context : context + 1]} is never closed"
    return context, what, "close it on its line"


def _unknown_escape(text: str, at: int, context: int) -> Meaning:
    what = f"unknown escape '\\{text[at : at + 1]}' in a text in double quotes"
    return at - 1, what, "use single quotes, in which a backslash is a backslash"


def _bad_hex(text: str, at: int, context: int) -> Meaning:
    what = "an escape without all its hexadecimal digits"
    return text.rfind("\\", 0, at + 1), what, r"write \xNN, \uNNNN or \UNNNNNNNN"


def _bad_anchor(text: str, at: int, context: int) -> Meaning:
    mark = text[context : context + 1]
    kind = "an anchor" if mark == "&" else "an alias"
    what = f"{mark!r} starts {kind}, which is a name of letters and digits"
    return context, what, "put the value in quotes if it is a text"


def _bad_tag(text: str, at: int, context: int) -> Meaning:
    hint = "put the value in quotes if it is a text, remove the tag otherwise"
    start = text.rfind("!", 0, at + 1)
    index = start if start >= text.rfind("\n", 0, at + 1) and start >= 0 else context
    return index, "'!' starts a tag, which a spec does not use", hint


def _no_document(text: str, at: int, context: int) -> Meaning:
    if text[at : at + 1] in ("]", "}"):
        return at, f"{text[at]!r} closes nothing", "remove it"
    hint = "remove it, or what closes the document before it"
    return at, "text after the end of the document", hint


def _always(what: str, hint: str) -> Callable[[str, int, int], Meaning]:
    return lambda text, at, context: (at, what, hint)


_no_item = _always(
    "a list item '- …' is not allowed here", "start the list on a line of its own, or write [a, b]"
)
_bad_block = _always(
    "only a comment may follow '|' or '>' on its line", "start the text on the next line, indented"
)
_bad_directive = _always("a line that starts with '%' is a directive", "remove the line")


_MEANINGS: tuple[tuple[str, Callable[[str, int, int], Meaning]], ...] = (
    ("found character", _cannot_start),
    ("could not find expected ':'", _no_colon),
    ("sequence entries are not allowed", _no_item),
    (
        "mapping keys are not allowed",
        _always("a key '? …' is not allowed here", "write key: value"),
    ),
    ("mapping values are not allowed", _second_colon),
    ("expected <block end>", _misindented),
    ("expected ',' or ']'", _unclosed("[", "]")),
    ("expected ',' or '}'", _unclosed("{", "}")),
    ("expected the node content", _no_content),
    ("found unexpected end of stream", _unclosed_quote),
    ("found unexpected document separator", _unclosed_quote),
    ("found unknown escape", _unknown_escape),
    ("expected escape sequence", _bad_hex),
    ("expected indentation indicator", _bad_block),
    ("expected chomping", _bad_block),
    ("expected a comment or a line break", _bad_block),
    ("expected alphabetic or numeric", _bad_anchor),
    ("expected '>'", _bad_tag),
    ("expected ' ', but", _bad_tag),
    ("expected '!'", _bad_tag),
    ("expected URI", _bad_tag),
    ("found undefined tag", _bad_tag),
    ("duplicate tag handle", _bad_directive),
    ("expected a digit", _bad_directive),
    ("found duplicate YAML", _always("a second %YAML line", "remove it")),
    ("found incompatible YAML", _always("a spec is YAML 1.2", "remove the %YAML line")),
    ("expected '<document start>'", _no_document),
)


def _index(text: str, mark: Mark | None) -> int:
    return len(text) if mark is None else mark.index


def _tab_in_indent(source: Source, at: int) -> int | None:
    """The index of a tab in the indentation of the line at `at`, or of the one before it."""
    line = source.place(min(at, len(source.text))).line
    for number in (line, line - 1):
        shown = source.line(number)
        indent = shown[: len(shown) - len(shown.lstrip())]
        if "\t" in indent and shown.strip():
            return source.starts[number - 1] + indent.index("\t")
    return None


def _last_shown(text: str, index: int) -> int:
    """`index`, or the last character before it that can be underlined."""
    index = min(index, len(text))
    while index > 0 and (index == len(text) or text[index] in "\r\n") and text[:index].strip():
        index -= 1
        if text[index] not in " \t\r\n":
            break
    return index


def _word_length(text: str, index: int) -> int:
    word = re.match(r"[\w.-]+", text[index : index + 200])
    return len(word[0]) if word else 1


def _line_at(text: str, index: int) -> str:
    start = text.rfind("\n", 0, index) + 1
    end = text.find("\n", index)
    return text[start : end if end >= 0 else len(text)]


def _spaced(tight: re.Match[str]) -> str:
    return f"write a space after the colon: {tight[1]}: {_cut(tight[2])}"


def _same_line(text: str, first: int, second: int) -> bool:
    return "\n" not in text[first:second]


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= 30 else text[:29] + "…"
