"""What a decoder's body reads from around it, and which of its nodes must be run step by step even
where all that is fed back is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from rnnspec.plan import nodes
from rnnspec.to_torch.attention import Memory
from rnnspec.to_torch.copying import Copied


@dataclass(frozen=True)
class Reads:
    """What the steps read from outside: of `rows` rows, `beams` of each.

    `vectors` `[R, width]` and values `ahead` `[H, R, width]` by their nodes, `memories` by the node
    of the attention, `copied`, the tokens of the source, by the node that copies.
    """

    rows: int
    vectors: Mapping[str, Tensor]
    ahead: Mapping[str, Tensor]
    memories: Mapping[str, Memory]
    copied: Mapping[str, Copied]
    beams: int = 1

    def in_beams(self, beams: int) -> Reads:
        """With as many beams a row."""
        vectors = {k: v.repeat_interleave(beams, dim=0) for k, v in self.vectors.items()}
        ahead = {k: v.repeat_interleave(beams, dim=1) for k, v in self.ahead.items()}
        return replace(self, vectors=vectors, ahead=ahead, beams=beams)


def read_directly(node: nodes.Node) -> set[str]:
    """What a node of a body reads step by step or as a vector: no memory, no tokens, no past."""
    match node:
        case nodes.Attend():
            return {node.source}
        case nodes.CopyMix():
            return {node.source, node.gate}
        case nodes.Previous() | nodes.PreviousNumber():
            return set()
    return set(node.sources())


def phases(
    decoder: nodes.Decoder,
) -> tuple[tuple[nodes.Node, ...], tuple[nodes.Node, ...], tuple[nodes.Node, ...]]:
    """The nodes that no step by step node reaches, those that also reach one, and the others."""
    body = decoder.body
    start = {
        n.name
        for n in body
        if isinstance(n, nodes.Delayed) or (isinstance(n, nodes.Attend) and n.remembers)
    }
    reached, reaching = set(start), set(start)
    for _ in body:
        reached |= {n.name for n in body if reached.intersection(n.sources())}
        reaching |= {s for n in body if n.name in reaching for s in n.sources()}
    # A Delayed reads what comes later; that it is reached by way of it is what makes the loop.
    loop = reached & reaching
    return (
        tuple(n for n in body if n.name not in reached),
        tuple(n for n in body if n.name in loop),
        tuple(n for n in body if n.name in reached - loop),
    )
