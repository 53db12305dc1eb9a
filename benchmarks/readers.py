"""rnnspec beside its hand-written twins where sound, pictures and labels in chains are read.

For each task a spec is built and exported, and the exported file answers the validation rows, from
samples, pixels and words as they are, in a process that has onnxruntime and NumPy alone.

  python benchmarks/readers.py words strings-ctc slots --seeds 0 1 --twins

`epoch s` are CPU seconds of an epoch's training, without measuring. The data sets are not part of
the project: RNNSPEC_DATA names their folder.
"""

from __future__ import annotations

from reader_figures import entities, intents, lines, slots, strings, words
from real_sequences import Task, main

SOFTMAX = "data.output.crf=false"
VECTORS = "data.input.vectors={file: words.vec, trained: true}"
TASKS: dict[str, Task] = {
    "words": Task("accuracy >= 98 %", "spoken-words", words, "twin_speech"),
    "strings-ctc": Task(
        "word errors <= 5 %", "strings-ctc", strings, "twin_digit_strings", "ctc"
    ),
    "strings-transducer": Task(
        "word errors <= 6 %", "strings-transducer", strings, "twin_digit_strings", "transducer"
    ),
    "strings-attention": Task(
        "reported beside them", "strings-attention", strings, "twin_digit_strings", "attention"
    ),
    "lines": Task(
        "exact >= 90 %, character errors <= 3 %", "text-lines", lines, "twin_digit_lines"
    ),
    "slots": Task("F1 >= 97 %", "slots", slots, "twin_atis", "slots"),
    "intents": Task("accuracy >= 97 %", "intents", intents, "twin_atis", "intents"),
    "messages-crf": Task("reported", "messages", entities(False), "twin_wnut17", "crf"),
    "messages-crf-vectors": Task(
        "reported", "messages", entities(True), "twin_wnut17", "crf-vectors", (VECTORS,)
    ),
    "messages-softmax": Task(
        "reported", "messages", entities(False), "twin_wnut17", "softmax", (SOFTMAX,)
    ),
    "messages-softmax-vectors": Task(
        "reported", "messages", entities(True), "twin_wnut17", "softmax-vectors",
        (SOFTMAX, VECTORS),
    ),
}  # fmt: skip

if __name__ == "__main__":
    main(__doc__, TASKS)
