"""What Hydra and OmegaConf say of a wrong override, as one sentence that names it, what is valid and what to write."""

import difflib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from traceback import walk_tb
from typing import Any

from yaml import YAMLError

from skiplab.errors import SkiplabError
from skiplab.paths import project_dir
from skiplab.records.foreign_files import yaml_mistake

_THEIRS = ("hydra", "omegaconf")


@contextmanager
def explained(words: Sequence[str]) -> Iterator[None]:
    """Turn an error of Hydra or OmegaConf into a SkiplabError; any other passes.

    Args:
        words: the command line, where an override is looked for that the error doesn't name.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, YAMLError):
            raise SkiplabError(_not_yaml(error)) from error
        if isinstance(error, SkiplabError) or not _is_theirs(error):
            raise
        raise SkiplabError(_sentence(error, words)) from error


def _is_theirs(error: Exception) -> bool:
    """Whether it is one of their classes, or was raised by their code."""
    *_, (frame, _) = walk_tb(error.__traceback__)
    places = (type(error).__module__, frame.f_globals.get("__name__", ""))
    return any(place.partition(".")[0] in _THEIRS for place in places)


def _sentence(error: Exception, words: Sequence[str]) -> str:
    cause = error.__cause__
    if isinstance(cause, SkiplabError):
        return str(cause)
    if hasattr(error, "override"):
        return _grammar(str(error.override), str(error), words)
    text = str(error) or str(cause)
    if found := re.search(r"Ambiguous value for argument '(.*)'", text):
        return _several(found[1])
    if found := re.search(r"Sweep parameters '(.*)' requires --multirun", text):
        return f"{found[1]} spans several values; add -m to train each"
    if "Only one of --run, --multirun" in text:
        return "--cfg and --info show one configuration, and a sweep has many; leave -m out"
    if unsweepable := re.search(r"range\(\) arg 3 must not be zero|does not support sweep type", text):
        return _unsweepable(words, "range" if unsweepable[0].startswith("range") else "interval")
    if found := re.search(r"Could not (?:find|load) '([^'\n]+)/([^'/\n]*)'", text):
        return _unknown_option(found[1], found[2], text)
    if found := re.search(r"An item is already at '(.*)'", text):
        return f"{found[1]} is there already, so that nothing can be added; leave the + out"
    if "Config group override must be a string" in text:
        return _null_option(words)
    if "Could not override" in text and getattr(cause, "parent_node", None) is not None:
        return _unknown_setting(text, cause, words)
    return _interpolation(error if hasattr(error, "full_key") else cause, text)


def _not_yaml(error: YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return f"{mark.name if mark else error.name} is no valid YAML: {yaml_mistake(error)}; mend it there"


def _unsweepable(words: Sequence[str], function: str) -> str:
    word = next((word for word in words if f"={function}(" in word), function)
    name = word.partition("=")[0]
    return (
        f"{word} names no values to sweep; valid: a list such as {name}=0,1, or {name}=range(START,STOP) with, as a "
        "third number, a step that isn't 0"
    )


def _grammar(override: str, text: str, words: Sequence[str]) -> str:
    override = next((word for word in words if override and word.startswith(override)), override)
    if "=" not in override.lstrip("=") and not override.startswith("~"):
        return f"{override} is no override; overrides are written NAME=VALUE without spaces, such as seed=1"
    if stray := _without_stray(override):
        what = "comma" if override.count(",") > stray.count(",") else "space"
        return f"{override!r} has a {what} too many; write {stray}"
    if found := re.search(r"while evaluating '.*': (.*)", text):
        return f"{override} can't be read: {found[1]}"
    quoted = _quoted(override)
    written = f"; as text it is written {quoted}" if quoted else ""
    return f"{override} can't be read, for some of its signs have a meaning in Hydra's grammar{written}"


def _without_stray(override: str) -> str | None:
    """An override without commas that nothing stands beside and spaces; None where that isn't what is wrong."""
    name, _, value = override.partition("=")
    mended = f"{name.strip()}={','.join(filter(None, map(str.strip, value.split(','))))}"
    return mended if mended != override and not mended.endswith("=") and _parsed(mended) else None


def _parsed(override: str) -> Any:
    """What Hydra reads; None where it can't."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        (parsed,) = OverridesParser.create().parse_overrides([override])
    except HydraException:
        return None
    return parsed


def _quoted(override: str) -> str | None:
    """An override whose value is text, as a shell takes it; None where that can't be written."""
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
    text = f", and a text with a comma {quoted}" if quoted else ""
    return f"{override} names several values; `skiplab train -m` trains each, a list is written {name}=[{value}]{text}"


def _options(axis: str) -> list[str]:
    folder = project_dir("conf") / axis
    return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))


def _unknown_option(axis: str, option: str, text: str) -> str:
    listed = re.findall(r"^\t([^\s=]+)$", text, re.MULTILINE)
    valid = listed or _options(axis)
    if not option:
        return f"{axis}= is invalid, an option is needed; valid: {', '.join(valid)}"
    close = difflib.get_close_matches(option, valid, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"unknown option {axis}/{option}; valid: {', '.join(valid)}{hint}"


def _null_option(words: Sequence[str]) -> str:
    for word in words:
        axis, _, value = word.partition("=")
        if not axis:
            return f"{word} names no setting; overrides are written NAME=VALUE, such as seed=1"
        if "null" in value.lower().split(",") and (valid := _options(axis.lstrip("+"))):
            return f"{word} is invalid, an option is needed; valid: {', '.join(valid)}"
    return "an axis is null, and an option is needed; give each axis an option of conf/"


def _unknown_setting(text: str, cause: Any, words: Sequence[str]) -> str:
    from skiplab.settings import all_names, unknown_setting

    asked = re.search(r"Could not override '(.*)'", text)[1]
    word = next((word for word in words if word.startswith(f"{asked}={{")), None)
    if word and (valid := _options(asked)):
        return f"{word} names no option; valid: {', '.join(valid)}; a setting of one is written {asked}.NAME=VALUE"
    name = cause.full_key if cause.full_key.startswith(asked) else asked  # of a setting within a mapping
    return unknown_setting(name, all_names(cause.parent_node._get_root()))


def _interpolation(error: Exception | None, text: str) -> str:
    """A value that refers to something else, or whatever is left."""
    name = getattr(error, "full_key", None)
    if name and (found := re.search(r"Environment variable '(.+)' not found", text)):
        return f"{name} refers to the environment variable {found[1]}, which isn't set; set it, or give {name}=..."
    lines = [line.strip() for line in text.splitlines()]
    told = " ".join(line for line in lines if not line.startswith(("full_key:", "object_type=")))
    return f"{name} is invalid: {told}" if name else told
