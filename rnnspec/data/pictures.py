"""Pictures: files and arrays to bytes `[height, width, channels]`, brought to the sizes of a spec.

Raises DataError without a place.
"""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rnnspec.data import decode
from rnnspec.data.named import check_file, load_npy, shown, what_is_at
from rnnspec.errors import DataError, MissingPackage
from rnnspec.plan.nodes import Picture

if TYPE_CHECKING:
    from PIL.Image import Image

Bytes = NDArray[np.uint8]
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM")
"""What Pillow is asked to read: none that starts another program, as EPS does."""
ENDINGS = frozenset(
    {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".npy"}
)
"""Of the files in a folder that are frames."""
BROKEN = (ValueError, SyntaxError, EOFError, TypeError, LookupError, OverflowError, struct.error)
"""What Pillow raises of broken files, beside OSError."""
MOVING = (
    "the path of a folder of pictures or of an .npy file, or a list of frames or of their paths"
)
EXPECTED = "the path of a picture, or a list of rows of whole numbers from 0 to 255"


def steps_of(cell: object, textual: bool, folder: Path, picture: Picture) -> Bytes:
    """The pixels `[T, features, channels]` of a cell: of the file that it names, else of the array
    that it holds, `[height, width]` or `[height, width, channels]`.

    A picture of another size is resized with Pillow's bilinear filter, which averages over all
    pixels that become one, as Pillow computes it, in whole numbers; a side that is not given keeps
    the proportions, rounded half up. An array without pixels has no steps.
    """
    if picture.steps == "frames":
        return _moving(cell, textual, folder, picture)
    path = decode.path_of(cell, textual)
    pixels = _array(cell, textual) if path is None else _pixels_of_file(folder / path, picture)
    pixels = _resized(_with_channels(pixels, picture.channels), picture)
    found = in_steps(pixels, picture)
    decode.check_length(len(found))
    return found


def in_steps(pixels: Bytes, picture: Picture) -> Bytes:
    """`[..., height, width, channels]`, of moving pictures `[..., T, height, width, channels]`, as
    `[..., T, features, channels]`."""
    if picture.steps == "frames":
        return pixels.reshape(*pixels.shape[:-3], picture.features, picture.channels)
    return np.swapaxes(pixels, -3, -2) if picture.steps == "columns" else pixels


def in_place(steps: Bytes, picture: Picture) -> Bytes:
    """The way back from `in_steps`."""
    if picture.steps == "frames":
        sides = (picture.height or 0, picture.width or 0, picture.channels)
        return steps.reshape(*steps.shape[:-2], *sides)
    return in_steps(steps, picture)


def files_of(cell: object, textual: bool, folder: Path, picture: Picture) -> list[Path]:
    """The files that a cell names, relative to `folder`: of moving pictures all frames."""
    path = decode.path_of(cell, textual)
    if path is None:
        return _listed(cell, textual, folder) if picture.steps == "frames" else []
    named = folder / path
    return _frames_in(named) if picture.steps == "frames" and _is_folder(named) else [named]


def _is_folder(path: Path) -> bool:
    try:
        return what_is_at(path) == "folder"
    except DataError as error:
        raise _named(path, error) from error


def _named(path: Path, error: DataError) -> DataError:
    return DataError(f"names {shown(path)}, which {error}")


def _listed(cell: object, textual: bool, folder: Path) -> list[Path]:
    """The files of a list of paths; none of a list of frames, or of something else."""
    if isinstance(cell, np.ndarray):
        return []
    paths = map(_path_of_frame, decode.json_list(cell, textual, MOVING))
    return [folder / path for path in paths if path is not None]


def _path_of_frame(frame: object) -> str | None:
    return decode.path_of(frame, False)


