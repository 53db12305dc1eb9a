"""Training steps of a small reader of text lines, against a hand-written twin.

Two convolutions with poolings over pictures of 16 rows and 30 to 120 columns, a bidirectional LSTM,
CTC over characters: the same sizes, batches of 32 pictures padded to the longest, Adam. Both in one
process on one thread, in turns, in CPU time; over 1 is faster than the twin.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import cycle

import numpy as np
import torch
from interleave import interleave, ratio
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnspec.data import Batch
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan import Facts, NumericFacts, TextFacts, Vocabulary, resolve
from rnnspec.spec import Spec
from rnnspec.to_torch import Model
from rnnspec.train.feed import MicroBatch
from rnnspec.train.step import TrainStep

ROWS, HEIGHT, CHARACTERS = 32, 16, 20
LAYERS = [
    {"conv": 16, "size": [3, 3], "activation": "relu"},
    {"pool": "max", "size": [2, 2]},
    {"conv": 32, "size": [3, 3], "activation": "relu"},
    {"pool": "max", "size": [1, 2]},
    {"cell": "lstm", "units": 64, "direction": "bidirectional"},
]
Drawn = tuple[Tensor, Tensor, Tensor]


class Twin(nn.Module):
    """The same network by hand: zeros past each width before each convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 32, 3, padding=1)
        self.lstm = nn.LSTM(32 * HEIGHT // 4, 64, bidirectional=True)
        self.answer = nn.Linear(128, CHARACTERS + 2)

    def forward(self, pixels: Tensor, widths: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities `[T, B, size]` and lengths, of `[B, T, height]` and `[B]`."""
        x = F.max_pool2d(torch.relu(self.first(pixels[:, None])), (2, 2), ceil_mode=True)
        lengths = (widths + 1) // 2
        mask = torch.arange(x.shape[2]) < lengths[:, None]
        x = x * mask[:, None, :, None]
        x = F.max_pool2d(torch.relu(self.second(x)), (1, 2))
        steps = x.permute(2, 0, 3, 1).flatten(2)
        packed = pack_padded_sequence(steps, lengths, enforce_sorted=False)
        read, _ = pad_packed_sequence(self.lstm(packed)[0])
        return F.log_softmax(self.answer(read), -1), lengths


def drawn(count: int) -> list[Drawn]:
    """Batches of pixels `[B, T, height]`, widths and texts, zeros past their lengths."""
    draw, found = np.random.default_rng(0), []
    for _ in range(count):
        widths = draw.integers(30, 121, ROWS)
        pixels = draw.random((ROWS, widths.max(), HEIGHT), np.float32)
        pixels *= (np.arange(widths.max()) < widths[:, None])[..., None]
        texts = np.full((ROWS, 9), -1)
        for text, length in zip(texts, draw.integers(2, 9, ROWS), strict=True):
            text[:length] = draw.integers(2, CHARACTERS + 2, length)
            text[length] = 0
        found.append((torch.from_numpy(pixels), torch.from_numpy(widths), torch.from_numpy(texts)))
    return found


def twin_step(batches: list[Drawn]) -> Callable[[], None]:
    twin, rest = Twin(), cycle(batches)
    adam = torch.optim.Adam(twin.parameters(), 1e-3)

    def step() -> None:
        pixels, widths, texts = next(rest)
        logs, lengths = twin(pixels, widths)
        counts = (texts > 0).sum(1)
        loss = F.ctc_loss(logs, texts.clamp(min=0), lengths, counts, zero_infinity=True)
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(twin.parameters(), 1.0)
        adam.step()

    return step


def spec_and_facts() -> tuple[Spec, Facts]:
    spec = Spec.model_validate(
        {
            "name": "lines",
            "cardinality": "N:M",
            "data": {
                "train": "nowhere.jsonl",
                "input": {"column": "pixels", "as": "frames", "scale": "none"},
                "output": {"column": "text", "as": "chars"},
            },
            "encoder": {"layers": LAYERS},
            "decoder": {"ctc": {}},
        }
    )
    pixels = NumericFacts(HEIGHT, (0.0,) * HEIGHT, (1.0,) * HEIGHT, longest=120)
    characters = TextFacts(Vocabulary(tuple("abcdefghijklmnopqrst"[:CHARACTERS])), 8, 5.0, 1.0)
    return spec, Facts(100, {"pixels": pixels}, {"text": characters})


def tool_step(batches: list[Drawn]) -> Callable[[], None]:
    spec, facts = spec_and_facts()
    model = Model(resolve(spec, facts))
    model.start(facts, seed=0)
    train_step = TrainStep(model.train(), spec.train, loss_settings=loss_settings_of(spec, facts))
    micro_batches = []
    for pixels, widths, texts in batches:
        batch = Batch({"pixels": (pixels.numpy(), widths.numpy())}, {"text": texts.numpy()})
        micro_batches.append(MicroBatch(batch, ROWS, int(widths.sum()), pixels[..., 0].numel()))
    rest = cycle(micro_batches)
    return lambda: [train_step.step([next(rest)])].clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="steps of each (default 20)")
    torch.set_num_threads(1)
    rounds = parser.parse_args().rounds
    batches = drawn(4)
    seconds = interleave({"twin": twin_step(batches), "rnnspec": tool_step(batches)}, rounds)
    for name, each in seconds.items():
        print(f"{name:8} {1 / np.median(each):7.2f} steps/s  {ratio(seconds['twin'], each):.3f}")


if __name__ == "__main__":
    main()
