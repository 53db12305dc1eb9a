"""Stream files: any way of cutting a row gives the answers of the whole row.

An export proves itself so (`rnnspec.export.cuts`); here it is asked to, for every kind of layer,
input and output, and the proof itself is held against graphs that forget.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from rnnspec.errors import ExportError, ModelFileError
from rnnspec.export import export_onnx
from rnnspec.export.parity import Parity
from rnnspec.export.probes import probes
from rnnspec.plan import resolve
from rnnspec.plan.portable import check_portable
from rnnspec.plan.stream import stream_of
from rnnspec.plan.stream_states import Lag
from rnnspec.run import Model
from rnnspec.run.stream import Stream
from rnnspec.spec import Spec
from rnnspec.store.folder import Trained
from rnnspec.to_onnx.chunks import Chunks
from tests import ctc, decoders, layers, random_builds
from tests.kinds import (
    HORIZON,
    PICTURES,
    SEQUENCES,
    SOUNDS,
    STATICS,
    facts_of,
    output,
    plan_of,
    spec_data,
)
from tests.layers import PLANS
from tests.models import frames_facts, random_weights

SERIES = [name for name in SEQUENCES if "series" in name]
STEPS = [name for name in SEQUENCES if name not in SERIES]
WAITING: list[dict[str, Any]] = [
    {"conv": 4, "size": 3},
    {"cell": "lstm", "units": 4},
    {"conv": 3, "size": 2, "dilation": 2},
]
"""Layers that read steps ahead."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnspec.export.write.probes", partial(probes, seeds=1))


def forward(settings: Any) -> Any:
    """The same settings without a direction but forward, and its width."""
    if isinstance(settings, Mapping):
        kept = {key: value for key, value in settings.items() if key != "merge"}
        return {k: "forward" if k == "direction" else forward(v) for k, v in kept.items()}
    return [forward(each) for each in settings] if isinstance(settings, list | tuple) else settings


def trained(data: Mapping[str, Any]) -> Trained:
    return random_builds.trained(forward(data))


def streamed(build: Trained, folder: Path, **options: Any) -> tuple[Parity, Model]:
    target = folder / "model.onnx"
    parity = export_onnx(build, target, stream=True, **options)
    assert parity.rows == 29
    assert parity.difference < 1e-5
    return parity, Model.load(target, threads=1)


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("kind", [*STEPS, *SOUNDS, *PICTURES])
def test_every_kind_of_steps(kind: str, ids: bool, tmp_path: Path) -> None:
    outputs = [output("tags"), output("keys"), output("out_frames")]
    layers: list[dict[str, Any]] = WAITING if ids else [{"cell": "gru", "units": 4}]
    data = spec_data("N:N", [kind, *STATICS], outputs, layers)
    for each in data["data"]["input"]:
        if each.get("normalize") == "utterance":
            del each["normalize"]
    if kind in ("ruled_words", "ruled_chars") and not ids:
        with pytest.raises(ExportError, match=r"depends? on .*add --ids"):
            streamed(trained(data), tmp_path)
        return
    streamed(trained(data), tmp_path, ids=ids)


FLOWING = {
    json.dumps(forward(settings)): name
    for name, settings in PLANS.items()
    if name not in ("squeeze places", "skip residual bidirectional", "skip highway bidirectional")
}
"""Those that need no second direction, each once."""
JOINED = ("graph", "elapsed", "sizes", "convolution with everything", "causal convolution last")


@pytest.mark.parametrize("name", FLOWING.values())
def test_every_layer(name: str, tmp_path: Path) -> None:
    streamed(of_layers(name), tmp_path)


@pytest.mark.parametrize("name", JOINED)
def test_all_states_as_one(name: str, tmp_path: Path) -> None:
    build = of_layers(name)
    if any(state.kind == "float64" for state in stream_of(build.plan).states):
        with pytest.raises(ExportError, match="leave out --state joined"):
            streamed(build, tmp_path, joined=True)
        return
    _, model = streamed(build, tmp_path, joined=True, generic=True)
    assert {"state", "frames"} < {*model.session.inputs}


def of_layers(name: str) -> Trained:
    spec = layers.spec(forward(PLANS[name]))
    facts = frames_facts()
    plan = resolve(spec, facts)
    return random_builds.build_of(spec, plan, facts, random_weights(plan))


