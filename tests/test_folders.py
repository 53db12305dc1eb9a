"""Data as a folder for each class: its rows, their order, and what is told of other files."""

from __future__ import annotations

import json
import os
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rnnspec.cli import rows
from rnnspec.data import encode, survey
from rnnspec.data.how import How
from rnnspec.data.readers import read
from rnnspec.data.reading import Reading
from rnnspec.data.shards import Shards, find_shards, find_sources
from rnnspec.errors import DataError
from rnnspec.plan import ClassFacts, resolve
from rnnspec.spec import Spec
from tests.data_rows import any_spec
from tests.test_pictures import pixels

SOUND = {"as": "audio", "rate": 8000, "features": {"raw": True, "window": "2 ms", "hop": "2 ms"}}
KINDS: dict[str, dict[str, Any]] = {
    "audio": SOUND,
    "image": {"as": "image", "height": 3},
    "video": {"as": "video", "height": 2, "width": 3},
}


def spec_of(train: str, kind: str = "image", **data: Any) -> Spec:
    return Spec.model_validate({
        "name": "folders", "cardinality": "N:1",
        "data": {
            "train": train,
            "input": {"column": "file", **KINDS[kind]},
            "output": {"column": "folder", "as": "class"},
            **data,
        },
        "encoder": {"layers": [{"cell": "gru", "units": 3}]},
    })  # fmt: skip


def picture(file: Path, wide: int = 4) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(3, wide, seed=wide)).save(file)
    return file


def classes_in(root: Path) -> Path:
    """Two pictures of each of the classes 9 and 10, one of b, and hidden files."""
    for number, name in enumerate(("10/2.png", "10/10.png", "9/a.png", "9/B.png", "b/x.png")):
        picture(root / name, number + 1)
    for hidden in (root / ".DS_Store", root / "b" / "_notes.txt"):
        hidden.write_text("left out")
    return root


def files_and_classes(root: Path | Shards, **how: Any) -> list[tuple[object, object]]:
    chunks = list(read(root, ["file", "folder"], How(holds="image", **how)))
    assert not any(chunk.textual for chunk in chunks)
    return [pair for each in chunks for pair in zip(*each.cells.values(), strict=True)]


def test_classes_and_files_come_in_order(tmp_path: Path) -> None:
    """Sorted by their names, numbers in them by their value."""
    root = classes_in(tmp_path / "all")
    assert files_and_classes(root) == [
        ("all/9/B.png", "9"), ("all/9/a.png", "9"), ("all/10/2.png", "10"),
        ("all/10/10.png", "10"), ("all/b/x.png", "b"),
    ]  # fmt: skip


def test_several_folders_follow_one_another(tmp_path: Path) -> None:
    picture(tmp_path / "one" / "k" / "1.png")
    picture(tmp_path / "two" / "k" / "1.png")
    files = find_shards(["two", "one"], tmp_path)
    assert files_and_classes(files) == [("two/k/1.png", "k"), ("one/k/1.png", "k")]


def test_they_are_encoded_and_read_again_where_they_change(tmp_path: Path) -> None:
    root = classes_in(tmp_path / "all")
    spec = spec_of("all")
    sources = find_sources(spec.data, tmp_path)
    facts = survey(spec, sources.train)
    labels = facts.outputs["folder"]
    assert isinstance(labels, ClassFacts) and labels.labels == ("10", "9", "b")
    plan = resolve(spec, facts)

    def widths() -> list[int]:
        shards = find_sources(spec.data, tmp_path).train
        data = encode(plan, facts, shards, Reading.of(spec), tmp_path / "cache")
        return [int(n) for n in data.collate(np.arange(data.rows)).inputs["file"][1]]

    assert widths() == [4, 3, 1, 2, 5]
    picture(root / "10" / "11.png", 7)
    assert widths() == [4, 3, 1, 2, 7, 5]
    picture(root / "b" / "x.png", 9)
    os.utime(root / "b" / "x.png", ns=(0, 0))
    assert widths() == [4, 3, 1, 2, 7, 9]


def test_rows_are_named_by_their_files(tmp_path: Path) -> None:
    """In errors and in reports; of files of rows by their lines."""
    files = find_shards(["all"], classes_in(tmp_path / "all").parent)
    assert files.in_folders(4) == "10/10.png"
    assert files.place(4) == str(tmp_path / "all" / "10" / "10.png")
    (tmp_path / "rows.jsonl").write_text("{}")
    assert find_shards(["rows.jsonl"], tmp_path).in_folders(1) == ""


def test_a_share_keeps_rows_of_each_class(tmp_path: Path) -> None:
    for kind in "ab":
        for number in range(8):
            picture(tmp_path / "all" / kind / f"{number}.png")
    spec = spec_of("all", valid=0.25)
    sources = find_sources(spec.data, tmp_path)
    facts = survey(spec, sources.train)
    labels = facts.outputs["folder"]
    assert isinstance(labels, ClassFacts) and labels.counts == (6, 6)


