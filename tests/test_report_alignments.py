"""What was read along sounds and pictures: where each token stands, and how it is drawn."""

from __future__ import annotations

import io
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from rnnspec.data import Reading, encode, survey
from rnnspec.evaluate.outputs.alignments import Axis, axis_of, ctc_steps, transducer_steps
from rnnspec.evaluate.score import evaluate_build
from rnnspec.evaluate.spectrogram import spectrogram
from rnnspec.plan import Plan, resolve
from rnnspec.plan.nodes import AlignedOutput, AudioInput
from rnnspec.report.model import AlignedExample, AlignedExamples, Examples, Stretch
from rnnspec.report.scale import Scale
from rnnspec.report.sections.alignment import labels, marks, unmatched
from rnnspec.spec import Spec
from rnnspec.store.folder import BuildFolder, Trained
from rnnspec.to_torch import Model
from rnnspec.to_torch.search import Texts
from tests.ctc import beam, plan_and_facts
from tests.data_rows import write_rows
from tests.kinds import strong_weights
from tests.reports import PNG, drawn, of_class, titles, words

LOW = -9.0

# ---------------------------------------------------------------- which steps


def test_the_steps_of_a_text_by_ctc() -> None:
    """Of five steps: blank, a, a, blank, b are likely, so a is steps 1 and 2, and b is step 4."""
    best = [0, 2, 2, 0, 3]
    logs = torch.full((5, 4), LOW)
    logs[range(5), best] = -0.1
    assert ctc_steps(logs, [2, 3]) == ((1, 2), (4, 4))
    assert ctc_steps(logs, [2, 2]) == ((1, 2), (4, 4))  # a alone in place of b
    assert ctc_steps(logs, [2, 2, 2]) == ((0, 0), (2, 2), (4, 4))  # with the blanks, all five
    assert ctc_steps(logs, [2, 2, 2, 3, 3]) == ()


def best_of_all_paths(arcs: NDArray[np.float64]) -> tuple[float, tuple[int, ...]]:
    """The steps of the tokens on the best of all paths, whose last move is a blank."""
    steps, count = arcs.shape[0], arcs.shape[1] - 1
    found = []
    for places in itertools.combinations_with_replacement(range(steps), count):
        score = sum(arcs[step, at, 1] for at, step in enumerate(places))
        score += sum(arcs[step, sum(p <= step for p in places), 0] for step in range(steps))
        found.append((float(score), places))
    return max(found)


@pytest.mark.parametrize(("steps", "count"), [(1, 3), (4, 0), (4, 3), (5, 2), (3, 5)])
def test_the_steps_of_a_text_by_a_transducer(steps: int, count: int) -> None:
    for seed in range(5):
        arcs = np.log(np.random.default_rng(seed).uniform(0.01, 1, (steps, count + 1, 2)))
        assert transducer_steps(arcs) == best_of_all_paths(arcs)[1]


# ---------------------------------------------------------------- on which axis


def axis_in(plan: Plan) -> Axis | None:
    (node,) = plan.outputs
    assert isinstance(node, AlignedOutput)
    return axis_of(plan, node)


def test_steps_are_seconds_of_the_sound() -> None:
    """Windows every 3 ms, of which a convolution of stride 2 keeps every second."""
    axis = axis_in(plan_and_facts("sound")[0])
    assert axis is not None and axis.unit == "s"
    assert axis.step == pytest.approx(0.006)
    assert axis.length(50) == pytest.approx(0.05)
    found = axis.stretches(["a", "b"], [(0, 0), (2, 8)], 0.05)
    assert [each.token for each in found] == ["a", "b"]
    ends = [(each.start, each.end) for each in found]  # step 8 ends at 0.054
    np.testing.assert_allclose(ends, [(0.0, 0.006), (0.012, 0.05)])


def test_steps_of_other_inputs_have_no_axis() -> None:
    assert axis_in(plan_and_facts("greedy")[0]) is None
    assert axis_in(plan_and_facts("greedy words")[0]) is None


