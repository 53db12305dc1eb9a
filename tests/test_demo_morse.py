"""The Morse world: the same everywhere, read back from its sound by its own rules."""

from __future__ import annotations

import json
import wave
from itertools import groupby
from pathlib import Path
from random import Random

import numpy as np
import pytest

from rnnspec.demo import morse
from rnnspec.errors import OutputError

TABLE = "a .- b -... c -.-. e . q --.- s ... z --.."
"""Some letters as the recommendation has them."""


def test_the_code_is_that_of_the_recommendation() -> None:
    words = TABLE.split()
    assert {morse.CODE[letter] for letter in words[::2]} == set(words[1::2])
    assert len(set(morse.CODE.values())) == len(morse.CODE) == 26


def test_the_same_seed_gives_the_same_rows_and_fewer_begin_more() -> None:
    few, many = list(morse.rows(0, 3, "train")), list(morse.rows(0, 5, "train"))
    assert many[:3] == few and few != list(morse.rows(0, 3, "valid"))


def test_the_sound_says_the_text() -> None:
    """Read without the model: where the tone is loud the key is down; a mark above two dots is a
    dash, a pause above two dots parts letters."""
    names = {marks: letter for letter, marks in morse.CODE.items()}
    for row in morse.rows(3, 20, "test"):
        power = np.convolve(np.square(row.samples), np.ones(40) / 40, "same")
        loud = power > np.percentile(power, [5, 95]).mean()
        down = np.convolve(loud, np.ones(21) / 21, "same") > 0.5
        runs = [(on, len(list(run))) for on, run in groupby(down)]
        inner = runs[1:-1] if not runs[0][0] else runs
        dot = min(length for on, length in inner if on)
        read, letter = "", ""
        for on, length in inner:
            if on:
                letter += "." if length < 2 * dot else "-"
            elif length > 2 * dot:
                read, letter = read + names.get(letter, "?"), ""
        assert read + names.get(letter, "?") == row.text


def test_wav_files_are_as_the_standard_library_reads_them(tmp_path: Path) -> None:
    paths = morse.write(tmp_path / "morse", train=2, valid=1, test=1)
    first = json.loads(paths["train"].read_text(encoding="utf-8").splitlines()[0])
    row = next(morse.rows(0, 1, "train"))
    with wave.open(str(tmp_path / "morse" / first["audio"])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (2000, 1, 2)
        found = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767
    np.testing.assert_allclose(found, np.clip(row.samples, -1, 1), atol=2e-5)
    assert first["text"] == row.text
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        morse.write(tmp_path / "taken", train=1, valid=1, test=1)


def test_letters_are_as_long_as_their_marks() -> None:
    """e is one dot, t a dash of three, by the recommendation; within what a hand is uneven by."""
    for letter, dots in (("e", 1 + 4), ("t", 3 + 4)):
        count = len(list(morse.keyed(letter, Random("length"))))
        dot = Random("length").uniform(*morse.DOT) * morse.RATE
        assert dots * dot * (1 - morse.UNEVEN) - 3 <= count <= dots * dot * (1 + morse.UNEVEN) + 3
