"""What a model file says of its inputs and outputs, as JSON in its metadata.

Keys of the metadata of a model file:

    rnnspec.spec      the resolved spec, as YAML
    rnnspec.plan      the plan, as text
    rnnspec.version   the version of rnnspec that wrote the file
    rnnspec.parity    how far its answers were from the trained module's, as JSON
    rnnspec.inputs    the columns it reads, as JSON (`InputColumn`)
    rnnspec.outputs   the columns it answers with, as JSON (`OutputColumn`)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from rnnspec.plan.facts import ClassFacts, Facts
from rnnspec.plan.nodes import (
    ClassOutput,
    FramesInput,
    Input,
    NumericOutput,
    Plan,
    VectorInput,
)

SPEC, PLAN, VERSION = "rnnspec.spec", "rnnspec.plan", "rnnspec.version"
PARITY, INPUTS, OUTPUTS = "rnnspec.parity", "rnnspec.inputs", "rnnspec.outputs"

InputKind = Literal["words", "chars", "ids", "frames", "vector"]
OutputKind = Literal["class", "number", "vector"]


@dataclass(frozen=True, slots=True)
class InputColumn:
    """A column that a row must have: a text (`words`, `chars`), a list of token numbers below
    `width` (`ids`), a list of steps of `width` numbers each (`frames`), or a list of `width`
    numbers (`vector`)."""

    column: str
    kind: InputKind
    width: int | None = None


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of the answer: one of `labels` (`class`), a number, or `width` numbers."""

    column: str
    kind: OutputKind
    width: int
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Interface:
    """Everything a caller must know to ask a model."""

    inputs: tuple[InputColumn, ...]
    outputs: tuple[OutputColumn, ...]

    def metadata(self) -> dict[str, str]:
        """The two entries of the file's metadata."""
        return {
            INPUTS: json.dumps([asdict(each) for each in self.inputs], ensure_ascii=False),
            OUTPUTS: json.dumps([asdict(each) for each in self.outputs], ensure_ascii=False),
        }


def interface(plan: Plan, facts: Facts, ids: bool = False) -> Interface:
    """The interface of the file exported from `plan`; `ids` as it was exported."""
    return Interface(
        tuple(_input(node, ids) for node in plan.inputs),
        tuple(_output(node, facts) for node in plan.outputs),
    )


def read_interface(metadata: Mapping[str, str]) -> Interface:
    """The interface in a file's metadata; KeyError, TypeError or ValueError if there is none."""
    inputs = [InputColumn(**entry) for entry in json.loads(metadata[INPUTS])]
    outputs = [
        OutputColumn(**{**entry, "labels": tuple(entry["labels"])})
        for entry in json.loads(metadata[OUTPUTS])
    ]
    return Interface(tuple(inputs), tuple(outputs))


def _input(node: Input, ids: bool) -> InputColumn:
    if isinstance(node, VectorInput):
        return InputColumn(node.column, "vector", node.width)
    if isinstance(node, FramesInput):
        return InputColumn(node.column, "frames", node.width)
    return (
        InputColumn(node.column, "ids", node.size) if ids else InputColumn(node.column, node.kind)
    )


def _output(node: ClassOutput | NumericOutput, facts: Facts) -> OutputColumn:
    if isinstance(node, NumericOutput):
        return OutputColumn(node.column, "number" if node.single else "vector", node.width)
    known = facts.outputs[node.column]
    assert isinstance(known, ClassFacts), f"{node.column} has no labels"
    return OutputColumn(node.column, "class", node.classes, known.labels)
