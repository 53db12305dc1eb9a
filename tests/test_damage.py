"""One byte changed in anything that is read back: said with exit code 2, or made again; never a
traceback, and never another answer."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest

from rnnspec.data.cache import INDEX, new_folder, open_folder
from rnnspec.errors import ModelFileError, RnnspecError
from rnnspec.run import Model
from rnnspec.run.seal import SEAL, is_damaged, sealed
from rnnspec.store.folder import BuildFolder, read_build
from tests.cli import exported_world, right, wrong

TRIES = 60
"""Places of a file at which a byte is changed."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported_world(tmp_path_factory.mktemp("world"))


def damaged(content: bytes, tries: int = TRIES) -> Iterator[bytes]:
    """`content` with one bit changed, at places spread over all of it, the first and last among
    them."""
    draw = random.Random(0)
    places = {0, len(content) - 1, *(draw.randrange(len(content)) for _ in range(tries - 2))}
    for place in sorted(places):
        yield (
            content[:place]
            + bytes([content[place] ^ 1 << draw.randrange(8)])
            + content[place + 1 :]
        )


# ---------------------------------------------------------------- build folders


def read_back(folder: BuildFolder) -> None:
    read_build(folder)
    folder.read_state()


@pytest.mark.parametrize(
    "name",
    [
        "build.json",
        "spec.yaml",
        "facts.json",
        "digests.json",
        "weights.safetensors",
        "vocabulary/input.text.json",
        "vocabulary/output.colour.json",
    ],
)
def test_a_changed_byte_in_a_build_is_said(built: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(built / "builds" / "colours" / "001", tmp_path / "b")
    folder, file = BuildFolder(tmp_path / "b"), tmp_path / "b" / name
    read_build(folder)
    for content in damaged(file.read_bytes()):
        file.write_bytes(content)
        with pytest.raises(RnnspecError, match=r"damaged|build again"):
            read_back(folder)


def test_the_command_line_says_it_in_a_sentence(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built / "builds" / "colours" / "001", tmp_path / "b")
    facts = tmp_path / "b" / "facts.json"
    facts.write_text(facts.read_text().replace('"longest": ', '"longest": 1', 1))
    for command in (("evaluate",), ("export", "--onnx"), ("show",)):
        said = wrong(command[0], tmp_path / "b", *command[1:])
        assert said == (
            f"error: {facts}: does not hold what was written (its digest differs); the build "
            "folder is damaged: build again\n"
        )


# ---------------------------------------------------------------- the cache


def arrays_in(folder: Path) -> None:
    with new_folder(folder) as writer:
        writer.column("numbers", np.int64).append(np.arange(1000))
        writer.column("values", np.float32, 3).append(np.ones((20, 3), np.float32))
        writer.column("nothing", np.float32).append(np.zeros(0, np.float32))


@pytest.mark.parametrize("name", ["numbers", "values", INDEX])
def test_a_damaged_cache_is_made_again(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "key"
    arrays_in(folder)
    whole = (folder / name).read_bytes()
    found = open_folder(folder)
    assert found is not None and found["numbers"][999] == 999
    for content in damaged(whole):
        if not folder.exists():
            arrays_in(folder)
        (folder / name).write_bytes(content)
        assert open_folder(folder) is None and not folder.exists(), "so that it is made again"


def test_what_is_not_an_index_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "key"
    for content in ("", "null", "[]", "3", "{}", '{"arrays": {}}', '{"arrays": 1, "crc": 2}'):
        arrays_in(folder)
        (folder / INDEX).write_text(content)
        assert open_folder(folder) is None


def test_measuring_over_a_damaged_cache_gives_the_same(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "w")
    build, data = tmp_path / "w" / "builds" / "colours" / "001", tmp_path / "w" / "valid.jsonl"
    before = right("evaluate", build, "--data", data, "--json")
    for array in (tmp_path / "w" / "builds" / ".cache").glob("*/*"):
        content = bytearray(array.read_bytes())
        if content:
            content[len(content) // 2] ^= 1
            array.write_bytes(content)
    assert right("evaluate", build, "--data", data, "--json") == before


# ---------------------------------------------------------------- model files


def test_a_changed_byte_in_a_model_file_is_said(built: Path, tmp_path: Path) -> None:
    """But in the seal itself, where it changes nothing else."""
    whole, file = (built / "colours.onnx").read_bytes(), tmp_path / "colours.onnx"
    rows = [{"text": "apple sky"}, {"text": "lemon"}]
    expected = list(Model.load(built / "colours.onnx").answer(rows))
    refused = 0
    for content in damaged(whole, 150):
        file.write_bytes(content)
        try:
            assert list(Model.load(file).answer(rows)) == expected
        except ModelFileError:
            refused += 1
    assert refused >= 145
    file.write_bytes(whole[: len(whole) // 2])
    assert "error: " in wrong("run", file, "--text", "apple")


def test_the_seal_is_an_entry_of_the_metadata(built: Path) -> None:
    content = (built / "colours.onnx").read_bytes()
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model)
    assert model.metadata_props[-1].key == SEAL
    assert int(model.metadata_props[-1].value[:16], 16) == len(content) - (len(sealed(b"")))
    assert not is_damaged(content)


def test_a_file_that_another_tool_wrote_anew_is_read(built: Path, tmp_path: Path) -> None:
    model = onnx.load(built / "colours.onnx")
    model.doc_string = "told by a tool of the field"
    onnx.save(model, tmp_path / "other.onnx")
    rows = [{"text": "apple sky"}]
    expected = list(Model.load(built / "colours.onnx").answer(rows))
    assert list(Model.load(tmp_path / "other.onnx").answer(rows)) == expected


def mutations(text: str, tries: int) -> Iterator[str]:
    """Texts like `text`: with a character gone, another, one twice, or a value of another kind."""
    draw = random.Random(1)
    values = ["null", "-1", '"x"', "[]", "{}", "1e400", "true", "12345678901234567890"]
    for number in range(tries):
        at = draw.randrange(len(text))
        match number % 5:
            case 0:
                yield text[:at] + text[at + 1 :]
            case 1:
                yield text[:at] + draw.choice('{}[]",:x0') + text[at + 1 :]
            case 2:
                yield text[:at] + text[at] + text[at:]
            case 3:
                yield text[:at]
            case _:
                old = draw.choice(["0", "3", '"class"', '"words"', "null"])
                yield text.replace(old, draw.choice(values))


@pytest.mark.parametrize("key", ["rnnspec.inputs", "rnnspec.outputs", "rnnspec.spec"])
def test_damaged_metadata_end_in_a_sentence(built: Path, tmp_path: Path, key: str) -> None:
    """Of a file without a seal, as another tool may leave it."""
    model = onnx.load(built / "colours.onnx")
    kept = {e.key: e.value for e in model.metadata_props if e.key != SEAL}
    file = tmp_path / "m.onnx"
    for text in mutations(kept[key], 120):
        onnx.helper.set_model_props(model, {**kept, key: text})
        onnx.save(model, file)
        with suppress(RnnspecError):  # anything else fails the test
            for answer in Model.load(file).answer([{"text": "apple"}]):
                json.dumps(answer)
