"""`rnnspec show`: pictures of models, pages of cells."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from rnnspec.source.characters import display_width
from tests.cli import SPEC, right, write_world, wrong

OWN = SPEC.replace("cell: gru, units: 8", "cell: damped, units: 8, sizes: {memory: 3}") + (
    """\
cells:
  damped:
    states: {h: memory}
    sizes: [memory]
    equations: |
      h = tanh(W @ x + U @ h + b)
"""
)


@pytest.fixture(autouse=True)
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with specs and data; a terminal of 80 columns."""
    write_world(tmp_path)
    (tmp_path / "own.yaml").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


# ---------------------------------------------------------------- the model


def test_the_diagram_is_that_of_the_plan() -> None:
    drawn = right("show", "colours.yaml", "--diagram")
    for name in ("input.text", "embed", "layers.0", "pool", "answer", "output.colour"):
        assert f"│ {name} " in drawn
    wide = right("show", "colours.yaml", "--diagram", "--set", "encoder.layers.0.units=77")
    assert "77 units, first step to last" in wide


def test_the_diagram_keeps_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "44")
    assert max(map(display_width, right("show", "colours.yaml", "--diagram").splitlines())) <= 44


def test_the_svg_is_written_whole(world: Path) -> None:
    assert right("show", "colours.yaml", "--svg", "model.svg") == "wrote model.svg\n"
    root = ElementTree.parse(world / "model.svg").getroot()
    assert "layers.0" in "".join(root.itertext())
    both = right("show", "sums.yaml", "--diagram", "--svg", "model.svg")
    assert "│ layers.0 " in both and both.endswith("wrote model.svg\n")
    assert "frames of 2" in "".join(ElementTree.parse(world / "model.svg").getroot().itertext())


def test_an_svg_that_cannot_be_written_is_an_error() -> None:
    assert "cannot be written" in wrong("show", "colours.yaml", "--svg", "nowhere/model.svg")


# ---------------------------------------------------------------- cells


def test_a_built_in_cell_needs_no_spec() -> None:
    page = right("show", "--cell", "gru")
    assert page.startswith("cell gru (built in)\n")
    assert "  inputs   64  by default; another with --inputs\n" in page
    assert "  units   128  by default; another with --units\n" in page
    sized = right("show", "--cell", "gru", "--units", "5", "--inputs", "3")
    assert "  inputs  3\n  units   5\n" in sized


def test_a_cell_of_the_spec_takes_the_sizes_of_its_layer() -> None:
    page = right("show", "own.yaml", "--cell", "damped")
    assert page.startswith("cell damped (of colours)\n")
    assert "  units    8  as in encoder.layers[0]\n" in page
    assert "  memory   3  as in encoder.layers[0]\n" in page
    other = right("show", "own.yaml", "--cell", "damped", "--size", "memory=5")
    assert "  memory   5\n" in other


def test_a_cell_page_reads_no_data(world: Path) -> None:
    (world / "train.jsonl").unlink()
    assert "cell damped" in right("show", "own.yaml", "--cell", "damped")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cell", "gruu"], "unknown cell 'gruu'; did you mean 'gru'?"),
        (["--cell", "q"], "for one of a spec's own: rnnspec show SPEC --cell NAME"),
        (["own.yaml", "--cell", "dampd"], "did you mean 'damped'?"),
        (["own.yaml", "--cell", "zzz"], ", damped\n"),
        (["own.yaml", "--cell", "damped", "--size", "memry=3"], "did you mean 'memory'?"),
        (["own.yaml", "--cell", "gru", "--size", "memory=3"], "it has none"),
        (["own.yaml", "--cell", "damped", "--size", "memory"], "a whole number of at least 1"),
        (["own.yaml", "--cell", "damped", "--size", "memory=0"], "a whole number of at least 1"),
        (["--cell", "gru", "--diagram"], "--diagram and --svg draw a model; leave out --cell"),
        (["colours.yaml", "--units", "3"], "add --cell NAME"),
        (["colours.yaml", "--size", "a=3"], "add --cell NAME"),
        ([], "name a spec or a build, or a cell with --cell NAME"),
        (["--cell", "gru", "--units", "0"], "Invalid value for '--units'"),
        (["--cell", "gru", "--set", "train.epochs=1"], "--set is for a spec"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: list[str], message: str) -> None:
    assert message in wrong("show", *arguments)


def test_a_build_is_drawn_as_it_was_built(world: Path) -> None:
    right("build", "colours.yaml", "--set", "encoder.layers.0.units=9")
    (world / "train.jsonl").unlink()
    assert "9 units, first step to last" in right("show", "builds/colours", "--diagram")
    assert "  units    9  as in encoder.layers[0]\n" in right(
        "show", "builds/colours", "--cell", "gru"
    )
    assert "--set is for a spec" in wrong("show", "builds", "--diagram", "--set", "train.epochs=1")
