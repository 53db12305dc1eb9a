"""The uniform draw of sampling: u(seed, step), the same in every back end.

A draw depends on nothing but the row's own seed, any int64, and the step. Steps are counted from 0
at the first step of the search: a prompt is not counted, a forced prefix is. There is no state, so
that draws can be made in any order.

With p and q the primes `P` and `Q`, p congruent to 2 modulo 3, so that cubing permutes the
numbers below p, and c(v) = v * v mod p * v mod p:

    a  = c(seed mod p + g)                   from the seed alone: `keys`
    b  = c(a + seed mod q)
    v  = c(step mod p + b)                   from the step: `bits`
    v  = c(v + a)
    v  = c(v + b)
    u  = (v mod 2^23) / 2^23

with g = 663608941, the golden section of 2^30, so that small seeds are no small numbers.

It is a block cipher of cubes with the step as its text (MiMC, Albrecht et al. 2016, with three
rounds and keys of the seed): draws of neighbouring seeds and steps have nothing in common, which a
test holds. `mod` is never negative, as Python's % and the Mod of ONNX with fmod 0. Every
intermediate is below 2^63: sums are below 2^31 and squared at once. 23 bits, so that u is a float32
without rounding.
"""

from __future__ import annotations

from typing import Any, TypeVar

P = 1_073_741_789
Q = 1_073_741_741
GOLDEN = 663_608_941
BITS = 23

Integers = TypeVar("Integers")
"""An int, or an array or tensor of int64: only +, * and % are used."""


def keys(seed: Integers) -> tuple[Integers, Integers]:
    """The two numbers a and b below `P` of a seed."""
    given: Any = seed
    a = _cube(given % P + GOLDEN)
    return a, _cube(a + given % Q)


def bits(of_seed: tuple[Integers, Integers], step: int) -> Integers:
    """The draw of a step as an integer below 2**23, from the `keys` of a seed."""
    a: Any
    b: Any
    a, b = of_seed
    mixed = _cube(_cube(_cube(b + step % P) + a) + b)
    drawn: Integers = mixed % (1 << BITS)
    return drawn


def uniform(seed: int, step: int) -> float:
    """u(seed, step) in [0, 1)."""
    return bits(keys(seed), step) / (1 << BITS)


def _cube(value: Any) -> Any:
    """The cube modulo `P` of a value below 2**31."""
    return value * value % P * value % P
