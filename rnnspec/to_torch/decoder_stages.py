"""What the body of a decoder reads from outside, and its stages under teacher forcing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from rnnspec.plan import nodes
from rnnspec.to_torch.attention import Memory
from rnnspec.to_torch.copying import Copied
from rnnspec.to_torch.pointers import Steps


@dataclass(frozen=True)
class Reads:
    """What the steps of a body read from outside, for `rows` rows of `beams` beams each.

    `vectors` `[R, width]` and values `ahead` `[H, R, width]` by node; `memories` by the node of the
    attention; `copied`, the tokens of the source, by the node that copies; `pointed`, what stands
    behind the numbers of steps, by the node that reads it.
    """

    rows: int
    vectors: Mapping[str, Tensor]
    ahead: Mapping[str, Tensor]
    memories: Mapping[str, Memory]
    copied: Mapping[str, Copied]
    pointed: Mapping[str, Steps]
    beams: int = 1

    def in_beams(self, beams: int) -> Reads:
        """The same with `beams` beams a row."""
        vectors = {k: v.repeat_interleave(beams, dim=0) for k, v in self.vectors.items()}
        ahead = {k: v.repeat_interleave(beams, dim=1) for k, v in self.ahead.items()}
        return replace(self, vectors=vectors, ahead=ahead, beams=beams)


def read_directly(node: nodes.Node) -> set[str]:
    """What a node of a body reads step by step or as a vector: not its memory, tokens or past."""
    if isinstance(node, nodes.Attend | nodes.Pointed | nodes.Pointer):
        return {node.source}
    if isinstance(node, nodes.CopyMix):
        return {node.source, node.gate}
    if isinstance(node, nodes.Previous | nodes.PreviousNumber | nodes.PreviousFrame):
        return set()
    return set(node.sources())


def stages(
    decoder: nodes.Decoder,
) -> tuple[tuple[nodes.Node, ...], tuple[nodes.Node, ...], tuple[nodes.Node, ...]]:
    """The nodes before the loop, in it and after it; the others run over all steps at once.

    In the loop are the nodes that depend on earlier steps other than by a recurrent layer, and all
    that lie between such nodes.
    """
    body = decoder.body
    stepwise = {node.name for node in body if node.stepwise}
    reached, reaching = set(stepwise), set(stepwise)
    for _ in body:
        reached |= {n.name for n in body if reached.intersection(n.sources())}
        reaching |= {s for n in body if n.name in reaching for s in n.sources()}
    # A Delayed reads a later node, and so reaches itself: that closes the loop.
    loop = reached & reaching
    return (
        tuple(n for n in body if n.name not in reached),
        tuple(n for n in body if n.name in loop),
        tuple(n for n in body if n.name in reached - loop),
    )
