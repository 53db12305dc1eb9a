"""What a list of builds says of each, without reading its weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rnnspec.errors import RnnspecError
from rnnspec.spec import Spec
from rnnspec.spec.data import Fold
from rnnspec.spec.load import load_spec
from rnnspec.spec.metrics import deciding_metric, monitored
from rnnspec.store.files import numbers_of
from rnnspec.store.folder import BuildFolder

DAMAGED = "damaged"
"""The state of a build that cannot be read."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One build.

    - `state`: as in `build.json`, or "damaged", and `why` that, or a failure, is so.
    - `begun`: when, in ISO 8601; `spec`: the file it was built from.
    - `train`, `valid`: the names of the files; `valid` of a share is the share.
    - `metric`, `value`: what decided on the best epoch, on validation rows; "" and None without.
    - `best_epoch` of `epochs` that were finished; `size`: bytes of its weights.
    """

    path: Path
    name: str
    state: str
    begun: str = ""
    spec: str = ""
    train: tuple[str, ...] = ()
    valid: tuple[str, ...] = ()
    metric: str = ""
    value: float | None = None
    best_epoch: int = 0
    epochs: int = 0
    size: int = 0
    warnings: int = 0
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {**asdict(self), "path": str(self.path)}


def summary(build: BuildFolder) -> Summary:
    """What is told of a build; of one that is damaged, that it is."""
    name = build.path.parent.name
    try:
        state = build.read_state()
        spec = load_spec(build.spec).spec
        records = list(build.records())
    except RnnspecError as error:
        return Summary(build.path, name, DAMAGED, why=str(error))
    metrics, best = numbers_of(state.get("valid", {})), int(state.get("best_epoch", 0))
    decided = deciding_metric(monitored(spec), metrics)
    files = state.get("files", {})
    return Summary(
        build.path,
        name,
        state["state"],
        state.get("begun", ""),
        state.get("source", ""),
        tuple(files.get("train", ())),
        _measured(spec, files),
        decided if decided in metrics else "",
        metrics.get(decided),
        best,
        max((int(record["epoch"]) for record in records), default=0),
        build.weights.stat().st_size if build.weights.exists() else 0,
        len(state.get("warnings", ())),
        str(state.get("why", "")),
    )


def _measured(spec: Spec, files: Mapping[str, Any]) -> tuple[str, ...]:
    """The validation rows: the share, the fold, or the names of their files."""
    valid = spec.data.valid
    if isinstance(valid, Fold):
        return (f"fold {valid.fold} of {valid.of}",)
    return (f"{valid:g}",) if isinstance(valid, float) else tuple(files.get("valid", ()))
