"""Plans and diagrams that show every shape a picture must take: chains, skips, many ends."""

from __future__ import annotations

from hypothesis import strategies as st

from rnnspec.cells import builtin_cell
from rnnspec.plan import Plan
from rnnspec.plan.diagram import Box, Diagram, Flow, diagram
from rnnspec.plan.nodes import (
    ClassOutput,
    Dense,
    Dropout,
    Elapsed,
    Embed,
    FramesInput,
    Highway,
    Merge,
    Normalize,
    NumericOutput,
    Pool,
    Recurrent,
    Residual,
    TokensInput,
    verify,
)


def letters_plan() -> Plan:
    """Characters through a bidirectional layer to a class: a chain."""
    nodes = (
        TokensInput("input.text", "text", "chars", 298, fold_case=True),
        Embed("embed", "input.text", 298, 32),
        Dropout("embed.dropout", "embed", 0.25),
        Recurrent("layers.0", "embed.dropout", builtin_cell("gru"), 32, 64, "bidirectional"),
        Pool("pool", "layers.0", "last", 128, 0),
        Dense("answer", "pool", 128, 30, "none"),
        ClassOutput("output.language", "answer", "language", 30),
    )
    return verify(Plan("letters", "N:1", nodes))


def skips_plan() -> Plan:
    """Frames with their times through layers with skip connections of both kinds to numbers."""
    lstm, cfc = builtin_cell("lstm"), builtin_cell("cfc")
    nodes = (
        FramesInput("input.frames", "frames", 9, scaled=True, elapsed=8),
        Elapsed("input.elapsed", "frames", 8),
        Recurrent("layers.0", "input.frames", lstm, 8, 16, "bidirectional", initial="learned"),
        Merge("layers.0.merge", "layers.0", "mean", 32),
        Normalize("layers.0.norm", "layers.0.merge", 16),
        Recurrent(
            "layers.1", "layers.0.norm", cfc, 16, 16, "reverse",
            elapsed="input.elapsed", zoneout=0.1, recurrent_dropout=0.2,
        ),
        Dropout("layers.1.dropout", "layers.1", 0.5, per_sequence=True),
        Residual("layers.1.residual", "layers.1.dropout", "layers.0.norm"),
        Recurrent("layers.2", "layers.1.residual", lstm, 16, 16, "forward"),
        Highway("layers.2.highway", "layers.2", "layers.1.residual", 16),
        Pool("pool", "layers.2.highway", "attention", 16, 12),
        Dense("hidden.0", "pool", 16, 24, "relu"),
        Dense("answer", "hidden.0", 24, 2, "none"),
        NumericOutput("output.point", "answer", "point", 2, scaled=True, single=False),
    )  # fmt: skip
    return verify(Plan("skips", "N:1", nodes))


def branches() -> Diagram:
    """Three inputs that meet, and two outputs; a box that reads from four ranks."""
    steps = ("B", "T", 64)
    return Diagram(
        "branches",
        "drawn by hand",
        (
            Box("words", "words", shape=("B", "T"), kind="input"),
            Box("letters", "characters of each word", shape=("B", "T", "L"), kind="input"),
            Box("season", "vector", shape=("B", 4), kind="input"),
            Box("words.embed", "embedding", shape=steps, sources=("words",), note="1,024 weights"),
            Box("letters.embed", "embedding", shape=("B", "T", "L", 8), sources=("letters",)),
            Box("letters.last", "last output", shape=("B", "T", 8), sources=("letters.embed",)),
            Box("join", "side by side", (), steps, "", ("words.embed", "letters.last", "season")),
            Box("layer", "gru", (), steps, "9 weights", ("join",), (Flow("forward", "64 units"),)),
            Box("drop", "dropout", (), steps, sources=("layer",), training=True),
            Box("sum", "sum", (), steps, "", ("drop", "join", "words.embed", "season")),
            Box("tags", "dense", ("a longer line on what this box does",), steps, "", ("sum",)),
            Box("tags.output", "tag of each step", (), steps, "", ("tags",), kind="output"),
            Box("pool", "mean over steps", (), ("B", 64), "", ("sum",)),
            Box("class.output", "class", (), ("B", 2), "", ("pool",), kind="output"),
        ),
    )


def pictures() -> dict[str, Diagram]:
    """Every diagram of this file, by name."""
    return {
        "letters": diagram(letters_plan()),
        "skips": diagram(skips_plan()),
        "branches": branches(),
    }


@st.composite
def any_diagram(draw: st.DrawFn) -> Diagram:
    """Up to twelve boxes, each reading up to four that come before it."""
    boxes: list[Box] = []
    for number in range(draw(st.integers(1, 12))):
        before = [box.name for box in boxes]
        sources = draw(st.lists(st.sampled_from(before), max_size=4, unique=True)) if before else []
        boxes.append(
            Box(
                name=f"{number}.{draw(st.text(max_size=12))}",
                title=draw(st.text(max_size=30)),
                lines=tuple(draw(st.lists(st.text(max_size=90), max_size=2))),
                shape=draw(st.sampled_from([(), ("B", "T"), ("B", 12), ("B", "T", 123456)])),
                note=draw(st.sampled_from(["", "1,234,567 weights"])),
                sources=tuple(sources),
                flows=tuple(draw(st.lists(st.just(Flow("reverse", "8 units")), max_size=2))),
                kind="operation" if sources else "input",
                training=draw(st.booleans()),
            )
        )
    return Diagram(draw(st.text(max_size=12)), draw(st.text(max_size=12)), tuple(boxes))
