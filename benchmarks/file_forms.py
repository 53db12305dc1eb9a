"""Parts of exported files against other ways to write them in ONNX, on one thread: the path and the
probabilities of a chain, the best path of CTC, convolutions, and the rounds of a transducer.

    python benchmarks/file_forms.py [chain ctc conv transducer]

Every form answers what the file does, which is checked. The least CPU time of several turns, in
milliseconds; the ratio is that of the file to the fastest form, the file itself left out.

In brackets: sums of a chain in float32, which are no match and not in the ratio. The file weighs
forbidden transitions by e^-500, which is 0 in float32: where no path is allowed, 0 / 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from interleave import interleave
from numpy.typing import NDArray
from onnx import numpy_helper, parser

from rnnspec.plan import (
    ClassFacts,
    Facts,
    NumericFacts,
    Plan,
    TextFacts,
    Vocabulary,
    nodes,
    resolve,
)
from rnnspec.plan.nodes import verify
from rnnspec.spec import Spec
from rnnspec.to_onnx import to_onnx, transducer
from rnnspec.to_torch import Model

Arrays = dict[str, NDArray[Any]]
Run = Callable[[], Any]
SHAPES = ((1, 20), (1, 100), (32, 20), (32, 100))
"""Rows and steps."""
HEAD = '<ir_version: 9, opset_import: ["" : 20]>\n'


@dataclass(frozen=True)
class Case:
    """The file's part and others by name, each with a call, and how far answers may lie apart."""

    title: str
    runs: dict[str, Run]
    apart: float = 0.0


# ---------------------------------------------------------------- graphs


def written(text: str, arrays: Arrays) -> onnx.ModelProto:
    model: onnx.ModelProto = parser.parse_model(HEAD + text)
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in arrays.items())
    return model


def part(model: onnx.ModelProto, outputs: Sequence[str]) -> onnx.ModelProto:
    """The model with these values as outputs, and with what they need."""
    known = {each.name: each for each in model.graph.output}
    found, needed, kept = onnx.ModelProto(), set(outputs), []
    found.CopyFrom(model)
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            kept.append(node)
            needed |= read(node)
    del found.graph.node[:], found.graph.output[:]
    found.graph.node.extend(reversed(kept))
    infos = [known.get(name) or onnx.ValueInfoProto(name=name) for name in outputs]
    found.graph.output.extend(infos)
    return found


def read(node: onnx.NodeProto) -> set[str]:
    inner = [each.g for each in node.attribute if each.HasField("g")]
    found = set(node.input).union(*([out.name for out in graph.output] for graph in inner))
    return found.union(*(read(each) for graph in inner for each in graph.node))


def call(model: onnx.ModelProto, feeds: Mapping[str, NDArray[Any]]) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return lambda: session.run(None, feeds)


def frames(width: int) -> NumericFacts:
    return NumericFacts(width, (0.0,) * width, (1.0,) * width, longest=100)


# ---------------------------------------------------------------- chains

START = """g (float[B,T,{K}] x, int64[B] n) => ({out}) {{
 xt = Transpose<perm = [1, 0, 2]>(x)
 largest = ReduceMax(xt, a2)
 e = Sub(xt, largest)
 batch = Shape<start = 1, end = 2>(xt)
 bk = Shape<start = 1>(xt)
 time = Shape<start = 0, end = 1>(xt)
 end = Squeeze(time)
 numbers = Range(i0, end, i1)
 column = Unsqueeze(numbers, a1)
 mask = Less(column, n)
"""
BACK = """
 mark = Expand(iK, batch)
 first, path = Scan<num_scan_inputs = 2, scan_input_directions = [1, 1],
   scan_output_directions = [1], body = back
   (int64[B] after, float[B,{K}] s, bool[B] own) => (int64[B] label, int64[B] best) {{
   row = Gather(table, after)
   whole = Add(s, row)
   best = ArgMax<axis = 1, keepdims = 0>(whole)
   label = Where(own, best, iK)
 }}>(mark, scores, mask)
 y = Transpose<perm = [1, 0]>(path)
}}"""
FORWARD = """
 d0 = Expand(start, bk)
 last, scores = Scan<num_scan_inputs = 1, body = forward
   (float[B,{K}] d, float[B,{K}] s) => (float[B,{K}] next, float[B,{K}] here) {{
%s
 }}>(d0, e)
"""
LESS_BEST = " a = Add(d, s)\n b = ReduceMax(a, a1)\n here = Sub(a, b)\n"
DISTANT = """ c = Unsqueeze(here, a2)
 p = Add(c, matrix)
 next = ReduceMax<keepdims = 0>(p, a1)"""
