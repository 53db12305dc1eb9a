"""The diagram of a plan. A new node type is one entry in `WORDS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rnnspec.plan import nodes
from rnnspec.plan.diagram.boxes import Box, Diagram, Flow, Kind
from rnnspec.plan.text_rule import TextRule

Words = tuple[str, ...]
"""What a node does in a word or two, then one line for each setting worth showing."""

_TOKENS = {
    "words": "words", "chars": "characters", "bytes": "bytes", "subwords": "subwords",
    "tokens": "tokens",
}  # fmt: skip
_WINDOWS = {"window": "mean and deviation", "level": "mean", "mean": "mean size"}
_FOLLOWS = {"student_t": "Student-t", "negative_binomial": "negative binomial"}
_POOLS = {
    "last": "last step's output",
    "mean": "mean over steps",
    "max": "largest over steps",
    "attention": "weighted mean over steps",
}
_MERGES = {"sum": "sum", "mean": "mean", "mul": "product"}
_COMPARED: Mapping[nodes.CompareKind, str] = {
    "difference": "absolute difference",
    "cosine": "cosine of the angle",
    "manhattan": "exp of minus the distance",
}
_LOCAL_POOLS = {"max": "largest", "mean": "mean"}
_SQUEEZES = {
    "flatten": "features side by side", "mean": "mean over features", "max": "largest over features"
}  # fmt: skip
_PASSES = {"forward": "first step to last", "reverse": "last step to first"}


_SOUNDS: Mapping[nodes.AudioKind, str] = {
    "log_mel": "log mel energies",
    "mfcc": "cepstral coefficients",
    "magnitude": "magnitude spectrum",
    "power": "power spectrum",
    "log": "log power spectrum",
    "raw": "samples",
}


_FRAMES: Mapping[nodes.LengthRule, str] = {
    "input": "as many as the input has",
    "fixed": "{0.limit} of them",
    "column": "as many as {0.counted} says",
    "learned": "until one says stop, {0.limit} at most",
}


def _when(shown: object, line: str) -> Words:
    return (line,) if shown else ()


def _extents(extents: nodes.Extent) -> str:
    """`3 x 3`, or `5` of steps alone."""
    return " x ".join(map(str, extents))


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(f"{each:,}" for each in numbers)


def _rule(rule: TextRule) -> Words:
    split = {"whitespace": "", "punctuation": "punctuation apart", "regex": f"each {rule.pattern}"}
    form = rule.normalize.upper() if rule.normalize != "none" else ""
    return tuple(filter(None, (form, split[rule.split])))


WORDS: Mapping[type[nodes.Node], Callable[[Any], Words]] = {
    nodes.TokensInput: lambda n: (
        _TOKENS[n.kind], f"{n.size:,} in the vocabulary", *_rule(n.rule),
        *_when(n.fold_case, "lower-cased"), *_when(n.reverse, "from the end"),
    ),
    nodes.NestedInput: lambda n: (
        f"steps of {_TOKENS[n.kind]}", f"{n.size:,} in the vocabulary", *_rule(n.rule),
        *_when(n.fold_case, "lower-cased"),
    ),
    nodes.Unnest: lambda n: ("the sequence of each step",),
    nodes.CharactersInput: lambda n: ("characters of each token", f"{n.size:,} in the vocabulary"),
    nodes.CopiesInput: lambda n: ("tokens that may be copied",),
    nodes.CategoryInput: lambda n: ("label", f"{n.size:,} in the vocabulary"),
    nodes.KeysInput: lambda n: ("labels on at each step", f"{n.size:,} labels"),
    nodes.SeriesInput: lambda n: (
        "past of a series",
        *_when(n.log, "logarithms"),
        *_when(n.differences, f"differences of lag {', '.join(map(str, n.differences))}"),
        *_when(n.scaled, "standardised"),
    ),
    nodes.LastValues: lambda n: (("last value",) if n.steps == 1 else (f"last {n.steps} values",)),
    nodes.Observed: lambda n: ("which numbers are known",),
    nodes.WindowMoments: lambda n: (f"{_WINDOWS[n.kind]} of the past",),
    nodes.SeasonAgo: lambda n: (
        ("last value",) if n.season == 1 else ("last season", f"{n.season} steps")
    ),
    nodes.AddBase: lambda n: ("sum",),
    nodes.Lags: lambda n: (f"values {_listed(n.lags)} steps before",),
    nodes.LagsAhead: lambda n: (f"values {_listed(n.lags)} steps before the {n.horizon} ahead",),
    nodes.Latest: lambda n: (f"the last {n.steps:,} steps",),
    nodes.CalendarInput: lambda n: ("calendar", *n.calendar.features),
    nodes.CalendarFuture: lambda n: (f"calendar of {n.horizon} steps ahead",),
    nodes.CategoriesInput: lambda n: ("labels of steps", f"{n.size:,} in the vocabulary"),
    nodes.CategoriesFuture: lambda n: (f"{n.horizon} known labels ahead",),
    nodes.CalendarEmbed: lambda n: ("embedding", f"{n.width} numbers of each value"),
    nodes.AheadFlat: lambda n: (f"{n.steps} steps ahead side by side",),
    nodes.FutureInput: lambda n: (f"{n.horizon} known values ahead",),
    nodes.FramesInput: lambda n: (f"frames of {n.width}", *_when(n.scaled, "standardised")),
    nodes.AudioInput: lambda n: (
        f"sound of {n.rate:,} Hz", f"{_SOUNDS[n.kind]} of windows of {n.window} samples",
        f"every {n.hop}", *_when(n.deltas, f"deltas of order {n.deltas}"),
        *_when(n.normalize == "learned", "standardised"),
        *_when(n.normalize == "utterance", "standardised in each row"),
        *_when(n.augment, "augmented while training"),
    ),
    nodes.ImageInput: lambda n: (
        f"{'video' if n.picture.steps == 'frames' else 'picture'}, {n.picture.steps} of"
        f" {n.picture.features} pixels",
        "grey" if n.picture.channels == 1 else "red, green and blue",
        *_when(n.invert, "inverted"),
        *_when(n.augment, "changed at random while training"),
        *_when(n.scale == "standard", "standardised"),
    ),
    nodes.Elapsed: lambda n: ("time since the step before", f"element {n.index} of each frame"),
    nodes.VectorInput: lambda n: (
        "number" if n.single else f"vector of {n.width}", *_when(n.scaled, "standardised"),
    ),
    nodes.Embed: lambda n: (
        "embedding", f"{n.size:,} vectors of {n.width}",
        *_when(n.frozen, f"{n.frozen:,} from a file, as they are"),
    ),
    nodes.Dropout: lambda n: (
        f"dropout of {n.rate:.3g}", "while training only",
        *_when(n.per_sequence, "the same elements at all steps"),
    ),
    nodes.Recurrent: lambda n: (
        n.cell.name, *(f"{name} {size}" for name, size in n.sizes),
        *_when(n.initial == "learned", "initial states learned"),
        *_when(n.initial == "given", "initial states given"),
        *_when(n.recurrent_dropout, f"recurrent dropout of {n.recurrent_dropout:.3g}"),
        *_when(n.zoneout, f"zoneout of {n.zoneout:.3g}"),
        *_when(n.weight_drop, f"weight drop of {n.weight_drop:.3g}"),
    ),
    nodes.Merge: lambda n: (f"{_MERGES[n.kind]} of both directions",),
    nodes.Normalize: lambda n: ("layer norm",),
    nodes.Ordinal: lambda n: (f"{n.classes - 1} cuts", "proportional odds"),
    nodes.Residual: lambda n: ("sum",),
    nodes.Highway: lambda n: ("highway: a gated mean",),
    nodes.Pool: lambda n: (_POOLS[n.kind], *_when(n.units, f"attention of {n.units} units")),
    nodes.Dense: lambda n: ("dense", *_when(n.activation != "none", f"then {n.activation}")),
    nodes.Join: lambda n: ("side by side",),
    nodes.Conv: lambda n: (
        f"convolution of {_extents(n.size)}", f"{n.filters:,} filters",
        *_when(max(n.stride) > 1, f"stride of {_extents(n.stride)}"),
        *_when(max(n.dilation) > 1, f"dilation of {_extents(n.dilation)}"),
        *_when(n.groups > 1, f"{n.groups} groups"), *_when(n.causal, "causal"),
    ),
    nodes.LocalPool: lambda n: (
        f"{_LOCAL_POOLS[n.kind]} of {_extents(n.size)}",
        *_when(n.stride != n.size, f"stride of {_extents(n.stride)}"),
    ),
    nodes.StackSteps: lambda n: (
        f"{n.size} steps side by side", *_when(n.stride != n.size, f"stride of {n.stride}"),
    ),
    nodes.BatchNorm: lambda n: ("batch norm",),
    nodes.Grid: lambda n: (f"{n.features} features of {n.channels}",),
    nodes.Unflatten: lambda n: (f"frames of {n.columns} x {n.rows} pixels",),
    nodes.Squeeze: lambda n: (_SQUEEZES[n.kind],),
    nodes.Places: lambda n: ("each place as a step",),
    nodes.Activate: lambda n: (n.activation,),
    nodes.Combine: lambda n: (_MERGES[n.kind],),
    nodes.Compare: lambda n: (_COMPARED[n.kind],),
    nodes.PerStep: lambda n: ("back in the place of each step",),
    nodes.FinalState: lambda n: (f"{n.state} after the last step",),
    nodes.Previous: lambda n: ("the token before", "first the mark"),
    nodes.PreviousNumber: lambda n: (f"the value{'s' * bool(n.others)} before",),
    nodes.PreviousFrame: lambda n: ("the frame before", "first 0") if n.fed else ("0",),
    nodes.Delayed: lambda n: (f"{n.source} of the step before", "first 0"),
    nodes.Attend: lambda n: (
        f"{n.kind.replace('_', '-')} attention", nodes.ATTENTIONS[n.kind].formula,
        *_when(n.units, f"{n.units} units"), *_when(n.heads > 1, f"{n.heads} heads"),
        *_when(n.coverage, "coverage"),
    ),
    nodes.Scores: lambda n: (f"scores of {n.size:,} tokens", *_when(n.tied, f"matrix of {n.tied}")),
    nodes.CopyMix: lambda n: ("tokens may be copied",),
    nodes.Decoder: lambda n: ("step by step", *_when(n.steps, f"{n.steps} steps")),
    nodes.LabelsOutput: lambda n: (f"any of {n.labels} labels", "sigmoid"),
    nodes.TextOutput: lambda n: (
        _TOKENS[n.kind], _searched(n.search), f"{n.search.limit} steps at most",
    ),
    nodes.CtcOutput: lambda n: (
        _TOKENS[n.kind], f"an alignment (CTC), {_searched(n.search)}",
    ),
    nodes.TransducerOutput: lambda n: (
        _TOKENS[n.kind], f"a transducer, {_searched(n.search)}", f"joined by {n.hidden} units",
    ),
    nodes.ForecastOutput: lambda n: (
        f"{n.horizon} values ahead",
        *_when(n.paths, f"{n.paths} paths of {_FOLLOWS.get(n.distribution, n.distribution)}"),
        ", ".join(f"{q:g}" for q in n.quantiles) or _FOLLOWS.get(n.distribution, n.distribution),
        *_when(n.differences, "summed up from differences"),
        "in the units of the data",
    ),
    nodes.FramesOutput: lambda n: (
        f"frames of {n.width}", _FRAMES[n.length].format(n),
        *_when(n.paths, f"{n.paths} paths of {_FOLLOWS.get(n.distribution, n.distribution)}"),
        *_when(n.distribution != "point", _law(n)),
        *_when(n.reverse, "the last one first"), *_when(n.read, "and their errors"),
        *_when(n.scaled, "in the units of the data"),
    ),
    nodes.ClassOutput: lambda n: (f"one of {n.classes} classes", "softmax"),
    nodes.ChainOutput: lambda n: (
        f"path of {n.classes} labels", "CRF: linear chain",
        *_when(n.scheme != "none", f"scheme {n.scheme}"),
    ),
    nodes.Pointed: lambda n: ("the step pointed at before", "first a learned vector"),
    nodes.Pointer: lambda n: ("scores of all steps", "v · tanh(W q + W m + b)"),
    nodes.PointerOutput: lambda n: (
        "steps of the input", _searched(n.search), f"{n.search.limit} steps at most",
        *_when(n.search.no_repeat == 1, "each once"),
    ),
    nodes.PositionOutput: lambda n: (
        "a step of the row" if n.marks == 1 else "first and last step of a span",
        "softmax over the steps", *_when(n.longest, f"{n.longest} steps at most"),
        *_when(n.none, "or none"),
    ),
    nodes.StatesOutput: lambda n: (f"states, {n.width} wide",),
    nodes.NumericOutput: lambda n: (
        "number" if n.single else f"vector of {n.width}",
        *_when(n.scaled, "in the units of the data"),
    ),
}  # fmt: skip
"""Node type to its words."""


def _law(node: nodes.FramesOutput) -> str:
    """The quantiles, or the distribution, of the numbers of a frame."""
    quantiles = ", ".join(f"{q:g}" for q in node.quantiles)
    return quantiles or _FOLLOWS.get(node.distribution, node.distribution)


def _searched(search: nodes.AnySearch) -> str:
    if isinstance(search, nodes.Beam | nodes.PrefixBeam | nodes.TransducerBeam):
        return f"beam of {search.width}"
    return search.strategy


def diagram(plan: nodes.Plan) -> Diagram:
    """The boxes of a plan, in its order of computation."""
    known = nodes.shapes(plan)
    trained = sum(weight.size for weight in nodes.weights(plan) if weight.trained)
    boxes = tuple(_box(plan, node, known[node.name]) for node in plan.every_node())
    return Diagram(plan.name, f"{plan.cardinality}, {trained:,} trained weights", boxes)


def _box(plan: nodes.Plan, node: nodes.Node, shape: nodes.Shape) -> Box:
    title, *lines = WORDS[type(node)](node)
    return Box(
        name=node.name,
        title=title,
        lines=tuple(lines),
        shape=shape,
        note=_count(node),
        sources=_reads(node),
        flows=tuple(_flows(node)) if isinstance(node, nodes.Recurrent) else (),
        kind=_kind(plan, node),
        training=isinstance(node, nodes.Dropout),
    )


def _reads(node: nodes.Node) -> tuple[str, ...]:
    """The boxes that a box reads, all of which come before it."""
    if isinstance(node, nodes.Delayed):  # its source comes later
        return ()
    if isinstance(node, nodes.Decoder):
        return (node.scores,)
    return tuple(dict.fromkeys(node.sources()))


def _flows(layer: nodes.Recurrent) -> list[Flow]:
    return [Flow(way, f"{layer.units} units, {_PASSES[way]}") for way in layer.directions]


def _kind(plan: nodes.Plan, node: nodes.Node) -> Kind:
    if isinstance(node, nodes.Input | nodes.Elapsed | nodes.WindowMoments):
        return "input"
    return "output" if node in plan.outputs else "operation"


def _count(node: nodes.Node) -> str:
    found = [] if isinstance(node, nodes.Decoder) else list(node.weights())
    if not found:
        return ""
    if node.same_as:
        return f"the weights of {node.same_as}"
    trained = sum(weight.size for weight in found if weight.trained)
    return f"{trained:,} weights" if trained else f"{sum(w.size for w in found):,} from the data"
