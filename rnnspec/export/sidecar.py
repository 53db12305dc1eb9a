"""The JSON file beside an ONNX file: what a program that calls it must know.

`inputs`, `outputs` and, of a stream, `stream` are what the metadata of the file say of its columns
and states. Beside them stand `graph`, every input and output with its type and shape; `opset` and
`onnxruntime`, the first that loads the file; `scaling`, which the file applies itself; and of what
comes in or goes out as numbers `numbers`, by column: how a text becomes numbers, or they a text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnspec.files import FileKind
from rnnspec.plan import Facts, NumericFacts, Plan, TextFacts, nodes
from rnnspec.plan.copies import copies_of
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.plan.kinds import answers_ids
from rnnspec.plan.names import END, TOKENIZER_FILE, UNKNOWN, labels_of, names_of, output_names
from rnnspec.run.interface import INPUTS, OUTPUTS, StreamColumns, interface

SIDECAR = ".json"
"""The ending of the file beside an ONNX file."""
WRITER = "written_by"


@dataclass(frozen=True, slots=True)
class Described:
    """A file to be described: its plan, what is stated of the graph, and its states."""

    plan: Plan
    facts: Facts
    ids: bool
    graph: Mapping[str, Any]
    stream: StreamColumns | None = None

    def as_bytes(self) -> bytes:
        """The JSON."""
        known = interface(self.plan, self.facts, ids=self.ids).metadata()
        found = {
            WRITER: "rnnspec",
            **self.graph,
            "inputs": json.loads(known[INPUTS]),
            "outputs": json.loads(known[OUTPUTS]),
            **({"stream": json.loads(self.stream.as_json())} if self.stream else {}),
            "scaling": dict(_scaling(self.plan, self.facts)),
            **({"numbers": dict(_numbers(self.plan, self.facts))} if self.ids else {}),
        }
        return (json.dumps(found, ensure_ascii=False, indent=1) + "\n").encode()


def _is_description(path: Path) -> bool:
    """Whether `Described` made the JSON of a file."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    if not isinstance(found, dict) or not {"inputs", "outputs"} <= found.keys():
        return False
    return found.get(WRITER) == "rnnspec" or found.keys() == {"inputs", "outputs", "stream"}


DESCRIPTION = FileKind("a description of a model file", (SIDECAR,), _is_description)


def _scaling(plan: Plan, facts: Facts) -> Iterator[tuple[str, Any]]:
    """What the file centres and scales numbers by, for who wants to know."""
    for node in (*plan.inputs, *plan.outputs):
        known = facts.inputs.get(node.column, facts.outputs.get(node.column))
        if isinstance(known, NumericFacts):
            yield node.column, {"mean": [*known.mean], "deviation": [*known.deviation]}


def _numbers(plan: Plan, facts: Facts) -> Iterator[tuple[str, Any]]:
    """The rule of each column whose texts or labels are numbers in the file, by graph input or
    output."""
    for node in plan.inputs:
        match node:
            case nodes.TokensInput():
                yield f"{node.column}.ids", _of_tokens(node, facts)
            case nodes.NestedInput():
                deeper = "lists of " * (node.levels - 1)
                more = {"steps": f"each has a list of {deeper}numbers, 0 past its end"}
                yield f"{node.column}.ids", {**_of_tokens(node.inner, facts), **more}
            case nodes.CategoryInput() | nodes.CategoriesInput() | nodes.CategoriesFuture():
                rule = f"the place of the label; {UNKNOWN_ID} for any other"
                yield f"{node.key}.ids", {"rule": rule, "vocabulary": _names(node, facts)}
            case nodes.CharactersInput():
                known = facts.inputs[node.column]
                assert isinstance(known, TextFacts) and known.characters is not None
                rule = "of each token its code points, each the place of its character"
                names = [END, UNKNOWN, *known.characters.entries]
                yield node.key, {"rule": f"{rule}; {_SPECIALS}", "vocabulary": names}
            case nodes.CopiesInput():
                before = [copies_of(plan, name).column for name in node.after]
                of = f" of {', '.join(map(repr, [*before, node.column]))} together" * bool(before)
                rule = (
                    f"the place of the token in the vocabulary of {node.answers!r}, or, if it is"
                    f" not there, {node.size} + the first step, from 0{of}, that holds the same"
                    " token; ~number where it may not be answered; 0 for nothing to copy"
                )
                yield node.key, {"rule": rule}
            case nodes.KeysInput():
                rule = "1 at the place of each label that is on at a step, 0 elsewhere"
                yield node.key, {"rule": rule, "vocabulary": _names(node, facts)}
    for output in plan.outputs:
        found = _of_output(output, facts)
        if found is not None:
            yield output_names(plan, output, True)[0], found


def _of_output(node: nodes.Output, facts: Facts) -> dict[str, Any] | None:
    """How numbers become an answer; None of what is a number itself."""
    match node:
        case nodes.TextOutput() | nodes.CtcOutput() | nodes.TransducerOutput():
            known = facts.outputs.get(node.column, facts.inputs.get(node.column))
            assert known is not None
            if not answers_ids(node, True):
                return None
            return {
                "rule": "the place of each token, up to the length answered",
                "tokens": node.kind,
                "vocabulary": [*names_of(known)],
            }
        case nodes.ClassOutput() | nodes.ChainOutput():
            rule = "the place of the label; -1 past the length of a row"
        case nodes.LabelsOutput():
            rule = "1 at the place of each label that is on, 0 elsewhere"
        case _:
            return None
    return {"rule": rule, "vocabulary": [*labels_of(facts, node.column)]}


_SPECIALS = f"{UNKNOWN_ID} for any other; past the length any number"


def _of_tokens(node: nodes.TokensInput, facts: Facts) -> dict[str, Any]:
    known = facts.inputs[node.column]
    assert isinstance(known, TextFacts)
    if node.kind == "subwords":
        return {"rule": f"the ids of {TOKENIZER_FILE}, of the tokenizers library"}
    if node.kind == "bytes":
        return {"rule": f"of each byte of the UTF-8 its value + {UNKNOWN_ID + 1}; {_SPECIALS}"}
    return {
        "tokens": node.kind,
        "normalize": node.rule.normalize,
        **({"split": node.rule.split} if node.kind == "words" else {}),
        **({"pattern": node.rule.pattern} if node.rule.pattern else {}),
        "lower_case": "where unknown" if node.or_lower else node.fold_case,
        "rule": f"the place of each token; {_SPECIALS}",
        "vocabulary": _names(node, facts),
    }


def _names(node: nodes.Input, facts: Facts) -> list[str]:
    return [*names_of(facts.inputs[node.column])]
