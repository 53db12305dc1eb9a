"""The bytes of a text's UTF-8, which no operator of the standard gives.

onnxruntime has the hash MurmurHash3 over the bytes of a string. Its 32-bit form takes in four bytes
at a time, by steps each of which can be undone (Appleby 2011, MurmurHash3_x86_32): of one code
point, which has one to four bytes, the hash and the number of bytes tell the bytes. That is integer
arithmetic, the same for every code point, where a table of all of them would take 3 MB.
"""

from __future__ import annotations

from rnnspec.to_onnx.emitter import CONTRIB, INT64, Emitter

BITS = (1 << 32) - 1
_C1, _C2 = 0xCC9E2D51, 0x1B873593
_F1, _F2 = 0x85EBCA6B, 0xC2B2AE35
_ADDED = 0xE6546B64
_MORE_BYTES = ("80", "800", "10000")
"""The first code points of two, three and four bytes."""


def bytes_of(emit: Emitter, chars: str, offset: int, name: str) -> tuple[str, str]:
    """The bytes of texts, `offset` + byte, `[B, T]` int64 with 0 past the length; and how many each
    has, `[B]`. `chars` `[B, C]` are the texts' code points, "" past the end of each."""
    counts = _counts(emit, chars, f"{name}.count")
    packed = _packed(emit, chars, counts, f"{name}.packed")
    each = emit.unsqueeze(packed, 2, f"{name}.each")
    shifted = emit.op("Div", [each, emit.integers(1, 1 << 8, 1 << 16, 1 << 24)], f"{name}.shifted")
    lowest = emit.op("BitwiseAnd", [shifted, emit.integer(0xFF)], f"{name}.lowest")
    numbers = emit.op("Add", [lowest, emit.integer(offset)], f"{name}.numbers")
    return _side_by_side(emit, numbers, counts, f"{name}.row")


def _side_by_side(emit: Emitter, numbers: str, counts: str, name: str) -> tuple[str, str]:
    """The first `counts` `[B, C]` of each four of `numbers` `[B, C, 4]`, row by row without gaps:
    `[B, T]` with 0 past the length, and the lengths `[B]`."""
    lengths = emit.reduce("ReduceSum", counts, 1, f"{name}.lengths")
    longest = emit.op("ReduceMax", [lengths], f"{name}.longest", keepdims=1)
    before = emit.op("CumSum", [counts, emit.integer(1)], f"{name}.before", exclusive=1)
    starts = emit.unsqueeze(before, 2, f"{name}.starts")
    own = emit.unsqueeze(counts, 2, f"{name}.own")
    fours = emit.integers(0, 1, 2, 3)
    places = emit.op("Add", [starts, fours], f"{name}.places")
    there = emit.op("Less", [fours, own], f"{name}.there")
    targets = emit.op("Where", [there, places, longest], f"{name}.or_past_the_end")

    extents = emit.op("Shape", [counts], f"{name}.extents")
    flat = emit.op("Mul", [extents, emit.integers(1, 4)], f"{name}.flat")
    rows = emit.op("Shape", [lengths], f"{name}.rows")
    one_more = emit.op("Add", [longest, emit.integer(1)], f"{name}.one_more")
    shape = emit.concat([rows, one_more], 0, f"{name}.shape")
    pieces = [
        emit.op("Expand", [emit.integer(0), shape], f"{name}.empty"),
        emit.op("Reshape", [targets, flat], f"{name}.flat_targets"),
        emit.op("Reshape", [numbers, flat], f"{name}.flat_numbers"),
    ]
    filled = emit.op("ScatterElements", pieces, f"{name}.filled", axis=1)
    return emit.slice(filled, 0, longest, 1, f"{name}.bytes"), lengths