@pytest.mark.parametrize(
    "name", ["graph of sums", "elapsed", "learned initial state rnn reverse", "norm mean", "sizes"]
)
def test_one_step_at_a_time(name: str, tmp_path: Path) -> None:
    """Without lengths, and with the states alone: no input has a time axis that varies."""
    build = of_layers(name) if name in PLANS else trained(STEPWISE)
    _, model = streamed(build, tmp_path, step=True)
    assert "frames.lengths" not in model.session.inputs
    with pytest.raises(ModelFileError, match="answers one step at a time"):
        list(model.answer([{"frames": [[0.0, 0.0, 0.0]], "start": [0.0] * 4, "category": "x"}]))


STEPWISE = spec_data(
    "N:N",
    ["frames", "category"],
    [output("tags"), output("out_frames"), output("out_laplace_frames")],
    [
        {"conv": 4, "size": 3, "causal": True, "name": "c"},
        {"dense": 4, "reads": ["input"], "name": "d"},
        {"join": "sum", "reads": ["c", "d"]},
        {"cell": "lstm", "units": 4},
    ],
)


def test_one_step_of_one_row(tmp_path: Path) -> None:
    """Nothing is turned, and nothing is a loop."""
    cells = [{"cell": "lstm", "units": 4}, {"cell": "mgu", "units": 4}]
    build = trained(spec_data("N:N", ["raw_frames"], [output("out_frames")], cells))
    _, free = streamed(build, tmp_path, step=True, ids=True)
    before = Counter(each.op_type for each in onnx.load(tmp_path / "model.onnx").graph.node)
    _, model = streamed(build, tmp_path, step=True, ids=True, batch=1)
    after = Counter(each.op_type for each in onnx.load(tmp_path / "model.onnx").graph.node)
    assert before["LSTM"] == after["LSTM"] == 1 and not before["Scan"] + after["Scan"]
    assert after["Transpose"] == 0 < before["Transpose"] and after["Reshape"] < before["Reshape"]
    assert [*free.session.inputs] == [*model.session.inputs]


@pytest.mark.parametrize("kind", ["spelled", "tokens", "key_steps", "raw_frames", "video"])
def test_kinds_of_one_step(kind: str, tmp_path: Path) -> None:
    data = spec_data("N:N", [kind, "number"], [output("tags"), output("keys")])
    streamed(trained(data), tmp_path, ids=kind == "spelled", step=True, batch=1)


@pytest.mark.parametrize(
    ("kind", "layers", "reason"),
    [
        ("chars", [], "is a text, which the file splits; add --ids"),
        ("frames", [{"conv": 4, "size": 3}], "reads steps ahead"),
        ("frames", [{"conv": 4, "size": 1, "stride": 2}], "answers fewer"),
    ],
)
def test_what_does_not_answer_each_step_at_once(
    kind: str, layers: list[dict[str, Any]], reason: str, tmp_path: Path
) -> None:
    rnn: dict[str, Any] = {"cell": "gru", "units": 4}
    data = spec_data("N:1", [kind], [output("class")], [*layers, rnn])
    with pytest.raises(ExportError, match=reason):
        streamed(trained(data), tmp_path, step=True)


def test_intervals_are_streamed_and_draws_of_steps_are_not() -> None:
    """Nor does either run everywhere."""
    plan, _ = plan_of(spec_data("N:N", ["frames"], [output("out_count_frames")]))
    with pytest.raises(ExportError, match="by the number of the step in the whole row"):
        stream_of(plan)
    with pytest.raises(ExportError, match="intervals of column 'out_count_frames' are made in"):
        check_portable(plan)
    plan, _ = plan_of(spec_data("N:N", ["frames"], [output("out_laplace_frames")]))
    assert stream_of(plan).states


