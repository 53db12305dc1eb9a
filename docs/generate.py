"""Pages of the manual that are read off the package: keys, commands, cells, messages, stages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from rnnspec.spec.entries import Entry, entries
from rnnspec.spec.examples import example_of, refusal_of, yaml_of

SECTIONS: Mapping[str, tuple[str, str]] = {
    "top": ("The top of a spec", ""),
    "data": ("data: files and series", "data"),
    "input": ("data.input: what is read", "data.input"),
    "output": ("data.output: what is answered", "data.output"),
    "cells": ("cells: cells of your own", "cells"),
    "encoder": ("encoder, encoders and layers", "encoder"),
    "decoder": ("decoder", "decoder"),
    "head": ("pooling and head", "head"),
    "train": ("train", "train"),
}
"""Pages of the reference: the title, and the place that its keys are below."""


def write_pages(folder: Path) -> None:
    """Write all of them; a page that has not changed is left as it is."""
    folder.mkdir(exist_ok=True)
    _picture(folder)
    for name, text in pages():
        file = folder / f"{name}.md"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def _picture(folder: Path) -> None:
    """The plan of the page on design, drawn as `rnnspec show --svg` does."""
    import json

    import rnnspec

    page = (Path(__file__).parent / "design.md").read_text(encoding="utf-8")
    files = dict(re.findall(r":caption: (\S+)\n\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    rows = [json.loads(line) for line in files["rows.jsonl"].splitlines()]
    svg = rnnspec.load(files["walk.yaml"]).svg(data={"train": rows})
    (folder / "walk.svg").write_text(svg, encoding="utf-8")


def pages() -> Iterator[tuple[str, str]]:
    """The name and the text of each page."""
    for section, (title, _) in SECTIONS.items():
        yield f"keys-{section}", _reference(title, section)
    yield "commands", _commands()
    yield "cells", _cells()
    yield "mistakes", _messages()


def _section_of(entry: Entry) -> str:
    place = f"{entry.places[0]}."
    if place.count(".") == 1:
        return "top"
    if place.startswith("pooling."):
        return "head"
    if place.startswith("encoders."):
        return "encoder"
    roots = [(name, f"{root}.") for name, (_, root) in SECTIONS.items() if root]
    found = (max(names, key=len) for at in entry.places if (names := _begun_by(roots, f"{at}.")))
    return next(found)


def _begun_by(roots: list[tuple[str, str]], place: str) -> list[str]:
    return [name for name, root in roots if place.startswith(root)]


def _reference(title: str, section: str) -> str:
    places: dict[str, list[Entry]] = {}
    for entry in entries():
        if _section_of(entry) == section:
            places.setdefault(entry.places[0].rpartition(".")[0], []).append(entry)
    parts = [f"# {title}\n"]
    for place, there in places.items():
        parts.append(f"## {place or 'The keys at the top'}\n")
        parts += map(_entry, there)
    return "\n".join(parts)


def _entry(entry: Entry) -> str:
    """A key as a section: what `rnnspec explain` prints, as Markdown."""
    told = [f"`{each}`" for each in entry.of if each != entry.key]
    of = f" of {', '.join(told)}" if told else ""
    lines = [f"### {entry.key}{of}\n"]
    lines.append(f"{_escaped(entry.about)}\n")
    also = entry.places[1:4]
    lines.append(f"- Type: {_escaped(entry.type)}")
    lines.append(
        f"- Default: {f'`{entry.default}`' if entry.default else 'none; it must be there'}"
    )
    if also:
        rest = f" and {len(entry.places) - 4} more places" if len(entry.places) > 4 else ""
        lines.append(f"- Also: {', '.join(f'`{each}`' for each in also)}{rest}")
    lines += [f"- `{name}`: {_escaped(about)}" for name, about in entry.values]
    refusal = refusal_of(entry)
    if refusal:
        lines.append(f"- No effect {_escaped(refusal)}; then it is refused.")
    example = example_of(entry)
    assert example is not None, entry.places
    lines.append(f"\n```yaml\n{yaml_of(example.shown)}```\n")
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Plain text in Markdown: what looks like markup stays text."""
    return re.sub(r"([\\*_<>|\[\]{}#~])", r"\\\1", text)


def _commands() -> str:
    from typer.testing import CliRunner

    from rnnspec.cli.app import app

    def said(*arguments: str) -> str:
        result = CliRunner().invoke(app, [*arguments, "--help"])
        return result.output.strip("\n")

    names = re.findall(r"^  ([a-z]+)  ", said().partition("Commands:")[2], re.MULTILINE)
    parts = ["# Commands\n", f"```text\n{said()}\n```\n"]
    for name in names:
        parts += [f"## rnnspec {name}\n", f"```text\n{said(name)}\n```\n"]
    return "\n".join(parts)


def _cells() -> str:
    from rnnspec.cells import builtin_cell, builtin_names
    from rnnspec.cells.page import default_sizes, page

    parts = ["# The built-in cells\n"]
    parts.append("Each page is what `rnnspec show --cell NAME` prints.\n")
    for name in builtin_names():
        cell = builtin_cell(name)
        text = page(cell, default_sizes(cell), "built in", {}).text(88).strip("\n")
        parts += [f"## {name}\n", f"```text\n{text}\n```\n"]
    return "\n".join(parts)


def _messages() -> str:
    """Every message that a wrong spec of the tests gets, by the key that it is about."""
    found: dict[str, dict[str, str]] = {}
    for file in sorted((Path(__file__).parents[1] / "tests" / "wrong_specs").glob("*.txt")):
        text = file.read_text(encoding="utf-8")
        for key, message in re.findall(r"^[\w.-]+:\d+:\d+: ([^:\s]+): (.*)$", text, re.M):
            key = re.sub(r"\[\d+\]", "", key)
            found.setdefault(key, {}).setdefault(message, "")
    return _message_list(found)


def _message_list(found: Mapping[str, Iterable[str]]) -> str:
    parts = ["# Messages of wrong specs\n"]
    parts.append(
        "Every message names the key, says what is wrong and what to write instead. These are the "
        "messages of the wrong specs that the tests hold, by the key that they are about.\n"
    )
    for key in sorted(found):
        parts.append(f"## {_escaped(key)}\n")
        parts += [f"- {_escaped(message)}" for message in found[key]]
        parts.append("")
    return "\n".join(parts)
