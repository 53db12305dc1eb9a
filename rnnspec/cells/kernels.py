"""Which built-in cells each target computes by a kernel of its own, by name.

The tables that say how are beside the back ends (`to_torch/native.py`, `to_onnx/native.py`),
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
    "rnn_relu": "RNN with Relu",
    "indrnn": "RNN with Relu and a diagonal R",
    "lstm": "LSTM",
    "lstm_peephole": "LSTM with peepholes P",
    "lstm_coupled": "LSTM with input_forget=1",
    "lstm_projected": "LSTM with R = U P",
    "gru": "GRU with linear_before_reset=1",
    "gru_reset_before": "GRU with linear_before_reset=0",
}
"""Built-in cell to the ONNX operator for it, and what makes it compute the cell."""