def _counts(emit: Emitter, chars: str, name: str) -> str:
    """Int64 `[B, C]`: how many bytes each code point has, 0 of no text."""
    is_pad = emit.op("Equal", [chars, emit.strings(f"{name}.pad", [""])], f"{name}.is_pad")
    is_char = emit.op("Not", [is_pad], f"{name}.is_char")
    total = emit.op("Cast", [is_char], f"{name}.first", to=INT64)
    for first in _MORE_BYTES:
        pattern = f"[\\x{{{first}}}-\\x{{10FFFF}}]"
        more = emit.op("RegexFullMatch", [chars], f"{name}.from_{first}", pattern=pattern)
        one = emit.op("Cast", [more], f"{name}.one_from_{first}", to=INT64)
        total = emit.op("Add", [total, one], f"{name}.up_to_{first}")
    return total


def _packed(emit: Emitter, chars: str, counts: str, name: str) -> str:
    """Int64 `[B, C]`: the bytes of each code point, the first one lowest; of "" anything."""
    arithmetic = _Arithmetic(emit, name)
    hashed = emit.op("MurmurHash3", [chars], f"{name}.hash", CONTRIB, seed=0, positive=1)
    h = emit.op("Cast", [hashed], f"{name}.wide", to=INT64)
    # The end of the hash: h ^= h >> 16; h *= F1; h ^= h >> 13; h *= F2; h ^= h >> 16.
    h = arithmetic.xor(h, arithmetic.high(h, 16))
    h = arithmetic.times(h, pow(_F2, -1, 1 << 32))
    h = arithmetic.xor(arithmetic.xor(h, arithmetic.high(h, 13)), arithmetic.high(h, 26))
    h = arithmetic.times(h, pow(_F1, -1, 1 << 32))
    h = arithmetic.xor(h, arithmetic.high(h, 16))
    # Before it the number of bytes; and before that, of whole fours, h = rotated(h, 13) * 5 + n.
    h = arithmetic.xor(h, counts)
    rest = emit.op("Add", [h, emit.integer((1 << 32) - _ADDED)], f"{name}.rest")
    rotated = arithmetic.times(arithmetic.kept(rest), pow(5, -1, 1 << 32))
    of_four = arithmetic.rotated_back(rotated, 13)
    is_four = emit.op("Equal", [counts, emit.integer(4)], f"{name}.is_four")
    h = emit.op("Where", [is_four, of_four, h], f"{name}.mixed")
    # The bytes come in as k = rotated(k * C1, 15) * C2.
    h = arithmetic.rotated_back(arithmetic.times(h, pow(_C2, -1, 1 << 32)), 15)
    return arithmetic.times(h, pow(_C1, -1, 1 << 32))


class _Arithmetic:
    """Arithmetic modulo 2^32 in int64, none of it over 2^63."""

    def __init__(self, emit: Emitter, name: str) -> None:
        self._emit, self._name = emit, name

    def _op(self, kind: str, one: str, other: str | int) -> str:
        other = other if isinstance(other, str) else self._emit.integer(other)
        return self._emit.op(kind, [one, other], f"{self._name}.{kind.lower()}")

    def xor(self, one: str, other: str) -> str:
        return self._op("BitwiseXor", one, other)

    def high(self, value: str, shift: int) -> str:
        """`value >> shift`."""
        return self._op("Div", value, 1 << shift)

    def kept(self, value: str, bits: int = BITS) -> str:
        return self._op("BitwiseAnd", value, bits)

    def times(self, value: str, factor: int) -> str:
        """The product with the low half of the factor, and with the high half moved up."""
        low = self._op("Mul", value, factor & 0xFFFF)
        high = self.kept(self._op("Mul", value, factor >> 16), 0xFFFF)
        return self.kept(self._op("Add", low, self._op("Mul", high, 1 << 16)))

    def rotated_back(self, value: str, shift: int) -> str:
        moved = self._op("Mul", self.kept(value, (1 << shift) - 1), 1 << (32 - shift))
        return self._op("Add", self.high(value, shift), moved)
