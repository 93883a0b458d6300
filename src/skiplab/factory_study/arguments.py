"""Arguments of `skiplab.study` that both kinds of studies take."""

from collections.abc import Mapping
from typing import Any

from skiplab.configuration.override_text import plain
from skiplab.errors import SkiplabError
from skiplab.records.record_schema import is_number


def mapping(argument: str, given: Any) -> Mapping[str, Any]:
    """An argument that must be a mapping.

    Raises:
        SkiplabError: it is none.
    """
    if not isinstance(given, Mapping):
        raise SkiplabError(f"{argument} is a {type(given).__name__}; valid: a mapping, such as {{'depth': ...}}")
    return given


def values_of(name: str, values: Any) -> list[Any]:
    """The values of a factor as a configuration holds them.

    Raises:
        SkiplabError: they are no list, or not all different.
    """
    listed = [] if isinstance(values, str | Mapping) else plain(name, values)
    if not isinstance(listed, list) or not listed:
        raise SkiplabError(f"{name}={values!r:.60} is invalid; valid: a list of values")
    # 1 and 1.0 are one value, 1 and true are two
    keys = [value if is_number(value) else repr(value) for value in listed]
    repeated = [value for value, key in zip(listed, keys, strict=True) if keys.count(key) > 1]
    if repeated:
        raise SkiplabError(f"{name} has {repeated[0]!r} twice; valid: a list of different values")
    return listed
