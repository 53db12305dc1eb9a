"""Export: emit, load in onnxruntime, prove, and only then put the file in its place."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rnnspec import __version__
from rnnspec.errors import ExportError
from rnnspec.export.cuts import Cutting
from rnnspec.export.elsewhere import check_batch, check_rows, in_reference
from rnnspec.export.parity import Parity, prove
from rnnspec.export.probes import Probe, probes
from rnnspec.export.quantize import Quantized, alike, check_loss, measured, most_lost, smaller
from rnnspec.export.sidecar import SIDECAR, Described
from rnnspec.export.variant import variant
from rnnspec.files import digest, write_bytes
from rnnspec.plan import Facts, Plan, TextFacts, dump
from rnnspec.plan.names import TOKENIZER_FILE
from rnnspec.plan.nodes import AlignedOutput, Attend, TokensInput
from rnnspec.plan.stream import stream_of
from rnnspec.plan.text_rule import PLAIN
from rnnspec.run.chunks import Answering, StreamSession
from rnnspec.run.interface import (
    COLUMNS,
    PARITY,
    PLAN,
    QUANTIZED,
    QUOTING,
    RUNTIME,
    SPEC,
    STREAM,
    TOKENIZER,
    UNICODE,
    VERSION,
    StreamColumns,
    interface,
    stream_columns,
)
from rnnspec.run.seal import sealed
from rnnspec.run.session import Session
from rnnspec.spec import Spec
from rnnspec.spec.load import resolved_yaml
from rnnspec.store.folder import Trained
from rnnspec.to_onnx import ModelProto, add_metadata, to_onnx, with_batch
from rnnspec.to_onnx.evaluated import Evaluated
from rnnspec.to_onnx.small import Bits
from rnnspec.to_onnx.stated import graph_of, runtime
from rnnspec.to_torch import Model
from rnnspec.to_torch.threads import allowed_threads, computing_with

CUTS_SEED = 7


def export_onnx(
    trained: Trained,
    target: Path,
    *,
    opset: int | None = None,
    ids: bool = False,
    portable: bool = False,
    batch: int | None = None,
    describe: bool = False,
    generic: bool = False,
    attention: bool = False,
    alignment: bool = False,
    strategy: str = "",
    generate: int | None = None,
    stream: bool = False,
    joined: bool = False,
    step: bool = False,
    bits: Bits | None = None,
    max_loss: str = "",
    see: Callable[[Quantized], None] | None = None,
) -> Parity:
    """Write `trained` to `target` as one ONNX file and return the figures of its proof.

    - `ids`: token numbers in place of text, for runtimes without string operators. A model of
      subwords always has them; its tokenizer is written beside it as `tokenizer.json`.
    - `portable`: only what every runtime answers right: `ids`, operators of the standard, masks in
      the place of lengths that recurrent operators are told. Proven in the reference evaluator of
      ONNX too, where that knows the operators.
    - `batch`: so many rows in each call, no more and no fewer.
    - `describe`: what a program must know that calls the file is written beside it, as JSON. Files
      of numbers and streams always have it.
    - `opset`: one from the lowest on that the operators need, which is the default.
    - `generic`: no native recurrent operators.
    - `attention`: the weights of a decoder's attention are outputs too.
    - `alignment`: the steps of each token are outputs too, of texts by CTC or a transducer.
    - `strategy`: the search for texts, in place of the spec's.
    - `stream`: rows come in chunks, with the states before and after each. With `joined` all states
      are one tensor, with `step` a chunk is one step of each row.
    - `generate`: a language model continues a prompt by at most so many tokens.
    - `bits`: weights in fewer bits. The proof is that of the graph in float32 before; what the
      fewer bits cost is measured on the validation rows, where there are any, and given to `see`.
      With `max_loss`, a percentage, a metric that loses more is an error.

    Raises ExportError if the file's answers differ from the module's, or for what the model cannot
    do; `target` is then as it was before.
    """
    most = most_lost(max_loss) if max_loss else None
    spec, plan = variant(trained, strategy, generate)
    facts, ids = trained.facts, ids or portable
    check_batch(batch)
    _check_asked(plan, portable, attention, alignment)
    chunks = stream_of(plan, ids, joined=joined, step=step) if stream else None
    if chunks is not None and (attention or alignment):
        raise ExportError(
            "--stream answers no steps of attention or alignment; leave out --attention and"
            " --alignment"
        )
    file = to_onnx(
        plan,
        facts,
        trained.weights,
        generic=generic,
        ids=ids,
        opset=opset,
        attention=attention or alignment,
        stream=chunks,
        narrow=bits == "int8" and not portable,
        portable=portable,
    )
    small = None if bits is None else smaller(file, plan, ids, bits, portable, step)
    columns = None if chunks is None else stream_columns(chunks)
    asked = _Asked(plan, facts, ids, columns, least=1 if step else 0)
    parity = _proven(asked, file, trained, portable)
    metadata = {PARITY: parity.as_json(), **metadata_of(spec, plan, facts, ids)}
    if columns is not None:
        metadata[STREAM] = columns.as_json()
    if small is not None:
        assert bits is not None
        counts = alike(asked.answering(file), asked.answering(small.model), asked.probes())
        of_rows = plan if generate is None else trained.plan
        quantized = measured(file, small, trained, of_rows, bits, counts, generic, portable)
        if most is not None:
            check_loss(quantized, most, max_loss)
        if see is not None:
            see(quantized)
        metadata[QUANTIZED], file = quantized.as_json(), small.model
    if batch is not None:
        free, file = file, with_batch(file, batch)
        check_rows(asked.answering(free), asked.answering(file), batch, asked.few_probes())
    add_metadata(file, {**metadata, RUNTIME: json.dumps(runtime(file))})
    _put(asked, file, target, describe=describe or ids or columns is not None)
    return parity


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a file answers, and how it is asked: `columns` of a stream; of each row at least `least`
    steps."""

    plan: Plan
    facts: Facts
    ids: bool
    columns: StreamColumns | None
    least: int

    def answering(self, file: ModelProto) -> Answering:
        """What answers whole rows by the file in onnxruntime."""
        return self.by_rows(Session(file.SerializeToString()))

    def by_rows(self, session: Answering) -> Answering:
        """What answers whole rows: the session, or where it is of a stream, to which rows come in
        chunks."""
        if self.columns is None:
            return session
        draw = np.random.default_rng(CUTS_SEED)
        stream = StreamSession(session, self.columns)
        return Cutting(stream, self.plan, self.facts, self.ids, draw)

    def probes(self) -> Iterator[Probe]:
        return probes(self.plan, self.facts, self.ids, least=self.least)

    def few_probes(self) -> Iterator[Probe]:
        """Each shape of batch once."""
        return probes(self.plan, self.facts, self.ids, least=self.least, seeds=1)


