"""Threads: never more than the cores, the environment, torch and the container allow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from rnnspec.data.processors import processors
from rnnspec.plan.nodes import Direction
from rnnspec.run.session import Session
from rnnspec.spec.load import load_spec
from rnnspec.store.events import Heard, Silent
from rnnspec.store.resume import warn_of_threads
from rnnspec.to_torch.threads import allowed_threads, computing_with, threads_for
from rnnspec.train.build import build
from tests.models import frames_plan
from tests.tiny import SPECS, write_data

ROOT = Path(__file__).parent.parent
CORES = 8


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Eight cores that are all allowed, in torch too."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(CORES)))
    monkeypatch.setattr(os, "cpu_count", lambda: CORES)
    for name in ("OMP_NUM_THREADS", "OMP_THREAD_LIMIT"):
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(CORES)
    yield
    torch.set_num_threads(before)


def machine(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def tiny(folder: Path) -> Path:
    write_data(folder)
    (folder / "spec.yaml").write_text(json.dumps(SPECS["number"]))
    return folder / "spec.yaml"


V1 = "9:name=systemd:/\n2:cpu,cpuacct:/docker/a1\n1:memory:/docker/a1\n"
QUOTA, PERIOD = "cpu.cfs_quota_us", "cpu.cfs_period_us"
MACHINES: list[tuple[str, Mapping[str, str], int]] = [
    ("no cgroups", {}, CORES),
    ("v2, no limit", {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
    ("v2, own view", {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "300000 100000\n"}, 3),
    (
        "v2, the slice above is narrower",
        {
            "proc/self/cgroup": "0::/user.slice/job\n",
            "sys/fs/cgroup/user.slice/cpu.max": "200000 100000\n",
            "sys/fs/cgroup/user.slice/job/cpu.max": "400000 100000\n",
        },
        2,
    ),
    (
        "v2, part of a processor is no thread more",
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "250000 100000\n"},
        2,
    ),
    (
        "v2, less than one",
        {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"},
        1,
    ),
    (
        "v1, no limit",
        {
            "proc/self/cgroup": V1,
            f"sys/fs/cgroup/cpu,cpuacct/docker/a1/{QUOTA}": "-1\n",
            f"sys/fs/cgroup/cpu,cpuacct/docker/a1/{PERIOD}": "100000\n",
        },
        CORES,
    ),
    (
        "v1, as the host sees it",
        {
            "proc/self/cgroup": V1,
            f"sys/fs/cgroup/cpu,cpuacct/docker/a1/{QUOTA}": "400000\n",
            f"sys/fs/cgroup/cpu,cpuacct/docker/a1/{PERIOD}": "100000\n",
        },
        4,
    ),
    (
        "v1, as the container sees it: its own group is the root",
        {
            "proc/self/cgroup": V1,
            f"sys/fs/cgroup/cpu/{QUOTA}": "150000\n",
            f"sys/fs/cgroup/cpu/{PERIOD}": "50000\n",
        },
        3,
    ),
    ("v1, damaged", {"proc/self/cgroup": V1, f"sys/fs/cgroup/cpu/{QUOTA}": "many\n"}, CORES),
]


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("files", "expected"), [m[1:] for m in MACHINES], ids=[m[0] for m in MACHINES]
)
def test_the_quota_of_the_container(
    files: Mapping[str, str], expected: int, tmp_path: Path
) -> None:
    assert processors(machine(tmp_path, files)) == expected


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("OMP_NUM_THREADS", "2", 2),
        ("OMP_NUM_THREADS", " 4,3,2", 4),  # nested: the outer level is the first
        ("OMP_NUM_THREADS", "16", CORES),
        ("OMP_NUM_THREADS", "0", 1),
        ("OMP_NUM_THREADS", "all", CORES),
        ("OMP_THREAD_LIMIT", "3", 3),
    ],
)
def test_the_environment(
    name: str, value: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert processors(tmp_path) == expected


@pytest.mark.usefixtures("eight")
def test_the_cores_that_the_process_may_run_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert processors(tmp_path) == 2


@pytest.mark.usefixtures("eight")
def test_training_takes_what_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    large = frames_plan(units=512, width=512)
    monkeypatch.setattr("rnnspec.to_torch.threads.processors", lambda: 6)
    assert threads_for(large, 64, None) == 6
    torch.set_num_threads(5)
    assert threads_for(large, 64, None) == 5
    assert threads_for(large, 64, 7) == 7, "train.threads says it and holds"


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("cell", "direction", "units", "rows", "expected"),
    [
        # 4 (or 3) gates of 128 x (128 + 128) weights and 128 biases, times 32 rows: 4.2 (3.2)
        # million multiplications
        ("lstm", "forward", 128, 32, 2),
        ("lstm", "bidirectional", 128, 32, 2),
        ("lstm", "forward", 128, 30, 1),
        ("lstm", "forward", 128, 64, 4),
        ("gru", "forward", 128, 64, 1),
        ("gru", "forward", 128, 128, 2),
        ("gru", "forward", 256, 64, 5),
    ],
)
def test_a_thread_has_enough_to_do(
    cell: str, direction: Direction, units: int, rows: int, expected: int
) -> None:
    plan = frames_plan(cell, direction, units=units, width=units)
    assert threads_for(plan, rows, None) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [({}, "1000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, None)],
)
@pytest.mark.parametrize("call", ["from rnnspec.cli import main; main()", "import rnnspec.api"])
def test_threads_that_wait_soon_sleep(
    call: str, said: Mapping[str, str], expected: str | None
) -> None:
    """Set before torch, and so OpenMP, is loaded; a process looks at what it was given."""
    ours = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    text = f"""
