"""Pictures: from files and arrays to the pixels that a model reads."""

from __future__ import annotations

import base64
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from rnnspec.data import encode, survey
from rnnspec.data.pictures import files_of, steps_of
from rnnspec.errors import DataError
from rnnspec.evaluate.pictures import png_of
from rnnspec.evaluate.score import evaluate_build
from rnnspec.plan import NumericFacts, Plan, resolve
from rnnspec.plan.facts import Facts
from rnnspec.plan.nodes import Picture
from rnnspec.report.model import Attention, Example, Examples, Report
from rnnspec.report.page import render
from rnnspec.spec import Spec
from rnnspec.store.folder import BuildFolder, Trained
from rnnspec.to_torch import Model
from tests.data_rows import write_rows

Bytes = NDArray[np.uint8]


def pixels(*shape: int, seed: int = 0) -> Bytes:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def of(cell: object, folder: Path = Path(), **sizes: Any) -> Bytes:
    settings = {"height": None, "width": None, "channels": 1, "steps": "columns", **sizes}
    return steps_of(cell, False, folder, Picture(**settings))


def test_columns_and_rows_are_steps() -> None:
    rows = [[1, 2, 3], [4, 5, 6]]
    assert of(rows, height=2)[..., 0].tolist() == [[1, 4], [2, 5], [3, 6]]
    assert of(rows, width=3, steps="rows")[..., 0].tolist() == rows


def test_arrays_have_channels_or_none() -> None:
    grey, colour = pixels(2, 3), pixels(2, 3, 3)
    assert (of(grey, height=2, channels=3) == grey.T[..., None]).all()
    assert (of(colour.tolist(), height=2, channels=3) == colour.transpose(1, 0, 2)).all()
    assert (of(grey[..., None].astype(float), height=2) == grey.T[..., None]).all()


def test_grey_is_that_of_pillow() -> None:
    colour = pixels(40, 50, 3)
    pillow = np.asarray(Image.fromarray(colour).convert("L"))
    assert (pillow == of(colour, height=40)[..., 0].T).all()
    by_hand = (19595 * 200 + 38470 * 100 + 7471 * 50 + 32768) // 65536
    assert of([[[200, 100, 50]]], height=1).item() == by_hand == 124


@pytest.mark.parametrize(
    ("sizes", "wide", "high"),
    [
        ({"height": 4}, 5, 4),  # 7 * 4 / 6 = 4.67
        ({"height": 4, "width": 9}, 9, 4),
        ({"width": 14, "steps": "rows"}, 14, 12),
        ({"height": 6}, 7, 6),
        ({"height": 1, "channels": 3}, 1, 1),
    ],
)
def test_resizing_is_that_of_pillow(sizes: dict[str, Any], wide: int, high: int) -> None:
    given = pixels(6, 7) if "channels" not in sizes else pixels(6, 7, 3)
    resized = Image.fromarray(given).resize((wide, high), Image.Resampling.BILINEAR)
    wanted = np.asarray(resized).reshape(high, wide, -1)
    found = of(given, **sizes)
    assert (found == (wanted if "steps" in sizes else wanted.transpose(1, 0, 2))).all()


def test_an_array_without_pixels_has_no_steps() -> None:
    cells: list[list[list[int]]] = [[], [[], []]]
    for empty in cells:
        assert of(empty, height=2, channels=3).shape == (0, 2, 3)
        assert of(empty, width=3, steps="rows").shape == (0, 3, 1)


def test_files(tmp_path: Path) -> None:
    grey = pixels(3, 5)
    Image.fromarray(grey).save(tmp_path / "a.png")
    Image.fromarray(grey).convert("P").save(tmp_path / "palette.png")
    np.save(tmp_path / "a.npy", grey)
    for name in ("a.png", "palette.png", "a.npy"):
        assert (of(name, tmp_path, height=3)[..., 0] == grey.T).all(), name
    smooth = np.add.outer(np.arange(16), np.arange(24)).astype(np.uint8) * 5
    Image.fromarray(smooth).save(tmp_path / "a.jpeg", quality=95)
    found = of("a.jpeg", tmp_path, height=16)[..., 0].T.astype(int)
    assert np.abs(found - smooth).max() < 6


