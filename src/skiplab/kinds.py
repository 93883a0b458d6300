"""What kind of value a setting takes: as an annotation says it, in words, and whether a value is of it."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

_WORDS = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "text", NoneType: "null"}
_BOUND = 2**63  # of whole numbers, as tensors and files hold them


def is_of(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind; a whole number is a number too, and true and false are none.

    Args:
        value: of a resolved configuration.
        kind: an annotation; one that isn't known here is never wrong.
    """
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and -_BOUND <= value < _BOUND
    if kind in _WORDS:
        return isinstance(value, str if kind is Path else kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return any(isinstance(value, each) if _is_foreign(each) else is_of(value, each) for each in inner)
    if origin is Literal:
        return value in inner
    if origin is tuple and Ellipsis not in inner:
        return isinstance(value, list) and len(value) == len(inner) and all(map(is_of, value, inner))
    if origin in (list, tuple, Sequence):
        return isinstance(value, list) and all(is_of(each, inner[0]) for each in value)
    if origin in (dict, Mapping):
        return isinstance(value, dict) and all(is_of(each, inner[1]) for each in value.values())
    return True


def in_words(kind: Any) -> str:
    """What is valid, such as 'a whole number or null'."""
    if kind in _WORDS:
        return _WORDS[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(in_words(each) for each in inner if not _is_foreign(each)))
    if origin is Literal:
        return " or ".join(map(str, inner))
    if origin is tuple and Ellipsis not in inner:
        return f"a list of {len(inner)}, each {in_words(inner[0])}"
    if origin in (list, tuple, Sequence):
        return f"a list, each of it {in_words(inner[0])}"
    if origin in (dict, Mapping):
        return "settings by name, {a: 1}"
    return "any"


def as_given(value: Any) -> str:
    """A value as a command line writes it: null, true, [1, 2]."""
    if isinstance(value, list):
        return f"[{', '.join(map(as_given, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {as_given(each)}' for name, each in value.items())}}}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def refusal(name: str, value: Any, kind: Any) -> str:
    """What to say of a value that isn't of its setting's kind."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    limits = ", from -2^63 to 2^63" if isinstance(value, int) and is_number and is_of(0, kind) else ""
    told = f"{name}={as_given(value)} is invalid; valid: {in_words(kind)}{limits}"
    return f"{told}, here '{name}=\"{value}\"'" if is_number and is_of("", kind) else told


def _is_foreign(kind: Any) -> bool:
    """Whether it is a class that no value of a configuration has, such as a tensor."""
    return isinstance(kind, type) and kind not in _WORDS and get_origin(kind) is None
