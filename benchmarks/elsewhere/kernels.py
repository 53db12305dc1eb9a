"""Which operators an onnxruntime has on the CPU, as JSON: for the test of what files ask of it.

    DIR/ort-1.20/bin/python benchmarks/elsewhere/kernels.py > tests/runtimes/onnxruntime-1.20.json

By domain and operator the first and the last version of each kernel, and the types that it takes.
"""

from __future__ import annotations

import json
from typing import Any

from onnxruntime.capi import onnxruntime_pybind11_state as state

LEAST_VERSION = 17
"""Kernels that end before are of no opset that files are written with."""
LAST = 2**31 - 1


def kernels() -> dict[str, dict[str, list[Any]]]:
    found: dict[str, dict[str, dict[tuple[int, int], dict[str, set[str]]]]] = {}
    for each in state.get_all_opkernel_def():
        first, last = each.version_range
        if each.provider != "CPUExecutionProvider" or (last < LEAST_VERSION and not each.domain):
            continue
        if each.domain not in ("", "ai.onnx.ml", "com.microsoft"):
            continue
        of_operator = found.setdefault(each.domain, {}).setdefault(each.op_name, {})
        types = of_operator.setdefault((first, last), {})
        for name, allowed in each.type_constraints.items():
            types.setdefault(name, set()).update(allowed)
    return {
        domain: {
            name: [
                [first, None if last == LAST else last, {k: sorted(v) for k, v in types.items()}]
                for (first, last), types in ranges.items()
            ]
            for name, ranges in sorted(operators.items())
        }
        for domain, operators in found.items()
    }


if __name__ == "__main__":
    lines = []
    for domain, operators in kernels().items():
        own = [f"  {json.dumps(name)}: {json.dumps(each)}" for name, each in operators.items()]
        lines.append(f" {json.dumps(domain)}: {{\n" + ",\n".join(own) + "\n }")
    print("{\n" + ",\n".join(lines) + "\n}")
