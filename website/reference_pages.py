"""Writes the reference pages that are read off the code: commands, keys of claims files, the record's format.

    make docs

A second run changes nothing.
"""

import argparse
import inspect
import re
import types
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NotRequired, Union, get_args, get_origin

from typing_extensions import get_type_hints, is_typeddict

from skiplab.analysis.claims import claims_keys
from skiplab.cli.parser import make_parser
from skiplab.records import file_names, record_schema
from skiplab.records.record_schema import RecordContent

DOCS = Path(__file__).resolve().parents[1] / "docs"
_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "true or false",
    types.NoneType: "null",
    Any: "any",
}
_NAMED = {
    record_schema.Key: "16 digits of 0-9a-f",
    record_schema.Time: "a time in UTC",
    record_schema.Factors: "settings",
}

_COMMANDS = """\
# Commands

Every command of `skiplab`, as `skiplab COMMAND --help` prints it.

"""

_TRAIN = """\
It takes Hydra's options and overrides: `AXIS=OPTION`, `SETTING=VALUE` and `experiment=NAME/PROFILE`.
`skiplab train --help` lists axes, options, presets and settings, and `skiplab train connection=scaled --help` the
settings of that option; [options.md](options.md) says what each option is.
"""


def write_pages() -> None:
    """Write every reference page anew."""
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")


def commands_page() -> str:
    """A section per command: what it does, how it is called, its options."""
    (subparsers,) = (each for each in make_parser()._actions if isinstance(each, argparse._SubParsersAction))
    about = {each.dest: each.help or "" for each in subparsers._choices_actions}
    sections = [
        _COMMANDS
        + _table(
            ["command", "does"], [[f"[`{name}`](#skiplab-{name})", _sentence(text)] for name, text in about.items()]
        )
    ]
    for name, parser in subparsers.choices.items():
        rows = [[_argument(each), _sentence(each.help or "")] for each in parser._actions if each.dest != "help"]
        table = _table(["argument", "is"], rows) if rows else _TRAIN
        sections.append(f"## skiplab {name}\n\n{_capitalized(about[name])}.\n\n{table}")
    return "\n".join(sections)


def claims_page() -> str:
    """The keys of a claims file, of a claim and of a test."""
    own = claims_keys.CLAIM_KEYS.keys() - claims_keys.TEST_KEYS.keys()
    claim = {key: text for key, text in claims_keys.CLAIM_KEYS.items() if key in own}
    return f"""\
# Keys of claims files

What `skiplab` takes in a [claims file](claims.md); any other key is refused with the nearest one.

## The file

{_keys(claims_keys.FILE_KEYS, claims_keys.FILE_NEEDS)}
## A claim

A claim of one test has the keys of [a test](#a-test) as well.

{_keys(claim, claims_keys.CLAIM_NEEDS)}
## A test

Of a claim, of one of its `parts`, or of its `evidence`. A part needs `says` too. Evidence takes `contrast` and `over`
from its claim where it has none of its own, and any test takes the arms.

{_keys(claims_keys.TEST_KEYS, claims_keys.TEST_NEEDS)}
### contrast

{_table(["contrast", "for each seed"], [[f"`{name}`", text] for name, text in claims_keys.CONTRASTS.items()])}
### direction

{_table(["direction", "the claim"], [[f"`{name}`", text] for name, text in claims_keys.DIRECTIONS.items()])}"""


def record_page() -> str:
    """The files of a trial and of a study, and the content of record.json."""
    parts = _parts(RecordContent)
    sections = "\n".join(
        f"{'##' if part is RecordContent else '###'} {_title(part)}\n\n{_about(part)}\n\n{_fields(part)}"
        for part in parts
    )
    tables = [
        [
            f"`{table.file}`",
            ", ".join(f"`{name}` ({kind})" for name, kind in table.types.items()),
            ", ".join(table.identity),
        ]
        for table in (file_names.HISTORY, file_names.LAYERS, file_names.MEASUREMENTS)
    ]
    return f"""\
# Record format

What lies on disk, version {record_schema.FORMAT_VERSION} of the format. [Records](records.md) says what to do with it.

## A trial, `runs/KEY/`

{_table(["file", "holds"], [[f"`{name}`", text] for name, text in file_names.TRIAL_FILES.items()])}
Of several rows of a table that agree in the last column, the last one counts.

{_table(["table", "columns", "a row is known by"], tables)}
## A study, `runs/studies/NAME/`

{_table(["file", "holds"], [[f"`{name}`", text] for name, text in file_names.STUDY_FILES.items()])}
{sections}"""


