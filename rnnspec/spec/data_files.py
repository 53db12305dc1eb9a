"""Whether the data files of a spec are there, by their names alone."""

from __future__ import annotations

from rnnspec.errors import DataError, SpecError
from rnnspec.spec.files import absent, files_of, find_files, one_format
from rnnspec.spec.load import LoadedSpec


def missing_files(loaded: LoadedSpec) -> list[str]:
    """The data files of a spec that are not there.

    Raises SpecError, at its place, where all are there and cannot make one data set.
    """
    data, folder, key = loaded.spec.data, loaded.path.parent, "train"
    missing = absent([*data.train_files, *data.valid_files], folder)
    if missing:
        return list(missing)
    if not isinstance(data.train, str | tuple):
        return []
    try:
        one_format(find_files(data.train_files, folder, data.format_name), data.format_name)
        key = "valid"
        _, valid = files_of(data.train_files, data.valid_files, folder, data.format_name)
        if valid:
            one_format(valid, data.format_name)
    except DataError as error:
        raise SpecError([loaded.document.problem(("data", key), str(error))]) from error
    return []
