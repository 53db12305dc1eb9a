"""The seal of a model file: its last bytes, a metadata entry with the digest of all bytes before.

An ONNX file is a protobuf message, in which an entry of a repeated field may follow at the end. So
the seal is set and checked without a parser, and every ONNX reader sees an entry of
`metadata_props`. A tool that rewrites the file, to quantize or convert it, changes its length or
drops the seal: such a file is not damaged and is read.
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
