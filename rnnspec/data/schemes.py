"""Tagging schemes: which marks a scheme has, and which spans its labels make.

A label is `O`, or a mark alone, or a mark, a dash and a kind: `B-PER`. A span is a longest run of
labels of one kind, each of which continues the one before it (`goes_on`). No comparison of back
ends can prove these rules; they follow seqeval 1.2.2 (Nakayama 2018):

- `bio`, `iob1` and `io`: its default mode, which is conlleval's (Tjong Kim Sang and Buchholz 2000):
  `I-` at the start, or after another kind, begins a span too;
- `bioes`: its strict mode with the scheme IOBES: a span is one `S-`, or a `B-`, any number of
  `I-` and an `E-`; what is begun and not ended, or ended and not begun, is no span.

What a scheme forbids (`rules`) is stricter: in `bio`, `I-` stands within a span only, and in
`iob1`, as Ramshaw and Marcus (1995) wrote it, `B-` stands after a span of its kind only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rnnspec.errors import DataError
from rnnspec.plan.nodes import FORBIDDEN
from rnnspec.spec.outputs import Scheme

Span = tuple[int, int, str]
"""First step, step after the last, and kind, "" of marks alone."""

OUTSIDE = "O"
MARKS: dict[Scheme, str] = {"io": "I", "bio": "BI", "iob1": "BI", "bioes": "BIES"}
"""The marks of each scheme, beside `O`; schemes with fewer marks first."""
AFTER: dict[Scheme, dict[str, str]] = {
    "bio": {"I": "BI"}, "iob1": {"B": "BI"}, "bioes": {"I": "BI", "E": "BI"},
}  # fmt: skip
"""The marks that only stand after some marks of their kind."""
BEFORE: dict[Scheme, dict[str, str]] = {"bioes": {"B": "IE", "I": "IE"}}
"""The marks that only stand before some marks of their kind."""
NO_SCHEME: Scheme = "none"
"""The scheme of labels without spans."""


def mark_and_kind(label: str) -> tuple[str, str]:
    """`("B", "PER")` of `B-PER`; `("B", "")` of `B`."""
    mark, _, kind = label.partition("-")
    return mark, kind


def goes_on(scheme: Scheme, before: str, label: str) -> bool:
    """Whether a span with the label `before` at the step before continues with `label`."""
    (mark_before, kind_before), (mark, kind) = mark_and_kind(before), mark_and_kind(label)
    if kind != kind_before or mark_before not in ("B", "I"):
        return False
    return mark in ("I", "E") if scheme == "bioes" else mark == "I"


def spans(labels: Sequence[str], scheme: Scheme) -> Iterator[Span]:
    """The spans of the labels of a row, in order."""
    start = 0
    for end in range(1, len(labels) + 1):
        if end < len(labels) and goes_on(scheme, labels[end - 1], labels[end]):
            continue
        (first, kind), (last, _) = mark_and_kind(labels[start]), mark_and_kind(labels[end - 1])
        if _whole(scheme, first, last):
            yield start, end, kind
        start = end


def _whole(scheme: Scheme, first: str, last: str) -> bool:
    """Whether a longest run with these marks at its ends is a span."""
    if scheme == "bioes":
        return (first, last) in (("B", "E"), ("S", "S"))
    return first in MARKS[scheme]


def rules(labels: Sequence[str], scheme: Scheme) -> NDArray[np.float32]:
    """`[K + 1, K + 1]`: FORBIDDEN where the label of the column may not follow that of the row,
    else 0. The last row is of first steps, the last column of last steps.

    Kinds of which some label could then stand nowhere, as an `I-` without any `B-`, are free.
    """
    free: set[str] = set()
    while True:
        allowed = _allowed(labels, scheme, free)
        dead = {mark_and_kind(labels[at])[1] for at in np.flatnonzero(~_alive(allowed)).tolist()}
        if dead <= free:
            return np.where(allowed, 0, FORBIDDEN).astype(np.float32)
        free |= dead


def _allowed(labels: Sequence[str], scheme: Scheme, free: Collection[str]) -> NDArray[np.bool_]:
    """What may follow what, with no demands on the marks of `free` kinds."""
    marks = [mark_and_kind(label) for label in labels]
    after = [None if k in free else AFTER.get(scheme, {}).get(m) for m, k in marks]
    before = [None if k in free else BEFORE.get(scheme, {}).get(m) for m, k in marks]
    found = np.ones((len(labels) + 1, len(labels) + 1), np.bool_)
    found[-1, :-1] = [each is None for each in after]
    found[:-1, -1] = [each is None for each in before]
    for one, (mark, kind) in enumerate(marks):
        for other, (next_mark, next_kind) in enumerate(marks):
            same, (follows, leads) = kind == next_kind, (after[other], before[one])
            fits = follows is None or (same and mark in follows)
            found[one, other] = fits and (leads is None or (same and next_mark in leads))
    return found


def _alive(allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each label stands on some path from a first step to a last one."""
    return _reached(allowed) & _reached(allowed.T)