def _frames_in(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of their names, numbers in them by their value. Hidden
    files, which systems put beside others, are none."""
    try:
        listed = list(folder.iterdir())
    except OSError as error:
        raise _named(folder, DataError(f"cannot be read: {error.strerror}")) from error
    found = [each for each in listed if each.suffix.lower() in ENDINGS and each.name[0] != "."]
    if not found:
        endings = ", ".join(sorted(ENDINGS))
        raise _named(folder, DataError(f"is a folder without pictures, which end in {endings}"))
    return sorted(found, key=lambda file: (_by_value(file.name), file.name))


def _by_value(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _moving(cell: object, textual: bool, folder: Path, picture: Picture) -> Bytes:
    """The frames `[T, height * width, channels]` of a cell."""
    frames: Iterable[Bytes]
    path = decode.path_of(cell, textual)
    if path is None:
        listed = cell if isinstance(cell, np.ndarray) else decode.json_list(cell, textual, MOVING)
        frames = _frames_of(listed, folder, picture)
    elif _is_folder(folder / path):
        frames = (_pixels_of_file(file, picture) for file in _frames_in(folder / path))
    else:
        frames = _frames_of_file(folder / path, picture)
    found = [_resized(_with_channels(each, picture.channels), picture) for each in frames]
    decode.check_length(len(found))
    none = np.zeros((0, picture.height or 0, picture.width or 0, picture.channels), np.uint8)
    return in_steps(np.stack(found) if found else none, picture)


def _frames_of_file(file: Path, picture: Picture) -> Iterator[Bytes]:
    try:
        check_file(file)
        if file.suffix.lower() != ".npy":
            raise DataError("is neither a folder of pictures nor an .npy file")
        yield from _frames_of(load_npy(file), file.parent, picture)
    except DataError as error:
        raise _named(file, error) from error


def _frames_of(frames: Any, folder: Path, picture: Picture) -> Iterator[Bytes]:
    """Frames that are arrays, or paths of pictures, in their order. Raises DataError, with the
    number of the frame from 1."""
    if isinstance(frames, np.ndarray) and not frames.ndim:
        raise DataError("has a single number, expected frames x height x width")
    for number, frame in enumerate(frames, start=1):
        try:
            path = _path_of_frame(frame)
            pixels = (
                _array(frame, False) if path is None else _pixels_of_file(folder / path, picture)
            )
            if not pixels.size:
                raise DataError("has no pixels")
        except DataError as error:
            raise DataError(f"{error}, in frame {number}") from error
        yield pixels


def _pixels_of_file(file: Path, picture: Picture) -> Bytes:
    try:
        check_file(file)
        if file.suffix.lower() == ".npy":
            return _checked(load_npy(file))
        return _decoded(file, picture.channels)
    except MissingPackage:
        raise
    except DataError as error:
        raise _named(file, error) from error


def _decoded(file: Path, channels: int) -> Bytes:
    """The pixels of a picture file. Raises DataError, which does not name the file."""
    images = _pillow("to read picture files")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pixels beyond a hundred million, of odd EXIF data
            with images.open(file, formats=FORMATS) as opened:
                return _opened(opened, channels, images)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        formats = ", ".join(FORMATS)
        broken = f"is broken, or no picture of a format that is read ({formats})"
        raise DataError(reason if error.strerror else broken) from error
    except (*BROKEN, images.DecompressionBombError) as error:
        raise DataError(f"cannot be read: {error}") from error


def _opened(opened: Image, channels: int, images: Any) -> Bytes:
    """The pixels of a picture: turned as its EXIF says, transparent ones laid over white."""
    from PIL import ImageOps

    frames = getattr(opened, "n_frames", 1)
    if frames > 1 and opened.format != "MPO":  # a camera's JPEG with previews behind the picture
        raise DataError(
            f"has {frames} pictures; save the one that is meant, or read a folder of them as video"
        )
    image = ImageOps.exif_transpose(opened)
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise DataError(f"has pixels of mode {image.mode!r}; save it with 8 bits a channel")
    image = _opaque(image, images).convert("L" if channels == 1 else "RGB")
    return np.asarray(image).reshape(image.height, image.width, channels)


def _opaque(image: Image, images: Any) -> Image:
    if not image.has_transparency_data:
        return image
    white: Image = images.new("RGBA", image.size, "white")
    return images.alpha_composite(white, image.convert("RGBA"))  # type: ignore[no-any-return]


def _pillow(what: str) -> Any:
    """Pillow's module of images. Raises MissingPackage without it."""
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingPackage(f"needs Pillow {what}; pip install 'rnnspec[images]'") from error
    return Image


def _array(cell: object, textual: bool) -> Bytes:
    """The pixels that a cell holds."""
    rows = cell if isinstance(cell, np.ndarray) else decode.json_list(cell, textual, EXPECTED)
    try:
        return _checked(np.asarray(rows))
    except ValueError as error:
        raise DataError("has rows of pixels of unequal lengths") from error


def _checked(values: NDArray[Any]) -> Bytes:
    """An array as bytes `[height, width, channels]`."""
    if values.size == 0:
        return np.zeros((0, 0, 1), np.uint8)
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (1, 3)):
        shape = " x ".join(map(str, values.shape)) or "one number"
        raise DataError(
            f"has an array of {shape}, expected height x width, or height x width x 1 or 3 channels"
        )
    if values.dtype.kind not in "iuf":
        raise DataError(f"has pixels that are no numbers, expected {EXPECTED}")
    if values.dtype == np.uint8:
        return np.array(values).reshape(*values.shape[:2], -1)
    wrong = ~((values >= 0) & (values <= 255) & (values == np.floor(values)))
    if wrong.any():
        hint = "whole numbers from 0 to 255; read other numbers as frames, one step per list"
        raise DataError(f"has a pixel of {values[wrong][0]:g}, expected {hint}")
    return values.reshape(*values.shape[:2], -1).astype(np.uint8)


def _with_channels(pixels: Bytes, channels: int) -> Bytes:
    """Colour as grey, by Pillow's whole numbers for ITU-R 601, or grey as colour."""
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    weighted = pixels.astype(np.int64) @ np.array([19595, 38470, 7471])
    grey: Bytes = ((weighted + 32768) >> 16).astype(np.uint8)
    return grey[..., None]


def _resized(pixels: Bytes, picture: Picture) -> Bytes:
    """`[height, width, channels]` of the sizes that are given."""
    high, wide, channels = pixels.shape
    if not pixels.size:
        none = (picture.features, 0) if picture.steps == "columns" else (0, picture.features)
        return np.zeros((*none, picture.channels), np.uint8)
    height = picture.height or _in_proportion(high, wide, picture.width)
    width = picture.width or _in_proportion(wide, high, picture.height)
    if (height, width) == (high, wide):
        return pixels
    decode.check_length(height if picture.steps == "rows" else width)
    images = _pillow(f"to resize {wide} x {high} pixels to {width} x {height}")
    image = images.fromarray(pixels[..., 0] if channels == 1 else pixels)
    found: Bytes = np.asarray(image.resize((width, height), images.Resampling.BILINEAR))
    return found.reshape(height, width, channels)


def _in_proportion(side: int, other: int, wanted: int | None) -> int:
    """`side` where `other` becomes `wanted`, at least 1."""
    assert wanted is not None, "one side is given"
    return max(1, (2 * side * wanted + other) // (2 * other))
