"""What the models of input and output columns share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rnnspec.spec.base import Count, Positive, Text

Scale = Annotated[
    Literal["standard", "none"],
    Field(
        description="Scaling inside the model: 'standard' takes off the mean and divides by the "
        "standard deviation, each measured per feature on the training rows; 'none' leaves "
        "numbers as they are."
    ),
]
Column = Annotated[
    Text, Field(description="Name of the column (CSV, TSV, Parquet) or of the key (JSONL).")
]
MinCount = Annotated[
    Count,
    Field(
        description="Least number of times an entry must occur in the training rows to enter the "
        "vocabulary; rarer ones are read as unknown."
    ),
]
MaxSize = Annotated[
    Count | None,
    Field(
        description="Largest number of vocabulary entries, the most frequent ones first; null "
        "means no limit."
    ),
]
Probability = Annotated[float, Field(gt=0.0, lt=1.0)]
Weight = Annotated[
    Positive,
    Field(description="Factor of this answer's loss in the loss of all answers together."),
]
MissingTarget = Annotated[
    Literal["error", "skip"],
    Field(
        description="What a missing answer (null, or an empty field of CSV) means: 'error' refuses "
        "it, 'skip' leaves it out of loss and metrics."
    ),
]
