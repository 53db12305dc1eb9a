"""Several builds of one spec: `rnnspec build --folds` and `--seeds`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

from rnnspec.cli.errors import INTERRUPTED, WRONG, loading
from rnnspec.cli.terminal import loudness, number, say, table

if TYPE_CHECKING:
    from rnnspec.store.events import Listener
    from rnnspec.train.build import Result
    from rnnspec.train.distributed import Processes
    from rnnspec.train.repeat import Run

SEEDS = "--seeds"


class SeveralSeeds(TyperCommand):
    """A command whose `--seeds` takes all numbers that follow."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spread_out(args))


def spread_out(args: Sequence[str]) -> list[str]:
    """`--seeds 0 1` as `--seeds 0 --seeds 1`."""
    found: list[str] = []
    after = False
    for each in args:
        after = each == SEEDS or (after and each.isdecimal())
        again = after and each != SEEDS and found[-1] != SEEDS
        found += [SEEDS, each] if again else [each]
    return found


def repeated(
    spec: Path,
    overrides: Sequence[str],
    builds: Path,
    resume: bool,
    folds: int | None,
    seeds: Sequence[int],
    json: bool,
) -> None:
    """Build each fold, or each seed, and print what their metrics have in common."""
    from rnnspec.cli.progress import progress_listener

    with loading():
        from rnnspec.to_torch.devices import device_of
        from rnnspec.train import repeat
        from rnnspec.train.distributed import SaidElsewhere, joined
        from rnnspec.train.interrupt import ending
    runs = repeat.folds(spec, overrides, folds) if folds else repeat.seeds(spec, overrides, seeds)
    first, kind = runs[0].loaded.spec, repeat.FOLDS if folds else repeat.SEEDS
    gpu = device_of(first.train).type == "cuda"
    with (
        ending(),
        joined(gpu) as processes,
        progress_listener(processes.first and not (json or loudness.quiet)) as listener,
    ):
        folder = processes.from_first(lambda: repeat.group_folder(builds, first.name, kind, resume))
        try:
            results = _all_built(runs, folder, listener, processes)
        except SaidElsewhere:
            raise typer.Exit(WRONG) from None
        except KeyboardInterrupt:
            results = {}
    if len(results) < len(runs):
        again = join(["rnnspec", *sys.argv[1:], *([] if resume else ["--resume"])])
        if processes.first:
            print(f"stopped; {folder} holds all that is needed to go on with:\n  {again}")
        raise typer.Exit(INTERRUPTED)
    if processes.first:
        repeat.write_summary(folder, results)
        _show(folder, results, json)


def _all_built(
    runs: Sequence[Run], folder: Path, listener: Listener, processes: Processes
) -> dict[str, Result]:
    """The builds by their names, without those that an interrupt left out."""
    from rnnspec.train.build import build

    results: dict[str, Result] = {}
    for run in runs:
        listener.stage(run.name)
        result = build(run.loaded, folder, listener, processes=processes, place=folder / run.name)
        if not result.finished:
            break
        results[run.name] = result
    return results


def _show(folder: Path, results: Mapping[str, Result], json: bool) -> None:
    from rnnspec.files import json_text
    from rnnspec.train.repeat import as_json, spreads

    if json:
        print(json_text(as_json(folder, results), indent=2))
        return
    found = spreads(list(results.values()))
    head = ["", *results, "mean", "spread"]
    rows = [
        [
            name,
            *map(number, each.values),
            number(each.mean),
            "" if each.deviation is None else f"±{number(each.deviation)}",
        ]
        for name, each in found.items()
    ]
    print(f"built {len(results)} times in {folder}")
    if rows:
        print(table(head, rows))
        print("spread: the sample standard deviation; each build by its best epoch")
    say(f"next: {join(['rnnspec', 'compare', *(str(r.folder.path) for r in results.values())])}")
