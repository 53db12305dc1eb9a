"""A file in the reference evaluator of ONNX: NumPy, by the words of the standard."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


class Unknown(Exception):
    """The evaluator lacks an operator, or a form of one."""


class Evaluated:
    """Answers as a session of onnxruntime does. Lengths that recurrent operators are told are
    ignored, so that only portable files are answered right."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = model
        self._evaluator: Any = None

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> Arrays:
        """Every output by name. Raises Unknown for what it does not know."""
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                values = self._opened().run(None, dict(feeds))
            except (NotImplementedError, RuntimeError) as error:
                raise Unknown(str(error)) from error
        return dict(zip(self._evaluator.output_names, map(np.asarray, values), strict=True))

    def _opened(self) -> Any:
        from onnx.reference import ReferenceEvaluator

        if self._evaluator is None:
            self._evaluator = ReferenceEvaluator(self._model, new_ops=[_gather_elements(), _loop()])
        return self._evaluator


def _gather_elements() -> Any:
    """The operator by the words of the standard: that of the evaluator chooses by `np.choose`,
    which fails on an axis of more values than NumPy takes arguments (32, or 64)."""
    from onnx.reference.op_run import OpRun

    def run(self: Any, data: NDArray[Any], indices: NDArray[Any], axis: int = 0) -> Any:
        return (np.take_along_axis(data, indices, axis),)

    return type("GatherElements", (OpRun,), {"op_domain": "", "_run": run})


def _loop() -> Any:
    """The operator by the words of the standard, which puts what each step answers along an axis of
    its own. That of the evaluator stacks by `np.vstack`: it has this axis for vectors alone."""
    from onnx.reference.ops.op_loop import Loop

    prepared: Any = Loop.__init__

    def prepare(self: Any, node: Any, parameters: Any) -> None:
        prepared(self, node, parameters)
        step = self._run_body

        def run_body(inputs: Any, **more: Any) -> Any:
            found = [*step(inputs, **more)]
            carried = len(found) - self.K
            return [*found[:carried], *(np.asarray(each)[np.newaxis] for each in found[carried:])]

        self._run_body = run_body

    return type("Loop", (Loop,), {"op_domain": "", "__init__": prepare})
