"""Checks of layers that attend to other encoders: what they attend to is there, waits for nothing
that waits for them, and fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rnnspec.source.problems import did_you_mean
from rnnspec.spec.attending import AttendLayer, DotScore, MultiHeadScore
from rnnspec.spec.base import Loc
from rnnspec.spec.branches import layers_before
from rnnspec.spec.explain import Finding
from rnnspec.spec.inner_views import inner_views
from rnnspec.spec.layers import Layer
from rnnspec.spec.spec import Spec
from rnnspec.spec.stack import INPUT
from rnnspec.spec.views import View, views
from rnnspec.spec.widths import layers_of_encoders, step_width

OF_ONE_WIDTH = ("difference", "product", "cosine", "manhattan")


def attention_has_another_encoder(spec: Spec) -> Iterator[Finding]:
    """A layer that attends is one of several encoders'."""
    several = "write several encoders under 'encoders', or remove this layer"
    message = "there is no other encoder to attend to"
    for index in _attending_in(spec.encoder.layers):
        yield Finding(("encoder", "layers", index, "attend"), message, several)
    for inner in inner_views(spec):
        for index in _attending_in(inner.spec.encoder.layers):
            path = inner.outside(("encoder", "layers", index))
            if path is not None:
                yield Finding(path, f"inside a step {message}", "remove this layer")
    for index in _attending_in(spec.decoder_layers):
        message = "a decoder attends by a key of its own"
        hint = "remove this layer, and add 'attention: additive'"
        if spec.transducer is not None:
            message, hint = "reads the tokens before alone", "remove this layer"
        yield Finding(("decoder", "layers", index), message, hint)


def _attending_in(layers: tuple[Layer, ...]) -> Iterator[int]:
    return (index for index, layer in enumerate(layers) if isinstance(layer, AttendLayer))


@dataclass(frozen=True, slots=True)
class _Place:
    """A layer that attends, in the encoder of a view; `path` is its place in the file."""

    view: View
    index: int
    layer: AttendLayer

    @property
    def path(self) -> Loc:
        return ("encoders", self.view.same_as or self.view.name, "layers", self.index)


def _attending(spec: Spec) -> Iterator[_Place]:
    """The layers that attend, of encoders that share their weights each once."""
    for view in views(spec):
        for index, layer in enumerate(view.spec.encoder.layers):
            if isinstance(layer, AttendLayer) and not view.same_as:
                yield _Place(view, index, layer)


def attended_layers_exist(spec: Spec) -> Iterator[Finding]:
    known = {view.name: view for view in views(spec)}
    for place in _attending(spec):
        path, layer = (*place.path, "attend"), place.layer
        others = [name for name in spec.encoders if name != place.view.name]
        if layer.encoder == place.view.name:
            message = f"{layer.encoder!r} is the encoder of this layer itself"
            ends = [name for name in others if _ends(known, place, name)]
            hint = f"name {' or '.join(ends)}" if ends else "remove this layer"
            yield Finding(path, message, hint)
        elif layer.encoder not in spec.encoders:
            hint = did_you_mean(layer.encoder, others) or f"name {' or '.join(others)}"
            yield Finding(path, f"there is no encoder {layer.encoder!r}", hint)
        elif layer.encoder in known and layer.layer:
            names = list(_named(known[layer.encoder].spec.encoder.layers))
            if layer.layer not in names:
                near = did_you_mean(layer.layer, names)
                hint = near or f"known there are {', '.join(names)}"
                message = f"no layer of {layer.encoder!r} is called {layer.layer!r}"
                yield Finding(path, message, hint)


def _named(layers: tuple[Layer, ...]) -> Iterator[str]:
    yield INPUT
    yield from (layer.name for layer in layers if layer.name is not None)


# ---------------------------------------------------------------- cycles


def _ends(known: Mapping[str, View], place: _Place, name: str) -> bool:
    """Whether no layer waits for itself where a layer attends to the encoder `name`."""
    layers = {each: view.spec.encoder.layers for each, view in known.items()}
    own, at = layers[place.view.name], place.index
    other = place.layer.model_copy(update={"attend": name})
    layers[place.view.name] = (*own[:at], other, *own[at + 1 :])
    return name in known and _way_back(layers, (place.view.name, at)) is None


Step = tuple[str, int]
"""A layer by its encoder and its place."""


