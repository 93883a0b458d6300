"""Python values as text in the grammar of overrides."""

import math
import re
from collections.abc import Iterator, Mapping, MappingView, Sequence
from itertools import islice
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

from skiplab.errors import SkiplabError

_PLAIN_TEXT = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)
_RESERVED = {"true", "false", "null", "nan", "inf"}
_MOST = 10_000  # values of a list; a generator may have no end


def plain(name: str, value: Any) -> Any:
    """A value as a configuration holds it: numbers and arrays of NumPy as Python's, paths as text, the rest as lists.

    Raises:
        SkiplabError: where a configuration can't hold it; `name` is what the message calls it.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return _finite(name, float(value))
    if isinstance(value, str):
        return _encodable(name, str.__str__(value))
    if isinstance(value, PurePath):
        return _encodable(name, str(value))
    if isinstance(value, Mapping):
        return {_key(name, key): plain(f"{name}.{key}", each) for key, each in value.items()}
    if hasattr(value, "tolist"):
        return plain(name, value.tolist())
    if isinstance(value, Sequence | Iterator | MappingView) and not isinstance(value, bytes | bytearray | memoryview):
        values = list(islice(value, _MOST + 1))
        if len(values) > _MOST:
            raise SkiplabError(f"{name} has more than {_MOST:,} values; valid: a list of fewer")
        return [plain(name, each) for each in values]
    raise SkiplabError(
        f"{name} holds a {type(value).__name__}, {value!r:.60}; valid: numbers, text, paths, true, false, null, and "
        "lists and mappings of these"
    )


def override_text(value: Any) -> str:
    """A plain value in the grammar of overrides, which reads it back as it is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if _PLAIN_TEXT.fullmatch(value) and value.lower() not in _RESERVED else _quoted(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{override_text(each)}" for key, each in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(map(override_text, value)) + "]"
    return repr(value)


def _quoted(value: str) -> str:
    """Backslashes are doubled before a quote alone: elsewhere they stand for themselves."""
    return "'" + re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value) + "'"


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise SkiplabError(f"{name} holds {value}, which no record can keep; valid: finite numbers")
    return value


def _encodable(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SkiplabError(f"{name} holds {value!r}, which can't be written as UTF-8; valid: text that can") from None
    return value


def _key(name: str, key: Any) -> str:
    if not isinstance(key, str) or not _PLAIN_TEXT.fullmatch(key):
        raise SkiplabError(f"{name} has the key {key!r}; valid: letters a to z, digits and _, a letter first")
    return key
