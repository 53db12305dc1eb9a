"""The study of a search: its storage, how it draws trials, and which trials it still needs.

A trial is a trial of Optuna. Its parameters are the values of the ranges by their names (of choices
the number of the value), its values and intermediate values are the watched metric, its user
attributes say where its build is (`folder`), who trains it (`worker`) and why it ended (`why`).
"""

from __future__ import annotations

import difflib
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import (
    BaseStorage,
    GrpcStorageProxy,
    RDBStorage,
    RetryHeartbeatStaleTrialCallback,
)
from optuna.storages.journal import JournalFileBackend, JournalRedisBackend, JournalStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from rnnspec.errors import RnnspecError
from rnnspec.spec.load import Tunable

HEARTBEAT, STALE = 10, 60
"""Seconds between two signs of life of a worker in a database, and after which it is dead."""
STARTUP = 6
"""Trials that are drawn evenly before others tell where to look."""
WARMUP = 2
"""Epochs after which a trial may be stopped."""
FOLDER, WORKER, WHY = "folder", "worker", "why"
SPEC = "spec"
"""User attribute of a study: the text of the spec."""
LOCK_SECONDS = 100
"""How long a worker waits for another that writes to the same SQLite file."""


class _ByNumber(BaseSampler):
    """Tree-structured Parzen estimators (Bergstra et al. 2011; several settings together, Falkner
    et al. 2018), with random numbers that depend on the seed and on the number of the trial: no two
    workers draw the same, and a search by one worker can be repeated."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.drawing = TPESampler(seed=seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        seed = (self.seed * 100_003 + trial.number) % 2**32
        self.drawing = TPESampler(
            seed=seed, n_startup_trials=STARTUP, multivariate=True, group=True, constant_liar=True
        )

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return self.drawing.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return self.drawing.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: Any
    ) -> Any:
        return self.drawing.sample_independent(study, trial, param_name, param_distribution)


@contextmanager
def quiet() -> Iterator[None]:
    """While inside, Optuna neither logs nor says that parts of it are new."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(optuna|rnnspec\.tune)\b")
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)


def opened(
    tunable: Tunable, out: Path, storage: str | None, larger: bool, prune: bool = True
) -> Study:
    """The study of a spec in `storage`, by default `out/tune.db`: one that goes on, or a new one.

    Raises RnnspecError for a storage that cannot be opened, a study of another spec, and trials in
    `out` that the storage does not know.
    """
    seed = tunable.first.spec.train.seed
    pruner: BasePruner = MedianPruner(STARTUP - 1, WARMUP - 1) if prune else NopPruner()
    url = storage or f"sqlite:///{(out / 'tune.db').resolve()}"
    try:
        study = optuna.create_study(
            storage=_storage(url),
            study_name=tunable.first.spec.name,
            direction="maximize" if larger else "minimize",
            sampler=_ByNumber(seed),
            pruner=pruner,
            load_if_exists=True,
        )
        _check(study, tunable, out)
    except RnnspecError:
        raise
    except Exception as error:  # of whichever library speaks to the storage
        line = str(error).strip().partition("\n")[0] or type(error).__name__
        raise RnnspecError(f"--storage {url}: cannot be opened ({line})") from error
    return study


def _storage(url: str) -> BaseStorage:
    scheme = urlsplit(url).scheme
    if scheme == "journal":
        return JournalStorage(JournalFileBackend(url.partition("://")[2]))
    if scheme in ("redis", "rediss"):
        return JournalStorage(JournalRedisBackend(url))
    if scheme == "grpc":
        found = urlsplit(url)
        return GrpcStorageProxy(host=found.hostname or "localhost", port=found.port or 13000)
    if "://" not in url:
        raise RnnspecError(
            f"--storage {url}: is no address; write one as sqlite:///tune.db, postgresql://…,"
            " mysql://…, journal://FILE, redis://… or grpc://HOST:PORT"
        )
    lasting = {"connect_args": {"timeout": LOCK_SECONDS}} if scheme.startswith("sqlite") else {}
    return RDBStorage(
        url,
        engine_kwargs=lasting,
        heartbeat_interval=HEARTBEAT,
        grace_period=STALE,
        heartbeat_stale_trial_callback=again,
    )


def again(study: Study, trial: FrozenTrial) -> None:
    """Queue a trial that was broken off: its build goes on where it was."""
    with quiet():
        RetryHeartbeatStaleTrialCallback()(study, trial)


def _check(study: Study, tunable: Tunable, out: Path) -> None:
    """Raises RnnspecError where the study is of another spec, or `out` has trials of another."""
    text = "\n".join(_described(tunable))
    before = study.user_attrs.get(SPEC)
    if before is None:
        if taken := next(out.glob("trial-*"), None):
            raise RnnspecError(
                f"{taken}: is a trial of a search that the storage does not know; name the storage"
                " it was begun with, or another --out"
            )
        study.set_user_attr(SPEC, text)
    elif before != text:
        lines = difflib.unified_diff(before.split("\n"), text.split("\n"), lineterm="", n=0)
        shown = [each for each in lines if each[:3] not in ("---", "+++") and each[:2] != "@@"]
        raise RnnspecError(
            f"{out}: the search was begun with another spec:\n"
            + "\n".join(f"    {line}" for line in shown[:10])
            + "\nundo the change, or name another folder with --out"
        )


def _described(tunable: Tunable) -> Iterator[str]:
    """The spec with the first values, and its ranges, as lines."""
    from rnnspec.spec.load import resolved_yaml

    yield from resolved_yaml(tunable.first.spec).splitlines()
    for each in tunable.ranges:
        yield f"{each.name}: {each.described()}"


def worker() -> str:
    """The name of this process: `host:pid`."""
    return f"{socket.gethostname()}:{os.getpid()}"


def counted(study: Study) -> tuple[int, int]:
    """The number of trials that are done, and of those that some worker trains."""
    trials = study.get_trials(deepcopy=False)
    done = sum(each.state in (TrialState.COMPLETE, TrialState.PRUNED) for each in trials)
    return done, sum(each.state == TrialState.RUNNING for each in trials)
