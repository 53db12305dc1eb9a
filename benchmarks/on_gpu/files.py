"""Exported files under onnxruntime's CUDA provider: equal to the CPU's, and how long they take."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tool import frames_model

from on_gpu.clock import Machine
from rnnspec.plan import Facts, Plan
from rnnspec.to_onnx import to_onnx
from tests import ctc, decoders, layers
from tests.kinds import feeds, plan_of, random_rows, strong_weights
from tests.models import frames_facts

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
LENGTHS = (7, 1, 4, 0, 9)
Feeds = dict[str, NDArray[Any]]


def exported(machine: Machine, names: int | None = None) -> dict[str, Any]:
    """Every plan's file with both providers, and the latency of layers of 256 and 1,024 units."""
    if CUDA not in onnxruntime.get_available_providers() and not machine.small:
        print(
            f"  this onnxruntime ({onnxruntime.__version__}) has no {CUDA}: install onnxruntime-gpu"
        )
        return {"skipped": "no CUDA provider"}
    failed: dict[str, str] = {}
    for name, (plan, facts) in list(_plans().items())[:names]:
        try:
            _same(plan, facts)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            print(f"    {name}: {failed[name]}")
    count = len(list(_plans())[:names])
    print(f"  {count} files, {len(failed)} not equal")
    return {"files": count, "failed": failed, "latency": _latencies(machine)}


def _plans() -> dict[str, tuple[Plan, Facts]]:
    found = {name: (layers.plan(name), frames_facts()) for name in layers.PLANS}
    found |= {f"decoder {name}": plan_of(spec) for name, spec in decoders.SPECS.items()}
    return found | {f"alignment {name}": ctc.plan_and_facts(name) for name in ctc.ALL}


def _session(content: bytes, gpu: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    have = onnxruntime.get_available_providers()
    wanted = [CUDA, CPU] if gpu and CUDA in have else [CPU]
    return onnxruntime.InferenceSession(content, options, providers=wanted)


def _same(plan: Plan, facts: Facts) -> None:
    """Raises where the two providers do not answer alike."""
    rows = random_rows(plan, LENGTHS)
    content = to_onnx(plan, facts, strong_weights(plan, size=0.3), ids=True).SerializeToString()
    given = feeds(plan, rows, 2, 3.7)
    one, other = (_session(content, gpu).run(None, given) for gpu in (False, True))
    for ours, theirs in zip(one, other, strict=True):
        if np.issubdtype(np.asarray(ours).dtype, np.floating):
            np.testing.assert_allclose(theirs, ours, atol=2e-3, rtol=2e-3)
        else:
            np.testing.assert_array_equal(theirs, ours)


def _latencies(machine: Machine) -> list[dict[str, Any]]:
    rows = []
    for cell in ("lstm", "gru", "mgu"):
        for units in (16,) if machine.small else (256, 1024):
            plan, facts, weights = frames_model(units, cell)
            content = to_onnx(plan, facts, weights).SerializeToString()
            cpu, gpu = _session(content, False), _session(content, True)
            for batch in (1, 32):
                given: Feeds = {
                    "frames": np.zeros((batch, 100, units), np.float32),
                    "frames.lengths": np.full(batch, 100, np.int64),
                }
                found = machine.turns(
                    {"cpu": partial(cpu.run, None, given), "gpu": partial(gpu.run, None, given)}
                )
                rows.append({"cell": cell, "units": units, "rows": batch, **found})
                print(
                    f"  {cell:<4} H={units:<5} B={batch:<3} T=100: CPU {1e3 * found['cpu']:8.2f} ms"
                    f"   GPU {1e3 * found['gpu']:8.2f} ms"
                )
    return rows
