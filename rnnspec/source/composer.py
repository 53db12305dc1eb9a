"""From PyYAML's events to a tree of nodes, by the rules of YAML 1.2 and within bounds."""

from __future__ import annotations

import yaml
from yaml import events
from yaml.error import Mark

from rnnspec.source.nodes import Entry, MappingNode, Node, ScalarNode, SequenceNode, shown_path
from rnnspec.source.problems import Problem, Span
from rnnspec.source.scalars import Scalar, resolve
from rnnspec.source.syntax import syntax_problem
from rnnspec.source.text import Source

MAX_DEPTH = 100
"""Deepest nesting read."""
MAX_VALUES = 20_000
"""Most values in a document, aliases counted as often as they are used."""

_CORE = "tag:yaml.org,2002:"
_TAG_OF = {
    type(None): _CORE + "null",
    bool: _CORE + "bool",
    int: _CORE + "int",
    float: _CORE + "float",
}


class _Stopped(Exception):
    """Composing cannot go on; the problem is already recorded."""


class Composer:
    """Reads one document; `problems` are its problems in the order found."""

    def __init__(self, source: Source, text: str | None = None) -> None:
        """`text`, if given, is parsed instead of the source's text: the same with parts blanked
        out."""
        self.source = source
        self.problems: list[Problem] = []
        self._ended = 0
        """Where the last value ended that is no block."""
        self._loader = yaml.SafeLoader(source.text if text is None else text)
        self._anchors: dict[str, tuple[Node, int, int] | None] = {}
        self._values = 0
        self._ended = 0
        """Where the last thing ended that is written: the ends of blocks are not."""

    def document(self) -> Node | None:
        """The root of the document, or None where it cannot be read."""
        try:
            self._next()  # the start of the stream
            start = self._next()
            if isinstance(start, events.StreamEndEvent):
                self._empty()
            assert isinstance(start, events.DocumentStartEvent)
            self._check_directives(start)
            root, _ = self._node(self._next(), (), 0)
            self._next()  # the end of the document
            if not isinstance(more := self._next(), events.StreamEndEvent):
                self._note(
                    more, "a second document starts here", "remove the '---' and what follows"
                )
            if isinstance(root, ScalarNode) and root.value is None and not root.written:
                self._empty()
            return root
        except _Stopped:
            return None

    def _next(self) -> events.Event:
        try:
            event: events.Event = self._loader.get_event()  # type: ignore[no-untyped-call]
        except yaml.MarkedYAMLError as error:
            self.problems.append(syntax_problem(self.source, error))
            raise _Stopped from None
        except (yaml.YAMLError, ValueError, OverflowError, IndexError):
            # PyYAML lets these escape for code points and version numbers beyond all bounds.
            index = min(self._loader.index, len(self.source.text))
            self._at(
                index, 1, "a number here is out of all bounds", "check the escape or directive"
            )
            raise _Stopped from None
        first, last = _marks(event)
        self._ended = last.index if last.index > first.index else self._ended
        return event

    def _empty(self) -> None:
        what = "the file is empty" if not self.source.text.strip() else "the file has only comments"
        hint = "write a spec, or start from one made by 'rnnspec new'"
        self.problems.append(Problem(self.source.file, Span(1, 1), "", what, hint))
        raise _Stopped

    def _check_directives(self, start: events.DocumentStartEvent) -> None:
        if start.version and start.version != (1, 2):
            number = ".".join(map(str, start.version))
            self._note(
                start, f"this file says it is YAML {number}; a spec is YAML 1.2", "remove it"
            )
        first, last = _marks(start)
        for line in range(first.line + 1, last.line + 1):
            shown = self.source.line(line)
            if shown.startswith("%") and not shown.startswith("%YAML"):
                place = Span(line, 1, len(shown.rstrip()))
                what = "a directive, which a spec does not use"
                self.problems.append(self.source.problem(place, what, "remove the line"))

    def _node(
        self, event: events.Event, path: tuple[str | int, ...], depth: int
    ) -> tuple[Node, int]:
        """The node that starts with `event`, and its height."""
        if depth > MAX_DEPTH:
            self._note(event, f"nested deeper than {MAX_DEPTH} levels", "a spec needs about ten")
            raise _Stopped
        if isinstance(event, events.AliasEvent):
            return self._alias(event, depth)
        self._count(event, 1)
        anchor = getattr(event, "anchor", None)
        if anchor:
            self._anchors[anchor] = None
        before = self._values
        node, height = self._built(event, path, depth)
        if anchor:
            self._anchors[anchor] = (node, self._values - before + 1, height)
        return node, height

    def _built(
        self, event: events.Event, path: tuple[str | int, ...], depth: int
    ) -> tuple[Node, int]:
        if isinstance(event, events.ScalarEvent):
            return self._scalar(event, path), 0
        if isinstance(event, events.SequenceStartEvent):
            return self._sequence(event, path, depth)
        assert isinstance(event, events.MappingStartEvent)
        return self._mapping(event, path, depth)

    def _alias(self, event: events.AliasEvent, depth: int) -> tuple[Node, int]:
        name = event.anchor or ""
        found = self._anchors.get(name, 0)
        if found is None:
            self._note(event, f"alias *{name} inside the value it stands for", "write it out")
            raise _Stopped
        if found == 0:
            hint = "put the value in quotes if it is a text that starts with '*'"
            self._note(event, f"alias *{name} has no anchor before it", hint)
            raise _Stopped
        assert isinstance(found, tuple)
        node, size, height = found
        self._count(event, size)
        if depth + height > MAX_DEPTH:
            self._note(event, f"nested deeper than {MAX_DEPTH} levels", "a spec needs about ten")
            raise _Stopped
        return node, height

    def _count(self, event: events.Event, size: int) -> None:
        self._values += size
        if self._values > MAX_VALUES:
            what = f"more than {MAX_VALUES:,} values, aliases counted as often as they are used"
            self._note(event, what, "a spec needs a few hundred")
            raise _Stopped

    def _scalar(self, event: events.ScalarEvent, path: tuple[str | int, ...]) -> ScalarNode:
        start, end = _marks(event)
        single = start.line == end.line
        rest = len(self.source.line(start.line + 1)) - start.column
        length = end.column - start.column if single else rest
        span = Span(start.line + 1, start.column + 1, max(1, length))
        written = self.source.text[start.index : end.index]
        value = self._value(event, path)
        return ScalarNode(self.source, span, value, start.index, event.style, written)

    def _value(self, event: events.ScalarEvent, path: tuple[str | int, ...]) -> Scalar:
        text: str = event.value
        if (
            bad := next((c for c in text if c == "\0" or "\ud800" <= c <= "\udfff"), None)
        ) is not None:
            self._note(
                event, f"an escape for U+{ord(bad):04X}, which is no character", "remove it", path
            )
            return ""
        tag = event.tag or ""
        try:
            if not tag:
                return resolve(text) if event.implicit[0] else text
            if tag in ("!", _CORE + "str"):
                return text
            value = resolve(text)
        except ValueError as error:
            self._note(event, f"{error} is out of all bounds", "write fewer digits", path)
            return 0
        if tag == _CORE + "float" and type(value) is int:
            return float(value)
        if tag != _TAG_OF.get(type(value)):
            self._tag(event, tag, path)
        return value

    def _tag(self, event: events.Event, tag: str, path: tuple[str | int, ...]) -> None:
        shown = tag.replace(_CORE, "!!")
        shown = shown if len(shown) <= 60 else shown[:59] + "…"
        if tag in (*_TAG_OF.values(), *(_CORE + kind for kind in ("str", "map", "seq"))):
            self._note(event, f"the value does not fit its tag {shown}", "remove the tag", path)
        else:
            what = f"the tag {shown!r}, which a spec does not use"
            self._note(event, what, "remove it; a text that starts with '!' needs quotes", path)

    def _sequence(
        self, event: events.SequenceStartEvent, path: tuple[str | int, ...], depth: int
    ) -> tuple[SequenceNode, int]:
        if event.tag not in (None, "!", _CORE + "seq"):
            self._tag(event, event.tag, path)
        items: list[Node] = []
        height = 0
        while not isinstance(inner := self._next(), events.SequenceEndEvent):
            node, below = self._node(inner, (*path, len(items)), depth + 1)
            items.append(node)
            height = max(height, below + 1)
        extent = self._extent(event, inner)
        span = self._span(event, inner)
        return SequenceNode(self.source, span, tuple(items), _flow(event), *extent), height

    def _mapping(
        self, event: events.MappingStartEvent, path: tuple[str | int, ...], depth: int
    ) -> tuple[MappingNode, int]:
        if event.tag not in (None, "!", _CORE + "map"):
            self._tag(event, event.tag, path)
        entries: dict[str, Entry] = {}
        height = 0
        while not isinstance(inner := self._next(), events.MappingEndEvent):
            key_node, _ = self._node(inner, path, depth + 1)
            key = self._key(inner, key_node, path, entries)
            below_path = path if key is None else (*path, key)
            node, below = self._node(self._next(), below_path, depth + 1)
            height = max(height, below + 1)
            if key is not None:
                entries[key] = Entry(key_node.source, key_node.span, node)
        span = self._span(event, inner, entries)
        extent = self._extent(event, inner)
        return MappingNode(self.source, span, entries, _flow(event), *extent), height

    def _key(
        self, event: events.Event, node: Node, path: tuple[str | int, ...], known: dict[str, Entry]
    ) -> str | None:
        """The key as a text, or None (and a problem) where it is not valid here."""
        plain = isinstance(node, ScalarNode) and node.style is None
        if not isinstance(node, ScalarNode):
            what = "a list or a mapping as a key; keys are texts"
            self._note(event, what, "write a name before the ':'", path)
        elif plain and node.value == "<<":
            what = "merge keys '<<' are not part of YAML 1.2"
            self._note(event, what, "write the keys out", path)
        elif node.value is None:
            self._note(event, "a key is missing before ':'", "write a name before the ':'", path)
        elif not isinstance(node.value, str):
            hint = f'write "{node.written[:40]}" in quotes to make it a text'
            self._note(event, f"the key {node.written[:40]} is not a text", hint, path)
        elif node.value in known:
            first = known[node.value].span
            what = f"duplicate key; it stands in line {first.line}, column {first.column}, too"
            self._note(event, what, "keep one of the two", (*path, node.value))
        else:
            return node.value
        return None

    def _span(
        self, start: events.Event, end: events.Event, entries: dict[str, Entry] | None = None
    ) -> Span:
        """The place of a collection: all of it if it is in brackets on one line, else its start."""
        first, last = _marks(start)[0], _marks(end)[1]
        flow = _flow(start)
        length = last.column - first.column if flow and first.line == last.line else 1
        if not flow and entries:
            key = next(iter(entries.values())).span
            return Span(key.line, key.column, key.length)
        return Span(first.line + 1, first.column + 1, max(1, length))

    def _extent(self, start: events.Event, end: events.Event) -> tuple[int, int]:
        """Where a collection stands in the text: in brackets to the last of them, else to the end
        of its last value, before comments and line breaks."""
        first, last = _marks(start)[0].index, _marks(end)[1].index
        return first, last if _flow(start) else self._ended

    def _note(
        self, event: events.Event, message: str, hint: str, path: tuple[str | int, ...] = ()
    ) -> None:
        start, end = _marks(event)
        flat = start.line == end.line
        length = end.column - start.column if flat else 1
        span = Span(start.line + 1, start.column + 1, max(1, length))
        self.problems.append(self.source.problem(span, message, hint, shown_path(path)))

    def _at(self, index: int, length: int, message: str, hint: str) -> None:
        span = self.source.place(index, length)
        self.problems.append(self.source.problem(span, message, hint))


def _marks(event: events.Event) -> tuple[Mark, Mark]:
    start, end = event.start_mark, event.end_mark
    assert isinstance(start, Mark)
    assert isinstance(end, Mark)
    return start, end


def _flow(event: events.Event) -> bool:
    return bool(getattr(event, "flow_style", False))
