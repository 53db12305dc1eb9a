"""The table of what there is: cardinality x kind of input x kind of output.

Each place of it is either built (checked, surveyed, encoded, resolved, trained a step, exported
with its proof, and asked in onnxruntime with a row of its own training data) or refused by the
checks of the spec, with a sentence that tells a way out.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnspec.data import encode, survey
from rnnspec.data.reading import Reading
from rnnspec.data.series import Part
from rnnspec.errors import SpecError
from rnnspec.export.write import export_onnx
from rnnspec.objective.settings import loss_settings_of
from rnnspec.plan import resolve
from rnnspec.run import Model as ModelFile
from rnnspec.source.emit import to_yaml
from rnnspec.source.text import Source
from rnnspec.spec import Spec
from rnnspec.spec.load import load_source
from rnnspec.store.folder import BuildFolder, Trained
from rnnspec.to_torch import Model
from rnnspec.train.feed import MicroBatch
from rnnspec.train.step import TrainStep
from tests.data_rows import write_rows

CARDINALITIES = ("1:1", "N:1", "1:N", "N:N", "N:M")
SEQUENCES = (
    "words",
    "tokens",
    "chars",
    "bytes",
    "subwords",
    "frames",
    "keys",
    "image",
    "video",
    "audio",
)
STATICS = ("category", "number", "vector")
INPUTS = (*SEQUENCES, *STATICS, "series")
WHOLE = ("class", "labels", "number", "vector")
POINTED = ("position", "span")
EACH = ("tags", "path", "keys", "frames", "next")
"""`path` are tags that are answered together."""
TEXTS = ("words", "chars", "tokens")
OUTPUTS = (*WHOLE, *POINTED, *EACH, *TEXTS, "positions", "forecast")
TABLE = list(product(CARDINALITIES, INPUTS, OUTPUTS))


def is_built(cardinality: str, given: str, wanted: str) -> bool:
    """What the table should say: a definition of its own, beside that of the checks."""
    match cardinality:
        case "1:1":
            return given in STATICS and wanted in WHOLE
        case "N:1" if wanted in POINTED:
            return given in SEQUENCES and given not in ("subwords", "audio")
        case "N:1":
            return given in SEQUENCES and wanted in WHOLE
        case "1:N":
            return given in STATICS and wanted in TEXTS
        case "N:N" if given == "series":
            return wanted in ("tags", "frames", "next")
        case "N:N":
            if wanted == "next":
                return given in SEQUENCES and given not in ("image", "video", "audio")
            return given in SEQUENCES and given != "subwords" and wanted in EACH
    if wanted == "positions":
        return given in SEQUENCES and given not in ("subwords", "audio")
    written = given in SEQUENCES and wanted in TEXTS
    return written or (given, wanted) == ("series", "forecast")


def spec_of(cardinality: str, given: str, wanted: str, train: str) -> dict[str, Any]:
    """The smallest spec of a place in the table, with all that its cardinality asks for."""
    inside = f"in_{given}"
    ahead = wanted in ("next", "forecast")
    target: dict[str, Any] = {"column": inside if ahead else f"out_{wanted}", "as": wanted}
    if wanted == "path":
        target = {"column": "out_tags", "as": "tags", "crf": True}
    data: dict[str, Any] = {"train": train, "input": {"column": inside, "as": given}}
    if given == "video":
        data["input"] |= {"height": 1, "width": 2}
    if given == "image":
        data["input"]["height"] = 2
    if given == "audio":
        data["input"] |= {"rate": 1000, "features": {"log_mel": 2, "window": "8 ms", "hop": "4 ms"}}
    if given == "series" and cardinality == "N:N":
        data["series"] = {}
    if wanted == "forecast":
        target["horizon"] = 2
        data["series"] = {"history": 4}
    spec: dict[str, Any] = {"name": "table", "cardinality": cardinality, "data": data}
    data["output"] = target
    layers = [{"cell": "gru", "units": 4}]
    if cardinality in ("N:1", "N:N", "N:M"):
        spec["encoder"] = {"layers": layers}
    if cardinality in ("1:N", "N:M") and wanted != "forecast":
        spec["decoder"] = {"layers": layers, **({} if wanted == "positions" else {"embed": 4})}
    return spec


def row(number: int) -> dict[str, Any]:
    """A row with a column for every kind: three steps, or two of every third row."""
    steps = 2 if number % 3 == 0 else 3
    letters = "abc"[:steps]
    words = [f"{letter}{number % 2}" for letter in letters]
    return {
        "in_words": " ".join(words), "in_tokens": words, "in_chars": letters,
        "in_bytes": letters, "in_subwords": f"the {letters} of {' '.join(words)}",
        "in_frames": [[step + number, -number] for step in range(steps)],
        "in_image": [[60 * step + number for step in range(steps)], [9] * steps],
        "in_audio": [float(np.sin(n * (number + 1))) for n in range(4 * steps - number % 4)],
        "in_video": [[[60 * step, number]] for step in range(steps)],
        "in_keys": [["p"] * (step % 2) + ["q"] for step in range(steps)],
        "in_category": "xyz"[number % 3], "in_number": number / 2, "in_vector": [number, 1, -1],
        "out_class": "uv"[number % 2], "out_labels": ["u", "v"][: number % 3],
        "out_positions": [*range(number % 4 % (steps + 1))],
        "out_position": number % steps, "out_span": [number % 2, 1],
        "out_number": number * 2.5, "out_vector": [number, -number],
        "out_tags": [*"uvw"[:steps]], "out_keys": [["u"], ["v", "w"], []][:steps],
        "out_frames": [[number, step] for step in range(steps)],
        "out_words": " ".join(reversed(words)), "out_chars": letters[::-1],
        "out_tokens": words[::-1],
    }  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of rows and a table of one series."""
    folder = tmp_path_factory.mktemp("table")
    write_rows(folder / "rows.jsonl", [row(number) for number in range(8)])
    values = [
        {"in_series": round(float(np.sin(step)), 3), "out_tags": "uv"[step % 2], "out_frames": step}
        for step in range(20)
    ]
    write_rows(folder / "series.csv", values)
    return folder


