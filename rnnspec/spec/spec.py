"""The model of a whole spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr
from pydantic.functional_validators import BeforeValidator

from rnnspec.source.nodes import shown_path
from rnnspec.source.problems import did_you_mean
from rnnspec.spec.base import Identifier, ListOf, Loc, Model, Slug, spec_error
from rnnspec.spec.cell import CellDefinition
from rnnspec.spec.choice import describe
from rnnspec.spec.data import Data
from rnnspec.spec.decoder import AnyDecoder, CtcDecoder, Decoder, TransducerDecoder
from rnnspec.spec.encoder import AnyEncoder, Combination, Encoder
from rnnspec.spec.head import Head, LastPooling, Pooling
from rnnspec.spec.init import Start
from rnnspec.spec.layers import Layer
from rnnspec.spec.outputs import ForecastOutput, FramesOutput, PositionsOutput, TextOutput
from rnnspec.spec.train import Train

CARDINALITIES = ("1:1", "N:1", "1:N", "N:N", "N:M")


def _known_cardinality(value: object) -> object:
    if not isinstance(value, str) or value.upper() not in CARDINALITIES:
        near = did_you_mean(value, CARDINALITIES) if isinstance(value, str) else ""
        listed = ", ".join(CARDINALITIES)
        raise spec_error(f"expected one of {listed}, found {describe(value)}", near)
    if value not in CARDINALITIES:
        raise spec_error(
            f"expected {value.upper()}, found {describe(value)}", "write it in capitals"
        )
    return value


Cardinality = Annotated[
    Literal["1:1", "N:1", "1:N", "N:N", "N:M"], BeforeValidator(_known_cardinality)
]


NO_ENCODER = Encoder.model_construct(layers=())


class Spec(Model):
    """A recurrent model and how it is trained."""

    # Defaults are made by `model_construct`, which builds no validator: one for Spec is enough.

    name: Slug = Field(
        description="Name of the model and of its build folder: letters, digits, '-', '_', '.'."
    )
    cardinality: Cardinality = Field(
        description="Shape of the task, from input to output: 1:1 a row to an answer, N:1 a "
        "sequence to an answer, 1:N a row to a sequence, N:N a sequence to an answer for "
        "each step, N:M a sequence to another of its own length."
    )
    data: Data = Field(description="Where the rows come from and what each holds.")
    cells: dict[Identifier, CellDefinition] = Field(
        default={}, description="Cells that the spec defines, by name, for use in layers."
    )
    encoder_: Encoder | None = Field(
        default=None,
        alias="encoder",
        description="The part that reads the input sequence; 1:1 and 1:N have none.",
    )
    encoders: dict[Identifier, AnyEncoder] = Field(
        default={},
        description="In place of 'encoder', several by name: each reads sequences that have "
        "numbers of steps of their own, and pools them to a vector, is a source of the decoder, or "
        "has steps that are answered.",
    )
    combine: Annotated[tuple[Combination, ...], ListOf] = Field(
        default=("concat",),
        min_length=1,
        description="How the vectors u and v of 'encoders' meet, side by side in this order: "
        "'concat' is u and v, 'difference' |u - v| and 'product' u * v, element by element, "
        "'cosine' the cosine of their angle, 'manhattan' exp(-sum |u - v|). Of more than two "
        "encoders each pair is compared.",
    )
    decoder_: AnyDecoder | None = Field(
        default=None,
        alias="decoder",
        description="The part that writes the answer of 1:N and N:M step by step; a forecast "
        "without one answers all steps at once. With the key ctc or transducer the answer of N:M "
        "is aligned with the steps of the encoder.",
    )
    pooling: Pooling = Field(
        default=LastPooling.model_construct(),
        description="How the states of all steps become one vector.",
    )
    head: Head = Field(
        default=Head.model_construct(),
        description="The dense layers from the pooled vector to the answer.",
    )
    init: Start | None = Field(
        default=None,
        description="Initializer of every trained matrix and learned vector for which no nearer "
        "key says another, and with uniform or normal of biases too: recurrent layers, dense ones, "
        "convolutions, embeddings, attention, answers. What starts at a constant (norms, gates of "
        "highways, learned states) stays as it is. Null means uniform within 1/sqrt(inputs), in a "
        "recurrent layer 1/sqrt(units), and normal with deviation 1 for embeddings.",
    )
    train: Train = Field(default=Train.model_construct(), description="How the model is trained.")
    _encoder_at: Loc = PrivateAttr(default=("encoder",))
    _inputs_at: tuple[int, ...] | None = PrivateAttr(default=None)
    _context_widths: Mapping[str, int | None] = PrivateAttr(default={})

    def with_encoder_at(self, path: Loc, inputs: tuple[int, ...] | None = None) -> Spec:
        """The same spec for one encoder of a file, which stands at `path` there and reads the
        `inputs` with these numbers: messages name places in the file."""
        found = self.model_copy()
        found._encoder_at, found._inputs_at = path, inputs
        return found

    def with_contexts(self, widths: Mapping[str, int | None]) -> Spec:
        """The same spec of one encoder, which knows the widths of what its layers attend to, by
        their `attend`."""
        found = self.model_copy()
        found._context_widths = widths
        return found

    @property
    def context_widths(self) -> Mapping[str, int | None]:
        return self._context_widths

    def input_in_file(self, path: Loc) -> Loc:
        """The place in the file of what stands at `path`, under `data.input`."""
        if self._inputs_at is None or not isinstance(path[2], int):
            return path
        return (*path[:2], self._inputs_at[path[2]], *path[3:])

    def in_encoder(self, *path: str | int) -> str:
        """How messages name what stands under the key of the encoder: `encoder.layers[0]`."""
        return shown_path((*self._encoder_at, *path))

    def in_part(self, part: str, *path: str | int) -> str:
        """The same under "encoder" or "decoder"."""
        return self.in_encoder(*path) if part == "encoder" else shown_path((part, *path))

    @property
    def encoder(self) -> Encoder:
        """The encoder; one without layers where the spec has none."""
        return self.encoder_ or NO_ENCODER

    @property
    def decoder(self) -> Decoder | None:
        """The recurrent decoder, if there is one."""
        return self.decoder_ if isinstance(self.decoder_, Decoder) else None

    @property
    def ctc(self) -> CtcDecoder | None:
        return self.decoder_ if isinstance(self.decoder_, CtcDecoder) else None

    @property
    def transducer(self) -> TransducerDecoder | None:
        return self.decoder_ if isinstance(self.decoder_, TransducerDecoder) else None

    @property
    def aligner(self) -> CtcDecoder | TransducerDecoder | None:
        """The decoder by alignment, if there is one."""
        return self.ctc or self.transducer

    @property
    def written_frames(self) -> FramesOutput | None:
        """The frames that a decoder writes, in a number of their own: beside a text or a forecast,
        which it then writes, frames are of the encoder's steps."""
        if self.cardinality not in ("1:N", "N:M"):
            return None
        outputs = self.data.outputs
        if any(
            isinstance(output, TextOutput | ForecastOutput | PositionsOutput) for output in outputs
        ):
            return None
        return next((output for output in outputs if isinstance(output, FramesOutput)), None)

    @property
    def points(self) -> bool:
        """Whether a decoder points at steps of its input."""
        return any(isinstance(output, PositionsOutput) for output in self.data.outputs)

    @property
    def decoder_inputs(self) -> tuple[str, ...]:
        """The columns that the decoder reads step by step, and the encoder does not."""
        return () if self.decoder is None else self.decoder.inputs

    @property
    def writes_frames(self) -> bool:
        """Whether a decoder writes frames."""
        return self.written_frames is not None

    @property
    def decoder_layers(self) -> tuple[Layer, ...]:
        """The recurrent layers of the decoder."""
        written_by = self.decoder or self.transducer
        return written_by.layers if written_by else ()
