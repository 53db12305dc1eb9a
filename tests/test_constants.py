"""Vectors and matrices of files in cells: the numbers of the file, as they are, everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from rnnspec.data import survey
from rnnspec.errors import DataError
from rnnspec.plan import resolve
from rnnspec.plan.facts_file import read_facts, write_facts
from rnnspec.spec import Spec
from rnnspec.spec.check import findings
from rnnspec.to_torch import Model

A, B = np.arange(16.0).reshape(4, 4) / 7, np.arange(4.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    np.save(tmp_path / "a.npy", A)
    np.savez(tmp_path / "a.npz", A=A, B=B)
    save_file({"A": A.astype(np.float32)}, tmp_path / "a.safetensors")
    np.save(tmp_path / "nan.npy", np.full((4, 4), np.nan))
    np.save(tmp_path / "texts.npy", np.array(["a"]))
    (tmp_path / "a.txt").write_text("1 2")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "a.npy").read_bytes()[:100])
    (tmp_path / "rows.csv").write_text("word,kind\na,x\nb,y\n")
    return tmp_path


def spec_of(constants: dict[str, Any], units: int = 4, heads: int = 1) -> Spec:
    cell = {"states": ["h"], "equations": "h = tanh(W @ x + A @ h + b_f)", "constants": constants}
    spec = Spec.model_validate(
        {
            "name": "test",
            "cardinality": "N:1",
            "data": {
                "train": "rows.csv",
                "input": {"column": "word", "as": "chars"},
                "output": {"column": "kind", "as": "class"},
            },
            "cells": {"own": cell},
            "encoder": {"layers": [{"cell": "own", "units": units, "heads": heads}]},
        }
    )
    assert not list(findings(spec))
    return spec


@pytest.mark.parametrize(
    ("constants", "heads"),
    [
        ({"A": {"file": "a.npy"}}, 1),
        ({"A": {"file": "a.npz", "tensor": "A"}, "b_f": {"file": "a.npz", "tensor": "B"}}, 1),
        ({"A": {"file": "a.safetensors", "shape": ["units", "units"]}}, 3),
    ],
)
def test_a_constant_is_what_stands_in_the_file(
    folder: Path, constants: dict[str, Any], heads: int
) -> None:
    spec = spec_of(constants, 4 * heads, heads)
    facts = survey(spec, folder / "rows.csv", folder=folder)
    write_facts(folder, facts)
    assert read_facts(folder) == facts
    model = Model(resolve(spec, facts))
    model.start(facts, 0)
    held = {name.rpartition(".")[2]: array for name, array in model.canonical_arrays().items()}
    np.testing.assert_array_equal(held["A"], np.tile(A, (heads, 1)).astype(np.float32))
    if "b_f" in constants:
        np.testing.assert_array_equal(held["b_f"], B)
    trained = {w for w, p in model.canonical() if p.requires_grad}
    assert not any(name.endswith(".A") for name in trained)
    np.save(folder / "a.npy", A + 1)
    if "a.npy" in str(constants):
        with pytest.raises(DataError, match="has changed since this build was begun"):
            model.start(facts, 0)


@pytest.mark.parametrize(
    ("constant", "message"),
    [
        ({"file": "none.npy"}, "none.npy: cannot be read: No such file"),
        ({"file": "a.txt"}, "a constant is read from .npy, .npz or .safetensors"),
        ({"file": "cut.npy"}, "is no whole .npy file of numbers"),
        ({"file": "nan.npy"}, "holds numbers that are not finite"),
        ({"file": "texts.npy"}, r"holds <U1 \[1\], expected real numbers of at most two axes"),
        ({"file": "a.npz"}, r"holds 2 tensors \(there are: A, B\); name one with 'tensor'"),
        ({"file": "a.npz", "tensor": "C"}, "has no tensor 'C'"),
        ({"file": "a.npy", "tensor": "A"}, "holds one array; remove 'tensor'"),
        ({"file": "a.npz", "tensor": "B"}, "holds 4 numbers, and the equations need 4 x 4"),
    ],
)
def test_a_file_that_does_not_fit_is_told_with_its_place(
    folder: Path, constant: dict[str, Any], message: str
) -> None:
    spec = spec_of({"A": constant})
    with pytest.raises(DataError, match=message) as told:
        resolve(spec, survey(spec, folder / "rows.csv", folder=folder))
    assert str(told.value).startswith("cells.own.constants.A: ")
