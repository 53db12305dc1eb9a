"""Wrong inputs are exceptions of onnxruntime, in a process of their own: a native recurrent
operator that is given a batch of no rows would end the process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from rnnspec.plan.nodes import PoolKind
from rnnspec.to_onnx import to_onnx
from tests.models import frames_facts, frames_plan, random_weights
from tests.onnx_models import text_facts, text_plan

POOLS: tuple[PoolKind, ...] = ("last", "mean", "attention")

ASK = """
import json, sys
import numpy as np
import onnxruntime

def frames(rows, time, lengths, width=3):
    return {"frames": np.zeros((rows, time, width), "f"), "frames.lengths": np.array(lengths, "i8")}

def ids(rows, time, lengths):
    return {"text.ids": np.zeros((rows, time), "i8"), "text.lengths": np.array(lengths, "i8")}

FEEDS = {
    "frames": {
        "no rows": frames(0, 3, []), "no rows, no steps": frames(0, 0, []),
        "lengths without rows": frames(0, 3, [1]), "too long": frames(2, 3, [3, 4]),
        "too long for nothing": frames(2, 0, [1, 0]), "negative": frames(2, 3, [-1, 2]),
        "too few lengths": frames(2, 3, [3]), "too many lengths": frames(1, 3, [3, 3]),
        "another width": frames(2, 3, [3, 3], width=4),
    },
    "ids": {
        "no rows": ids(0, 3, []), "too long": ids(2, 3, [3, 4]), "negative": ids(2, 3, [-1, 2]),
        "too few lengths": ids(2, 3, [3]),
    },
    "text": {"no rows": {"text": np.array([], object)}},
}
options = onnxruntime.SessionOptions()
options.log_severity_level = 4
for file in sys.argv[1:]:
    session = onnxruntime.InferenceSession(file, options)
    kind = {"frames": "frames", "text.ids": "ids", "text": "text"}[session.get_inputs()[0].name]
    for name, feeds in FEEDS[kind].items():
        try:
            session.run(None, feeds)
            said = ""
        except Exception as error:
            said = type(error).__name__
        print(json.dumps([file, name, said]), flush=True)
"""


def _files(folder: Path) -> list[str]:
    files = []
    for cell in ("rnn", "lstm", "gru", "gru_reset_before", "indrnn", "lstm_projected"):
        for pool in POOLS:
            plan = frames_plan(cell, "bidirectional", 2, pool=pool)
            for generic in (False, True):
                model = to_onnx(plan, frames_facts(), random_weights(plan), generic=generic)
                files.append(str(folder / f"{cell}-{pool}-{generic}.onnx"))
                onnx.save(model, files[-1])
    for ids in (False, True):
        for kind in ("words", "chars"):
            plan, facts = text_plan(5, kind, cell="lstm"), text_facts(["a", "b", "c"])
            model = to_onnx(plan, facts, random_weights(plan), ids=ids)
            files.append(str(folder / f"{kind}-{ids}.onnx"))
            onnx.save(model, files[-1])
    return files


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, str]]:
    """File, feed, and the exception's name."""
    files = _files(tmp_path_factory.mktemp("refusals"))
    done = subprocess.run(
        [sys.executable, "-c", ASK, *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_each_wrong_input_is_an_exception(outcomes: list[tuple[str, str, str]]) -> None:
    answered = [(Path(file).name, feed) for file, feed, said in outcomes if not said]
    assert not answered
    assert len(outcomes) == 36 * 9 + 2 * 4 + 2