@pytest.mark.parametrize("kind", SERIES)
@pytest.mark.parametrize("decoder", [{}, {"decoder": {"layers": [{"cell": "gru", "units": 4}]}}])
def test_forecasts(kind: str, decoder: Any, tmp_path: Path) -> None:
    log = SEQUENCES[kind].entry.get("transform") == "log"
    law = "point" if log else "gaussian"
    ahead = {"column": kind, "as": "forecast", "horizon": HORIZON, "distribution": law}
    build = trained(spec_data("N:M" if decoder else "N:1", [kind], [ahead], **decoder))
    if SEQUENCES[kind].entry.get("scale") in ("window", "mean", "level"):
        with pytest.raises(ExportError, match="is scaled by its own window"):
            streamed(build, tmp_path)
    elif SEQUENCES[kind].entry.get("observed"):
        with pytest.raises(ExportError, match="the steps since its last known number"):
            streamed(build, tmp_path)
    elif kind == "double_series":
        with pytest.raises(ExportError, match="that the last one of the past replaces"):
            streamed(build, tmp_path)
    else:
        streamed(build, tmp_path)


def test_forecasts_of_several_series_by_one_decoder(tmp_path: Path) -> None:
    names = ["series", "known_series"]
    law: dict[str, Any] = {"distribution": "gaussian", "paths": 4}
    ahead = [{"column": name, "as": "forecast", "horizon": HORIZON, **law} for name in names]
    decoder = {"layers": [{"cell": "gru", "units": 4}]}
    streamed(trained(spec_data("N:M", names, ahead, decoder=decoder)), tmp_path)


@pytest.mark.parametrize("ids", [False, True])
def test_labels_of_steps(ids: bool, tmp_path: Path) -> None:
    ahead = {"column": "series", "as": "forecast", "horizon": HORIZON}
    streamed(
        trained(spec_data("N:M", ["weather", "series", "holiday"], [ahead])), tmp_path, ids=ids
    )


@pytest.mark.parametrize("ids", [False, True])
@pytest.mark.parametrize("name", [*ctc.SPECS, *ctc.TRANSDUCERS])
def test_alignments_token_by_token(name: str, ids: bool, tmp_path: Path) -> None:
    data = forward(ctc.ALL[name])
    parity, _ = streamed(trained(data), tmp_path, ids=ids, strategy="greedy")
    assert parity.tokens > 20


