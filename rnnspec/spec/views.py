"""Several encoders, each as a spec that has it alone: what is true of one is checked and resolved
once for all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rnnspec.spec.attending import AttendLayer
from rnnspec.spec.base import Loc, SequenceInput
from rnnspec.spec.branches import ATTENDED, Unpooled, is_attended, reading
from rnnspec.spec.encoder import AnyEncoder, Encoder, OwnEncoder, SharedEncoder
from rnnspec.spec.inputs import Input, StaticInput
from rnnspec.spec.outputs import Output, StatesOutput
from rnnspec.spec.spec import Spec
from rnnspec.spec.stack import INPUT

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class View:
    """The encoder `name` and the rest of the model as a spec of its own, whose inputs are those of
    the encoder; `places` are their places in `data.input`. It may have the weights of another
    encoder, `same_as`.

    Answers of its steps name its layers as those of a spec with one encoder do, answers of the
    steps of other encoders none (`branches.is_of_another`). What others attend to stands among the
    answers too (`branches.is_attended`), so that whatever asks what is read of an encoder knows of
    it. Encoders with the same weights have all this in common: what has an effect in one of them
    has one.
    """

    name: str
    spec: Spec
    places: tuple[int, ...]
    same_as: str = ""
    one_answer: bool = False
    """Whether `data.output` of the file is no list, and that of `spec` is one."""

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
            case ("data", "output", int(place), *rest) if self._is_attended(place):
                return None
            case ("data", "output", int(_), *rest) if self.one_answer:
                return ("data", "output", *rest)
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
            case ("data", "output", *rest) if self.one_answer:
                return ("data", "output", 0, *rest)
        return path

    def _is_attended(self, place: int) -> bool:
        return is_attended(self.spec.data.outputs[place])

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
        same_as = encoder.same_as if isinstance(encoder, SharedEncoder) else ""
        outputs = tuple(_seen_from(spec, same_as or name, own, each) for each in spec.data.outputs)
        attended = tuple(_attended(spec, same_as or name, own))
        several = isinstance(spec.data.output, tuple) or bool(attended)
        answered = (*outputs, *attended) if several else outputs[0]
        data = spec.data.model_copy(update={"input": inputs, "output": answered})
        layers = _alone(own, name, same_as)
        alone = {"data": data, "encoder_": layers, "encoders": {}, "pooling": own.pooling}
        found = spec.model_copy(update={**alone, "combine": ("concat",)})
        placed = found.with_encoder_at(("encoders", same_as or name), places)
        one_answer = several and not isinstance(spec.data.output, tuple)
        yield View(name, placed, places, same_as, one_answer)


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


def root_of(spec: Spec, name: str) -> str:
    """The encoder whose weights the encoder `name` has; itself, unless it shares them."""
    encoder = spec.encoders.get(name)
    return encoder.same_as if isinstance(encoder, SharedEncoder) else name


def of_one_encoder(spec: Spec, output: Output) -> bool:
    """Whether an answer is made of one of several encoders: one of its steps, or of each."""
    return isinstance(output, Unpooled | StatesOutput) and output is not spec.written_frames


def answers_of_all(spec: Spec) -> bool:
    """Whether some answer is made of the vectors of all encoders."""
    return any(not of_one_encoder(spec, output) for _, output in reading(spec))


def encoder_read(output: Output) -> str:
    """The encoder that an answer of one names first; "" where it names none."""
    reads: Names | None = getattr(output, "reads", None)
    return reads[0].partition(".")[0] if reads else ""


def layers_read(output: Output) -> Names | None:
    """The layers of its encoder that an answer of one names; None for the last layer."""
    reads: Names = getattr(output, "reads", None) or ()
    names = tuple(name.partition(".")[2] for name in reads)
    return None if names == ("",) else names


def known_layers(own: OwnEncoder, output: Output) -> Names | None:
    """The names of layers of an encoder that an answer of it names, without those that are unknown
    (`rnnspec.spec.check_reads` finds them); None for the last layer alone."""
    names, last = layers_read(output), own.layers[-1].name
    if names is None or ("" in names and last is None):
        return None
    known = {INPUT, *(layer.name for layer in own.layers if layer.name is not None)}
    return tuple(each for name in names if (each := name or last or "") in known)


def _seen_from(spec: Spec, root: str, own: OwnEncoder, output: Output) -> Output:
    """An answer as one of a spec that has the encoder `root` alone."""
    if of_one_encoder(spec, output):
        if root_of(spec, encoder_read(output)) != root:
            return output.model_copy(update={"reads": ()})
        return output.model_copy(update={"reads": known_layers(own, output)})
    if output is spec.written_frames:
        return output
    chosen = [key for key in ("reads", "pooling") if key in type(output).model_fields]
    return output.model_copy(update=dict.fromkeys(chosen)) if chosen else output


def _attended(spec: Spec, root: str, own: OwnEncoder) -> Iterator[StatesOutput]:
    """What others attend to of the encoder `root`: its last layer, layers by name, its vector."""
    found: dict[tuple[str, bool], None] = {}
    for encoder in spec.encoders.values():
        layers = encoder.layers if isinstance(encoder, OwnEncoder) else ()
        for layer in layers:
            if isinstance(layer, AttendLayer) and root_of(spec, layer.encoder) == root:
                found["" if layer.pools else layer.layer, layer.pools] = None
    for name, pools in found:
        yield StatesOutput.model_construct(
            column=ATTENDED,
            as_="states",
            reads=(name,) if name else None,
            pooling=own.pooling if pools else None,
        )


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


def encoder_answered(spec: Spec) -> dict[str, str]:
    """Which of several encoders has the steps that the column of an answer is about."""
    found = spec.data.targets if spec.encoders else ()
    return {each.column: encoder_read(each) for each in found if of_one_encoder(spec, each)}


def common_columns(spec: Spec) -> dict[str, str]:
    """Columns that have the facts of another, which an encoder with the same weights reads."""
    known = {view.name: view for view in views(spec)}
    pairs = ((view.columns, known[view.same_as].columns) for view in known.values() if view.same_as)
    return {one: two for columns, others in pairs for one, two in zip(columns, others, strict=True)}


def beside_encoders(spec: Spec) -> tuple[StaticInput, ...]:
    """The vectors of whole rows that no encoder reads: they stand beside those of the encoders."""
    read = encoder_of(spec)
    return tuple(each for each in spec.data.statics if each.column not in read)
