"""Arithmetic in float64, value by value, as ONNX operators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rnnspec.to_onnx.emitter import BOOL, DOUBLE, INT64, Emitter

Value = str | float
"""A value of the graph, or a constant."""


@dataclass(frozen=True, slots=True)
class Doubles:
    """Operators on float64 values; those that they give are called after `name`."""

    emit: Emitter
    name: str

    def of(self, value: Value) -> str:
        return value if isinstance(value, str) else self.emit.number(value, DOUBLE)

    def op(self, kind: str, *values: Value) -> str:
        """An operator on values and constants."""
        return self.emit.op(kind, list(map(self.of, values)), f"{self.name}.{kind.lower()}")

    def add(self, *values: Value) -> str:
        first, second, *others = values
        found = self.op("Add", first, second)
        return self.add(found, *others) if others else found

    def sub(self, a: Value, b: Value) -> str:
        return self.op("Sub", a, b)

    def mul(self, *values: Value) -> str:
        first, second, *others = values
        found = self.op("Mul", first, second)
        return self.mul(found, *others) if others else found

    def div(self, a: Value, b: Value) -> str:
        return self.op("Div", a, b)

    def exp(self, a: Value) -> str:
        return self.op("Exp", a)

    def log(self, a: Value) -> str:
        return self.op("Log", a)

    def where(self, flag: str, a: Value, b: Value) -> str:
        return self.emit.op("Where", [flag, self.of(a), self.of(b)], f"{self.name}.where")

    def polynomial(self, x: str, coefficients: Sequence[float]) -> str:
        """By Horner's rule, the highest power first."""
        found: Value = coefficients[0]
        for each in coefficients[1:]:
            found = self.add(self.mul(found, x), each)
        return self.of(found)

    def whole(self, value: str) -> str:
        """A value from 0 on, without its fraction."""
        number = self.emit.cast(value, DOUBLE, INT64, f"{self.name}.number")
        return self.emit.cast(number, INT64, DOUBLE, f"{self.name}.whole")

    def flags(self, flag: str, kind: int = DOUBLE) -> str:
        """1 where something holds, else 0."""
        return self.emit.cast(flag, BOOL, kind, f"{self.name}.flags")
