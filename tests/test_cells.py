"""The cell language: what equations mean, what is refused and where, which cells are the same."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnspec.cells import (
    FUNCTIONS,
    CellSource,
    ParameterSource,
    builtin_cell,
    builtin_names,
    builtin_text,
    compile_cell,
    identify,
    match,
)
from rnnspec.cells.graph import parameter_roles
from rnnspec.cells.initializers import Orthogonal, Spectral
from rnnspec.errors import CellError
from rnnspec.reference import step
from rnnspec.reference.functions import FUNCTIONS as NUMPY_FUNCTIONS
from rnnspec.to_onnx.functions import FUNCTIONS as ONNX_FUNCTIONS
from rnnspec.to_torch.functions import FUNCTIONS as TORCH_FUNCTIONS


def cell(equations: str, states: str = "h", **more: object) -> CellSource:
    return CellSource("mine", tuple(states.split()), equations, **more)  # type: ignore[arg-type]


def refused(source: CellSource) -> CellError:
    with pytest.raises(CellError) as caught:
        compile_cell(source)
    return caught.value


def test_a_states_name_means_its_old_value_until_it_is_assigned() -> None:
    compiled = compile_cell(cell("c = c + x_of\nh = c * h".replace("x_of", "b"), "h c"))
    states = {"h": np.array([2.0, 3.0]), "c": np.array([1.0, 1.0])}
    inputs = {"x": np.zeros(1)}
    after, out = step(compiled, {"b": np.array([10.0, 20.0])}, inputs, states)
    np.testing.assert_array_equal(after["c"], [11, 21])
    np.testing.assert_array_equal(after["h"], [22, 63])
    np.testing.assert_array_equal(out, after["h"])


def test_precedence_is_pythons() -> None:
    compiled = compile_cell(cell("h = -h ** 2 - 6 / 3 * h + (1 - h) * 2e-1"))
    value = np.array([0.5])
    after, _ = step(compiled, {}, {"x": np.zeros(1)}, {"h": value})
    np.testing.assert_allclose(after["h"], -(value**2) - 6 / 3 * value + (1 - value) * 2e-1)


def test_shapes_follow_from_use() -> None:
    compiled = compile_cell(
        CellSource(
            "mine",
            {"h": "small", "c": "units"},
            "c = tanh(W @ x + U @ h + b)\nh = P @ c * g_h",
            sizes=("small",),
        )
    )
    assert dict(compiled.parameters) == {
        "W": ("units", "inputs"),
        "U": ("units", "small"),
        "b": ("units",),
        "P": ("small", "units"),
        "g_h": ("small",),
    }
    assert compiled.output_size == "small"


def test_a_parameter_can_be_one_number_with_or_without_a_name_like_a_vectors() -> None:
    """3 * 2 + 0.5 and 3 * 4 + 0.5, and the same again."""
    for name in ("a", "b", "b_h", "A"):
        numbers = {name: ParameterSource(shape=()), "e_1": ParameterSource(shape=())}
        source = CellSource("mine", ["h"], f"h = {name} * h + e_1", parameters=numbers)
        compiled = compile_cell(source)
        assert dict(compiled.parameters) == {name: (), "e_1": ()}
        values = {name: np.array(3.0), "e_1": np.array(0.5)}
        after, _ = step(compiled, values, {"x": np.zeros(1)}, {"h": np.array([2.0, 4.0])})
        np.testing.assert_array_equal(after["h"], [6.5, 12.5])
        assert parameter_roles(compiled) == dict.fromkeys(values, "bias")


def test_the_file_of_a_built_in_cell_can_say_that_a_parameter_is_one_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "name: rnn\nstates: [h]\nparameters: {b: {shape: []}}\nequations: h = b * h + c_h\n"
    monkeypatch.setattr("rnnspec.cells.library.builtin_text", lambda name: text)
    found = builtin_cell.__wrapped__("rnn")
    assert dict(found.parameters) == {"b": (), "c_h": ("units",)}


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_a_cell_with_one_number_for_a_vector_is_not_the_built_in_one(name: str) -> None:
    """A kernel would take the number for a vector of units."""
    of = builtin_cell(name)
    for bias in (n for n, shape in of.parameters.items() if len(shape) == 1):
        source = CellSource(
            "mine", list(of.states), of.equations, of.output,
            parameters={bias: ParameterSource(shape=())},
        )  # fmt: skip
        assert identify(compile_cell(source)) is None, bias


@pytest.mark.parametrize(
    ("equations", "message", "line", "column"),
    [
        ("h = tanh(W @ x + U @ hh)", r"unknown name 'hh'; did you mean 'h'\?", 1, 22),
        ("h = W @ x + x", "shapes do not fit", 1, 1),
        ("y = tanh(W @ x)\nh = h", "y is computed but never used", 1, 1),
        ("h = a + h\na = h", "defined only on line 2", 1, 5),
        ("h = tanhh(h)", "did you mean 'tanh'", 1, 5),
        ("h = tanh(h, h)", "tanh takes 1 argument, 2 given", 1, 5),
        ("h = __import__('os')", "has no meaning in an equation", 1, 16),
        ("h = __import__(os)", "'__import__' is not a function", 1, 5),
        ("h = h.__class__", "has no meaning in an equation", 1, 6),
        ("h = " + "(" * 9_000 + "h" + ")" * 9_000, "nested deeper", 1, 66),
        ("h = " + "-" * 9_000 + "h", "nested deeper", 1, 66),
        ("h = " + "+".join("h" * 9_000), "more than 150 operators", 1, 307),
        ("h = " + "(" * 10_001 + "h" + ")" * 10_001, "longer than 20,000", 1, 1),
        ("h = h ** h", "exponent", 1, 7),
        ("h = U @ 2", "the right of U @ must be a vector or a matrix", 1, 7),
        ("h = W * h", "can only be applied with @", 1, 5),
        ("h = 1", "must be a vector", 1, 1),
        ("h = h\nh = x", "assigned twice, first on line 1", 2, 1),
        ("x = h", "x is an input of the step", 1, 1),
        ("units = U @ h\nh = h * units", "units is a size", 1, 1),
        ("h = where(0 < h < 1, h, b)", "one comparison at a time", 1, 17),
        ("h = tanh", "tanh is a function; call it", 1, 5),
        ("h h", "expected '='", 1, 3),
        ("h = (h", r"expected '\)'", 1, 7),
        ("h = softmax(1)", "softmax needs a vector", 1, 5),
        ("", "there are no equations", 1, 1),
    ],
)
def test_wrong_equations_are_refused_with_their_place(
    equations: str, message: str, line: int, column: int
) -> None:
    error = refused(cell(equations))
    assert re.search(message, error.message)
    assert (error.line, error.column) == (line, column)


def test_a_state_never_assigned_is_refused() -> None:
    assert "the state c is never assigned" in refused(cell("h = tanh(W @ x) + c", "h c")).message


@pytest.mark.parametrize(
    ("source", "about", "message"),
    [
        (cell("h = h", inputs=("dt",)), "inputs", "never used"),
        (cell("h = h", constants={"k": 1.0}), "constants", "never used"),
        (cell("h = h", parameters={"W": ParameterSource()}), "parameters", "never used"),
        (cell("h = h", sizes=("units",)), "sizes", "is there already"),
        (cell("h = h", "h h"), "states", "listed twice"),
        (cell("h = h", "tanh"), "states", "name of a function"),
        (cell("h = h", output="y"), "output", "never assigned"),
        (
            cell("h = tanh(W @ x)", parameters={"W": ParameterSource(start=Spectral(0.9))}),
            "parameters",
            "needs a square matrix",
        ),
        (
            cell("h = h + b", parameters={"b": ParameterSource(start=Orthogonal())}),
            "parameters",
            "needs a matrix",
        ),
        (CellSource("mine", {"h": "unit"}, "h = h"), "states", "did you mean 'units'"),
    ],
)
def test_what_stands_beside_the_equations_is_checked(
    source: CellSource, about: str, message: str
) -> None:
    error = refused(source)
    assert error.about == about
    assert message in error.message


def shuffled(name: str, seed: int) -> CellSource:
    """A built-in cell with other names, and with the terms of its sums in another order."""
    draw = random.Random(seed)
    known = builtin_cell(name)
    names = {
        p: f"{'M' if len(s) == 2 else 'v'}_{i}" for i, (p, s) in enumerate(known.parameters.items())
    }
    names |= {state: f"s{i}" for i, state in enumerate(known.states)}
    lines = []
    for line in known.equations.strip().splitlines():
        target, _, value = line.partition(" = ")
        inside = re.fullmatch(r"(\w+)\((.*)\)", value)
        if inside and not re.search(r"[(,]| - ", inside[2]):
            terms = inside[2].split(" + ")
            draw.shuffle(terms)
            value = f"{inside[1]}({' + '.join(terms)})"
        lines.append(f"{target} = {value}")
    text = re.sub(r"\b\w+\b", lambda word: names.get(word[0], word[0]), "\n".join(lines))
    states = {names[state]: shape for state, shape in known.states.items()}
    return CellSource(
        "mine",
        states,
        text,
        names.get(known.output, known.output),
        sizes=known.own_sizes,
        inputs=known.inputs,
        constants=known.constants,
        parameters={names[p]: ParameterSource(shape=s) for p, s in known.parameters.items()},
    )


@given(st.sampled_from(builtin_names()), st.integers(0, 10**6))
@settings(max_examples=60)
def test_a_cell_is_recognised_up_to_names_and_order(name: str, seed: int) -> None:
    source = shuffled(name, seed)
    if builtin_cell(name).graph.nodes and "leak" in builtin_cell(name).equations:
        return  # its constant has a name, which the shuffled text lacks
    found = match(builtin_cell(name), compile_cell(source))
    assert found is not None
    assert sorted(found.parameters) == sorted(builtin_cell(name).parameters)


@pytest.mark.parametrize(
    ("equations", "states"),
    [
        ("h = tanh(W @ x + U @ h)", "h"),
        ("h = tanh(W @ x + U @ h + b + b)", "h"),
        ("h = tanh(W @ x + W @ x + b)", "h"),
        ("h = sigmoid(W @ x + U @ h + b)", "h"),
        ("h = tanh(W @ x + U @ h + b) + 0 * h", "h"),
    ],
)
def test_a_cell_that_is_nearly_built_in_is_not_taken_for_it(equations: str, states: str) -> None:
    assert identify(compile_cell(cell(equations, states))) is None


def test_squaring_again_and_again_is_compared_in_reasonable_time() -> None:
    lines = ["a_0 = h * h", *(f"a_{i} = a_{i - 1} * a_{i - 1}" for i in range(1, 100))]
    assert identify(compile_cell(cell("\n".join([*lines, "h = a_99"])))) is None


def test_every_function_is_in_the_table_of_every_back_end() -> None:
    assert FUNCTIONS.keys() == NUMPY_FUNCTIONS.keys()
    assert FUNCTIONS.keys() == TORCH_FUNCTIONS.keys()
    assert FUNCTIONS.keys() <= ONNX_FUNCTIONS.keys()


@pytest.mark.parametrize("name", builtin_names())
def test_every_built_in_cell_cites_its_paper(name: str) -> None:
    assert re.search(r"(19|20)\d\d", builtin_cell(name).paper)
    assert builtin_text(name).startswith("# ")
    assert len(builtin_text(name).splitlines()) < 35
