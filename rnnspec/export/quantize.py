"""Files in fewer bits: made from the graph that is proven, and measured beside it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rnnspec.errors import DataError, ExportError
from rnnspec.evaluate.metrics import info_of
from rnnspec.evaluate.score import validation_rows
from rnnspec.export.file_metrics import answers_alike, metrics_of_file, questions
from rnnspec.export.probes import Probe
from rnnspec.plan import Plan
from rnnspec.run.chunks import Answering
from rnnspec.run.session import Session
from rnnspec.spec.named_metrics import column_and_metric
from rnnspec.store.folder import Trained
from rnnspec.to_onnx import ModelProto, to_onnx
from rnnspec.to_onnx.small import Bits, Small, in_few_bits

_PERCENT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*%\s*")


@dataclass(frozen=True, slots=True)
class Lost:
    """A metric of the whole file and of the one in few bits. `lost`: how much worse that is, in
    points of a hundred where the metric is a share (`points`), else in percent of the metric."""

    before: float
    after: float
    lost: float
    points: bool


@dataclass(frozen=True, slots=True)
class Quantized:
    """What a file in few bits costs and saves.

    `multiplied` and `stored`: how many weights are multiplied in 8 bits, and how many only kept in
    `bits`. `share` of the size of the float32 file. `rows` of validation were measured; `why_not`
    says why none were. Of `probes` rows as many as `alike` have the same labels and tokens.
    """

    bits: Bits
    multiplied: int
    stored: int
    share: float
    rows: int
    metrics: Mapping[str, Lost]
    why_not: str
    probes: int
    alike: int

    def as_json(self) -> str:
        metrics = {
            name: {
                "float32": each.before,
                self.bits: each.after,
                "lost": each.lost,
                "unit": "points" if each.points else "%",
            }
            for name, each in self.metrics.items()
        }
        found = {
            "weights": self.bits,
            "multiplied": self.multiplied,
            "stored": self.stored,
            "share_of_size": round(self.share, 4),
            "rows": self.rows,
            "metrics": metrics,
            "probes": self.probes,
            "alike": self.alike,
        }
        return json.dumps(found)

    def lines(self) -> list[str]:
        """For people."""
        kept = f"{_count(self.stored)} kept in {self.bits}"
        if self.multiplied:
            kept = f"{_count(self.multiplied)} multiplied in 8 bits, {self.stored} only kept so"
        found = [f"{self.bits}: {self.share:.2f} of the size in float32; {kept}"]
        if self.why_not:
            found.append(f"its metrics are not measured: {self.why_not}")
            found.append(f"{self.alike} of {self.probes} rows of noise are answered alike")
        else:
            told = ", ".join(_told(name, each) for name, each in self.metrics.items())
            found.append(f"on {self.rows:,} validation rows: {told}")
        return found


def _count(weights: int) -> str:
    return f"{weights} weight is" if weights == 1 else f"{weights} weights are"


def _told(name: str, of: Lost) -> str:
    unit = "points" if of.points else "%"
    word = "gained" if of.lost < 0 else "lost"
    return f"{name} {of.before:.4g} to {of.after:.4g} ({abs(of.lost):.2f} {unit} {word})"


def most_lost(text: str) -> float:
    """`0.5 %` as 0.5. Raises ExportError for what is no percentage."""
    found = _PERCENT.fullmatch(text)
    if found is None:
        raise ExportError(
            f"--max-loss {text}: expected how much worse metrics may be, in percent, as '0.5 %'"
        )
    return float(found[1])


def smaller(
    file: ModelProto, plan: Plan, ids: bool, bits: Bits, portable: bool = False, step: bool = False
) -> Small:
    """`file`, the proven graph of `plan`, in few bits. Raises ExportError if no weight is large
    enough."""
    small = in_few_bits(file, plan, bits, ids, portable=portable, step=step)
    if not small.multiplied and not small.stored:
        option = "--half" if bits == "float16" else f"--quantize {bits}"
        raise ExportError(
            f"{plan.name} has no weights of 256 numbers or more, which alone become smaller; leave"
            f" out {option}"
        )
    return small


def measured(
    file: ModelProto,
    small: Small,
    trained: Trained,
    plan: Plan,
    bits: Bits,
    alike: tuple[int, int],
    generic: bool,
    portable: bool = False,
) -> Quantized:
    """What the small file loses: the metrics of the graph of `plan`, which answers whole rows, with
    token numbers, in both forms. `alike`: rows of probes, and how many are answered alike."""
    metrics, rows, why_not = _metrics(trained, plan, bits, generic, portable)
    share = small.model.ByteSize() / file.ByteSize()
    counts = len(small.multiplied), len(small.stored)
    return Quantized(bits, *counts, share, rows, metrics, why_not, *alike)


def alike(one: Answering, other: Answering, asked: Iterable[Probe]) -> tuple[int, int]:
    """The rows of the probes, and those to which both give the same labels and tokens."""
    rows = same = 0
    for probe in asked:
        found, expected = (each.run(probe.feeds) for each in (one, other))
        rows += len(probe.lengths)
        same += answers_alike(found, expected, len(probe.lengths))
    return rows, same


def _metrics(
    trained: Trained, plan: Plan, bits: Bits, generic: bool, portable: bool
) -> tuple[dict[str, Lost], int, str]:
    """The metrics, the rows that they are of, and why there are none."""
    graph = to_onnx(
        plan,
        trained.facts,
        trained.weights,
        ids=True,
        generic=generic,
        narrow=bits == "int8" and not portable,
        portable=portable,
    )
    small = in_few_bits(graph, plan, bits, True, portable=portable)
    whole, less = (Session(each.SerializeToString()) for each in (graph, small.model))
    try:
        with validation_rows(trained) as data:
            asked = questions(trained, plan, data)
            before, after = (
                metrics_of_file(each, trained, plan, data, asked) for each in (whole, less)
            )
    except DataError as error:
        return {}, 0, str(error)
    rows = sum(len(next(iter(question.feeds.values()))) for question in asked)
    lost = {
        name: _lost(name, value, after[name])
        for name, value in before.items()
        if not math.isnan(value)
    }
    return lost, rows, ""


def _lost(name: str, before: float, after: float) -> Lost:
    info = info_of(name)
    assert info is not None, f"{name} is measured"
    points = info.larger_is_better or info.percentage
    worse = before - after if info.larger_is_better else after - before
    if column_and_metric(name)[1].startswith("coverage"):  # neither more nor less is better
        worse = abs(worse)
    scale = 1.0 if points else abs(before)
    share = worse / scale if scale else math.copysign(math.inf, worse) if worse else 0.0
    return Lost(before, after, 100 * share, points)


def check_loss(found: Quantized, most: float, option: str) -> None:
    """Raises ExportError where a metric loses more than `most` points or percent, or is none, and
    where none were measured."""
    if found.why_not:
        raise ExportError(
            f"--max-loss {option} needs validation rows: {found.why_not}; nothing was written"
        )
    for name, each in found.metrics.items():
        if not each.lost <= most:  # a NaN is no metric either
            raise ExportError(
                f"--max-loss {option}: on {found.rows:,} validation rows {_told(name, each)};"
                " nothing was written. Allow more"
                + (", or use --half, which loses less" if found.bits == "int8" else "")
            )
