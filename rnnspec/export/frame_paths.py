"""The paths of frames of an exported file against the trained module's, draw by draw.

The module draws each frame after the file's own frames before it: two paths that differ in one
frame have nothing in common behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rnnspec.errors import ExportError
from rnnspec.export.compare import ALLOWED, DEFECT, ROUNDED, Figures, check, check_nothing_past
from rnnspec.export.draws import Array, compare_draws
from rnnspec.export.frames import FramesAnswers, ties_of_ends
from rnnspec.export.laws import units_of_draws
from rnnspec.export.sample_paths import Asked
from rnnspec.plan import Facts
from rnnspec.plan.names import output_names
from rnnspec.plan.nodes import FramesOutput
from rnnspec.to_torch import Model
from rnnspec.to_torch.frames import FramePaths, Frames


@torch.inference_mode()
def compare_drawn_frames(
    asked: Asked, node: FramesOutput, facts: Facts, got: Mapping[str, NDArray[Any]]
) -> Figures:
    """The paths of frames and what is answered of them. Raises ExportError where they differ."""
    names = output_names(asked.model.plan, node, False)
    of_file = {name.removeprefix(names[0]): np.asarray(got[name]) for name in names}
    paths, lengths = of_file[".paths"], of_file[".lengths"]
    counts = of_file.get(".paths.lengths", np.repeat(lengths[:, None], node.paths, axis=1))
    own = (np.arange(paths.shape[2]) < counts[..., None])[..., None]
    check_nothing_past(node, paths * ~own)
    told = torch.from_numpy(np.asarray(paths, np.float64))
    given = FramePaths(told, torch.from_numpy(counts))
    one, precise = _followed(asked, node, given, 0.0)
    ends = [np.asarray(each.lengths.flatten()) for each in (one, precise, given)]
    answers = FramesAnswers(_flat(one), _flat(precise), [told.flatten(0, 1).numpy(), ends[2]])
    ties = ties_of_ends(node, answers, ends)
    both = np.minimum.reduce(ends).reshape(counts.shape)
    there = (np.arange(paths.shape[2]) < both[..., None])[..., None]
    values = np.where(there, told.numpy(), 0.0)
    unit = units_of_draws(node, facts, values, None)
    if not node.double:
        unit = unit + ROUNDED * np.abs(values)

    def of(place: int, shift: float) -> Array:
        found = (one, precise) if not shift else _followed(asked, node, given, shift)
        return np.where(there, found[place].values.double().numpy(), 0.0)

    differences, rounding, jumps = compare_draws(
        node, values, unit, lambda by: of(0, by), lambda by: of(1, by)
    )
    check(node, differences, rounding.max(axis=(1, 2, 3), keepdims=True, initial=0.0))
    widest = unit.max(axis=(1, 2, 3), initial=0.0)
    _check_answers(asked.exact, node, given, widest, of_file, asked.precise)
    largest = float(differences.max(initial=0.0)), float(rounding.max(initial=0.0))
    return Figures(*largest, ties + jumps)


def _followed(
    asked: Asked, node: FramesOutput, given: FramePaths, shift: float
) -> tuple[FramePaths, FramePaths]:
    """The module's paths in float32 and in float64, step by step after the file's."""
    return (
        asked.model.frame_paths(node.column, asked.inputs, asked.seeds, given, shift),
        asked.exact.frame_paths(node.column, asked.precise, asked.seeds, given, shift),
    )


def _flat(paths: FramePaths) -> Frames:
    """Each path as a row."""
    stops = None if paths.stops is None else paths.stops.flatten(0, 1)
    return Frames(paths.values.flatten(0, 1), paths.lengths.flatten(), stops=stops)


def _check_answers(
    exact: Model,
    node: FramesOutput,
    given: FramePaths,
    unit: Array,
    of_file: Mapping[str, NDArray[Any]],
    inputs: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
) -> None:
    """What is answered are quantiles over the file's paths, `unit` `[B]` of each row."""
    found = exact.of_frame_paths(node.column, inputs, given)
    assert found.parameters is not None
    levels, same = of_file[".quantiles"], np.array_equal(of_file[".lengths"], found.lengths)
    expected = found.parameters.reshape(*found.values.shape, -1).numpy()
    same &= np.array_equal(of_file[""], levels[..., node.answered.middle])
    same &= levels.shape == expected.shape
    if same:
        far = np.abs(levels - expected) / np.maximum(unit, 1e-300)[:, None, None, None]
        same = bool((far <= ALLOWED).all())
    if same and found.errors is not None and found.scores is not None:
        for name, true in ((".errors", found.errors), (".scores", found.scores)):
            wide = np.maximum(1.0, np.abs(true.numpy()))
            same &= bool((np.abs(of_file[name] - true.numpy()) <= 1e-4 * wide).all())
    if not same:
        raise ExportError(
            f"{node.column}: the exported file answers other frames than those of its paths;"
            f" {DEFECT}"
        )
