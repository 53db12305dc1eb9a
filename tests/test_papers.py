"""Published models as specs: each is checked and resolved, and has as many weights as its paper
says, where it says so. Small ones are proved in onnxruntime as well."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from rnnspec.export.parity import prove
from rnnspec.export.probes import probes
from rnnspec.plan import ClassFacts, Facts, NumericFacts, TextFacts, Vocabulary, resolve, weights
from rnnspec.plan.facts import ColumnFacts
from rnnspec.plan.nodes import Plan
from rnnspec.run.session import Session
from rnnspec.spec import Spec, load_spec
from rnnspec.spec.inputs import TokensInput, WordsInput
from rnnspec.spec.outputs import TagsOutput, TextOutput
from rnnspec.to_onnx import to_onnx
from rnnspec.to_torch import Model
from tests.kinds import strong_weights

FOLDER = Path(__file__).parent / "papers"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SMALL = 1_000_000
"""Weights up to which a model is also proved."""


@dataclass(frozen=True, slots=True)
class Size:
    """The entries of a vocabulary or the width of the numbers, of inputs and of outputs; how many
    trained weights the paper says there are, and by what share ours may differ."""

    inputs: int
    outputs: int
    published: int = 0
    share: float = 0.0


SIZES: dict[str, Size] = {
    # 61 phonemes and the blank; the unknown, which each of our vocabularies has, takes 201 more.
    "graves-2006-ctc": Size(26, 61, 114_662 + 201),
    "graves-2013-deep-ctc": Size(123, 61, 3_800_000, 0.01),
    "sutskever-2014-translation": Size(160_000, 80_000, 384_000_000, 0.001),
    "zaremba-2014-medium": Size(10_000, 10_000, 20_000_000, 0.02),
    "zaremba-2014-large": Size(10_000, 10_000, 66_000_000, 0.01),
    "gal-2016-variational": Size(10_000, 10_000, 20_000_000, 0.02),
    "shi-2016-crnn": Size(1, 36, 8_300_000, 0.005),
    # CaffeNet without fc7 and fc8, the LSTM of 256 units over 4,096, and 101 activities.
    "donahue-2015-lrcn": Size(
        3, 101, 60_965_224 - 16_781_312 - 4_097_000 + 4 * 256 * (4096 + 256 + 1) + 257 * 101
    ),
    # Letters and the space, beside the unknown and the blank.
    "assael-2016-lipnet": Size(3, 27),
    # The voice activity, which the spec leaves out, takes 25 weights.
    "valin-2018-rnnoise": Size(42, 22, 87_503 - 25),
    "elman-1990-next-letter": Size(5, 5),
    "amodei-2016-deep-speech-2": Size(161, 28),
    "lai-2018-lstnet": Size(8, 8),
    "sainath-2015-cldnn": Size(40, 13),
    "chan-2016-listen-attend-spell": Size(40, 30),
    "chorowski-2015-location": Size(123, 61),
}
"""By paper; other models have 30 entries and 10 labels."""


def facts_of(spec: Spec, size: Size) -> Facts:
    """Facts of a spec's columns with these sizes."""
    inputs: dict[str, ColumnFacts] = {}
    for source in spec.data.inputs:
        if source.as_ in ("image", "video"):
            inputs[source.column] = _numbers(source.channels)
        elif source.as_ in ("frames", "series"):
            inputs[source.column] = _numbers(1 if source.as_ == "series" else size.inputs)
        else:
            spelled = isinstance(source, WordsInput | TokensInput) and source.spelling is not None
            inputs[source.column] = _text(size.inputs, "abc" if spelled else "")
    outputs: dict[str, ColumnFacts] = {}
    for output in spec.data.outputs:
        if output.column in inputs:
            outputs[output.column] = inputs[output.column]
        elif isinstance(output, TextOutput):
            outputs[output.column] = _text(size.outputs)
        elif isinstance(output, TagsOutput) and output.scheme != "none":
            outputs[output.column] = ClassFacts(("B-X", "E-X", "I-X", "O", "S-X"), (1,) * 5)
        elif output.as_ == "frames":
            outputs[output.column] = _numbers(size.outputs)
        else:
            labels = tuple(f"l{number}" for number in range(size.outputs))
            outputs[output.column] = ClassFacts(labels, (1,) * len(labels))
    return Facts(100, inputs, outputs)


def _numbers(width: int) -> NumericFacts:
    return NumericFacts(width, (0.0,) * width, (1.0,) * width, longest=20)


def _text(entries: int, characters: str = "") -> TextFacts:
    words = Vocabulary(tuple(f"w{number}" for number in range(entries)))
    letters = Vocabulary(tuple(characters)) if characters else None
    return TextFacts(words, 5, 3.0, 0.5, characters=letters)


def plan_and_facts(name: str) -> tuple[Plan, Facts]:
    spec = load_spec(FOLDER / f"{name}.yaml").spec
    facts = facts_of(spec, SIZES.get(name, Size(30, 10)))
    return resolve(spec, facts), facts


def test_there_are_at_least_twenty() -> None:
    assert len(NAMES) >= 20
    assert set(NAMES) >= SIZES.keys()


@pytest.mark.parametrize("name", NAMES)
def test_a_published_model(name: str) -> None:
    plan, facts = plan_and_facts(name)
    trained = sum(weight.size for weight in weights(plan) if weight.trained)
    size = SIZES.get(name)
    if size is not None and size.published:
        assert trained == pytest.approx(size.published, rel=size.share, abs=0)
    if trained <= SMALL:
        proved(plan, facts)


def proved(plan: Plan, facts: Facts) -> None:
    torch.manual_seed(0)
    model = Model(plan).eval()
    model.load_canonical(strong_weights(plan, size=0.2))
    file = to_onnx(plan, facts, model.canonical_arrays())
    session = Session(file.SerializeToString(), threads=1)
    prove(session, model, facts, list(probes(plan, facts, seeds=1))[:4], ids=False)
