"""Checks of a stack as a graph: names and what reads them, strides, grids, and what each place of a
layer allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnnspec.source.problems import did_you_mean
from rnnspec.spec.base import Loc
from rnnspec.spec.branches import (
    Branch,
    Read,
    branches,
    layers_before,
    layers_of,
    layers_of_steps,
    places_of,
    pooling_path,
    read_by_outputs,
)
from rnnspec.spec.check_layers import all_layers, recurrent_layers
from rnnspec.spec.decoder import Decoder, EncoderStart, NoAttention
from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.head import LastPooling
from rnnspec.spec.inputs import FramesInput, Input, SeriesInput
from rnnspec.spec.layers import (
    ActivationLayer,
    ConvLayer,
    DenseLayer,
    DropoutLayer,
    JoinLayer,
    Layer,
    NormLayer,
    PoolLayer,
    SqueezeLayer,
    StackLayer,
)
from rnnspec.spec.outputs import NextOutput, PointedOutput
from rnnspec.spec.recurrent import RecurrentLayer
from rnnspec.spec.spec import Spec
from rnnspec.spec.stack import CONTEXT, INPUT, Sized, Steps, are_grids, extent, pair
from rnnspec.spec.widths import decoder_layers, encoder_layers, input_steps, prediction_layers

KEEPS_ENDS = (NormLayer, DropoutLayer, ActivationLayer)
"""Layers behind which the ends of both directions are where they were."""


def stacks(spec: Spec) -> Iterator[tuple[str, Sequence[Layer]]]:
    """The layers of the encoder and of the decoder."""
    yield "encoder", spec.encoder.layers
    if spec.decoder_layers:
        yield "decoder", spec.decoder_layers


def sized_stacks(spec: Spec) -> Iterator[tuple[str, list[Sized]]]:
    """The stacks with the widths that the spec decides."""
    yield "encoder", encoder_layers(spec)
    if isinstance(spec.decoder, Decoder):
        yield "decoder", decoder_layers(spec, spec.decoder)
    if spec.transducer is not None:
        yield "decoder", prediction_layers(spec, spec.transducer)


# ---------------------------------------------------------------- names


def _others(spec: Spec, part: str) -> tuple[str, ...]:
    """What layers may read that is no layer."""
    decoder = spec.decoder
    attends = (
        part == "decoder"
        and isinstance(decoder, Decoder)
        and decoder.attend == "before"
        and not isinstance(decoder.attention, NoAttention)
    )
    return (INPUT, CONTEXT) if attends else (INPUT,)


def layers_have_names_of_their_own(spec: Spec) -> Iterator[Finding]:
    for part, layers in stacks(spec):
        taken = {INPUT: "what the first layer reads", CONTEXT: "the context of attention"}
        for index, layer in enumerate(layers):
            if layer.name in taken:
                message = f"{layer.name!r} is the name of {taken[layer.name]}"
                yield Finding((part, "layers", index, "name"), message, "choose another name")
            elif layer.name is not None:
                taken[layer.name] = spec.in_part(part, "layers", index)


def layers_read_what_is_there(spec: Spec) -> Iterator[Finding]:
    for part, layers in stacks(spec):
        known = list(_others(spec, part))
        every = [layer.name for layer in layers if layer.name is not None]
        for index, layer in enumerate(layers):
            for place, name in enumerate(layer.reads or ()):
                if name not in known:
                    path: Loc = (part, "layers", index, "reads", place)
                    yield Finding(path, *_unknown(name, known, every))
            if layer.name is not None:
                known.append(layer.name)


def _unknown(name: str, known: Sequence[str], every: Sequence[str]) -> tuple[str, str]:
    """The message and the way out where no layer before is called `name`."""
    if name in every:
        return f"{name!r} does not come before this layer", "read layers that stand before it"
    if name == CONTEXT:
        hint = "it is read in a decoder with attention and 'attend: before'"
        return "there is no context of attention here", hint
    hint = did_you_mean(name, known) or f"known here are {', '.join(known)}"
    return f"no layer before this one is called {name!r}", hint


def layers_are_read(spec: Spec) -> Iterator[Finding]:
    """What no later layer, and no answer, reads changes nothing."""
    answered = read_by_outputs(spec)
    for part, layers in stacks(spec):
        for index, layer in enumerate(layers):
            last = index == len(layers) - 1
            reading = [] if last else layers[index + 1 :]
            if part == "encoder" and not answered:
                continue  # nothing reads this one of several encoders: `rnnspec.spec.check_reads`
            named = any(layer.name in (each.reads or ()) for each in reading)
            by_answer = part == "encoder" and layer.name in answered
            if layer.name is not None and (named or by_answer):
                continue
            whole = part == "decoder" or None in answered or not answered  # which is said elsewhere
            if whole if last else reading[0].reads is None:
                continue
            yield _unread((part, "layers", index), layer, last)


def _unread(path: Loc, layer: Layer, last: bool) -> Finding:
    if last:
        message = "has no effect: every answer reads layers before it"
        return Finding(path, message, "remove it, or 'reads' of an answer")
    how = f"'reads: [{layer.name or 'NAME'}]' in a later layer"
    if layer.name is None:
        how = f"'name: NAME' here and {how}"
    return Finding(path, "has no effect: no layer reads it", f"write {how}, or remove it")


# ---------------------------------------------------------------- steps and grids


def joined_layers_have_the_same_steps(spec: Spec) -> Iterator[Finding]:
    for part, index, layer, reads in _joins(spec):
        first = reads[0]
        for name, other in zip(layer.reads or (), reads, strict=True):
            if (other.stride, other.places) == (first.stride, first.places):
                continue
            assert layer.reads is not None
            message = (
                f"{layer.reads[0]!r} has one step for {first.stride} of the input, and {name!r}"
                f" for {other.stride}"
            )
            path: Loc = (part, "layers", index, "reads")
            yield Finding(path, message, "give both the same strides")
            break


def combined_layers_have_one_width(spec: Spec) -> Iterator[Finding]:
    for part, index, layer, reads in _joins(spec):
        if not isinstance(layer, JoinLayer) or layer.join == "concat":
            continue
        widths = [each.channels if are_grids(reads) else each.width for each in reads]
        known = [width for width in widths if width is not None]
        if len(set(known)) > 1:
            message = f"{layer.join} needs one width, and these are {_listed(widths)} wide"
            path: Loc = (part, "layers", index, "reads")
            yield Finding(path, message, "choose widths that are equal, or 'join: concat'")


def _listed(widths: Sequence[int | None]) -> str:
    return ", ".join("?" if width is None else str(width) for width in widths)


def _joins(spec: Spec) -> Iterator[tuple[str, int, Layer, list[Steps]]]:
    """The layers that read several others, and what they read; names that are unknown are left to
    `layers_read_what_is_there`."""
    for part, layers in sized_stacks(spec):
        known = {name: _first(layers) for name in (INPUT, CONTEXT)}
        seen: set[int] = set()
        for each in layers:
            names = each.layer.reads or ()
            if each.index not in seen and len(names) > 1 and all(n in known for n in names):
                yield part, each.index, each.layer, [known[name] for name in names]
            seen.add(each.index)
            if each.layer.name is not None:
                known[each.layer.name] = each.gives


def _first(layers: Sequence[Sized]) -> Steps:
    return layers[0].reads if layers else Steps(None)


def squeezed_layers_are_grids(spec: Spec) -> Iterator[Finding]:
    for each in encoder_layers(spec):
        if isinstance(each.layer, SqueezeLayer) and not each.reads.sides:
            message = "has no effect: what it reads has no features and channels"
            hint = "remove this layer, or put a convolution with 'size: [3, 3]' before it"
            yield Finding(("encoder", "layers", each.index), message, hint)


def groups_divide_channels(spec: Spec) -> Iterator[Finding]:
    for part, layers in sized_stacks(spec):
        for each in layers:
            layer = each.layer
            if not isinstance(layer, ConvLayer) or layer.groups == 1:
                continue
            read = each.reads.read_by(layer)
            for what, count in (("channels", read.channels), ("filters", layer.conv)):
                if count is not None and count % layer.groups:
                    message = f"the {count} {what} cannot be divided equally among {layer.groups}"
                    path: Loc = (part, "layers", each.index, "groups")
                    hint = f"use a divisor of {count}" if count > 1 else "remove it"
                    yield Finding(path, message, hint)
                    break


def inputs_divide(spec: Spec) -> Iterator[Finding]:
    """A cell with a size such as `inputs/3` reads a multiple of 3 numbers."""
    for part, layers in sized_stacks(spec):
        for each in layers:
            if each.cell is None or each.inputs is None or each.cell.name == GAPS:
                continue
            divisor = each.cell.inputs_divisor
            if each.inputs % divisor:
                what = f"{each.cell.name} reads a multiple of {divisor} numbers, not {each.inputs}"
                hint = f"let it read a dense layer of {divisor * each.inputs}"
                yield Finding((part, "layers", each.index, "cell"), what, hint)


def gaps_are_those_of_series(spec: Spec) -> Iterator[Finding]:
    """`gru_d` reads three numbers of each series, which no layer before it has mixed."""
    tables = any(isinstance(each, SeriesInput) for each in spec.data.inputs)
    for path, layer in recurrent_layers(spec):
        if layer.cell != GAPS or GAPS in spec.cells:
            continue
        first = path[0] == "encoder" and (path[-1] == 0 or layer.reads == (INPUT,))
        if not first or layer.repeat > 1:
            message = f"{GAPS} reads the gaps of what is measured, and no layer gives any"
            yield Finding((*path, "cell"), message, "let it be the first layer, once; gru after it")
        elif tables:
            for place, each in spec.data.located_inputs:
                of_series = isinstance(each, SeriesInput) and each.observed
                if not of_series and getattr(each, "join", "steps") == "steps":
                    yield _without_gaps(place, each)
        elif (input_steps(spec).width or 0) % 3:
            message = f"{GAPS} reads three numbers of each of what is measured"
            yield Finding((*path, "cell"), message, "read series with 'observed: true', or frames")


GAPS = "gru_d"
"""The built-in cell that reads a number, whether it is known, and the gap so far."""


def _without_gaps(path: Loc, source: Input) -> Finding:
    message = f"{GAPS} reads of each series the number, whether it is known, and the gap so far"
    if isinstance(source, SeriesInput):
        return Finding(path, message, "write 'missing: mean' and 'observed: true' here")
    return Finding(path, message, f"remove {source.column!r}, or read by another cell")


def extents_fit_the_size(spec: Spec) -> Iterator[Finding]:
    """Settings of two axes need a size of two axes; a filter of one step has no span."""
    for path, layer in all_layers(spec):
        if not isinstance(layer, ConvLayer | PoolLayer):
            continue
        yield from _axes(path, layer)
        if isinstance(layer, ConvLayer):
            yield from _spans(path, layer)
        elif max(pair(layer.size)) == max(pair(layer.stride or layer.size)) == 1:
            message = "has no effect: a window of one value is this value"
            yield Finding((*path, "size"), message, "write 'size: 2'")


def _axes(path: Loc, layer: ConvLayer | PoolLayer) -> Iterator[Finding]:
    axes = len(pair(layer.size))
    keys = ("stride", "dilation") if isinstance(layer, ConvLayer) else ("stride",)
    for key in keys:
        count = len(pair(getattr(layer, key) or 1))
        if count in (1, axes):
            continue
        message = f"has {count} numbers, and the size has {axes}"
        hint = "write one number, or as many as the size has"
        if axes == 1:
            message = f"has {count} numbers, and the size is one of steps alone"
            hint = f"write one number, or 'size: {[3] * count}'"
        yield Finding((*path, key), message, hint)


def _spans(path: Loc, layer: ConvLayer) -> Iterator[Finding]:
    if max(pair(layer.size)) == 1 and max(pair(layer.dilation)) > 1:
        yield no_effect((*path, "dilation"), "on a filter of one step")
    if pair(layer.size)[0] == 1 and layer.causal:
        yield no_effect((*path, "causal"), "on a filter of one step")
    strided = max(pair(layer.stride)) > 1
    if layer.skip != "none" and strided:
        message = "adds the input to the output, and a stride leaves fewer steps"
        yield Finding((*path, "skip"), message, "remove it, or write 'stride: 1'")


def three_sizes_are_of_frames(spec: Spec) -> Iterator[Finding]:
    """Frames alone have rows and columns; two sizes of them are no steps. What stands behind a
    layer whose size lacks sides reads nobody knows what."""
    unknown = set[Loc]()
    for path, each in _once(spec):
        layer = each.layer
        if not isinstance(layer, ConvLayer | PoolLayer):
            continue
        sizes, of_frames = pair(layer.size), len(each.reads.sides) == 2
        if len(sizes) == 1 and any(_axes(path, layer)):
            unknown.add(path[:1])
        if len(sizes) == 3 and not of_frames and path[:1] not in unknown:
            message = "is of steps, rows and columns, and what it reads is no video"
            hint = "write a number of steps, or [steps, features]"
            yield Finding((*path, "size"), message, hint)
        inside = of_frames and len(sizes) == 2
        if inside and isinstance(layer, ConvLayer) and layer.causal and sizes[0] > 1:
            hint = f"remove it, or write 'size: [3, {sizes[0]}, {sizes[1]}]'"
            yield no_effect((*path, "causal"), "within a frame", hint)


def _once(spec: Spec) -> Iterator[tuple[Loc, Sized]]:
    """Each layer with its path and what it reads, the first time it stands there."""
    for part, layers in sized_stacks(spec):
        seen = set[int]()
        for each in layers:
            if each.index not in seen:
                yield (part, "layers", each.index), each
            seen.add(each.index)


# ---------------------------------------------------------------- places


def answers_of_steps_keep_the_steps(spec: Spec) -> Iterator[Finding]:
    """Each step is answered, copied, or timed: none may be left out."""
    reasons = _why_steps_are_kept(spec)
    for each in encoder_layers(spec):
        why = reasons.get(each.index, "")
        key = _stride_key(each.layer) if why else ""
        if key and (
            each.gives.stride > each.reads.stride or each.gives.places != each.reads.places
        ):
            path: Loc = ("encoder", "layers", each.index)
            path = (*path, key) if key in each.layer.model_fields_set else path
            if key == "stride":
                message = f"leaves one step of {each.gives.stride // each.reads.stride}, {why}"
                yield Finding(path, message, "write 'stride: 1'")
            else:
                message = f"makes several steps of one, {why}"
                yield Finding(path, message, "use flatten, mean or max")


def _why_steps_are_kept(spec: Spec) -> dict[int, str]:
    """The layers of the encoder that have to keep all steps, by their places, and why."""
    every = range(len(spec.encoder.layers))
    elapsed = (isinstance(one, FramesInput) and one.elapsed is not None for one in spec.data.inputs)
    found: dict[int, str] = {}
    if any(elapsed):
        found |= dict.fromkeys(every, "and 'elapsed' is the time between the steps of the input")
    copied = () if spec.decoder is None else spec.decoder.copied
    if any(each.column in copied for each in spec.data.sequences):
        found |= dict.fromkeys(every, "and decoder.copy needs each token of the input")
    if spec.points:
        found |= dict.fromkeys(every, "and the decoder points at each step of the input")
    answered = layers_of_steps(spec)
    what = "N:N" if spec.cardinality == "N:N" else "data.output"
    found |= dict.fromkeys(answered, f"and {what} answers each step of the input")
    pointed = layers_of(spec, PointedOutput)
    return found | dict.fromkeys(pointed, "and data.output is one of the steps of the input")


def _stride_key(layer: Layer) -> str:
    """The key by which a layer changes the number of steps; "" if it cannot."""
    if isinstance(layer, ConvLayer | PoolLayer | StackLayer):
        return "stride"
    return "squeeze" if isinstance(layer, SqueezeLayer) else ""


def layers_look_back_alone(spec: Spec) -> Iterator[Finding]:
    """A model of the next step, and one that reads windows of streams, reads no later step."""
    if any(isinstance(output, NextOutput) for output in spec.data.outputs):
        why = "has read the next step already"
    elif spec.train.window is not None:
        why = "reads steps of the next window, and train.window reads one after the other"
    else:
        return
    every = set(range(len(spec.encoder.layers)))
    concerned = every if spec.train.window is not None else layers_of(spec, NextOutput)
    for path, each in _once(spec):
        layer = each.layer
        if path[0] == "decoder" or each.index not in concerned:
            continue
        if isinstance(layer, ConvLayer) and not layer.causal and _steps_of(layer, each) > 1:
            message = f"a convolution that is not causal {why}"
            yield Finding(path, message, "write 'causal: true'")
        elif isinstance(layer, ConvLayer) and len(pair(layer.size)) > 1:
            message = "a convolution over features cannot carry its steps from window to window"
            if spec.train.window is not None and _steps_of(layer, each) > 1:
                yield Finding((*path, "size"), message, "use a size of steps, or [1, features]")
        elif isinstance(layer, PoolLayer) and _steps_of(layer, each) > 1:
            yield Finding(path, f"a pooling over steps {why}", "remove this layer")
        elif isinstance(layer, StackLayer):
            yield Finding(path, f"a stack of steps {why}", "remove this layer")


def _steps_of(layer: ConvLayer | PoolLayer, each: Sized) -> int:
    """Steps that a layer spans."""
    return extent(layer.size, layer, each.reads)[0]


def decoder_layers_run_step_by_step(spec: Spec) -> Iterator[Finding]:
    for index, layer in enumerate(spec.decoder_layers):
        path: Loc = ("decoder", "layers", index)
        if isinstance(layer, PoolLayer | StackLayer | SqueezeLayer):
            message = "a decoder writes step by step, and this layer changes the steps"
            yield Finding(path, message, "remove this layer")
        if isinstance(layer, ConvLayer):
            yield from _decoder_conv(path, layer)
        if isinstance(layer, ConvLayer | DenseLayer | NormLayer) and layer.norm == "batch":
            message = "a decoder writes step by step, and batch norm needs all steps of a batch"
            yield Finding((*path, "norm"), message, "write 'norm: layer'")


def _decoder_conv(path: Loc, layer: ConvLayer) -> Iterator[Finding]:
    if len(pair(layer.size)) > 1:
        message = "a decoder's steps are plain, without features"
        yield Finding((*path, "size"), message, "write one number")
    elif max(pair(layer.stride)) > 1:
        message = "a decoder writes every step, and a stride leaves some out"
        yield Finding((*path, "stride"), message, "remove it")
    elif not layer.causal and pair(layer.size)[0] > 1:
        message = "a decoder writes forward, and this convolution reads later steps"
        yield Finding(path, message, "write 'causal: true'")


def decoders_start_from_states(spec: Spec) -> Iterator[Finding]:
    """Where the encoder has other layers than recurrent ones, not each has states."""
    decoder, layers = spec.decoder, spec.encoder.layers
    if not isinstance(decoder, Decoder) or not layers:
        return
    recurrent = [n for n, layer in enumerate(layers) if isinstance(layer, RecurrentLayer)]
    if isinstance(decoder.start_from, EncoderStart) and not recurrent:
        message = "no layer of the encoder has states"
        yield Finding(("decoder", "start_from"), message, "use auto or dense")
    if not isinstance(decoder.attention, NoAttention) or not recurrent:
        return
    answered = layers_of(spec, Read)
    for index in range(recurrent[-1] + 1, len(layers)):
        if index in answered:
            continue
        path: Loc = ("encoder", "layers", index)
        message = "has no effect without attention: the decoder reads the states of"
        message += f" {spec.in_encoder('layers', recurrent[-1])} alone"
        yield Finding(path, message, "remove it, or add 'attention: additive'")


def first_states_have_layers(spec: Spec) -> Iterator[Finding]:
    """Vectors that make first states need a recurrent layer."""
    layers = spec.encoder.layers
    if not layers or any(isinstance(layer, RecurrentLayer) for layer in layers):
        return
    for path, source in spec.data.located_inputs:
        join = getattr(source, "join", "steps")
        if join != "steps":
            message = f"'{join}' makes first states of it, and no layer has states"
            yield Finding((*path, "join"), message, "write 'join: steps'")


def last_pooling_reads_ends(spec: Spec) -> Iterator[Finding]:
    """Behind a layer that mixes the directions, the last step has not read the row in reverse."""
    for branch in branches(spec):
        if not isinstance(branch.pooling, LastPooling):
            continue
        for index in _mixed(spec.encoder.layers, branch):
            message = (
                "takes the ends of both directions, which the layers behind"
                f" {spec.in_encoder('layers', index)} have mixed"
            )
            path = pooling_path(spec, branch)
            yield Finding(path, message, "write 'pooling: mean', or max or attention")
            break


def _mixed(layers: Sequence[Layer], branch: Branch) -> Iterator[int]:
    """The layers that do not read forward and whose output is mixed in the value of a branch."""
    before, top = layers_before(layers), places_of(layers, branch.reads)
    ways, seen = [(index, len(branch.reads or ()) > 1) for index in top], set[tuple[int, bool]]()
    while ways:
        index, mixed = way = ways.pop()
        layer = layers[index]
        if way in seen:
            continue
        seen.add(way)
        if isinstance(layer, RecurrentLayer):
            if mixed and layer.direction != "forward":
                yield index
            continue
        mixes = mixed or len(before[index]) > 1 or not isinstance(layer, KEEPS_ENDS)
        ways += [(each, mixes) for each in before[index]]
