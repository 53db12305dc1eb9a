"""Names of the inputs and outputs of an exported model: one rule for its writers and readers."""

from __future__ import annotations

from typing import Any, TypeVar

from rnnspec.plan.facts import UNKNOWN_ID, ClassFacts, ColumnFacts, Facts, TextFacts
from rnnspec.plan.kinds import INPUT_TRAITS, OUTPUT_TRAITS
from rnnspec.plan.nodes import (
    Attend,
    AudioInput,
    Decoder,
    ForecastOutput,
    FramesOutput,
    Input,
    NumberedOutput,
    NumericOutput,
    Output,
    Plan,
    Sample,
    SearchedOutput,
    TextOutput,
    TokensInput,
)

END, UNKNOWN = "<end>", "<unknown>"
"""The tokens that numbers 0 and 1 of a vocabulary are shown as."""
TOKENIZER_FILE = "tokenizer.json"
"""The file beside a model of subwords, with which the tokenizers library makes token numbers."""
Count = TypeVar("Count", bound=Any)
"""A number of steps, or an array of them."""
SEED = "seed"
"""The input `[batch]` of a model that draws its answers."""


def first_sequences(plan: Plan) -> dict[str, Input]:
    """The input whose lengths are the lengths of each time axis, by the name of the axis."""
    found: dict[str, Input] = {}
    for node in plan.inputs:
        if INPUT_TRAITS[type(node)].steps:
            found.setdefault(node.axis, node)
    return found


def reads_backward(plan: Plan) -> bool:
    """Whether rows are read from their ends."""
    return any(isinstance(node, TokensInput) and node.reverse for node in plan.inputs)


def first_sequence(plan: Plan) -> Input | None:
    """The input whose lengths are the lengths of the time axis, of several of the first."""
    return next(iter(first_sequences(plan).values()), None)


def steps_in(node: Input, lengths: Count) -> Count:
    """The steps of the time axis in rows of an input: windows of samples, else its own steps."""
    if not isinstance(node, AudioInput):
        return lengths
    windows: Count = -(-lengths // node.hop)
    return windows


def splits_text(node: Input, ids: bool) -> bool:
    """Whether the model itself splits the texts of an input, and so finds their lengths."""
    return isinstance(node, TokensInput) and node.kind != "tokens" and not ids


def lengths_name(plan: Plan, ids: bool) -> str:
    """The input `[batch]` with the lengths of the time axis; "" for a model that finds them itself
    or has no such axis."""
    return next(iter(lengths_names(plan, ids).values()), "")


def lengths_names(plan: Plan, ids: bool) -> dict[str, str]:
    """`lengths_name` of each time axis, by the name of the axis."""
    return {
        axis: "" if splits_text(first, ids) else f"{first.column}.lengths"
        for axis, first in first_sequences(plan).items()
    }


def input_names(node: Input, ids: bool) -> tuple[str, ...]:
    """The inputs that stand for `node`, without the lengths of the time axis. The characters of
    texts, and what may be copied of them, have none without `ids`: the model finds them."""
    return INPUT_TRAITS[type(node)].names(node, ids)


def answer_name(plan: Plan, node: Output) -> str:
    """The output with the answer itself: its column, and more where an input has the same name."""
    if suffix := OUTPUT_TRAITS[type(node)].suffix(node):
        return f"{node.column}{suffix}"
    read = {name for each in plan.inputs for name in (each.column, each.key)}
    return f"{node.column}.answer" if node.column in read else node.column


def stepwise_answer(node: Output) -> bool:
    """Whether an output answers each step."""
    return bool(getattr(node, "steps", False))


def later_name(plan: Plan, node: Output) -> str:
    """The output with the number of steps answered, where they are not those that came in."""
    return f"{answer_name(plan, node)}.lengths"


def draws(node: Output) -> bool:
    """Whether an answer, or some of it, is drawn at random, with the row's own seed."""
    if isinstance(node, ForecastOutput | FramesOutput) and node.paths:
        return True
    if isinstance(node, NumericOutput | ForecastOutput):
        return node.samples > 0
    return isinstance(node, SearchedOutput) and isinstance(node.search, Sample)


def output_names(plan: Plan, node: Output, ids: bool, attention: bool = False) -> tuple[str, ...]:
    """All outputs that stand for `node`, the answer itself first."""
    own = answer_name(plan, node)
    names = OUTPUT_TRAITS[type(node)].names(node, own, ids, attention)
    if not attention or not isinstance(node, TextOutput):
        return names
    others = (name for name in names if name != f"{own}.attention")
    return (*others, *(f"{own}{each}" for each in attention_suffixes(plan, node)))


def attended(plan: Plan, node: NumberedOutput) -> tuple[Attend, ...]:
    """What attends in the decoder that writes an answer: to one source after the other."""
    decoder = plan.node(node.source)
    body = decoder.body if isinstance(decoder, Decoder) else ()
    return tuple(each for each in body if isinstance(each, Attend))


def attended_names(plan: Plan, node: NumberedOutput) -> tuple[str, ...]:
    """The encoders that a decoder attends to; "" for the one of a model with one encoder."""
    found = attended(plan, node)
    return tuple(each.name.rpartition(".")[2] if len(found) > 1 else "" for each in found)


def attention_suffixes(plan: Plan, node: NumberedOutput) -> tuple[str, ...]:
    """What ends the names of the outputs with the weights of attention: of several sources each
    has its encoder's."""
    return tuple(f".attention{'.' * bool(n)}{n}" for n in attended_names(plan, node))


def labels_of(facts: Facts, column: str) -> tuple[str, ...]:
    """The labels of an answer in order of number."""
    return names_of(facts.outputs[column])


def names_of(known: ColumnFacts) -> tuple[str, ...]:
    """The label or token of each number of a column; tokens begin with the end and the unknown."""
    if isinstance(known, TextFacts):
        names = (END, UNKNOWN, *known.vocabulary.entries)
        assert names[UNKNOWN_ID] == UNKNOWN
        return names
    assert isinstance(known, ClassFacts), "numbers have no names"
    return known.labels