@pytest.mark.filterwarnings("error")
def test_large_pictures_are_read_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 30)
    Image.fromarray(pixels(5, 7)).save(tmp_path / "large.png")
    assert of("large.png", tmp_path, height=5).shape == (7, 5, 1)
    Image.fromarray(pixels(9, 7)).save(tmp_path / "larger.png")
    with pytest.raises(DataError, match=r"larger.png, which cannot be read: Image size \(63 pix"):
        of("larger.png", tmp_path, height=5)


def test_transparent_pixels_are_white_and_pictures_are_turned(tmp_path: Path) -> None:
    clear = np.array([[[0, 0, 0, 0], [10, 20, 30, 255]]], np.uint8)
    Image.fromarray(clear).save(tmp_path / "clear.png")
    assert of("clear.png", tmp_path, height=1, channels=3)[:, 0].tolist() == [
        [255, 255, 255], [10, 20, 30],
    ]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    Image.fromarray(np.array([[10, 200]], np.uint8)).save(tmp_path / "turned.png", exif=exif)
    assert of("turned.png", tmp_path, height=2)[..., 0].tolist() == [[10, 200]]


def broken_arrays(folder: Path) -> None:
    """Files that end in .npy."""
    np.savez(folder / "archive.npz", np.zeros((2, 2)))
    (folder / "archive.npz").rename(folder / "archive.npy")
    np.save(folder / "one.npy", np.array(5))
    np.save(folder / "bright.npy", np.array([[[3]], [[300]]]))
    whole = (folder / "bright.npy").read_bytes()
    (folder / "header.npy").write_bytes(whole.replace(b"}", b"("))
    (folder / "large.npy").write_bytes(whole.replace(b"(2, 1, 1)", b"(2, 9999999999999, 1)"))


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            "broken.png",
            "names .*broken.png, which is broken, or no picture of a format that is read .PNG,",
        ),
        ("cut.png", "names .*cut.png, which is broken, or no picture"),
        ("text.npy", "names .*text.npy, which is no whole .npy file of numbers"),
        ("none.png", "names .*none.png, which is not there; paths in a data file are relative to"),
        ("archive.npy", "names .*archive.npy, which is no whole .npy file of numbers"),
        ("header.npy", "names .*header.npy, which is no whole .npy file of numbers"),
        ("large.npy", "names .*large.npy, which is no whole .npy file of numbers"),
        ("one.npy", "names .*one.npy, which has an array of one number"),
        ("moving.png", "names .*moving.png, which has 2 pictures; save the one that is meant"),
        ("wide.png", "has 100,001 steps, and a row may have 100,000"),
        ("broken.tif", "names .*broken.tif, which cannot be read: Missing dimensions"),
        ("deep.png", "deep.png, which has pixels of mode 'I;16'; save it with 8 bits a channel"),
        ("floats.npy", "floats.npy, which has a pixel of 0.5, expected whole numbers from 0 to"),
        ("", "the empty text ''|the text ''"),
        (None, "null"),
        ([[1, 2], [3]], "rows of pixels of unequal lengths"),
        ([[256]], "has a pixel of 256, expected whole numbers from 0 to 255; read other numbers"),
        ([["a"]], "has pixels that are no numbers"),
        ([[[1, 2]]], "has an array of 1 x 1 x 2, expected height x width"),
        ([1, 2], "has an array of 2, expected height x width"),
    ],
)
def test_what_is_no_picture_is_told(cell: object, message: str, tmp_path: Path) -> None:
    broken_arrays(tmp_path)
    shots = [Image.fromarray(pixels(2, 2, seed=seed)) for seed in (1, 3)]
    shots[0].save(tmp_path / "moving.png", save_all=True, append_images=shots[1:])
    Image.fromarray(np.zeros((1, 100_001), np.uint8)).save(tmp_path / "wide.png")
    Image.fromarray(pixels(2, 2)).save(tmp_path / "broken.tif")
    whole = (tmp_path / "broken.tif").read_bytes()
    nothing = b"\1\0" + b"\3\1\3\0\1\0\0\0\1\0\0\0" + bytes(4)  # a second picture without sizes
    second = whole[:118] + len(whole).to_bytes(4, "little") + whole[122:] + nothing
    (tmp_path / "broken.tif").write_bytes(second)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    Image.fromarray(pixels(20, 20)).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:200])
    (tmp_path / "text.npy").write_text("no array")
    Image.fromarray(np.array([[300]], np.uint16)).save(tmp_path / "deep.png")
    np.save(tmp_path / "floats.npy", np.array([[0.5]]))
    with pytest.raises(DataError, match=message):
        of(cell, tmp_path, height=1)


