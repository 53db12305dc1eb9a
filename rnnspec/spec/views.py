"""Several encoders, each as a spec that has it alone: what is true of one is checked and resolved
once for all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rnnspec.spec.attending import AttendLayer
from rnnspec.spec.base import Loc, SequenceInput
from rnnspec.spec.encoder import AnyEncoder, Encoder, OwnEncoder, SharedEncoder
from rnnspec.spec.inputs import Input, StaticInput
from rnnspec.spec.outputs import Output
from rnnspec.spec.spec import Spec


@dataclass(frozen=True, slots=True)
class View:
    """The encoder `name` and the rest of the model as a spec of its own, whose inputs are those of
    the encoder; `places` are their places in `data.input`. It may have the weights of another
    encoder, `same_as`."""

    name: str
    spec: Spec
    places: tuple[int, ...]
    same_as: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(each.column for each in self.spec.data.inputs)

    def outside(self, path: Loc) -> Loc | None:
        """A path of `spec` as one of the file; None for one of the encoder that shares its
        weights."""
        match path:
            case ("encoder" | "pooling", *_) if self.same_as:
                return None
            case ("encoder", *rest):
                return ("encoders", self.name, *rest)
            case ("pooling", *rest):
                return ("encoders", self.name, "pooling", *rest)
            case ("data", "input", int(place), *rest):
                return ("data", "input", self.places[place], *rest)
        return path

    def inside(self, path: Loc) -> Loc | None:
        """A path of the file as one of `spec`; None for one of another encoder or its inputs."""
        match path:
            case ("encoders", name, "pooling", *rest):
                return ("pooling", *rest) if name == (self.same_as or self.name) else None
            case ("encoders", name, *rest):
                return ("encoder", *rest) if name in (self.same_as, self.name) else None
            case ("data", "input", int(place), *rest):
                return self._input(place, rest)
        return path

    def _input(self, place: int, rest: list[str | int]) -> Loc | None:
        if place not in self.places:
            return None
        return ("data", "input", self.places.index(place), *rest)


def views(spec: Spec) -> Iterator[View]:
    """The encoders of a spec that has several. Unknown columns are left out, and an encoder without
    layers, or a sequence that it reads, is none: `rnnspec.spec.check_encoders` finds them."""
    for name, encoder in spec.encoders.items():
        own = layers_of(spec, encoder)
        chosen = list(_inputs_of(spec, encoder))
        if own is None or not any(isinstance(each, SequenceInput) for _, each in chosen):
            continue
        places, inputs = zip(*chosen, strict=True)
        outputs = tuple(map(_of_all_encoders, spec.data.outputs))
        answered = outputs if isinstance(spec.data.output, tuple) else outputs[0]
        data = spec.data.model_copy(update={"input": inputs, "output": answered})
        same_as = encoder.same_as if isinstance(encoder, SharedEncoder) else ""
        layers = _alone(own, name, same_as)
        alone = {"data": data, "encoder_": layers, "encoders": {}, "pooling": own.pooling}
        found = spec.model_copy(update={**alone, "combine": ("concat",)})
        yield View(name, found, places, same_as)


def layers_of(spec: Spec, encoder: AnyEncoder) -> OwnEncoder | None:
    """The encoder whose layers an encoder has; None where there is none."""
    if isinstance(encoder, OwnEncoder):
        return encoder
    found = spec.encoders.get(encoder.same_as)
    return found if isinstance(found, OwnEncoder) else None


def _inputs_of(spec: Spec, encoder: AnyEncoder) -> Iterator[tuple[int, Input]]:
    """The inputs of an encoder in its own order, with their places."""
    inputs = spec.data.inputs
    for column in encoder.inputs:
        yield from ((at, each) for at, each in enumerate(inputs) if each.column == column)


def _of_all_encoders(output: Output) -> Output:
    """An answer without what it would choose of one encoder."""
    chosen = [key for key in ("reads", "pooling") if key in type(output).model_fields]
    return output.model_copy(update=dict.fromkeys(chosen)) if chosen else output


def _alone(own: OwnEncoder, name: str, same_as: str) -> Encoder:
    """The layers of the encoder `name`. Where it has the weights of another that attends to it, it
    attends to that one."""
    found = {field: getattr(own, field) for field in Encoder.model_fields}
    if same_as:
        found["layers"] = tuple(
            layer.of(same_as) if isinstance(layer, AttendLayer) and layer.encoder == name else layer
            for layer in own.layers
        )
    return Encoder.model_construct(**found)


def of_one_or_several(spec: Spec) -> tuple[Spec, ...]:
    """The spec itself, or one for each of its encoders."""
    return tuple(each.spec for each in views(spec)) if spec.encoders else (spec,)


def encoder_of(spec: Spec) -> dict[str, str]:
    """Which of several encoders reads each column."""
    return {column: name for name, each in spec.encoders.items() for column in each.inputs}


def common_columns(spec: Spec) -> dict[str, str]:
    """Columns that have the facts of another, which an encoder with the same weights reads."""
    known = {view.name: view for view in views(spec)}
    pairs = ((view.columns, known[view.same_as].columns) for view in known.values() if view.same_as)
    return {one: two for columns, others in pairs for one, two in zip(columns, others, strict=True)}


def attended_at_end(spec: Spec) -> set[str]:
    """The encoders whose last layers others attend to."""
    layers = (layer for view in views(spec) for layer in view.spec.encoder.layers)
    attending = (each for each in layers if isinstance(each, AttendLayer))
    return {each.encoder for each in attending if not each.layer}


def beside_encoders(spec: Spec) -> tuple[StaticInput, ...]:
    """The vectors of whole rows that no encoder reads: they stand beside those of the encoders."""
    read = encoder_of(spec)
    return tuple(each for each in spec.data.statics if each.column not in read)
