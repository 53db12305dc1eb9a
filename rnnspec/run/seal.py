"""The seal of a model file: its last bytes, an entry of the metadata with the digest of all before.

An ONNX file is a message of protobuf, in which an entry of a repeated field may follow at the end.
So the seal is set and checked without a parser, and every reader of ONNX takes it for an entry of
`metadata_props`. A tool that writes the file anew, to quantize or convert it, leaves one of another
length, or without a seal: nobody's damage, and read as it is.
"""

from __future__ import annotations

from rnnspec.files import digest

SEAL = "rnnspec.digest"
_KEY = b"\x0a" + bytes([len(SEAL)]) + SEAL.encode()  # field 1 of the entry
_LENGTH, _DIGEST = 16, 64
_VALUE = b"\x12" + bytes([_LENGTH + _DIGEST])  # field 2
_ENTRY = _KEY + _VALUE
_HEAD = b"\x72" + bytes([len(_ENTRY) + _LENGTH + _DIGEST]) + _ENTRY  # field 14 of a ModelProto
_SIZE = len(_HEAD) + _LENGTH + _DIGEST


def sealed(content: bytes) -> bytes:
    """The content of a model file, with its seal."""
    return content + _seal(content)


def is_damaged(content: bytes) -> bool:
    """Whether a model file has a seal of its length that does not fit what it holds."""
    before, seal = content[:-_SIZE], content[-_SIZE:]
    length = len(_HEAD) + _LENGTH
    whole = seal[:length] == _HEAD + b"%016x" % len(before)
    return whole and seal != _seal(before)


def _seal(content: bytes) -> bytes:
    return _HEAD + b"%016x" % len(content) + digest(content).encode()