# ---------------------------------------------------------------- moving pictures


def moving(cell: object, folder: Path = Path(), **sizes: Any) -> Bytes:
    return of(cell, folder, **{"height": 2, "width": 3, "steps": "frames", **sizes})


def test_frames_are_steps_of_all_their_pixels(tmp_path: Path) -> None:
    """From a folder, in the order of the numbers in its names, an array on disk and a list."""
    frames = pixels(12, 2, 3)
    (tmp_path / "clip").mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "clip" / f"frame{number}.png")
        (tmp_path / "clip" / f"._frame{number}.png").write_bytes(b"as copied from a Mac")
    (tmp_path / "clip" / "notes.txt").write_text("no frame")
    np.save(tmp_path / "clip.npy", frames)
    for cell in ("clip", "clip.npy", frames.tolist(), frames[..., None]):
        assert (moving(cell, tmp_path)[..., 0] == frames.reshape(12, 6)).all()
    assert moving([]).shape == (0, 6, 1)


def test_frames_are_the_pictures_of_a_list(tmp_path: Path) -> None:
    """In the order of the list, relative to the file that names them; arrays may be among them."""
    frames = pixels(3, 2, 3)
    for number in (2, 10):
        Image.fromarray(frames[number % 3]).save(tmp_path / f"{number}.png")
    cell = ["10.png", "2.png", frames[0].tolist(), "10.png"]
    wanted = frames[[1, 2, 0, 1]].reshape(4, 6)
    assert (moving(cell, tmp_path)[..., 0] == wanted).all()
    picture = Picture(2, 3, 1, "frames")
    textual = steps_of(json.dumps(cell), True, tmp_path, picture)
    assert (textual[..., 0] == wanted).all()
    for written, is_text in ((cell, False), (json.dumps(cell), True)):
        found = files_of(written, is_text, tmp_path, picture)
        assert [path.name for path in found] == ["10.png", "2.png", "10.png"]


def test_frames_are_resized_and_have_channels() -> None:
    frames = pixels(2, 4, 6, 3)
    grey = [Image.fromarray(each).convert("L") for each in frames]
    wanted = [np.asarray(each.resize((3, 2), Image.Resampling.BILINEAR)) for each in grey]
    assert (moving(frames.tolist())[..., 0] == np.stack(wanted).reshape(2, 6)).all()
    assert (
        moving(frames, channels=3, height=4, width=6).tolist() == frames.reshape(2, 24, 3).tolist()
    )


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("empty", "names .*empty, which is a folder without pictures, which end in .bmp, .jpeg,"),
        ("none.npy", "names .*none.npy, which is not there"),
        ("a.png", "names .*a.png, which is neither a folder of pictures nor an .npy file"),
        ("bad", "names .*1.png, which is broken"),
        ("x" * 3000, "x…, which cannot be read: File name too long"),
        ("large.npy", "names .*large.npy, which is no whole .npy file of numbers"),
        ("one.npy", "names .*one.npy, which has a single number, expected frames x height x width"),
        ("bright.npy", "names .*bright.npy, which has a pixel of 300, .*, in frame 2"),
        ([[[1, 2], [3]]], "has rows of pixels of unequal lengths, in frame 1"),
        ([[[1]], [[300]]], "has a pixel of 300, .*, in frame 2"),
        ([[[1]], []], "has no pixels, in frame 2"),
        ([1], "in frame 1"),
        (["a.png", "none.png"], "names .*none.png, which is not there.*, in frame 2"),
        (None, "null"),
    ],
)
def test_what_is_no_video_is_told(cell: object, message: str, tmp_path: Path) -> None:
    broken_arrays(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".1.png").write_bytes(b"hidden")
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "1.png").write_bytes(b"")
    Image.fromarray(pixels(2, 3)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=message):
        moving(cell, tmp_path, height=1, width=1)


