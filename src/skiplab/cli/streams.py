"""Standard streams that print any text: a character that their encoding lacks is replaced, never an exception."""

import codecs
import io
import sys
import unicodedata

_HANDLER = "skiplab.replacements"
_REPLACEMENTS = {"–": "-", "−": "-", "×": "x", "±": "+-", "≤": "<=", "≥": ">=", "∞": "inf", "√": "sqrt", "δ": "d"}


def allow_any_text() -> None:
    """Make standard output and standard error print any text in the encoding that they have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _replace(error: UnicodeError) -> tuple[str, int]:
    """The replacement of the characters that an encoding lacks, and where to go on: an error handler of codecs."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_replacement, error.object[error.start : error.end])), error.end


def _replacement(character: str) -> str:
    """From the table above, else the ASCII letters in the character, such as e in é, else '?'."""
    letters = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode("ascii")
    return _REPLACEMENTS.get(character) or letters or "?"


codecs.register_error(_HANDLER, _replace)
