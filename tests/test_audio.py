"""Sound: features against librosa's, files of several rates and channels."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from rnnspec.data import encode, survey
from rnnspec.data.audio import AudioReading, read_file, samples_of
from rnnspec.data.columns.audio import AudioCells
from rnnspec.data.rows import BadRows, Chunk
from rnnspec.errors import DataError
from rnnspec.plan import ClassFacts, Facts, NumericFacts, resolve
from rnnspec.plan.nodes import AudioInput
from rnnspec.reference.audio import audio, features, fourier, taper
from rnnspec.run.session import Session
from rnnspec.spec import Spec
from rnnspec.store.folder import BuildFolder
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from rnnspec.to_torch.audio import Audio
from tests.cli import right, rnnspec, wrong
from tests.data_rows import write_rows

RATE, WINDOW, HOP = 8000, 200, 80
BANDS = {"bands": 12, "lowest": 50.0, "highest": 3800.0}
# By librosa 0.11 of `chirp()` and 28 zeros before it: stft(n_fft=256, hop_length=80,
# win_length=200, window="hann", center=False), which has its window in the middle of a frame;
# filters.mel(n_mels=12, fmin=50, fmax=3800, htk=True, norm=None) of its square, log of it, at least
# 1e-8; feature.mfcc(S=…, n_mfcc=5, norm="ortho"); feature.delta(width=5, mode="nearest"), twice.
MAGNITUDES = {
    0: [0.127741, 2.87684, 0.055204, 0.151745],
    6: [0.031758, 0.202446, 0.03279, 4.263815],
    12: [0.091824, 0.108836, 0.114321, 0.076481],
}
LOG_MEL = {
    0: [
        -0.979287,
        4.809009,
        6.376498,
        3.78673,
        -2.273504,
        -2.930801,
        -2.739491,
        -1.782914,
        -1.673293,
        -1.669435,
        -1.655219,
        -1.377215,
    ],
    6: [
        -3.570721,
        -2.623009,
        -2.683658,
        -3.303484,
        4.567931,
        6.475375,
        3.312666,
        2.566985,
        3.512341,
        -1.425995,
        -1.299354,
        -1.515848,
    ],
    12: [
        -3.299973,
        -3.002664,
        -2.917683,
        -2.615656,
        -2.131383,
        -1.242266,
        0.908836,
        1.473114,
        -0.592058,
        -1.368766,
        -2.134048,
        -2.357317,
    ],
}
MFCC = {
    0: [
        -0.608794,
        6.475267,
        3.662209,
        -1.941466,
        -5.249311,
        0.025692,
        -0.743497,
        -1.516855,
        -1.328189,
        -0.148879,
        -0.009095,
        -0.096576,
        -0.202113,
        0.036647,
        0.361273,
    ],
    6: [
        1.15852,
        -2.951075,
        -9.513883,
        0.536578,
        3.041361,
        -0.013986,
        -1.267081,
        -0.874876,
        2.351193,
        1.068583,
        -0.351655,
        0.323226,
        0.643687,
        -0.211627,
        -0.57751,
    ],
    12: [
        -5.565617,
        -2.391507,
        -3.506195,
        2.209567,
        0.531547,
        -1.719967,
        0.717184,
        0.76535,
        -0.950309,
        -0.244908,
        -0.228486,
        0.07022,
        -0.169996,
        -0.159545,
        0.17554,
    ],
}


def chirp() -> Any:
    n = np.arange(1000)
    low = 0.4 * np.sin(2 * np.pi * (300 + 0.6 * n) * n / RATE)
    return low + 0.1 * np.cos(2 * np.pi * 1800 * n / RATE) * (n > 500) + 0.02 * np.sin(1.7 * n * n)


def node(kind: Any, size: int, **more: Any) -> AudioInput:
    return AudioInput("input.a", "a", RATE, kind, size, WINDOW, HOP, **more)


@pytest.mark.parametrize("back_end", ["reference", "torch"])
@pytest.mark.parametrize(
    ("sound", "expected", "places"),
    [
        (node("magnitude", 129), MAGNITUDES, [3, 10, 20, 57]),
        (node("log_mel", 12, **BANDS), LOG_MEL, range(12)),
        (node("mfcc", 5, deltas=2, **BANDS), MFCC, range(15)),
    ],
    ids=["magnitude", "log_mel", "mfcc"],
)
def test_features_are_those_of_librosa(
    back_end: str, sound: AudioInput, expected: dict[int, list[float]], places: Any
) -> None:
    samples = chirp()
    if back_end == "torch":
        module = Audio(replace(sound, normalize="none")).eval()
        batch = torch.from_numpy(np.pad(samples, (0, 130))[None]).float()
        found = module(batch, torch.tensor([1000])).values[:13, 0].numpy()
    else:
        found = features(sound, samples)
        assert len(found) == 13
    for window, values in expected.items():
        np.testing.assert_allclose(found[window][list(places)], values, atol=1e-4)


@pytest.mark.parametrize("features", [{"mfcc": 12, "deltas": 2}, {"log_mel": 12}])
def test_silence_is_not_made_of_rounding(features: dict[str, int]) -> None:
    """By mean and deviation of the row silence is 0, whatever stands beside it in the batch: the
    cepstrum of silence is rounding, whose own deviation says nothing."""
    spec = Spec.model_validate(
        spec_data(Path("rows.jsonl"), features=features, normalize="utterance")
    )
    facts = Facts(9, {"audio": unscaled(features)}, {"kind": ClassFacts(("a", "b"), (5, 4))})
    plan = resolve(spec, facts)
    model = Model(plan)
    model.start(facts, seed=0)
    session = Session(to_onnx(plan, facts, model.canonical_arrays()).SerializeToString())
    silence, noise = np.zeros(1000, np.float32), np.random.default_rng(0).normal(size=3000)
    rows = [silence, np.full(1000, 1e-7, np.float32), noise.astype(np.float32)]
    sound = plan.inputs[0]
    assert isinstance(sound, AudioInput)
    assert np.abs(audio(sound, {}, np.zeros(1000))).max() < 1e-9
    alone = session.run(padded(rows[:1]))["kind.probabilities"]
    beside = session.run(padded(rows))["kind.probabilities"]
    np.testing.assert_allclose(beside[:2], np.repeat(alone, 2, axis=0), atol=1e-5)
    (module,) = (each for each in model.modules() if isinstance(each, Audio))
    batch = padded(rows)
    found = module(*map(torch.from_numpy, (batch["audio"], batch["audio.lengths"]))).values
    assert found[:13, :2].abs().max() < 5e-3


def padded(rows: list[Any]) -> dict[str, Any]:
    found = np.zeros((len(rows), max(map(len, rows))), np.float32)
    for row, samples in zip(found, rows, strict=True):
        row[: len(samples)] = samples
    return {"audio": found, "audio.lengths": np.array(list(map(len, rows)))}


def unscaled(features: dict[str, int]) -> NumericFacts:
    width = 12 * (1 + features.get("deltas", 0))
    return NumericFacts(width, (0.0,) * width, (1.0,) * width, 100)


def test_the_matrix_of_the_file_is_the_transform() -> None:
    sound, draw = node("power", 129), np.random.default_rng(0)
    window = draw.normal(size=WINDOW)
    real, imaginary = (fourier(sound) @ window).reshape(2, -1)
    expected = np.fft.rfft(window * taper(WINDOW), 256)
    np.testing.assert_allclose(real + 1j * imaginary, expected, atol=1e-12)


# ---------------------------------------------------------------- files


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Files of noise: mono and stereo, of the rate and of twice the rate."""
    draw = np.random.default_rng(0)
    (tmp_path / "wav").mkdir()
    for number in range(6):
        values = (0.2 * draw.normal(size=300 + 50 * number)).clip(-1, 1)
        soundfile.write(tmp_path / "wav" / f"{number}.wav", values, RATE, subtype="PCM_16")
    both = np.stack([values, -values / 2], 1)
    soundfile.write(tmp_path / "both.flac", both, RATE, subtype="PCM_16")
    soundfile.write(tmp_path / "fast.wav", np.sin(np.arange(1600) * 0.1), 2 * RATE)
    (tmp_path / "text.wav").write_text("no sound")
    return tmp_path


