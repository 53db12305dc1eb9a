"""Messages that name options of the command line, for callers in Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

from rnnspec.errors import RnnspecError, SpecError

EVALUATED = ("windows", "output", "by")
"""Keywords of `Build.evaluate` that are options of `rnnspec evaluate`."""
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)")


@contextmanager
def python_names() -> Iterator[None]:
    """Inside, messages name options of commands as keywords: `max_loss` for `--max-loss`."""
    try:
        yield
    except SpecError:
        raise
    except RnnspecError as error:
        told = _OPTION.sub(_keyword, str(error))
        if told == str(error):
            raise
        raise type(error)(told) from error


def _keyword(option: re.Match[str]) -> str:
    from rnnspec.export.file import OnnxOptions

    name = option[1].replace("-", "_")
    known = {*EVALUATED, *(field.name for field in fields(OnnxOptions))}
    return name if name in known else option[0]
