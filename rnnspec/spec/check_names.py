"""Names of the inputs and outputs of the exported file, which a spec alone decides.

The rule is the one of `rnnspec.plan.names`, for a file that reads texts, or token numbers with
subwords; a test holds the two equal. Other files (`export --ids`, `--attention`, `--strategy`)
have more names, which are checked at export.
"""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.base import Loc
from rnnspec.spec.check_layers import all_layers
from rnnspec.spec.distributions import parts_of
from rnnspec.spec.encoder import given_columns
from rnnspec.spec.explain import Finding
from rnnspec.spec.inner_views import levels
from rnnspec.spec.inputs import (
    CategoryInput,
    CharsInput,
    Input,
    SubwordsInput,
    TokenInput,
    TokensInput,
    WordsInput,
)
from rnnspec.spec.metrics import answers_numbers, distribution_of
from rnnspec.spec.nested import NestedInput, inner_lengths
from rnnspec.spec.outputs import (
    Distributed,
    ForecastOutput,
    FramesOutput,
    NextOutput,
    Output,
    PointedOutput,
    PositionsOutput,
    StatesOutput,
    TextOutput,
)
from rnnspec.spec.search import SampleSearch
from rnnspec.spec.spec import Spec
from rnnspec.spec.views import of_one_or_several

Named = tuple[str, Loc]
"""A name, and the path of the column that it comes from."""


def names_of_the_file_differ(spec: Spec) -> Iterator[Finding]:
    seen: dict[str, Loc] = {}
    for name, path in file_names(spec):
        if name in seen and seen[name] != path:
            other = ".".join(map(str, seen[name][:-1]))
            message = f"the exported file would have two inputs or outputs called {name!r}"
            hint = f"rename this column in the data and here, or the column of {other}"
            yield Finding(path, message, hint)
        seen.setdefault(name, path)


def file_names(spec: Spec) -> Iterator[Named]:
    """All names with the paths of their columns; names that clash appear twice."""
    ids = any(isinstance(source, SubwordsInput) for source in spec.data.inputs)
    first: dict[str, Loc] = {}
    for path, layer in all_layers(spec):
        for column in given_columns([layer]) if path[0] != "decoder" else ():
            first.setdefault(column, path)  # several layers may start from one column
    for column, path in first.items():
        yield column, (*path, "initial_state", "column")
    for path, source in spec.data.located_inputs:
        yield from ((name, (*path, "column")) for name in _inputs(spec, source, ids))
    for path, output in spec.data.located_outputs:
        yield from ((name, (*path, "column")) for name in _outputs(spec, output, ids))
    if drawn := next(_drawn(spec), None):
        yield "seed", drawn


def _drawn(spec: Spec) -> Iterator[Loc]:
    """What answers by chance, for which rows have seeds."""
    if spec.decoder is not None and isinstance(spec.decoder.strategy, SampleSearch):
        yield ("decoder", "strategy", "sample")
    for path, output in spec.data.located_targets:
        if isinstance(output, Distributed) and output.samples:
            yield (*path, "samples")
        if isinstance(output, ForecastOutput | FramesOutput) and output.paths is not None:
            yield (*path, "paths")


def _inputs(spec: Spec, source: Input, ids: bool) -> Iterator[str]:
    """The names of one input, and of its lengths where it carries the lengths of all steps."""
    column = source.column
    has_ids = isinstance(
        source, TokenInput | CategoryInput | NestedInput
    )  # others are read unchanged
    yield f"{column}.ids" if ids and has_ids else column
    if spec.data.read_ahead(source):
        yield f"{column}.future"
    if isinstance(source, NestedInput):
        yield from inner_lengths(column, sum(1 for _ in levels(source)))
    if ids and getattr(source, "spelling", None) is not None:
        yield from (f"{column}.characters", f"{column}.characters.lengths")
    if ids and spec.decoder is not None and column in spec.decoder.copied:
        yield f"{column}.copies"
    # The file makes steps of a text, and so knows their number.
    is_split = isinstance(source, TokenInput) and not isinstance(source, TokensInput)
    firsts = [each.data.sequences[:1] for each in of_one_or_several(spec)]
    if any(source is each for found in firsts for each in found) and (ids or not is_split):
        yield f"{column}.lengths"


def _outputs(spec: Spec, output: Output, ids: bool) -> Iterator[str]:
    name = _answer(spec, output)
    if isinstance(output, TextOutput):
        yield from (f"{name}.ids", f"{name}.lengths") if ids else (name,)
        yield f"{name}.scores"
    elif isinstance(output, PositionsOutput):
        yield from (name, f"{name}.lengths", f"{name}.scores")
    elif output is spec.written_frames:
        yield from (name, f"{name}.lengths")
        if spec.data.input_of(output) is not None:
            yield from (f"{name}.errors", f"{name}.scores")
        if output.paths is not None:
            yield from (f"{name}.quantiles", f"{name}.paths")
            learned = spec.decoder is not None and spec.decoder.length == "learned"
            yield from (f"{name}.paths.lengths",) if learned else ()
        else:
            yield from (f"{name}.{part}" for part in parts_of(distribution_of(output)))
    elif isinstance(output, ForecastOutput) and output.paths is not None:
        yield from (name, f"{name}.quantiles", f"{name}.paths")
    elif isinstance(output, ForecastOutput) or answers_numbers(spec, output):
        parts = (*parts_of(distribution_of(output)), *_beside(output))
        yield from (name, *(f"{name}.{part}" for part in parts))
    else:
        yield name
        if not isinstance(output, StatesOutput):
            yield f"{name}.probabilities"
        if isinstance(output, PointedOutput) and _has_words(spec):
            yield f"{name}.text"
        if getattr(output, "crf", False):
            yield f"{name}.scores"


def _has_words(spec: Spec) -> bool:
    """Whether words, tokens or characters stand at the steps."""
    told = WordsInput | TokensInput | CharsInput
    return any(isinstance(source, told) for source in spec.data.sequences)


def _beside(output: Output) -> tuple[str, ...]:
    """What a file answers of a distribution beside its parameters, by the ends of the names."""
    if not isinstance(output, Distributed):
        return ()
    bounds = ("lower", "upper") if output.intervals else ()
    return (*bounds, *(("samples",) if output.samples else ()))


def _answer(spec: Spec, output: Output) -> str:
    """The name of the answer itself."""
    if isinstance(output, NextOutput):
        return f"{output.column}.next"
    if isinstance(output, ForecastOutput):
        return f"{output.column}.forecast"
    return f"{output.column}.answer" if output.column in _read(spec) else output.column


def _read(spec: Spec) -> set[str]:
    """The names of inputs, from which the name of an answer must differ."""
    found = {source.column for source in spec.data.inputs}
    found |= set(given_columns([layer for path, layer in all_layers(spec) if path[0] != "decoder"]))
    for source in spec.data.inputs:
        if spec.data.read_ahead(source):
            found.add(f"{source.column}.future")
        if getattr(source, "spelling", None) is not None:
            found.add(f"{source.column}.characters")
    if spec.decoder is not None:
        found |= {f"{column}.copies" for column in spec.decoder.copied}
    return found
