"""Sizes as sums of products of names: `units`, `2*units`, `inputs/3`, `inputs + units`.

    size = term { ("+" | "-") term }
    term = factor { ("*" | "/") factor }, "/" before whole numbers only

A size is kept as the text of its normal form, so that equal sizes are equal texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import lcm, prod

Terms = dict[tuple[str, ...], Fraction]
"""The factor of each product of names; of `()` the number that stands alone."""

_PART = re.compile(r"\s*(?:(?P<sign>[-+*/])|(?P<number>\d+)|(?P<name>[^\W\d]\w*))\s*")


class Numbers(dict[str, int]):
    """The number behind each size: of names as given, of other sizes as computed.

    Raises ValueError where it is no whole number of at least 1, KeyError where a name has none.
    """

    def __missing__(self, size: str) -> int:
        if size.isidentifier():
            raise KeyError(size)
        found = sum(
            factor * prod(self[name] for name in names) for names, factor in terms(size).items()
        )
        if found.denominator != 1 or found < 1:
            names = dict.fromkeys(name for product in terms(size) for name in product)
            known = ", ".join(f"{name} = {self[name]}" for name in names)
            raise ValueError(f"the size {size} must be a whole number of at least 1 ({known})")
        self[size] = int(found)
        return self[size]


def extent(shape: Iterable[str], sizes: Mapping[str, int]) -> int:
    """The number of elements of a shape; 1 of a single number."""
    return prod(sizes[size] for size in shape)


def size_of(text: str) -> str:
    """The normal form of a size. Raises ValueError where the text is none."""
    return text if text.isidentifier() else _text(terms(text))


def names_in(size: str) -> list[str]:
    """The names that a size is made of."""
    return list(dict.fromkeys(name for product in terms(size) for name in product))


def sum_of(one: str, other: str, sign: int = 1) -> str:
    """The normal form of the sum, or of the difference."""
    total = dict(terms(one))
    for product, factor in terms(other).items():
        total[product] = total.get(product, Fraction(0)) + sign * factor
    return _text(total)


def part_of(size: str, divisor: int) -> str:
    """The normal form of the quotient."""
    return _text({product: factor / divisor for product, factor in terms(size).items()})


def product_of(*sizes: str) -> str:
    """The normal form of the product; 1 of no sizes."""
    if len(sizes) == 1:
        return sizes[0]
    total: Terms = {(): Fraction(1)}
    for size in sizes:
        total = _times(total, terms(size))
    return _text(total)


def _times(one: Terms, other: Terms) -> Terms:
    found: Terms = {}
    for names, factor in one.items():
        for more, times in other.items():
            _add(found, [*names, *more], factor * times)
    return found


def divisor(sizes: Iterable[str], name: str) -> int:
    """The number that whatever a name stands for must be a multiple of, as far as its own terms
    say: 3 for `name/3`."""
    found = (terms(size).get((name,), Fraction(1)) for size in sizes)
    return lcm(*(factor.denominator for factor in found))


def is_never_negative(size: str) -> bool:
    """Whether a size is 0 or more whatever its names stand for, each 1 or more."""
    found = terms(size)
    names = [factor for product, factor in found.items() if product]
    return all(factor >= 0 for factor in names) and sum(found.values()) >= 0


def is_positive(size: str) -> bool:
    """Whether a size is 1 or more whatever its names stand for, where it is a whole number."""
    factors = terms(size).values()
    divided = any(factor.denominator > 1 for factor in factors) and min(factors) >= 0
    return divided or is_never_negative(sum_of(size, "1", -1))


def terms(text: str) -> Terms:
    """The terms of a size. Raises ValueError where the text is none."""
    total: Terms = {}
    names: list[str] = []
    factor, pending, at = Fraction(1), "+", 0
    wants_value = True
    while at < len(text):
        found = _PART.match(text, at)
        if found is None or (found["sign"] is None) != wants_value:
            raise ValueError(f"{text!r} is not a size")
        at, wants_value = found.end(), not wants_value
        if sign := found["sign"]:
            if sign in "+-":
                _add(total, names, factor)
                names, factor = [], Fraction(-1 if sign == "-" else 1)
            pending = sign
        elif name := found["name"]:
            if pending == "/":
                raise ValueError(f"{text!r} is not a size: '/' stands before whole numbers only")
            names.append(name)
        else:
            number = int(found["number"])
            if pending == "/" and not number:
                raise ValueError(f"{text!r} divides by 0")
            factor = factor / number if pending == "/" else factor * number
    if wants_value:
        raise ValueError(f"{text!r} is not a size")
    _add(total, names, factor)
    return total


def _add(total: Terms, names: list[str], factor: Fraction) -> None:
    product = tuple(sorted(names))
    total[product] = total.get(product, Fraction(0)) + factor


def _text(found: Terms) -> str:
    parts: list[str] = []
    for product, factor in sorted(found.items(), key=lambda one: (not one[0], one[0])):
        if not factor:
            continue
        size = abs(factor)
        whole = [str(size.numerator)] if size.numerator != 1 or not product else []
        text = "*".join([*whole, *product])
        text += f"/{size.denominator}" if size.denominator != 1 else ""
        parts.append(("-" if factor < 0 else "+") + text)
    joined = "".join(parts) or "+0"
    return joined.removeprefix("+")
