"""The general score over the root of the width of the query."""

from tests.recipes import Edit, Recipe

RECIPE = Recipe(
    row="an attention",
    edits=(
        Edit(
            "rnnspec/spec/decoder.py",
            '''class ScaledAttention(Option, name="scaled"):
    """q · W m / sqrt(width of q)."""


''',
            before="Attention = Annotated[",
        ),
        Edit("rnnspec/spec/decoder.py", "    | ScaledAttention\n", after="    | DotAttention"),
        Edit(
            "rnnspec/plan/nodes/attention.py", '    "scaled",\n', after="AttentionKind = Literal["
        ),
        Edit(
            "rnnspec/plan/nodes/attention.py",
            '    "scaled": Attention(_general, "q · W m / sqrt(n)"),\n',
            after="ATTENTIONS: Mapping",
        ),
        Edit(
            "rnnspec/reference/attention.py",
            """def _scaled(own, query, memory, before):
    return (memory @ own["W"].T) @ query / np.sqrt(len(query))


""",
            before="ATTENTIONS: dict",
        ),
        Edit(
            "rnnspec/reference/attention.py",
            '    "scaled": _softmax_of(_scaled),\n',
            after="ATTENTIONS: dict",
        ),
        Edit(
            "rnnspec/to_torch/attention/kinds.py",
            '''class Scaled(General):
    """e_j = q · (W m_j) / sqrt(width)."""

    def prepare(self, source: PaddedSequence) -> Memory:
        return memory_of(source, F.linear(source.values, self.W) / sqrt(len(self.W)))


''',
            before="class MultiHead(",
        ),
        Edit(
            "rnnspec/to_torch/attention/__init__.py",
            '    "scaled": kinds.Scaled,\n',
            after='    "dot": kinds.Dot,',
        ),
        Edit(
            "rnnspec/to_onnx/attention.py",
            """def _scaled_keys(attention: Attention) -> str:
    emit, node = attention.low.emit, attention.node
    scale = emit.number(1 / sqrt(node.query_width))
    return emit.op("Mul", [_general_keys(attention), scale], f"{node.name}.scaled")


""",
            before="KINDS: Mapping",
        ),
        Edit(
            "rnnspec/to_onnx/attention.py",
            '    "scaled": Kind(_scaled_keys, _one_head(_dot_scores)),\n',
            after="KINDS: Mapping",
        ),
        Edit("tests/decoders.py", '    "scaled": "scaled",\n', after='    "dot": "dot",'),
        Edit(
            "tests/test_conformance_decoder.py",
            '    "scaled": "scaled",\n',
            after='    "dot": "dot",',
        ),
    ),
    tests=("tests/test_conformance_decoder.py -k scaled", "tests/test_node_types.py -k table"),
)
