"""Builds that are killed (SIGKILL) at random moments and resumed, until they are finished.

Each attempt is a child forked from this process, which has torch loaded already, so that the
moments fall into the build and not into imports.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rnnspec.errors import BuildError
from rnnspec.plan.facts_file import read_facts
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Silent
from rnnspec.store.files import read_arrays
from rnnspec.store.folder import BuildFolder, all_builds
from rnnspec.train import loop
from rnnspec.train.build import build
from tests.data_rows import write_letters

SPEC = """
name: killed
cardinality: N:1
data:
  train: train.jsonl
  valid: 0.2
  input: {column: text, as: chars}
  output: {column: label, as: class}
encoder:
  embed: 8
  embed_dropout: 0.2
  layers: [{cell: lstm, units: 12, direction: bidirectional}]
train:
  epochs: 4
  batch: 16
  ema: 0.9
  schedule: {cosine: {warmup: 5}}
  optimizer: {adam: {lr: 1e-2}}
"""
STREAM = """
name: killed
cardinality: N:N
data:
  train: train.jsonl
  valid: 0.2
  input: {column: text, as: chars}
  output: {column: text, as: next}
encoder:
  embed: 8
  layers: [{cell: lstm, units: 12, dropout: 0.2, repeat: 2}]
train:
  epochs: 3
  batch: 5
  window: 6
  average_last: 2
  schedule: {plateau: {patience: 1}}
  optimizer: {sgd: {lr: 0.5, momentum: 0.9}}
"""
UNFINISHED = ("training", "stopped")


@dataclass(frozen=True, slots=True)
class Survived:
    """A build that was finished after `kills`; `same` as the undisturbed one, to the last bit."""

    kills: int
    same: bool
    metrics_same: bool


def write_spec(folder: Path, text: str = SPEC, rows: int = 200) -> Path:
    """A small spec with its data: texts of a, b and c, labelled with their first letter."""
    folder.mkdir(exist_ok=True)
    write_letters(folder, train=rows)
    spec = folder / "spec.yaml"
    spec.write_text(text)
    return spec


def undisturbed(spec: Path) -> tuple[BuildFolder, float]:
    """The build that nothing happens to, and the seconds it took."""
    began = time.monotonic()
    child = _attempt(spec, spec.parent / "whole", 30.0)
    _, status = os.waitpid(child, 0)
    assert status == 0, "the undisturbed build failed"
    (folder,) = all_builds(spec.parent / "whole")
    return folder, time.monotonic() - began


def survive(spec: Path, whole: BuildFolder, seconds: float, most: int, seed: int) -> Survived:
    """Kill a build up to `most` times, each within `seconds` of its start, and let it finish.

    Raises an error if anything in its folder cannot be read after a kill.
    """
    draw = random.Random(seed)
    builds = spec.parent / f"killed{seed}"
    kills = 0
    while True:
        child = _attempt(spec, builds, draw.choice([0.0, 30.0]))
        if kills < most and _killed(child, draw.uniform(0, seconds)):
            kills += 1
            for folder in all_builds(builds):
                readable(folder)
            continue
        if kills >= most:
            _, status = os.waitpid(child, 0)
            assert status == 0, f"a build that was resumed after {kills} kills failed"
        break
    folder = next(all_builds(builds))
    pairs = ((whole.weights, folder.weights), (whole.last, folder.last))
    same = all(_same(read_arrays(one)[0], read_arrays(other)[0]) for one, other in pairs)
    return Survived(kills, same, metrics_of(whole) == metrics_of(folder))


def readable(folder: BuildFolder) -> None:
    """Read everything that is there. Raises BuildError or another error if something is torn."""
    assert folder.read_state()["state"] in (*UNFINISHED, "finished")
    load_spec(folder.spec)
    read_facts(folder.path)
    for weights in (folder.weights, folder.last):
        if weights.exists():
            read_arrays(weights)
    assert folder.last.exists() or folder.read_state()["state"] != "finished"
    if folder.checkpoint.exists():
        _, about = read_arrays(folder.checkpoint)
        lines = json.loads(about["position"])["lines"]
        assert len(metrics_of(folder, lines)) == lines


def _attempt(spec: Path, builds: Path, checkpoint_seconds: float) -> int:
    """The process number of a child that begins the build, or goes on with it."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        torch.set_num_threads(1)
        loop.CHECKPOINT_SECONDS = loop.EPOCH_SECONDS = checkpoint_seconds
        begun = any(found.read_state()["state"] in UNFINISHED for found in all_builds(builds))
        finished = any(found.read_state()["state"] == "finished" for found in all_builds(builds))
        if begun or not finished:
            build(load_spec(spec), builds, Silent(), resume=begun)
        status = 0
    except BuildError as error:
        print(error, file=sys.stderr)
    finally:
        os._exit(status)  # nothing of the parent's is to be cleaned up here


def _killed(child: int, after: float) -> bool:
    """Kill the child after some seconds; False if it had finished before."""
    end = time.monotonic() + after
    while time.monotonic() < end:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            assert status == 0, "a build that was not killed failed"
            return False
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def metrics_of(folder: BuildFolder, lines: int | None = None) -> list[dict[str, float]]:
    """The first lines of metrics.jsonl without what the clock decides."""
    if not folder.metrics.exists():
        return []
    records = [json.loads(line) for line in folder.metrics.read_text().splitlines()[:lines]]
    return [{k: v for k, v in r.items() if "per_second" not in k} for r in records]