def attention_ends(spec: Spec) -> Iterator[Finding]:
    """No layer waits for itself: the layers of all encoders are a graph without cycles."""
    known = {view.name: view.spec.encoder.layers for view in views(spec)}
    for place in _attending(spec):
        start = (place.view.name, place.index)
        way = None if place.layer.encoder == start[0] else _way_back(known, start)
        if way is not None:
            first, *others = dict.fromkeys(name for name, _ in way)
            circle = ", which waits for ".join(map(repr, (*others, first)))
            message = f"never ends: {first!r} waits for {circle}"
            other = place.layer.encoder
            hint = f"attend to a layer of {other!r} that waits for none: give it a name before its"
            hint += f" own attention, and write 'attend: {other}.NAME'"
            yield Finding((*place.path, "attend"), message, hint)
            return


def _way_back(known: Mapping[str, tuple[Layer, ...]], start: Step) -> list[Step] | None:
    """The layers from what `start` waits for back to itself; None where it does not wait for
    itself."""
    ways, seen = [[step] for step in _waits_for(known, start)], set[Step]()
    while ways:
        way = ways.pop()
        if way[-1] == start:
            return [start, *way[:-1]]
        if way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, step] for step in _waits_for(known, way[-1])]
    return None


def _waits_for(known: Mapping[str, tuple[Layer, ...]], step: Step) -> Iterator[Step]:
    name, index = step
    layers = known.get(name, ())
    yield from ((name, before) for before in layers_before(layers)[index])
    layer = layers[index]
    if isinstance(layer, AttendLayer) and layer.encoder in known:
        others = known[layer.encoder]
        if not layer.layer:
            yield layer.encoder, len(others) - 1
        places = (at for at, each in enumerate(others) if each.name == layer.layer)
        yield from ((layer.encoder, at) for at in places if layer.layer)


# ---------------------------------------------------------------- widths and poolings


def meetings_are_named_once(spec: Spec) -> Iterator[Finding]:
    for place in _attending(spec):
        kinds = place.layer.combine
        for at, kind in enumerate(kinds):
            twice = kind in kinds[:at] or (kind == "context" and "concat" in kinds)
            if twice:
                message = f"{kind} is there already"
                message += ", as a part of concat" if kind == "context" else ""
                yield Finding((*place.path, "combine", at), message, "name it once")


def poolings_are_of_last_layers(spec: Spec) -> Iterator[Finding]:
    """The one vector of an encoder is that of its last layer, and stands beside steps."""
    for place in _attending(spec):
        layer = place.layer
        if layer.pools and layer.layer:
            message = f"{layer.encoder!r} pools its last layer, and this names another"
            hint = f"write 'attend: {layer.encoder}', or another score"
            yield Finding((*place.path, "attend"), message, hint)
        if layer.pools and set(layer.combine) == {"context"}:
            message = "one vector alone is the same at every step"
            yield Finding((*place.path, "combine"), message, "write 'combine: [concat]'")


def what_is_attended_to_fits(spec: Spec) -> Iterator[Finding]:
    """Dot products and comparisons need equal widths, heads equal parts of the units."""
    sizes = layers_of_encoders(spec)
    for place in _attending(spec):
        layer, path = place.layer, place.path
        (own,) = (each for each in sizes[place.view.name] if each.index == place.index)
        width, context = own.inputs, step_width(sizes.get(layer.encoder, []), layer.layer)
        score = layer.score
        if isinstance(score, MultiHeadScore):
            units = score.units or width
            if units and units % score.heads:
                message = f"{units} units cannot be divided equally among {score.heads} heads"
                fit = score.heads * max(1, round(units / score.heads))
                hint = f"write 'score: {{multi_head: {{heads: {score.heads}, units: {fit}}}}}'"
                yield Finding((*path, "score"), message, hint)
        if not width or not context or width == context:
            continue
        widths = f"a step has {width} numbers, what it attends to {context}"
        if isinstance(score, DotScore):
            message = f"dot needs equal widths, and {widths}"
            yield Finding((*path, "score"), message, "use general, or choose units that fit")
        for at, kind in enumerate(layer.combine):
            if kind in OF_ONE_WIDTH:
                hint = "choose units that fit, or write 'combine: [concat]'"
                message = f"{kind} needs equal widths, and {widths}"
                yield Finding((*path, "combine", at), message, hint)
                break
