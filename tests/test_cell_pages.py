"""The page of a cell: a golden one for each built-in cell, and what it says of other cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rnnspec.cells import Cell, CellSource, ParameterSource, builtin_cell, builtin_names
from rnnspec.cells import compile_cell as compiled
from rnnspec.cells.cost import costs
from rnnspec.cells.initializers import Constant
from rnnspec.cells.library import ONNX_OPERATORS, TORCH_KERNELS
from rnnspec.cells.page import page
from rnnspec.plan.nodes import Recurrent

GOLDENS = Path(__file__).parent / "cell_pages"
LSTM_UP_TO_NAMES = """
    q = sigmoid(A_q @ x + B_q @ s + b_q)
    f = sigmoid(b_f + A_f @ x + B_f @ s)
    g = tanh(A_g @ x + B_g @ s + b_g)
    o = sigmoid(A_o @ x + B_o @ s + b_o)
    m = q * g + f * m
    s = tanh(m) * o
"""


def _sizes(cell: Cell) -> Mapping[str, int]:
    return cell.sizes(
        66 if cell.inputs_divisor == 3 else 64, 128, dict.fromkeys(cell.own_sizes, 32)
    )


def _text(cell: Cell) -> str:
    return page(cell, _sizes(cell)).text()


def _own(equations: str, states: tuple[str, ...] = ("h",), **about: object) -> Cell:
    return compiled(CellSource("mine", states, equations, **about))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", builtin_names())
def test_the_page_of_a_built_in_cell_is_the_golden_one(
    name: str, golden: Callable[[Path, str], None]
) -> None:
    cell = builtin_cell(name)
    golden(GOLDENS / f"{name}.txt", page(cell, _sizes(cell), "built in").text())


def test_no_golden_is_left_of_a_cell_that_is_gone() -> None:
    assert {path.stem for path in GOLDENS.glob("*.txt")} == set(builtin_names())


@pytest.mark.parametrize("name", builtin_names())
def test_a_page_has_the_whole_cell(name: str) -> None:
    cell = builtin_cell(name)
    text = _text(cell)
    assert cell.paper
    assert f"Paper: {cell.paper}." in " ".join(text.split())
    for line in cell.equations.splitlines():
        assert f"  {line}\n" in text
    for parameter in (*cell.states, *cell.parameters, *cell.inputs, *cell.constants):
        assert f"\n  {parameter} " in text


@pytest.mark.parametrize("name", builtin_names())
def test_counts_are_those_of_the_plan(name: str) -> None:
    """The numbers and the formula in symbols, against the weights of a layer."""
    cell = builtin_cell(name)
    sizes = _sizes(cell)
    own = tuple((size, sizes[size]) for size in cell.own_sizes)
    weights = list(
        Recurrent("layer", "input", cell, sizes["inputs"], 128, "forward", own).weights()
    )
    rows = {row[0]: row for row in _rows(cell, "Parameters of one direction")}
    for heading, trained in (("trained", True), ("not trained", False)):
        count = sum(weight.size for weight in weights if weight.trained == trained)
        assert (heading in rows) == (count > 0)
        if count:
            _, formula, _, number, _ = rows[heading]
            assert number == f"{count:,}"
            assert eval(formula, {}, dict(sizes)) == count


def test_a_single_number_is_counted_as_one() -> None:
    numbers = {"a": ParameterSource(shape=()), "e": ParameterSource(shape=())}
    cell = _own("h = tanh(W @ x + a) + e * h", parameters=numbers)
    rows = {row[0]: row[1:] for row in _rows(cell, "Parameters of one direction")}
    assert rows["a"] == ("[]", "[]", "1", "")
    assert rows["trained"] == ("units*inputs + 2", "", "8,194", "")
    cell = _own("h = tanh(W @ x) + a * h", parameters={"a": ParameterSource(shape=())})
    rows = {row[0]: row[1:] for row in _rows(cell, "Parameters of one direction")}
    assert rows["trained"] == ("units*inputs + 1", "", "8,193", "")


def _rows(cell: Cell, heading: str) -> tuple[tuple[str, ...], ...]:
    (section,) = (s for s in page(cell, _sizes(cell)).sections if s.heading == heading)
    return section.rows


# ---------------------------------------------------------------- kernels


def test_the_table_of_torch_kernels_is_that_of_the_back_end() -> None:
    from rnnspec.to_torch.native import NATIVE

    assert set(TORCH_KERNELS) == set(NATIVE)


def test_the_table_of_onnx_operators_is_that_of_the_back_end() -> None:
    from rnnspec.to_onnx.native import NATIVE

    assert dict(ONNX_OPERATORS) == {name: operator.title for name, operator in NATIVE.items()}


def _kernels(cell: Cell) -> dict[str, tuple[str, str]]:
    return {row[0]: (row[1], row[2]) for row in _rows(cell, "Kernels")}


def test_a_cell_equal_to_a_built_in_one_gets_its_kernels_and_the_page_says_why() -> None:
    found = _kernels(_own(LSTM_UP_TO_NAMES, ("s", "m")))
    why = "the equations are those of the built-in lstm up to names"
    assert found["PyTorch"] == ("torch.lstm", why)
    assert found["ONNX"] == ("LSTM", why)
    names = found["names"][1].replace("\u00a0", " ").split(", ")
    assert {"h is s", "c is m", "W_i is A_q", "U_o is B_o"} <= set(names)
    assert "W_f is A_f" in names and "b_f is b_f" not in names


def test_a_cell_with_a_built_in_ones_names_needs_no_list_of_them() -> None:
    found = _kernels(_own(builtin_cell("rnn").equations))
    assert found["ONNX"] == ("RNN", "the equations are those of the built-in rnn")
    assert "names" not in found


def test_a_cell_like_no_built_in_one_runs_from_its_equations() -> None:
    found = _kernels(_own("h = tanh(W @ x + U @ h) * b_h"))
    why = "the equations are not those of a built-in cell"
    assert found == {"PyTorch": ("generic", why), "ONNX": ("Scan", why)}


def test_a_built_in_cell_without_a_kernel_says_so() -> None:
    assert _kernels(builtin_cell("gru_reset_before"))["PyTorch"] == (
        "generic",
        "none of the torch kernels in use has these equations",
    )
    mine = _own(builtin_cell("mgu").equations)
    assert _kernels(mine)["ONNX"] == (
        "Scan",
        "the equations are those of the built-in mgu; none of the ONNX operators in use has them",
    )


# ---------------------------------------------------------------- what is done when


def _work(cell: Cell) -> list[tuple[str, str]]:
    return [(part.when, part.what) for part in costs(cell)]


def test_products_of_one_operand_are_joined_and_those_of_the_input_hoisted() -> None:
    hoisted, looped = _work(builtin_cell("lstm"))
    assert hoisted[0] == "all steps at once"
    assert set(hoisted[1].removesuffix("] @ x").lstrip("[").split("; ")) == {
        "W_i", "W_f", "W_g", "W_o"
    }  # fmt: skip
    assert looped[0] == "step after step"
    assert looped[1].endswith("] @ h")


def test_a_product_of_a_value_names_it_as_the_equations_do() -> None:
    assert ("step after step", "U_n @ (f * h)") in _work(builtin_cell("mgu"))
    mine = _own("h = tanh(W @ x + U @ exp(-(h + 1) / 2) + b)")
    assert ("step after step", "U @ exp((-(h + 1) / 2))") in _work(mine)


def test_a_linear_recurrence_is_a_parallel_scan() -> None:
    assert [when for when, _ in _work(builtin_cell("mingru"))] == [
        "all steps at once",
        "parallel scan",
    ]


def test_an_elementwise_recurrence_is_a_loop_without_products() -> None:
    assert _work(builtin_cell("indrnn"))[-1] == ("step after step", "h, element by element")


# ---------------------------------------------------------------- the rest of a page


def test_everything_a_cell_may_have_is_on_its_page() -> None:
    cell = compiled(
        CellSource(
            name="full",
            states={"h": "narrow", "c": "units"},
            equations="""
                c = leak * c + tanh(W @ x + U @ h + dt * b_c)
                h = P @ c
                y = relu(h) + b_y
            """,
            output="y",
            inputs=("dt",),
            sizes=("narrow",),
            constants={"leak": 0.25},
            parameters={
                "U": ParameterSource(start=Constant(0.5)),
                "W": ParameterSource(trained=False),
            },
        )
    )
    text = page(cell, cell.sizes(3, 5, {"narrow": 2}), "of a spec", {"narrow": "as given"}).text()
    assert text.startswith("cell full (of a spec)\n\nEquations\n  c = leak")
    for line in (
        "  dt       an input of its own, one number for each row and step",
        "  leak     0.25",
        "  relu(v)  max(v, 0)",
        "  narrow  2  as given",
        "  h  [narrow]  [2]",
        "  y  [narrow]  [2]  the output; not a state",
        "  not trained  units*inputs",
        "  the others start uniform within 1/sqrt(units)",
    ):
        assert f"\n{line}" in text
    assert "starts constant 0.5\n" in text
    assert "15  not trained\n" in text


def test_long_lines_wrap_but_equations_do_not() -> None:
    equation = "h = " + " + ".join(f"tanh(W_{i} @ x)" for i in range(12)) + " + b * h"
    text = _text(_own(equation))
    assert f"  {equation}\n" in text
    others = [line for line in text.splitlines() if equation not in line]
    assert max(map(len, others)) <= 110
