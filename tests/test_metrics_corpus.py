"""BLEU and chrF of whole files, against their definitions; and the bands of forecasts."""

from __future__ import annotations

from collections import Counter
from math import exp, log

import numpy as np
import pytest
import torch
from torch import distributions

from rnnspec.evaluate.metrics.texts import CorpusScores
from rnnspec.evaluate.prediction_intervals import interval_of, nominal_coverage
from rnnspec.plan.nodes import ForecastOutput
from rnnspec.spec.distributions import DistributionName

ROWS = [
    # answer, true text, what was asked
    ("the cat sat on a mat today", "the cat sat on the mat today", 1),
    ("a dog barks at the small cat", "a dog barks at a small cat", 2),
    ("a dog barks at the small cat", "the dog is barking at the small cat", 2),
    ("one two three four five", "one two three four five six", 3),
]


def ngrams(text: str, n: int) -> Counter[tuple[str, ...]]:
    words = text.split()
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def bleu(rows: list[tuple[str, str, int]]) -> float:
    """Papineni et al. 2002, section 2.3, over a whole corpus, without smoothing."""
    references = {asked: [true for _, true, a in rows if a == asked] for _, _, asked in rows}
    logs, length, shortest = 0.0, 0, 0
    for n in range(1, 5):
        hits = total = 0
        for answer, _, asked in rows:
            counts = ngrams(answer, n)
            allowed: Counter[tuple[str, ...]] = Counter()
            for reference in references[asked]:
                allowed |= ngrams(reference, n)
            hits += sum((counts & allowed).values())
            total += sum(counts.values())
        logs += log(hits / total) / 4
    for answer, _, asked in rows:
        size = len(answer.split())
        length += size
        shortest += min((abs(len(r.split()) - size), len(r.split())) for r in references[asked])[1]
    return exp(logs) * min(1.0, exp(1 - shortest / length))


def scores_of(rows: list[tuple[str, str, int]]) -> dict[str, float]:
    scores = CorpusScores("words")
    for answer, true, asked in rows:
        scores.add(tuple(answer.split()), tuple(true.split()), asked)
    return scores.values()


def test_bleu_counts_all_true_texts_of_the_same_input() -> None:
    found = scores_of(ROWS)
    assert found["bleu"] == pytest.approx(bleu(ROWS))
    apart = [(answer, true, n) for n, (answer, true, _) in enumerate(ROWS)]
    assert scores_of(apart)["bleu"] == pytest.approx(bleu(apart))
    assert found["bleu"] > scores_of(apart)["bleu"]


def test_texts_are_counted_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of blocks of two texts the scores are those that sacrebleu gives of all at once."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    monkeypatch.setattr("rnnspec.evaluate.metrics.texts.BLOCK", 2)
    rows = ROWS + [(true, answer, asked + 3) for answer, true, asked in ROWS[:4]]
    answers = [answer for answer, _, _ in rows]
    same = [[true for _, true, a in rows if a == asked] for _, _, asked in rows]
    references = [
        [each[n] if n < len(each) else None for each in same] for n in range(max(map(len, same)))
    ]
    metrics = {"bleu": BLEU(tokenize="none", force=True), "chrf": CHRF()}
    whole = {key: each.corpus_score(answers, references) for key, each in metrics.items()}  # type: ignore[arg-type]
    assert scores_of(rows) == {key: score.score / 100 for key, score in whole.items()}


def test_chrf_of_one_text() -> None:
    """Popović 2015 with beta 2: precision and recall of runs of 1 to 6 characters, averaged."""
    answer, true = "abcdefgh", "abcdxfgh"
    scores = []
    for n in range(1, 7):
        ours = Counter(answer[i : i + n] for i in range(len(answer) - n + 1))
        theirs = Counter(true[i : i + n] for i in range(len(true) - n + 1))
        hits = sum((ours & theirs).values())
        scores.append((hits / sum(ours.values()), hits / sum(theirs.values())))
    precision, recall = (sum(side) / 6 for side in zip(*scores, strict=True))
    expected = 5 * precision * recall / (4 * precision + recall)
    corpus = CorpusScores("chars")
    corpus.add(tuple(answer), tuple(true), 0)
    assert corpus.values()["chrf"] == pytest.approx(expected)


def test_texts_of_few_words_have_no_bleu() -> None:
    corpus = CorpusScores("words")
    corpus.add(("a", "b"), ("a", "b"), 0)
    assert corpus.values() == pytest.approx({"chrf": 1.0})
    assert CorpusScores("words").values() == {}


def test_a_space_within_a_token_makes_no_second_word() -> None:
    corpus = CorpusScores("tokens")
    corpus.add(("a b", "c", "d", "e f"), ("a b", "c", "d", "e f"), 0)
    assert corpus.words == 4
    assert corpus.values()["bleu"] == pytest.approx(1.0)
    other = CorpusScores("tokens")
    other.add(("a", "b", "c", "d"), ("a b", "c", "d", "e"), 0)
    assert other.values()["bleu"] < 0.6


def test_an_answer_is_known_from_any_row_of_its_input() -> None:
    corpus = CorpusScores("words")
    for answer, true, asked in ROWS:
        corpus.add(tuple(answer.split()), tuple(true.split()), asked)
    assert corpus.known(2, tuple(ROWS[2][1].split()))
    assert not corpus.known(1, tuple(ROWS[2][1].split()))
    assert not corpus.known(9, ("a",))


def test_an_empty_answer_is_no_crash() -> None:
    assert scores_of([("", "one two three four", 0)])["bleu"] == 0.0


# ---------------------------------------------------------------- bands


def node(distribution: DistributionName, quantiles: tuple[float, ...] = ()) -> ForecastOutput:
    return ForecastOutput("o", "s", "c", 2, distribution, quantiles)


def test_the_interval_of_quantiles_is_from_the_lowest_to_the_highest() -> None:
    parameters = np.arange(12.0).reshape(2, 2, 3)
    found = interval_of(node("quantiles", (0.05, 0.5, 0.95)), parameters)
    assert found is not None
    name, low, high = found
    assert name == "90 % band"
    np.testing.assert_array_equal(low, parameters[..., 0])
    np.testing.assert_array_equal(high, parameters[..., 2])
    assert interval_of(node("point"), parameters[..., :1]) is None
    assert interval_of(node("quantiles", (0.5,)), parameters[..., :1]) is None


def test_the_interval_of_a_gaussian_is_exact() -> None:
    parameters = np.array([[[1.0, 2.0], [-3.0, 0.5]]])
    found = interval_of(node("gaussian"), parameters)
    assert found is not None and found[0] == "80 % band"
    mean, deviation = torch.from_numpy(parameters).unbind(-1)
    true = distributions.Normal(mean, deviation)
    assert torch.allclose(true.cdf(torch.from_numpy(found[1])), torch.tensor(0.1).double())
    assert torch.allclose(true.cdf(torch.from_numpy(found[2])), torch.tensor(0.9).double())
    assert nominal_coverage(node("gaussian")) == pytest.approx(0.8)


def test_a_count_that_is_nearly_sure_has_a_narrow_band() -> None:
    found = interval_of(node("negative_binomial"), np.array([[[1e-4, 1e-6], [1e6, 1e-6]]]))
    assert found is not None
    assert found[1][0, 0] == found[2][0, 0] == 0
    assert 0.99e6 < found[1][0, 1] < found[2][0, 1] < 1.01e6
