"""The function `cube(v)`."""

from tests.recipes import Edit, Recipe

RECIPE = Recipe(
    row="a function for equations",
    edits=(
        Edit("rnnspec/cells/functions.py", '    Function("cube", 1, "v * v * v"),\n', '"softsign"'),
        Edit(
            "rnnspec/cells/bounds.py",
            '    "cube": lambda v: Range(v.low**3, v.high**3) if v.size < 1e6 else _ANY,\n',
            '    "tanh": lambda',
        ),
        Edit("rnnspec/reference/functions.py", '    "cube": lambda v: v**3,\n', '"softsign"'),
        Edit(
            "rnnspec/to_torch/functions.py",
            '    "cube": _with_out(lambda v: v * v * v),\n',
            '    "softsign"',
        ),
        Edit(
            "rnnspec/to_torch/derivatives.py",
            '    "cube": (Local(lambda g, v, out: torch.mul(g, 3 * v * v, out=out), (0,)),),\n',
            '    "softsign"',
        ),
        Edit(
            "rnnspec/to_onnx/functions.py",
            '    "cube": lambda emit, v, name, width:'
            ' emit.op("Mul", [v[0], emit.op("Mul", [v[0], v[0]], f"{name}.square")], name),\n',
            '    "softsign"',
        ),
    ),
    tests=("tests/test_to_onnx_functions.py", "tests/test_cells.py -k function"),
)
