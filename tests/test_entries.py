"""The reference of keys: every one has an example that is correct and not the default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rnnspec.errors import SpecError
from rnnspec.source.emit import flow, to_yaml
from rnnspec.source.text import Source
from rnnspec.source.yaml12 import load
from rnnspec.spec.choice import HIDDEN
from rnnspec.spec.entries import Entry, entries
from rnnspec.spec.examples import Data, example_of, examples_of, refused_of, yaml_of
from rnnspec.spec.load import load_source, resolved_yaml
from rnnspec.spec.spec import Spec
from rnnspec.spec.walk import kinds
from tests.cli import right, wrong

IDS = [f"{entry.names[-1]}" for entry in entries()]


def test_every_key_has_an_entry() -> None:
    keys = {
        (kind.model, field.alias or name)
        for kind in kinds()
        for name, field in kind.model.model_fields.items()
    }
    found = {(kind.model, entry.key) for entry in entries() for kind in entry.kinds}
    valued = {(model, model.name) for model, key in keys if key.startswith(HIDDEN)}  # type: ignore[attr-defined]
    assert found == {(m, key) for m, key in keys if not key.startswith(HIDDEN)} | valued


@pytest.mark.parametrize("entry", entries(), ids=IDS)
def test_every_key_has_an_example_that_is_correct(entry: Entry) -> None:
    """Where one is missing: add it to rnnspec/spec/examples.yaml."""
    assert example_of(entry), f"{entry.names[-1]} has no example in rnnspec/spec/examples.yaml"
    there = list(examples_of(entry))
    for example in there:
        spec = checked(example.whole)
        resolved = Source.of(resolved_yaml(spec), "resolved.yaml")  # as a build keeps it
        assert load_source(resolved, Path("resolved.yaml")).spec == spec
        value: Any = example.whole
        for part in example.path:
            value = value[part]
        assert flow(value) != entry.default
        assert load(yaml_of(example.shown), "").data == example.shown


def checked(spec: Data) -> Spec:
    text = to_yaml(spec)
    return load_source(Source.of(text, "spec.yaml"), Path("spec.yaml")).spec


REFUSED = [(entry, refused) for entry in entries() if (refused := refused_of(entry))]


@pytest.mark.parametrize(("entry", "refused"), REFUSED, ids=[e.names[-1] for e, _ in REFUSED])
def test_what_has_no_effect_is_refused(entry: Entry, refused: Any) -> None:
    with pytest.raises(SpecError) as caught:
        checked(refused.whole)
    assert "has no effect" in str(caught.value), str(caught.value)
    assert entry.key in str(caught.value)


def test_a_key_is_explained_in_the_terminal() -> None:
    page = right("explain", "merge")
    places = "encoder.layers.merge, encoders.layers.merge, decoder.layers.merge, and 2 more places"
    assert page.replace("\n", " ").startswith(f"{places}    of cell ")
    assert "  no effect  with 'direction: forward', which has one output\n" in page
    assert page.endswith("- {cell: gru, units: 32, direction: bidirectional, merge: sum}\n")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("dropout", "encoder.layers.dropout"),  # a name that several places have
        ("encoder.layers[0].units", "Width of the state"),
        ("decoder.layers.units", "Width of the state"),
        ("audio.rate", "Samples a second"),
        ("bidirectional", "rnnspec explain encoder.layers.direction"),
        ("cosine", "half a cosine"),
        ("optimizer.adam", "lr, betas, eps"),
        ("slstm", "rnnspec show --cell slstm"),
        ("bio", "data.output.scheme: bio"),
    ],
)
def test_what_can_be_explained(wanted: str, found: str) -> None:
    assert found in right("explain", wanted)


@pytest.mark.parametrize(
    ("wanted", "meant"),
    [("epcohs", "epochs"), ("hidden_size", "units"), ("train.bach", "train.batch")],
)
def test_a_misspelt_key_is_corrected(wanted: str, meant: str) -> None:
    assert f"did you mean {meant!r}?" in wrong("explain", wanted)


def test_an_unknown_key_leads_to_the_list() -> None:
    assert "list all keys with: rnnspec explain" in wrong("explain", "qqqq")


def test_the_tree_has_every_key_once() -> None:
    lines = right("explain").splitlines()
    assert sum(line.startswith("train ") for line in lines) == 1
    assert sum(line.split()[0] == "recurrent_dropout" for line in lines) == 1
    assert any(line.split()[:3] == ["layers", "as", "encoder.layers"] for line in lines)
    assert all(len(line) <= 100 for line in lines)
