"""Settings of inputs drawn at random: the features of sound, pictures, rules of texts, vectors."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.kinds import SOUNDS

Draw = st.DrawFn
FORMS = ("none", "nfc", "nfd", "nfkc", "nfkd")
SPLITS: list[Any] = [
    "whitespace",
    "punctuation",
    {"regex": r"\w+|[^\w\s]"},
    {"regex": "[A-Za-z]+|."},
]
"""Of which each leaves the words of `tests.kinds` whole."""
SCALES = ("unit", "standard", "none")
RATE = 1000
"""Of sound, so that a millisecond is a sample."""


def with_settings(draw: Draw, data: dict[str, Any]) -> dict[str, Any]:
    """A spec whose inputs have other settings, as the data of its YAML."""
    for entry in data["data"]["input"]:
        if entry["column"] in SOUNDS:
            entry |= draw(sounds())
        elif entry["as"] in ("image", "video"):
            entry |= draw(pictures())
        elif entry["as"] in ("words", "tokens", "chars") and draw(st.booleans()):
            entry |= _rules(draw, entry["as"])
        if "vectors" in entry:
            entry["vectors"] = draw(vectors())
            entry.pop("fold_case", None)  # the words would be others
    return data


@st.composite
def sounds(draw: Draw) -> dict[str, Any]:
    """Features of a kind, of short windows, and how they are scaled."""
    kind = draw(st.sampled_from(["raw", "spectrum", "log_mel", "mfcc"]))
    mel = kind in ("log_mel", "mfcc")
    window = draw(st.integers(12 if mel else 2, 17))
    hop = draw(st.integers(1, window))
    features: dict[str, Any] = {"window": f"{window} ms", "hop": f"{hop} samples"}
    if kind == "raw":
        features["raw"] = True
    elif kind == "spectrum":
        features["spectrum"] = draw(st.sampled_from(["magnitude", "power", "log"]))
    else:
        features["deltas"] = draw(st.integers(0, 2))
        features["floor"] = draw(st.sampled_from([1e-8, 1e-2]))
        bands = draw(st.integers(1, 3))
        features |= {"log_mel": bands} if kind == "log_mel" else {"mel": bands}
        if kind == "mfcc":
            features["mfcc"] = draw(st.integers(1, bands))
    normalize = draw(st.sampled_from(["learned", "utterance", "none"]))
    return {"as": "audio", "rate": RATE, "features": features, "normalize": normalize}


@st.composite
def pictures(draw: Draw) -> dict[str, Any]:
    return {
        "channels": draw(st.sampled_from([1, 3])),
        "scale": draw(st.sampled_from(SCALES)),
        "invert": draw(st.booleans()),
    }


@st.composite
def vectors(draw: Draw) -> dict[str, Any]:
    return {
        "file": "v.txt",
        "lower_case": draw(st.booleans()),
        "trained": draw(st.booleans()),
        "storage": draw(st.sampled_from(["float32", "float16"])),
    }


def _rules(draw: Draw, kind: str) -> dict[str, Any]:
    """How a text becomes tokens."""
    rules = {"normalize": draw(st.sampled_from(FORMS)), "fold_case": draw(st.booleans())}
    return rules | ({"split": draw(st.sampled_from(SPLITS))} if kind == "words" else {})