def spec_of(folder: Path, source: dict[str, Any], layers: list[Any], decoder: Any) -> Spec:
    return Spec.model_validate({
        "name": "along", "cardinality": "N:M",
        "data": {"train": str(folder / "rows.jsonl"), "input": source,
                 "output": {"column": "text", "as": "chars"}},
        "encoder": {"layers": [*layers, {"cell": "gru", "units": 5}]},
        "decoder": decoder,
    })  # fmt: skip


SOUND = {"column": "x", "as": "audio", "rate": 1000,
         "features": {"log_mel": 4, "window": "16 ms", "hop": "4 ms"}}  # fmt: skip
PICTURE = {"column": "x", "as": "image", "height": 4}
STRIDED = [{"conv": 4, "stride": 3}]
HALVED = [{"conv": 3, "size": [3, 3]}, {"pool": "max", "size": [2, 2]}]
TRANSDUCER = {"transducer": {"symbols": 2}, "embed": 3, "layers": [{"cell": "gru", "units": 4}]}
CASES: dict[str, tuple[dict[str, Any], list[Any], dict[str, Any], float]] = {
    "sound": (SOUND, STRIDED, {"ctc": {}}, 0.012),
    "sound by a beam": (SOUND, STRIDED, {"ctc": {}, "strategy": beam(3, 1)}, 0.012),
    "sound by a transducer": (SOUND, STRIDED, TRANSDUCER, 0.012),
    "picture": (PICTURE, HALVED, {"ctc": {}}, 2.0),
    "picture by a transducer": (PICTURE, HALVED, {**TRANSDUCER, "strategy": beam(2, 1)}, 2.0),
}


@pytest.mark.parametrize("name", CASES)
def test_a_report_shows_the_steps_of_its_answers(name: str, tmp_path: Path) -> None:
    source, layers, decoder, step = CASES[name]
    draw = np.random.default_rng(0)
    rows = []
    for number in range(14):
        count = 0 if number == 3 else 20 + 9 * number
        values = draw.normal(0, 0.3, count).clip(-1, 1).round(3).tolist()
        if "picture" in name:
            values = draw.integers(0, 256, (4, count)).tolist() if count else []
        rows.append({"x": values, "text": "abab"[: number % 4]})
    file = write_rows(tmp_path / "rows.jsonl", rows)
    spec = spec_of(tmp_path, source, layers, decoder)
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    model = Model(plan)
    model.load_canonical(strong_weights(plan, size=1.2))
    trained = Trained(BuildFolder(tmp_path), spec, plan, facts, model.eval().canonical_arrays())
    score = evaluate_build(trained, file).outputs["text"]
    (along,) = [each for each in score.sections if isinstance(each, AlignedExamples)]
    written = {e.place: e for s in score.sections if isinstance(s, Examples) for e in s.examples}
    data = encode(plan, facts, file, Reading.of(spec), tmp_path / "cache", measured=True)
    assert any(one.answered for one in along.examples)
    for one in along.examples:
        row = int(one.place.removeprefix("line ")) - 1
        count = np.shape(rows[row]["x"])[-1]
        assert one.expected == tuple(rows[row]["text"])
        assert one.length == pytest.approx(count / 1000 if "sound" in name else count)
        if one.place in written:
            assert "".join(each.token for each in one.answered) == written[one.place].answered
        for each in (*one.answered, *one.true):
            assert 0 <= each.start < each.end <= one.length
            assert each.start / step == pytest.approx(round(each.start / step))
        assert list(one.answered) == sorted(one.answered, key=lambda each: each.start)
        assert [each.token for each in one.true] in ([], list(one.expected))
        if "ctc" in decoder:
            batch = data.collate(np.array([row]))
            inputs = {k: (torch.tensor(v), torch.tensor(n)) for k, (v, n) in batch.inputs.items()}
            texts = model.answers(inputs, aligned=True)["text"]
            assert isinstance(texts, Texts) and texts.alignment is not None
            steps = texts.alignment[0, : len(one.answered)].tolist()
            for each, (first, last) in zip(one.answered, steps, strict=True):
                assert each.start == pytest.approx(first * step)
                assert each.end == pytest.approx(min(one.length, (last + 1) * step))


# ---------------------------------------------------------------- spectrograms


