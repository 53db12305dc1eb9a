"""The functions that an equation may call.

Every back end has one table from these names to its own operations (`reference/functions.py`,
`to_torch/functions.py`, `to_onnx/functions.py`); a test keeps the tables complete.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Function:
    """`name(…)` of `arity` arguments.

    Element-wise functions compute each element from the elements at the same place; the others
    (`elementwise=False`) compute a vector from the whole vector, of the same width.
    """

    name: str
    arity: int
    formula: str
    elementwise: bool = True


_ALL = (
    Function("sigmoid", 1, "1 / (1 + exp(-v))"),
    Function("tanh", 1, "(exp(v) - exp(-v)) / (exp(v) + exp(-v))"),
    Function("relu", 1, "max(v, 0)"),
    Function("softplus", 1, "log(1 + exp(v))"),
    Function("softsign", 1, "v / (1 + abs(v))"),
    Function("elu", 1, "v where v > 0, else exp(v) - 1 (Clevert 2016)"),
    Function("silu", 1, "v * sigmoid(v)"),
    Function("gelu", 1, "v * P(X <= v), X normal (Hendrycks 2016, the exact form)"),
    Function("hard_sigmoid", 1, "min(max(v / 6 + 1/2, 0), 1)"),
    Function("exp", 1, "e to the power v"),
    Function("log", 1, "natural logarithm"),
    Function("sqrt", 1, "square root"),
    Function("abs", 1, "absolute value"),
    Function("sin", 1, "sine"),
    Function("cos", 1, "cosine"),
    Function("floor", 1, "the largest whole number of at most v"),
    Function("max", 2, "the larger of two, element by element"),
    Function("min", 2, "the smaller of two, element by element"),
    Function("softmax", 1, "exp(v) / sum(exp(v)) over the vector", elementwise=False),
    Function(
        "layer_norm",
        1,
        "(v - mean(v)) / sqrt(var(v) + 1e-5) over the vector (Ba 2016), biased variance",
        elementwise=False,
    ),
)

FUNCTIONS: dict[str, Function] = {function.name: function for function in _ALL}
"""Every function an equation may call, by name."""

STRUCTURAL: dict[str, str] = {
    "outer": "the matrix of all products: v[i] * w[j] in row i, column j",
    "dot": "sum(v * w), one number",
    "sum": "the sum of a vector, one number",
    "concat": "vectors one behind the other",
    "transpose": "the matrix with rows and columns exchanged",
    "rows": "the matrix with v in every row, as wide as it is used",
    "columns": "the matrix with v in every column, as wide as it is used",
    "where": "the second where the first is not 0, else the third, element by element",
}
"""Functions whose value has a shape of its own, by name, and what they give. These names may also
be those of values: they are functions only before a bracket."""

LAYER_NORM_EPSILON = 1e-5
"""Added to the variance in `layer_norm`; as `torch.nn.functional.layer_norm` does by default."""
