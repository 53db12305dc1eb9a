"""What holds of each kind of column in every layer, one record a type of input or output node.

What one layer does with a kind stands in a table of that layer, with the same keys: collected and
encoded in `data/columns`, declared in `run/interface.py`, probed in `export/probes.py` and compared
in `export/compare.py`. A type that a table lacks fails there with a KeyError that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rnnspec.plan import nodes
from rnnspec.spec.nested import inner_lengths

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InputTraits:
    """A type of input node."""

    values: Literal["numbers of tokens", "flags", "numbers", "bytes", "times"]
    """What a batch holds: integers below `size`, 0 and 1 as float32, floats in the unit of the
    data, float64 if the node is `double`, bytes, or whole seconds as int64."""
    steps: bool
    """Whether it is on the time axis, whose lengths all sequences of a model share."""
    names: Callable[[Any, bool], Names]
    """The inputs of the graph for the node, with `ids` or not; without the lengths of the axis."""

    def may_miss(self, node: Any) -> bool:
        """Whether a number may be missing: NaN in a batch, null in a row."""
        return self.values == "numbers" and bool(node.missing != "error")

    def is_double(self, node: Any) -> bool:
        """Whether its numbers are float64 until they are scaled."""
        return self.values == "numbers" and bool(node.double)


@dataclass(frozen=True, slots=True)
class OutputTraits:
    """A type of output node."""

    suffix: Callable[[Any], str]
    """Ends the name of the answer where it is about later steps; "" elsewhere."""
    names: Callable[[Any, str, bool, bool], Names]
    """The outputs of the graph for the node, the answer first, from the answer's name, `ids` and
    `attention`."""


def _key(node: nodes.Input, ids: bool) -> Names:
    return (node.key,)


def _text(node: nodes.TokensInput | nodes.CategoryInput | nodes.NestedInput, ids: bool) -> Names:
    return (f"{node.column}.ids",) if ids else (node.column,)


def _nested(node: nodes.NestedInput, ids: bool) -> Names:
    return (*_text(node, ids), *inner_lengths(node.column, node.levels))


def _labels(node: nodes.CategoriesInput | nodes.CategoriesFuture, ids: bool) -> Names:
    return (f"{node.key}.ids",) if ids else (node.key,)


def _found_in_text(node: nodes.CopiesInput, ids: bool) -> Names:
    return (node.key,) if ids else ()


def _characters(node: nodes.CharactersInput, ids: bool) -> Names:
    return (node.key, f"{node.key}.lengths") if ids else ()


INPUT_TRAITS: Mapping[type[nodes.Input], InputTraits] = {
    nodes.TokensInput: InputTraits("numbers of tokens", True, _text),
    nodes.NestedInput: InputTraits("numbers of tokens", True, _nested),
    nodes.CharactersInput: InputTraits("numbers of tokens", False, _characters),
    nodes.CopiesInput: InputTraits("numbers of tokens", True, _found_in_text),
    nodes.CategoryInput: InputTraits("numbers of tokens", False, _text),
    nodes.KeysInput: InputTraits("flags", True, _key),
    nodes.FramesInput: InputTraits("numbers", True, _key),
    nodes.ImageInput: InputTraits("bytes", True, _key),
    nodes.SeriesInput: InputTraits("numbers", True, _key),
    nodes.FutureInput: InputTraits("numbers", False, _key),
    nodes.CalendarInput: InputTraits("times", True, _key),
    nodes.CalendarFuture: InputTraits("times", False, _key),
    nodes.CategoriesInput: InputTraits("numbers of tokens", True, _labels),
    nodes.CategoriesFuture: InputTraits("numbers of tokens", False, _labels),
    nodes.AudioInput: InputTraits("numbers", True, _key),
    nodes.VectorInput: InputTraits("numbers", False, _key),
}


def _next(
    node: nodes.ClassOutput | nodes.ChainOutput | nodes.LabelsOutput | nodes.NumericOutput,
) -> str:
    return ".next" if node.ahead else ""


def _with_probabilities(node: nodes.Output, name: str, ids: bool, attention: bool) -> Names:
    return (name, f"{name}.probabilities")


def _with_path(node: nodes.ChainOutput, name: str, ids: bool, attention: bool) -> Names:
    return (name, f"{name}.probabilities", f"{name}.scores")


def _alone(node: nodes.StatesOutput, name: str, ids: bool, attention: bool) -> Names:
    return (name,)


def _with_text(node: nodes.PositionOutput, name: str, ids: bool, attention: bool) -> Names:
    text = (f"{name}.text",) if node.tokens and not ids else ()
    return (name, f"{name}.probabilities", *text)


def _with_scores(node: nodes.TextOutput, name: str, ids: bool, attention: bool) -> Names:
    answer = (f"{name}.ids", f"{name}.lengths") if answers_ids(node, ids) else (name,)
    return (*answer, f"{name}.scores", *((f"{name}.attention",) if attention else ()))


def answers_ids(node: nodes.WrittenOutput, ids: bool) -> bool:
    """Whether a text is answered as numbers, in a file with `ids`: a model of subwords, whose texts
    are read as numbers always, answers texts."""
    return ids and node.kind != "subwords"


def _with_alignment(node: nodes.AlignedOutput, name: str, ids: bool, attention: bool) -> Names:
    answer = (f"{name}.ids", f"{name}.lengths") if ids else (name,)
    return (*answer, f"{name}.scores", *((f"{name}.alignment",) if attention else ()))


def _with_parts(node: nodes.NumericOutput, name: str, ids: bool, attention: bool) -> Names:
    parts = (*(part.name for part in node.law.parts), *beside(node))
    return (name, *(f"{name}.{part}" for part in parts))


def beside(node: nodes.ForecastOutput | nodes.NumericOutput) -> Names:
    """What is answered of a distribution beside its parameters, by the ends of the names."""
    bounds = ("lower", "upper") if node.intervals else ()
    return (*bounds, *(("samples",) if node.samples else ()))


def _ahead(node: nodes.ForecastOutput, name: str, ids: bool, attention: bool) -> Names:
    parts = (*(part.name for part in node.answered.parts), *beside(node))
    return (
        name,
        *(f"{name}.{part}" for part in parts),
        *((f"{name}.paths",) if node.paths else ()),
    )


def _with_lengths(node: nodes.FramesOutput, name: str, ids: bool, attention: bool) -> Names:
    errors = (f"{name}.errors", f"{name}.scores") if node.read else ()
    parts = (f"{name}.{part.name}" for part in node.answered.parts)
    paths = (f"{name}.paths",) if node.paths else ()
    own = (f"{name}.paths.lengths",) if node.paths and node.length == "learned" else ()
    return (name, f"{name}.lengths", *errors, *parts, *paths, *own)


def _with_count(node: nodes.PointerOutput, name: str, ids: bool, attention: bool) -> Names:
    return (name, f"{name}.lengths", f"{name}.scores")


OUTPUT_TRAITS: Mapping[type[nodes.Output], OutputTraits] = {
    nodes.ClassOutput: OutputTraits(_next, _with_probabilities),
    nodes.ChainOutput: OutputTraits(_next, _with_path),
    nodes.LabelsOutput: OutputTraits(_next, _with_probabilities),
    nodes.NumericOutput: OutputTraits(_next, _with_parts),
    nodes.PositionOutput: OutputTraits(lambda node: "", _with_text),
    nodes.StatesOutput: OutputTraits(lambda node: "", _alone),
    nodes.PointerOutput: OutputTraits(lambda node: "", _with_count),
    nodes.TextOutput: OutputTraits(lambda node: "", _with_scores),
    nodes.CtcOutput: OutputTraits(lambda node: "", _with_alignment),
    nodes.TransducerOutput: OutputTraits(lambda node: "", _with_alignment),
    nodes.ForecastOutput: OutputTraits(lambda node: ".forecast", _ahead),
    nodes.FramesOutput: OutputTraits(lambda node: "", _with_lengths),
}