def _proven(asked: _Asked, file: ModelProto, trained: Trained, portable: bool) -> Parity:
    """The figures of the proof, of portable files in the evaluator of ONNX too. Raises ExportError
    where the file answers otherwise than the module."""
    model = Model(asked.plan).eval()
    model.load_canonical(trained.weights)
    with computing_with(allowed_threads()):
        parity = prove(asked.answering(file), model, asked.facts, asked.probes(), asked.ids)
        if portable:
            evaluated = asked.by_rows(Evaluated(file))
            again = in_reference(evaluated, model, asked.facts, asked.few_probes())
            parity = replace(parity, reference=again)
    return parity


def _put(asked: _Asked, file: ModelProto, target: Path, describe: bool) -> None:
    """Writes the file, and what stands beside it, of which the file is the last."""
    beside = tokenizer_of(asked.plan, asked.facts)
    content = sealed(file.SerializeToString())
    _check_loads(content)
    if beside is not None:
        write_bytes(target.parent / TOKENIZER_FILE, beside.encode())
    if describe:
        graph = {**runtime(file), "graph": graph_of(file)}
        description = Described(asked.plan, asked.facts, asked.ids, graph, asked.columns)
        write_bytes(target.with_suffix(SIDECAR), description.as_bytes())
    write_bytes(target, content)


def needs(path: Path) -> str:
    """What a file that was written needs, for people."""
    found = json.loads(Session(path).metadata[RUNTIME])
    return f"onnxruntime {found['onnxruntime']} and newer (opset {found['opset']})"


def metadata_of(spec: Spec, plan: Plan, facts: Facts, ids: bool) -> dict[str, str]:
    """What a file says of its model, whatever its form."""
    found = {
        SPEC: resolved_yaml(spec),
        PLAN: dump(plan),
        VERSION: __version__,
        QUOTING: spec.data.quoting,
        **interface(plan, facts, ids=ids).metadata(),
    }
    if spec.data.columns:
        found[COLUMNS] = json.dumps(spec.data.columns)
    if tokenizer := tokenizer_of(plan, facts):
        found[TOKENIZER] = digest(tokenizer.encode())
    if _reads_by_rules(plan):
        found[UNICODE] = unicodedata.unidata_version
    return found


def _reads_by_rules(plan: Plan) -> bool:
    """Whether tables of Unicode say what the tokens of a text are."""
    return any(isinstance(node, TokensInput) and node.rule != PLAIN for node in plan.inputs)


def tokenizer_of(plan: Plan, facts: Facts) -> str | None:
    """The tokenizer that a model of subwords needs beside it, as JSON of the tokenizers library.
    Raises ExportError where there are several."""
    found = []
    for node in plan.inputs:
        if isinstance(node, TokensInput) and node.kind == "subwords":
            known = facts.inputs[node.column]
            assert isinstance(known, TextFacts)
            found.append((node.column, known.tokenizer))
    if len(found) > 1:
        columns = " and ".join(repr(column) for column, _ in found)
        raise ExportError(
            f"the columns {columns} are read as subwords, each with a tokenizer of its own, and"
            f" only one {TOKENIZER_FILE} can stand beside a model; read one of them as words"
        )
    return found[0][1] if found else None


def _check_asked(plan: Plan, portable: bool, attention: bool, alignment: bool) -> None:
    """Raises ExportError for an answer that the plan does not have."""
    if portable and any(getattr(node, "kind", "") == "subwords" for node in plan.outputs):
        raise ExportError(
            "--portable answers no texts, and subwords are written as one; leave out --portable, or"
            " --generate"
        )
    if attention:
        _check_attention(plan)
    if alignment:
        _check_alignment(plan)


def _check_attention(plan: Plan) -> None:
    if not any(isinstance(node, Attend) for node in plan.every_node()):
        raise ExportError(
            f"{plan.name} has no attention whose weights could be answered; leave out --attention"
        )


def _check_alignment(plan: Plan) -> None:
    if not any(isinstance(node, AlignedOutput) for node in plan.outputs):
        raise ExportError(
            f"{plan.name} does not align its answers with steps, as decoder.ctc and"
            " decoder.transducer do; leave out --alignment"
        )


def _check_loads(content: bytes) -> None:
    """The very bytes that are written must load and hold their metadata."""
    session = Session(content)
    if SPEC not in session.metadata:
        raise ExportError("onnxruntime does not give the file's metadata back; nothing was written")
