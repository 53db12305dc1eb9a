"""Whether probabilities are what they say: of all answers of 0.8, four in five should be right."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

BINS = 15
"""Equal parts of the range from 0 to 1 (Guo et al. 2017)."""


def _zeros() -> Tensor:
    return torch.zeros(BINS, dtype=torch.float64)


@dataclass(slots=True)
class Calibration:
    """Sums of probabilities in `BINS` bins: a bin holds what is above its lower end, up to the
    upper one."""

    counts: Tensor = field(default_factory=_zeros)
    shares: Tensor = field(default_factory=_zeros)
    """Sums of the probabilities."""
    hits: Tensor = field(default_factory=_zeros)
    """How many of them were of what is true."""

    def add(self, shares: Tensor, true: Tensor) -> None:
        """Probabilities `[n]`, and whether what they are of is true `[n]`."""
        shares = shares.double()
        ends = torch.arange(1, BINS, device=shares.device, dtype=torch.float64) / BINS
        bins = torch.searchsorted(ends, shares.contiguous())
        for sums, values in (
            (self.counts, torch.ones_like(shares)),
            (self.shares, shares),
            (self.hits, true.double()),
        ):
            sums += torch.bincount(bins, values, BINS).cpu()

    def bins(self) -> list[tuple[float, float, int]]:
        """Of each bin that is not empty the mean probability, the share that is true, the count."""
        sums = zip(self.shares.tolist(), self.hits.tolist(), self.counts.tolist(), strict=True)
        return [(shares / n, hits / n, int(n)) for shares, hits, n in sums if n]

    @property
    def ece(self) -> float:
        """The expected calibration error: the mean over all probabilities of how far the mean
        probability of their bin is from the share of it that is true (Guo et al. 2017, eq. 3)."""
        count = self.counts.sum().item()
        return (self.shares - self.hits).abs().sum().item() / count if count else float("nan")


@dataclass(slots=True)
class Brier:
    """The mean squared distance of probabilities from what is true (Brier 1950), as scikit-learn
    has it: of two classes that of one of them, of more the sum over the classes; of labels the mean
    over all labels."""

    sum: float = 0.0
    count: int = 0

    def add_classes(self, shares: Tensor, true: Tensor) -> None:
        """`shares` `[n, classes]`, `true` `[n]`; a class beyond them has the probability 0."""
        classes = shares.shape[1]
        squared = shares.double().square().sum(1)
        own = shares.gather(1, true.clamp(max=classes - 1)[:, None])[:, 0].double()
        squared = squared + 1 - 2 * torch.where(true < classes, own, 0.0)
        self.sum += squared.sum().item() / (2 if classes == 2 else 1)
        self.count += len(true)

    def add_labels(self, shares: Tensor, true: Tensor) -> None:
        """Both `[n, labels]`."""
        self.sum += (shares.double() - true.double()).square().sum().item()
        self.count += true.numel()

    @property
    def value(self) -> float:
        return self.sum / self.count if self.count else float("nan")
