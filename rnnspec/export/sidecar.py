"""The JSON file beside a stream file: what a program that calls it must know."""

from __future__ import annotations

import json
from pathlib import Path

from rnnspec.files import FileKind
from rnnspec.plan import Facts, Plan
from rnnspec.run.interface import INPUTS, OUTPUTS, StreamColumns, interface

SIDECAR = ".json"
"""The ending of the file beside a stream file, which says the same as its metadata."""


def _is_description(path: Path) -> bool:
    """Whether `described` made the JSON of a file."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and {"inputs", "outputs", "stream"} == found.keys()


DESCRIPTION = FileKind("a description of a stream", (SIDECAR,), _is_description)


def described(plan: Plan, facts: Facts, ids: bool, columns: StreamColumns) -> bytes:
    """What a program that calls the file must know, as JSON."""
    known = interface(plan, facts, ids=ids).metadata()
    found = {
        "inputs": json.loads(known[INPUTS]),
        "outputs": json.loads(known[OUTPUTS]),
        "stream": json.loads(columns.as_json()),
    }
    return (json.dumps(found, ensure_ascii=False, indent=1) + "\n").encode()
