"""The logarithm of the hyperbolic cosine of an error."""

from tests.recipes import Edit, Recipe

RECIPE = Recipe(
    row="a loss",
    edits=(
        Edit("rnnspec/spec/train.py", 'Literal["log_cosh", "auto", ', instead='Literal["auto", '),
        Edit(
            "rnnspec/spec/check_train.py",
            'numbers = ("log_cosh", "mse", ',
            instead='numbers = ("mse", ',
        ),
        Edit(
            "rnnspec/objective/losses.py",
            'LossName = Literal["log_cosh", ',
            instead="LossName = Literal[",
        ),
        Edit(
            "rnnspec/objective/losses.py",
            '    "log_cosh": lambda answer, true: (answer - true).cosh().log(),\n',
            after="ERRORS: dict",
        ),
    ),
    program="""
import torch
from math import cosh, log
from rnnspec.objective.losses import numeric_loss
from rnnspec.spec.load import load_spec
from pathlib import Path
found = numeric_loss(torch.tensor([1.0, 2.0]), torch.tensor([0.0, float("nan")]), "log_cosh")
assert abs(float(found) - log(cosh(1.0))) < 1e-6
spec = '''
name: test
cardinality: 1:1
data: {train: x.csv, input: {column: x, as: number}, output: {column: y, as: number}}
train: {loss: log_cosh}
'''
Path("spec.yaml").write_text(spec)
assert load_spec(Path("spec.yaml")).spec.train.loss == "log_cosh"
""",
    tests=("tests/test_metrics_losses.py",),
)
