"""Errors of Hydra and OmegaConf as one sentence: which override is wrong, what is valid, and what to write."""

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from traceback import walk_tb
from typing import Any

from omegaconf.errors import ValidationError
from yaml import MarkedYAMLError, YAMLError

from skiplab.errors import SkiplabError
from skiplab.paths import project_dir
from skiplab.records.foreign_files import yaml_mistake

_THEIRS = ("hydra", "omegaconf")


@contextmanager
def explained(words: Sequence[str]) -> Iterator[None]:
    """Raise errors of Hydra and OmegaConf as SkiplabError, and leave all others as they are.

    Args:
        words: the command line, to find an override that the error doesn't name.
    """
    try:
        yield
    except SkiplabError:
        raise
    except YAMLError as error:
        raise SkiplabError(_not_yaml(error)) from error
    except Exception as error:
        if not _is_theirs(error):
            raise
        raise SkiplabError(_sentence(error, words)) from error


def _is_theirs(error: Exception) -> bool:
    """Whether the class of an error, or the code that raised it, belongs to Hydra or OmegaConf."""
    *_, (frame, _) = walk_tb(error.__traceback__)
    places = (type(error).__module__, frame.f_globals.get("__name__", ""))
    return any(place.partition(".")[0] in _THEIRS for place in places)


def _sentence(error: Exception, words: Sequence[str]) -> str:
    from hydra.errors import OverrideParseException

    cause = error.__cause__
    if isinstance(cause, SkiplabError):
        return str(cause)
    if isinstance(error, OverrideParseException):
        return _grammar(str(error.override), str(error), words)
    text = str(error) or str(cause)
    if found := re.search(r"Ambiguous value for argument '(.*)'", text):
        return _several(found[1])
    if found := re.search(r"Sweep parameters '(.*)' requires --multirun", text):
        return f"{found[1]} has several values; add -m to train each of them"
    if "Only one of --run, --multirun" in text:
        return "--cfg and --info show one configuration, and a sweep has many; remove -m"
    if found := re.search(r"Could not (?:find|load) '([^'\n]+)/([^'/\n]*)'", text):
        return _unknown_option(found[1], found[2], text)
    if found := re.search(r"An item is already at '(.*)'", text):
        return f"{found[1]} already exists and can't be added; remove the +"
    if "Config group override must be a string" in text:
        return _null_option(words)
    if "Could not override" in text and getattr(cause, "parent_node", None) is not None:
        return _unknown_setting(text, cause, words)
    if isinstance(cause, ValidationError) and "Error merging override" in text:
        return _interpolation(cause, str(cause))
    return _interpolation(error if hasattr(error, "full_key") else cause, text)


def _not_yaml(error: YAMLError) -> str:
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    name = mark.name if mark else getattr(error, "name", "a configuration file")
    return f"{name} is not valid YAML: {yaml_mistake(error)}; correct the file"


def _grammar(override: str, text: str, words: Sequence[str]) -> str:
    override = next((word for word in words if override and word.startswith(override)), override)
    if "=" not in override.lstrip("=") and not override.startswith("~"):
        return f"{override} is not an override; write NAME=VALUE without spaces, such as seed=1"
    if stray := _without_stray(override):
        what = "comma" if override.count(",") > stray.count(",") else "space"
        return f"{override!r} has an extra {what}; write {stray}"
    if found := re.search(r"while evaluating '.*': (.*)", text):
        return f"{override} can't be read: {found[1]}"
    quoted = _quoted(override)
    hint = f"; to give it as text, write {quoted}" if quoted else ""
    return f"{override} can't be read, because it contains special characters of Hydra's grammar{hint}"


def _without_stray(override: str) -> str | None:
    """The override without spaces and without commas that separate nothing; None if it has none or is still wrong."""
    name, _, value = override.partition("=")
    mended = f"{name.strip()}={','.join(filter(None, map(str.strip, value.split(','))))}"
    return mended if mended != override and not mended.endswith("=") and _parsed(mended) else None


def _parsed(override: str) -> Any:
    """The override as Hydra parses it; None if it can't."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        (parsed,) = OverridesParser.create().parse_overrides([override])
    except HydraException:
        return None
    return parsed


def _quoted(override: str) -> str | None:
    """The override with its value as quoted text, ready for a shell; None if it can't be written."""
    name, _, value = override.partition("=")
    bare = value[1:-1] if len(value) > 1 and value[0] == value[-1] in "'\"" else value
    escaped = bare.replace('"', '\\"')
    word = f'{name}="{escaped}"'
    if (parsed := _parsed(word)) is None:
        return None
    if "'" not in word:
        return f"'{word}'" if parsed.value() == bare else None
    return '"' + re.sub(r'([\\"$`])', r"\\\1", word) + '"' if parsed.value() == bare else None


def _several(override: str) -> str:
    name, _, value = override.partition("=")
    quoted = _quoted(override)
    text = f"; for a text with a comma, write {quoted}" if quoted else ""
    return f"{override} has several values; add -m to train each; for a list, write {name}=[{value}]{text}"


def _options(axis: str) -> list[str]:
    folder = project_dir("conf") / axis
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))


def _unknown_option(axis: str, option: str, text: str) -> str:
    listed = re.findall(r"^\t([^\s=]+)$", text, re.MULTILINE)
    valid = listed or _options(axis)
    if not option:
        return f"{axis}= is empty and needs an option; valid: {', '.join(valid)}"
    close = difflib.get_close_matches(option, valid, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"unknown option {axis}/{option}; valid: {', '.join(valid)}{hint}"


def _null_option(words: Sequence[str]) -> str:
    for word in words:
        axis, _, value = word.partition("=")
        if not axis:
            return f"{word} has no name; write NAME=VALUE, such as seed=1"
        if "null" in value.lower().split(",") and (valid := _options(axis.lstrip("+"))):
            return f"{word} is invalid, {axis.lstrip('+')} needs an option; valid: {', '.join(valid)}"
    return "an axis is null; give each axis an option of conf/"


def _unknown_setting(text: str, cause: Any, words: Sequence[str]) -> str:
    from skiplab.configuration.suggestions import leaves, unknown_setting
    from skiplab.records.plain_config import plain

    asked = text.partition("Could not override '")[2].partition("'")[0]
    word = next((word for word in words if word.startswith(f"{asked}={{")), None)
    if word and (valid := _options(asked)):
        return f"{word} is not an option; valid: {', '.join(valid)}; for a setting, write {asked}.NAME=VALUE"
    name = cause.full_key if cause.full_key.startswith(asked) else asked  # of a setting within a mapping
    root = cause.parent_node._get_root()
    return unknown_setting(name, [known for known, _ in leaves(plain(root, resolve=False))])


def _interpolation(error: BaseException | None, text: str) -> str:
    """The sentence for a value with a reference, and for any other error."""
    name = getattr(error, "full_key", None)
    if name and (found := re.search(r"Environment variable '(.+)' not found", text)):
        return f"{name} uses the environment variable {found[1]}, which isn't set; set it, or give {name}=..."
    lines = [line.strip() for line in text.splitlines()]
    message = " ".join(line for line in lines if not line.startswith(("full_key:", "object_type=")))
    return f"{name} is invalid: {message}" if name else message
