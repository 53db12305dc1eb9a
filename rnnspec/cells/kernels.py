"""Which built-in cells each target computes by a kernel of its own, by name.

The tables that say how are beside the back ends (`to_torch/native.py`, `to_onnx/recurrent.py`),
which this layer cannot reach; a test holds these two equal to them.
"""

from __future__ import annotations

from collections.abc import Mapping

TORCH: Mapping[str, str] = {
    "rnn": "torch.rnn_tanh",
    "lstm": "torch.lstm",
    "gru": "torch.gru",
}
"""Built-in cell to torch's kernel for it."""

ONNX: Mapping[str, str] = {
    "rnn": "RNN",
    "lstm": "LSTM",
    "gru": "GRU with linear_before_reset=1",
    "gru_reset_before": "GRU with linear_before_reset=0",
}
"""Built-in cell to the ONNX operator for it, with the attributes that choose the equations."""
