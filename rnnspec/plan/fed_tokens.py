"""What a decoder over tokens is fed with: the vector of the token before."""

from __future__ import annotations

from rnnspec.plan.nodes import Embed, Node, Previous
from rnnspec.plan.stateless import Read, dropped, table_init
from rnnspec.spec.decoder import Decoder, TransducerDecoder
from rnnspec.spec.encoder import DEFAULT_EMBED


def embedded_token(settings: Decoder | TransducerDecoder, size: int, body: list[Node]) -> Read:
    """The vector of the token before, out of a vocabulary of `size`; its nodes are added to the
    body of a decoder."""
    width, init = settings.embed or DEFAULT_EMBED, table_init(settings.embed_init)
    previous, name = Previous("decoder.previous", size), "decoder.embed"
    body += [previous, Embed(name, previous.name, size, width, pad=False, initializers=init)]
    return dropped("decoder.embed.dropout", settings.embed_dropout, Read(name, width), body)
