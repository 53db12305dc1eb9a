"""The sum over steps."""

from tests.recipes import Edit, Recipe

RECIPE = Recipe(
    row="a pooling",
    edits=(
        Edit(
            "rnnspec/spec/head.py",
            '''class SumPooling(Option, name="sum"):
    """The sum over the sequence's own steps."""


''',
            before="class AttentionPooling(",
        ),
        Edit(
            "rnnspec/spec/head.py",
            "Pooling = Annotated[SumPooling | ",
            instead="Pooling = Annotated[",
        ),
        Edit(
            "rnnspec/plan/nodes/layers.py",
            'PoolKind = Literal["sum", ',
            instead="PoolKind = Literal[",
        ),
        Edit(
            "rnnspec/plan/diagram/of_plan.py", '    "sum": "sum over steps",\n', after="_POOLS = {"
        ),
        Edit(
            "rnnspec/reference/layers.py",
            '    "sum": lambda plan, node, weights, steps: steps.sum(axis=0),\n',
            after="POOLINGS: dict",
        ),
        Edit(
            "rnnspec/to_torch/layers.py",
            '''class PoolSum(Weighted):
    """The sum over the steps of a row; 0 for a row of no steps."""

    def forward(self, source: PaddedSequence) -> Tensor:
        return source.values.masked_fill(~source.lengths.mask[..., None], 0.0).sum(0)


''',
            before="class PoolMax(",
        ),
        Edit("rnnspec/to_torch/layers.py", '    "sum": PoolSum,\n', after="POOLINGS: "),
        Edit(
            "rnnspec/to_onnx/pool.py",
            """def _sum(low: Lowering, node: Pool, source: PaddedSequence) -> str:
    values = own_values(source, f"{node.name}.values")
    return low.emit.reduce("ReduceSum", values, 0, node.name)


""",
            before="def _max(",
        ),
        Edit("rnnspec/to_onnx/pool.py", '    "sum": _sum,\n', after="KINDS: Mapping"),
        Edit(
            "rnnspec/plan/stream_rules.py",
            """        case "sum":
            return (StreamState(f"{name}.sum", width),)
""",
            before='        case "attention":',
        ),
        Edit(
            "rnnspec/to_onnx/streamed.py",
            """def _sum(low: Lowering, node: nodes.Pool, source: PaddedSequence) -> str:
    values = own_values(source, f"{node.name}.values")
    here = low.emit.reduce("ReduceSum", values, 0, f"{node.name}.here")
    total = low.emit.op("Add", [_chunks(low).before(f"{node.name}.sum"), here], node.name)
    _chunks(low).after(f"{node.name}.sum", total)
    return total


""",
            before="def _max(",
        ),
        Edit("rnnspec/to_onnx/streamed.py", '    "sum": _sum,\n', after="POOLS: Mapping"),
        Edit(
            "tests/test_conformance.py",
            '    return ("sum",) if cell == "gru" else ("last",)\n',
            after='    """What a pooling reads depends',
        ),
    ),
    tests=("tests/test_conformance.py -k 'gru and not gru_reset_before'",),
)
