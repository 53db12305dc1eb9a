"""The functions of C over all of float32, against NumPy in float64."""

from __future__ import annotations

import ctypes
import subprocess
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rnnspec.cells import FUNCTIONS as KNOWN
from rnnspec.export.compiled import FLAGS, compiler
from rnnspec.reference.functions import OPERATIONS as EXACT
from rnnspec.reference.functions import STRUCTURAL
from rnnspec.to_c.expressions import OPERATIONS, Expression
from rnnspec.to_c.functions import OF_VECTORS, called_in

UNARY = [name for name, each in KNOWN.items() if each.elementwise and each.arity == 1]
POSITIVE = ("log", "sqrt")
RELATIVE = ("exp", "sigmoid", "tanh", "softplus", "sqrt", "softsign", "silu", "elu", "abs")
"""Functions with all digits of a value near 0."""


def test_every_function_of_equations_is_there() -> None:
    assert KNOWN.keys() <= OPERATIONS.keys() | OF_VECTORS.keys()
    assert EXACT.keys() == OPERATIONS.keys() | OF_VECTORS.keys() | STRUCTURAL.keys() | {"matmul"}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("functions")
    texts = [OPERATIONS[name](Expression("v[j]")).text for name in UNARY]
    lines = ["#include <math.h>", "#include <stdint.h>", *called_in(texts)]
    for name, text in zip(UNARY, texts, strict=True):
        head = f"void all_{name}(const float *v, float *out, int count)"
        lines += [f"{head};", head, f"{{ for (int j = 0; j < count; j++) out[j] = {text}; }}"]
    (folder / "f.c").write_text("\n".join(lines) + "\n")
    command = [*compiler(), *FLAGS, "-fPIC", "-shared", "-o", "f.so", "f.c", "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "f.so"))


def numbers() -> NDArray[np.float32]:
    """Of every size, near 0 and at the ends of what exp can be taken of."""
    sizes = np.geomspace(1e-30, 1e30, 4001)
    near = np.concatenate([np.linspace(-20, 20, 20001), np.linspace(-90, 90, 9001)])
    return np.concatenate([sizes, -sizes, near, [0.0, -0.0]]).astype(np.float32)


@pytest.mark.parametrize("name", UNARY)
def test_a_function_has_the_digits_of_float32(library: Any, name: str) -> None:
    v = numbers()
    if name in POSITIVE:
        v = np.abs(v) + np.float32(1e-30)
    got = np.zeros_like(v)
    call = getattr(library, f"all_{name}")
    call(ctypes.c_void_p(v.ctypes.data), ctypes.c_void_p(got.ctypes.data), len(v))
    with np.errstate(over="ignore"):
        expected = np.asarray(EXACT[name](v.astype(np.float64)), np.float64)
        fits = np.abs(expected) < 3e38
    tiny = 1e-35 if name in RELATIVE else 3e-7
    np.testing.assert_allclose(got[fits], expected[fits], rtol=4e-7, atol=tiny)
    assert (np.isinf(got) | (np.abs(got) > 1e38))[~fits].all()


def test_what_is_no_number_stays_none(library: Any) -> None:
    v, got = np.full(8, np.nan, np.float32), np.zeros(8, np.float32)
    for name in ("exp", "tanh", "sigmoid"):
        call = getattr(library, f"all_{name}")
        call(ctypes.c_void_p(v.ctypes.data), ctypes.c_void_p(got.ctypes.data), len(v))
        assert np.isnan(got).all(), name