def loaded(cardinality: str, given: str, wanted: str) -> Spec:
    train = "series.csv" if given == "series" else "rows.jsonl"
    text = to_yaml(spec_of(cardinality, given, wanted, train))
    return load_source(Source.of(text, "table.yaml"), Path("table.yaml")).spec


@pytest.mark.parametrize("cardinality", CARDINALITIES)
@pytest.mark.parametrize("given", INPUTS)
def test_what_is_not_built_is_refused_with_a_sentence(cardinality: str, given: str) -> None:
    for wanted in OUTPUTS:
        if is_built(cardinality, given, wanted):
            loaded(cardinality, given, wanted)
            continue
        with pytest.raises(SpecError) as caught:
            loaded(cardinality, given, wanted)
        for problem in caught.value.problems:
            assert len(problem.message.split()) >= 4, problem
            assert problem.hint, f"{problem.message}: no way out is told"


@pytest.mark.parametrize(
    ("cardinality", "given", "wanted"), [place for place in TABLE if is_built(*place)]
)
def test_what_is_built_answers(
    cardinality: str, given: str, wanted: str, files: Path, tmp_path: Path
) -> None:
    answers(loaded(cardinality, given, wanted), given, files, tmp_path)


@pytest.mark.parametrize(("given", "wanted"), list(zip(SEQUENCES, TEXTS * 4, strict=False)))
def test_alignments_answer(given: str, wanted: str, files: Path, tmp_path: Path) -> None:
    """Every sequence in the place of a decoder's, each with one kind of text."""
    data = spec_of("N:M", given, wanted, "rows.jsonl")
    data["decoder"] = {"ctc": {}, "strategy": {"beam": {"width": 3, "n_best": 2}}}
    source = Source.of(to_yaml(data), "table.yaml")
    answers(load_source(source, Path("table.yaml")).spec, given, files, tmp_path)


MIXED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "steps and rows": ("N:N", "tokens", ("path", *EACH[2:4], *WHOLE)),
    "a next token and rows": ("N:N", "words", ("next", "class", "number")),
    "tags and positions": ("N:N", "words", ("tags", *POINTED)),
    "next frames, tags and rows": ("N:N", "frames", ("next", "tags", "labels")),
    "a text, tags and rows": ("N:M", "words", ("chars", "path", "class", "vector")),
    "a text and a row": ("1:N", "vector", ("words", "class")),
}
"""Several outputs in one model: a cardinality, a kind of input, kinds of outputs."""


@pytest.mark.parametrize("name", MIXED)
def test_what_is_mixed_answers(name: str, files: Path, tmp_path: Path) -> None:
    cardinality, given, wanted = MIXED[name]
    data = spec_of(cardinality, given, wanted[0], "rows.jsonl")
    each = [spec_of(cardinality, given, kind, "")["data"]["output"] for kind in wanted]
    data["data"]["output"] = each
    source = Source.of(to_yaml(data), "table.yaml")
    answers(load_source(source, Path("table.yaml")).spec, given, files, tmp_path)


def answers(spec: Spec, given: str, files: Path, tmp_path: Path) -> None:
    """A step of training, an export with its proof, and an answer to a row."""
    train = files / spec.data.train_files[0]
    facts = survey(spec, train)
    plan = resolve(spec, facts)
    part: Part = "train" if given == "series" else "all"
    data = encode(plan, facts, train, Reading.of(spec), tmp_path / "cache", part)
    model = Model(plan)
    model.start(facts, seed=1)
    train_step = TrainStep(model.train(), spec.train, loss_settings=loss_settings_of(spec, facts))
    batch = data.collate(np.arange(data.rows))
    stepped = train_step.step([MicroBatch(batch, data.rows, data.rows * 3, data.rows * 3)])
    assert np.isfinite(stepped.loss)
    weights = model.eval().canonical_arrays()
    trained = Trained(BuildFolder(tmp_path), spec, plan, facts, weights)
    ids = given == "subwords"
    parity = export_onnx(trained, tmp_path / "model.onnx", ids=ids)
    assert parity.rows > 0
    if ids:
        return  # `rnnspec run` answers texts; the proof has asked the file with numbers
    asked = row(1)
    if given == "series":
        asked = {"in_series": [0.5, 1.0, 0.5, 0.0]}
    (answer,) = ModelFile.load(tmp_path / "model.onnx", threads=1).answer([asked])
    assert json.loads(json.dumps(answer, default=str)), "no answer"
