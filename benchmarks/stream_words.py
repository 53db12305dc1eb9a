"""Truncated backpropagation over a long text: the size of the Penn Treebank models of 2014.

  python benchmarks/stream_words.py [--epochs 2] [--windows 40] [--json FILE]

At most 10,000 words of tinyshakespeare, two LSTM layers of 200 units, windows of 20 steps, 20
lanes, states carried on (Zaremba, Sutskever and Vinyals 2014, the small model). A hand-written
loop over `nn.LSTM` and rnnspec's trainer start from the same weights. First both train some
epochs: their perplexities should be the same. Then they take windows in turns, in CPU time on one
thread.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
from interleave import interleave, ratio
from torch import Tensor, nn
from twins.data import data_folder

from rnnspec.data import Dataset, survey
from rnnspec.plan import Facts, Plan, resolve
from rnnspec.spec.load import LoadedSpec, load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import BuildFolder
from rnnspec.to_torch import Model
from rnnspec.train.build import datasets
from rnnspec.train.interrupt import Interrupt
from rnnspec.train.loop import Trainer
from rnnspec.train.schedules import Moment

LANES, WINDOW, UNITS, CLIP = 20, 20, 200, 5.0
SPEC = f"""
name: words
cardinality: N:N
data:
  train: train.jsonl
  valid: valid.jsonl
  input: {{column: text, as: words, max_size: 10000}}
  output: {{column: text, as: next}}
encoder:
  embed: {UNITS}
  layers: [{{cell: lstm, units: {UNITS}, repeat: 2}}]
train:
  epochs: EPOCHS
  batch: {LANES}
  window: {WINDOW}
  optimizer: {{sgd: {{lr: 1.0}}}}
  clip_norm: {CLIP}
"""
State = tuple[Tensor, Tensor]


class Twin(nn.Module):
    """The model by hand, from the starting weights of rnnspec's."""

    def __init__(self, model: Model, size: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(size, UNITS)
        self.lstm = nn.LSTM(UNITS, UNITS, 2)
        held = dict(model.canonical())
        with torch.no_grad():
            self.embed.weight.copy_(held["embed.table"])
            for layer in range(2):
                for part, letter in (("weight_ih", "W"), ("weight_hh", "U"), ("bias_ih", "b")):
                    gates = [held[f"layers.{layer}.forward.{letter}_{gate}"] for gate in "ifgo"]
                    getattr(self.lstm, f"{part}_l{layer}").copy_(torch.cat(gates))
                getattr(self.lstm, f"bias_hh_l{layer}").zero_().requires_grad_(False)
        self.answer = nn.Linear(UNITS, held["answer.W"].shape[0])
        with torch.no_grad():
            self.answer.weight.copy_(held["answer.W"])
            self.answer.bias.copy_(held["answer.b"])
        self.trained = [weight for weight in self.parameters() if weight.requires_grad]
        self.optimizer = torch.optim.SGD(self.trained, lr=1.0, fused=True)

    def window(
        self, ids: Tensor, targets: Tensor, state: State, train: bool
    ) -> tuple[float, State]:
        """The mean loss of `[steps, lanes]`, and the states after it."""
        out, state = self.lstm(self.embed(ids), state)
        scores = self.answer(out).flatten(0, 1)
        loss = nn.functional.cross_entropy(scores, targets.flatten(), ignore_index=-1)
        if train:
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.trained, CLIP)
            self.optimizer.step()
        return loss.item(), (state[0].detach(), state[1].detach())


