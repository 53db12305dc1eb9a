"""Past and future of a forecast are the same through data, module, file and `rnnspec run`.

Every value of the table says its own time: `sold` at time t is t, `promo` is 1000 + t, `price` is
2000 + t; the label is that of its series. So a step that is read from the future, or one too early
or too late, is a wrong number.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnspec.data import Dataset, Reading, encode, survey
from rnnspec.evaluate.evaluate import evaluate
from rnnspec.evaluate.outputs.kind import MeasuredBatch
from rnnspec.export import export_onnx
from rnnspec.plan import Facts, Plan, resolve
from rnnspec.spec import Spec, Train
from rnnspec.store.folder import BuildFolder, Trained
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from tests.cli import right
from tests.data_rows import any_spec, write_rows
from tests.test_export_kinds import quick as quick

HISTORY, HORIZON, SEASON = 5, 3, 4
ENDS = {"a": 26, "b": 9, "c": 17}
"""When each series ends; `a` begins at 0, the others later."""
STARTS = {"a": 0, "b": 2, "c": 11}
HEADS: dict[str, dict[str, Any]] = {
    "all at once": {},
    "step by step": {"decoder": {"layers": [{"cell": "gru", "units": 4}]}},
}


def spec_of(more: dict[str, Any], valid: float | None = None, stride: int = 1) -> Spec:
    sold = {"column": "sold", "as": "series"}
    promo = {"column": "promo", "as": "series", "known": True}
    price = {"column": "price", "as": "series"}
    label = {"column": "label", "as": "category", "embed": 3}
    ahead = {"column": "sold", "as": "forecast", "horizon": HORIZON, "season": SEASON}
    series = {"time": "t", "id": "id", "history": HISTORY, "stride": stride}
    spec = any_spec("N:M", [sold, promo, price, label], ahead, series=series, valid=valid)
    return Spec.model_validate({**spec.model_dump(mode="json", exclude_unset=True), **more})


def row(name: str, time: int, future: bool = False) -> dict[str, Any]:
    known = {"t": time, "id": name, "promo": 1000 + time}
    if future:  # the cells of columns that are not known ahead are not looked at
        return {**known, "sold": "", "price": "", "label": ""}
    return {**known, "sold": time, "price": 2000 + time, "label": f"of {name}"}


def rows(ends: dict[str, int] = ENDS, ahead: int = 0) -> list[dict[str, Any]]:
    """Those of all series up to their ends, and some of the future, in the order of time."""
    return [
        row(name, time, future=time >= end)
        for time in range(max(ends.values()) + ahead)
        for name, end in ends.items()
        if STARTS[name] <= time < end + ahead
    ]


def check_windows(data: Dataset, facts: Facts) -> list[tuple[int, int]]:
    """Every window says what belongs together; first and last time read of each."""
    batch = data.collate(np.arange(data.rows))
    naive = data.naive(batch)["sold"].forecast
    labels = facts.inputs["label"].vocabulary.entries  # type: ignore[union-attr]
    found = []
    for window in range(data.rows):
        (read, length), past = (part[window] for part in batch.inputs["sold"]), slice(None)
        past = slice(int(length))
        first, last = int(read[0, 0]), int(read[length - 1, 0])
        assert read[past, 0].tolist() == list(range(first, last + 1))
        for column, offset in (("promo", 1000), ("price", 2000)):
            values, lengths = (part[window] for part in batch.inputs[column])
            assert lengths == length
            assert (values[past, 0] - offset).tolist() == read[past, 0].tolist()
        ahead = list(range(last + 1, last + 1 + HORIZON))
        assert batch.targets["sold"][window].tolist() == ahead
        assert (batch.inputs["promo.future"][0][window, :, 0] - 1000).tolist() == ahead
        of = labels[int(batch.inputs["label"][0][window]) - 2].removeprefix("of ")
        assert STARTS[of] <= first and last + HORIZON < ENDS[of]
        assert naive[window].max() <= last
        if last - first + 1 >= SEASON:
            assert naive[window].tolist() == [time - SEASON for time in ahead[:HORIZON]]
        found.append((first, last))
    return found


def started(plan: Plan, facts: Facts) -> dict[str, np.ndarray[Any, Any]]:
    """Weights as training starts from, so that the columns are in their scales."""
    model = Model(plan)
    model.start(facts, seed=3)
    return model.canonical_arrays()


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_windows_of_data_keep_past_and_future_apart(tmp_path: Path, ending: str) -> None:
    table = rows()
    file = write_rows(tmp_path / f"rows.{ending}", table)
    for share in (0.0, 0.2):
        spec = spec_of({}, valid=share or None)
        facts = survey(spec, file)
        plan, reading, cache = resolve(spec, facts), Reading.of(spec), tmp_path / "cache"
        train = encode(plan, facts, file, reading, cache, "train", share)
        answered = [last + HORIZON for _, last in check_windows(train, facts)]
        if not share:
            assert sorted(answered) == sorted(
                time
                for name, end in ENDS.items()
                for time in range(min(STARTS[name] + HISTORY + HORIZON, end) - 1, end)
            )
            continue
        # All but a fifth, and at least what is answered, unless too little is left to train on.
        trained = {"a": 21, "b": 6, "c": 17}
        assert max(answered) < max(trained.values())
        moments = facts.inputs["sold"]
        seen = [time for name, end in trained.items() for time in range(STARTS[name], end)]
        assert moments.mean == pytest.approx((np.mean(seen),))  # type: ignore[union-attr]
        valid = encode(plan, facts, file, reading, cache, "valid", share)
        firsts = sorted(last + 1 for _, last in check_windows(valid, facts))
        assert firsts == [6, 21, 22, 23]


@pytest.mark.parametrize("how", HEADS)
def test_a_file_asked_with_a_table_answers_as_the_module_does_of_its_window(
    tmp_path: Path, how: str
) -> None:
    spec = spec_of(HEADS[how])
    file = write_rows(tmp_path / "rows.csv", rows())
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    weights = started(plan, facts)
    build = Trained(BuildFolder(tmp_path), spec, plan, facts, weights)
    exported = tmp_path / "model.onnx"
    assert export_onnx(build, exported).rows > 0
    expected = answers_of_windows(spec, plan, facts, weights, file, tmp_path)
    shifted = [abs(expected[a] - expected[b]).max() for a, b in [(10, 11), (11, 12), (20, 21)]]
    assert min(shifted) > 1e-3  # a step more or less shows
    for end in (1, 4, 5, 6, 12, 20, 23):
        for ahead in (HORIZON, HORIZON + 2):
            asked = write_rows(tmp_path / "asked.csv", rows({"a": end}, ahead))
            said = right_but_note("run", exported, "--data", asked, "--json", noted=ahead > HORIZON)
            (answer,) = map(json.loads, said.splitlines())
            assert (answer["id"], answer["t"]) == ("a", list(range(end, end + HORIZON)))
            if end >= HISTORY:
                np.testing.assert_allclose(answer["sold"], expected[end], rtol=1e-4, atol=1e-3)


def right_but_note(*arguments: object, noted: bool) -> str:
    if not noted:
        return right(*arguments)
    from tests.cli import rnnspec

    said = rnnspec(*arguments)
    assert said.code == 0 and said.err.startswith("note: ") and said.err.count("\n") == 1
    return said.out


def answers_of_windows(
    spec: Spec, plan: Plan, facts: Facts, weights: Any, file: Path, folder: Path
) -> dict[int, np.ndarray[Any, Any]]:
    """The module's forecasts of series `a`, by the first time that is answered."""
    data = encode(plan, facts, file, Reading.of(spec), folder / "cache", "all")
    model = Model(plan)
    model.load_canonical(weights)
    found: dict[int, np.ndarray[Any, Any]] = {}
    (of_a,) = facts.inputs["label"].vocabulary.numbers(["of a"])  # type: ignore[union-attr]

    def see(seen: MeasuredBatch) -> None:
        answers = seen.answers["sold"]
        assert isinstance(answers, torch.Tensor)
        truth, (_, lengths) = seen.batch.targets["sold"], seen.batch.inputs["sold"]
        labels = seen.batch.inputs["label"][0]
        for answer, true, length, label in zip(answers, truth, lengths, labels, strict=True):
            if label == of_a and length == HISTORY:
                found[int(true[0])] = answer[:, 0].numpy()

    evaluate(model, data, Train(), precision=Precision(), see=see)
    return found


