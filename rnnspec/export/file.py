"""One export of a build as a file: its options, its name, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from rnnspec.errors import ExportError, OutputError
from rnnspec.export.parity import Parity
from rnnspec.export.quantize import Quantized
from rnnspec.export.sidecar import DESCRIPTION, SIDECAR
from rnnspec.export.variant import DEFAULT_STEPS, variant
from rnnspec.export.write import export_onnx, metadata_of, needs, tokenizer_of
from rnnspec.files import MODEL_FILE, check_output
from rnnspec.plan.names import TOKENIZER_FILE
from rnnspec.plan.precision import note_on_doubles
from rnnspec.run import Model, Session
from rnnspec.store.folder import Trained
from rnnspec.to_onnx import add_metadata, to_onnx

STREAMED_STEPS = 24
"""So many tokens of each text are compared in the proof of a stream, which has no most."""
State = Literal["named", "joined"]
Quantize = Literal["int8"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxOptions:
    """The options of `rnnspec export --onnx`, by their names there.

    `output`: the file to write; None for NAME.onnx in the build folder, as `default` says.
    """

    output: Path | None = None
    opset: int | None = None
    ids: bool = False
    portable: bool = False
    batch: int | None = None
    describe: bool = False
    attention: bool = False
    alignment: bool = False
    strategy: str = ""
    generate: bool = False
    steps: int | None = None
    stream: bool = False
    state: State = "named"
    step: bool = False
    quantize: Quantize | None = None
    half: bool = False
    max_loss: str = ""

    def check(self) -> None:
        """Raises ExportError for an option without effect, and OutputError where the file must not
        be written."""
        if self.steps is not None and not self.generate:
            raise ExportError("--steps says how much --generate writes; give both, or neither")
        if self.steps is not None and self.stream:
            raise ExportError(
                "--steps says how much a whole text has, and a stream writes as much as is asked"
                " for with each chunk; leave it out"
            )
        if self.state not in get_args(State):
            raise ExportError(f"--state {self.state}: write {' or '.join(get_args(State))}")
        if self.quantize is not None and self.quantize not in get_args(Quantize):
            raise ExportError(
                f"--quantize {self.quantize}: write {' or '.join(get_args(Quantize))}"
            )
        if self.state == "joined" and not self.stream:
            raise ExportError("--state says how --stream keeps its states; give both, or neither")
        if self.step and not self.stream:
            raise ExportError("--step says what a chunk of --stream is; give both, or neither")
        if self.quantize and self.half:
            raise ExportError(
                "--quantize and --half are two ways to keep weights; give one of them"
            )
        if self.max_loss and not (self.quantize or self.half):
            raise ExportError("--max-loss is about --quantize or --half; give one of them too")
        if self.output is not None:
            check_output(self.output, MODEL_FILE)
            if self.described:
                _check_beside(self.output)

    @property
    def described(self) -> bool:
        """Whether FILE.json is written beside the file."""
        return self.describe or self.stream or self.ids or self.portable

    def default(self, trained: Trained) -> Path:
        """The file in the build folder that is written where none is named."""
        last = "-last" if trained.which == "last" else ""
        stream = "-stream" if self.stream else ""
        portable = "-portable" if self.portable else ""
        bits = "-int8" if self.quantize else "-half" if self.half else ""
        return trained.folder.path / f"{trained.spec.name}{last}{stream}{portable}{bits}.onnx"


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written: its `path`, the figures of its proof, and what was written `beside`
    it, with its purpose; `notes` on the file, and what fewer bits cost it."""

    path: Path
    parity: Parity
    beside: tuple[tuple[Path, str], ...] = ()
    notes: tuple[str, ...] = ()
    quantized: Quantized | None = None

    def lines(self) -> Iterator[str]:
        """What `rnnspec export` prints of it."""
        size = self.path.stat().st_size / 1e6
        yield f"wrote {self.path} ({size:.2f} MB), for {needs(self.path)}"
        yield from (f"wrote {path}, which {purpose}" for path, purpose in self.beside)
        yield from self.notes
        rounded = ", before weights were rounded" if self.quantized is not None else ""
        yield f"proven: {self.parity.summary()}{rounded}"
        if self.parity.reference:
            yield self.parity.reference
        if self.quantized is not None:
            yield from self.quantized.lines()

    def as_json(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "file": str(self.path),
            "bytes": self.path.stat().st_size,
            "beside": [str(path) for path, _ in self.beside],
            "notes": list(self.notes),
            "proof": asdict(self.parity),
            "fewer_bits": None if self.quantized is None else json.loads(self.quantized.as_json()),
        }

    def __str__(self) -> str:
        return "\n".join(self.lines())


def export_file(trained: Trained, options: OnnxOptions) -> Exported:
    """Write a build as one ONNX file: see `export_onnx`. Raises as it does and as `check`."""
    options.check()
    target = options.output or options.default(trained)
    if options.described:
        _check_beside(target)
    seen: list[Quantized] = []
    most = STREAMED_STEPS if options.stream else DEFAULT_STEPS
    parity = export_onnx(
        trained,
        target,
        opset=options.opset,
        ids=options.ids,
        portable=options.portable,
        batch=options.batch,
        describe=options.describe,
        attention=options.attention,
        alignment=options.alignment,
        strategy=options.strategy,
        generate=(options.steps or most) if options.generate else None,
        stream=options.stream,
        joined=options.state == "joined",
        step=options.step,
        bits=options.quantize or ("float16" if options.half else None),
        max_loss=options.max_loss,
        see=seen.append,
    )
    beside = list[tuple[Path, str]]()
    if options.described:
        beside.append((target.with_suffix(SIDECAR), _told(options)))
    if any(getattr(node, "kind", "") == "subwords" for node in trained.plan.inputs):
        beside.append((target.parent / TOKENIZER_FILE, "makes token numbers of texts"))
    notes = tuple(filter(None, [note_on_doubles(trained.plan)]))
    return Exported(target, parity, tuple(beside), notes, seen[0] if seen else None)


def answering(trained: Trained, strategy: str = "", generate: int | None = None) -> Model:
    """The model that `export_onnx` would write, in memory and without its proof, ready to answer;
    see there for `strategy` and `generate`."""
    spec, plan = variant(trained, strategy, generate)
    file = to_onnx(plan, trained.facts, trained.weights)
    add_metadata(file, metadata_of(spec, plan, trained.facts, False))
    tokenizer = tokenizer_of(plan, trained.facts) or ""
    return Model.of(Session(file.SerializeToString()), trained.folder.path, tokenizer)


def _told(options: OnnxOptions) -> str:
    """What the description beside a file says first."""
    if options.ids or options.portable:
        return "says how texts become numbers" + ", and names its states" * options.stream
    return "names its states" if options.stream else "says what it reads and answers"


def _check_beside(output: Path) -> None:
    """Raises OutputError where the description of a file must not be written beside `output`."""
    beside = output.with_suffix(SIDECAR)
    if beside.name == TOKENIZER_FILE:
        raise OutputError(
            f"{output}: {beside} beside it would describe the file, and is the name of a tokenizer;"
            " name another file"
        )
    check_output(beside, DESCRIPTION)