# ---------------------------------------------------------------- data files


def spec_of(file: Path, **more: Any) -> Spec:
    source = {"column": "image", "as": "image", "height": 3, **more}
    return Spec.model_validate({
        "name": "pictures", "cardinality": "N:1",
        "data": {"train": str(file), "input": source, "output": {"column": "kind", "as": "class"}},
        "encoder": {"layers": [{"cell": "gru", "units": 3}]},
    })  # fmt: skip


def pictures_in(folder: Path, ending: str = "jsonl") -> tuple[Path, list[Bytes]]:
    """A file of three rows, each with a picture in a folder beside it."""
    folder.mkdir(exist_ok=True)
    found = [pixels(3, wide, seed=wide) for wide in (4, 1, 6)]
    for at, picture in enumerate(found):
        Image.fromarray(picture).save(folder / f"{at}.png")
    rows: list[dict[str, Any]] = [{"image": f"{at}.png", "kind": "ab"[at % 2]} for at in range(3)]
    write_rows(folder / f"rows.{ending}", rows)
    return folder / f"rows.{ending}", found


def planned(file: Path, **more: Any) -> tuple[Plan, Facts]:
    facts = survey(spec_of(file, **more), file)
    return resolve(spec_of(file, **more), facts), facts


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_paths_are_relative_to_the_data_file(ending: str, tmp_path: Path) -> None:
    file, found = pictures_in(tmp_path / "data", ending)
    plan, facts = planned(file)
    data = encode(plan, facts, file, "auto", tmp_path / "cache")
    values, lengths = data.collate(np.arange(3)).inputs["image"]
    assert values.dtype == np.uint8 and values.shape == (3, 6, 3, 1)
    assert lengths.tolist() == [4, 1, 6]
    for row, picture in zip(values, found, strict=True):
        wide = picture.shape[1]
        assert (row[:wide, :, 0] == picture.T).all() and not row[wide:].any()


@pytest.mark.parametrize("invert", [False, True])
def test_mean_and_deviation_are_those_of_all_pixels(invert: bool, tmp_path: Path) -> None:
    file, found = pictures_in(tmp_path)
    _, facts = planned(file, scale="standard", invert=invert)
    flat = np.concatenate([each.ravel() for each in found]).astype(float)
    values = 255 - flat if invert else flat
    known = facts.inputs["image"]
    assert isinstance(known, NumericFacts) and known.longest == 6
    np.testing.assert_allclose([known.mean[0], known.deviation[0]], [values.mean(), values.std()])


def test_a_picture_that_changes_is_read_again(tmp_path: Path) -> None:
    file, found = pictures_in(tmp_path)
    plan, facts = planned(file)

    def first() -> Any:
        data = encode(plan, facts, file, "auto", tmp_path / "cache")
        return data.collate(np.arange(1)).inputs["image"][0][0, :, :, 0]

    assert (first() == found[0].T).all()
    Image.fromarray(255 - found[0]).save(tmp_path / "0.png")
    os.utime(tmp_path / "0.png", ns=(0, 0))
    assert (first() == 255 - found[0].T).all()
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_frame_that_changes_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "clip").mkdir()
    for number in range(2):
        Image.fromarray(pixels(3, 3, seed=number)).save(tmp_path / "clip" / f"{number}.png")
    file = write_rows(tmp_path / "rows.jsonl", [{"image": "clip", "kind": kind} for kind in "ab"])
    plan, facts = planned(file, **{"as": "video", "width": 3})

    def found() -> Any:
        data = encode(plan, facts, file, "auto", tmp_path / "cache")
        return data.collate(np.arange(2)).inputs["image"][0]

    assert found().shape == (2, 2, 9, 1)
    later = pixels(3, 3, seed=5)
    Image.fromarray(later).save(tmp_path / "clip" / "1.png")
    os.utime(tmp_path / "clip" / "1.png", ns=(0, 0))
    assert (found()[0, 1, :, 0] == later.reshape(-1)).all()


