"""The command line and the table of every twin that is not a classifier."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch


@dataclass(frozen=True)
class Variant:
    """target: the figure to reach, in words; run: seed to figures, by name."""

    target: str
    run: Callable[[int], dict[str, float]]


def main(description: str | None, variants: dict[str, Variant]) -> None:
    """Runs the variants that the command line names, all by default, on one thread; a line for
    each seed and the means."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("variants", nargs="*", help=f"of {', '.join(variants)}; default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="default: 0")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    options = parser.parse_args()
    chosen = options.variants or list(variants)
    if wrong := [name for name in chosen if name not in variants]:
        parser.error(f"no {', '.join(wrong)}: choose of {', '.join(variants)}")
    torch.set_num_threads(1)
    summary: dict[str, dict[str, object]] = {}
    for name in chosen:
        variant = variants[name]
        print(f"{name}: {variant.target}", flush=True)
        rows: list[dict[str, float]] = []
        for seed in options.seeds:
            rows.append(variant.run(seed))
            print(f"  seed {seed}  {shown(rows[-1])}", flush=True)
        means = {key: statistics.mean(row[key] for row in rows) for key in rows[0]}
        if len(rows) > 1:
            print(f"  mean    {shown(means)}", flush=True)
        seeds = dict(zip(map(str, options.seeds), rows, strict=True))
        summary[name] = {"target": variant.target, "seeds": seeds, "means": means}
    if options.json:
        options.json.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def shown(figures: dict[str, float]) -> str:
    return "  ".join(f"{name} {value:.5g}" for name, value in figures.items())
