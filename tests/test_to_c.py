"""Programs in C: compiled, they answer each step as the trained module does.

An export proves itself so (`rnnspec.export.compiled`); here it is asked to, for kinds of layers, of
inputs and of outputs. Cells are compared one by one in `test_to_c_cells.py`.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.errors import ExportError, OutputError
from rnnspec.export.c import Rounded, Written, export_c
from rnnspec.export.compiled import compiler
from rnnspec.export.probes import probes
from rnnspec.reference import answers
from rnnspec.store.folder import Trained
from rnnspec.to_c import quantized, to_c
from rnnspec.to_c.lowering import Lowering
from rnnspec.to_c.text import Names, comment, identifier, number, string
from tests import ctc, decoders
from tests.kinds import HORIZON, STATICS, output, random_rows, spec_data
from tests.test_streams import of_layers, trained

GRU: list[dict[str, Any]] = [{"cell": "gru", "units": 4}]
CAUSAL: list[dict[str, Any]] = [
    {"conv": 6, "size": 3, "dilation": 2, "causal": True, "norm": "batch", "activation": "relu",
     "name": "one"},
    {"conv": 6, "size": 2, "groups": 3, "causal": True, "skip": "residual", "name": "two"},
    {"join": "mul", "reads": ["one", "two"]},
    {"dense": 5, "activation": "gelu"},
    {"cell": "lstm", "units": 40, "initial_state": "learned"},
]  # fmt: skip
"""The matrices of the last one are as wide as blocks of each size."""
GRIDS: list[dict[str, Any]] = [
    {"conv": 4, "size": [1, 3], "activation": "tanh", "norm": "layer", "name": "a"},
    {"conv": 2, "size": [1, 1], "reads": ["input"], "name": "b"},
    {"conv": 4, "size": [3, 2], "causal": True, "reads": ["a", "b"]},
    {"pool": "max", "size": [1, 2]},
    {"squeeze": "mean"},
]
STEPS = ["words", "bytes", "frames", "plain_frames", "double_frames", "raw_frames", "key_steps"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnspec.export.c.probes", partial(probes, seeds=1))


@pytest.mark.parametrize("kind", ["words", "plain_frames"])
def test_weights_of_a_byte(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is that of the module with rounded weights, and smaller."""
    monkeypatch.setattr("rnnspec.export.c._rounded", lambda trained, weights: Rounded(2, {}))
    layers = CAUSAL if kind == "plain_frames" else [{"cell": "gru", "units": 32}]
    data = spec_data("N:1", [kind], [output("class")], layers, pooling="attention")
    build = trained(data)
    whole = to_c(build.plan, build.facts, build.weights).counts.weights
    written = proven(build, tmp_path, int8=True)
    assert written.program.counts.weights < 0.4 * whole
    held = quantized(build.plan, build.weights)
    for name in ("layers.0.forward.W_r", "embed.table") if kind == "words" else ("layers.0.W",):
        rows = build.weights[name].reshape(len(build.weights[name]), -1)
        most = np.abs(rows).max(axis=1, keepdims=True)
        assert np.abs(held[name].reshape(rows.shape) - rows).max() > 0
        assert (np.abs(held[name].reshape(rows.shape) - rows) <= most / 127 / 2 * 1.001).all()


def proven(build: Trained, folder: Path, **options: Any) -> Written:
    written = export_c(build, folder, **options)
    assert written.parity.rows > 12
    assert written.parity.difference < 1e-5
    return written


@pytest.mark.parametrize("kind", STEPS)
def test_every_kind_of_steps(kind: str, tmp_path: Path) -> None:
    outputs = [output("tags"), output("keys"), output("out_frames"), output("out_double_frames")]
    layers = CAUSAL if kind == "plain_frames" else GRU
    statics = [*STATICS] if kind == "frames" else []
    proven(trained(spec_data("N:N", [kind, *statics], outputs, layers)), tmp_path)


