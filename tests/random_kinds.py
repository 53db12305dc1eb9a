"""Specs drawn at random: every cardinality, kind of input and of output, and decoders.

Columns are those of `tests.kinds`; layers and cells are drawn as in `tests.random_specs`.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.column_facts import LETTERS, TOKENS, WORDS
from tests.kinds import (
    CALENDARS,
    DIFFERENCED,
    HORIZON,
    SEQUENCES,
    SOUNDS,
    STATICS,
    encoders_data,
    output,
    spec_data,
)
from tests.random_parts import (
    STEPS,
    Own,
    bodies,
    searches,
    sequences_of_steps,
    several,
    some,
    stack_of,
)
from tests.random_settings import with_settings
from tests.random_specs import (
    Draw,
    own_cells,
    stateless,
    width_of,
    within_frames,
    without_skip_of_merged,
)

SERIES = [name for name in SEQUENCES if "series" in name]
AHEAD = [
    "words", "tokens", "chars", "bytes", "ruled_words", "vector_words", "key_steps", "frames",
    "raw_frames", "plain_frames", "double_frames", "series",
]  # fmt: skip
WHOLE = ["class", "ordinal", "labels", "out_number", "out_vector", "out_doubles"]
POINTED = ["position", "no_position", "span", "short_span", "no_span"]
EACH = ["tags", "path", "free_path", "keys", "out_frames", "out_double_frames"]
OF_SERIES = ["tags", "out_frames"]
TEXTS = {"out_words": WORDS, "out_chars": LETTERS, "out_tokens": TOKENS}
POOLINGS = ["last", "mean", "max", "attention"]
DISTRIBUTIONS: list[Any] = [
    "point", "gaussian", "student_t", "negative_binomial", {"quantiles": [0.2, 0.5, 0.7]},
]  # fmt: skip
OF_LOGS = [each for each in DISTRIBUTIONS if each == "point" or isinstance(each, dict)]
OF_FRAMES: list[Any] = ["laplace", {"mixture": 2}, *OF_LOGS, "student_t"]
CONTINUOUS = ["gaussian", "student_t"]
"""Of which draws are equal but for rounding."""


BACKWARD = ("words", "tokens", "chars", "bytes", "ruled_words", "vector_words")
"""Texts that may be read from their ends."""


@st.composite
def kind_specs(draw: Draw) -> dict[str, Any]:
    """A whole spec of any cardinality, as the data of its YAML."""
    cardinality = draw(st.sampled_from(["1:1", "N:1", "1:N", "N:N", "N:M", "forecast"]))
    if cardinality in ("1:N", "N:M"):
        return draw(decoder_specs(cardinality))
    if cardinality == "forecast":
        return draw(forecast_specs())
    own: Own = {"mine": draw(own_cells(False))} if draw(st.booleans()) else {}
    names, ahead = several(draw, STATICS, 3), cardinality == "N:N" and draw(st.booleans())
    outputs = [output(kind) for kind in some(draw, WHOLE)]
    sequences: list[str] = []
    if ahead:
        sequences = [draw(st.sampled_from(AHEAD))]
        outputs = [{"column": sequences[0], "as": "next"}]
    elif cardinality != "1:1":
        sequences = sequences_of_steps(draw)
    if cardinality == "N:N" and not ahead:
        if draw(st.integers(0, 3)) == 0:
            sequences = ["series"]
        kinds = OF_SERIES if sequences == ["series"] else EACH
        outputs = [output(kind) for kind in some(draw, kinds)]
    if cardinality == "N:N" and sequences != ["series"] and draw(st.booleans()):
        outputs += [output(kind) for kind in some(draw, WHOLE)]
    more: dict[str, Any] = {}
    if draw(st.booleans()):
        more["head"] = {"hidden": [4], "activation": draw(st.sampled_from(["relu", "gelu"]))}
    if cardinality == "1:1":
        return spec_data("1:1", names or ["vector"], outputs, **more)
    if cardinality == "N:1" or _whole(outputs):
        more["pooling"] = draw(st.sampled_from(POOLINGS))
    stack = stack_of(draw, own, forward=ahead)
    own_steps = sequences != ["series"] and not any(each in SOUNDS for each in sequences)
    if all("cell" in layer for layer in stack) and own_steps and draw(st.booleans()):
        outputs += [output(kind) for kind in some(draw, POINTED)[:2]]
    data = spec_data(cardinality, [*sequences, *names], outputs, stack, **more)
    if ahead and sequences[0] in BACKWARD and len(_whole(outputs)) == len(outputs) - 1:
        data["data"]["output"][0]["direction"] = ("forward", "reverse")[len(names) % 2]
    return _branched(draw, _finished(draw, data, own))


def _whole(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The outputs that answer whole rows."""
    kinds = ("class", "ordinal", "labels", "number", "vector")
    return [each for each in outputs if each["as"] in kinds]


