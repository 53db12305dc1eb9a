"""Checks of sequences nested in steps: what holds of rows, and not of a step's own sequence."""

from __future__ import annotations

from collections.abc import Iterator

from rnnspec.spec.explain import Finding
from rnnspec.spec.inner_views import inner_views
from rnnspec.spec.nested import NestedInput
from rnnspec.spec.outputs import NextOutput
from rnnspec.spec.recurrent import GivenState, RecurrentLayer
from rnnspec.spec.spec import Spec


def inner_states_are_of_no_column(spec: Spec) -> Iterator[Finding]:
    """A column has one vector a row, and a row has many steps."""
    for view in inner_views(spec):
        for index, layer in enumerate(view.spec.encoder.layers):
            given = isinstance(layer, RecurrentLayer) and isinstance(
                layer.initial_state, GivenState
            )
            if given:
                message = "a column holds one state for a row, and each step begins one of its own"
                hint = "write 'initial_state: learned', or read the column beside the steps"
                place = (*view.path, "encoder", "layers", index, "initial_state")
                yield Finding(place, message, hint)


def nested_steps_are_not_answered(spec: Spec) -> Iterator[Finding]:
    for path, output in spec.data.located_outputs:
        if isinstance(output, NextOutput) and isinstance(spec.data.input_of(output), NestedInput):
            message = "the next step is a sequence of its own, which 'next' does not answer"
            yield Finding((*path, "as"), message, "answer another column, of a label or text")
