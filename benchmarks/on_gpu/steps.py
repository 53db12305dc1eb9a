"""Training steps: layers, cells from their equations, and an encoder-decoder, beside twins."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from twins import seq2seq

from on_gpu.clock import Machine
from rnnspec.cells import Cell, builtin_cell, identify
from rnnspec.data import Batch
from rnnspec.objective.objective import Objective
from rnnspec.plan import Facts, TextFacts, Vocabulary, resolve
from rnnspec.spec import Spec, Train
from rnnspec.to_torch import Model
from rnnspec.to_torch.devices import Precision
from rnnspec.to_torch.generic import GenericKernel
from rnnspec.to_torch.native import NativeKernel
from rnnspec.to_torch.sequences import Lengths

STEPS = 100
GATES = {"lstm": 4, "gru": 3, "rnn": 1}
TORCH = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
OF_A_STEP = 3
"""Products of a step of training for one of its forward pass."""


def layers(machine: Machine) -> list[dict[str, Any]]:
    """LSTM and GRU over rows of 10 to 100 steps: cuDNN over padded and packed rows, and ours."""
    rows: list[dict[str, Any]] = []
    units = (16,) if machine.small else (256, 1024)
    batches = (4,) if machine.small else (32, 256)
    for kind in _kinds(machine):
        peak = machine.peak(kind)
        for cell in ("lstm", "gru"):
            for width in units:
                for batch in batches:
                    row = _layer(machine, cell, width, batch, kind)
                    work = OF_A_STEP * STEPS * batch * GATES[cell] * 2 * width * width
                    row["share_of_peak"] = work / row["padded"] / peak
                    rows.append({"cell": cell, "units": width, "rows": batch, "kind": kind, **row})
                    print(
                        f"  {cell:<4} H={width:<5} B={batch:<4} {kind:<9} padded cuDNN "
                        f"{1e3 * row['padded']:7.2f} ms ({row['share_of_peak']:.0%} of the peak)   "
                        f"packed {row['packed'] / row['padded']:.2f}   rnnspec padded "
                        f"{row['ours'] / row['padded']:.2f}   of its lengths "
                        f"{row['lengths'] / row['padded']:.2f}"
                    )
    return rows


def _kinds(machine: Machine) -> tuple[str, ...]:
    """On a CPU oneDNN may have no LSTM in bfloat16."""
    return ("float32", "bfloat16") if machine.device.type == "cuda" else ("float32",)


def _layer(machine: Machine, name: str, units: int, batch: int, kind: str) -> dict[str, float]:
    """Seconds of forward and backward: the two twins, our kernel told no lengths, and told them."""
    torch.manual_seed(0)
    steps = torch.randn(STEPS, batch, units, device=machine.device, requires_grad=True)
    gradient = torch.randn(STEPS, batch, units, device=machine.device)
    counts = torch.randint(10, STEPS + 1, (batch,))
    counts[0] = STEPS
    twin = TORCH[name](units, units).to(machine.device)
    cell = builtin_cell(name)
    match = identify(cell)
    assert match is not None
    ours = NativeKernel(cell, match, units, units).to(machine.device)
    lengths = Lengths(counts.to(machine.device), STEPS)

    def packed() -> None:
        rows = nn.utils.rnn.pack_padded_sequence(steps, counts, enforce_sorted=False)
        out = nn.utils.rnn.pad_packed_sequence(twin(rows)[0], total_length=STEPS)[0]
        out.backward(gradient.to(out.dtype))

    def run(call: Callable[[], Tensor]) -> None:
        with machine.mixed(kind):
            out = call()
        out.backward(gradient.to(out.dtype))

    def mixed(call: Callable[[], None]) -> None:
        with machine.mixed(kind):
            call()

    return machine.turns(
        {
            "padded": partial(run, lambda: twin(steps)[0]),
            "packed": partial(mixed, packed),
            "ours": partial(run, lambda: ours(steps)[0]),
            "lengths": partial(run, lambda: ours(steps, lengths=lengths)[0]),
        }
    )


def cells(machine: Machine) -> list[dict[str, Any]]:
    """The same equations by the generic lowering, eager and through torch.compile, beside cuDNN;
    cells without a kernel beside a GRU of cuDNN."""
    rows: list[dict[str, Any]] = []
    width, batch = (16, 4) if machine.small else (256, 32)
    for name in ("lstm", "gru", "gru_reset_before", "mgu", "mingru", "slstm"):
        cell = builtin_cell(name)
        beside = name if name in TORCH else "gru"
        calls: dict[str, Callable[[], object]] = {
            "cudnn": _pass(machine, _twin(beside, width, machine), width, batch),
            "generic": _pass(machine, _generic(cell, width, machine), width, batch),
        }
        failed = _with_others(machine, cell, calls, width, batch)
        found = machine.turns(calls)
        rows.append({"cell": name, "beside": beside, "failed": failed, **found})
        ratios = "   ".join(
            f"{who} {each / found['cudnn']:.2f}" for who, each in found.items() if who != "cudnn"
        )
        print(
            f"  {name:<17} H={width} B={batch}: {beside} of cuDNN {1e3 * found['cudnn']:.2f} ms"
            f"   {ratios}   {failed or ''}"
        )
    return rows


COMPILED = ("lstm", "mgu")
"""Cells that are also compiled, which takes a minute each where the loop is unrolled."""


def _with_others(
    machine: Machine, cell: Cell, calls: dict[str, Callable[[], object]], width: int, batch: int
) -> dict[str, str]:
    """Add to `calls` what else may run the loop; those that cannot, and why."""
    if machine.device.type != "cuda":
        return {"graphed, compiled": "only on a GPU"}
    failed = {}
    ways = {"graphed": _graphed, "compiled": _compiled}
    for way, make in ways.items():
        if way == "compiled" and cell.name not in COMPILED:
            continue
        try:
            call = _pass(machine, make(_generic(cell, width, machine), width, batch), width, batch)
            call()
            calls[way] = call
        except Exception as error:
            failed[way] = f"{type(error).__name__}: {str(error).splitlines()[0][:120]}"
    return failed


def _graphed(kernel: Callable[[Tensor], Any], width: int, batch: int) -> Callable[[Tensor], Any]:
    """Forward and backward each as one CUDA graph, of this shape alone."""

    class Outputs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = kernel

        def forward(self, steps: Tensor) -> Tensor:
            return self.kernel(steps)[0]  # type: ignore[no-any-return]

    sample = torch.randn(STEPS, batch, width, device="cuda", requires_grad=True)
    graphed = torch.cuda.make_graphed_callables(Outputs(), (sample,))
    return lambda steps: (graphed(steps),)


def _compiled(kernel: Callable[[Tensor], Any], width: int, batch: int) -> Callable[[Tensor], Any]:
    compiled: Callable[[Tensor], Any] = torch.compile(kernel)
    return compiled


def _twin(name: str, width: int, machine: Machine) -> Callable[[Tensor], Any]:
    layer: nn.Module = TORCH[name](width, width)
    return layer.to(machine.device)


def _generic(cell: Cell, width: int, machine: Machine) -> Callable[[Tensor], Any]:
    kernel = GenericKernel(cell, cell.sizes(width, width))
    for weight in kernel.parameters():
        nn.init.uniform_(weight, -(width**-0.5), width**-0.5)
    return kernel.to(machine.device)


def _pass(
    machine: Machine, kernel: Callable[[Tensor], Any], width: int, batch: int
) -> Callable[[], None]:
    steps = torch.randn(STEPS, batch, width, device=machine.device, requires_grad=True)
    gradient = torch.randn(STEPS, batch, width, device=machine.device)

    def call() -> None:
        kernel(steps)[0].backward(gradient)

    return call


def encoder_decoder(machine: Machine) -> list[dict[str, Any]]:
    """A bidirectional LSTM, additive attention, an LSTM decoder, with input feeding and without."""
    rows: list[dict[str, Any]] = []
    width, batch, steps = (8, 4, 6) if machine.small else (256, 64, 30)
    for feeding in (False, True):
        for kind in _kinds(machine):
            found = machine.turns(
                {
                    "twin": _twin_step(machine, width, batch, steps, feeding, kind),
                    "rnnspec": _own_step(machine, width, batch, steps, feeding, kind),
                }
            )
            rows.append({"input_feeding": feeding, "kind": kind, **found})
            print(
                f"  input feeding {feeding!s:<5} {kind:<9} twin {1e3 * found['twin']:7.1f} ms"
                f"   rnnspec {found['rnnspec'] / found['twin']:.2f}"
            )
    return rows


SYMBOLS = 60


def _twin_step(
    machine: Machine, width: int, batch: int, steps: int, feeding: bool, kind: str
) -> Callable[[], None]:
    shape = seq2seq.Shape(
        target=SYMBOLS, source=SYMBOLS, encoder=width, decoder=width, attention="additive",
        input_feeding=feeding,
    )  # fmt: skip
    torch.manual_seed(0)
    model = seq2seq.Seq2Seq(shape).to(machine.device)
    source = torch.randint(2, SYMBOLS, (batch, steps), device=machine.device)
    target = torch.randint(2, SYMBOLS, (batch, steps), device=machine.device)
    lengths = torch.full((batch,), steps)

    def call() -> None:
        with machine.mixed(kind):
            logits = model(source, lengths, target)
        nn.functional.cross_entropy(logits.float().flatten(0, 1), target.flatten()).backward()

    return call


def _own_step(
    machine: Machine, width: int, batch: int, steps: int, feeding: bool, kind: str
) -> Callable[[], None]:
    entries = tuple(f"w{number}" for number in range(SYMBOLS - 2))
    known = TextFacts(Vocabulary(entries), longest=steps)
    spec = Spec.model_validate(
        {
            "name": "twin",
            "cardinality": "N:M",
            "data": {
                "train": "none.jsonl",
                "input": {"column": "source", "as": "words"},
                "output": {"column": "target", "as": "words"},
            },
            "encoder": {
                "embed": 64,
                "layers": [{"cell": "lstm", "units": width, "direction": "bidirectional"}],
            },
            "decoder": {
                "embed": 64,
                "layers": [{"cell": "lstm", "units": width}],
                "attention": "additive",
                "input_feeding": feeding,
            },
        }
    )
    facts = Facts(1, {"source": known}, {"target": known})
    model = Model(resolve(spec, facts))
    model.start(facts, seed=0)
    precision = Precision(machine.device, kind)  # type: ignore[arg-type]
    model.to(machine.device)
    objective = Objective(model, Train())
    draw = torch.Generator().manual_seed(0)
    source = torch.randint(2, SYMBOLS, (batch, steps), generator=draw).numpy()
    target = torch.randint(2, SYMBOLS, (batch, steps), generator=draw).numpy()
    counts = torch.full((batch,), steps).numpy()
    rows = Batch({"source": (source, counts)}, {"target": target})
    return lambda: objective(rows, precision).loss.backward()