def test_the_same_rows_in_another_folder_have_their_own_pictures(tmp_path: Path) -> None:
    file, _ = pictures_in(tmp_path / "one")
    other, _ = pictures_in(tmp_path / "two")
    Image.fromarray(pixels(3, 2)).save(tmp_path / "two" / "0.png")
    plan, facts = planned(file)
    for each, steps in ((file, 4), (other, 2)):
        data = encode(plan, facts, each, "auto", tmp_path / "cache")
        assert data.collate(np.arange(1)).inputs["image"][1].tolist() == [steps]


def test_bad_pictures_are_named_by_line_and_path(tmp_path: Path) -> None:
    file, _ = pictures_in(tmp_path)
    (tmp_path / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"rows.jsonl:2: column 'image' names .*1.png, which"):
        planned(file)


def test_without_pillow_the_package_is_named_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, _ = pictures_in(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(DataError) as caught:
        planned(file)
    said = f"{file}:1: column 'image' needs Pillow to read picture files; pip install"
    assert str(caught.value) == f"{said} 'rnnspec[images]'"
    rows = [{"image": [[1, 2], [3, 4], [5, 6]], "kind": kind} for kind in "ab"]
    (tmp_path / "arrays.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert planned(tmp_path / "arrays.jsonl")[1].rows == 2


# ---------------------------------------------------------------- reports


@pytest.mark.parametrize("channels", [1, 3])
def test_pillow_reads_the_png_of_a_report(channels: int) -> None:
    given = pixels(5, 7, channels)
    steps = given.transpose(1, 0, 2)
    found = png_of(steps, Picture(5, None, channels, "columns"))
    image = Image.open(io.BytesIO(found))
    assert (np.asarray(image).reshape(5, 7, channels) == given).all()
    wide = png_of(pixels(1500, 2, channels), Picture(2, None, channels, "columns"))
    assert Image.open(io.BytesIO(wide)).size == (500, 1)
    assert png_of(steps[:0], Picture(5, None, channels, "columns")) == b""


def test_a_report_shows_what_was_read() -> None:
    png = png_of(pixels(4, 3, 1), Picture(3, None, 1, "columns"))
    rows = Examples("Rows", (Example("a picture of 4 x 3 pixels", "12", "17", picture=png),))
    page = render(Report("lines", sections=(rows,)))
    (address,) = re.findall(r'<img class="picture" src="data:image/png;base64,([^"]*)"', page)
    assert base64.b64decode(address) == png
    assert 'alt="a picture of 4 x 3 pixels"' in page


@pytest.mark.parametrize(("reduced", "count"), [(1, 9), (2, 6)])
def test_attention_maps_show_every_place(reduced: int, count: int, tmp_path: Path) -> None:
    """A picture of 3 x 3 pixels has 9 places and, of every second column, 6."""
    rows = [{"image": pixels(3, 3, seed=n).tolist(), "text": "ab"} for n in range(4)]
    file = write_rows(tmp_path / "rows.jsonl", rows)
    spec = Spec.model_validate({
        "name": "places", "cardinality": "N:M",
        "data": {
            "train": str(file), "input": {"column": "image", "as": "image", "height": 3},
            "output": {"column": "text", "as": "chars"},
        },
        "encoder": {"layers": [
            {"conv": 4, "size": [3, 3], "stride": [reduced, 1]}, {"squeeze": "places"},
        ]},
        "decoder": {"layers": [{"cell": "gru", "units": 4}], "attention": "additive",
                    "min_steps": 2, "max_steps": 3},
    })  # fmt: skip
    facts = survey(spec, file)
    plan = resolve(spec, facts)
    model = Model(plan)
    model.start(facts, seed=0)
    folder = BuildFolder(tmp_path)
    trained = Trained(folder, spec, plan, facts, model.eval().canonical_arrays())
    score = evaluate_build(trained, file).outputs["text"]
    (maps,) = [each for each in score.sections if isinstance(each, Attention)]
    (read,) = [each for each in score.sections if isinstance(each, Examples)]
    assert all(each.picture.startswith(b"\x89PNG") for each in read.examples)
    for each in maps.maps:
        assert each.source == ()
        assert {len(weights) for weights in each.weights} == {count}
        np.testing.assert_allclose([sum(weights) for weights in each.weights], 1, atol=1e-5)
