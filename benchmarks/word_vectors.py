"""Vectors of the words of a CoNLL file by word2vec (gensim), as text that `vectors` reads.

  python benchmarks/word_vectors.py train.conll words.vec

gensim is no part of the project: it is installed into an environment of its own beside the output.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

GENSIM = "gensim==4.4.0"
WIDTH = 100
PROGRAM = """
import sys
from gensim.models import Word2Vec
blocks = open(sys.argv[1], encoding="utf-8").read().split("\\n\\n")
rows = [[line.split("\\t")[0] for line in block.splitlines() if line.strip()] for block in blocks]
model = Word2Vec([row for row in rows if row], vector_size=int(sys.argv[3]), sg=1, window=5,
                 min_count=1, epochs=20, seed=0, workers=1)
model.wv.save_word2vec_format(sys.argv[2])
"""
"""Skip-grams (Mikolov et al. 2013); one worker and a fixed hash make it the same each time."""


def train(text: Path, out: Path) -> None:
    """Writes `out`, a line a word. Raises CalledProcessError where gensim cannot be had."""
    place = out.parent / "gensim"
    if not place.exists():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        subprocess.run([str(place / "bin" / "pip"), "install", "-q", GENSIM], check=True)
    python = str(place / "bin" / "python")
    fixed = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [python, "-c", PROGRAM, str(text), str(out), str(WIDTH)]
    subprocess.run(command, check=True, env=fixed)


if __name__ == "__main__":
    train(Path(sys.argv[1]), Path(sys.argv[2]))