NEIGHBOURS = """ c = Unsqueeze(here, a1)
 p = Add(c, turned)
 next = ReduceMax<keepdims = 0>(p, a2)"""
POOLED = """ c = Unsqueeze(here, a1)
 p = Add(c, turned)
 q = MaxPool<kernel_shape = [{K}]>(p)
 next = Squeeze(q, a2)"""
PATHS = {
    "distant": FORWARD % (LESS_BEST + DISTANT),
    "neighbours": FORWARD % (LESS_BEST + NEIGHBOURS),
    "scores that grow": FORWARD % (" here = Add(d, s)\n" + NEIGHBOURS),
    "MaxPool": FORWARD % (" here = Add(d, s)\n" + POOLED),
    "batch last": """
 es = Transpose<perm = [0, 2, 1]>(e)
 kb = Concat<axis = 0>(aK, batch)
 d0 = Expand(start_column, kb)
 last, columns = Scan<num_scan_inputs = 1, body = forward
   (float[{K},B] d, float[{K},B] s) => (float[{K},B] next, float[{K},B] here) {{
   here = Add(d, s)
   c = Unsqueeze(here, a1)
   p = Add(c, matrix_column)
   next = ReduceMax<keepdims = 0>(p, a0)
 }}>(d0, es)
 scores = Transpose<perm = [0, 2, 1]>(columns)
""",
}
SUMS = """
 whole_mask = Unsqueeze(mask, a2)
 {shares}
 turned_shares = ReverseSequence<time_axis = 0, batch_axis = 1>(shares, n)
 s0 = Unsqueeze(shares, a1)
 s1 = Unsqueeze(turned_shares, a1)
 both = Concat<axis = 1>(s0, s1)
 shape = Concat<axis = 0>(a2, bk)
 d0 = Expand(edges, shape)
 last, sums = Scan<num_scan_inputs = 1, body = sums
   ({kind}[2,B,{K}] d, {kind}[2,B,{K}] s) => ({kind}[2,B,{K}] next, {kind}[2,B,{K}] here) {{
%s
 }}>(d0, both)
 up_to = Gather<axis = 1>(sums, i0)
 since_turned = Gather<axis = 1>(sums, i1)
 since = ReverseSequence<time_axis = 0, batch_axis = 1>(since_turned, n)
%s
 single = Cast<to = 1>(probabilities)
 own = Where(whole_mask, single, zero)
 y = Transpose<perm = [1, 0, 2]>(own)
}}"""
JOINT = """ joint = Mul(up_to, since)
 once = Div(joint, shares)
 whole = ReduceSum(once, a2)
 probabilities = Div(once, whole)"""
SUMMED = """ p = Mul(d, s)
 t = ReduceSum(p, a2)
 here = Div(p, t)
 next = MatMul(here, matrices)"""
NORMED = """ p = Mul(d, s)
 here = LpNormalization<axis = 2, p = 1>(p)
 next = MatMul(here, matrices)"""
LOGS = """ here = Add(d, s)
 c = Unsqueeze(here, a3)
 p = Add(c, log_matrices)
 next = ReduceLogSumExp<keepdims = 0>(p, a2)"""
LOG_JOINT = """ joint = Add(up_to, since)
 once = Sub(joint, shares)
 probabilities = Softmax<axis = 2>(once)"""
DOUBLE = """half = Mul(e, a_half)
 root = Exp(half)
 exact = Cast<to = 11>(root)
 shares = Mul(exact, exact)"""
