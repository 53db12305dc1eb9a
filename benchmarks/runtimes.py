"""Which runtime answers which exported file: onnxruntime of several versions, in Node and in a
browser, OpenVINO and tract.

    python benchmarks/runtimes.py --environments DIR [--markdown docs/runtimes.md] [--json FILE]

Exports every kind of model in every form (`elsewhere/files.py`), with random weights, and asks each
runtime to load the file, to answer rows of unequal lengths, and a row of no steps alone. Answers
are held against those of the newest onnxruntime. `--environments` is a folder that keeps the
runtimes; what is missing there is installed with pip and npm, where they are.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from elsewhere import environments
from elsewhere.answer import tensor
from elsewhere.browser import browser, in_browser
from elsewhere.browser import version as version_of_browser
from elsewhere.environments import Found
from elsewhere.files import FORMS, MODELS, File, written

import rnnspec

ALLOWED = 1e-4
"""The largest difference of two numbers that count as equal, in units of 1 or of the number."""
ABBREVIATED = 110
REASONS: Mapping[str, str] = {
    r"Opset (\d+) is under development": r"opset \1 is newer",
    r"Unsupported model IR version: (\d+)": r"IR version \1 is newer",
    r"Could not find an implementation for (\w+)\((\d+)\)": r"no \1 of opset \2",
    r"No Op registered for (\w+) with domain_version of (\d+)": r"no \1 of opset \2",
    r"while running (\w+) node": r"\1 fails",
    r"No conversion rule found for operations: ([^\n]*)": r"no \1",
    r"Conversion is failed for: ([^\n]*)": r"cannot convert \1",
    r"While validating node 'opset\d+::(\w+)": r"refuses \1",
    r"Unimplemented\((\w+)\)": r"no \1",
    r'Failed analyse for node #\d+ "[^"]*" (\w+)': r"cannot analyse \1",
    r'Translating node #\d+ "[^"]*" (\w+) ToTypedTranslator\s+Caused by:\s+([^.\n]*)': r"\1: \2",
    r"Unsupported DatumType in the public API String": "no texts",
}
"""Messages of runtimes in few words."""
Answers = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a runtime does with a file: `loads`, then each group of calls. An empty text is right;
    another says what is not. None: not asked."""

    loads: str = ""
    unequal: str | None = None
    empty: str | None = None


@dataclass(slots=True)
class Table:
    """Verdicts by the title of a runtime and the name of a file."""

    files: list[File]
    versions: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, dict[str, Verdict]] = field(default_factory=dict)


# ------------------------------------------------------------------------ judging


def short(message: str) -> str:
    """The reason of a failure in few words."""
    for pattern, words in REASONS.items():
        if match := re.search(pattern, message):
            return re.sub(r"-\d+\b", "", match.expand(words))
    message = " ".join(message.split())
    return message if len(message) <= ABBREVIATED else f"{message[:ABBREVIATED]}…"


def judged(found: Found, expected: Found) -> Verdict:
    if found["load"]:
        return Verdict(short(found["load"]))
    groups = {name: difference(found[name], expected[name]) for name in expected if name != "load"}
    return Verdict("", groups.get("unequal"), groups.get("empty"))


def difference(found: Any, expected: Any) -> str:
    """What is not as expected of the answers of a group of calls."""
    if isinstance(expected, dict):
        return f"the newest onnxruntime fails: {short(expected['error'])}"
    if isinstance(found, dict):
        return short(found["error"])
    return next(
        (
            wrong
            for one, other in zip(found, expected, strict=True)
            for name in other
            if (wrong := of_output(name, one, other))
        ),
        "",
    )


def of_output(name: str, found: Answers, expected: Answers) -> str:
    if name not in found:
        return "wrong: an output is missing"
    one, other = tensor(found[name]), tensor(expected[name])
    if one.shape != other.shape:
        return "wrong: another shape"
    if one.dtype == object or other.dtype == object:
        return "" if (one == other).all() else "wrong: another text"
    one, other = one.astype(np.float64), other.astype(np.float64)
    apart = np.abs(one - other) / np.maximum(1, np.abs(other))
    apart[(one == other) | (np.isnan(one) & np.isnan(other))] = 0
    worst = float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))
    return "wrong: other numbers" if worst > ALLOWED else ""


# ------------------------------------------------------------------------ asking


def asked(folder: Path, files: Sequence[File], places: Path, only: Sequence[str]) -> Table:
    """Ask every runtime that is there."""
    table = Table(list(files))
    newest = environments.of_python(places, environments.NEWEST)
    expected = dict(answers_of(newest, folder, files))
    for title, version, answers in runtimes(folder, files, places, only):
        print(version, flush=True)
        table.versions[title] = version
        table.verdicts[title] = {}
        lost = {"load": "no answer"}
        found = {file.name: lost for file in files} | dict(answers)
        for file in files:
            verdict = judged(found[file.name], expected[file.name])
            table.verdicts[title][file.name] = verdict
    return table


