"""A cell without gates: a leaky integrator."""

from tests.recipes import Edit, Recipe

RECIPE = Recipe(
    row="a cell",
    edits=(
        Edit(
            "rnnspec/cells/builtin/leaky.yaml",
            """\
# A leaky integrator with one rate a unit.
name: leaky
paper: "Jaeger et al. 2007, Optimization and Applications of Echo State Networks with Leaky Units"
states: [h]
equations: |
  a = sigmoid(b_r)
  h = (1 - a) * h + a * tanh(W @ x + U @ h + b)
""",
        ),
        Edit("rnnspec/cells/library.py", '    "leaky",\n', after='    "rnn_relu",'),
    ),
    program="""
from rnnspec.cells import builtin_cell
from rnnspec.cells.page import page
cell = builtin_cell("leaky")
assert "leaky" in page(cell, cell.sizes(3, 5, {})).text()
""",
    tests=("tests/test_conformance.py -k leaky",),
)
