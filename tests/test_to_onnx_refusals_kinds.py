"""Wrong inputs of every kind are exceptions of onnxruntime, in a process of their own: an operator
that is given what it does not check would end the process, or answer something."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from rnnspec.plan import Facts, Plan
from rnnspec.to_onnx import to_onnx
from tests.decoders import decoded
from tests.kinds import HORIZON, SEQUENCES, SOUNDS, STATICS, feeds, output, plan_of, spec_data
from tests.kinds import strong_weights as weights_of
from tests.onnx_kinds import rows_of_texts, text_feeds

ASK = """
import json, pickle, sys
import onnxruntime

options = onnxruntime.SessionOptions()
options.log_severity_level = 4
with open(sys.argv[1], "rb") as file:
    cases = pickle.load(file)
for model, wrong in cases:
    session = onnxruntime.InferenceSession(model, options)
    for name, feeds in wrong:
        print(json.dumps([model, name]), flush=True)
        try:
            session.run(None, feeds)
            said = ""
        except Exception as error:
            said = type(error).__name__
        print(json.dumps(said), flush=True)
"""
LENGTHS = (3, 0, 4, 1)


def plans() -> Iterator[tuple[str, Plan, Facts]]:
    layers = [{"cell": "lstm", "units": 4, "direction": "bidirectional"}]
    for kind in (*SEQUENCES, *SOUNDS):
        if "series" in kind:
            ahead = {
                "column": kind, "as": "forecast", "horizon": HORIZON, "distribution": "point",
            }  # fmt: skip
            yield kind, *plan_of(spec_data("N:M", [kind, "category"], [ahead], layers))
        else:
            yield kind, *plan_of(spec_data("N:N", [kind, "number"], [output("tags")], layers))
    yield "statics", *plan_of(spec_data("1:1", list(STATICS), [output("class")]))
    two = ["words", "tokens", "chars"]
    yield "several", *plan_of(spec_data("N:1", two, [output("class")], layers))
    yield "decoder", *plan_of(decoded(attention="additive"))
    yield "sound to text", *plan_of(decoded(("raw_sound", "number")))
    yield "vector, sound to text", *plan_of(decoded(("number", "log_mel")))
    yield "vectors to text", *plan_of(decoded(("category", "vector"), "1:N", kind="out_words"))


def wrong(given: Mapping[str, Any], sizes: Mapping[str, int]) -> Iterator[tuple[str, Any]]:
    """Feeds that are wrong in one way each; `sizes` are those of tables by input."""
    yield "no rows", {name: value[:0] for name, value in given.items()}
    for name, value in given.items():
        if name.endswith(".lengths"):
            most = value.shape[-1] if value.ndim > 1 else None
            extents = [v.shape[1] for k, v in given.items() if v.ndim > 1 and v.shape[1] >= 4]
            longest = most if most is not None else max(extents, default=0)
            for what, number in (("too long", longest + 40), ("negative", -1)):
                changed = value.copy()
                changed.reshape(-1)[0] = number
                yield f"{name} {what}", {**given, name: changed}
        if name.endswith(".ids"):
            for number in (-1, sizes[name]):
                changed = value.copy()
                changed.reshape(-1)[0] = number
                yield f"{name} {number}", {**given, name: changed}
        if value.ndim > 1 and value.dtype == np.float32 and value.ndim + len(given) > 3:
            wide = np.concatenate([value, value[..., :1]], axis=-1)
            if wide.ndim > 2 or name in ("vector",):
                yield f"{name} too wide", {**given, name: wide}
        if len(given) > 1:
            yield f"{name} of too few rows", {**given, name: value[:-1]}


def cases(folder: Path) -> Sequence[tuple[str, list[tuple[str, Any]]]]:
    found = []
    for title, plan, facts in plans():
        rows, texts = rows_of_texts(plan, facts, LENGTHS)
        for ids in (False, True):
            given = feeds(plan, rows) if ids else text_feeds(plan, rows, texts)
            sizes = {f"{n.column}.ids": getattr(n, "size", 0) for n in plan.inputs}
            file = folder / f"{title}-{ids}.onnx"
            onnx.save(to_onnx(plan, facts, weights_of(plan), ids=ids), file)
            found.append((str(file), list(wrong(given, sizes))))
            if title == "several" and not ids:
                for column in ("words", "chars"):
                    other = given[column].copy()
                    other[0] += " a a"
                    found[-1][1].append((f"{column} longer", {**given, column: other}))
    return found


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str, str]]:
    """File, feed, and the exception's name."""
    folder = tmp_path_factory.mktemp("refusals")
    asked = cases(folder)
    (folder / "cases.pickle").write_bytes(pickle.dumps(asked))
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(folder / "cases.pickle")],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (lines[-1], done.stderr[-2000:])
    said = [
        (Path(model).name, name, error)
        for (model, name), error in zip(lines[::2], lines[1::2], strict=True)
    ]
    assert len(said) == sum(len(feeds) for _, feeds in asked) > 100
    return said


def test_each_wrong_input_is_an_exception(outcomes: list[tuple[str, str, str]]) -> None:
    assert not [(file, feed) for file, feed, said in outcomes if not said]
