"""Memory that libraries keep: given back when asked for, few kernels unless the user says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rnnspec.data import encode, survey
from rnnspec.objective.objective import Objective
from rnnspec.plan import nodes, resolve
from rnnspec.spec.load import load_spec
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision, tensors
from rnnspec.to_torch.memory import (
    KERNELS,
    MAPPED,
    TOP,
    give_back,
    keep_few_kernels,
    map_large_blocks,
)

CAPACITY = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
FREED = """
from pathlib import Path
from rnnspec.to_torch.memory import give_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

blocks = [bytearray(2**16) for _ in range(1600)]  # 100 MB, too small to be mapped one by one
last = bytearray(2**16)  # stands above them: nothing below it goes back by itself
full = resident()
del blocks
kept = resident()
give_back()
print(full - kept < 2**24, kept - resident() > 2**25)
"""


def test_few_kernels_are_kept_unless_the_environment_says_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(CAPACITY, "7")
    keep_few_kernels()
    assert os.environ[CAPACITY] == "7"
    monkeypatch.delenv(CAPACITY)
    keep_few_kernels()
    assert os.environ[CAPACITY] == str(KERNELS)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="there is no /proc here")
def test_free_memory_goes_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FREED], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "True True", done.stdout + done.stderr


def test_nothing_happens_without_such_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnspec.to_torch.memory._of_c", lambda _: None)
    give_back()
    map_large_blocks()


@pytest.mark.parametrize("said", [{}, {"MALLOC_ARENA_MAX": "2"}, {"GLIBC_TUNABLES": ""}])
def test_large_blocks_are_mapped_unless_the_environment_speaks_of_malloc(
    monkeypatch: pytest.MonkeyPatch, said: dict[str, str]
) -> None:
    for key in [*filter(lambda key: key.startswith("MALLOC_"), os.environ), "GLIBC_TUNABLES"]:
        monkeypatch.delenv(key, raising=False)
    for key, value in said.items():
        monkeypatch.setenv(key, value)
    called = list[tuple[int, int]]()
    monkeypatch.setattr(
        "rnnspec.to_torch.memory._of_c", lambda _: lambda *given: called.append(given)
    )
    map_large_blocks()
    assert called == ([] if said else [(-3, MAPPED), (-1, TOP)])


STACK = """
name: lines
cardinality: N:1
data:
  train: rows.jsonl
  input: {column: frames, as: frames}
  output: {column: kind, as: class}
encoder:
  layers:
    - {conv: 4, size: 3, norm: batch, activation: relu}
    - {pool: max, size: 2}
    - {cell: lstm, units: 4, dropout: 0.5, activation_l2: 0.1}
    - {dense: 4, activation: relu}
    - {cell: gru, units: 4, name: last}
"""


def test_values_go_once_nothing_reads_them(tmp_path: Path) -> None:
    """What is left is read by the loss or by an output; nothing else changes."""
    rows = [{"frames": [[row, step, 1] for step in range(3 + row)], "kind": f"{row % 2}"}
            for row in range(6)]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "spec.yaml").write_text(STACK)
    loaded = load_spec(tmp_path / "spec.yaml")
    facts = survey(loaded.spec, tmp_path / "rows.jsonl")
    plan = resolve(loaded.spec, facts)
    data = encode(plan, facts, tmp_path / "rows.jsonl", "jsonl", tmp_path / "cache")
    batch = data.collate(np.arange(len(rows)))
    model = Model(plan)
    model.start(facts, seed=1)
    found = []
    for spent in (model.spent, {}):
        model.spent = spent
        torch.manual_seed(2)
        objective = Objective(model, loaded.spec.train)
        forward = objective(batch, Precision())
        assert forward.activity is not None
        loss = sum(forward.losses.values(), start=forward.activity)
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        found.append((loss, *torch.autograd.grad(loss, weights)))
        inputs, _ = Precision().placed(tensors(batch))
        left = set(model.values(inputs)[0])
        layers = {node.name for node in plan.nodes if not isinstance(node, nodes.Input)}
        if spent:
            assert len(left & layers) < 5 < len(layers), left
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
