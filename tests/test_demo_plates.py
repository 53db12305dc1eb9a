"""The plates world: the same everywhere, read back from its pixels without the model."""

from __future__ import annotations

import json
from itertools import groupby, pairwise
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from rnnspec.demo import plates
from rnnspec.demo.plates import Look, dots, photographed
from rnnspec.errors import OutputError

PLAIN = Look(dot=2.0, top=2.0)


def test_the_same_seed_gives_the_same_rows_and_fewer_begin_more() -> None:
    few, many = list(plates.rows(0, 3, "train")), list(plates.rows(0, 5, "train"))
    assert many[:3] == few and few != list(plates.rows(0, 3, "valid"))


def test_letters_have_the_shapes_of_a_dot_matrix() -> None:
    """T, by hand, and a 1, with a column of paper between them."""
    drawn = ["".join(" #"[dot] for dot in line) for line in dots("T1")]
    assert [line.rstrip() for line in drawn] == [
        "#####   #",
        "  #    ##",
        "  #     #",
        "  #     #",
        "  #     #",
        "  #     #",
        "  #    ###",
    ]  # fmt: skip
    assert len({tuple(map(tuple, dots(each))) for each in plates.FONT}) == len(plates.FONT)


def test_a_plate_without_noise_is_its_dots_enlarged() -> None:
    """Of dots of two pixels the middle between two pixels is a dot: their mean is at least half."""
    pixels = np.array([list(line) for line in photographed("H", PLAIN, Random(0))])
    assert pixels.shape == (plates.HIGH, 2 * 5 + 2 * plates.MARGIN)
    inside = pixels[2:16, 4:14].reshape(7, 2, 5, 2).mean(axis=(1, 3))
    assert ((inside < 128) == np.array(dots("H"), bool)).all()
    assert (pixels[:, :3] == 255).all() and (pixels[:1] == 255).all()


def test_the_pixels_say_as_many_letters_as_the_text() -> None:
    """Upright, columns with ink stand apart where letters do, and further apart where words do."""
    for text in ("AB 123", "9876 K", "HHH 00", "C 21 PX"):
        pixels = np.array([list(line) for line in photographed(text, PLAIN, Random(0))])
        runs = [(on, len(list(run))) for on, run in groupby((pixels < 100).max(axis=0).tolist())]
        assert sum(on for on, _ in runs) == len(text.replace(" ", ""))
        gaps = [length for on, length in runs[1:-1] if not on]
        words = [after == " " for letter, after in pairwise(text) if letter != " "]
        assert [gap >= 7 for gap in gaps] == words


def test_looks_differ_and_stay_in_the_picture() -> None:
    random = Random("looks")
    for _ in range(50):
        look = plates.look(random)
        assert look.top >= 1 and look.top + plates.DOTS * look.dot <= plates.HIGH - 1 + 1e-9
        assert look.paper - look.ink >= 70
    upright, slanted = (
        np.array([list(line) for line in photographed("1", one, Random(0))])
        for one in (PLAIN, Look(dot=2.0, top=2.0, slant=0.5))
    )
    where = [row.argmin() for row in slanted[4:14]]
    assert where == sorted(where, reverse=True) and where[0] - where[-1] == 4  # 9 rows, half each
    assert len({row.argmin() for row in upright[5:14]}) == 1


def test_texts_have_the_forms_of_plates() -> None:
    forms = set()
    for row in plates.rows(1, 60, "test"):
        forms.add("".join("A" if c.isalpha() else "9" if c.isdigit() else " " for c in row.text))
        assert set(row.text) <= set(plates.FONT)
    assert forms == set(plates.FORMS)


def test_png_files_are_as_pillow_reads_them(tmp_path: Path) -> None:
    paths = plates.write(tmp_path / "plates", train=2, valid=1, test=1)
    first = json.loads(paths["train"].read_text(encoding="utf-8").splitlines()[0])
    row = next(plates.rows(0, 1, "train"))
    image = Image.open(tmp_path / "plates" / first["picture"])
    assert image.mode == "L"
    assert np.asarray(image).tolist() == [list(line) for line in row.pixels]
    assert first["text"] == row.text
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        plates.write(tmp_path / "taken", train=1, valid=1, test=1)