MARGINALS = {
    "float64": ("double", DOUBLE, SUMS % (SUMMED, JOINT)),
    "(float32)": ("float", "shares = Exp(e)", SUMS % (SUMMED, JOINT)),
    "(float32, LpNormalization)": ("float", "shares = Exp(e)", SUMS % (NORMED, JOINT)),
    "logarithms": ("float", "shares = Identity(e)", SUMS % (LOGS, LOG_JOINT)),
}


def constants_of(labels: int, weights: Arrays, logs_of_edges: bool = False) -> Arrays:
    """All constants of the graphs of chains."""
    move, begin, end = (
        weights[f"output.y.{name}"] - weights[f"output.y.{name}"].max()
        for name in ("transitions", "start", "end")
    )
    logs, edges = np.stack([move, move.T])[:, None], np.stack([begin[None], end[None]])
    floats = {
        "table": np.concatenate([move, end[:, None]], 1).T, "matrix": move, "turned": move.T,
        "matrix_column": move[..., None], "start": begin[None], "start_column": begin[:, None],
        "matrices": np.exp(logs[:, 0]), "log_matrices": logs, "zero": np.zeros(()),
        "a_half": np.array(0.5),
    }  # fmt: skip
    floats["edges"] = edges if logs_of_edges else np.exp(edges)
    numbers = {f"a{n}": np.array([n]) for n in range(4)}
    numbers |= {"i0": np.array(0), "i1": np.array(1), "iK": np.array(labels)}
    numbers["aK"] = np.array([labels])
    return {k: v.astype(np.float32, order="C") for k, v in floats.items()} | numbers


def chains() -> Iterator[Case]:
    for labels in (10, 25, 120):
        plan = verify(Plan("chain", "N:N", (
            nodes.FramesInput("input.x", "x", labels, False),
            nodes.ChainOutput("output.y", "input.x", "y", labels),
        )))  # fmt: skip
        known = ClassFacts(tuple(map(str, range(labels))))
        draw = np.random.default_rng(0)
        extents = {"start": (labels,), "end": (labels,), "transitions": (labels, labels)}
        weights = {f"output.y.{k}": draw.normal(size=shape) for k, shape in extents.items()}
        file = to_onnx(plan, Facts(1, {"x": frames(labels)}, {"y": known}), weights)
        for rows, steps in SHAPES:
            x = draw.normal(size=(rows, steps, labels)).astype(np.float32)
            yield from chain(file, labels, weights, x)


def chain(
    file: onnx.ModelProto, labels: int, weights: Arrays, x: NDArray[np.float32]
) -> Iterator[Case]:
    rows, steps = x.shape[:2]
    feeds = {"x": x, "n": np.full(rows, steps)}
    given = {"x": x, "x.lengths": feeds["n"]}
    title = f"{labels} labels, {rows} rows, {steps} steps"
    runs = {"file": call(part(file, ["output.y.by_row"]), given)}
    for name, forward in PATHS.items():
        text = (START + forward + BACK).format(K=labels, out="int64[B,T] y")
        runs[name] = call(written(text, constants_of(labels, weights)), feeds)
    yield Case(f"path of a chain: {title}", runs)
    runs = {"file": call(part(file, ["y.probabilities"]), given)}
    for name, (kind, shares, sums) in MARGINALS.items():
        if name == "logarithms" and rows * labels > 1000:
            continue  # up to 40 times as long
        out = f"float[B,T,{labels}] y"
        text = (START + sums).format(K=labels, out=out, kind=kind, shares=shares)
        constants = constants_of(labels, weights, name == "logarithms")
        for key in ("edges", "matrices") if kind == "double" else ():
            constants[key] = constants[key].astype(np.float64)
        runs[name] = call(written(text, constants), feeds)
    yield Case(f"probabilities of labels: {title}", runs, 1e-5)


# ---------------------------------------------------------------- the best path

