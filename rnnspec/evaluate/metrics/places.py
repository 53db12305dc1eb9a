"""Metrics of the first k places, where what is answered is put in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rnnspec.spec.named_metrics import general, places_of


def ranks(scores: Tensor, true: Tensor) -> Tensor:
    """The place of the `true` number `[n]` among the `scores` `[n, size]`, from 1 on; of equal
    scores the lower number comes first, as in the answer."""
    own = scores.gather(1, true[:, None])
    numbers = torch.arange(scores.shape[1], device=scores.device)
    before = (scores > own) | ((scores == own) & (numbers < true[:, None]))
    return 1 + before.sum(1)


@dataclass(slots=True)
class RankMetrics:
    """Metrics of the place at which the one true answer stands, means over rows or steps.

    `accuracy@k` and `recall@k`: the share of true answers among the first k (of one true answer
    they are the same). `mrr`: 1 / place (the mean reciprocal rank); `mrr@k`: 0 beyond the first k;
    `ndcg@k`: 1 / log2(1 + place), 0 beyond the first k (Järvelin and Kekäläinen 2002, with one true
    answer). As sessions are measured (Hidasi et al. 2016, GRU4Rec), each step counts alike.
    """

    names: Sequence[str]
    sums: dict[str, float] = field(default_factory=dict)
    count: int = 0

    def add(self, places: Tensor) -> None:
        """The places `[n]` of true answers; 0: it cannot be answered, and is in no place."""
        there, place = places > 0, places.double()
        for name in self.names:
            most = places_of(name) or torch.inf
            match general(name):
                case "accuracy@k" | "recall@k":
                    gain = torch.ones_like(place)
                case "mrr" | "mrr@k":
                    gain = 1 / place
                case _:
                    gain = 1 / torch.log2(1 + place)
            found = gain[there & (place <= most)].sum().item()
            self.sums[name] = self.sums.get(name, 0.0) + found
        self.count += len(places)

    def values(self) -> dict[str, float]:
        if not self.count:
            return dict.fromkeys(self.names, float("nan"))
        return {name: self.sums[name] / self.count for name in self.names}


@dataclass(slots=True)
class PlaceMetrics:
    """Metrics of the first k labels in the order of their probabilities, where several are true.

    `precision@k`: the share of the k that is true, the mean over all rows or steps. `recall@k`: the
    share of the true labels that is among the k; `ndcg@k`: the sum of 1 / log2(1 + place) over the
    true labels among the k, divided by the largest such sum that there could be (Järvelin and
    Kekäläinen 2002); both are means over rows or steps with a true label. Of equal probabilities
    the label of the lower number comes first.
    """

    names: Sequence[str]
    sums: dict[str, float] = field(default_factory=dict)
    rows: int = 0
    labelled: int = 0

    def add(self, scores: Tensor, true: Tensor, more: Tensor) -> None:
        """`scores` and which labels are `true` `[n, labels]`; `more` `[n]`: true labels that cannot
        be answered."""
        order = scores.argsort(dim=1, descending=True, stable=True)
        hits = true.gather(1, order).double()
        many = true.sum(1) + more
        for name in self.names:
            k = places_of(name)
            assert k is not None
            found = _gains(general(name), hits[:, :k], many, k).sum().item()
            self.sums[name] = self.sums.get(name, 0.0) + found
        self.rows += len(hits)
        self.labelled += int((many > 0).sum())

    def values(self) -> dict[str, float]:
        counts = {
            name: self.rows if general(name) == "precision@k" else self.labelled
            for name in self.names
        }
        return {n: self.sums[n] / count if count else float("nan") for n, count in counts.items()}


def _gains(name: str, hits: Tensor, many: Tensor, k: int) -> Tensor:
    """What each row adds to the sum of a metric, `[n]`, from its `hits` at the first places."""
    some = many.clamp(min=1)
    match name:
        case "precision@k":
            return hits.sum(1) / k
        case "recall@k":
            return hits.sum(1) / some
        case _:
            weights = 1 / torch.log2(2 + torch.arange(k, device=hits.device, dtype=torch.float64))
            best = weights.cumsum(0)[some.clamp(max=k).long() - 1]
            return (hits * weights[: hits.shape[1]]).sum(1) / best