@pytest.mark.parametrize("name", ["state alone", "fed without attention", "own states"])
def test_decoders_answer_the_steps_so_far(name: str, tmp_path: Path) -> None:
    streamed(trained(decoders.SPECS[name]), tmp_path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (decoders.SPECS["additive after"], "decoder attends to all steps"),
        (decoders.SPECS["copy"], "'chars' may be copied"),
        (decoders.SPECS["1:N"], "reads no steps"),
        (ctc.ALL["beam"], "add --strategy greedy"),
        (ctc.ALL["transducer's beam"], "add --strategy greedy"),
        (spec_data("N:N", ["frames"], [output("tags", crf=True)]), "train a model without 'crf'"),
    ],
)
def test_what_needs_the_whole_row_is_refused_by_name(
    data: Mapping[str, Any], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=reason):
        streamed(trained(data), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_reverse_layer_is_refused(tmp_path: Path) -> None:
    backwards: list[dict[str, Any]] = [{"cell": "gru", "units": 4, "direction": "bidirectional"}]
    spec = Spec.model_validate(spec_data("N:N", ["frames"], [output("tags")], backwards))
    plan = resolve(spec, facts_of(spec))
    with pytest.raises(ExportError, match=r"layers.0 reads its steps in the direction 'bidirect"):
        stream_of(plan)


def test_a_reason_that_no_other_layer_mends_is_told_first() -> None:
    """Those of a layer say how to train another one, which would be refused for the answer."""
    backwards: list[dict[str, Any]] = [{"cell": "gru", "units": 4, "direction": "bidirectional"}]
    for data in (
        spec_data("N:1", ["words"], [output("span")], backwards),
        spec_data("N:1", ["words"], [output("position")], backwards),
        {**decoders.points(), "encoder": {"layers": backwards}},
        {**decoders.points("out_frames"), "encoder": {"layers": backwards}},
    ):
        with pytest.raises(ExportError, match=r"chosen among all steps|once the input has ended"):
            stream_of(plan_of(data)[0])


@pytest.mark.parametrize("name", ["norm mean", "pool max", "learned initial state gru reverse"])
def test_a_graph_that_forgets_is_found_out(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each state in its turn leaves as it came."""
    build, after = of_layers(name), Chunks.after
    for forgotten in stream_of(build.plan).states:

        def kept(chunks: Chunks, state: str, value: str, which: str = forgotten.name) -> None:
            after(chunks, state, chunks.before(state) if state == which else value)

        monkeypatch.setattr(Chunks, "after", kept)
        with pytest.raises(ExportError):
            streamed(build, tmp_path)
    assert not list(tmp_path.iterdir())


def test_lags_by_hand() -> None:
    """Centred convolutions of size 5 and 3 with a stride of 2 between read 2 + 2 * 1 steps ahead,
    and the skip around the second waits for a step."""
    chain: list[dict[str, Any]] = [
        {"conv": 4, "size": 5, "stride": 2},
        {"conv": 4, "size": 3, "skip": "residual"},
        {"cell": "gru", "units": 4},
    ]
    build = trained(spec_data("N:1", ["frames"], [output("class")], chain))
    stream = stream_of(build.plan)
    assert stream.ahead == 4
    assert stream.lags["layers.2"] == Lag(2, 4)
    waiting = [state for state in stream.states if "waiting" in state.name]
    assert [state.shape for state in waiting] == [(1, 4), ()]


def test_a_stream_in_python(tmp_path: Path) -> None:
    """Answers chunk by chunk are those of the whole row, of each row in a batch; a row that has
    nothing this time keeps its states; a row that ends begins anew."""
    data = spec_data("N:N", ["frames"], [output("tags"), output("out_frames")], WAITING)
    _, model = streamed(trained(data), tmp_path)
    draw = np.random.default_rng(0)
    rows = [{"frames": draw.normal(size=(n, 3)).tolist()} for n in (7, 4)]
    whole = list(model.answer(rows))
    stream = Stream(model)
    found: list[dict[str, list[Any]]] = [{"tags": [], "out_frames": []} for _ in rows]
    for begin, stop, other, behind, last in (
        (0, 2, 0, 1, False),
        (2, 2, 1, 1, False),
        (2, 7, 1, 4, True),
    ):
        pieces = [rows[0]["frames"][begin:stop], rows[1]["frames"][other:behind]]
        answers = stream.answers([{"frames": each} for each in pieces], [last, last])
        for of_row, answer in zip(found, answers, strict=True):
            of_row["tags"] += answer["tags"]
            of_row["out_frames"] += answer["out_frames"]
    for of_row, expected in zip(found, whole, strict=True):
        assert of_row["tags"] == expected["tags"]
        np.testing.assert_allclose(of_row["out_frames"], expected["out_frames"], atol=1e-5)
    assert not any(value.any() for value in stream.states.values())
    with pytest.raises(ModelFileError, match="chunks of 2 rows side by side, not of 1"):
        stream.answer(rows[0])


def test_the_sidecar_says_what_a_caller_must_know(tmp_path: Path) -> None:
    data = spec_data("N:1", ["raw_sound"], [output("class")], [{"cell": "lstm", "units": 4}])
    _, model = streamed(trained(data), tmp_path)
    known = json.loads((tmp_path / "model.json").read_text())
    assert known["stream"] == json.loads(model.metadata["rnnspec.stream"])
    stream = known["stream"]
    assert (stream["end"], stream["latency_steps"], stream["latency_ms"]) == ("end", 2, 2.0)
    names = [(state["name"], state["shape"]) for state in stream["states"]]
    assert ["layers.0.h", [4]] in [list(each) for each in names]
    fed = {*model.session.inputs}
    assert {state["name"] for state in stream["states"]} < fed
    assert {state["after"] for state in stream["states"]} < {*model.session.outputs}


def test_a_whole_file_has_no_stream(tmp_path: Path) -> None:
    build = trained(spec_data("N:N", ["frames"], [output("tags")]))
    export_onnx(build, tmp_path / "model.onnx")
    with pytest.raises(ModelFileError, match="export the build again with --stream"):
        Stream(Model.load(tmp_path / "model.onnx"))


def test_names_of_states_do_not_hide_columns(tmp_path: Path) -> None:
    build = trained(spec_data("N:N", ["frames"], [output("tags")]))
    plan = build.plan
    renamed = tuple(
        replace(node, column="layers.0.h") if node in plan.outputs else node for node in plan.nodes
    )
    facts = replace(build.facts, outputs={"layers.0.h": build.facts.outputs["tags"]})
    other = replace(build, plan=replace(plan, nodes=renamed), facts=facts)
    with pytest.raises(ExportError, match="rename the column"):
        streamed(other, tmp_path)
