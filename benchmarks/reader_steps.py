"""Training steps of readers of sound, pictures and chains of labels, against their twins.

The specs and twins of readers.py. Both sides take the same batches of rows, in one process on one
thread, in turns, in CPU time, from the rows as each keeps them (encoded by rnnspec; samples, frames
or pixels in memory by the twin) to the new weights. Over 1 is faster than the twin.

  python benchmarks/reader_steps.py strings-ctc strings-transducer --rounds 40
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
import twin_atis
import twin_digit_lines
import twin_digit_strings
import twin_speech
import twin_wnut17
from interleave import interleave, ratio
from numpy.typing import NDArray
from readers import TASKS
from real_sequences import copied
from torch import Tensor

from rnnspec.data import epoch_batches, survey
from rnnspec.data.shards import find_sources
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan import resolve
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.folder import BuildFolder
from rnnspec.to_torch import Model
from rnnspec.to_torch.threads import computing_with
from rnnspec.train.build import datasets
from rnnspec.train.loop import Trainer

Rows = NDArray[np.int64]


def tool(name: str, folder: Path) -> tuple[Callable[[Rows], object], Iterator[Rows]]:
    """A step on some rows, and the batches of epochs."""
    task = TASKS[name]
    task.measure(folder)
    loaded = load_spec(copied(task, folder), (*task.overrides, "train.threads=1"))
    spec, sources = loaded.spec, find_sources(loaded.spec.data, folder)
    facts = survey(spec, sources.train, None, None, folder)
    plan = resolve(spec, facts)
    data, _ = datasets(loaded, plan, facts, folder, sources)
    model = Model(plan)
    model.start(facts, seed=0)
    place = BuildFolder(folder)
    settings = loss_settings_of(spec, facts)
    trainer = Trainer(model, spec.train, place, data, None, Silent(), loss_settings=settings)
    model.train()
    assert isinstance(spec.train.batch, int)
    return trainer.step, epoch_batches(data, spec.train.batch, 0, 0)


def strings(kind: Callable[[int], twin_digit_strings.Reader]) -> Callable[[Tensor], None]:
    train, _, target = twin_digit_strings.load()
    reader = kind(len(target))
    model = twin_digit_strings.Model(train, reader)
    recipe = twin_digit_strings.recipe(1)
    return twin_digit_strings.learner(train, model, reader, recipe).stepping()


def words() -> Callable[[Tensor], None]:
    data, _, names = twin_speech.load()
    return twin_speech.learner(data, len(names), 0)[1].stepping()


def lines() -> Callable[[Tensor], None]:
    data, _, target = twin_digit_lines.load()
    return twin_digit_lines.learner(data, len(target), 0)[1].stepping()


TWINS: dict[str, Callable[[], Callable[[Tensor], None]]] = {
    "words": words,
    "strings-ctc": lambda: strings(twin_digit_strings.ctc),
    "strings-transducer": lambda: strings(twin_digit_strings.transducer),
    "strings-attention": lambda: strings(twin_digit_strings.attention),
    "lines": lines,
    "slots": twin_atis.slots_step,
    "intents": twin_atis.intents_step,
    "messages-crf": lambda: twin_wnut17.step(chain=True),
    "messages-softmax": lambda: twin_wnut17.step(chain=False),
}


def compare(name: str, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        step, batches = tool(name, Path(place))
        twin, kept = TWINS[name](), list(batches)
        ours, theirs = cycle(kept), cycle(map(torch.from_numpy, kept))
        seconds = interleave(
            {"rnnspec": lambda: (step(next(ours)), None)[1], "twin": lambda: twin(next(theirs))},
            rounds,
        )
    steps = {side: 1 / np.median(each) for side, each in seconds.items()}
    quotient = ratio(seconds["twin"], seconds["rnnspec"])
    whole = sum(seconds["twin"]) / sum(seconds["rnnspec"])
    print(
        f"{name:20} rnnspec {steps['rnnspec']:7.2f} steps/s  twin {steps['twin']:7.2f} steps/s"
        f"  ratio {quotient:.3f}, of the sums {whole:.3f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tasks", nargs="*", default=list(TWINS), help=f"of {', '.join(TWINS)}")
    parser.add_argument("--rounds", type=int, default=40, help="steps of each (default 40)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with computing_with(1):
        for name in options.tasks:
            compare(name, options.rounds)


if __name__ == "__main__":
    main()
