"""Python values as text in the grammar of Hydra's overrides."""

import math
import re
from collections.abc import ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from itertools import islice
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any

from skiplab.errors import SkiplabError

_PLAIN_TEXT = re.compile(r"[A-Za-z_][\w./-]*", re.ASCII)
_RESERVED = {"true", "false", "null", "nan", "inf"}
_MAX_VALUES = 10_000  # of a list; a generator may be endless


def plain(name: str, value: Any) -> Any:
    """A value as a configuration holds it: NumPy's numbers as Python's, paths as text, sequences and arrays as lists.

    Args:
        name: what messages call it.
        value: the value.

    Raises:
        SkiplabError: a configuration can't hold it.
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
    is_iterable = isinstance(value, Sequence | Iterator | KeysView | ValuesView | ItemsView)
    if is_iterable and not isinstance(value, bytes | bytearray | memoryview):
        values = list(islice(value, _MAX_VALUES + 1))
        if len(values) > _MAX_VALUES:
            raise SkiplabError(f"{name} has more than {_MAX_VALUES:,} values; valid: a list of fewer")
        return [plain(name, each) for each in values]
    raise SkiplabError(
        f"{name} holds a {type(value).__name__}, {value!r:.60}; valid: numbers, text, paths, booleans, None, and lists "
        "and mappings of these"
    )


def override_text(value: Any) -> str:
    """The text that Hydra's grammar of overrides reads as this plain value."""
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
    """In single quotes. Backslashes are doubled only before a quote; elsewhere the grammar reads them as they are."""
    return "'" + re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), value) + "'"


def _finite(name: str, value: float) -> float:
    if not math.isfinite(value):
        raise SkiplabError(f"{name} holds {value}, which a record can't store; valid: finite numbers")
    return value


def _encodable(name: str, value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise SkiplabError(f"{name} holds {value!r}, which isn't valid Unicode; give text that is") from None
    return value


def _key(name: str, key: Any) -> str:
    if not isinstance(key, str) or not _PLAIN_TEXT.fullmatch(key):
        raise SkiplabError(f"{name} has the key {key!r}; valid: letters a to z, digits and _, starting with a letter")
    return key
