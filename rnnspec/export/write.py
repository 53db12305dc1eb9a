"""Export: emit, load in onnxruntime, prove, and only then put the file in its place."""

from __future__ import annotations

from pathlib import Path

from rnnspec import __version__
from rnnspec.errors import ExportError
from rnnspec.export.parity import Parity, prove
from rnnspec.export.probes import probes
from rnnspec.plan import dump
from rnnspec.run.interface import PARITY, PLAN, SPEC, VERSION, interface
from rnnspec.run.session import Session
from rnnspec.spec.load import resolved_yaml
from rnnspec.to_onnx import add_metadata, to_onnx
from rnnspec.to_torch import Model
from rnnspec.train.files import write_bytes
from rnnspec.train.folder import Trained


def export_onnx(
    trained: Trained, target: Path, *, opset: int = 21, ids: bool = False, generic: bool = False
) -> Parity:
    """Write `trained` to `target` as one ONNX file and return the figures of its proof.

    `ids`: token numbers in place of text, for runtimes without string operators. `generic`: no
    native recurrent operators. Raises ExportError if the file's answers differ from the module's;
    `target` is then as it was before.
    """
    plan, facts = trained.plan, trained.facts
    file = to_onnx(plan, facts, trained.weights, generic=generic, ids=ids, opset=opset)
    model = Model(plan).eval()
    model.load_canonical(trained.weights)
    session = Session(file.SerializeToString())
    parity = prove(session, model, facts, probes(plan, facts), ids)
    add_metadata(
        file,
        {
            SPEC: resolved_yaml(trained.spec),
            PLAN: dump(plan),
            VERSION: __version__,
            PARITY: parity.as_json(),
            **interface(plan, facts, ids=ids).metadata(),
        },
    )
    content = file.SerializeToString()
    _check_loads(content)
    write_bytes(target, content)
    return parity


def _check_loads(content: bytes) -> None:
    """The very bytes that are written must load and hold their metadata."""
    session = Session(content)
    if SPEC not in session.metadata:
        raise ExportError("onnxruntime does not give the file's metadata back; nothing was written")
