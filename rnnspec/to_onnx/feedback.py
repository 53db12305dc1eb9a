"""Answers that a decoder reads at its next step, scaled as what it reads is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from rnnspec.plan.nodes import SOFTPLUS_FLOOR, ForecastOutput, FramesOutput, Law
from rnnspec.to_onnx.distributions import Units, answer_of, median, parameters_of
from rnnspec.to_onnx.emitter import FLOAT, Emitter
from rnnspec.to_onnx.functions import precise_sigmoid
from rnnspec.to_onnx.lowering import Lowering
from rnnspec.to_onnx.numbers import centre_and_scale, scaled_type


@dataclass(frozen=True, slots=True)
class FedScaling:
    """How an answer that is not scaled as what is read becomes so: (v - centre) / scale. `shift` is
    centre over scale, floats `[B, 1]`, `[1]` or `[width]`; both are "" where nothing is to be
    done."""

    scale: str = ""
    shift: str = ""


def fed_scaling(low: Lowering, output: ForecastOutput | FramesOutput) -> FedScaling:
    if output.law.is_scaled:
        return FedScaling()
    found, name = centre_and_scale(low, output), f"{output.name}.fed.shift"
    if found is None:
        return FedScaling()
    kind = scaled_type(output)
    shift = low.emit.op("Div", list(found), name)
    shift = low.emit.cast(shift, kind, FLOAT, f"{name}.float")
    if not output.law.traits.unscaled:
        return FedScaling("", shift)
    return FedScaling(low.emit.cast(found[1], kind, FLOAT, f"{output.name}.fed.scale"), shift)


def fed_answer(emit: Emitter, output: ForecastOutput, raw: str, scaling: FedScaling) -> str:
    """The answer to raw numbers `[B, parameters]`, scaled as the series is: `[B, 1]`."""
    name, law = f"{output.name}.fed", output.law
    return _moved(emit, _unmoved(emit, law, raw, name, 1, joint=False), scaling, name)


def fed_frame(
    emit: Emitter, output: FramesOutput, raw: str, scaling: FedScaling, axes: int, name: str
) -> str:
    """The answers `[…, width]` to raw numbers `[…, raw]` with `axes` axes before the last, scaled
    as frames are fed back."""
    law = output.law
    if law.name == "point":
        return raw
    if law.width > 1 or output.laws == 1:
        joint = law.name == "mixture"
        return _moved(emit, _unmoved(emit, law, raw, name, axes, joint), scaling, name)
    shape = emit.integers(*[0] * axes, output.laws, law.size)
    laws = emit.op("Reshape", [raw, shape], f"{name}.laws")
    found = _unmoved(emit, law, laws, name, axes + 1, joint=False)
    return _moved(emit, emit.squeeze(found, -1, f"{name}.flat"), scaling, name)


def _moved(emit: Emitter, answer: str, scaling: FedScaling, name: str) -> str:
    """An answer in units of the scale, scaled as what is read."""
    if scaling.scale:
        answer = emit.op("Div", [answer, scaling.scale], f"{name}.scaled")
    return emit.op("Sub", [answer, scaling.shift], f"{name}.moved") if scaling.shift else answer


def _unmoved(emit: Emitter, law: Law, raw: str, name: str, axes: int, joint: bool) -> str:
    """The answer `[…, 1]`, with `joint` `[…, D]`, in units of the scale."""
    match law.traits.answer:
        case "middle":
            return median(emit, raw, law.quantiles, f"{name}.sorted", name)[1]
        case "mean" | "median":
            units = Units(emit, name)
            found = parameters_of(law, raw, units, axes, joint)
            return answer_of(law, found, units, axes, joint)
        case "first":
            first = raw
            if law.size > 1:
                first = emit.op("Gather", [raw, emit.integers(0)], f"{name}.first", axis=-1)
            match law.parameters[0].link:
                case "value":
                    return first
                case "share":
                    return precise_sigmoid(emit, first, f"{name}.mean")
            soft = emit.op("Softplus", [first], f"{name}.softplus")
            return emit.op("Max", [soft, emit.number(SOFTPLUS_FLOOR)], f"{name}.mean")
        case _:
            assert_never(law.traits.answer)
