"""Specs drawn at random: cells of one's own with random equations, stacks, inputs, poolings, heads.

Equations are drawn so that states stay bounded: a state's next value is a tanh or sigmoid of
anything, or a gated mixture of such and its old value. What is inside may be any expression; only
functions with a narrow domain get arguments that lie in it.
"""

from __future__ import annotations

from typing import Any, get_args

from hypothesis import strategies as st

from rnnspec.cells import FUNCTIONS, builtin_cell, builtin_names
from rnnspec.plan.nodes import Activation
from tests.kinds import PICTURES, SEQUENCES, output

Draw = st.DrawFn
SAFE_ARGUMENT = {"exp": "tanh({})", "log": "1.5 + tanh({})", "sqrt": "1.5 + tanh({})"}
GATES = ("sigmoid", "hard_sigmoid")
BOUNDED = ("tanh", "sigmoid", "softsign")


@st.composite
def equations(draw: Draw, states: dict[str, str], inputs: list[str]) -> str:
    """Equations that assign every state; intermediate values are used at least once."""
    lines: list[str] = []
    counter = iter(range(1000))

    def product(operand: str) -> str:
        return f"M_{next(counter)} @ {operand}"

    def affine() -> str:
        """Of the width that its use asks for: a sum of products, perhaps with a bias."""
        operands = draw(st.lists(st.sampled_from(["x", *states]), min_size=1, max_size=3))
        with_bias = draw(st.booleans())
        terms = [product(operand) for operand in operands]
        if with_bias:
            terms.append(f"v_{next(counter)}")
        if draw(st.booleans()) and inputs:
            terms.append(f"v_{next(counter)} * {draw(st.sampled_from(inputs))}")
        if draw(st.booleans()):
            terms.append(draw(st.sampled_from([*inputs, "number"])))
        return " + ".join(draw(st.permutations(terms)))

    def expression(depth: int) -> str:
        kind = draw(st.sampled_from(["affine", "affine", "call", "sum", "product", "quotient"]))
        if depth == 0 or kind == "affine":
            return affine()
        if kind == "call":
            function = FUNCTIONS[draw(st.sampled_from(sorted(FUNCTIONS)))]
            wrap = SAFE_ARGUMENT.get(function.name, "{}")
            arguments = [wrap.format(expression(depth - 1)) for _ in range(function.arity)]
            return f"{function.name}({', '.join(arguments)})"
        left, right = expression(depth - 1), expression(depth - 1)
        if kind == "sum":
            return f"({left}) {draw(st.sampled_from(['+', '-']))} 0.5 * ({right})"
        if kind == "product":
            return f"tanh({left}) * ({right})"
        return f"({left}) / (2 + tanh({right}))"

    for number, state in enumerate(states):
        value = f"{draw(st.sampled_from(BOUNDED))}({expression(draw(st.integers(0, 2)))})"
        way = draw(st.sampled_from(["new", "gated", "summed"]))
        if way == "summed":  # without a loop, where what is added is known of all steps
            added = draw(st.sampled_from([f"tanh({product('x')})", "number", *inputs]))
            value = f"{state} + 0.1 * {added}"
        elif way == "gated":
            gate = f"g{number}"
            lines.append(f"{gate} = {draw(st.sampled_from(GATES))}({affine()})")
            value = f"{gate} * {state} + (1 - {gate}) * {value}"
        lines.append(f"{state} = {value}")
    if inputs and not any(name in line for name in inputs for line in lines):
        first = next(iter(states))
        last = next(i for i, line in enumerate(lines) if line.startswith(f"{first} ="))
        lines[last] = f"{first} = tanh({lines[last].partition(' = ')[2]} + {inputs[0]})"
    return "\n".join(lines) + "\n"


