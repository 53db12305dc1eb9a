"""Expressions of C, with brackets where they are needed only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rnnspec.to_c.text import number

SUM, PRODUCT, ATOM = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Expression:
    """A text, and how closely it is bound: as a sum, as a product or by itself."""

    text: str
    binds: int = ATOM

    def within(self, least: int) -> str:
        """The text as an operand that must be bound so closely."""
        return self.text if self.binds >= least else f"({self.text})"


def literal(value: float) -> Expression:
    text = number(value)
    return Expression(text, PRODUCT if text.startswith("-") else ATOM)


def _sum(sign: str) -> Callable[..., Expression]:
    def of(one: Expression, other: Expression) -> Expression:
        return Expression(f"{one.within(SUM)} {sign} {other.within(PRODUCT)}", SUM)

    return of


def _product(sign: str) -> Callable[..., Expression]:
    def of(one: Expression, other: Expression) -> Expression:
        return Expression(f"{one.within(PRODUCT)} {sign} {other.within(ATOM)}", PRODUCT)

    return of


def _call(name: str) -> Callable[..., Expression]:
    return lambda *args: Expression(f"{name}({', '.join(arg.text for arg in args)})")


OPERATIONS: Mapping[str, Callable[..., Expression]] = {
    "add": _sum("+"),
    "sub": _sum("-"),
    "mul": _product("*"),
    "div": _product("/"),
    "neg": lambda one: Expression(f"-{one.within(ATOM)}", PRODUCT),
    "pow": _call("powf"),
    "log": _call("logf"),
    "sqrt": _call("sqrtf"),
    "abs": _call("fabsf"),
    "sin": _call("sinf"),
    "cos": _call("cosf"),
    "floor": _call("floorf"),
    "less": lambda one, other: Expression(f"({one.text} < {other.text} ? 1.0f : 0.0f)"),
    "at_most": lambda one, other: Expression(f"({one.text} <= {other.text} ? 1.0f : 0.0f)"),
    "select": lambda flag, one, other: Expression(
        f"({flag.within(SUM)} != 0.0f ? {one.text} : {other.text})"
    ),
    **{
        name: _call(f"rs_{name}")
        for name in (
            "sigmoid", "tanh", "relu", "softplus", "softsign", "elu", "silu", "gelu",
            "hard_sigmoid", "exp", "max", "min",
        )
    },
}  # fmt: skip
"""Operations of equations on single numbers."""


def activated(activation: str, value: str) -> str:
    """An activation of a plan, or "none", of an expression."""
    return value if activation == "none" else OPERATIONS[activation](Expression(value)).text