def tone(hertz: float, seconds: float, silent: float = 0.0) -> NDArray[np.float64]:
    times = np.arange(round(seconds * 1000)) / 1000
    sound = np.sin(2 * np.pi * hertz * times)
    return np.concatenate([np.zeros(round(silent * 1000)), sound])


def grey(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)))


def audio_input(**features: Any) -> AudioInput:
    plan, _ = plan_and_facts("sound")
    (node,) = plan.inputs
    assert isinstance(node, AudioInput)
    return replace(node, **features)


def test_a_spectrogram_is_dark_where_and_when_a_tone_sounds() -> None:
    """64 samples a window are 33 frequencies from 0 to 500 Hz: 250 Hz is the one in the middle."""
    node = audio_input(kind="log", size=33, window=64, hop=8, bands=0, deltas=0)
    found = spectrogram(node, tone(250, 0.2, silent=0.2))
    pixels = grey(found.png)
    assert pixels.shape == (33, 50)
    assert found.extent == pytest.approx(0.4) and (found.low, found.high) == (0.0, 500.0)
    assert (pixels[:, :17] == 255).all()  # windows of silence alone
    assert (pixels[:, 26:42].argmin(axis=0) == 16).all()
    low = grey(spectrogram(node, tone(125, 0.4)).png)
    assert (low[:, :40].argmin(axis=0) == 24).all()  # an eighth of the rate, counted from below


def test_a_spectrogram_of_what_other_features_are_made_of() -> None:
    sound = tone(250, 0.3)
    mel = audio_input()
    cepstra = audio_input(kind="mfcc", size=2, deltas=2)
    assert spectrogram(mel, sound) == spectrogram(cepstra, sound)
    raw = spectrogram(audio_input(kind="raw", size=3, window=3, hop=2, bands=0, deltas=0), sound)
    assert grey(raw.png).shape == (17, 30)  # windows of 32 ms every 10 ms
    assert raw.extent == pytest.approx(0.3)


def test_a_long_sound_has_a_small_spectrogram_of_its_whole_length() -> None:
    node = audio_input(kind="log", size=257, window=512, hop=1, bands=0, deltas=0)
    found = spectrogram(node, tone(100, 2.0))
    assert grey(found.png).shape == (65, 500)  # of every fourth window and frequency the largest
    assert found.extent == pytest.approx(2.0)
    assert grey(spectrogram(node, np.zeros(0)).png).shape == (1, 1)


# ---------------------------------------------------------------- drawings

EXAMPLE = AlignedExample(
    PNG,
    2.0,
    2.1,
    (Stretch("a", 0.5, 1.0), Stretch("x", 1.5, 1.6)),
    ("a", "c"),
    (Stretch("a", 0.5, 1.0), Stretch("c", 1.4, 1.6)),
    low="0 Hz",
    high="900 Hz",
    place="line 7",
)


def boxes(section: Any, style: str) -> list[tuple[float, float]]:
    """Where rectangles begin, and their widths."""
    return [(float(e.get("x", "")), float(e.get("width", ""))) for e in of_class(section, style)]


def test_tokens_lie_below_their_part_of_the_sound() -> None:
    section = drawn(AlignedExamples("t", (EXAMPLE,)))
    ((start, wide),) = boxes(section, "outline")
    ((picture, drawn_width),) = boxes(section, "sound")
    assert picture == start
    assert drawn_width / wide == pytest.approx(2.1 / 2.0, abs=1e-3)
    read_a, read_x, true_a, true_c = [
        each for each in boxes(section, "stretch") if each[0] >= start
    ]
    for (x, width), first, last in (
        (read_a, 0.5, 1.0), (read_x, 1.5, 1.6), (true_a, 0.5, 1.0), (true_c, 1.4, 1.6),
    ):  # fmt: skip
        assert (x - start) / wide == pytest.approx(first / 2, abs=1e-3)
        assert width / wide == pytest.approx((last - first) / 2, abs=1e-3)
    shades = boxes(section, "shade")
    assert shades == [read_a, read_x]
    ticks = {words(e): float(e.get("x", "0")) for e in section.iter("text")}
    assert ticks["1.0"] == pytest.approx(start + wide / 2, abs=0.1)
    assert {"0 Hz", "900 Hz", "read", "true", "s"} <= set(ticks)