BEST_PATH = """g (float[B,T,V] x, int64[B] n) => (int64[B,U] y, float[B] score) {
 xt = Transpose<perm = [1, 0, 2]>(x)
 known = Add(xt, allowed)
 top = ReduceMax<keepdims = 1>(xt, a2)
 best = ReduceMax<keepdims = 0>(known, a2)
 likeliest = ArgMax<axis = 2, keepdims = 0>(known)
 below = Sub(xt, top)
 shares = Exp(below)
 sum = ReduceSum<keepdims = 0>(shares, a2)
 log = Log(sum)
 flat_top = Squeeze(top, a2)
 size = Add(log, flat_top)
 each = Sub(best, size)
 time = Shape<start = 0, end = 1>(xt)
 end = Squeeze(time)
 numbers = Range(i0, end, i1)
 column = Unsqueeze(numbers, a1)
 mask = Less(column, n)
 own = Where(mask, each, zero)
 score = ReduceSum<keepdims = 0>(own, a0)
 path = Where(mask, likeliest, i0)
 later = Pad(path, pads)
 before = Slice(later, a0, time, a0)
 same = Equal(path, before)
 first = Where(same, i0, path)
 ones = Sign(first)
 so_far = CumSum(ones, i0)
 lengths = ReduceSum<keepdims = 0>(ones, a0)
 longest = ReduceMax<keepdims = 1>(lengths)
 most = Max(longest, a1)
 is_first = Cast<to = 9>(ones)
 places = Where(is_first, so_far, i0)
 room = Mul(later, i0)
 filled = ScatterElements<axis = 0>(room, places, first)
 stop = Add(most, a1)
 cut = Slice(filled, a1, stop, a0)
 y = Transpose<perm = [1, 0]>(cut)
}"""


def alignments() -> Iterator[Case]:
    for tokens in (30, 120):
        size = tokens + 2
        plan = verify(Plan("ctc", "N:M", (
            nodes.FramesInput("input.x", "x", size, False),
            nodes.CtcOutput("output.y", "input.x", "y", "chars", size),
        )))  # fmt: skip
        file = to_onnx(plan, Facts(1, {"x": frames(size)}, {"y": texts(tokens)}), {})
        file = part(file, ["output.y.path.numbers", "y.scores"])
        allowed = np.zeros(size, np.float32)
        allowed[1] = -1e30
        constants: Arrays = {f"a{n}": np.array([n]) for n in range(3)}
        constants |= {"i0": np.array(0), "i1": np.array(1), "pads": np.array([1, 0, 0, 0])}
        constants |= {"allowed": allowed, "zero": np.zeros((), np.float32)}
        for rows, steps in ((1, 50), (1, 200), (16, 50), (16, 200)):
            x, n = spoken(rows, steps, size), np.full(rows, steps)
            hand = call(written(BEST_PATH, constants), {"x": x, "n": n})
            runs = {"file": call(file, {"x": x, "x.lengths": n}), "without LogSoftmax": hand}
            yield Case(f"best path: {tokens} tokens, {rows} rows, {steps} steps", runs, 1e-3)


def texts(tokens: int) -> TextFacts:
    return TextFacts(Vocabulary(tuple(chr(0x4E00 + n) for n in range(tokens))), 20, 5.0, 1.0)


def spoken(rows: int, steps: int, size: int) -> NDArray[np.float32]:
    """Scores of which three in five are highest for the blank."""
    draw = np.random.default_rng(1)
    scores = draw.normal(size=(rows, steps, size)).astype(np.float32)
    number = np.where(draw.random((rows, steps)) < 0.6, 0, draw.integers(2, size, (rows, steps)))
    np.put_along_axis(scores, number[..., None], 5.0, 2)
    return scores


# ---------------------------------------------------------------- convolutions

FRAMES = 40
STACKS: dict[str, list[dict[str, Any]]] = {
    "over steps": [
        {"conv": 64, "size": 5, "norm": "batch", "activation": "relu"},
        {"pool": "max", "size": 2},
        {"conv": 64, "size": 5, "norm": "batch", "activation": "relu"},
        {"conv": 64, "size": 3, "norm": "batch", "activation": "relu"},
    ],
    "over steps and features": [
        {"conv": 16, "size": [3, 3], "activation": "relu"},
        {"pool": "max", "size": [2, 2]},
        {"conv": 32, "size": [3, 3], "activation": "relu"},
        {"conv": 32, "size": [3, 3], "activation": "relu"},
    ],
    "causal, dilated": [
        {"conv": 64, "size": 3, "dilation": by, "causal": True, "activation": "relu"}
        for by in (1, 2, 4, 8)
    ],
}


