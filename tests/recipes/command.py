"""`rnnspec hello NAME`."""

from tests.recipes import Edit, Recipe

RECIPE = Recipe(
    row="a command",
    edits=(
        Edit(
            "rnnspec/cli/hello.py",
            '''"""`rnnspec hello`."""

from __future__ import annotations

from rnnspec.cli.options import examples
from rnnspec.errors import DataError

EXAMPLES = examples("rnnspec hello you")


def hello(name: str) -> None:
    """Greet."""
    if name == "nobody":
        raise DataError("nobody: greets nobody; name somebody")
    print(f"hello {name}")
''',
        ),
        Edit(
            "rnnspec/cli/app.py", "from rnnspec.cli import hello\n", "from rnnspec.cli import list"
        ),
        Edit(
            "rnnspec/cli/app.py",
            "app.command(epilog=hello.EXAMPLES)(hello.hello)\n",
            "app.command(epilog=new.EXAMPLES)",
        ),
    ),
    program="""
import subprocess, sys
def run(*words):
    return subprocess.run([sys.executable, "-m", "rnnspec", *words], capture_output=True, text=True)
assert run("hello", "you").stdout == "hello you\\n"
wrong = run("hello", "nobody")
assert wrong.returncode == 2 and "name somebody" in wrong.stderr, wrong
assert "rnnspec hello you" in run("hello", "--help").stdout
""",
    tests=("tests/test_layers.py -k 'imports_go_down or loaded'",),
)
