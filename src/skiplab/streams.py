"""Standard streams that take any text: a sign that their encoding lacks gets a plain twin, never an exception."""

import codecs
import io
import sys
import unicodedata

_HANDLER = "skiplab.plain_twins"
_TWINS = {"–": "-", "−": "-", "×": "x", "±": "+-", "≤": "<=", "≥": ">=", "∞": "inf", "√": "sqrt", "δ": "d"}


def take_any_text() -> None:
    """Let standard output and standard error show whatever is printed, in the encoding that they have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _plain_twins(error: UnicodeError) -> tuple[str, int]:
    """What stands for the signs that an encoding lacks: codecs' answer to an error of encoding."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_twin, error.object[error.start : error.end])), error.end


def _twin(sign: str) -> str:
    """The sign's own, else the letters that it is made of, such as e for an e with an accent; '?' where it has none."""
    letters = unicodedata.normalize("NFKD", sign).encode("ascii", "ignore").decode("ascii")
    return _TWINS.get(sign) or letters or "?"


codecs.register_error(_HANDLER, _plain_twins)