def test_channels_are_mixed_or_the_first(sounds: Path) -> None:
    first = read_file(sounds / "both.flac", AudioReading(RATE, "first"))
    mean = read_file(sounds / "both.flac", AudioReading(RATE))
    np.testing.assert_allclose(mean, first / 4, atol=1e-4)
    assert first.dtype == np.float32 and len(first) == 550


def test_other_rates_are_resampled_if_asked(sounds: Path) -> None:
    found = read_file(sounds / "fast.wav", AudioReading(RATE, resample="soxr"))
    assert len(found) == 800
    np.testing.assert_allclose(found[100:700], np.sin(np.arange(100, 700) * 0.2), atol=2e-3)


@pytest.mark.parametrize(
    ("cell", "textual", "message"),
    [
        ("x" * 3000, False, "x…, which cannot be read: File name too long"),
        ("noise.raw", False, "cannot be read as sound (samplerate must be specified)"),
        ("cut.wav", False, "cut.wav, which breaks off before the end that its header states"),
        ("open.wav", False, "is not finished: its header states no samples, and more follows"),
        ("long.flac", False, "cannot be read as sound"),
        ("loud.wav", False, "loud.wav, which holds a sample of 1e+06, and samples are 1 at the"),
        ([3e5], False, "holds a sample of 3e+05, and samples are 1 at the loudest: divide them"),
        ("nan.wav", False, "holds samples that are not finite"),
        ("fast.wav", False, "16000 samples a second, and the input reads 8000; set rate to 16000"),
        ("none.wav", False, "is not there; paths in a data file are relative to it"),
        ("wav", False, "is a folder"),
        ("text.wav", False, "cannot be read as sound"),
        (3, False, "is the number 3, expected the path of a wav or flac file, or a list"),
        (None, False, "is null"),
        ("", True, "expected the path of a wav or flac file"),
        ([0.5, "x"], False, "number"),
        ("[0.5, x]", True, "is not JSON"),
    ],
)
def test_what_is_no_sound_is_refused(
    sounds: Path, cell: object, textual: bool, message: str
) -> None:
    broken_files(sounds)
    with pytest.raises(DataError) as caught:
        samples_of(cell, textual, AudioReading(RATE), sounds)
    assert message in str(caught.value)