@st.composite
def own_cells(draw: Draw, elapsed: bool) -> dict[str, Any]:
    """A definition under `cells:`."""
    names = draw(st.sampled_from([["h"], ["h", "c"], ["s", "h", "m"]]))
    sized = draw(st.booleans())
    states = dict.fromkeys(names, "units")
    if sized:
        states[names[-1]] = "own"
    inputs = ["dt"] if elapsed and draw(st.booleans()) else []
    cell: dict[str, Any] = {
        "states": states,
        "equations": draw(equations(states, inputs)),
        "output": draw(st.sampled_from(names)),
    }
    if draw(st.booleans()):
        cell |= draw(with_matrix(cell))
    if "number" in cell["equations"]:
        cell["parameters"] = {"number": {"shape": []}}
    sizes = [size for size, there in (("own", sized), ("keys", "S" in cell["states"])) if there]
    if sizes:
        cell["sizes"] = sizes
    if inputs:
        cell["inputs"] = inputs
    return cell


DECAYS = (
    "S",
    "0.5 * S",
    "sigmoid(dot(w_k, x)) * S",
    "rows(sigmoid(G_k @ x)) * S",
    "S - 0.3 * outer(S @ k, k)",
    "tanh(S)",
)


@st.composite
def with_matrix(draw: Draw, cell: dict[str, Any]) -> dict[str, Any]:
    """The states, equations and output of a cell that has a matrix beside its states."""
    first = next(iter(cell["states"]))
    value = draw(st.sampled_from(["V_k @ x", f"V_k @ {first}"]))
    query = draw(st.sampled_from(["k", "softmax(Q_k @ x)"]))
    matrix = f"k = tanh(K_k @ x)\nS = {draw(st.sampled_from(DECAYS))} + outer(tanh({value}), k)\n"
    read = f"o = {draw(st.sampled_from(['', f'R_k @ {first} + ']))}S @ {query}\n"
    return {
        "states": {**cell["states"], "S": ["units", "keys"]},
        "equations": cell["equations"] + matrix + read,
        "output": "o",
    }


@st.composite
def layers(draw: Draw, own: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """A stack of one to three layers; a way around one only where the widths fit.

    A cell that reads `dt` may stand over data without elapsed time: `dt` is then 1.
    """
    found: list[dict[str, Any]] = []
    width = 0
    for _ in range(draw(st.integers(1, 3))):
        built_in = [name for name in builtin_names() if builtin_cell(name).inputs_divisor == 1]
        name = draw(st.sampled_from([*built_in, *own, *own, *own]))
        layer: dict[str, Any] = {"cell": name, "units": draw(st.integers(1, 6))}
        sizes = own[name].get("sizes", []) if name in own else builtin_cell(name).own_sizes
        if sizes:
            layer["sizes"] = {size: draw(st.integers(1, 5)) for size in sizes}
        layer["direction"] = draw(st.sampled_from(["forward", "reverse", "bidirectional"]))
        if layer["direction"] == "bidirectional":
            layer["merge"] = draw(st.sampled_from(["concat", "sum", "mean", "mul"]))
        layer["initial_state"] = draw(st.sampled_from(["zeros", "learned"]))
        layer["norm"] = draw(st.sampled_from(["none", "none", "layer"]))
        layer["zoneout"] = draw(st.sampled_from([0.0, 0.0, 0.2]))
        output = width_of(layer, own)
        if output == width:
            layer["skip"] = draw(st.sampled_from(["none", "residual", "highway"]))
        width = output
        found.append(layer)
    used = [layer["cell"] for layer in found]
    for name in own:
        if name not in used:
            found.append({"cell": name, "units": 3, **_sizes(own[name])})
    return found


ACTIVATIONS = get_args(Activation)


@st.composite
def stateless(draw: Draw, features: bool) -> list[dict[str, Any]]:
    """Up to three layers without a cell, of steps or, with `features`, of grids that end as plain
    steps."""
    one_or_two = st.integers(1, 2)
    found: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(0, 3))):
        grid = features and draw(st.booleans())
        kind = draw(st.sampled_from(["conv", "conv", "pool", "dense", "stack", "norm", "residual"]))
        settings: dict[str, Any] = {
            "norm": draw(st.sampled_from(["none", "layer", "batch"])),
            "activation": draw(st.sampled_from(ACTIVATIONS)),
        }
        size = [draw(st.integers(2, 4)), draw(st.integers(1, 3))] if grid else 3
        stride = [draw(one_or_two), draw(one_or_two)] if grid else draw(one_or_two)
        if kind == "conv":
            layer: dict[str, Any] = {
                "conv": 4,
                "size": size,
                "stride": stride,
                "dilation": draw(one_or_two),
            }
            layer |= {"causal": draw(st.booleans()), **settings}
        elif kind == "pool":
            pool = draw(st.sampled_from(["max", "mean"]))
            layer = {"pool": pool, "size": size, "stride": stride}
        elif kind == "stack":
            layer = {"stack": 2, "stride": draw(one_or_two)}
        elif kind == "norm":
            layer = {"norm": draw(st.sampled_from(["layer", "batch"]))}
        else:
            layer = {"dense": 4, **settings}
        found.append(layer)
        if kind == "residual":
            found.append(
                {"conv": 4, "groups": draw(st.sampled_from([1, 2, 4])), "skip": "residual"}
            )
    return found


