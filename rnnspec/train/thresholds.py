"""Thresholds of labels, chosen on the validation rows once the model is trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch

from rnnspec.data.shards import Sources
from rnnspec.evaluate.evaluate import evaluate
from rnnspec.evaluate.metrics.ranking import ScoreCounts, Scored
from rnnspec.evaluate.metrics.thresholds import USUAL, best_threshold
from rnnspec.evaluate.outputs.kind import MeasuredBatch
from rnnspec.evaluate.outputs.named_metrics import flat_answers
from rnnspec.evaluate.score import validation_rows
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan import resolve
from rnnspec.plan.nodes import LabelsOutput
from rnnspec.spec import KeysOutput, Spec
from rnnspec.spec import LabelsOutput as LabelsOption
from rnnspec.store.events import Listener
from rnnspec.store.folder import THRESHOLDS, Trained, all_facts
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from rnnspec.to_torch.threads import allowed_threads, computing_with


@dataclass(slots=True)
class _Seen:
    """What is seen of the probabilities of an output."""

    node: LabelsOutput
    counts: ScoreCounts = field(init=False)
    new: int = 0
    """True labels that no training row has."""

    def __post_init__(self) -> None:
        self.counts = ScoreCounts(self.node.labels)

    def see(self, measured: MeasuredBatch) -> None:
        shares, true, new = flat_answers(self.node, measured)
        self.counts.add(shares.float().cpu().numpy(), true.cpu().numpy())
        self.new += int(new.sum())


def with_thresholds(
    trained: Trained, sources: Sources, precision: Precision, listener: Listener
) -> Trained:
    """The build with thresholds where its spec has them chosen; they are written into its state,
    and told."""
    wanted = dict(_chosen_here(trained.spec))
    if not wanted or sources.measured is None:
        return trained
    listener.stage("choosing thresholds")
    found = {}
    for column, seen in _seen(trained, set(wanted), precision).items():
        chosen = _thresholds(seen, apart=wanted[column])
        listener.note(_told(column, chosen))
        found[column] = list(chosen)
    state = trained.folder.read_state()
    trained.folder.write_state({**state, THRESHOLDS: found})
    facts = all_facts(trained.folder)
    return replace(trained, facts=facts, plan=resolve(trained.spec, facts))


def _chosen_here(spec: Spec) -> Iterator[tuple[str, bool]]:
    """Columns whose thresholds are chosen, and whether each label has one of its own."""
    for output in spec.data.outputs:
        if not isinstance(output, LabelsOption | KeysOutput):
            continue
        if not isinstance(output.threshold, float):
            yield output.column, not isinstance(output.threshold, str)


def _seen(trained: Trained, columns: set[str], precision: Precision) -> dict[str, _Seen]:
    """The probabilities of the validation rows."""
    spec, model = trained.spec, Model(trained.plan)
    model.load_canonical(trained.weights)
    model.to(precision.device, precision.weights)
    found = {
        node.column: _Seen(node)
        for node in trained.plan.targets
        if isinstance(node, LabelsOutput) and node.column in columns
    }

    def see(measured: MeasuredBatch) -> None:
        for each in found.values():
            each.see(measured)

    settings = loss_settings_of(spec, trained.facts)
    threads = spec.train.threads or allowed_threads()
    with computing_with(threads), validation_rows(trained) as rows, torch.inference_mode():
        evaluate(model, rows, spec.train, settings, precision=precision, greedy=True, see=see)
    return found


def _thresholds(seen: _Seen, apart: bool) -> tuple[float, ...]:
    """One threshold, or one of each label; a label that no row has takes that of all of them."""
    shared = best_threshold(seen.counts.together(), seen.new)
    shared = USUAL if shared is None else shared
    if not apart:
        return (shared,)
    own: list[Scored] = seen.counts.by_label()
    return tuple(shared if t is None else t for t in map(best_threshold, own))


def _told(column: str, chosen: tuple[float, ...]) -> str:
    shown = f"{chosen[0]:.4g}" if len(chosen) == 1 else f"{min(chosen):.4g} to {max(chosen):.4g}"
    of = "a label is" if len(chosen) == 1 else "labels are"
    return (
        f"{column}: {of} answered above a probability of {shown}, chosen by F1 on the validation"
        " rows: of other rows expect a little less"
    )
