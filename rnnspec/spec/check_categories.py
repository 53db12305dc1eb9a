"""Checks of inputs `as: categories`: they are read beside series, and ahead of forecasts alone."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.explain import Finding, no_effect
from rnnspec.spec.inputs import CategoriesInput, SeriesInput
from rnnspec.spec.spec import Spec


def categories_are_of_series(spec: Spec) -> Iterator[Finding]:
    beside = any(isinstance(each, SeriesInput) for each in spec.data.inputs)
    for path, source in spec.data.located_inputs:
        if not isinstance(source, CategoriesInput):
            continue
        if not beside:
            message = "labels of each step are read beside series, and no input is one"
            hint = "add an input 'as: series', or read lists of labels 'as: tokens'"
            yield Finding((*path, "as"), message, hint)
        elif source.known and not spec.data.is_forecast:
            yield no_effect((*path, "known"), "without an output 'as: forecast'")