def broken_files(folder: Path) -> None:
    whole = (folder / "fast.wav").read_bytes()
    size = whole.index(b"data") + 4
    (folder / "noise.raw").write_bytes(bytes(100))
    (folder / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "open.wav").write_bytes(whole[:size] + bytes(4) + whole[size + 4 :])
    soundfile.write(folder / "loud.wav", np.full(9, 1e6), RATE, subtype="FLOAT")
    soundfile.write(folder / "nan.wav", np.full(9, np.nan), RATE, subtype="FLOAT")
    soundfile.write(folder / "long.flac", np.zeros(99), RATE)
    flac = bytearray((folder / "long.flac").read_bytes())
    flac[21:26] = b"\x0f" + b"\xff" * 4  # of the number of samples in STREAMINFO: 2^36 - 1
    (folder / "long.flac").write_bytes(flac)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 3200 + 44])
def test_headers_may_state_more_than_there_is(size: int, sounds: Path) -> None:
    """Of a stream the length was not known; some programs count the header in."""
    whole = (sounds / "fast.wav").read_bytes()
    at = whole.index(b"data") + 4
    (sounds / "fast.wav").write_bytes(whole[:at] + size.to_bytes(4, "little") + whole[at + 4 :])
    assert len(read_file(sounds / "fast.wav", AudioReading(2 * RATE))) == 1600


