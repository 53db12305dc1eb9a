"""The command line: documentation, errors, and the commands that need no training."""

from __future__ import annotations

import errno
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from rnnspec import __version__
from rnnspec.cells import identify
from rnnspec.cli.app import app
from rnnspec.cli.terminal import problem_text, table
from rnnspec.demo.starter import KINDS, spec_text
from rnnspec.errors import SpecError
from rnnspec.plan.builder import cell_of
from rnnspec.source.problems import Problem, Span
from rnnspec.spec.load import load_spec
from tests.cli import right, rnnspec, write_world, wrong
from tests.manual import blocks, small_worlds

ROOT = Path(__file__).parent.parent
GROUP = typer.main.get_command(app)
COMMANDS = dict(GROUP.commands)  # type: ignore[attr-defined]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with specs and data."""
    write_world(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---------------------------------------------------------------- documentation


def test_the_commands_are_those_of_the_design() -> None:
    assert list(COMMANDS) == [
        "new",
        "check",
        "show",
        "explain",
        "data",
        "build",
        "import",
        "tune",
        "list",
        "compare",
        "evaluate",
        "export",
        "run",
        "bench",
        "schema",
    ]


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_explains_itself_and_every_option(name: str) -> None:
    text = right(name, "--help")
    for parameter in COMMANDS[name].params:
        about = getattr(parameter, "help", None)
        assert about and about[0].isupper() and about.endswith("."), parameter.name
        assert about.split()[-1] in text
    listed = re.search(rf"^  {name} +(.*)$", right("--help"), flags=re.MULTILINE)
    assert listed and listed[1].endswith(".") and not listed[1].endswith("..."), "too long"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_examples_of_a_command_name_its_own_options(name: str) -> None:
    options = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    examples = COMMANDS[name].epilog.partition("Examples:")[2].strip().splitlines()
    assert examples
    for example in examples:
        words = shlex.split(example.strip())
        assert words[words.index("rnnspec") + 1] == name
        assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("name", COMMANDS)
def test_the_manual_shows_every_command(name: str) -> None:
    assert f"| `rnnspec {name}" in (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def test_the_spec_in_the_readme_is_right(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (spec,) = re.findall(r"^```yaml\n(.*?)^```", readme, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "spec.yaml").write_text(spec, encoding="utf-8")
    (tmp_path / "starter.yaml").write_text(spec_text("dates-iso"), encoding="utf-8")
    assert load_spec(tmp_path / "spec.yaml").spec == load_spec(tmp_path / "starter.yaml").spec


def test_the_cell_in_the_manual_has_native_kernels(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
    (tmp_path / "own.yaml").write_text(
        next(each.text for each in blocks(page) if each.file == "own.yaml"), "utf-8"
    )
    own = load_spec(tmp_path / "own.yaml").spec
    match = identify(cell_of(own, "my_gru"))
    assert match is not None and match.pattern == "gru_reset_before"


def test_version() -> None:
    assert right("--version") == f"rnnspec {__version__}\n"


def test_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rnnspec", "--version"], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stdout) == (0, f"rnnspec {__version__}\n")


# ---------------------------------------------------------------- wrong use


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["biuld"], "Did you mean 'build'?"),
        (["build", "x.yaml", "--resum"], "--resume"),
        (["build", "x.yaml", "--epochs", "3"], "like --set train.epochs=3"),
        (["schema", "--epochs"], "No such option: --epochs\n"),
        (["build"], "Missing argument 'SPEC'"),
        (["export", "--opset", "x"], "Invalid value for '--opset'"),
        (["schema", "extra"], "unexpected extra argument"),
        (["export"], "name one format: --onnx, --c DIR or --triton DIR"),
        (["export", "--onnx", "--c", "x"], "name one format"),
        (["export", "--c", "x", "--opset", "20"], "--opset is for --onnx; leave it out"),
        (["export", "--c", "x", "--max-loss", "1 %"], "--max-loss is for --onnx; leave it out"),
        (["schema", "--check", "a", "--output", "b"], "give one"),
        (["build", "x.yaml", "--resume", "--no-train"], "give one"),
        (["run", "m.onnx", "--text", "a", "--data", "b"], "give one"),
        (["show", ".", "--set", "train.epochs=1"], "a build stays as it was built"),
        (["show", "."], "no build here; make one with: rnnspec build SPEC"),
        (["evaluate"], "no build here"),
        (["evaluate", "nowhere"], "nowhere: no such build folder"),
        (["run", "missing.onnx"], "there is no such file"),
        (["run", "train.jsonl"], "not an ONNX file"),
        (["new", "dates-langage"], "did you mean 'dates-language'?"),
        (["build", "colours.yaml", "--resume"], "nothing to resume"),
    ],
)
def test_wrong_use_is_explained(world: Path, arguments: list[str], message: str) -> None:
    assert message in wrong(*arguments)


def test_no_command_shows_the_help() -> None:
    assert "Commands:" in wrong()


def test_bad_data_is_an_error_with_its_place(world: Path) -> None:
    (world / "train.jsonl").write_text(
        '{"text": "a", "colour": "red"}\n{"text": 3, "colour": "blue"}'
    )
    for command in ("show", "build"):
        assert wrong(command, "colours.yaml").startswith("error: train.jsonl:2: column 'text'")


def test_missing_data_stops_show_but_not_check(world: Path) -> None:
    (world / "train.jsonl").unlink()
    assert (
        right("check", "colours.yaml") == "colours.yaml: ok; note: no data file train.jsonl yet\n"
    )
    assert "train.jsonl" in wrong("show", "colours.yaml")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, which is of Linux")
@pytest.mark.parametrize("way", ["> /dev/full", "--output /dev/full"])
def test_a_full_disk_is_an_error(way: str) -> None:
    done = subprocess.run(
        f"{sys.executable} -m rnnspec schema {way}",
        shell=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert os.strerror(errno.ENOSPC) in done.stderr
    assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr


def test_a_reader_that_leaves_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} -m rnnspec schema | :",
        shell=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stderr == ""


# ---------------------------------------------------------------- check, show, schema, new


def test_check_says_ok_for_each_file(world: Path) -> None:
    assert right("check", "colours.yaml", "sums.yaml") == "colours.yaml: ok\nsums.yaml: ok\n"


def test_check_shows_all_problems_of_all_files_at_once(world: Path) -> None:
    (world / "a.yaml").write_text("nam: x\n")
    (world / "b.yaml").write_text("- 1\n")
    said = rnnspec("check", "a.yaml", "colours.yaml", "b.yaml", "c.yaml", "--set", "train.epoch=2")
    assert said.code == 2
    assert said.out == ""  # the wrong --set is wrong for every file
    for start in ("a.yaml:1:1: nam: unknown key", "b.yaml:1:1: ", "c.yaml:1:1: ", "--set:1:7: "):
        assert sum(line.startswith(start) for line in said.err.splitlines()) == 1, said.err
    assert re.search(r"^\d+ problems$", said.err, flags=re.MULTILINE)


def test_show_prints_the_plan_with_overrides(world: Path) -> None:
    plan = right("show", "colours.yaml", "--set", "encoder.layers.0.units=5")
    assert plan.startswith("plan colours (N:1)")
    assert "units=5" in plan and "cell gru" in plan


def test_schema_is_printed_written_and_checked(world: Path) -> None:
    printed = right("schema")
    assert printed == (ROOT / "schemas" / "rnnspec.schema.json").read_text(encoding="utf-8")
    right("schema", "--output", "s.json")
    assert Path("s.json").read_text(encoding="utf-8") == printed
    assert right("schema", "--check", "s.json") == "s.json: up to date\n"
    Path("s.json").write_text(printed + " ", encoding="utf-8")
    assert "rnnspec schema --output s.json" in wrong("schema", "--check", "s.json")
    assert "no-such" in wrong("schema", "--check", "no-such.json")
    assert "cannot be written" in wrong("schema", "--output", "no/such/folder.json")


def test_new_lists_its_kinds(world: Path) -> None:
    assert "dates-language  Which language is this date written in?" in right("new")


KINDS_OF_DATA = ("demand", "morse", "plates", "entities")
"""A starter of each kind of data but dates."""


def test_new_writes_a_starter_that_is_right(world: Path) -> None:
    said = right("new", "dates-language", "demo")
    spec = Path("demo/dates-language.yaml")
    assert f"wrote {spec}\n" in said and f"next: rnnspec build {spec}\n" in said
    assert right("check", spec) == f"{spec}: ok\n"
    assert right("schema", "--check", "demo/rnnspec.schema.json")
    assert "there already" in wrong("new", "dates-language", "demo")
    with small_worlds():
        others = {kind: right("new", kind, f"other/{kind}") for kind in KINDS_OF_DATA}
    for kind, printed in {"dates-language": said, **others}.items():
        (hint,) = (line for line in printed.splitlines() if "run" in line)
        *command, asked = hint.split()
        assert command == ["rnnspec", "run", f"{kind}.onnx", "--data"] and Path(asked).exists()


def test_starters_are_the_specs_of_their_names() -> None:
    """But for the first line, which names the schema."""
    for kind in KINDS:
        spec = (ROOT / "specs" / f"{kind}.yaml").read_text(encoding="utf-8")
        assert spec_text(kind).splitlines()[1:] == spec.splitlines()[1:]


# ---------------------------------------------------------------- the terminal


class Terminal:
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "colour"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colour_is_for_terminals_that_want_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], colour: bool
) -> None:
    from rnnspec.cli.terminal import has_colour

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert has_colour(Terminal()) is colour  # type: ignore[arg-type]
    assert not has_colour(open(os.devnull))  # noqa: SIM115


def test_colour_changes_no_word_of_a_problem(tmp_path: Path) -> None:
    spec = tmp_path / "wrong.yaml"
    spec.write_text("nam: x\ncardinality: N:1\n")
    with pytest.raises(SpecError) as caught:
        load_spec(spec)
    for problem in (*caught.value.problems, Problem("f", Span(1, 1), "", "m")):
        coloured = problem_text(problem, colour=True)
        assert "\x1b[" in coloured
        assert re.sub(r"\x1b\[\d*m", "", coloured) == problem.render()
        assert problem_text(problem, colour=False) == problem.render()


def test_a_table_is_aligned_in_cells_and_steers_no_terminal() -> None:
    text = table(("name", "n"), [("日本", "1"), ("a\x1b[2Jb", "1,000")])
    assert text.splitlines() == ["name        n", "日本        1", "a\ufffd[2Jb  1,000"]