def answers_of(
    environment: environments.Environment, folder: Path, files: Sequence[File]
) -> Iterator[tuple[str, Found]]:
    found = environment.ask([folder / file.name for file in files])
    return zip([file.name for file in files], found, strict=True)


def runtimes(
    folder: Path, files: Sequence[File], places: Path, only: Sequence[str]
) -> Iterator[tuple[str, str, Iterator[tuple[str, Found]]]]:
    """Titles, versions and the answers by the names of files."""

    def wanted(name: str) -> bool:
        return not only or name in only

    for name in environments.PYTHON:
        if name != "tract" and name != "openvino" and wanted(name):
            here = environments.of_python(places, name)
            yield (
                f"onnxruntime {here.version}",
                f"onnxruntime {here.version}",
                answers_of(here, folder, files),
            )
    if wanted("node") and (node := environments.of_node(places)):
        yield "Node", f"Node with onnxruntime-node {node.version}", answers_of(node, folder, files)
    if wanted("browser") and browser():
        names = [file.name for file in files]
        answers = in_browser(folder, names, places)
        web = environments.version_of(places / "npm", "onnxruntime-web")
        yield "Chromium", f"{version_of_browser()} with onnxruntime-web {web}", answers
    for name, title in (("openvino", "OpenVINO"), ("tract", "tract")):
        if wanted(name):
            here = environments.of_python(places, name)
            yield title, f"{title} {here.version}", answers_of(here, folder, files)


# ------------------------------------------------------------------------ writing


def markdown(table: Table) -> str:
    """The page."""
    reasons: dict[str, int] = {}
    titles = [title for title in table.verdicts if title != _newest(table)]
    lines = [
        "| model | form | opset | " + " | ".join(titles) + " |",
        "|---|---|---|" + "---|" * len(titles),
    ]
    before = ""
    for file in table.files:
        cells = [cell(table.verdicts[title][file.name], reasons) for title in titles]
        model = file.model if file.model != before else ""
        lines.append(f"| {model} | {file.form} | {file.opset} | " + " | ".join(cells) + " |")
        before = file.model
    found = [f"{number}. {reason}" for reason, number in reasons.items()]
    versions = ", ".join(table.versions.values())
    return PAGE.format(
        table="\n".join(lines),
        reasons="\n".join(found),
        versions="\n".join(wrap(versions, 99)),
        rnnspec=rnnspec.__version__,
        newest=_newest(table),
    )


def _newest(table: Table) -> str:
    version = environments.PYTHON[environments.NEWEST].wanted[0].partition("==")[2]
    return f"onnxruntime {version}"


def cell(verdict: Verdict, reasons: dict[str, int]) -> str:
    def number(reason: str) -> str:
        return f"[{reasons.setdefault(reason, len(reasons) + 1)}]"

    if verdict.loads:
        return f"does not load {number(verdict.loads)}"
    if verdict.unequal:
        wrong = "**wrong**" if verdict.unequal.startswith("wrong") else "fails"
        return f"{wrong} {number(verdict.unequal)}"
    if verdict.empty:
        return f"yes, no empty row alone {number(verdict.empty)}"
    return "yes"


PAGE = """# Which runtime answers which file

Each kind of model in each form that `rnnspec export --onnx` gives it, with random weights. *yes*:
the runtime loads the file, and answers rows of unequal lengths in one batch, and a row of no steps
alone, as {newest} does. A stream file is called chunk by chunk, its states carried by the caller.
Reasons stand below the table, by number. OpenVINO and tract have no operators on texts, and
OpenVINO reads past the end of the shorter rows of a batch in its own LSTM, GRU and RNN: files for
them are those of `--portable`. Each computes on one thread, OpenVINO in float32
(`EXECUTION_MODE_HINT: ACCURACY`): else in bfloat16 or 8 bits, where the processor can.

Made by `python benchmarks/runtimes.py --environments DIR --markdown docs/runtimes.md` with rnnspec
{rnnspec}. {versions}.

{table}

## Reasons

{reasons}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, required=True, metavar="DIR")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--files", type=Path, metavar="DIR", help="keep the files here")
    parser.add_argument("--models", nargs="*", choices=[*MODELS], default=[])
    parser.add_argument("--forms", nargs="*", choices=[*FORMS], default=[])
    parser.add_argument("--runtimes", nargs="*", default=[], metavar="NAME")
    options = parser.parse_args()
    options.environments.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.files or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        every = [
            written(folder.resolve(), model, form)
            for model in options.models or MODELS
            for form in options.forms or FORMS
        ]
        files = [file for file in every if not file.refused]
        print(f"{len(files)} files", flush=True)
        table = asked(folder.resolve(), files, options.environments.resolve(), options.runtimes)
    page = markdown(table)
    print(page)
    if options.markdown:
        options.markdown.parent.mkdir(parents=True, exist_ok=True)
        options.markdown.write_text(page)
    if options.json:
        found = {
            "versions": table.versions,
            "files": [asdict(file) for file in every],
            "verdicts": {
                title: {name: asdict(each) for name, each in verdicts.items()}
                for title, verdicts in table.verdicts.items()
            },
        }
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
