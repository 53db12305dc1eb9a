"""A learned factor for each element of a vector."""

from tests.recipes import Edit, Recipe

RECIPE = Recipe(
    row="another node type",
    edits=(
        Edit(
            "rnnspec/plan/nodes/layers.py",
            '''

@dataclass(frozen=True, slots=True)
class Scale(Node):
    """`w * v`, element by element: `[B, T, width]` or `[B, width]`."""

    pointwise = True
    keeps_directions = True
    decays = False

    source: str
    width: int

    def sources(self) -> Iterator[str]:
        yield self.source

    def weights(self) -> Iterator[Weight]:
        yield Weight(f"{self.name}.w", (self.width,), Constant(1.0))

    def shape(self, shapes: Shapes) -> Shape:
        return shapes.each_vector(self, self.source, self.width, self.width)
''',
        ),
        Edit("rnnspec/plan/nodes/__init__.py", "    Scale,\n", after="    Residual,"),
        Edit(
            "rnnspec/plan/diagram/of_plan.py",
            '    nodes.Scale: lambda n: ("a factor for each element",),\n',
            after="WORDS: Mapping",
        ),
        Edit(
            "rnnspec/plan/diagram/of_plan.py",
            "from rnnspec.plan import nodes\n",
            "from rnnspec.plan.diagram",
        ),
        Edit(
            "rnnspec/reference/layers.py",
            """def _scale(plan: Plan, node: nodes.Scale, weights: Arrays, values: Arrays) -> Array:
    return weights[f"{node.name}.w"] * values[node.source]


""",
            before="LAYERS: dict",
        ),
        Edit("rnnspec/reference/layers.py", "    nodes.Scale: _scale,\n", "LAYERS: dict"),
        Edit(
            "rnnspec/to_torch/layers.py",
            '''

class Scale(Weighted):
    """`w * v`, element by element."""

    w: Tensor

    def forward(self, source: PaddedSequence | Tensor) -> PaddedSequence | Tensor:
        return on_each(lambda v: self.w * v, source)
''',
        ),
        Edit("rnnspec/to_torch/modules.py", "    nodes.Scale: layers.Scale,\n", "    nodes.Merge:"),
        Edit(
            "rnnspec/to_onnx/pointwise.py",
            """def lower_scale(scope: Scope, node: nodes.Scale) -> Value:
    source = scope.value(node.source)
    factor = scope.low.canonical(f"{node.name}.w")
    return like(source, scope.emit.op("Mul", [source.name, factor], node.name))


""",
            before="POINTWISE: Mapping",
        ),
        Edit(
            "rnnspec/to_onnx/pointwise.py", "    nodes.Scale: lower_scale,\n", "POINTWISE: Mapping"
        ),
    ),
    program="""
from dataclasses import replace
import numpy as np
from rnnspec.plan.diagram import diagram
from rnnspec.plan.dump import dump
from rnnspec.plan.nodes import Decoder, Plan, Pool, Scale, Scores, verify
from rnnspec.reference import answers
from rnnspec.run.session import Session
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from tests import decoders, layers
from tests.answers import tensor_of
from tests.kinds import batched, feeds, plan_of, random_rows, strong_weights
from tests.models import frames_facts, padded, random_frames

def scaled(nodes, kind, width):
    '''The nodes with a Scale before the first of a kind.'''
    found = list(nodes)
    place = next(i for i, node in enumerate(found) if isinstance(node, kind))
    node = found[place]
    found[place:place + 1] = [Scale("scale", node.source, width), replace(node, source="scale")]
    return tuple(found)

# In an encoder, between a bidirectional layer and the pooling of its ends.
plan = layers.plan("norm last")
pool = next(node for node in plan.nodes if isinstance(node, Pool))
plan = verify(replace(plan, nodes=scaled(plan.nodes, Pool, pool.inputs)))
weights, rows = strong_weights(plan), random_frames((4, 0, 2))
right = answers(plan, weights, rows)["label"]
model = Model(plan).eval()
model.load_canonical(weights)
np.testing.assert_allclose(tensor_of(model, padded(rows, 6, 3.7)), right, atol=1e-5)
session = Session(to_onnx(plan, frames_facts(), weights).SerializeToString())
values, lengths = padded(rows, 6, 3.7)["frames"]
told = session.run({"frames": values.numpy(), "frames.lengths": lengths.numpy()})
np.testing.assert_allclose(told["label.probabilities"], right, atol=1e-5)
assert "scale" in dump(plan) and any(box.name == "scale" for box in diagram(plan).boxes)

# In the body of a decoder.
plan, facts = plan_of(decoders.SPECS["additive after"])
(decoder,) = (node for node in plan.nodes if isinstance(node, Decoder))
scores = next(node for node in decoder.body if isinstance(node, Scores))
body = scaled(decoder.body, Scores, scores.inputs)
plan = verify(replace(plan, nodes=tuple(
    replace(n, body=body) if n is decoder else n for n in plan.nodes)))
weights, rows = strong_weights(plan, size=0.9), random_rows(plan, (5, 1, 0, 3))
right = answers(plan, weights, rows)
column = plan.outputs[0].column
model = decoders.model_of(plan, weights)
found = model.answers(decoders.doubled(batched(plan, rows)))[column]
session = Session(to_onnx(plan, facts, weights, ids=True).SerializeToString())
told = session.run(feeds(plan, rows))
for row, text in enumerate(right[column]):
    length = int(told[f"{column}.lengths"][row])
    assert tuple(told[f"{column}.ids"][row][:length]) == text.tokens[0], (text, told)
    assert tuple(found.numbers[row, 0, :length].tolist()) == text.tokens[0]
""",
)
