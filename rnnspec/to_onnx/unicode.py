"""Texts in a normal form of Unicode, and in lower case, inside the file.

The normal forms are those of Unicode Standard Annex 15, by the tables of Python's `unicodedata`. A
text is taken apart into its code points, each a text of its own; tables give the decomposition of
each and its canonical combining class, and what two of them compose to. The empty text is nothing.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from unicodedata import combining

from rnnspec.data.decode import folds
from rnnspec.plan.facts import PAD
from rnnspec.plan.text_rule import FORMS, Form
from rnnspec.to_onnx.emitter import CONTRIB, INT64, ML, STRING, Attributes, Emitter, Extent
from rnnspec.to_onnx.loop import Loop

INTO_CHARACTERS: Attributes = {"separators": [""], "mark": 0, "pad_value": PAD, "mincharnum": 1}
SECOND = 256
"""The class, in place of 0, of a code point that may compose with the one before it."""
FIRST_SYLLABLE, SYLLABLES = 0xAC00, 11172
"""The syllables of Hangul: 19 leading consonants by 21 vowels by 27 trailing consonants or none."""
TRAILING = 28
AT_ONCE = 64
"""Texts that are taken apart together: memory is that of so many times the longest of them. NFKD of
2,000 texts, one of them of 20,000 characters, takes 0.2 s and 85 MB (with 256 at once 5 s and 0.8
GB), and of 5,000 words 35 ms (with 16 at once 130 ms)."""
_LAST = 1 << 60
"""Orders what is nothing behind all code points."""


def normalized(emit: Emitter, texts: str, form: Form, name: str) -> str:
    """Texts `[N]` in a normal form."""

    def changed(body: Emitter, some: str) -> str:
        chars = _apart(body, some, f"{name}.chars")
        chars = _ordered(body, _decomposed(body, chars, form, name), form, f"{name}.ordered")
        if composes(form):
            chars = _composed(body, chars, form, f"{name}.composed")
        return _joined(body, chars, f"{name}.joined")

    return _where_touched(emit, texts, touched(form), changed, name)


def folded(emit: Emitter, texts: str, name: str) -> str:
    """Texts `[N]` with every code point that `fold` changes in lower case."""
    lower = {chr(upper): chr(lower) for upper, lower in folds().items()}

    def changed(body: Emitter, some: str) -> str:
        chars = _apart(body, some, f"{name}.chars")
        found = _mapped(body, chars, lower, f"{name}.lower")
        return _joined(body, _or_else(body, found, chars, f"{name}.each"), f"{name}.joined")

    return _where_touched(emit, texts, lower, changed, name)


def character_class(chars: Collection[str], opposite: bool = False) -> str:
    """A regular expression of RE2: one code point among `chars`, or not among them."""
    placed = enumerate(sorted(map(ord, chars)))
    runs = [[at for _, at in run] for _, run in groupby(placed, lambda pair: pair[1] - pair[0])]
    ranges = (rf"\x{{{run[0]:x}}}-\x{{{run[-1]:x}}}" for run in runs)
    return f"[{'^' * opposite}{''.join(ranges)}]"


def composes(form: Form) -> bool:
    return form in ("nfc", "nfkc")


@cache
def _special() -> tuple[str, ...]:
    """The code points that are not plain in some form: with a decomposition or a class, and the
    consonants and vowels of Hangul; without its syllables, of which there are thousands."""
    every = (chr(at) for at in range(sys.maxunicode + 1) if not 0xD800 <= at < 0xE000)
    found = (char for char in every if unicodedata.decomposition(char) or combining(char))
    return (*found, *map(chr, range(0x1100, 0x1200)))


@cache
def decompositions(form: Form) -> Mapping[str, str]:
    """What each code point becomes that decomposes, but for the syllables of Hangul."""
    apart: Form = "nfkd" if form in ("nfkc", "nfkd") else "nfd"
    every = ((char, unicodedata.normalize(FORMS[apart], char)) for char in _special())
    return {char: parts for char, parts in every if parts != char}


@cache
def compositions() -> Mapping[str, str]:
    """What two code points become that compose; of Hangul only those without a trailing one."""
    found = {"".join(_jamo(char)): char for char in _open_syllables()}
    for char in _special():
        parts = unicodedata.decomposition(char)
        if parts[:1] not in ("", "<") and unicodedata.normalize("NFC", char) == char:
            found["".join(chr(int(part, 16)) for part in parts.split())] = char
    return found


def _jamo(syllable: str) -> str:
    return unicodedata.normalize("NFD", syllable)


def _syllables() -> list[str]:
    """The syllables of Hangul, by leading consonant, vowel and trailing consonant."""
    return list(map(chr, range(FIRST_SYLLABLE, FIRST_SYLLABLE + SYLLABLES)))


def _open_syllables() -> list[str]:
    """Those without a trailing consonant."""
    return _syllables()[::TRAILING]


def _trailing() -> list[str]:
    """The trailing consonants."""
    return [_jamo(syllable)[2] for syllable in _syllables()[1:TRAILING]]


@cache
def classes(form: Form) -> Mapping[str, int]:
    """The canonical combining class of each code point, where it is not 0; SECOND of those of class
    0 that may compose with one before them."""
    found = {char: combining(char) for char in _special()}
    if composes(form):
        seconds = {pair[1] for pair in compositions()} | set(_trailing())
        found |= {char: SECOND for char in seconds if not combining(char)}
    return {char: number for char, number in found.items() if number}


@cache
def touched(form: Form) -> Collection[str]:
    """The code points of which a text must have one for the form to change it."""
    changed = {char for char in _special() if unicodedata.normalize(FORMS[form], char) != char}
    syllables = () if composes(form) else _syllables()
    return changed | classes(form).keys() | set(syllables)


def _where_touched(
    emit: Emitter,
    texts: str,
    chars: Collection[str],
    changed: Callable[[Emitter, str], str],
    name: str,
) -> str:
    """The texts, those that hold one of `chars` as `changed` makes them, some at a time."""
    pattern = f"{character_class(chars, opposite=True)}*"
    plain = emit.op("RegexFullMatch", [texts], f"{name}.plain", pattern=pattern)
    places = emit.op("NonZero", [emit.op("Not", [plain], f"{name}.other")], f"{name}.others")
    places = emit.squeeze(places, 0, f"{name}.places")
    several = emit.op("Add", [emit.extent(places, 0, f"{name}.count"), emit.integer(AT_ONCE - 1)],
                      f"{name}.rounded_up")  # fmt: skip
    trips = emit.op("Div", [several, emit.integer(AT_ONCE)], f"{name}.parts")
    trips = emit.op("Squeeze", [trips], f"{name}.trips")
    loop = Loop(emit, name)
    before, inner = loop.state(f"{name}.texts", texts, STRING, ["texts"]), loop.emit
    number = inner.unsqueeze(loop.step, 0, f"{name}.part")
    start = inner.op("Mul", [number, inner.integer(AT_ONCE)], f"{name}.start")
    end = inner.op("Add", [start, inner.integer(AT_ONCE)], f"{name}.end")
    here = inner.slice(places, start, end, 0, f"{name}.here")
    some = inner.op("Gather", [texts, here], f"{name}.some")
    found = changed(inner, inner.typed(some, STRING, ["some"]))
    after = inner.op("ScatterElements", [before, here, found], f"{name}.after", axis=0)
    states, _ = loop.close(trips, loop.going, [after])
    return states[0]


def _apart(emit: Emitter, texts: str, name: str) -> str:
    """The code points `[N, C]` of texts `[N]`, one of which is not empty."""
    chars = emit.op("Tokenizer", [texts], name, CONTRIB, **INTO_CHARACTERS)
    return emit.typed(chars, STRING, ["texts", "chars"])


def _mapped(emit: Emitter, texts: str, table: Mapping[str, str], name: str) -> str:
    """What each text is in the table, "" where it is not."""
    keys, values = list(table), list(table.values())
    return emit.op(
        "LabelEncoder", [texts], name, ML, keys_strings=keys, values_strings=values,
        default_string="",
    )  # fmt: skip


def _numbered(emit: Emitter, texts: str, table: Mapping[str, int], default: int, name: str) -> str:
    """The number of each text in the table."""
    keys, values = list(table), list(table.values())
    return emit.op(
        "LabelEncoder", [texts], name, ML, keys_strings=keys, values_int64s=values,
        default_int64=default,
    )  # fmt: skip


def _is_nothing(emit: Emitter, texts: str, name: str) -> str:
    return emit.op("Equal", [texts, _nothing(emit, name)], f"{name}.is_nothing")


def _or_else(emit: Emitter, texts: str, others: str, name: str) -> str:
    """The texts, and the others where they are nothing."""
    return emit.op("Where", [_is_nothing(emit, texts, name), others, texts], name)


def _decomposed(emit: Emitter, chars: str, form: Form, name: str) -> str:
    """`[N, M]`: the full decompositions of code points `[N, C]`, with nothing between them. Where
    pairs compose again syllables stay whole, as a trailing consonant at most joins them."""
    name = f"{name}.decomposed"
    found = _mapped(emit, chars, decompositions(form), f"{name}.parts")
    if not composes(form):
        syllables = _jamo_of_syllables(emit, chars, f"{name}.syllables")
        found = emit.op("StringConcat", [found, syllables], f"{name}.all")
    found = _or_else(emit, found, chars, f"{name}.joined")
    apart = emit.op("Tokenizer", [found], f"{name}.apart", CONTRIB, **INTO_CHARACTERS)
    emit.typed(apart, STRING, ["texts", "chars", "parts"])
    return emit.op("Reshape", [apart, emit.integers(0, -1)], name)


def _jamo_of_syllables(emit: Emitter, chars: str, name: str) -> str:
    """The consonants and vowels of each syllable of Hangul, "" of any other code point."""
    syllables = {syllable: at for at, syllable in enumerate(_syllables())}
    number = _numbered(emit, chars, syllables, SYLLABLES, f"{name}.number")
    parts = emit.op("Div", [number, emit.integer(TRAILING)], f"{name}.open_number")
    rest = emit.op("Mod", [number, emit.integer(TRAILING)], f"{name}.trailing_number")
    opened = emit.strings(f"{name}.opens", [*map(_jamo, _open_syllables()), ""])
    trailing = emit.strings(f"{name}.ends", ["", *_trailing()])
    begin = emit.op("Gather", [opened, parts], f"{name}.open")
    end = emit.op("Gather", [trailing, rest], f"{name}.trailing")
    return emit.op("StringConcat", [begin, end], name)


def _ordered(emit: Emitter, chars: str, form: Form, name: str) -> str:
    """`[N, M]` in canonical order, with nothing at the end: marks by class behind each starter."""
    nothing = _is_nothing(emit, chars, name)
    mark = _combining(emit, _classes(emit, chars, form, f"{name}.class"), f"{name}.mark")
    there = emit.op("Not", [nothing], f"{name}.there")
    unmarked = emit.op("Equal", [mark, emit.integer(0)], f"{name}.unmarked")
    starts = emit.op("And", [there, unmarked], f"{name}.starts")
    ones = emit.op("Cast", [starts], f"{name}.starts.ones", to=INT64)
    starter = emit.op("CumSum", [ones, emit.integer(1)], f"{name}.starter")
    block = emit.op("Mul", [starter, emit.integer(SECOND)], f"{name}.block")
    place = emit.op("Add", [block, mark], f"{name}.place")
    key = emit.op("Where", [nothing, emit.integer(_LAST), place], f"{name}.key")
    counted = emit.op("Cast", [there], f"{name}.there.ones", to=INT64)
    counts = emit.reduce("ReduceSum", counted, 1, f"{name}.counts")
    longest = emit.op("ReduceMax", [counts], f"{name}.longest", keepdims=1)
    # Of equal keys the one before comes first: TopK states it.
    names = [f"{name}.keys", f"{name}.order"]
    _, order = emit.ops("TopK", [key, longest], names, axis=1, largest=0)
    return emit.op("GatherElements", [chars, order], name, axis=1)


def _classes(emit: Emitter, chars: str, form: Form, name: str) -> str:
    return _numbered(emit, chars, classes(form), 0, name)


def _combining(emit: Emitter, numbers: str, name: str) -> str:
    """The combining classes, where SECOND has class 0."""
    return emit.op("Mod", [numbers, emit.integer(SECOND)], name)


def _composed(emit: Emitter, chars: str, form: Form, name: str) -> str:
    """Texts `[N, M]`, with nothing between them, of ordered code points `[N, M]`.

    A segment begins with each code point that cannot compose with one before it, and at the start
    of a row. Segments compose apart from each other: a loop goes over the places of all of them.
    """
    flat = emit.op("Reshape", [chars, emit.integers(-1)], f"{name}.flat")
    number = _classes(emit, flat, form, f"{name}.class")
    begins = _segment_starts(emit, chars, number, name)
    starts = emit.squeeze(emit.op("NonZero", [begins], f"{name}.found"), 0, f"{name}.starts")
    size = emit.op("Shape", [flat], f"{name}.size")
    later = emit.slice(starts, 1, sys.maxsize, 0, f"{name}.later")
    ends = emit.concat([later, size], 0, f"{name}.ends")
    lengths = emit.op("Sub", [ends, starts], f"{name}.lengths")
    texts = _compose_segments(emit, _Segments(flat, number, starts, lengths), name)
    ones = emit.op("Cast", [begins], f"{name}.begins.ones", to=INT64)
    so_far = emit.op("CumSum", [ones, emit.integer(0)], f"{name}.so_far")
    which = emit.op("Sub", [so_far, emit.integer(1)], f"{name}.which")
    each = emit.op("Gather", [texts, which], f"{name}.each")
    placed = emit.op("Where", [begins, each, _nothing(emit, name)], f"{name}.placed")
    return emit.op("Reshape", [placed, emit.op("Shape", [chars], f"{name}.shape")], name)


def _segment_starts(emit: Emitter, chars: str, number: str, name: str) -> str:
    """Bool `[N * M]`: whether a segment begins with the code point."""
    size = emit.op("Squeeze", [emit.op("Shape", [number], f"{name}.sizes")], f"{name}.count")
    places = emit.op("Range", [emit.integer(0), size, emit.integer(1)], f"{name}.places")
    column = emit.op("Mod", [places, emit.extent(chars, 1, f"{name}.row")], f"{name}.column")
    either = emit.op("Mul", [number, column], f"{name}.either")
    return emit.op("Equal", [either, emit.integer(0)], f"{name}.begins")


@dataclass(frozen=True, slots=True)
class _Segments:
    """Code points one after the other, their classes, and where segments start and how long they
    are."""

    chars: str
    classes: str
    starts: str
    lengths: str


def _compose_segments(emit: Emitter, of: _Segments, name: str) -> str:
    """The text of each segment, `[S]` (Unicode Standard, D117).

    A segment is `done`, then the `starter` that what follows may compose with, then the `rest` that
    did not; `last` is the class of the end of the rest, -1 without one. What follows is blocked
    where its class is not higher.
    """
    longest = emit.op("ReduceMax", [of.lengths], f"{name}.longest", keepdims=0)
    trips = emit.op("Sub", [longest, emit.integer(1)], f"{name}.trips")
    begun = emit.op("Gather", [of.chars, of.starts], f"{name}.begun")
    extent = emit.op("Shape", [of.starts], f"{name}.extent")
    zeros = emit.op("Expand", [emit.integer(0), extent], f"{name}.zeros")
    empty = emit.op("Gather", [_nothing(emit, name), zeros], f"{name}.empty")
    none = emit.op("Sub", [zeros, emit.integer(1)], f"{name}.none")
    loop = Loop(emit, name)
    done = loop.state(f"{name}.done", empty, STRING, ["segments"])
    starter = loop.state(f"{name}.starter", begun, STRING, ["segments"])
    rest = loop.state(f"{name}.rest", empty, STRING, ["segments"])
    last = loop.state(f"{name}.last", none, INT64, ["segments"])
    inner = loop.emit
    char, number = _next_of_segments(inner, of, loop.step, name)
    mark = _combining(inner, number, f"{name}.mark")
    pair = _pairs(inner, starter, char, f"{name}.pair")
    free = inner.op("Less", [last, mark], f"{name}.free")
    known = inner.op("Not", [_is_nothing(inner, pair, f"{name}.pair")], f"{name}.known")
    fits = inner.op("And", [known, free], f"{name}.fits")
    second = inner.op("Equal", [number, inner.integer(SECOND)], f"{name}.second")
    kept = inner.op("Not", [fits], f"{name}.kept")
    starts = inner.op("And", [second, kept], f"{name}.starts_anew")
    whole = _text_of(inner, done, starter, rest, name)
    longer = inner.op("StringConcat", [rest, char], f"{name}.longer")

    def choice(first: str, second: str, other: str, what: str) -> str:
        """`first` where the pair composes, `second` where a starter does not, or `other`."""
        either = inner.op("Where", [starts, second, other], f"{name}.{what}.either")
        return inner.op("Where", [fits, first, either], f"{name}.{what}.next")

    states, _ = loop.close(
        trips,
        loop.going,
        [
            choice(done, whole, done, "done"),
            choice(pair, char, starter, "starter"),
            choice(rest, _nothing(inner, name), longer, "rest"),
            choice(last, inner.integer(-1), mark, "last"),
        ],
    )
    done, starter, rest, _ = states
    return _text_of(emit, done, starter, rest, name)


def _text_of(emit: Emitter, done: str, starter: str, rest: str, name: str) -> str:
    before = emit.op("StringConcat", [done, starter], f"{name}.before")
    return emit.op("StringConcat", [before, rest], f"{name}.whole")


def _next_of_segments(emit: Emitter, of: _Segments, step: str, name: str) -> tuple[str, str]:
    """The code point after the first `step` + 1 of each segment and its class, nothing and 0 past
    the end."""
    place = emit.op("Add", [step, emit.integer(1)], f"{name}.place")
    own = emit.op("Less", [place, of.lengths], f"{name}.own")
    places = emit.op("Add", [of.starts, place], f"{name}.next_place")
    places = emit.op("Where", [own, places, of.starts], f"{name}.next")
    char = emit.op("Gather", [of.chars, places], f"{name}.next_char")
    number = emit.op("Gather", [of.classes, places], f"{name}.next_class")
    return (
        emit.op("Where", [own, char, _nothing(emit, name)], f"{name}.char"),
        emit.op("Where", [own, number, emit.integer(0)], f"{name}.number"),
    )


def _pairs(emit: Emitter, starter: str, char: str, name: str) -> str:
    """What each two compose to, "" where they do not."""
    both = emit.op("StringConcat", [starter, char], f"{name}.both")
    found = _mapped(emit, both, compositions(), f"{name}.found")
    opened = {each: at for at, each in enumerate(_open_syllables())}
    ends = {each: at for at, each in enumerate(_trailing(), start=1)}
    number = _numbered(emit, starter, opened, len(opened), f"{name}.open")
    end = _numbered(emit, char, ends, SYLLABLES, f"{name}.trailing")
    begin = emit.op("Mul", [number, emit.integer(TRAILING)], f"{name}.first")
    place = emit.op("Add", [begin, end], f"{name}.place")
    place = emit.op("Min", [place, emit.integer(SYLLABLES)], f"{name}.within")
    every = emit.strings(f"{name}.syllables", [*_syllables(), ""])
    syllable = emit.op("Gather", [every, place], f"{name}.whole")
    return emit.op("StringConcat", [found, syllable], name)


def _joined(emit: Emitter, chars: str, name: str) -> str:
    """Texts `[N]` of pieces `[N, M]`, M at least 1: neighbours are joined until one is left."""
    rows = emit.extent(chars, 0, f"{name}.rows")
    shape = emit.concat([rows, emit.integers(1)], 0, f"{name}.column")
    zeros = emit.op("Expand", [emit.integer(0), shape], f"{name}.zeros")
    blank = emit.op("Gather", [_nothing(emit, name), zeros], f"{name}.blank")
    loop = Loop(emit, name)
    pieces = loop.state(f"{name}.pieces", chars, STRING, ["texts", "pieces"])
    inner = loop.emit
    padded = inner.concat([pieces, blank], 1, f"{name}.padded")
    halves = []
    for first, source in enumerate((pieces, padded)):
        bounds = [inner.integers(first), inner.integers(sys.maxsize), inner.integers(1)]
        halves.append(inner.op("Slice", [source, *bounds, inner.integers(2)], f"{name}.half"))
    both = inner.op("StringConcat", halves, f"{name}.both")
    going = _has_several(inner, both, f"{name}.going_on")
    extents: list[Extent] = ["texts", "fewer_pieces"]
    start = _has_several(emit, chars, f"{name}.begins")
    states, _ = loop.close("", going, [both], start=start, after=[extents])
    return emit.squeeze(states[0], 1, name)


def _has_several(emit: Emitter, pieces: str, name: str) -> str:
    """Whether there is more than one column."""
    extent = emit.op("Squeeze", [emit.extent(pieces, 1, f"{name}.extent")], f"{name}.count")
    return emit.op("Greater", [extent, emit.integer(1)], name)


def _nothing(emit: Emitter, name: str) -> str:
    return emit.strings(f"{name}.nothing", [""])