def test_sounds_and_videos(tmp_path: Path) -> None:
    for kind in "ab":
        (tmp_path / "sounds" / kind).mkdir(parents=True)
        with wave.open(str(tmp_path / "sounds" / kind / "1.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(b"\1\2" * 160)
        picture(tmp_path / "videos" / kind / "clip" / "1.png")
        np.save(tmp_path / "videos" / kind / "other.npy", pixels(2, 2, 3))
    for name, kind, count in (("sounds", "audio", 2), ("videos", "video", 4)):
        spec = spec_of(name, kind)
        assert survey(spec, find_sources(spec.data, tmp_path).train).rows == count


@pytest.mark.parametrize(
    ("stray", "kind", "message"),
    [
        ("all/note.md", "image", "note.md: stands beside the folders of the classes; move it into"),
        ("all/b/note.md", "image", "all/b/note.md: is not a picture (png, jpeg, npy); remove it"),
        ("all/b/more/1.png", "image", "all/b/more: is not a picture (png, jpeg, npy); remove it"),
        ("all/b/1.png", "audio", "all/b/1.png: is not a file of sound (wav, flac); remove it"),
        (
            "all/b/2.png",
            "video",
            "all/b/2.png: is not a folder of pictures or an .npy file; remove",
        ),
        ("all/empty/.hidden", "image", "all/empty: the folder of the class 'empty' is empty; put"),
        ("all/b/broken.png", "image", "all/b/broken.png: column 'file' names "),
    ],
)
def test_other_files_are_told(stray: str, kind: str, message: str, tmp_path: Path) -> None:
    classes_in(tmp_path / "all")
    (tmp_path / stray).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / stray).write_text("no picture")
    spec = spec_of("all", kind)
    with pytest.raises(DataError) as caught:
        survey(spec, find_sources(spec.data, tmp_path).train)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"output": {"column": "kind", "as": "class"}}, "there is no column 'kind'; "),
        ({"input": {"column": "file", "as": "chars"}}, "read the column 'file' as audio, image or"),
        ({"train": "all/b/x.png", "format": "folders"}, "is a file; name the folder that holds"),
        ({"train": "all/*", "format": "folders"}, "is a pattern; name the folder that holds"),
        ({"train": "nothing", "format": "folders"}, "no folder"),
    ],
)
def test_what_is_no_folder_of_classes_is_told(data: Any, message: str, tmp_path: Path) -> None:
    classes_in(tmp_path / "all")
    (tmp_path / "nothing").mkdir()
    spec = spec_of(**{"train": "all", **data})
    with pytest.raises(DataError) as caught:
        survey(spec, find_sources(spec.data, tmp_path).train)
    assert message in str(caught.value)


def test_a_folder_of_pictures_without_classes_is_told(tmp_path: Path) -> None:
    picture(tmp_path / "all" / "1.png")
    spec = spec_of("all")
    with pytest.raises(DataError, match=r"1\.png: is no file of rows; put the files of each class"):
        survey(spec, find_sources(spec.data, tmp_path).train)


def test_folders_of_files_of_rows_are_none(tmp_path: Path) -> None:
    (tmp_path / "rows" / "2024").mkdir(parents=True)
    (tmp_path / "rows" / "2024" / "a.jsonl").write_text("{}")
    with pytest.raises(DataError, match="is a folder within the folder of data files"):
        find_shards(["rows"], tmp_path)


class Reads:
    """As much of a model in a file as the rows of a file need."""

    columns = ()

    def __init__(self, kind: str) -> None:
        self.inputs = [type("Column", (), {"column": "file", "kind": kind})()]


def asked(files: Shards, kind: str) -> list[object]:
    how = How(holds="image" if kind == "image" else None)
    found = rows.from_file(Reads(kind), files, how)  # type: ignore[arg-type]
    return [each.row["file"] for each in found if isinstance(each.row, dict)]


def test_run_reads_them(tmp_path: Path) -> None:
    """Of each file the path from the working folder."""
    root = classes_in(tmp_path / "all")
    found = asked(find_shards([str(root)]), "image")
    assert found[:2] == [str(root / "9" / "B.png"), str(root / "9" / "a.png")]


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_run_reads_lists_of_frames(ending: str, tmp_path: Path) -> None:
    """Their paths are relative to the file that names them."""
    frames, rest = ["a.png", "b/c.png"], [[[1, 2]]]
    if ending == "jsonl":
        texts = [json.dumps({"file": each}) for each in (frames, rest)]
    else:
        texts = [
            "file",
            *('"' + json.dumps(each).replace('"', '""') + '"' for each in (frames, rest)),
        ]
    file = tmp_path / f"rows.{ending}"
    file.write_text("\n".join(texts))
    one, other = asked(find_shards([str(file)]), "video")
    placed = [str(tmp_path / each) for each in frames]
    assert (json.loads(str(one)) if ending == "csv" else one) == placed
    assert (json.loads(str(other)) if ending == "csv" else other) == rest


def test_files_of_text_are_rows(tmp_path: Path) -> None:
    texts = {"ham/1.txt": "Grüße", "ham/2.txt": "ja\nnein", "spam/1.txt": "jetzt"}
    for name, text in texts.items():
        (tmp_path / "mail" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mail" / name).write_text(text, encoding="latin-1")
    given = {"folders": {"encoding": "latin-1"}}
    words, kind = {"column": "text", "as": "words"}, {"column": "folder", "as": "class"}
    spec = any_spec("N:1", words, kind, format=given)
    shards = find_shards(["mail"], tmp_path)
    chunks = read(shards, ["text", "folder"], Reading.of(spec).how)
    found = [pair for each in chunks for pair in zip(*each.cells.values(), strict=True)]
    assert found == [(text, name.split("/")[0]) for name, text in texts.items()]
    before = shards.content
    (tmp_path / "mail" / "ham" / "1.txt").write_text("anders")
    assert find_shards(["mail"], tmp_path).content != before
    (tmp_path / "mail" / "ham" / "3.txt").write_bytes(b"\xff")
    with pytest.raises(DataError, match=r"3\.txt: is not utf-8: .*encoding: '…'"):
        list(read(find_shards(["mail"], tmp_path), ["text"]))