def _branched(draw: Draw, data: dict[str, Any]) -> dict[str, Any]:
    """With answers that read other layers, by a pooling or through a head of their own; one reads
    the last layer of all that remains."""
    stack, outputs = data["encoder"]["layers"], data["data"]["output"]
    for place, layer in enumerate(stack):
        layer["name"] = f"layer{place}"
    if draw(st.integers(0, 3)) == 0 and "series" not in data["data"]:
        states = {"column": "states", "as": "states"}
        outputs.append(states | draw(st.sampled_from([{}, {"pooling": "mean"}])))
    for each in outputs[1:]:
        if each["as"] != "states" and draw(st.booleans()):
            names = ["input", *(layer["name"] for layer in stack)]
            each["reads"] = some(draw, names)[:2]
        if each["as"] != "states" and draw(st.integers(0, 3)) == 0:
            each["head"] = {"hidden": draw(st.sampled_from([[], [3]]))}
    for each in _whole(outputs):
        if draw(st.integers(0, 2)) == 0:
            each["pooling"] = draw(st.sampled_from(POOLINGS))
    if data["cardinality"] == "N:N" or len(outputs) > 1:
        _without_mixed_ends(data)
    if all("pooling" in each for each in _whole(outputs)):
        data.pop("pooling", None)
    if all("head" in each for each in outputs if each["as"] != "states"):
        data.pop("head", None)
    return data


def _beside(draw: Draw, data: dict[str, Any]) -> dict[str, Any]:
    """Sometimes with answers of the encoder beside the text, of its steps where all are kept."""
    if draw(st.integers(0, 3)):
        return data
    layers = data.get("encoder", {}).get("layers", [])
    kept = layers and all("cell" in layer for layer in layers)
    data["data"]["output"] += [output(kind) for kind in some(draw, WHOLE + EACH * bool(kept))[:2]]
    if layers and _whole(data["data"]["output"]):
        data["pooling"] = draw(st.sampled_from(["mean", "max", "attention"]))
    return data


def _without_mixed_ends(data: dict[str, Any]) -> None:
    """No last step of both directions where they were mixed."""
    mixed = any(
        layer.get("direction", "forward") != "forward" for layer in data["encoder"]["layers"]
    )
    for each in _whole(data["data"]["output"]) if mixed else []:
        if each.get("pooling", data.get("pooling", "last")) == "last":
            each["pooling"] = "mean"


@st.composite
def forecast_specs(draw: Draw) -> dict[str, Any]:
    """Forecasts, direct or recursive, of series that are read."""
    own: Own = {"mine": draw(own_cells(False))} if draw(st.booleans()) else {}
    series = some(draw, SERIES)
    targets = [
        {
            "column": column,
            "as": "forecast",
            "horizon": HORIZON,
            "distribution": draw(st.sampled_from(OF_LOGS if "log" in column else DISTRIBUTIONS)),
        }
        for column in some(draw, series)
    ]
    stack, more = stack_of(draw, own, forward=False), dict[str, Any]()
    way = draw(st.integers(0, 4))
    if way == 4:  # of which no decoder is fed with its answers
        column = draw(st.sampled_from(list(DIFFERENCED)))
        series.append(column)
        targets.append({"column": column, "as": "forecast", "horizon": HORIZON})
    elif way > 1:
        more["decoder"] = draw(bodies(own, stack, width_of(stack[-1], own)))
        densities = [each["distribution"] in CONTINUOUS for each in targets]
        if all(densities) and draw(st.booleans()):
            targets = [{**each, "paths": 3} for each in targets]
    elif draw(st.booleans()):
        more["pooling"] = draw(st.sampled_from(["mean", "max", "attention"]))
    names = [*series, *several(draw, CALENDARS, 1), *several(draw, STATICS, 2)]
    data = spec_data("N:M", names, targets, stack, **more)
    for each in data["data"]["input"]:
        if each["as"] == "calendar" and draw(st.booleans()):
            each["known"] = True
    return _finished(draw, data, own)


