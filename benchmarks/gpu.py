"""rnnspec on a CUDA GPU: the same numbers, and how fast, in one run of at most 8 minutes.

  make gpu          or   python benchmarks/gpu.py --seconds 480 --json build/gpu.json

1. numbers: every plan of the conformance suites, loss and gradient in float32, bfloat16 and float16
   beside float64 on the CPU.
2. training: the project's own tests of training, which take a GPU where there is one.
3. layers: LSTM and GRU beside cuDNN's, padded and packed, as shares of the peak of its products.
4. cells: the generic lowering, eager and through torch.compile, beside cuDNN.
5. encoder-decoder: with attention, beside a hand-written one.
6. files: exported files under onnxruntime's CUDA provider.
7. processes: two of them, where two devices are.

A part that does not begin in time is left out, and said to be. `--small` runs all parts with tiny
sizes on whatever device there is: without a GPU that proves the script, and no figure of it means
anything.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from on_gpu.clock import Machine  # noqa: E402

TRAINING = (
    "tests/test_train.py", "tests/test_train_precision.py", "tests/test_train_resume.py",
    "tests/test_train_streams.py", "tests/test_train_optimizers.py",
)  # fmt: skip


def training(machine: Machine, seconds: float) -> dict[str, Any]:
    """What pytest says of the tests of training."""
    return _pytest(["-q", "-x", "--maxfail=5", *TRAINING], seconds)


def processes(machine: Machine, seconds: float) -> dict[str, Any]:
    """Two processes with a device each, where there are two."""
    devices = torch.cuda.device_count()
    if devices < 2:
        print(f"  {devices} device{'s' * (devices != 1)}: two are needed")
        return {"skipped": f"{devices} devices"}
    return _pytest(["-q", "tests/test_train_processes.py"], seconds)


def _pytest(arguments: list[str], seconds: float) -> dict[str, Any]:
    call = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    try:
        done = subprocess.run(
            call, cwd=ROOT, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        print(f"  not done after {seconds:.0f} s")
        return {"late": seconds}
    last = (done.stdout.strip().splitlines() or [done.stderr[-300:]])[-1]
    print(f"  {last}")
    if done.returncode:
        print(done.stdout[-3000:])
    return {"returncode": done.returncode, "last": last, "said": done.stdout[-4000:]}


def parts(machine: Machine, small: bool) -> dict[str, tuple[Callable[[float], Any], float]]:
    """Each part with the seconds that it needs at most."""
    from on_gpu.files import exported
    from on_gpu.same_numbers import conformance
    from on_gpu.steps import cells, encoder_decoder, layers

    few = 6 if small else None
    return {
        "numbers": (lambda left: conformance(machine, few), 60),
        "layers": (lambda left: layers(machine), 40),
        "encoder-decoder": (lambda left: encoder_decoder(machine), 30),
        "cells": (lambda left: cells(machine), 60),
        "files": (lambda left: exported(machine, few), 40),
        "processes": (lambda left: processes(machine, left), 20),
        "training": (lambda left: training(machine, left), 60),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=480, help="of all parts (default 480)")
    parser.add_argument("--rounds", type=int, default=10, help="of each comparison (default 10)")
    parser.add_argument("--only", action="append", help="a part by name; may be given again")
    parser.add_argument("--small", action="store_true", help="tiny sizes, on any device")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results here")
    options = parser.parse_args()
    if not torch.cuda.is_available() and not options.small:
        sys.exit("torch finds no CUDA GPU; --small runs the script without one")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    machine = Machine(device, options.rounds, options.small)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    print(f"torch {torch.__version__} on {name}")
    found: dict[str, Any] = {"device": name, "torch": torch.__version__}
    end = time.monotonic() + options.seconds
    for part, (call, needs) in parts(machine, options.small).items():
        if options.only and part not in options.only:
            continue
        left = end - time.monotonic()
        print(part)
        if left < needs:
            print(f"  left out: {left:.0f} s are left, and it takes {needs:.0f}")
            found[part] = {"skipped": "no time"}
            continue
        began = time.monotonic()
        try:
            found[part] = call(left)
        except Exception:
            found[part] = {"error": traceback.format_exc()[-3000:]}
            print(found[part]["error"])
        print(f"  {time.monotonic() - began:.0f} s", flush=True)
        if options.json:  # after each part: nothing is lost when time runs out
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps(found, indent=1, default=str))


if __name__ == "__main__":
    main()