@pytest.mark.parametrize("kind", ["image", "video"])
def test_pictures_step_by_step(kind: str, tmp_path: Path) -> None:
    squeezed = [{"conv": 3, "size": [1, 2, 2]}] if kind == "video" else GRIDS
    layers = [*squeezed, *GRU]
    proven(trained(spec_data("N:N", [kind], [output("tags")], layers)), tmp_path)


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_answers_to_the_steps_so_far(pooling: str, tmp_path: Path) -> None:
    outputs = ["class", "ordinal", "labels", "out_number", "out_vector", "out_doubles"]
    data = spec_data("N:1", ["series"], [output(o) for o in outputs], GRU, pooling=pooling)
    proven(trained(data), tmp_path)


@pytest.mark.parametrize(
    ("kind", "distribution"),
    [
        ("series", "point"),
        ("series", "gaussian"),
        ("series", "student_t"),
        ("series", "negative_binomial"),
        ("known_mean_series", "point"),
        ("series", {"quantiles": [0.1, 0.5, 0.9]}),
    ],
)
def test_forecasts(kind: str, distribution: Any, tmp_path: Path) -> None:
    ahead = {"column": kind, "as": "forecast", "horizon": HORIZON, "distribution": distribution}
    build = trained(spec_data("N:1", [kind], [ahead]))
    if "known" in kind:
        with pytest.raises(ExportError, match="has values ahead, and there is no C"):
            export_c(build, tmp_path)
    else:
        proven(build, tmp_path)


def test_labels_of_steps(tmp_path: Path) -> None:
    ahead = {"column": "series", "as": "forecast", "horizon": HORIZON}
    proven(trained(spec_data("N:1", ["weather", "series"], [ahead])), tmp_path)
    with pytest.raises(ExportError, match="has labels ahead, and there is no C"):
        export_c(trained(spec_data("N:1", ["series", "holiday"], [ahead])), tmp_path)


LAYERS = ("everything at once", "given initial state slstm reverse", "elapsed", "single layers",
          "norm mean", "sizes")  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_settings_of_layers(name: str, tmp_path: Path) -> None:
    proven(of_layers(name), tmp_path)