@st.composite
def encoder_specs(draw: Draw) -> dict[str, Any]:
    """Two or three encoders, of which one may have the weights of the first, and attend to another
    one; in one of four they are the sources of a decoder, and in one their steps are answered."""
    own: Own = {"mine": draw(own_cells(False))} if draw(st.booleans()) else {}
    stacks, columns = dict[str, list[dict[str, Any]]](), list[str]()
    encoders: dict[str, Any] = {}
    for name in ("one", "two", "three")[: draw(st.integers(1, 3))]:
        names = [
            n for n in (*sequences_of_steps(draw), *several(draw, STATICS, 1)) if n not in columns
        ]
        if not any(column in (*STEPS, *SOUNDS) for column in names):
            continue
        stacks[name] = stack_of(draw, own, forward=False, own_used=name == "one")
        pooling = draw(st.sampled_from(["last", "mean", "max", "attention"]))
        if pooling == "last":
            without_skip_of_merged(stacks[name])
        encoders[name] = {"inputs": names, "layers": stacks[name], "pooling": pooling}
        columns += names
    if len(encoders) == 1 or draw(st.booleans()):
        again = [f"{column}.2" for column in encoders["one"]["inputs"]]
        encoders["shared"] = {"inputs": again, "same_as": "one"}
    if draw(st.booleans()):
        _attend(draw, encoders)
    widths = {width_of(stack[-1], own) for stack in stacks.values()}
    way = draw(st.integers(0, 3))
    if way == 0:
        return _written(draw, own, encoders, list(stacks.values()), widths)
    if way == 1:
        return _answered(draw, own, encoders)
    kinds = ["concat", "difference", "product", "cosine", "manhattan"]
    combine = some(draw, kinds) if len(widths) == 1 else ["concat"]
    data = encoders_data(encoders, combine, [output(kind) for kind in some(draw, WHOLE)])
    if own:
        data["cells"] = own
    return _with_copies(with_settings(draw, data))


def _attend(draw: Draw, encoders: dict[str, Any]) -> None:
    """Lets the first layer of the first encoder read what it attends to of another encoder."""
    first, other = encoders["one"], draw(st.sampled_from([e for e in encoders if e != "one"]))
    scores = ["general", {"additive": {"units": 3}}, {"multi_head": {"heads": 2, "units": 4}}]
    layer = {"score": draw(st.sampled_from(scores)), "combine": [draw(st.sampled_from(MEETINGS))]}
    to_end = other != "shared" and draw(st.booleans())
    if to_end and draw(st.booleans()):
        layer = {"score": "pooling", "combine": ["concat"]}
    first["layers"].insert(0, {"attend": other if to_end else f"{other}.input", **layer})
    if to_end and encoders[other]["pooling"] == "last":
        encoders[other]["pooling"] = "max"


MEETINGS = ("concat", "context")


def _answered(draw: Draw, own: Own, encoders: dict[str, Any]) -> dict[str, Any]:
    """Answers of the steps of single encoders, of all of them or beside answers of rows."""
    each = draw(st.booleans())
    kinds = draw(st.permutations(EACH if each else POINTED))
    names = [
        name
        for name, encoder in encoders.items()
        if not any(column.removesuffix(".2") in SOUNDS for column in encoder["inputs"])
    ]
    beside = len(names) < len(encoders) or draw(st.booleans())
    rows = [output(kind) for kind in some(draw, WHOLE)[:1]] if beside else []
    first = encoders["one"]["layers"][0]
    pooled = first["attend"] if first.get("score") == "pooling" else ""
    if rows and names:
        names = some(draw, names)
    for name, encoder in encoders.items():
        if not rows and name != pooled:
            encoder.pop("pooling", None)
        elif encoder.get("pooling") == "last":
            encoder["pooling"] = "max"
    answers = [output(kind, reads=[name]) for name, kind in zip(names, kinds, strict=False)]
    cardinality = "N:N" if each and answers else "N:1"
    data = encoders_data(encoders, outputs=[*answers, *rows], cardinality=cardinality)
    data["data"]["valid"] = 0.1  # on which thresholds are chosen
    if own:
        data["cells"] = own
    return _with_copies(with_settings(draw, data))


