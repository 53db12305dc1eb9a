"""Plans that show each setting of a layer, by name: the list that the suites go through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnspec.plan import Plan, resolve
from rnnspec.spec import Spec
from tests.models import ELAPSED, frames_facts, layers_spec

OWN_CELLS: dict[str, Any] = {
    "two_widths": {
        "sizes": ["memory"],
        "states": {"h": "units", "m": "memory"},
        "constants": {"rate": 0.2},
        "parameters": {
            "K": {"shape": ["memory", "inputs"], "init": {"normal": 0.3}, "trained": False},
            "L": {"shape": ["memory", "units"]},
        },
        "equations": (
            "m = (1 - rate) * m + rate * tanh(K @ x + L @ h)\nh = tanh(W @ x + U @ h + V @ m + b)\n"
        ),
        "output": "m",
    },
    "timed": {
        "states": ["h"],
        "inputs": ["dt"],
        "equations": "h = exp(-dt) * h + tanh(W @ x + U @ h + b)",
    },
    "fixed_lstm": {
        "states": ["h", "c"],
        "parameters": {"U_f": {"init": "orthogonal", "trained": False}},
        "equations": (
            "i = sigmoid(W_i @ x + U_i @ h + b_i)\n"
            "f = sigmoid(W_f @ x + U_f @ h + b_f)\n"
            "g = tanh(W_g @ x + U_g @ h + b_g)\n"
            "o = sigmoid(W_o @ x + U_o @ h + b_o)\n"
            "c = f * c + i * g\n"
            "h = o * tanh(c)\n"
        ),
    },
    "residual": {
        "states": ["h"],
        "equations": "h = tanh(W @ x + U @ h + b)\ny = x + O @ h",
        "output": "y",
    },
    "timed_residual": {
        "states": ["h", "c"],
        "inputs": ["dt"],
        "equations": "h = tanh(W @ x + dt)\nc = 0.5 * c + h\ny = c - O @ x",
        "output": "y",
    },
    "clock": {  # a state of all units that adds up one number
        "states": ["h", "c"],
        "inputs": ["dt"],
        "equations": "c = c + dt\nh = tanh(W @ x + U @ h + c)",
    },
    "maximum": {"states": ["p"], "equations": "p = max(p, K @ x)\ny = p * p", "output": "y"},
    "one_number": {
        "states": ["h"],
        "parameters": {"a": {"shape": []}, "e": {"shape": [], "init": {"constant": 0.7}}},
        "equations": "h = tanh(W @ x + U @ h + a) + sigmoid(a - e) * h",
    },
}


def _layer(**settings: Any) -> dict[str, Any]:
    return {"cell": "gru", "units": 4, **settings}


_BOTH = {"direction": "bidirectional"}
PLANS: dict[str, dict[str, Any]] = {
    **{
        f"merge {merge} {pooling}": {
            "layers": [_layer(**_BOTH, merge=merge), _layer(**_BOTH, merge=merge)],
            "pooling": pooling,
        }
        for merge in ("sum", "mean", "mul")
        for pooling in ("last", "mean")
    },
    **{
        f"skip {skip} {direction}": {
            "layers": [_layer(units=6), _layer(units=6 // many, direction=direction, skip=skip)]
        }
        for skip in ("residual", "highway")
        for direction, many in (("forward", 1), ("reverse", 1), ("bidirectional", 2))
    },
    "skip over merged directions": {
        "layers": [_layer(), _layer(**_BOTH, merge="sum", skip="residual", norm="layer")],
        "pooling": "max",
    },
    "skip over the input": {"layers": [_layer(cell="rnn", units=3, skip="highway")]},
    "norm last": {"layers": [_layer(**_BOTH, norm="layer"), _layer(**_BOTH, norm="layer")]},
    "norm mean": {"layers": [_layer(norm="layer", dropout=0.3)], "pooling": "mean"},
    "dropout by the sequence": {
        "layers": [_layer(dropout=0.4, dropout_per="sequence"), _layer(dropout=0.4)],
        "pooling": "attention",
    },
    **{
        f"learned initial state {cell} {direction}": {
            "layers": [_layer(cell=cell, direction=direction, initial_state="learned")] * 2
        }
        for cell in ("lstm", "gru", "rnn", "mingru", "lstm_peephole")
        for direction in ("reverse", "bidirectional")
    },
    **{
        f"given initial state {cell} {direction}": {
            "layers": [
                _layer(cell=cell, direction=direction, initial_state={"column": "start"}),
                _layer(initial_state={"column": "start"}, zoneout=0.1),
            ]
        }
        for cell in ("lstm", "gru", "rnn", "mingru", "slstm")
        for direction in ("reverse", "bidirectional")
    },
    **{
        f"recurrent dropout {cell}": {
            "layers": [_layer(cell=cell, **_BOTH, recurrent_dropout=0.3)]
        }
        for cell in ("lstm", "gru", "gru_reset_before", "lstm_layer_norm")
    },
    **{
        f"zoneout {cell}": {"layers": [_layer(cell=cell, direction="reverse", zoneout=0.2)]}
        for cell in ("lstm", "gru", "mingru", "indrnn", "slstm")
    },
    "everything at once": {
        "layers": [
            _layer(units=6, norm="layer"),
            _layer(
                cell="lstm", units=6, **_BOTH, merge="mean", norm="layer", dropout=0.2,
                skip="highway", recurrent_dropout=0.2, zoneout=0.1, initial_state="learned",
            ),
        ],
        "pooling": "attention",
    },
    "sizes": {
        "layers": [
            _layer(cell="two_widths", sizes={"memory": 5}),
            _layer(cell="two_widths", **_BOTH, sizes={"memory": 3}, initial_state="learned"),
        ]
    },
    **{
        f"heads {cell}": {
            "layers": [
                _layer(cell=cell, units=6, heads=2, **_BOTH, **more, initial_state="learned")
            ]
        }
        for cell, more in (
            ("gru", {}),
            ("lstm_layer_norm", {"zoneout": 0.1}),
            ("mgu", {"recurrent_dropout": 0.2, "init": {"recurrent": "orthogonal"}}),
            ("gated_linear_attention", {"sizes": {"keys": 3}, "zoneout": 0.1}),
        )
    },
    "elapsed": {
        "layers": [
            *(_layer(cell=cell) for cell in ("timed", "lstm", "clock")),
            _layer(cell="timed", **_BOTH),
        ],
        "elapsed": ELAPSED,
    },
    "elapsed without a column": {"layers": [_layer(cell="timed", zoneout=0.1, **_BOTH)]},
    **{
        f"own cell {cell} {direction}": {
            "layers": [_layer(cell=cell, direction=direction), _layer(cell=cell, zoneout=0.1)],
            "pooling": "mean",
        }
        for cell in ("residual", "timed_residual", "maximum", "one_number")
        for direction in ("forward", "bidirectional")
    },
    "convolution": {"layers": [{"conv": 5, "size": 4, "activation": "relu"}], "pooling": "max"},
    "convolution with everything": {
        "layers": [
            {"conv": 6, "stride": 2, "norm": "layer", "activation": "gelu", "dropout": 0.3},
            {"conv": 6, "size": 2, "dilation": 2, "groups": 3, "activation": "silu", "repeat": 2,
             "skip": "residual", "dropout": 0.2, "dropout_per": "sequence"},
            _layer(**_BOTH),
            {"conv": 4, "size": 3, "stride": 3, "causal": True, "norm": "batch"},
        ],
        "pooling": "mean",
    },
    "causal convolution last": {"layers": [{"conv": 4, "dilation": 2, "causal": True}]},
    "one step of many": {"layers": [{"conv": 4, "stride": 12}, _layer()]},
    "grid": {
        "layers": [
            {"conv": 4, "size": [3, 3], "activation": "elu", "norm": "batch"},
            {"pool": "max", "size": [2, 2]},
            {"conv": 3, "size": [3, 2], "stride": [2, 1], "dilation": [1, 2], "norm": "layer"},
            _layer(**_BOTH),
        ]
    },
    **{
        f"squeeze {squeeze}": {
            "layers": [
                {"conv": 4, "size": [1, 3], "stride": [1, 2], "groups": 1},
                {"pool": "mean", "size": [3, 2], "stride": [2, 1]},
                {"squeeze": squeeze},
            ],
            "pooling": "attention",
        }
        for squeeze in ("flatten", "mean", "max", "places")
    },
    **{
        f"pool {pool}": {
            "layers": [{"conv": 3}, {"pool": pool, "size": 3, "stride": 2}, {"conv": 4}],
            "pooling": "mean",
        }
        for pool in ("max", "mean")
    },
    "pyramid": {
        "layers": [
            _layer(**_BOTH), {"stack": 2}, _layer(cell="lstm", **_BOTH), {"stack": 3, "stride": 2},
            _layer(),
        ]
    },
    "stack between convolutions": {
        "layers": [{"conv": 3, "size": 1}, {"stack": 2}, {"conv": 4, "size": 2}],
        "pooling": "mean",
    },
    "residual grid": {
        "layers": [
            {"conv": 2, "size": [3, 3]},
            {"conv": 2, "size": [3, 1], "dilation": [2, 1], "activation": "tanh",
             "skip": "residual", "dropout": 0.2, "repeat": 2},
        ],
        "pooling": "mean",
    },
    "single layers": {
        "layers": [
            {"dense": 6, "activation": "hard_sigmoid"}, {"norm": "layer"},
            {"activation": "softplus"}, {"dropout": 0.3}, {"norm": "batch"},
            {"dense": 6, "norm": "layer", "activation": "tanh", "skip": "residual",
             "dropout": 0.2, "repeat": 2},
        ],
        "pooling": "mean",
    },
    "graph": {
        "layers": [
            {"dense": 4, "activation": "sigmoid", "name": "gate"},
            _layer(name="one", reads=["input"]),
            {"join": "mul", "reads": ["gate", "one"], "name": "gated"},
            {"conv": 4, "reads": ["input", "one"], "name": "side"},
            {"join": "sum", "reads": ["gated", "side", "one"], "name": "sum"},
            {"join": "mean", "reads": ["sum", "gate"], "name": "mean"},
            _layer(reads=["mean", "input", "gated"], repeat=2, name="two"),
            {"join": "concat", "reads": ["two", "sum"]},
        ],
    },
    "graph of grids": {
        "layers": [
            {"conv": 2, "size": [3, 3], "name": "a"},
            {"conv": 3, "size": [1, 1], "name": "b", "reads": ["input"]},
            {"conv": 2, "size": [2, 2], "reads": ["a", "b"], "name": "c", "activation": "relu"},
            {"join": "sum", "reads": ["a", "c"]},
            {"pool": "max", "size": [1, 2], "name": "half"},
            _layer(reads=["half", "a"]),
        ],
    },
    "fixed parameters": {"layers": [_layer(cell="echo_state"), _layer(cell="fixed_lstm")]},
}  # fmt: skip
"""Settings of `tests.models.layers_plan` by name."""


def plan(name: str) -> Plan:
    return resolve(spec(PLANS[name]), frames_facts())


def spec(settings: Mapping[str, Any]) -> Spec:
    """A spec with settings of `PLANS`."""
    used = {layer.get("cell") for layer in settings["layers"]}
    cells = {name: cell for name, cell in OWN_CELLS.items() if name in used}
    others = {key: value for key, value in settings.items() if key != "layers"}
    return layers_spec(*settings["layers"], cells=cells, **others)
