"""Two workers of `rnnspec tune` on one SQLite file, one of them killed, beside the hand-set spec.

The spec of specs/trec.yaml is built as it is. Then two processes search through ranges around it
(seed and epochs as there) until 20 trials are done; one is killed in the midst of a trial and
another takes its place. Printed are the accuracy of the hand-set spec and of the best trial, what
became of the broken trial, and the importances. Both are the best epoch on the validation rows, by
which the best of 20 trials is chosen too: on rows never seen either would be a little lower.

  python benchmarks/tune_trec.py --out /tmp/tune-trec

The data is not part of the project: RNNSPEC_DATA names its folder.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from twins.data import data_folder

SPEC = Path(__file__).parent.parent / "specs" / "trec.yaml"
RANGES = {
    "embed: 100": "embed: {tune: [50, 100, 200]}",
    "embed_dropout: 0.3": "embed_dropout: {tune: {low: 0.1, high: 0.6}}",
    "units: 100": "units: {tune: [64, 100, 128]}",
    "dropout: 0.3}": "dropout: {tune: {low: 0.0, high: 0.6}}}",
    "pooling: max": "pooling: {tune: [max, mean, attention]}",
    "lr: 3e-3": "lr: {tune: {low: 1e-3, high: 1e-2, log: true}}",
}
POLL_SECONDS = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=Path("tune-trec"))
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    out: Path = options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    hand = hand_set(out)
    print(f"hand-set: accuracy {hand:.4f}", flush=True)
    found = searched(out, options.trials)
    best = found["best"]
    print(f"best of {len(found['trials'])} trials: {best['value']:.4f}, trial {best['number']}")
    for name, value in best["values"].items():
        print(f"  {name}: {value} ({found['importances'].get(name, 0):.0%} of the differences)")
    print("at least the hand-set one" if best["value"] >= hand else "below the hand-set one")
    if options.json:
        options.json.write_text(json.dumps({"hand": hand, **found}, indent=2))


def data_of(text: str) -> str:
    return text.replace("data/trec", f"{data_folder().resolve()}/trec")


def command(name: str, spec: Path, *more: object) -> list[str]:
    return [sys.executable, "-m", "rnnspec", name, str(spec), *map(str, more)]


def hand_set(out: Path) -> float:
    """The accuracy of the spec as it is."""
    spec = out / "hand.yaml"
    spec.write_text(data_of(SPEC.read_text()))
    done = sorted(out.glob("hand/trec/*/metrics.jsonl"))
    if not done:
        arguments = ("--builds", out / "hand", "--set", "train.threads=1")
        subprocess.run(command("build", spec, *arguments), check=True, stdout=subprocess.DEVNULL)
        done = sorted(out.glob("hand/trec/*/metrics.jsonl"))
    lines = done[-1].read_text().splitlines()
    return float(max(json.loads(line)["valid.accuracy"] for line in lines))


def searched(out: Path, trials: int) -> dict[str, Any]:
    """The search as JSON, after one worker was killed in a trial and another took its place."""
    text = data_of(SPEC.read_text())
    for old, new in RANGES.items():
        assert text.count(old) == 1, f"{SPEC} has no single {old!r}"
        text = text.replace(old, new)
    spec = out / "trec.yaml"
    spec.write_text(text)
    arguments = ("--trials", trials, "--out", out / "search", "--set", "train.threads=1")
    worker = command("tune", spec, *arguments)
    first, second = subprocess.Popen(worker), subprocess.Popen(worker, stdout=subprocess.DEVNULL)
    broken = killed_in_a_trial(second, out / "search")
    third = subprocess.Popen(worker, stdout=subprocess.DEVNULL)
    assert first.wait() == 0
    assert third.wait() == 0
    went_on = next(
        t for t in stored(out / "search") if broken in t.system_attrs.get("retry_history", ())
    )
    state, epochs = went_on.state.name.lower(), max(went_on.intermediate_values)
    print(f"trial {broken}, whose worker was killed, went on: {state} after {epochs} epochs")
    ended = subprocess.run([*worker, "--json"], check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def stored(search: Path) -> list[FrozenTrial]:
    """The trials in the SQLite file, none before it is there."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.load_study(study_name="trec", storage=f"sqlite:///{search}/tune.db")
        return study.get_trials()
    except Exception:  # there is no file yet, or no table in it
        return []


def killed_in_a_trial(worker: subprocess.Popen[bytes], search: Path) -> int:
    """Kill the worker once its trial has two epochs; the number of the trial."""
    while worker.poll() is None:
        for trial in stored(search):
            mine = str(trial.user_attrs.get("worker", "")).endswith(f":{worker.pid}")
            running = trial.state == TrialState.RUNNING
            if mine and running and len(trial.intermediate_values) >= 2:
                worker.send_signal(signal.SIGKILL)
                worker.wait()
                return trial.number
        time.sleep(POLL_SECONDS)
    raise RuntimeError("the worker ended before it could be killed")


if __name__ == "__main__":
    main()
