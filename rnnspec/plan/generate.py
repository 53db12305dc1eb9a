"""Text generation: the plan that continues a prompt, with the weights of a language model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rnnspec.errors import ExportError
from rnnspec.plan import nodes


def generation(plan: nodes.Plan, search: nodes.Search) -> nodes.Plan:
    """The plan 1:N that continues a prompt, for a plan N:N that answers the next token.

    Every weight keeps its name, so that the weights of `plan` fit. The answer begins with the
    prompt, which has at least one token. Raises ExportError for a plan that is no language model
    over text.
    """
    ends = [node for node in plan.outputs if isinstance(node, nodes.ClassOutput) and node.ahead]
    if len(ends) != 1 or len(plan.targets) != 1:
        raise ExportError(
            f"{plan.name} answers no next token, so it cannot write on from a prompt; only models"
            " with one output 'as: next' over text can"
        )
    (end,) = ends
    prompt = next(n for n in plan.inputs if n.column == end.column)
    if not isinstance(prompt, nodes.TokensInput):
        raise ExportError(
            f"{plan.name} reads {end.column!r} as what cannot be put together again; train a model"
            " that reads it as words, tokens, chars, bytes or subwords"
        )
    _check_steps(plan, prompt)
    others = _under(plan, end, prompt)
    outer, body = _split(prompt, others)
    if grid := next((node for node in body if isinstance(node, nodes.Grid)), None):
        raise ExportError(
            f"{plan.name} reads {grid.source} as a grid, and a token that is written on is read as"
            " plain numbers; train a model whose convolutions have a size of steps alone"
        )
    start = nodes.Previous("previous", prompt.size)
    whole = (start, *(_in_body(node, prompt, end) for node in body))
    own = {node.name for node in whole}
    reads = dict.fromkeys(s for node in whole for s in node.sources() if s not in own)
    decoder = nodes.Decoder("decoder", whole, tuple(reads), whole_prompt=True)
    text = nodes.TextOutput(
        end.name,
        "decoder",
        end.column,
        prompt.kind,
        end.classes,
        search,
        prompt.name,
        reverse=end.reverse,
    )
    inputs = [n for n in plan.nodes if isinstance(n, nodes.Input)]
    return nodes.verify(nodes.Plan(plan.name, "1:N", (*inputs, *outer, decoder, text)))


def _under(plan: nodes.Plan, end: nodes.ClassOutput, prompt: nodes.TokensInput) -> list[nodes.Node]:
    """The nodes that the next token depends on, without inputs and the output: states that are
    answered beside it are not written on."""
    names = {end.source}
    found: list[nodes.Node] = []
    for node in reversed(plan.nodes):
        if node.name in names:
            names.update(node.sources())
            found.append(node)
    return [n for n in reversed(found) if n is not prompt and not isinstance(n, nodes.Input)]


def _check_steps(plan: nodes.Plan, prompt: nodes.TokensInput) -> None:
    """Raises ExportError for a plan that reads steps beside the prompt: generated tokens have
    none."""
    whole = (nodes.CategoryInput, nodes.VectorInput)
    others = [n for n in plan.inputs if n is not prompt and not isinstance(n, whole)]
    columns = dict.fromkeys(node.column for node in others if node.column != prompt.column)
    if columns:
        named, column = " and ".join(map(repr, columns)), prompt.column
        raise ExportError(
            f"{plan.name} reads {named} beside {column!r} at each step, and a token that is written"
            f" on has none; train a model whose only input of steps is {column!r}"
        )
    if others:
        raise ExportError(
            f"{plan.name} reads the characters of each token of {prompt.column!r}, and a token that"
            " is written on is known by its number alone; train a model without 'spelling'"
        )


def _split(
    prompt: nodes.TokensInput, others: Sequence[nodes.Node]
) -> tuple[list[nodes.Node], list[nodes.Node]]:
    """The nodes that do not depend on the tokens, and those that do."""
    reached = {prompt.name}
    outer: list[nodes.Node] = []
    body: list[nodes.Node] = []
    for node in others:
        if reached.intersection(node.sources()):
            reached.add(node.name)
            body.append(node)
        else:
            outer.append(node)
    return outer, body


def _in_body(node: nodes.Node, prompt: nodes.TokensInput, end: nodes.ClassOutput) -> nodes.Node:
    """A node as part of the body, where the token before takes the place of the input."""
    if isinstance(node, nodes.Embed) and node.source == prompt.name:
        return replace(node, source="previous")
    if isinstance(node, nodes.Dense) and node.name == end.source:
        return nodes.Scores(node.name, node.source, node.inputs, node.units)
    return node
