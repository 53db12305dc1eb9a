"""`rnnspec bench`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from rnnspec.cli.errors import loading
from rnnspec.cli.options import Json, Overrides, SpecFile, examples

if TYPE_CHECKING:
    from rnnspec.bench.answering import Answering
    from rnnspec.bench.measure import Measured
    from rnnspec.bench.training import Training

EXAMPLES = examples(
    "rnnspec bench dates-language.yaml",
    "rnnspec bench dates-language.yaml --set train.batch=64 --set train.threads=2",
)


def bench(
    spec: SpecFile,
    overrides: Overrides = None,
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            min=0.1,
            help="How long training is timed; as long again with other threads.",
        ),
    ] = 5.0,
    as_json: Json = False,
) -> None:
    """Time training and answers of a spec on this machine.

    Training is timed on the spec's own rows, the exported file with the weights that training
    starts from. The share of the machine is of the multiply-adds that torch reaches in a product of
    square matrices with as many threads. Nothing is kept.
    """
    from rnnspec.spec.load import load_spec

    loaded = load_spec(spec, overrides or ())
    with loading():
        from rnnspec.bench.measure import measure
    told = sys.stderr.isatty()
    found = measure(loaded, seconds, lambda text: print(text, file=sys.stderr) if told else None)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
    else:
        print("\n".join(lines(found)))


BUSY = 0.9
"""The share of the processors below which other programs change what is measured."""


def lines(found: Measured) -> Iterator[str]:
    """What was measured, as text."""
    if found.processors_got < BUSY * found.processors:
        of_all = _counted(found.processors, "processor")
        yield f"Other programs are at work: of {of_all} this one got {found.processors_got:.1f}."
        yield "All takes longer than alone, most of all with several threads: measure again later."
        yield ""
    yield from _of_training(found.training)
    yield ""
    title = f"answering {found.window} steps" if found.window else "answering"
    yield f"{title:<28}{'size':>10}{'1 row':>12}{'32 rows':>12}{'rows a second':>16}"
    first = found.answering[0]
    for each in found.answering:
        yield _of_answering(each, first)


def _of_training(each: Training) -> Iterator[str]:
    batches = "batch" if each.batches == 1 else "batches"
    yield f"training, {_counted(each.threads, 'thread')}: {each.batches} {batches}"
    rows, steps = f"{each.rows:.0f} rows", f"{each.steps:,.0f} steps"
    yield f"  a batch        {rows}, {steps}, {each.filled:.0%} of the places filled"
    yield f"  a second       {1 / each.step:,.1f} batches, {each.rows / each.step:,.0f} rows, " + (
        f"{each.steps / each.step:,.0f} steps"
    )
    parts = (("forward", each.forward), ("backward", each.backward), ("optimizer", each.optimizer))
    shares = ", ".join(f"{name} {part / each.step:.0%}" for name, part in parts)
    yield f"  a batch takes  {1e3 * each.step:.2f} ms: {shares}"
    percent = 100 * each.work / each.peak
    share = f"{percent:.0f}%" if percent >= 10 else f"{percent:.2g}%"
    work = f"{_many(each.work)} multiply-adds a second"
    yield f"  of the machine {work}, {share} of {_many(each.peak)}"
    layers = ", ".join(f"{name} {share:.0%}" for name, share in each.layers.items())
    yield f"  forward        {layers}"
    yield from _of_threads(each)


def _of_threads(each: Training) -> Iterator[str]:
    """What other numbers of threads give, and what to set where one of them gains."""
    for count, seconds in each.by_threads.items():
        if count != each.threads:
            times = f"{each.by_threads[each.threads] / seconds:.2g} times as fast"
            advice = f": set train.threads={count}" if count == each.threads_advised else ""
            yield f"  {_counted(count, 'thread'):<14} {times}{advice}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _of_answering(each: Answering, first: Answering) -> str:
    if each.why_not:
        return f"  {each.form}: {each.why_not}"
    one, many = each.seconds
    size = f"{each.size / 1e6:.2f} MB" if each.size >= 1e5 else f"{each.size / 1e3:.1f} kB"
    rate = f"{32 / many:,.0f}"
    line = f"  {each.form:<26}{size:>10}{_time(one):>12}{_time(many):>12}{rate:>16}"
    if each is first or "step" in each.form:
        return line
    return f"{line}  {first.seconds[0] / one:.2f} and {first.seconds[1] / many:.2f} times as fast"


def _many(count: float) -> str:
    """`3.2 G`, `52 G`, `41 M`."""
    unit, name = (1e9, "G") if count >= 1e9 else (1e6, "M")
    return f"{count / unit:.{0 if count >= 10 * unit else 1}f} {name}"


def _time(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms" if seconds >= 1e-4 else f"{1e6 * seconds:.1f} µs"
