"""The strings of spoken digits that recognizers are measured on, made once and kept."""

from __future__ import annotations

import tempfile
from pathlib import Path

import digit_strings

from twins.data import data_folder

TRAIN, VALID, SEED = 3000, 400, 0


def strings_folder() -> Path:
    """The folder with train.jsonl and valid.jsonl; made at the first call on this machine."""
    folder = Path(tempfile.gettempdir()) / f"digit-strings-{TRAIN}-{VALID}-{SEED}"
    if not (folder / "whole").exists():
        speech = data_folder() / "speech"
        digit_strings.make(speech, folder, "train", TRAIN, SEED)
        digit_strings.make(speech, folder, "valid", VALID, SEED + 1)
        (folder / "whole").touch()
    return folder
