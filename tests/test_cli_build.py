"""The way from a spec to answers, command by command, on a small world."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli import LABELS, right, rnnspec, write_world, wrong

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


FLAT = """\
name: flat
cardinality: N:M
data:
  train: flat.csv
  valid: 0.2
  series: {time: t, history: 4}
  input: {column: y, as: series}
  output: {column: y, as: forecast, horizon: 2}
encoder: {layers: [{cell: gru, units: 2}]}
train: {epochs: 2, early_stopping: {metric: mase}}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with builds of both specs and an exported file of each."""
    folder = tmp_path_factory.mktemp("world")
    write_world(folder, epochs=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("sums", "colours"):
            right("build", f"{name}.yaml", "--set", "train.optimizer.adam.lr=0.02")
            right("export", f"builds/{name}", "--onnx", "--output", f"{name}.onnx")
    return folder


@pytest.fixture(autouse=True)
def inside(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(built)


# ---------------------------------------------------------------- build


def test_build_says_what_it_did_and_what_comes_next(tmp_path: Path) -> None:
    write_world(tmp_path)
    lines = right("build", tmp_path / "colours.yaml", "--builds", tmp_path / "b").splitlines()
    folder = tmp_path / "b" / "colours" / "001"
    assert lines[:2] == ["reading the data", "training"]
    assert lines[2].startswith("epoch 1/1  train loss ") and lines[2].endswith("  best")
    assert lines[3:5] == ["writing the report", f"built {folder}"]
    assert lines[5].startswith("best epoch 1 by accuracy: loss ") and "accuracy" in lines[5]
    assert lines[6:] == [
        f"report: {folder / 'report.html'}",
        f"next: rnnspec export {folder} --onnx",
    ]
    assert (folder / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_the_best_epoch_is_told_by_the_loss_where_its_metric_is_nan(tmp_path: Path) -> None:
    """The MASE of a series that never changes is 0 / 0, in every epoch."""
    (tmp_path / "flat.csv").write_text("t,y\n" + "".join(f"{t},7\n" for t in range(40)))
    (tmp_path / "flat.yaml").write_text(FLAT)
    said = right("build", tmp_path / "flat.yaml", "--builds", tmp_path / "b")
    assert "best epoch 2 by loss: loss " in said and "mase nan" in said
    report = (tmp_path / "b" / "flat" / "001" / "report.html").read_text(encoding="utf-8")
    assert "by loss" in report and "by mase" not in report


def test_build_without_training_or_validation_says_so(tmp_path: Path) -> None:
    write_world(tmp_path)
    builds = ("--builds", tmp_path / "b")
    assert "not trained" in right("build", tmp_path / "colours.yaml", "--no-train", *builds)
    assert "no validation rows" in right("build", tmp_path / "sums.yaml", *builds)
    said = wrong("evaluate", tmp_path / "b" / "sums")
    assert "no validation rows; name a file with --data" in said


def test_show_of_a_build_is_its_plan() -> None:
    plan = right("show", "builds/colours")
    assert plan == Path("builds/colours/001/plan.txt").read_text(encoding="utf-8")


@pytest.mark.usefixtures("usual_signals")
def test_ctrl_c_stops_with_a_way_to_go_on(tmp_path: Path) -> None:
    spec = write_world(tmp_path, rows=2000, epochs=500)
    command = [sys.executable, "-m", "rnnspec", "build", spec.name, "--set", "train.batch=50"]
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    for line in running.stdout:
        if line.startswith("epoch"):
            break
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=500)
    assert (running.returncode, err) == (130, "")
    assert "stopped in epoch " in out
    again = "rnnspec build colours.yaml --set train.batch=50 --resume"
    assert out.splitlines()[-1].strip() == again
    folder = tmp_path / "builds" / "colours" / "001"
    before = (folder / "metrics.jsonl").read_text().splitlines()
    # The same number of epochs must be asked for: resuming another spec is refused.
    refused = rnnspec("build", spec, "--builds", tmp_path / "builds", "--resume")
    assert refused.code == 2 and "the spec has changed" in refused.err
    running = subprocess.Popen(
        [*command, "--resume"], cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    lines = (line for line in running.stdout if line.startswith("epoch"))
    assert next(lines).startswith(f"epoch {len(before) + 1:>3}/500")
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=500)
    assert running.returncode == 130
    after = (folder / "metrics.jsonl").read_text().splitlines()
    assert after[: len(before)] == before and len(after) > len(before)


@pytest.mark.usefixtures("usual_signals")
@pytest.mark.parametrize("delay", [0.3, 0.8])
def test_ctrl_c_while_loading_is_quiet(tmp_path: Path, delay: float) -> None:
    spec = write_world(tmp_path, epochs=10_000)
    running = subprocess.Popen(
        [sys.executable, "-m", "rnnspec", "build", spec.name],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(delay)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=500)
    assert running.returncode in (130, -signal.SIGINT)
    assert "Traceback" not in err


# ---------------------------------------------------------------- evaluate


def test_evaluate_tells_each_class_apart() -> None:
    text = right("evaluate", "builds/colours")
    assert text.startswith("builds/colours/001 on valid.jsonl (30 rows)\n")
    for word in ("loss", "accuracy", "macro_f1", "precision", "recall", "F1", *LABELS):
        assert word in text


def test_evaluate_as_json_adds_up(tmp_path: Path) -> None:
    rows = [("apple", "red"), ("apple", "red"), ("sky", "red"), ("banana", "yellow")]
    other = tmp_path / "other.csv"
    other.write_text("\n".join(["text,colour", *(",".join(row) for row in rows)]) + "\n")
    found = json.loads(right("evaluate", "builds/colours", "--data", other, "--json"))
    assert (found["data"], found["rows"], found["share"]) == (str(other), 4, None)
    classes = {entry["label"]: entry for entry in found["classes"]["colour"]}
    assert [classes[label]["rows"] for label in ("red", "yellow", "blue")] == [3, 1, 0]
    assert sum(entry["answered"] for entry in classes.values()) == 4
    assert found["metrics"]["accuracy"] == 0.75, "apple, sky, banana are learned in 8 epochs"
    assert classes["red"]["precision"] == 1.0
    assert classes["red"]["recall"] == pytest.approx(2 / 3)
    assert classes["red"]["f1"] == pytest.approx(0.8)
    assert classes["blue"]["precision"] == 0.0
    assert classes["blue"]["recall"] is None
    assert found["mistakes"]["colour"] == [{"label": "red", "answer": "blue", "rows": 1}]


def test_evaluate_on_numbers() -> None:
    text = right("evaluate", "builds/sums", "--data", "frames.csv")
    assert "mae" in text and "rmse" in text and "precision" not in text


def test_evaluate_counts_an_unknown_label_as_wrong_and_says_so(tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text('{"text": "sky", "colour": "bleu"}\n')
    text = right("evaluate", "builds/colours", "--data", other)
    assert "'bleu' (1 time, did you mean 'blue'?); it counts as wrong" in text
    assert "accuracy  0.0000" in text


def test_evaluate_takes_the_newest_build() -> None:
    assert right("evaluate").startswith("builds/colours/")


# ---------------------------------------------------------------- export and run


def test_export_writes_into_the_build_folder_unless_told_otherwise() -> None:
    said = right("export", "builds/colours", "--onnx")
    target = Path("builds/colours/001/colours.onnx")
    assert said.startswith(f"wrote {target} (") and target.stat().st_size > 1000
    assert "answered as by the trained module" in said
    assert f"next: rnnspec run {target}" in said
    assert "cannot be written" in wrong("export", "--onnx", "--output", "no/such/folder.onnx")


def test_what_comes_next_after_a_stream_is_a_stream() -> None:
    said = right("export", "builds/colours", "--onnx", "--stream", "--output", "live.onnx")
    assert Path("live.json").exists()
    assert said.splitlines()[-1] == "next: rnnspec run live.onnx --stream"


def test_export_as_c_says_what_it_takes() -> None:
    said = right("export", "builds/colours", "--c", "c", "--quantize", "int8")
    files = ("colours.h", "colours.c", "main.c", "colours.json")
    assert [line for line in said.splitlines() if line.startswith("wrote")] == [
        f"wrote {Path('c') / name}" for name in files
    ]
    # Embeddings and a GRU of 8, and three classes: of the answer's softmax there are as many.
    assert f"state 32 bytes; a step is {6 * 8 * 8 + 3 * 8} multiply-adds and 27 functions" in said
    assert "answered as by the trained module" in said and "weights of 8 bits in both" in said
    assert "validation rows loss" in said and "accuracy" in said
    assert said.splitlines()[-1].startswith("next: cc -std=c99 -O3")


def test_run_answers_texts_with_probabilities() -> None:
    said = right("run", "colours.onnx", "--text", "sky sea", "--text", "apple")
    first, second = said.splitlines()
    assert first.startswith("sky sea  →  blue 0.") and "(" in first
    assert second.startswith("apple  →  red 0.")


def test_run_reads_lines_of_text_and_answers_every_one() -> None:
    said = right("run", "colours.onnx", "--json", stdin="sky\n\n{not json\n")
    answers = [json.loads(line) for line in said.splitlines()]
    assert len(answers) == 3
    assert answers[0]["colour"] == "blue"
    assert sum(answers[1]["colour.probabilities"].values()) == pytest.approx(1.0)


def test_run_reads_rows_of_json_and_of_a_file() -> None:
    lines = Path("valid.jsonl").read_text()
    expected = [
        json.loads(line)
        for line in right("run", "colours.onnx", "--json", stdin=lines).splitlines()
    ]
    right("run", "colours.onnx", "--data", "valid.jsonl", "--output", "answers.jsonl")
    answers = [json.loads(line) for line in Path("answers.jsonl").read_text().splitlines()]
    assert len(answers) == 30
    for answer, other in zip(answers, expected, strict=True):
        assert answer["colour"] == other["colour"]
        assert answer["colour.probabilities"] == pytest.approx(
            other["colour.probabilities"], abs=1e-6
        )


def test_run_reads_lists_from_an_option_a_table_and_json_lines() -> None:
    steps = [[0.5, -0.2], [0.1, 0.3]]
    by_option = right("run", "sums.onnx", "--input", f"steps={steps}", "--json")
    by_line = right("run", "sums.onnx", "--json", stdin=json.dumps({"steps": steps}))
    assert by_option == by_line
    assert isinstance(json.loads(by_line)["total"], float)
    assert len(right("run", "sums.onnx", "--data", "frames.csv").splitlines()) == 60
    assert right("run", "sums.onnx", stdin=json.dumps({"steps": steps})).startswith("row 1  →  ")


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["colours.onnx"], "", "standard input: no rows"),
        (["colours.onnx"], '{"text": "a"}\n[1]\n', "standard input:2: expected a JSON object"),
        (["colours.onnx"], '{"text": "a"}\n{"text": 3}\n', "standard input:2: column 'text'"),
        (["colours.onnx", "--input", "txt=a"], "", "did you mean 'text'?"),
        (["colours.onnx", "--input", "text"], "", "expected COLUMN=VALUE"),
        (["colours.onnx", "--input", "text=a", "--input", "text=b"], "", "given twice"),
        (["sums.onnx", "--text", "a"], "", "--text is for a model that reads one text"),
        (["sums.onnx", "--input", "steps=[[1]]"], "", "1 numbers in each step"),
        (["sums.onnx"], "0.5\n", "expected a JSON object a line, with 'steps'"),
        (["colours.onnx", "--data", "frames.csv"], "", "frames.csv"),
    ],
)
def test_run_refuses_what_it_cannot_read(arguments: list[str], stdin: str, message: str) -> None:
    assert message in wrong("run", *arguments, stdin=stdin)


def test_run_leaves_no_half_file_behind(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"text": "sky"}\n{"text": null}\n')
    answers = tmp_path / "answers.jsonl"
    said = wrong("run", "colours.onnx", "--data", bad, "--output", answers)
    assert f"{bad}:2: " in said
    assert sorted(tmp_path.iterdir()) == [answers, bad], "the row before it is kept, whole"
    (kept,) = map(json.loads, answers.read_text().splitlines())
    assert set(kept) == {"colour", "colour.probabilities"}


def test_run_shows_the_answers_before_a_bad_row() -> None:
    said = rnnspec("run", "colours.onnx", stdin='{"text": "sky"}\nnothing\n')
    assert said.code == 2
    assert said.out.startswith("sky  →  blue") and said.err.startswith("error: standard input:2: ")


def test_run_asks_on_a_terminal_until_ctrl_d(built: Path) -> None:
    child, terminal = pty.fork()
    if child == 0:
        os.execve(
            sys.executable, [sys.executable, "-m", "rnnspec", "run", "colours.onnx"], ENVIRONMENT
        )
    said = b""
    for typed in (b"sky sea\n", b"\x04"):
        while not said.rstrip(b" ").endswith(b">"):
            said += os.read(terminal, 4096)
        os.write(terminal, typed)
        said += b"\n"
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"blue 0." in said