def _written(
    draw: Draw,
    own: Own,
    encoders: dict[str, Any],
    stacks: list[list[dict[str, Any]]],
    widths: set[int],
) -> dict[str, Any]:
    """A decoder that reads several encoders, whose layers give steps of these widths."""
    decoder = draw(bodies(own, [], max(widths) if len(widths) == 1 else UNEQUAL))
    for stack in stacks if "attention" not in decoder else []:
        for key in ("merge", "norm", "dropout", "skip"):
            stack[-1].pop(key, None)  # only the states of the last layer are read
    kind = draw(st.sampled_from(sorted(TEXTS)))
    decoder["embed"] = draw(st.integers(2, 5))
    decoder["strategy"] = draw(searches(TEXTS[kind], False))
    decoder["max_steps"] = draw(st.sampled_from([6, "auto", {"times": 0.8, "plus": 2}]))
    source = "chars" if kind == "out_chars" else "words"
    named = (column for encoder in encoders.values() for column in encoder["inputs"])
    copied = [column for column in named if column.removesuffix(".2") == source]
    if copied and "attention" in decoder and bool(draw(st.booleans())):
        decoder["copy"] = copied
    first = encoders["one"]["layers"][0]
    pooled = first["attend"] if first.get("score") == "pooling" else ""
    own_poolings = {
        name: encoder.get("pooling") if name == pooled else encoder.pop("pooling", None)
        for name, encoder in encoders.items()
    }
    beside = [output(each) for each in some(draw, WHOLE)[:1]] if draw(st.booleans()) else []
    if beside and all(each != "last" for each in own_poolings.values()):
        for name, pooling in own_poolings.items():
            encoders[name] |= {} if pooling is None else {"pooling": pooling}
    else:
        beside = []
    data = encoders_data(encoders, outputs=[output(kind), *beside])
    data |= {"cardinality": "N:M", "decoder": decoder}
    if own:
        data["cells"] = own
    return _with_copies(with_settings(draw, data))


UNEQUAL = 10**6
"""No width that a decoder has: dot products cannot be chosen."""


def _with_copies(data: dict[str, Any]) -> dict[str, Any]:
    """With columns `kind.2` read as those of their kind are."""
    entries = {entry["column"]: entry for entry in data["data"]["input"]}
    data["data"]["input"] = [
        {**entries[column.removesuffix(".2")], "column": column} for column in entries
    ]
    return data


@st.composite
def decoder_specs(draw: Draw, cardinality: str = "") -> dict[str, Any]:
    """A decoder over tokens, of an encoder or of vectors, with any search."""
    cardinality = cardinality or draw(st.sampled_from(["N:M", "N:M", "N:M", "1:N"]))
    own: Own = {"mine": draw(own_cells(False))} if draw(st.integers(0, 3)) == 0 else {}
    kind = draw(st.sampled_from(sorted(TEXTS)))
    if cardinality == "1:N":
        names, stack, memory = some(draw, sorted(STATICS)), [], 0
    else:
        stack = stack_of(draw, own, forward=False)
        names = [*sequences_of_steps(draw), *several(draw, STATICS, 1)]
        memory = width_of(stack[-1], own)
    decoder = draw(bodies(own, stack, memory))
    decoder["embed"] = draw(st.integers(2, 5))
    if draw(st.booleans()):
        decoder["tied"], decoder["hidden"] = True, decoder["embed"]
    source = "chars" if kind == "out_chars" else "words"
    if "attention" in decoder and source in names and draw(st.booleans()):
        decoder["copy"] = source
    decoder["strategy"] = draw(searches(TEXTS[kind], "attention" in decoder))
    decoder["min_steps"] = draw(st.sampled_from([0, 0, 0, 2]))
    limits: list[Any] = [6, 3, "auto", {"times": 1.3, "plus": 2}]
    decoder["max_steps"] = draw(st.sampled_from(limits if memory else limits[:3]))
    data = spec_data(cardinality, names, [output(kind)], stack, decoder=decoder)
    return _beside(draw, _over_fewer_steps(draw, _finished(draw, data, own)))


@st.composite
def frame_specs(draw: Draw) -> dict[str, Any]:
    """A decoder that writes frames, of an encoder or of vectors, of every length; one of an input
    that is answered again."""
    own: Own = {"mine": draw(own_cells(False))} if draw(st.integers(0, 3)) == 0 else {}
    kind = output(draw(st.sampled_from(["out_frames", "out_double_frames"])))
    rows = draw(st.integers(0, 3)) == 0
    stack = [] if rows else stack_of(draw, own, forward=False)
    if rows:
        names = some(draw, ["category", "vector"])
    else:
        names = [*sequences_of_steps(draw), *several(draw, ["category", "vector"], 1)]
    decoder = draw(bodies(own, stack, 0 if rows else width_of(stack[-1], own)))
    lengths: list[Any] = ["learned", "learned", 3, {"column": "count"}, *["input"] * (not rows)]
    decoder["length"] = draw(st.sampled_from(lengths))
    if decoder["length"] == {"column": "count"}:
        names.append("count")
    if decoder["length"] == "learned":
        decoder["max_steps"] = 4
        decoder["min_steps"] = draw(st.sampled_from([0, 0, 2]))
    again = [name for name in names if name in ("frames", "raw_frames", "double_frames")]
    if decoder["length"] == "input" and again:
        kind = {"column": again[0], "as": "frames"}
    kind["distribution"] = draw(st.sampled_from(OF_FRAMES))
    decoder["reverse"] = draw(st.booleans())
    decoder["feedback"] = draw(st.sampled_from(["answers", "answers", "none"]))
    density = kind["distribution"] in (*CONTINUOUS, "laplace", {"mixture": 2})
    if density and decoder["feedback"] == "answers" and draw(st.booleans()):
        kind["paths"] = draw(st.sampled_from([2, {"samples": 3, "quantiles": [0.25, 0.5]}]))
    data = spec_data("1:N" if rows else "N:M", names, [kind], stack, decoder=decoder)
    return _over_fewer_steps(draw, _finished(draw, data, own))