def within_frames(stack: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A stack for a video, where a size of two numbers is of rows and columns: no step is before
    another one there."""
    for layer in stack:
        if isinstance(layer.get("size"), list):
            layer.pop("causal", None)
    return stack


def _sizes(cell: dict[str, Any]) -> dict[str, Any]:
    return {"sizes": dict.fromkeys(cell["sizes"], 2)} if "sizes" in cell else {}


def without_skip_of_merged(stack: list[dict[str, Any]]) -> None:
    """No way around a last layer whose directions are merged, of which the last step is taken."""
    if stack[-1].get("merge", "concat") != "concat":
        stack[-1].pop("skip", None)


def width_of(layer: dict[str, Any], own: dict[str, dict[str, Any]]) -> int:
    """Width of a layer's output; `own` are the cells of one's own."""
    name = layer["cell"]
    if name in own:
        size = own[name]["states"].get(own[name]["output"], "units")
    else:
        size = builtin_cell(name).output_size
    one: int = layer["units"] if size == "units" else layer["sizes"][size]
    both = layer.get("direction") == "bidirectional" and layer.get("merge", "concat") == "concat"
    return 2 * one if both else one


@st.composite
def specs(draw: Draw) -> dict[str, Any]:
    """A spec N:1 over one of five kinds of input and of output, as the data of its YAML; its
    columns are those of `tests.kinds`."""
    kind = draw(st.sampled_from(["words", "chars", "frames", *PICTURES]))
    given: dict[str, Any] = {"column": kind, **SEQUENCES[kind].entry}
    given.pop("missing", None)
    elapsed = kind == "frames" and draw(st.booleans())
    own = {"mine": draw(own_cells(elapsed))} if draw(st.booleans()) else {}
    stack = draw(layers(own))
    uses_dt = any("dt" in own[n].get("inputs", []) if n in own else bool(builtin_cell(n).inputs)
                  for n in (layer["cell"] for layer in stack))  # fmt: skip
    if elapsed and uses_dt:
        given["elapsed"] = 1
    else:
        first = draw(stateless(features=True))
        stack = [*(within_frames(first) if kind == "video" else first), *stack]
    pooling = draw(st.sampled_from(["last", "mean", "max", "attention"]))
    if pooling == "last":
        without_skip_of_merged(stack)
    elif "elapsed" not in given:
        stack = [*stack, *draw(stateless(features=False))]
    spec: dict[str, Any] = {
        "name": "random",
        "cardinality": "N:1",
        "data": {
            "train": "nowhere.jsonl",
            "input": given,
            "output": output(draw(st.sampled_from(["class", "out_number", "out_vector"]))),
        },
        "encoder": {"layers": stack},
        "pooling": pooling,
        "head": {"hidden": draw(st.sampled_from([[], [5]]))},
    }
    if own:
        spec["cells"] = own
    if kind in ("words", "chars"):
        spec["encoder"]["embed"] = draw(st.integers(1, 6))
    return spec
