"""Exported files of every kind of model in every form, each with calls to answer.

Weights are random: what is asked is whether another runtime answers as this one does. Beside
NAME.onnx lies NAME.calls.json with two groups of calls, as answer.py reads them: `unequal`, a batch
of rows of unequal lengths, and `empty`, a row of no steps alone. A stream file is called once for
each chunk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from elsewhere.answer import packed
from onnx import load

from rnnspec.errors import ExportError
from rnnspec.export import export_onnx
from rnnspec.export.cuts import Cutting
from rnnspec.export.probes import probe, probes
from rnnspec.export.variant import variant
from rnnspec.plan import Facts, Plan
from rnnspec.run.chunks import StreamSession
from rnnspec.run.feeds import Feeds
from rnnspec.run.interface import read_stream
from rnnspec.run.session import Arrays, Session
from tests import ctc
from tests.decoders import decoded
from tests.kinds import HORIZON, output, spec_data
from tests.random_builds import trained

Options = Mapping[str, Any]
LENGTHS = (4, 1, 6, 2)
"""Steps of the rows of `unequal`."""
UNITS = 16
"""Of which matrices are large enough to be kept in fewer bits."""
LSTM, GRU = {"cell": "lstm", "units": UNITS}, {"cell": "gru", "units": UNITS}
BOTH = {**LSTM, "direction": "bidirectional"}
OWN = {"pulse": {"states": ["h"], "equations": "h = 0.1 * h + 0.9 * tanh(W @ x + U @ h + b)"}}
FORECAST = {"column": "series", "as": "forecast", "horizon": HORIZON, "distribution": "gaussian"}
AGAIN = {**FORECAST, "column": "window_series"}
NEXT = spec_data("N:N", ["chars"], [{"column": "chars", "as": "next"}], [GRU])
PICTURE = ({"conv": 3, "size": [3, 3], "activation": "relu"}, {"pool": "max", "size": [2, 2]})


def classified(kind: str, *layers: Options, **more: Any) -> dict[str, Any]:
    return spec_data("N:1", [kind], [output("class")], layers, **more)


def told(kind: str = "chars", **settings: Any) -> dict[str, Any]:
    """A text to a text."""
    return decoded((kind,), encoder=[GRU], kind=f"out_{kind}", layers=[GRU], **settings)


MODELS: Mapping[str, tuple[dict[str, Any], Options]] = {
    "text to class": (classified("words", BOTH, BOTH, pooling="attention"), {}),
    "text by rules to class": (classified("ruled_words", GRU), {}),
    "tagger": (spec_data("N:N", ["words"], [output("tags")], [LSTM]), {}),
    "tagger, spelling and CRF": (spec_data("N:N", ["spelled"], [output("path")], [BOTH]), {}),
    "forecast": (spec_data("N:1", ["series", "category"], [FORECAST], [LSTM]), {}),
    "forecast step by step": (
        spec_data("N:M", ["window_series"], [AGAIN], [GRU], decoder={"layers": [GRU]}), {}),
    "next character": (NEXT, {}),
    "`--generate`": (NEXT, {"generate": 12, "strategy": "sample:temperature=0.8,top_k=3"}),
    "text to text, greedy": (told(attention="additive"), {"strategy": "greedy"}),
    "text to text, beam": (told(attention="general"), {"strategy": "beam:3"}),
    "text to text, copying": (told("words", attention="additive", copy="words"), {}),
    "speech, CTC": (ctc.aligned(("log_mel",), layers=[{"conv": 4, "stride": 2}, BOTH]), {}),
    "speech, CTC by beam": (ctc.aligned(("log_mel",), strategy=ctc.beam(4), layers=[BOTH]), {}),
    "speech, transducer": (ctc.transduced(("raw_sound",), layers=[LSTM], predict=[GRU]), {}),
    "speech, transducer by beam": (
        ctc.transduced(("raw_sound",), layers=[LSTM], predict=[GRU], strategy=ctc.beam(3)), {}),
    "picture to class": (classified("image", *PICTURE, LSTM), {}),
    "policy": (spec_data("N:N", ["frames"], [output("tags"), output("out_frames")], [GRU]), {}),
    "GRU, reset before": (classified("frames", {**GRU, "cell": "gru_reset_before"}), {}),
    "own cell": (classified("frames", {**GRU, "cell": "pulse"}, cells=OWN), {}),
    "convolutions": (
        classified("frames", {"conv": 24, "size": 3}, {**GRU, "cell": "rnn"}, pooling="max"), {}),
    "wide LSTM": (classified("frames", {**LSTM, "units": 256}), {}),
    "wide GRU": (classified("frames", {**GRU, "units": 256}), {}),
}  # fmt: skip
"""Specs, each with options of its own."""
FORMS: Mapping[str, Options] = {
    "whole": {},
    "`--ids`": {"ids": True},
    "`--stream`": {"stream": True},
    "`--stream --step --ids`": {"stream": True, "step": True, "ids": True},
    "`--quantize int8`": {"bits": "int8"},
    "`--half`": {"bits": "float16"},
    "`--portable`": {"portable": True},
    "`--portable --stream`": {"portable": True, "stream": True},
    "`--portable --stream --step`": {"portable": True, "stream": True, "step": True},
    "`--portable --quantize int8`": {"portable": True, "bits": "int8"},
    "`--portable --half`": {"portable": True, "bits": "float16"},
}


@dataclass(slots=True)
class Recorder:
    """A session that notes what it is asked."""

    session: Session
    asked: list[Feeds] = field(default_factory=list)

    def run(self, feeds: Feeds) -> Arrays:
        self.asked.append(feeds)
        return self.session.run(feeds)


@dataclass(frozen=True, slots=True)
class File:
    """A file in a folder, or why there is none."""

    model: str
    form: str
    name: str
    refused: str = ""
    opset: int = 0


def written(folder: Path, model: str, form: str) -> File:
    """Export and write the calls."""
    number = f"{list(MODELS).index(model):02}-{list(FORMS).index(form)}"
    data, own = MODELS[model]
    target = folder / f"{number}.onnx"
    build = trained(forward(data) if FORMS[form].get("stream") else data)
    options = {**own, **FORMS[form]}
    try:
        with patch("rnnspec.export.write.probes", partial(probes, seeds=1)):
            export_onnx(build, target, **options)
    except ExportError as error:
        return File(model, form, number, str(error))
    _, plan = variant(build, options.get("strategy", ""), options.get("generate"))
    groups = {"unequal": LENGTHS} if options.get("step") else {"unequal": LENGTHS, "empty": (0,)}
    found = {
        name: calls(target, plan, build.facts, options, lengths) for name, lengths in groups.items()
    }
    graph = load(target)
    outputs = [each.name for each in graph.graph.output]
    asked = json.dumps({"outputs": outputs, "groups": found})
    (folder / f"{number}.calls.json").write_text(asked)
    opset = next(each.version for each in graph.opset_import if not each.domain)
    return File(model, form, number, opset=opset)


def forward(settings: Any) -> Any:
    """The same settings without a second direction, which no stream can have."""
    if isinstance(settings, Mapping):
        return {k: "forward" if k == "direction" else forward(v) for k, v in settings.items()}
    return [forward(each) for each in settings] if isinstance(settings, list | tuple) else settings


def calls(
    file: Path, plan: Plan, facts: Facts, options: Options, lengths: tuple[int, ...]
) -> list[dict[str, Any]]:
    """The feeds of each call as JSON, and by name the outputs that the next call is given."""
    recorder = Recorder(Session(file, threads=1))
    ids = bool(options.get("ids") or options.get("portable"))
    draw = np.random.default_rng(1)
    if options.get("step"):
        lengths = (max(lengths),) * len(lengths)
    feeds = probe(plan, facts, np.array(lengths), draw, ids).feeds
    carried: dict[str, str] = {}
    if options.get("stream"):
        columns = read_stream(recorder.session.metadata)
        assert columns is not None
        stream = StreamSession(recorder, columns)
        Cutting(stream, plan, facts, ids, np.random.default_rng(2)).run(feeds)
        carried = {state.name: state.after for state in columns.states}
    else:
        recorder.run(feeds)
    return [
        {
            "feeds": {k: packed(v) for k, v in each.items() if not number or k not in carried},
            "carried": carried if number else {},
        }
        for number, each in enumerate(recorder.asked)
    ]
