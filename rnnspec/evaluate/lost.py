"""Answers that are no numbers: what a model says whose weights, or inputs, ran out of float32."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rnnspec.evaluate.metrics import Metrics


def lost_answers(sums: Mapping[str, Metrics]) -> Iterator[str]:
    """A sentence for each output with answers that are no finite numbers where a true one is
    known: its metrics are none either."""
    for column, metrics in sums.items():
        if metrics.lost:
            count = f"{metrics.lost:,} answers are" if metrics.lost > 1 else "1 answer is"
            yield (
                f"{column}: {count} no finite number, so metrics are none either; the weights or"
                " the values that were read are beyond float32: look for huge numbers in these"
                " rows, or train with a lower train.optimizer lr or with train.clip_norm"
            )
