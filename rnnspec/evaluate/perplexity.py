"""The perplexity of a text, of the weights of a build."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy

from rnnspec.data.perplexity import CHUNK, Perplexity, Reading, measured
from rnnspec.errors import RnnspecError
from rnnspec.plan import TextFacts, nodes
from rnnspec.plan.facts import UNKNOWN_ID
from rnnspec.store.folder import Trained
from rnnspec.to_torch import Model


def perplexity_of(trained: Trained, text: str) -> Perplexity:
    """What a text costs a build, each token by all before it. Raises RnnspecError for a build that
    answers no next token of a text, and DataError for a text of less than two tokens."""
    node, out = _columns(trained)
    known = trained.facts.inputs[node.column]
    assert isinstance(known, TextFacts)
    reading = Reading(
        node.column, node.kind, node.rule, known.vocabulary, node.fold_case, node.or_lower,
        known.tokenizer, node.reverse,
    )  # fmt: skip
    model = Model(trained.plan)
    model.load_canonical(trained.weights)
    numbers = reading.numbers(text)
    return measured(text, numbers, _costs(model.eval(), node, out, numbers))


def _columns(trained: Trained) -> tuple[nodes.TokensInput, nodes.ClassOutput]:
    plan, path = trained.plan, trained.folder.path
    ahead = [node for node in plan.outputs if isinstance(node, nodes.ClassOutput) and node.ahead]
    if len(ahead) != 1 or len(plan.targets) != 1:
        raise RnnspecError(
            f"{path}: answers no next token; only models with one output 'as: next' over text have"
            " a perplexity"
        )
    read = [node for node in plan.inputs if node.column == ahead[0].column]
    others = dict.fromkeys(node.column for node in plan.inputs if node.column != ahead[0].column)
    if others:
        raise RnnspecError(
            f"{path}: reads {', '.join(map(repr, others))} beside the text, of which a file of text"
            " has none; measure rows with --data"
        )
    (source,) = read if len(read) == 1 else [None]
    if not isinstance(source, nodes.TokensInput):
        raise RnnspecError(
            f"{path}: reads the characters of each word too; measure rows with --data"
        )
    return source, ahead[0]


@torch.inference_mode()
def _costs(
    model: Model, node: nodes.TokensInput, out: nodes.ClassOutput, numbers: NDArray[np.int64]
) -> Iterator[float]:
    """What the next tokens of each chunk cost; states are carried from chunk to chunk."""
    ids, after = torch.from_numpy(numbers[None, :-1]), torch.from_numpy(numbers[1:])
    following = torch.where(after < out.classes, after, UNKNOWN_ID)
    states = model.first_states(1) if model.carries else None
    step = CHUNK if model.carries else max(1, ids.shape[1])
    for start in range(0, ids.shape[1], step):
        part = ids[:, start : start + step]
        given = part.flip(1) if node.reverse else part  # the module turns it again
        inputs = {node.key: (given, torch.tensor([part.shape[1]]))}
        if states is None:
            found = model(inputs)
        else:
            found, states = model.run(inputs, states, torch.tensor([start == 0]))
        true = following[start : start + step]
        yield cross_entropy(found[out.column][0].double(), true, reduction="sum").item()
