"""Spelling to phonemes in Greek, French and Hungarian: word error rate on the dev parts.

``gre-state`` has no attention: the plain state vector that attention must beat.
"""

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
        encoder=128,
        encoder_layers=2,
        decoder=256,
        attention="general",
        embed_dropout=0.2,
        layer_dropout=0.3,
    ),
    Recipe(epochs=16, batch=32, lr=3e-3, schedule="cosine"),
    smoothing=0.1,
    width=5,
)
# French spelling needs more than Greek and Hungarian.
FRENCH = replace(
    ATTENTION,
    shape=replace(ATTENTION.shape, embed=96, target_embed=96, encoder=192, decoder=384),
    recipe=replace(ATTENTION.recipe, epochs=22, lr=2e-3),
)
STATE = replace(
    ATTENTION, shape=replace(ATTENTION.shape, attention="", encoder_layers=1), smoothing=0.0
)


def run(language: str, setting: Setting, seed: int) -> dict[str, float]:
    folder = data_folder() / "g2p"
    task = tsv_task(folder / f"{language}_train.tsv", folder / f"{language}_dev.tsv", list)
    return figures(setting, task, seed)


VARIANTS = {
    "gre": Variant("wrong words at most 20 %", lambda seed: run("gre", ATTENTION, seed)),
    "fre": Variant("wrong words at most 9 %", lambda seed: run("fre", FRENCH, seed)),
    "hun": Variant("wrong words at most 7 %", lambda seed: run("hun", ATTENTION, seed)),
    "gre-state": Variant("the figure to beat", lambda seed: run("gre", STATE, seed)),
}

if __name__ == "__main__":
    main(__doc__, VARIANTS)
