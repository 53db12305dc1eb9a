"""Features of sound inside the graph.

Windows and their Fourier transform are one Conv, with the rows of the transform as filters: of the
ways that `benchmarks/audio_features.py` compares it is the fastest. The operators DFT and
STFT take three to four times as long.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnspec.plan import nodes
from rnnspec.plan.names import lengths_names
from rnnspec.plan.nodes.audio import DELTA_SPAN, LEAST_DEVIATION
from rnnspec.reference import audio
from rnnspec.to_onnx.axis import lengths_of_rows, nonempty_rows
from rnnspec.to_onnx.emitter import FLOAT, INT64
from rnnspec.to_onnx.lengths import Lengths, counted
from rnnspec.to_onnx.lowering import BATCH, Lowering, PaddedSequence, of_axis, time_dimension

SAMPLES = "samples"
"""Name of the dimension of samples."""


def lower_audio(low: Lowering, node: nodes.AudioInput) -> PaddedSequence:
    """The features of each window, `[T, B, features]`; T is at least 1."""
    emit, name = low.emit, node.name
    rows, counts = samples_of(low, node)
    windows = _cut(low, node, rows, counts)
    values = features(low, node, windows)  # [B, F, T]
    lengths = _windows_of(low, node, counts, f"{name}.count")
    for order in range(node.deltas):
        values = _with_slopes(low, node, values, lengths, order)
    sequence = emit.transpose(values, [2, 0, 1], f"{name}.features")
    time = time_dimension(node.axis)
    axis = Lengths(emit, name, lengths, sequence, low.padded, derived=True, time=time)
    low.axes[time] = axis
    return PaddedSequence(normalised(low, node, sequence, axis), axis)


def samples_of(low: Lowering, node: nodes.AudioInput) -> tuple[str, str]:
    """The samples `[B, S]` as they come in, and how many each row has, int64 `[B]`."""
    emit, name = low.emit, node.name
    samples = f"{SAMPLES}{of_axis(node.axis)}"
    doc = f"{node.rate} samples a second, near 1 at the loudest; past the length anything"
    given = emit.input(node.column, FLOAT, [BATCH, samples], doc, reserved=True)
    doc = f"number of samples of each row, from 0 to the extent of {samples}"
    lengths = lengths_names(low.plan, low.ids)[node.axis]
    counts = emit.input(lengths, INT64, [BATCH], doc, reserved=True)
    counts = lengths_of_rows(low, counts, f"{name}.lengths")
    rows = nonempty_rows(low, given, f"{name}.rows", FLOAT)
    return rows, _checked(low, rows, counts, f"{name}.samples")


def _checked(low: Lowering, rows: str, counts: str, name: str) -> str:
    """The numbers of samples `[B]`. Onnxruntime raises an exception, of an index out of bounds,
    where one is negative or beyond the extent."""
    emit = low.emit
    extent = emit.extent(rows, 1, f"{name}.extent")
    clipped = emit.op("Min", [counts, extent], f"{name}.at_most")
    clipped = emit.op("Max", [clipped, emit.integer(0)], f"{name}.at_least")
    wrong = emit.op("Not", [emit.op("Equal", [counts, clipped], f"{name}.equal")], f"{name}.wrong")
    flags = emit.op("Cast", [wrong], f"{name}.flags", to=INT64)
    nothing = emit.op("Gather", [emit.integers(0), flags], f"{name}.checked")
    return emit.op("Add", [counts, nothing], f"{name}.lengths")


def _windows_of(low: Lowering, node: nodes.AudioInput, counts: str, name: str) -> str:
    """ceil(samples / hop)."""
    more = low.emit.op("Add", [counts, low.emit.integer(node.hop - 1)], f"{name}.rounded_up")
    return low.emit.op("Div", [more, low.emit.integer(node.hop)], name)


def _cut(low: Lowering, node: nodes.AudioInput, rows: str, counts: str) -> str:
    """The samples `[B, 1, (T - 1) * hop + window]`, 0 past each length."""
    emit, name = low.emit, f"{node.name}.own"
    extent = emit.extent(rows, 1, f"{name}.extent")
    places = counted(emit, extent, f"{name}.places")
    inside = emit.op("Less", [places, emit.unsqueeze(counts, 1, f"{name}.ends")], f"{name}.inside")
    own = emit.op("Where", [inside, rows, emit.number(0.0)], f"{name}.samples")
    windows = _windows_of(low, node, extent, f"{name}.windows")
    windows = emit.op("Max", [windows, emit.integer(1)], f"{name}.some")
    starts = emit.op("Mul", [windows, emit.integer(node.hop)], f"{name}.starts")
    wanted = emit.op("Add", [starts, emit.integer(node.window - node.hop)], f"{name}.wanted")
    missing = emit.op("Sub", [wanted, extent], f"{name}.missing")
    pads = emit.concat([emit.integers(0), missing], 0, f"{name}.pads")
    padded = emit.op("Pad", [own, pads, "", emit.integers(1)], f"{name}.padded")
    return emit.unsqueeze(padded, 1, name)


def features(low: Lowering, node: nodes.AudioInput, samples: str) -> str:
    """`[B, size, T]` of samples `[B, 1, S]`."""
    emit, name = low.emit, node.name
    if node.kind == "raw":
        return _convolved(low, node, samples, np.eye(node.window), f"{name}.windows")
    matrix, bins = audio.fourier(node), node.transform // 2 + 1
    both = _convolved(low, node, samples, matrix, f"{name}.fourier")
    squares = emit.op("Mul", [both, both], f"{name}.squares")
    names = [f"{name}.squares.real", f"{name}.squares.imaginary"]
    split = [squares, emit.integers(bins, bins)]
    power = emit.op("Add", emit.ops("Split", split, names, axis=1), f"{name}.power")
    if node.kind == "magnitude":
        return emit.op("Sqrt", [power], f"{name}.magnitude")
    if node.kind == "power":
        return power
    if node.bands:
        filters = _matrix(low, audio.filters(node), f"{name}.filters")
        power = emit.op("MatMul", [filters, power], f"{name}.energies")
    clipped = emit.op("Max", [power, emit.number(node.floor)], f"{name}.floor")
    logarithms = emit.op("Log", [clipped], f"{name}.log")
    if node.kind != "mfcc":
        return logarithms
    cosines = _matrix(low, audio.cosines(node), f"{name}.cosines")
    return emit.op("MatMul", [cosines, logarithms], f"{name}.cepstrum")


def _matrix(low: Lowering, values: NDArray[np.float64], name: str) -> str:
    return low.emit.weight(name, values.astype(np.float32))


def _convolved(
    low: Lowering, node: nodes.AudioInput, samples: str, matrix: NDArray[np.float64], name: str
) -> str:
    """`matrix` `[K, window]` times each window: `[B, K, T]`."""
    weight = _matrix(low, matrix[:, np.newaxis], f"{name}.matrix")
    return low.emit.op("Conv", [samples, weight], name, strides=[node.hop])


def _with_slopes(
    low: Lowering, node: nodes.AudioInput, values: str, lengths: str, order: int
) -> str:
    """`[B, W, T]` with the slopes of its last `size` features beside it."""
    emit, name, span = low.emit, f"{node.name}.slopes.{order + 1}", DELTA_SPAN
    last_features = emit.slice(values, order * node.size, (order + 1) * node.size, 1, f"{name}.of")
    time = emit.extent(values, 2, f"{name}.time")
    more = emit.op("Add", [time, emit.integer(2 * span)], f"{name}.more")
    places = emit.op(
        "Sub", [counted(emit, more, f"{name}.places"), emit.integer(span)], f"{name}.at"
    )
    last = emit.op("Sub", [lengths, emit.integer(1)], f"{name}.last")
    column = emit.unsqueeze(last, 1, f"{name}.ends")
    below = emit.op("Min", [places, column], f"{name}.below")
    inside = emit.op("Max", [below, emit.integer(0)], f"{name}.inside")
    head = emit.op("Shape", [last_features], f"{name}.rows", start=0, end=2)
    shape = emit.concat([head, more], 0, f"{name}.shape")
    grid = emit.op("Expand", [emit.unsqueeze(inside, 1, f"{name}.wide"), shape], f"{name}.grid")
    found = emit.op("GatherElements", [last_features, grid], f"{name}.repeated", axis=2)
    return emit.concat([values, slopes(low, node, found, name)], 1, f"{name}.beside")


def slopes(low: Lowering, node: nodes.AudioInput, values: str, name: str) -> str:
    """The slopes of values `[B, size, T + 2 DELTA_SPAN]`, `[B, size, T]`."""
    kernel = np.arange(-DELTA_SPAN, DELTA_SPAN + 1, dtype=np.float32) / audio.slope_divisor()
    weight = low.emit.weight(f"{name}.kernel", np.tile(kernel, (node.size, 1, 1)))
    return low.emit.op("Conv", [values, weight], name, group=node.size)


def normalised(low: Lowering, node: nodes.AudioInput, values: str, lengths: Lengths) -> str:
    """`[T, B, W]` scaled."""
    emit, name = low.emit, node.name
    if node.normalize == "none":
        return values
    if node.normalize == "learned":
        mean, deviation = (low.canonical(f"{name}.{part}") for part in ("mean", "deviation"))
        centred = emit.op("Sub", [values, mean], f"{name}.centred")
        return emit.op("Div", [centred, deviation], name)

    def mean_of(each: str, title: str) -> str:
        total = emit.reduce("ReduceSum", lengths.cleaned(each, f"{title}.kept"), 0, f"{title}.sum")
        return emit.op("Div", [total, lengths.count()], title)

    def root_mean_square(each: str, title: str) -> str:
        square = emit.op("Mul", [each, each], f"{title}.square")
        return emit.op("Sqrt", [mean_of(square, f"{title}.mean")], title)

    # Twice: a feature that never changes, as of silence, is 0 and not the rounding of its mean.
    centred = emit.op("Sub", [values, mean_of(values, f"{name}.mean")], f"{name}.near_centre")
    rest = mean_of(centred, f"{name}.rest")
    centred = emit.op("Sub", [centred, rest], f"{name}.centred")
    size = root_mean_square(values, f"{name}.size")
    least = emit.op("Mul", [size, emit.number(LEAST_DEVIATION)], f"{name}.least")
    scales = [root_mean_square(centred, f"{name}.deviation"), least]
    if node.least_deviation:
        scales.append(emit.number(node.least_deviation))
    scale = emit.op("Max", scales, f"{name}.largest")
    some = emit.op("Greater", [scale, emit.number(0.0)], f"{name}.some")
    scale = emit.op("Where", [some, scale, emit.number(1.0)], f"{name}.scale")
    return emit.op("Div", [centred, scale], name)
