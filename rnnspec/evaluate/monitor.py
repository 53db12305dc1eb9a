"""The metric that is monitored, and validation after an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from rnnspec.data import Dataset, in_order_batches
from rnnspec.data.dataset import StreamData
from rnnspec.errors import DataError
from rnnspec.evaluate.evaluate import evaluate
from rnnspec.evaluate.metrics import info_of, not_finite_warnings
from rnnspec.evaluate.metrics.texts import SHORTEST, CorpusScores
from rnnspec.evaluate.outputs import KINDS
from rnnspec.evaluate.outputs.kind import CostlyMetrics, MeasuredBatch
from rnnspec.evaluate.outputs.named_metrics import named_metrics_of, named_values
from rnnspec.evaluate.prediction_intervals import nominal_coverage
from rnnspec.objective.settings import LossSettings
from rnnspec.plan import Plan
from rnnspec.plan.nodes import ForecastOutput, WrittenOutput
from rnnspec.spec import Train
from rnnspec.spec.metrics import TRAIN_LOSS
from rnnspec.spec.named_metrics import column_and_metric, level_of
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision


@dataclass(frozen=True, slots=True)
class Monitor:
    """A metric by its `key` in the lines of metrics.jsonl. The best value is the smallest, or the
    largest, or the one nearest to `aim`."""

    key: str
    larger: bool = False
    aim: float | None = None

    def cost(self, value: float) -> float:
        """A number that is small where the value is good; inf for NaN."""
        if math.isnan(value):
            return math.inf
        if self.aim is not None:
            return abs(value - self.aim)
        return -value if self.larger else value


def monitor_of(metric: str, plan: Plan) -> Monitor:
    """A metric as a spec names it. The best coverage of a prediction interval is its nominal
    one."""
    if metric == TRAIN_LOSS:
        return Monitor(metric)
    column, name = column_and_metric(metric)
    aim = level_of(name)
    if name == "coverage":
        (node,) = (n for n in plan.targets if column in ("", n.column))
        assert isinstance(node, ForecastOutput)
        aim = nominal_coverage(node)
    info = info_of(metric)
    assert info is not None, "the spec names it"
    return Monitor(f"valid.{metric}", info.larger_is_better, aim)


def validate(
    model: Model,
    data: Dataset | StreamData,
    settings: Train,
    loss_settings: LossSettings,
    precision: Precision,
    *,
    named: Mapping[str, Sequence[str]] | None = None,
    greedy: bool = True,
) -> tuple[dict[str, float], tuple[str, ...]]:
    """`loss` and the metrics of every output over all rows, with the weights as they are; and
    warnings of answers that are not finite.

    Texts are written greedily, whatever the strategy, unless `greedy` is false. What is costly to
    measure (BLEU, chrF, the coverage of a distribution) is measured where it is monitored, and so
    are further metrics that the spec names; with `named`, by column, these alone.
    """
    costly = costly_metrics(model.plan, loss_settings) if named is None else {}
    further = named_metrics_of(model, loss_settings, named)

    def see(measured: MeasuredBatch) -> None:
        for each in (*costly.values(), *chain.from_iterable(further.values())):
            each.see(measured)

    found, sums = evaluate(
        model, data, settings, loss_settings, precision=precision, greedy=greedy, see=see
    )
    values = [(column, each.values()) for column, each in costly.items()]
    for column, more in (*values, *named_values(further).items()):
        prefix = "" if len(model.plan.targets) == 1 else f"{column}."
        for name, value in more.items():
            found[prefix + name] = math.nan if sums[column].not_finite else value
    return found, tuple(not_finite_warnings(sums))


def costly_metrics(plan: Plan, loss_settings: LossSettings) -> dict[str, CostlyMetrics]:
    """What is to be measured beside the sums of each output, by column."""
    found = {
        node.column: KINDS[type(node)].costly(node, plan, loss_settings.of(node.column))
        for node in plan.targets
    }
    return {column: costly for column, costly in found.items() if costly is not None}


def check_bleu(metrics: Sequence[str], plan: Plan, valid: Dataset | None) -> None:
    """Raises DataError if BLEU is among the metrics and says nothing of the texts of these rows."""
    if valid is None:
        return
    for node in plan.targets:
        prefix = "" if len(plan.targets) == 1 else f"{node.column}."
        if not isinstance(node, WrittenOutput) or f"{prefix}bleu" not in metrics:
            continue
        counts = list(_word_counts(node, valid))
        mean = sum(counts) / max(1, len(counts))
        if mean < SHORTEST:
            raise DataError(
                f"{prefix}bleu cannot be watched: the texts of column {node.column!r} have"
                f" {mean:.1f} words on average in the validation rows, and BLEU counts runs of"
                f" {SHORTEST}; watch {prefix}chrf or {prefix}exact_match"
            )


def _word_counts(node: WrittenOutput, valid: Dataset) -> Iterator[int]:
    """The words of each row's true text."""
    for rows in in_order_batches(valid, 256):
        raw = valid.collate(rows).raw
        assert raw is not None, "validation rows are measured"
        for row in range(len(rows)):
            corpus = CorpusScores(node.kind)
            corpus.add((), raw.truth(node.column, row), None)
            yield corpus.words