POOL = {"pool": "max", "size": 3, "stride": 1}
REFUSED: dict[str, tuple[Mapping[str, Any], str]] = {
    "ahead": (
        spec_data("N:N", ["frames"], [output("tags")], [{"conv": 4}, *GRU]),
        "layers.0 reads a step ahead.*'causal: true' there",
    ),
    "pool": (
        spec_data("N:N", ["frames"], [output("tags")], [POOL, *GRU]),
        "layers.0 reads 2 steps ahead.*train a model without it",
    ),
    "stride": (
        spec_data(
            "N:1", ["frames"], [output("class")], [{"conv": 4, "size": 1, "stride": 2}, *GRU]
        ),
        "layers.0 answers one step in 2",
    ),
    "decoder": (decoders.SPECS["state alone"], "decoder.* there is no C for that"),
    "ctc": (next(iter(ctc.SPECS.values())), "is written along the steps, and there is no C"),
    "no steps": (decoders.SPECS["1:N"], "there is no C for that"),
    "vectors alone": (
        spec_data("1:1", ["vector"], [output("class")]), "reads no steps"
    ),
    "sound": (spec_data("N:1", ["log_mel"], [output("class")], GRU), "'log_mel' is sound"),
    "path": (
        spec_data("N:N", ["frames"], [output("tags", crf=True)]), "is answered as a path of labels"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_program_computes_is_refused_by_name(name: str, tmp_path: Path) -> None:
    data, reason = REFUSED[name]
    with pytest.raises(ExportError, match=f"(?s){reason}"):
        export_c(trained(data), tmp_path)
    assert not list(tmp_path.iterdir())


def small(tmp_path: Path) -> tuple[Trained, Path]:
    data = spec_data("N:N", ["words"], [output("tags"), output("out_frames")], GRU)
    data["name"] = "N.e-1"
    return trained(data), tmp_path / "c"


def test_the_example_answers_what_it_reads(tmp_path: Path) -> None:
    """The written files alone, called as their first lines say; against the reference."""
    build, folder = small(tmp_path)
    written = proven(build, folder)
    assert [path.name for path in written.files] == ["n_e_1.h", "n_e_1.c", "main.c", "n_e_1.json"]
    command = [*compiler(), "-std=c99", "-pedantic", "-Wall", "-Werror", "-O1"]
    subprocess.run([*command, "main.c", "n_e_1.c", "-lm", "-o", "run"], cwd=folder, check=True)
    (row,) = random_rows(build.plan, (6,))
    given = " ".join(str(number) for number in row["words"])
    done = subprocess.run(
        [str(folder / "run")], input=given, capture_output=True, text=True, check=True
    )
    found = np.array([line.split() for line in done.stdout.splitlines()], np.float64)
    expected = answers(build.plan, build.weights, [row])
    np.testing.assert_array_equal(found[:, 0], expected["tags"][0].argmax(axis=1))
    np.testing.assert_allclose(found[:, 1:4], expected["tags"][0], atol=1e-5)
    np.testing.assert_allclose(found[:, 4:], expected["out_frames"][0], atol=1e-4)


def test_the_description_says_what_a_caller_must_know(tmp_path: Path) -> None:
    build, folder = small(tmp_path)
    written = proven(build, folder)
    known = json.loads((folder / "n_e_1.json").read_text())
    assert known["vocabularies"]["words"][:3] == ["<end>", "<unknown>", "one"]
    assert known["labels"] == {"tags": ["a", "b", "c"]}
    assert [(each["name"], each["kind"], each["width"]) for each in known["outputs"]] == [
        ("tags", "int32_t", 1), ("tags_probabilities", "float", 3), ("out_frames", "float", 2)
    ]  # fmt: skip
    # Embedding and GRU of 4, and two layers of 3 and 2 units from it.
    assert known["multiply_adds"] == 2 * 3 * 4 * 4 + 3 * 4 + 2 * 4
    assert known["bytes_of_state"] == written.state == 4 * 4
    assert "96 multiply-adds" not in written.summary()
    assert "116 multiply-adds" in written.summary()


def test_a_program_that_forgets_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state that begins elsewhere."""
    build, folder = small(tmp_path)

    def wrong(low: Lowering, node: Any, states: Mapping[str, str]) -> None:
        low.begin.append(f"{states['h']}[0] = 1.0f;")

    monkeypatch.setattr("rnnspec.to_c.recurrent._initial", wrong)
    with pytest.raises(ExportError, match="differs from the trained module"):
        export_c(build, folder)
    assert not folder.exists()


def test_without_a_compiler_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, folder = small(tmp_path)
    monkeypatch.setenv("CC", "no-such-compiler -m32")
    with pytest.raises(ExportError, match="no-such-compiler: cannot be run"):
        export_c(build, folder)
    monkeypatch.setenv("CC", "false")
    with pytest.raises(ExportError, match="false does not compile the program"):
        export_c(build, folder)
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ExportError, match="no C compiler is installed; install one"):
        export_c(build, folder)
    assert not folder.exists()


def test_no_file_of_others_is_replaced(tmp_path: Path) -> None:
    build, folder = small(tmp_path)
    folder.mkdir()
    (folder / "main.c").write_text("int main(void) { return 7; }\n")
    with pytest.raises(OutputError, match=r"main.c: is there already, and is not a program in C"):
        export_c(build, folder)
    with pytest.raises(OutputError, match="is a file; name a folder"):
        export_c(build, folder / "main.c")
    (folder / "main.c").unlink()
    proven(build, folder)
    proven(build, folder)  # its own files are


@pytest.mark.parametrize(
    ("name", "expected"),
    [("layers.0", "layers_0"), ("float", "float_"), ("9 é", "v_9__"), ("_x", "v_x"), ("", "v_")],
)
def test_names_of_c(name: str, expected: str) -> None:
    assert identifier(name) == expected


def test_texts_of_c() -> None:
    assert string('a"é\n??/') == '"a\\"\\303\\251\\012\\?\\?/"'
    assert [number(v) for v in (1, -0.5, 1e-9, 1e38)] == [
        "1.0f",
        "-0.5f",
        "9.99999972e-10f",
        "9.99999968e+37f",
    ]
    assert comment("a */ b") == ["/* a * / b */"]
    names = Names()
    assert [names.new("a.b"), names.new("a_b"), names.new("a b")] == ["a_b", "a_b_2", "a_b_3"]
