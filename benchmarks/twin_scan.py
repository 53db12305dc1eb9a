"""SCAN commands to actions: exact answers, with the plain state vector and with attention."""

from __future__ import annotations

from dataclasses import replace

from twins.data import data_folder
from twins.fitting import Recipe
from twins.report import Variant, main
from twins.seq2seq import Shape
from twins.transduction import Setting, figures, tsv_task

ATTENTION = Setting(
    Shape(
        target=0,
        embed=64,
        target_embed=64,
        encoder=100,
        decoder=200,
        attention="general",
        layer_dropout=0.1,
    ),
    Recipe(epochs=10, batch=32, lr=2e-3, schedule="cosine"),
)
STATE = replace(
    ATTENTION,
    shape=replace(ATTENTION.shape, attention=""),
    recipe=replace(ATTENTION.recipe, epochs=5, batch=64, lr=3e-3),
)


def run(setting: Setting, seed: int) -> dict[str, float]:
    folder = data_folder() / "scan"
    return figures(setting, tsv_task(folder / "train.tsv", folder / "valid.tsv", str.split), seed)


VARIANTS = {
    "attention": Variant("exact at least 99.5 %", lambda seed: run(ATTENTION, seed)),
    "state": Variant("the figure to beat", lambda seed: run(STATE, seed)),
}

if __name__ == "__main__":
    main(__doc__, VARIANTS)