def _reached(allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each label stands on some path from a first step on."""
    found, before = allowed[-1, :-1], np.zeros(len(allowed) - 1, np.bool_)
    while (found != before).any():
        before, found = found, found | (found @ allowed[:-1, :-1])
    return found


def unruly(
    labels: NDArray[np.integer], lengths: NDArray[np.int64], rules: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Whether the label at each step of rows `[B, T]` (below 0: none) breaks the `rules`.

    Of two labels that may not follow each other it is the one that cannot begin a row either, or
    cannot end one: without it the others stand on an allowed path.
    """
    steps, ends = np.arange(labels.shape[1]), lengths[:, np.newaxis]
    known = np.where(steps < ends, labels, -1).clip(-1)
    forbidden, edge = rules < 0, np.full((len(labels), 1), len(rules) - 1)
    before = np.concatenate([edge, known[:, :-1]], axis=1)
    after = np.where(steps == ends - 1, edge, np.concatenate([known[:, 1:], edge], axis=1))
    begins = forbidden[before, known] & forbidden[-1][known] & (before >= 0)
    stops = forbidden[known, after] & forbidden[:, -1][known] & (after >= 0)
    return np.asarray((begins | stops) & (known >= 0))


@dataclass(slots=True)
class SchemeCheck:
    """Checks that every label of a column is one of its scheme."""

    scheme: Scheme
    seen: set[str] = field(default_factory=set)
    """Labels that were checked."""

    def check(self, label: str | None) -> None:
        """Raises DataError for a label with a mark that the scheme does not have."""
        if label is None or label in self.seen or self.scheme == NO_SCHEME:
            return
        if not _fits(label, self.scheme):
            raise DataError(
                f"has the label {label!r}, and scheme {self.scheme} has {_listed(self.scheme)}; "
                f"{self._cure(label)}"
            )
        self.seen.add(label)

    def check_steps(self, labels: Sequence[str | None]) -> None:
        """`check` of the label of each step of a row."""
        for at, label in enumerate(labels):
            try:
                self.check(label)
            except DataError as error:
                raise DataError(f"step {at + 1} {error}") from None

    def _cure(self, label: str) -> str:
        """The scheme with the fewest marks that has those of all labels so far."""
        labels = {label, *self.seen}
        fitting = [scheme for scheme in MARKS if all(_fits(each, scheme) for each in labels)]
        if fitting:
            return f"set scheme: {fitting[0]}"
        if mark_and_kind(label)[0] in ("L", "U"):
            return "write E- for L- and S- for U-, and set scheme: bioes"
        return "set scheme: none, or leave the step out with null"

    def check_whole(self) -> None:
        """Raises DataError, without the place, where no label that was seen can end a span."""
        marks = {mark_and_kind(label)[0] for label in self.seen}
        if self.scheme == "bioes" and marks & {"B", "I"} and not marks & {"E", "S"}:
            raise DataError(
                "no label with E or S, without which scheme bioes has no span; set scheme: bio"
            )


def _fits(label: str, scheme: Scheme) -> bool:
    return label == OUTSIDE or mark_and_kind(label)[0] in [*MARKS[scheme]]


def _listed(scheme: Scheme) -> str:
    marks = [OUTSIDE, *(f"{mark}-" for mark in MARKS[scheme])]
    return f"{', '.join(marks[:-1])} and {marks[-1]} only"
