"""The logarithm of the hyperbolic cosine of an error."""

from tests.recipes import Edit, Recipe

RECIPE = Recipe(
    row="a loss",
    edits=(
        Edit(
            "rnnspec/spec/losses.py",
            '''class LogCosh(Option, name="log_cosh"):
    """The logarithm of the hyperbolic cosine of the error."""


''',
            before="class Huber(",
        ),
        Edit(
            "rnnspec/spec/losses.py",
            "OfNumbers = LogCosh | AutoLoss | ",
            instead="OfNumbers = AutoLoss | ",
        ),
        Edit(
            "rnnspec/spec/losses.py",
            "\nLoss = LogCosh | AutoLoss | ",
            instead="\nLoss = AutoLoss | ",
        ),
        Edit("rnnspec/spec/metrics.py", '("log_cosh", "mse", ', instead='("mse", '),
        Edit(
            "rnnspec/objective/losses.py",
            "import AUTO, LogCosh, AbsoluteError, ",
            instead="import AUTO, AbsoluteError, ",
        ),
        Edit(
            "rnnspec/objective/losses.py",
            "        case LogCosh():\n            return (answers - true).cosh().log()\n",
            before="        case Huber():",
        ),
    ),
    program="""
import torch
from math import cosh, log
from rnnspec.objective.losses import numeric_loss
from rnnspec.spec.load import load_spec
from pathlib import Path
from rnnspec.spec.losses import LogCosh
found = numeric_loss(torch.tensor([1.0, 2.0]), torch.tensor([0.0, float("nan")]), LogCosh())
assert abs(float(found.sum()) - log(cosh(1.0))) < 1e-6
spec = '''
name: test
cardinality: 1:1
data: {train: x.csv, input: {column: x, as: number}, output: {column: y, as: number}}
train: {loss: log_cosh}
'''
Path("spec.yaml").write_text(spec)
assert load_spec(Path("spec.yaml")).spec.train.loss.name == "log_cosh"
""",
    tests=("tests/test_metrics_losses.py",),
)