@pytest.mark.parametrize("library", ["soundfile", "soxr"])
def test_a_missing_library_is_named(
    library: str, sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(DataError) as caught:
        read_file(sounds / "fast.wav", AudioReading(RATE, resample="soxr"))
    assert f"needs {library} to re" in str(caught.value)
    assert "pip install 'rnnspec[audio]'" in str(caught.value)


def test_a_missing_library_is_named_once(sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = write_rows(sounds / "rows.jsonl", written_rows(sounds))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(DataError) as caught:
        survey(Spec.model_validate(spec_data(rows)), rows)
    said = f"{rows}:1: column 'audio' needs soundfile to read files of sound; pip install"
    assert str(caught.value) == f"{said} 'rnnspec[audio]'"


def test_bad_files_are_told_by_line(sounds: Path) -> None:
    """With the cure: a rate, or resampling."""
    cells = ["wav/0.wav", "fast.wav", "gone.wav"]
    rows = write_rows(sounds / "rows.jsonl", [{"audio": cell, "kind": "a"} for cell in cells])
    with pytest.raises(DataError) as caught:
        survey(Spec.model_validate(spec_data(rows)), rows)
    said = str(caught.value)
    assert f"{rows}:2: column 'audio' names {sounds / 'fast.wav'}" in said
    assert "set resample of the input to soxr" in said
    assert f"{rows}:3: column 'audio' names {sounds / 'gone.wav'}, which is not" in said


def spec_data(train: Path, **more: Any) -> dict[str, Any]:
    sound = {"column": "audio", "as": "audio", "rate": RATE, "features": {"log_mel": 8}, **more}
    return {
        "name": "sounds",
        "cardinality": "N:1",
        "data": {"train": str(train), "input": sound, "output": {"column": "kind", "as": "class"}},
        "encoder": {"layers": [{"cell": "gru", "units": 4}]},
        "train": {"epochs": 1, "batch": 2, "device": "cpu"},
    }


def written_rows(folder: Path) -> list[dict[str, Any]]:
    paths = [{"audio": f"wav/{number}.wav", "kind": "ab"[number % 2]} for number in range(6)]
    return [*paths, {"audio": [0.5, -0.25, 0.125], "kind": "a"}, {"audio": [], "kind": "b"}]


def test_samples_of_paths_and_of_lists(sounds: Path) -> None:
    rows = write_rows(sounds / "rows.jsonl", written_rows(sounds))
    spec = Spec.model_validate(spec_data(rows))
    facts = survey(spec, rows)
    plan = resolve(spec, facts)
    cache = sounds / "cache"
    data = encode(plan, facts, rows, "jsonl", cache)
    samples, lengths = data.collate(np.array([2, 6, 7])).inputs["audio"]
    assert lengths.tolist() == [400, 3, 0]
    assert samples.shape == (3, 400) and samples[1, :4].tolist() == [0.5, -0.25, 0.125, 0]
    expected, _ = soundfile.read(sounds / "wav" / "2.wav", dtype="float32")
    np.testing.assert_array_equal(samples[0], expected)
    assert data.lengths(np.arange(8)).tolist() == [4, 5, 5, 6, 7, 7, 1, 0]  # windows
    soundfile.write(sounds / "wav" / "2.wav", expected / 2, RATE, subtype="PCM_16")
    again = encode(plan, facts, rows, "jsonl", cache).collate(np.array([2])).inputs["audio"][0]
    np.testing.assert_allclose(again[0], expected / 2, atol=1e-4)


def test_one_row_is_in_memory_at_a_time(sounds: Path) -> None:
    """A file is read when it is asked for: those of a chunk may be more than memory holds."""
    sound = node("log_mel", 8, bands=8, highest=4000.0)
    chunk = Chunk(0, [1, 2], {"a": ["wav/0.wav", "wav/1.wav"]})
    seen: list[Path] = []
    rows = AudioCells(sound).samples(chunk, BadRows(sounds / "rows.jsonl"), seen.append)
    assert len(next(rows)) == 300 and seen == [sounds / "wav/0.wav"]


def test_facts_are_of_all_windows(sounds: Path) -> None:
    rows = write_rows(sounds / "rows.jsonl", written_rows(sounds))
    spec = Spec.model_validate(spec_data(rows))
    facts = survey(spec, rows)
    sound = resolve(spec, facts).inputs[0]
    assert isinstance(sound, AudioInput)
    reading = AudioReading(RATE)
    cells = [row["audio"] for row in written_rows(sounds)]
    steps = [
        features(sound, samples_of(cell, False, reading, sounds).astype(np.float64))
        for cell in cells
    ]
    every = np.concatenate(steps)
    known: Any = facts.inputs["audio"]
    np.testing.assert_allclose(known.mean, every.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(known.deviation, every.std(axis=0), rtol=1e-6)
    assert known.longest == 7


def test_from_spec_to_answers(sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are relative to the file of rows, in training and for `rnnspec run`."""
    rows = write_rows(sounds / "rows.jsonl", written_rows(sounds))
    augment = {"gain": 6, "noise": 20, "crop": 0.2, "time_masks": 1, "frequency_masks": 1,
               "frequency_mask": 3}  # fmt: skip
    data = spec_data(rows, augment=augment)
    data["data"]["valid"] = str(write_rows(sounds / "valid.jsonl", written_rows(sounds)))
    (sounds / "spec.yaml").write_text(json.dumps(data))
    elsewhere = sounds / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    right("build", "../spec.yaml")
    report = Path("builds/sounds/001/report.html").read_text(encoding="utf-8")
    assert "wav/3.wav, 0.0563 s of sound" in report
    right("export", "--onnx", "builds/sounds/001")
    model = "builds/sounds/001/sounds.onnx"
    answers = right("run", model, "--data", rows).splitlines()
    assert len(answers) == 8 and all(" → " in line for line in answers)
    right("run", model, "--input", "audio=../wav/3.wav")
    paths = [{"audio": cell} for cell in ("wav/3.wav", "wav/\0.wav", "wav/3.wav")]
    odd = write_rows(sounds / "odd.jsonl", paths)
    assert len(rnnspec("run", model, "--data", odd, "--on-error", "skip").out.splitlines()) == 2
    said = wrong("run", model, "--input", "audio=none.wav")
    assert "names none.wav, which is not there" in said


def test_other_sounds_are_not_resumed(sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what is in them, wherever they are."""
    write_rows(sounds / "rows.jsonl", written_rows(sounds))
    data = spec_data(Path("rows.jsonl"), normalize="utterance")
    data["data"]["valid"] = 0.5
    (sounds / "spec.yaml").write_text(json.dumps(data))
    monkeypatch.chdir(sounds)
    right("build", "spec.yaml", "--no-train")
    folder = BuildFolder(Path("builds/sounds/001"))
    folder.write_state({**folder.read_state(), "state": "stopped"})
    whole = Path("wav/3.wav").read_bytes()
    Path("wav/3.wav").write_bytes(whole[:-2] + b"\1\1")
    said = wrong("build", "spec.yaml", "--resume")
    assert "have changed since it was begun (sounds or pictures that they name); put them" in said
    Path("wav/3.wav").write_bytes(whole)
    moved = sounds / "moved"
    moved.mkdir()
    for each in ("wav", "builds", "rows.jsonl", "spec.yaml"):
        (sounds / each).rename(moved / each)
    monkeypatch.chdir(moved)
    assert "built builds/sounds/001" in right("build", "spec.yaml", "--resume")