def test_wrong_tokens_are_told_by_signs_and_by_words() -> None:
    section = drawn(AlignedExamples("t", (EXAMPLE,)))
    shown = [words(e) for e in section.iter("text")]
    assert "✗x" in shown and "+c" in shown and shown.count("a") == 2
    assert "✗ ax · true: ac · line 7" in words(section)
    assert "2 s, read as: a at 0.500–1 s; x at 1.50–1.60 s" in titles(section)
    right = AlignedExample(PNG, 2.0, 2.0, EXAMPLE.true, ("a", "c"), place="line 8")
    section = drawn(AlignedExamples("t", (right,)))
    assert "✓ ac · line 8" in words(section) and "true" not in [
        words(e) for e in section.iter("text")
    ]


def test_a_picture_keeps_its_proportions() -> None:
    one = AlignedExample(PNG, 100, 100, (Stretch("7", 25, 50),), ("7",), height=16)
    section = drawn(AlignedExamples("t", (one,), "pixels"))
    (image,) = section.iter("image")
    wide, high = float(image.get("width", "")), float(image.get("height", ""))
    assert high / wide == pytest.approx(0.16, abs=1e-3)


def test_many_tokens_get_room() -> None:
    read = tuple(Stretch("word", n / 50, (n + 1) / 50) for n in range(100))
    one = AlignedExample(PNG, 2.0, 2.0, read, ("word",) * 100)
    section = drawn(AlignedExamples("t", (one,), joint=" "))
    placed = [e for e in section.iter("text") if words(e) == "word"]
    lines: dict[str, list[float]] = {}
    for each in placed:
        lines.setdefault(each.get("y", ""), []).append(float(each.get("x", "")))
    assert len(placed) == 100 and len(lines) <= 3
    assert min(np.diff(line).min(initial=99) for line in lines.values()) > 20


def test_labels_stay_in_the_picture_and_beside_each_other() -> None:
    axis = Scale(0.0, 1.0, 100.0, 300.0, ())
    first, second, third, last = labels(["aaaa", "bbbb", "c", "dddd"], [100, 104, 200, 300], axis)
    assert first.x > 110 and (first.lane, second.lane, third.lane) == (0, 1, 0)
    assert third.x == 200 and last.x < 300


def test_tokens_in_one_place_are_drawn_as_one() -> None:
    """A transducer writes several at a step; right and wrong ones stay apart."""
    read = (Stretch("a", 0, 1), Stretch("b", 0, 1), Stretch("x", 0, 1), Stretch("c", 1, 2))
    assert marks(read, {2}, "off", "") == [
        (Stretch("ab", 0, 1), "found"), (Stretch("x", 0, 1), "off"), (Stretch("c", 1, 2), "found"),
    ]  # fmt: skip
    one = AlignedExample(PNG, 2.0, 2.0, read, ("a", "b", "c"))
    assert {"ab", "✗x", "c"} <= {words(e) for e in drawn(AlignedExamples("t", (one,))).iter("text")}


@pytest.mark.parametrize(
    ("tokens", "others", "odd"),
    [("abc", "abc", set()), ("abc", "ac", {1}), ("aab", "ab", {1}), ("", "a", set()),
     ("xy", "ab", {0, 1})],
)  # fmt: skip
def test_tokens_that_the_others_lack(tokens: str, others: str, odd: set[int]) -> None:
    found = unmatched(tuple(tokens), tuple(others))
    assert found == odd or (tokens == "aab" and found == {0})


@pytest.mark.parametrize("place", [-0.1, 2.1, float("nan")])
def test_a_token_must_be_on_the_axis(place: float) -> None:
    one = AlignedExample(PNG, 2.0, 2.0, (Stretch("a", min(place, 0.0), place),), ("a",))
    with pytest.raises(ValueError, match="not on its axis"):
        drawn(AlignedExamples("t", (one,)))


def test_a_row_without_steps_has_no_picture() -> None:
    section = drawn(AlignedExamples("t", (AlignedExample(b"", 0.0, 0.0, (), ()),)))
    assert "There is nothing to read." in words(section)
    assert not list(section.iter("image"))