import os, sys
sys.argv = ["rnnspec", "--help"]
sys.stdout = open(os.devnull, "w")
try:
    {call}
except SystemExit:
    pass
print("torch" in sys.modules, os.environ.get("GOMP_SPINCOUNT"), file=sys.__stdout__)
"""
    done = subprocess.run(
        [sys.executable, "-c", text], env=ours | dict(said), capture_output=True, text=True
    )
    assert done.stdout.split() == ["False", str(expected)], done.stderr


def test_torch_has_its_threads_back() -> None:
    before = torch.get_num_threads()
    with computing_with(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_a_build_leaves_torch_as_it_was(tmp_path: Path) -> None:
    seen = []

    class Looking(Silent):
        def stage(self, name: str) -> None:
            seen.append((name, torch.get_num_threads()))

    loaded = load_spec(tiny(tmp_path), ["train.threads=3"])
    before = torch.get_num_threads()
    assert build(loaded, tmp_path / "builds", Looking()).finished
    assert dict(seen)["training"] == 3
    assert torch.get_num_threads() == before


def test_more_threads_than_are_allowed_now_are_told() -> None:
    heard = Heard()
    warn_of_threads(allowed_threads(), heard)
    assert not heard.warnings
    warn_of_threads(allowed_threads() + 2, heard)
    assert f"begun with {allowed_threads() + 2} threads" in heard.warnings[0]


@pytest.mark.parametrize("given", [None, 5])
def test_sessions_take_what_is_allowed(given: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    opened = onnxruntime.InferenceSession

    def opening(content: bytes, options: onnxruntime.SessionOptions, **more: object) -> object:
        seen.append((options.intra_op_num_threads, options.inter_op_num_threads))
        return opened(content, options, **more)

    monkeypatch.setattr(onnxruntime, "InferenceSession", opening)
    monkeypatch.setattr("rnnspec.run.session.processors", lambda: 3)
    nothing = helper.make_node("Identity", ["x"], ["y"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["B"]) for name in "xy"]
    graph = helper.make_graph([nothing], "nothing", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    Session(model.SerializeToString(), given)
    assert seen == [(given or 3, 1)]


def test_no_library_starts_more(tmp_path: Path) -> None:
    """In a process of its own: pyarrow and tokenizers count once, at their start."""
    parquet, tokenizers = pytest.importorskip("pyarrow.parquet"), pytest.importorskip("tokenizers")
    assert tokenizers
    table = pytest.importorskip("pyarrow").table({"x": ["a b", "b c"]})
    parquet.write_table(table, tmp_path / "x.parquet")
    code = """
import json, os, sys, pyarrow
from pathlib import Path
from rnnspec.data import parquet, processors
from rnnspec.data.how import How
from rnnspec.data.columns import subwords
parquet.processors = subwords.processors = lambda: 1
list(parquet.read_parquet(Path(sys.argv[1]), ["x"], How(), None, parquet.Position()))
subwords.trained_tokenizer(iter(["a b", "b c"]), 300)
print(json.dumps([pyarrow.cpu_count(), os.environ["RAYON_NUM_THREADS"]]))
"""
    environment = {k: v for k, v in os.environ.items() if "THREADS" not in k}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.parquet")],
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [1, "1"]