def convolutions() -> Iterator[Case]:
    for name, layers in STACKS.items():
        file, weights = reader({"layers": layers}, {"ctc": {}}, 10)
        grid = isinstance(layers[0]["size"], list)
        value = f"layers.{len(layers) - 1}.activation" + ".flat" * grid
        hand = channels_first(layers, weights, grid)
        for rows, steps in ((1, 100), (1, 500), (16, 200)):
            x = np.random.default_rng(0).normal(size=(rows, steps, FRAMES)).astype(np.float32)
            n = np.full(rows, steps)
            ours = call(part(file, [value]), {"x": x, "x.lengths": n})
            runs = {"file": ours, "channels first": call(hand, {"x": x, "n": n})}
            yield Case(f"convolutions {name}: {rows} rows, {steps} steps", runs, 1e-4)


def reader(
    encoder: dict[str, Any], decoder: dict[str, Any], tokens: int
) -> tuple[onnx.ModelProto, Arrays]:
    spec = Spec.model_validate({
        "name": "reader", "cardinality": "N:M",
        "data": {"train": "nowhere.jsonl",
                 "input": {"column": "x", "as": "frames", "scale": "none"},
                 "output": {"column": "y", "as": "chars"}},
        "encoder": encoder, "decoder": decoder,
    })  # fmt: skip
    facts = Facts(100, {"x": frames(FRAMES)}, {"y": texts(tokens)})
    plan = resolve(spec, facts)
    model = Model(plan)
    model.start(facts, 0)
    weights = {name: np.array(value) for name, value in model.canonical_arrays().items()}
    if "transducer" in decoder:  # about one step in seven writes a token
        weights["layers.0.W"] *= 3
        weights["output.y.W"] *= 12
        weights["output.y.b"][0] = 16.5
    return to_onnx(plan, facts, weights), weights


def channels_first(
    layers: Sequence[Mapping[str, Any]], weights: Arrays, grid: bool
) -> onnx.ModelProto:
    """Channels stay in front throughout, and norms are folded into the filters."""
    arrays: Arrays = {"a1": np.array([1]), "a3": np.array([3]), "i0": np.array(0)}
    arrays |= {"i1": np.array(1), "zero": np.zeros((), np.float32)}
    lines = ["v = Unsqueeze(x, a1)" if grid else "v = Transpose<perm = [0, 2, 1]>(x)"]
    lines += ["c = Unsqueeze(n, a1)", *mask("v", "c", "m", grid)]
    value, column, own, clean = "v", "c", "m", True
    for number, layer in enumerate(layers):
        out, size = f"v{number}", layer["size"] if grid else [layer["size"]]
        if not clean:
            lines.append(f"w{number} = Where({own}, {value}, zero)")
            value = f"w{number}"
        if "pool" in layer:  # of what is at least 0
            pads = [0] * len(size) + [each - 1 for each in size]
            settings = f"kernel_shape = {size}, strides = {size}, pads = {pads}"
            lines.append(f"{out} = MaxPool<{settings}>({value})")
            arrays |= {f"s{number}": np.array(size[0]), f"r{number}": np.array(size[0] - 1)}
            lines.append(f"r{number}_up = Add({column}, r{number})")
            lines.append(f"c{number} = Div(r{number}_up, s{number})")
            column, own, clean = f"c{number}", f"m{number}", True
            lines += mask(out, column, own, grid)
        else:
            arrays |= folded(weights, number)
            lines.append(f"y{number} = Conv<{extents(layer, size)}>({value}, W{number}, b{number})")
            lines.append(f"{out} = Relu(y{number})")
            clean = False
        value = out
    if grid:
        arrays["flat"] = np.array([0, 0, -1])
        lines += [f"t = Transpose<perm = [2, 0, 3, 1]>({value})", "y = Reshape(t, flat)"]
    else:
        lines.append(f"y = Transpose<perm = [2, 0, 1]>({value})")
    head = f"g (float[B,T,{FRAMES}] x, int64[B] n) => (float[T2,B,C] y) {{\n"
    return written(head + "\n".join(lines) + "\n}", arrays)


