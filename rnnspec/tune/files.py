"""The files of a search, beside its trials.

trial-0, trial-1, …  a build folder for each trial
best                 a link to the best of them
best.yaml            the spec with its values: as it was written, with its comments
tune.html            the trials, which range matters, where good values lie
trials.json          what `rnnspec tune --json` prints
tune.db              the trials as Optuna keeps them, unless `--storage` names another place
"""

from __future__ import annotations

import os
from contextlib import suppress

from rnnspec.files import json_text, write_text
from rnnspec.spec.load import Tunable
from rnnspec.tune.outcome import Outcome, as_json, best_text
from rnnspec.tune.page import page


def write(outcome: Outcome, tunable: Tunable) -> None:
    """Write tune.html, trials.json and, once a trial is finished, best.yaml and the link `best`."""
    write_text(outcome.out / "trials.json", json_text(as_json(outcome), indent=2) + "\n")
    write_text(outcome.page, page(outcome, tunable))
    if outcome.best is None:
        return
    write_text(outcome.best_spec, best_text(outcome.best, tunable, outcome.out))
    link = outcome.out / f".best-{os.getpid()}"
    with suppress(OSError):  # a file system without links
        link.unlink(missing_ok=True)
        link.symlink_to(outcome.best.folder.name, target_is_directory=True)
        link.replace(outcome.out / "best")