PAGES = {"commands.md": commands_page, "claims_keys.md": claims_page, "record_format.md": record_page}


def meanings(part: type) -> dict[str, str]:
    """What each field means, as the docstring says it, those of its base included."""
    bases = getattr(part, "__orig_bases__", ())
    inherited = {name: text for base in bases if is_typeddict(base) for name, text in meanings(base).items()}
    body = (inspect.getdoc(part) or "").partition("\n\n")[2]
    lines = re.sub(r"\n\s+", " ", body).splitlines()
    return inherited | dict(line.split(": ", 1) for line in lines)


def _parts(part: type) -> list[type]:
    """A typed dictionary, and those within it."""
    inner = [each for kind in get_type_hints(part).values() for each in _dictionaries(kind)]
    return list(dict.fromkeys([part, *(each for found in inner for each in _parts(found))]))


def _dictionaries(kind: Any) -> list[type]:
    return [kind] if is_typeddict(kind) else [each for inner in get_args(kind) for each in _dictionaries(inner)]


def _title(part: type) -> str:
    return (
        "The content of record.json"
        if part is RecordContent
        else re.sub(r"(?<=[a-z])(?=[A-Z])", " ", part.__name__).capitalize()
    )


def _about(part: type) -> str:
    return (inspect.getdoc(part) or "").split("\n\n")[0].replace("\n", " ")


def _fields(part: type) -> str:
    texts = meanings(part)
    kinds = get_type_hints(part, include_extras=True)
    return _table(
        ["field", "holds", "is"],
        [[f"`{name}`", _in_words(kind), _sentence(texts[name])] for name, kind in kinds.items()],
    )


def _in_words(kind: Any) -> str:
    """What values a field takes; a part of the record is a link to its section."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind in _WORDS:
        return _WORDS[kind]
    if is_typeddict(kind):
        return f"[{_title(kind)}](#{_title(kind).lower().replace(' ', '-')})"
    if origin is NotRequired:
        return f"{_in_words(inner[0])}; may be missing"
    if origin is Annotated:
        return next((words for named, words in _NAMED.items() if named == kind), None) or _in_words(inner[0])
    if origin is Literal:
        return " or ".join(f"`{each}`" for each in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(map(_in_words, inner))
    if origin is dict:
        return f"{_in_words(inner[1])}, by name"
    if origin is list:
        return f"a list of {_in_words(inner[0])}"
    if origin is tuple:
        return f"{len(inner)} whole numbers"
    raise TypeError(f"no words for {kind}")


def _keys(keys: Mapping[str, str], needed: Sequence[str]) -> str:
    return _table(
        ["key", "needed", "holds"], [[f"`{key}`", "yes" if key in needed else "", text] for key, text in keys.items()]
    )


def _argument(action: argparse.Action) -> str:
    """An option with its value, as one types it; of an argument without a name, its place."""
    own = action.option_strings[-1] if action.option_strings else ""
    value = (
        action.metavar if isinstance(action.metavar, str) else (own.strip("-") or action.dest).upper().replace("-", "_")
    )
    if action.choices:
        value = "|".join(map(str, action.choices))
    return f"`{' '.join(part for part in (own, '' if action.nargs == 0 else value) if part)}`"


def _capitalized(text: str) -> str:
    return text[0].upper() + _sentence(text)[1:]


def _sentence(text: str) -> str:
    return " ".join(text.split()).removesuffix(".")


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown; a bar within a cell would end it."""
    lines = [list(headings), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    write_pages()