def windows(ids: Tensor, end: int, many: int = LANES) -> Iterator[tuple[Tensor, Tensor, bool]]:
    """Steps and next steps of `many` lanes of equal length, `[steps, lanes]`; the first window of
    each epoch is marked. Past the end of the last lane nothing is asked."""
    length = -(-len(ids) // many)
    padded = torch.full((length * many + 1,), -1)
    padded[: len(ids)] = ids
    padded[len(ids)] = end
    lanes = padded[:-1].view(many, length).T
    after = padded[1:].view(many, length).T.clone()
    after[lanes < 0] = -1
    window = LANES * WINDOW // many
    for start in range(0, length, window):
        part = slice(start, start + window)
        yield lanes[part].clamp(min=0).contiguous(), after[part].contiguous(), start == 0


def zeros(lanes: int = LANES) -> State:
    return torch.zeros(2, lanes, UNITS), torch.zeros(2, lanes, UNITS)


def epoch(twin: Twin, ids: Tensor, end: int, train: bool) -> float:
    """The perplexity of an epoch; without training, of the text from its first word to its last."""
    lanes = LANES if train else 1
    state, total, count = zeros(lanes), 0.0, 0
    for given, wanted, _ in windows(ids, end, lanes):
        loss, state = twin.window(given, wanted, state, train)
        known = int((wanted >= 0).sum())
        total, count = total + loss * known, count + known
    return math.exp(total / count)


def prepared(folder: Path, epochs: int) -> tuple[LoadedSpec, Facts, Plan, Dataset, Dataset]:
    for name in ("train", "valid"):
        text = (data_folder() / "tinyshakespeare" / f"{name}.txt").read_text("utf-8")
        (folder / f"{name}.jsonl").write_text(json.dumps({"text": " ".join(text.split())}) + "\n")
    (folder / "spec.yaml").write_text(SPEC.replace("EPOCHS", str(epochs)))
    loaded = load_spec(folder / "spec.yaml")
    facts = survey(loaded.spec, folder / "train.jsonl")
    plan = resolve(loaded.spec, facts)
    train, valid = datasets(loaded, plan, facts, folder / "cache")
    assert valid is not None
    return loaded, facts, plan, train, valid


def tokens(data: Dataset) -> Tensor:
    """The numbers of all steps, from the arrays themselves."""
    batch = data.collate(np.arange(1))
    return torch.from_numpy(batch.inputs["text"][0][0])


def stepping(trainer: Trainer) -> Callable[[], None]:
    micro_batches = cycle(list(trainer.feed.micro_batches(0, 0))[:-1])
    return lambda: _step(trainer, micro_batches)


def _step(trainer: Trainer, micro_batches: Iterator[object]) -> None:
    trainer._step([next(micro_batches)], Moment(0, 1, 0))  # type: ignore[list-item]


def by_hand(twin: Twin, ids: Tensor, end: int) -> Callable[[], None]:
    given = cycle(list(windows(ids, end))[:-1])
    held = [zeros()]

    def one() -> None:
        x, y, anew = next(given)
        _, held[0] = twin.window(x, y, zeros() if anew else held[0], train=True)

    return one


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=2, help="0 to take the time alone")
    parser.add_argument("--windows", type=int, default=40, help="that are timed (default 40)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        loaded, facts, plan, train, valid = prepared(folder, max(1, options.epochs))
        model = Model(plan)
        model.start(facts, 0)
        embed = dict(model.canonical())["embed.table"]
        twin = Twin(model, embed.shape[0])
        end = int(train.collate(np.arange(1)).targets["text"][0, -1])
        ids, held_out = tokens(train), tokens(valid)
        print(f"{len(ids):,} words of {embed.shape[0]:,}; {len(held_out):,} for validation")
        trainer = Trainer(model, loaded.spec.train, BuildFolder(folder), train, valid, Silent())
        rows: list[dict[str, float]] = []
        if options.epochs:
            assert trainer.run(Interrupt())
            rows = [json.loads(line) for line in (folder / "metrics.jsonl").open()]
        results["perplexity"] = found = []
        for row in rows:
            ours = (math.exp(row["train.loss"]), row["valid.perplexity"])
            theirs = epoch(twin, ids, end, True), epoch(twin, held_out, end, False)
            found.append({"rnnspec": ours, "twin": theirs})
            print(
                f"epoch {row['epoch']}: train {ours[0]:.3f}, twin {theirs[0]:.3f};"
                f" valid {ours[1]:.3f}, twin {theirs[1]:.3f}",
                flush=True,
            )
        model.train()
        taken = interleave(
            {"twin": by_hand(twin, ids, end), "rnnspec": stepping(trainer)}, options.windows
        )
        speed = ratio(taken["twin"], taken["rnnspec"])
        results |= {"relative_speed": speed}
        for who, seconds in taken.items():
            rate = LANES * WINDOW / statistics.median(seconds)
            print(f"{who:<8} {rate:8,.0f} words/s")
        print(f"rnnspec at {speed:.3f} of the twin's rate")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
