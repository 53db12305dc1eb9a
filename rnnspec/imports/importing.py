"""A build with weights that were trained elsewhere."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import ModelFileError
from rnnspec.files import digest, write_text
from rnnspec.imports.expect import Agreement, compare, read_expected, widths_of
from rnnspec.imports.facts import Told, facts_of
from rnnspec.imports.groups import Foreign, natural_order
from rnnspec.imports.keras_file import keras_layers, read_keras
from rnnspec.imports.mapping import map_text, read_map, why_missing
from rnnspec.imports.match import Matched, match, wanted_weights
from rnnspec.imports.onnx_file import onnx_layers, read_onnx
from rnnspec.imports.terms import Orders, Sum
from rnnspec.imports.torch_file import array_of, read_state_dict, torch_layers
from rnnspec.plan import Facts, Plan, resolve
from rnnspec.spec.load import LoadedSpec
from rnnspec.store.files import write_arrays
from rnnspec.store.folder import BuildFolder, begin
from rnnspec.store.resume import VERSIONS
from rnnspec.to_torch import Model

MAP = "import.yaml"
"""The map, in the folder of the build."""
_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Imported:
    """The build, the agreement with the answers given, and what is worth knowing."""

    folder: BuildFolder
    agreements: tuple[Agreement, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an import is asked for: `map` is read where it is there, else written; `expect` holds
    answers of the model."""

    told: Told = field(default_factory=Told)
    map: Path | None = None
    expect: Path | None = None


def import_weights(loaded: LoadedSpec, file: Path, builds: Path, wanted: Wanted) -> Imported:
    """A build of `loaded` with the weights of `file`, in a new folder below `builds`.

    Raises ModelFileError for a file that cannot be read, for weights that are not found, for
    tensors that nothing takes, and for answers that differ; DataError and BuildError as
    `facts_of`. Nothing is left then, but for the map that was asked for.
    """
    foreign = read_layers(file)
    expected = read_expected(wanted.expect) if wanted.expect else {}
    notes: list[str] = []
    told = _with_widths(loaded, wanted.told, expected)
    facts, orders = facts_of(loaded, told, notes.append)
    plan = resolve(loaded.spec, facts)
    matched = _matched(plan, facts, foreign, orders, wanted.map, file)
    weights = _weights(plan, facts, matched.sums, foreign, orders)
    agreements: tuple[Agreement, ...] = ()
    if wanted.expect:
        agreements = tuple(compare(plan, weights, orders, expected, wanted.expect))
        _check(agreements, wanted.expect)
    text = map_text(matched, wanted_weights(plan), {})
    folder = _written(loaded, plan, facts, builds, file, weights, text)
    return Imported(folder, agreements, (*notes, *matched.notes))


def read_layers(file: Path) -> Foreign:
    """The layers of a file, whose library is told by its content. Raises ModelFileError."""
    try:
        with file.open("rb") as opened:
            start = opened.read(8)
    except OSError as error:
        raise ModelFileError(f"{file}: cannot be read ({error.strerror})") from error
    if start == _HDF5 or _holds_keras(file):
        return keras_layers(read_keras(file))
    if file.suffix == ".safetensors":
        return torch_layers(_safetensors(file))
    if file.suffix == ".onnx":
        return onnx_layers(*read_onnx(file))
    return torch_layers(read_state_dict(file))


def _holds_keras(file: Path) -> bool:
    if not zipfile.is_zipfile(file):
        return False
    with zipfile.ZipFile(file) as archive:
        return "model.weights.h5" in archive.namelist()


def _safetensors(file: Path) -> dict[str, NDArray[np.generic]]:
    from safetensors import SafetensorError
    from safetensors.torch import load  # that of numpy lacks bfloat16 and float8

    try:
        found = load(file.read_bytes())
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise ModelFileError(f"{file}: not a readable safetensors file ({error})") from error
    ordered = sorted(found, key=natural_order)
    return {name: array_of(found[name], name, file) for name in ordered}


def _with_widths(loaded: LoadedSpec, told: Told, expected: dict[str, NDArray[np.generic]]) -> Told:
    """The numbers of features, of answers given too."""
    columns = [each.column for each in loaded.spec.data.inputs]
    given = widths_of(expected, columns)
    return Told(told.vocabularies, told.labels, {**given, **told.widths})


def _matched(
    plan: Plan, facts: Facts, foreign: Foreign, orders: Orders, path: Path | None, file: Path
) -> Matched:
    wanted = wanted_weights(plan)
    if path is not None and path.exists():
        sums, left_out = read_map(path, wanted)
        used = {term.tensor for each in sums.values() for term in each.terms}
        known = used | foreign.ignored | set(left_out)
        unused = tuple(name for name in foreign.tensors if name not in known)
        found = Matched(sums, (), unused, ())
    else:
        found = match(plan, facts, foreign, orders)
    if not found.missing and not found.unused:
        return found
    shapes = {name: str(list(tensor.shape)) for name, tensor in foreign.tensors.items()}
    why = (
        why_missing(found.missing, str(file))
        if found.missing
        else (f"{file}: nothing in the plan takes")
    )
    left = "\n".join(f"  {name} {shapes[name]}" for name in found.unused)
    says = why if not found.missing else f"{why}\nwhat is left of it:"
    cure = "give --map FILE to have the map written there, and complete it"
    if path is not None:
        if not path.exists():
            write_text(path, map_text(found, wanted, shapes))
        cure = f"complete the map {path}, and give the same command again"
    raise ModelFileError(f"{says}\n{left}\n{cure}")


def _weights(
    plan: Plan, facts: Facts, sums: Mapping[str, Sum], foreign: Foreign, orders: Orders
) -> dict[str, NDArray[np.generic]]:
    """By canonical name; row 0 of a table, the pad, is 0."""
    model = Model(plan)
    model.start(facts, 0)
    arrays: dict[str, NDArray[np.generic]] = dict(model.canonical_arrays())
    for name, weight in wanted_weights(plan).items():
        try:
            arrays[name] = sums[name].value(foreign.tensors, orders, weight.shape)
        except ModelFileError as error:
            raise ModelFileError(f"{name}: {error}") from None
        if not np.all(np.isfinite(arrays[name])):
            raise ModelFileError(f"{name}: {sums[name]} holds numbers that are not finite")
    return arrays


def _check(agreements: tuple[Agreement, ...], where: Path) -> None:
    for each in agreements:
        if not each.holds:
            raise ModelFileError(
                f"{where}: {each.name} differs by {each.difference:.3g}, and {each.allowed:.3g} is"
                " rounding; the layers, the gates or the order of a vocabulary are not those of"
                " the model. Give values of nodes (layers.0, …) to find where they part"
            )


def _written(
    loaded: LoadedSpec,
    plan: Plan,
    facts: Facts,
    builds: Path,
    file: Path,
    weights: dict[str, NDArray[np.generic]],
    text: str,
) -> BuildFolder:
    state = {
        "begun": datetime.now(UTC).isoformat(timespec="milliseconds"),
        **VERSIONS,
        "source": str(loaded.path.resolve()),
        "imported": {"file": file.name, "digest": digest(file.read_bytes())},
        "state": "imported",
    }

    def write(build: BuildFolder) -> None:
        write_text(build.path / MAP, text)
        write_arrays(build.weights, weights, {"epoch": "0"})

    return begin(builds, loaded, plan, facts, state, more=write)