@st.composite
def alignment_specs(draw: Draw) -> dict[str, Any]:
    """An encoder whose steps are aligned with the answer, by CTC or a transducer."""
    own: Own = {"mine": draw(own_cells(False))} if draw(st.integers(0, 3)) == 0 else {}
    names = [*sequences_of_steps(draw), *several(draw, STATICS, 1)]
    width = draw(st.integers(1, 9))
    beam = {"beam": {"width": width, "n_best": draw(st.integers(1, width))}}
    decoder: dict[str, Any] = {"ctc": {}, "strategy": draw(st.sampled_from(["greedy", beam]))}
    if draw(st.booleans()):
        decoder["transducer"] = {"symbols": draw(st.integers(1, 4))}
        decoder["embed"] = 3
        del decoder["ctc"]
        decoder["layers"] = stack_of(draw, own, forward=True, own_used=False)
        decoder["hidden"] = draw(st.sampled_from([None, 4]))
    stack, kind = stack_of(draw, own, forward=False), draw(st.sampled_from(sorted(TEXTS)))
    data = spec_data("N:M", names, [output(kind)], stack, decoder=decoder)
    return _beside(draw, _over_fewer_steps(draw, _finished(draw, data, own)))


def _finished(draw: Draw, data: dict[str, Any], own: Own) -> dict[str, Any]:
    """With the cells in use, and vectors of the row put somewhere."""
    stacks = [data.get(part, {}).get("layers", []) for part in ("encoder", "decoder")]
    used = {layer["cell"] for stack in stacks for layer in stack}
    if cells := {name: cell for name, cell in own.items() if name in used}:
        data["cells"] = cells
    if "decoder" not in data and data.get("pooling", "last") == "last" and "encoder" in data:
        without_skip_of_merged(data["encoder"]["layers"])
    starts = data.get("decoder", {}).get("start_from", "auto")
    alone = data["cardinality"] == "1:N" and starts in ("learned", "zeros")
    for entry in data["data"]["input"]:
        if entry["column"] in STATICS and not alone:
            entry["join"] = draw(st.sampled_from(["steps", "state", "both"]))
            if data["cardinality"][0] == "N" and entry["join"] != "steps":
                for layer in data["encoder"]["layers"]:
                    layer["initial_state"] = "zeros"
    _without_random_normalisers(data)
    return with_settings(draw, data)


def _over_fewer_steps(draw: Draw, data: dict[str, Any]) -> dict[str, Any]:
    """With layers without a cell below the others, where no step of the source is copied."""
    if "encoder" in data and "copy" not in data["decoder"] and draw(st.booleans()):
        first = draw(stateless(features=True))
        video = any(each["as"] == "video" for each in data["data"]["input"])
        data["encoder"]["layers"][:0] = within_frames(first) if video else first
    return data


def _without_random_normalisers(data: dict[str, Any]) -> None:
    """No slstm that starts from random states.

    Its normaliser is a sum of positive numbers from 0 on. One that starts below 0 stays there, and
    the floor of 1e-6 makes values of a million, of which float32 keeps few digits.
    """
    joined = any(entry.get("join", "steps") != "steps" for entry in data["data"]["input"])
    for layer in data.get("encoder", {}).get("layers", []):
        if layer["cell"] == "slstm" and (joined or layer.get("initial_state", "zeros") != "zeros"):
            layer["cell"] = "lstm"
    decoder = data.get("decoder", {})
    for number, layer in enumerate(decoder.get("layers", [])):
        start_from = decoder.get("start_from", layer.get("initial_state", "zeros"))
        if start_from == "encoder":
            layer["cell"] = data["encoder"]["layers"][number]["cell"]
        elif start_from != "zeros" and layer["cell"] == "slstm":
            layer["cell"] = "lstm"
