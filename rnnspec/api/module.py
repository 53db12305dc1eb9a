"""A trained model as an `nn.Module` for somebody's own loop, and its batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from rnnspec.data import Batch, Dataset
from rnnspec.data.batches import batch_count, epoch_batches, in_order_batches
from rnnspec.objective.objective import Forward, Objective, States, states_before
from rnnspec.objective.settings import loss_settings_of
from rnnspec.store.folder import Trained
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision


class Module(nn.Module):
    """The model of a build, with the loss of its spec.

    `module(batch)` gives the losses and the logits of a batch of `Build.encode`; the weights are
    those of the build, and what a loop of your own makes of them is what the build then predicts,
    evaluates and exports. Parameters are `float32`; `module.to("cuda")` moves them, and batches
    follow. The canonical names of the weights, as in equations, are in `model.canonical()`.
    """

    def __init__(self, trained: Trained) -> None:
        super().__init__()
        self.model = Model(trained.plan)
        self.model.load_canonical(trained.weights)
        settings = loss_settings_of(trained.spec, trained.facts)
        self._objective = Objective(self.model, trained.spec.train, settings)

    def forward(self, batch: Batch, states: States | None = None) -> Forward:
        """The losses, logits and targets of a batch (`rnnspec.objective.objective.Forward`).

        `.loss`: a scalar, the sum over outputs of the mean over their answers, with the loss and
        the weights of classes and outputs that `train:` of the spec states; without the L2 of
        layers. `.logits` and `.targets` by output column, on the device of the weights: for classes
        `[B, classes]` or `[B, T, classes]`, and `[B]` or `[B, T]` int64 with -1 for no target; for
        numbers `[B, width]` or `[B, T, width]`, scaled, and unscaled targets, NaN for none; for
        texts `[B, U, size]` with the true tokens given, and `[B, U]`; for forecasts `[B, H, k]` and
        `[B, H]`. B rows of at most T steps, padded.

        With `train.window` in the spec batches are windows of streams side by side: `states` are
        those after the window before, `.states` of its result; None begins anew.
        """
        place = next(self.parameters())
        wide = place.dtype == torch.float64
        precision = Precision(place.device, "float64" if wide else "float32")
        if batch.reset is None:
            return self._objective(batch, precision)
        reset = torch.from_numpy(batch.reset).to(place.device)
        before = states_before(self.model, reset, _detached(states))
        return self._objective(batch, precision, before, reset)


def _detached(states: States | None) -> dict[str, Tensor] | None:
    return None if states is None else {name: value.detach() for name, value in states.items()}


class Batches:
    """The batches of some rows, each padded to its longest row: `for batch in batches`.

    Rows of similar length share a batch. With `shuffle` each pass is in another order, a function
    of `seed` and of the number of the pass. `len()` is the number of batches. With `train.window`
    in the spec batches are windows of streams, in order.
    """

    def __init__(
        self,
        data: Dataset,
        size: int,
        shuffle: bool,
        seed: int,
        window: int | None = None,
        held: ExitStack | None = None,
    ) -> None:
        self.data, self.size, self.shuffle, self.seed = data, size, shuffle, seed
        self.window, self._held, self._passes = window, held, 0

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return self.data.rows

    def __len__(self) -> int:
        if self.window is not None:
            return self.data.windows(self.size, self.window)
        return batch_count(self.data.rows, self.size)

    def __iter__(self) -> Iterator[Batch]:
        number = self._passes
        self._passes += 1
        if self.window is not None:
            order = (self.seed, number) if self.shuffle else None
            for batch, reset in self.data.lanes(self.size, self.window, order=order):
                yield replace(batch, reset=reset)
            return
        if self.shuffle:
            chosen = epoch_batches(self.data, self.size, self.seed, number)
        else:
            chosen = in_order_batches(self.data, self.size)
        for rows in chosen:
            yield self.data.collate(np.asarray(rows))

    def __repr__(self) -> str:
        return f"<{len(self)} batches of {self.rows} rows>"