def mask(value: str, lengths: str, name: str, grid: bool) -> list[str]:
    flat = f"{name}_u" if grid else name
    lines = [
        f"{name}_t = Shape<start = 2, end = 3>({value})", f"{name}_e = Squeeze({name}_t)",
        f"{name}_r = Range(i0, {name}_e, i1)", f"{name}_l = Less({name}_r, {lengths})",
        f"{flat} = Unsqueeze({name}_l, a1)",
    ]  # fmt: skip
    return [*lines, f"{name} = Unsqueeze({flat}, a3)"] if grid else lines


def extents(layer: Mapping[str, Any], size: list[int]) -> str:
    by = layer.get("dilation", 1)
    spans = [(each - 1) * by for each in size]
    left = spans if layer.get("causal") else [each // 2 for each in spans]
    pads = [*left, *(span - each for span, each in zip(spans, left, strict=True))]
    return f"kernel_shape = {size}, pads = {pads}, dilations = {[by] * len(size)}"


def folded(weights: Arrays, number: int) -> Arrays:
    matrix, bias = weights[f"layers.{number}.W"], weights[f"layers.{number}.b"]
    norm = f"layers.{number}.norm"
    if f"{norm}.scale" in weights:
        factor = weights[f"{norm}.scale"] / np.sqrt(weights[f"{norm}.variance"] + 1e-5)
        matrix = matrix * factor[:, None, None]
        bias = (bias - weights[f"{norm}.mean"]) * factor + weights[f"{norm}.shift"]
    return {f"W{number}": matrix.astype(np.float32), f"b{number}": bias.astype(np.float32)}


# ---------------------------------------------------------------- transducers


def transducers() -> Iterator[Case]:
    """Of the steps that are looked at together."""
    files, ahead = {}, transducer.AHEAD
    cell = {"cell": "lstm", "units": 128}
    for count in (ahead, 1, 4, 16):
        transducer.AHEAD = count
        decoder = {"transducer": {}, "embed": 32, "layers": [cell]}
        name = "file" if count == ahead else f"{count} steps together"
        files[name], _ = reader({"layers": [{"dense": 128}]}, decoder, 30)
    transducer.AHEAD = ahead
    for rows, steps in ((1, 50), (1, 200), (16, 50), (16, 200)):
        x = np.random.default_rng(1).normal(size=(rows, steps, FRAMES)).astype(np.float32)
        feeds = {"x": x, "x.lengths": np.full(rows, steps)}
        runs = {name: call(file, feeds) for name, file in files.items()}
        yield Case(f"transducer, greedy: 30 tokens, {rows} rows, {steps} steps", runs, 1e-3)


# ---------------------------------------------------------------- all


def check(case: Case) -> None:
    wanted = case.runs["file"]()
    for name, run in case.runs.items():
        for one, other in zip(wanted, run(), strict=True):
            if one.dtype.kind == "f":
                np.testing.assert_allclose(other, one, atol=case.apart, rtol=1e-5, err_msg=name)
            else:
                np.testing.assert_array_equal(other, one, err_msg=f"{case.title}: {name}")


def five_of(run: Run) -> Callable[[], None]:
    def runs() -> None:
        for _ in range(5):
            run()

    return runs


def measure(case: Case, rounds: int) -> None:
    check(case)
    repeated = {name: five_of(run) for name, run in case.runs.items()}
    least = {name: min(each) / 5 for name, each in interleave(repeated, rounds).items()}
    fastest = min(value for name, value in least.items() if name[0] != "(" and name != "file")
    told = ", ".join(f"{name} {1000 * value:.2f}" for name, value in least.items())
    print(f"{case.title}: {told} ms; ratio {least['file'] / fastest:.2f}", flush=True)


PARTS: dict[str, Callable[[], Iterator[Case]]] = {
    "chain": chains, "ctc": alignments, "conv": convolutions, "transducer": transducers,
}  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)} (default all)")
    options.add_argument("--rounds", type=int, default=10, help="of five calls each (default 10)")
    given = options.parse_args()
    for name in given.parts or PARTS:
        for case in PARTS[name]():
            measure(case, given.rounds)


if __name__ == "__main__":
    main()
