"""The branches of a model: what each answer is made of, from layers of the encoder to its head.

Answers that read the same layers, by the pooling and through the head of the spec, are one branch
and share its layers. An answer with a pooling or a head of its own is a branch of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import UnionType

from rnnspec.spec.base import Loc
from rnnspec.spec.head import Head, Pooling
from rnnspec.spec.layers import Layer
from rnnspec.spec.outputs import (
    ForecastOutput,
    Headed,
    Output,
    PointedOutput,
    RowOutput,
    StatesOutput,
    StepOutput,
)
from rnnspec.spec.spec import Spec

Names = tuple[str, ...]


Read = Headed | StatesOutput
"""What answers with a value of the encoder, or of the whole row."""
Unpooled = StepOutput | PointedOutput
"""Answers that are made of the vector of each step."""
ATTENDED = ""
"""The column of what stands for the layers of an encoder that another one attends to."""


@dataclass(frozen=True, slots=True)
class Branch:
    """Answers that are made of one value: of the layers called `reads` (None: the last one), by a
    `pooling` (None: at each step, or without an encoder), through a `head`.

    `pooled_by` and `headed_by` are the column of the answer whose own they are, "" for those of the
    spec. `name` is the column of the first answer; "" in the branch that a spec without keys of its
    own for an answer would have, so that its nodes keep their names whatever stands beside it.
    """

    outputs: tuple[Read, ...]
    reads: Names | None
    pooling: Pooling | None
    head: Head
    pooled_by: str = ""
    headed_by: str = ""
    name: str = ""

    @property
    def value(self) -> tuple[Names | None, bool, str]:
        """Tells apart what heads read: branches with equal ones share a pooling."""
        return self.reads, self.pooling is None, self.pooled_by


def branches(spec: Spec) -> tuple[Branch, ...]:
    """The branches of a spec, in the order of their first answers."""
    found: list[Branch] = []
    for _, output in reading(spec):
        new = _branch(spec, output)
        for place, each in enumerate(found):
            if (each.value, each.headed_by) == (new.value, new.headed_by):
                found[place] = replace(each, outputs=(*each.outputs, output))
                break
        else:
            found.append(new)
    steps = spec.cardinality == "N:N" or not spec.encoder.layers
    usual = (None, steps, "")
    return tuple(
        replace(each, name=each.outputs[0].column)
        if len(found) > 1 and (each.headed_by or each.value != usual)
        else each
        for each in found
    )


def _branch(spec: Spec, output: Read) -> Branch:
    pooling: Pooling | None = None
    own = ""
    if isinstance(output, StatesOutput):
        pooling, own = output.pooling, output.column if output.pooling is not None else ""
    elif not isinstance(output, Unpooled) and spec.encoder.layers:
        pooling = output.pooling or spec.pooling
        own = output.column if output.pooling is not None else ""
    layers = spec.encoder.layers
    last = (layers[-1].name,) if layers else None
    reads = None if output.reads == last else output.reads
    if isinstance(output, StatesOutput):
        return Branch((output,), reads, pooling, Head(), own, output.column)
    if output.head is None:
        return Branch((output,), reads, pooling, spec.head, own)
    return Branch((output,), reads, pooling, output.head, own, output.column)


def one_pooling(spec: Spec) -> bool:
    """Whether one pooling of the last layer is all that is read of the encoder, but for layers that
    others attend to by name."""
    values = {
        each.value
        for each in branches(spec)
        if each.reads is None or not (each.reads == () or is_attended(each.outputs[0]))
    }
    return (
        len(values) == 1
        and all(reads is None and not steps for reads, steps, _ in values)
        and spec.decoder_ is None
    )


def reading(spec: Spec) -> Iterator[tuple[Loc, Read]]:
    """The answers that are made of the encoder, with their paths: all but those of a decoder."""
    for path, output in spec.data.located_outputs:
        written = isinstance(output, ForecastOutput) and spec.decoder_ is not None
        written |= output is spec.written_frames
        if isinstance(output, Read) and not written:
            yield path, output


def headed(spec: Spec) -> Iterator[tuple[Loc, Headed]]:
    """The answers that a head makes, with their paths: all but those of a decoder."""
    for path, output in reading(spec):
        if not isinstance(output, StatesOutput):
            yield path, output


def pooled(spec: Spec) -> list[tuple[Loc, RowOutput | ForecastOutput]]:
    """The answers that a pooling makes one vector for, with their paths."""
    return [
        (path, output)
        for path, output in headed(spec)
        if not isinstance(output, Unpooled) and spec.encoder.layers
    ]


def pooling_path(spec: Spec, branch: Branch) -> Loc:
    """Where the pooling of a branch stands: at its first answer, or that of the spec."""
    first = branch.outputs[0]
    own = not isinstance(first, Unpooled) and first.pooling is not None
    if own and not is_attended(first):
        return (*next(path for path, each in reading(spec) if each is first), "pooling")
    return ("pooling",)


def places_of(layers: Sequence[Layer], reads: Names | None) -> list[int]:
    """The places of the layers that are read; of 'input', which is none, there is none."""
    if reads is None:
        return [len(layers) - 1] if layers else []
    names = {layer.name: index for index, layer in enumerate(layers) if layer.name is not None}
    return [names[name] for name in reads if name in names]


def layers_under(spec: Spec, reads: Names | None) -> set[int]:
    """The layers of the encoder, by their places, that the value of `reads` depends on."""
    layers = spec.encoder.layers
    ways, before, found = places_of(layers, reads), layers_before(layers), set[int]()
    while ways:
        index = ways.pop()
        if index not in found:
            found.add(index)
            ways += before[index]
    return found


def is_of_steps(output: Read) -> bool:
    """Whether an answer is one for each step, or is one of them."""
    states = isinstance(output, StatesOutput) and output.pooling is None
    return (states and not is_attended(output)) or isinstance(output, Unpooled)


def is_of_another(output: Output) -> bool:
    """Whether an answer is made of the steps of another encoder (`rnnspec.spec.views`)."""
    return getattr(output, "reads", None) == ()


def is_attended(output: Output) -> bool:
    """Whether this is no answer, but what another encoder attends to (`rnnspec.spec.views`)."""
    return output.column == ATTENDED


def layers_of_steps(spec: Spec) -> set[int]:
    """The layers of the encoder, by their places, that answers of each step depend on."""
    found = set[int]()
    for _, output in reading(spec):
        if is_of_steps(output):
            found |= layers_under(spec, output.reads)
    return found


def layers_of(spec: Spec, kind: type[Read] | UnionType) -> set[int]:
    """The layers of the encoder, by their places, that answers of a kind depend on."""
    found = set[int]()
    for _, output in reading(spec):
        if isinstance(output, kind):
            found |= layers_under(spec, output.reads)
    return found


def read_by_outputs(spec: Spec, decoder: bool = True) -> set[str | None]:
    """The names that the answers and, if asked for, the decoder read; None is the last layer."""
    writes = spec.decoder_ is not None or spec.writes_frames
    found: set[str | None] = {None} if decoder and writes else set()
    for branch in branches(spec):
        found.update((None,) if branch.reads is None else branch.reads)
    return found


def layers_before(layers: Sequence[Layer]) -> list[list[int]]:
    """The layers that each layer reads, by their places."""
    known: dict[str | None, int] = {}
    found: list[list[int]] = []
    for index, layer in enumerate(layers):
        if layer.reads is None:
            found.append([index - 1] if index else [])
        else:
            found.append([known[name] for name in layer.reads if name in known])
        known[layer.name] = index
    return found
