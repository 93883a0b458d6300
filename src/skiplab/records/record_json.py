"""Reading and writing the text of record.json, checked by the one schema both times.

The text has a checksum of its content, so that a number that was changed on disk is not taken for a measured one. It
tells of damage and mistakes; who means to deceive can write another. Older records have none, and are read as they are.
"""

import json
import math
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, TypeVar

import pydantic_core
from pydantic import TypeAdapter, ValidationError

from skiplab.records.foreign_files import parse_json
from skiplab.records.record_schema import FORMAT_VERSION, Findings, RecordContent, shown

_Parts = TypeVar("_Parts")
_SCHEMA, _FINDINGS = TypeAdapter(RecordContent), TypeAdapter(Findings)  # compiled once
_TYPES = {  # what pydantic calls a value of another type, and what should stand there
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "dict_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
}
_CHECKSUM = "checksum"  # its name in the text
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")  # half of a character, as in a file name that is not UTF-8


def parse_record(text: bytes, key: str | None = None) -> RecordContent:
    """Parse a record.json.

    Args:
        text: the file's content.
        key: the trial that it must be the record of; None for any.

    Raises:
        ValueError: if it is no record of this format, was changed after it was written, or is the record of another
            trial.
    """
    content = _without_lone_surrogates(parse_json(text), text)
    checksum = content.pop(_CHECKSUM, None) if isinstance(content, dict) else None
    record = _checked(content)
    if checksum is not None and checksum != _checksum_of(content):
        raise ValueError("it was changed after it was written: its checksum is that of another content")
    if key is not None and record["key"] != key:
        raise ValueError(f"it is the record of {record['key']}, not of this trial")
    return record


def to_json(content: Mapping[str, Any]) -> bytes:
    """The text of a record.json; numbers that aren't finite become null.

    Raises:
        ValueError: if `parse_record` would refuse it.
    """
    kept = as_kept(content)
    # eight times as fast as json with an indent
    return pydantic_core.to_json({**kept, _CHECKSUM: _checksum_of(kept)}, indent=1) + b"\n"


def as_kept(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content as it is read again from a record.json, without its checksum.

    Raises:
        ValueError: if `parse_record` would refuse it.
    """
    kept = _as_read(content)
    _checked(kept)
    return kept


def check_findings(findings: Mapping[str, Any]) -> None:
    """Check that a record can hold what was found in a trial.

    Raises:
        ValueError: says why it can't.
    """
    _validated(_FINDINGS, _as_read(findings))


def _as_read(content: Mapping[str, Any]) -> Any:
    body = json.dumps(_finite(content)).encode()
    return _without_lone_surrogates(parse_json(body), body)


def _checked(content: Any) -> RecordContent:
    """The content of a record of this format.

    Raises:
        ValueError: if it is none.
    """
    if not isinstance(content, dict):
        raise ValueError("it holds no record")
    version = content.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:  # true == 1
        raise ValueError(
            f"its format_version is {shown(version)}, and this version of skiplab reads {FORMAT_VERSION} only"
        )
    return _validated(_SCHEMA, content)


def _validated(schema: TypeAdapter[_Parts], content: Any) -> _Parts:
    try:
        return schema.validate_python(content)
    except ValidationError as error:
        raise ValueError(f"its {explain(error)}") from None


def _checksum_of(content: Mapping[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def explain(error: ValidationError) -> str:
    """The first mistake that pydantic found, in words: `step is 'x'; valid: a whole number`."""
    mistakes = error.errors(include_url=False)
    first = mistakes[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] == "factor":
        return first["msg"]
    if path and path[-1] in ("int", "float") and len(mistakes) > 1:  # a type that the value may have, and no part
        return f"{'.'.join(path[:-1])} is {shown(first['input'])}; valid: a number or null"
    name = ".".join(path)
    if first["type"] == "missing":
        return f"{name} is missing"
    if first["type"] == "extra_forbidden":
        return f"{name} is unknown"
    context = first.get("ctx", {})
    valid = _TYPES.get(first["type"]) or context.get("expected") or context.get("error") or first["msg"]
    return f"{name} is {shown(first['input'])}; valid: {valid}"


def _finite(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {name: _finite(child) for name, child in node.items()}
    if isinstance(node, list | tuple):
        return [_finite(child) for child in node]
    return None if isinstance(node, float) and not math.isfinite(node) else node


def _without_lone_surrogates(content: Any, text: bytes) -> Any:
    """The content with halves of characters, which no UTF-8 file can hold, written as JSON escapes them."""
    if b"\\ud" not in text.lower() and b"\xed" not in text:
        return content
    escaped = _LONE_SURROGATE.sub(lambda found: f"\\\\u{ord(found[0]):04x}", json.dumps(content, ensure_ascii=False))
    return json.loads(escaped)