@pytest.mark.parametrize("how", HEADS)
def test_what_an_answer_depends_on(tmp_path: Path, how: str) -> None:
    """Of the future, on the known values of the steps that are answered, and of a decoder, of each
    on those up to it; on nothing else of it, and on every step of the past that is read."""
    spec = spec_of(HEADS[how])
    facts = survey(spec, write_rows(tmp_path / "rows.csv", rows()))
    plan = resolve(spec, facts)
    build = Trained(BuildFolder(tmp_path), spec, plan, facts, started(plan, facts))
    exported = tmp_path / "model.onnx"
    export_onnx(build, exported)
    end = 12

    def asked(change: dict[int, dict[str, Any]]) -> list[float]:
        table = rows({"a": end}, HORIZON + 1)
        for time, cells in change.items():
            table[time] |= cells
        file = write_rows(tmp_path / "asked.csv", table)
        said = right_but_note("run", exported, "--data", file, "--json", noted=True)
        answer: list[float] = json.loads(said)["sold"]
        return answer

    plain = asked({})
    beyond = {end + HORIZON: {"promo": 0}}
    unread = {end - HISTORY - 1: {"sold": 99, "promo": 99, "price": 99, "label": "of b"}}
    for change in (beyond, unread, {end: {"price": 99, "label": "of b"}}):
        assert asked(change) == plain
    for column in ("sold", "promo", "price"):
        for time in range(end - HISTORY, end):
            assert asked({time: {column: 0}})[0] != plain[0], (column, time)
    read = range(end - HISTORY, end)
    assert asked({time: {"label": "of b"} for time in read})[0] != plain[0]
    for step in range(HORIZON):
        changed = asked({end + step: {"promo": 900}})
        same = [one == other for one, other in zip(changed, plain, strict=True)]
        if how == "step by step":
            assert same == [at < step for at in range(HORIZON)]
        else:
            assert not any(same)


def test_a_teacher_says_only_what_came_before(tmp_path: Path) -> None:
    spec = spec_of(HEADS["step by step"])
    file = write_rows(tmp_path / "rows.csv", rows())
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    model = Model(plan).eval()
    model.load_canonical(started(plan, facts))
    data = encode(plan, facts, file, Reading.of(spec), tmp_path / "cache", "all")
    batch = data.collate(np.arange(4))
    inputs = {k: tuple(map(torch.from_numpy, of)) for k, of in batch.inputs.items()}

    def scores(targets: Any) -> torch.Tensor:
        with torch.no_grad():
            found: torch.Tensor = model(inputs, {"sold": torch.from_numpy(targets)}, 1.0)["sold"]
        return found

    plain = scores(batch.targets["sold"])
    for step in range(HORIZON):
        targets = batch.targets["sold"] + 7 * np.eye(HORIZON, dtype=np.float32)[step]
        moved = (scores(targets) != plain).flatten(2).any(2)
        assert moved.tolist() == [[at > step for at in range(HORIZON)]] * 4
